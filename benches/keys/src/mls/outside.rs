//! mls-rs, which shares no code with openmls. It runs in a program of its own, because it wants another version of
//! aws-lc-rs; each of its samples is asked for in turn with ours.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

pub(super) struct Outside {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Outside {
    /// Builds the program, starts it and lets it grow its groups.
    pub(super) fn start(sizes: &[u32]) -> Result<Self> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("mls-rs");
        let target = package.join("../../target/mls-rs");
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // What `cargo run` has set of this package is not meant for that one.
        for (name, _) in std::env::vars_os() {
            let text = name.to_str();
            if text.is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
            {
                build.env_remove(name);
            }
        }
        build.args(["build", "--release", "--locked", "--manifest-path"]).arg(package.join("Cargo.toml"));
        let status = build.arg("--target-dir").arg(&target).status().context("could not start cargo")?;
        ensure!(status.success(), "could not build the program with mls-rs");

        let mut program = Command::new(target.join("release").join("bench-mls-rs"));
        program.args(sizes.iter().map(u32::to_string)).env("RAYON_NUM_THREADS", "1");
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().context("no standard input")?;
        let answers = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut outside = Self { child, orders, answers };
        ensure!(outside.answer()? == "ready", "the program with mls-rs did not get ready");
        Ok(outside)
    }

    /// CPU time of one step: `build` or `receive`, of a commit that adds and removes.
    pub(super) fn time(&mut self, members: u32, step: &str, adds: usize, remove: &[u32]) -> Result<Duration> {
        let removed = remove.first().map_or_else(|| "-".to_owned(), u32::to_string);
        writeln!(self.orders, "{members} {step} {adds} {removed}")?;
        let micros: f64 = self.answer()?.parse().context("the program with mls-rs gave no time")?;
        Ok(Duration::from_secs_f64(micros / 1e6))
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // It has nothing to lose, and may be waiting for the next order.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
