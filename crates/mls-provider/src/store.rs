//! The storage: a map in memory, with the ratchet trees left out where the caller holds the groups.

mod batch;
mod codec;
mod openmls;

pub use batch::WriteBatch;

use crate::Error;
use ::openmls::prelude::MlsGroup;
use batch::{Op, SNAPSHOT, read_ops, write_put};
use codec::{Secret, decode, encode_into};
use core::fmt;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

/// Whether ratchet trees are written to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeWrites {
    /// At every change, as with any other storage: `MlsGroup::load` always works.
    Eager,
    /// Not at all. A change takes the tree out of the store, so that an old one is never read, and [`GroupStore::snapshot`]
    /// takes it from the group.
    Deferred,
}

/// Everything that `openmls` keeps, in memory, encoded and wiped when it is overwritten or dropped.
///
/// It can be shared: each call locks it for a moment. The crate's front page says what is in it when, and how it survives
/// a crash.
pub struct GroupStore {
    state: Mutex<State>,
}

struct State {
    trees: TreeWrites,
    values: BTreeMap<Vec<u8>, Secret>,
    /// Keys of trees that changed and were not written.
    held_elsewhere: BTreeSet<Vec<u8>>,
    capture: Option<WriteBatch>,
}

impl GroupStore {
    /// An empty store.
    pub const fn new(trees: TreeWrites) -> Self {
        Self::with(BTreeMap::new(), trees)
    }

    /// The store of a [`snapshot`](Self::snapshot). It writes trees [eagerly](TreeWrites::Eager), so that groups can be
    /// loaded at any point of a replay.
    ///
    /// # Errors
    /// [`Error::Malformed`] for other bytes than those of a snapshot.
    pub fn restore(snapshot: &[u8]) -> Result<Self, Error> {
        let mut values = BTreeMap::new();
        for Op { key, value } in read_ops(&SNAPSHOT, snapshot)? {
            let value = value.ok_or_else(|| SNAPSHOT.malformed("it deletes"))?;
            if values.insert(key, value).is_some() {
                return Err(SNAPSHOT.malformed("it has a key twice"));
            }
        }
        Ok(Self::with(values, TreeWrites::Eager))
    }

    /// All that is in the store and the trees of `live`, as bytes; [`restore`](Self::restore) takes them. They are secret:
    /// private keys are among them.
    ///
    /// `live` must be every group that changed under [`TreeWrites::Deferred`], as it is now. Others may be among them.
    /// Nothing is changed. For a thousand members this serialises a few megabytes, so it wants a quiet moment.
    ///
    /// # Errors
    /// [`Error::TreeNotStored`] when a group is missing whose tree is not in the store, [`Error::Encode`] and
    /// [`Error::TooLarge`] when a group can't be encoded.
    pub fn snapshot<'a>(
        &self,
        live: impl IntoIterator<Item = &'a MlsGroup>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut groups = BTreeMap::new();
        for group in live {
            groups.insert(Kind::Tree.key(group.group_id())?, group.treesync());
        }
        let state = self.lock();
        if !state.held_elsewhere.iter().all(|key| groups.contains_key(key)) {
            return Err(Error::TreeNotStored);
        }
        let stored: usize = state.values.iter().map(|(key, value)| key.len() + value.len() + 9).sum();
        // A member's share of a tree is two nodes with a key of 1,216 bytes each, and its leaf's signature and names.
        let members = groups.values().map(|tree| tree.full_leaves().count()).sum::<usize>();
        let mut out = Secret::with_capacity(SNAPSHOT.magic.len() + stored + members * 3_072);
        out.extend(SNAPSHOT.magic);
        for (key, value) in &state.values {
            if !groups.contains_key(key) {
                write_put(&mut out, key, |out| {
                    out.extend(value);
                    Ok(())
                })?;
            }
        }
        for (key, tree) in &groups {
            write_put(&mut out, key, |out| encode_into(out, Kind::Tree.name(), tree))?;
        }
        Ok(out.into_inner())
    }

    /// How trees are written from now on. Those that were not written stay so until their next change.
    pub fn set_tree_writes(&self, trees: TreeWrites) {
        self.lock().trees = trees;
    }

    /// How trees are written.
    pub fn tree_writes(&self) -> TreeWrites {
        self.lock().trees
    }

    /// Starts to keep a list of what is written and deleted. A capture that was under way starts over.
    pub fn begin_capture(&self) {
        self.lock().capture = Some(WriteBatch::default());
    }

    /// What was written and deleted since [`begin_capture`](Self::begin_capture), the last state of each entity only.
    /// Ends the capture. Empty when there was none.
    pub fn take_captured(&self) -> WriteBatch {
        self.lock().capture.take().unwrap_or_default()
    }

    /// Writes and deletes what a batch says. An `MlsGroup` in memory does not notice: load it anew.
    ///
    /// A capture that is under way does not record it.
    pub fn apply(&self, batch: WriteBatch) {
        let mut state = self.lock();
        for (key, value) in batch.into_ops() {
            state.held_elsewhere.remove(&key);
            match value {
                Some(value) => state.values.insert(key, value),
                None => state.values.remove(&key),
            };
        }
    }

    const fn with(values: BTreeMap<Vec<u8>, Secret>, trees: TreeWrites) -> Self {
        let state = State { trees, values, held_elsewhere: BTreeSet::new(), capture: None };
        Self { state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one insertion or removal, so a panic elsewhere leaves nothing half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, kind: Kind, key: &impl Serialize, value: &impl Serialize) -> Result<(), Error> {
        let key = kind.key(key)?;
        let mut state = self.lock();
        if kind == Kind::Tree {
            if state.trees == TreeWrites::Deferred {
                state.values.remove(&key);
                state.held_elsewhere.insert(key);
                return Ok(());
            }
            state.held_elsewhere.remove(&key);
        }
        // The new value is likely as long as the old one.
        let capacity = state.values.get(&key).map_or(0, |old| old.len());
        let mut bytes = Secret::with_capacity(capacity);
        kind.encode(&mut bytes, value)?;
        state.put(key, bytes);
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, kind: Kind, key: &impl Serialize) -> Result<Option<T>, Error> {
        let key = kind.key(key)?;
        let state = self.lock();
        if state.held_elsewhere.contains(&key) {
            return Err(Error::TreeNotStored);
        }
        state.values.get(&key).map(|bytes| kind.decode(bytes)).transpose()
    }

    fn delete(&self, kind: Kind, key: &impl Serialize) -> Result<(), Error> {
        let key = kind.key(key)?;
        let mut state = self.lock();
        state.held_elsewhere.remove(&key);
        state.remove(key);
        Ok(())
    }

    /// Changes a list of encodings, which is absent when it is empty.
    fn change_list(
        &self,
        kind: Kind,
        key: &impl Serialize,
        change: impl FnOnce(&mut Vec<Vec<u8>>),
    ) -> Result<(), Error> {
        let mut list: Vec<Vec<u8>> = self.read(kind, key)?.unwrap_or_default();
        change(&mut list);
        if list.is_empty() { self.delete(kind, key) } else { self.write(kind, key, &list) }
    }
}

