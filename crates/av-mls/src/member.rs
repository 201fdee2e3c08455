//! One peer's part in a session: making it, changing its roster, reading its state.

use crate::commit::EarlyCommits;
use crate::error::limit;
use crate::provider::Provider;
use crate::roster::{credential, roster_of};
use crate::vouch::Vouch;
use crate::{
    EpochSecret, Error, MAX_BATCH, MAX_MEMBERS, RosterEntry, SUITE, SignedKeyPackage, VerifiedKeyPackage,
};
use core::fmt;
use core_types::{Epoch, KeyId, LeafIndex, SessionId};
use identity::Identity;
use openmls::prelude::{
    Capabilities, CreateCommitError, CredentialType, CredentialWithKey, GroupId, KeyPackage, KeyPackageRef,
    LeafNodeIndex, Lifetime, MlsGroup, MlsGroupCreateConfig, ProtocolVersion,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::storage::StorageProvider as _;
use std::collections::BTreeSet;

/// The exporter label of epoch secrets (spec 20).
const EXPORTER_LABEL: &str = "holomesh av epoch v1";
/// How long a key package can be used, in seconds.
const KEY_PACKAGE_LIFETIME: u64 = 24 * 60 * 60;
/// How many key packages a member keeps the private parts of; the oldest goes first.
const MAX_KEY_PACKAGES: usize = 8;

/// One peer in at most one session at a time, with the MLS keys for it.
///
/// Calls that change the roster are the host's: [`create`](Self::create), then any number of
/// [`stage_change`](Self::stage_change), each ended by [`merge_staged`](Self::merge_staged) or
/// [`discard_staged`](Self::discard_staged). Everybody else publishes a [`key_package`](Self::key_package), calls
/// [`join`](Self::join) with the welcome, and [`process_commit`](Self::process_commit) with every commit.
pub struct Member {
    pub(crate) provider: Provider,
    pub(crate) key_id: KeyId,
    pub(crate) signer: SignatureKeyPair,
    pub(crate) vouch: Vouch,
    /// Those whose private parts are in the store, oldest first.
    pub(crate) key_packages: Vec<KeyPackageRef>,
    pub(crate) session: Option<Session>,
}

/// The session that a member is in.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) host: KeyId,
    pub(crate) group: MlsGroup,
    pub(crate) early: EarlyCommits,
}

/// A change that waits for acceptance.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "send the commit, then merge_staged() or discard_staged()"]
pub struct Staged {
    /// For every member, those removed included.
    pub commit: Vec<u8>,
    /// For every one who is added, once the commit is accepted. One for all of them.
    pub welcome: Option<Vec<u8>>,
    /// The epoch that begins when the change is accepted.
    pub epoch: Epoch,
}

impl Member {
    /// A peer in no session. Draws a new MLS signature key, which `identity` vouches for.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no randomness or the library fails.
    pub fn new(identity: &Identity) -> Result<Self, Error> {
        let provider = Provider::new()?;
        let scheme = SUITE.signature_algorithm();
        let (private, public) = provider
            .crypto()
            .signature_key_gen(scheme)
            .map_err(|e| Error::internal("making a signature key", e))?;
        let vouch = Vouch::new(identity, &public)?;
        let signer = SignatureKeyPair::from_raw(scheme, private, public);
        Ok(Self {
            provider,
            key_id: identity.key_id(),
            signer,
            vouch,
            key_packages: Vec::new(),
            session: None,
        })
    }

