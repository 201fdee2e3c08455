//! What the process wrote to disk, and what files take there.

use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Bytes that this process has caused to be written to the disk so far, by the kernel's count. What is still in the page
/// cache counts when it was made dirty.
pub(crate) fn written() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/io").context("the kernel does not say what was written")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.context("the kernel does not say what was written")?.trim().parse()?)
}

/// Bytes that the files below a folder take on the disk.
pub(crate) fn taken(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { taken(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

/// Whether any file below a folder holds these bytes.
#[cfg(feature = "databases")]
pub(crate) fn holds(folder: &Path, needle: &[u8]) -> Result<bool> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            holds(&path, needle)?
        } else {
            let bytes = fs::read(&path)?;
            bytes.windows(needle.len()).any(|window| window == needle)
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}
