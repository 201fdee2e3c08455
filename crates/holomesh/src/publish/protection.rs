//! How much sound is protected: as the losses ask that receivers report (spec 62 section 5).

use codec_fountain::Pace;
use core_types::MonoTime;
use std::time::Duration;

/// The most loss that was reported holds so long …
const HOLD: Duration = Duration::from_secs(10);
/// … and what is above the last report is halved in each of the next times.
const HALVED_IN: Duration = Duration::from_secs(5);
const HOLD_MICROS: u64 = HOLD.as_micros() as u64;
/// In thousandths: from here on half as many units as objects, from there one with each, from there three with two.
const HALF: u16 = 5;
const EACH: u16 = 20;
const FAST: u16 = 100;

/// How sound is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// Units of repair.
    pub pace: Pace,
    /// What the encoder is to expect to be lost, in percent; 0 where it should spend nothing on that.
    pub expected_loss: u8,
}

/// Follows the losses: up at once, down slowly. Never below what lets any one parent fail.
///
/// Units cost bytes and nothing else, so there are some from the first losses on. What the encoder says of the past costs the quality of
/// the present, so it begins where units leave gaps that are heard.
#[derive(Debug, Clone)]
pub struct SoundProtection {
    floor: Pace,
    /// In thousandths, as reported last.
    reported: u16,
    /// The loss from which it goes down, in thousandths, and since when that holds.
    peak: (f64, MonoTime),
}

impl SoundProtection {
    /// The encoder never is to expect more, in percent: beyond it, its redundancy takes what the present needs.
    pub const MOST_EXPECTED: u8 = 20;

    /// For a stream that is dealt out over so many parents, 1 to 16, while no loss is known.
    pub fn new(parents: u8) -> Self {
        // One parent takes every so manieth packet with it, and the units in that. One unit with each P − 1 packets would be as many as are
        // needed, and come too late: proofs between packets shift which parent has which, and a unit that is lost is waited for.
        let floor = match parents {
            0 | 1 => Pace::OFF,
            2 => Pace::new(2, 1).unwrap_or(Pace::FAST),
            3..=7 => Pace::EACH,
            _ => Pace::HALF,
        };
        Self { floor, reported: 0, peak: (0.0, MonoTime(0)) }
    }

    /// Units while nothing is lost.
    pub const fn floor(&self) -> Pace {
        self.floor
    }

    /// Takes the loss that the worst receiver reports now, in thousandths, and gives what is to be done.
    pub fn handle_loss(&mut self, now: MonoTime, permille: u16) -> Protection {
        let reported = permille.min(1_000);
        let level = self.level(now);
        if f64::from(reported) >= level {
            self.peak = (reported.into(), now);
        } else if now.since(self.peak.1) >= HOLD {
            // It goes on from where it is, to the new report.
            self.peak = (level, MonoTime(now.0.saturating_sub(HOLD_MICROS)));
        }
        self.reported = reported;
        self.protection(now)
    }

    /// What is to be done now.
    pub fn protection(&self, now: MonoTime) -> Protection {
        // At most 1,000.
        let level = self.level(now) as u16;
        let asked = match level {
            FAST.. => Pace::FAST,
            EACH.. => Pace::EACH,
            HALF.. => Pace::HALF,
            _ => Pace::OFF,
        };
        let pace = if asked.permille() > self.floor.permille() { asked } else { self.floor };
        let percent = u8::try_from(level.div_ceil(10)).unwrap_or(u8::MAX).min(Self::MOST_EXPECTED);
        Protection { pace, expected_loss: if level >= EACH { percent } else { 0 } }
    }

    /// The loss to be prepared for, in thousandths: at least what was reported last, and at most the peak.
    fn level(&self, now: MonoTime) -> f64 {
        let (peak, at) = self.peak;
        let falling = now.since(at).saturating_sub(HOLD);
        let halvings = falling.as_secs_f64() / HALVED_IN.as_secs_f64();
        let reported = f64::from(self.reported);
        reported + (peak - reported).max(0.0) * (-halvings).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_millis(seconds * 1_000)
    }

