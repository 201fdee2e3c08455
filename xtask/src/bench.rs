//! `cargo xtask bench GROUP`: one group of benchmarks, in the release profile.

use std::path::{Path, absolute};

use anyhow::{Result, bail};

use crate::setup::{self, Purpose};
use crate::shell::{self, cargo};

const GROUPS: [(&str, &str); 1] = [("path", "CPU time of each stage that a frame passes on its way")];

pub(crate) fn run(group: &str, json: Option<&Path>) -> Result<()> {
    known(group)?;
    setup::run(Purpose::Build)?;
    let mut command = cargo(["run", "--release", "--package", "benches", "--", group])?;
    if let Some(path) = json {
        // Cargo runs at the workspace's root; the path was given from where the caller stands.
        command.arg("--json").arg(absolute(path)?);
    }
    shell::run(&mut command)
}

fn known(group: &str) -> Result<()> {
    if GROUPS.iter().any(|(name, _)| *name == group) {
        return Ok(());
    }
    let list: Vec<String> = GROUPS.iter().map(|(name, what)| format!("\n  {name}: {what}")).collect();
    bail!("there is no benchmark group `{group}`; the groups are:{}", list.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_group_is_answered_with_those_there_are() {
        assert!(known("path").is_ok());
        let error = known("pth").unwrap_err().to_string();
        assert!(error.contains("`pth`") && error.contains("path: "), "{error}");
    }
}
