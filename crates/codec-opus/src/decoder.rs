//! Packets to PCM.

use crate::{Channels, Error, FrameDuration, OpusPacket, PacketInfo, SampleRate};
use core::fmt;
use core::time::Duration;
use opus_backends::{Decoder, Redundancy};

/// How much a decoder spends. Closed on purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Effort {
    /// No networks: lost audio is continued by its pitch, or as noise.
    Classic,
    /// Lost speech is continued by a network that speaks on.
    #[default]
    Neural,
    /// The same, and speech at low rates is made clearer by another network, all the time and not in gaps alone.
    Enhanced,
}

/// Decodes one stream. Every call stands for audio that follows on that of the call before: [`decode`](Self::decode) when the
/// packet came; when it did not, [`redundant`](Self::redundant) or [`recover`](Self::recover) from one that came after it;
/// [`conceal`](Self::conceal) when none did.
pub struct OpusDecoder {
    inner: Decoder,
    sample_rate: SampleRate,
    channels: Channels,
    /// Samples per channel of the last packet: what a lost one is taken to have had.
    packet_samples: Option<usize>,
    redundancy: Option<Redundancy>,
    /// Whether the packet that was read last had any.
    is_redundant: bool,
}

impl OpusDecoder {
    const LOOKAHEAD: Duration = Duration::from_millis(60);

    /// A decoder with fresh state and neural concealment. The output has this rate and these channels whatever the sender used.
    ///
    /// # Errors
    /// [`Error::Codec`] when libopus has no memory.
    pub fn new(sample_rate: SampleRate, channels: Channels) -> Result<Self, Error> {
        Self::with_effort(sample_rate, channels, Effort::default())
    }

