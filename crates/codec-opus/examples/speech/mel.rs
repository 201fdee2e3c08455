//! How far two pieces of sound are apart in their mel spectra.

use std::f64::consts::{LN_10, PI, TAU};

/// 25 ms at 48 kHz.
const WINDOW: usize = 1_200;
const LEN: usize = 2_048;
const BANDS: usize = 32;
/// Coefficients after that of the level.
const COEFFICIENTS: usize = 13;
/// What the bands go up to: what speech has at 16 kHz.
const TOP_HZ: f64 = 8_000.0;
/// Hiss of about 6 steps of 16 bits in each band: below it nothing is heard.
const FLOOR: f64 = WINDOW as f64 * 36.0;

/// How far apart two pieces of sound are, in dB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Distance {
    /// Of the logarithms of the bands, root of the mean square.
    pub(crate) spectral: f64,
    /// Of the cepstra, in which the level does not count: only the shape of the spectrum does.
    pub(crate) cepstral: f64,
}

/// Holds the tables.
pub(crate) struct Meter {
    window: Vec<f64>,
    twiddles: Vec<(f64, f64)>,
    /// First bin and weights of each band.
    bands: Vec<(usize, Vec<f64>)>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        let window = (0..WINDOW).map(|n| 0.5 - 0.5 * (TAU * n as f64 / WINDOW as f64).cos()).collect();
        let twiddles =
            (0..LEN / 2).map(|n| (TAU * n as f64 / LEN as f64).sin_cos()).map(|(s, c)| (c, -s)).collect();
        let mel = |hz: f64| 2_595.0 * (1.0 + hz / 700.0).log10();
        let hz = |mel: f64| 700.0 * (10f64.powf(mel / 2_595.0) - 1.0);
        let edge = |n: usize| {
            hz(mel(60.0) + (mel(TOP_HZ) - mel(60.0)) * n as f64 / (BANDS + 1) as f64) * LEN as f64 / 48_000.0
        };
        let band = |n: usize| {
            let (low, middle, high) = (edge(n), edge(n + 1), edge(n + 2));
            let first = low.ceil() as usize;
            let weight = |bin: usize| {
                let bin = bin as f64;
                (if bin < middle { (bin - low) / (middle - low) } else { (high - bin) / (high - middle) })
                    .max(0.0)
            };
            (first, (first..=high as usize).map(weight).collect())
        };
        Self { window, twiddles, bands: (0..BANDS).map(band).collect() }
    }

    /// The distance of the 10 ms that begin at a sample of each; what is outside counts as silence.
    pub(crate) fn distance(&self, one: (&[i16], usize), other: (&[i16], usize)) -> Distance {
        let (one, other) = (self.logs(one.0, one.1), self.logs(other.0, other.1));
        let squares = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let spectral = 10.0 / LN_10 * (squares(&one, &other) / BANDS as f64).sqrt();
        let cepstral = 10.0 / LN_10 * (2.0 * squares(&cepstrum(&one), &cepstrum(&other))).sqrt();
        Distance { spectral, cepstral }
    }

    /// The logarithm of each band's power, of the window in whose middle the 10 ms are.
    fn logs(&self, pcm: &[i16], at: usize) -> Vec<f64> {
        let mut data = vec![(0.0, 0.0); LEN];
        for (n, (slot, weight)) in data.iter_mut().zip(&self.window).enumerate() {
            let sample = (at + n).checked_sub((WINDOW - 480) / 2).and_then(|index| pcm.get(index));
            slot.0 = f64::from(sample.copied().unwrap_or(0)) * weight;
        }
        self.transform(&mut data);
        let power: Vec<f64> = data[..LEN / 2].iter().map(|(re, im)| re * re + im * im).collect();
        let band = |(first, weights): &(usize, Vec<f64>)| {
            let sum: f64 = weights.iter().zip(&power[*first..]).map(|(weight, power)| weight * power).sum();
            (sum + FLOOR).ln()
        };
        self.bands.iter().map(band).collect()
    }

    /// Fourier's transform in place, by halves.
    fn transform(&self, data: &mut [(f64, f64)]) {
        let bits = LEN.trailing_zeros();
        for index in 0..LEN {
            let mirrored = index.reverse_bits() >> (usize::BITS - bits);
            if index < mirrored {
                data.swap(index, mirrored);
            }
        }
        let mut half = 1;
        while half < LEN {
            for block in data.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                for (n, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let (c, s) = self.twiddles[n * (LEN / 2 / half)];
                    let turned = (b.0 * c - b.1 * s, b.0 * s + b.1 * c);
                    *b = (a.0 - turned.0, a.1 - turned.1);
                    *a = (a.0 + turned.0, a.1 + turned.1);
                }
            }
            half *= 2;
        }
    }
}

/// Coefficients 1 to 13.
fn cepstrum(logs: &[f64]) -> [f64; COEFFICIENTS] {
    std::array::from_fn(|k| {
        let angle = |n: usize| (PI * (k + 1) as f64 * (n as f64 + 0.5) / BANDS as f64).cos();
        logs.iter().enumerate().map(|(n, log)| log * angle(n)).sum::<f64>() / BANDS as f64
    })
}
