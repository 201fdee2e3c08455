//! A store that lives as long as the process.

use super::{Batch, Record, RecordKey, StateStore, StoreFault, Write};
use core::fmt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::{Zeroize as _, Zeroizing};

/// Keeps records in memory. Clones are handles to the same records, so that a member can be dropped and opened again. What
/// is replaced or deleted is wiped at once, and everything when the last handle is dropped.
#[derive(Clone, Default)]
pub struct MemoryStore {
    records: Arc<Mutex<BTreeMap<RecordKey, Slot>>>,
}

/// The bytes of one record. Whoever holds a handle can look at the allocation after the record is gone.
#[derive(Clone)]
pub(crate) struct Slot(pub(crate) Arc<Mutex<Vec<u8>>>);

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    #[cfg(test)]
    pub(crate) fn slots(&self) -> Vec<(RecordKey, Slot)> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().map(|(key, slot)| (key.clone(), slot.clone())).collect()
    }
}

impl StateStore for MemoryStore {
    fn load(&self) -> Result<Vec<Record>, StoreFault> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(records.iter().map(|(key, slot)| Record { key: key.clone(), value: slot.read() }).collect())
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreFault> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        for write in batch.writes() {
            let old = match write {
                Write::Put(key, value) => records.insert(key.clone(), Slot::new(value)),
                Write::Delete(key) => records.remove(key),
            };
            if let Some(old) = old {
                old.wipe();
            }
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "MemoryStore({} records)", records.len())
    }
}

impl Slot {
    fn new(value: &[u8]) -> Self {
        Self(Arc::new(Mutex::new(value.to_vec())))
    }

    fn read(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Overwrites the bytes where they are; the length stays.
    fn wipe(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut_slice().zeroize();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) == 1 {
            self.wipe();
        }
    }
}