    /// The same, with another effort.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_effort(sample_rate: SampleRate, channels: Channels, effort: Effort) -> Result<Self, Error> {
        let mut inner = Decoder::new(sample_rate.hz(), channels.count() as u8).map_err(Error::codec)?;
        let complexity = match effort {
            Effort::Classic => 0,
            Effort::Neural => 5,
            Effort::Enhanced => 7,
        };
        inner.set_complexity(complexity).map_err(Error::codec)?;
        Ok(Self { inner, sample_rate, channels, packet_samples: None, redundancy: None, is_redundant: false })
    }

    /// Rate of the output.
    pub const fn sample_rate(&self) -> SampleRate {
        self.sample_rate
    }

    /// Channels of the output.
    pub const fn channels(&self) -> Channels {
        self.channels
    }

    /// Forgets the stream.
    ///
    /// # Errors
    /// [`Error::Codec`] when libopus fails.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.packet_samples = None;
        self.inner.reset().map_err(Error::codec)
    }

    /// The audio of a packet, interleaved; its length follows from the packet itself.
    ///
    /// # Errors
    /// [`Error::PacketLength`] or [`Error::MalformedPacket`], both the peer's fault. Call
    /// [`conceal`](Self::conceal) instead then; the decoder stays usable.
    pub fn decode(&mut self, packet: &[u8]) -> Result<Vec<i16>, Error> {
        let samples = PacketInfo::parse(packet)?.samples(self.sample_rate);
        let pcm = self.run(samples, Error::of_packet, |inner, pcm| inner.decode(packet, pcm))?;
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
        self.recover_for(next_packet, self.packet_samples.unwrap_or(next_samples))
    }

    /// The same for `samples` per channel, a multiple of 2.5 ms.
    pub(crate) fn recover_for(&mut self, next_packet: &[u8], samples: usize) -> Result<Vec<i16>, Error> {
        PacketInfo::parse(next_packet)?;
        self.run(samples, Error::of_packet, |inner, pcm| inner.decode_fec(next_packet, pcm))
    }

    /// How far back from its start `packet` describes what came before it (DRED), at most `needed`: zero when it does not.
    /// What it says is kept for [`redundant`](Self::redundant), instead of what another packet said.
    ///
    /// # Errors
    /// As for [`decode`](Self::decode); what was kept is gone then.
    pub fn read_redundancy(&mut self, packet: &[u8], needed: Duration) -> Result<Duration, Error> {
        // libopus looks at the padding of packets that it would not decode.
        self.is_redundant = false;
        let has_padding = !OpusPacket::parse(packet)?.padding().is_empty();
        if !has_padding {
            return Ok(Duration::ZERO);
        }
        let mut redundancy = match self.redundancy.take() {
            Some(redundancy) => redundancy,
            None => Redundancy::new().map_err(Error::codec)?,
        };
        let needed = needed.min(Duration::from_secs(2));
        // libopus counts from the encoder's lookahead, so that it takes a little more to reach so far.
        let samples = (needed + Self::LOOKAHEAD).as_micros() * 48 / 1_000;
        let covered = redundancy.parse(packet, samples as u32, 48_000).map_err(Error::of_packet)?;
        self.redundancy = Some(redundancy);
        self.is_redundant = covered > 0;
        Ok(Duration::from_micros(u64::from(covered) * 1_000 / 48).min(needed))
    }

    /// `length` of lost audio that began `before` before the packet whose redundancy was read last; what that does not
    /// reach is concealed. `length` is rounded down to 2.5 ms, and cut to 120 ms.
    ///
    /// # Errors
    /// [`Error::Codec`] when libopus fails.
    pub fn redundant(&mut self, before: Duration, length: Duration) -> Result<Vec<i16>, Error> {
        let samples = self.whole_samples(length);
        let before =
            before.min(Duration::from_secs(2)).as_micros() * u128::from(self.sample_rate.hz()) / 1_000_000;
        let mut redundancy = self.redundancy.take();
        let pcm = match &mut redundancy {
            Some(state) if self.is_redundant => self
                .run(samples, Error::codec, |inner, pcm| inner.decode_redundancy(state, before as u32, pcm)),
            _ => self.run(samples, Error::codec, |inner, pcm| inner.conceal(pcm)),
        };
        self.redundancy = redundancy;
        pcm
    }

    /// A guess at the audio of a lost packet, from what came before it; fades out over consecutive losses. As long as
    /// the last packet, or 20 ms before the first.
    ///
    /// # Errors
    /// [`Error::Codec`] when libopus fails.
    pub fn conceal(&mut self) -> Result<Vec<i16>, Error> {
        let samples = self.packet_samples.unwrap_or(FrameDuration::Ms20.samples(self.sample_rate));
        self.run(samples, Error::codec, |inner, pcm| inner.conceal(pcm))
    }

    /// The same for `length`, rounded down to 2.5 ms, and cut to 120 ms.
    ///
    /// # Errors
    /// As for [`conceal`](Self::conceal).
    pub fn conceal_for(&mut self, length: Duration) -> Result<Vec<i16>, Error> {
        let samples = self.whole_samples(length);
        self.run(samples, Error::codec, |inner, pcm| inner.conceal(pcm))
    }

    /// At least 2.5 ms and at most 120 ms, in whole units of 2.5 ms.
    fn whole_samples(&self, length: Duration) -> usize {
        let units = (length.as_micros() / 2_500).clamp(1, 48) as usize;
        units * FrameDuration::Ms2_5.samples(self.sample_rate)
    }

    /// `samples` per channel are at most 120 ms, so at most 11,520 are allocated.
    fn run(
        &mut self,
        samples: usize,
        error: fn(opus_backends::Error) -> Error,
        decode: impl FnOnce(&mut Decoder, &mut [i16]) -> Result<usize, opus_backends::Error>,
    ) -> Result<Vec<i16>, Error> {
        let channels = self.channels.count();
        let mut pcm = vec![0; samples * channels];
        let decoded = decode(&mut self.inner, &mut pcm).map_err(error)?;
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
