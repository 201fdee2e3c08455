//! Nearest-rank percentiles of what was measured.

use serde::{Deserialize, Serialize, Serializer};

/// Median, 95th and 99th percentile by nearest rank: the smallest sample that at least p % of all samples do not
/// exceed, so each figure is a value that was really measured. All `None` when there was no sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Median.
    #[serde(serialize_with = "measured")]
    pub p50: Option<f64>,
    /// 95th percentile.
    #[serde(serialize_with = "measured")]
    pub p95: Option<f64>,
    /// 99th percentile.
    #[serde(serialize_with = "measured")]
    pub p99: Option<f64>,
}

impl Percentiles {
    /// Percentiles of `samples`, which are left sorted; NaN and infinities are removed first.
    pub fn of(samples: &mut Vec<f64>) -> Self {
        sort(samples);
        Self { p50: rank(samples, 50), p95: rank(samples, 95), p99: rank(samples, 99) }
    }
}

/// Median and 95th percentile by nearest rank, as in [`Percentiles`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Median.
    #[serde(serialize_with = "measured")]
    pub p50: Option<f64>,
    /// 95th percentile.
    #[serde(serialize_with = "measured")]
    pub p95: Option<f64>,
}

impl Spread {
    /// Percentiles of `samples`, which are left sorted; NaN and infinities are removed first.
    pub fn of(samples: &mut Vec<f64>) -> Self {
        sort(samples);
        Self { p50: rank(samples, 50), p95: rank(samples, 95) }
    }
}

fn sort(samples: &mut Vec<f64>) {
    samples.retain(|value| value.is_finite());
    samples.sort_unstable_by(f64::total_cmp);
}

fn rank(sorted: &[f64], percent: usize) -> Option<f64> {
    // ⌈n·p/100⌉, counted from 1. In integers: a product with 0.95 may land just above a whole number.
    let rank = sorted.len().saturating_mul(percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// Writes a measured figure to three decimals, and `null` for what is missing or not a finite number.
pub(super) fn measured<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        // Beyond 2^43 three decimals are no longer exact and the scaling might overflow; nothing measured gets there.
        Some(v) if v.is_finite() && v.abs() < 1e12 => serializer.serialize_some(&((v * 1e3).round() / 1e3)),
        Some(v) if v.is_finite() => serializer.serialize_some(v),
        _ => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn each_percentile_is_the_smallest_sample_that_covers_its_share(
            mut samples in vec(-1e6f64..1e6, 1..400)
        ) {
            let got = Percentiles::of(&mut samples.clone());
            samples.reverse();
            for (value, percent) in [(got.p50, 50), (got.p95, 95), (got.p99, 99)] {
                let covers = |v: f64| samples.iter().filter(|s| **s <= v).count() * 100 >= samples.len() * percent;
                let smallest = samples.iter().copied().filter(|v| covers(*v)).min_by(f64::total_cmp);
                prop_assert_eq!(value, smallest);
            }
            let spread = Spread::of(&mut samples);
            prop_assert_eq!((spread.p50, spread.p95), (got.p50, got.p95));
        }

        #[test]
        fn what_is_not_a_number_counts_for_nothing(mut samples in vec(-1e6f64..1e6, 0..50), at: prop::sample::Index) {
            let clean = Percentiles::of(&mut samples.clone());
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                samples.insert(at.index(samples.len() + 1), bad);
            }
            prop_assert_eq!(Percentiles::of(&mut samples), clean);
        }
    }

    #[test]
    fn nothing_measured_is_none() {
        assert_eq!(Percentiles::of(&mut Vec::new()), Percentiles::default());
        assert_eq!(Spread::of(&mut vec![f64::NAN]), Spread { p50: None, p95: None });
    }

    #[test]
    fn json_has_three_decimals_and_null_for_what_is_not_a_number() {
        let odd = Percentiles { p50: Some(1.0 / 3.0), p95: Some(f64::NAN), p99: Some(f64::INFINITY) };
        assert_eq!(serde_json::to_string(&odd).unwrap(), r#"{"p50":0.333,"p95":null,"p99":null}"#);
    }
}
