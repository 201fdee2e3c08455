//! Frames to packets through libaom, in one layer or several.

use core_types::{BitRate, FrameRate, FrameSize, LayerPolicy, MediaTime, ObjectClass};

use av1_backends::{Encoder, EncoderSettings, FrameOrder, LayerRate};

use crate::pattern::{Pattern, Step};
use crate::{EncoderConfig, Error, Frame, Packet, Structure, VideoEncoder};

/// libaom in its real-time mode: no delay, and every change holds from the next frame on without a key frame.
///
/// In several layers each frame gives a packet for each layer that it is in, the lowest first. Each says which layer that is and what
/// may be done without it; [`join_layers`](crate::join_layers) makes a temporal unit of those that were received.
#[derive(Debug)]
pub struct LibaomEncoder {
    config: EncoderConfig,
    structure: Structure,
    /// Thousandths of the rate for each step, where they are not the structure's own.
    shares: Option<[u64; 3]>,
    backend: Encoder,
    pattern: Pattern,
    /// Frames since the last key frame, that one counted.
    since_key: u32,
    /// libaom wants the first frame in all layers.
    begun: bool,
}

impl LibaomEncoder {
    /// Opens an encoder that makes one layer.
    ///
    /// # Errors
    /// [`Error::Config`] when a setting is out of range, [`Error::Encoder`] when libaom does not open.
    pub fn new(config: EncoderConfig) -> Result<Self, Error> {
        Self::layered(config, Structure::L1T1)
    }

    /// Opens an encoder that makes several layers.
    ///
    /// # Errors
    /// As [`LibaomEncoder::new`]; [`Error::Config`] also when the lowest layer would be too small.
    pub fn layered(config: EncoderConfig, structure: Structure) -> Result<Self, Error> {
        Self::open(config, structure, None)
    }

    /// As [`LibaomEncoder::layered`], with so many thousandths of the bit rate for each resolution or quality, the lowest first, and not what
    /// [`Structure::rate_of`] says. For who pays otherwise for some layers than for others.
    ///
    /// # Errors
    /// As [`LibaomEncoder::layered`]; [`Error::Config`] also for shares that are not 1,000 together.
    pub fn shared_out(config: EncoderConfig, structure: Structure, shares: [u64; 3]) -> Result<Self, Error> {
        let used = shares.iter().take(structure.steps().into());
        if used.fold(0u64, |sum, share| sum.saturating_add(*share)) != 1_000 {
            return Err(Error::Config(format!("shares {shares:?}: 1000 together for {structure}")));
        }
        Self::open(config, structure, Some(shares))
    }

    fn open(config: EncoderConfig, structure: Structure, shares: Option<[u64; 3]>) -> Result<Self, Error> {
        config.check()?;
        structure.size_of(config.size, 0)?;
        let halvings = |step: u8| if structure.quality() > 1 { 0 } else { structure.spatial() - 1 - step };
        let settings = EncoderSettings {
            // Sides are at most 4,096, threads at most 64.
            width: config.size.width() as u16,
            height: config.size.height() as u16,
            threads: config.threads as u8,
            spatial: (0..structure.steps()).map(|step| 1 << halvings(step)).collect(),
            temporal: structure.temporal(),
        };
        let backend = Encoder::new(settings, &rates(structure, config.bit_rate, shares)).map_err(failed)?;
        let pattern = Pattern::new(structure);
        Ok(Self { config, structure, shares, backend, pattern, since_key: 0, begun: false })
    }

    /// What it was made with, and the rates that were asked for last.
    pub const fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Its layers.
    pub const fn structure(&self) -> Structure {
        self.structure
    }

    /// The layers that are coded: what [`VideoEncoder::set_layers`] was given last.
    pub const fn layers(&self) -> LayerPolicy {
        self.pattern.policy()
    }

    /// The picture that the last packet stands for, as every decoder has to show it: for tests of decoders. Of discardable packets it is
    /// not finished (libaom leaves its last filters out, since nothing refers to it).
    pub fn reconstruction(&mut self) -> Option<Frame> {
        let (width, height, data) = self.backend.reconstruction()?;
        let size = FrameSize::new(u32::try_from(width).ok()?, u32::try_from(height).ok()?).ok()?;
        Frame::from_i420(size, data).ok()
    }

