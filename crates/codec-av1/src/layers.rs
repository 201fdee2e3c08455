//! Which layers a stream has, what each of them weighs, and what each picture of each layer refers to.

use core::fmt;
use core::str::FromStr;

use core_types::{BitRate, FrameSize, Layer, LayerPolicy, ObjectClass};

use crate::Error;

/// The layers of a stream: `L3T3` has three resolutions and three picture rates, `L1T3Q2` two qualities of one resolution. Either
/// resolutions or qualities, not both.
///
/// A layer needs those below it on each axis and nothing else, so a receiver that takes all up to a cap on each axis can decode what it
/// takes. Each resolution has twice the width and height of the one below (rounded up to even), each temporal layer twice the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Structure {
    spatial: u8,
    temporal: u8,
    quality: u8,
}

impl Structure {
    /// One layer.
    pub const L1T1: Self = Self { spatial: 1, temporal: 1, quality: 1 };
    /// Two picture rates.
    pub const L1T2: Self = Self { spatial: 1, temporal: 2, quality: 1 };
    /// Three picture rates.
    pub const L1T3: Self = Self { spatial: 1, temporal: 3, quality: 1 };
    /// Two resolutions.
    pub const L2T1: Self = Self { spatial: 2, temporal: 1, quality: 1 };
    /// Two resolutions, three picture rates.
    pub const L2T3: Self = Self { spatial: 2, temporal: 3, quality: 1 };
    /// Three resolutions, three picture rates.
    pub const L3T3: Self = Self { spatial: 3, temporal: 3, quality: 1 };
    /// Two qualities.
    pub const L1T1Q2: Self = Self { spatial: 1, temporal: 1, quality: 2 };
    /// Two qualities, three picture rates.
    pub const L1T3Q2: Self = Self { spatial: 1, temporal: 3, quality: 2 };

    /// One to three resolutions, one to three picture rates, one or two qualities.
    ///
    /// # Errors
    /// [`Error::Config`] for more than that, and for several resolutions in several qualities.
    pub fn new(spatial: u8, temporal: u8, quality: u8) -> Result<Self, Error> {
        let fits = (1..=3).contains(&spatial) && (1..=3).contains(&temporal) && (1..=2).contains(&quality);
        if !fits || (spatial > 1 && quality > 1) {
            return Err(Error::Config(format!(
                "layers L{spatial}T{temporal}Q{quality}: L1 to L3, T1 to T3, and Q2 with L1 alone"
            )));
        }
        Ok(Self { spatial, temporal, quality })
    }

    /// How many resolutions there are.
    pub const fn spatial(self) -> u8 {
        self.spatial
    }

    /// How many picture rates there are.
    pub const fn temporal(self) -> u8 {
        self.temporal
    }

    /// How many qualities there are.
    pub const fn quality(self) -> u8 {
        self.quality
    }

    /// All layers, by resolution or quality, then by picture rate.
    pub fn layers(self) -> impl Iterator<Item = Layer> {
        (0..self.steps()).flat_map(move |step| (0..self.temporal).map(move |t| self.layer(step, t)))
    }

    /// The highest layer.
    pub const fn top(self) -> Layer {
        Layer { spatial: self.spatial - 1, temporal: self.temporal - 1, quality: self.quality - 1 }
    }

    /// The size of a layer's pictures when the highest resolution has `full`.
    ///
    /// # Errors
    /// [`Error::Config`] when that is too small for a picture: 16 pixels a side.
    pub fn size_of(self, full: FrameSize, spatial: u8) -> Result<FrameSize, Error> {
        let halvings = self.spatial.saturating_sub(1).saturating_sub(spatial);
        // As libaom rounds: down, then up to even.
        let scaled = |side: usize| (side >> halvings).next_multiple_of(2) as u32;
        FrameSize::new(scaled(full.width()), scaled(full.height())).map_err(|_| {
            Error::Config(format!("{full} in {self}: the lowest layer would be less than 16 pixels a side"))
        })
    }

    /// What a layer may have of the stream's bit rate, with the layers of lower picture rates of the same resolution and quality, and
    /// without lower resolutions and qualities.
    pub fn rate_of(self, total: BitRate, layer: Layer) -> BitRate {
        let (step, temporal) = (usize::from(layer.spatial.max(layer.quality)), usize::from(layer.temporal));
        // Per mille, by experience: a resolution needs some twice of the one below it.
        let steps: [u64; 3] = match (self.spatial, self.quality) {
            (1, 1) => [1_000, 0, 0],
            (1, _) => [450, 550, 0],
            (2, _) => [330, 670, 0],
            _ => [130, 290, 580],
        };
        let rates: [u64; 3] = match self.temporal {
            1 => [1_000, 0, 0],
            2 => [650, 1_000, 0],
            _ => [500, 700, 1_000],
        };
        let share = steps.get(step).unwrap_or(&0) * rates.get(temporal).unwrap_or(&0);
        BitRate((u128::from(total.0) * u128::from(share) / 1_000_000) as u64)
    }

    /// Resolutions or qualities: what AV1 calls spatial layers.
    pub(crate) const fn steps(self) -> u8 {
        self.spatial * self.quality
    }

    pub(crate) const fn layer(self, step: u8, temporal: u8) -> Layer {
        if self.quality > 1 {
            Layer { spatial: 0, temporal, quality: step }
        } else {
            Layer { spatial: step, temporal, quality: 0 }
        }
    }

