//! The published files, and a way to read them that notices what was left unread.

use core_types::WallTime;
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;

/// All files by their path, in order.
pub(crate) fn files() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/published");
    let mut files = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
                files.push((name, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap()));
            }
        }
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

/// An object whose fields are taken out one by one, or looked at.
pub(crate) struct Fields {
    path: String,
    left: Map<String, Value>,
    seen: Vec<String>,
}

impl Fields {
    pub(crate) fn new(path: &str, value: Value) -> Self {
        let Value::Object(left) = value else { panic!("{path} is no object") };
        Self { path: path.to_owned(), left, seen: Vec::new() }
    }

    /// Fails for a field that nothing asked for.
    pub(crate) fn finish(self) {
        let unread: Vec<&String> = self.left.keys().filter(|key| !self.seen.contains(key)).collect();
        assert!(unread.is_empty(), "{}: nothing reads {unread:?}", self.path);
    }

    fn value(&mut self, name: &str) -> Value {
        self.seen.push(name.to_owned());
        self.left.get(name).unwrap_or_else(|| panic!("{} has no {name}", self.path)).clone()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    pub(crate) fn text(&mut self, name: &str) -> String {
        self.value(name).as_str().unwrap().to_owned()
    }

    pub(crate) fn optional(&mut self, name: &str) -> Option<String> {
        let value = self.value(name);
        (!value.is_null()).then(|| value.as_str().unwrap().to_owned())
    }

    pub(crate) fn number(&mut self, name: &str) -> u64 {
        self.value(name).as_u64().unwrap()
    }

    pub(crate) fn time(&mut self, name: &str) -> WallTime {
        WallTime(self.number(name))
    }

    pub(crate) fn texts(&mut self, name: &str) -> Vec<String> {
        self.value(name).as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn numbers(&mut self, name: &str) -> Vec<u64> {
        self.value(name).as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
    }

    /// Bytes as a list of numbers.
    pub(crate) fn bytes(&mut self, name: &str) -> Vec<u8> {
        self.numbers(name).into_iter().map(|byte| byte.try_into().unwrap()).collect()
    }

    /// Bytes as hexadecimal text.
    pub(crate) fn hex(&mut self, name: &str) -> Vec<u8> {
        hex(&self.text(name))
    }

    pub(crate) fn array<const N: usize>(&mut self, name: &str) -> [u8; N] {
        self.hex(name).try_into().unwrap()
    }

    /// A list of objects, each to be read and finished in its turn.
    pub(crate) fn list(&mut self, name: &str) -> Vec<Self> {
        let of = |value: &Value| Self::new(&format!("{} {name}", self.path), value.clone());
        let list: Vec<Self> = self.left[name].as_array().unwrap().iter().map(of).collect();
        assert!(!list.is_empty(), "{} has an empty {name}", self.path);
        self.seen.push(name.to_owned());
        list
    }

    pub(crate) fn object(&mut self, name: &str) -> Self {
        Self::new(&format!("{} {name}", self.path), self.value(name))
    }

    /// Fields that are there without anything in them.
    pub(crate) fn empty(&mut self, names: &[&str]) {
        for name in names {
            assert_eq!(self.text(name), "", "{} {name}", self.path);
        }
    }
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    vector_kit::read::hex(&Value::String(text.to_owned()))
}
