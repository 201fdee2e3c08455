//! A number in the picture itself, so that what is measured is what is seen: no timestamp of the stream has a part in it.

use crate::Error;
use crate::demo::sources::Clip;
use crate::publish::FrameSource;
use crate::watch::{ShownPicture, Sink};
use codec_av1::Frame;
use core_types::{FrameRate, FrameSize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bits of the number, in Gray's code: from one picture to the next one block changes, so an encoder that leaves that as it was shows the
/// picture before and no other. Each is a block of light or dark in the first row, and its opposite in the second.
const BITS: usize = 16;
/// Side of a block, as a share of the picture's width: in the lowest of three resolutions it still has some pixels.
const BLOCKS_IN_WIDTH: usize = 20;
const LIGHT: u8 = 220;
const DARK: u8 = 30;

/// Pictures that are captured, and when each was shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Glass(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// When the first was due to be captured, and how long each stands.
    start: Option<(Instant, FrameRate)>,
    captured: u64,
    shown: BTreeMap<u64, Duration>,
    unreadable: u64,
}

/// What was seen of a stretch of pictures.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) captured: u64,
    pub(super) shown: u64,
    pub(super) unreadable: u64,
    /// From when each was due to be captured to when it was shown, in order of length.
    pub(super) times: Vec<Duration>,
}

impl Glass {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next picture that is captured.
    pub(super) fn captured(&self) -> u64 {
        self.seen().captured
    }

    /// Something was shown.
    pub(super) fn is_live(&self) -> bool {
        !self.seen().shown.is_empty()
    }

    /// Pictures from number `from` on before number `to`.
    pub(super) fn stretch(&self, from: u64, to: u64) -> Stretch {
        let seen = self.seen();
        let mut times: Vec<Duration> = seen.shown.range(from..to).map(|(_, took)| *took).collect();
        times.sort_unstable();
        let shown = times.len() as u64;
        Stretch { captured: to.saturating_sub(from), shown, unreadable: seen.unreadable, times }
    }
}

impl Sink for Glass {
    fn picture(&mut self, picture: &ShownPicture<'_>) -> Result<(), Error> {
        let number = read(picture.frame);
        let mut seen = self.seen();
        match (number, seen.start) {
            (Some(low), Some((start, rate))) => {
                // Only its low bits are in the picture.
                let newest = seen.captured.saturating_sub(1);
                let behind = (newest as u16).wrapping_sub(low);
                let number = newest.saturating_sub(behind.into());
                let due = start + rate.frame_offset(number);
                seen.shown.entry(number).or_insert_with(|| picture.shown_at.saturating_duration_since(due));
            }
            _ => seen.unreadable += 1,
        }
        Ok(())
    }
}

/// Pictures of a clip with their numbers in them, without end.
pub(super) struct Numbered {
    clip: Clip,
    is_hd: bool,
    glass: Glass,
    next: u64,
}

impl Numbered {
    /// The clip in `size`, or four pictures of it from different times side by side, each in that size, at 30 pictures a second.
    pub(super) fn new(clip: &Clip, size: FrameSize, is_hd: bool, glass: Glass) -> Self {
        let frames = clip.frames.iter().map(|frame| Arc::new(frame.scaled(size))).collect();
        Self { clip: Clip { frames: Arc::new(frames), size, rate: clip.rate }, is_hd, glass, next: 0 }
    }

    fn draw(&self, number: u64) -> Result<Frame, Error> {
        let size = self.size();
        let mut data = if self.is_hd {
            let apart = self.clip.frames.len() as u64 / 4;
            let tiles = [0, 1, 2, 3].map(|tile| self.clip.frame(number + tile * apart).as_ref());
            tiled(tiles, self.clip.size)
        } else {
            self.clip.frame(number).as_i420().to_vec()
        };
        write(&mut data, size, number as u16);
        Frame::from_i420(size, data).map_err(|e| Error::codec("numbered picture", e))
    }
}

impl FrameSource for Numbered {
    fn size(&self) -> FrameSize {
        let size = self.clip.size;
        let doubled = FrameSize::new(size.width() as u32 * 2, size.height() as u32 * 2);
        doubled.ok().filter(|_| self.is_hd).unwrap_or(size)
    }

    fn rate(&self) -> FrameRate {
        FrameRate::new(30, 1).ok().filter(|_| self.is_hd).unwrap_or(self.clip.rate)
    }

    fn next(&mut self) -> Result<Option<Arc<Frame>>, Error> {
        let frame = self.draw(self.next)?;
        self.next += 1;
        let rate = self.rate();
        let mut seen = self.glass.seen();
        seen.start.get_or_insert((Instant::now(), rate));
        seen.captured = self.next;
        Ok(Some(Arc::new(frame)))
    }
}

