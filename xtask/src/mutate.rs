//! `cargo xtask mutate`: puts the faults of `mutations.toml` into a copy of the workspace, one at a time, and says which of them no test
//! of their crate notices.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::shell;

const LIST: &str = include_str!("../mutations.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutation: Vec<Mutation>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutation {
    what: String,
    #[serde(rename = "crate")]
    of: String,
    file: PathBuf,
    old: String,
    new: String,
}

impl Mutation {
    /// The file with the fault in it.
    fn of_text(&self, text: &str) -> Result<String> {
        let found = text.matches(&self.old).count();
        let file = self.file.display();
        ensure!(
            found == 1,
            "{}: in {file} of {} it is there {found} times, not once: `{}`",
            self.what,
            self.of,
            self.old
        );
        Ok(text.replacen(&self.old, &self.new, 1))
    }
}

fn list() -> Result<Vec<Mutation>> {
    Ok(toml::from_str::<List>(LIST).context("mutations.toml")?.mutation)
}

pub(crate) fn run(of: Option<&str>) -> Result<()> {
    let root = shell::root()?;
    let chosen: Vec<Mutation> =
        list()?.into_iter().filter(|mutation| of.is_none_or(|name| mutation.of == name)).collect();
    ensure!(!chosen.is_empty(), "there is no mutation of that crate: see xtask/mutations.toml");
    let copy = shell::target()?.join("mutated").join("tree");
    copy_tree(&root, &copy)?;
    let mut survivors = Vec::new();
    for (n, mutation) in chosen.iter().enumerate() {
        let path = copy.join("crates").join(&mutation.of).join(&mutation.file);
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        fs::write(&path, mutation.of_text(&text)?)?;
        let started = Instant::now();
        let outcome = test(&copy, &mutation.of);
        fs::write(&path, &text)?;
        let noticed = outcome?;
        println!(
            "{:3} of {}  {:9}  {:4} s  {}: {}",
            n + 1,
            chosen.len(),
            noticed.as_deref().map_or("SURVIVED", |_| "noticed"),
            started.elapsed().as_secs(),
            mutation.of,
            mutation.what,
        );
        match noticed {
            Some(by) => println!("                by {by}"),
            None => survivors.push(format!("{}: {}", mutation.of, mutation.what)),
        }
    }
    if !survivors.is_empty() {
        bail!("no test notices:\n  {}", survivors.join("\n  "));
    }
    println!("mutate: {} faults, each noticed", chosen.len());
    Ok(())
}

/// What is in version control, as it is now: a fault is never put into the files that somebody works on.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("could not clear {}", to.display()))?;
    }
    let listed =
        Command::new("git").args(["ls-files", "-z"]).current_dir(from).output().context("git ls-files")?;
    ensure!(listed.status.success(), "git ls-files failed");
    for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
        let (source, place) = (from.join(name), to.join(name));
        if !source.is_file() {
            continue;
        }
        let folder = place.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder)?;
        fs::copy(&source, &place).with_context(|| format!("could not copy {}", source.display()))?;
    }
    Ok(())
}

/// The first test that fails, or that does not compile any more; `None` if all pass.
fn test(copy: &Path, package: &str) -> Result<Option<String>> {
    let build = copy.with_file_name("build");
    let run = Command::new("cargo")
        .args([
            "nextest",
            "run",
            "--offline",
            "--fail-fast",
            "--status-level",
            "fail",
            "--final-status-level",
            "fail",
        ])
        .args(["--package", package])
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", build)
        .stdin(Stdio::null())
        .output()
        .context("cargo nextest")?;
    if run.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    ensure!(!said.contains("could not compile"), "a mutation that does not compile says nothing:\n{said}");
    let failed = said.lines().find(|line| line.trim_start().starts_with("FAIL") || line.contains("TIMEOUT"));
    let name = failed.and_then(|line| line.rsplit_once(") ")).map(|(_, name)| name.trim().to_owned());
    match name {
        Some(name) => Ok(Some(name)),
        None => bail!("`cargo nextest` failed, and names no test:\n{said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_place_and_is_another_text() {
        let root = shell::root().unwrap();
        for mutation in list().unwrap() {
            let path = root.join("crates").join(&mutation.of).join(&mutation.file);
            let text = fs::read_to_string(&path).unwrap();
            let altered = mutation.of_text(&text).unwrap();
            assert_ne!(altered, text, "{}", mutation.what);
        }
    }

    #[test]
    fn a_place_that_moved_or_is_there_twice_is_said() {
        let mutation = Mutation {
            what: "x".into(),
            of: "alm".into(),
            file: "src/lib.rs".into(),
            old: "a < b".into(),
            new: "a > b".into(),
        };
        assert_eq!(mutation.of_text("if a < b {").unwrap(), "if a > b {");
        assert!(mutation.of_text("if a <= b {").unwrap_err().to_string().contains("0 times"));
        assert!(mutation.of_text("a < b, a < b").unwrap_err().to_string().contains("2 times"));
    }
}
