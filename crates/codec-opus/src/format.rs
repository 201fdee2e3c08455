//! Sampling rates, channels and frame durations that Opus knows (RFC 6716 section 2).

use core::time::Duration;

/// A sampling rate that Opus codes without resampling outside. Closed on purpose: RFC 6716 has no other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SampleRate {
    /// 8 kHz.
    Hz8000,
    /// 12 kHz.
    Hz12000,
    /// 16 kHz.
    Hz16000,
    /// 24 kHz.
    Hz24000,
    /// 48 kHz.
    #[default]
    Hz48000,
}

impl SampleRate {
    /// All rates, lowest first.
    pub const ALL: [Self; 5] = [Self::Hz8000, Self::Hz12000, Self::Hz16000, Self::Hz24000, Self::Hz48000];

    /// Samples per second and channel.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz12000 => 12_000,
            Self::Hz16000 => 16_000,
            Self::Hz24000 => 24_000,
            Self::Hz48000 => 48_000,
        }
    }

    /// The rate of `hz` samples per second, if Opus has it; otherwise resample first.
    pub fn from_hz(hz: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|rate| rate.hz() == hz)
    }
}

/// How many channels PCM has. Closed on purpose: one Opus stream has no more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channels {
    /// One channel.
    #[default]
    Mono,
    /// Left and right, interleaved.
    Stereo,
}

impl Channels {
    /// 1 or 2.
    pub const fn count(self) -> usize {
        match self {
            Self::Mono => 1,
            Self::Stereo => 2,
        }
    }
}

/// How much audio one packet carries. Closed on purpose; the encoder makes one frame of this length per packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameDuration {
    /// 2.5 ms; no in-band error correction.
    Ms2_5,
    /// 5 ms; no in-band error correction.
    Ms5,
    /// 10 ms.
    Ms10,
    /// 20 ms, what nearly everybody uses.
    #[default]
    Ms20,
    /// 40 ms.
    Ms40,
    /// 60 ms.
    Ms60,
}

impl FrameDuration {
    /// All durations, shortest first.
    pub const ALL: [Self; 6] = [Self::Ms2_5, Self::Ms5, Self::Ms10, Self::Ms20, Self::Ms40, Self::Ms60];

    /// As time.
    pub const fn duration(self) -> Duration {
        Duration::from_micros(2_500 * self.units() as u64)
    }

    /// Samples per channel at a rate; always whole.
    pub const fn samples(self, rate: SampleRate) -> usize {
        rate.hz() as usize / 400 * self.units()
    }

    /// In units of 2.5 ms, the shortest frame.
    const fn units(self) -> usize {
        match self {
            Self::Ms2_5 => 1,
            Self::Ms5 => 2,
            Self::Ms10 => 4,
            Self::Ms20 => 8,
            Self::Ms40 => 16,
            Self::Ms60 => 24,
        }
    }
}
