//! Video in several descriptions: each is a picture of the whole scene, more of them a better one.
//!
//! A description is sent on its own way: to a parent of its own, say. Whichever of them arrive, there is a picture, and none of them is
//! more needed than another. What that costs beside one stream at the same rate is in `docs/MDC.md`, with how it is measured.
//!
//! | item | use |
//! |---|---|
//! | [`Descriptions`], [`Description`] | two or four, and which; [`Description::path`] is its sub-stream path |
//! | [`MdcEncoder`] | a frame to one [`Payload`] for each description |
//! | [`MdcReceiver`] | payloads, as they come, to the best picture of each frame when it is due: [`Shown`] |
//! | [`coded_picture`], [`coded_layers`] | what payloads hold as plain AV1, for whoever stores it |
//! | [`Scheme::Alternating`] | every description has every frame, well or with few bits in turn; versions are blended |
//! | [`Scheme::Priority`] | layers, the lowest one in every description, the others in shares of which all but one do |
//!
//! The encoders are there with the feature `libaom`, which is on by default; receivers take it all without.
//!
//! Neither adds a delay. Payloads are spec 68. They are carried as objects of codec 0x03; a frame's payloads may come in any order, late or
//! not at all, and no input panics.
//!
//! ```
//! # #[cfg(feature = "libaom")] {
//! use codec_av1::{EncoderConfig, Frame};
//! use codec_mdc::{Descriptions, MdcEncoder, MdcReceiver, Scheme};
//! use core_types::{BitRate, FrameRate, FrameSize, MediaTime};
//!
//! let size = FrameSize::new(64, 64)?;
//! let config = EncoderConfig {
//!     size,
//!     rate: FrameRate::new(25, 1)?,
//!     bit_rate: BitRate::from_kbit(200),
//!     max_key_interval: 250,
//!     threads: 1,
//! };
//! let mut encoder = MdcEncoder::new(config, Descriptions::Two, Scheme::Alternating)?;
//! let mut receiver = MdcReceiver::new(Descriptions::Two, size);
//! for n in 0..4u64 {
//!     for payload in encoder.encode(&Frame::black(size), MediaTime(40_000 * n))? {
//!         // The second half is lost from the third frame on.
//!         if n < 2 || payload.description.path() == [0] {
//!             receiver.take(payload.description, payload.frame, &payload.data)?;
//!         }
//!     }
//!     let shown = receiver.show(codec_mdc::FrameNumber(n));
//!     assert!(shown.picture.is_some());
//!     // What can't go on begins anew with the next frame.
//!     for description in receiver.wants_key_frame() {
//!         encoder.request_key_frame(description);
//!     }
//! }
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alternating;
mod coded;
mod description;
#[cfg(feature = "libaom")]
mod encoder;
mod error;
mod head;
mod priority;
mod receiver;
#[cfg(test)]
mod vectors;

#[cfg(feature = "libaom")]
pub use alternating::AlternatingEncoder;
pub use coded::{CodedLayer, CodedPicture, coded_layers, coded_picture};
pub use description::{Description, Descriptions, FrameNumber};
#[cfg(feature = "libaom")]
pub use encoder::{MdcEncoder, Payload, Scheme};
pub use error::Error;
#[cfg(feature = "libaom")]
pub use priority::PriorityEncoder;
pub use receiver::{MdcReceiver, Shown};
