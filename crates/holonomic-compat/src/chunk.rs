//! The predecessor's chunks: how nonces were made, and what stood before the sealed bytes.
//!
//! Both seals were AES-256-GCM without additional data, the inner one under the epoch's key and the outer one, around it, under the
//! link's. There is no function that seals here: an inner nonce does not depend on the sender, so that two publishers with one key
//! use one twice.

use crate::domain;
use core_types::{ChunkSeq, CodecId, Epoch, Layer, StreamId};
use sha2::{Digest, Sha256};

/// A nonce of AES-256-GCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 12]);

/// Of the inner seal: the first 12 bytes of SHA-256(separator ‖ stream 32 ‖ epoch u64 ‖ number u64).
pub fn inner_nonce(stream: StreamId, epoch: Epoch, number: ChunkSeq) -> Nonce {
    let hash = Sha256::new().chain_update(domain::INNER_NONCE).chain_update(stream.as_bytes());
    first(hash.chain_update(epoch.0.to_be_bytes()).chain_update(number.0.to_be_bytes()))
}

/// Of the outer seal: the first 12 bytes of SHA-256(separator ‖ link's name ‖ link number u64). The name has no length, and the number
/// was not on the wire.
pub fn outer_nonce(link: &[u8], number: u64) -> Nonce {
    first(
        Sha256::new().chain_update(domain::OUTER_NONCE).chain_update(link).chain_update(number.to_be_bytes()),
    )
}

fn first(hash: Sha256) -> Nonce {
    let hash: [u8; 32] = hash.finalize().into();
    Nonce(core::array::from_fn(|at| hash[at]))
}

/// What stood before the sealed bytes, authenticated by neither seal: stream 32 ‖ epoch u64 ‖ number u64 ‖ codec u8 ‖ spatial, temporal,
/// quality. It has the size of ours (spec 20 section 2), and no marks.
pub fn header(stream: StreamId, epoch: Epoch, number: ChunkSeq, codec: CodecId, layer: Layer) -> [u8; 52] {
    let mut header = [0; 52];
    header[..32].copy_from_slice(stream.as_bytes());
    header[32..40].copy_from_slice(&epoch.0.to_be_bytes());
    header[40..48].copy_from_slice(&number.0.to_be_bytes());
    header[48..].copy_from_slice(&[codec as u8, layer.spatial, layer.temporal, layer.quality]);
    header
}
