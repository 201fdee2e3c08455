//! What the path is known to carry at most.
//!
//! Who has little to send may send it as it comes, faster than the path was ever seen to deliver: nothing says that it does
//! not carry more. When a queue has stood, something does. On a path that takes hardly more than there is to send, a burst
//! at several times its rate fills the queue, and what comes behind is late.

use core::time::Duration;
use core_types::MonoTime;

/// So much above the ceiling at first: what a probe sends.
const MARGIN: f64 = 1.25;
/// The ceiling goes up by as much each so long after it was last touched: the path may have become wider.
const RISE: Duration = Duration::from_secs(4);
/// When it is forgotten.
const FORGET: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ceiling {
    /// Bytes per second, and when a queue last stood.
    touched: Option<(f64, MonoTime)>,
}

impl Ceiling {
    /// A rate was measured; `stands` when a queue stood meanwhile.
    pub(crate) fn on_rate(&mut self, now: MonoTime, rate: f64, stands: bool) {
        if stands {
            self.touched = Some((rate, now));
        } else if let Some((known, _)) = &mut self.touched {
            *known = known.max(rate);
        }
    }

    /// Bytes per second at which may be sent as it comes.
    pub(crate) fn limit(&self, now: MonoTime) -> f64 {
        match self.touched {
            Some((rate, at)) if now.since(at) < FORGET => {
                rate * MARGIN.powf(1.0 + now.since(at).as_secs_f64() / RISE.as_secs_f64())
            }
            _ => f64::INFINITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_sets_it_more_raises_it_and_time_lifts_it() {
        let at = |seconds: u64| MonoTime::from_millis(seconds * 1_000);
        let mut ceiling = Ceiling::default();
        ceiling.on_rate(at(0), 500.0, false);
        assert_eq!(ceiling.limit(at(0)), f64::INFINITY, "nothing says that the path does not carry more");
        ceiling.on_rate(at(1), 1_000.0, true);
        ceiling.on_rate(at(1), 300.0, false);
        assert_eq!(ceiling.limit(at(1)), 1_250.0);
        ceiling.on_rate(at(1), 1_200.0, false);
        assert_eq!(ceiling.limit(at(1)), 1_500.0);
        assert_eq!(ceiling.limit(at(5)), 1_500.0 * MARGIN);
        ceiling.on_rate(at(6), 800.0, true);
        assert_eq!(ceiling.limit(at(6)), 1_000.0);
        assert_eq!(ceiling.limit(at(66)), f64::INFINITY);
    }
}
