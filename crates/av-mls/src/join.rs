//! Joining a session by welcome.

use crate::error::limit;
use crate::member::{Session, group_id};
use crate::roster::key_id_of;
use crate::vouch::{Kind, Opened, open};
use crate::{Authority, Error, MAX_MEMBERS, MAX_WELCOME_BYTES, Member, SUITE, TREE_APART_FROM};
use core_types::{Epoch, KeyId, SessionId};
use mls_provider::Provider;
use openmls::prelude::tls_codec::{DeserializeBytes as _, Serialize as _};
use openmls::prelude::{
    KeyPackageRef, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn, RatchetTreeIn, StagedWelcome, Welcome,
};
use openmls_traits::storage::StorageProvider as _;
use std::collections::BTreeSet;

impl Member {
    /// Joins `session`, which `host` hosts, by a welcome from the host or from somebody that it has named. The key package
    /// that was used is forgotten then, unless it is one of last resort; the others stay. On any error all of them are still
    /// there, and so is the chance to join by the next welcome.
    ///
    /// # Errors
    /// [`Error::State`] when in a session already; [`Error::Limit`], [`Error::Identity`] and [`Error::BadMessage`] when
    /// the welcome is malformed, from somebody without a say, for another session, for nobody here, or wrong in itself;
    /// [`Error::WrongSuite`] when it is for a group without ML-KEM-768; [`Error::Store`].
    pub fn join(&mut self, welcome: &[u8], host: KeyId, session: SessionId) -> Result<Epoch, Error> {
        self.join_with_tree(welcome, None, host, session)
    }

    /// As [`join`](Self::join), with the tree that goes beside the welcome of a large session
    /// ([`tree_for_welcome`](Self::tree_for_welcome)). The welcome names its hash, so it needs no other proof.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn join_with_tree(
        &mut self,
        welcome: &[u8],
        tree: Option<&[u8]>,
        host: KeyId,
        session: SessionId,
    ) -> Result<Epoch, Error> {
        self.require_no_session()?;
        let opened = open(Kind::Welcome, welcome)?;
        let by = opened.vouch.key_id();
        let welcome = read_welcome(opened.message, by)?;
        let tree = tree.map(|bytes| read_tree(bytes, by)).transpose()?;

        // The library deletes the key package from its store before it knows whether the welcome is any good, so it gets a
        // store with a copy.
        let provider = self.random.provider();
        let mut used = Vec::new();
        for kept in self.packages.list.iter().filter(|kept| names(&welcome, &kept.reference)) {
            provider
                .storage()
                .write_key_package(&kept.reference, &kept.bundle)
                .map_err(|e| Error::internal("copying a key package", e))?;
            used.push((kept.number, kept.is_last_resort()));
        }
        if used.is_empty() {
            return Err(Error::bad_from("welcome", by, "it is for none of this member's key packages"));
        }
        let joined = session_from(provider, welcome, tree, &opened, host, session)?;
        let epoch = joined.epoch();
        self.session = Some(joined);
        let used: Vec<u64> =
            used.iter().filter(|(_, last_resort)| !last_resort).map(|(number, _)| *number).collect();
        if let Err(error) = self.record_joined(&used) {
            self.session = None;
            return Err(error);
        }
        self.packages.forget(&used);
        Ok(epoch)
    }
}

impl Member {
    /// The tree of the present epoch, to go beside the welcomes to it; `None` in a session of fewer than
    /// [`TREE_APART_FROM`], whose welcomes carry it, sealed. Take it right after
    /// [`merge_staged`](Self::merge_staged).
    ///
    /// # Errors
    /// [`Error::State`] when in no session, [`Error::Internal`] when the library fails.
    pub fn tree_for_welcome(&self) -> Result<Option<Vec<u8>>, Error> {
        let session = self.session.as_ref().ok_or(crate::member::NO_SESSION)?;
        if session.group.members().nth(TREE_APART_FROM - 1).is_none() {
            return Ok(None);
        }
        let tree = session.group.export_ratchet_tree().tls_serialize_detached();
        tree.map(Some).map_err(|e| Error::internal("encoding a tree", e))
    }
}

