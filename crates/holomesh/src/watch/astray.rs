//! Numbers and times that are out of all relation to what came so far: anybody who has the group's keys can make one up, and one alone
//! moves nothing.

use core::time::Duration;
use core_types::MediaTime;
use std::time::Instant;

/// So many in a row that agree are right, and what was taken for right before is wrong.
const AGREEMENT: u32 = 3;

/// How two that came are to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// Of the same picture, which counts once.
    Same,
    /// They can both be right.
    Agree,
    /// They can't.
    Differ,
}

/// The last one that was astray, and how many in a row agree with it.
#[derive(Debug)]
struct Strays<T>(Option<(T, u32)>);

impl<T> Default for Strays<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Copy> Strays<T> {
    /// One came that is where it was expected: those before it stood alone.
    const fn clear(&mut self) {
        self.0 = None;
    }

    /// One came that is astray. True if enough in a row agree by now.
    fn agree(&mut self, stray: T, relation: impl FnOnce(T) -> Relation) -> bool {
        let count = match self.0 {
            Some((last, count)) => match relation(last) {
                Relation::Same => count,
                Relation::Agree => count + 1,
                Relation::Differ => 1,
            },
            None => 1,
        };
        self.0 = (count < AGREEMENT).then_some((stray, count));
        count >= AGREEMENT
    }
}

/// Where a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Where numbers are.
    Near,
    /// Before what is expected, and not needed any more.
    Past,
    /// Out of all relation; to be left out.
    Astray,
    /// Out of all relation, as those right before it: numbers are there now.
    Elsewhere,
}

/// Tells which numbers of pictures can be right.
#[derive(Debug)]
pub(super) struct Numbers {
    /// So far ahead a number can be by loss. After more than that there is nothing left to go on from.
    ahead: u64,
    /// So far back it can be since it is late: replayed or repaired.
    behind: u64,
    strays: Strays<u64>,
}

impl Numbers {
    /// Further than from one key frame to the next.
    const AHEAD: Duration = Duration::from_secs(10);
    /// Where few come each second.
    const LEAST_AHEAD: u64 = 256;

    /// Of pictures that come so often.
    pub(super) fn new(interval: Duration) -> Self {
        let ahead = Self::AHEAD.as_micros() / interval.as_micros().max(1);
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX).max(Self::LEAST_AHEAD);
        Self { ahead, behind: ahead.saturating_mul(4), strays: Strays::default() }
    }

    /// The last number that can be right where this one is.
    pub(super) const fn last_from(&self, number: u64) -> u64 {
        number.saturating_add(self.ahead)
    }

    /// A picture of that number came where `expected` is the next one, if one is.
    pub(super) fn place(&mut self, expected: Option<u64>, number: u64) -> Place {
        let expected = expected.unwrap_or(number);
        if number <= self.last_from(expected) && expected.saturating_sub(number) <= self.behind {
            self.strays.clear();
            return if number < expected { Place::Past } else { Place::Near };
        }
        let ahead = self.ahead;
        let agree = self.strays.agree(number, |last| match last.abs_diff(number) {
            0 => Relation::Same,
            apart if apart <= ahead => Relation::Agree,
            _ => Relation::Differ,
        });
        if agree { Place::Elsewhere } else { Place::Astray }
    }
}

/// Tells which times can be right, by when media time 0 was as each of them has it.
#[derive(Debug, Default)]
pub(super) struct Times(Strays<(Instant, MediaTime)>);

impl Times {
    /// So much quicker than all before can one have come.
    const QUICKER: Duration = Duration::from_millis(100);
    /// So much slower than the quickest.
    const SLOWER: Duration = Duration::from_secs(2);
    /// So far apart are times that agree.
    const APART: Duration = Duration::from_secs(1);

