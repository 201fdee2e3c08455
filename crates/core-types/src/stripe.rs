//! Stripes: how a stream's chunks are shared out over several parents.

use crate::{ChunkSeq, Error};

/// A set of stripes of a stream. Chunk `seq` belongs to stripe `seq mod count`, so a relay can tell a chunk's stripe
/// from the header alone, and the chunks of one frame (consecutive numbers) spread evenly over the parents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StripeSet {
    count: u8,
    mask: u16,
}

impl StripeSet {
    /// The most stripes that a stream can have.
    pub const MAX_COUNT: u8 = 16;
    /// The whole stream.
    pub const ALL: Self = Self { count: 1, mask: 1 };

    /// The set with the bits of `mask` out of `count` stripes; bits at and above `count` are refused.
    ///
    /// # Errors
    /// [`Error::Stripe`] when `count` is 0 or above 16, or a bit is out of range.
    pub const fn new(count: u8, mask: u16) -> Result<Self, Error> {
        if count == 0 || count > Self::MAX_COUNT {
            return Err(Error::Stripe { count, index: 0 });
        }
        let allowed = if count == 16 { u16::MAX } else { (1 << count) - 1 };
        if mask & !allowed != 0 {
            return Err(Error::Stripe { count, index: 15 - mask.leading_zeros() as u8 });
        }
        Ok(Self { count, mask })
    }

    /// One stripe out of `count`.
    ///
    /// # Errors
    /// [`Error::Stripe`] when `index` is not below `count` or `count` is out of range.
    pub const fn single(count: u8, index: u8) -> Result<Self, Error> {
        if index >= count || count > Self::MAX_COUNT {
            return Err(Error::Stripe { count, index });
        }
        Ok(Self { count, mask: 1 << index })
    }

    /// How many stripes the stream is cut into.
    pub const fn count(self) -> u8 {
        self.count
    }

    /// The stripes in the set, one bit each.
    pub const fn mask(self) -> u16 {
        self.mask
    }

    /// How many stripes are in the set.
    pub const fn len(self) -> u32 {
        self.mask.count_ones()
    }

    /// True if no stripe is in the set.
    pub const fn is_empty(self) -> bool {
        self.mask == 0
    }

    /// True if the chunk's stripe is in the set.
    pub const fn contains(self, seq: ChunkSeq) -> bool {
        self.mask & (1 << (seq.0 % self.count as u64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_chunk_is_in_exactly_one_single_stripe(count in 1u8..=16, seq: u64) {
            let holders = (0..count).filter(|i| StripeSet::single(count, *i).unwrap().contains(ChunkSeq(seq))).count();
            prop_assert_eq!(holders, 1);
            prop_assert!(StripeSet::ALL.contains(ChunkSeq(seq)));
        }

        #[test]
        fn construction_accepts_only_bits_below_the_count(count: u8, mask: u16) {
            let fits = (1..=16).contains(&count) && u32::from(mask) < (1u32 << count);
            prop_assert_eq!(StripeSet::new(count, mask).is_ok(), fits);
        }
    }
}
