//! PCM made longer or shorter by whole periods of its own pitch, without a change of pitch and without a click (WSOLA: waveform
//! similarity and overlap-add).

/// 5 ms: what is compared, and over how long one place fades into the other.
pub(crate) const OVERLAP: usize = 240;
/// 2.5 to 15 ms: 67 to 400 Hz.
const SHORTEST: usize = 120;
pub(crate) const LONGEST: usize = 720;
/// The first search is over every fourth sample.
const COARSE: usize = 4;

/// How alike two places must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// A correlation of 0.9, or quiet: for small corrections.
    Alike,
    /// A correlation of 0.5.
    Similar,
    /// Whatever is best.
    Any,
}

impl Demand {
    /// The square of the least correlation, in 1/100.
    const fn least_squared(self) -> i128 {
        match self {
            Self::Alike => 81,
            Self::Similar => 25,
            Self::Any => 0,
        }
    }
}

/// Takes out one period after the frame `at` and returns its length in frames; 0 when there is no fitting one. Needs
/// [`OVERLAP`] + [`LONGEST`] frames after `at`. `pcm` is interleaved.
pub(crate) fn shrink(pcm: &mut Vec<i16>, at: usize, channels: usize, demand: Demand) -> usize {
    let Some(mono) = mono(pcm, at, LONGEST + OVERLAP, channels) else {
        return 0;
    };
    let Some(lag) = best_lag(&mono, 0, |lag| lag, demand) else {
        return 0;
    };
    fade(pcm, at * channels, (at + lag) * channels, channels);
    pcm.drain((at + OVERLAP) * channels..(at + OVERLAP + lag) * channels);
    lag
}

/// Repeats the period before the frame `at` and returns its length in frames; 0 when there is no fitting one. Needs [`OVERLAP`]
/// frames after `at` and [`LONGEST`] before.
pub(crate) fn grow(pcm: &mut Vec<i16>, at: usize, channels: usize, demand: Demand) -> usize {
    let Some(start) = at.checked_sub(LONGEST) else {
        return 0;
    };
    let Some(mono) = mono(pcm, start, LONGEST + OVERLAP, channels) else {
        return 0;
    };
    let Some(lag) = best_lag(&mono, LONGEST, |lag| LONGEST - lag, demand) else {
        return 0;
    };
    // What plays from `at` fades into what played a period before, and goes on from there to `at` again.
    let repeated = pcm[(at - lag) * channels..at * channels].to_vec();
    let after = pcm[at * channels..(at + OVERLAP) * channels].to_vec();
    pcm.splice(at * channels..at * channels, repeated);
    // A period shorter than the overlap: the copy's own end is what follows it.
    let (copy, from) = (at * channels, after.len());
    for (index, old) in after.iter().enumerate() {
        let weight = (index / channels) as i32;
        pcm[copy + index] = mix(*old, pcm[copy + index], weight, (from / channels) as i32);
    }
    lag
}

/// Fades from the frames at index `from` into those at index `to`, over [`OVERLAP`], in place of the former.
fn fade(pcm: &mut [i16], from: usize, to: usize, channels: usize) {
    for index in 0..OVERLAP * channels {
        let weight = (index / channels) as i32;
        pcm[from + index] = mix(pcm[from + index], pcm[to + index], weight, OVERLAP as i32);
    }
}

/// Fades from `old`, which ends, into the beginning of `fresh`, as far as `old` reaches.
pub(crate) fn join(old: &[i16], fresh: &mut [i16], channels: usize) {
    let frames = (old.len().min(fresh.len()) / channels) as i32;
    for (index, (old, new)) in old.iter().zip(fresh).enumerate() {
        let weight = (index / channels) as i32;
        if weight < frames {
            *new = mix(*old, *new, weight, frames);
        }
    }
}

fn mix(old: i16, new: i16, weight: i32, of: i32) -> i16 {
    ((i32::from(old) * (of - weight) + i32::from(new) * weight) / of.max(1)) as i16
}

/// `frames` frames from `start` on, channels added up; `None` when there are fewer.
fn mono(pcm: &[i16], start: usize, frames: usize, channels: usize) -> Option<Vec<i64>> {
    let part = pcm.get(start * channels..(start + frames) * channels)?;
    Some(part.chunks_exact(channels).map(|frame| frame.iter().map(|s| i64::from(*s)).sum()).collect())
}

/// The lag whose place is most like that at `fixed`, if it is alike enough.
fn best_lag(mono: &[i64], fixed: usize, place: impl Fn(usize) -> usize, demand: Demand) -> Option<usize> {
    let score = |lag: usize, step: usize| similarity(mono, fixed, place(lag), step);
    let coarse = (SHORTEST..=LONGEST).step_by(COARSE).max_by_key(|lag| score(*lag, COARSE).rank())?;
    let near = coarse.saturating_sub(COARSE - 1).max(SHORTEST)..=(coarse + COARSE - 1).min(LONGEST);
    let best = near.max_by_key(|lag| score(*lag, 1).rank())?;
    let found = score(best, 1);
    let is_quiet = found.power() < QUIET;
    (is_quiet || found.is_at_least(demand)).then_some(best)
}

/// 50 dB below the loudest: nobody hears where it is cut.
const QUIET: i64 = (1 << 30) / 100_000 * OVERLAP as i64;

struct Similarity {
    product: i128,
    fixed: i64,
    other: i64,
}

impl Similarity {
    /// Grows with the correlation, for the same fixed place.
    const fn rank(&self) -> i128 {
        let other = if self.other == 0 { 1 } else { self.other as i128 };
        self.product * self.product.abs() / other
    }

