//! PCM to packets.

use crate::{Channels, Error, FrameDuration, PacketInfo, SampleRate};
use core::fmt;
use core::time::Duration;
use core_types::BitRate;
use opus_backends::{Encoder, EncoderSetting};

/// What the encoder optimises for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Application {
    /// Speech; the only choice where in-band error correction works at any expected loss above zero.
    #[default]
    Voip,
    /// Music and mixed content. From about 5 % expected loss on, error correction makes it code as speech.
    Audio,
    /// Least delay; no in-band error correction.
    LowDelay,
}

/// How an [`OpusEncoder`] is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderConfig {
    /// Rate of the PCM.
    pub sample_rate: SampleRate,
    /// Channels of the PCM.
    pub channels: Channels,
    /// Audio per packet.
    pub frame: FrameDuration,
    /// Target rate of the packets, 6 to 510 kbit/s; variable around it.
    pub bit_rate: BitRate,
    /// Packets that are expected to be lost, in percent. More means more bits for error correction and redundancy; 0 means none.
    pub expected_loss_percent: u8,
    /// A coarse copy of each frame in the packet after it, for single losses.
    pub in_band_fec: bool,
    /// How much of the past each packet describes (DRED), for bursts: a multiple of 10 ms, up to 1.04 s; zero for none. What
    /// there is room for depends on bit rate and expected loss; at 20 % without in-band FEC it is about 135 ms at
    /// 24 kbit/s, 175 ms at 32 kbit/s and 300 ms at 48 kbit/s, and more across silence.
    pub redundancy: Duration,
    /// Packets of at most two bytes in silence ([`OpusPacket::is_silence`](crate::OpusPacket::is_silence)), which need not be sent.
    pub dtx: bool,
    /// What to optimise for.
    pub application: Application,
}

impl Default for EncoderConfig {
    /// Speech: 48 kHz, mono, 20 ms, 32 kbit/s, 10 % expected loss, in-band FEC, no redundancy, no DTX.
    fn default() -> Self {
        Self {
            sample_rate: SampleRate::default(),
            channels: Channels::default(),
            frame: FrameDuration::default(),
            bit_rate: BitRate::from_kbit(32),
            expected_loss_percent: 10,
            in_band_fec: true,
            redundancy: Duration::ZERO,
            dtx: false,
            application: Application::default(),
        }
    }
}

/// Codes PCM frame by frame, at complexity 9.
pub struct OpusEncoder {
    inner: Encoder,
    config: EncoderConfig,
    pre_skip: u16,
    buffer: Vec<u8>,
}

impl OpusEncoder {
    const COMPLEXITY: u8 = 9;
    /// One frame of at most 1,275 bytes; 40 and 60 ms may be coded as up to three, with four bytes of framing. Redundancy adds
    /// 1,000 bytes at most, with their framing.
    const MAX_PACKET: usize = 4 + 3 * 1_275 + 1_020;

    /// An encoder with fresh state.
    ///
    /// # Errors
    /// [`Error::BitRate`], [`Error::LossPercent`] or [`Error::Redundancy`] when the configuration is out of range, [`Error::Codec`] when
    /// libopus has no memory.
    pub fn new(config: EncoderConfig) -> Result<Self, Error> {
        let application = match config.application {
            Application::Voip => opus_backends::Application::Voip,
            Application::Audio => opus_backends::Application::Audio,
            Application::LowDelay => opus_backends::Application::LowDelay,
        };
        let hz = config.sample_rate.hz();
        let mut inner = Encoder::new(hz, config.channels.count() as u8, application).map_err(Error::codec)?;
        let settings = [
            EncoderSetting::Complexity(Self::COMPLEXITY),
            EncoderSetting::InbandFec(config.in_band_fec),
            EncoderSetting::Dtx(config.dtx),
        ];
        for setting in settings {
            inner.set(setting).map_err(Error::codec)?;
        }
        let pre_skip = u64::from(inner.lookahead().map_err(Error::codec)?) * 48_000 / u64::from(hz);
        let mut encoder =
            Self { inner, config, pre_skip: pre_skip.min(0xffff) as u16, buffer: vec![0; Self::MAX_PACKET] };
        encoder.set_bit_rate(config.bit_rate)?;
        encoder.set_expected_loss(config.expected_loss_percent)?;
        encoder.set_redundancy(config.redundancy)?;
        Ok(encoder)
    }

