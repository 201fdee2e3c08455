//! `cargo xtask bench GROUP`: one group of benchmarks, in the release profile.

use std::path::{Path, absolute};

use anyhow::{Context, Result};

use crate::setup::{self, Purpose};
use crate::shell::{self, cargo};

struct Group {
    name: &'static str,
    says: &'static str,
    /// What follows `cargo run --release`.
    run: [&'static str; 4],
}

const GROUPS: [Group; 2] = [
    Group {
        name: "path",
        says: "CPU time of each stage that a frame passes on its way",
        run: ["--package", "benches", "--", "path"],
    },
    Group {
        name: "keys",
        says: "seals and headers, the link handshake, group keys",
        run: ["--package", "benches-keys", "--", "all"],
    },
];

pub(crate) fn run(group: &str, json: Option<&Path>) -> Result<()> {
    let group = find(group)?;
    setup::run(Purpose::Build)?;
    let mut command = cargo(["run", "--release"])?;
    command.args(group.run);
    if let Some(path) = json {
        // Cargo runs at the workspace's root; the path was given from where the caller stands.
        command.arg("--json").arg(absolute(path)?);
    }
    shell::run(&mut command)
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
        assert!(error.contains("`pth`") && error.contains("path: ") && error.contains("keys: "), "{error}");
    }
}
