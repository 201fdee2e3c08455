//! Which layers a stream has, and what each of them weighs.

use core::fmt;
use core::str::FromStr;

use core_types::{BitRate, FrameSize, Layer};

use crate::Error;

/// The layers of a stream: `L3T3` has three resolutions and three picture rates, `L1T3Q2` two qualities of one resolution. Either
/// resolutions or qualities, not both.
///
/// A layer needs those below it on each axis and nothing else, so a receiver that takes all up to a cap on each axis can decode what it
/// takes. Each resolution has twice the width and height of the one below (rounded up to even), each temporal layer twice the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Structure {
    spatial: u8,
    temporal: u8,
    quality: u8,
}

impl Structure {
    /// One layer.
    pub const L1T1: Self = Self { spatial: 1, temporal: 1, quality: 1 };
    /// Two picture rates.
    pub const L1T2: Self = Self { spatial: 1, temporal: 2, quality: 1 };
    /// Three picture rates.
    pub const L1T3: Self = Self { spatial: 1, temporal: 3, quality: 1 };
    /// Two resolutions.
    pub const L2T1: Self = Self { spatial: 2, temporal: 1, quality: 1 };
    /// Two resolutions, three picture rates.
    pub const L2T3: Self = Self { spatial: 2, temporal: 3, quality: 1 };
    /// Three resolutions, three picture rates.
    pub const L3T3: Self = Self { spatial: 3, temporal: 3, quality: 1 };
    /// Two qualities.
    pub const L1T1Q2: Self = Self { spatial: 1, temporal: 1, quality: 2 };
    /// Two qualities, three picture rates.
    pub const L1T3Q2: Self = Self { spatial: 1, temporal: 3, quality: 2 };

    /// One to three resolutions, one to three picture rates, one or two qualities.
    ///
    /// # Errors
    /// [`Error::Config`] for more than that, and for several resolutions in several qualities.
    pub fn new(spatial: u8, temporal: u8, quality: u8) -> Result<Self, Error> {
        let fits = (1..=3).contains(&spatial) && (1..=3).contains(&temporal) && (1..=2).contains(&quality);
        if !fits || (spatial > 1 && quality > 1) {
            return Err(Error::Config(format!(
                "layers L{spatial}T{temporal}Q{quality}: L1 to L3, T1 to T3, and Q2 with L1 alone"
            )));
        }
        Ok(Self { spatial, temporal, quality })
    }

    /// How many resolutions there are.
    pub const fn spatial(self) -> u8 {
        self.spatial
    }

    /// How many picture rates there are.
    pub const fn temporal(self) -> u8 {
        self.temporal
    }

    /// How many qualities there are.
    pub const fn quality(self) -> u8 {
        self.quality
    }

    /// All layers, by resolution or quality, then by picture rate.
    pub fn layers(self) -> impl Iterator<Item = Layer> {
        (0..self.steps()).flat_map(move |step| (0..self.temporal).map(move |t| self.layer(step, t)))
    }

    /// The highest layer.
    pub const fn top(self) -> Layer {
        Layer { spatial: self.spatial - 1, temporal: self.temporal - 1, quality: self.quality - 1 }
    }

    /// The size of a layer's pictures when the highest resolution has `full`.
    ///
    /// # Errors
    /// [`Error::Config`] when that is too small for a picture: 16 pixels a side.
    pub fn size_of(self, full: FrameSize, spatial: u8) -> Result<FrameSize, Error> {
        let halvings = self.spatial.saturating_sub(1).saturating_sub(spatial);
        // As libaom rounds: down, then up to even.
        let scaled = |side: usize| (side >> halvings).next_multiple_of(2) as u32;
        FrameSize::new(scaled(full.width()), scaled(full.height())).map_err(|_| {
            Error::Config(format!("{full} in {self}: the lowest layer would be less than 16 pixels a side"))
        })
    }

    /// What a layer may have of the stream's bit rate, with the layers of lower picture rates of the same resolution and quality, and
    /// without lower resolutions and qualities.
    pub fn rate_of(self, total: BitRate, layer: Layer) -> BitRate {
        // Per mille, by experience: a resolution needs some twice of the one below it.
        let steps: [u64; 3] = match (self.spatial, self.quality) {
            (1, 1) => [1_000, 0, 0],
            (1, _) => [450, 550, 0],
            (2, _) => [330, 670, 0],
            _ => [130, 290, 580],
        };
        self.rate_with(total, layer, steps)
    }

    /// The same, with other thousandths for each resolution or quality.
    pub(crate) fn rate_with(self, total: BitRate, layer: Layer, steps: [u64; 3]) -> BitRate {
        let (step, temporal) = (usize::from(layer.spatial.max(layer.quality)), usize::from(layer.temporal));
        let rates: [u64; 3] = match self.temporal {
            1 => [1_000, 0, 0],
            2 => [650, 1_000, 0],
            _ => [500, 700, 1_000],
        };
        let share = steps.get(step).unwrap_or(&0) * rates.get(temporal).unwrap_or(&0);
        BitRate((u128::from(total.0) * u128::from(share) / 1_000_000) as u64)
    }

    /// Resolutions or qualities: what AV1 calls spatial layers.
    pub(crate) const fn steps(self) -> u8 {
        self.spatial * self.quality
    }

    pub(crate) const fn layer(self, step: u8, temporal: u8) -> Layer {
        if self.quality > 1 {
            Layer { spatial: 0, temporal, quality: step }
        } else {
            Layer { spatial: step, temporal, quality: 0 }
        }
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "L{}T{}", self.spatial, self.temporal)?;
        if self.quality > 1 { write!(f, "Q{}", self.quality) } else { Ok(()) }
    }
}

impl FromStr for Structure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digits: Vec<u8> = text.bytes().skip(1).step_by(2).map(|b| b.wrapping_sub(b'0')).collect();
        let letters: Vec<u8> = text.bytes().step_by(2).collect();
        let (spatial, temporal, quality) = match (&letters[..], &digits[..]) {
            (b"LT", [spatial, temporal]) => (*spatial, *temporal, 1),
            (b"LTQ", [spatial, temporal, quality]) => (*spatial, *temporal, *quality),
            _ => return Err(Error::Config(format!("layers `{text}`: such as L1T1, L3T3 or L1T3Q2"))),
        };
        Self::new(spatial, temporal, quality)
    }
}