    /// Steps that a policy admits: at least the lowest.
    const fn admitted(self, policy: LayerPolicy) -> u8 {
        let cap = if self.quality > 1 { policy.max_quality } else { policy.max_spatial };
        if cap < self.steps() { cap + 1 } else { self.steps() }
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}T{}", self.spatial, self.temporal)?;
        if self.quality > 1 { write!(f, "Q{}", self.quality) } else { Ok(()) }
    }
}

impl FromStr for Structure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits: Vec<u8> = text.bytes().skip(1).step_by(2).map(|b| b.wrapping_sub(b'0')).collect();
        let letters: Vec<u8> = text.bytes().step_by(2).collect();
        let (spatial, temporal, quality) = match (&letters[..], &digits[..]) {
            (b"LT", [spatial, temporal]) => (*spatial, *temporal, 1),
            (b"LTQ", [spatial, temporal, quality]) => (*spatial, *temporal, *quality),
            _ => return Err(Error::Config(format!("layers `{text}`: such as L1T1, L3T3 or L1T3Q2"))),
        };
        Self::new(spatial, temporal, quality)
    }
}

/// One picture in one layer, for the encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) layer: Layer,
    /// What AV1 calls its spatial layer.
    pub(crate) step: u8,
    pub(crate) key: bool,
    pub(crate) class: ObjectClass,
    pub(crate) refers_to: Vec<u8>,
    pub(crate) refreshes: Option<u8>,
    /// It refers to nothing of its own step: decoders may hold anything of that.
    pub(crate) takes_up: bool,
}

/// Goes through a structure picture by picture.
///
/// Of eight slots, 0 to 2 hold the last picture of the lowest temporal layer of each step, 3 to 5 that of the middle one, 6 and 7 that of
/// the highest one, for the step above it alone. A picture refers to the last one of a lower temporal layer in its own step, and to the
/// same picture in the step below; in the lowest temporal layer to the last of its own. It never refers to the layer it is in
/// otherwise, so each picture above the lowest temporal layer is a switch point.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    structure: Structure,
    policy: LayerPolicy,
    /// The number of the next picture in its group of `2^(temporal - 1)`.
    phase: u8,
    /// Steps from the lowest up that have a picture of the lowest temporal layer to refer to.
    begun: u8,
}

impl Pattern {
    pub(crate) const fn new(structure: Structure) -> Self {
        Self { structure, policy: LayerPolicy::UNCAPPED, phase: 0, begun: 0 }
    }

    pub(crate) const fn policy(&self) -> LayerPolicy {
        self.policy
    }

    /// Layers above the caps are left out from the next picture on. Those that come back do so with a switch point, for which a new
    /// group begins.
    pub(crate) fn set_policy(&mut self, policy: LayerPolicy) {
        let (before, after) = (self.structure.admitted(self.policy), self.structure.admitted(policy));
        if after > before || self.temporal_cap(policy) > self.temporal_cap(self.policy) {
            self.phase = 0;
        }
        self.begun = self.begun.min(after);
        self.policy = policy;
    }

    /// Makes the next picture one with which each layer can be taken up by who has those below.
    pub(crate) fn switch(&mut self) {
        self.phase = 0;
        self.begun = self.begun.min(1);
    }

    /// What to code of the next picture, the lowest step first; nothing if it is of a layer that is left out.
    pub(crate) fn next(&mut self, key: bool) -> Vec<Step> {
        let key = key || self.begun == 0;
        if key {
            self.phase = 0;
            self.begun = 0;
        }
        let phase = self.phase;
        self.phase = (phase + 1) % (1 << (self.structure.temporal - 1));
        let temporal = self.temporal_layer(phase);
        if temporal > self.temporal_cap(self.policy) {
            return Vec::new();
        }
        let steps = self.structure.admitted(self.policy);
        let coded = (0..steps).map(|step| self.step(step, steps, phase, temporal, key)).collect();
        if temporal == 0 {
            self.begun = steps;
        }
        coded
    }

    fn step(&self, step: u8, steps: u8, phase: u8, temporal: u8, key: bool) -> Step {
        let layer = self.structure.layer(step, temporal);
        let key = key && step == 0;
        let is_needed = match temporal {
            0 => true,
            1 => step + 1 < steps || self.temporal_cap(self.policy) > 1,
            _ => step + 1 < steps,
        };
        let mut refers_to = Vec::new();
        if temporal > 0 {
            // The second picture of the highest layer of three follows one of the middle one.
            refers_to.push(if phase == 3 { slot(1, step) } else { slot(0, step) });
        } else if step < self.begun {
            refers_to.push(slot(0, step));
        }
        if step > 0 {
            refers_to.push(slot(temporal, step - 1));
        }
        let takes_up = step > 0 && temporal == 0 && step >= self.begun;
        let class = match (temporal, step) {
            (0, 0) if key => ObjectClass::KeyFrame,
            (0, 0) => ObjectClass::Plain,
            (0, _) if !takes_up => ObjectClass::Plain,
            _ if is_needed => ObjectClass::SwitchPoint,
            _ => ObjectClass::Discardable,
        };
        Step {
            layer,
            step,
            key,
            class,
            refers_to,
            refreshes: is_needed.then(|| slot(temporal, step)),
            takes_up,
        }
    }

    const fn temporal_layer(&self, phase: u8) -> u8 {
        match (self.structure.temporal, phase) {
            (_, 0) => 0,
            (2, _) | (_, 2) => 1,
            _ => 2,
        }
    }

    fn temporal_cap(&self, policy: LayerPolicy) -> u8 {
        policy.max_temporal.min(self.structure.temporal - 1)
    }
}

/// Where a picture is kept that others refer to. Of the highest temporal layer of three that is never the highest step: 8 slots do.
const fn slot(temporal: u8, step: u8) -> u8 {
    3 * temporal + step
}
