//! What the system says of this process. `None` where it does not say: nothing here is a reason to stop.

use std::io;
use std::time::Duration;

/// Processor time that the process has used, all threads together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CpuTime {
    /// In the program.
    pub(super) user: Duration,
    /// In the system's kernel on its behalf.
    pub(super) system: Duration,
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{CpuTime, Duration};
    use std::fs;

    /// Resident memory in bytes.
    pub(in super::super) fn resident_bytes() -> Option<u64> {
        let text = fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
        pages.checked_mul(rustix::param::page_size() as u64)
    }

    /// Open file descriptors.
    pub(in super::super) fn open_descriptors() -> Option<u64> {
        let count = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        // One of them is the directory that is being read.
        Some(count.saturating_sub(1))
    }

    /// What getrusage(2) says as well; through the file there is no unsafe call.
    pub(in super::super) fn cpu_time() -> Option<CpuTime> {
        parse(&fs::read_to_string("/proc/self/stat").ok()?, rustix::param::clock_ticks_per_second())
    }

    /// proc(5): the fields after the program's name, which is in brackets and may have brackets in it.
    pub(super) fn parse(stat: &str, ticks_per_second: u64) -> Option<CpuTime> {
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace().skip(11);
        let mut next = || -> Option<Duration> {
            let ticks: u64 = fields.next()?.parse().ok()?;
            let micros = u128::from(ticks) * 1_000_000 / u128::from(ticks_per_second.max(1));
            Some(Duration::from_micros(u64::try_from(micros).ok()?))
        };
        Some(CpuTime { user: next()?, system: next()? })
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{cpu_time, open_descriptors, resident_bytes};

#[cfg(not(target_os = "linux"))]
mod other {
    pub(in super::super) fn resident_bytes() -> Option<u64> {
        None
    }
    pub(in super::super) fn open_descriptors() -> Option<u64> {
        None
    }
    pub(in super::super) fn cpu_time() -> Option<super::CpuTime> {
        None
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) use other::{cpu_time, open_descriptors, resident_bytes};

/// The soft and the hard limit of open file descriptors; `None` for no limit.
#[cfg(unix)]
pub(super) fn descriptor_limits() -> (Option<u64>, Option<u64>) {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (limits.current, limits.maximum)
}

/// Sets the soft limit.
#[cfg(unix)]
pub(super) fn set_descriptor_limit(soft: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum })?;
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn descriptor_limits() -> (Option<u64>, Option<u64>) {
    (None, None)
}

#[cfg(not(unix))]
pub(super) fn set_descriptor_limit(_soft: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_two_times_are_found_behind_any_program_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 250 30 9 9 20 0 1 0 5 6 7";
        let expected = CpuTime { user: Duration::from_millis(2_500), system: Duration::from_millis(300) };
        assert_eq!(linux::parse(stat, 100), Some(expected));
        for cut in 0..stat.len() {
            // However it is cut, there is an answer or none, and no panic.
            let _ = linux::parse(&stat[..cut], 0);
        }
    }

    #[test]
    fn work_shows_in_the_time() {
        let before = cpu_time().unwrap();
        let (mut sum, mut after) = (0u64, before);
        while after.user + after.system == before.user + before.system {
            sum = (0..100_000u64).fold(sum, |sum, n| sum.wrapping_mul(31).wrapping_add(n));
            after = cpu_time().unwrap();
        }
        assert!(after.user >= before.user && after.system >= before.system, "{sum}");
    }
}
