//! When a parent that works is changed for a better one.

use core::time::Duration;
use core_types::{KeyId, MonoTime};

/// By how much a challenger has to be better: 15 %.
const BETTER_PERCENT: u64 = 115;
/// For how long it has to be.
const FOR: Duration = Duration::from_secs(5);
/// Time between two changes that nothing forced.
const BETWEEN: Duration = Duration::from_secs(10);

/// Keeps a joiner from changing parents back and forth. One for each parent or, to be slower, one for all.
///
/// A change that is not forced needs a challenger whose score was 15 % above the incumbent's for 5 s without a break, and
/// no such change in the 10 s before. Scores are any measure of which more is better. Between two calls the scores given
/// last are taken to hold. If another challenger is named, its time starts anew.
///
/// ```
/// use alm::planner::Damping;
/// use core_types::{KeyId, MonoTime};
///
/// let (mut damping, other) = (Damping::default(), KeyId([7; 32]));
/// let at = |seconds: u64| MonoTime::from_millis(seconds * 1_000);
/// assert_eq!(damping.handle_scores(at(0), 100, Some((other, 120))), None);
/// assert_eq!(damping.poll_timeout(), Some(at(5)));
/// assert_eq!(damping.handle_scores(at(5), 100, Some((other, 120))).map(|switch| switch.to), Some(other));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Damping {
    /// Who is better at present, and since when.
    leading: Option<(KeyId, MonoTime)>,
    /// The last change that nothing forced.
    last: Option<MonoTime>,
}

/// A change of parent to be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Switch {
    /// The new parent.
    pub to: KeyId,
    /// The old one is gone: there is nothing to wait for, and this does not count as a change of mind.
    pub forced: bool,
}

impl Damping {
    /// Takes the incumbent's score and that of the best other, if there is one. Says whether to change now; the caller
    /// then does, and gives the new parent's score as the incumbent's.
    pub fn handle_scores(
        &mut self,
        now: MonoTime,
        incumbent: u32,
        challenger: Option<(KeyId, u32)>,
    ) -> Option<Switch> {
        let Some((to, _)) = challenger.filter(|(_, score)| is_better(*score, incumbent)) else {
            self.leading = None;
            return None;
        };
        if self.leading.is_none_or(|(leader, _)| leader != to) {
            self.leading = Some((to, now));
        }
        if self.poll_timeout().is_none_or(|due| now < due) {
            return None;
        }
        self.leading = None;
        self.last = Some(now);
        Some(Switch { to, forced: false })
    }

    /// The incumbent is gone: `replacement` takes its place at once. This neither waits nor uses up the change that is
    /// allowed in 10 s. A challenger's time starts anew: there is another incumbent to be better than.
    pub const fn handle_loss(&mut self, replacement: Option<KeyId>) -> Option<Switch> {
        self.leading = None;
        match replacement {
            Some(to) => Some(Switch { to, forced: true }),
            None => None,
        }
    }

    /// When the present challenger may take over if it stays ahead: [`Damping::handle_scores`] wants to be called then.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        let (_, since) = self.leading?;
        let proven = since.plus(FOR);
        Some(self.last.map_or(proven, |last| proven.max(last.plus(BETWEEN))))
    }
}

fn is_better(challenger: u32, incumbent: u32) -> bool {
    challenger > incumbent && u64::from(challenger) * 100 >= u64::from(incumbent) * BETTER_PERCENT
}
