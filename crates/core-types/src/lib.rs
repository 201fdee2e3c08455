//! The words that all holomesh crates share: ids, epochs, sequence numbers, layers, codec ids, stripes, rates and time.
//!
//! There is no logic here beyond the types: parsing, bounds, ordering and display. Nothing reads a clock, draws
//! randomness or hashes.
//!
//! ```
//! use core_types::{ChunkSeq, CodecId, Layer, LayerPolicy, StripeSet};
//!
//! // A receiver that takes the base layer only still sees opaque chunks: those carry layer (0,0,0).
//! assert!(LayerPolicy::BASE_ONLY.admits(Layer::BASE));
//! assert!(!LayerPolicy::BASE_ONLY.admits(Layer { spatial: 1, ..Layer::BASE }));
//! assert_eq!(CodecId::try_from(0x04)?, CodecId::Opus);
//!
//! // Parent 2 of 4 forwards every fourth chunk.
//! let share = StripeSet::single(4, 2)?;
//! assert!(share.contains(ChunkSeq(6)) && !share.contains(ChunkSeq(7)));
//! # Ok::<(), core_types::Error>(())
//! ```

mod error;
mod ids;
mod layer;
mod marks;
mod rate;
mod stripe;
mod time;

pub use error::Error;
pub use ids::{ChunkSeq, CodecId, Epoch, KeyId, LeafIndex, LinkId, ObjectSeq, SessionId, StreamId, SymbolId};
pub use layer::{Layer, LayerPolicy};
pub use marks::{Marks, ObjectClass};
pub use rate::{BitRate, FrameRate, FrameSize, SymbolSize};
pub use stripe::StripeSet;
pub use time::{MediaTime, MonoTime, WallTime};