/// Four pictures as one of twice the width and height.
fn tiled(tiles: [&Frame; 4], size: FrameSize) -> Vec<u8> {
    let mut data = Vec::with_capacity(size.bytes_420() * 4);
    type Plane = fn(&Frame) -> &[u8];
    for (plane, width) in [
        (Frame::y as Plane, size.width()),
        (Frame::u as Plane, size.width() / 2),
        (Frame::v as Plane, size.width() / 2),
    ] {
        for pair in tiles.chunks_exact(2) {
            let [left, right] = pair else { continue };
            for (left, right) in plane(left).chunks_exact(width).zip(plane(right).chunks_exact(width)) {
                data.extend_from_slice(left);
                data.extend_from_slice(right);
            }
        }
    }
    data
}

/// Side of a block in pixels.
fn side(size: FrameSize) -> usize {
    (size.width() / BLOCKS_IN_WIDTH).max(2)
}

fn write(data: &mut [u8], size: FrameSize, number: u16) {
    let (side, number) = (side(size), number ^ number >> 1);
    let rows = data.chunks_exact_mut(size.width()).take(2 * side);
    for (y, row) in rows.enumerate() {
        for (bit, block) in row.chunks_exact_mut(side).take(BITS).enumerate() {
            let is_light = (number >> bit & 1 == 1) == (y < side);
            block.fill(if is_light { LIGHT } else { DARK });
        }
    }
}

/// The number in a picture; `None` if it is not to be read.
fn read(frame: &Frame) -> Option<u16> {
    let (width, side) = (frame.size().width(), side(frame.size()));
    // The middle of a block, away from what its neighbours blur.
    let mean = |bit: usize, row: usize| {
        let inside = side / 4..(side * 3).div_ceil(4);
        let rows = frame.y().chunks_exact(width).skip(row * side + inside.start).take(inside.len());
        let (mut sum, mut count) = (0u32, 0u32);
        for line in rows {
            for sample in line.get(bit * side + inside.start..bit * side + inside.end)? {
                sum += u32::from(*sample);
                count += 1;
            }
        }
        sum.checked_div(count)
    };
    let mut code = 0;
    for bit in 0..BITS {
        let (first, second) = (mean(bit, 0)?, mean(bit, 1)?);
        if first.abs_diff(second) < 60 {
            return None;
        }
        code |= u16::from(first > second) << bit;
    }
    // Each bit of the number is that of the code and all above it.
    Some([1, 2, 4, 8].iter().fold(code, |number, by| number ^ number >> by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec_av1::{EncoderConfig, LibaomEncoder, Rav1dDecoder, VideoDecoder, VideoEncoder};
    use core_types::{BitRate, MediaTime};

    #[test]
    fn numbers_are_read_from_pictures_that_were_coded_coarsely_and_enlarged() {
        let size = FrameSize::new(640, 360).unwrap();
        let small = FrameSize::new(160, 90).unwrap();
        let rate = FrameRate::new(25, 1).unwrap();
        let config = EncoderConfig {
            size: small,
            rate,
            bit_rate: BitRate::from_kbit(40),
            max_key_interval: 100,
            threads: 1,
        };
        let mut encoder = LibaomEncoder::new(config).unwrap();
        let mut decoder = Rav1dDecoder::new(small).unwrap();
        for number in [0u16, 1, 0x5555, 0xaaaa, 0xffff, 12_345] {
            let mut data: Vec<u8> = (0..size.bytes_420()).map(|at| ((at * 7) ^ (at >> 6)) as u8).collect();
            write(&mut data, size, number);
            let frame = Frame::from_i420(size, data).unwrap();
            assert_eq!(read(&frame), Some(number));
            let packets = encoder.encode(&frame.scaled(small), MediaTime(0), false).unwrap();
            let shown = decoder.decode(&packets[0].data, MediaTime(0)).unwrap();
            assert_eq!(read(&shown[0].frame.scaled(size)), Some(number), "{number}");
        }
        assert_eq!(read(&Frame::black(size)), None);
    }

    #[test]
    fn four_pictures_make_one() {
        let size = FrameSize::new(32, 16).unwrap();
        let plain = |luma: u8| {
            let data = [vec![luma; 32 * 16], vec![luma + 1; 16 * 8], vec![luma + 2; 16 * 8]].concat();
            Frame::from_i420(size, data).unwrap()
        };
        let [a, b, c, d] = [10, 20, 30, 40].map(plain);
        let double = FrameSize::new(64, 32).unwrap();
        let all = Frame::from_i420(double, tiled([&a, &b, &c, &d], size)).unwrap();
        let corner = |plane: &[u8], width: usize, x: usize, y: usize| plane[y * width + x];
        for (x, y, luma) in [(0, 0, 10), (63, 0, 20), (0, 31, 30), (63, 31, 40)] {
            assert_eq!(corner(all.y(), 64, x, y), luma);
            assert_eq!(corner(all.u(), 32, x / 2, y / 2), luma + 1);
            assert_eq!(corner(all.v(), 32, x / 2, y / 2), luma + 2);
        }
    }
}
