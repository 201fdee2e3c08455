//! Packets to PCM.

use crate::{Channels, Error, FrameDuration, PacketInfo, SampleRate};
use core::fmt;

/// Decodes one stream. Every call stands for one packet of the sender, in order: [`decode`](Self::decode) when it came,
/// [`recover`](Self::recover) when it did not but the one after it did, [`conceal`](Self::conceal) when neither did.
pub struct OpusDecoder {
    inner: opus::Decoder,
    sample_rate: SampleRate,
    channels: Channels,
    /// Samples per channel of the last packet: what a lost one is taken to have had.
    packet_samples: Option<usize>,
}

impl OpusDecoder {
    /// A decoder with fresh state. The output has this rate and these channels whatever the sender used.
    ///
    /// # Errors
    /// [`Error::Codec`] when libopus has no memory.
    pub fn new(sample_rate: SampleRate, channels: Channels) -> Result<Self, Error> {
        let inner = opus::Decoder::new(sample_rate.hz(), channels.native()).map_err(|e| Error::codec(&e))?;
        Ok(Self { inner, sample_rate, channels, packet_samples: None })
    }

    /// Rate of the output.
    pub const fn sample_rate(&self) -> SampleRate {
        self.sample_rate
    }

    /// Channels of the output.
    pub const fn channels(&self) -> Channels {
        self.channels
    }

    /// The audio of a packet, interleaved; its length follows from the packet itself.
    ///
    /// # Errors
    /// [`Error::PacketLength`] or [`Error::MalformedPacket`], both the peer's fault. Call
    /// [`conceal`](Self::conceal) instead then; the decoder stays usable.
    pub fn decode(&mut self, packet: &[u8]) -> Result<Vec<i16>, Error> {
        let samples = PacketInfo::parse(packet)?.samples(self.sample_rate);
        let pcm = self.run(packet, samples, false)?;
        self.packet_samples = Some(samples);
        Ok(pcm)
    }

    /// The audio of the lost packet just before `next_packet`, from the coarse copy that `next_packet` carries of it
    /// (RFC 6716 section 2.1.7), or by concealment when it carries none. As long as the packet before the lost one.
    /// Decode `next_packet` itself afterwards.
    ///
    /// # Errors
    /// As for [`decode`](Self::decode).
    pub fn recover(&mut self, next_packet: &[u8]) -> Result<Vec<i16>, Error> {
        let next_samples = PacketInfo::parse(next_packet)?.samples(self.sample_rate);
        self.run(next_packet, self.packet_samples.unwrap_or(next_samples), true)
    }

    /// A guess at the audio of a lost packet, from what came before it; fades out over consecutive losses. As long as
    /// the last packet, or 20 ms before the first.
    ///
    /// # Errors
    /// [`Error::Codec`] when libopus fails.
    pub fn conceal(&mut self) -> Result<Vec<i16>, Error> {
        let samples = self.packet_samples.unwrap_or(FrameDuration::Ms20.samples(self.sample_rate));
        self.run(&[], samples, false)
    }

    /// `samples` per channel are at most 120 ms, so at most 11,520 are allocated. An empty packet means concealment.
    fn run(&mut self, packet: &[u8], samples: usize, recover: bool) -> Result<Vec<i16>, Error> {
        let channels = self.channels.count();
        let mut pcm = vec![0; samples * channels];
        let decoded = self.inner.decode(packet, &mut pcm, recover).map_err(|error| {
            // The arguments are right by construction, so a failure with a packet is the packet's.
            if packet.is_empty() { Error::codec(&error) } else { Error::MalformedPacket(error.description()) }
        })?;
        pcm.truncate(decoded * channels);
        Ok(pcm)
    }
}

impl fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusDecoder")
            .field("sample_rate", &self.sample_rate)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}
