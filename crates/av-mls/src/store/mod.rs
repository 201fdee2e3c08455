//! Where a member keeps what has to outlive the process.

mod memory;
pub(crate) mod record;
#[cfg(feature = "redb")]
mod redb;

pub use memory::MemoryStore;
#[cfg(test)]
pub(crate) use memory::Slot;
#[cfg(feature = "redb")]
pub use redb::{RedbStore, StorageKey};

use core::fmt;
use zeroize::Zeroizing;

/// Keeps records, and changes several of them at once or not at all.
///
/// A member writes before it acts: a change is in the store before its commit can be sent, and before an accepted commit
/// is in force. So after a crash at any point the store holds the state before a call or the state after it.
///
/// Values hold secrets. A store that writes them anywhere must seal them, and wipe what it deletes as far as it can.
pub trait StateStore: Send {
    /// All records, in any order.
    ///
    /// # Errors
    /// When they can't be read; nothing is then known about the state.
    fn load(&self) -> Result<Vec<Record>, StoreFault>;

    /// Does all writes of a batch, in order, or none. Once it returns `Ok`, they survive a crash.
    ///
    /// # Errors
    /// When they could not be done. If that is not certain, say after a lost answer, it may have happened all the same:
    /// the member's next write makes it good.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreFault>;

    /// False for a store that forgets everything, so that nothing is prepared for it.
    fn is_durable(&self) -> bool {
        true
    }
}

/// The name of a record. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(pub Vec<u8>);

/// A record as it was put in.
pub struct Record {
    /// Its name.
    pub key: RecordKey,
    /// Its bytes; secret.
    pub value: Zeroizing<Vec<u8>>,
}

/// Writes that belong together.
#[derive(Default)]
pub struct Batch {
    writes: Vec<Write>,
}

/// One write of a [`Batch`].
pub enum Write {
    /// Puts a record in place of the one of that name, if there is one.
    Put(RecordKey, Zeroizing<Vec<u8>>),
    /// Takes a record out, if there is one.
    Delete(RecordKey),
}

impl Batch {
    /// The writes in order.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    pub(crate) fn put(&mut self, key: RecordKey, value: Zeroizing<Vec<u8>>) -> &mut Self {
        self.writes.push(Write::Put(key, value));
        self
    }

    pub(crate) fn delete(&mut self, key: RecordKey) -> &mut Self {
        self.writes.push(Write::Delete(key));
        self
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.writes).finish()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({:?}, {} bytes)", self.key, self.value.len())
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(key, value) => write!(f, "Put({key:?}, {} bytes)", value.len()),
            Self::Delete(key) => write!(f, "Delete({key:?})"),
        }
    }
}

/// What a store says when it fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreFault(pub String);

/// Forgets everything: for a member that starts anew after a restart.
#[derive(Debug, Default)]
pub(crate) struct NoStore;

impl StateStore for NoStore {
    fn load(&self) -> Result<Vec<Record>, StoreFault> {
        Ok(Vec::new())
    }

    fn commit(&mut self, _: &Batch) -> Result<(), StoreFault> {
        Ok(())
    }

    fn is_durable(&self) -> bool {
        false
    }
}
