//! A subscriber's queue as one would write it down without a thought to speed: a list of chunks for each subscriber, sets for
//! what it has, and every sum made anew.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(unreachable_pub, reason = "shared by tests")]

use super::Spec;
use core_types::{Layer, LayerPolicy, MonoTime, ObjectClass, StripeSet};
use std::collections::{BTreeMap, BTreeSet};

pub const LAYERS: [Layer; 5] = [
    Layer::BASE,
    Layer { temporal: 1, ..Layer::BASE },
    Layer { spatial: 1, ..Layer::BASE },
    Layer { spatial: 1, temporal: 1, quality: 0 },
    Layer { spatial: 2, ..Layer::BASE },
];

/// Limits of the model: bytes and microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub bytes: u64,
    pub age: u64,
    pub ring: usize,
}

#[derive(Debug, Clone)]
pub struct Object {
    pub layer: Layer,
    pub class: ObjectClass,
    pub take_up: bool,
    /// Layers below it that it may refer to.
    pub needs: BTreeSet<Layer>,
}

impl Object {
    pub fn is_base(&self) -> bool {
        self.layer == Layer::BASE
    }

    pub fn is_key(&self) -> bool {
        self.is_base() && self.class == ObjectClass::KeyFrame
    }
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub spec: Spec,
    pub object: usize,
    pub opens: bool,
    pub at: MonoTime,
}

/// The stream: everything that ever came.
#[derive(Debug, Default)]
pub struct Stream {
    pub objects: Vec<Object>,
    pub opened: Vec<MonoTime>,
    /// Objects of the base that count as pictures: those that came with another one don't.
    pub counted: Vec<usize>,
    pub log: Vec<Entry>,
}

impl Stream {
    /// An object of which these chunks come.
    pub fn add(&mut self, now: MonoTime, chunks: &[Spec]) {
        let (layer, class) = (chunks[0].layer, chunks[0].marks.class);
        let since_key = self.objects.iter().rposition(Object::is_key);
        let referred = match since_key {
            None => true,
            Some(key) => self.objects[key + 1..]
                .iter()
                .any(|o| o.layer == layer && o.class != ObjectClass::Discardable),
        };
        let marked = matches!(class, ObjectClass::KeyFrame | ObjectClass::SwitchPoint);
        let take_up = if layer == Layer::BASE { class == ObjectClass::KeyFrame } else { marked || !referred };
        let since_key = &self.objects[since_key.unwrap_or(0)..];
        let referable = since_key.iter().filter(|o| o.class != ObjectClass::Discardable);
        let needs = referable.map(|o| o.layer).filter(|l| *l != layer && covers(layer, *l)).collect();
        self.objects.push(Object { layer, class, take_up, needs });
        self.opened.push(now);
        let apart = self.counted.last().is_none_or(|last| now.0 - self.opened[*last].0 >= 5_000);
        if layer == Layer::BASE && apart {
            self.counted.push(self.objects.len() - 1);
        }
        for (at, spec) in chunks.iter().enumerate() {
            let object = self.objects.len() - 1;
            self.log.push(Entry { spec: *spec, object, opens: at == 0, at: now });
        }
    }

    /// Layers of which something comes.
    pub fn active(&self, now: MonoTime) -> BTreeSet<Layer> {
        let is_there = |layer: &Layer| {
            let Some(last) = self.objects.iter().rposition(|o| o.layer == *layer) else { return false };
            let since = self.counted.iter().filter(|at| **at >= last).count();
            let long = now.0 - self.opened[last].0 >= 150_000;
            *layer == Layer::BASE || !(since >= 3 || since >= 1 && long)
        };
        LAYERS.into_iter().filter(is_there).collect()
    }

