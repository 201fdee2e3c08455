//! The order of what is otherwise equal: a mix of words that nobody can steer cheaply.
//!
//! This is no cryptographic hash, and need not be one. What goes in and can be chosen is a key id alone, and that is a
//! SHA-256 already: to get another one takes another key pair.

use core_types::KeyId;

/// The finisher of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): every bit of the input changes half of the output's.
const fn scatter(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Takes one more word in.
pub(crate) const fn mix(state: u64, word: u64) -> u64 {
    scatter((state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15))
}

/// Takes 32 bytes in.
pub(crate) fn mix_id(state: u64, id: &[u8; 32]) -> u64 {
    let (words, _) = id.as_chunks::<8>();
    words.iter().fold(state, |state, word| mix(state, u64::from_be_bytes(*word)))
}

/// The first eight bytes of a key, in its order. They nearly always decide, and a list of them lies side by side in memory:
/// with 100,000 peers that is what sorting takes its time for.
pub(crate) fn key_start(key: &KeyId) -> u64 {
    key.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
