//! Own commits: staged, then in force or dropped.

use crate::authority::capabilities;
use crate::error::limit;
use crate::member::{NO_SESSION, Session};
use crate::roster::roster_of;
use crate::store::record::{ChangeRecord, ids, raw};
use crate::vouch::Kind;
use crate::{
    CommitHash, CommitKind, CommitOutcome, Error, MAX_BATCH, MAX_MEMBERS, Member, RosterEntry,
    TREE_APART_FROM, VerifiedKeyPackage,
};
use core_types::{Epoch, KeyId};
use identity::Identity;
use openmls::prelude::{
    CommitBuilder, CreateCommitError, Initial, LeafNodeIndex, LeafNodeParameters, MlsGroup,
};
use openmls_traits::OpenMlsProvider as _;
use std::collections::BTreeSet;

/// An own commit that waits for acceptance. It exists only once it is in the store: what is sent can't be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "send the commit, then merge_staged() or discard_staged()"]
pub struct Staged {
    /// For every member, those removed included.
    pub commit: Vec<u8>,
    /// For every one who is added, once the commit is accepted. One for all of them; in a large session
    /// [`Member::tree_for_welcome`] goes with it.
    pub welcome: Option<Vec<u8>>,
    /// The epoch that begins when the change is accepted.
    pub epoch: Epoch,
}

/// What an own commit was to do: to be done again when another commit came first.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Whom to add. After a restart the packages are gone: take new ones for [`added`](Self::added).
    pub add: Vec<VerifiedKeyPackage>,
    /// The key ids of those who were to be added.
    pub added: Vec<KeyId>,
    /// Whom to remove.
    pub remove: Vec<KeyId>,
    /// True for a change of keys alone.
    pub update: bool,
}

/// An own commit in waiting.
pub(crate) struct Pending {
    pub(crate) hash: CommitHash,
    pub(crate) commit: Vec<u8>,
    pub(crate) welcome: Option<Vec<u8>>,
    pub(crate) kind: CommitKind,
    pub(crate) change: Change,
    pub(crate) next: Next,
}

/// Where the state after an own commit is.
pub(crate) enum Next {
    /// In the group, as the library's pending commit.
    InGroup,
    /// Another group, for an external commit.
    Group(Box<Session>),
}

impl Pending {
    pub(crate) fn record(&self) -> ChangeRecord {
        ChangeRecord {
            kind: self.kind as u8,
            added: raw(&self.change.added),
            removed: raw(&self.change.remove),
        }
    }

    pub(crate) fn change_of(record: &ChangeRecord) -> Result<(CommitKind, Change), Error> {
        let kind =
            CommitKind::from_u8(record.kind).ok_or_else(|| Error::damaged("an unknown kind of commit"))?;
        let change = Change {
            add: Vec::new(),
            added: ids(&record.added),
            remove: ids(&record.removed),
            update: kind == CommitKind::Update,
        };
        Ok((kind, change))
    }
}

impl Member {
    /// Prepares one commit that adds and removes, all or nothing. The session stays in its epoch until
    /// [`merge_staged`](Self::merge_staged). A member can be replaced: removed and added again in one change. A commit that
    /// only adds has no update path (RFC 9420 section 12.4); one that removes has.
    ///
    /// # Errors
    /// [`Error::EmptyChange`]; [`Error::NotAMember`] for an unknown removal; [`Error::AlreadyAMember`] for a second
    /// membership; [`Error::Limit`] for more than [`MAX_BATCH`] additions or [`MAX_MEMBERS`] members; [`Error::State`]
    /// when this peer has no say, may not remove one of those, or when a change is staged already; [`Error::BadMessage`]
    /// when MLS refuses the additions together, say for a shared key; [`Error::Store`]. Nothing is staged then.
    pub fn stage_change(&mut self, add: Vec<VerifiedKeyPackage>, remove: &[KeyId]) -> Result<Staged, Error> {
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        if !session.authority.may_change(self.key_id) {
            return Err(Error::State("only the host and those it names change the roster"));
        }
        self.require_nothing_staged()?;
        if remove.contains(&self.key_id) {
            return Err(Error::State("a committer can't remove itself"));
        }
        if !remove.iter().all(|who| session.authority.may_remove(self.key_id, *who)) {
            return Err(Error::State("only the host removes those it has named, and nobody the host"));
        }
        if add.is_empty() && remove.is_empty() {
            return Err(Error::EmptyChange);
        }
        limit("members added by one change", add.len(), MAX_BATCH)?;
        let leaves = check_change(&roster_of(&session.group), &add, remove)?;
        let change = Change {
            added: add.iter().map(VerifiedKeyPackage::key_id).collect(),
            add: add.clone(),
            remove: remove.to_vec(),
            update: false,
        };
        let packages: Vec<_> = add.into_iter().map(|added| added.key_package).collect();
        self.stage(CommitKind::Roster, change, |builder| {
            Ok(builder.propose_removals(leaves).propose_adds(packages))
        })
    }

