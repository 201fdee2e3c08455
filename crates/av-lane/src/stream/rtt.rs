//! How long an acknowledgement takes, and how long to wait for one (RFC 6298).

use core::time::Duration;

/// Without a measurement.
const FIRST: Duration = Duration::from_millis(500);
/// Never less: a peer may look for what has come every 50 ms alone.
const LEAST: Duration = Duration::from_millis(100);
/// Never more, with back-off: a path that is back after a while is noticed.
const MOST: Duration = Duration::from_secs(2);
/// The clock's grain in RFC 6298.
const GRAIN: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
    /// Time-outs in a row.
    backoff: u32,
}

impl Rtt {
    pub(super) const fn new() -> Self {
        Self { smoothed: None, variation: Duration::ZERO, backoff: 0 }
    }

    /// The time from a packet that was sent once to its acknowledgement.
    pub(super) fn sample(&mut self, rtt: Duration) {
        let Some(smoothed) = self.smoothed else {
            (self.smoothed, self.variation) = (Some(rtt), rtt / 2);
            return;
        };
        self.variation = (self.variation * 3 + smoothed.abs_diff(rtt)) / 4;
        self.smoothed = Some((smoothed * 7 + rtt) / 8);
    }

    /// A packet that is so much older than one that has come was lost, and not overtaken (RFC 9002 section 6.1.2).
    pub(super) fn overtaken(&self) -> Duration {
        (self.smoothed.unwrap_or(FIRST) * 9 / 8).max(GRAIN)
    }

    /// How long to wait for an acknowledgement.
    pub(super) fn timeout(&self) -> Duration {
        let known = self.smoothed.map(|smoothed| smoothed + (self.variation * 4).max(GRAIN));
        let timeout = known.unwrap_or(FIRST).clamp(LEAST, MOST);
        (timeout * 2u32.saturating_pow(self.backoff.min(8))).min(MOST)
    }

    /// None came in that time.
    pub(super) const fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// Something came.
    pub(super) const fn answered(&mut self) {
        self.backoff = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_wait_follows_what_is_measured_and_doubles_without_an_answer() {
        let mut rtt = Rtt::new();
        assert_eq!(rtt.timeout(), ms(500));
        rtt.sample(ms(80));
        assert_eq!(rtt.timeout(), ms(80 + 4 * 40));
        for _ in 0..40 {
            rtt.sample(ms(80));
        }
        assert!((ms(90)..=ms(100)).contains(&rtt.timeout()), "{:?}", rtt.timeout());
        rtt.sample(ms(200));
        assert!(rtt.timeout() > ms(200), "what varies is waited for: {:?}", rtt.timeout());
        let before = rtt.timeout();
        rtt.back_off();
        assert_eq!(rtt.timeout(), before * 2);
        for _ in 0..20 {
            rtt.back_off();
        }
        assert_eq!(rtt.timeout(), MOST);
        rtt.answered();
        assert_eq!(rtt.timeout(), before);
    }
}
