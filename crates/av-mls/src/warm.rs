//! When a member renews its keys although nobody came or went.
//!
//! A removal costs one encryption for each subtree on the committer's way to the root, if those subtrees have keys of their
//! own. Joins without a path and removals leave blanks behind, and below a blank every member costs one. A key update fills
//! in the blanks on its maker's way to the root, and makes secrets that leaked before worthless.

use crate::Member;
use core::time::Duration;

/// The smallest session whose tree is kept warm: below it a removal is cheap whatever the tree looks like.
pub const WARM_FROM: usize = 32;
/// So long nothing has to happen before somebody renews its keys.
pub const UPDATE_IDLE: Duration = Duration::from_secs(30);
/// If the one whose turn it is does not, the next one does after so long.
const TURN: Duration = Duration::from_millis(500);

impl Member {
    /// How long after the present epoch began this member is to renew its keys ([`stage_update`](Self::stage_update)), if the
    /// epoch lasts that long; `None` in a session of fewer than [`WARM_FROM`]. The turn goes round with the epochs, so that
    /// one does it at a time, without anybody to say who.
    pub fn update_due(&self) -> Option<Duration> {
        let session = self.session.as_ref()?;
        let roster = self.roster();
        if roster.len() < WARM_FROM {
            return None;
        }
        let own = session.group.own_leaf_index().u32();
        let place = roster.iter().position(|entry| entry.leaf.0 == own)? as u64;
        let size = roster.len() as u64;
        let turns = (place + size - session.epoch().0 % size) % size;
        Some(UPDATE_IDLE + TURN * u32::try_from(turns).unwrap_or(u32::MAX))
    }
}
