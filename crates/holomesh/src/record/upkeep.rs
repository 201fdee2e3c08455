//! What keeps a store in order beside recording: room on the disk, and how much strangers may ask of it.

use crate::clock::wall_now;
use consent_decay::{Disk, Level, Pressure};
use std::time::{Duration, Instant};
use symbol_store::Store;

/// Blocks whose room is given back in one step.
pub(super) const RECLAIM: usize = 1_024;

/// What strangers show is looked at so often a second and no more: each costs a signature's check, and a tombstone a write to the disk.
const STRANGERS: u32 = 20;

/// Counts what strangers show, second by second.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    since: Option<Instant>,
    count: u32,
}

impl Strangers {
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count += 1;
        self.count <= STRANGERS
    }
}

/// After a failure: lets go of what is due and of what pressure takes, and gives its room back to the disk.
pub(super) fn make_room(store: &mut Store, dir: &std::path::Path, pressure: &mut Pressure) {
    let now = wall_now();
    let mut room = || -> Result<(), symbol_store::Error> {
        while store.fade(now)?.more {}
        if let Some(disk) = disk(dir)
            && pressure.observe(disk) > Level::Calm
        {
            store.relieve(now, pressure.level(), pressure.need(disk))?;
        }
        while store.reclaim(RECLAIM)?.more {}
        store.compact()
    };
    if let Err(error) = room() {
        tracing::warn!(%error, "no room could be made in the store");
    }
}

/// How full the disk is that a folder is on.
pub(super) fn disk(dir: &std::path::Path) -> Option<Disk> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(Disk {
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_heard_so_often_a_second() {
        let (mut strangers, start) = (Strangers::default(), Instant::now());
        let mut heard = |ms| (0..100).filter(|_| strangers.allows(start + Duration::from_millis(ms))).count();
        assert_eq!([heard(0), heard(999), heard(1_000), heard(1_500), heard(9_000)], [20, 0, 20, 0, 20]);
    }
}
