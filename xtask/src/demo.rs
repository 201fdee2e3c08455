//! `cargo xtask demo`: sets up, builds and runs `holomesh demo`, and says where its report is.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::setup::{self, Purpose};
use crate::shell::{self, cargo};

const DEFAULT_OUT: &str = "demo-out";

pub(crate) fn run(args: Vec<OsString>) -> Result<()> {
    setup::run(Purpose::Build)?;
    let request = Request::new(args);
    let program = build(request.release)?;
    shell::run(Command::new(program).arg("demo").args(&request.args))?;
    let report = request.out().join("report.html");
    if report.is_file() {
        println!("xtask: the report is {}", report.display());
    }
    Ok(())
}

/// Builds the program and says where it lies.
///
/// The dev profile optimises dependencies fully, and all that is heavy is one, so no release build is needed.
fn build(release: bool) -> Result<PathBuf> {
    let mut command = cargo(["build", "--package", "holomesh", "--bin", "holomesh"])?;
    if release {
        command.arg("--release");
    }
    shell::run(&mut command)?;
    Ok(shell::target()?.join(if release { "release" } else { "debug" }).join("holomesh"))
}

/// The program as the tests run it. Examples are asked for because tests, and all that is built beside them, have the features
/// of development dependencies: without them nearly everything below it would be built once more.
pub(crate) fn build_as_tested() -> Result<PathBuf> {
    shell::run(&mut cargo(["build", "--workspace", "--bin", "holomesh", "--examples"])?)?;
    Ok(shell::target()?.join("debug").join("holomesh"))
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    release: bool,
    args: Vec<OsString>,
}

impl Request {
    fn new(mut args: Vec<OsString>) -> Self {
        let given = args.len();
        args.retain(|arg| arg != "--release");
        Self { release: args.len() < given, args }
    }

    /// Where the demo writes: the last `--out` given, as the demo itself reads it.
    fn out(&self) -> &Path {
        let mut out = Path::new(DEFAULT_OUT);
        let mut args = self.args.iter();
        while let Some(arg) = args.next() {
            if arg == "--out" {
                out = args.next().map_or(out, Path::new);
            } else if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--out=")) {
                out = Path::new(OsStr::new(path));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(args: &[&str]) -> Request {
        Request::new(args.iter().map(OsString::from).collect())
    }

    #[test]
    fn arguments_go_through_unchanged_but_for_the_profile() {
        let plain = request(&["--loss", "2", "--seed=7"]);
        assert_eq!(
            plain,
            Request { release: false, args: vec!["--loss".into(), "2".into(), "--seed=7".into()] }
        );
        let released = request(&["--loss", "2", "--release"]);
        assert_eq!(released, Request { release: true, args: vec!["--loss".into(), "2".into()] });
    }

    #[test]
    fn the_report_lies_where_the_demo_was_told_to_write() {
        assert_eq!(request(&["--seed", "1"]).out(), Path::new("demo-out"));
        assert_eq!(request(&["--out", "a/b", "--seed", "1"]).out(), Path::new("a/b"));
        assert_eq!(request(&["--seed", "1", "--out=c"]).out(), Path::new("c"));
        assert_eq!(request(&["--out"]).out(), Path::new("demo-out"));
    }
}
