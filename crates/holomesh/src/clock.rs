//! The node's clocks: what turns the system's time into the time that the state machines take.

use core_types::{MonoTime, WallTime};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time of all clocks of this process begins.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// A monotonic clock. All clocks of a process agree, so that the parts of a node may have one each.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock; the first one of a process sets the origin.
    pub fn start() -> Self {
        // A second of headroom, so that events just before the start still have a time.
        let origin = *ORIGIN.get_or_init(|| {
            let now = Instant::now();
            now.checked_sub(Duration::from_secs(1)).unwrap_or(now)
        });
        Self { origin }
    }

    /// The time now.
    pub fn now(&self) -> MonoTime {
        self.at(Instant::now())
    }

    /// An instant on this clock.
    pub fn at(&self, instant: Instant) -> MonoTime {
        MonoTime::default().plus(instant.saturating_duration_since(self.origin))
    }

    /// A time of this clock as an instant.
    pub fn instant(&self, time: MonoTime) -> Instant {
        let offset = time.since(MonoTime::default());
        self.origin.checked_add(offset).unwrap_or_else(|| self.origin + Duration::from_secs(86_400 * 365))
    }
}

/// The date, for what has to hold over restarts and between machines.
pub(crate) fn wall_now() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
