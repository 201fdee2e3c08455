//! What an Opus packet says of itself (RFC 6716 section 3).

use crate::{Channels, Error, SampleRate};
use core::time::Duration;

/// The table of contents of a packet: enough to know its duration before anything is allocated for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketInfo {
    frames: u8,
    /// In units of 2.5 ms.
    frame_units: u8,
    channels: Channels,
}

impl PacketInfo {
    /// The longest packet taken: 48 frames of 1,275 bytes with their lengths, and no padding to speak of.
    pub const MAX_PACKET_LEN: usize = 2 + 48 * (2 + 1_275);
    /// The longest audio in a packet: 120 ms.
    pub const MAX_DURATION: Duration = Duration::from_millis(120);

    /// Reads the table of contents and frame count. The lengths of the frames are checked when the packet is decoded.
    ///
    /// # Errors
    /// Both are the peer's fault: [`Error::PacketLength`] above [`PacketInfo::MAX_PACKET_LEN`], and
    /// [`Error::MalformedPacket`] for an empty packet, a missing or zero frame count, two frames of unequal length where
    /// equal ones are announced, or more than 120 ms (RFC 6716 section 3.4, requirements 1, 3, 5).
    pub fn parse(packet: &[u8]) -> Result<Self, Error> {
        if packet.len() > Self::MAX_PACKET_LEN {
            return Err(Error::PacketLength { len: packet.len(), max: Self::MAX_PACKET_LEN });
        }
        let Some((toc, rest)) = packet.split_first() else {
            return Err(Error::MalformedPacket("it is empty"));
        };
        let frames = match toc & 0b11 {
            0 => 1,
            1 if rest.len().is_multiple_of(2) => 2,
            1 => return Err(Error::MalformedPacket("two equal frames have an odd length together")),
            2 => 2,
            _ => rest.first().ok_or(Error::MalformedPacket("the frame count is missing"))? & 0b0011_1111,
        };
        let frame_units = frame_units(toc >> 3);
        let channels = if toc & 0b100 == 0 { Channels::Mono } else { Channels::Stereo };
        let info = Self { frames, frame_units, channels };
        if frames == 0 {
            return Err(Error::MalformedPacket("it has no frames"));
        }
        if info.duration() > Self::MAX_DURATION {
            return Err(Error::MalformedPacket("it is longer than 120 ms"));
        }
        Ok(info)
    }

    /// Frames in the packet: 1 to 48.
    pub const fn frames(self) -> u8 {
        self.frames
    }

    /// How long the packet plays.
    pub const fn duration(self) -> Duration {
        Duration::from_micros(2_500 * self.units())
    }

    /// Samples per channel when decoded at `rate`.
    pub const fn samples(self, rate: SampleRate) -> usize {
        rate.hz() as usize / 400 * self.units() as usize
    }

    /// Channels that were coded; a decoder mixes to its own number.
    pub const fn channels(self) -> Channels {
        self.channels
    }

    const fn units(self) -> u64 {
        self.frames as u64 * self.frame_units as u64
    }
}

/// Frame duration of a configuration number in units of 2.5 ms (RFC 6716 section 3.1, table 2).
const fn frame_units(config: u8) -> u8 {
    match config {
        // SILK: 10, 20, 40, 60 ms.
        0..=11 => [4, 8, 16, 24][(config & 3) as usize],
        // Hybrid: 10, 20 ms.
        12..=15 => [4, 8][(config & 1) as usize],
        // CELT: 2.5, 5, 10, 20 ms.
        _ => 1 << (config & 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// libopus has its own parser; ours accepts nothing that it measures differently, and whatever ours refuses
        /// libopus refuses too.
        #[test]
        fn durations_agree_with_libopus(packet in prop::collection::vec(any::<u8>(), 1..8), rate in prop::sample::select(&SampleRate::ALL[..])) {
            let theirs = opus::packet::get_nb_samples(&packet, rate.hz());
            match PacketInfo::parse(&packet) {
                Ok(info) => {
                    prop_assert_eq!(info.samples(rate), theirs.unwrap());
                    prop_assert_eq!(usize::from(info.frames()), opus::packet::get_nb_frames(&packet).unwrap());
                    prop_assert_eq!(info.channels().native(), opus::packet::get_nb_channels(&packet).unwrap());
                }
                Err(error) => {
                    prop_assert!(error.is_peer_fault());
                    prop_assert!(opus::packet::parse(&packet).is_err());
                }
            }
        }
    }

    #[test]
    fn too_long_empty_and_uneven_packets_are_refused() {
        let max = PacketInfo::MAX_PACKET_LEN;
        assert_eq!(PacketInfo::parse(&vec![0; max + 1]), Err(Error::PacketLength { len: max + 1, max }));
        assert!(PacketInfo::parse(&vec![0; max]).is_ok());
        assert!(matches!(PacketInfo::parse(&[]), Err(Error::MalformedPacket(_))));
        assert!(matches!(PacketInfo::parse(&[1, 0, 0, 0]), Err(Error::MalformedPacket(_))));
        assert_eq!(PacketInfo::parse(&[1, 0, 0]).unwrap().frames(), 2);
    }
}
