//! One stream, several parents.
//!
//! The stream is dealt out in stripes (chunk `n` belongs to stripe `n mod P`), each carried by one parent. With repair that
//! is sized for it, the chunks of any `P − 1` parents give every object back. So what one parent leaves out is asked for only
//! where it is needed: the caller says with [`Subscription::expect`] which numbers an object has and how many of them
//! suffice, and with [`Subscription::settle`] that it is complete.
//!
//! **For each authentic chunk, in this order**: `handle_chunk` (or `handle_duplicate`, if it was seen before), `expect` if
//! it is a symbol, `settle` if its object is complete with it. Only authenticated chunks may be told apart as fresh and
//! seen before: who does it the other way round lets any relay shut the real chunk out with a forged one of its number.

mod action;
mod ask;
mod config;
mod heal;
mod objects;
mod parents;
mod plausible;
#[cfg(test)]
mod tests;

pub use self::action::{Action, Stats};
pub use self::config::Config;
use self::config::Jitter;
use self::objects::{MAX_CHUNKS, Object, Objects, learned};
use crate::gaps::Gaps;
use crate::parents::{Handover, Parent};
use core::ops::Range;
use core_types::{ChunkSeq, Epoch, Error, LinkId, MonoTime, StripeSet};
use std::collections::VecDeque;

/// A stream taken from several parents at once. See the crate's front page for the drain rule.
#[derive(Debug)]
pub struct Subscription {
    config: Config,
    parents: Vec<Parent>,
    handovers: Vec<Handover>,
    gaps: Gaps,
    objects: Objects,
    /// The caller says when parents show life.
    signs: bool,
    /// Stripes that others get from here.
    passed_on: u16,
    /// When new parents are called for again.
    rebuild_at: Option<MonoTime>,
    jitter: Jitter,
    actions: VecDeque<Action>,
    stats: Stats,
}

impl Subscription {
    /// A subscription without parents.
    ///
    /// # Errors
    /// [`Error::Stripe`] unless there are 1 to 16 stripes.
    pub fn new(config: Config) -> Result<Self, Error> {
        StripeSet::new(config.stripes, 0)?;
        Ok(Self {
            config,
            parents: Vec::new(),
            handovers: Vec::new(),
            gaps: Gaps::new(),
            objects: Objects::new(config.frame_interval),
            signs: false,
            passed_on: 0,
            rebuild_at: None,
            jitter: Jitter::new(config.seed),
            actions: VecDeque::new(),
            stats: Stats::default(),
        })
    }

    /// Treats a parent as silent: what another stream's subscription has found holds for this one too. A parent that is
    /// suspected already stays as it is; the last one keeps its stripes.
    pub fn suspect_parent(&mut self, now: MonoTime, link: LinkId) {
        self.suspect(now, link);
    }

    /// Reports that a parent does not send these stripes although it was told to, for want of room or whatever: others are
    /// told to, and it is not again for [`Config::refused_for`]. If nobody is left to ask, new parents are called for.
    pub fn handle_refused(&mut self, now: MonoTime, parent: LinkId, stripes: StripeSet) {
        self.refused(now, parent, stripes.mask());
    }

    /// Reports that a parent has no place for this receiver: it sends nothing and answers no requests. Others are told to send what it
    /// was to, and it is asked for a place as a spare after [`Config::refused_for`], then after twice as long each time, up to
    /// [`Config::refused_most`]. Until then it is given nothing, and asked for nothing as long as there is anybody else.
    pub fn handle_full(&mut self, now: MonoTime, parent: LinkId) {
        self.full(now, parent);
    }

    /// Whether a parent is thought to have a place for this receiver; `None` if it is none.
    pub fn has_place(&self, parent: LinkId) -> Option<bool> {
        self.parent(parent).map(|p| !p.full)
    }

    /// The stripes that nobody carries. Without parents that is all of them; with some, those that all of them refused.
    pub fn uncarried(&self) -> StripeSet {
        let whole = (1_u32 << self.config.stripes).wrapping_sub(1) as u16;
        let carried = self.parents.iter().fold(0, |all, p| all | p.mask);
        StripeSet::new(self.config.stripes, whole & !carried).unwrap_or(StripeSet::ALL)
    }

