//! What of a host outlives it: a directory with the session's names, the group's state and the key packages.

use super::packages::Packages;
use crate::{Error, keyfile};
use av_mls::{MemoryStore, RedbStore, StateStore, StorageKey};
use core_types::SessionId;
use data_encoding::BASE32_NOPAD;
use identity::Seed;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const PREFIX: &str = "holomesh-session-v1 ";
const NAMES_LEN: usize = 32 + 16;

/// A session's lasting parts.
pub(super) struct State {
    pub(super) session: SessionId,
    pub(super) invitation: [u8; 16],
    pub(super) store: Box<dyn StateStore>,
    pub(super) packages: Packages,
}

impl State {
    /// Opens the state in `dir`, or begins a new session in it; without one, in memory.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Input`] when the directory can't be used or what is in it is not ours.
    pub(super) fn open(dir: Option<&Path>, seed: &Seed) -> Result<Self, Error> {
        let Some(dir) = dir else {
            let (session, invitation) = fresh_names()?;
            let packages = Packages::open(None)?;
            return Ok(Self { session, invitation, store: Box::new(MemoryStore::default()), packages });
        };
        make_private(dir)?;
        let (session, invitation) = names(&dir.join("session"))?;
        let file = dir.join("group.redb");
        let store = RedbStore::open(&file, &storage_key(seed))
            .map_err(|e| Error::input(file.display().to_string(), e.to_string()))?;
        let packages = Packages::open(Some(dir.join("packages")))?;
        Ok(Self { session, invitation, store: Box::new(store), packages })
    }
}

/// What the state is sealed with follows from the node's key: whoever has the directory alone can't read it.
fn storage_key(seed: &Seed) -> StorageKey {
    let hash = Sha256::new().chain_update(b"holomesh state key v1").chain_update(seed.0).finalize();
    StorageKey(hash.into())
}

fn make_private(dir: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(Error::file(dir))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir).map_err(Error::file(dir))?.permissions().mode();
        if mode & 0o077 != 0 {
            let why =
                "others may read this directory, and with it the session's invitation; run `chmod 700` on it";
            return Err(Error::input(dir.display().to_string(), why));
        }
    }
    Ok(())
}

fn fresh_names() -> Result<(SessionId, [u8; 16]), Error> {
    let (mut session, mut invitation) = ([0; 32], [0; 16]);
    keyfile::fill_random(&mut session)?;
    keyfile::fill_random(&mut invitation)?;
    Ok((SessionId(session), invitation))
}

/// Session and invitation, so that tickets stay good.
fn names(path: &Path) -> Result<(SessionId, [u8; 16]), Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let (session, invitation) = fresh_names()?;
            let bytes = Zeroizing::new([&session.0[..], &invitation].concat());
            let text =
                Zeroizing::new(format!("{PREFIX}{}\n", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()));
            replace(path, |out| out.write_all(text.as_bytes()))?;
            return Ok((session, invitation));
        }
        Err(error) => return Err(Error::file(path)(error)),
    };
    let bad =
        || Error::input(path.display().to_string(), "not a holomesh session file; use another directory");
    let encoded = text.trim_end().strip_prefix(PREFIX).ok_or_else(bad)?;
    let bytes = BASE32_NOPAD.decode(encoded.to_ascii_uppercase().as_bytes()).map_err(|_| bad())?;
    let bytes: [u8; NAMES_LEN] = bytes.try_into().map_err(|_| bad())?;
    let (session, invitation) = bytes.split_at(32);
    let session = session.try_into().map_err(|_| bad())?;
    Ok((SessionId(session), invitation.try_into().map_err(|_| bad())?))
}

/// Replaces a file in one step: after a crash it is the old one or the new one.
///
/// # Errors
/// [`Error::File`].
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut fs::File) -> std::io::Result<()>,
) -> Result<(), Error> {
    let dir: PathBuf = path.parent().map_or_else(|| ".".into(), Path::to_path_buf);
    // Readable by its owner alone, and gone again if anything fails.
    let mut file = tempfile::NamedTempFile::new_in(&dir).map_err(Error::file(&dir))?;
    write(file.as_file_mut()).and_then(|()| file.as_file().sync_all()).map_err(Error::file(path))?;
    file.persist(path).map_err(|e| Error::file(path)(e.error))?;
    #[cfg(unix)]
    fs::File::open(&dir).and_then(|dir| dir.sync_all()).map_err(Error::file(&dir))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_keeps_its_names_and_the_directory_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        let seed = Seed([4; 64]);
        let first = State::open(Some(&dir), &seed).unwrap();
        let names = (first.session, first.invitation);
        drop(first);
        let again = State::open(Some(&dir), &seed).unwrap();
        assert_eq!((again.session, again.invitation), names);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(dir.join("session")).unwrap().permissions().mode() & 0o077, 0);
            drop(again);
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
            let error = State::open(Some(&dir), &seed).err().unwrap().to_string();
            assert!(error.contains("chmod 700"), "{error}");
        }
    }

    #[test]
    fn what_is_no_session_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for content in ["", "hello", "holomesh-session-v1 abc", "holomesh-session-v1 !!!!"] {
            fs::write(dir.path().join("session"), content).unwrap();
            let error = names(&dir.path().join("session")).unwrap_err().to_string();
            assert!(error.contains("session"), "{error}");
        }
    }
}