/// Checks all of a welcome, and makes the session that it describes.
fn session_from(
    provider: Provider,
    welcome: Welcome,
    tree: Option<RatchetTreeIn>,
    opened: &Opened<'_>,
    host: KeyId,
    session: SessionId,
) -> Result<Session, Error> {
    let by = opened.vouch.key_id();
    let references: Vec<KeyPackageRef> = welcome.secrets().iter().map(|secret| secret.new_member()).collect();
    let bad = |reason: &str| Error::bad_from("welcome", by, reason);
    let refused = |e| Error::bad_from("welcome", by, e);
    let builder = StagedWelcome::build_from_welcome(&provider, &join_config(), welcome).map_err(refused)?;
    let processed = builder.processed_welcome();
    let info = processed.unverified_group_info();
    if info.group_id() != &group_id(session) {
        return Err(bad("it is for another session"));
    }
    if !processed.psks().is_empty() {
        return Err(bad("it needs a pre-shared key"));
    }
    let authority = Authority::from_extensions(info.group_context().extensions())
        .map_err(|e| Error::bad_from("welcome", by, e))?;
    authority.check(host, session).map_err(bad)?;
    if !authority.may_change(by) {
        return Err(bad("its sender has no say in that session"));
    }
    // A session outlives the dates of the key packages that its members came in with (RFC 9420 section 7.3).
    let builder = builder.skip_lifetime_validation();
    let builder = if let Some(tree) = tree { builder.with_ratchet_tree(tree) } else { builder };
    let staged = builder.build().map_err(refused)?;

    let sender = staged.welcome_sender().map_err(|e| Error::bad_from("welcome", by, e))?;
    if key_id_of(sender.credential()) != Some(by)
        || sender.signature_key().as_slice() != opened.vouch.signer()
    {
        return Err(bad("its sender is not who vouches for it"));
    }
    check_members(staged.members().map(|member| key_id_of(&member.credential))).map_err(bad)?;
    let group = staged.into_group(&provider).map_err(|e| Error::internal("storing a group", e))?;
    // One of last resort stays in this copy of the store otherwise.
    for secret in references {
        provider.storage().delete_key_package(&secret).map_err(|e| Error::internal("dropping a copy", e))?;
    }
    Session::new(session, provider, group, opened.branch.clone())
}

pub(crate) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder().use_ratchet_tree_extension(true).build()
}

/// Refuses a roster of somebody without a key id, of somebody twice, or of too many.
pub(crate) fn check_members(roster: impl Iterator<Item = Option<KeyId>>) -> Result<(), &'static str> {
    let mut members = BTreeSet::new();
    for key_id in roster {
        let key_id = key_id.ok_or("a credential is not a key id")?;
        if !members.insert(key_id) {
            return Err("somebody is a member twice");
        }
        if members.len() > MAX_MEMBERS {
            return Err("the session is too large");
        }
    }
    Ok(())
}

pub(crate) fn names(welcome: &Welcome, reference: &KeyPackageRef) -> bool {
    welcome.secrets().iter().any(|secret| secret.new_member() == *reference)
}

fn read_tree(bytes: &[u8], by: KeyId) -> Result<RatchetTreeIn, Error> {
    limit("tree", bytes.len(), MAX_WELCOME_BYTES)?;
    RatchetTreeIn::tls_deserialize_exact_bytes(bytes).map_err(|e| Error::bad_from("tree", by, e))
}

fn read_welcome(bytes: &[u8], by: KeyId) -> Result<Welcome, Error> {
    let message =
        MlsMessageIn::tls_deserialize_exact_bytes(bytes).map_err(|e| Error::bad_from("welcome", by, e))?;
    let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
        return Err(Error::bad_from("welcome", by, "it is another kind of message"));
    };
    if welcome.ciphersuite() != SUITE {
        return Err(Error::WrongSuite { peer: by, suite: u16::from(welcome.ciphersuite()) });
    }
    Ok(welcome)
}
