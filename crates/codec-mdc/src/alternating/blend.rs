//! The better of two pictures, made better still by the other (spec 68 section 5).

use codec_av1::Frame;

/// Weights are counted in these.
const ONE: u64 = 64;
/// Sides of the squares of luma that have a weight each.
const BLOCK: usize = 8;

/// A picture and the mean squared error that it is said to have, in 256ths.
#[derive(Debug, Clone)]
pub(crate) struct Rated {
    pub(crate) frame: Frame,
    pub(crate) error_256: u64,
}

/// Takes from `other`, which has more errors, where that helps. Says whether anything came of it.
///
/// The errors of both are known, and how far they are from one another; so is, then, what part of the error they have in common:
/// `|a - b|² = A + B - 2C`, and the best weight of `other` for the picture as a whole is `(A - C) / |a - b|²`. Where the two are farther
/// apart than elsewhere it counts less: it shows something else there.
pub(crate) fn blend(best: &mut Rated, other: &Rated) -> bool {
    let size = best.frame.size();
    if other.frame.size() != size {
        return false;
    }
    let (width, height) = (size.width(), size.height());
    let distances = Distances::new(best.frame.y(), other.frame.y(), width, height);
    let apart_256 = 256 * distances.total / (width * height) as u64;
    // A - C, in 256ths; never more than A.
    let own_256 = ((best.error_256 + apart_256).saturating_sub(other.error_256) / 2).min(best.error_256);
    if own_256 == 0 || apart_256 == 0 {
        return false;
    }
    let weights = distances.weights(own_256, apart_256);
    let (chroma_width, luma) = (width / 2, width * height);
    let mut data = core::mem::replace(&mut best.frame, Frame::black(size)).into_i420();
    let (y, chroma) = data.split_at_mut(luma);
    let (u, v) = chroma.split_at_mut(luma / 4);
    mix(y, other.frame.y(), width, BLOCK, &weights, distances.columns);
    mix(u, other.frame.u(), chroma_width, BLOCK / 2, &weights, distances.columns);
    mix(v, other.frame.v(), chroma_width, BLOCK / 2, &weights, distances.columns);
    // As long as there are pixels: the length has not changed.
    if let Ok(frame) = Frame::from_i420(size, data) {
        best.frame = frame;
    }
    // What a weight of w wins: w (2 N - w D), with w = N / D.
    best.error_256 -= (own_256 * own_256 / apart_256.max(2 * own_256)).min(best.error_256 / 2);
    true
}

/// Sums of squares over blocks.
struct Distances {
    columns: usize,
    blocks: Vec<u32>,
    total: u64,
}

impl Distances {
    fn new(a: &[u8], b: &[u8], width: usize, height: usize) -> Self {
        let columns = width.div_ceil(BLOCK);
        let mut blocks = vec![0; columns * height.div_ceil(BLOCK)];
        let band = width * BLOCK;
        for ((row, a), b) in blocks.chunks_exact_mut(columns).zip(a.chunks(band)).zip(b.chunks(band)) {
            for (a, b) in a.chunks_exact(width).zip(b.chunks_exact(width)) {
                for ((sum, a), b) in row.iter_mut().zip(a.chunks(BLOCK)).zip(b.chunks(BLOCK)) {
                    *sum += a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum::<u32>();
                }
            }
        }
        let total = blocks.iter().map(|sum| u64::from(*sum)).sum();
        Self { columns, blocks, total }
    }

    /// The weight of the other picture in each block, half at most, when `mean_256` is how far the pictures are apart as a whole.
    fn weights(&self, own_256: u64, mean_256: u64) -> Vec<u8> {
        let rows = self.blocks.len() / self.columns;
        let at = |x: usize, y: usize| u64::from(self.blocks[y * self.columns + x]);
        let mut weights = Vec::with_capacity(self.blocks.len());
        for y in 0..rows {
            for x in 0..self.columns {
                let (left, right) = (x.saturating_sub(1), (x + 1).min(self.columns - 1));
                let (above, below) = (y.saturating_sub(1), (y + 1).min(rows - 1));
                let mut sum = 0;
                for y in above..=below {
                    for x in left..=right {
                        sum += at(x, y);
                    }
                }
                let count = ((right - left + 1) * (below - above + 1) * BLOCK * BLOCK) as u64;
                let apart_256 = 256 * sum / count;
                // Nearer than elsewhere: what they do not share is all that keeps them apart. Farther: it is more than elsewhere, too.
                let scale = if apart_256 < mean_256 { apart_256 } else { (mean_256 * apart_256).isqrt() };
                let weight = ONE * own_256 / scale.max(1);
                weights.push(weight.min(ONE / 2) as u8);
            }
        }
        weights
    }
}

