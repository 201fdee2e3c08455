//! When a watcher shows its pictures.

use crate::Error;
use crate::watch::{ShownPicture, Sink};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Times that are kept: more than are looked at.
const KEPT: usize = 1_024;

/// What a watcher saw of a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Pictures that it missed.
    pub(super) missed: u64,
    /// The longest time between two pictures.
    pub(super) longest: Duration,
    /// From the death to the end of the last time between two pictures that was more than one and a half of what it is.
    pub(super) back: Duration,
}

/// Notes when pictures are shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Showing(Arc<Mutex<VecDeque<Instant>>>);

impl Sink for Showing {
    fn picture(&mut self, picture: &ShownPicture<'_>) -> Result<(), Error> {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() == KEPT {
            times.pop_front();
        }
        times.push_back(picture.shown_at);
        Ok(())
    }
}

impl Showing {
    /// A picture was shown a moment ago.
    pub(super) fn is_live(&self) -> bool {
        let times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.back().is_some_and(|at| at.elapsed() < Duration::from_millis(500))
    }

    /// What was seen from `died_at` until now, of pictures that come each `interval`.
    pub(super) fn since(&self, died_at: Instant, interval: Duration, missed: u64) -> Seen {
        let times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(times.iter().copied(), (died_at, Instant::now()), interval, missed)
    }
}

fn look(
    times: impl Iterator<Item = Instant> + Clone,
    (died_at, now): (Instant, Instant),
    interval: Duration,
    missed: u64,
) -> Seen {
    let before = times.clone().take_while(|at| *at <= died_at).last().unwrap_or(died_at);
    let (mut last, mut longest, mut back) = (before, Duration::ZERO, Duration::ZERO);
    for at in times.filter(|at| *at > died_at).chain([now]) {
        let gap = at.saturating_duration_since(last);
        if gap > interval * 3 / 2 {
            back = at.saturating_duration_since(died_at);
        }
        longest = longest.max(gap);
        last = at;
    }
    Seen { missed, longest, back }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_count_from_the_picture_before_the_death_to_now() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let ms = Duration::from_millis;
        let seen = |times: &[u64], now| look(times.iter().map(|ms| at(*ms)), (at(100), at(now)), ms(40), 0);
        let steady: Vec<u64> = (0..20).map(|n| n * 40).collect();
        assert_eq!(seen(&steady, 770), Seen { missed: 0, longest: ms(40), back: ms(0) });
        // One came late, and the next in time.
        assert_eq!(seen(&[40, 80, 180, 200, 240], 250), Seen { missed: 0, longest: ms(100), back: ms(80) });
        // Nothing comes any more.
        assert_eq!(seen(&[40, 80, 120], 900), Seen { missed: 0, longest: ms(780), back: ms(800) });
        assert_eq!(seen(&[], 900), Seen { missed: 0, longest: ms(800), back: ms(800) });
    }
}
