//! The tree of RFC 6962 section 2.1 over the objects of a stream.

use core::fmt;
use core_types::{ObjectSeq, StreamId};
use sha2::{Digest, Sha256};

/// A hash in the tree: of a leaf, of a node, or of all. Ordered so that it can be a key; the order means nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash(pub [u8; 32]);

impl TreeHash {
    /// All zeros: stands where there is nothing before.
    pub const ZERO: Self = Self([0; 32]);
    pub(super) const MAX: Self = Self([0xff; 32]);

    /// The leaf of one object: SHA-256(0x00 ‖ stream ‖ u64 object number ‖ object bytes). The number and the stream are in
    /// it, so that an object proves nothing in another place.
    pub fn leaf(stream: StreamId, seq: ObjectSeq, object: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update([0x00])
            .chain_update(stream.as_bytes())
            .chain_update(seq.0.to_be_bytes())
            .chain_update(object)
            .finalize();
        Self(hash.into())
    }

    /// A node: SHA-256(0x01 ‖ left ‖ right). The tag keeps it from being taken for a leaf.
    fn node(left: Self, right: Self) -> Self {
        Self(Sha256::new().chain_update([0x01]).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// The root over hashes of one level, left to right: split at the largest power of two below their number. Nothing is
    /// doubled to fill a level, so that lists of different lengths have different roots. Of none: SHA-256 of nothing.
    pub fn root(hashes: &[Self]) -> Self {
        match hashes {
            [] => Self(Sha256::digest([]).into()),
            [only] => *only,
            many => {
                let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
                Self::node(Self::root(left), Self::root(right))
            }
        }
    }

    /// Bytewise exclusive or.
    #[must_use]
    pub(super) fn xor(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine ^= theirs);
        self
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "TreeHash({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaf(text: &str) -> TreeHash {
        TreeHash::leaf(StreamId([1; 32]), ObjectSeq(0), text.as_bytes())
    }

    #[test]
    fn defect_a_repeated_last_object_shares_the_root() {
        let (a, b, c) = (leaf("a"), leaf("b"), leaf("c"));
        assert_ne!(TreeHash::root(&[a, b, c]), TreeHash::root(&[a, b, c, c]));
    }

    #[test]
    fn defect_a_node_passes_for_a_leaf() {
        let (a, b, c, d) = (leaf("a"), leaf("b"), leaf("c"), leaf("d"));
        let inner = [a.0, b.0].concat();
        let (as_leaf, other) = (
            TreeHash(Sha256::new().chain_update([0x00]).chain_update(&inner).finalize().into()),
            TreeHash::root(&[c, d]),
        );
        assert_ne!(TreeHash::root(&[as_leaf, other]), TreeHash::root(&[a, b, c, d]));
        assert_eq!(TreeHash::root(&[TreeHash::root(&[a, b]), other]), TreeHash::root(&[a, b, c, d]));
    }

    #[test]
    fn a_leaf_is_bound_to_its_stream_and_number() {
        let base = TreeHash::leaf(StreamId([1; 32]), ObjectSeq(1), b"x");
        assert_ne!(base, TreeHash::leaf(StreamId([2; 32]), ObjectSeq(1), b"x"));
        assert_ne!(base, TreeHash::leaf(StreamId([1; 32]), ObjectSeq(2), b"x"));
        assert_ne!(base, TreeHash::leaf(StreamId([1; 32]), ObjectSeq(1), b"y"));
    }

    proptest! {
        /// What lets a proof list the nodes of a higher level in place of the leaves.
        #[test]
        fn the_root_over_whole_subtrees_is_the_root_over_their_leaves(count in 1usize..200, log2 in 0u32..6) {
            let leaves: Vec<_> = (0..count).map(|n| leaf(&n.to_string())).collect();
            let nodes: Vec<_> = leaves.chunks(1 << log2).map(TreeHash::root).collect();
            prop_assert_eq!(TreeHash::root(&nodes), TreeHash::root(&leaves));
        }
    }
}
