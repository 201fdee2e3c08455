//! Which share each parent of a stream was given, and what became of it: feeds a [`DeliveryMeter`].

use super::{DeliveryMeter, Evidence, Verdict};
use crate::VerifiedClaim;
use core::ops::Range;
use core::time::Duration;
use core_types::{KeyId, MonoTime, StreamId, WallTime};
use std::collections::VecDeque;

/// An object counts as expected of a parent that has had its share for so long before the object's first chunk came, beside the
/// time to it and back: what is older it was never sent itself, or sent to nobody here.
const SETTLED_IN: Duration = Duration::from_millis(50);
/// … and that has it still so long after that: those far from the publisher are later than others.
const STILL: Duration = Duration::from_millis(150);
/// For so long after more was wrong than single parents nobody is accused.
const TROUBLED: Duration = Duration::from_secs(4);
/// How long somebody is measured who has no share any more: verdicts look back for two seconds.
const MEASURED: Duration = Duration::from_millis(2_500);
/// Objects that wait to be expected: more than come in [`STILL`]. The oldest are left out.
const MAX_BEGUN: usize = 256;

/// The parents of one stream, each held against the stripes that it was told to send. `P` is what the caller calls a parent.
///
/// To be told: the share of each parent as it changes, the objects of the stream as something of each comes, whoever brings it, and what
/// comes from each parent; and at every look, each 500 ms or so, which of them answer. [`Shares::verdicts`] then says what is to be
/// thought of each, and [`Shares::evidence`] what may be said of one to others (spec 57 sections 3 and 4).
///
/// ```
/// use alm::delivery::{Shares, Verdict};
/// use core::time::Duration;
/// use core_types::{KeyId, LinkId, MonoTime};
///
/// let (parent, key) = (LinkId(1), KeyId([7; 32]));
/// let mut shares = Shares::new(4);
/// shares.set_share(MonoTime(0), parent, key, Duration::ZERO, 0b0010);
/// // 25 objects a second of 12 chunks come, and of this parent's stripe nothing.
/// for frame in 1..=50 {
///     shares.handle_object(MonoTime::from_millis(frame * 40), frame * 12..frame * 12 + 12);
/// }
/// let verdict = shares.verdicts(MonoTime::from_millis(2_000)).next();
/// assert_eq!(verdict, Some((parent, Verdict::Short { permille: 0 })));
/// ```
#[derive(Debug)]
pub struct Shares<P> {
    stripes: u64,
    meter: DeliveryMeter,
    measured: Vec<Measured<P>>,
    /// Objects of which something came, and when.
    begun: VecDeque<(Range<u64>, MonoTime)>,
    /// When more was wrong than single parents.
    troubled: Option<MonoTime>,
}

/// A parent, or one that was one a moment ago.
#[derive(Debug, Clone, Copy)]
struct Measured<P> {
    parent: P,
    key: KeyId,
    /// What it was told to send, and the last share before that.
    mask: u16,
    before: u16,
    /// Since when it has all of that.
    since: MonoTime,
    /// To it and back.
    rtt: Duration,
    /// When it last had a share, or was a parent.
    last: MonoTime,
    /// It was found short, and that was said.
    found: bool,
}

impl<P> Measured<P> {
    /// The time to it and back was measured, if that is not zero. On a new link it is not known yet.
    const fn took(&mut self, rtt: Duration) {
        if !rtt.is_zero() {
            self.rtt = rtt;
        }
    }
}

impl<P: Copy + Eq> Shares<P> {
    /// Of a stream that is dealt out in so many stripes.
    pub const fn new(stripes: u8) -> Self {
        let stripes = if stripes == 0 { 1 } else { stripes as u64 };
        Self {
            stripes,
            meter: DeliveryMeter::new(),
            measured: Vec::new(),
            begun: VecDeque::new(),
            troubled: None,
        }
    }

    /// A parent was told to send the stripes of `mask`; `rtt` is the time to it and back, zero while that is not known. More parents than
    /// [`DeliveryMeter::MAX_PARENTS`] are not measured.
    pub fn set_share(&mut self, now: MonoTime, parent: P, key: KeyId, rtt: Duration, mask: u16) {
        if let Some(known) = self.find(parent) {
            known.took(rtt);
            if mask & !known.mask != 0 {
                known.since = now;
            }
            (known.before, known.mask, known.last) = (known.mask, mask, now);
        } else if self.measured.len() < DeliveryMeter::MAX_PARENTS {
            let (before, since, last) = (0, now, now);
            self.measured.push(Measured { parent, key, mask, before, since, rtt, last, found: false });
        }
    }

