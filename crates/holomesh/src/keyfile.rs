//! Where a node's identity lives: 64 bytes of seed in a file that only its owner may read.
//!
//! The file is one line of text: `holomesh-key-v1 ` and the seed in lower-case base32. Passphrases come later.

use crate::Error;
use data_encoding::BASE32_NOPAD;
use identity::Seed;
use rand::TryRng;
use std::fs;
use std::io::Write;
use std::path::Path;
use zeroize::Zeroizing;

const PREFIX: &str = "holomesh-key-v1 ";

/// A fresh seed from the operating system.
///
/// # Errors
/// [`Error::Input`] if the operating system has no randomness to give.
pub fn random_seed() -> Result<Seed, Error> {
    let mut bytes = [0; 64];
    fill_random(&mut bytes)?;
    Ok(Seed(bytes))
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

/// Makes a new key file; an existing one is never overwritten.
///
/// # Errors
/// [`Error::File`] if it exists or can't be written.
pub fn create(path: &Path, seed: &Seed) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(Error::file(path))?;
    let text = Zeroizing::new(format!("{PREFIX}{}\n", BASE32_NOPAD.encode(&seed.0).to_ascii_lowercase()));
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(Error::file(path))
}

/// Reads a key file.
///
/// # Errors
/// [`Error::File`] if it can't be read; [`Error::Input`] if others may read it too, or if it is no key file.
pub fn load(path: &Path) -> Result<Seed, Error> {
    let bad = |why: &str| Error::input(path.display().to_string(), why);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_err(Error::file(path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(bad(
                "others may read this key file; run `chmod 600` on it, and make a new key if they did",
            ));
        }
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(Error::file(path))?);
    let encoded = text
        .trim_end()
        .strip_prefix(PREFIX)
        .ok_or_else(|| bad("not a holomesh key file; make one with `holomesh key new FILE`"))?;
    let bytes = Zeroizing::new(
        BASE32_NOPAD
            .decode(Zeroizing::new(encoded.to_ascii_uppercase()).as_bytes())
            .map_err(|_| bad("the key in this file is damaged"))?,
    );
    let seed = bytes.as_slice().try_into().map_err(|_| bad("the key in this file is cut short"))?;
    Ok(Seed(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_round_trips_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let seed = random_seed().unwrap();
        create(&path, &seed).unwrap();
        assert_eq!(load(&path).unwrap().0, seed.0);
        assert!(create(&path, &random_seed().unwrap()).is_err());
        assert_eq!(load(&path).unwrap().0, seed.0);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create(&path, &random_seed().unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn damaged_key_files_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["", "hello", "holomesh-key-v1 abc", "holomesh-key-v1 !!!!"] {
            let path = dir.path().join(format!("key{}", content.len()));
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&path).unwrap().write_all(content.as_bytes()).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(error.contains("key"), "{error}");
        }
    }
}
