//! When a link is offered another lane after one has failed.

use core_types::{LinkId, MonoTime};
use std::collections::BTreeMap;
use std::time::Duration;

/// A lane that failed is offered again after this time, and after twice as long each further time.
const FIRST: Duration = Duration::from_secs(5);
const MOST: Duration = Duration::from_secs(300);
/// After a lane that worked for so long, what failed before is forgotten.
const STEADY: Duration = Duration::from_secs(60);

/// How it went with one link's lanes.
#[derive(Debug, Clone, Copy, Default)]
struct Retry {
    failures: u32,
    /// Since when one works.
    since: Option<MonoTime>,
    /// When to offer another one; `None` while one works.
    at: Option<MonoTime>,
}

/// The links whose lanes this node asks for, once there was one.
#[derive(Debug, Default)]
pub(super) struct Retries(BTreeMap<LinkId, Retry>);

impl Retries {
    /// A link's lane works: there is nothing to offer.
    pub(super) fn works(&mut self, now: MonoTime, link: LinkId) {
        let retry = self.0.entry(link).or_default();
        (retry.since, retry.at) = (Some(now), None);
    }

    /// A link's lane has ended: another one is to be offered, less often each time.
    pub(super) fn ended(&mut self, now: MonoTime, link: LinkId) {
        let retry = self.0.entry(link).or_default();
        if retry.since.take().is_some_and(|since| now.since(since) >= STEADY) {
            retry.failures = 0;
        }
        let pause = (FIRST * 2u32.saturating_pow(retry.failures.min(8))).min(MOST);
        retry.failures = retry.failures.saturating_add(1);
        retry.at = Some(now.plus(pause));
    }

    /// Links that are due. One whose offer nobody takes up is due again after the longest time.
    pub(super) fn due(&mut self, now: MonoTime) -> Vec<LinkId> {
        let mut due = Vec::new();
        for (link, retry) in &mut self.0 {
            if retry.at.is_some_and(|at| at <= now) {
                retry.at = Some(now.plus(MOST));
                due.push(*link);
            }
        }
        due
    }

    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        self.0.values().filter_map(|retry| retry.at).min()
    }

    /// Links of which something is remembered.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn forget(&mut self, link: LinkId) {
        self.0.remove(&link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: LinkId = LinkId(3);
    const T0: MonoTime = MonoTime(1_000_000);

    /// Seconds after `now` until another lane is offered.
    fn pause(retries: &Retries, now: MonoTime) -> u64 {
        retries.poll_timeout().unwrap().since(now).as_secs()
    }

    #[test]
    fn lanes_that_fail_are_offered_ever_less_often() {
        let (mut retries, mut now) = (Retries::default(), T0);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            retries.ended(now, LINK);
            pauses.push(pause(&retries, now));
            now = retries.poll_timeout().unwrap();
            assert_eq!(retries.due(now), [LINK]);
            assert!(retries.due(now).is_empty(), "once");
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pause(&retries, now), 300, "nobody took the offer up");
        retries.forget(LINK);
        assert_eq!(retries.poll_timeout(), None);
    }

    #[test]
    fn a_lane_that_works_is_left_alone_and_makes_good_for_those_before_it() {
        let mut retries = Retries::default();
        for _ in 0..6 {
            retries.ended(T0, LINK);
        }
        let day = T0.plus(Duration::from_secs(86_400));
        retries.works(T0, LINK);
        assert_eq!(retries.poll_timeout(), None);
        assert!(retries.due(day).is_empty());
        retries.ended(day, LINK);
        assert_eq!(pause(&retries, day), 5);
        // One that works for a moment is no better than one that does not.
        retries.works(day, LINK);
        retries.ended(day.plus(STEADY / 2), LINK);
        assert_eq!(pause(&retries, day.plus(STEADY / 2)), 10);
    }
}
