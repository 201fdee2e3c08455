//! What comes before the pictures of an alternating description (spec 68 section 3).

use crate::FrameNumber;
#[cfg(any(feature = "libaom", test))]
use crate::{Description, head::Head};

/// How far a picture is from what was filmed: `(2^(level / 8) - 1) / 16` is the mean squared error of its luma samples. 0 to 127.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ErrorLevel(pub(crate) u8);

impl ErrorLevel {
    /// The highest.
    #[cfg(any(feature = "libaom", test))]
    pub(crate) const MAX: Self = Self(127);

    /// The level of a mean of squares over so many samples, rounded.
    #[cfg(any(feature = "libaom", test))]
    pub(crate) fn of(squares: u64, samples: usize) -> Self {
        let sixteenths = 16.0 * squares as f64 / samples.max(1) as f64;
        Self((8.0 * (1.0 + sixteenths).log2()).round().min(127.0) as u8)
    }

    /// The mean squared error that it stands for, in 256ths.
    pub(crate) fn error_256(self) -> u64 {
        ((f64::from(self.0) / 8.0).exp2() * 16.0 - 16.0).round() as u64
    }
}

/// The header of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// How many frames before it the one is that it refers to; `None` for a key frame.
    pub(crate) back: Option<u8>,
    /// Later ones refer to it.
    pub(crate) is_kept: bool,
    pub(crate) level: ErrorLevel,
}

/// AV1's temporal delimiter, which begins every temporal unit and is not sent.
const DELIMITER: [u8; 2] = [0x12, 0x00];

impl Header {
    #[cfg(any(feature = "libaom", test))]
    pub(crate) const LEN: usize = 3;

    /// The farthest that a reference may be.
    #[cfg(feature = "libaom")]
    pub(crate) const MAX_BACK: u64 = 255;

    /// The payload of a picture, given as a temporal unit.
    #[cfg(any(feature = "libaom", test))]
    pub(crate) fn write(self, description: Description, unit: &[u8]) -> Vec<u8> {
        let bytes = unit.strip_prefix(&DELIMITER).unwrap_or(unit);
        let mut payload = Vec::with_capacity(Self::LEN + bytes.len());
        payload.push(Head::Alternating.byte(description));
        payload.push(self.back.unwrap_or(0));
        payload.push(u8::from(self.is_kept) << 7 | self.level.0);
        payload.extend_from_slice(bytes);
        payload
    }

    /// What follows the head byte: the header and the temporal unit.
    pub(crate) fn read(body: &[u8], frame: FrameNumber) -> Result<(Self, Vec<u8>), &'static str> {
        let (&[back, marks], bytes) = body.split_first_chunk::<2>().ok_or("it ends within its header")?;
        let back = (back != 0).then_some(back);
        let is_kept = marks >> 7 == 1;
        if u64::from(back.unwrap_or(0)) > frame.0 {
            return Err("it refers to a frame before the first");
        }
        if back.is_none() && !is_kept {
            return Err("a key frame that nothing refers to");
        }
        if bytes.is_empty() {
            return Err("there is no picture in it");
        }
        let header = Self { back, is_kept, level: ErrorLevel(marks & 0x7f) };
        Ok((header, [&DELIMITER, bytes].concat()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Descriptions;
    use proptest::prelude::*;

    #[test]
    fn levels_say_the_error_within_five_in_a_hundred() {
        for error in [1u64, 3, 10, 33, 100, 1_000] {
            let level = ErrorLevel::of(error * 5_000, 5_000);
            let said = level.error_256() as f64 / 256.0;
            assert!((said / error as f64 - 1.0).abs() < 0.05, "{error}: {said}");
        }
        assert_eq!(ErrorLevel::of(0, 100), ErrorLevel(0));
        assert_eq!(ErrorLevel::of(u64::MAX, 1), ErrorLevel::MAX);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            back in 1u8..=255, is_kept: bool, level in 0u8..=127, key: bool, unit in prop::collection::vec(any::<u8>(), 1..50),
        ) {
            let header = Header { back: (!key).then_some(back), is_kept: is_kept || key, level: ErrorLevel(level) };
            let payload = header.write(Descriptions::Four.get(2).unwrap(), &[&DELIMITER, &unit[..]].concat());
            prop_assert_eq!(payload.len(), Header::LEN + unit.len());
            let (read, bytes) = Header::read(&payload[1..], FrameNumber(255)).unwrap();
            prop_assert_eq!(read, header);
            prop_assert_eq!(bytes, [&DELIMITER, &unit[..]].concat());
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let read = |body: &[u8]| Header::read(body, FrameNumber(5)).map(|_| ());
        assert_eq!(read(&[5, 0x83, 1]), Ok(()));
        assert_eq!(read(&[6, 0x83, 1]), Err("it refers to a frame before the first"));
        assert_eq!(read(&[0, 0x03, 1]), Err("a key frame that nothing refers to"));
        assert_eq!(read(&[1, 0x03]), Err("there is no picture in it"));
        assert_eq!(read(&[1]), Err("it ends within its header"));
    }
}
