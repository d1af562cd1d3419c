//! What the system says of this process and of others.

/// The memory it holds, in bytes; 0 where the system does not say.
pub(crate) fn resident_bytes() -> u64 {
    status_bytes("self", "VmRSS:")
}

/// The most memory it has held so far, in bytes; 0 where the system does not say.
pub(crate) fn most_memory_bytes() -> u64 {
    status_bytes("self", "VmHWM:")
}

/// The memory that another process holds, in bytes.
pub(crate) fn resident_bytes_of(id: u32) -> u64 {
    status_bytes(&id.to_string(), "VmRSS:")
}

/// The most memory that another process has held so far, in bytes.
pub(crate) fn most_memory_bytes_of(id: u32) -> u64 {
    status_bytes(&id.to_string(), "VmHWM:")
}

/// A line of a process's status that counts KiB.
fn status_bytes(process: &str, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1_024
}
