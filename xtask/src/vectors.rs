//! `cargo xtask vectors [--check]`: the conformance vectors, as the code makes them now.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{self, cargo};

/// The examples that write vectors into the folder that they are given.
const GENERATORS: [&str; 11] = [
    "alm_vectors",
    "av_lane_vectors",
    "av_link_vectors",
    "av_mls_vectors",
    "av_wire_vectors",
    "av_wire_proof_vectors",
    "codec_fountain_vectors",
    "consent_decay_vectors",
    "identity_vectors",
    "peer_gossip_vectors",
    "symbol_store_vectors",
];

pub(crate) fn run(check_only: bool) -> Result<()> {
    let root = shell::root()?;
    let kept = root.join("conformance-vectors");
    let made = root.join("target").join("conformance-vectors");
    generate(&made)?;
    let now = read(&made)?;
    if now.is_empty() {
        bail!("the generators wrote no vectors");
    }
    let differences = compare(&read(&kept)?, &now);
    if check_only && !differences.is_empty() {
        bail!(
            "the conformance vectors are not what the code makes:\n{}\nIf the change of the wire is meant, run \
             `cargo xtask vectors`, and change specification, code, vectors and changelog in one commit.",
            differences.iter().map(Difference::line).collect::<Vec<_>>().join("\n")
        );
    }
    for difference in &differences {
        println!("{}", difference.line());
        difference.settle(&kept, &now)?;
    }
    println!("vectors: {} files, {} differences", now.len(), differences.len());
    Ok(())
}

fn generate(into: &Path) -> Result<()> {
    if into.exists() {
        fs::remove_dir_all(into).with_context(|| format!("could not clear {}", into.display()))?;
    }
    fs::create_dir_all(into).with_context(|| format!("could not make {}", into.display()))?;
    // Of the whole workspace, as the tests are: its packages built one by one would each want other features of what they
    // share, and so another build of it.
    let mut build = cargo(["build", "--quiet", "--workspace"])?;
    build.args(GENERATORS.iter().flat_map(|name| ["--example", name]));
    shell::run(&mut build)?;
    let examples = shell::target()?.join("debug").join("examples");
    for name in GENERATORS {
        shell::run(Command::new(examples.join(name)).arg(into))?;
    }
    Ok(())
}

/// The vectors below a folder by their path in it. Only JSON is a vector: notes may lie beside them.
fn read(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(at) = open.pop() {
        if !at.exists() {
            continue;
        }
        for entry in fs::read_dir(&at).with_context(|| format!("could not list {}", at.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let bytes = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
                files.insert(path.strip_prefix(folder)?.to_path_buf(), bytes);
            }
        }
    }
    Ok(files)
}

#[derive(Debug, PartialEq, Eq)]
enum Difference {
    Drifted { path: PathBuf, line: usize },
    Missing { path: PathBuf },
    LeftOver { path: PathBuf },
}

fn compare(kept: &BTreeMap<PathBuf, Vec<u8>>, now: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (path, bytes) in now {
        match kept.get(path) {
            None => differences.push(Difference::Missing { path: path.clone() }),
            Some(old) if old != bytes => {
                differences
                    .push(Difference::Drifted { path: path.clone(), line: first_line_apart(old, bytes) });
            }
            Some(_) => {}
        }
    }
    let left_over = kept.keys().filter(|path| !now.contains_key(*path));
    differences.extend(left_over.map(|path| Difference::LeftOver { path: path.clone() }));
    differences
}

fn first_line_apart(one: &[u8], other: &[u8]) -> usize {
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    one[..same].iter().filter(|byte| **byte == b'\n').count() + 1
}

impl Difference {
    fn line(&self) -> String {
        match self {
            Self::Drifted { path, line } => format!("  drifted, first in line {line}: {}", path.display()),
            Self::Missing { path } => format!("  missing: {}", path.display()),
            Self::LeftOver { path } => format!("  left over, nothing makes it: {}", path.display()),
        }
    }

    fn settle(&self, kept: &Path, now: &BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
        match self {
            Self::LeftOver { path } => fs::remove_file(kept.join(path))
                .with_context(|| format!("could not remove {}", path.display())),
            Self::Drifted { path, .. } | Self::Missing { path } => {
                let to = kept.join(path);
                let folder = to.parent().context("a vector lies in a folder")?;
                fs::create_dir_all(folder)
                    .and_then(|()| fs::write(&to, &now[path]))
                    .with_context(|| format!("could not write {}", to.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> BTreeMap<PathBuf, Vec<u8>> {
        list.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn equal_sets_do_not_differ() {
        let set = files(&[("a.json", "{}"), ("b/c.json", "[]")]);
        assert_eq!(compare(&set, &set), []);
    }

    #[test]
    fn drift_loss_and_left_overs_are_told_apart() {
        let kept = files(&[("same.json", "1"), ("old.json", "1"), ("drift.json", "a\nb\nc")]);
        let now = files(&[("same.json", "1"), ("new.json", "1"), ("drift.json", "a\nb\nd")]);
        let differences = compare(&kept, &now);
        assert_eq!(
            differences,
            [
                Difference::Drifted { path: "drift.json".into(), line: 3 },
                Difference::Missing { path: "new.json".into() },
                Difference::LeftOver { path: "old.json".into() },
            ]
        );
    }

    #[test]
    fn a_cut_file_has_drifted() {
        let differences = compare(&files(&[("a.json", "x\ny")]), &files(&[("a.json", "x\n")]));
        assert_eq!(differences, [Difference::Drifted { path: "a.json".into(), line: 2 }]);
    }

    #[test]
    fn settling_makes_the_kept_ones_equal() {
        let kept = std::env::temp_dir().join(format!("xtask-vectors-{}", std::process::id()));
        let now = files(&[("deep/new.json", "1"), ("drift.json", "2")]);
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join("drift.json"), "1").unwrap();
        fs::write(kept.join("old.json"), "1").unwrap();
        fs::write(kept.join("notes.md"), "not a vector").unwrap();
        for difference in compare(&read(&kept).unwrap(), &now) {
            difference.settle(&kept, &now).unwrap();
        }
        let settled = read(&kept).unwrap();
        let notes_stayed = kept.join("notes.md").exists();
        fs::remove_dir_all(&kept).unwrap();
        assert_eq!(settled, now);
        assert!(notes_stayed);
    }
}