    /// Makes a key package for somebody to add this peer with. The private parts stay here, for the last eight packages,
    /// until a session is joined. Each package serves one join, within a day.
    ///
    /// # Errors
    /// [`Error::State`] when `identity` is not the one that this member was made with, [`Error::Internal`] when the
    /// library fails.
    pub fn key_package(&mut self, identity: &Identity) -> Result<SignedKeyPackage, Error> {
        if identity.key_id() != self.key_id {
            return Err(Error::State("the identity is not the one that this member was made with"));
        }
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .key_package_lifetime(Lifetime::new(KEY_PACKAGE_LIFETIME))
            .build(SUITE, &self.provider, &self.signer, self.credential_with_key())
            .map_err(|e| Error::internal("making a key package", e))?;
        let reference = bundle
            .key_package()
            .hash_ref(self.provider.crypto())
            .map_err(|e| Error::internal("naming a key package", e))?;
        self.key_packages.push(reference);
        if self.key_packages.len() > MAX_KEY_PACKAGES {
            let oldest = self.key_packages.remove(0);
            self.forget_key_package(&oldest)?;
        }
        SignedKeyPackage::sign(bundle.key_package(), identity)
    }

    /// Begins a session with this peer as host and only member, in epoch 0.
    ///
    /// # Errors
    /// [`Error::State`] when in a session already, [`Error::Internal`] when the library fails.
    pub fn create(&mut self, session: SessionId) -> Result<Epoch, Error> {
        self.require_no_session()?;
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .capabilities(capabilities())
            .use_ratchet_tree_extension(true)
            .build();
        let group = MlsGroup::new_with_group_id(
            &self.provider,
            &self.signer,
            &config,
            group_id(session),
            self.credential_with_key(),
        )
        .map_err(|e| Error::internal("creating a group", e))?;
        let epoch = Epoch(group.epoch().as_u64());
        self.session =
            Some(Session { id: session, host: self.key_id, group, early: EarlyCommits::default() });
        Ok(epoch)
    }

    /// Prepares one commit that adds and removes, all or nothing. The session stays in its epoch until
    /// [`merge_staged`](Self::merge_staged). A member can be replaced: removed and added again in one change.
    ///
    /// # Errors
    /// [`Error::EmptyChange`]; [`Error::NotAMember`] for an unknown removal; [`Error::AlreadyAMember`] for a second
    /// membership; [`Error::Limit`] for more than [`MAX_BATCH`] additions or [`MAX_MEMBERS`] members; [`Error::State`]
    /// when not the host, when the host is to be removed, or when a change is staged already; [`Error::BadMessage`] when
    /// MLS refuses the additions together, say for a shared key. Nothing is staged then.
    pub fn stage_change(&mut self, add: Vec<VerifiedKeyPackage>, remove: &[KeyId]) -> Result<Staged, Error> {
        let session = self.session.as_mut().ok_or(NO_SESSION)?;
        if session.host != self.key_id {
            return Err(Error::State("only the host changes the roster"));
        }
        // The library would replace the staged commit without a word.
        if session.group.pending_commit().is_some() {
            return Err(Error::State("a change is staged already; merge or discard it first"));
        }
        if remove.contains(&self.key_id) {
            return Err(Error::State("the host can't remove itself"));
        }
        if add.is_empty() && remove.is_empty() {
            return Err(Error::EmptyChange);
        }
        limit("members added by one change", add.len(), MAX_BATCH)?;
        let leaves = check_change(&roster_of(&session.group), &add, remove)?;

        let built = session
            .group
            .commit_builder()
            .consume_proposal_store(false)
            .propose_removals(leaves)
            .propose_adds(add.into_iter().map(|added| added.key_package))
            .load_psks(self.provider.storage())
            .map_err(refused)?
            // Welcomes carry the tree; a GroupInfo for strangers is not made.
            .use_ratchet_tree_extension(true)
            .create_group_info(false)
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .map_err(refused)?;
        let result = built
            .stage_commit(&self.provider)
            .map_err(|e| Error::internal("staging a commit", e))
            .and_then(|bundle| {
                let encoding = |e| Error::internal("encoding a commit", e);
                let welcome = bundle.to_welcome_msg().map(|message| message.to_bytes()).transpose();
                let welcome = welcome.map_err(encoding)?.map(|bytes| self.vouch.wrap(&bytes)).transpose()?;
                Ok((bundle.into_commit().to_bytes().map_err(encoding)?, welcome))
            })
            .and_then(|(commit, welcome)| {
                limit("commit", commit.len(), crate::MAX_COMMIT_BYTES)?;
                Ok((commit, welcome))
            });
        match result {
            Ok((commit, welcome)) => {
                let epoch = Epoch(session.group.epoch().as_u64()).next();
                Ok(Staged { commit, welcome, epoch })
            }
            Err(error) => {
                if self.is_staged() {
                    self.discard_staged()?;
                }
                Err(error)
            }
        }
    }

