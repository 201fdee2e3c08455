//! Audio to Opus (RFC 6716) and back, through losses, and in time.
//!
//! | item | use |
//! |---|---|
//! | [`OpusEncoder`] | PCM frames to packets, with in-band forward error correction, deep redundancy (DRED), silence left out (DTX) |
//! | [`SoundPlayout`] | packets in any order to PCM each 10 ms: adaptive delay, the best stand-in for each gap, time stretching |
//! | [`SyncClock`] | when to show each picture, so that it goes with the sound |
//! | [`VoiceActivity`] | level of sound and whether there is a voice in it |
//! | [`Speech`], [`SpeakerView`] | who speaks, and whom to show of several, without flicker |
//! | [`OpusDecoder`] | packets to PCM one by one; [`redundant`](OpusDecoder::redundant), [`recover`](OpusDecoder::recover) or [`conceal`](OpusDecoder::conceal) for lost ones |
//! | [`PacketInfo`], [`OpusPacket`] | what a packet says of itself: frames, duration, channels, voice, coarse copy |
//! | [`opus_head`] | the identification header that Matroska and Ogg want (RFC 7845) |
//!
//! PCM is 16-bit, interleaved. The codec is libopus 1.6 behind the crate `opus-backends`, built from source.
//!
//! Nothing here reads a clock. A player calls [`SoundPlayout::push`] when a packet arrives and [`SoundPlayout::pull`] each time its
//! device wants 10 ms, and tells the [`SyncClock`] of the latter. The rules are in `docs/spec/66-sound.md`.
//!
//! ```
//! use codec_opus::{EncoderConfig, OpusEncoder, SampleTime, SoundConfig, SoundPacket, SoundPlayout, SoundSource, SyncClock};
//! use core_types::{MonoTime, ObjectSeq};
//! use std::time::Duration;
//!
//! let config = EncoderConfig { in_band_fec: false, redundancy: Duration::from_secs(1), ..Default::default() };
//! let mut encoder = OpusEncoder::new(config)?;
//! let mut playout = SoundPlayout::new(SoundConfig::default())?;
//! let mut sync = SyncClock::new();
//! for n in 0..200u64 {
//!     let pcm: Vec<i16> = (0..960).map(|i| ((n * 960 + i) % 300 * 40) as i16).collect();
//!     let (seq, at, data) = (ObjectSeq(n), SampleTime::new(n * 960), encoder.encode(&pcm)?);
//!     let now = MonoTime::from_millis(20 * n);
//!     if n % 50 != 49 {
//!         playout.push(now, SoundPacket { seq, at, was_repaired: false, data })?;
//!     }
//!     for now in [now, now.plus(Duration::from_millis(10))] {
//!         let piece = playout.pull(now)?;
//!         if let Some(at) = piece.at {
//!             sync.sound(now, at);
//!         }
//!     }
//! }
//! let stats = playout.stats();
//! assert_eq!(stats.from_redundancy, Duration::from_millis(60), "three lost packets, the fourth is yet to be played");
//! assert!(sync.show_at(SampleTime::new(190_000).media()).is_some());
//! # Ok::<(), codec_opus::Error>(())
//! ```
//!
//! By hand, packet by packet:
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

mod activity;
mod decoder;
mod delay;
mod encoder;
mod error;
mod format;
mod packet;
mod playout;
mod speaker;
mod stretch;
mod sync;
mod time;

pub use activity::{Activity, AudioLevel, VoiceActivity};
pub use decoder::{Effort, OpusDecoder};
pub use encoder::{Application, EncoderConfig, OpusEncoder, opus_head};
pub use error::Error;
pub use format::{Channels, FrameDuration, SampleRate};
pub use packet::{CodingMode, OpusPacket, PacketInfo};
pub use playout::{Arrival, SoundConfig, SoundPacket, SoundPiece, SoundPlayout, SoundSource, SoundStats};
pub use speaker::{SpeakerView, Speech, Turn};
pub use sync::SyncClock;
pub use time::{ClockOffset, SampleTime};
