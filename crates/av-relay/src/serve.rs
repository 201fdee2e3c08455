//! Serving one subscription: from its place in the ring on, what is forwarded, what is shed, until room or chunks end.

use crate::layers::{LayerTable, MAX_LAYERS};
use crate::limits::Limits;
use crate::ring::{Flags, Meta, Ring};
use crate::stats::Tally;
use crate::subscription::{Candidate, Subscription, Verdict};
use core_types::{MonoTime, StripeSet};

/// A chunk that was taken for a burst.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick {
    pub(crate) stream: u32,
    pub(crate) index: u64,
}

/// When a subscriber counts as behind, in the units of the ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    bytes: u64,
    age: u64,
}

impl Rules {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            bytes: limits.backlog_bytes,
            age: u64::try_from(limits.backlog_age.as_micros()).unwrap_or(u64::MAX).min(1 << 48),
        }
    }

    const fn repair_age(&self) -> u64 {
        self.age / 4
    }

    /// True if a chunk is so old that whoever still waits for it is behind.
    pub(crate) const fn is_behind(&self, now: MonoTime, oldest: &Meta) -> bool {
        now.0.saturating_sub(oldest.at.0) > self.repair_age()
    }

    const fn discardable_age(&self) -> u64 {
        self.age / 2
    }

    /// Layers above the base are shed between half the age and the whole, the highest first.
    const fn enhancement_age(&self, height: u8, layers: usize) -> u64 {
        let from_top = (layers as u64).saturating_sub(height as u64);
        self.age / 2 + self.age / 2 * from_top / (layers as u64 + (layers == 0) as u64)
    }

    /// A picture that comes late is better than one that stands still until the next key frame.
    const fn base_age(&self) -> u64 {
        self.age * 2
    }

    /// Objects that were begun are given up then, but for key frames of the base.
    const fn stale_age(&self) -> u64 {
        self.age * 4
    }

    /// How late a slow key frame may make the base layer.
    const fn most_lag(&self) -> u64 {
        self.age * 8
    }
}

/// What one pull has room for, and what it took so far.
#[derive(Debug)]
pub(crate) struct Take<'a> {
    pub(crate) now: MonoTime,
    pub(crate) bytes_left: u64,
    pub(crate) chunks_left: u64,
    /// Thousandths of the repair symbols.
    pub(crate) share: u16,
    pub(crate) picks: &'a mut Vec<Pick>,
    pub(crate) lanes: &'a mut Lanes,
    pub(crate) tally: Tally,
    /// A subscriber lost the thread.
    pub(crate) want_key: bool,
    /// Length of the chunk for which there was no room.
    pub(crate) no_room_for: u32,
}

impl Take<'_> {
    /// Microseconds since a chunk came.
    #[inline]
    const fn age(&self, meta: &Meta) -> u64 {
        self.now.0.saturating_sub(meta.at.0)
    }

    #[cold]
    const fn count_shed(&mut self, meta: &Meta) {
        let shed = &mut self.tally.shed;
        let class = if meta.is(Flags::REPAIR) {
            &mut shed.repair
        } else if meta.is(Flags::DISCARDABLE) {
            &mut shed.discardable
        } else if meta.is(Flags::BASE) {
            &mut shed.base
        } else {
            &mut shed.enhancement
        };
        *class += 1;
        self.tally.rare = true;
    }

    /// Takes a chunk if there is room for it.
    #[inline]
    pub(crate) fn pick(&mut self, stream: u32, index: u64, len: u32) -> bool {
        if u64::from(len) > self.bytes_left || self.chunks_left == 0 {
            self.no_room_for = len;
            return false;
        }
        self.bytes_left -= u64::from(len);
        self.chunks_left -= 1;
        self.tally.chunks += 1;
        self.tally.bytes += u64::from(len);
        self.picks.push(Pick { stream, index });
        true
    }
}

