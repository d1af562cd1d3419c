//! What a run measured, and what this machine is. Figures are for people and may be fractions; no money is among them.
#![expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "figures for people, never money")]

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use koudai_engine::Engine;
use koudai_store::{DirectoryLock, StoreError};

/// What came of a run.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) payments: u64,
    pub(super) refused: u64,
    pub(super) elapsed: Duration,
    pub(super) latency: Latency,
}

/// Times in microseconds, counted in buckets no wider than a thirty-second of their value; and per second of the run.
#[derive(Debug, Default)]
pub(super) struct Latency {
    buckets: Vec<u64>,
    count: u64,
    most_us: u64,
    seconds: Vec<Second>,
}

/// One second of a run.
#[derive(Clone, Debug, Default)]
struct Second {
    buckets: Vec<u64>,
    count: u64,
}

/// Buckets for each doubling.
const FINE: u32 = 32;

fn bucket(us: u64) -> usize {
    if us < u64::from(FINE) {
        return usize::try_from(us).expect("a small number");
    }
    let shift = us.ilog2() - FINE.ilog2();
    let within = (us >> shift) - u64::from(FINE);
    usize::try_from(u64::from((shift + 1) * FINE) + within).expect("a small number")
}

/// The upper end of a bucket, in microseconds.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let (shift, within) = (bucket / u64::from(FINE), bucket % u64::from(FINE));
    if shift == 0 { within } else { ((within + u64::from(FINE) + 1) << (shift - 1)) - 1 }
}

fn add(buckets: &mut Vec<u64>, at: usize) {
    if buckets.len() <= at {
        buckets.resize(at + 1, 0);
    }
    buckets[at] += 1;
}

fn quantile_us(buckets: &[u64], count: u64, per_mille: u64) -> u64 {
    let rank = (count * per_mille).div_ceil(1_000).max(1);
    let mut seen = 0;
    for (at, n) in buckets.iter().enumerate() {
        seen += n;
        if seen >= rank {
            return upper(at);
        }
    }
    0
}

impl Latency {
    /// Counts one that took this long and ended now, in a run that began then.
    pub(super) fn record(&mut self, began: Instant, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = bucket(us);
        add(&mut self.buckets, at);
        self.count += 1;
        self.most_us = self.most_us.max(us);
        let second = usize::try_from(began.elapsed().as_secs()).expect("a short run");
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Second::default());
        }
        self.seconds[second].count += 1;
        add(&mut self.seconds[second].buckets, at);
    }

    /// So many of a thousand took at most this long, in milliseconds.
    pub(super) fn quantile_ms(&self, per_mille: u64) -> f64 {
        let us = if per_mille >= 1_000 {
            self.most_us
        } else {
            quantile_us(&self.buckets, self.count, per_mille).min(self.most_us)
        };
        us as f64 / 1_000.0
    }
}

impl Figures {
    /// Throughput and the 99th percentile over time, as a drawing.
    pub(super) fn chart(&self) -> String {
        use std::fmt::Write as _;
        let whole = &self.latency.seconds[..self.latency.seconds.len().saturating_sub(1).max(1)];
        let rates: Vec<f64> = whole.iter().map(|s| s.count as f64).collect();
        let p99: Vec<f64> =
            whole.iter().map(|s| quantile_us(&s.buckets, s.count, 990) as f64 / 1_000.0).collect();
        let mut svg = String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 420\" font-family=\"sans-serif\" font-size=\"12\">\
             <rect width=\"800\" height=\"420\" fill=\"#fff\"/>",
        );
        for (name, values, top, colour) in
            [("payments/s", &rates, 20.0, "#07c160"), ("p99, ms", &p99, 220.0, "#576b95")]
        {
            let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            let step = 700.0 / values.len().max(2) as f64;
            let points: Vec<String> = values
                .iter()
                .enumerate()
                .map(|(i, v)| format!("{:.1},{:.1}", 70.0 + step * i as f64, top + 160.0 - 150.0 * v / most))
                .collect();
            let _written = write!(
                svg,
                "<text x=\"70\" y=\"{:.0}\">{name}</text><text x=\"8\" y=\"{:.0}\">{most:.0}</text>\
                 <text x=\"8\" y=\"{:.0}\">0</text><path d=\"M70 {top}V{:.0}H770\" fill=\"none\" stroke=\"#b2b2b2\"/>\
                 <polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                top + 8.0,
                top + 14.0,
                top + 160.0,
                top + 160.0,
                points.join(" ")
            );
        }
        let _written = write!(svg, "<text x=\"700\" y=\"410\">{} s</text></svg>", whole.len());
        svg
    }
}

/// A fraction, for JSON.
pub(super) fn decimal(value: u128, of: u128) -> f64 {
    if of == 0 { 0.0 } else { (value as f64 / of as f64 * 1_000.0).round() / 1_000.0 }
}

/// The median of what the n-th of one is to the n-th of the other.
pub(super) fn median_ratio(of: &[f64], to: &[f64]) -> f64 {
    let mut ratios: Vec<f64> = of.iter().zip(to).map(|(of, to)| of / to.max(f64::MIN_POSITIVE)).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let middle = ratios.get(ratios.len() / 2).copied().unwrap_or_default();
    (middle * 1_000.0).round() / 1_000.0
}

/// How many a second.
pub(super) fn per_second(count: u64, elapsed: Duration) -> u64 {
    u64::try_from(u128::from(count) * 1_000_000 / elapsed.as_micros().max(1)).unwrap_or(u64::MAX)
}

/// The median of 1,000 appends of 4 KiB, each followed by an fdatasync, on the file system of a directory.
pub(super) fn fdatasync(directory: &Path) -> std::io::Result<Duration> {
    let path = directory.join("fdatasync.tmp");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::with_capacity(1_000);
    for _ in 0..1_000 {
        let began = Instant::now();
        file.write_all(&[0x5A; 4_096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    drop(file);
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times[500])
}

/// How large a ledger is.
#[derive(Debug)]
pub(super) struct Sizes {
    /// Of its database.
    pub(super) bytes: u64,
    /// Commits so far.
    pub(super) commits: u64,
}

impl Sizes {
    pub(super) fn of(engine: &Engine) -> Result<Self, StoreError> {
        Ok(Self { bytes: engine.size()?, commits: engine.commits()? })
    }
}

/// Processor time this process has used, in hundredths of a second, in the system's calls and outside.
pub(super) fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Cores, processor and system.
pub(super) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    format!("{cores} cores, {model}, {} {}", std::env::consts::OS, std::env::consts::ARCH)
}

/// Waits until the engine's threads have let go of a directory.
pub(super) fn wait_until_free(directory: &Path) {
    for _ in 0..3_000 {
        if DirectoryLock::take(directory).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_a_bucket_no_wider_than_a_thirty_second_of_it() {
        for us in (0..200_000).chain([1 << 40, (1 << 40) + 12_345]) {
            let top = upper(bucket(us));
            assert!(top >= us && top - us <= us / 32, "{us}: {top}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut latency = Latency::default();
        let began = Instant::now();
        for ms in 1..=100 {
            latency.record(began, Duration::from_millis(ms));
        }
        assert!((latency.quantile_ms(500) - 50.0).abs() < 2.0);
        assert!((latency.quantile_ms(990) - 99.0).abs() < 4.0);
        assert!((latency.quantile_ms(1_000) - 100.0).abs() < 0.001);
    }
}
