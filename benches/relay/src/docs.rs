//! The tables of `docs/BENCHMARKS.md`, written between two marks.

use crate::plan::{RATE, Results};
use crate::tools::{Case, Relay};
use anyhow::{Context, Result};
use bench_harness::Row;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

const BEGIN: &str = "<!-- relay: begin, written by benches-relay -->\n";
const END: &str = "<!-- relay: end -->\n";

/// What the page says beside the figures.
pub(crate) struct Page<'a> {
    pub(crate) results: &'a Results,
    pub(crate) rows: &'a [Row],
    pub(crate) missing: &'a [String],
    pub(crate) subscribers: &'a [u32],
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
}

impl Page<'_> {
    /// Puts the tables where the last ones are.
    ///
    /// # Errors
    /// When the page has no such place, or can't be written.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let failed = || format!("could not write the tables into {}", path.display());
        let page = fs::read_to_string(path).with_context(failed)?;
        let page = replaced(&page, &self.text()?).with_context(failed)?;
        fs::write(path, page).with_context(failed)
    }

    fn text(&self) -> Result<String> {
        let mut text = String::new();
        let Self { rounds, seconds, .. } = self;
        writeln!(text, "{}. Medians of {rounds} rounds of {seconds} s.\n", machine())?;
        self.costs(&mut text)?;
        writeln!(text, "\n| row | unit | ours | baseline | ratio | target |\n|---|---|---:|---:|---:|---|")?;
        for row in self.rows {
            let Row { name, unit, ours, baseline, ratio, .. } = row;
            let (ours, baseline) = (figure(*ours), figure(*baseline));
            writeln!(text, "| `{name}` | {unit} | {ours} | {baseline} | {ratio:.3} | {} |", verdict(row))?;
        }
        if !self.missing.is_empty() {
            writeln!(text, "\n**Without figures**: `{}`.", self.missing.join("`, `"))?;
        }
        for what in &self.results.left_out {
            writeln!(text, "\n**Not measured**: {}.", what.trim_end_matches('.').replace('\n', " "))?;
        }
        Ok(text)
    }

    /// CPU of each relay at each number of subscribers, and latency and memory at the largest.
    fn costs(&self, text: &mut String) -> Result<()> {
        let largest = self.subscribers.iter().max().copied().unwrap_or_default();
        write!(text, "| relay, CPU s/GB |")?;
        for number in self.subscribers {
            write!(text, " N={number} |")?;
        }
        writeln!(text, " p50 / p99 at N={largest}, us | memory, MiB |")?;
        writeln!(text, "|---|{}---:|---:|", "---:|".repeat(self.subscribers.len()))?;
        for relay in Relay::ALL {
            let at = |number| Case::new(relay, number, RATE);
            write!(text, "| {} |", relay.says())?;
            for &number in self.subscribers {
                let cost = self.results.median(at(number), |run| Some(run.cpu_s_per_gb));
                let loss = self.results.median(at(number), |run| Some(run.loss * 100.0));
                match (cost, loss) {
                    (Some((cost, _)), Some((loss, _))) if loss >= 0.1 => {
                        write!(text, " {cost:.2} ({loss:.1} % lost) |")?;
                    }
                    (Some((cost, _)), _) => write!(text, " {cost:.2} |")?,
                    _ => write!(text, " – |")?,
                }
            }
            let p50 = self.results.median(at(largest), |run| Some(run.latency_us.p50 as f64));
            let p99 = self.results.median(at(largest), |run| Some(run.latency_us.p99 as f64));
            let rss = self.results.median(at(largest), |run| Some(run.relay.rss_end_bytes as f64));
            match (p50, p99, rss) {
                (Some((p50, _)), Some((p99, _)), Some((rss, _))) => {
                    writeln!(text, " {p50:.0} / {p99:.0} | {:.1} |", rss / f64::from(1 << 20))?;
                }
                _ => writeln!(text, " – | – |")?,
            }
        }
        Ok(())
    }
}

fn verdict(row: &Row) -> String {
    match (&row.target, row.met) {
        (Some(target), Some(true)) => format!("{target}: met"),
        (Some(target), Some(false)) => format!("{target}: **missed**"),
        _ => "–".to_owned(),
    }
}

/// Three digits that say something.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.3}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn replaced(page: &str, text: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).context("it has no mark where they begin")?;
    let (_, after) = rest.split_once(END).context("it has no mark where they end")?;
    Ok(format!("{before}{BEGIN}{text}{END}{after}"))
}

/// The processor, how many of it, memory, system and kernel.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.map(|rest| rest.trim_start_matches([' ', '\t', ':', '=']).trim_matches('"').to_owned())
    };
    let processor =
        value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let cores = available_parallelism().map_or(0, usize::from);
    let memory =
        value(&read("/proc/meminfo"), "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
    let memory = memory.unwrap_or(0.0) / (1 << 20) as f64;
    let system = value(&read("/etc/os-release"), "PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned());
    let kernel = read("/proc/sys/kernel/osrelease");
    let release = kernel.trim().split('-').next().unwrap_or_default();
    format!("{processor}, {cores} cores, {memory:.0} GiB, {system}, Linux {release}, release profile")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let new = replaced(&page, "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}new\n{END}after\n"));
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
        assert!(replaced("nothing", "new").is_err() && replaced(BEGIN, "new").is_err());
    }

    #[test]
    fn the_machine_has_a_name_in_one_line() {
        let machine = machine();
        assert!(machine.contains(" cores, ") && !machine.contains('\n'), "{machine}");
    }
}
