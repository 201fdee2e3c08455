//! A member's own wish to leave. MLS lets nobody commit its own removal, so somebody with a say does it.

use crate::error::limit;
use crate::member::NO_SESSION;
use crate::provider::verifier;
use crate::roster::{key_id_of, roster_of};
use crate::{Error, Member, SUITE};
use core_types::KeyId;
use identity::canonical::{Reader, Writer};
use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{LeafNode, LeafNodeIndex};
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::signatures::Signer as _;
use sha2::{Digest as _, Sha256};

const VERSION: u8 = 1;
const LABEL: &[u8] = b"holomesh mls leave v1\0";
const SIGNATURE_LEN: usize = 64;

/// Bytes of a leave request.
pub const LEAVE_REQUEST_LEN: usize = 1 + 32 + 32 + SIGNATURE_LEN;

impl Member {
    /// A request to be removed: version u8 ‖ key id 32 ‖ SHA-256 of the member's leaf 32 ‖ signature 64 by its MLS key, over
    /// all before it and the session. It holds in any epoch until the leaf changes, so it can't be used again after the
    /// member came back.
    ///
    /// # Errors
    /// [`Error::State`] when in no session, [`Error::Internal`] when the library fails.
    pub fn leave_request(&self) -> Result<Vec<u8>, Error> {
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        let leaf = session
            .group
            .own_leaf_node()
            .ok_or_else(|| Error::internal("reading the own leaf", "it is not there"))?;
        let mut writer = Writer::with_capacity(LEAVE_REQUEST_LEN);
        writer.u8(VERSION).fixed(self.key_id.as_bytes()).fixed(&leaf_hash(leaf)?);
        let signature = self
            .signer
            .sign(&[LABEL, session.id.as_bytes(), writer.as_bytes()].concat())
            .map_err(|e| Error::internal("signing a leave request", format!("{e:?}")))?;
        let mut bytes = writer.into_bytes();
        bytes.extend_from_slice(&signature);
        Ok(bytes)
    }

    /// Checks a leave request, and says who is to be removed.
    ///
    /// # Errors
    /// [`Error::State`] when in no session; [`Error::Limit`], [`Error::Identity`] and [`Error::BadMessage`] for what is no
    /// request by a member as it is now; [`Error::NotAMember`].
    pub fn check_leave_request(&self, bytes: &[u8]) -> Result<KeyId, Error> {
        const WHAT: &str = "leave request";
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        limit(WHAT, bytes.len(), LEAVE_REQUEST_LEN)?;
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Error::bad(WHAT, "unknown version"));
        }
        let who = KeyId(reader.array()?);
        let hash: [u8; 32] = reader.array()?;
        let signature = reader.fixed(SIGNATURE_LEN)?;
        reader.finish()?;
        let entry = roster_of(&session.group).into_iter().find(|entry| entry.key_id == who);
        let leaf = entry
            .and_then(|entry| session.group.public_group().leaf(LeafNodeIndex::new(entry.leaf.0)))
            .ok_or(Error::NotAMember(who))?;
        debug_assert!(key_id_of(leaf.credential()) == Some(who));
        if leaf_hash(leaf)? != hash {
            return Err(Error::bad_from(WHAT, who, "it is of another membership or older keys"));
        }
        let signed = bytes.get(..LEAVE_REQUEST_LEN - SIGNATURE_LEN).unwrap_or_default();
        verifier()
            .verify_signature(
                SUITE.signature_algorithm(),
                &[LABEL, session.id.as_bytes(), signed].concat(),
                leaf.signature_key().as_slice(),
                signature,
            )
            .map_err(|_| Error::bad_from(WHAT, who, "its signature is wrong"))?;
        Ok(who)
    }
}

fn leaf_hash(leaf: &LeafNode) -> Result<[u8; 32], Error> {
    let bytes = leaf.tls_serialize_detached().map_err(|e| Error::internal("encoding a leaf", e))?;
    Ok(Sha256::digest(bytes).into())
}