    const fn power(&self) -> i64 {
        if self.fixed > self.other { self.fixed } else { self.other }
    }

    const fn is_at_least(&self, demand: Demand) -> bool {
        let squared = self.product * self.product * 100;
        matches!(demand, Demand::Any)
            || (self.product > 0
                && squared >= demand.least_squared() * self.fixed as i128 * self.other as i128)
    }
}

fn similarity(mono: &[i64], fixed: usize, place: usize, step: usize) -> Similarity {
    let one = mono[fixed..fixed + OVERLAP].iter().step_by(step);
    let other = mono[place..place + OVERLAP].iter().step_by(step);
    let mut found = Similarity { product: 0, fixed: 0, other: 0 };
    let mut product = 0;
    for (a, b) in one.zip(other) {
        product += a * b;
        found.fixed += a * a;
        found.other += b * b;
    }
    found.product = i128::from(product);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::TAU;
    use proptest::prelude::*;

    /// A voiced sound at `hz`, `frames` long.
    fn voiced(hz: f64, frames: usize, channels: usize) -> Vec<i16> {
        let sample = |n: usize, h: u32| (TAU * hz * f64::from(h) * n as f64 / 48_000.0).sin() / f64::from(h);
        (0..frames)
            .flat_map(|n| {
                let sum: f64 = (1..9).map(|h| sample(n, h)).sum();
                (0..channels).map(move |c| (sum * 8_000.0 / (c + 1) as f64) as i16)
            })
            .collect()
    }

    /// The largest step from one sample to the next.
    fn steepest(pcm: &[i16], channels: usize) -> i32 {
        pcm.iter().zip(&pcm[channels..]).map(|(a, b)| (i32::from(*b) - i32::from(*a)).abs()).max().unwrap()
    }

    /// What is left when whole periods are taken out or put in still has the pitch, and nowhere a step.
    #[test]
    fn a_voice_keeps_its_pitch_and_has_no_clicks() {
        for channels in [1, 2] {
            for hz in [80.0, 121.0, 200.0, 317.0] {
                let plain = voiced(hz, 9_600, channels);
                let steps = steepest(&plain, channels);
                let mut shorter = plain.clone();
                let mut removed = 0;
                for _ in 0..4 {
                    let by = shrink(&mut shorter, 2_000, channels, Demand::Alike);
                    assert!((SHORTEST..=LONGEST).contains(&by));
                    removed += by;
                }
                assert_eq!(shorter.len() + removed * channels, plain.len());
                let mut longer = plain.clone();
                let mut added = 0;
                for _ in 0..4 {
                    added += grow(&mut longer, 2_000, channels, Demand::Alike);
                }
                assert_eq!(longer.len(), plain.len() + added * channels);
                let periods = added as f64 * hz / 48_000.0;
                assert!(
                    added >= 4 * SHORTEST && (periods - periods.round()).abs() < 0.06,
                    "{periods} periods"
                );
                for pcm in [&shorter, &longer] {
                    let found = steepest(pcm, channels);
                    assert!(
                        found < steps * 11 / 10 + 40,
                        "{hz} Hz: a step of {found} where {steps} is normal"
                    );
                }
            }
        }
    }

    /// A ramp has no period at all: wherever it is cut, what is on both sides is far apart.
    #[test]
    fn what_does_not_fit_is_faded() {
        let ramp: Vec<i16> = (-2_000..2_000).map(|n| (n * 8) as i16).collect();
        for op in [shrink, grow] {
            let mut pcm = ramp.clone();
            assert!(op(&mut pcm, 2_000, 1, Demand::Any) >= SHORTEST);
            assert!(
                steepest(&pcm, 1) <= 8 + 8 * LONGEST as i32 / OVERLAP as i32 + 1,
                "{}",
                steepest(&pcm, 1)
            );
        }
        let mut fresh = vec![-1_000; 960];
        join(&vec![1_000; 480], &mut fresh, 2);
        assert!(fresh[0] == 1_000 && fresh[959] == -1_000 && steepest(&fresh, 2) <= 10);
    }

    #[test]
    fn what_does_not_repeat_is_left_alone_unless_it_must() {
        let mut state = 1u64;
        let noise: Vec<i16> = (0..4_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 50) as i16
            })
            .collect();
        let mut pcm = noise.clone();
        assert_eq!(shrink(&mut pcm, 1_000, 1, Demand::Alike), 0);
        assert_eq!(grow(&mut pcm, 1_000, 1, Demand::Alike), 0);
        assert_eq!(pcm, noise);
        assert!(shrink(&mut pcm, 1_000, 1, Demand::Any) > 0);
        let mut quiet: Vec<i16> = noise.iter().map(|s| s / 1_000).collect();
        assert!(shrink(&mut quiet, 1_000, 1, Demand::Alike) > 0);
    }

    proptest! {
        #[test]
        fn lengths_are_as_said_and_short_input_is_left_alone(
            pcm in prop::collection::vec(any::<i16>(), 0..4_000), at in 0usize..2_500, stereo: bool,
        ) {
            let channels = if stereo { 2 } else { 1 };
            for op in [shrink, grow] {
                let mut changed = pcm.clone();
                let by = op(&mut changed, at, channels, Demand::Any);
                prop_assert_eq!(changed.len().abs_diff(pcm.len()), by * channels);
                let kept = (at * channels).min(pcm.len());
                prop_assert_eq!(&changed[..kept], &pcm[..kept], "what has been played is not touched");
            }
        }
    }
}
