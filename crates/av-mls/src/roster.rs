//! Who is in a session, read from MLS credentials.

use core_types::{KeyId, LeafIndex};
use openmls::prelude::{BasicCredential, Credential, MlsGroup};

/// One member of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RosterEntry {
    /// Position in the tree. Freed when the member leaves, and then given to somebody else.
    pub leaf: LeafIndex,
    /// The member's identity.
    pub key_id: KeyId,
}

/// The credential that stands for `key_id`.
pub(crate) fn credential(key_id: KeyId) -> Credential {
    BasicCredential::new(key_id.as_bytes().to_vec()).into()
}

/// The identity that a credential stands for. `None` unless it is a basic credential of 32 bytes.
pub(crate) fn key_id_of(credential: &Credential) -> Option<KeyId> {
    let basic = BasicCredential::try_from(credential.clone()).ok()?;
    basic.identity().try_into().ok().map(KeyId)
}

/// All members in leaf order. Every credential was checked before its leaf came into the tree.
pub(crate) fn roster_of(group: &MlsGroup) -> Vec<RosterEntry> {
    group
        .members()
        .filter_map(|member| {
            let key_id = key_id_of(&member.credential)?;
            Some(RosterEntry { leaf: LeafIndex(member.index.u32()), key_id })
        })
        .collect()
}