    /// Makes the roster what is `wanted`, in one commit. `packages` are those that may be needed; who is wanted, is not in,
    /// and has none is an error. This peer stays whether it is wanted or not: a committer can't remove itself.
    ///
    /// # Errors
    /// As [`stage_change`](Self::stage_change); [`Error::EmptyChange`] when the roster is as wanted already.
    pub fn stage_replace(
        &mut self,
        wanted: &BTreeSet<KeyId>,
        packages: Vec<VerifiedKeyPackage>,
    ) -> Result<Staged, Error> {
        let present: BTreeSet<KeyId> = self.roster().iter().map(|entry| entry.key_id).collect();
        let remove: Vec<KeyId> =
            present.iter().copied().filter(|who| !wanted.contains(who) && *who != self.key_id).collect();
        let mut missing: BTreeSet<KeyId> = wanted.difference(&present).copied().collect();
        let add = packages.into_iter().filter(|package| missing.remove(&package.key_id())).collect();
        if !missing.is_empty() {
            return Err(Error::State("a key package of everybody who is to come in is needed"));
        }
        self.stage_change(add, &remove)
    }

    /// Prepares a commit that changes this member's keys and nothing else, for everybody: secrets that leaked before are
    /// worth nothing after it, and a full path makes later removals cheaper.
    ///
    /// # Errors
    /// [`Error::State`] when in no session or when a change is staged already; [`Error::Internal`]; [`Error::Store`].
    pub fn stage_update(&mut self) -> Result<Staged, Error> {
        self.require_nothing_staged()?;
        let change = Change { update: true, ..Change::default() };
        self.stage(CommitKind::Update, change, |builder| Ok(builder.force_self_update(true)))
    }

    /// Prepares a commit by which the host names who may change the roster beside itself, in place of those it named
    /// before. The names need not be members yet.
    ///
    /// # Errors
    /// [`Error::State`] when this peer is not the host, when `identity` is not its own, or when a change is staged already;
    /// [`Error::Limit`] for more than [`crate::MAX_COMMITTERS`]; [`Error::Store`].
    pub fn stage_committers(&mut self, identity: &Identity, named: &[KeyId]) -> Result<Staged, Error> {
        self.require_nothing_staged()?;
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        if session.authority.host() != self.key_id || identity.key_id() != self.key_id {
            return Err(Error::State("only the host names who may change the roster"));
        }
        let named = named.iter().copied().filter(|who| *who != self.key_id).collect();
        let extensions = session.authority.renamed(identity, session.id, named)?.extensions()?;
        self.stage(CommitKind::Committers, Change::default(), |builder| {
            builder.propose_group_context_extensions(extensions)
        })
    }

    /// Stages a change again that another commit overtook, as far as it is still to be done. `None` when nothing is left.
    ///
    /// # Errors
    /// As [`stage_change`](Self::stage_change).
    pub fn stage_again(&mut self, change: Change) -> Result<Option<Staged>, Error> {
        if change.update {
            return self.stage_update().map(Some);
        }
        let present: BTreeSet<KeyId> = self.roster().iter().map(|entry| entry.key_id).collect();
        let remove: Vec<KeyId> = change.remove.into_iter().filter(|who| present.contains(who)).collect();
        let add: Vec<_> = change
            .add
            .into_iter()
            .filter(|package| !present.contains(&package.key_id()) || remove.contains(&package.key_id()))
            .collect();
        if add.is_empty() && remove.is_empty() {
            return Ok(None);
        }
        self.stage_change(add, &remove).map(Some)
    }

