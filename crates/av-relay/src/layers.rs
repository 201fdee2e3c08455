//! The layers of one stream: which builds on which, which is there, and which may be taken up with an object.

use core::time::Duration;
use core_types::{Layer, LayerPolicy, MonoTime, ObjectClass};

/// Layers that a stream may have: one bit each in a subscriber's state.
pub(crate) const MAX_LAYERS: usize = 64;
/// A layer of which nothing came for so long, or for so many objects of the base, is gone.
const GONE_AFTER: Duration = Duration::from_millis(150);
const GONE_AFTER_OBJECTS: u32 = 3;
/// Objects of the base that come closer together count as one: a proof of authorship goes with a picture, and is none.
const APART: Duration = Duration::from_millis(5);

#[derive(Debug)]
struct Known {
    layer: Layer,
    /// Those that it builds on, itself not among them.
    below: u64,
    /// Those that build on it, itself among them.
    above: u64,
    /// Place among the layers from the base up, by spatial, then quality, then temporal layer.
    height: u8,
    /// When its last object began.
    seen: MonoTime,
    /// Objects of the base since then.
    base_since: u32,
    /// True if something came of it since the last key frame of the base that others may refer to.
    referred: bool,
}

/// What an object is, by its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) base: bool,
    pub(crate) take_up: bool,
    /// The layers below of which it may refer to something.
    pub(crate) needs: u64,
    /// True if the layer had been gone.
    pub(crate) back: bool,
}

#[derive(Debug, Default)]
pub(crate) struct LayerTable {
    known: Vec<Known>,
    active: u64,
    /// True once a key frame of the base has come.
    keyed: bool,
    /// When the last object of the base came that was counted.
    counted: Option<MonoTime>,
}

impl LayerTable {
    /// The layer's number; `None` if there is no room for another one.
    pub(crate) fn number(&mut self, layer: Layer, now: MonoTime) -> Option<u8> {
        if let Some(at) = self.known.iter().position(|known| known.layer == layer) {
            return Some(at as u8);
        }
        let number = self.known.len();
        if number >= MAX_LAYERS {
            return None;
        }
        let referred = !self.keyed;
        self.known.push(Known { layer, below: 0, above: 0, height: 0, seen: now, base_since: 0, referred });
        self.active |= 1 << number;
        let layers: Vec<Layer> = self.known.iter().map(|known| known.layer).collect();
        for known in &mut self.known {
            let mask = |of: &dyn Fn(Layer) -> bool| {
                layers.iter().enumerate().filter(|(_, l)| of(**l)).map(|(at, _)| 1u64 << at).sum::<u64>()
            };
            known.below = mask(&|other| other != known.layer && covers(known.layer, other));
            known.above = mask(&|other| covers(other, known.layer));
            known.height = layers.iter().filter(|other| key(**other) < key(known.layer)).count() as u8;
        }
        Some(number as u8)
    }

    /// An object of a layer begins. `alone` if it is one of a stream whose objects all stand alone. `gone` is told of the
    /// layers that are found to be gone.
    pub(crate) fn open(
        &mut self,
        number: u8,
        now: MonoTime,
        class: ObjectClass,
        alone: bool,
        mut gone: impl FnMut(Layer),
    ) -> Standing {
        let bit = 1u64 << number;
        let back = self.active & bit == 0;
        self.active |= bit;
        let base = self.is_base(number);
        let key = base && (alone || class == ObjectClass::KeyFrame);
        if base {
            let counts = self.counted.is_none_or(|at| now.since(at) >= APART);
            if counts {
                self.counted = Some(now);
            }
            for (at, known) in self.known.iter_mut().enumerate() {
                known.base_since = known.base_since.saturating_add(u32::from(counts));
                if key {
                    known.referred = false;
                }
                let over = known.base_since >= GONE_AFTER_OBJECTS;
                if at != usize::from(number) && over && self.active & 1 << at != 0 {
                    self.active &= !(1 << at);
                    gone(known.layer);
                }
            }
            self.keyed |= key;
        }
        let referred = self.known.iter().enumerate().filter(|(_, known)| known.referred);
        let referred: u64 = referred.map(|(at, _)| 1 << at).sum();
        let Some(known) = self.known.get_mut(usize::from(number)) else {
            return Standing { base, take_up: false, needs: u64::MAX, back };
        };
        let needs = known.below & referred;
        (known.seen, known.base_since) = (now, 0);
        let switch = matches!(class, ObjectClass::KeyFrame | ObjectClass::SwitchPoint);
        let take_up = if base { key } else { switch || !known.referred };
        known.referred |= class != ObjectClass::Discardable;
        Standing { base, take_up, needs, back }
    }

    /// Finds layers gone of which nothing came for long, while something came of the base.
    pub(crate) fn expire(&mut self, now: MonoTime, mut gone: impl FnMut(Layer)) {
        for at in 0..self.known.len() {
            let known = &self.known[at];
            let over = known.base_since > 0 && now.since(known.seen) >= GONE_AFTER;
            if over && self.active & 1 << at != 0 && !self.is_base(at as u8) {
                self.active &= !(1 << at);
                gone(known.layer);
            }
        }
    }

    /// When [`expire`](Self::expire) could find something.
    pub(crate) fn deadline(&self) -> Option<MonoTime> {
        let waiting = self.known.iter().enumerate().filter(|(at, known)| {
            known.base_since > 0 && self.active & 1 << at != 0 && !self.is_base(*at as u8)
        });
        waiting.map(|(_, known)| known.seen.plus(GONE_AFTER)).min()
    }

    fn is_base(&self, number: u8) -> bool {
        self.known.get(usize::from(number)).is_some_and(|known| known.below & self.active == 0)
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// The layers that a policy admits.
    pub(crate) fn admitted(&self, policy: LayerPolicy) -> u64 {
        let admitted = self.known.iter().enumerate().filter(|(_, known)| policy.admits(known.layer));
        admitted.map(|(at, _)| 1 << at).sum()
    }

    /// Those that build on a layer, itself among them.
    pub(crate) fn above(&self, number: u8) -> u64 {
        self.known.get(usize::from(number)).map_or(0, |known| known.above)
    }

    /// Place of a layer from the base up.
    #[inline]
    pub(crate) fn height(&self, number: u8) -> u8 {
        self.known.get(usize::from(number)).map_or(0, |known| known.height)
    }

    pub(crate) const fn active(&self) -> u64 {
        self.active
    }

    /// The highest layer of a set.
    pub(crate) fn top(&self, set: u64) -> Option<Layer> {
        let of_set = self.known.iter().enumerate().filter(|(at, _)| set & 1 << at != 0);
        of_set.max_by_key(|(_, known)| known.height).map(|(_, known)| known.layer)
    }
}

/// True if `layer` is at or above `other` on each axis: so it may refer to it.
const fn covers(layer: Layer, other: Layer) -> bool {
    layer.spatial >= other.spatial && layer.temporal >= other.temporal && layer.quality >= other.quality
}

/// Layers from the base up: what has the larger key is shed first.
const fn key(layer: Layer) -> (u8, u8, u8) {
    (layer.spatial, layer.quality, layer.temporal)
}