/// Serves a subscription up to the chunk that came at `until` in the order of all. False if room ran out before.
pub(crate) fn serve(
    sub: &mut Subscription,
    ring: &Ring,
    table: &LayerTable,
    rules: &Rules,
    until: u64,
    take: &mut Take<'_>,
) -> bool {
    sub.learn_layers(table);
    if sub.cursor < ring.first() {
        // It stood still for so long that chunks left the ring: nobody knows any more what they were.
        take.tally.overrun += ring.first() - sub.cursor;
        take.tally.rare = true;
        sub.start_anew(ring.first());
        take.want_key = true;
    }
    let Some(oldest) = ring.meta(sub.cursor) else { return true };
    let many = ring.bytes_from(sub.cursor) > rules.bytes;
    let behind = many || rules.is_behind(take.now, oldest);
    take.lanes.clear();
    if many {
        take.lanes.fill(sub, sub.allowed, ring, table);
    }
    let server = Server { table, rules, behind };
    let whole = sub.stripes == StripeSet::ALL;
    let mut index = sub.cursor;
    for meta in ring.metas_from(sub.cursor) {
        if meta.order >= until {
            break;
        }
        if meta.is(Flags::OPENS) {
            sub.open(meta.object);
            server.decide(sub, meta, index, take);
        }
        if (whole || sub.stripes.contains(meta.seq)) && !server.dispose(sub, meta, index, take) {
            sub.cursor = index;
            return false;
        }
        index += 1;
    }
    sub.cursor = index;
    true
}

struct Server<'a> {
    table: &'a LayerTable,
    rules: &'a Rules,
    /// Something may have to be shed.
    behind: bool,
}

impl Server<'_> {
    /// Decides on the object that opens.
    #[inline]
    fn decide(&self, sub: &mut Subscription, meta: &Meta, index: u64, take: &mut Take<'_>) {
        let candidate = sub.can_have(meta);
        match candidate {
            Candidate::No => return,
            Candidate::Lost => return sub.lack(meta, self.table),
            Candidate::Had | Candidate::TakeUp => {}
        }
        if !self.behind && sub.live_from == 0 && sub.lag() == 0 {
            return sub.forward(meta);
        }
        self.decide_behind(sub, meta, index, candidate, take);
    }

    #[cold]
    fn decide_behind(
        &self,
        sub: &mut Subscription,
        meta: &Meta,
        index: u64,
        candidate: Candidate,
        take: &mut Take<'_>,
    ) {
        let age = take.age(meta);
        let catching_up = index < sub.live_from;
        if !catching_up && sub.live_from != 0 {
            // What came while it caught up has waited for that, and is not late.
            sub.live_from = 0;
            self.set_lag(sub, sub.lag().max(age));
        }
        let shed = if catching_up {
            // What it refines was shown long ago.
            meta.is(Flags::DISCARDABLE)
        } else {
            let full = take.lanes.up_to(lane(meta, self.table)) > self.rules.bytes;
            full || age > self.age_limit(sub, meta)
        };
        if shed {
            return self.shed(sub, meta, take);
        }
        let calm = age <= self.rules.repair_age() && take.lanes.total() <= self.rules.bytes;
        if candidate == Candidate::TakeUp && !meta.is(Flags::BASE) && !catching_up && !calm {
            return;
        }
        sub.forward(meta);
        if meta.is(Flags::BASE) && !meta.is(Flags::KEY) {
            self.set_lag(sub, sub.lag().min(age));
        } else if meta.is(Flags::KEY) {
            self.set_lag(sub, age);
        }
    }

    /// A chunk of the base is late by so much, and what comes behind it with it: a key frame takes long to send. What goes
    /// faster than it comes makes up for that.
    fn set_lag(&self, sub: &mut Subscription, age: u64) {
        sub.set_lag(if age <= self.rules.repair_age() { 0 } else { age.min(self.rules.most_lag()) });
    }

    /// Age above which an object is shed.
    fn age_limit(&self, sub: &Subscription, meta: &Meta) -> u64 {
        if meta.is(Flags::DISCARDABLE) {
            self.rules.discardable_age()
        } else if meta.is(Flags::ALONE) {
            self.rules.age
        } else if meta.is(Flags::BASE) {
            self.rules.base_age() + sub.lag()
        } else {
            self.rules.enhancement_age(self.table.height(meta.layer), self.table.len())
        }
    }

    fn shed(&self, sub: &mut Subscription, meta: &Meta, take: &mut Take<'_>) {
        sub.shed(meta, self.table);
        let others = Flags::DISCARDABLE.0 | Flags::ALONE.0;
        take.want_key |= meta.is(Flags::BASE) && !meta.is(Flags(others));
    }

    /// Forwards a chunk, or counts why not. False if there is no room for it.
    #[inline]
    fn dispose(&self, sub: &mut Subscription, meta: &Meta, index: u64, take: &mut Take<'_>) -> bool {
        let verdict = sub.verdict(meta);
        if verdict == Verdict::Forward {
            if self.behind && index >= sub.live_from && self.is_late(sub, meta, take) {
                take.count_shed(meta);
            } else if meta.is(Flags::REPAIR) && !sub.is_in_share(meta.object, take.share) {
                sub.count_repair(meta.object);
                take.tally.over_share += 1;
                take.tally.rare = true;
            } else {
                if !take.pick(sub.stream, index, meta.len) {
                    return false;
                }
                if meta.is(Flags::REPAIR) {
                    sub.count_repair(meta.object);
                } else if self.behind && meta.is(Flags::KEY) {
                    self.set_lag(sub, take.age(meta));
                }
            }
        } else if verdict == Verdict::Shed {
            take.count_shed(meta);
        } else if verdict == Verdict::Withheld {
            take.tally.withheld += 1;
            take.tally.rare = true;
        }
        take.lanes.leave(sub, meta, self.table);
        true
    }

    /// True if a chunk of an object that is forwarded comes too late all the same.
    #[cold]
    fn is_late(&self, sub: &mut Subscription, meta: &Meta, take: &mut Take<'_>) -> bool {
        let age = take.age(meta);
        if meta.is(Flags::REPAIR) {
            return age > self.rules.repair_age() || take.lanes.total() > self.rules.bytes;
        }
        let stale = age > self.rules.stale_age() && !meta.is(Flags::OPENS) && !meta.is(Flags::KEY);
        if stale {
            self.shed(sub, meta, take);
        }
        stale
    }
}

