//! Safe shell around an AV1 decoder and an encoder. Like `gf256` it contains unsafe code, which the rest of the workspace forbids.
//!
//! What is here: [`Decoder`] over rav1d (the Rust port of dav1d, through its C-shaped interface), [`Picture`] with its
//! planes as row slices, and [`obus`], which walks the framing of a temporal unit in safe code; with the feature `libaom`
//! `Encoder` over libaom in its real-time mode, for one layer of a picture a call. Everything above it
//! (pictures as owned frames, waiting for key frames, what a stream may contain, which layer refers to what) is in `codec-av1`.
//!
//! The rule of use: [`Decoder::feed`] one temporal unit, then take pictures with [`Decoder::next_picture`] until it gives
//! `None`; there is no delay, so they belong to what was just fed. After an error call [`Decoder::reset`] and go on at the
//! next key frame.
//!
//! Damaged input ends in an [`Error`]. The decoder runs on the calling thread only: its entry points can't unwind, so
//! what it is known to panic on (metadata OBUs that are cut short) never reaches it, and neither does anything else that
//! isn't needed for a picture. Pictures of another depth than 8 or 10 bits are refused.
//!
//! libaom gets nothing from the network: its input is the caller's pictures and settings, checked before it sees them, and in an order
//! in which it is known to keep to its own memory.
//!
//! Not here yet: more than one decoding thread; encoding of more than 8 bits a sample.
//!
//! ```
//! use av1_backends::{Decoder, Error, Settings};
//!
//! let mut decoder = Decoder::new(Settings::default())?;
//! // Framing that points past its end is refused before the decoder sees it.
//! assert!(matches!(decoder.feed(&[0x32, 0x7f, 0x00], 0), Err(Error::Framing { offset: 0, .. })));
//! // A temporal unit without a picture gives none.
//! decoder.feed(&[0x12, 0x00], 40_000)?;
//! assert!(decoder.next_picture()?.is_none());
//! # Ok::<(), Error>(())
//! ```

#[cfg(feature = "libaom")]
mod aom;
#[cfg(feature = "libaom")]
mod aom_config;
#[cfg(feature = "libaom")]
mod aom_settings;
mod decoder;
mod error;
mod obu;
mod picture;

#[cfg(feature = "libaom")]
pub use aom::Encoder;
#[cfg(feature = "libaom")]
pub use aom_settings::{EncoderSettings, FrameOrder, LayerRate};
pub use decoder::{Decoder, Settings};
pub use error::Error;
pub use obu::{MAX_TEMPORAL_UNIT, Obu, ObuKind, ObuLayer, Obus, obus};
pub use picture::{Layout, Picture, Plane};
