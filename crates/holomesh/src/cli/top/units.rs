//! Figures in few characters.

use std::time::Duration;

/// Three digits that count, with a decimal prefix: `0`, `950`, `1.20k`, `45.0M`.
pub(super) fn si(value: f64) -> String {
    scaled(value, 1_000.0, ["", "k", "M", "G", "T", "P"])
}

/// The same with a binary prefix, for bytes.
pub(in crate::cli) fn binary(bytes: u64) -> String {
    scaled(bytes as f64, 1_024.0, ["", "Ki", "Mi", "Gi", "Ti", "Pi"])
}

fn scaled(value: f64, step: f64, prefixes: [&str; 6]) -> String {
    if !value.is_finite() || value < 0.0 {
        return "?".into();
    }
    let (mut value, mut prefixes) = (value, prefixes.into_iter().peekable());
    let mut prefix = prefixes.next().unwrap_or_default();
    // What would be rounded up to a fourth digit is better off with the next prefix.
    while value >= step - 0.5 && prefixes.peek().is_some() {
        value /= step;
        prefix = prefixes.next().unwrap_or_default();
    }
    let digits = match value {
        _ if prefix.is_empty() => 0,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}{prefix}")
}

/// A time from microseconds to seconds: `85us`, `1.2ms`, `140ms`, `2.3s`.
pub(super) fn micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..9_950 => format!("{:.1}ms", micros as f64 / 1e3),
        9_950..999_500 => format!("{:.0}ms", micros as f64 / 1e3),
        _ => format!("{:.1}s", micros as f64 / 1e6),
    }
}

/// Part of a whole, 0 to 1, as a percentage.
pub(super) fn percent(part: f64) -> String {
    let percent = part.clamp(0.0, 1.0) * 100.0;
    if percent >= 9.95 { format!("{percent:.0}%") } else { format!("{percent:.1}%") }
}

/// Days, hours, minutes and seconds, the large ones where there are any.
pub(super) fn long(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes, seconds) =
        (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match days {
        0 => format!("{hours:02}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}d {hours:02}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_that_count() {
        for (value, shown) in [
            (0.0, "0"),
            (0.4, "0"),
            (999.0, "999"),
            (999.6, "1.00k"),
            (1_234.0, "1.23k"),
            (12_345.0, "12.3k"),
            (999_600.0, "1.00M"),
            (250e6, "250M"),
            (1e30, "1000000000000000P"),
            (f64::NAN, "?"),
            (-1.0, "?"),
        ] {
            assert_eq!(si(value), shown, "{value}");
        }
        assert_eq!([binary(1_023), binary(1_536), binary(512 << 20)], ["1023", "1.50Ki", "512Mi"]);
    }

    #[test]
    fn times_and_parts() {
        assert_eq!(
            [micros(85), micros(1_240), micros(140_000), micros(2_300_000)],
            ["85us", "1.2ms", "140ms", "2.3s"]
        );
        assert_eq!(
            [percent(0.0), percent(0.0123), percent(0.5), percent(7.0)],
            ["0.0%", "1.2%", "50%", "100%"]
        );
        assert_eq!(long(Duration::from_secs(3_723)), "01:02:03");
        assert_eq!(long(Duration::from_secs(3 * 86_400 + 4 * 3_600)), "3d 04:00");
    }
}
