//! What the system says of this process.

/// The memory it holds, in bytes; 0 where the system does not say.
pub(crate) fn resident_bytes() -> u64 {
    status_bytes("VmRSS:")
}

/// The most memory it has held so far, in bytes; 0 where the system does not say.
pub(crate) fn most_memory_bytes() -> u64 {
    status_bytes("VmHWM:")
}

/// A line of `/proc/self/status` that counts KiB.
fn status_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1_024
}
