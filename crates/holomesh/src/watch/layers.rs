//! Which layers of a stream are asked for, and which of those are awaited.

use av_wire::Part;
use core_types::{Layer, LayerPolicy, MonoTime, ObjectSeq};
use std::collections::VecDeque;
use std::time::Duration;

/// A layer of which nothing came for so long is not awaited any more: relays shed it, or the publisher does not send it.
const GONE: Duration = Duration::from_millis(500);
/// An object that is not whole so long after it was told of counts as missing.
const TIME_TO_COME: Duration = Duration::from_millis(400);
/// How far back is looked to see whether the top layer comes.
const WINDOW: Duration = Duration::from_secs(2);
/// Of the top layer's objects in that time so many have to be there before anything is concluded.
const ENOUGH: usize = 6;
/// With less of them whole than that, in per cent, the layer is not asked for any more: half of a layer costs as much as all of it.
const WORTH: usize = 70;
/// With so many of all objects whole, in per cent, for long enough, one layer more is asked for.
const WELL: usize = 97;
/// For how long all has to be well before that, and at most after having failed again and again.
const HOLD: Duration = Duration::from_secs(5);
const MAX_HOLD: Duration = Duration::from_secs(60);
/// Objects that became whole before anything told of them: parents differ in how quick they are.
const EARLY: usize = 64;
/// Objects that are looked at.
const MAX_LISTED: usize = 1_024;

/// An object that was told of.
#[derive(Debug, Clone, Copy)]
struct Listed {
    seq: ObjectSeq,
    layer: Layer,
    at: MonoTime,
    is_whole: bool,
}

/// What a watcher does about the layers of one stream.
#[derive(Debug)]
pub(super) struct LayerFlow {
    /// What there is, and what the watcher's owner wants of it.
    most: LayerPolicy,
    policy: LayerPolicy,
    /// When something of a layer came last, by its place on the axes. Layers begin as if something had.
    seen: [[Option<MonoTime>; 4]; 4],
    begun: Option<MonoTime>,
    listed: VecDeque<Listed>,
    early: VecDeque<ObjectSeq>,
    /// Since when all is well.
    well_since: Option<MonoTime>,
    hold: Duration,
    raised_at: Option<MonoTime>,
    /// The policy stays as it is: what is left out here would be missing for others.
    is_fixed: bool,
}

impl LayerFlow {
    /// For a stream with layers up to `top`, of which no more than `cap` admits is wanted.
    pub(super) fn new(top: Layer, cap: LayerPolicy) -> Self {
        let most = LayerPolicy::up_to(top).and(cap);
        Self {
            most,
            policy: most,
            seen: Default::default(),
            begun: None,
            listed: VecDeque::new(),
            early: VecDeque::new(),
            well_since: None,
            hold: HOLD,
            raised_at: None,
            is_fixed: false,
        }
    }

    /// What parents are asked for.
    pub(super) const fn policy(&self) -> LayerPolicy {
        self.policy
    }

    /// From now on everything is asked for, come or not.
    pub(super) const fn fix(&mut self) {
        self.is_fixed = true;
        self.policy = LayerPolicy::UNCAPPED;
    }

    /// A chunk of a layer came.
    pub(super) fn handle_chunk(&mut self, now: MonoTime, layer: Layer) {
        self.begun.get_or_insert(now);
        if let Some(seen) = self.seen_mut(layer) {
            *seen = Some(now);
        }
    }

    /// An object is whole.
    pub(super) fn handle_whole(&mut self, seq: ObjectSeq) {
        if let Ok(index) = self.listed.binary_search_by_key(&seq, |listed| listed.seq)
            && let Some(listed) = self.listed.get_mut(index)
        {
            listed.is_whole = true;
        } else {
            if self.early.len() >= EARLY {
                self.early.pop_front();
            }
            self.early.push_back(seq);
        }
    }

