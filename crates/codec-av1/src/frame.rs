//! Uncompressed pictures.

use core::fmt;

use core_types::FrameSize;

use crate::Error;

/// An 8-bit 4:2:0 picture: the luma plane, then both chroma planes at half the width and height, without padding (I420).
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    size: FrameSize,
    data: Vec<u8>,
}

impl Frame {
    /// What [`Frame::psnr_y`] gives for identical pictures, and the most that it ever gives, in dB.
    pub const PSNR_CAP: f64 = 100.0;

    /// A black picture: luma 16 and chroma 128, as limited-range video has it.
    pub fn black(size: FrameSize) -> Self {
        let mut data = vec![16; size.bytes_420()];
        if let Some(chroma) = data.get_mut(size.width() * size.height()..) {
            chroma.fill(128);
        }
        Self { size, data }
    }

    /// Takes the bytes of one I420 picture.
    ///
    /// # Errors
    /// [`Error::FrameLength`] when there are not exactly [`FrameSize::bytes_420`] of them.
    pub fn from_i420(size: FrameSize, data: Vec<u8>) -> Result<Self, Error> {
        let expected = size.bytes_420();
        if data.len() != expected {
            return Err(Error::FrameLength { size, expected, actual: data.len() });
        }
        Ok(Self { size, data })
    }

    /// Takes the bytes of one picture of 10-bit samples, each in two bytes, the lower one first (I010), and rounds it to 8 bits.
    ///
    /// # Errors
    /// [`Error::FrameLength`] when there are not exactly twice [`FrameSize::bytes_420`] of them.
    pub fn from_i010(size: FrameSize, data: &[u8]) -> Result<Self, Error> {
        let expected = 2 * size.bytes_420();
        if data.len() != expected {
            return Err(Error::FrameLength { size, expected, actual: data.len() });
        }
        let data = data.as_chunks().0.iter().map(|sample| eight_bits(u16::from_le_bytes(*sample))).collect();
        Ok(Self { size, data })
    }

    /// Width and height.
    pub const fn size(&self) -> FrameSize {
        self.size
    }

    /// The luma plane: `height` rows of `width` bytes.
    pub fn y(&self) -> &[u8] {
        self.planes().0
    }

    /// The first chroma plane (Cb): `height / 2` rows of `width / 2` bytes.
    pub fn u(&self) -> &[u8] {
        self.planes().1
    }

    /// The second chroma plane (Cr), as [`Frame::u`].
    pub fn v(&self) -> &[u8] {
        self.planes().2
    }

    /// All three planes, one after the other.
    pub fn as_i420(&self) -> &[u8] {
        &self.data
    }

    /// The bytes of [`Frame::as_i420`].
    pub fn into_i420(self) -> Vec<u8> {
        self.data
    }

    /// Peak signal-to-noise ratio of the luma planes in dB, at most [`Frame::PSNR_CAP`].
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] when the sizes differ.
    pub fn psnr_y(&self, other: &Self) -> Result<f64, Error> {
        if self.size != other.size {
            return Err(Error::SizeMismatch { expected: self.size, actual: other.size });
        }
        let squares: u64 =
            self.y().iter().zip(other.y()).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
        if squares == 0 {
            return Ok(Self::PSNR_CAP);
        }
        let mean = squares as f64 / self.y().len() as f64;
        Ok((10.0 * (255.0 * 255.0 / mean).log10()).min(Self::PSNR_CAP))
    }

    /// The same picture in another size. Made smaller on some axis, each sample is the mean of what it covers; made larger, samples lie on
    /// straight lines between those that there are.
    pub fn scaled(&self, size: FrameSize) -> Self {
        if size == self.size {
            return self.clone();
        }
        let mut data = Vec::with_capacity(size.bytes_420());
        let (from, to) = ((self.size.width(), self.size.height()), (size.width(), size.height()));
        let half = |(width, height): (usize, usize)| (width / 2, height / 2);
        let scale = if to.0 >= from.0 && to.1 >= from.1 { enlarge_plane } else { scale_plane };
        scale(self.y(), from, to, &mut data);
        scale(self.u(), half(from), half(to), &mut data);
        scale(self.v(), half(from), half(to), &mut data);
        Self { size, data }
    }

    fn planes(&self) -> (&[u8], &[u8], &[u8]) {
        let luma = self.size.width() * self.size.height();
        let (y, chroma) = self.data.split_at(luma);
        let (u, v) = chroma.split_at(luma / 4);
        (y, u, v)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("size", &self.size).finish_non_exhaustive()
    }
}

