//! When layers above the lowest resolution or quality can be taken up again.

use codec_av1::Structure;
use std::time::Duration;

/// Who lost something of such a layer has the layers below until then, and nobody has to ask.
const EVERY: Duration = Duration::from_secs(1);

/// Asks for switch points where a loss would last until the next key frame: what is of temporal layer 0 above the lowest resolution or quality
/// is taken up at those alone.
#[derive(Debug)]
pub(super) struct SwitchPoints {
    /// In pictures: whole turns of the temporal layers, so that their order is kept. None where there is nothing to take up.
    every: Option<u32>,
    since: u32,
}

impl SwitchPoints {
    pub(super) fn new(layers: Structure, interval: Duration) -> Self {
        let turn = 1u32 << (layers.temporal() - 1);
        let pictures = (EVERY.as_secs_f64() / interval.as_secs_f64().max(1e-6)).ceil() as u32;
        let every =
            (layers.spatial() > 1 || layers.quality() > 1).then(|| pictures.max(1).next_multiple_of(turn));
        Self { every, since: 0 }
    }

    /// A picture is about to be encoded, as a key frame or not. True if it is to be a switch point of all layers.
    pub(super) fn handle_frame(&mut self, is_key_frame: bool) -> bool {
        let Some(every) = self.every else { return false };
        let is_due = self.since >= every && !is_key_frame;
        if is_due || is_key_frame {
            self.since = 0;
        }
        self.since += 1;
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(layers: Structure, keys: &[u32]) -> Vec<u32> {
        let mut points = SwitchPoints::new(layers, Duration::from_millis(40));
        (0..120).filter(|n| points.handle_frame(keys.contains(n))).collect()
    }

    #[test]
    fn upper_layers_can_be_taken_up_each_second_and_between_turns_of_the_picture_rates() {
        assert_eq!(asked(Structure::L2T1, &[]), [25, 50, 75, 100]);
        assert_eq!(asked(Structure::L1T1Q2, &[]), [25, 50, 75, 100]);
        assert_eq!(asked(Structure::L3T3, &[]), [28, 56, 84, 112]);
        assert_eq!(asked(Structure::L2T1, &[0, 30]), [25, 55, 80, 105], "a key frame is one by itself");
        assert!(asked(Structure::L1T3, &[]).is_empty(), "no loss in higher picture rates lasts that long");
    }
}