/// Bytes that wait for one subscriber, by what is shed first: the base layer is lane 0.
#[derive(Debug)]
pub(crate) struct Lanes {
    sums: [u64; Self::COUNT],
    used: bool,
}

impl Lanes {
    const DISCARDABLE: usize = MAX_LAYERS;
    const REPAIR: usize = MAX_LAYERS + 1;
    const COUNT: usize = MAX_LAYERS + 2;

    pub(crate) const fn new() -> Self {
        Self { sums: [0; Self::COUNT], used: false }
    }

    #[inline]
    fn clear(&mut self) {
        if self.used {
            *self = Self::new();
        }
    }

    /// Counts everything from the subscriber's place on that its stripes and policy admit.
    pub(crate) fn fill(&mut self, sub: &Subscription, allowed: u64, ring: &Ring, table: &LayerTable) {
        *self = Self { used: true, ..Self::new() };
        for meta in ring.metas_from(sub.cursor) {
            if allowed & 1 << meta.layer != 0 && sub.stripes.contains(meta.seq) {
                self.sums[lane(meta, table)] += u64::from(meta.len);
            }
        }
    }

    /// A chunk does not wait any more.
    #[inline]
    fn leave(&mut self, sub: &Subscription, meta: &Meta, table: &LayerTable) {
        if self.used && sub.allowed & 1 << meta.layer != 0 {
            let sum = &mut self.sums[lane(meta, table)];
            *sum = sum.saturating_sub(u64::from(meta.len));
        }
    }

    /// What waits in a lane and those that are more important.
    fn up_to(&self, lane: usize) -> u64 {
        self.sums.iter().take(lane + 1).sum()
    }

    pub(crate) fn total(&self) -> u64 {
        self.sums.iter().sum()
    }
}

fn lane(meta: &Meta, table: &LayerTable) -> usize {
    if meta.is(Flags::REPAIR) {
        Lanes::REPAIR
    } else if meta.is(Flags::DISCARDABLE) {
        Lanes::DISCARDABLE
    } else if meta.is(Flags::BASE) {
        0
    } else {
        usize::from(table.height(meta.layer)).min(MAX_LAYERS - 1)
    }
}
