//! The system's packages that the build and the tests need: what is missing is said, then installed or asked for.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// What the machine is about to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Building and running the program.
    Build,
    /// Building it and running its tests.
    Test,
    /// Running the second checker of the conformance vectors.
    Witness,
}

/// Makes sure that the programs needed are there.
///
/// # Errors
/// When something is missing and this process can't install it; the message holds the exact line that does.
pub(crate) fn run(purpose: Purpose) -> Result<()> {
    provide(tools(purpose))
}

/// Makes sure that Janus is there: nothing needs it but the benchmark of relays, when that is asked for it.
///
/// # Errors
/// As [`run`].
pub(crate) fn janus() -> Result<()> {
    provide([&JANUS].into_iter())
}

fn provide(needed: impl Iterator<Item = &'static Tool>) -> Result<()> {
    let search = env::var_os("PATH").unwrap_or_default();
    let missing: Vec<&Tool> = needed.filter(|tool| !tool.is_there(&search)).collect();
    let may_install = is_root() && is_there("apt-get", &search);
    match plan(&missing, may_install) {
        Plan::Nothing => Ok(()),
        Plan::Install { said, packages } => {
            println!("xtask: {said}");
            shell::run(Command::new("apt-get").arg("update"))?;
            shell::run(
                Command::new("apt-get")
                    .env("DEBIAN_FRONTEND", "noninteractive")
                    .args(["install", "-y", "--no-install-recommends"])
                    .args(packages),
            )
        }
        Plan::Ask { said } => bail!(said),
    }
}

struct Tool {
    command: &'static str,
    package: &'static str,
    why: &'static str,
    /// Arguments with which the command has to succeed, where that it is there is not enough.
    probe: &'static [&'static str],
}

impl Tool {
    const fn new(command: &'static str, package: &'static str, why: &'static str) -> Self {
        Self { command, package, why, probe: &[] }
    }

    fn is_there(&self, search: &OsStr) -> bool {
        is_there(self.command, search)
            && (self.probe.is_empty() || shell::succeeds(Command::new(self.command).args(self.probe)))
    }
}

const BUILD: [Tool; 5] = [
    Tool::new("cc", "build-essential", "to link, and to build C dependencies"),
    Tool::new("c++", "build-essential", "to build C++ dependencies"),
    Tool::new("cmake", "cmake", "to build libaom, libopus and AWS-LC"),
    Tool::new("nasm", "nasm", "to assemble the AV1 encoder and decoder"),
    Tool::new("pkg-config", "pkg-config", "to find system libraries"),
];

const TEST: [Tool; 2] = [
    Tool::new("ffmpeg", "ffmpeg", "to make test input"),
    Tool::new("ffprobe", "ffmpeg", "to read recordings back"),
];

const JANUS: Tool = Tool::new("janus", "janus", "to be measured beside our relay");

/// Debian has what makes environments in a package of its own.
const WITNESS: [Tool; 1] = [Tool {
    probe: &["-c", "import ensurepip, venv"],
    ..Tool::new("python3", "python3-venv", "to check the conformance vectors a second time")
}];

fn tools(purpose: Purpose) -> impl Iterator<Item = &'static Tool> {
    let (build, tests, witness): (&[Tool], &[Tool], &[Tool]) = match purpose {
        Purpose::Build => (&BUILD, &[], &[]),
        Purpose::Test => (&BUILD, &TEST, &WITNESS),
        Purpose::Witness => (&[], &[], &WITNESS),
    };
    build.iter().chain(tests).chain(witness)
}

#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Nothing,
    Install { said: String, packages: Vec<&'static str> },
    Ask { said: String },
}

fn plan(missing: &[&Tool], may_install: bool) -> Plan {
    if missing.is_empty() {
        return Plan::Nothing;
    }
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    packages.dedup();
    let wants: Vec<String> = missing.iter().map(|tool| format!("{} ({})", tool.command, tool.why)).collect();
    let (wants, names) = (wants.join(", "), packages.join(" "));
    if may_install {
        Plan::Install {
            said: format!("missing: {wants}; installing the packages {names} with apt-get"),
            packages,
        }
    } else {
        Plan::Ask {
            said: format!(
                "missing: {wants}; on Debian or Ubuntu run:\n  sudo apt-get update && \
                 sudo apt-get install -y --no-install-recommends {names}\nand then this command again"
            ),
        }
    }
}

fn is_there(command: &str, search: &OsStr) -> bool {
    env::split_paths(search).any(|folder| is_executable(&folder.join(command)))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(commands: &[&str]) -> Vec<&'static Tool> {
        tools(Purpose::Test).filter(|tool| commands.contains(&tool.command)).collect()
    }

    #[test]
    fn with_everything_there_nothing_is_done() {
        assert_eq!(plan(&[], true), Plan::Nothing);
        assert_eq!(plan(&[], false), Plan::Nothing);
    }

    #[test]
    fn root_installs_each_package_once() {
        let Plan::Install { said, packages } =
            plan(&missing(&["cc", "c++", "nasm", "ffmpeg", "ffprobe"]), true)
        else {
            panic!("root can install");
        };
        assert_eq!(packages, ["build-essential", "nasm", "ffmpeg"]);
        assert!(said.contains("nasm (") && said.contains("apt-get"), "{said}");
    }

    #[test]
    fn others_get_the_exact_line() {
        let Plan::Ask { said } = plan(&missing(&["cmake", "nasm"]), false) else {
            panic!("others can't install");
        };
        let line = "sudo apt-get install -y --no-install-recommends cmake nasm\n";
        assert!(said.contains(line), "{said}");
    }

    #[test]
    fn only_tests_need_ffmpeg() {
        assert!(tools(Purpose::Build).all(|tool| tool.package != "ffmpeg"));
        assert!(tools(Purpose::Test).any(|tool| tool.command == "ffprobe"));
    }

    #[test]
    fn a_program_that_lacks_a_part_is_not_there() {
        let search = env::var_os("PATH").unwrap();
        let sh = |probe| Tool { probe, ..Tool::new("sh", "dash", "for this test") };
        assert!(sh(&[]).is_there(&search) && sh(&["-c", "exit 0"]).is_there(&search));
        assert!(!sh(&["-c", "exit 1"]).is_there(&search));
    }

    #[test]
    fn a_program_is_looked_for_on_the_search_path() {
        let search = env::var_os("PATH").unwrap();
        assert!(is_there("sh", &search));
        assert!(!is_there("sh", OsStr::new("")));
        assert!(!is_there("no-such-program", &search));
    }
}
