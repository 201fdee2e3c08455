//! Which packets of a picture can be decoded after others were missed (spec 64 section 3).

use core_types::ObjectClass;

/// AV1's temporal and spatial ids.
const TEMPORAL: usize = 8;
const STEPS: usize = 4;

/// What is known of one layer since the last key frame.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// Something of it came, or is known to be missing, that others may refer to.
    is_there: bool,
    /// It was taken up, and nothing of it was missed since.
    is_whole: bool,
}

/// Layers that build on one another, by spatial or quality layer and by temporal layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    layers: [[Known; TEMPORAL]; STEPS],
}

impl Gate {
    /// How many of a picture's packets can be decoded, the lowest first; `classes` are those that came, without a gap from the lowest up.
    /// Others are missing.
    pub(crate) fn admit(&mut self, temporal: u8, classes: &[ObjectClass]) -> usize {
        let temporal = usize::from(temporal);
        let mut taken = 0;
        for (step, class) in classes.iter().enumerate() {
            if *class == ObjectClass::KeyFrame {
                self.layers = Default::default();
            }
            // Nothing refers over a picture of the lowest rate back to one of a higher rate.
            if temporal == 0
                && let Some(rates) = self.layers.get_mut(step)
            {
                rates.iter_mut().skip(1).for_each(|layer| *layer = Known::default());
            }
            if taken == step && self.is_complete_below(step, temporal) && self.goes_on(step, temporal, *class)
            {
                taken += 1;
                if *class != ObjectClass::Discardable
                    && let Some(layer) = self.layer(step, temporal)
                {
                    *layer = Known { is_there: true, is_whole: true };
                }
            } else if *class != ObjectClass::Discardable {
                self.miss(step, temporal);
            }
        }
        // Layers that were there before, and not in this picture. What was discardable is missed as well: nothing comes of it, since its
        // next one can be taken up.
        for step in classes.len()..STEPS {
            self.miss(step, temporal);
        }
        taken
    }

    /// Something is missing that others may refer to: the layer, and those that build on it, are to be taken up anew.
    pub(crate) fn miss(&mut self, step: usize, temporal: usize) {
        for layers in self.layers.iter_mut().skip(step) {
            for layer in layers.iter_mut().skip(temporal) {
                layer.is_whole = false;
            }
        }
        if let Some(layer) = self.layer(step, temporal) {
            layer.is_there = true;
        }
    }

    /// True if the lowest layer is not whole: nothing goes on before a key frame.
    pub(crate) const fn is_base_missing(&self) -> bool {
        let [[base, ..], ..] = &self.layers;
        !base.is_whole
    }

    /// True if nothing is missing that the layer may refer to, but for itself, and for what is below it in the same picture.
    fn is_complete_below(&self, step: usize, temporal: usize) -> bool {
        let below = self.layers.iter().take(step + 1).flat_map(|layers| layers.iter().take(temporal));
        below.copied().all(|layer| layer.is_whole || !layer.is_there)
    }

    fn goes_on(&self, step: usize, temporal: usize, class: ObjectClass) -> bool {
        let layer = self.layers.get(step).and_then(|layers| layers.get(temporal));
        class != ObjectClass::Plain || layer.is_some_and(|layer| layer.is_whole)
    }

    fn layer(&mut self, step: usize, temporal: usize) -> Option<&mut Known> {
        self.layers.get_mut(step)?.get_mut(temporal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ObjectClass::{Discardable, KeyFrame, Plain, SwitchPoint};

    #[test]
    fn nothing_is_taken_before_a_key_frame() {
        let mut gate = Gate::default();
        assert_eq!(gate.admit(0, &[Plain, SwitchPoint]), 0);
        assert_eq!(gate.admit(0, &[KeyFrame, SwitchPoint]), 2);
        assert_eq!(gate.admit(0, &[Plain, Plain]), 2);
    }

    #[test]
    fn a_step_that_was_missed_waits_for_a_switch_point() {
        let mut gate = Gate::default();
        assert_eq!(gate.admit(0, &[KeyFrame, SwitchPoint, SwitchPoint]), 3);
        assert_eq!(gate.admit(0, &[Plain]), 1);
        assert_eq!(gate.admit(0, &[Plain, Plain, SwitchPoint]), 1, "not above what was missed");
        assert_eq!(gate.admit(0, &[Plain, SwitchPoint, Plain]), 2);
        assert_eq!(gate.admit(0, &[Plain, Plain, SwitchPoint]), 3);
    }

    #[test]
    fn a_lost_picture_of_the_middle_rate_costs_those_that_may_follow_it() {
        let mut gate = Gate::default();
        assert_eq!(gate.admit(0, &[KeyFrame]), 1);
        assert_eq!(gate.admit(2, &[Discardable]), 1);
        gate.miss(0, 1);
        assert_eq!(gate.admit(2, &[Discardable]), 0);
        assert_eq!(gate.admit(2, &[Discardable]), 0, "so may this one");
        assert_eq!(gate.admit(0, &[Plain]), 1);
        assert_eq!(gate.admit(2, &[Discardable]), 1);
        gate.miss(0, 1);
        assert_eq!(gate.admit(1, &[SwitchPoint]), 1);
        assert_eq!(gate.admit(2, &[Discardable]), 1);
    }

    #[test]
    fn a_lost_picture_of_the_base_costs_everything_to_the_next_key_frame() {
        let mut gate = Gate::default();
        assert_eq!(gate.admit(0, &[KeyFrame, SwitchPoint]), 2);
        gate.miss(0, 0);
        assert_eq!(gate.admit(1, &[SwitchPoint, SwitchPoint]), 0);
        assert_eq!(gate.admit(0, &[Plain, SwitchPoint]), 0);
        assert_eq!(gate.admit(0, &[KeyFrame, SwitchPoint]), 2);
    }
}
