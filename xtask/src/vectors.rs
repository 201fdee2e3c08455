//! `cargo xtask vectors [--check]`: the conformance vectors, as the code makes them now, and who reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::shell::{self, cargo};

/// The examples that write vectors into the folder that they are given, and their crates.
const GENERATORS: [(&str, &str); 13] = [
    ("alm", "alm_vectors"),
    ("alm", "alm_mesh_vectors"),
    ("av-lane", "av_lane_vectors"),
    ("av-link", "av_link_vectors"),
    ("av-mls", "av_mls_vectors"),
    ("av-wire", "av_wire_vectors"),
    ("av-wire", "av_wire_proof_vectors"),
    ("codec-fountain", "codec_fountain_vectors"),
    ("codec-mdc", "codec_mdc_vectors"),
    ("consent-decay", "consent_decay_vectors"),
    ("identity", "identity_vectors"),
    ("peer-gossip", "peer_gossip_vectors"),
    ("symbol-store", "symbol_store_vectors"),
];

/// Lists the files, by which crate makes them and with their digests.
const INDEX: &str = "index.json";
/// Where tests note what they read: `vector_kit::read::READS`.
const READS: &str = "HOLOMESH_VECTOR_READS";

pub(crate) fn run(check_only: bool) -> Result<()> {
    let root = shell::root()?;
    let kept = root.join("conformance-vectors");
    let made = root.join("target").join("conformance-vectors");
    let makers = generate(&made)?;
    let mut now = read(&made)?;
    now.insert(INDEX.into(), index(&version(&kept)?, &makers, &now)?);
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
    if check_only {
        let read = reads(&root)?;
        let unread = unread(&now, &read);
        if !unread.is_empty() {
            bail!("no test reads these vectors:\n{}", unread.join("\n"));
        }
        println!("vectors: each file is read by a test");
    }
    Ok(())
}

/// The version of the vectors: that of the newest entry of their changelog.
fn version(kept: &Path) -> Result<String> {
    let path = kept.join("CHANGELOG.md");
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let newest = text.lines().find_map(|line| line.strip_prefix("## "));
    Ok(newest.context("the changelog of the vectors has no entry `## VERSION`")?.trim().to_owned())
}

fn index(
    version: &str,
    makers: &BTreeMap<PathBuf, &str>,
    now: &BTreeMap<PathBuf, Vec<u8>>,
) -> Result<Vec<u8>> {
    let mut files = serde_json::Map::new();
    for (path, bytes) in now {
        let maker = makers.get(path).with_context(|| format!("nobody makes {}", path.display()))?;
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let name = path.to_str().context("names of vectors are ASCII")?.replace('\\', "/");
        files.insert(name, json!({ "made_by": maker, "sha256": digest }));
    }
    let index = json!({ "version": version, "files": files });
    Ok((serde_json::to_string_pretty(&index)? + "\n").into_bytes())
}

/// Runs the tests that read vectors, and says which files they read.
fn reads(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let noted = root.join("target").join("vector-reads");
    clear(&noted)?;
    shell::cargo_tool("nextest")?;
    let tests = ["nextest", "run", "--workspace", "--no-fail-fast", "--test", "*vectors"];
    shell::run(cargo(tests)?.env(READS, &noted))?;
    Ok(read(&noted)?.into_keys().collect())
}

fn unread(now: &BTreeMap<PathBuf, Vec<u8>>, read: &BTreeSet<PathBuf>) -> Vec<String> {
    let files = now.keys().filter(|path| *path != Path::new(INDEX) && !read.contains(*path));
    files.map(|path| format!("  {}", path.display())).collect()
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("could not clear {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))
}

/// Makes all vectors anew, and says which crate made which.
fn generate(into: &Path) -> Result<BTreeMap<PathBuf, &'static str>> {
    clear(into)?;
    // Of the whole workspace, as the tests are: its packages built one by one would each want other features of what they
    // share, and so another build of it.
    let mut build = cargo(["build", "--quiet", "--workspace"])?;
    build.args(GENERATORS.iter().flat_map(|(_, name)| ["--example", name]));
    shell::run(&mut build)?;
    let examples = shell::target()?.join("debug").join("examples");
    let mut makers = BTreeMap::new();
    for (maker, name) in GENERATORS {
        let part = into.join(name);
        shell::run(Command::new(examples.join(name)).arg(&part))?;
        for path in read(&part)?.into_keys() {
            let to = into.join(&path);
            let folder = to.parent().context("a vector lies in a folder")?;
            fs::create_dir_all(folder)
                .and_then(|()| fs::rename(part.join(&path), &to))
                .with_context(|| format!("could not put {} in its place", path.display()))?;
            if makers.insert(path.clone(), maker).is_some() {
                bail!("two generators make {}", path.display());
            }
        }
        fs::remove_dir_all(&part).with_context(|| format!("could not remove {}", part.display()))?;
    }
    Ok(makers)
}

/// The vectors below a folder by their path in it, and their index. Only JSON in folders is a vector: notes and the schema
/// may lie beside them.
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
            } else if path.extension().is_some_and(|extension| extension == "json")
                && (at != folder || path.ends_with(INDEX))
            {
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
        let now = files(&[("deep/new.json", "1"), ("a/drift.json", "2"), ("index.json", "3")]);
        fs::create_dir_all(kept.join("a")).unwrap();
        fs::write(kept.join("a/drift.json"), "1").unwrap();
        fs::write(kept.join("a/old.json"), "1").unwrap();
        fs::write(kept.join("notes.md"), "not a vector").unwrap();
        fs::write(kept.join("schema.json"), "no vector either").unwrap();
        for difference in compare(&read(&kept).unwrap(), &now) {
            difference.settle(&kept, &now).unwrap();
        }
        let settled = read(&kept).unwrap();
        let notes_stayed = ["notes.md", "schema.json"].iter().all(|name| kept.join(name).exists());
        fs::remove_dir_all(&kept).unwrap();
        assert_eq!(settled, now);
        assert!(notes_stayed);
    }

    #[test]
    fn what_no_test_reads_is_found() {
        let now = files(&[("a/read.json", "1"), ("a/unread.json", "1"), ("index.json", "{}")]);
        let read = BTreeSet::from([PathBuf::from("a/read.json"), PathBuf::from("a/gone.json")]);
        assert_eq!(unread(&now, &read), ["  a/unread.json"]);
        assert!(unread(&now, &now.keys().cloned().collect()).is_empty());
    }

    #[test]
    fn the_index_names_makers_and_digests() {
        let now = files(&[("a/empty.json", "")]);
        let makers = BTreeMap::from([(PathBuf::from("a/empty.json"), "alm")]);
        let index: serde_json::Value =
            serde_json::from_slice(&index("1.2.3", &makers, &now).unwrap()).unwrap();
        assert_eq!(index["version"], "1.2.3");
        let file = &index["files"]["a/empty.json"];
        assert_eq!(file["made_by"], "alm");
        assert_eq!(file["sha256"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert!(super::index("1.2.3", &BTreeMap::new(), &now).is_err());
    }

    #[test]
    fn tests_and_this_program_mean_the_same_variable() {
        let kit =
            fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/vector-kit/src/read.rs"))
                .unwrap();
        assert!(kit.contains(&format!("pub const READS: &str = \"{READS}\";")));
    }
}
