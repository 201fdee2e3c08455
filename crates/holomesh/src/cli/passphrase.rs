//! Where passphrases come from: an option, the environment, or the terminal, and never by surprise.

use crate::keyfile::{KeyFile, Passphrase};
use crate::{Error, keyfile};
use clap::Args;
use identity::Seed;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Names a file with the passphrase, for whoever starts nodes without a terminal.
const VARIABLE: &str = "HOLOMESH_PASSPHRASE_FILE";

/// How the complaint begins that nobody can be asked.
pub(super) const NO_TERMINAL: &str = "needed, and there is no terminal to ask at";

/// How a key file's passphrase is given. What is given beats the environment, and that beats asking.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PassphraseOptions {
    /// A file that holds the key file's passphrase, one line, readable by its owner alone [default: what the
    /// environment variable HOLOMESH_PASSPHRASE_FILE names; otherwise it is asked for, if there is a terminal].
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseOptions {
    /// As if this file, or none, had been given.
    pub(super) const fn from_file(passphrase_file: Option<PathBuf>) -> Self {
        Self { passphrase_file }
    }

    /// The file that was given as an option.
    pub(super) const fn file(&self) -> Option<&PathBuf> {
        self.passphrase_file.as_ref()
    }

    /// Whether nobody has to be asked.
    pub(super) fn is_given(&self) -> bool {
        self.passphrase_file.is_some() || from_environment(std::env::var_os(VARIABLE)).is_some()
    }

    /// The seed in a key file. Nobody is asked for the passphrase of a file that has none.
    pub(super) fn load(&self, path: &Path) -> Result<Seed, Error> {
        self.load_or(path, false)
    }

    /// As [`load`](Self::load), with the passphrase on standard input if `stdin` is set.
    pub(super) fn load_or(&self, path: &Path, stdin: bool) -> Result<Seed, Error> {
        match KeyFile::read(path)? {
            KeyFile::Plain(seed) => Ok(seed),
            KeyFile::Protected(file) => {
                let passphrase = match self.given(stdin)? {
                    Some(passphrase) => passphrase,
                    None => ask(&format!("passphrase of {}: ", path.display()))?,
                };
                file.unlock(&passphrase)
            }
        }
    }

    /// The passphrase for a file that is about to be made.
    pub(super) fn choose(&self, stdin: bool) -> Result<Passphrase, Error> {
        match self.given(stdin)? {
            Some(passphrase) => Ok(passphrase),
            None => ask_twice(),
        }
    }

    fn given(&self, stdin: bool) -> Result<Option<Passphrase>, Error> {
        if stdin {
            return Passphrase::read_line(std::io::stdin().lock(), "standard input").map(Some);
        }
        let named = self.passphrase_file.clone().or_else(|| from_environment(std::env::var_os(VARIABLE)));
        named.map(|path| Passphrase::read_file(&path)).transpose()
    }
}

/// Asks for a new passphrase, twice, because what is typed is not shown.
pub(super) fn ask_twice() -> Result<Passphrase, Error> {
    let first = ask("new passphrase: ")?;
    if ask("the same again: ")? != first {
        return Err(Error::input("passphrase", "the two are not the same; nothing was written"));
    }
    Ok(first)
}

fn ask(prompt: &str) -> Result<Passphrase, Error> {
    // Somebody who redirects one of them may still sit there; a service, a test or a pipeline has neither.
    if !std::io::stdin().is_terminal() && !std::io::stderr().is_terminal() {
        let why = format!("{NO_TERMINAL}; give --passphrase-file or set {VARIABLE}");
        return Err(Error::input("passphrase", why));
    }
    let typed = rpassword::prompt_password(prompt).map_err(|e| Error::input("passphrase", e.to_string()))?;
    Passphrase::new(Zeroizing::new(typed), "passphrase")
}

/// An empty variable is one that was not set.
fn from_environment(value: Option<OsString>) -> Option<PathBuf> {
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A key of one's own, or a new one for this run.
pub(super) fn seed(key: Option<&Path>, passphrase: &PassphraseOptions) -> Result<Seed, Error> {
    match key {
        Some(path) => passphrase.load(path),
        None => keyfile::random_seed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_a_file() {
        assert_eq!(from_environment(None), None);
        assert_eq!(from_environment(Some(OsString::new())), None);
        assert_eq!(from_environment(Some("x".into())), Some(PathBuf::from("x")));
    }
}
