//! The parents of a subscription and which stripes each of them carries.

use core::time::Duration;
use core_types::{ChunkSeq, Epoch, LinkId, MonoTime};

/// Objects in a row that a parent may owe before it is counted on less than others.
const DOUBTFUL: u32 = 2;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent {
    pub(crate) link: LinkId,
    /// Stripes that it was told to send.
    pub(crate) mask: u16,
    /// Stripes that it is meant for: it has others only while nobody else is there for them.
    pub(crate) best: u16,
    /// It is there only until somebody else is: everybody takes over from it.
    pub(crate) stands_in: bool,
    /// Stripes that it would not send, and until when it is not told to again.
    pub(crate) refused: u16,
    pub(crate) refused_until: MonoTime,
    /// It has no place for this receiver, not even as a spare; and how often it had none in a row.
    pub(crate) full: bool,
    pub(crate) refusals: u32,
    /// Stripes that it will stop sending: it goes on until others have taken them over, and is not given them again.
    pub(crate) retired: u16,
    /// Anything came from it, be it a sign of life.
    pub(crate) heard: MonoTime,
    /// It was not heard for long, and that was said.
    pub(crate) quiet: bool,
    /// The last chunk of its own stripes that it sent without being asked, and when.
    pub(crate) own: Option<(Epoch, ChunkSeq, MonoTime)>,
    /// The time between two of those.
    pub(crate) own_interval: Duration,
    /// Objects in a row of which others sent something and it nothing.
    pub(crate) owed: u32,
    /// Chunks of its stripes, outside of known objects, that are missing since its last own one.
    pub(crate) missed: u32,
    /// When the first of these was noticed: silence counts from there, not from when it was last heard, or everybody would
    /// be silent after a pause of the publisher.
    pub(crate) missed_since: MonoTime,
    /// It is new, and not suspected before then.
    pub(crate) grace_until: MonoTime,
    /// Until then it is not given stripes: it fell silent.
    pub(crate) suspect_until: Option<MonoTime>,
    /// How often it fell silent in a row, and since when it did well.
    pub(crate) failures: u32,
    pub(crate) well_since: Option<MonoTime>,
    /// When it may take a stripe over of its own accord.
    pub(crate) move_at: Option<MonoTime>,
    pub(crate) moved: Option<MonoTime>,
    /// How late its chunks come by themselves.
    pub(crate) late: Lateness,
    /// How long after a later one of its own.
    pub(crate) behind: Lateness,
    /// How long it takes to answer a request.
    pub(crate) answer: Duration,
}

impl Parent {
    pub(crate) const fn new(now: MonoTime, link: LinkId, best: u16) -> Self {
        Self {
            link,
            mask: 0,
            best,
            stands_in: false,
            refused: 0,
            refused_until: now,
            full: false,
            refusals: 0,
            retired: 0,
            heard: now,
            quiet: false,
            own: None,
            own_interval: Duration::ZERO,
            owed: 0,
            missed: 0,
            missed_since: now,
            grace_until: now,
            suspect_until: None,
            failures: 0,
            well_since: None,
            move_at: None,
            moved: None,
            late: Lateness::NONE,
            behind: Lateness::NONE,
            answer: Duration::ZERO,
        }
    }

    pub(crate) const fn is_live(&self) -> bool {
        self.suspect_until.is_none()
    }

    /// It answers requests, as far as is known: who is full does not.
    pub(crate) const fn answers(&self) -> bool {
        self.is_live() && !self.full
    }

    /// It can be given one of these stripes.
    pub(crate) const fn takes(&self, stripes: u16) -> bool {
        self.is_live() && stripes & !(self.retired | self.refused) != 0
    }

    pub(crate) const fn is_doubtful(&self) -> bool {
        self.quiet || self.full || self.owed >= DOUBTFUL
    }

    /// In which order parents are given a stripe: those first that show life, and before those that stand in; then those that are meant
    /// for it, and of these who has fewest.
    pub(crate) const fn order(&self, stripe: u16) -> (bool, bool, bool, u32, bool) {
        (self.quiet, self.stands_in, self.best & stripe == 0, self.mask.count_ones(), self.is_doubtful())
    }

