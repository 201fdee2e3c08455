//! Axes whose ticks are round numbers.

use crate::report::text::grouped;

/// Nothing measured comes near it, and all arithmetic on plots stays finite below it.
const LARGEST: f64 = 1e12;

/// An axis from 0 to `top` with a tick every `step`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) top: f64,
    pub(super) step: f64,
}

impl Axis {
    /// An axis that ends at `max` itself, for time.
    pub(super) fn ending_at(max: f64, ticks: f64) -> Self {
        let top = if max.is_finite() { max.clamp(1.0, LARGEST) } else { 1.0 };
        Self { top, step: round_step(top / ticks) }
    }

    /// An axis that ends at a tick with a little room above `max`, for figures. `least` is its smallest step.
    pub(super) fn covering(max: f64, ticks: f64, least: f64) -> Self {
        let max = if max.is_finite() { max.clamp(0.0, LARGEST) } else { 0.0 };
        let step = round_step(max / ticks).max(least);
        let top = ((max * 1.02 / step).ceil() * step).max(step);
        Self { top, step }
    }

    /// Where `value` lies between the ends of the axis, from 0 to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        if value.is_finite() { (value / self.top).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The ticks and what to write at them.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let Self { top, step } = *self;
        let decimals = if step < 1.0 { (-step.log10()).ceil() as usize } else { 0 };
        let count = (top / step + 1e-9).floor() as u32;
        (0..=count).map(move |i| {
            let value = f64::from(i) * step;
            let text = if decimals == 0 { grouped(value as u64) } else { format!("{value:.decimals$}") };
            (value, text)
        })
    }
}

/// 1, 2 or 5 times a power of ten, at or above `step`.
fn round_step(step: f64) -> f64 {
    if step.is_nan() || step <= 1e-3 {
        return 1e-3;
    }
    let power = 10f64.powf(step.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|d| d * power >= step * (1.0 - 1e-9)).unwrap_or(10.0);
    // A negative power of ten is not exact; through its inverse the step is the nearest double to the round number.
    if power < 1.0 { digit / (1.0 / power).round() } else { digit * power }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use proptest::prelude::*;

    fn labels(axis: Axis) -> Vec<String> {
        axis.ticks().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_leave_room_above_the_largest_value() {
        assert_eq!(labels(Axis::covering(25.0, 4.0, 1.0)), ["0", "10", "20", "30"]);
        assert_eq!(labels(Axis::covering(4.0, 4.0, 1.0)), ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(labels(Axis::covering(1.0, 4.0, 1.0)), ["0", "1", "2"]);
        assert_eq!(labels(Axis::covering(1_400.0, 4.0, 1.0)), ["0", "500", "1,000", "1,500"]);
        assert_eq!(labels(Axis::covering(0.33, 4.0, 0.0)), ["0.0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(labels(Axis::ending_at(10.4, 6.0)), ["0", "2", "4", "6", "8", "10"]);
    }

    proptest! {
        #[test]
        fn an_axis_covers_its_values_with_a_readable_number_of_ticks(max in 0.01f64..1e9, ticks in 2.0f64..10.0) {
            let axis = Axis::covering(max, ticks, 0.0);
            prop_assert!(axis.top >= max);
            prop_assert!((2..=14).contains(&axis.ticks().count()), "{:?}", axis);
            let lead = axis.step / 10f64.powf(axis.step.log10().floor());
            prop_assert!([1.0, 2.0, 5.0, 10.0].iter().any(|d| (lead - d).abs() < 1e-6), "{:?}", axis);
        }

        #[test]
        fn any_figure_gives_a_finite_axis(value in fixture::odd_figure()) {
            for axis in [Axis::covering(value, 4.0, 0.0), Axis::ending_at(value, 6.0)] {
                prop_assert!(axis.top.is_finite() && axis.step > 0.0 && axis.ticks().count() < 40, "{:?}", axis);
                prop_assert!((0.0..=1.0).contains(&axis.share(value)));
            }
        }
    }
}
