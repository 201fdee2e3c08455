//! The workspace's own commands: `cargo xtask demo`, `test`, `ci`, `deps`, `tidy`, `spec`, `standalone`, `semver`,
//! `vectors`, `check-vectors`, `bench`, `fuzz`.
//!
//! This binary is what a fresh clone builds first, before cmake or nasm are there, so it keeps to light
//! dependencies and nothing of the workspace. One module per command; [`setup`] and [`shell`] are shared.

mod accept;
mod bench;
mod ci;
mod demo;
mod deps;
mod fuzz;
mod mutate;
mod policy;
mod setup;
mod shell;
mod spec;
mod standalone;
mod test;
mod tidy;
mod tidy_domains;
mod vectors;
mod witness;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The workspace's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set up, build and run the demo: a clip from a publisher through relays to watchers
    ///
    /// Every argument is passed to `holomesh demo` (try `cargo xtask demo --help`), but for `--release`,
    /// which picks the build.
    #[command(disable_help_flag = true)]
    Demo {
        /// What `holomesh demo` gets
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Set up, then run every test and every documentation example
    Test,
    /// Set up, then run every check of a change; stops at the first that fails
    Ci {
        /// Run this step alone (may be given several times)
        #[arg(long = "only", value_name = "STEP")]
        only: Vec<ci::Step>,
    },
    /// Check which crate may reach which
    Deps,
    /// Check file lengths, forbidden words, machine paths, manifests, signing domains and stray spaces
    Tidy,
    /// Check the specification: numbers, references, and a test or vector for each rule that binds
    Spec,
    /// Check that each crate can be picked by itself
    Standalone(standalone::Options),
    /// Say what a change breaks for those who use a crate
    Semver {
        /// Since which revision of this repository
        #[arg(long, value_name = "REVISION")]
        since: Option<OsString>,
    },
    /// Write the conformance vectors, or compare them with what the code makes now
    Vectors {
        /// Compare only: list what drifted, is missing, is left over or is read by no test, and fail if anything is
        #[arg(long)]
        check: bool,
        /// Alter copies in so many places instead, and fail if the second checker misses one
        #[arg(long, value_name = "PLACES", conflicts_with = "check")]
        flip: Option<u32>,
        /// Which places
        #[arg(long, default_value_t = 1, requires = "flip")]
        seed: u64,
    },
    /// Check the conformance vectors by the specification alone, with the checker in Python
    CheckVectors {
        /// What the checker gets (try `-- --help`)
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Run a group of benchmarks
    Bench {
        /// The group's name
        group: String,
        /// Write the rows there as JSON
        #[arg(long, value_name = "PATH")]
        json: Option<PathBuf>,
        #[command(flatten)]
        relay: bench::RelayOptions,
    },
    /// Put faults into a copy of the code, one at a time, and list those that no test notices
    Mutate {
        /// The crate; all that have some when not given
        package: Option<String>,
    },
    /// Fuzz the parsers of untrusted bytes
    Fuzz {
        /// The target; all of them when not given
        target: Option<String>,
        /// How long to run each target
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo { args } => demo::run(args),
        Command::Test => test::run(),
        Command::Ci { only } => ci::run(&only),
        Command::Deps => deps::run(),
        Command::Tidy => tidy::run(),
        Command::Spec => spec::run(),
        Command::Standalone(options) => standalone::run(&options),
        Command::Semver { since } => standalone::semver(since.as_ref()),
        Command::Vectors { flip: Some(places), seed, .. } => witness::flip(places, seed),
        Command::Vectors { check, .. } => vectors::run(check),
        Command::CheckVectors { args } => witness::run(&args),
        Command::Bench { group, json, relay } => bench::run(&group, json.as_deref(), &relay),
        Command::Mutate { package } => mutate::run(package.as_deref()),
        Command::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_gets_its_arguments_as_they_were_given() {
        let given = ["--help", "--loss", "2", "--out=x", "-v", "--", "--release"];
        let cli = Cli::try_parse_from(["xtask", "demo"].into_iter().chain(given)).unwrap();
        let Command::Demo { args } = cli.command else { panic!("{cli:?}") };
        assert_eq!(args, given);
    }

    #[test]
    fn the_grammar_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
