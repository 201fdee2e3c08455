//! The keys that open recordings, of a member that keeps some: a file for each, sealed under the member's own key.
//!
//! What is in a file opens one stream, and nothing else of its session. When consent is taken back the file is overwritten
//! where it lies, and removed.

use crate::Error;
use av_wire::{Aead as _, AwsLc, StreamSecret, TAG_LEN};
use consent_decay::ContentId;
use core_types::Epoch;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const HEAD: &[u8; 16] = b"holomesh epochs1";
const AAD: &[u8] = b"holomesh epoch key v1";
/// Nonce, epoch, secret, tag.
const ENTRY: usize = 12 + 8 + 32 + TAG_LEN;
/// A recording over a million epochs is none.
const MOST: u64 = 1 << 20;

/// The folder of the files.
pub(crate) struct Vault {
    folder: PathBuf,
    aead: AwsLc,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Vault {
    /// The vault in the folder of a store.
    pub(crate) fn open(store: &Path, key: &[u8; 32]) -> Result<Self, Error> {
        let folder = store.join("epochs");
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        Ok(Self { folder, aead: AwsLc::new(key)? })
    }

    fn path(&self, content: ContentId) -> PathBuf {
        self.folder.join(content.to_string())
    }

    /// Keeps what opens an epoch of a content. On the disk when it returns; one that is there already is not written again.
    pub(crate) fn keep(&self, content: ContentId, epoch: Epoch, secret: &StreamSecret) -> Result<(), Error> {
        if self.load(content)?.iter().any(|(kept, _)| *kept == epoch) {
            return Ok(());
        }
        let path = self.path(content);
        let failed = || Error::file(&path);
        let mut file = OpenOptions::new();
        let file = file.read(true).append(true).create(true).mode(0o600);
        let mut file = file.open(&path).map_err(failed())?;
        let mut entry = Zeroizing::new([0; ENTRY]);
        let (nonce, rest) = entry.split_at_mut(12);
        crate::keyfile::fill_random(nonce)?;
        let (plain, tag) = rest.split_at_mut(40);
        plain[..8].copy_from_slice(&epoch.0.to_be_bytes());
        plain[8..].copy_from_slice(secret.expose());
        let mut number = [0; 12];
        number.copy_from_slice(nonce);
        tag.copy_from_slice(&self.aead.seal(number, &aad(content), plain)?);
        let length = file.metadata().map_err(failed())?.len();
        let whole =
            length.saturating_sub(HEAD.len() as u64) / ENTRY as u64 * ENTRY as u64 + HEAD.len() as u64;
        if length < HEAD.len() as u64 {
            file.set_len(0).and_then(|()| file.write_all(HEAD)).map_err(failed())?;
        } else if length > whole {
            // A crash left a part of an entry.
            file.set_len(whole).map_err(failed())?;
        }
        file.write_all(&*entry).and_then(|()| file.sync_all()).map_err(failed())?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(Error::file(&self.folder))
    }

    /// What opens a content, by epoch; nothing of one that this member has no keys of.
    pub(crate) fn load(&self, content: ContentId) -> Result<Vec<(Epoch, StreamSecret)>, Error> {
        let path = self.path(content);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file(&path)(error)),
        };
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take(MOST * ENTRY as u64)
            .read_to_end(&mut bytes)
            .map_err(Error::file(&path))?;
        if bytes.len() < HEAD.len() {
            return Ok(Vec::new());
        }
        let wrong = |why: &str| Error::input(path.display().to_string(), why);
        let entries = bytes.strip_prefix(HEAD).ok_or_else(|| wrong("this is no file of epoch keys"))?;
        let open = |entry: &[u8]| {
            let mut entry = Zeroizing::new(entry.to_vec());
            let (nonce, rest) = entry.split_first_chunk_mut::<12>()?;
            let (plain, tag) = rest.split_last_chunk_mut::<TAG_LEN>()?;
            let (nonce, tag) = (*nonce, *tag);
            self.aead.open(nonce, &aad(content), plain, &tag).then_some(())?;
            let (epoch, secret) = plain.split_first_chunk::<8>()?;
            let secret: [u8; 32] = secret.try_into().ok()?;
            Some((Epoch(u64::from_be_bytes(*epoch)), StreamSecret::from_bytes(secret)))
        };
        let opened = entries.chunks_exact(ENTRY).map(open).collect::<Option<Vec<_>>>();
        opened.ok_or_else(|| {
            wrong("its keys were sealed under another key: give the one that recorded with --key")
        })
    }

    /// Destroys what opens a content.
    pub(crate) fn destroy(&self, content: ContentId) -> Result<(), Error> {
        let path = self.path(content);
        let mut file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::file(&path)(error)),
        };
        let zeros = vec![0; usize::try_from(file.metadata().map_err(Error::file(&path))?.len()).unwrap_or(0)];
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.write_all(&zeros))
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::remove_file(&path))
            .map_err(Error::file(&path))
    }
}

