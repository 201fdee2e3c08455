//! One peer's part in a session: making it, beginning and ending a session, reading its state.

use crate::authority::capabilities;
use crate::branch::Branch;
use crate::change::Pending;
use crate::commit::{EarlyCommits, Verified};
use crate::kept::KeptPackages;
use crate::persist::Journal;
use crate::provider::SharedRandom;
use crate::roster::{credential, roster_of};
use crate::store::{NoStore, StateStore};
use crate::vouch::Vouch;
use crate::{Authority, CommitHash, EpochSecret, Error, RosterEntry, SUITE};
use core::fmt;
use core_types::{Epoch, KeyId, LeafIndex, SessionId};
use identity::Identity;
use mls_provider::{Provider, Signer};
use openmls::prelude::{CredentialWithKey, GroupId, MlsGroup, MlsGroupCreateConfig};
use rand_core::{CryptoRng, Rng as _};
use std::collections::{BTreeMap, BTreeSet};
use zeroize::Zeroizing;

/// The exporter label of epoch secrets (spec 20).
const EXPORTER_LABEL: &str = "holomesh av epoch v1";

/// One peer in at most one session at a time, with the MLS keys for it.
///
/// Whoever may commit stages a change ([`stage_change`](Self::stage_change) and its kin), sends what it gets, and ends it
/// by [`merge_staged`](Self::merge_staged) or [`discard_staged`](Self::discard_staged). Everybody else publishes a
/// [`key_package`](Self::key_package), calls [`join`](Self::join) with the welcome, and
/// [`process_commit`](Self::process_commit) with every commit.
///
/// With a [`StateStore`] every change of state is in the store before the call that makes it returns, as one transaction.
pub struct Member {
    pub(crate) random: SharedRandom,
    pub(crate) key_id: KeyId,
    /// The seed of [`signer`](Self::signer), for the store.
    pub(crate) seed: Zeroizing<[u8; 32]>,
    pub(crate) signer: Signer,
    pub(crate) vouch: Vouch,
    pub(crate) packages: KeptPackages,
    pub(crate) session: Option<Session>,
    pub(crate) store: Box<dyn StateStore>,
    pub(crate) journal: Journal,
}

/// The session that a member is in.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) authority: Authority,
    pub(crate) provider: Provider,
    pub(crate) group: MlsGroup,
    pub(crate) branch: Branch,
    pub(crate) early: EarlyCommits,
    /// Commits by others of the current epoch that are proven and wait to be accepted.
    pub(crate) verified: BTreeMap<CommitHash, Verified>,
    pub(crate) pending: Option<Pending>,
    /// Own commits of the current epoch that were dropped.
    pub(crate) discarded: BTreeSet<CommitHash>,
}

impl Session {
    pub(crate) fn new(
        id: SessionId,
        provider: Provider,
        group: MlsGroup,
        branch: Branch,
    ) -> Result<Self, Error> {
        Ok(Self {
            id,
            authority: Authority::of(&group)?,
            provider,
            group,
            branch,
            early: EarlyCommits::default(),
            verified: BTreeMap::new(),
            pending: None,
            discarded: BTreeSet::new(),
        })
    }

    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.group.epoch().as_u64())
    }

    /// Drops the library's pending commit.
    pub(crate) fn clear_group(&mut self) -> Result<(), Error> {
        self.group
            .clear_pending_commit(self.provider.storage())
            .map_err(|e| Error::internal("dropping a commit", e))
    }

    /// After a commit from `epoch` came into force.
    pub(crate) fn entered(&mut self, from: Epoch, commit: CommitHash) -> Result<(), Error> {
        self.branch.push(from, commit);
        self.verified.clear();
        self.discarded.clear();
        self.authority = Authority::of(&self.group)?;
        Ok(())
    }
}

impl Member {
    /// A peer in no session that forgets everything when the process ends. Draws a new MLS signature key, which `identity`
    /// vouches for. `random` must be a seeded, cryptographically secure generator of its own; all secrets come from it.
    ///
    /// # Errors
    /// [`Error::Internal`] when the library fails.
    pub fn new(identity: &Identity, random: impl CryptoRng + Send + 'static) -> Result<Self, Error> {
        Self::with_store(identity, SharedRandom::new(random), Box::new(NoStore))
    }