fn mix(to: &mut [u8], from: &[u8], width: usize, block: usize, weights: &[u8], columns: usize) {
    let band = width * block;
    for ((row, to), from) in weights.chunks_exact(columns).zip(to.chunks_mut(band)).zip(from.chunks(band)) {
        for (to, from) in to.chunks_exact_mut(width).zip(from.chunks_exact(width)) {
            for ((weight, to), from) in row.iter().zip(to.chunks_mut(block)).zip(from.chunks(block)) {
                let weight = i32::from(*weight);
                for (to, from) in to.iter_mut().zip(from) {
                    let (a, b) = (i32::from(*to), i32::from(*from));
                    *to = ((a * ONE as i32 + weight * (b - a) + ONE as i32 / 2) >> ONE.ilog2()) as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_types::FrameSize;

    const SIDE: usize = 62;

    fn size() -> FrameSize {
        FrameSize::new(SIDE as u32, SIDE as u32).unwrap()
    }

    fn filmed() -> Frame {
        let data = (0..size().bytes_420()).map(|i| (90 + i % SIDE) as u8).collect();
        Frame::from_i420(size(), data).unwrap()
    }

    /// The same with errors of up to so much, and with the error that the luma then has.
    fn coded(noise: i32, seed: usize, wrong: bool) -> Rated {
        let mut data = filmed().into_i420();
        for (at, sample) in data.iter_mut().enumerate() {
            let random = (at + 7919 * seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let error = random as i32 % (2 * noise + 1) - noise;
            // The right half shows something else.
            let other = if wrong && at % SIDE >= SIDE / 2 { 60 } else { 0 };
            *sample = (i32::from(*sample) + error + other) as u8;
        }
        let mut rated = Rated { frame: Frame::from_i420(size(), data).unwrap(), error_256: 0 };
        rated.error_256 = error_256(&rated.frame);
        rated
    }

    fn error_256(frame: &Frame) -> u64 {
        let film = filmed();
        let squares = frame.y().iter().zip(film.y()).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2));
        256 * squares.sum::<u64>() / film.y().len() as u64
    }

    #[test]
    fn blending_brings_pictures_nearer_to_what_was_filmed() {
        let (mut best, other) = (coded(6, 1, false), coded(7, 2, false));
        let before = best.error_256;
        assert!(blend(&mut best, &other));
        let after = error_256(&best.frame);
        assert!(after * 3 < before * 2, "independent errors: {after} after {before}");
        assert!(best.error_256.abs_diff(after) * 5 < after, "said {}, is {after}", best.error_256);
    }

    #[test]
    fn what_errors_have_in_common_is_not_taken_for_gain() {
        // The error of `shared` is in both; the other has more of its own.
        let shared = coded(8, 3, false).frame;
        let with = |noise: i32, seed: usize| {
            let (own, film) = (coded(noise, seed, false).frame, filmed());
            let sum = shared.as_i420().iter().zip(own.as_i420()).zip(film.as_i420());
            let data = sum.map(|((a, b), film)| (i32::from(*a) + i32::from(*b) - i32::from(*film)) as u8);
            let frame = Frame::from_i420(size(), data.collect()).unwrap();
            Rated { error_256: error_256(&frame), frame }
        };
        let (mut best, other) = (with(3, 1), with(11, 2));
        let before = best.error_256;
        blend(&mut best, &other);
        let after = error_256(&best.frame);
        assert!(after <= before + before / 100, "{after} after {before}");
    }

    #[test]
    fn what_shows_something_else_does_not_count() {
        let (mut best, other) = (coded(6, 1, false), coded(7, 2, true));
        let before = best.clone();
        blend(&mut best, &other);
        assert!(error_256(&best.frame) <= before.error_256);
        let column =
            |frame: &Frame, x: usize| (0..SIDE).map(move |y| frame.y()[y * SIDE + x]).collect::<Vec<_>>();
        let apart = |x: usize| {
            let pairs = column(&best.frame, x).into_iter().zip(column(&before.frame, x));
            pairs.map(|(a, b)| a.abs_diff(b)).max().unwrap()
        };
        assert!(apart(SIDE - 4) <= 2 && apart(4) > 1, "{} and {}", apart(SIDE - 4), apart(4));
    }

    #[test]
    fn the_same_picture_and_one_of_another_size_change_nothing() {
        let mut best = coded(6, 1, false);
        let before = best.frame.clone();
        assert!(!blend(&mut best, &coded(6, 1, false)));
        let small = filmed().scaled(FrameSize::new(32, 32).unwrap());
        assert!(!blend(&mut best, &Rated { frame: small, error_256: 9_000 }));
        assert_eq!(best.frame, before);
    }
}