    /// Somebody is no parent any more. It is judged for a while by what it did before.
    pub fn end(&mut self, now: MonoTime, parent: P) {
        if let Some(known) = self.find(parent) {
            (known.before, known.mask, known.last) = (known.mask, 0, now);
        }
    }

    /// A parent sends this peer away, or its link is dead: there is nothing to hold against it.
    pub fn forget(&mut self, parent: P) {
        if let Some(at) = self.measured.iter().position(|known| known.parent == parent) {
            let known = self.measured.swap_remove(at);
            self.meter.remove_parent(known.key);
        }
    }

    /// Something of an object came for the first time, so the chunks of `range` were sent. To be called once for each object,
    /// and with those chunks alone that no hop leaves out of its own accord.
    pub fn handle_object(&mut self, now: MonoTime, range: Range<u64>) {
        if self.begun.len() >= MAX_BEGUN {
            self.begun.pop_front();
        }
        self.begun.push_back((range, now));
        self.expect(now);
    }

    /// A chunk of that stripe came. It counts if it is of the sender's share. One that was seen before the caller leaves out, unless its
    /// stripe moves, when two send it ([`Subscription::handle_duplicate`](crate::Subscription::handle_duplicate)).
    pub fn handle_chunk(&mut self, now: MonoTime, from: P, stripe: u16, bytes: u64) {
        let known = self.measured.iter().find(|known| known.parent == from);
        if let Some(known) = known.filter(|known| (known.mask | known.before) & stripe != 0) {
            // No more are measured than the meter takes.
            let _ = self.meter.handle_delivered(now, known.key, 1, bytes);
        }
    }

    /// Notes what parents should have sent by now.
    pub fn expect(&mut self, now: MonoTime) {
        while let Some((range, at)) = self.begun.front().cloned() {
            if at.plus(STILL) > now {
                return;
            }
            self.begun.pop_front();
            for known in self.measured.iter().filter(|known| known.mask != 0) {
                if known.since.plus(known.rtt).plus(SETTLED_IN) > at {
                    continue;
                }
                let chunks = in_stripes(&range, self.stripes, known.mask);
                let _ = self.meter.handle_expected(now, known.key, chunks);
            }
        }
    }

    /// Who is a parent still, whether it has a share or not, is measured on; `rtt` as for [`Shares::set_share`].
    pub fn keep(&mut self, now: MonoTime, parent: P, key: KeyId, rtt: Duration) {
        match self.find(parent) {
            Some(known) => {
                known.took(rtt);
                known.last = now;
            }
            None => self.set_share(now, parent, key, rtt, 0),
        }
    }

    /// A look at all who are measured, also those who were left a moment ago: nobody is accused who is not there. Those who
    /// were left longer ago are forgotten. `path` says for each whether it answers, and if it does and has a share, whether
    /// there is a standing queue or loss on the way from it, should that be known.
    pub fn look(&mut self, now: MonoTime, path: impl Fn(P) -> Path) {
        for known in &self.measured {
            let _ = match path(known.parent) {
                Path::Unheard => self.meter.handle_unanswered(now, known.key),
                Path::Heard { queueing } => {
                    if let Some(queueing) = queueing.filter(|_| known.mask != 0) {
                        let _ = self.meter.handle_congestion(now, known.key, queueing);
                    }
                    self.meter.handle_answered(now, known.key)
                }
            };
        }
        let meter = &mut self.meter;
        self.measured.retain(|known| {
            let stays = now.since(known.last) < MEASURED;
            if !stays {
                meter.remove_parent(known.key);
            }
            stays
        });
    }

    /// One look at the path of a parent beside those of [`Shares::look`].
    pub fn handle_path(&mut self, now: MonoTime, parent: P, queueing: bool) {
        if let Some(key) = self.find(parent).map(|known| known.key) {
            let _ = self.meter.handle_congestion(now, key, queueing);
        }
    }

    /// A parent says that it has to shed, or lacks what it should pass on.
    pub fn handle_shedding(&mut self, now: MonoTime, parent: P) {
        if let Some(key) = self.find(parent).map(|known| known.key) {
            let _ = self.meter.handle_shedding(now, key);
        }
    }

    /// What is to be thought of each parent by the last two seconds.
    pub fn verdicts(&self, now: MonoTime) -> impl Iterator<Item = (P, Verdict)> {
        self.measured.iter().map(move |known| (known.parent, self.meter.verdict(now, known.key)))
    }

    /// Notes whether more is wrong than single parents: nothing comes at all, which `silent` says, or several do not deliver and
    /// no more do. Then it is hardly their fault. True if so.
    pub fn look_for_trouble(&mut self, now: MonoTime, silent: bool) -> bool {
        let (good, bad) = self.verdicts(now).fold((0, 0), |(good, bad), (_, verdict)| match verdict {
            Verdict::Good => (good + 1, bad),
            Verdict::Unknown => (good, bad),
            Verdict::Unreachable | Verdict::Congested | Verdict::Short { .. } => (good, bad + 1),
        });
        let troubled = silent || (bad >= 2 && bad >= good);
        if troubled {
            self.troubled = Some(now);
        }
        troubled
    }

