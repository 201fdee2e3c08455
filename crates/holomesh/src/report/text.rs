//! Figures and foreign text made fit to be shown.

/// Shown where nothing was measured.
pub(super) const DASH: &str = "–";

/// A count, short: whole with separators up to 999,999, then with a decimal prefix.
pub(super) fn count(n: u64) -> String {
    if n <= 999_999 { grouped(n) } else { prefixed(n) }
}

/// Bytes with a decimal prefix, for example `3.42 MB`.
pub(super) fn bytes(n: u64) -> String {
    if n < 1000 { format!("{n} B") } else { scaled(n, " ") + "B" }
}

/// A measured figure with `decimals` digits, or a dash.
pub(super) fn figure(value: Option<f64>, decimals: usize) -> String {
    match value {
        Some(v) if v.is_finite() && v.abs() < 1e6 => {
            let text = format!("{v:.decimals$}");
            // −0.0 and small negatives round to "-0.0", which is no figure anybody measured.
            if text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) { text.replace('-', "") } else { text }
        }
        Some(v) if v.is_finite() => format!("{v:.1e}"),
        _ => DASH.to_owned(),
    }
}

/// `part` of `whole` in per cent; `None` when there is no whole.
pub(super) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 * 100.0 / whole as f64)
}

/// A percentage with one decimal, rounded down: a share that misses a limit must not look as if it reached it.
pub(super) fn percentage(value: Option<f64>) -> String {
    match value {
        // The addend makes up for shares such as 99.6 that binary fractions put just below themselves.
        Some(v) if v.is_finite() => format!("{} %", figure(Some((v * 10.0 + 1e-6).floor() / 10.0), 1)),
        _ => DASH.to_owned(),
    }
}

/// Milliseconds as seconds with one decimal.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{}", ms / 1000, ms % 1000 / 100)
}

/// Text from elsewhere without what would steer a terminal: control characters, line ends and the marks that reverse
/// the direction of writing become `?`.
pub(super) fn plain(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '?' } else { c }).collect()
}

/// At most `max` characters, the last one an ellipsis when something is cut off.
pub(super) fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).take(max).collect()
}

/// Digits in groups of three.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn prefixed(n: u64) -> String {
    scaled(n, "")
}

fn scaled(n: u64, gap: &str) -> String {
    let mut value = n as f64;
    let mut prefix = "";
    for next in ["k", "M", "G", "T", "P", "E"] {
        if value < 999.5 {
            break;
        }
        value /= 1e3;
        prefix = next;
    }
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$}{gap}{prefix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use proptest::prelude::*;

    #[test]
    fn counts_and_bytes_are_short_and_rounded() {
        let counts = [0, 999, 1000, 999_999, 1_000_000, 12_345_678, u64::MAX].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "999,999", "1.00M", "12.3M", "18.4E"]);
        let sizes = [0, 999, 1000, 9_999, 999_499, 999_501, 3_420_000].map(bytes);
        assert_eq!(sizes, ["0 B", "999 B", "1.00 kB", "10.0 kB", "999 kB", "1.00 MB", "3.42 MB"]);
    }

    #[test]
    fn a_percentage_reaches_a_figure_only_when_the_share_did() {
        assert_eq!(percentage(percent(9_896, 10_000)), "98.9 %");
        assert!((0..=1000).all(|n| percentage(percent(n, 1000)) == format!("{}.{} %", n / 10, n % 10)));
        assert_eq!(percentage(percent(9_999, 10_000)), "99.9 %");
        assert_eq!(percentage(percent(10_000, 10_000)), "100.0 %");
        assert_eq!(percentage(percent(0, 0)), DASH);
    }

    #[test]
    fn a_terminal_can_not_be_steered() {
        assert_eq!(plain("a\u{1b}[2Jb\r\n\u{202e}c é"), "a?[2Jb???c é");
    }

    proptest! {
        #[test]
        fn a_figure_is_short_and_never_nan(value in fixture::odd_figure(), decimals in 0usize..4) {
            let text = figure(Some(value), decimals);
            prop_assert!(text.len() <= 12, "{}", text);
            prop_assert!(!text.contains("NaN") && !text.contains("inf") && text != "-0.0", "{}", text);
        }

        #[test]
        fn counts_stay_within_seven_characters(n: u64) {
            prop_assert!(count(n).len() <= 7, "{}", count(n));
            prop_assert_eq!(grouped(n).replace(',', ""), n.to_string());
        }

        #[test]
        fn shortening_keeps_the_limit(text in ".{0,30}", max in 0usize..20) {
            let short = shorten(&text, max);
            prop_assert!(short.chars().count() <= max);
            prop_assert_eq!(short == text, text.chars().count() <= max);
        }
    }
}
