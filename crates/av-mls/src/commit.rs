//! Commits by others: order, authority, content.

use crate::change::{Change as OwnChange, Next};
use crate::error::limit;
use crate::key_package::check_leaf_key;
use crate::member::{NO_SESSION, Session, group_id};
use crate::roster::{key_id_of, roster_of};
use crate::vouch::Vouch;
use crate::{
    Authority, CommitHash, EpochSecret, Error, MAX_COMMIT_BYTES, MAX_EARLY_COMMITS, MAX_MEMBERS, Member,
};
use core_types::{Epoch, KeyId};
use openmls::prelude::tls_codec::DeserializeBytes as _;
use openmls::prelude::{
    ContentType, LeafNode, MlsMessageIn, ProcessedMessage, ProcessedMessageContent, Proposal,
    ProtocolMessage, Sender, StagedCommit,
};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of early commits kept in all.
const MAX_EARLY_BYTES: usize = 2 * MAX_COMMIT_BYTES;
/// How many commits of one epoch are proven and kept until one of them is accepted.
const MAX_VERIFIED: usize = 8;

/// What a commit did.
#[derive(Debug)]
pub struct CommitOutcome {
    /// The epoch that it began.
    pub epoch: Epoch,
    /// Whose commit it was.
    pub by: KeyId,
    /// What kind of commit it was.
    pub kind: CommitKind,
    /// The secret of that epoch; `None` when this member was removed. It is handed out here because, with
    /// [`followed_by`](Self::followed_by), the session may be further on already.
    pub secret: Option<EpochSecret>,
    /// Who came in, in order of key id.
    pub added: Vec<KeyId>,
    /// Who went, in order of key id. Somebody who was replaced is in both lists; somebody who rejoined is in neither.
    pub removed: Vec<KeyId>,
    /// True if this member was removed. It is in no session then, and its keys are gone.
    pub removed_self: bool,
    /// What an own commit in waiting was to do, which this one overtook: see [`Member::stage_again`].
    pub overtaken: Option<OwnChange>,
    /// What commits did that had come early and could be applied after this one, in order of epoch. Empty in each of
    /// those.
    pub followed_by: Vec<Self>,
}

/// What a commit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CommitKind {
    /// Adds, removes, or both.
    Roster = 1,
    /// A member changes its own keys.
    Update = 2,
    /// The host says anew who may change the roster.
    Committers = 3,
    /// A member came back by an external commit.
    Rejoin = 4,
}

impl CommitKind {
    pub(crate) const fn from_u8(kind: u8) -> Option<Self> {
        match kind {
            1 => Some(Self::Roster),
            2 => Some(Self::Update),
            3 => Some(Self::Committers),
            4 => Some(Self::Rejoin),
            _ => None,
        }
    }
}

/// A commit of the current epoch that holds in every respect, not applied yet.
pub(crate) struct Verified {
    pub(crate) staged: StagedCommit,
    by: KeyId,
    kind: CommitKind,
    added: Vec<KeyId>,
    removed: Vec<KeyId>,
}

impl Member {
    /// Takes in the next commit, and those after it that came before it. An own commit that comes back is accepted: the
    /// same as [`merge_staged`](Self::merge_staged). With commits by several members and nobody to order them, use
    /// [`verify_commit`](Self::verify_commit) and [`accept_commit`](Self::accept_commit), or [`crate::Arbiter`].
    ///
    /// # Errors
    /// [`Error::StaleCommit`] and [`Error::EarlyCommit`] for another epoch than the current one (the epoch in a
    /// commit's header is not authenticated, so this blames nobody); [`Error::NotAuthorised`] for a commit by somebody
    /// without a say in what it does; [`Error::Limit`], [`Error::Identity`] and [`Error::BadMessage`] for what is not a
    /// proper commit of this session; [`Error::Discarded`] for an own commit that was dropped; [`Error::State`] when in no
    /// session; [`Error::Store`] when it could not be recorded, and it can be processed again then.
    pub fn process_commit(&mut self, bytes: &[u8]) -> Result<CommitOutcome, Error> {
        let hash = self.verify_commit(bytes)?;
        self.accept_commit(hash)
    }

