//! Frames to AV1 and back for live video.
//!
//! What is here:
//! - [`Frame`], an 8-bit 4:2:0 picture in one piece of memory, with [`Frame::psnr_y`];
//! - [`VideoEncoder`]: frames in, packets out, with bit rate, frame rate and layers that can change while it runs, and key frames on
//!   request; `LibaomEncoder` for live video (feature `libaom`), `Rav1eEncoder` and `SimulcastEncoder` in Rust alone (feature
//!   `rav1e`). Both features are on by default;
//! - [`Structure`]: the layers of a stream, resolutions, picture rates, qualities. Each packet says its layer and what may be done
//!   without it;
//! - [`VideoDecoder`] and [`Rav1dDecoder`]: temporal units in, frames out, recovering at the next key frame; [`LayeredDecoder`]: packets
//!   in, the best picture that they make out; [`join_layers`] and [`split_layers`];
//! - for containers: [`configuration_record`] (the `av1C` bytes), [`strip_temporal_delimiters`], [`is_key_frame`].
//!
//! Several descriptions are in `codec-mdc`. Not here: pictures kept in more than 8 bits. Decoders and [`Frame::from_i010`] take 10 bits
//! and round them.
//!
//! Presentation times ([`MediaTime`](core_types::MediaTime)) are carried, never interpreted: what goes in with a frame comes
//! out with its packet, and what goes in with a packet comes out with its frame, however late. An encoder may hold frames
//! back ([`VideoEncoder::delay_frames`]): rav1e does, libaom does not; `flush` gives what is left. Encoder and decoder compute when they
//! are called, so call them from a thread that may block.
//!
//! ```
//! # #[cfg(feature = "libaom")] {
//! use codec_av1::{
//!     EncoderConfig, Frame, LibaomEncoder, Rav1dDecoder, Structure, VideoDecoder, VideoEncoder, join_layers,
//! };
//! use core_types::{BitRate, FrameRate, FrameSize, MediaTime};
//!
//! let size = FrameSize::new(64, 64)?;
//! let config = EncoderConfig {
//!     size,
//!     rate: FrameRate::new(25, 1)?,
//!     bit_rate: BitRate::from_kbit(100),
//!     max_key_interval: 50,
//!     threads: 1,
//! };
//! let mut encoder = LibaomEncoder::layered(config, Structure::L2T1)?;
//! let packets = encoder.encode(&Frame::black(size), MediaTime(40_000), false)?;
//! assert!(packets[0].key_frame);
//!
//! // All that was received of one time makes a picture: with both layers in full size, with one in half.
//! let mut decoder = Rav1dDecoder::new(size)?;
//! let unit = join_layers(packets.iter().map(|packet| (packet.layer, &packet.data[..])))?;
//! let shown = decoder.decode(&unit, packets[0].pts)?;
//! assert_eq!((shown[0].pts, shown[0].frame.size()), (MediaTime(40_000), size));
//! let shown = decoder.decode(&packets[0].data, packets[0].pts)?;
//! assert_eq!(shown[0].frame.size(), FrameSize::new(32, 32)?);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bits;
mod codec;
mod config;
mod decoder;
mod error;
mod frame;
mod gate;
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
pub use layered::{LayerPacket, LayeredDecoder};
pub use layers::Structure;
#[cfg(feature = "libaom")]
pub use libaom::LibaomEncoder;
#[cfg(feature = "rav1e")]
pub use rav1e::Rav1eEncoder;
#[cfg(feature = "rav1e")]
pub use simulcast::SimulcastEncoder;
pub use unit::{configuration_record, is_key_frame, strip_temporal_delimiters};
