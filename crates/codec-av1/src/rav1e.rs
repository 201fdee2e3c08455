//! Frames to packets through rav1e.

use std::collections::VecDeque;
use std::fmt;

use ::rav1e::prelude::{
    ChromaSampling, Context, EncoderConfig as Rav1eConfig, EncoderStatus, FrameParameters, FrameType,
    FrameTypeOverride, Rational, SceneDetectionSpeed, Tune,
};
use core_types::{BitRate, MediaTime};

use crate::{EncoderConfig, Error, Frame, Packet, VideoEncoder};

impl EncoderConfig {
    fn rav1e(&self) -> ::rav1e::Config {
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
        ::rav1e::Config::new().with_encoder_config(config).with_threads(self.threads)
    }
}

/// rav1e at its fastest preset, without frame reordering.
///
/// rav1e wants to see four frames before it codes one; the packets carry their own frames' times all the same.
///
/// rav1e takes a bit rate only when a context is opened: its rate control is private, frames carry no quantizer, and its
/// two-pass interface wants a sum of all frames beforehand. So a change of rate opens a new context, whose first frame is a
/// key frame, and costs what a key frame costs. The old context gives one packet for each frame that goes into the new one:
/// the work does not pile up, and packets come as steadily as ever.
pub struct Rav1eEncoder {
    config: EncoderConfig,
    /// Takes the frames.
    run: Run,
    /// The run before it, until its last packet is out.
    ending: Option<Run>,
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
        Ok(Self { run: Run::open(&config)?, config, ending: None })
    }

    /// What it was made with, and the bit rate that was asked for last.
    pub const fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Opens a new run if another bit rate is wanted and no older run is still giving packets.
    fn apply_bit_rate(&mut self) -> Result<(), Error> {
        if self.config.bit_rate == self.run.bit_rate || self.ending.is_some() {
            return Ok(());
        }
        let mut old = std::mem::replace(&mut self.run, Run::open(&self.config)?);
        if !old.waiting.is_empty() {
            old.context.flush();
            self.ending = Some(old);
        }
        Ok(())
    }
}

impl VideoEncoder for Rav1eEncoder {
    fn encode(&mut self, frame: &Frame, pts: MediaTime, force_key: bool) -> Result<Vec<Packet>, Error> {
        if frame.size() != self.config.size {
            return Err(Error::SizeMismatch { expected: self.config.size, actual: frame.size() });
        }
        self.apply_bit_rate()?;
        self.run.send(frame, pts, force_key)?;
        let mut packets = Vec::new();
        if let Some(ending) = &mut self.ending {
            packets.extend(ending.next_packet()?);
            if !packets.is_empty() && !ending.waiting.is_empty() {
                return Ok(packets);
            }
            self.ending = None;
        }
        self.run.take_packets(&mut packets)?;
        Ok(packets)
    }

    fn flush(&mut self) -> Result<Vec<Packet>, Error> {
        let mut packets = Vec::new();
        if let Some(mut ending) = self.ending.take() {
            ending.take_packets(&mut packets)?;
        }
        if !self.run.waiting.is_empty() {
            // A flushed context takes no more frames.
            let mut old = std::mem::replace(&mut self.run, Run::open(&self.config)?);
            old.context.flush();
            old.take_packets(&mut packets)?;
        }
        Ok(packets)
    }

    fn set_bit_rate(&mut self, bit_rate: BitRate) -> Result<(), Error> {
        let config = EncoderConfig { bit_rate, ..self.config };
        config.check()?;
        self.config = config;
        Ok(())
    }

    fn bit_rate(&self) -> BitRate {
        self.config.bit_rate
    }

    fn delay_frames(&self) -> usize {
        Self::DELAY_FRAMES
    }
}

impl fmt::Debug for Rav1eEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = self.ending.as_ref().map_or(0, |run| run.waiting.len());
        f.debug_struct("Rav1eEncoder")
            .field("config", &self.config)
            .field("waiting", &(ending + self.run.waiting.len()))
            .finish_non_exhaustive()
    }
}

/// One rav1e context, from its key frame to its last packet.
struct Run {
    context: Context<u8>,
    bit_rate: BitRate,
    /// Number in rav1e's count and time of the frames whose packets have not come yet, oldest first.
    waiting: VecDeque<(u64, MediaTime)>,
    next_number: u64,
}

impl Run {
    fn open(config: &EncoderConfig) -> Result<Self, Error> {
        let context = config.rav1e().new_context().map_err(|error| Error::Config(error.to_string()))?;
        Ok(Self { context, bit_rate: config.bit_rate, waiting: VecDeque::new(), next_number: 0 })
    }

    fn send(&mut self, frame: &Frame, pts: MediaTime, force_key: bool) -> Result<(), Error> {
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
        Ok(())
    }

    /// The next packet; `None` when rav1e wants more frames or has given all.
    fn next_packet(&mut self) -> Result<Option<Packet>, Error> {
        loop {
            match self.context.receive_packet() {
                Ok(packet) => {
                    let pts = self.time_of(packet.input_frameno)?;
                    let key_frame = packet.frame_type == FrameType::KEY;
                    return Ok(Some(Packet::plain(packet.data, pts, key_frame, self.bit_rate)));
                }
                Err(EncoderStatus::Encoded) => {}
                Err(EncoderStatus::NeedMoreData | EncoderStatus::LimitReached) => return Ok(None),
                Err(status) => return Err(Error::Encoder(status.to_string())),
            }
        }
    }

    fn take_packets(&mut self, packets: &mut Vec<Packet>) -> Result<(), Error> {
        while let Some(packet) = self.next_packet()? {
            packets.push(packet);
        }
        Ok(())
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
