//! `cargo xtask tidy`: what neither the compiler nor clippy looks at.
//!
//! The words that it looks for are put together from halves here, so that this file does not find itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{shell, tidy_domains};

pub(crate) fn run() -> Result<()> {
    let root = shell::root()?;
    let mut findings = Vec::new();
    let (mut files, mut domains) = (0, Vec::new());
    for path in tracked(&root)? {
        // Fuzzing seeds are arbitrary bytes, some of which happen to be text.
        let Ok(bytes) = fs::read(root.join(&path)) else { continue };
        if bytes.contains(&0) || path.starts_with("fuzz/corpus/") {
            continue;
        }
        if let Ok(text) = str::from_utf8(&bytes) {
            files += 1;
            findings.extend(look(&path, text));
            domains.extend(tidy_domains::named(&path, text));
        }
    }
    let page =
        fs::read_to_string(root.join(tidy_domains::PAGE)).context("could not read the table of domains")?;
    findings.extend(tidy_domains::faults(&domains, &page).into_iter().map(Finding::from));
    let (faults, hints): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.is_fault);
    for hint in hints {
        println!("warning: {}", hint.line());
    }
    if !faults.is_empty() {
        let lines: Vec<String> = faults.into_iter().map(Finding::line).collect();
        bail!("{} things to tidy:\n{}", lines.len(), lines.join("\n"));
    }
    println!("tidy: {files} files are in order");
    Ok(())
}

/// The files that git tracks or, new and not ignored, would track.
fn tracked(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("could not start `git`")?;
    if !output.status.success() {
        bail!("`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let names = String::from_utf8(output.stdout).context("a tracked file's name is not UTF-8")?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: Option<usize>,
    what: String,
    is_fault: bool,
}

impl Finding {
    fn fault(path: &str, line: Option<usize>, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), is_fault: true }
    }

    fn line(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}: {}", self.path, self.what),
            None => format!("{}: {}", self.path, self.what),
        }
    }
}

impl From<(String, Option<usize>, String)> for Finding {
    fn from((path, line, what): (String, Option<usize>, String)) -> Self {
        Self { path, line, what, is_fault: true }
    }
}

fn look(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if path.ends_with(".rs") {
        findings.extend(length(path, text));
        findings.extend(words(path, text));
    }
    if path.ends_with("Cargo.toml") {
        findings.extend(manifest(path, text));
    }
    if !path.ends_with("Cargo.lock") {
        findings.extend(places(path, text));
    }
    findings.extend(stray_space(path, text));
    findings
}

const LONG: usize = 400;
const TOO_LONG: usize = 600;

/// Past 600 lines a file is two ideas.
fn length(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    let what = format!("{lines} lines; aim for at most {LONG}, above {TOO_LONG} it has to be split");
    (lines > LONG).then(|| Finding { is_fault: lines > TOO_LONG, ..Finding::fault(path, None, what) })
}

/// Marks of work that is not finished.
const WORDS: [&str; 5] = [
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
    concat!("d", "bg!"),
    concat!("FIX", "ME"),
    concat!("#[ig", "nore"),
];

fn words(path: &str, text: &str) -> Vec<Finding> {
    each_line(text, |line| WORDS.into_iter().find(|word| line.contains(word)))
        .map(|(line, word)| Finding::fault(path, Some(line), format!("`{word}` is not to be committed")))
        .collect()
}

/// Folders that exist on somebody's machine alone.
const FOLDERS: [&str; 3] = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/")];

/// Hosts that a package client's configuration names, and nothing else here has to.
const HOSTS: [&str; 7] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npm", "js.org"),
    concat!("deb.", "debian.org"),
    concat!("security.", "debian.org"),
    concat!("proxy.", "golang.org"),
];

fn places(path: &str, text: &str) -> Vec<Finding> {
    let found = |line: &str| {
        let folder = FOLDERS.into_iter().find(|folder| has_absolute(line, folder));
        folder.or_else(|| HOSTS.into_iter().find(|host| line.contains(host)))
    };
    each_line(text, found)
        .map(|(line, place)| Finding::fault(path, Some(line), format!("`{place}` belongs to one machine")))
        .collect()
}

/// Whether the folder occurs from the root on, and not as the middle of a longer path.
fn has_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '}' | ')' | '*'))
    })
}

fn stray_space(path: &str, text: &str) -> Vec<Finding> {
    each_line(text, |line| line.ends_with([' ', '\t', '\r']).then_some(()))
        .map(|(line, ())| Finding::fault(path, Some(line), "space at the end of the line"))
        .collect()
}

/// The crates whose lints are their own: they hold the unsafe code, which the workspace forbids.
const OWN_LINTS: [&str; 3] =
    ["crates/av1-backends/Cargo.toml", "crates/gf256/Cargo.toml", "crates/opus-backends/Cargo.toml"];

