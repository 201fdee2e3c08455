//! When layers above the lowest resolution or quality can be taken up again.

use codec_av1::Structure;
use std::time::Duration;

/// Who lost something of such a layer has the layers below until then, and nobody has to ask.
const EVERY: Duration = Duration::from_secs(1);

/// Asks for switch points where a loss would last until the next key frame: what is of temporal layer 0 above the lowest resolution or quality
/// is taken up at those alone.
///
/// On the clip of the demo at 700 kbit/s one each second costs 0.1 dB of two qualities, 1.2 dB of two resolutions, and 1.9 dB of L3T3. So
/// resolutions have them only while losses are reported.
#[derive(Debug)]
pub(super) struct SwitchPoints {
    /// In pictures; none where there is nothing to take up.
    every: Option<u32>,
    /// Pictures until the order of the temporal layers begins anew.
    turn: u32,
    /// Whether they are cheap enough to be there in any case.
    always: bool,
    since: u32,
}

impl SwitchPoints {
    pub(super) fn new(layers: Structure, interval: Duration) -> Self {
        let turn = 1u32 << (layers.temporal() - 1);
        let pictures = (EVERY.as_secs_f64() / interval.as_secs_f64().max(1e-6)).ceil() as u32;
        let every = (layers.spatial() > 1 || layers.quality() > 1).then_some(pictures.max(1));
        Self { every, turn, always: layers.quality() > 1, since: 0 }
    }

    /// A picture is about to be encoded, as a key frame or not, while losses are reported or not. True if it is to be a switch point of all
    /// layers.
    pub(super) fn handle_frame(&mut self, is_key_frame: bool, is_lossy: bool) -> bool {
        let Some(every) = self.every else { return false };
        let is_wanted = self.since >= every && (is_lossy || self.always);
        let is_due = is_wanted && self.since.is_multiple_of(self.turn) && !is_key_frame;
        self.since = if is_due || is_key_frame { 1 } else { self.since.saturating_add(1) };
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(layers: Structure, keys: &[u32], lossy: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut points = SwitchPoints::new(layers, Duration::from_millis(40));
        (0..120).filter(|n| points.handle_frame(keys.contains(n), lossy(*n))).collect()
    }

    #[test]
    fn upper_layers_can_be_taken_up_each_second_and_between_turns_of_the_picture_rates() {
        assert_eq!(asked(Structure::L2T1, &[], |_| true), [25, 50, 75, 100]);
        assert_eq!(asked(Structure::L3T3, &[], |_| true), [28, 56, 84, 112]);
        assert_eq!(
            asked(Structure::L2T1, &[0, 30], |_| true),
            [25, 55, 80, 105],
            "a key frame is one by itself"
        );
        assert!(
            asked(Structure::L1T3, &[], |_| true).is_empty(),
            "losses in picture rates do not last that long"
        );
    }

    #[test]
    fn resolutions_have_switch_points_while_something_is_lost_and_qualities_always() {
        assert!(asked(Structure::L2T1, &[], |_| false).is_empty());
        assert_eq!(asked(Structure::L1T1Q2, &[], |_| false), [25, 50, 75, 100]);
        // The first one comes as soon as losses are reported.
        assert_eq!(asked(Structure::L2T1, &[], |n| (40..70).contains(&n)), [40, 65]);
        assert_eq!(asked(Structure::L3T3, &[], |n| (41..70).contains(&n)), [44]);
    }
}
