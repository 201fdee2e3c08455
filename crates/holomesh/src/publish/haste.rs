//! Which layers are left out while encoding can't keep up.

use codec_av1::Structure;
use core_types::LayerPolicy;
use std::time::Duration;

/// So many pictures in a row have to be late before a layer goes: a single one that took long is caught up with.
const LATE: u32 = 3;
/// After so long in time, the layer that went last is tried again, and after twice as long each time that it could not stay.
const PATIENCE: Duration = Duration::from_secs(2);
const MAX_PATIENCE: Duration = Duration::from_secs(64);

/// Leaves the top layer out when pictures are late, then the next one, and takes them up again when they are in time: resolutions or
/// qualities first, since the top one takes more time than all below it, then picture rates. Where that is not enough, whole pictures
/// are skipped.
#[derive(Debug)]
pub(super) struct Haste {
    /// From all layers down to the lowest one alone.
    ladder: Vec<LayerPolicy>,
    rung: usize,
    interval: Duration,
    late: u32,
    in_time: Duration,
    patience: Duration,
}

impl Haste {
    pub(super) fn new(layers: Structure, interval: Duration) -> Self {
        let top = LayerPolicy::up_to(layers.top());
        let ladder = std::iter::successors(Some(top), |policy| policy.lower()).collect();
        Self { ladder, rung: 0, interval, late: 0, in_time: Duration::ZERO, patience: PATIENCE }
    }

    /// A picture is about to be encoded, so long after it was due. Gives the layers to encode from now on if they are others than before.
    pub(super) fn handle_frame(&mut self, lag: Duration) -> Option<LayerPolicy> {
        let before = self.rung;
        if lag > self.interval {
            self.late += 1;
            if self.late >= LATE && self.rung + 1 < self.ladder.len() {
                // It was tried and could not stay.
                if self.rung == 0 || self.in_time < self.patience {
                    self.patience = (self.patience * 2).min(MAX_PATIENCE);
                }
                self.rung += 1;
                self.late = 0;
            }
            self.in_time = Duration::ZERO;
        } else {
            self.late = 0;
            self.in_time += self.interval;
            if self.in_time >= self.patience && self.rung > 0 {
                self.rung -= 1;
                self.in_time = Duration::ZERO;
            } else if self.rung == 0 && self.in_time >= MAX_PATIENCE {
                self.patience = PATIENCE;
            }
        }
        if self.rung == before { None } else { self.ladder.get(self.rung).copied() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(40);

    fn caps(policy: LayerPolicy) -> (u8, u8, u8) {
        (policy.max_spatial, policy.max_temporal, policy.max_quality)
    }

    #[test]
    fn layers_go_from_the_top_and_resolutions_first() {
        let mut haste = Haste::new(Structure::L2T3, INTERVAL);
        let gone: Vec<_> = (0..40).filter_map(|_| haste.handle_frame(2 * INTERVAL)).map(caps).collect();
        assert_eq!(gone, [(0, 2, 0), (0, 1, 0), (0, 0, 0)], "and the lowest stays");
        let mut haste = Haste::new(Structure::L1T1Q2, INTERVAL);
        assert_eq!((0..9).find_map(|_| haste.handle_frame(2 * INTERVAL)).map(caps), Some((0, 0, 0)));
    }

    #[test]
    fn one_late_picture_costs_no_layer() {
        let mut haste = Haste::new(Structure::L3T3, INTERVAL);
        for n in 0..300u32 {
            let lag = if n % 3 == 0 { 2 * INTERVAL } else { Duration::ZERO };
            assert_eq!(haste.handle_frame(lag), None);
        }
    }

    #[test]
    fn a_layer_that_can_not_stay_is_tried_less_and_less_often() {
        // The upper of two resolutions takes too long, however often it is tried.
        let mut haste = Haste::new(Structure::L2T1, INTERVAL);
        let (mut all, mut tried) = (true, Vec::new());
        for n in 0..4_000u32 {
            let lag = if all { 2 * INTERVAL } else { Duration::ZERO };
            if let Some(policy) = haste.handle_frame(lag) {
                all = policy.max_spatial == 1;
                if all {
                    tried.push(n);
                }
            }
        }
        let waits: Vec<u32> = tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(tried.len() >= 3 && waits.windows(2).all(|pair| pair[1] > pair[0] * 3 / 2), "{tried:?}");
        // It was a bad hour: what was late is in time again, and all layers are there again for good.
        let back: Vec<_> = (0..4_000).filter_map(|_| haste.handle_frame(Duration::ZERO)).map(caps).collect();
        assert!(back.len() <= 1 && haste.rung == 0, "{back:?}");
    }
}
