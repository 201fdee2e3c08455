//! The baseline: the same bytes written to a plain file one after the other, with an fsync each second.

use anyhow::Result;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of a symbol as it lies on the wire without its header.
pub(crate) const SYMBOL: usize = 1_088;
/// Symbols of a frame group: two seconds at 2.5 Mbit/s.
pub(crate) const GROUP: usize = 576;
/// How often what was written is put on the disk, in both.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// Calls for something each second.
pub(crate) struct Ticker(Instant);

impl Ticker {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.0.elapsed() >= EVERY;
        if due {
            self.0 = Instant::now();
        }
        due
    }
}

/// Bytes that look like sealed ones.
pub(crate) fn noise(groups: usize) -> Vec<u8> {
    use rand::{Rng as _, SeedableRng as _};
    let mut bytes = vec![0; groups * GROUP * SYMBOL];
    rand::rngs::SmallRng::seed_from_u64(1).fill_bytes(&mut bytes);
    bytes
}

/// Writes `total` bytes, a symbol at a time through a buffer, and how long it took until all was on the disk.
pub(crate) fn write(path: &Path, noise: &[u8], total: u64) -> Result<Duration> {
    let start = Instant::now();
    let mut file = std::io::BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut ticker = Ticker::new();
    let mut left = total;
    'all: loop {
        for group in noise.chunks(GROUP * SYMBOL) {
            for symbol in group.chunks(SYMBOL) {
                file.write_all(symbol)?;
            }
            if ticker.is_due() {
                file.flush()?;
                file.get_ref().sync_data()?;
            }
            left = left.saturating_sub(group.len() as u64);
            if left == 0 {
                break 'all;
            }
        }
    }
    file.flush()?;
    file.get_ref().sync_data()?;
    Ok(start.elapsed())
}
