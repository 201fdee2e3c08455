//! Starting other programs: each command is shown before it runs, and a failure names it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;

/// The workspace's root folder.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask ...`")?;
    let root = Path::new(&manifest).parent().context("xtask lies directly below the workspace's root")?;
    Ok(root.to_path_buf())
}

/// Where cargo builds the workspace.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata = MetadataCommand::new().current_dir(root()?).no_deps().exec();
    Ok(metadata.context("could not ask cargo where it builds")?.target_directory.into_std_path_buf())
}

/// A `cargo` call at the workspace's root.
///
/// `cargo run` has set variables that describe xtask itself. Build scripts of some dependencies watch them, so
/// with them left in place every crate above would be built again whenever xtask and a bare `cargo` take turns.
pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let describes_xtask = name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if describes_xtask {
            command.env_remove(name);
        }
    }
    command.current_dir(root()?).args(args);
    Ok(command)
}

/// Shows the command, runs it to its end, and fails unless it succeeded.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = announce(command);
    let status = command.status().with_context(|| format!("could not start `{shown}`"))?;
    check(&shown, status)
}

/// As [`run`], but ends the program and fails when it takes longer than `limit`.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = announce(command);
    let mut child = command.spawn().with_context(|| format!("could not start `{shown}`"))?;
    let Some(status) = wait(&mut child, limit)? else {
        child.kill().and_then(|()| child.wait()).with_context(|| format!("could not end `{shown}`"))?;
        bail!("`{shown}` was still running after {} s and was ended", limit.as_secs());
    };
    check(&shown, status)
}

/// Whether the command starts and succeeds; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Makes sure that `cargo NAME` exists, from the package `cargo-NAME` when it does not.
pub(crate) fn cargo_tool(name: &str) -> Result<()> {
    if succeeds(&mut cargo([name, "--version"])?) {
        return Ok(());
    }
    let package = format!("cargo-{name}");
    println!(
        "xtask: `{package}` is not installed; building it with `cargo install`, which takes some minutes"
    );
    run(&mut cargo(["install", &package, "--locked"])?)
}

fn announce(command: &Command) -> String {
    let shown = show(command);
    println!("$ {shown}");
    shown
}

fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut shown = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for arg in command.get_args() {
        shown.push(' ');
        shown.push_str(&arg.to_string_lossy());
    }
    shown
}

fn check(shown: &str, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_an_error_that_names_it() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let error = run_within(Command::new("sleep").arg("600"), Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains("sleep 600") && error.contains("ended"), "{error}");
    }

    #[test]
    fn children_do_not_see_what_cargo_says_of_xtask() {
        let command = cargo(["--version"]).unwrap();
        let removed: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.to_owned())
            .collect();
        assert!(removed.iter().any(|name| name == "CARGO_PKG_NAME"), "{removed:?}");
        assert!(removed.iter().any(|name| name == "CARGO_MANIFEST_DIR"), "{removed:?}");
    }
}
