//! `cargo xtask ci`: every check of a change, the quick ones first; stops at the first that fails.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::setup::{self, Purpose};
use crate::shell::{self, cargo};
use crate::{accept, demo, deps, fuzz, policy, spec, standalone, test, tidy, vectors, witness};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// System packages that the build and the tests need
    Setup,
    /// Formatting
    Fmt,
    /// Lock files against the manifests
    Lock,
    /// Layer laws
    Deps,
    /// File lengths, words, paths, manifests
    Tidy,
    /// The specification against itself, tests and vectors
    Spec,
    /// Manifests, READMEs and packages of each crate
    Standalone,
    /// Clippy over every target, warnings denied
    Clippy,
    /// Unit and integration tests
    Test,
    /// Examples in the documentation
    Doctest,
    /// The documentation itself, warnings denied
    Doc,
    /// Conformance vectors against the code
    Vectors,
    /// Conformance vectors against the specification, by the checker in Python
    Witness,
    /// Licences, bans, sources and advisories of dependencies
    Policy,
    /// A few seconds of each fuzz target
    Fuzz,
    /// A short demo held to what a demo has to show
    Demo,
}

/// Runs the steps given, or all of them, in the order in which they are declared.
pub(crate) fn run(only: &[Step]) -> Result<()> {
    let steps: Vec<&Step> =
        Step::value_variants().iter().filter(|step| only.is_empty() || only.contains(step)).collect();
    let mut times = Vec::new();
    let mut failure = None;
    for step in &steps {
        println!("\n=== {} ===", step.name());
        let start = Instant::now();
        let done = step.run();
        times.push((step.name(), start.elapsed(), done.is_ok()));
        if let Err(error) = done {
            failure = Some((step.name(), error));
            break;
        }
    }
    println!("\n{}", table(&times, steps.len()));
    match failure {
        Some((name, error)) => Err(error.context(format!("step `{name}` failed"))),
        None => Ok(()),
    }
}

/// What each step took, and how many did what.
fn table(times: &[(String, Duration, bool)], steps: usize) -> String {
    let mut table = String::new();
    let mut total = Duration::ZERO;
    for (name, time, passed) in times {
        let verdict = if *passed { "passed" } else { "FAILED" };
        table.push_str(&format!("{name:<10} {:>8.1} s  {verdict}\n", time.as_secs_f64()));
        total += *time;
    }
    table.push_str(&format!("{:<10} {:>8.1} s\n", "total", total.as_secs_f64()));
    let passed = times.iter().filter(|(_, _, passed)| *passed).count();
    let (failed, left) = (times.len() - passed, steps - times.len());
    table.push_str(&format!("steps: {passed} passed, {failed} failed"));
    if left > 0 {
        table.push_str(&format!(", {left} skipped"));
    }
    table
}

const FUZZ_SECONDS: u32 = 5;
const DEMO_LIMIT: Duration = Duration::from_secs(180);

impl Step {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn run(self) -> Result<()> {
        match self {
            Self::Setup => setup::run(Purpose::Test),
            Self::Fmt => fmt(),
            Self::Lock => lock(),
            Self::Deps => deps::run(),
            Self::Tidy => tidy::run(),
            Self::Spec => spec::run(),
            Self::Standalone => standalone::run(&standalone::Options::default()),
            Self::Clippy => shell::run(&mut cargo([
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "--deny",
                "warnings",
            ])?),
            Self::Test => test::tests(),
            Self::Doctest => test::examples(),
            Self::Doc => {
                shell::run(cargo(["doc", "--workspace", "--no-deps"])?.env("RUSTDOCFLAGS", "--deny warnings"))
            }
            Self::Vectors => vectors::run(true),
            Self::Witness => witness::run(&[]),
            Self::Policy => policy::run(),
            Self::Fuzz => fuzz::run(None, FUZZ_SECONDS),
            Self::Demo => short_demo(),
        }
    }
}

fn fmt() -> Result<()> {
    shell::run(&mut cargo(["fmt", "--all", "--check"])?)?;
    shell::run(&mut cargo(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])?)
}

/// A lock file that lags behind would be written anew by the first build, and what is tested would not be what was
/// committed. For the workspace itself that has happened by now, as xtask runs: `.ci/run` asks for it before.
fn lock() -> Result<()> {
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let read = ["metadata", "--locked", "--format-version", "1", "--manifest-path", manifest];
        if !shell::succeeds(&mut cargo(read)?) {
            bail!(
                "the lock file beside {manifest} is not what its dependencies need; run `cargo metadata \
                 --format-version 1 --manifest-path {manifest} >/dev/null` and commit it"
            );
        }
    }
    println!("lock: both lock files are up to date");
    Ok(())
}

fn short_demo() -> Result<()> {
    let program = demo::build_as_tested()?;
    let root = shell::root()?;
    let out = root.join("target").join("ci-demo");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("could not clear {}", out.display()))?;
    }
    let json = out.join("demo.json");
    let mut command = Command::new(program);
    command.current_dir(&root).args([
        "demo",
        "--seconds",
        "8",
        "--watchers",
        "3",
        "--loss",
        "2",
        "--seed",
        "1",
    ]);
    command.args(["--kill-relay-at", "2", "--join-at", "3", "--leave-at", "4"]);
    command.arg("--out").arg(&out).arg("--json").arg(&json);
    shell::run_within(&mut command, DEMO_LIMIT)?;

    let text = fs::read_to_string(&json).with_context(|| format!("the demo wrote no {}", json.display()))?;
    let report = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", json.display()))?;
    for line in accept::summary(&report) {
        println!("{line}");
    }
    let mut faults = accept::faults(&report);
    for name in ["report.html", "watcher-1.mkv"] {
        if fs::metadata(out.join(name)).map_or(0, |file| file.len()) == 0 {
            faults.push(format!("{name} was not written, or is empty"));
        }
    }
    if !faults.is_empty() {
        bail!("the demo did not show what it has to:\n  {}", faults.join("\n  "));
    }
    println!("demo: accepted");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_what_passed_failed_and_was_not_reached() {
        let times = [
            ("fmt".to_owned(), Duration::from_millis(1200), true),
            ("deps".to_owned(), Duration::from_millis(2300), false),
        ];
        let table = table(&times, 5);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "fmt             1.2 s  passed");
        assert_eq!(lines[1], "deps            2.3 s  FAILED");
        assert_eq!(lines[2], "total           3.5 s");
        assert_eq!(lines[3], "steps: 1 passed, 1 failed, 3 skipped");
    }

    #[test]
    fn a_step_is_asked_for_by_the_name_that_the_table_shows() {
        for step in Step::value_variants() {
            assert_eq!(Step::from_str(&step.name(), false), Ok(*step));
        }
    }
}