    /// A new peer in no session, without a look at what the store holds.
    pub(crate) fn with_store(
        identity: &Identity,
        mut random: SharedRandom,
        store: Box<dyn StateStore>,
    ) -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill_bytes(seed.as_mut_slice());
        let signer = signer(&seed)?;
        Ok(Self {
            random,
            key_id: identity.key_id(),
            vouch: Vouch::new(identity, *signer.public_key())?,
            seed,
            signer,
            packages: KeptPackages::default(),
            session: None,
            store,
            journal: Journal::default(),
        })
    }

    /// Begins a session with this peer as host and only member, in epoch 0.
    ///
    /// # Errors
    /// [`Error::State`] when in a session already, [`Error::Internal`] when the library fails, [`Error::Store`].
    pub fn create(&mut self, session: SessionId) -> Result<Epoch, Error> {
        self.require_no_session()?;
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .capabilities(capabilities())
            .with_group_context_extensions(Authority::host_alone(self.key_id).extensions()?)
            .use_ratchet_tree_extension(true)
            .build();
        let provider = self.random.provider();
        let group = MlsGroup::new_with_group_id(
            &provider,
            &self.signer,
            &config,
            group_id(session),
            self.credential_with_key(),
        )
        .map_err(|e| Error::internal("creating a group", e))?;
        self.begin(Session::new(session, provider, group, Branch::default())?)
    }

    /// Forgets the session and its keys, on this side only: somebody with the authority still has to remove this peer (see
    /// [`leave_request`](Self::leave_request)). Afterwards another session can be joined, or the same one anew.
    ///
    /// # Errors
    /// [`Error::State`] when in no session, [`Error::Internal`] when the library fails, [`Error::Store`].
    pub fn leave(&mut self) -> Result<(), Error> {
        if self.session.is_none() {
            return Err(NO_SESSION);
        }
        self.record_end()?;
        self.session = None;
        Ok(())
    }

    /// Whose member this is.
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The session, if in one.
    pub fn session(&self) -> Option<SessionId> {
        self.session.as_ref().map(|session| session.id)
    }

    /// Who hosts the session, if in one.
    pub fn host(&self) -> Option<KeyId> {
        self.authority().map(Authority::host)
    }

    /// Who may change the roster of the session, if in one.
    pub fn authority(&self) -> Option<&Authority> {
        self.session.as_ref().map(|session| &session.authority)
    }

    /// The current epoch, if in a session.
    pub fn epoch(&self) -> Option<Epoch> {
        self.session.as_ref().map(Session::epoch)
    }

    /// True while an own commit waits for acceptance.
    pub fn is_staged(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.pending.is_some())
    }

    /// The secret of the current epoch, the same at all members.
    ///
    /// # Errors
    /// [`Error::State`] when in no session, [`Error::Internal`] when the library fails.
    pub fn epoch_secret(&self) -> Result<EpochSecret, Error> {
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        let exported = session
            .group
            .export_secret(session.provider.crypto(), EXPORTER_LABEL, b"", 32)
            .map_err(|e| Error::internal("exporting a secret", e))?;
        EpochSecret::take(exported).ok_or_else(|| Error::internal("exporting a secret", "unexpected size"))
    }

    /// All members in leaf order; empty when in no session.
    pub fn roster(&self) -> Vec<RosterEntry> {
        self.session.as_ref().map(|session| roster_of(&session.group)).unwrap_or_default()
    }

    /// Where in the tree a member is.
    pub fn leaf_of(&self, key_id: KeyId) -> Option<LeafIndex> {
        self.roster().into_iter().find(|entry| entry.key_id == key_id).map(|entry| entry.leaf)
    }

    /// Where in the tree this peer is, if in a session.
    pub fn own_leaf(&self) -> Option<LeafIndex> {
        self.session.as_ref().map(|session| LeafIndex(session.group.own_leaf_index().u32()))
    }

    pub(crate) const fn require_no_session(&self) -> Result<(), Error> {
        if self.session.is_some() { Err(Error::State("in a session already; leave() first")) } else { Ok(()) }
    }

    /// Takes up a session once it is in the store. On an error there is no trace of it.
    pub(crate) fn begin(&mut self, session: Session) -> Result<Epoch, Error> {
        let epoch = session.epoch();
        self.session = Some(session);
        if let Err(error) = self.checkpoint() {
            self.session = None;
            return Err(error);
        }
        Ok(epoch)
    }

    pub(crate) fn credential_with_key(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: credential(self.key_id),
            signature_key: self.signer.public_key().to_vec().into(),
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("key_id", &self.key_id)
            .field("session", &self.session())
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

pub(crate) const NO_SESSION: Error = Error::State("in no session; create() or join() first");

pub(crate) fn group_id(session: SessionId) -> GroupId {
    GroupId::from_slice(session.as_bytes())
}

pub(crate) fn signer(seed: &[u8; 32]) -> Result<Signer, Error> {
    Signer::from_seed(seed).map_err(|e| Error::internal("making a signature key", e))
}
