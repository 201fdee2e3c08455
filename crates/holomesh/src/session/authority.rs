//! Who is in the session: joins and leaves become commits, and a new epoch's key is in place with every member before
//! the first chunk is sealed under it.

use crate::Error;
use av_mls::{EpochSecret, Member, SignedKeyPackage, VerifiedKeyPackage};
use core_types::{Epoch, KeyId, LeafIndex, LinkId, SessionId};
use identity::Identity;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Joins within this time share one commit.
const BATCH_WINDOW: Duration = Duration::from_millis(200);
/// A member that has not said by then that it has the new key is not waited for.
const READY_TIMEOUT: Duration = Duration::from_millis(500);

/// A commit that was made and merged here; the host is the session's sequencer, so making it is accepting it.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) epoch: Epoch,
    pub(super) commit: Vec<u8>,
    pub(super) welcome: Vec<u8>,
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
    joining: Vec<(LinkId, VerifiedKeyPackage)>,
    leaving: BTreeSet<KeyId>,
    /// Set when a batch failed: its joiners then come one by one, so that a bad one spoils it for nobody else.
    one_by_one: bool,
    refused: Vec<(LinkId, String)>,
    batch_due: Option<Instant>,
    switch: Option<Switch>,
}

impl Authority {
    pub(super) fn new(identity: &Identity, session: SessionId) -> Result<Self, Error> {
        let mut member = Member::new(identity)?;
        member.create(session)?;
        Ok(Self {
            member,
            links: BTreeMap::new(),
            joining: Vec::new(),
            leaving: BTreeSet::new(),
            one_by_one: false,
            refused: Vec::new(),
            batch_due: None,
            switch: None,
        })
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
        if self.links.contains_key(&peer) || self.joining.iter().any(|(_, p)| p.key_id() == peer) {
            return Err(
                "this identity is in the session already; leave there first, or wait until it is gone".into(),
            );
        }
        self.joining.push((link, package));
        self.batch_due.get_or_insert(now + BATCH_WINDOW);
        Ok(())
    }

    /// Joiners whose key package could not be added, and why.
    pub(super) fn take_refused(&mut self) -> Vec<(LinkId, String)> {
        std::mem::take(&mut self.refused)
    }

    /// A link is gone: its member leaves, or its join request is taken back. Returns the member.
    pub(super) fn link_down(&mut self, now: Instant, link: LinkId) -> Option<KeyId> {
        self.joining.retain(|(l, _)| *l != link);
        let who = self.member_at(link)?;
        self.leave(now, who);
        Some(who)
    }

    /// Takes a member out, or a join request back.
    pub(super) fn leave(&mut self, now: Instant, who: KeyId) -> bool {
        self.joining.retain(|(_, package)| package.key_id() != who);
        let is_member = self.links.contains_key(&who);
        if is_member {
            self.leaving.insert(who);
            // Leaving is urgent where joining can wait: nothing new is to be read by who has gone.
            self.batch_due = Some(now);
        }
        is_member
    }