    /// The publisher has told that there is such an object.
    pub(super) fn handle_told(&mut self, now: MonoTime, seq: ObjectSeq, part: &Part) {
        if self.listed.back().is_none_or(|last| last.seq < seq) && self.policy.admits(part.layer) {
            if self.listed.len() >= MAX_LISTED {
                self.listed.pop_front();
            }
            let is_whole = self.early.contains(&seq);
            self.listed.push_back(Listed { seq, layer: part.layer, at: now, is_whole });
        }
    }

    /// True if objects of the layer are asked for and come.
    pub(super) fn is_awaited(&self, now: MonoTime, layer: Layer) -> bool {
        let place = (usize::from(layer.spatial.max(layer.quality)), usize::from(layer.temporal));
        let seen = self.seen.get(place.0).and_then(|row| row.get(place.1).copied()).flatten();
        self.policy.admits(layer)
            && (layer == Layer::BASE || seen.or(self.begun).is_none_or(|at| now.since(at) <= GONE))
    }

    /// Looks at how much came; gives the policy if it is to be another one from now on.
    pub(super) fn look(&mut self, now: MonoTime) -> Option<LayerPolicy> {
        if self.is_fixed {
            return None;
        }
        while self.listed.front().is_some_and(|first| now.since(first.at) > TIME_TO_COME + WINDOW) {
            self.listed.pop_front();
        }
        let lower = self.policy.lower();
        let (mut all, mut whole, mut top, mut top_whole) = (0usize, 0usize, 0usize, 0usize);
        for listed in self.listed.iter().filter(|listed| now.since(listed.at) >= TIME_TO_COME) {
            let is_top = lower.is_some_and(|lower| !lower.admits(listed.layer));
            all += 1;
            whole += usize::from(listed.is_whole);
            top += usize::from(is_top);
            top_whole += usize::from(is_top && listed.is_whole);
        }
        if let Some(lower) = lower
            && top >= ENOUGH
            && top_whole * 100 < top * WORTH
        {
            // What was taken up did not stay.
            let failed = self.raised_at.take().is_some_and(|at| now.since(at) < self.hold * 2);
            self.hold = if failed { (self.hold * 2).min(MAX_HOLD) } else { HOLD };
            return Some(self.set(lower));
        }
        if all < ENOUGH || whole * 100 < all * WELL {
            self.well_since = None;
        } else if self.policy != self.most {
            let since = *self.well_since.get_or_insert(now);
            if now.since(since) >= self.hold {
                self.raised_at = Some(now);
                return Some(self.set(self.raised()));
            }
        }
        None
    }

    fn set(&mut self, policy: LayerPolicy) -> LayerPolicy {
        self.policy = policy;
        self.well_since = None;
        self.listed.clear();
        policy
    }

    /// The lowest policy above this one, on the way down from all that is wanted.
    fn raised(&self) -> LayerPolicy {
        let ladder = std::iter::successors(Some(self.most), |policy| policy.lower());
        ladder.take_while(|policy| *policy != self.policy).last().unwrap_or(self.most)
    }

