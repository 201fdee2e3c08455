//! `cargo xtask check-vectors`: the second checker of the conformance vectors, in Python, in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::{self, Purpose};
use crate::shell;

/// Checks the vectors by the specification alone.
///
/// # Errors
/// When the environment can't be made, or a vector is not what the specification says.
pub(crate) fn run(args: &[String]) -> Result<()> {
    setup::run(Purpose::Witness)?;
    let (python, checker) = environment()?;
    shell::run(Command::new(python).arg("-B").arg(checker).args(args))
}

/// Alters vectors in so many places, on copies in memory: each has to be noticed.
///
/// # Errors
/// When one is not.
pub(crate) fn flip(count: u32, seed: u64) -> Result<()> {
    setup::run(Purpose::Witness)?;
    let (python, checker) = environment()?;
    let mut command = Command::new(python);
    command.arg("-B").arg(checker.join("flips.py"));
    shell::run(command.args(["--count", &count.to_string(), "--seed", &seed.to_string(), "--verbose"]))
}

/// The Python to run, which has the pinned packages, and where the checker is.
fn environment() -> Result<(PathBuf, PathBuf)> {
    let root = shell::root()?;
    let checker = root.join("conformance-vectors").join("check");
    let pinned = checker.join("requirements.txt");
    let wanted =
        fs::read_to_string(&pinned).with_context(|| format!("could not read {}", pinned.display()))?;
    let folder = root.join("target").join("check-vectors");
    let python = folder.join("bin").join("python3");
    if !is_ready(&folder, &wanted) {
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("could not clear {}", folder.display()))?;
        }
        shell::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        shell::run(
            install.args(["--require-hashes", "--only-binary", ":all:", "--requirement"]).arg(&pinned),
        )?;
        fs::write(folder.join(DONE), &wanted).context("could not note what was installed")?;
    }
    Ok((python, checker))
}

/// Written last, with the requirements that were installed.
const DONE: &str = "installed.txt";

/// Whether an environment is whole, and has what is wanted now.
fn is_ready(folder: &Path, wanted: &str) -> bool {
    fs::read_to_string(folder.join(DONE)).is_ok_and(|installed| installed == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_with_other_packages_is_made_anew() {
        let folder = std::env::temp_dir().join(format!("xtask-witness-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert!(!is_ready(&folder, "a==1"));
        fs::write(folder.join(DONE), "a==1").unwrap();
        let (same, newer) = (is_ready(&folder, "a==1"), is_ready(&folder, "a==2"));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((same, newer), (true, false));
    }
}
