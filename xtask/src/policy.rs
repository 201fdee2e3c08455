//! The policy on dependencies, `deny.toml`, checked by cargo-deny.

use anyhow::{Context, Result, bail};

use crate::shell::{self, cargo};

pub(crate) fn run() -> Result<()> {
    shell::cargo_tool("deny")?;
    shell::run(&mut cargo([
        "deny",
        "--workspace",
        "check",
        "-D",
        "warnings",
        "licenses",
        "bans",
        "sources",
    ])?)?;
    advisories()
}

/// The advisories need a database from the network; a machine without it can do all else, so that is no failure.
fn advisories() -> Result<()> {
    println!("$ cargo deny --workspace check advisories");
    let output = cargo(["deny", "--workspace", "check", "advisories"])?
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .context("could not start `cargo deny`")?;
    let said = String::from_utf8_lossy(&output.stderr);
    eprint!("{said}");
    match judge(output.status.success(), &said) {
        Verdict::Clean => Ok(()),
        Verdict::Skipped => {
            println!(
                "xtask: WARNING: ADVISORIES WERE NOT CHECKED: the advisory database could not be fetched"
            );
            Ok(())
        }
        Verdict::Found => bail!("an advisory touches a dependency, see above"),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Clean,
    Skipped,
    Found,
}

fn judge(succeeded: bool, said: &str) -> Verdict {
    match (succeeded, said.contains("failed to fetch advisory database")) {
        (true, _) => Verdict::Clean,
        (false, true) => Verdict::Skipped,
        (false, false) => Verdict::Found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_database_out_of_reach_is_forgiven() {
        assert_eq!(judge(true, "advisories ok"), Verdict::Clean);
        assert_eq!(judge(false, "[ERROR] failed to fetch advisory database ..."), Verdict::Skipped);
        assert_eq!(judge(false, "error[vulnerability]: double free"), Verdict::Found);
    }
}