    /// What may be said of a parent to others, if it was not said already: it is short, and nothing excuses it (spec 57.3.6).
    pub fn evidence(
        &self,
        now: MonoTime,
        wall: WallTime,
        observer: KeyId,
        stream: StreamId,
        (parent, claim): (P, &VerifiedClaim),
    ) -> Option<Evidence> {
        let known = self.measured.iter().find(|known| known.parent == parent)?;
        let sure = self.troubled.is_none_or(|at| now.since(at) >= TROUBLED);
        if known.found || !sure || known.key != claim.advertiser {
            return None;
        }
        let evidence = self.meter.evidence(now, wall, observer, stream, claim)?;
        // Of a share that is over the end may have been on its way.
        (evidence.delivered == 0 || known.mask != 0).then_some(evidence)
    }

    /// Whether it was said of a parent that it is short, and it has been so since.
    pub fn is_found(&self, parent: P) -> bool {
        self.measured.iter().any(|known| known.parent == parent && known.found)
    }

    /// It was said of a parent that it is short; or it is not any more.
    pub fn set_found(&mut self, parent: P, found: bool) {
        if let Some(known) = self.find(parent) {
            known.found = found;
        }
    }

    /// How much of its share a parent that carries something delivered in the last two seconds, in thousandths; `None` if
    /// nothing can be said of it.
    pub fn delivered(&self, now: MonoTime, parent: P) -> Option<u16> {
        let known = self.measured.iter().find(|known| known.parent == parent && known.mask != 0)?;
        self.meter.delivered_permille(now, known.key)
    }

    /// The stripes that a parent was told to send.
    pub fn share_of(&self, parent: P) -> u16 {
        self.measured.iter().find(|known| known.parent == parent).map_or(0, |known| known.mask)
    }

    fn find(&mut self, parent: P) -> Option<&mut Measured<P>> {
        self.measured.iter_mut().find(|known| known.parent == parent)
    }
}

/// What a look at the way to a parent has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// A question was not answered in time.
    Unheard,
    /// It was heard since the last look.
    Heard {
        /// Whether its packets wait in a standing queue or are lost, if that is known.
        queueing: Option<bool>,
    },
}

