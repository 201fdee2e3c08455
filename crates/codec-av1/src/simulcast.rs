//! Spatial layers by as many rav1e encoders, for where libaom is not wanted.

use core_types::{BitRate, Layer, LayerPolicy, MediaTime};

use crate::{EncoderConfig, Error, Frame, Packet, Rav1eEncoder, Structure, VideoEncoder};

/// Several resolutions, each a stream of its own with key frames of its own: a layer needs none below it. Costs more bits than layers
/// that build on one another (the lower resolutions' come on top), and works with any encoder.
///
/// Each packet begins with a temporal delimiter, by which [`LayeredDecoder`](crate::LayeredDecoder) and
/// [`join_layers`](crate::join_layers) see that it stands for itself. As rav1e does, it codes a frame when it has seen four more.
#[derive(Debug)]
pub struct SimulcastEncoder {
    config: EncoderConfig,
    structure: Structure,
    policy: LayerPolicy,
    /// One for each resolution that is coded, from the lowest up.
    encoders: Vec<Rav1eEncoder>,
}

impl SimulcastEncoder {
    /// Opens the encoders.
    ///
    /// # Errors
    /// [`Error::Config`] when a setting is out of range, for more than one picture rate or quality, and when the lowest layer would be too
    /// small.
    pub fn new(config: EncoderConfig, structure: Structure) -> Result<Self, Error> {
        if structure.temporal() > 1 || structure.quality() > 1 {
            return Err(Error::Config(format!("{structure} by rav1e: it has L1T1, L2T1 and L3T1")));
        }
        let mut encoder = Self { config, structure, policy: LayerPolicy::UNCAPPED, encoders: Vec::new() };
        encoder.open_missing()?;
        Ok(encoder)
    }

    /// Its layers.
    pub const fn structure(&self) -> Structure {
        self.structure
    }

    fn config_of(&self, spatial: u8) -> Result<EncoderConfig, Error> {
        let size = self.structure.size_of(self.config.size, spatial)?;
        let share = self.structure.rate_of(self.config.bit_rate, Layer { spatial, ..Layer::BASE });
        // What is out of range as a whole is refused when it comes; a layer's share is not to be.
        let bit_rate = if self.config.bit_rate < EncoderConfig::MIN_BIT_RATE {
            self.config.bit_rate
        } else {
            share.max(EncoderConfig::MIN_BIT_RATE)
        };
        Ok(EncoderConfig { size, bit_rate, ..self.config })
    }

    fn open_missing(&mut self) -> Result<(), Error> {
        let wanted = usize::from(self.policy.max_spatial).saturating_add(1);
        self.encoders.truncate(wanted);
        for spatial in 0..self.structure.spatial() {
            if usize::from(spatial) >= self.encoders.len() && usize::from(spatial) < wanted {
                self.encoders.push(Rav1eEncoder::new(self.config_of(spatial)?)?);
            }
        }
        Ok(())
    }

    /// Packets of the same frame follow one another, the lowest layer first.
    fn in_order(&self, layers: Vec<Vec<Packet>>) -> Vec<Packet> {
        let bit_rate = self.config.bit_rate;
        let mut layers: Vec<_> = layers.into_iter().map(Vec::into_iter).collect();
        let longest = layers.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        let mut packets = Vec::new();
        for left in (1..=longest).rev() {
            for (layer, spatial) in layers.iter_mut().zip(0..) {
                // Those that began later have fewer.
                if layer.len() == left
                    && let Some(packet) = layer.next()
                {
                    packets.push(Packet { layer: Layer { spatial, ..Layer::BASE }, bit_rate, ..packet });
                }
            }
        }
        packets
    }
}

impl VideoEncoder for SimulcastEncoder {
    fn encode(&mut self, frame: &Frame, pts: MediaTime, force_key: bool) -> Result<Vec<Packet>, Error> {
        if frame.size() != self.config.size {
            return Err(Error::SizeMismatch { expected: self.config.size, actual: frame.size() });
        }
        self.open_missing()?;
        let mut layers = Vec::new();
        for encoder in &mut self.encoders {
            let scaled = frame.scaled(encoder.config().size);
            layers.push(encoder.encode(&scaled, pts, force_key)?);
        }
        Ok(self.in_order(layers))
    }

    fn flush(&mut self) -> Result<Vec<Packet>, Error> {
        let layers = self.encoders.iter_mut().map(VideoEncoder::flush).collect::<Result<Vec<_>, _>>()?;
        Ok(self.in_order(layers))
    }

    fn set_bit_rate(&mut self, bit_rate: BitRate) -> Result<(), Error> {
        let config = EncoderConfig { bit_rate, ..self.config };
        config.check()?;
        self.config = config;
        for spatial in 0..self.structure.spatial() {
            let share = self.config_of(spatial)?.bit_rate;
            if let Some(encoder) = self.encoders.get_mut(usize::from(spatial)) {
                encoder.set_bit_rate(share)?;
            }
        }
        Ok(())
    }

    fn bit_rate(&self) -> BitRate {
        self.config.bit_rate
    }

    /// What was still to come of a resolution that is left out does not come. One that comes back begins with a key frame.
    fn set_layers(&mut self, policy: LayerPolicy) {
        self.policy = policy;
    }

    fn delay_frames(&self) -> usize {
        self.encoders.iter().map(VideoEncoder::delay_frames).max().unwrap_or(0)
    }
}