    /// Checks a commit in every respect and keeps it: [`accept_commit`](Self::accept_commit) applies it. Of those that wait
    /// in one epoch, the eight with the smallest hashes are kept.
    ///
    /// # Errors
    /// As [`process_commit`](Self::process_commit), but the store is not needed.
    pub fn verify_commit(&mut self, bytes: &[u8]) -> Result<CommitHash, Error> {
        let session = self.session.as_mut().ok_or(NO_SESSION)?;
        limit("commit", bytes.len(), MAX_COMMIT_BYTES)?;
        // A ciphertext of our own can't be opened by us: it is known by its hash or not at all.
        let hash = CommitHash::of(bytes);
        if session.pending.as_ref().is_some_and(|pending| pending.hash == hash)
            || session.verified.contains_key(&hash)
        {
            return Ok(hash);
        }
        if session.discarded.contains(&hash) {
            return Err(Error::Discarded { epoch: session.epoch() });
        }
        let message = read_commit(bytes)?;
        if message.group_id() != &group_id(session.id) {
            return Err(Error::bad("commit", "it is for another session"));
        }
        let have = session.epoch();
        let got = Epoch(message.epoch().as_u64());
        if got < have {
            return Err(Error::StaleCommit { have, got });
        }
        if got > have {
            let kept = session.early.keep(have, got, bytes);
            return Err(Error::EarlyCommit { have, got, kept });
        }
        // Decrypts and verifies; changes nothing but the sender's message counter.
        let processed =
            session.group.process_message(&session.provider, message).map_err(|e| Error::bad("commit", e))?;
        let verified = check(session, processed)?;
        session.verified.insert(hash, verified);
        if session.verified.len() > MAX_VERIFIED {
            session.verified.pop_last();
        }
        Ok(hash)
    }

