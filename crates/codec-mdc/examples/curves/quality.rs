//! How pictures are compared with what was filmed.

use crate::measure::Seen;
use crate::plot::Unit;

/// Of the luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quality {
    Psnr,
    Ssim,
}

impl Quality {
    pub(crate) const ALL: [Self; 2] = [Self::Psnr, Self::Ssim];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Psnr => "PSNR of the luma, dB",
            Self::Ssim => "SSIM of the luma",
        }
    }

    /// What names of files have for it.
    pub(crate) const fn mark(self) -> &'static str {
        match self {
            Self::Psnr => "",
            Self::Ssim => "ssim-",
        }
    }

    pub(crate) const fn unit(self) -> Unit {
        match self {
            Self::Psnr => Unit::One,
            Self::Ssim => Unit::Hundredth,
        }
    }

    pub(crate) fn of(self, seen: &Seen) -> &[f64] {
        match self {
            Self::Psnr => &seen.psnr,
            Self::Ssim => &seen.ssim,
        }
    }

    pub(crate) fn mean(self, seen: &Seen) -> f64 {
        match self {
            Self::Psnr => seen.mean_psnr(),
            Self::Ssim => seen.mean_ssim(),
        }
    }

    /// What one frame in twenty stays below.
    fn low(self, seen: &Seen) -> f64 {
        let mut sorted = self.of(seen).to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 20).copied().unwrap_or_default()
    }

    /// The mean, and in brackets what one frame in twenty stays below.
    pub(crate) fn cell(self, seen: &Seen) -> String {
        let (mean, low) = (self.mean(seen), self.low(seen));
        match self {
            Self::Psnr => format!("{mean:.2} ({low:.1})"),
            Self::Ssim => format!("{mean:.4} ({low:.3})"),
        }
    }
}
