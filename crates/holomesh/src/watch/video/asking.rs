//! When a key frame is asked for, and when again.

use std::time::{Duration, Instant};

/// A key frame is asked for again after this time, and after twice as long each further time: on a narrow path it takes longer
/// than that to come, and every one that is made on top of it makes it longer still.
const ASK_AGAIN: Duration = Duration::from_millis(500);
const ASK_AGAIN_MOST: Duration = Duration::from_secs(4);
/// Without a reason to ask for so long, asking begins anew.
const ASK_ANEW: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(in crate::watch) struct Asking {
    last: Option<Instant>,
    /// How often it was asked for in a row.
    times: u32,
}

impl Asking {
    /// There is reason to ask: whether it is time to. It counts as done then.
    pub(in crate::watch) fn ask(&mut self, now: Instant) -> bool {
        let since = self.last.map(|at| now.saturating_duration_since(at));
        let ask = since.is_none_or(|since| since >= ask_again(self.times));
        if ask {
            self.times = if since.is_some_and(|since| since >= ASK_ANEW) { 1 } else { self.times + 1 };
            self.last = Some(now);
        }
        ask
    }
}

/// How long it is waited for an answer to the request of that number.
fn ask_again(times: u32) -> Duration {
    (ASK_AGAIN * 2u32.saturating_pow(times.saturating_sub(1).min(8))).min(ASK_AGAIN_MOST)
}
