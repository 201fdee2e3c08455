//! Commits by which nobody comes or goes: members renew their keys in turn, and come back when they lost the thread.

use super::{Authority, Committed};
use crate::Error;
use av_mls::CommitKind;
use core_types::{Epoch, LinkId};
use std::time::Instant;

impl Authority {
    /// Where the group is, for a member that lost the thread.
    pub(in crate::session) fn group_info(&self, link: LinkId) -> Result<Vec<u8>, String> {
        if !self.is_member(link) {
            return Err("join first".into());
        }
        self.member.group_info().map_err(|e| e.to_string())
    }

    /// A member comes back by an external commit, or renews its keys. `None` while another epoch change is under way, or when
    /// one came first: the member tries again. The word is what happened.
    ///
    /// # Errors
    /// A sentence for the peer.
    pub(in crate::session) fn member_commit(
        &mut self,
        now: Instant,
        link: LinkId,
        commit: &[u8],
    ) -> Result<Option<(&'static str, Committed)>, String> {
        if !self.is_member(link) {
            return Err("join first".into());
        }
        if self.switch.is_some() {
            return Ok(None);
        }
        let hash = match self.member.verify_commit(commit) {
            Ok(hash) => hash,
            Err(av_mls::Error::StaleCommit { .. }) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let outcome = self.member.accept_commit(hash).map_err(|e| e.to_string())?;
        let kind = if outcome.kind == CommitKind::Rejoin { "rejoined" } else { "renewed" };
        let committed = self.same_roster(outcome.epoch, commit.to_vec());
        self.remember(commit);
        self.begin_switch(now, outcome.epoch).map_err(|e| e.to_string())?;
        Ok(Some((kind, committed)))
    }

    /// The host's own turn to renew its keys: nothing else is under way then.
    ///
    /// # Errors
    /// [`Error::Group`].
    pub(in crate::session) fn renew_due(&mut self, now: Instant) -> Result<Option<Committed>, Error> {
        if !self.is_settled() || self.renew_at().is_none_or(|at| now < at) {
            return Ok(None);
        }
        let staged = self.member.stage_update()?;
        self.member.merge_staged()?;
        self.remember(&staged.commit);
        self.begin_switch(now, staged.epoch)?;
        Ok(Some(self.same_roster(staged.epoch, staged.commit)))
    }

    /// A commit by which nobody comes or goes. It goes back to its maker too: that is how a member learns that its own holds.
    fn same_roster(&self, epoch: Epoch, commit: Vec<u8>) -> Committed {
        Committed {
            epoch,
            commit,
            welcome: Vec::new(),
            tree: None,
            added: Vec::new(),
            informed: self.links.values().copied().collect(),
            removed: Vec::new(),
            removed_links: Vec::new(),
        }
    }

    /// When the host renews its keys, if nothing else does before.
    pub(super) fn renew_at(&self) -> Option<Instant> {
        self.epoch_since.zip(self.member.update_due()).map(|(since, after)| since + after)
    }
}
