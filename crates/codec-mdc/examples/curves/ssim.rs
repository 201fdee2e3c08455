//! Structural similarity of lumas: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural
//! similarity", IEEE Transactions on Image Processing 13 (4), 2004, section III-B.

use codec_av1::Frame;

/// Windows are squares of two blocks by two, one at each block: as FFmpeg's filter `ssim` takes them, so that figures can be compared. The
/// paper's own are weighted by a Gaussian, one at each sample.
const BLOCK: usize = 4;
const SAMPLES: f64 = (4 * BLOCK * BLOCK) as f64;
/// The paper's constants for samples of 0 to 255.
const C1: f64 = 0.01 * 255.0 * 0.01 * 255.0;
const C2: f64 = 0.03 * 255.0 * 0.03 * 255.0;

/// Over samples of two pictures: both sums, that of all squares, and that of the products.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    a: u32,
    b: u32,
    squares: u32,
    products: u32,
}

impl Sums {
    fn and(self, other: Self) -> Self {
        Self {
            a: self.a + other.a,
            b: self.b + other.b,
            squares: self.squares + other.squares,
            products: self.products + other.products,
        }
    }

    fn similarity(self) -> f64 {
        let [a, b, squares, products] = [self.a, self.b, self.squares, self.products].map(f64::from);
        let (mean_a, mean_b) = (a / SAMPLES, b / SAMPLES);
        let variances = (squares - a * mean_a - b * mean_b) / (SAMPLES - 1.0);
        let covariance = (products - a * mean_b) / (SAMPLES - 1.0);
        let means = (2.0 * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1);
        means * (2.0 * covariance + C2) / (variances + C2)
    }
}

/// The mean over all windows: 1 for the same picture. Both have one size.
pub(crate) fn ssim(one: &Frame, other: &Frame) -> f64 {
    let width = one.size().width();
    let band = BLOCK * width;
    let bands = one.y().chunks_exact(band).zip(other.y().chunks_exact(band));
    let rows: Vec<Vec<Sums>> = bands.map(|(a, b)| blocks(a, b, width)).collect();
    let (mut sum, mut count) = (0.0, 0u32);
    for (upper, lower) in rows.iter().zip(rows.iter().skip(1)) {
        let columns: Vec<Sums> = upper.iter().zip(lower).map(|(a, b)| a.and(*b)).collect();
        for (left, right) in columns.iter().zip(columns.iter().skip(1)) {
            sum += left.and(*right).similarity();
            count += 1;
        }
    }
    sum / f64::from(count.max(1))
}

/// The blocks of a band that is as high as they are.
fn blocks(a: &[u8], b: &[u8], width: usize) -> Vec<Sums> {
    let mut blocks = vec![Sums::default(); width / BLOCK];
    for (a, b) in a.chunks_exact(width).zip(b.chunks_exact(width)) {
        let samples = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK));
        for (block, (a, b)) in blocks.iter_mut().zip(samples) {
            for (a, b) in a.iter().zip(b) {
                let (a, b) = (u32::from(*a), u32::from(*b));
                let here = Sums { a, b, squares: a * a + b * b, products: a * b };
                *block = block.and(here);
            }
        }
    }
    blocks
}
