//! The three parts in one, as `openmls` wants them.

use crate::{Crypto, GroupStore, Random};
use openmls_traits::OpenMlsProvider;
use rand_core::CryptoRng;

/// Cryptography, randomness and storage for `openmls` calls.
#[derive(Debug)]
pub struct Provider {
    crypto: Crypto,
    store: GroupStore,
}

impl Provider {
    /// A provider over `store`. `random` must be a seeded, cryptographically secure generator of its own: a clone of one
    /// that is in use elsewhere would hand out the same keys twice.
    pub fn new(random: impl CryptoRng + Send + 'static, store: GroupStore) -> Self {
        Self { crypto: Crypto::new(random), store }
    }

    /// The cryptography; also what `OpenMlsProvider::crypto` gives.
    pub const fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    /// The store; also what `OpenMlsProvider::storage` gives.
    pub const fn storage(&self) -> &GroupStore {
        &self.store
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = Crypto;
    type RandProvider = Random;
    type StorageProvider = GroupStore;

    fn storage(&self) -> &Self::StorageProvider {
        &self.store
    }

    fn crypto(&self) -> &Self::CryptoProvider {
        &self.crypto
    }

    fn rand(&self) -> &Self::RandProvider {
        self.crypto.random()
    }
}