    /// Those of the current epoch that can be accepted: verified ones by others and the own one in waiting, smallest hash
    /// first.
    pub fn verified_commits(&self) -> Vec<CommitHash> {
        let Some(session) = &self.session else { return Vec::new() };
        let own = session.pending.iter().map(|pending| pending.hash);
        own.chain(session.verified.keys().copied()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Applies a commit that [`verify_commit`](Self::verify_commit) has found good, or the own one, and those after it that
    /// came before it.
    ///
    /// # Errors
    /// [`Error::State`] for any other hash, [`Error::Store`] when it could not be recorded; nothing has changed then.
    pub fn accept_commit(&mut self, hash: CommitHash) -> Result<CommitOutcome, Error> {
        let mut outcome = self.apply(hash)?;
        while let Some(bytes) = self.next_early() {
            // What does not apply now never will: it is dropped, and a good copy can still come.
            if let Ok(next) = self.verify_commit(&bytes).and_then(|hash| self.apply(hash)) {
                outcome.followed_by.push(next);
            }
        }
        Ok(outcome)
    }

    fn next_early(&mut self) -> Option<Vec<u8>> {
        let session = self.session.as_mut()?;
        session.early.next(session.epoch())
    }

    /// Records and applies a verified commit, or leaves everything as it was.
    fn apply(&mut self, hash: CommitHash) -> Result<CommitOutcome, Error> {
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        if session.pending.as_ref().is_some_and(|pending| pending.hash == hash) {
            return self.accept_own();
        }
        if !session.verified.contains_key(&hash) {
            return Err(Error::State("no such commit was verified in this epoch"));
        }
        self.record_applied(hash)?;
        let session = self.session.as_mut().ok_or(NO_SESSION)?;
        let verified = session.verified.remove(&hash).ok_or(NO_SESSION)?;
        let Verified { staged, by, kind, added, removed } = verified;
        // A rejoin to another line outlives commits of this one.
        let keeps_pending =
            session.pending.as_ref().is_some_and(|pending| matches!(pending.next, Next::Group(_)));
        let overtaken = if keeps_pending { None } else { self.take_pending()? };
        let (epoch, removed_self) = self.merge_verified(hash, staged)?;
        let secret = if removed_self { None } else { Some(self.epoch_secret()?) };
        Ok(CommitOutcome {
            epoch,
            by,
            kind,
            secret,
            added,
            removed,
            removed_self,
            overtaken,
            followed_by: Vec::new(),
        })
    }

    /// Brings somebody else's commit into force, once that is recorded.
    pub(crate) fn merge_verified(
        &mut self,
        hash: CommitHash,
        staged: StagedCommit,
    ) -> Result<(Epoch, bool), Error> {
        let session = self.session.as_mut().ok_or(NO_SESSION)?;
        let from = session.epoch();
        let epoch = Epoch(staged.epoch().as_u64());
        let removed_self = staged.self_removed();
        session
            .group
            .merge_staged_commit(&session.provider, staged)
            .map_err(|e| Error::internal("merging a commit", e))?;
        if removed_self {
            self.session = None;
        } else {
            session.entered(from, hash)?;
        }
        Ok((epoch, removed_self))
    }
}

/// Who made a commit, and whether all of it is allowed.
fn check(session: &Session, processed: ProcessedMessage) -> Result<Verified, Error> {
    let by =
        key_id_of(processed.credential()).ok_or_else(|| Error::bad("commit", "it is not by a member"))?;
    let sender = processed.sender().clone();
    let aad = processed.aad().to_vec();
    let staged = match processed.into_content() {
        ProcessedMessageContent::StagedCommitMessage(staged) => *staged,
        ProcessedMessageContent::OwnPrivateMessage | ProcessedMessageContent::OwnPendingCommit => {
            return Err(Error::Discarded { epoch: session.epoch() });
        }
        _ => return Err(Error::bad("commit", "it is another kind of message")),
    };
    let bad = |reason: &str| Error::bad_from("commit", by, reason);
    match sender {
        Sender::Member(leaf) => {
            if !aad.is_empty() {
                return Err(bad("it carries data that is not ours"));
            }
            let before =
                session.group.public_group().leaf(leaf).ok_or_else(|| bad("its sender is nobody"))?;
            check_member(session, by, before, staged)
        }
        Sender::NewMemberCommit => check_rejoin(session, by, &aad, staged),
        _ => Err(bad("it is not by a member")),
    }
}

/// A member's commit: its content, and whether the member may do that.
fn check_member(
    session: &Session,
    by: KeyId,
    before: &LeafNode,
    staged: StagedCommit,
) -> Result<Verified, Error> {
    let bad = |reason: &str| Error::bad_from("commit", by, reason);
    let roster = roster_of(&session.group);
    let (mut added, mut removed, mut committers) = (Vec::new(), Vec::new(), None);
    for queued in staged.queued_proposals() {
        match queued.proposal() {
            Proposal::Add(add) => {
                let key_id = key_id_of(add.key_package().leaf_node().credential());
                added.push(key_id.ok_or_else(|| bad("it adds a leaf whose credential is not a key id"))?);
            }
            Proposal::Remove(remove) => {
                let entry = roster.iter().find(|entry| entry.leaf.0 == remove.removed().u32());
                removed.push(entry.ok_or_else(|| bad("it removes a leaf that is empty"))?.key_id);
            }
            Proposal::GroupContextExtensions(extensions) if committers.is_none() => {
                committers = Some(Authority::from_extensions(extensions.extensions()));
            }
            _ => return Err(bad("it does something that no commit of a session does")),
        }
    }
    let kind = match (&committers, added.is_empty() && removed.is_empty()) {
        (None, true) => CommitKind::Update,
        (None, false) => CommitKind::Roster,
        (Some(_), true) => CommitKind::Committers,
        (Some(_), false) => return Err(bad("it names committers and changes the roster at once")),
    };
    let allowed = match kind {
        CommitKind::Roster => {
            session.authority.may_change(by)
                && removed.iter().all(|who| session.authority.may_remove(by, *who))
        }
        CommitKind::Committers => by == session.authority.host(),
        CommitKind::Update | CommitKind::Rejoin => true,
    };
    if !allowed {
        return Err(Error::NotAuthorised { sender: by });
    }
    if let Some(next) = committers {
        session.authority.check_successor(&next?, session.id).map_err(bad)?;
    }
    // The library keeps proposals in no particular order.
    added.sort_unstable();
    removed.sort_unstable();
    if let Some(leaf) = staged.update_path_leaf_node() {
        if key_id_of(leaf.credential()) != Some(by) {
            return Err(bad("it changes the sender's key id"));
        }
        if leaf.signature_key() != before.signature_key() {
            return Err(bad("it changes the sender's signature key, which nobody vouches for"));
        }
        check_leaf_key(leaf).map_err(bad)?;
    }
    let mut present: BTreeSet<KeyId> = roster.iter().map(|entry| entry.key_id).collect();
    for key_id in &removed {
        present.remove(key_id);
    }
    if !added.iter().all(|key_id| present.insert(*key_id)) {
        return Err(bad("it adds somebody who is a member already"));
    }
    if present.len() > MAX_MEMBERS {
        return Err(bad("it makes the session too large"));
    }
    Ok(Verified { staged, by, kind, added, removed })
}

/// An external commit: only a member may make one, only to take its own old leaf's place, and only with the word of its
/// hybrid identity for its MLS key.
fn check_rejoin(session: &Session, by: KeyId, aad: &[u8], staged: StagedCommit) -> Result<Verified, Error> {
    let bad = |reason: &str| Error::bad_from("commit", by, reason);
    let roster = roster_of(&session.group);
    let mut replaced = None;
    for queued in staged.queued_proposals() {
        match queued.proposal() {
            Proposal::ExternalInit(_) => {}
            Proposal::Remove(remove) if replaced.is_none() => replaced = Some(remove.removed().u32()),
            _ => return Err(bad("it does something else than rejoining")),
        }
    }
    let old = roster.iter().find(|entry| entry.key_id == by).ok_or(Error::NotAuthorised { sender: by })?;
    if replaced != Some(old.leaf.0) {
        return Err(bad("it does not take the place of the sender's own leaf"));
    }
    if aad.len() != Vouch::LEN {
        return Err(bad("nobody vouches for its sender"));
    }
    let vouch = Vouch::from_bytes(aad)?;
    let leaf = staged.update_path_leaf_node().ok_or_else(|| bad("it has no path"))?;
    if vouch.key_id() != by
        || key_id_of(leaf.credential()) != Some(by)
        || leaf.signature_key().as_slice() != vouch.signer()
    {
        return Err(bad("another identity vouches for its sender"));
    }
    check_leaf_key(leaf).map_err(bad)?;
    Ok(Verified { staged, by, kind: CommitKind::Rejoin, added: Vec::new(), removed: Vec::new() })
}

/// Reads an MLSMessage that holds a commit. Says nothing about who made it.
pub(crate) fn read_commit(bytes: &[u8]) -> Result<ProtocolMessage, Error> {
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .map_err(|e| Error::bad("commit", e))?
        .try_into_protocol_message()
        .map_err(|e| Error::bad("commit", e))?;
    if message.content_type() != ContentType::Commit {
        return Err(Error::bad("commit", "it is another kind of message"));
    }
    Ok(message)
}

/// Commits that wait for the epoch that they start from. Bounded in number, bytes and epochs ahead, because what is in
/// here is not authenticated.
#[derive(Debug, Default)]
pub(crate) struct EarlyCommits {
    waiting: BTreeMap<Epoch, Vec<Vec<u8>>>,
}

impl EarlyCommits {
    /// True if the commit is kept, or was before.
    fn keep(&mut self, have: Epoch, start: Epoch, bytes: &[u8]) -> bool {
        if self.waiting.get(&start).is_some_and(|same| same.iter().any(|known| known == bytes)) {
            return true;
        }
        let (count, size) = self
            .waiting
            .values()
            .flatten()
            .fold((0, bytes.len()), |(count, size), commit| (count + 1, size + commit.len()));
        let ahead = start.0.saturating_sub(have.0);
        if count >= MAX_EARLY_COMMITS || size > MAX_EARLY_BYTES || ahead > MAX_EARLY_COMMITS as u64 {
            return false;
        }
        self.waiting.entry(start).or_default().push(bytes.to_vec());
        true
    }

    /// Takes out a commit that starts from `epoch`, and drops those that start before it.
    fn next(&mut self, epoch: Epoch) -> Option<Vec<u8>> {
        self.waiting = self.waiting.split_off(&epoch);
        let mut first = self.waiting.first_entry().filter(|entry| *entry.key() == epoch)?;
        let commit = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        commit
    }
}
