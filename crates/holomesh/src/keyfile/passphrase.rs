//! Passphrases, and the age format that they seal a key in.

use crate::Error;
use age::secrecy::SecretString;
use age::{DecryptError, scrypt};
use std::fmt;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// scrypt with N = 2^17, r = 8: about a third of a second and 128 MiB.
const WORK: u8 = 17;

/// What the `age` tool uses, and the most that a file may ask for: about a second and 256 MiB.
const MAX_WORK: u8 = 18;

const MAGIC: &[u8] = b"age-encryption.org/";

/// The longest passphrase, in bytes of UTF-8.
const MAX_PASSPHRASE: usize = 1_024;

/// Opens a key file. Wiped when dropped, never shown.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// A passphrase of one line, without its end. `from` is where it came from, for the error.
    ///
    /// # Errors
    /// [`Error::Input`] when it is empty, longer than 1,024 bytes, or more than one line.
    pub fn new(text: Zeroizing<String>, from: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::input(from, "the passphrase is empty"));
        }
        if text.len() > MAX_PASSPHRASE {
            return Err(Error::input(from, format!("a passphrase has at most {MAX_PASSPHRASE} bytes")));
        }
        if text.contains(['\n', '\r', '\0']) {
            return Err(Error::input(from, "a passphrase is one line of text"));
        }
        Ok(Self(text))
    }

    /// The one line of a file that only its owner may read.
    ///
    /// # Errors
    /// [`Error::File`] if it can't be read; [`Error::Input`] if others may read it, or as [`new`](Self::new).
    pub fn read_file(path: &Path) -> Result<Self, Error> {
        let content = super::read_secret(path, MAX_PASSPHRASE as u64 + 2, "passphrase file")?;
        Self::from_line(&content, &path.display().to_string())
    }

    /// One line, and nothing after it. `from` is where it came from, for the error.
    ///
    /// # Errors
    /// [`Error::Input`] when it can't be read, is not UTF-8, or as [`new`](Self::new).
    pub fn read_line(input: impl Read, from: &str) -> Result<Self, Error> {
        let max = MAX_PASSPHRASE as u64 + 2;
        let mut content = Zeroizing::new(Vec::with_capacity(max as usize + 64));
        input.take(max + 1).read_to_end(&mut content).map_err(|e| Error::input(from, e.to_string()))?;
        Self::from_line(&content, from)
    }

    pub(super) fn seal(&self, content: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal_with(WORK, content)
    }

    pub(super) fn seal_with(&self, work: u8, content: &[u8]) -> Result<Vec<u8>, Error> {
        let mut recipient = scrypt::Recipient::new(self.secret());
        recipient.set_work_factor(work);
        age::encrypt(&recipient, content)
            .map_err(|e| Error::input("sealing with the passphrase", e.to_string()))
    }

    /// What was sealed, or why it can't be had.
    pub(super) fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let mut identity = scrypt::Identity::new(self.secret());
        identity.set_max_work_factor(MAX_WORK);
        let opened = age::decrypt(&identity, sealed).map_err(|error| match error {
            DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
                "wrong passphrase (or a damaged file)".to_owned()
            }
            DecryptError::ExcessiveWork { required, .. } => format!(
                "this file asks for 2^{required} units of work, the limit is 2^{MAX_WORK}; \
                 it is not one that holomesh made"
            ),
            DecryptError::NoMatchingKeys => "this file is sealed for a key, not with a passphrase".to_owned(),
            _ => "the key in this file is damaged".to_owned(),
        })?;
        Ok(Zeroizing::new(opened))
    }

    fn from_line(content: &[u8], from: &str) -> Result<Self, Error> {
        let line = content.strip_suffix(b"\n").unwrap_or(content);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = str::from_utf8(line).map_err(|_| Error::input(from, "a passphrase is text in UTF-8"))?;
        Self::new(Zeroizing::new(text.to_owned()), from)
    }

    fn secret(&self) -> SecretString {
        // Of exactly the right size: a boxed string is made of it, and shrinking would leave a copy behind.
        let mut copy = String::with_capacity(self.0.len());
        copy.push_str(&self.0);
        copy.into()
    }
}

impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        // Compared only when the same person has typed both.
        self.0 == other.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}

pub(super) fn is_sealed(content: &[u8]) -> bool {
    content.starts_with(MAGIC)
}
