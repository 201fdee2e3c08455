//! A page with plots of a run: no script, nothing loaded, readable when printed.

use super::Bound;
use super::file::Loaded;
use alm::sim::Report;
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-size:1.4rem}h2{font-size:1rem;margin:1.6rem 0 .2rem}table{border-collapse:collapse}td{padding:.1rem .8rem .1rem 0}\
td.n{text-align:right;font-variant-numeric:tabular-nums}.bad{color:#b00020;font-weight:600}svg{width:100%;height:auto}\
svg text{font:11px system-ui,sans-serif;fill:#555}svg rect{fill:#3b6ea5}\
@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}svg text{fill:#aaa}svg rect{fill:#7fb0e6}}";

/// Bars of a plot at most.
const BARS: u64 = 24;

pub(super) fn page(loaded: &Loaded, report: &Report, bounds: &[Bound]) -> String {
    let scenario = &loaded.scenario;
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>A simulated mesh</title><style>{STYLE}</style><h1>A simulated mesh: {} watchers, seed {}</h1>\n",
        scenario.nodes, scenario.seed
    );
    if !loaded.about.is_empty() {
        let _ = writeln!(page, "<p>{}</p>", escape(loaded.about.trim()));
    }
    if !bounds.is_empty() {
        page += "<h2>What was expected</h2><table>\n";
        for bound in bounds {
            let class = if bound.is_kept() { "" } else { " class=\"bad\"" };
            let _ = writeln!(page, "<tr><td{class}>{}</td></tr>", escape(&bound.to_string()));
        }
        page += "</table>\n";
    }
    let watchers: Vec<_> = report.watchers().collect();
    let of = |figure: fn(&alm::sim::NodeReport) -> u64| -> Vec<u64> {
        watchers.iter().map(|node| figure(node)).collect()
    };
    let used = watchers
        .iter()
        .filter(|node| node.could_send > 0)
        .map(|node| node.sent.saturating_mul(report.chunk_bytes).saturating_mul(100) / node.could_send)
        .collect::<Vec<u64>>();
    let heal: Vec<u64> = report.recoveries.iter().map(|micros| micros / 1_000).collect();
    for (title, unit, values) in [
        ("Depth: hops from the publisher", "hops", of(|node| node.hops)),
        ("Time to heal after the death of a parent", "ms", heal),
        ("Frames missed", "frames", of(|node| node.missed)),
        ("Longest time without a new frame", "ms", of(|node| node.worst_gap / 1_000)),
        ("Uplink used", "%", used),
        ("Children", "", of(|node| node.children)),
    ] {
        let _ = writeln!(page, "<h2>{title}</h2>\n{}", histogram(&values, unit));
    }
    page += "<h2>Figures</h2><table>\n";
    for row in report.rows() {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escape(row.name),
            row.value,
            row.unit
        );
    }
    page + "</table></html>\n"
}

/// How many there are of each value: bars of equal width, with what they stand for below.
fn histogram(values: &[u64], unit: &str) -> String {
    let (Some(least), Some(most)) = (values.iter().min(), values.iter().max()) else {
        return "<p>none</p>".into();
    };
    let width = (most - least + 1).div_ceil(BARS).max(1);
    let bars = usize::try_from((most - least) / width + 1).unwrap_or(1);
    let mut counts = vec![0u64; bars];
    for value in values {
        if let Some(count) = usize::try_from((value - least) / width).ok().and_then(|at| counts.get_mut(at)) {
            *count += 1;
        }
    }
    let highest = counts.iter().copied().max().unwrap_or(1).max(1);
    let mut svg = "<svg viewBox=\"0 0 720 160\" role=\"img\">\n".to_owned();
    let step = 720 / bars;
    for (at, count) in counts.iter().enumerate() {
        let (x, from) = (at * step, least + at as u64 * width);
        // What there is, is to be seen, however little of it.
        let height = (count * 110).div_ceil(highest);
        let (y, middle) = (125 - height, x + step / 2);
        let _ = writeln!(
            svg,
            "<rect x=\"{}\" y=\"{y}\" width=\"{}\" height=\"{height}\"/>",
            x + 1,
            step.saturating_sub(2).max(1)
        );
        if *count > 0 {
            let _ =
                writeln!(svg, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{count}</text>", y - 3);
        }
        if at % bars.div_ceil(12) == 0 {
            let _ = writeln!(svg, "<text x=\"{middle}\" y=\"140\" text-anchor=\"middle\">{from}</text>");
        }
    }
    let _ = write!(svg, "<text x=\"715\" y=\"156\" text-anchor=\"end\">{unit}</text></svg>");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_a_bar() {
        for values in [vec![5], vec![0, 1_000_000, 7], (0..500).collect::<Vec<u64>>()] {
            let svg = histogram(&values, "ms");
            let counted: u64 = svg
                .lines()
                .filter(|line| {
                    line.starts_with("<text") && !line.contains("y=\"140\"") && !line.contains("y=\"156\"")
                })
                .filter_map(|line| line.split('>').nth(1)?.split('<').next()?.parse::<u64>().ok())
                .sum();
            assert_eq!(counted, values.len() as u64, "{svg}");
        }
        assert_eq!(histogram(&[], "ms"), "<p>none</p>");
    }

    #[test]
    fn words_of_a_scenario_are_no_markup() {
        assert_eq!(escape("a < b & c > d"), "a &lt; b &amp; c &gt; d");
    }
}