    /// Says which stripes are passed on to others: their chunks are asked for also when an object is complete without them.
    pub const fn pass_on(&mut self, stripes: StripeSet) {
        self.passed_on = stripes.mask();
    }

    /// Tells all parents their shares once more. For parents that may have forgotten them: a relay does with who lost its
    /// permission, and does not take it up again by itself when there is a new one.
    pub fn assign_again(&mut self) {
        for link in self.parents.iter().map(|p| p.link).collect::<Vec<_>>() {
            self.assign(link);
        }
    }

    /// Reports that a parent shows life, whether it carries anything or not: a keep-alive, an answer, whatever its link says.
    /// From the first such report on, silence of [`Config::quiet_after`] is held against every parent.
    pub fn handle_sign(&mut self, now: MonoTime, parent: LinkId) {
        if !self.signs {
            self.signs = true;
            // Nobody was asked to show life before.
            self.parents.iter_mut().for_each(|p| p.heard = p.heard.max(now));
        }
        self.heard(now, parent);
        if self.parent(parent).is_some_and(|p| p.mask != 0 && p.own.is_some() && !p.is_doubtful()) {
            // Somebody upstream who has sent something is there, and has nothing to send now.
            self.is_fed();
        }
    }

    /// Reports an authentic, fresh chunk from a parent.
    pub fn handle_chunk(&mut self, now: MonoTime, from: LinkId, epoch: Epoch, seq: ChunkSeq) {
        self.stats.chunks += 1;
        self.is_fed();
        self.heard(now, from);
        let within = self.config.request_within;
        let closed = self.gaps.close(epoch, seq);
        let after = self.objects.note(now, epoch, seq.0);
        let asked_at = closed.and_then(|gap| gap.asked_of(from));
        if let Some(at) = asked_at {
            self.parent_mut(from, |p| p.answered(now.since(at).min(within * 2)));
        } else {
            // It was not lost but overtaken, or the next of its object at this parent's pace.
            let late = closed.map_or(after.unwrap_or_default(), |gap| now.since(gap.since));
            self.parent_mut(from, |p| p.late.note(late.min(within)));
            let behind =
                closed.and_then(|gap| gap.passed_at).map_or_else(Default::default, |at| now.since(at));
            self.parent_mut(from, |p| p.behind.note(behind.min(within)));
            self.delivered(now, from, epoch, seq);
        }
        self.stats.repaired += u64::from(closed.is_some_and(|gap| gap.attempts > 0));
        self.finish_handover(from, seq);
        let passed = self.gaps.advance(epoch, seq);
        let horizon =
            self.objects.chunks_in(self.config.horizon).map_or(0, |chunks| seq.0.saturating_sub(chunks));
        for number in passed.start.max(horizon)..passed.end {
            self.put_down(now, epoch, number, now, true);
        }
    }

    /// Reports an authentic chunk that was seen before: it shows that `from` carries the stripe, not that it is of use. True if it
    /// counts as a part of what `from` was to send: of its own share, newer than its last one, and not asked for.
    pub fn handle_duplicate(&mut self, now: MonoTime, from: LinkId, epoch: Epoch, seq: ChunkSeq) -> bool {
        self.heard(now, from);
        let bit = self.stripe_bit(seq);
        self.finish_handover(from, seq);
        // It may come from two carriers while a stripe moves from one to the other. Only what is newer than its last one
        // counts: a parent that repeats old chunks must still be found out.
        let newer = |p: &Parent| p.mask & bit != 0 && p.own.is_none_or(|(e, s, _)| (e, s) < (epoch, seq));
        let is_newer = self.parent(from).is_some_and(newer);
        if is_newer {
            self.delivered(now, from, epoch, seq);
        }
        let Some(gap) = self.gaps.close_again(epoch, seq) else { return is_newer };
        let within = self.config.request_within;
        let asked_at = gap.asked_of(from);
        match asked_at {
            Some(at) => self.parent_mut(from, |p| p.answered(now.since(at).min(within * 2))),
            // It came by itself, so asking others was too hasty.
            None => self.parent_mut(from, |p| p.late.note(now.since(gap.since).min(within))),
        }
        is_newer && asked_at.is_none()
    }

