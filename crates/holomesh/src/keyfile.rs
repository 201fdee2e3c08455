//! Where a node's identity lives: 64 bytes of seed in a file that only its owner may read (spec 10 section 5).
//!
//! Plain, the file is one line of text: `holomesh-key-v1 ` and the seed in lower-case base32. With a passphrase it is that
//! line in the age format, sealed with scrypt and ChaCha20-Poly1305, so that the `age` tool opens it too.
//!
//! A file appears whole or not at all: it is written under another name, synced, and moved to its place. Making a key
//! never overwrites; only [`replace`] does, which keeps the key and changes its protection.

mod passphrase;

use crate::Error;
use data_encoding::BASE32_NOPAD;
use identity::Seed;
use rand::TryRng;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::{fmt, fs};
use zeroize::Zeroizing;

pub use passphrase::Passphrase;

const PREFIX: &str = "holomesh-key-v1 ";

/// The longest file that is looked at, in bytes. A plain key has 120, one with a passphrase about 330.
const MAX_FILE: u64 = 4_096;

/// A fresh seed from the operating system.
///
/// # Errors
/// [`Error::Input`] if the operating system has no randomness to give.
pub fn random_seed() -> Result<Seed, Error> {
    let mut seed = Seed([0; 64]);
    fill_random(&mut seed.0)?;
    Ok(seed)
}

/// Fills `bytes` from the operating system.
///
/// # Errors
/// [`Error::Input`] if the operating system has no randomness to give.
pub fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    rand::rngs::SysRng
        .try_fill_bytes(bytes)
        .map_err(|e| Error::input("the system's random generator", e.to_string()))
}

/// Makes a new key file without a passphrase; an existing one is never overwritten.
///
/// # Errors
/// [`Error::File`] if it exists or can't be written; [`Error::Input`] if everybody may write its directory.
pub fn create(path: &Path, seed: &Seed) -> Result<(), Error> {
    install(path, &plain(seed), Overwrite::Never)
}

/// Makes a new key file that opens with `passphrase`; an existing one is never overwritten. Takes a good part of a second
/// and 128 MiB, on purpose.
///
/// # Errors
/// As [`create`].
pub fn create_protected(path: &Path, seed: &Seed, passphrase: &Passphrase) -> Result<(), Error> {
    install(path, &passphrase.seal(&plain(seed))?, Overwrite::Never)
}

/// Puts `seed` into an existing key file in place of what is there, with another passphrase or with none. At any time the
/// path holds the old file or the new one, both whole. A link is followed, so that no copy stays behind it.
///
/// What was there is unlinked, not wiped: a disk may keep the bytes of a file that had no passphrase.
///
/// # Errors
/// [`Error::File`] if the file is not there or can't be written; [`Error::Input`] if everybody may write its directory.
pub fn replace(path: &Path, seed: &Seed, passphrase: Option<&Passphrase>) -> Result<(), Error> {
    let place = fs::canonicalize(path).map_err(Error::file(path))?;
    match passphrase {
        Some(passphrase) => install(&place, &passphrase.seal(&plain(seed))?, Overwrite::Always),
        None => install(&place, &plain(seed), Overwrite::Always),
    }
}

/// Reads a key file that has no passphrase.
///
/// # Errors
/// As [`KeyFile::read`], and [`Error::Input`] if the file needs a passphrase.
pub fn load(path: &Path) -> Result<Seed, Error> {
    match KeyFile::read(path)? {
        KeyFile::Plain(seed) => Ok(seed),
        KeyFile::Protected(_) => Err(bad(path, "this key file needs its passphrase")),
    }
}

/// A key file as it was found. Closed: a file has a passphrase or has none.
#[derive(Debug)]
pub enum KeyFile {
    /// The seed was there to be read.
    Plain(Seed),
    /// A passphrase is needed.
    Protected(Protected),
}

impl KeyFile {
    /// Reads a key file, up to where a passphrase is needed.
    ///
    /// # Errors
    /// [`Error::File`] if it can't be read; [`Error::Input`] if others may read it or if everybody may write its
    /// directory, if it is not a regular file, or if it is no key file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        check_directory(&fs::canonicalize(path).map_err(Error::file(path))?)?;
        let content = read_secret(path, MAX_FILE, "key file")?;
        if passphrase::is_sealed(&content) {
            return Ok(Self::Protected(Protected { path: path.to_owned(), content }));
        }
        parse(path, &content).map(Self::Plain)
    }
}

