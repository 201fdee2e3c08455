//! `cargo xtask bench GROUP`: one group of benchmarks, in the release profile.

use std::fs;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::setup::{self, Purpose};
use crate::shell::{self, cargo};

/// What the group `relay` alone can be told.
#[derive(Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct RelayOptions {
    /// Group `relay`: one short round, to see that all works
    #[arg(long)]
    quick: bool,
    /// Group `relay`: write the tables of this page anew
    #[arg(long, value_name = "PATH")]
    docs: Option<PathBuf>,
    /// Group `relay`: install Debian's package `janus` when it is missing, to be measured like the others
    #[arg(long)]
    with_janus: bool,
    /// Group `relay`: how often each relay has its turn
    #[arg(long)]
    rounds: Option<u16>,
    /// Group `relay`: minutes in which subscribers come and go while memory is looked at, 1 if nothing is said
    #[arg(long, value_name = "MINUTES")]
    soak_minutes: Option<String>,
}

struct Group {
    name: &'static str,
    says: &'static str,
    /// What follows `cargo run --release`.
    run: &'static [&'static str],
}

const RELAY: &str = "relay";
const MESH: &str = "mesh";
const CODECS: &str = "codecs";
const GROUPS: [Group; 6] = [
    Group {
        name: "path",
        says: "CPU time of each stage that a frame passes on its way",
        run: &["--package", "benches", "--", "path"],
    },
    Group {
        name: "keys",
        says: "seals and headers, the link handshake, group keys",
        run: &["--package", "benches-keys", "--", "all"],
    },
    Group {
        name: CODECS,
        says: "fountain symbols, AV1 and sound beside others, and the whole pipeline from capture to eye",
        run: &["--package", "benches-codecs", "--"],
    },
    Group {
        name: MESH,
        says: "deaths, loss, churn and crowds in simulated sessions, deaths over real sockets, and the topology",
        run: &["--package", "benches-mesh", "--"],
    },
    Group {
        name: "store",
        says: "recordings: ingest, opening, deleting and space beside plain files",
        run: &["--package", "benches-store", "--"],
    },
    Group {
        name: RELAY,
        says: "what forwarding costs, beside bare UDP and QUIC, WebRTC and moq-relay",
        run: &["--package", "benches-relay", "--"],
    },
];

pub(crate) fn run(group: &str, json: Option<&Path>, options: &RelayOptions) -> Result<()> {
    let group = find(group)?;
    if group.name != RELAY && *options != RelayOptions::default() {
        bail!("--quick, --docs, --with-janus, --rounds and --soak-minutes are for the group `{RELAY}`");
    }
    setup::run(Purpose::Build)?;
    let mut command = cargo(["run", "--release"])?;
    command.args(group.run);
    if group.name == RELAY {
        relay(&mut command, options)?;
    }
    if [MESH, CODECS].contains(&group.name) {
        command.arg("--holomesh").arg(node()?);
    }
    if let Some(path) = json {
        // Cargo runs at the workspace's root; the path was given from where the caller stands.
        command.arg("--json").arg(absolute(path)?);
    }
    shell::run(&mut command)
}

/// Builds the node's program, and says where it is.
fn node() -> Result<PathBuf> {
    shell::run(&mut cargo(["build", "--release", "--package", "holomesh"])?)?;
    Ok(shell::target()?.join("release").join("holomesh"))
}

/// The release whose client library `benches/peers` is built with.
const MOQ_RELAY: &str = "0.17.10";

/// Builds what is measured, and says where it is.
fn relay(command: &mut Command, options: &RelayOptions) -> Result<()> {
    if options.with_janus {
        setup::janus()?;
    }
    let program = node()?;
    // In a target folder of its own, so that neither build throws away what the other has.
    let peers = shell::root()?.join("benches").join("peers");
    let target = peers.join("target");
    let mut build = cargo(["build", "--release", "--locked"])?;
    build.arg("--manifest-path").arg(peers.join("Cargo.toml")).arg("--target-dir").arg(&target);
    shell::run(&mut build)?;
    command.arg("--holomesh").arg(program);
    command.arg("--peers").arg(target.join("release").join("peers"));
    match moq_relay(&target) {
        Ok(program) => drop(command.arg("--moq-relay").arg(program)),
        Err(error) => println!("xtask: WARNING: WITHOUT THE ROWS OF MOQ-RELAY: {error:#}"),
    }
    if options.quick {
        command.arg("--quick");
    }
    if let Some(rounds) = options.rounds {
        command.arg("--rounds").arg(rounds.to_string());
    }
    if let Some(minutes) = &options.soak_minutes {
        command.arg("--soak-minutes").arg(minutes);
    }
    if let Some(page) = &options.docs {
        command.arg("--docs").arg(absolute(page)?);
    }
    Ok(())
}

/// The released program, built from the registry; ten minutes the first time.
fn moq_relay(target: &Path) -> Result<PathBuf> {
    let root = target.join("moq");
    let program = root.join("bin").join("moq-relay");
    let version = format!("moq-relay {MOQ_RELAY}");
    if says_version(&program, &version) {
        return Ok(program);
    }
    println!("xtask: building {version} with `cargo install`, which takes some minutes");
    // Not `--locked`: registries that lag behind have not all that its lock file names.
    let package = format!("moq-relay@={MOQ_RELAY}");
    let mut install = cargo(["install", &package, "--no-default-features", "--features", "noq", "--force"])?;
    let build = target.join("moq-build");
    install.arg("--root").arg(&root).arg("--target-dir").arg(&build);
    shell::run(&mut install)?;
    // A gigabyte that nothing asks for again.
    fs::remove_dir_all(&build).with_context(|| format!("could not remove {}", build.display()))?;
    Ok(program)
}

fn says_version(program: &Path, version: &str) -> bool {
    let said = Command::new(program).arg("--version").output();
    said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).trim() == version)
}

fn find(group: &str) -> Result<&'static Group> {
    let found = GROUPS.iter().find(|known| known.name == group);
    found.with_context(|| {
        let list: Vec<String> =
            GROUPS.iter().map(|known| format!("\n  {}: {}", known.name, known.says)).collect();
        format!("there is no benchmark group `{group}`; the groups are:{}", list.concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_group_is_answered_with_those_there_are() {
        assert_eq!(find("path").unwrap().run[3], "path");
        let error = find("pth").err().unwrap().to_string();
        assert!(error.contains("`pth`") && error.contains("path: ") && error.contains("relay: "), "{error}");
    }

    #[test]
    fn what_is_for_one_group_is_refused_by_the_others() {
        let options = RelayOptions { quick: true, ..RelayOptions::default() };
        let error = run("keys", None, &options).unwrap_err().to_string();
        assert!(error.contains("--quick") && error.contains("`relay`"), "{error}");
    }

    #[test]
    fn a_program_of_another_version_is_not_taken() {
        let cargo = Path::new(env!("CARGO"));
        let said = Command::new(cargo).arg("--version").output().unwrap().stdout;
        assert!(says_version(cargo, str::from_utf8(&said).unwrap().trim()));
        assert!(!says_version(cargo, "moq-relay 0.17.10"));
        assert!(!says_version(Path::new("no-such-program"), "moq-relay 0.17.10"));
    }
}
