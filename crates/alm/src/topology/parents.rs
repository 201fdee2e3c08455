//! A peer's parents, as they are given out.

use super::MAX_PARENTS;
use core::fmt;
use core::ops::Deref;
use core_types::KeyId;

/// The parents of a peer in each stripe, by number of the stripe: a list of keys. See [`Topology::parents`](super::Topology::parents).
///
/// The topology itself holds node numbers: the keys would be most of its memory.
#[derive(Clone, Copy)]
pub struct Parents {
    keys: [KeyId; MAX_PARENTS as usize],
    len: usize,
}

impl Parents {
    /// The first 16 of these.
    pub(super) fn of(keys: impl Iterator<Item = KeyId>) -> Self {
        let mut parents = Self { keys: [KeyId([0; 32]); MAX_PARENTS as usize], len: 0 };
        for (place, key) in parents.keys.iter_mut().zip(keys) {
            *place = key;
            parents.len += 1;
        }
        parents
    }
}

impl Deref for Parents {
    type Target = [KeyId];

    fn deref(&self) -> &[KeyId] {
        self.keys.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for Parents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Parents {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Parents {}

impl<const N: usize> PartialEq<[KeyId; N]> for Parents {
    fn eq(&self, other: &[KeyId; N]) -> bool {
        **self == *other
    }
}
