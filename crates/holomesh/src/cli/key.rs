//! `holomesh key`.

use super::NodeOptions;
use super::passphrase::{self, NO_TERMINAL, PassphraseOptions};
use crate::keyfile::{self, Passphrase};
use crate::ticket::Ticket;
use crate::{Error, session};
use clap::{Args, Subcommand};
use core_types::KeyId;
use identity::{Identity, Seed};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

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
        #[command(flatten)]
        passphrase: PassphraseOptions,
        /// Read the passphrase from standard input.
        #[arg(long, conflicts_with = "passphrase_file")]
        passphrase_stdin: bool,
        /// Make a file that opens without a passphrase: whoever gets a copy of it is this node.
        #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_stdin"])]
        no_passphrase: bool,
    },
    /// Print the id of the key in a file.
    Show {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseOptions,
        /// Read the passphrase from standard input.
        #[arg(long, conflicts_with = "passphrase_file")]
        passphrase_stdin: bool,
    },
    /// Ask a session's host for a key package of one of its members, with which it can be added to another session.
    Package {
        /// What `holomesh host` printed.
        ticket: String,
        /// The member's key id, as `holomesh key show` prints it.
        owner: String,
        /// Where to write it; an existing file is never overwritten.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        node: NodeOptions,
    },
    /// Change, add or remove the passphrase of a key file; prints the key's id, which stays as it is.
    ///
    /// The old bytes are unlinked, not wiped: when a file had no passphrase and others may get at the disk, make a new
    /// key instead.
    Passphrase {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseOptions,
        /// Read the present passphrase from standard input.
        #[arg(long, conflicts_with = "passphrase_file")]
        passphrase_stdin: bool,
        /// A file that holds the new passphrase [default: it is asked for].
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
        /// Remove the passphrase.
        #[arg(long, conflicts_with = "new_passphrase_file")]
        no_passphrase: bool,
    },
}

/// Says whose package it is and writes it down.
async fn fetch(ticket: String, owner: String, output: PathBuf, node: NodeOptions) -> Result<(), Error> {
    let ticket: Ticket = ticket.parse()?;
    let owner: KeyId = owner.parse().map_err(|e: core_types::Error| Error::input("OWNER", e.to_string()))?;
    let package = session::take_key_package(node.seed()?, &ticket, owner).await?;
    let verified = package.verify()?;
    let mut file = fs::File::create_new(&output).map_err(Error::file(&output))?;
    file.write_all(&package.to_bytes()).map_err(Error::file(&output))?;
    let use_of = if verified.is_last_resort() { "of last resort" } else { "for one use" };
    eprintln!("a key package of {owner}, {use_of}");
    Ok(())
}

pub(super) fn run(options: Options) -> Result<(), Error> {
    match options.action {
        Action::Package { ticket, owner, output, node } => {
            super::block_on(1, fetch(ticket, owner, output, node))
        }
        Action::New { file, passphrase, passphrase_stdin, no_passphrase } => {
            let seed = keyfile::random_seed()?;
            if no_passphrase {
                keyfile::create(&file, &seed)?;
            } else {
                // Before anybody is asked for a passphrase that would be for nothing.
                if file.symlink_metadata().is_ok() {
                    return Err(Error::input(file.display().to_string(), "exists; give another name"));
                }
                let passphrase = passphrase.choose(passphrase_stdin).map_err(or_none)?;
                keyfile::create_protected(&file, &seed, &passphrase)?;
            }
            show(&seed)
        }
        Action::Show { file, passphrase, passphrase_stdin } => {
            show(&passphrase.load_or(&file, passphrase_stdin)?)
        }
        Action::Passphrase { file, passphrase, passphrase_stdin, new_passphrase_file, no_passphrase } => {
            let seed = passphrase.load_or(&file, passphrase_stdin)?;
            let new = match new_passphrase_file {
                Some(path) => Some(Passphrase::read_file(&path)?),
                None if no_passphrase => None,
                None => Some(passphrase::ask_twice()?),
            };
            keyfile::replace(&file, &seed, new.as_ref())?;
            show(&seed)
        }
    }
}

fn show(seed: &Seed) -> Result<(), Error> {
    let identity = Identity::from_seed(seed).map_err(|e| Error::codec("identity", e))?;
    println!("{}", identity.key_id());
    Ok(())
}

/// Says what else `key new` offers.
fn or_none(error: Error) -> Error {
    match error {
        Error::Input { what, why } if why.starts_with(NO_TERMINAL) => {
            Error::Input { what, why: format!("{why}; or make a key without one by --no-passphrase") }
        }
        error => error,
    }
}
