//! Joining a session by welcome.

use crate::commit::EarlyCommits;
use crate::member::{Session, group_id};
use crate::roster::key_id_of;
use crate::vouch::Vouch;
use crate::{Error, MAX_MEMBERS, Member, SUITE};
use core_types::{Epoch, KeyId, SessionId};
use openmls::prelude::tls_codec::DeserializeBytes as _;
use openmls::prelude::{
    KeyPackageBundle, KeyPackageRef, MlsGroup, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn,
    StagedWelcome, Welcome,
};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::storage::StorageProvider as _;
use std::collections::BTreeSet;

impl Member {
    /// Joins `session` by a welcome from `host`. On success all remaining key packages are forgotten. On any error
    /// they are all still there, and so is the chance to join by the next welcome.
    ///
    /// # Errors
    /// [`Error::State`] when in a session already; [`Error::Limit`], [`Error::Identity`] and [`Error::BadMessage`] when
    /// the welcome is malformed, not vouched for by `host`, for another session, for nobody here, or wrong in itself;
    /// [`Error::WrongSuite`] when it is for a group without ML-KEM-768.
    pub fn join(&mut self, welcome: &[u8], host: KeyId, session: SessionId) -> Result<Epoch, Error> {
        self.require_no_session()?;
        let (signer, welcome) = Vouch::unwrap(welcome, host)?;
        let welcome = read_welcome(welcome, host)?;

        // The library deletes the key package from the store before it knows whether the welcome is any good.
        let ours: Vec<&KeyPackageRef> =
            self.key_packages.iter().filter(|ours| names(&welcome, ours)).collect();
        let bundles = ours
            .into_iter()
            .map(|reference| Ok((reference.clone(), self.stored(reference)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        if bundles.is_empty() {
            return Err(Error::bad_from("welcome", host, "it is for none of this member's key packages"));
        }
        match self.group_from(welcome, host, session, &signer) {
            Ok(group) => {
                let epoch = Epoch(group.epoch().as_u64());
                self.session = Some(Session { id: session, host, group, early: EarlyCommits::default() });
                for reference in core::mem::take(&mut self.key_packages) {
                    self.forget_key_package(&reference)?;
                }
                Ok(epoch)
            }
            Err(error) => {
                for (reference, bundle) in &bundles {
                    self.provider
                        .storage()
                        .write_key_package(reference, bundle)
                        .map_err(|e| Error::internal("restoring a key package", e))?;
                }
                Err(error)
            }
        }
    }

    fn stored(&self, reference: &KeyPackageRef) -> Result<KeyPackageBundle, Error> {
        self.provider
            .storage()
            .key_package(reference)
            .map_err(|e| Error::internal("reading a key package", e))?
            .ok_or_else(|| Error::internal("reading a key package", "it is gone"))
    }

    /// Checks all of a welcome before the group it describes is stored.
    fn group_from(
        &self,
        welcome: Welcome,
        host: KeyId,
        session: SessionId,
        signer: &[u8; 32],
    ) -> Result<MlsGroup, Error> {
        let bad = |reason: &str| Error::bad_from("welcome", host, reason);
        let refused = |e| Error::bad_from("welcome", host, e);
        let config = MlsGroupJoinConfig::builder().use_ratchet_tree_extension(true).build();
        let builder = StagedWelcome::build_from_welcome(&self.provider, &config, welcome).map_err(refused)?;
        let processed = builder.processed_welcome();
        if processed.unverified_group_info().group_id() != &group_id(session) {
            return Err(bad("it is for another session"));
        }
        if !processed.psks().is_empty() {
            return Err(bad("it needs a pre-shared key"));
        }
        // A session outlives the dates of the key packages that its members came in with (RFC 9420 section 7.3).
        let staged = builder.skip_lifetime_validation().build().map_err(refused)?;

        let sender = staged.welcome_sender().map_err(|e| Error::bad_from("welcome", host, e))?;
        if key_id_of(sender.credential()) != Some(host) || sender.signature_key().as_slice() != signer {
            return Err(bad("its sender is not the host"));
        }
        let mut members = BTreeSet::new();
        for member in staged.members() {
            let key_id = key_id_of(&member.credential).ok_or_else(|| bad("a credential is not a key id"))?;
            if !members.insert(key_id) {
                return Err(bad("somebody is a member twice"));
            }
            if members.len() > MAX_MEMBERS {
                return Err(bad("the session is too large"));
            }
        }
        staged.into_group(&self.provider).map_err(|e| Error::internal("storing a group", e))
    }
}

fn names(welcome: &Welcome, reference: &KeyPackageRef) -> bool {
    welcome.secrets().iter().any(|secret| secret.new_member() == *reference)
}

fn read_welcome(bytes: &[u8], host: KeyId) -> Result<Welcome, Error> {
    let message =
        MlsMessageIn::tls_deserialize_exact_bytes(bytes).map_err(|e| Error::bad_from("welcome", host, e))?;
    let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
        return Err(Error::bad_from("welcome", host, "it is another kind of message"));
    };
    if welcome.ciphersuite() != SUITE {
        return Err(Error::WrongSuite { peer: host, suite: u16::from(welcome.ciphersuite()) });
    }
    Ok(welcome)
}
