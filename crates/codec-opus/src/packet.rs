//! What an Opus packet says of itself (RFC 6716 section 3), read without libopus.

use crate::{Channels, Error, SampleRate};
use core::time::Duration;

/// The table of contents of a packet: enough to know its duration before anything is allocated for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PacketInfo {
    frames: u8,
    /// In units of 2.5 ms.
    frame_units: u8,
    channels: Channels,
    mode: CodingMode,
}

/// Which of Opus's two coders a packet was made with (RFC 6716 section 3.1). Closed on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodingMode {
    /// Speech alone.
    Silk,
    /// Speech below 8 kHz, transform coding above.
    Hybrid,
    /// Transform coding alone; neither voice flags nor coarse copies.
    Celt,
}

impl PacketInfo {
    /// The longest packet taken: 48 frames of 1,275 bytes with their lengths, and no padding to speak of.
    pub const MAX_PACKET_LEN: usize = 2 + 48 * (2 + 1_275);
    /// The longest audio in a packet: 120 ms.
    pub const MAX_DURATION: Duration = Duration::from_millis(120);

    /// Reads the table of contents and frame count. The lengths of the frames are checked when the packet is decoded, or by
    /// [`OpusPacket::parse`].
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
        let config = toc >> 3;
        let mode = match config {
            0..=11 => CodingMode::Silk,
            12..=15 => CodingMode::Hybrid,
            _ => CodingMode::Celt,
        };
        let channels = if toc & 0b100 == 0 { Channels::Mono } else { Channels::Stereo };
        let info = Self { frames, frame_units: frame_units(config), channels, mode };
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

    /// Samples per channel of one frame when decoded at `rate`: 2.5 to 60 ms.
    pub const fn frame_samples(self, rate: SampleRate) -> usize {
        rate.hz() as usize / 400 * self.frame_units as usize
    }

    /// Channels that were coded; a decoder mixes to its own number.
    pub const fn channels(self) -> Channels {
        self.channels
    }

    /// How it was coded.
    pub const fn mode(self) -> CodingMode {
        self.mode
    }

    const fn units(self) -> u64 {
        self.frames as u64 * self.frame_units as u64
    }

    /// Frames of the speech coder in one frame of Opus: one each 20 ms, and one for 10 ms.
    const fn silk_frames(self) -> u32 {
        match self.frame_units {
            0..=8 => 1,
            units => units as u32 / 8,
        }
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

/// A packet taken apart into its frames and padding, all requirements of RFC 6716 section 3.4 checked.
#[derive(Debug, Clone)]
pub struct OpusPacket<'a> {
    info: PacketInfo,
    lens: [u16; 48],
    /// All frames, one after another.
    frames: &'a [u8],
    padding: &'a [u8],
}

impl<'a> OpusPacket<'a> {
    const MAX_FRAME: usize = 1_275;

    /// Takes a packet apart.
    ///
    /// # Errors
    /// As for [`PacketInfo::parse`], and [`Error::MalformedPacket`] when frames or padding reach past its end, frames of equal
    /// length do not fill it, or a frame is longer than 1,275 bytes.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Error> {
        let info = PacketInfo::parse(packet)?;
        let count = usize::from(info.frames);
        let mut lens = [0; 48];
        let mut rest = packet.get(1..).unwrap_or_default();
        let mut padding: &[u8] = &[];
        let is_equal = match packet.first().map_or(0, |toc| toc & 0b11) {
            0 | 1 => true,
            2 => false,
            _ => {
                let (&head, after) =
                    rest.split_first().ok_or(Error::MalformedPacket("the frame count is missing"))?;
                rest = after;
                if head & 0b0100_0000 != 0 {
                    let len = padding_len(&mut rest)?;
                    let split = rest
                        .len()
                        .checked_sub(len)
                        .ok_or(Error::MalformedPacket("its padding reaches past its end"))?;
                    (rest, padding) = rest.split_at(split);
                }
                head & 0b1000_0000 == 0
            }
        };
        if is_equal {
            if !rest.len().is_multiple_of(count) {
                return Err(Error::MalformedPacket("frames of equal length do not fill it"));
            }
            lens[..count].fill(checked_len(rest.len() / count)?);
        } else {
            for len in &mut lens[..count - 1] {
                *len = frame_len(&mut rest)?;
            }
            let said: usize = lens[..count - 1].iter().map(|len| usize::from(*len)).sum();
            let last =
                rest.len().checked_sub(said).ok_or(Error::MalformedPacket("a frame reaches past its end"))?;
            lens[count - 1] = checked_len(last)?;
        }
        Ok(Self { info, lens, frames: rest, padding })
    }

