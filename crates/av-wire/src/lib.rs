//! What travels: chunks with a 52-byte authenticated header and an end-to-end seal that no relay can open.
//!
//! What is here: the chunk header ([`ChunkHeader`]), the sealed content ([`Inner`], [`Object`]), the seal itself
//! ([`Sealer`], [`Opener`]) over AES-256-GCM in two implementations ([`AwsLc`], [`Portable`]), per-sender keys from an
//! epoch secret ([`StreamKeys`]), the keys of the current and the last two epochs of a stream ([`Keyring`]), what takes each
//! number once ([`Taken`]; of one sender, [`ReplayWindow`]), numbers that survive a restart ([`HighWater`]) and the signed [`StreamAnnounce`]; for links the
//! hop header and its suites ([`HopSender`], [`HopReceiver`]), what tells repeats of several parents ([`Dedup`]) and who gets a
//! chunk ([`plan_layered`]); proofs of authorship ([`proof`]); and permits ([`permit`]). The bytes are specified in
//! `docs/spec/20-chunk.md`, `25-proofs.md`, `30-links.md` and `56-permits.md`.
//!
//! A chunk from a link goes through types in one order: bytes, [`HopReceiver::open`] (authenticate, then replay), [`Fresh`],
//! [`Dedup::first`], [`First`], everything else.
//!
//! Everything is a state machine or a pure function: nothing reads a clock or draws randomness.
//!
//! ```
//! use av_wire::{AwsLc, Inner, Opener, Sealer, StreamKeys, StreamSecret};
//! use core_types::{CodecId, Epoch, Layer, LeafIndex, ObjectSeq, StreamId};
//!
//! let (stream, epoch, sender) = (StreamId([7; 32]), Epoch(3), LeafIndex(0));
//! let epoch_secret = [1; 32]; // comes from the group: MLS exporter, label "holomesh av epoch v1"
//! let mut sealer: Sealer = Sealer::new(StreamKeys::derive(&epoch_secret, stream, sender)?, stream, epoch, CodecId::Opus);
//! let mut opener: Opener = Opener::new(StreamKeys::derive(&epoch_secret, stream, sender)?, stream, epoch);
//!
//! let mut chunk = sealer.seal(Layer::BASE, &Inner::Object { seq: ObjectSeq(0), bytes: b"hello" })?;
//! let opened = opener.open(&mut chunk)?;
//! assert_eq!(opened.inner, Inner::Object { seq: ObjectSeq(0), bytes: b"hello" });
//! # Ok::<(), av_wire::Error>(())
//! ```

mod aead;
mod announce;
mod dedup;
mod error;
mod head;
mod header;
mod hop;
mod inner;
mod keyring;
mod object;
pub mod permit;
mod picture;
mod plan;
pub mod proof;
mod replay;
mod reserve;
mod seal;
mod taken;
mod varint;

pub use aead::{Aead, AwsLc, Portable, TAG_LEN};
pub use announce::{Media, StreamAnnounce};
pub use dedup::{Dedup, First, FirstChunk};
pub use error::{Error, Fault};
pub use header::{ChunkHeader, HEADER_LEN, MAX_CHUNK_LEN, MAX_DATAGRAM_CHUNK_LEN, MAX_QUALITY, Place};
pub use hop::{
    Fresh, FreshChunk, HopKeys, HopParts, HopReceiver, HopSender, HopSuite, KeptChunk, LinkRefusal, LinkSeq,
    SealedChunk, is_carrier_packet,
};
pub use inner::{Content, Inner, MAX_REPAIR};
pub use keyring::{Keyring, OLD_EPOCH_LIFETIME, OLD_EPOCHS_KEPT};
pub use object::{FrameDuration, Object, ObjectFlags};
pub use picture::{Part, Parts, PictureOf};
pub use plan::{Receiver, plan_layered};
pub use replay::ReplayWindow;
pub use reserve::{Granted, HighWater, Reservation};
pub use seal::{MAX_CHUNK_SEQ, Opened, Opener, Sealer, StreamKeys, StreamSecret};
pub use taken::Taken;