    /// The configuration in force.
    pub const fn config(&self) -> EncoderConfig {
        self.config
    }

    /// Samples that one call of [`OpusEncoder::encode`] takes, all channels together.
    pub const fn samples_per_frame(&self) -> usize {
        self.config.frame.samples(self.config.sample_rate) * self.config.channels.count()
    }

    /// Samples at 48 kHz per channel that a player drops at the start: the encoder's delay, for [`opus_head`].
    pub const fn pre_skip(&self) -> u16 {
        self.pre_skip
    }

    /// One frame of interleaved PCM to one packet.
    ///
    /// # Errors
    /// [`Error::FrameLength`] unless `pcm` has exactly [`OpusEncoder::samples_per_frame`] samples, [`Error::Codec`] when
    /// libopus fails.
    pub fn encode(&mut self, pcm: &[i16]) -> Result<Vec<u8>, Error> {
        let expected = self.samples_per_frame();
        if pcm.len() != expected {
            return Err(Error::FrameLength { expected, actual: pcm.len() });
        }
        let len = self.inner.encode(pcm, &mut self.buffer).map_err(Error::codec)?;
        Ok(self.buffer[..len].to_vec())
    }

    /// Changes the target rate from the next frame on.
    ///
    /// # Errors
    /// [`Error::BitRate`] outside 6 to 510 kbit/s; the old rate stays.
    pub fn set_bit_rate(&mut self, rate: BitRate) -> Result<(), Error> {
        if !(6_000..=510_000).contains(&rate.0) {
            return Err(Error::BitRate(rate));
        }
        self.inner.set(EncoderSetting::BitRate(rate.0 as u32)).map_err(Error::codec)?;
        self.config.bit_rate = rate;
        Ok(())
    }

    /// Changes the expected loss from the next frame on.
    ///
    /// # Errors
    /// [`Error::LossPercent`] above 100; the old estimate stays.
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), Error> {
        if percent > 100 {
            return Err(Error::LossPercent(percent));
        }
        self.inner.set(EncoderSetting::ExpectedLoss(percent)).map_err(Error::codec)?;
        self.config.expected_loss_percent = percent;
        Ok(())
    }

    /// Changes how much of the past each packet describes, from the next frame on.
    ///
    /// # Errors
    /// [`Error::Redundancy`] above 1.04 s or when no multiple of 10 ms; the old value stays.
    pub fn set_redundancy(&mut self, redundancy: Duration) -> Result<(), Error> {
        let unit = Duration::from_millis(10);
        let units = redundancy.as_micros() / unit.as_micros();
        let Some(units) =
            u8::try_from(units).ok().filter(|n| *n <= 104 && unit * u32::from(*n) == redundancy)
        else {
            return Err(Error::Redundancy(redundancy));
        };
        self.inner.set(EncoderSetting::Redundancy(units)).map_err(Error::codec)?;
        self.config.redundancy = redundancy;
        Ok(())
    }
}

impl fmt::Debug for OpusEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusEncoder").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The identification header of RFC 7845 section 5.1, version 1, mapping family 0, no gain: an Ogg stream's first
/// packet, and what Matroska and WebM call `CodecPrivate`.
///
/// `pre_skip` is [`OpusEncoder::pre_skip`]; `input_hz` is the rate of the original material and only informative.
pub fn opus_head(channels: Channels, pre_skip: u16, input_hz: u32) -> [u8; 19] {
    let mut head = *b"OpusHead\x01\0\0\0\0\0\0\0\0\0\0";
    head[9] = channels.count() as u8;
    // Little-endian, unlike everything on our own wire.
    head[10..12].copy_from_slice(&pre_skip.to_le_bytes());
    head[12..16].copy_from_slice(&input_hz.to_le_bytes());
    head
}

const _: () = assert!(PacketInfo::MAX_PACKET_LEN > OpusEncoder::MAX_PACKET);
