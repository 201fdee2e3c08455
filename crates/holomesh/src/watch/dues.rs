//! What the parents of one stream owe: which chunks nobody leaves out of his own accord, and which of them came from whom.

use alm::delivery::Shares;
use core::ops::Range;
use core_types::{ChunkSeq, Epoch, LinkId, MonoTime};
use std::collections::VecDeque;
use std::time::Duration;

/// Objects of which it is known where their source symbols are.
const OBJECTS: usize = 64;
/// A stripe of which nothing came for so long while the others went on is lacking.
const LACKS_AFTER: Duration = Duration::from_millis(200);

/// The parents of a stream against their shares. Only source symbols count: of the repair each hop sends what it needs (50.4).
#[derive(Debug)]
pub(super) struct Dues {
    pub(super) shares: Shares<LinkId>,
    stripes: u64,
    /// The source symbols of the last objects, the newest last.
    sources: VecDeque<(Epoch, Range<u64>)>,
    /// When something of a stripe came last; the stream's age counts for one of which nothing ever came.
    heard_of: [Option<MonoTime>; 16],
    heard: Option<MonoTime>,
    began: Option<MonoTime>,
    /// The publisher has nothing to say for now.
    rests: bool,
}

impl Dues {
    pub(super) fn new(stripes: u8) -> Self {
        let stripes = stripes.clamp(1, 16);
        Self {
            shares: Shares::new(stripes),
            stripes: stripes.into(),
            sources: VecDeque::with_capacity(OBJECTS),
            heard_of: [None; 16],
            heard: None,
            began: None,
            rests: false,
        }
    }

    /// A chunk has shown that an object has its source symbols there.
    pub(super) fn object(&mut self, now: MonoTime, epoch: Epoch, source: Range<u64>) {
        let known = |(e, range): &(Epoch, Range<u64>)| *e == epoch && range.start == source.start;
        if source.is_empty() || self.sources.iter().rev().any(known) {
            return;
        }
        if self.sources.len() == OBJECTS {
            self.sources.pop_front();
        }
        self.sources.push_back((epoch, source.clone()));
        self.shares.handle_object(now, source);
    }

    /// A chunk came from a parent, authentic, of so many bytes; after [`object`](Self::object).
    pub(super) fn chunk(&mut self, now: MonoTime, from: LinkId, at: (Epoch, ChunkSeq), bytes: usize) {
        let (epoch, ChunkSeq(seq)) = at;
        self.began.get_or_insert(now);
        self.heard = Some(now);
        let stripe = seq % self.stripes;
        if let Some(heard) = self.heard_of.get_mut(stripe as usize) {
            *heard = Some(now);
        }
        let in_object = |(e, range): &(Epoch, Range<u64>)| *e == epoch && range.contains(&seq);
        if self.sources.iter().rev().any(in_object) {
            self.shares.handle_chunk(now, from, 1 << stripe, bytes as u64);
        }
    }

    /// Whether the publisher has said that nothing is said: then stripes are silent, and nobody is to blame.
    pub(super) const fn set_rests(&mut self, rests: bool) {
        self.rests = rests;
    }

    /// The stripes of which nothing comes here while others go on.
    pub(super) fn lacking(&self, now: MonoTime) -> u16 {
        let stale = |at: Option<MonoTime>| at.is_none_or(|at| now.since(at) > LACKS_AFTER);
        if self.rests || self.began.is_none_or(|at| now.since(at) <= LACKS_AFTER) {
            return 0;
        }
        let stripes = self.heard_of.iter().take(self.stripes as usize).zip(0_u16..);
        stripes.filter(|(at, _)| stale(**at)).fold(0, |all, (_, stripe)| all | 1 << stripe)
    }

    /// When something came last.
    pub(super) const fn heard(&self) -> Option<MonoTime> {
        self.heard
    }

    /// Whether nothing came for so long.
    pub(super) fn is_silent(&self, now: MonoTime, long: Duration) -> bool {
        self.heard.is_some_and(|at| now.since(at) >= long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alm::delivery::Verdict;
    use core_types::KeyId;

    const EPOCH: Epoch = Epoch(1);

    fn dues() -> Dues {
        let mut dues = Dues::new(4);
        for parent in 0..4 {
            let key = KeyId([parent as u8; 32]);
            dues.shares.set_share(MonoTime(0), LinkId(parent), key, Duration::ZERO, 1 << parent);
        }
        dues
    }

    /// Objects of 12 source symbols and 4 for repair, 25 a second.
    fn play(dues: &mut Dues, sends: impl Fn(LinkId, u64) -> bool) -> MonoTime {
        let mut now = MonoTime(0);
        for object in 1..60 {
            now = MonoTime::from_millis(object * 40);
            let first = object * 16;
            for seq in first..first + 16 {
                let from = LinkId(seq % 4);
                dues.object(now, EPOCH, first..first + 12);
                if sends(from, seq - first) {
                    dues.chunk(now, from, (EPOCH, ChunkSeq(seq)), 1_000);
                }
            }
        }
        now
    }

    fn verdict(dues: &Dues, now: MonoTime, of: LinkId) -> Verdict {
        dues.shares.verdicts(now).find(|(parent, _)| *parent == of).expect("it is measured").1
    }

    #[test]
    fn repair_that_is_left_out_is_owed_by_nobody_and_makes_up_for_nothing() {
        let mut all_but_repair = dues();
        let now = play(&mut all_but_repair, |_, id| id < 12);
        for parent in 0..4 {
            assert_eq!(verdict(&all_but_repair, now, LinkId(parent)), Verdict::Good);
            let delivered = all_but_repair.shares.delivered(now, LinkId(parent));
            assert_eq!(delivered, Some(1_000), "each of three source symbols, of three");
        }
        let mut repair_alone = dues();
        let now = play(&mut repair_alone, |from, id| from != LinkId(1) || id >= 12);
        assert_eq!(verdict(&repair_alone, now, LinkId(1)), Verdict::Short { permille: 0 });
    }

    #[test]
    fn an_object_is_expected_once_however_many_of_its_symbols_come() {
        let mut dues = dues();
        for object in [16, 0, 16, 0] {
            dues.object(MonoTime(0), EPOCH, object..object + 12);
        }
        assert_eq!(dues.sources.len(), 2);
        dues.object(MonoTime(0), Epoch(2), 16..28);
        dues.object(MonoTime(0), Epoch(2), 40..40);
        assert_eq!(dues.sources.len(), 3, "another epoch counts anew, and nothing is nothing");
    }

    #[test]
    fn a_stripe_is_lacking_when_nothing_of_it_comes_any_more() {
        let mut dues = dues();
        assert_eq!(dues.lacking(MonoTime::from_millis(900)), 0, "nothing has begun");
        for ms in 0..400 {
            let seq = ms * 4 + if ms < 100 { ms % 4 } else { ms % 3 };
            dues.chunk(MonoTime::from_millis(ms), LinkId(0), (EPOCH, ChunkSeq(seq)), 10);
        }
        assert_eq!(dues.lacking(MonoTime::from_millis(399)), 8);
        assert!(!dues.is_silent(MonoTime::from_millis(399), Duration::from_millis(500)));
        assert_eq!(dues.lacking(MonoTime::from_millis(900)), 15);
        dues.set_rests(true);
        assert_eq!(dues.lacking(MonoTime::from_millis(900)), 0, "a pause of the publisher's");
        dues.set_rests(false);
        assert!(dues.is_silent(MonoTime::from_millis(900), Duration::from_millis(500)));
    }
}
