//! What there is in the sources: tests, modules with tests, items.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The sources of the workspace, and of each crate what a note may name.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// Paths and texts of all Rust files but those of this command.
    pub(crate) files: Vec<(String, String)>,
    crates: BTreeMap<String, Items>,
}

#[derive(Debug, Default)]
struct Items {
    /// By name, where they are.
    tests: BTreeMap<String, Vec<Place>>,
    /// Modules, folders and files in which there is a test.
    modules: BTreeSet<String>,
    /// Types and functions: an example in their documentation is a test.
    items: BTreeSet<String>,
    paths: BTreeSet<String>,
}

/// The parts of a file's path, and the modules within.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place(BTreeSet<String>);

impl Sources {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut sources = Self::default();
        for top in ["crates", "xtask", "benches", "fuzz/fuzz_targets"] {
            sources.walk(root, &root.join(top))?;
        }
        Ok(sources)
    }

    fn walk(&mut self, root: &Path, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    self.walk(root, &path)?;
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("could not read {}", path.display()))?;
                self.add(&path.strip_prefix(root)?.to_string_lossy().replace('\\', "/"), &text);
            }
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, path: &str, text: &str) {
        let mut parts = path.split('/');
        let name = match (parts.next(), parts.next()) {
            (Some("crates"), Some(name)) => Some(name),
            (Some("xtask"), _) => Some("xtask"),
            _ => None,
        };
        if let Some(name) = name {
            self.crates.entry(name.to_owned()).or_default().add(path, text);
        }
        // The tests of this command are full of references to what is not there.
        if !path.starts_with("xtask/src/spec") {
            self.files.push((path.to_owned(), text.to_owned()));
        }
    }

    pub(crate) fn is_crate(&self, name: &str) -> bool {
        self.crates.contains_key(name)
    }

    /// Whether one of the crates has what is named: a test, a file, a module with tests, or an item with a capital letter.
    pub(crate) fn find(&self, crates: &[String], name: &str) -> Result<bool, String> {
        if crates.is_empty() {
            return Err(format!("`{name}` is named, and the page does not say of which crate"));
        }
        for of in crates {
            let Some(items) = self.crates.get(of) else {
                return Err(format!("`{name}` is said to be of `{of}`, and there is no such crate"));
            };
            if items.have(name) {
                return Ok(true);
            }
        }
        let elsewhere: Vec<&str> =
            self.crates.iter().filter(|(_, items)| items.have(name)).map(|(of, _)| of.as_str()).collect();
        let where_else =
            if elsewhere.is_empty() { String::new() } else { format!(", but in {}", elsewhere.join(", ")) };
        Err(format!("there is no test `{name}` in {}{where_else}", crates.join(" or ")))
    }
}

impl Sources {
    /// As [`find`](Self::find), for a name with its crate and its way there, as `crate::file::tests/other::test`.
    pub(crate) fn find_at(&self, of: &str, name: &str) -> Result<(), String> {
        self.find(&[of.to_owned()], name)?;
        let way = name.strip_prefix(of).and_then(|rest| rest.strip_prefix("::")).unwrap_or(name);
        let (way, test) = way.rsplit_once("::").unwrap_or(("", way));
        let parts: Vec<&str> =
            way.split("::").flat_map(|part| part.split('/')).filter(|part| !part.is_empty()).collect();
        let places =
            self.crates.get(of).and_then(|items| items.tests.get(test)).map_or(&[][..], Vec::as_slice);
        let is_there = |place: &Place| parts.iter().all(|part| place.0.contains(*part));
        if places.is_empty() || places.iter().any(is_there) {
            return Ok(());
        }
        Err(format!("`{test}` of {of} is not in {way}"))
    }
}

impl Items {
    fn have(&self, name: &str) -> bool {
        if name.contains('/') && !name.contains("::") {
            return self.paths.iter().any(|path| path.ends_with(&format!("/{name}")));
        }
        let last = name.rsplit("::").next().unwrap_or(name);
        self.tests.contains_key(last)
            || self.modules.contains(last)
            || (name.contains(|c: char| c.is_uppercase()) && self.items.contains(last))
    }

    fn add(&mut self, path: &str, text: &str) {
        self.paths.insert(path.to_owned());
        let mut is_test = false;
        let (mut tests, mut modules) = (Vec::new(), Vec::new());
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[") {
                is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            } else if let Some((kind, name)) = item(line) {
                match kind {
                    "mod" => modules.push(name),
                    "fn" if is_test => tests.push(name),
                    _ => {
                        self.items.insert(name);
                    }
                }
                is_test = false;
            } else if !line.starts_with("//") && !line.is_empty() {
                is_test = false;
            }
        }
        if tests.is_empty() {
            return;
        }
        let stem = path.strip_suffix(".rs").unwrap_or(path).trim_end_matches("/mod");
        let place: BTreeSet<String> = stem.split('/').map(str::to_owned).chain(modules).collect();
        self.modules.extend(place.iter().cloned());
        for test in tests {
            self.tests.entry(test).or_default().push(Place(place.clone()));
        }
    }
}

/// The kind and name of an item that a line declares.
fn item(line: &str) -> Option<(&'static str, String)> {
    let mut line = line;
    for before in ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe "] {
        line = line.strip_prefix(before).unwrap_or(line);
    }
    for kind in ["fn", "struct", "enum", "trait", "mod"] {
        if let Some(rest) = line.strip_prefix(kind).and_then(|rest| rest.strip_prefix(' ')) {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            return (!name.is_empty()).then_some((kind, name));
        }
    }
    None
}