    /// Moves on to the epoch of the staged change. Call it once the commit is accepted: sent to all when this host is
    /// the only one to order commits.
    ///
    /// # Errors
    /// [`Error::State`] when nothing is staged, [`Error::Internal`] when the library fails.
    pub fn merge_staged(&mut self) -> Result<Epoch, Error> {
        let session = self.session.as_mut().ok_or(NO_SESSION)?;
        if session.group.pending_commit().is_none() {
            return Err(NOTHING_STAGED);
        }
        session
            .group
            .merge_pending_commit(&self.provider)
            .map_err(|e| Error::internal("merging a commit", e))?;
        Ok(Epoch(session.group.epoch().as_u64()))
    }

    /// Drops the staged change. The session stays in its epoch and another change can be staged. Only for a commit that
    /// no member has taken in: those who did have moved on, and would be cut off.
    ///
    /// # Errors
    /// [`Error::State`] when nothing is staged, [`Error::Internal`] when the library fails.
    pub fn discard_staged(&mut self) -> Result<(), Error> {
        let session = self.session.as_mut().ok_or(NO_SESSION)?;
        if session.group.pending_commit().is_none() {
            return Err(NOTHING_STAGED);
        }
        session
            .group
            .clear_pending_commit(self.provider.storage())
            .map_err(|e| Error::internal("dropping a commit", e))
    }

    /// Forgets the session and its keys, on this side only: the host still has to remove this peer. Afterwards another
    /// session can be joined, or the same one anew.
    ///
    /// # Errors
    /// [`Error::State`] when in no session, [`Error::Internal`] when the library fails.
    pub fn leave(&mut self) -> Result<(), Error> {
        let mut session = self.session.take().ok_or(NO_SESSION)?;
        session.group.delete(self.provider.storage()).map_err(|e| Error::internal("deleting a group", e))
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
        self.session.as_ref().map(|session| session.host)
    }

    /// The current epoch, if in a session.
    pub fn epoch(&self) -> Option<Epoch> {
        self.session.as_ref().map(|session| Epoch(session.group.epoch().as_u64()))
    }

    /// True while a staged change waits for acceptance.
    pub fn is_staged(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.group.pending_commit().is_some())
    }

    /// The secret of the current epoch, the same at all members.
    ///
    /// # Errors
    /// [`Error::State`] when in no session, [`Error::Internal`] when the library fails.
    pub fn epoch_secret(&self) -> Result<EpochSecret, Error> {
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        let exported = session
            .group
            .export_secret(self.provider.crypto(), EXPORTER_LABEL, b"", 32)
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

    pub(crate) fn forget_key_package(&self, reference: &KeyPackageRef) -> Result<(), Error> {
        self.provider
            .storage()
            .delete_key_package(reference)
            .map_err(|e| Error::internal("deleting a key package", e))
    }

    fn credential_with_key(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: credential(self.key_id),
            signature_key: self.signer.to_public_vec().into(),
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
const NOTHING_STAGED: Error = Error::State("no change is staged");

pub(crate) fn group_id(session: SessionId) -> GroupId {
    GroupId::from_slice(session.as_bytes())
}

/// Exactly what this crate speaks. Other suites are left out, so that no other group can add such a leaf.
fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        None,
        None,
        Some(&[CredentialType::Basic]),
    )
}

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

fn refused(error: CreateCommitError) -> Error {
    match error {
        CreateCommitError::ProposalValidationError(reason) => Error::bad("change", reason),
        other => Error::internal("building a commit", other),
    }
}
