//! For the examples that `cargo xtask vectors` runs, each with the folder to write into as its argument.

use data_encoding::HEXLOWER;
use serde_json::Value;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

/// Writes a file of that name, as `keys/handshake.json`, into the folder that is the example's first argument.
///
/// # Errors
/// When there is no argument, or the file can't be written.
pub fn write(name: &str, value: &Value) -> Result<(), Box<dyn Error>> {
    let out = std::env::args_os().nth(1).ok_or("which folder to write into? It is the one argument")?;
    let path = PathBuf::from(out).join(name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(path, serde_json::to_string_pretty(value)? + "\n")?)
}

/// Bytes as vectors have them.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Bytes `from`, `from` + 1, …; 0 comes after 255.
pub fn counting<const N: usize>(from: u8) -> [u8; N] {
    core::array::from_fn(|at| from.wrapping_add(at as u8))
}