    fn seen_mut(&mut self, layer: Layer) -> Option<&mut Option<MonoTime>> {
        let step = usize::from(layer.spatial.max(layer.quality));
        self.seen.get_mut(step)?.get_mut(usize::from(layer.temporal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_types::ObjectClass;
    use std::num::NonZeroU16;

    const TOP: Layer = Layer { spatial: 1, temporal: 0, quality: 0 };

    /// Two resolutions at 25 pictures a second for a minute, of which `comes` says what comes; gives the changes, in tenths of a second.
    fn run(seconds: u64, mut comes: impl FnMut(u64, Layer, LayerPolicy) -> bool) -> Vec<(u64, u8)> {
        let mut flow = LayerFlow::new(TOP, LayerPolicy::UNCAPPED);
        let mut changes = Vec::new();
        for picture in 0..seconds * 25 {
            let now = MonoTime::from_millis(1_000 + picture * 40);
            for (step, layer) in [Layer::BASE, TOP].into_iter().enumerate() {
                let seq = ObjectSeq(picture * 2 + step as u64);
                let part = Part { layer, class: ObjectClass::Plain, chunks: NonZeroU16::MIN };
                let comes = flow.policy().admits(layer) && comes(picture, layer, flow.policy());
                if comes {
                    flow.handle_chunk(now, layer);
                }
                // It may be there before anything tells of it.
                if comes && picture % 2 == 0 {
                    flow.handle_whole(seq);
                }
                flow.handle_told(now, seq, &part);
                if comes && picture % 2 == 1 {
                    flow.handle_whole(seq);
                }
            }
            if let Some(policy) = flow.look(now) {
                changes.push((picture * 4 / 10, policy.max_spatial));
            }
        }
        changes
    }

    #[test]
    fn what_comes_is_asked_for() {
        assert_eq!(run(60, |_, _, _| true), []);
        assert_eq!(run(60, |picture, _, _| picture % 40 != 7), [], "a loss now and then");
    }

    #[test]
    fn a_layer_that_comes_by_halves_is_asked_for_less_and_less_often() {
        let changes = run(120, |picture, layer, _| layer == Layer::BASE || picture % 2 == 0);
        let downs: Vec<u64> = changes.iter().filter(|(_, top)| *top == 0).map(|(at, _)| *at).collect();
        assert!(downs[0] <= 10, "{changes:?}");
        assert!(downs.len() >= 3 && downs.len() <= 6, "{changes:?}");
        assert!(downs.windows(2).map(|pair| pair[1] - pair[0]).is_sorted(), "{changes:?}");
    }

    #[test]
    fn a_layer_is_asked_for_again_when_there_is_room() {
        let changes = run(60, |picture, layer, _| layer == Layer::BASE || picture >= 100);
        assert_eq!(changes.iter().map(|(_, top)| *top).collect::<Vec<_>>(), [0, 1], "{changes:?}");
        assert!(changes[1].0 <= changes[0].0 + 90, "{changes:?}");
    }

    #[test]
    fn where_the_base_does_not_come_well_no_layer_is_added() {
        let changes = run(60, |picture, layer, _| layer == Layer::BASE && picture % 4 != 0);
        assert_eq!(changes.iter().map(|(_, top)| *top).collect::<Vec<_>>(), [0], "{changes:?}");
    }

    #[test]
    fn what_is_not_asked_for_or_does_not_come_is_not_awaited() {
        let mut flow = LayerFlow::new(TOP, LayerPolicy::UNCAPPED);
        let at = MonoTime::from_millis;
        assert!(flow.is_awaited(at(1), TOP), "it may come");
        flow.handle_chunk(at(1), Layer::BASE);
        assert!(flow.is_awaited(at(400), TOP) && !flow.is_awaited(at(600), TOP));
        assert!(flow.is_awaited(at(60_000), Layer::BASE), "the base always is");
        flow.handle_chunk(at(700), TOP);
        assert!(flow.is_awaited(at(800), TOP) && !flow.is_awaited(at(1_300), TOP));
        let mut capped = LayerFlow::new(TOP, LayerPolicy::BASE_ONLY);
        assert!(!capped.is_awaited(at(1), TOP));
        capped.fix();
        assert!(capped.is_awaited(at(1), TOP), "others want it");
    }

    #[test]
    fn what_is_wanted_is_never_exceeded() {
        let top = Layer { spatial: 2, temporal: 2, quality: 0 };
        let cap = LayerPolicy { max_spatial: 1, max_temporal: 9, max_quality: 0 };
        let mut flow = LayerFlow::new(top, cap);
        assert_eq!(flow.policy(), LayerPolicy { max_spatial: 1, max_temporal: 2, max_quality: 0 });
        let mut rungs = vec![flow.policy()];
        while let Some(lower) = flow.policy().lower() {
            flow.set(lower);
            rungs.push(lower);
        }
        for rung in rungs.iter().rev().skip(1) {
            let raised = flow.raised();
            assert_eq!(flow.set(raised), *rung);
        }
    }
}