    /// Codes a frame as [`VideoEncoder::encode`] does and gives each packet to `take` when it is there, with the encoder.
    ///
    /// # Errors
    /// As [`VideoEncoder::encode`]. After an error the next frame is a key frame.
    pub fn encode_each(
        &mut self,
        frame: &Frame,
        pts: MediaTime,
        force_key: bool,
        mut take: impl FnMut(&mut Self, Packet),
    ) -> Result<(), Error> {
        if frame.size() != self.config.size {
            return Err(Error::SizeMismatch { expected: self.config.size, actual: frame.size() });
        }
        let key = force_key || self.since_key == 0 || self.since_key >= self.config.max_key_interval;
        if key {
            self.since_key = 0;
        }
        let mut steps = self.pattern.next(key);
        let wanted = steps.len();
        if !self.begun {
            let all = Pattern::new(self.structure).next(true);
            steps.extend(all.into_iter().skip(wanted));
        }
        for (index, step) in steps.iter().enumerate() {
            match self.encode_step(frame, pts, step) {
                Ok(packet) if index < wanted => take(self, packet),
                Ok(_) => {}
                Err(error) => {
                    self.since_key = 0;
                    return Err(error);
                }
            }
        }
        self.begun = true;
        self.since_key += 1;
        Ok(())
    }

    fn encode_step(&mut self, frame: &Frame, pts: MediaTime, step: &Step) -> Result<Packet, Error> {
        let order = FrameOrder {
            spatial: step.step,
            temporal: step.layer.temporal,
            key: step.key,
            refers_to: step.refers_to.clone(),
            refreshes: step.refreshes,
            resilient: step.takes_up,
        };
        let data = self.backend.encode(frame.as_i420(), self.duration(), &order).map_err(failed)?;
        if data.is_empty() {
            return Err(Error::Encoder("a frame without a packet".to_owned()));
        }
        Ok(Packet {
            data,
            pts,
            key_frame: step.class == ObjectClass::KeyFrame,
            bit_rate: self.config.bit_rate,
            layer: step.layer,
            class: step.class,
        })
    }

    /// How long a frame stands, in microseconds: what the rate control counts with.
    fn duration(&self) -> u32 {
        let micros = self.config.rate.frame_interval().as_micros();
        u32::try_from(micros).unwrap_or(u32::MAX).max(1)
    }
}

impl VideoEncoder for LibaomEncoder {
    fn encode(&mut self, frame: &Frame, pts: MediaTime, force_key: bool) -> Result<Vec<Packet>, Error> {
        let mut packets = Vec::new();
        self.encode_each(frame, pts, force_key, |_, packet| packets.push(packet))?;
        Ok(packets)
    }

    fn flush(&mut self) -> Result<Vec<Packet>, Error> {
        self.since_key = 0;
        Ok(Vec::new())
    }

    fn set_bit_rate(&mut self, bit_rate: BitRate) -> Result<(), Error> {
        let config = EncoderConfig { bit_rate, ..self.config };
        config.check()?;
        if bit_rate != self.config.bit_rate {
            self.backend.set_rates(&rates(self.structure, bit_rate, self.shares)).map_err(failed)?;
            self.config = config;
        }
        Ok(())
    }

    fn bit_rate(&self) -> BitRate {
        self.config.bit_rate
    }

    fn set_frame_rate(&mut self, rate: FrameRate) -> Result<(), Error> {
        self.config.rate = rate;
        Ok(())
    }

    fn set_layers(&mut self, policy: LayerPolicy) {
        self.pattern.set_policy(policy);
    }

    fn request_switch_point(&mut self) {
        self.pattern.switch();
    }

    fn delay_frames(&self) -> usize {
        0
    }
}

fn rates(structure: Structure, total: BitRate, shares: Option<[u64; 3]>) -> Vec<LayerRate> {
    let kbit = |rate: BitRate| u32::try_from(rate.0 / 1_000).unwrap_or(u32::MAX).max(1);
    let layers = structure.layers();
    let rate = |layer| match shares {
        Some(shares) => structure.rate_with(total, layer, shares),
        None => structure.rate_of(total, layer),
    };
    layers.map(|layer| LayerRate { kbit: kbit(rate(layer)) }).collect()
}

fn failed(error: av1_backends::Error) -> Error {
    match error {
        av1_backends::Error::Setting(what) => Error::Config(what.to_owned()),
        other => Error::Encoder(other.to_string()),
    }
}
