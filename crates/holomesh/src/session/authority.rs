//! Who is in the session: joins and leaves become commits, and a new epoch's key is in place with every member before
//! the first chunk is sealed under it.

use crate::Error;
use av_mls::{Batcher, CommitKind, EpochSecret, Member, SignedKeyPackage, StateStore};
use core_types::{Epoch, KeyId, LeafIndex, LinkId, MonoTime, SessionId};
use identity::Identity;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A member that has not said by then that it has the new key is not waited for.
const READY_TIMEOUT: Duration = Duration::from_millis(500);

/// A commit that was made and merged here; the host is the session's sequencer, so making it is accepting it.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) epoch: Epoch,
    pub(super) commit: Vec<u8>,
    pub(super) welcome: Vec<u8>,
    /// Goes with the welcome in a large session.
    pub(super) tree: Option<Vec<u8>>,
    /// Links of those who come in and get the welcome.
    pub(super) added: Vec<(LinkId, KeyId)>,
    /// Links of those who were in already, and of those who go: they get the commit.
    pub(super) informed: Vec<LinkId>,
    pub(super) removed: Vec<KeyId>,
    pub(super) removed_links: Vec<LinkId>,
}

/// An epoch that members are getting ready for.
struct Switch {
    epoch: Epoch,
    secret: EpochSecret,
    waiting: BTreeSet<LinkId>,
    deadline: Instant,
}

/// The host's part in the group.
pub(super) struct Authority {
    member: Member,
    links: BTreeMap<KeyId, LinkId>,
    waiting: Batcher<LinkId>,
    refused: Vec<(LinkId, String)>,
    /// Where the batcher's time begins.
    origin: Option<Instant>,
    switch: Option<Switch>,
    /// When the present epoch began here.
    epoch_since: Option<Instant>,
}

impl Authority {
    /// Hosts `session`; with a store that knows it already, goes on with it. Who was in it then has to go: their links are
    /// gone, and they come back as joiners.
    pub(super) fn open(
        identity: &Identity,
        session: SessionId,
        store: Box<dyn StateStore>,
    ) -> Result<Self, Error> {
        let mut member = Member::open(identity, crate::random::generator()?, store)?;
        match member.session() {
            Some(known) if known == session => {
                if member.is_staged() {
                    // It was stopped between staging and sending.
                    member.discard_staged()?;
                }
                let gone: Vec<KeyId> = member
                    .roster()
                    .iter()
                    .map(|e| e.key_id)
                    .filter(|who| *who != identity.key_id())
                    .collect();
                if !gone.is_empty() {
                    let _nobody_hears_it = member.stage_change(Vec::new(), &gone)?;
                    member.merge_staged()?;
                }
            }
            Some(_) => {
                return Err(Error::input("--state", "it holds another session; use another directory"));
            }
            None => {
                member.create(session)?;
            }
        }
        Ok(Self {
            member,
            links: BTreeMap::new(),
            waiting: Batcher::new(),
            refused: Vec::new(),
            origin: None,
            switch: None,
            epoch_since: None,
        })
    }

    /// In memory alone.
    #[cfg(test)]
    pub(super) fn new(identity: &Identity, session: SessionId) -> Result<Self, Error> {
        Self::open(identity, session, Box::new(av_mls::MemoryStore::default()))
    }

    /// Takes a join request. The key package must be the peer's own: signed by the identity that the link proved.
    ///
    /// # Errors
    /// A sentence for the peer.
    pub(super) fn join(
        &mut self,
        now: Instant,
        link: LinkId,
        peer: KeyId,
        package: &[u8],
    ) -> Result<(), String> {
        let package = SignedKeyPackage::from_bytes(package)
            .and_then(|p| p.verify())
            .map_err(|e| format!("key package: {e}"))?;
        if package.key_id() != peer {
            return Err("the key package belongs to somebody else".into());
        }
        if self.links.contains_key(&peer) || self.waiting.is_joining(peer) {
            return Err(
                "this identity is in the session already; leave there first, or wait until it is gone".into(),
            );
        }
        let now = self.time(now);
        self.waiting.join(now, link, package).map_err(|e| e.to_string())
    }

    /// Joiners whose key package could not be added, and why.
    pub(super) fn take_refused(&mut self) -> Vec<(LinkId, String)> {
        std::mem::take(&mut self.refused)
    }

    /// A link is gone: its member leaves, or its join request is taken back. Returns the member.
    pub(super) fn link_down(&mut self, now: Instant, link: LinkId) -> Option<KeyId> {
        self.waiting.withdraw(|l, _| *l == link);
        let who = self.member_at(link)?;
        self.leave(now, who);
        Some(who)
    }

    /// Takes a member out, or a join request back.
    pub(super) fn leave(&mut self, now: Instant, who: KeyId) -> bool {
        self.waiting.withdraw(|_, joiner| joiner == who);
        let is_member = self.links.contains_key(&who);
        if is_member {
            let now = self.time(now);
            self.waiting.remove(now, who);
        }
        is_member
    }

    /// A member's own wish to go, in its own hand: whoever is at the other end of its link can't say so in its name.
    ///
    /// # Errors
    /// A sentence for the peer.
    pub(super) fn leave_by_request(
        &mut self,
        now: Instant,
        peer: KeyId,
        request: &[u8],
    ) -> Result<(), String> {
        if self.links.contains_key(&peer) {
            let who = self.member.check_leave_request(request).map_err(|e| e.to_string())?;
            if who != peer {
                return Err("the leave request is another member's".into());
            }
        }
        self.leave(now, peer);
        Ok(())
    }

