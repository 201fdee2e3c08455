//! What each picture of each layer refers to.

use core_types::{Layer, LayerPolicy, ObjectClass};

use crate::Structure;

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
        let (before, after) = (admitted(self.structure, self.policy), admitted(self.structure, policy));
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
        self.phase = (phase + 1) % (1 << (self.structure.temporal() - 1));
        let temporal = self.temporal_layer(phase);
        if temporal > self.temporal_cap(self.policy) {
            return Vec::new();
        }
        let steps = admitted(self.structure, self.policy);
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
        match (self.structure.temporal(), phase) {
            (_, 0) => 0,
            (2, _) | (_, 2) => 1,
            _ => 2,
        }
    }

    fn temporal_cap(&self, policy: LayerPolicy) -> u8 {
        policy.max_temporal.min(self.structure.temporal() - 1)
    }
}

/// Steps that a policy admits: at least the lowest.
const fn admitted(structure: Structure, policy: LayerPolicy) -> u8 {
    let cap = if structure.quality() > 1 { policy.max_quality } else { policy.max_spatial };
    if cap < structure.steps() { cap + 1 } else { structure.steps() }
}

/// Where a picture is kept that others refer to. Of the highest temporal layer of three that is never the highest step: 8 slots do.
const fn slot(temporal: u8, step: u8) -> u8 {
    3 * temporal + step
}
