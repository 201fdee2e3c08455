//! What the records of a member are. A snapshot of the group, and after it a journal of what was done since: small records
//! that are applied in order when the member is opened again. The dates in commits are not looked at again then, so a
//! session reloads however long it lay.

use super::RecordKey;
use crate::branch::Branch;
use crate::{Error, codec};
use core_types::{KeyId, SessionId};
use identity::canonical::{Reader, Writer};
use openmls::prelude::StagedCommit;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

const VERSION: u8 = 1;

/// Who the member is: its MLS signature key and its identity's word for it.
pub(crate) fn own_key() -> RecordKey {
    RecordKey(b"identity".to_vec())
}

/// The group at one point.
pub(crate) fn snapshot_key() -> RecordKey {
    RecordKey(b"snapshot".to_vec())
}

/// What was done as `number`th after that point.
pub(crate) fn journal_key(number: u64) -> RecordKey {
    RecordKey([b"journal/".as_slice(), &number.to_be_bytes()].concat())
}

/// Private parts of the key package that was made as `number`th.
pub(crate) fn package_key(number: u64) -> RecordKey {
    RecordKey([b"package/".as_slice(), &number.to_be_bytes()].concat())
}

/// What a record is, by its name.
pub(crate) enum Name {
    Own,
    Snapshot,
    Journal(u64),
    Package(u64),
}

impl Name {
    pub(crate) fn of(key: &RecordKey) -> Result<Self, Error> {
        let number = |prefix: &[u8]| {
            let rest = key.0.strip_prefix(prefix)?;
            rest.try_into().ok().map(u64::from_be_bytes)
        };
        match key.0.as_slice() {
            b"identity" => Ok(Self::Own),
            b"snapshot" => Ok(Self::Snapshot),
            _ => number(b"journal/")
                .map(Self::Journal)
                .or_else(|| number(b"package/").map(Self::Package))
                .ok_or_else(|| Error::damaged("a record of an unknown name")),
        }
    }
}

/// [`own_key`].
#[derive(Serialize, Deserialize)]
pub(crate) struct Own {
    pub(crate) version: u8,
    pub(crate) seed: [u8; 32],
    pub(crate) vouch: Vec<u8>,
}

/// [`snapshot_key`].
#[derive(Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) version: u8,
    /// The first journal record that is not in it.
    pub(crate) next: u64,
    pub(crate) session: [u8; 32],
    pub(crate) branch: Vec<u8>,
    pub(crate) group: Vec<u8>,
}

impl Snapshot {
    pub(crate) fn new(next: u64, session: SessionId, branch: &Branch, group: Zeroizing<Vec<u8>>) -> Self {
        let mut group = group;
        let group = core::mem::take(&mut *group);
        Self { version: VERSION, next, session: session.0, branch: branch_bytes(branch), group }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.group.zeroize();
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

/// [`package_key`].
#[derive(Serialize, Deserialize)]
pub(crate) struct Package<B> {
    pub(crate) version: u8,
    pub(crate) bundle: B,
}

/// [`journal_key`], as it is written (`S` a reference) and as it is read (an `Option`, to be taken).
#[derive(Serialize, Deserialize)]
pub(crate) enum Entry<S> {
    /// An own commit waits for acceptance. `written` is what the library wrote when it was staged.
    Staged { commit: Vec<u8>, welcome: Option<Vec<u8>>, change: ChangeRecord, written: Vec<u8> },
    /// An external commit of our own waits for acceptance, with the group as it will be.
    Rejoin { commit: Vec<u8>, branch: Vec<u8>, group: Vec<u8> },
    /// The own commit is in force.
    Merged,
    /// The own commit was dropped.
    Discarded,
    /// Somebody else's commit is in force.
    Applied { hash: [u8; 32], staged: S },
}

/// What an own commit does.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct ChangeRecord {
    pub(crate) kind: u8,
    pub(crate) added: Vec<[u8; 32]>,
    pub(crate) removed: Vec<[u8; 32]>,
}

impl<S> Drop for Entry<S> {
    fn drop(&mut self) {
        if let Self::Staged { written: secret, .. } | Self::Rejoin { group: secret, .. } = self {
            secret.zeroize();
        }
    }
}

impl<S: Serialize> Entry<S> {
    pub(crate) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        codec::to_bytes(&(VERSION, self))
    }
}

impl Entry<Option<StagedCommit>> {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (version, entry): (u8, Self) = codec::from_bytes(bytes)?;
        check_version(version)?;
        Ok(entry)
    }
}

pub(crate) const fn version() -> u8 {
    VERSION
}

pub(crate) fn check_version(version: u8) -> Result<(), Error> {
    if version == VERSION {
        Ok(())
    } else {
        Err(Error::damaged(format!("version {version}, expected {VERSION}")))
    }
}

pub(crate) fn branch_bytes(branch: &Branch) -> Vec<u8> {
    let mut writer = Writer::new();
    branch.write(&mut writer);
    writer.into_bytes()
}

pub(crate) fn read_branch(bytes: &[u8]) -> Result<Branch, Error> {
    Branch::read(&mut Reader::new(bytes)).map_err(Error::damaged)
}

pub(crate) fn raw(ids: &[KeyId]) -> Vec<[u8; 32]> {
    ids.iter().map(|id| id.0).collect()
}

pub(crate) fn ids(raw: &[[u8; 32]]) -> Vec<KeyId> {
    raw.iter().copied().map(KeyId).collect()
}
