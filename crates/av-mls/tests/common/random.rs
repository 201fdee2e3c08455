//! Randomness for the tests inside the crate and beside it.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::sync::atomic::{AtomicU64, Ordering};

/// A generator like no other in this process.
pub(crate) fn random() -> StdRng {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    StdRng::seed_from_u64(NEXT.fetch_add(1, Ordering::Relaxed))
}
