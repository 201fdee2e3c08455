//! The caller's random generator behind a lock.

use crate::Error;
use core::fmt;
use openmls_traits::random::OpenMlsRand;
use rand_core::{CryptoRng, Rng as _};
use std::sync::{Mutex, PoisonError};

/// The generator that [`Provider::new`](crate::Provider::new) was given.
pub struct Random(Mutex<Box<dyn CryptoRng + Send>>);

impl Random {
    pub(crate) fn new(generator: impl CryptoRng + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(generator)))
    }

    /// The next bytes.
    pub(crate) fn fill(&self, bytes: &mut [u8]) {
        // A generator has no invariant that a panic elsewhere could have broken half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(..)")
    }
}

impl OpenMlsRand for Random {
    type Error = Error;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        Ok(bytes)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        Ok(bytes)
    }
}