    /// The own commit that waits for acceptance: to send it again, after a restart as well.
    pub fn staged(&self) -> Option<Staged> {
        let session = self.session.as_ref()?;
        let pending = session.pending.as_ref()?;
        let epoch = match &pending.next {
            Next::Group(next) => next.epoch(),
            Next::InGroup => session.epoch().next(),
        };
        Some(Staged { commit: pending.commit.clone(), welcome: pending.welcome.clone(), epoch })
    }

    /// Moves on to the epoch of the staged change. Call it once the commit is accepted: sent to all when this peer is the
    /// only one to order commits, or come back from who orders them.
    ///
    /// # Errors
    /// [`Error::State`] when nothing is staged, [`Error::Store`] when it could not be recorded; the change is staged still
    /// then. [`Error::Internal`] when the library fails.
    pub fn merge_staged(&mut self) -> Result<Epoch, Error> {
        self.accept_own().map(|outcome| outcome.epoch)
    }

    /// Drops the staged change. The session stays in its epoch and another change can be staged. Only for a commit that
    /// no member has taken in: those who did have moved on, and would be cut off.
    ///
    /// # Errors
    /// [`Error::State`] when nothing is staged, [`Error::Store`] when it could not be recorded; the change is staged still
    /// then.
    pub fn discard_staged(&mut self) -> Result<(), Error> {
        if !self.is_staged() {
            return Err(NOTHING_STAGED);
        }
        self.record_discarded()?;
        self.drop_pending()
    }

    /// Takes the staged commit out of memory, and says what it was to do.
    pub(crate) fn take_pending(&mut self) -> Result<Option<Change>, Error> {
        let Some(session) = self.session.as_mut() else { return Ok(None) };
        let Some(pending) = session.pending.take() else { return Ok(None) };
        if matches!(pending.next, Next::InGroup) {
            session.clear_group()?;
        }
        Ok((pending.kind != CommitKind::Rejoin).then_some(pending.change))
    }

    pub(crate) fn drop_pending(&mut self) -> Result<(), Error> {
        if let Some(session) = self.session.as_mut()
            && let Some(pending) = &session.pending
        {
            // Bounded like everything that grows within an epoch; one more than we can remember is as good as unknown.
            if session.discarded.len() < crate::MAX_EARLY_COMMITS {
                session.discarded.insert(pending.hash);
            }
        }
        self.take_pending().map(drop)
    }

    /// The staged commit is in force.
    pub(crate) fn accept_own(&mut self) -> Result<CommitOutcome, Error> {
        if !self.is_staged() {
            return Err(NOTHING_STAGED);
        }
        self.record_merged()?;
        self.merge_pending()
    }

    /// [`accept_own`](Self::accept_own), once that is recorded.
    pub(crate) fn merge_pending(&mut self) -> Result<CommitOutcome, Error> {
        let session = self.session.as_mut().ok_or(NO_SESSION)?;
        let pending = session.pending.take().ok_or(NOTHING_STAGED)?;
        let from = session.epoch();
        match pending.next {
            Next::InGroup => session
                .group
                .merge_pending_commit(&session.provider)
                .map_err(|e| Error::internal("merging a commit", e))?,
            Next::Group(mut next) => {
                next.early = core::mem::take(&mut session.early);
                *session = *next;
            }
        }
        if pending.kind != CommitKind::Rejoin {
            session.entered(from, pending.hash)?;
        }
        let epoch = session.epoch();
        let Change { mut added, remove: mut removed, .. } = pending.change;
        added.sort_unstable();
        removed.sort_unstable();
        Ok(CommitOutcome {
            epoch,
            by: self.key_id,
            kind: pending.kind,
            secret: Some(self.epoch_secret()?),
            added,
            removed,
            removed_self: false,
            overtaken: None,
            followed_by: Vec::new(),
        })
    }

    pub(crate) fn require_nothing_staged(&self) -> Result<(), Error> {
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        // The library would replace the staged commit without a word.
        if session.pending.is_some() || session.group.pending_commit().is_some() {
            return Err(Error::State("a change is staged already; merge or discard it first"));
        }
        Ok(())
    }