/// What sample `to` of `count` covers of `from` samples: each of them with its weight; the weights add up to `from`.
fn covered(to: usize, count: usize, from: usize) -> impl Iterator<Item = (usize, u32)> {
    // In units of which a sample of the result has `from` and one of the source `count`.
    let (start, end) = (to * from, (to + 1) * from);
    (start / count..end.div_ceil(count)).map(move |sample| {
        let overlap = end.min((sample + 1) * count) - start.max(sample * count);
        (sample, overlap as u32)
    })
}

fn scale_plane(plane: &[u8], from: (usize, usize), to: (usize, usize), out: &mut Vec<u8>) {
    let columns: Vec<Vec<(usize, u32)>> = (0..to.0).map(|x| covered(x, to.0, from.0).collect()).collect();
    // Sides are at most 4,096: the weights of all samples add up to less than 2^32.
    let area = (from.0 * from.1) as u32;
    let rows: Vec<&[u8]> = plane.chunks_exact(from.0).collect();
    for y in 0..to.1 {
        let lines: Vec<(usize, u32)> = covered(y, to.1, from.1).collect();
        for column in &columns {
            let mut sum = 0;
            for (line, down) in &lines {
                let Some(row) = rows.get(*line) else { continue };
                let across: u32 =
                    column.iter().map(|(x, weight)| weight * u32::from(*row.get(*x).unwrap_or(&0))).sum();
                sum += u64::from(across) * u64::from(*down);
            }
            out.push(((sum + u64::from(area / 2)) / u64::from(area)) as u8);
        }
    }
}

/// Between which two of `from` samples sample `to` of `count` lies, and how far towards the second, in 256ths.
fn between(to: usize, count: usize, from: usize) -> (usize, usize, u32) {
    // Middles lie on middles. Sides are at most 4,096.
    let place = ((2 * to + 1) * from).saturating_sub(count) * 128 / count.max(1);
    let place = place.min((from - 1) * 256);
    (place / 256, (place / 256 + 1).min(from - 1), (place % 256) as u32)
}

fn enlarge_plane(plane: &[u8], from: (usize, usize), to: (usize, usize), out: &mut Vec<u8>) {
    let columns: Vec<(usize, usize, u32)> = (0..to.0).map(|x| between(x, to.0, from.0)).collect();
    let rows: Vec<&[u8]> = plane.chunks_exact(from.0).collect();
    let mut line = Vec::with_capacity(from.0);
    for y in 0..to.1 {
        let (first, second, down) = between(y, to.1, from.1);
        let (Some(first), Some(second)) = (rows.get(first), rows.get(second)) else { continue };
        line.clear();
        let pairs = first.iter().zip(*second);
        line.extend(pairs.map(|(a, b)| u32::from(*a) * (256 - down) + u32::from(*b) * down));
        out.extend(columns.iter().map(|(left, right, across)| {
            let [a, b] = [left, right].map(|x| line.get(*x).copied().unwrap_or(0));
            ((a * (256 - across) + b * across + 32_768) >> 16) as u8
        }));
    }
}