    /// Index of the oldest chunk that is kept.
    pub fn first(&self, bounds: &Bounds) -> usize {
        let mut bytes = 0;
        let mut first = self.log.len();
        while first > 0 && (first == self.log.len() || bytes + self.log[first - 1].spec.len <= bounds.ring) {
            first -= 1;
            bytes += self.log[first].spec.len;
        }
        first
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Forward,
    Shed,
    No,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub shed: [u64; 4],
    pub withheld: u64,
    pub over_share: u64,
    pub overrun: u64,
}

#[derive(Debug)]
pub struct Subscriber {
    pub next: usize,
    pub policy: LayerPolicy,
    pub stripes: StripeSet,
    pub share: usize,
    pub have: BTreeSet<Layer>,
    pub counts: Counts,
    /// True after a pull in which it lost the thread for good.
    pub lost: bool,
    midway: bool,
    decisions: BTreeMap<usize, Decision>,
    live_from: usize,
    lag: u64,
    repairs: BTreeMap<usize, usize>,
}

fn covers(layer: Layer, other: Layer) -> bool {
    layer.spatial >= other.spatial && layer.temporal >= other.temporal && layer.quality >= other.quality
}

/// Layers from the base up.
fn height(layer: Layer) -> usize {
    let mut layers = LAYERS;
    layers.sort_by_key(|l| (l.spatial, l.quality, l.temporal));
    layers.iter().position(|l| *l == layer).unwrap()
}

impl Subscriber {
    pub fn live(next: usize, policy: LayerPolicy, stripes: StripeSet) -> Self {
        Self {
            next,
            policy,
            stripes,
            share: 1_000,
            have: LAYERS.into_iter().filter(|layer| policy.admits(*layer)).collect(),
            counts: Counts::default(),
            lost: false,
            midway: true,
            decisions: BTreeMap::new(),
            live_from: 0,
            lag: 0,
            repairs: BTreeMap::new(),
        }
    }

    pub fn anew(next: usize, live_from: usize, policy: LayerPolicy, stripes: StripeSet) -> Self {
        Self { have: BTreeSet::new(), midway: false, live_from, ..Self::live(next, policy, stripes) }
    }

    pub fn set_policy(&mut self, policy: LayerPolicy) {
        self.policy = policy;
        self.have.retain(|layer| policy.admits(*layer));
    }

    fn wants(&self, entry: &Entry) -> bool {
        self.policy.admits(entry.spec.layer) && self.stripes.contains(core_types::ChunkSeq(entry.spec.seq))
    }

    /// 0 base, 1 … enhancement layers from the lowest, 90 discardable, 91 repair.
    fn rank(entry: &Entry, object: &Object) -> usize {
        if entry.spec.marks.repair {
            91
        } else if object.class == ObjectClass::Discardable {
            90
        } else {
            height(entry.spec.layer)
        }
    }

    /// Bytes that wait from `from` on, of everything that is shed no earlier than `rank`.
    fn waiting(&self, stream: &Stream, from: usize, rank: usize) -> u64 {
        let of_rank = stream.log[from..]
            .iter()
            .filter(|e| self.wants(e) && Self::rank(e, &stream.objects[e.object]) <= rank);
        of_rank.map(|e| e.spec.len as u64).sum()
    }

    fn drop_object(&mut self, entry: &Entry, object: &Object) {
        self.decisions.insert(entry.object, Decision::Shed);
        if object.class != ObjectClass::Discardable {
            self.have.retain(|layer| !covers(*layer, object.layer));
            self.lost |= object.is_base();
        }
    }

    fn set_lag(&mut self, bounds: &Bounds, age: u64) {
        self.lag = if age <= bounds.age / 4 { 0 } else { age.min(8 * bounds.age) };
    }

