//! Which store, and under whose key: what all commands about recordings take.

use super::passphrase::{self, PassphraseOptions};
use crate::{Error, record};
use clap::Args;
use consent_decay::Classes;
use identity::Seed;
use std::path::{Path, PathBuf};

/// A store and the key that it is sealed under.
#[derive(Debug, Clone, Args)]
pub(super) struct StoreOptions {
    /// The folder of recordings; made if it is not there.
    #[arg(long, value_name = "FOLDER", env = "HOLOMESH_STORE")]
    store: PathBuf,
    /// The node's key, made by `holomesh key new`: what is kept is sealed under it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// More classes of consent than `temporary`, `standard` and `persistent`: a TOML file.
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

impl StoreOptions {
    pub(super) fn seed(&self) -> Result<Seed, Error> {
        passphrase::seed(Some(&self.key), &self.passphrase)
    }

    /// How the store is opened; one that is only looked at has to be there.
    pub(super) fn config(&self) -> Result<record::Config, Error> {
        Ok(record::Config {
            classes: classes(self.classes.as_deref())?,
            ..record::Config::new(self.store.clone(), self.seed()?)
        })
    }

    pub(super) fn config_of_existing(&self) -> Result<record::Config, Error> {
        if !self.store.join("symbols.redb").exists() {
            let why = "there is no store here: `holomesh record`, `holomesh relay --store` and `holomesh store fetch` make one";
            return Err(Error::input(self.store.display().to_string(), why));
        }
        self.config()
    }
}

/// The classes of a file, or the usual ones.
pub(super) fn classes(file: Option<&Path>) -> Result<Classes, Error> {
    let Some(path) = file else { return Ok(Classes::built_in()) };
    let size = std::fs::metadata(path).map_err(Error::file(path))?.len();
    if size > Classes::MAX_TOML_LEN as u64 {
        return Err(Error::input(
            path.display().to_string(),
            format!("{size} bytes: a file of classes has at most {}", Classes::MAX_TOML_LEN),
        ));
    }
    let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
    Classes::from_toml(&text).map_err(|error| Error::input(path.display().to_string(), error.to_string()))
}
