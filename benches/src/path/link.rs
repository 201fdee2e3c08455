//! The link stage, which runs in a program of its own: it needs tokio, which only the node may link, and its clock is
//! that of the whole process.

use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use benches::Row;

pub(crate) fn run() -> Result<Row> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What `cargo run` has set of this package would have build scripts that watch it run again.
    for (name, _) in env::vars_os() {
        let text = name.to_str();
        if text.is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["bench", "--package", "benches", "--bench", "link", "--", "--rows"]);
    let output = command.stderr(Stdio::inherit()).output().context("could not start cargo")?;
    ensure!(output.status.success(), "`cargo bench --bench link` failed");
    let rows: [Row; 1] = serde_json::from_slice(&output.stdout).context("`link` gave no row")?;
    let [row] = rows;
    Ok(row)
}
