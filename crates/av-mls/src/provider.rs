//! What `openmls` stands on here: one provider per group, all fed by the generator that the member was given.

use crate::Error;
use core::convert::Infallible;
use core::fmt;
use mls_provider::{Crypto, GroupStore, Provider, TreeWrites};
use openmls::prelude::{GroupId, MlsGroup};
use rand_core::{CryptoRng, Rng as _, TryCryptoRng, TryRng};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use zeroize::Zeroizing;

/// One generator for several providers.
#[derive(Clone)]
pub(crate) struct SharedRandom(Arc<Mutex<Box<dyn CryptoRng + Send>>>);

impl SharedRandom {
    pub(crate) fn new(random: impl CryptoRng + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(random))))
    }

    /// A provider with an empty store of its own.
    pub(crate) fn provider(&self) -> Provider {
        Provider::new(self.clone(), GroupStore::new(TreeWrites::Deferred))
    }

    /// A provider with what a snapshot holds, and the group in it. It writes trees eagerly until
    /// [`set_tree_writes`](GroupStore::set_tree_writes).
    pub(crate) fn restore(&self, snapshot: &[u8], id: &GroupId) -> Result<(Provider, MlsGroup), Error> {
        let store = GroupStore::restore(snapshot).map_err(Error::damaged)?;
        let provider = Provider::new(self.clone(), store);
        let group = load(&provider, id)?;
        Ok((provider, group))
    }
}

/// The group as the store has it.
pub(crate) fn load(provider: &Provider, id: &GroupId) -> Result<MlsGroup, Error> {
    MlsGroup::load(provider.storage(), id)
        .map_err(Error::damaged)?
        .ok_or_else(|| Error::damaged("there is no group in it"))
}

/// All that has to outlive the process for a group to go on.
pub(crate) fn snapshot(provider: &Provider, group: &MlsGroup) -> Result<Zeroizing<Vec<u8>>, Error> {
    provider.storage().snapshot([group]).map_err(|e| Error::internal("making a snapshot", e))
}

/// Cryptography for checking what others made, which needs no randomness.
pub(crate) fn verifier() -> &'static Crypto {
    static VERIFIER: LazyLock<Crypto> = LazyLock::new(|| Crypto::new(NoRandom));
    &VERIFIER
}

/// Gives zeros. Only where nothing is drawn.
struct NoRandom;

impl TryRng for NoRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0);
        Ok(())
    }
}

impl TryCryptoRng for NoRandom {}

impl TryRng for SharedRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for SharedRandom {}

impl fmt::Debug for SharedRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedRandom(..)")
    }
}
