//! `holomesh key`.

use crate::{Error, keyfile};
use clap::{Args, Subcommand};
use identity::Identity;
use std::path::{Path, PathBuf};

/// Options of `holomesh key`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and write it to a file that only its owner may read; prints the key's id.
    New {
        /// The file; an existing one is never overwritten.
        file: PathBuf,
    },
    /// Print the id of the key in a file.
    Show {
        /// The file.
        file: PathBuf,
    },
}

pub(super) fn run(options: Options) -> Result<(), Error> {
    match options.action {
        Action::New { file } => {
            keyfile::create(&file, &keyfile::random_seed()?)?;
            show(&file)
        }
        Action::Show { file } => show(&file),
    }
}

fn show(file: &Path) -> Result<(), Error> {
    let identity = Identity::from_seed(&keyfile::load(file)?).map_err(|e| Error::codec("identity", e))?;
    println!("{}", identity.key_id());
    Ok(())
}
