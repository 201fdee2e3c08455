//! `cargo xtask test`: every test and every documentation example.

use anyhow::Result;

use crate::setup::{self, Purpose};
use crate::shell::{self, cargo};

pub(crate) fn run() -> Result<()> {
    setup::run(Purpose::Test)?;
    tests()?;
    examples()
}

/// The unit and integration tests of every crate.
pub(crate) fn tests() -> Result<()> {
    shell::cargo_tool("nextest")?;
    shell::run(&mut cargo(["nextest", "run", "--workspace", "--no-fail-fast"])?)
}

/// The examples in the documentation, which nextest does not run.
pub(crate) fn examples() -> Result<()> {
    shell::run(&mut cargo(["test", "--doc", "--workspace"])?)
}