    /// Says that the object of a chunk that just came has the numbers of `range`, and that `needed` of them suffice: with
    /// symbol id i in chunk n they are n − i to n − i + N − 1, N = K + R, and K is enough (50.3.6). To be called for each
    /// symbol, after it was reported; what is known already costs little.
    ///
    /// What it is for: the end of an object is looked for without a later chunk showing that it is missing; no more is
    /// asked for than is needed beside what is under way; and a parent of which nothing comes while the others send one
    /// object after the other is found out by the objects that it owes, however many chunks they have.
    ///
    /// Whoever passes stripes on says so with [`Subscription::pass_on`]: what it can do without, those below it can not.
    ///
    /// A range of which nothing came is not taken, nor one that overlaps another one's.
    pub fn expect(&mut self, now: MonoTime, epoch: Epoch, range: Range<ChunkSeq>, needed: u64) {
        let start = range.start.0;
        let range = start..range.end.0.min(start.saturating_add(MAX_CHUNKS));
        let needed = needed.min(range.end.saturating_sub(start));
        if range.is_empty() || self.objects.overlaps(epoch, &range, needed) {
            return;
        }
        let Some(came) = self.gaps.came_in(epoch, &range) else { return };
        if self.gaps.is_settled(epoch, start) {
            return;
        }
        // Chunks that were put down before it was known to be an object are its debt and not theirs.
        let early: Vec<ChunkSeq> = self.gaps.missing_in(epoch, &range).map(|(seq, _)| seq).collect();
        for seq in early {
            let bit = self.stripe_bit(seq);
            if let Some(owner) = self.parents.iter_mut().find(|p| p.mask & bit != 0) {
                owner.missed = owner.missed.saturating_sub(1);
            }
        }
        let source = start..start.saturating_add(needed);
        let place = (epoch, range.clone());
        let object = Object::new(place, needed, came, now);
        if self.objects.add(now, object) {
            self.owe(now, epoch, &range, source);
        }
    }

    /// Says that the chunks of `range` are not needed any more, come or not: their object is complete.
    pub fn settle(&mut self, epoch: Epoch, range: Range<ChunkSeq>) {
        let range = range.start.0..range.end.0;
        self.objects.settle(epoch, &range, self.passed_on != 0);
        let (stripes, passed_on) = (u64::from(self.config.stripes), self.passed_on);
        self.gaps.settle(epoch, range, |seq| passed_on & (1 << (seq.0 % stripes)) != 0);
    }