    /// It owes one more object, or one more chunk.
    pub(crate) const fn owes(&mut self, now: MonoTime, objects: u32, chunks: u32) {
        if self.owed == 0 && self.missed == 0 {
            self.missed_since = now;
        }
        self.owed = self.owed.saturating_add(objects);
        self.missed = self.missed.saturating_add(chunks);
    }

    /// It carries a stripe again that it had not stopped sending. If that is all it carries, it owes nothing from before.
    pub(crate) const fn goes_on_with(&mut self, stripe: u16) {
        if self.mask == 0 {
            self.clear();
        }
        self.mask |= stripe;
    }

    /// It owes nothing any more.
    pub(crate) const fn clear(&mut self) {
        self.owed = 0;
        self.missed = 0;
    }

    /// It answered a request after so long.
    pub(crate) fn answered(&mut self, after: Duration) {
        let known = if self.answer.is_zero() { after } else { self.answer };
        self.answer = (known.saturating_mul(7).saturating_add(after)) / 8;
    }
}

/// How late a parent's chunks are: the average, and how far they are from it on average.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lateness {
    mean: Duration,
    off: Duration,
}

impl Lateness {
    const NONE: Self = Self { mean: Duration::ZERO, off: Duration::ZERO };

    /// One was so late. The first one that is late counts whole.
    pub(crate) fn note(&mut self, by: Duration) {
        if self.mean.is_zero() {
            self.mean = by;
        }
        self.off = (self.off.saturating_mul(15).saturating_add(self.mean.abs_diff(by))) / 16;
        self.mean = (self.mean.saturating_mul(15).saturating_add(by)) / 16;
    }

    /// How late nearly all are at most. One in twenty that its own parent lost, and it had to ask for, does not count much:
    /// those below it would each wait for longer than those above.
    pub(crate) const fn usual(self) -> Duration {
        self.mean.saturating_add(self.off.saturating_mul(2))
    }
}

/// A stripe on its way from one parent to another: the old one goes on until the new one has delivered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handover {
    pub(crate) stripe: u16,
    pub(crate) from: LinkId,
    pub(crate) to: LinkId,
}

/// Gives every stripe without a parent to the live parent that is meant for it and has the fewest, those that show life
/// before others, and those that stand in last. Stripes that all refuse stay without. Returns the links whose share changed.
pub(crate) fn deal(parents: &mut [Parent], stripes: u8) -> Vec<LinkId> {
    let mut changed = Vec::new();
    for stripe in 0..stripes {
        let bit = 1 << stripe;
        if parents.iter().any(|p| p.mask & bit != 0) {
            continue;
        }
        // Ties go to the parent that joined first, so that the outcome depends on nothing but the history.
        let able = parents.iter_mut().filter(|p| p.takes(bit));
        let Some(parent) = able.min_by_key(|p| p.order(bit)) else { continue };
        parent.mask |= bit;
        if !changed.contains(&parent.link) {
            changed.push(parent.link);
        }
    }
    changed
}

/// The stripe that `to` should take over: one that it is meant for and its carrier is not, or that its carrier has in the stead of
/// others; or one of a parent that has at least two more.
pub(crate) fn surplus(parents: &[Parent], to: LinkId) -> Option<Handover> {
    let taker = parents.iter().find(|p| p.link == to && p.is_live())?;
    let others = || parents.iter().filter(|p| p.link != to);
    let able = !(taker.refused | taker.retired);
    let gives = |p: &Parent| if p.stands_in && !taker.stands_in { u16::MAX } else { !p.best & taker.best };
    if let Some((stripes, from)) =
        others().map(|p| (p.mask & gives(p) & able, p.link)).find(|(stripes, _)| *stripes != 0)
    {
        return Some(Handover { stripe: highest(stripes), from, to });
    }
    let richest = others().max_by_key(|p| p.mask.count_ones())?;
    if richest.mask.count_ones() < taker.mask.count_ones() + 2 {
        return None;
    }
    // It keeps what it is meant for, if there is anything else.
    let stripes = richest.mask & able;
    let stripes = [stripes & !richest.best, stripes & taker.best, stripes];
    let stripes = stripes.into_iter().find(|stripes| *stripes != 0)?;
    Some(Handover { stripe: highest(stripes), from: richest.link, to })
}

/// The highest stripe, so that a series of joins does not always move the same one.
const fn highest(stripes: u16) -> u16 {
    1 << (15 - stripes.leading_zeros())
}
