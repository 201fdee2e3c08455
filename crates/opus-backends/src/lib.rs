//! Safe shell around libopus 1.6 with deep redundancy (DRED) and neural concealment. Like `gf256` and `av1-backends` it contains
//! unsafe code, which the rest of the workspace forbids.
//!
//! What is here: [`Encoder`] and [`Decoder`] with the settings that `codec-opus` uses, and [`Redundancy`], the deep copy of the
//! last second that a packet may carry. The crate `opus` has neither redundancy nor the decoder's complexity, by which libopus
//! chooses between classic and neural concealment. Everything above it (what a packet says of itself, which stand-in to
//! take for a lost frame, when to play) is in `codec-opus`.
//!
//! libopus writes into buffers of the caller's, and no further than it is told they reach: their lengths are taken from
//! the slices and never from a packet. Damaged packets end in an [`Error`]; the decoder stays usable.
//!
//! Not here: multistream, 24-bit and floating-point PCM, weights from files, custom modes.
//!
//! ```
//! use opus_backends::{Application, Decoder, Encoder, EncoderSetting, Redundancy};
//!
//! let mut encoder = Encoder::new(48_000, 1, Application::Voip)?;
//! encoder.set(EncoderSetting::BitRate(32_000))?;
//! encoder.set(EncoderSetting::ExpectedLoss(20))?;
//! encoder.set(EncoderSetting::Redundancy(100))?; // a second, in units of 10 ms
//! let mut packet = vec![0; 1_500];
//! let mut len = 0;
//! for n in 0..20 {
//!     let pcm: Vec<i16> = (0..960).map(|i| ((n * 960 + i) % 240 * 50) as i16).collect();
//!     len = encoder.encode(&pcm, &mut packet)?;
//! }
//!
//! let mut redundancy = Redundancy::new()?;
//! assert!(redundancy.parse(&packet[..len], 4_800, 48_000)? > 0, "covers something before the packet");
//! let mut decoder = Decoder::new(48_000, 1)?;
//! decoder.set_complexity(5)?;
//! let mut pcm = vec![0; 960];
//! assert_eq!(decoder.decode(&packet[..len], &mut pcm)?, 960);
//! # Ok::<(), opus_backends::Error>(())
//! ```

mod decoder;
mod encoder;
mod error;
mod redundancy;

pub use decoder::Decoder;
pub use encoder::{Application, Encoder, EncoderSetting};
pub use error::Error;
pub use redundancy::Redundancy;