    /// The commit that is due, if one is: only one epoch change is under way at a time.
    pub(super) fn commit_due(&mut self, now: Instant) -> Result<Option<Committed>, Error> {
        if self.switch.is_some() || self.batch_due.is_none_or(|due| now < due) {
            return Ok(None);
        }
        let most = if self.one_by_one { 1 } else { av_mls::MAX_BATCH };
        let leaving: Vec<KeyId> = self.leaving.iter().copied().collect();
        let joining: Vec<_> = self.joining.drain(..self.joining.len().min(most)).collect();
        self.batch_due = (!self.joining.is_empty()).then_some(now);
        if leaving.is_empty() && joining.is_empty() {
            return Ok(None);
        }
        let added: Vec<(LinkId, KeyId)> = joining.iter().map(|(link, p)| (*link, p.key_id())).collect();
        let packages = joining.iter().map(|(_, package)| package.clone()).collect();
        let staged = match self.member.stage_change(packages, &leaving) {
            Ok(staged) => staged,
            Err(error) if joining.is_empty() => {
                self.leaving.clear();
                return Err(error.into());
            }
            // Whoever leaves must go all the same: the next attempt is without these joiners, or with one of them.
            Err(error) => {
                match <[_; 1]>::try_from(joining) {
                    Ok([(link, _)]) => self.refused.push((link, error.to_string())),
                    Err(several) => {
                        self.one_by_one = true;
                        self.joining.splice(..0, several);
                    }
                }
                self.batch_due = Some(now);
                return self.commit_due(now);
            }
        };
        self.member.merge_staged()?;
        self.leaving.clear();
        self.one_by_one &= !self.joining.is_empty();
        let informed = self.links.values().copied().collect();
        let removed_links = leaving.iter().filter_map(|who| self.links.get(who).copied()).collect();
        self.links.retain(|who, _| !leaving.contains(who));
        self.links.extend(added.iter().map(|(link, who)| (*who, *link)));
        self.switch = Some(Switch {
            epoch: staged.epoch,
            secret: self.member.epoch_secret()?,
            waiting: self.links.values().copied().collect(),
            deadline: now + READY_TIMEOUT,
        });
        Ok(Some(Committed {
            epoch: staged.epoch,
            commit: staged.commit,
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
        self.switch.is_none() && self.batch_due.is_none()
    }

    pub(super) fn is_member(&self, link: LinkId) -> bool {
        self.links.values().any(|l| *l == link)
    }

    pub(super) fn member_links(&self) -> impl Iterator<Item = LinkId> {
        self.links.values().copied()
    }

    fn member_at(&self, link: LinkId) -> Option<KeyId> {
        self.links.iter().find(|(_, l)| **l == link).map(|(who, _)| *who)
    }

    /// When [`Authority::commit_due`] or [`Authority::switch_due`] has something to say next.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match &self.switch {
            Some(switch) => Some(switch.deadline),
            None => self.batch_due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::Seed;

    const SESSION: SessionId = SessionId([5; 32]);

    fn identity(n: u8) -> Identity {
        Identity::from_seed(&Seed([n; 64])).unwrap()
    }

    fn package(who: &Identity) -> (Member, Vec<u8>) {
        let mut member = Member::new(who).unwrap();
        let bytes = member.key_package(who).unwrap().to_bytes();
        (member, bytes)
    }

    #[test]
    fn joins_within_the_window_share_a_commit_and_the_key_waits_for_the_members() {
        let host = identity(1);
        let mut authority = Authority::new(&host, SESSION).unwrap();
        let start = Instant::now();
        let mut members = Vec::new();
        for n in 2..4u8 {
            let who = identity(n);
            let (member, bytes) = package(&who);
            authority.join(start, LinkId(n.into()), who.key_id(), &bytes).unwrap();
            members.push(member);
        }
        assert!(authority.commit_due(start + BATCH_WINDOW / 2).unwrap().is_none());
        let committed = authority.commit_due(start + BATCH_WINDOW).unwrap().unwrap();
        assert_eq!((committed.epoch, committed.added.len()), (Epoch(1), 2));
        for member in &mut members {
            member.join(&committed.welcome, host.key_id(), SESSION).unwrap();
        }
        let now = start + BATCH_WINDOW;
        assert!(!authority.switch_due(now));
        authority.ready(LinkId(2), Epoch(1));
        assert!(!authority.switch_due(now), "one of two");
        authority.ready(LinkId(3), Epoch(1));
        assert!(authority.switch_due(now));
        let (epoch, secret) = authority.finish_switch().unwrap();
        assert_eq!(epoch, Epoch(1));
        assert!(members.iter().all(|m| m.epoch_secret().unwrap().expose() == secret.expose()));
    }

    #[test]
    fn a_member_that_does_not_answer_is_not_waited_for_long() {
        let mut authority = Authority::new(&identity(1), SESSION).unwrap();
        let start = Instant::now();
        let who = identity(2);
        authority.join(start, LinkId(2), who.key_id(), &package(&who).1).unwrap();
        let at = start + BATCH_WINDOW;
        authority.commit_due(at).unwrap().unwrap();
        assert!(!authority.switch_due(at + READY_TIMEOUT / 2));
        assert!(authority.switch_due(at + READY_TIMEOUT));
    }

    #[test]
    fn a_removal_does_not_wait_and_the_one_removed_is_not_waited_for() {
        let mut authority = Authority::new(&identity(1), SESSION).unwrap();
        let start = Instant::now();
        let who = identity(2);
        authority.join(start, LinkId(2), who.key_id(), &package(&who).1).unwrap();
        authority.commit_due(start + BATCH_WINDOW).unwrap().unwrap();
        authority.finish_switch();
        assert!(authority.leave(start + BATCH_WINDOW, who.key_id()));
        let committed = authority.commit_due(start + BATCH_WINDOW).unwrap().unwrap();
        assert_eq!((committed.removed, committed.informed), (vec![who.key_id()], vec![LinkId(2)]));
        assert!(authority.switch_due(start + BATCH_WINDOW), "nobody is left to wait for");
    }

    #[test]
    fn a_joiner_whose_link_dies_before_its_commit_does_not_become_a_ghost() {
        let mut authority = Authority::new(&identity(1), SESSION).unwrap();
        let now = Instant::now();
        let who = identity(2);
        let bytes = package(&who).1;
        authority.join(now, LinkId(2), who.key_id(), &bytes).unwrap();
        assert_eq!(authority.link_down(now, LinkId(2)), None);
        assert!(authority.commit_due(now + BATCH_WINDOW).unwrap().is_none());
        authority.join(now, LinkId(3), who.key_id(), &bytes).expect("may come back on a new link");
    }

    #[test]
    fn a_bad_joiner_holds_up_neither_a_removal_nor_the_other_joiners() {
        let mut authority = Authority::new(&identity(1), SESSION).unwrap();
        let mut now = Instant::now();
        let (bob, carol, dave) = (identity(2), identity(3), identity(4));
        authority.join(now, LinkId(2), bob.key_id(), &package(&bob).1).unwrap();
        now += BATCH_WINDOW;
        authority.commit_due(now).unwrap().unwrap();
        authority.finish_switch();
        // Carol's package is added twice under two names on the inside: her MLS keys are the same both times.
        let bytes = package(&carol).1;
        authority.join(now, LinkId(3), carol.key_id(), &bytes).unwrap();
        let twin = authority.joining[0].1.clone();
        authority.joining.push((LinkId(4), twin));
        authority.join(now, LinkId(5), dave.key_id(), &package(&dave).1).unwrap();
        authority.leave(now, bob.key_id());
        let mut added = Vec::new();
        let mut removed = Vec::new();
        for _ in 0..4 {
            now += BATCH_WINDOW;
            if let Some(committed) = authority.commit_due(now).unwrap() {
                added.extend(committed.added.into_iter().map(|(link, _)| link));
                removed.extend(committed.removed);
                authority.finish_switch();
            }
        }
        assert_eq!(added, [LinkId(3), LinkId(5)]);
        assert_eq!(removed, [bob.key_id()]);
        assert_eq!(authority.take_refused().len(), 1, "the twin is told");
        assert!(authority.is_settled());
    }

    #[test]
    fn somebody_elses_key_package_and_a_second_join_are_refused() {
        let mut authority = Authority::new(&identity(1), SESSION).unwrap();
        let now = Instant::now();
        let (bob, carol) = (identity(2), identity(3));
        let bytes = package(&bob).1;
        assert!(
            authority.join(now, LinkId(3), carol.key_id(), &bytes).unwrap_err().contains("somebody else")
        );
        authority.join(now, LinkId(2), bob.key_id(), &bytes).unwrap();
        assert!(authority.join(now, LinkId(4), bob.key_id(), &bytes).unwrap_err().contains("already"));
        assert!(authority.join(now, LinkId(5), bob.key_id(), b"rubbish").is_err());
    }
}
