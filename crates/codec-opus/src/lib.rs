//! Audio to Opus (RFC 6716) and back with loss concealment, and the buffer that plays it out in time.
//!
//! | item | use |
//! |---|---|
//! | [`OpusEncoder`] | PCM frames to packets, with in-band forward error correction |
//! | [`OpusDecoder`] | packets to PCM; [`recover`](OpusDecoder::recover)s a lost frame from the packet after it or [`conceal`](OpusDecoder::conceal)s it |
//! | [`PacketInfo`] | what a packet says of itself: frames, duration, channels |
//! | [`JitterBuffer`] | packets in arrival order to packets in playing order, each when it is due |
//! | [`opus_head`] | the identification header that Matroska and Ogg want (RFC 7845) |
//!
//! PCM is 16-bit, interleaved. The codec is libopus, built from source by the `opus` crate.
//!
//! The jitter buffer reads no clock: [`JitterBuffer::push`] when a packet arrives, then [`JitterBuffer::pop`] until it
//! returns `None`, then wait until [`JitterBuffer::next_due`] or the next arrival, whichever is first.
//!
//! Not here yet: a delay that shrinks again, time stretching, discontinuous transmission, and the deep redundancy
//! (DRED) of newer libopus.
//!
//! ```
//! use codec_opus::{EncoderConfig, OpusDecoder, OpusEncoder};
//!
//! let config = EncoderConfig::default();
//! let mut encoder = OpusEncoder::new(config)?;
//! let mut decoder = OpusDecoder::new(config.sample_rate, config.channels)?;
//! let silence = vec![0i16; encoder.samples_per_frame()];
//! let packets = [encoder.encode(&silence)?, encoder.encode(&silence)?, encoder.encode(&silence)?];
//!
//! let mut pcm = decoder.decode(&packets[0])?;
//! // The second packet is lost; the third holds a coarse copy of what it said.
//! pcm.extend(decoder.recover(&packets[2])?);
//! pcm.extend(decoder.decode(&packets[2])?);
//! assert_eq!(pcm.len(), 3 * silence.len());
//! # Ok::<(), codec_opus::Error>(())
//! ```

mod decoder;
mod encoder;
mod error;
mod format;
mod jitter;
mod packet;

pub use decoder::OpusDecoder;
pub use encoder::{Application, EncoderConfig, OpusEncoder, opus_head};
pub use error::Error;
pub use format::{Channels, FrameDuration, SampleRate};
pub use jitter::{Arrival, JitterBuffer, JitterConfig, JitterStats, Playout, PlayoutKind};
pub use packet::PacketInfo;
