//! Whether what is sent arrives (spec 37 section 7).

use crate::Failure;
use crate::times::{FAILED_AFTER, HEARD_WITHIN};
use core_types::MonoTime;

/// So few lost in a row are bad luck.
const FEW: u64 = 8;

/// One kind of datagram: all of them, or the long ones.
#[derive(Debug, Default)]
struct Kind {
    /// Sent since the peer last said that one came, and since when.
    sent: u64,
    since: MonoTime,
    /// What the peer said had come.
    arrived: u64,
}

impl Kind {
    const fn sent(&mut self, count: u64, now: MonoTime) {
        if count > 0 && self.sent == 0 {
            self.since = now;
        }
        self.sent += count;
    }

    const fn arrived(&mut self, count: u64) {
        if count > self.arrived {
            self.arrived = count;
            self.sent = 0;
        }
    }

    fn fails_at(&self) -> Option<MonoTime> {
        (self.sent >= FEW).then(|| self.since.plus(FAILED_AFTER))
    }
}

/// Compares what is sent with what the peer says has come.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    all: Kind,
    long: Kind,
}

impl Watch {
    /// Datagrams were sent, so many of them long.
    pub(crate) fn sent(&mut self, datagrams: u64, long: u64, now: MonoTime) {
        self.all.sent(datagrams, now);
        self.long.sent(long, now);
    }

    /// The peer said what has come since the lane began.
    pub(crate) fn arrived(&mut self, datagrams: u64, long: u64) {
        self.all.arrived(datagrams);
        self.long.arrived(long);
    }

    /// What was sent into a silence, or to another address, says nothing: begins anew.
    pub(crate) const fn restart(&mut self) {
        self.all.sent = 0;
        self.long.sent = 0;
    }

    /// When to look again, if the peer is heard until then; if it is not, the lane waits until it is or is gone.
    pub(crate) fn due(&self, heard: MonoTime) -> Option<MonoTime> {
        let due = [self.all.fails_at(), self.long.fails_at()].into_iter().flatten().min()?;
        (due < heard.plus(HEARD_WITHIN)).then_some(due)
    }

    /// What is wrong by now, if anything is.
    pub(crate) fn failure(&self, now: MonoTime, heard: MonoTime) -> Option<Failure> {
        if now.since(heard) >= HEARD_WITHIN {
            return None;
        }
        let is_over = |kind: &Kind| kind.fails_at().is_some_and(|due| due <= now);
        if is_over(&self.all) {
            Some(Failure::NothingArrives)
        } else if is_over(&self.long) {
            Some(Failure::LongLost)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_that_never_arrive_are_noticed_only_while_the_peer_is_heard() {
        let ms = MonoTime::from_millis;
        let mut watch = Watch::default();
        watch.sent(FEW, 0, ms(100));
        assert_eq!(watch.failure(ms(2_099), ms(2_000)), None);
        assert_eq!(watch.failure(ms(2_100), ms(2_000)), Some(Failure::NothingArrives));
        assert_eq!(watch.failure(ms(2_100), ms(1_000)), None, "a silent peer is another matter");
        assert_eq!((watch.due(ms(1_500)), watch.due(ms(500))), (Some(ms(2_100)), None));
        watch.arrived(1, 0);
        assert_eq!(watch.failure(ms(2_100), ms(2_000)), None);
        watch.sent(FEW - 1, 0, ms(3_000));
        assert_eq!(watch.due(ms(3_000)), None, "few");
    }

    #[test]
    fn long_ones_are_watched_by_themselves() {
        let ms = MonoTime::from_millis;
        let mut watch = Watch::default();
        for at in 0..40 {
            watch.sent(2, 1, ms(at * 100));
            watch.arrived(at, 5.min(at));
        }
        assert_eq!(watch.failure(ms(4_000), ms(3_990)), Some(Failure::LongLost));
        watch.arrived(50, 6);
        assert_eq!(watch.failure(ms(4_000), ms(3_990)), None);
    }
}