    /// One came with a time, by which media time 0 was at `zero` and not at `base`.
    pub(super) fn place(&mut self, base: Instant, zero: Instant, pts: MediaTime) -> Place {
        let quicker = base.saturating_duration_since(zero);
        let slower = zero.saturating_duration_since(base);
        if quicker <= Self::QUICKER && slower <= Self::SLOWER {
            self.0.clear();
            return Place::Near;
        }
        let agree = self.0.agree((zero, pts), |(last, last_pts)| {
            let apart = last.saturating_duration_since(zero).max(zero.saturating_duration_since(last));
            if pts == last_pts {
                Relation::Same
            } else if apart <= Self::APART {
                Relation::Agree
            } else {
                Relation::Differ
            }
        });
        if agree { Place::Elsewhere } else { Place::Astray }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of pictures that come 25 times each second.
    fn numbers() -> Numbers {
        Numbers::new(Duration::from_millis(40))
    }

    #[test]
    fn one_number_far_away_stands_alone_and_three_that_agree_do_not() {
        let mut numbers = numbers();
        assert_eq!(numbers.place(None, 1 << 60), Place::Near, "where nothing is expected");
        for far in [1 << 60, 100 + 256 + 1] {
            assert_eq!(numbers.place(Some(100), far), Place::Astray);
            assert_eq!(numbers.place(Some(100), far), Place::Astray);
            assert_eq!(numbers.place(Some(100), far), Place::Astray, "one picture, however often it comes");
            assert_eq!(numbers.place(Some(100), far + 1), Place::Astray);
            assert_eq!(numbers.place(Some(100), 100), Place::Near);
            assert_eq!(numbers.place(Some(101), far + 2), Place::Astray);
            assert_eq!(numbers.place(Some(101), far + 4), Place::Astray);
            assert_eq!(numbers.place(Some(101), far + 3), Place::Elsewhere);
        }
        assert_eq!(numbers.place(Some(100), 100 + 256), Place::Near);
        assert_eq!(numbers.place(Some(5_000), 5_000 - 1_024), Place::Past);
        assert_eq!(numbers.place(Some(100), 400), Place::Astray);
        let many = Duration::from_micros(16_667);
        assert_eq!(Numbers::new(many).place(Some(100), 400), Place::Near, "five seconds of them");
        // Who was led astray comes back.
        let back = [7, 8, 9].map(|number| numbers.place(Some(5_000), number));
        assert_eq!(back, [Place::Astray, Place::Astray, Place::Elsewhere]);
    }

    #[test]
    fn a_time_far_away_stands_alone_and_three_that_agree_do_not() {
        let mut times = Times::default();
        let base = Instant::now() + Duration::from_secs(9_000);
        let ms = Duration::from_millis;
        let mut place = |zero, pts: u64| times.place(base, zero, MediaTime(pts));
        for far in [base - ms(3_600_000), base - ms(110), base + ms(2_001), base + ms(3_600_000)] {
            assert_eq!(place(far, 40), Place::Astray);
            assert_eq!(place(far + ms(1), 40), Place::Astray);
            assert_eq!(place(far + ms(2), 40), Place::Astray, "objects of one picture");
            assert_eq!(place(far + ms(3), 80), Place::Astray);
            assert_eq!(place(base + ms(1), 120), Place::Near);
            let again = [160, 200, 240].map(|pts| place(far, pts));
            assert_eq!(again, [Place::Astray, Place::Astray, Place::Elsewhere]);
        }
        assert_eq!(place(base - ms(100), 280), Place::Near);
        assert_eq!(place(base + ms(2_000), 320), Place::Near);
    }

    proptest! {
        /// What one or two make up among those that are right changes nothing, wherever it is.
        #[test]
        fn numbers_that_are_right_stay_so_whatever_comes_between(
            made_up in proptest::collection::vec((0usize..200, any::<u64>()), 0..60),
            first in 2_000u64..1 << 40,
        ) {
            let mut numbers = numbers();
            for at in 0..200usize {
                let next = first + at as u64;
                for (_, number) in made_up.iter().filter(|(between, _)| *between == at).take(2) {
                    prop_assert_ne!(numbers.place(Some(next), *number), Place::Elsewhere);
                }
                prop_assert_eq!(numbers.place(Some(next), next), Place::Near);
            }
        }

        /// From wherever it was led to, it comes back with three pictures.
        #[test]
        fn three_in_a_row_always_lead_back(led_to in any::<u64>(), right in 0u64..1 << 62, before in any::<u64>()) {
            prop_assume!(right > led_to.saturating_add(1_030) || led_to > right.saturating_add(1_030));
            prop_assume!(before.abs_diff(right) > 1_030);
            let mut numbers = numbers();
            numbers.place(Some(led_to), before);
            let places = [right, right + 1, right + 2].map(|number| numbers.place(Some(led_to), number));
            prop_assert_eq!(places, [Place::Astray, Place::Astray, Place::Elsewhere]);
        }
    }
}
