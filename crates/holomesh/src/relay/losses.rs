//! What is lost behind a node, as it is told to the host (spec 30 section 5).

use core_types::MonoTime;
use std::time::Duration;

/// It is told so often at most …
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// … and again after this time while something is lost.
const TOLD_AGAIN: Duration = Duration::from_secs(5);
/// What was told counts for so long.
pub(super) const REMEMBERED: Duration = Duration::from_secs(15);

/// Of what is lost on two hops in a row, in thousandths: what the first lets through the second loses a part of.
pub(super) fn in_a_row(first: u16, second: u16) -> u16 {
    let (first, second) = (u32::from(first.min(1_000)), u32::from(second.min(1_000)));
    let both = first + (1_000 - first) * second / 1_000;
    u16::try_from(both).unwrap_or(1_000)
}

/// What the host was told last, and when.
#[derive(Debug, Default)]
pub(super) struct Told(Option<(u16, MonoTime)>);

impl Told {
    /// What is to be told now, if it is time to: when it has changed by a quarter, or still is.
    pub(super) fn due(&mut self, now: MonoTime, permille: u16) -> Option<u16> {
        let (told, since) = self.0.map_or((0, TOLD_EVERY), |(told, at)| (told, now.since(at)));
        let has_changed = permille.abs_diff(told) > told / 4;
        let lasts = permille > 0 && since >= TOLD_AGAIN;
        if since < TOLD_EVERY || !(has_changed || lasts) {
            return None;
        }
        self.0 = Some((permille, now));
        Some(permille)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_add_up_over_hops_and_never_to_more_than_all() {
        assert_eq!((in_a_row(0, 0), in_a_row(20, 0), in_a_row(0, 20)), (0, 20, 20));
        assert_eq!((in_a_row(100, 100), in_a_row(500, 500), in_a_row(u16::MAX, 7)), (190, 750, 1_000));
    }

    #[test]
    fn the_host_is_told_of_changes_once_a_second_and_of_what_lasts_now_and_then() {
        let mut told = Told::default();
        let at = MonoTime::from_millis;
        assert_eq!(told.due(at(0), 0), None, "nothing is lost, and nothing is said of it");
        assert_eq!(told.due(at(100), 20), Some(20), "news at once");
        assert_eq!(told.due(at(1_000), 400), None, "but once a second");
        assert_eq!(told.due(at(1_100), 25), None, "and no trifles");
        assert_eq!(told.due(at(1_100), 26), Some(26));
        let again = (1_200..20_000).step_by(100).filter(|ms| told.due(at(*ms), 26).is_some()).count();
        assert_eq!(again, 3, "after 5, 10 and 15 s, so that it is not forgotten");
        assert_eq!(told.due(at(20_000), 0), Some(0));
        assert!((20_100..60_000).step_by(100).all(|ms| told.due(at(ms), 0).is_none()));
    }
}
