//! Bits from the most significant down, as the AV1 specification's `f(n)` and `uvlc()` read them.

use crate::Error;

/// A position in a byte string. Reading past the end is an error, not a zero.
#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    data: &'a [u8],
    /// In bits.
    position: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// `f(1)`.
    pub(crate) fn flag(&mut self) -> Result<bool, Error> {
        let byte = self.data.get(self.position / 8).ok_or(Error::Malformed("header cut off"))?;
        let shift = 7 - self.position % 8;
        self.position += 1;
        Ok(byte >> shift & 1 == 1)
    }

    /// `f(n)` for `n` up to 32.
    pub(crate) fn bits(&mut self, n: u32) -> Result<u32, Error> {
        let mut value = 0;
        for _ in 0..n {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    /// `f(n)` for `n` up to 8.
    pub(crate) fn small(&mut self, n: u32) -> Result<u8, Error> {
        self.bits(n).map(|value| value as u8)
    }

    /// Passes over `n` bits.
    pub(crate) fn skip(&mut self, n: u32) -> Result<(), Error> {
        (0..n).try_for_each(|_| self.flag().map(drop))
    }

    /// Passes over a `uvlc()` (section 4.10.3).
    pub(crate) fn skip_uvlc(&mut self) -> Result<(), Error> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        // 32 zeros and more stand for the largest value, with no bits behind them.
        if zeros < 32 { self.skip(zeros) } else { Ok(()) }
    }
}
