//! Rates and sizes of media.

use crate::Error;
use core::fmt;
use core::time::Duration;

/// Bits per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitRate(pub u64);

impl BitRate {
    /// From kilobits (1,000 bits) per second.
    pub const fn from_kbit(kbit: u64) -> Self {
        Self(kbit.saturating_mul(1_000))
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} kbit/s", self.0 / 1_000, self.0 % 1_000)
    }
}

/// Frames per second as a fraction; above 0 and at most 240.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameRate {
    num: u32,
    den: u32,
}

impl FrameRate {
    /// Checks and builds a rate of `num / den` frames per second.
    ///
    /// # Errors
    /// [`Error::FrameRate`] when a part is zero or the rate is above 240.
    pub const fn new(num: u32, den: u32) -> Result<Self, Error> {
        if num == 0 || den == 0 || num as u64 > 240 * den as u64 || den > 1_000_000 {
            return Err(Error::FrameRate { num, den });
        }
        Ok(Self { num, den })
    }

    /// Numerator.
    pub const fn num(self) -> u32 {
        self.num
    }

    /// Denominator.
    pub const fn den(self) -> u32 {
        self.den
    }

    /// How long one frame stands.
    pub const fn frame_interval(self) -> Duration {
        Duration::from_nanos(1_000_000_000 * self.den as u64 / self.num as u64)
    }

    /// When frame `index` is due, counted from frame 0, without the error of adding up rounded intervals.
    pub const fn frame_offset(self, index: u64) -> Duration {
        let nanos = index as u128 * 1_000_000_000 * self.den as u128 / self.num as u128;
        let nanos = if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 };
        Duration::from_nanos(nanos)
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 { write!(f, "{} fps", self.num) } else { write!(f, "{}/{} fps", self.num, self.den) }
    }
}

/// Width and height of a 4:2:0 picture in pixels: even, 16 to 4096.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameSize {
    width: u16,
    height: u16,
}

impl FrameSize {
    /// Checks and builds a size.
    ///
    /// # Errors
    /// [`Error::FrameSize`] when a side is odd, below 16 or above 4096.
    pub const fn new(width: u32, height: u32) -> Result<Self, Error> {
        const fn bad(side: u32) -> bool {
            side < 16 || side > 4096 || !side.is_multiple_of(2)
        }
        if bad(width) || bad(height) {
            return Err(Error::FrameSize { width, height });
        }
        Ok(Self { width: width as u16, height: height as u16 })
    }

    /// Width in pixels.
    pub const fn width(self) -> usize {
        self.width as usize
    }

    /// Height in pixels.
    pub const fn height(self) -> usize {
        self.height as usize
    }

    /// Bytes of one 8-bit 4:2:0 picture of this size.
    pub const fn bytes_420(self) -> usize {
        self.width() * self.height() * 3 / 2
    }
}

impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Bytes of one fountain symbol: a multiple of 64 (SIMD works 28–40 % faster so), 64 to 16,384.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolSize(u16);

impl SymbolSize {
    /// 1,088 bytes: the largest multiple of 64 whose sealed chunk fits a datagram on a 1,280-byte path.
    pub const DEFAULT: Self = Self(1_088);

    /// Checks and builds a symbol size.
    ///
    /// # Errors
    /// [`Error::SymbolSize`] when it is zero, above 16,384 or not a multiple of 64.
    pub const fn new(bytes: u32) -> Result<Self, Error> {
        if bytes == 0 || bytes > 16_384 || !bytes.is_multiple_of(64) {
            return Err(Error::SymbolSize(bytes));
        }
        Ok(Self(bytes as u16))
    }

    /// The size in bytes.
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_420_cannot_hold_are_refused() {
        for (w, h) in [(0, 360), (640, 0), (641, 360), (640, 361), (4098, 360), (14, 16), (u32::MAX, 2)] {
            assert_eq!(FrameSize::new(w, h), Err(Error::FrameSize { width: w, height: h }));
        }
        assert_eq!(FrameSize::new(4096, 4096).unwrap().bytes_420(), 4096 * 4096 * 3 / 2);
    }

    #[test]
    fn frame_offsets_do_not_drift() {
        let ntsc = FrameRate::new(30_000, 1_001).unwrap();
        assert_eq!(ntsc.frame_offset(30_000), Duration::from_secs(1_001));
        assert_eq!(FrameRate::new(241, 1), Err(Error::FrameRate { num: 241, den: 1 }));
        assert!(FrameRate::new(0, 1).is_err() && FrameRate::new(1, 0).is_err());
        assert_eq!(ntsc.frame_offset(u64::MAX), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn symbol_sizes_are_multiples_of_64() {
        assert_eq!(SymbolSize::new(1_088).unwrap(), SymbolSize::DEFAULT);
        for bad in [0, 63, 65, 1_100, 16_448, u32::MAX] {
            assert_eq!(SymbolSize::new(bad), Err(Error::SymbolSize(bad)));
        }
    }
}