    fn decide(&mut self, stream: &Stream, bounds: &Bounds, now: MonoTime, at: usize) {
        let entry = &stream.log[at];
        let object = &stream.objects[entry.object];
        self.decisions.insert(entry.object, Decision::No);
        if !self.policy.admits(object.layer) {
            return;
        }
        let had = self.have.contains(&object.layer);
        if !object.needs.is_subset(&self.have) {
            if had && object.class != ObjectClass::Discardable {
                self.have.retain(|layer| !covers(*layer, object.layer));
            }
            return;
        }
        if !had && !object.take_up {
            return;
        }
        let age = now.0 - entry.at.0;
        let catching_up = at < self.live_from;
        if !catching_up && self.live_from != 0 {
            self.live_from = 0;
            self.set_lag(bounds, self.lag.max(age));
        }
        let rank = Self::rank(entry, object);
        let known = LAYERS.len() as u64;
        let limit = match rank {
            90 => bounds.age / 2,
            0 => 2 * bounds.age + self.lag,
            height => bounds.age / 2 + bounds.age / 2 * (known - height as u64) / known,
        };
        let full = self.waiting(stream, at, rank) > bounds.bytes;
        let shed = if catching_up { rank == 90 } else { full || age > limit };
        if shed {
            return self.drop_object(entry, object);
        }
        let behind = age > bounds.age / 4 || self.waiting(stream, at, 91) > bounds.bytes;
        if !had && !object.is_base() && !catching_up && behind {
            return;
        }
        self.decisions.insert(entry.object, Decision::Forward);
        self.have.insert(object.layer);
        if object.is_base() && !object.is_key() {
            self.set_lag(bounds, self.lag.min(age));
        } else if object.is_key() {
            self.set_lag(bounds, age);
        }
    }

    /// The numbers that go out with so much room.
    pub fn pull(
        &mut self,
        stream: &Stream,
        bounds: &Bounds,
        now: MonoTime,
        budget: usize,
        max: usize,
    ) -> Vec<u64> {
        let (mut out, mut room) = (Vec::new(), budget);
        self.lost = false;
        let first = stream.first(bounds);
        if self.next < first {
            self.counts.overrun += (first - self.next) as u64;
            let old = (self.counts, self.share);
            *self = Self::anew(first, 0, self.policy, self.stripes);
            (self.counts, self.share, self.lost) = (old.0, old.1, true);
        }
        // Nothing is late in a queue that is neither long nor old.
        while let Some(entry) = stream.log.get(self.next) {
            let object = &stream.objects[entry.object];
            if entry.opens {
                self.decide(stream, bounds, now, self.next);
            }
            if !self.stripes.contains(core_types::ChunkSeq(entry.spec.seq)) {
                self.next += 1;
                continue;
            }
            let decision = match self.decisions.get(&entry.object) {
                Some(decision) => *decision,
                None if self.midway && self.policy.admits(object.layer) => Decision::Forward,
                None => Decision::No,
            };
            let age = now.0 - entry.at.0;
            let class = match Self::rank(entry, object) {
                91 => 0,
                90 => 1,
                0 => 3,
                _ => 2,
            };
            match decision {
                Decision::Shed => self.counts.shed[class] += 1,
                Decision::No => self.counts.withheld += u64::from(self.policy.admits(object.layer)),
                Decision::Forward
                    if self.next >= self.live_from
                        && class == 0
                        && (age > bounds.age / 4 || self.waiting(stream, self.next, 91) > bounds.bytes) =>
                {
                    self.counts.shed[0] += 1;
                }
                Decision::Forward
                    if self.next >= self.live_from
                        && class != 0
                        && !entry.opens
                        && !object.is_key()
                        && age > 4 * bounds.age =>
                {
                    self.drop_object(entry, object);
                    self.counts.shed[class] += 1;
                }
                Decision::Forward => {
                    let seen = self.repairs.entry(entry.object).or_default();
                    let of_share = |n: usize| (n * self.share).div_ceil(1_000);
                    if class == 0 && of_share(*seen + 1) == of_share(*seen) {
                        *seen += 1;
                        self.counts.over_share += 1;
                    } else if room < entry.spec.len || out.len() == max {
                        break;
                    } else {
                        *seen += usize::from(class == 0);
                        room -= entry.spec.len;
                        out.push(entry.spec.seq);
                        if object.is_key() && class == 3 {
                            self.set_lag(bounds, age);
                        }
                    }
                }
            }
            self.next += 1;
        }
        self.lost &= self.have.is_empty();
        out
    }

    /// The highest layer that it gets.
    pub fn top(&self, stream: &Stream, now: MonoTime) -> Option<Layer> {
        let active = stream.active(now);
        self.have.iter().filter(|l| active.contains(l)).max_by_key(|l| height(**l)).copied()
    }
}
