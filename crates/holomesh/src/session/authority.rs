//! Who is in the session: joins and leaves become commits, and a new epoch's key is in place with every member before
//! the first chunk is sealed under it.

use crate::Error;
use av_mls::{Batcher, EpochSecret, Member, SignedKeyPackage, StateStore};
use core_types::{Epoch, KeyId, LeafIndex, LinkId, MonoTime, SessionId};
use identity::Identity;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

mod renewal;

/// A member that has not said by then that it has the new key is not waited for.
const READY_TIMEOUT: Duration = Duration::from_millis(500);
/// A member whose link broke may come back for so long. With the time after which a silent link counts as gone, somebody who
/// vanished is out after less than 5 s.
const RESUME_GRACE: Duration = Duration::from_millis(750);
/// Commits kept for members that come back. Who missed more asks where the group is.
const RECENT_COMMITS: usize = 8;

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
    /// Members whose link is gone, and until when they may come back.
    lost: BTreeMap<KeyId, Instant>,
    recent: VecDeque<Vec<u8>>,
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
            lost: BTreeMap::new(),
            recent: VecDeque::new(),
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

    /// A link is gone: its member has a moment to come back on another, and leaves then; its join request is taken back.
    /// Returns the member.
    pub(super) fn link_down(&mut self, now: Instant, link: LinkId) -> Option<KeyId> {
        self.waiting.withdraw(|l, _| *l == link);
        let who = self.member_at(link)?;
        self.lost.insert(who, now + RESUME_GRACE);
        Some(who)
    }

    /// Takes those out whose link is gone and who have not come back in time. Returns them.
    pub(super) fn take_lost(&mut self, now: Instant) -> Vec<KeyId> {
        let gone: Vec<KeyId> = self.lost.iter().filter(|(_, at)| now >= **at).map(|(who, _)| *who).collect();
        for who in &gone {
            self.lost.remove(who);
            self.leave(now, *who);
        }
        gone
    }

    /// A member is back on a new link. Gives its former link, and the last commits, oldest first: it may have missed some.
    ///
    /// # Errors
    /// A sentence for the peer, if it is no member (any more).
    pub(super) fn resume(&mut self, link: LinkId, who: KeyId) -> Result<(LinkId, Vec<Vec<u8>>), String> {
        let Some(former) = self.links.get_mut(&who).filter(|_| !self.waiting.is_leaving(who)) else {
            return Err("not a member any more: join anew".into());
        };
        let former = std::mem::replace(former, link);
        self.lost.remove(&who);
        if let Some(switch) = &mut self.switch
            && switch.waiting.remove(&former)
        {
            switch.waiting.insert(link);
        }
        Ok((former, self.recent.iter().cloned().collect()))
    }

    /// Keeps a commit for those who come back.
    fn remember(&mut self, commit: &[u8]) {
        if self.recent.len() >= RECENT_COMMITS {
            self.recent.pop_front();
        }
        self.recent.push_back(commit.to_vec());
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
        self.lost.retain(|who, _| !leaving.contains(who));
        self.remember(&staged.commit);
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
        let lost = self.lost.values().min().copied();
        match &self.switch {
            Some(switch) => lost.into_iter().chain([switch.deadline]).min(),
            None => {
                let batch = self.waiting.next_timeout().zip(self.origin);
                let batch = batch.map(|(due, origin)| origin + Duration::from_micros(due.0));
                batch.into_iter().chain(self.renew_at()).chain(lost).min()
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