/// A key file with a passphrase, not opened yet.
pub struct Protected {
    path: PathBuf,
    // Wiped for no other reason than that the plain form, which it could have been, has to be.
    content: Zeroizing<Vec<u8>>,
}

impl Protected {
    /// The seed. Takes as long as making the file did.
    ///
    /// # Errors
    /// [`Error::Input`] if the passphrase is wrong, if the file is damaged, or if it asks for more work than any file
    /// that was made here; the last is found out before the work is done.
    pub fn unlock(&self, passphrase: &Passphrase) -> Result<Seed, Error> {
        let content = passphrase.open(&self.content).map_err(|why| bad(&self.path, why))?;
        parse(&self.path, &content)
    }
}

impl fmt::Debug for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protected").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Reads a file of at most `max` bytes that only its owner may read. What the user calls it is `what`.
pub(crate) fn read_secret(path: &Path, max: u64, what: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    // Looked at before it is opened, because opening a pipe waits for a writer, and after, in case it changed.
    let wrong_kind = || bad(path, format!("a {what} is a regular file"));
    if !fs::metadata(path).map_err(Error::file(path))?.is_file() {
        return Err(wrong_kind());
    }
    let file = fs::File::open(path).map_err(Error::file(path))?;
    let metadata = file.metadata().map_err(Error::file(path))?;
    if !metadata.is_file() {
        return Err(wrong_kind());
    }
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Err(bad(
            path,
            format!("others may read this {what}; run `chmod 600` on it, and make a new one if they did"),
        ));
    }
    // One byte of room beyond the limit, and more, so that the secret is never moved by a growing buffer.
    let mut content = Zeroizing::new(Vec::with_capacity(max as usize + 64));
    file.take(max + 1).read_to_end(&mut content).map_err(Error::file(path))?;
    if content.len() as u64 > max {
        return Err(bad(path, format!("a {what} has at most {max} bytes")));
    }
    Ok(content)
}

fn plain(seed: &Seed) -> Zeroizing<Vec<u8>> {
    let mut encoded = Zeroizing::new(BASE32_NOPAD.encode(&seed.0));
    encoded.make_ascii_lowercase();
    let mut line = Zeroizing::new(Vec::with_capacity(PREFIX.len() + encoded.len() + 1));
    line.extend_from_slice(PREFIX.as_bytes());
    line.extend_from_slice(encoded.as_bytes());
    line.push(b'\n');
    line
}

fn parse(path: &Path, content: &[u8]) -> Result<Seed, Error> {
    let encoded = content
        .trim_ascii_end()
        .strip_prefix(PREFIX.as_bytes())
        .ok_or_else(|| bad(path, "not a holomesh key file; make one with `holomesh key new FILE`"))?;
    let encoded = Zeroizing::new(encoded.to_ascii_uppercase());
    let bytes = BASE32_NOPAD.decode(&encoded).map_err(|_| bad(path, "the key in this file is damaged"))?;
    let bytes = Zeroizing::new(bytes);
    let mut seed = Seed([0; 64]);
    if bytes.len() != seed.0.len() {
        return Err(bad(path, "the key in this file is cut short"));
    }
    seed.0.copy_from_slice(&bytes);
    Ok(seed)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Overwrite {
    Never,
    Always,
}

fn install(path: &Path, content: &[u8], overwrite: Overwrite) -> Result<(), Error> {
    check_directory(path)?;
    let directory = directory(path);
    // Made with mode 0600, in the same directory so that it can be moved, and removed again if anything below fails.
    let mut file = tempfile::Builder::new()
        .prefix(".holomesh-key-")
        .tempfile_in(directory)
        .map_err(Error::file(path))?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(Error::file(path))?;
    let moved = match overwrite {
        Overwrite::Never => file.persist_noclobber(path),
        Overwrite::Always => file.persist(path),
    };
    moved.map_err(|refused| Error::file(path)(refused.error))?;
    // The move itself is on disk only when the directory is.
    #[cfg(unix)]
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(Error::file(directory))?;
    Ok(())
}

/// Whoever may write a directory may put another file in place of this one. The sticky bit forbids that; a group that
/// may write is taken for the owner's own.
fn check_directory(path: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    {
        let directory = directory(path);
        let metadata = fs::metadata(directory).map_err(Error::file(directory))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            return Err(bad(
                directory,
                "everybody may write this directory; run `chmod o-w` on it, or keep keys elsewhere",
            ));
        }
    }
    Ok(())
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn bad(path: &Path, why: impl Into<String>) -> Error {
    Error::input(path.display().to_string(), why)
}

#[cfg(test)]
mod tests;
