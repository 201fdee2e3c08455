//! Objects to RaptorQ symbols (RFC 6330) and back, validated and bounded.
//!
//! An object (a coded frame, an audio packet) of up to 1 MiB becomes `K = ⌈length / T⌉` source symbols of `T` bytes, the
//! last one zero padded, and as many repair symbols as wanted. Any `K` of them give the object back, save for about one
//! case in two hundred, where one or two more are needed. Symbol ids below `K` are source symbols in order, ids from
//! `K` on are repair symbols (one source block, one sub-block, symbol alignment 1), so a receiver that lost nothing
//! decodes nothing. The first repair symbol makes up for any one source symbol.
//!
//! | item | use |
//! |---|---|
//! | [`BlockShape`] | `K` and `T` of an object, with the limits |
//! | [`repair_symbols`] | how many repair symbols let any one of `P` parents die |
//! | [`Encoder`] | object to symbols: [`EncodedBlock`] |
//! | [`ObjectDecoder`] | symbols to one object |
//! | [`Partial`] | what came of an object that did not become whole |
//! | [`WindowEncoder`], [`WindowDecoder`] | objects too small to be cut, protected by those that follow them |
//! | [`Reassembler`] | symbols to the many objects of a stream, bounded, oldest given up first |
//!
//! RaptorQ corrects loss, not corruption: a symbol with wrong bytes gives a wrong object. Symbols must be authenticated
//! before they come here (the inner seal does that). What an authenticated but hostile sender can do is bounded: every
//! length is checked before anything is allocated for it, memory and the number of decoding attempts have limits, and
//! no input panics.
//!
//! Up to 256 source symbols nothing is solved to encode: a repair symbol is a linear combination of the source symbols, whose
//! factors are taken from `raptorq` once and multiplied with vector instructions (`gf256`). To decode, the system
//! of the lost symbols alone is solved, on those factors. Above, `raptorq` does both. The symbols are the same.
//!
//! ```
//! use codec_fountain::{BlockShape, Encoder, ObjectDecoder, repair_symbols};
//! use core_types::SymbolSize;
//!
//! let frame = vec![7u8; 10_000];
//! let shape = BlockShape::new(frame.len(), SymbolSize::DEFAULT)?;
//! assert_eq!(shape.source_symbols(), 10);
//!
//! // Four parents carry a quarter each; one of them dies.
//! let mut encoder = Encoder::new(SymbolSize::DEFAULT);
//! let symbols = encoder.encode(&frame, repair_symbols(shape.source_symbols(), 4) + 1)?;
//! let mut decoder = ObjectDecoder::new(shape);
//! let mut decoded = None;
//! for (n, symbol) in symbols.iter().enumerate() {
//!     if n % 4 != 2 {
//!         decoded = decoder.push(symbol.id, &symbol.data)?.or(decoded);
//!     }
//! }
//! assert_eq!(decoded, Some(frame));
//! # Ok::<(), codec_fountain::Error>(())
//! ```

mod decoder;
mod encoder;
mod error;
mod first_repair;
mod generator;
mod open;
mod partial;
mod reassembler;
mod shape;
mod solve;
mod window;

pub use decoder::{ObjectDecoder, Progress};
pub use encoder::{EncodedBlock, Encoder, Symbol};
pub use error::Error;
pub use partial::Partial;
pub use reassembler::{Evicted, Reassembler, ReassemblyLimits};
pub use shape::{BlockShape, repair_symbols};
pub use window::{Pace, WindowConfig, WindowDecoder, WindowEncoder};
