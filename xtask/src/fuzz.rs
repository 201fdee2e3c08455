//! `cargo xtask fuzz`: libFuzzer on the parsers of untrusted bytes, with the stable toolchain alone.
//!
//! The compiler flags are those by which libFuzzer sees what an input reaches; a sanitizer would need a nightly
//! toolchain. Only `gf256` and the `*-backends` hold unsafe code, so what there is to find are panics, overflows, hangs and memory use.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::setup::{self, Purpose};
use crate::shell::{self, cargo};

/// Each is a binary of the package in `fuzz/`, and a folder of seeds in `fuzz/corpus/`.
const TARGETS: [(&str, &str); 26] = [
    ("announce", "a stream's announcement, signed by a publisher that means harm"),
    ("av1_unit", "AV1 packets of a hostile publisher, up to the decoder"),
    ("chunk", "chunk header and what is inside the seal"),
    ("claim", "capacity claims, from anybody and from an advertiser that means harm"),
    ("classes", "files of classes of consent"),
    ("commit", "group commits, group infos and leave requests from nobody in the group"),
    ("consent", "consent, tombstones and manifests, from anybody and from a subject that means harm"),
    ("control", "control messages and their frames from anybody"),
    ("descriptions", "payloads of descriptions of a hostile publisher, up to the decoder"),
    ("evidence", "delivery evidence, from anybody and from an observer that means harm"),
    ("fountain", "reassembly of objects from a hostile sender's symbols"),
    ("fountain_raptorq", "symbols and sets of them beside another implementation of RFC 6330"),
    ("gossip", "cards and claims told over a link, from anybody and from an advertiser that means harm"),
    ("handshake", "the link handshake: datagrams from anybody, messages from a peer that means harm"),
    ("hop_header", "datagrams of a link, in every suite"),
    ("identity", "public identities, hybrid signatures and canonical bytes from anybody"),
    ("key_package", "key packages, signed by a joiner that means harm"),
    ("key_table", "key files of a store: cut, altered, made up"),
    ("lane", "datagrams of anybody to a socket with lanes, control packets of a peer that means harm"),
    ("opus_packet", "Opus packets of a hostile publisher, with losses"),
    ("permit", "permits, from anybody and from a host that means harm"),
    ("proof", "proofs of authorship, whole and in pieces, from another member"),
    ("sound", "Opus packets of a hostile publisher at any time, through the playout"),
    ("stored", "rows of a store's database that somebody altered, and objects of traces"),
    ("welcome", "welcomes and group infos, signed by somebody that means harm"),
    (
        "window",
        "objects with units of repair, from a publisher that means harm, and from an honest one with losses",
    ),
];

const COVERAGE: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

pub(crate) fn run(target: Option<&str>, seconds: u32) -> Result<()> {
    let names = chosen(target)?;
    setup::run(Purpose::Build)?;
    let fuzz = shell::root()?.join("fuzz");
    let host = host()?;
    build(&fuzz, &host, &names)?;
    let programs = fuzz.join("target").join(&host).join("release");
    run_all(&names, |name| fuzz_one(&fuzz, &programs.join(name), name, seconds))?;
    println!("fuzz: {} targets ran {seconds} s each and found nothing", names.len());
    Ok(())
}

fn chosen(target: Option<&str>) -> Result<Vec<&'static str>> {
    let names: Vec<&str> = TARGETS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| target.is_none_or(|wanted| wanted == *name))
        .collect();
    if names.is_empty() {
        let list: Vec<String> = TARGETS.iter().map(|(name, what)| format!("\n  {name}: {what}")).collect();
        bail!("there is no fuzz target `{}`; the targets are:{}", target.unwrap_or_default(), list.concat());
    }
    Ok(names)
}

/// The machine's own target. Named explicitly, it keeps the flags off build scripts and procedural macros.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("could not start `rustc`")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` named no host")?.to_owned())
}

