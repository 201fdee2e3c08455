//! Frames to AV1 and back for live video.
//!
//! What is here:
//! - [`Frame`], an 8-bit 4:2:0 picture in one piece of memory, with [`Frame::psnr_y`];
//! - [`VideoEncoder`] and [`Rav1eEncoder`]: frames in, temporal units out, with a target bit rate that can change
//!   while it runs, and key frames on request;
//! - [`VideoDecoder`] and [`Rav1dDecoder`]: temporal units in, frames out, recovering at the next key frame;
//! - for containers: [`configuration_record`] (the `av1C` bytes), [`strip_temporal_delimiters`], [`is_key_frame`].
//!
//! Not here yet: scalable layers, multiple descriptions, a change of bit rate that costs no key frame (rav1e has none), other
//! sample formats than 8-bit 4:2:0.
//!
//! Presentation times ([`MediaTime`](core_types::MediaTime)) are carried, never interpreted: what goes in with a frame comes
//! out with its packet, and what goes in with a packet comes out with its frame, however late. An encoder may hold frames
//! back ([`VideoEncoder::delay_frames`]); `flush` gives what is left. Encoder and decoder compute when they are called, so
//! call them from a thread that may block: some 30 to 40 ms of CPU time a frame for the encoder at 640x360.
//!
//! ```
//! use codec_av1::{EncoderConfig, Frame, Rav1dDecoder, Rav1eEncoder, VideoDecoder, VideoEncoder};
//! use core_types::{BitRate, FrameRate, FrameSize, MediaTime};
//!
//! let size = FrameSize::new(64, 64)?;
//! let mut encoder = Rav1eEncoder::new(EncoderConfig {
//!     size,
//!     rate: FrameRate::new(25, 1)?,
//!     bit_rate: BitRate::from_kbit(100),
//!     max_key_interval: 50,
//!     threads: 1,
//! })?;
//! let mut packets = encoder.encode(&Frame::black(size), MediaTime(40_000), false)?;
//! packets.extend(encoder.flush()?);
//! assert!(packets[0].key_frame);
//!
//! let mut decoder = Rav1dDecoder::new(size)?;
//! let shown = decoder.decode(&packets[0].data, packets[0].pts)?;
//! assert_eq!(shown[0].pts, MediaTime(40_000));
//! assert!(shown[0].frame.psnr_y(&Frame::black(size))? > 40.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bits;
mod codec;
mod config;
mod decoder;
mod error;
mod frame;
mod join;
mod layered;
mod layers;
#[cfg(feature = "libaom")]
mod libaom;
#[cfg(feature = "libaom")]
mod pattern;
#[cfg(feature = "rav1e")]
mod rav1e;
mod sequence;
#[cfg(feature = "rav1e")]
mod simulcast;
mod unit;

pub use codec::{DecodedFrame, Packet, VideoDecoder, VideoEncoder};
pub use config::EncoderConfig;
pub use decoder::Rav1dDecoder;
pub use error::Error;
pub use frame::Frame;
pub use join::{LayerPart, join_layers, split_layers};
pub use layered::LayeredDecoder;
pub use layers::Structure;
#[cfg(feature = "libaom")]
pub use libaom::LibaomEncoder;
#[cfg(feature = "rav1e")]
pub use rav1e::Rav1eEncoder;
#[cfg(feature = "rav1e")]
pub use simulcast::SimulcastEncoder;
pub use unit::{configuration_record, is_key_frame, strip_temporal_delimiters};
