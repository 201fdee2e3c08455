//! The conformance vectors, as far as notes name them: files, and cases in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// What there is to be named.
#[derive(Debug, Default)]
pub(crate) struct Vectors {
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    folder: String,
    stem: String,
    /// All keys, and all strings beside a key `id`.
    words: BTreeSet<String>,
}

impl Vectors {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut vectors = Self::default();
        for folder in fs::read_dir(root).with_context(|| format!("could not list {}", root.display()))? {
            let folder = folder?.path();
            if !folder.is_dir() {
                continue;
            }
            for file in
                fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))?
            {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == "json") {
                    let text = fs::read_to_string(&path);
                    let text = text.with_context(|| format!("could not read {}", path.display()))?;
                    let value = serde_json::from_str(&text)
                        .with_context(|| format!("{} is no JSON", path.display()))?;
                    let name = |path: Option<&std::ffi::OsStr>| {
                        path.unwrap_or_default().to_string_lossy().into_owned()
                    };
                    vectors.add(&name(folder.file_name()), &name(path.file_stem()), &value);
                }
            }
        }
        Ok(vectors)
    }

    pub(crate) fn add(&mut self, folder: &str, stem: &str, value: &Value) {
        let mut words = BTreeSet::new();
        collect(value, &mut words);
        self.files.push(File { folder: folder.to_owned(), stem: stem.to_owned(), words });
    }

    /// Whether there is the file, or a case of that name in one of the page's, and in it each of the parts.
    pub(crate) fn find(&self, folders: &[String], file: &str, parts: &[String]) -> Result<bool, String> {
        let stem = file.strip_suffix(".json").unwrap_or(file);
        let is_meant = |of: &&File| folders.is_empty() || folders.contains(&of.folder);
        let named: Vec<&File> = self.files.iter().filter(|of| of.stem == stem).filter(is_meant).collect();
        let mut meant =
            if named.is_empty() { self.files.iter().filter(is_meant).collect() } else { named.clone() };
        if named.is_empty() && !meant.iter().any(|of| of.has(stem)) {
            return Err(format!(
                "there is no vector `{file}`, nor a case of that name in {}",
                folders.join(", ")
            ));
        }
        // Several files may be named in one list.
        meant.extend(self.files.iter().filter(|of| parts.contains(&of.stem)));
        for part in parts {
            let part = part.strip_suffix(".json").unwrap_or(part);
            if !meant.iter().any(|of| of.stem == part || of.has(part)) {
                return Err(format!("there is no `{part}` in the vector `{file}`"));
            }
        }
        Ok(true)
    }
}

impl File {
    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|known| known.replace('_', "-").contains(&word.replace('_', "-")))
    }
}

fn collect(value: &Value, words: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                words.insert(key.clone());
                if let (true, Some(id)) = (matches!(key.as_str(), "id" | "what" | "name"), value.as_str()) {
                    words.insert(id.to_owned());
                }
                collect(value, words);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, words)),
        _ => {}
    }
}