/// An entry is one of its content's: files can't be exchanged.
fn aad(content: ContentId) -> Vec<u8> {
    [AAD, content.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: ContentId = ContentId([1; 32]);

    fn secret(n: u8) -> StreamSecret {
        StreamSecret::from_bytes([n; 32])
    }

    fn epochs(vault: &Vault, content: ContentId) -> Vec<(u64, u8)> {
        vault.load(content).unwrap().iter().map(|(epoch, secret)| (epoch.0, secret.expose()[0])).collect()
    }

    #[test]
    fn what_is_kept_comes_back_under_the_same_key_alone() {
        let store = tempfile::tempdir().unwrap();
        let vault = Vault::open(store.path(), &[7; 32]).unwrap();
        assert!(vault.load(CONTENT).unwrap().is_empty());
        vault.keep(CONTENT, Epoch(3), &secret(3)).unwrap();
        vault.keep(CONTENT, Epoch(4), &secret(4)).unwrap();
        vault.keep(CONTENT, Epoch(3), &secret(9)).unwrap();
        assert_eq!(epochs(&vault, CONTENT), [(3, 3), (4, 4)]);
        assert!(Vault::open(store.path(), &[8; 32]).unwrap().load(CONTENT).is_err());
        // Another content's file in its place.
        let other = ContentId([2; 32]);
        std::fs::copy(vault.path(CONTENT), vault.path(other)).unwrap();
        assert!(vault.load(other).is_err());
    }

    #[test]
    fn nothing_of_a_secret_is_in_the_clear_and_a_crash_costs_no_earlier_key() {
        let store = tempfile::tempdir().unwrap();
        let vault = Vault::open(store.path(), &[7; 32]).unwrap();
        vault.keep(CONTENT, Epoch(3), &secret(0xa5)).unwrap();
        let bytes = std::fs::read(vault.path(CONTENT)).unwrap();
        assert!(!bytes.windows(4).any(|window| window == [0xa5; 4]));
        for torn in [1, ENTRY - 1] {
            std::fs::write(vault.path(CONTENT), [&bytes[..], &vec![1; torn]].concat()).unwrap();
            vault.keep(CONTENT, Epoch(4), &secret(4)).unwrap();
            assert_eq!(epochs(&vault, CONTENT), [(3, 0xa5), (4, 4)], "after {torn} bytes");
        }
        std::fs::write(vault.path(CONTENT), &bytes[..5]).unwrap();
        vault.keep(CONTENT, Epoch(5), &secret(5)).unwrap();
        assert_eq!(epochs(&vault, CONTENT), [(5, 5)]);
    }

    #[test]
    fn what_was_destroyed_is_gone_also_from_where_it_lay() {
        let store = tempfile::tempdir().unwrap();
        let vault = Vault::open(store.path(), &[7; 32]).unwrap();
        vault.keep(CONTENT, Epoch(3), &secret(3)).unwrap();
        // A second name for the same place.
        let place = store.path().join("place");
        std::fs::hard_link(vault.path(CONTENT), &place).unwrap();
        vault.destroy(CONTENT).unwrap();
        vault.destroy(CONTENT).unwrap();
        assert!(vault.load(CONTENT).unwrap().is_empty());
        let bytes = std::fs::read(place).unwrap();
        assert_eq!(bytes, vec![0; HEAD.len() + ENTRY]);
    }
}