    /// Builds, stages and records a commit, or leaves everything as it was.
    fn stage(
        &mut self,
        kind: CommitKind,
        change: Change,
        propose: impl for<'a> FnOnce(
            CommitBuilder<'a, Initial, &'a mut MlsGroup>,
        )
            -> Result<CommitBuilder<'a, Initial, &'a mut MlsGroup>, CreateCommitError>,
    ) -> Result<Staged, Error> {
        self.require_nothing_staged()?;
        let durable = self.store.is_durable();
        let session = self.session.as_mut().ok_or(NO_SESSION)?;
        if durable {
            session.provider.storage().begin_capture();
        }
        // By the size that the session will have: see `tree_for_welcome`.
        let size = session.group.members().count() + change.added.len() - change.remove.len();
        let tree_apart = size >= TREE_APART_FROM;
        let builder = session.group.commit_builder().consume_proposal_store(false);
        let mut builder = propose(builder).map_err(refused)?;
        if kind == CommitKind::Update {
            // A member that came in with older software gets the capabilities that the group needs by now.
            builder = builder.leaf_node_parameters(
                LeafNodeParameters::builder().with_capabilities(capabilities()).build(),
            );
        }
        let built = builder
            .load_psks(session.provider.storage())
            .map_err(refused)?
            // A GroupInfo for strangers is not made.
            .use_ratchet_tree_extension(!tree_apart)
            .create_group_info(false)
            .build(session.provider.rand(), session.provider.crypto(), &self.signer, |_| true)
            .map_err(refused)?;
        let result = built
            .stage_commit(&session.provider)
            .map_err(|e| Error::internal("staging a commit", e))
            .and_then(|bundle| {
                let encoding = |e| Error::internal("encoding a commit", e);
                let welcome = bundle.to_welcome_msg().map(|message| message.to_bytes()).transpose();
                let welcome = welcome.map_err(encoding)?;
                let commit = bundle.into_commit().to_bytes().map_err(encoding)?;
                limit("commit", commit.len(), crate::MAX_COMMIT_BYTES)?;
                let hash = CommitHash::of(&commit);
                let mut branch = session.branch.clone();
                branch.push(session.epoch(), hash);
                let welcome = welcome
                    .map(|bytes| self.vouch.seal(Kind::Welcome, &branch, &bytes, &self.signer))
                    .transpose()?;
                Ok(Pending { hash, commit, welcome, kind, change, next: Next::InGroup })
            });
        let written = session.provider.storage().take_captured();
        let staged = match result {
            Ok(pending) => {
                session.pending = Some(pending);
                self.record_staged(&written)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = staged {
            if let Some(session) = self.session.as_mut() {
                session.pending = None;
                session.clear_group()?;
            }
            return Err(error);
        }
        self.staged().ok_or(NOTHING_STAGED)
    }
}

pub(crate) const NOTHING_STAGED: Error = Error::State("no change is staged");

/// The leaves to remove. Refuses unknown and double members before the library is asked.
fn check_change(
    roster: &[RosterEntry],
    add: &[VerifiedKeyPackage],
    remove: &[KeyId],
) -> Result<Vec<LeafNodeIndex>, Error> {
    let mut present: BTreeSet<KeyId> = roster.iter().map(|entry| entry.key_id).collect();
    let mut leaves = Vec::with_capacity(remove.len().min(roster.len()));
    for key_id in remove {
        let leaf = roster.iter().find(|entry| entry.key_id == *key_id).map(|entry| entry.leaf);
        match leaf {
            Some(leaf) if present.remove(key_id) => leaves.push(LeafNodeIndex::new(leaf.0)),
            _ => return Err(Error::NotAMember(*key_id)),
        }
    }
    for added in add {
        if !present.insert(added.peer) {
            return Err(Error::AlreadyAMember(added.peer));
        }
    }
    limit("members", present.len(), MAX_MEMBERS)?;
    Ok(leaves)
}

pub(crate) fn refused(error: CreateCommitError) -> Error {
    match error {
        CreateCommitError::ProposalValidationError(reason) => Error::bad("change", reason),
        other => Error::internal("building a commit", other),
    }
}