/// How many numbers of `range` are in the stripes of `mask`.
fn in_stripes(range: &Range<u64>, stripes: u64, mask: u16) -> u32 {
    let len = range.end.saturating_sub(range.start);
    // Whole rounds have each stripe once.
    let rounds = len / stripes;
    let rest = range.end - len % stripes..range.end;
    let in_mask = |seq: u64| u64::from(mask & (1 << (seq % stripes)) != 0);
    let each = (0..stripes.min(16)).filter(|stripe| mask & (1 << stripe) != 0).count() as u64;
    u32::try_from(rounds * each + rest.map(in_mask).sum::<u64>()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RTT: Duration = Duration::from_millis(20);

    fn shares() -> Shares<u8> {
        let mut shares = Shares::new(4);
        for parent in 0..4 {
            shares.set_share(MonoTime(0), parent, KeyId([parent; 32]), RTT, 1 << parent);
        }
        shares
    }

    /// Objects of 12 chunks each 40 ms; `sends` says which chunks of one a parent delivers.
    fn play(shares: &mut Shares<u8>, frames: Range<u64>, sends: impl Fn(u8, u64) -> bool) -> MonoTime {
        let mut now = MonoTime(0);
        for frame in frames {
            now = MonoTime::from_millis(frame * 40);
            shares.handle_object(now, frame * 12..frame * 12 + 12);
            for chunk in 0..12 {
                let from = (chunk % 4) as u8;
                if sends(from, chunk) {
                    shares.handle_chunk(now, from, 1 << from, 1_000);
                }
            }
            if frame % 12 == 0 {
                shares.look(now, |_| Path::Heard { queueing: None });
                (0..4).for_each(|parent| shares.keep(now, parent, KeyId([parent; 32]), RTT));
            }
        }
        now
    }

    fn verdict(shares: &Shares<u8>, now: MonoTime, of: u8) -> Verdict {
        shares.verdicts(now).find(|(parent, _)| *parent == of).expect("it is measured").1
    }

    #[test]
    fn who_sends_a_third_of_its_share_is_short_and_the_others_are_good() {
        let mut shares = shares();
        let now = play(&mut shares, 1..100, |from, chunk| from != 1 || chunk < 4);
        assert!(matches!(verdict(&shares, now, 1), Verdict::Short { permille: 300..=400 }));
        assert_eq!(verdict(&shares, now, 0), Verdict::Good);
        assert!(!shares.look_for_trouble(now, false));
        assert_eq!((shares.delivered(now, 0), shares.share_of(1)), (Some(1_000), 2));
        assert!(shares.delivered(now, 1) < Some(450));
        // Two of four are more than that.
        let mut shares = self::shares();
        let now = play(&mut shares, 1..100, |from, _| from > 1);
        assert!(shares.look_for_trouble(now, false));
    }

    #[test]
    fn nothing_is_expected_of_who_was_given_its_share_a_moment_ago_or_has_it_no_more() {
        let mut shares = shares();
        let now = play(&mut shares, 1..100, |_, _| true);
        shares.set_share(now, 9, KeyId([9; 32]), RTT, 1);
        // What begins within the time to it and back, and 50 ms, it may have been sent to nobody.
        shares.handle_object(now.plus(RTT).plus(Duration::from_millis(40)), 2_000..2_400);
        let later = now.plus(Duration::from_millis(1_500));
        shares.expect(later);
        assert_eq!(verdict(&shares, later, 9), Verdict::Unknown);
        assert_eq!(shares.meter.delivered_permille(later, KeyId([9; 32])), None);
        // An object that came before a share was taken away is not held against who had it, if the share went soon.
        let mut shares = self::shares();
        shares.handle_object(MonoTime::from_millis(100), 0..400);
        shares.end(MonoTime::from_millis(200), 1);
        shares.expect(MonoTime::from_millis(300));
        let at = MonoTime::from_millis(1_600);
        assert_eq!(verdict(&shares, at, 1), Verdict::Unknown);
        assert!(matches!(verdict(&shares, at, 0), Verdict::Short { .. }));
    }

    #[test]
    fn the_time_to_a_parent_that_is_known_later_counts_from_then_on() {
        let far = Duration::from_millis(400);
        let mut shares = Shares::new(4);
        let parents = [0, 1, 2].map(|parent| (parent, KeyId([parent; 32])));
        for (parent, key) in parents {
            shares.set_share(MonoTime(0), parent, key, Duration::ZERO, 1 << parent);
        }
        shares.keep(MonoTime(0), 0, parents[0].1, far);
        shares.set_share(MonoTime(0), 1, parents[1].1, far, 2);
        // On the way to them for 450 ms is what they were asked for; of the third nothing is known still.
        for (parent, key) in parents {
            shares.keep(MonoTime(0), parent, key, Duration::ZERO);
        }
        shares.handle_object(MonoTime::from_millis(449), 0..400);
        shares.expect(MonoTime::from_millis(620));
        let later = MonoTime::from_millis(1_920);
        assert_eq!([0, 1].map(|parent| verdict(&shares, later, parent)), [Verdict::Unknown; 2]);
        assert_eq!(verdict(&shares, later, 2), Verdict::Short { permille: 0 });
    }

    #[test]
    fn what_comes_of_another_stripe_than_its_own_counts_for_nobody() {
        let mut shares = shares();
        for frame in 1..60 {
            let now = MonoTime::from_millis(frame * 40);
            shares.handle_object(now, frame * 12..frame * 12 + 12);
            (0..12).for_each(|_| shares.handle_chunk(now, 1, 1, 1_000));
        }
        assert_eq!(verdict(&shares, MonoTime::from_millis(2_400), 1), Verdict::Short { permille: 0 });
    }

    #[test]
    fn who_was_left_is_measured_for_two_seconds_and_a_half() {
        let mut shares = shares();
        shares.end(MonoTime(0), 1);
        shares.look(MonoTime::from_millis(2_499), |_| Path::Unheard);
        assert_eq!(shares.verdicts(MonoTime::from_millis(2_499)).count(), 4);
        shares.keep(MonoTime::from_millis(2_499), 0, KeyId([0; 32]), RTT);
        shares.look(MonoTime::from_millis(2_500), |_| Path::Unheard);
        let left: Vec<u8> = shares.verdicts(MonoTime::from_millis(2_500)).map(|(parent, _)| parent).collect();
        assert_eq!(left, [0]);
    }

    proptest! {
        #[test]
        fn chunks_in_stripes_are_those_that_counting_finds(
            start in 0..u64::MAX / 2, len in 0..500_u64, stripes in 1..=16_u64, mask: u16,
        ) {
            let range = start..start + len;
            let counted = range.clone().filter(|seq| mask & (1 << (seq % stripes)) != 0).count();
            prop_assert_eq!(in_stripes(&range, stripes, mask) as usize, counted);
        }
    }
}