    /// The table of contents.
    pub const fn info(&self) -> PacketInfo {
        self.info
    }

    /// The frames in order; an empty one says that nothing was sent for it.
    pub fn frames(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.frames;
        self.lens[..usize::from(self.info.frames)].iter().map(move |len| {
            // The lengths add up to what is there.
            let (frame, after) = rest.split_at_checked(usize::from(*len)).unwrap_or((rest, &[]));
            rest = after;
            frame
        })
    }

    /// What follows the frames: extensions, among them deep redundancy.
    pub const fn padding(&self) -> &'a [u8] {
        self.padding
    }

    /// True when its encoder sent it to say that there is nothing to say (discontinuous transmission): frames of at most a
    /// byte, which a decoder fills with comfort noise.
    pub fn is_silence(&self) -> bool {
        self.lens[..usize::from(self.info.frames)].iter().all(|len| *len <= 1)
    }

    /// The speech coder's own decision whether there is a voice in it, over all frames and channels. `None` when the
    /// speech coder had no part in it.
    pub fn voice(&self) -> Option<bool> {
        if self.info.mode == CodingMode::Celt {
            return None;
        }
        let silk = self.info.silk_frames();
        let flagged = |frame: &[u8]| {
            frame.first().is_some_and(|first| {
                // RFC 6716 section 4.2.3: a flag for each 20 ms, one for the coarse copy, and the same for the side channel.
                let middle = first >> (8 - silk);
                let side = (first << (silk + 1)) >> (8 - silk);
                middle != 0 || (self.info.channels == Channels::Stereo && side != 0)
            })
        };
        Some(!self.is_silence() && self.frames().any(flagged))
    }

    /// True when it carries a coarse copy of the frame before it (RFC 6716 section 2.1.7).
    pub fn has_coarse_copy(&self) -> bool {
        let silk = self.info.silk_frames();
        let first = self.frames().next().and_then(|frame| frame.first().copied());
        match (self.info.mode, first) {
            (CodingMode::Celt, _) | (_, None) => false,
            (_, Some(first)) => {
                let middle = first >> (7 - silk) & 1;
                // With 60 ms this is the last bit of the byte.
                let side = first >> (6 - 2 * silk) & 1;
                middle != 0 || (self.info.channels == Channels::Stereo && side != 0)
            }
        }
    }
}

/// The length of the padding, after the frame count (RFC 6716 section 3.2.5): 255 stands for 254 bytes and more to come.
fn padding_len(rest: &mut &[u8]) -> Result<usize, Error> {
    let mut len = 0;
    loop {
        let (&byte, after) =
            rest.split_first().ok_or(Error::MalformedPacket("the length of its padding is cut off"))?;
        *rest = after;
        if byte != 255 {
            return Ok(len + usize::from(byte));
        }
        len += 254;
    }
}

/// The length of a frame in one or two bytes (RFC 6716 section 3.2.1).
fn frame_len(rest: &mut &[u8]) -> Result<u16, Error> {
    let cut = Error::MalformedPacket("the length of a frame is cut off");
    let (&first, after) = rest.split_first().ok_or(cut.clone())?;
    if first < 252 {
        *rest = after;
        return Ok(u16::from(first));
    }
    let (&second, after) = after.split_first().ok_or(cut)?;
    *rest = after;
    Ok(4 * u16::from(second) + u16::from(first))
}

fn checked_len(len: usize) -> Result<u16, Error> {
    match u16::try_from(len) {
        Ok(short) if len <= OpusPacket::MAX_FRAME => Ok(short),
        _ => Err(Error::MalformedPacket("a frame is longer than 1,275 bytes")),
    }
}
