//! IVF: a 32-byte header, then frames with a 12-byte header each. Integers are little-endian.
//!
//! There is no standard; this follows what libaom, rav1e and FFmpeg write. Fields used: signature 0..4, version 4..6,
//! header length 6..8, codec 8..12, width 12..14, height 14..16, time base denominator 16..20 and numerator 20..24.
//! The frame count at 24..28 is not: programs that write to a pipe leave it wrong.

use super::{Input, MediaError};
use core_types::{FrameRate, FrameSize};
use std::collections::VecDeque;
use std::io::Read;

/// What every IVF file starts with.
pub(super) const MAGIC: &[u8] = b"DKIF";
/// How many frames are looked at to learn the frame rate when time stamps do not count frames.
const LOOK_AHEAD: usize = 9;

/// Reads the coded frames of an AV1 IVF file.
pub(super) struct IvfReader {
    input: Input,
    size: FrameSize,
    rate: FrameRate,
    max_frame: usize,
    frames: u64,
    ahead: VecDeque<Vec<u8>>,
    /// What ended the look-ahead, kept until the frames before it are handed out.
    failure: Option<MediaError>,
}

impl IvfReader {
    /// Reads and checks the header and learns the frame rate from the first time stamps.
    pub(super) fn new(file: &str, mut input: Input) -> Result<Self, MediaError> {
        const AT: &str = "its header";
        let mut header = [0; 32];
        input.read_exact(&mut header).map_err(|reason| MediaError::read(file, AT, reason))?;
        let [b'D', b'K', b'I', b'F', v0, v1, l0, l1, rest @ ..] = header else {
            return Err(MediaError::malformed(file, AT, "it does not start with DKIF"));
        };
        let [c0, c1, c2, c3, w0, w1, h0, h1, d0, d1, d2, d3, n0, n1, n2, n3, ..] = rest;
        let version = u16::from_le_bytes([v0, v1]);
        if version != 0 {
            return Err(MediaError::malformed(file, AT, format!("version {version} where only 0 is known")));
        }
        let codec = [c0, c1, c2, c3];
        if &codec != b"AV01" {
            let what = format!("codec {:?}, and only AV1 is read", String::from_utf8_lossy(&codec));
            return Err(MediaError::convert_video(file, what, "-pix_fmt yuv420p"));
        }
        let Some(extra) = u16::from_le_bytes([l0, l1]).checked_sub(32) else {
            return Err(MediaError::malformed(file, AT, "a header length below 32"));
        };
        let (width, height) = (u16::from_le_bytes([w0, w1]), u16::from_le_bytes([h0, h1]));
        let size = FrameSize::new(width.into(), height.into())
            .map_err(|reason| MediaError::video_shape(file, reason))?;
        let skipped = std::io::copy(&mut input.by_ref().take(extra.into()), &mut std::io::sink())
            .map_err(|reason| MediaError::read(file, AT, reason))?;
        if skipped < extra.into() {
            return Err(MediaError::truncated(file, AT));
        }
        let base = (u32::from_le_bytes([n0, n1, n2, n3]), u32::from_le_bytes([d0, d1, d2, d3]));
        if base.0 == 0 || base.1 == 0 {
            return Err(MediaError::malformed(file, AT, "a time base of zero"));
        }
        Self::with_rate(file, input, size, base)
    }

    /// Reads ahead until the frame rate is known. `base` is the time base: seconds as numerator and denominator.
    fn with_rate(file: &str, input: Input, size: FrameSize, base: (u32, u32)) -> Result<Self, MediaError> {
        let usual = FrameRate::new(25, 1).map_err(|reason| MediaError::video_shape(file, reason))?;
        // No encoder makes a frame larger than the picture it came from, but for a few headers.
        let max_frame = size.bytes_420() + 65_536;
        let (ahead, failure) = (VecDeque::new(), None);
        let mut reader = Self { input, size, rate: usual, max_frame, frames: 0, ahead, failure };
        let mut stamps: Vec<u64> = Vec::new();
        while stamps.len() < LOOK_AHEAD {
            match reader.read_frame(file) {
                Ok(Some((stamp, data))) => {
                    reader.ahead.push_back(data);
                    stamps.push(stamp);
                }
                Ok(None) => break,
                Err(error) => {
                    reader.failure = Some(error);
                    break;
                }
            }
            // Stamps that count frames say all there is to know: a pipe need not wait for more.
            if let [first, second] = stamps[..]
                && second.checked_sub(first) == Some(1)
            {
                break;
            }
        }
        let (steps, span) = match stamps[..] {
            [first, .., last] if last > first => (stamps.len() as u128 - 1, u128::from(last - first)),
            // Nothing to go by but the time base; if that is no frame rate either, the usual one.
            _ => {
                reader.rate = FrameRate::new(base.1, base.0).unwrap_or(reader.rate);
                return Ok(reader);
            }
        };
        let (num, den) = (u128::from(base.1) * steps, u128::from(base.0).saturating_mul(span));
        let shared = gcd(num, den).max(1);
        let fit = |n: u128| u32::try_from(n / shared).unwrap_or(u32::MAX);
        reader.rate =
            FrameRate::new(fit(num), fit(den)).map_err(|reason| MediaError::video_shape(file, reason))?;
        Ok(reader)
    }

    pub(super) fn size(&self) -> FrameSize {
        self.size
    }

    pub(super) fn rate(&self) -> FrameRate {
        self.rate
    }

    /// The next coded frame; `None` when the file ends after a whole frame.
    pub(super) fn next_coded(&mut self, file: &str) -> Result<Option<Vec<u8>>, MediaError> {
        if let Some(data) = self.ahead.pop_front() {
            return Ok(Some(data));
        }
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        Ok(self.read_frame(file)?.map(|(_, data)| data))
    }

    fn read_frame(&mut self, file: &str) -> Result<Option<(u64, Vec<u8>)>, MediaError> {
        let at = || format!("frame {}", self.frames);
        let mut header = [0; 12];
        match super::read_up_to(&mut self.input, &mut header) {
            Ok(0) => return Ok(None),
            Ok(12) => {}
            Ok(_) => return Err(MediaError::truncated(file, at())),
            Err(reason) => return Err(MediaError::read(file, at(), reason)),
        }
        let [l0, l1, l2, l3, stamp @ ..] = header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length == 0 || length > self.max_frame {
            let what = format!("a frame of {length} bytes where 1 to {} are possible", self.max_frame);
            return Err(MediaError::malformed(file, at(), what));
        }
        let mut data = vec![0; length];
        self.input.read_exact(&mut data).map_err(|reason| MediaError::read(file, at(), reason))?;
        self.frames += 1;
        Ok(Some((u64::from_le_bytes(stamp), data)))
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}
