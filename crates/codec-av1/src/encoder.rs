//! Frames to packets through rav1e.

use std::collections::VecDeque;
use std::fmt;

use core_types::{BitRate, FrameRate, FrameSize, MediaTime};
use rav1e::prelude::{
    ChromaSampling, Context, EncoderConfig as Rav1eConfig, EncoderStatus, FrameParameters, FrameType,
    FrameTypeOverride, Rational, SceneDetectionSpeed, Tune,
};

use crate::{Error, Frame, Packet, VideoEncoder};

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderConfig {
    /// The size of every frame.
    pub size: FrameSize,
    /// How many frames a second will come; the rate control counts with it.
    pub rate: FrameRate,
    /// The target, averaged over a few seconds: 8 kbit/s to 200 Mbit/s.
    pub bit_rate: BitRate,
    /// The most frames from one key frame to the next: 1 to 10,000.
    pub max_key_interval: u32,
    /// Threads that the encoder may use: 1 to 64.
    pub threads: usize,
}

impl EncoderConfig {
    fn check(&self) -> Result<(), Error> {
        let setting = |what: String| Err(Error::Config(what));
        if !(8_000..=200_000_000).contains(&self.bit_rate.0) {
            return setting(format!("bit rate {}: 8 kbit/s to 200 Mbit/s", self.bit_rate));
        }
        if !(1..=10_000).contains(&self.max_key_interval) {
            return setting(format!("{} frames between key frames: 1 to 10000", self.max_key_interval));
        }
        if !(1..=64).contains(&self.threads) {
            return setting(format!("{} threads: 1 to 64", self.threads));
        }
        Ok(())
    }

    fn rav1e(&self) -> rav1e::Config {
        let mut config = Rav1eConfig::with_speed_preset(10);
        config.width = self.size.width();
        config.height = self.size.height();
        config.time_base = Rational::new(self.rate.den().into(), self.rate.num().into());
        config.chroma_sampling = ChromaSampling::Cs420;
        config.bitrate = i32::try_from(self.bit_rate.0).unwrap_or(i32::MAX);
        // In bit rate mode this is the worst quality that the rate control may choose.
        config.quantizer = 255;
        config.low_latency = true;
        config.set_key_frame_interval(0, self.max_key_interval.into());
        // The shortest lookahead that rav1e has; more of it only adds delay here.
        config.speed_settings.rdo_lookahead_frames = 1;
        // Live video has few cuts, and one that comes as an inter frame costs less than looking for it in every frame.
        config.speed_settings.scene_detection_mode = SceneDetectionSpeed::None;
        // Costs a tenth of the time for a fifth of a decibel, and more at every decoder.
        config.speed_settings.cdef = false;
        config.tune = Tune::Psnr;
        // Rate control looks a second ahead: longer, and key frames grow until they are late.
        let frames_a_second = self.rate.num().div_ceil(self.rate.den());
        config.reservoir_frame_delay = i32::try_from(frames_a_second.clamp(12, 240)).ok();
        // Tiles are what rav1e's threads share out.
        config.tiles = self.threads;
        rav1e::Config::new().with_encoder_config(config).with_threads(self.threads)
    }
}

/// rav1e at its fastest preset, without frame reordering.
///
/// rav1e wants to see four frames before it codes one; the packets carry their own frames' times all the same.
pub struct Rav1eEncoder {
    config: EncoderConfig,
    context: Context<u8>,
    /// Number in rav1e's count and time of the frames whose packets have not come yet, oldest first.
    waiting: VecDeque<(u64, MediaTime)>,
    next_number: u64,
}

impl Rav1eEncoder {
    /// Frames from the one that goes in to the one whose packet comes out.
    const DELAY_FRAMES: usize = 4;

    /// Starts an encoder with threads of its own.
    ///
    /// # Errors
    /// [`Error::Config`] when a setting is out of range.
    pub fn new(config: EncoderConfig) -> Result<Self, Error> {
        config.check()?;
        let context = open(&config)?;
        Ok(Self { config, context, waiting: VecDeque::new(), next_number: 0 })
    }

    /// What it was made with.
    pub const fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Takes packets until rav1e wants more frames or has given all.
    fn take_packets(&mut self) -> Result<Vec<Packet>, Error> {
        let mut packets = Vec::new();
        loop {
            match self.context.receive_packet() {
                Ok(packet) => {
                    let pts = self.time_of(packet.input_frameno)?;
                    let key_frame = packet.frame_type == FrameType::KEY;
                    packets.push(Packet { data: packet.data, pts, key_frame });
                }
                Err(EncoderStatus::Encoded) => {}
                Err(EncoderStatus::NeedMoreData | EncoderStatus::LimitReached) => return Ok(packets),
                Err(status) => return Err(Error::Encoder(status.to_string())),
            }
        }
    }

    fn time_of(&mut self, number: u64) -> Result<MediaTime, Error> {
        while let Some((candidate, pts)) = self.waiting.pop_front() {
            if candidate == number {
                return Ok(pts);
            }
        }
        Err(Error::Encoder(format!("a packet for frame {number}, which never went in")))
    }
}

impl VideoEncoder for Rav1eEncoder {
    fn encode(&mut self, frame: &Frame, pts: MediaTime, force_key: bool) -> Result<Vec<Packet>, Error> {
        if frame.size() != self.config.size {
            return Err(Error::SizeMismatch { expected: self.config.size, actual: frame.size() });
        }
        let mut picture = self.context.new_frame();
        let width = frame.size().width();
        let planes = [(frame.y(), width), (frame.u(), width / 2), (frame.v(), width / 2)];
        for (plane, (samples, stride)) in picture.planes.iter_mut().zip(planes) {
            plane.copy_from_raw_u8(samples, stride, 1);
        }
        let frame_type_override = if force_key { FrameTypeOverride::Key } else { FrameTypeOverride::No };
        let parameters = FrameParameters { frame_type_override, ..FrameParameters::default() };
        self.context
            .send_frame((picture, parameters))
            .map_err(|status| Error::Encoder(status.to_string()))?;
        self.waiting.push_back((self.next_number, pts));
        self.next_number += 1;
        self.take_packets()
    }

    fn flush(&mut self) -> Result<Vec<Packet>, Error> {
        if self.waiting.is_empty() {
            return Ok(Vec::new());
        }
        self.context.flush();
        let packets = self.take_packets();
        // A flushed context takes no more frames.
        self.context = open(&self.config)?;
        self.waiting.clear();
        self.next_number = 0;
        packets
    }

    fn delay_frames(&self) -> usize {
        Self::DELAY_FRAMES
    }
}

impl fmt::Debug for Rav1eEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rav1eEncoder")
            .field("config", &self.config)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

fn open(config: &EncoderConfig) -> Result<Context<u8>, Error> {
    config.rav1e().new_context().map_err(|error| Error::Config(error.to_string()))
}