fn build(fuzz: &Path, host: &str, names: &[&str]) -> Result<()> {
    let mut command = cargo(["build", "--release", "--locked", "--target", host])?;
    command.arg("--manifest-path").arg(fuzz.join("Cargo.toml"));
    command.arg("--target-dir").arg(fuzz.join("target"));
    for name in names {
        command.args(["--bin", name]);
    }
    // The encoded form wins over flags from elsewhere, which could lack what libFuzzer needs.
    command.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"));
    shell::run(&mut command)
}

/// One on each core: a target is a single thread.
fn run_all(names: &[&str], one: impl Fn(&str) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            one(name)?;
        }
        Ok(())
    };
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores.min(names.len())).map(|_| scope.spawn(work)).collect();
        let mut joined = workers.into_iter().map(|worker| worker.join());
        joined.try_for_each(|done| done.unwrap_or_else(|_| bail!("a thread that ran fuzz targets panicked")))
    })
}

/// New finds go to a folder of their own below `target`, so that the committed seeds stay as they are.
fn fuzz_one(fuzz: &Path, program: &Path, name: &str, seconds: u32) -> Result<()> {
    let finds = fuzz.join("target").join("finds").join(name);
    let artifacts = fuzz.join("artifacts").join(name);
    let seeds = fuzz.join("corpus").join(name);
    for folder in [&finds, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    }
    if !seeds.is_dir() {
        bail!("the seeds of `{name}` are missing: {}", seeds.display());
    }
    println!("fuzz: {name} for {seconds} s");
    let output = Command::new(program)
        .arg(format!("-max_total_time={seconds}"))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args([&finds, &seeds])
        .output()
        .with_context(|| format!("could not start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprintln!("{said}");
        bail!(
            "`{name}` failed ({}), above is on what; the input is in {}",
            output.status,
            artifacts.display()
        );
    }
    println!(
        "fuzz: {name} ran {} inputs, found {} that reach something new",
        stat(&said, RUNS),
        stat(&said, FINDS)
    );
    Ok(())
}

const RUNS: &str = "stat::number_of_executed_units:";
const FINDS: &str = "stat::new_units_added:";

/// A figure from what libFuzzer says at its end.
fn stat<'a>(said: &'a str, which: &str) -> &'a str {
    said.lines().find_map(|line| line.strip_prefix(which)).map_or("?", str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_target_or_all() {
        assert_eq!(chosen(None).unwrap().len(), TARGETS.len());
        assert_eq!(chosen(Some("chunk")).unwrap(), ["chunk"]);
        let error = chosen(Some("chnk")).unwrap_err().to_string();
        assert!(error.contains("`chnk`") && error.contains("fountain: "), "{error}");
    }

    #[test]
    fn each_target_runs_once_and_what_one_finds_is_told() {
        let names: Vec<String> = (0..9).map(|number| number.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let ran = std::sync::Mutex::new(Vec::new());
        let note = |name: &str| {
            ran.lock().unwrap().push(name.to_owned());
            if name == "8" { bail!("8 found something") } else { Ok(()) }
        };
        assert_eq!(run_all(&names, note).unwrap_err().to_string(), "8 found something");
        let mut ran = ran.into_inner().unwrap();
        ran.sort();
        assert_eq!(ran, names);
    }

    #[test]
    fn figures_are_read_from_the_closing_lines() {
        let said = "Done 5 runs\nstat::number_of_executed_units: 5\nstat::new_units_added:          2\n";
        assert_eq!((stat(said, RUNS), stat(said, FINDS)), ("5", "2"));
        assert_eq!(stat("", RUNS), "?");
    }

    #[test]
    fn each_target_has_a_source_and_seeds() {
        let fuzz = shell::root().unwrap().join("fuzz");
        for (name, _) in TARGETS {
            assert!(fuzz.join("fuzz_targets").join(format!("{name}.rs")).is_file(), "{name}");
            assert!(fs::read_dir(fuzz.join("corpus").join(name)).unwrap().next().is_some(), "{name}");
        }
    }
}
