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
        if data.len() != size.bytes_420() {
            return Err(Error::FrameLength { size, actual: data.len() });
        }
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
