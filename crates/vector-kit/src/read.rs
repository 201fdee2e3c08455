//! For tests. What is not there, or is not what it should be, panics: that is a test that fails.
#![expect(clippy::unwrap_used, reason = "for tests alone, as the page says")]

use data_encoding::HEXLOWER;
use serde_json::Value;

/// Where tests note which files they read, when `cargo xtask vectors --check` asks for it by this variable.
pub const READS: &str = "HOLOMESH_VECTOR_READS";

/// The committed file of that name, as `keys/handshake.json`.
///
/// # Panics
/// Unless it is there and JSON; and when [`READS`] names a folder that can't be written.
#[track_caller]
pub fn load(name: &str) -> Value {
    let path = format!("{}/../../conformance-vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    if let Some(folder) = std::env::var_os(READS) {
        let note = std::path::Path::new(&folder).join(name);
        std::fs::create_dir_all(note.parent().unwrap()).unwrap();
        std::fs::write(note, "").unwrap();
    }
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The array of that name, which has at least one element: a loop over none would show nothing.
///
/// # Panics
/// Unless it is one.
#[track_caller]
pub fn list<'a>(file: &'a Value, name: &str) -> &'a Vec<Value> {
    let cases = file[name].as_array().unwrap();
    assert!(!cases.is_empty(), "{name} is empty");
    cases
}

/// Bytes.
///
/// # Panics
/// Unless they are hexadecimal text.
#[track_caller]
pub fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

/// As many bytes as are wanted.
///
/// # Panics
/// Unless they are hexadecimal text, and so many.
#[track_caller]
pub fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}