    #[test]
    fn without_loss_nothing_is_spent_but_what_lets_a_parent_fail() {
        for (parents, floor) in [
            (0, Pace::OFF),
            (1, Pace::OFF),
            (2, Pace::new(2, 1).unwrap()),
            (3, Pace::EACH),
            (7, Pace::EACH),
            (8, Pace::HALF),
            (16, Pace::HALF),
        ] {
            let mut protection = SoundProtection::new(parents);
            let none = Protection { pace: floor, expected_loss: 0 };
            assert_eq!(protection.protection(at(0)), none);
            assert_eq!(protection.handle_loss(at(9), 0), none);
            assert_eq!(protection.handle_loss(at(9), 4), none, "too little to be heard");
        }
    }

    #[test]
    fn units_come_with_the_first_losses_and_the_encoder_joins_in_when_there_are_more() {
        let of = |permille| SoundProtection::new(1).handle_loss(at(1), permille);
        for (permille, pace, expected_loss) in [
            (5, Pace::HALF, 0),
            (19, Pace::HALF, 0),
            (20, Pace::EACH, 2),
            (51, Pace::EACH, 6),
            (99, Pace::EACH, 10),
            (100, Pace::FAST, 10),
            (300, Pace::FAST, 20),
            (u16::MAX, Pace::FAST, 20),
        ] {
            assert_eq!(of(permille), Protection { pace, expected_loss }, "{permille}");
        }
        for permille in [5, 300] {
            let two = SoundProtection::new(2).handle_loss(at(1), permille);
            assert_eq!(two.pace, Pace::new(2, 1).unwrap(), "never less than without loss");
        }
    }

    #[test]
    fn it_is_up_at_once_and_comes_down_slowly_and_all_the_way() {
        let mut protection = SoundProtection::new(1);
        let none = protection.handle_loss(at(1), 0);
        let full = Protection { pace: Pace::EACH, expected_loss: 8 };
        assert_eq!(protection.handle_loss(at(2), 80), full);
        for second in 3..=12 {
            assert_eq!(protection.handle_loss(at(second), 0), full, "held after {second} s");
        }
        assert_eq!(protection.handle_loss(at(17), 0), Protection { pace: Pace::EACH, expected_loss: 4 });
        assert_eq!(protection.handle_loss(at(21), 0), Protection { pace: Pace::EACH, expected_loss: 3 });
        assert_eq!(protection.handle_loss(at(27), 0), Protection { pace: Pace::HALF, expected_loss: 0 });
        assert_eq!(protection.handle_loss(at(40), 0), none);
        // It never goes below what is reported, and from there slowly too.
        protection.handle_loss(at(50), 80);
        for second in 51..=500 {
            protection.handle_loss(at(second), 30);
        }
        let lasting = Protection { pace: Pace::EACH, expected_loss: 3 };
        assert_eq!(protection.protection(at(500)), lasting);
        assert_eq!(protection.handle_loss(at(501), 0), Protection { expected_loss: 3, ..lasting });
        assert_eq!(protection.handle_loss(at(506), 0), Protection { pace: Pace::HALF, expected_loss: 0 });
    }

    proptest! {
        /// Whatever is reported: never less than the floor asks for, nor than the last report; never more than the most reported in the
        /// last minute, and nothing is left of that two minutes later.
        #[test]
        fn what_is_done_is_between_the_last_report_and_the_highest(
            parents in 0u8..=16,
            reports in prop::collection::vec((0u64..5_000, prop_oneof![Just(0u16), 0u16..50, 0u16..1_500]), 1..200),
        ) {
            let mut protection = SoundProtection::new(parents);
            let floor = SoundProtection::new(parents).protection(MonoTime(0)).pace;
            let (mut now, mut highest) = (MonoTime(0), 0);
            for (ms, permille) in reports {
                now = now.plus(Duration::from_millis(ms));
                highest = highest.max(permille);
                let done = protection.handle_loss(now, permille);
                let only = SoundProtection::new(parents).handle_loss(now, permille);
                let most = SoundProtection::new(parents).handle_loss(now, highest);
                prop_assert!(done.pace.permille() >= floor.permille().max(only.pace.permille()));
                prop_assert!(done.pace.permille() <= most.pace.permille());
                prop_assert!((only.expected_loss..=most.expected_loss).contains(&done.expected_loss));
                prop_assert!(done.expected_loss <= SoundProtection::MOST_EXPECTED);
            }
            protection.handle_loss(now, 0);
            let later = protection.protection(now.plus(Duration::from_secs(120)));
            prop_assert_eq!(later, Protection { pace: floor, expected_loss: 0 });
        }
    }
}