    /// Does what is due: suspects silent parents, gives others their share again, asks for missing chunks.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        self.heal(now);
        self.ask(now);
    }

    /// When [`Subscription::handle_timeout`] has something to do next.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        let asking = self.gaps.next_due().into_iter().chain(self.objects.next_due(self.config.request_after));
        self.next_heal().into_iter().chain(asking).min()
    }

    /// What to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Who carries one of these stripes: the first of the parents that does.
    pub fn carrier(&self, stripes: StripeSet) -> Option<LinkId> {
        self.parents.iter().find(|p| p.mask & stripes.mask() != 0).map(|p| p.link)
    }

    /// Whether a parent was told to send anything: its share, or what it goes on with until somebody else delivers that.
    pub fn sends(&self, link: LinkId) -> bool {
        self.parent(link).is_some_and(|p| p.mask != 0) || self.handovers.iter().any(|h| h.from == link)
    }

    /// Whether a parent fell silent and is given nothing for now; `None` if it is none.
    pub fn is_suspected(&self, link: LinkId) -> Option<bool> {
        self.parent(link).map(|p| !p.is_live())
    }

    /// The parents that carry at least one stripe.
    pub fn carrying(&self) -> impl Iterator<Item = LinkId> {
        self.parents.iter().filter(|p| p.mask != 0).map(|p| p.link)
    }

    /// The parents that could carry more than they do, if they were told to: not those that are silent, quiet or on their way out.
    pub fn ready(&self) -> impl Iterator<Item = LinkId> {
        let whole = (1_u32 << self.config.stripes).wrapping_sub(1) as u16;
        self.parents.iter().filter(move |p| p.takes(whole) && !p.quiet).map(|p| p.link)
    }

    /// The counters.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    const fn stripe_bit(&self, seq: ChunkSeq) -> u16 {
        1 << (seq.0 % self.config.stripes as u64)
    }

    fn parent(&self, link: LinkId) -> Option<&Parent> {
        self.parents.iter().find(|p| p.link == link)
    }

    fn owner(&self, seq: ChunkSeq) -> Option<&Parent> {
        let bit = self.stripe_bit(seq);
        self.parents.iter().find(|p| p.mask & bit != 0)
    }

    fn parent_mut(&mut self, link: LinkId, change: impl FnOnce(&mut Parent)) {
        if let Some(parent) = self.parents.iter_mut().find(|p| p.link == link) {
            change(parent);
        }
    }

    fn heard(&mut self, now: MonoTime, link: LinkId) {
        self.parent_mut(link, |p| {
            p.heard = p.heard.max(now);
            if std::mem::take(&mut p.quiet) && p.is_live() {
                // It may have a share again.
                p.move_at.get_or_insert(now);
            }
        });
    }

    /// A parent has sent one chunk of a stripe after the other. It sends in order: those between that it carries are lost, or it
    /// lacks them itself, and there is no use in waiting for as long as its chunks are late.
    fn pass(&mut self, now: MonoTime, by: LinkId, (epoch, from): (Epoch, ChunkSeq), to: ChunkSeq) {
        let Some(parent) = self.parent(by) else { return };
        let (mask, patience) = (parent.mask, self.config.patience(parent.behind.usual()));
        let stripes = u64::from(self.config.stripes);
        let between = from.0.saturating_add(1)..to.0;
        self.gaps.pass(now.plus(patience), now, (epoch, between), |seq| mask & (1 << (seq.0 % stripes)) != 0);
    }

    /// A parent sent a chunk without being asked. One of a stripe of its own shows that it does its part.
    fn delivered(&mut self, now: MonoTime, from: LinkId, epoch: Epoch, seq: ChunkSeq) {
        let bit = self.stripe_bit(seq);
        let forget_after = self.config.forget_after;
        let mut passed = None;
        self.parent_mut(from, |p| {
            if p.mask & bit == 0 {
                return;
            }
            p.clear();
            // It has begun: from here on it is as any other.
            p.grace_until = now;
            if now.since(*p.well_since.get_or_insert(now)) >= forget_after {
                p.failures = 0;
            }
            p.refusals = 0;
            let before = p.own.replace((epoch, seq, now));
            if let Some((_, _, at)) = before {
                p.own_interval = learned(p.own_interval, now.since(at));
            }
            passed = before.filter(|(e, s, _)| *e == epoch && *s < seq).map(|(_, s, _)| s);
        });
        if let Some(before) = passed {
            self.pass(now, from, (epoch, before), seq);
        }
    }

    /// A new object: everybody who has to send symbols of it owes it, save who did. Symbols for repair are nobody's debt, since a
    /// relay may leave them out (50.5.13).
    fn owe(&mut self, now: MonoTime, epoch: Epoch, range: &Range<u64>, source: Range<u64>) {
        let stripes = self.config.stripes;
        let mask = source.take(usize::from(stripes)).fold(0, |all, seq| all | self.stripe_bit(ChunkSeq(seq)));
        for parent in self.parents.iter_mut().filter(|p| p.mask & mask != 0) {
            if !parent.own.is_some_and(|(e, seq, _)| e == epoch && range.contains(&seq.0)) {
                parent.owes(now, 1, 0);
            }
        }
    }

    /// Puts a number down as missing, and its carrier as owing it, unless it owes the object anyhow.
    fn put_down(&mut self, now: MonoTime, epoch: Epoch, number: u64, since: MonoTime, alone: bool) {
        let seq = ChunkSeq(number);
        let late = self.owner(seq).map_or(core::time::Duration::ZERO, |p| p.late.usual());
        let passes_on = self.passed_on & self.stripe_bit(seq) != 0;
        if !self.gaps.put_down(epoch, number, since, self.config.patience(late), passes_on) {
            return;
        }
        if self.gaps.is_settled(epoch, number) {
            // Its object is complete: it may well have been left out on the way since this hop loses little.
            return;
        }
        self.stats.missing += 1;
        if alone && self.objects.find(epoch, number).is_none() {
            let bit = self.stripe_bit(seq);
            if let Some(owner) = self.parents.iter_mut().find(|p| p.mask & bit != 0) {
                owner.owes(now, 0, 1);
            }
        }
    }
}