    /// Where the group is, for a member that lost the thread.
    pub(super) fn group_info(&self, link: LinkId) -> Result<Vec<u8>, String> {
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
    pub(super) fn member_commit(
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
        self.begin_switch(now, outcome.epoch).map_err(|e| e.to_string())?;
        Ok(Some((kind, committed)))
    }

    /// The host's own turn to renew its keys: nothing else is under way then.
    ///
    /// # Errors
    /// [`Error::Group`].
    pub(super) fn renew_due(&mut self, now: Instant) -> Result<Option<Committed>, Error> {
        if !self.is_settled() || self.renew_at().is_none_or(|at| now < at) {
            return Ok(None);
        }
        let staged = self.member.stage_update()?;
        self.member.merge_staged()?;
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

    fn renew_at(&self) -> Option<Instant> {
        self.epoch_since.zip(self.member.update_due()).map(|(since, after)| since + after)
    }

    fn begin_switch(&mut self, now: Instant, epoch: Epoch) -> Result<(), Error> {
        self.epoch_since = Some(now);
        self.switch = Some(Switch {
            epoch,
            secret: self.member.epoch_secret()?,
            waiting: self.links.values().copied().collect(),
            deadline: now + READY_TIMEOUT,
        });
        Ok(())
    }

    /// Makes what was recorded since the last snapshot part of one. For when nothing is waiting.
    pub(super) fn checkpoint(&mut self) {
        if self.member.journal_len() > 0
            && let Err(error) = self.member.checkpoint()
        {
            tracing::warn!(%error, "the group's state could not be compacted");
        }
    }

    /// The commit that is due, if one is: only one epoch change is under way at a time.
    pub(super) fn commit_due(&mut self, now: Instant) -> Result<Option<Committed>, Error> {
        if self.switch.is_some() {
            return Ok(None);
        }
        let at = self.time(now);
        let (batch, staged) = loop {
            let Some(batch) = self.waiting.due(at) else { return Ok(None) };
            let packages = batch.joining.iter().map(|(_, package)| package.clone()).collect();
            match self.member.stage_change(packages, &batch.leaving) {
                Ok(staged) => break (batch, staged),
                Err(error) if batch.joining.is_empty() => return Err(error.into()),
                // Whoever leaves must go all the same: the next attempt is without these joiners, or with one of them.
                Err(error) => {
                    if let Some((link, _)) = self.waiting.failed(at, batch) {
                        self.refused.push((link, error.to_string()));
                    }
                }
            }
        };
        let leaving = batch.leaving;
        let added: Vec<(LinkId, KeyId)> = batch.joining.iter().map(|(link, p)| (*link, p.key_id())).collect();
        self.member.merge_staged()?;
        let informed = self.links.values().copied().collect();
        let removed_links = leaving.iter().filter_map(|who| self.links.get(who).copied()).collect();
        self.links.retain(|who, _| !leaving.contains(who));
        self.links.extend(added.iter().map(|(link, who)| (*who, *link)));
        self.begin_switch(now, staged.epoch)?;
        Ok(Some(Committed {
            epoch: staged.epoch,
            commit: staged.commit,
            tree: if added.is_empty() { None } else { self.member.tree_for_welcome()? },
            welcome: staged.welcome.unwrap_or_default(),
            added,
            informed,
            removed: leaving,
            removed_links,
        }))
    }

    /// A member has the keys of an epoch.
    pub(super) fn ready(&mut self, link: LinkId, epoch: Epoch) {
        if let Some(switch) = self.switch.as_mut().filter(|switch| switch.epoch <= epoch) {
            switch.waiting.remove(&link);
        }
    }

    /// True once the members are ready for the next epoch, or had their time.
    pub(super) fn switch_due(&self, now: Instant) -> bool {
        self.switch.as_ref().is_some_and(|s| s.waiting.is_empty() || now >= s.deadline)
    }

    /// The epoch to seal in from now on.
    pub(super) fn finish_switch(&mut self) -> Option<(Epoch, EpochSecret)> {
        self.switch.take().map(|switch| (switch.epoch, switch.secret))
    }

    /// The current epoch's secret.
    pub(super) fn current(&self) -> Result<(Epoch, EpochSecret), Error> {
        let epoch = self.member.epoch().ok_or(Error::Ended("the group"))?;
        Ok((epoch, self.member.epoch_secret()?))
    }

    pub(super) fn own_leaf(&self) -> Result<LeafIndex, Error> {
        self.member.own_leaf().ok_or(Error::Ended("the group"))
    }

    /// Nothing is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.switch.is_none() && self.waiting.is_empty()
    }

    pub(super) fn is_member(&self, link: LinkId) -> bool {
        self.links.values().any(|l| *l == link)
    }

    pub(super) fn member_links(&self) -> impl Iterator<Item = LinkId> {
        self.links.values().copied()
    }

    pub(super) fn link_of(&self, who: KeyId) -> Option<LinkId> {
        self.links.get(&who).copied()
    }

    fn member_at(&self, link: LinkId) -> Option<KeyId> {
        self.links.iter().find(|(_, l)| **l == link).map(|(who, _)| *who)
    }

    /// When [`Authority::commit_due`] or [`Authority::switch_due`] has something to say next.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match &self.switch {
            Some(switch) => Some(switch.deadline),
            None => {
                let batch = self.waiting.next_timeout().zip(self.origin);
                let batch = batch.map(|(due, origin)| origin + Duration::from_micros(due.0));
                batch.into_iter().chain(self.renew_at()).min()
            }
        }
    }

    fn time(&mut self, now: Instant) -> MonoTime {
        let origin = *self.origin.get_or_insert(now);
        MonoTime::from_micros(now.saturating_duration_since(origin).as_micros() as u64)
    }
}

#[cfg(test)]
mod tests;