/// The nearest of 256 values for one of 1,024.
pub(crate) fn eight_bits(sample: u16) -> u8 {
    (sample.saturating_add(2) / 4).min(255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size() -> impl Strategy<Value = FrameSize> {
        (8u32..40, 8u32..40).prop_map(|(w, h)| FrameSize::new(2 * w, 2 * h).unwrap())
    }

    proptest! {
        #[test]
        fn planes_tile_the_picture(size in size()) {
            let data: Vec<u8> = (0..size.bytes_420()).map(|i| i as u8).collect();
            let frame = Frame::from_i420(size, data.clone()).unwrap();
            prop_assert_eq!(frame.y().len(), size.width() * size.height());
            prop_assert_eq!(frame.u().len(), size.width() / 2 * (size.height() / 2));
            prop_assert_eq!([frame.y(), frame.u(), frame.v()].concat(), &data[..]);
            prop_assert_eq!(frame.into_i420(), data);
        }

        #[test]
        fn only_the_right_length_is_a_picture(size in size(), len in 0usize..12_000) {
            prop_assert_eq!(Frame::from_i420(size, vec![0; len]).is_ok(), len == size.bytes_420());
        }

        #[test]
        fn scaling_keeps_the_mean_and_leaves_flat_pictures_flat(from in size(), to in size(), level: u8) {
            let flat = Frame::from_i420(from, vec![level; from.bytes_420()]).unwrap().scaled(to);
            prop_assert_eq!(flat.as_i420(), &vec![level; to.bytes_420()][..]);
            // A slope: its mean is what it was, but for rounding.
            let slope: Vec<u8> = (0..from.bytes_420()).map(|i| (i % from.width() * 255 / from.width()) as u8).collect();
            let before = Frame::from_i420(from, slope).unwrap();
            let mean = |plane: &[u8]| plane.iter().map(|s| f64::from(*s)).sum::<f64>() / plane.len() as f64;
            let after = before.scaled(to);
            prop_assert_eq!(after.size(), to);
            prop_assert!((mean(before.y()) - mean(after.y())).abs() < 0.51);
        }

        #[test]
        fn a_slope_made_larger_is_a_slope(size in size(), by in 2u32..5) {
            let slope: Vec<u8> = (0..size.bytes_420()).map(|i| (i % size.width() * 2) as u8).collect();
            let to = FrameSize::new(size.width() as u32 * by, size.height() as u32 * by).unwrap();
            let large = Frame::from_i420(size, slope).unwrap().scaled(to);
            for row in large.y().chunks_exact(to.width()) {
                // Without steps: what was two apart is now less.
                prop_assert!(row.windows(2).all(|pair| (0..=1).contains(&(i16::from(pair[1]) - i16::from(pair[0])))));
                prop_assert_eq!((row[0], row[to.width() - 1]), (0, (size.width() * 2 - 2) as u8));
            }
        }

        #[test]
        fn halving_takes_the_mean_of_four(size in size()) {
            let double = FrameSize::new(2 * size.width() as u32, 2 * size.height() as u32).unwrap();
            let data: Vec<u8> = (0..double.bytes_420()).map(|i| (i * 37 % 251) as u8).collect();
            let frame = Frame::from_i420(double, data).unwrap();
            let small = frame.scaled(size);
            let (x, y) = (size.width() / 2, size.height() / 3);
            let at = |dx, dy| u32::from(frame.y()[(2 * y + dy) * double.width() + 2 * x + dx]);
            let mean = (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) / 4;
            prop_assert_eq!(u32::from(small.y()[y * size.width() + x]), mean);
        }

        #[test]
        fn psnr_follows_the_error_and_is_symmetric(size in size(), error in 1u8..=239) {
            let black = Frame::black(size);
            let mut data = black.as_i420().to_vec();
            data[..size.width() * size.height()].fill(16 + error);
            let other = Frame::from_i420(size, data).unwrap();
            let expected = 20.0 * (255.0 / f64::from(error)).log10();
            prop_assert!((black.psnr_y(&other).unwrap() - expected).abs() < 1e-9);
            prop_assert_eq!(black.psnr_y(&other), other.psnr_y(&black));
        }
    }

    #[test]
    fn identical_pictures_reach_the_cap_and_other_sizes_are_refused() {
        let small = FrameSize::new(16, 16).unwrap();
        let large = FrameSize::new(18, 16).unwrap();
        assert_eq!(Frame::black(small).psnr_y(&Frame::black(small)), Ok(Frame::PSNR_CAP));
        assert_eq!(
            Frame::black(small).psnr_y(&Frame::black(large)),
            Err(Error::SizeMismatch { expected: small, actual: large })
        );
    }
}