impl State {
    fn put(&mut self, key: Vec<u8>, value: Secret) {
        if let Some(capture) = &mut self.capture {
            capture.record(key.clone(), Some(value.clone()));
        }
        self.values.insert(key, value);
    }

    fn remove(&mut self, key: Vec<u8>) {
        self.values.remove(&key);
        if let Some(capture) = &mut self.capture {
            capture.record(key, None);
        }
    }
}

impl fmt::Debug for GroupStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("GroupStore")
            .field("trees", &state.trees)
            .field("entities", &state.values.len())
            .field("trees_not_stored", &state.held_elsewhere.len())
            .finish_non_exhaustive()
    }
}

/// The kinds of entities. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tree = 1,
    GroupContext = 2,
    InterimTranscriptHash = 3,
    ConfirmationTag = 4,
    GroupState = 5,
    MessageSecrets = 6,
    ResumptionPskStore = 7,
    OwnLeafIndex = 8,
    EpochSecrets = 9,
    JoinConfig = 10,
    OwnLeafNodes = 11,
    ProposalRefs = 12,
    Proposal = 13,
    SignatureKeyPair = 14,
    EncryptionKeyPair = 15,
    EpochKeyPairs = 16,
    KeyPackage = 17,
    Psk = 18,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Tree => "a ratchet tree",
            Self::GroupContext => "a group context",
            Self::InterimTranscriptHash => "an interim transcript hash",
            Self::ConfirmationTag => "a confirmation tag",
            Self::GroupState => "a group state",
            Self::MessageSecrets => "message secrets",
            Self::ResumptionPskStore => "resumption secrets",
            Self::OwnLeafIndex => "an own leaf index",
            Self::EpochSecrets => "epoch secrets",
            Self::JoinConfig => "a join config",
            Self::OwnLeafNodes => "own leaf nodes",
            Self::ProposalRefs => "proposal references",
            Self::Proposal => "a proposal",
            Self::SignatureKeyPair => "a signature key pair",
            Self::EncryptionKeyPair => "an encryption key pair",
            Self::EpochKeyPairs => "encryption key pairs of an epoch",
            Self::KeyPackage => "a key package",
            Self::Psk => "a pre-shared key",
        }
    }

    fn key(self, key: &impl Serialize) -> Result<Vec<u8>, Error> {
        let start = vec![self as u8];
        postcard::to_extend(key, start)
            .map_err(|e| Error::Encode { what: self.name(), reason: e.to_string() })
    }

    fn encode(self, out: &mut Secret, value: &impl Serialize) -> Result<(), Error> {
        if self == Self::JoinConfig {
            // Its reader asks what type comes next, which only a self-describing format can say. It is small, and public.
            let text = serde_json::to_vec(value)
                .map_err(|e| Error::Encode { what: self.name(), reason: e.to_string() })?;
            out.extend(&text);
            return Ok(());
        }
        encode_into(out, self.name(), value)
    }

    fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, Error> {
        if self == Self::JoinConfig {
            return serde_json::from_slice(bytes)
                .map_err(|e| Error::Decode { what: self.name(), reason: e.to_string() });
        }
        decode(self.name(), bytes)
    }
}

#[cfg(test)]
mod tests;