fn manifest(path: &str, text: &str) -> Vec<Finding> {
    let entries = entries(text);
    let has_table = |name: &str| entries.iter().any(|(table, _, _)| *table == name);
    let has = |table: &str, key: &str, test: fn(&str) -> bool| {
        entries.iter().any(|entry| (entry.0, entry.1) == (table, key) && test(entry.2))
    };
    let mut findings = Vec::new();
    if has_table("package") && !has("package", "description", |value| value.trim_matches('"').len() > 1) {
        findings.push(Finding::fault(path, None, "a package has a description"));
    }
    // A manifest with its own `[workspace]` has no workspace above it whose lints it could share.
    let shares_lints = has("lints", "workspace", |value| value == "true");
    let has_own_lints =
        OWN_LINTS.contains(&path) && entries.iter().any(|(table, _, _)| table.starts_with("lints."));
    if has_table("package") && !has_table("workspace") && !shares_lints && !has_own_lints {
        findings.push(Finding::fault(
            path,
            None,
            "a package shares the workspace's lints: `[lints] workspace = true`",
        ));
    }
    findings
}

/// The `key = value` lines of a manifest, each with the table that it stands in; a table's head has no key.
fn entries(text: &str) -> Vec<(&str, &str, &str)> {
    let mut table = "";
    let mut entries = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = name.trim_matches(['[', ']']);
            entries.push((table, "", ""));
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            entries.push((table, key.trim(), value.trim()));
        }
    }
    entries
}

fn each_line<T>(text: &str, found: impl Fn(&str) -> Option<T>) -> impl Iterator<Item = (usize, T)> {
    // Not `lines`, which would hide a carriage return.
    text.split('\n').enumerate().filter_map(move |(at, line)| Some((at + 1, found(line)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "crates/x/src/lib.rs";

    #[test]
    fn a_long_file_is_a_hint_and_a_very_long_one_a_fault() {
        let of = |lines: usize| length(PATH, &"x\n".repeat(lines)).map(|finding| finding.is_fault);
        assert_eq!([of(400), of(401), of(600), of(601)], [None, Some(false), Some(false), Some(true)]);
        assert!(look("notes.md", &"x\n".repeat(700)).is_empty());
    }

    #[test]
    fn each_mark_of_unfinished_work_is_found_in_rust_alone() {
        for word in WORDS {
            let text = format!("fn f() {{\n    {word}\n}}\n");
            let findings = look(PATH, &text);
            assert_eq!(findings.len(), 1, "{word}");
            assert_eq!((findings[0].line, findings[0].is_fault), (Some(2), true), "{word}");
            assert!(look("CHANGELOG.md", &text).is_empty(), "{word}");
        }
    }

    #[test]
    fn absolute_folders_are_found_and_longer_paths_are_not() {
        for folder in FOLDERS {
            for text in [format!("cd {folder}x"), format!("\"{folder}x\""), format!("file://{folder}x")] {
                assert_eq!(look("a.md", &text).len(), 1, "{text}");
            }
            for text in [format!("target{folder}x"), format!("~{folder}x"), format!("${{DIR}}{folder}x")] {
                assert!(look("a.md", &text).is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn registry_hosts_are_found_but_in_lock_files() {
        for host in HOSTS {
            let text = format!("see https://{host}/x");
            assert_eq!(look("README.md", &text).len(), 1, "{host}");
            assert!(look("Cargo.lock", &text).is_empty(), "{host}");
        }
    }

    #[test]
    fn space_at_the_end_of_a_line_is_found() {
        let lines = |text: &str| stray_space("a.md", text).iter().filter_map(|f| f.line).collect::<Vec<_>>();
        assert_eq!(lines("a\nb \nc\t\nd\r\n e\n"), [2, 3, 4]);
    }

    #[test]
    fn a_manifest_shares_lints_and_has_a_description() {
        let manifest = |path: &str, text: &str| look(path, text).len();
        let good = "[package]\nname = \"x\"\ndescription = \"what\"\n\n[lints]\nworkspace = true\n";
        assert_eq!(manifest("crates/x/Cargo.toml", good), 0);
        assert_eq!(manifest("crates/x/Cargo.toml", &good.replace("what", "")), 1);
        assert_eq!(manifest("crates/x/Cargo.toml", &good.replace("description", "# description")), 1);
        assert_eq!(manifest("crates/x/Cargo.toml", &good.replace("true", "false")), 1);
        assert_eq!(manifest("crates/x/Cargo.toml", &good.replace("[lints]", "[metadata]")), 1);
        assert_eq!(manifest("Cargo.toml", "[workspace]\nmembers = []\n"), 0);
    }

    #[test]
    fn only_crates_with_unsafe_code_have_lints_of_their_own() {
        let own = "[package]\ndescription = \"what\"\n\n[lints.rust]\nmissing_docs = \"warn\"\n";
        assert!(OWN_LINTS.iter().all(|path| look(path, own).is_empty()));
        assert_eq!(look("crates/x/Cargo.toml", own).len(), 1);
        assert_eq!(look(OWN_LINTS[0], &own.replace("[lints.rust]", "[features]")).len(), 1);
    }
}
