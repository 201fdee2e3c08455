//! The root over a set of leaves.

use crate::domain;
use core::fmt;
use sha2::{Digest, Sha256};

/// A root, or another hash of 32 bytes that stands for a set.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Root(pub [u8; 32]);

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Root(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// The root over leaves, in whatever order they are given: sorted as bytes, a leaf is SHA-256 of its bytes, a node SHA-256(left ‖
/// right), an odd node is paired with itself, and the root over nothing is that of a fixed text.
///
/// Two sets may have one root, which is why this is not for new use:
///
/// ```
/// use holonomic_compat::merkle_root;
/// assert_eq!(merkle_root(["a", "b", "c"]), merkle_root(["a", "b", "c", "c"]));
/// ```
pub fn merkle_root<T: AsRef<[u8]>>(leaves: impl IntoIterator<Item = T>) -> Root {
    let mut leaves: Vec<T> = leaves.into_iter().collect();
    leaves.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
    let mut level: Vec<[u8; 32]> = leaves.iter().map(|leaf| Sha256::digest(leaf.as_ref()).into()).collect();
    while level.len() > 1 {
        level = level.chunks(2).map(|pair| node(&pair[0], pair.last().unwrap_or(&pair[0]))).collect();
    }
    Root(level.first().copied().unwrap_or_else(|| Sha256::digest(domain::EMPTY_ROOT).into()))
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}
