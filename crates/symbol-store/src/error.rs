//! The one error type of this crate.

use consent_decay::{ContentId, Tier};

/// Why something could not be kept, read or dropped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database below failed: a full or broken disk, or a file that another process holds.
    #[error("database of symbols: {0}")]
    Database(#[from] Box<redb::Error>),
    /// The key file failed.
    #[error("key file of the store, {what}: {source}")]
    KeyFile {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store was made with another store key.
    #[error("the store key is not the one that this store was made with")]
    WrongKey,
    /// The store was written by a later version of this program.
    #[error("the store has schema {found}, this program knows up to {known}: use a newer one")]
    Schema {
        /// The schema of the file.
        found: u64,
        /// The newest that is known here.
        known: u64,
    },
    /// Nothing is held of this content.
    #[error("nothing is held of content {0}")]
    Unknown(ContentId),
    /// Consent was taken back: it is gone and does not come back.
    #[error("consent to content {0} was taken back: it is gone and is not taken again")]
    Revoked(ContentId),
    /// It can't be said what its consent allows, so nothing of it may be read.
    #[error("content {0} is frozen: what its consent allows can't be read; it is tried again each hour")]
    Frozen(ContentId),
    /// It has faded beyond what was asked for.
    #[error("content {content} is held at tier {held}: what was asked for is gone")]
    Faded {
        /// Which.
        content: ContentId,
        /// What is left.
        held: Tier,
    },
    /// What the store holds is not what it wrote: a broken disk, or somebody who altered it.
    #[error("the store is damaged: {0}; `check` says where, and can repair it")]
    Damaged(&'static str),
    /// What the caller asked for is beyond a limit.
    #[error("not taken: {0}")]
    Refused(&'static str),
    /// A record of consent was refused.
    #[error(transparent)]
    Consent(#[from] consent_decay::Error),
    /// The cryptographic library refused an operation that should not fail.
    #[error("cryptographic library failed at: {0}")]
    Crypto(&'static str),
}

impl From<identity::Error> for Error {
    fn from(error: identity::Error) -> Self {
        Self::Consent(error.into())
    }
}

/// Any of the database's many error types.
pub(crate) fn db(error: impl Into<redb::Error>) -> Error {
    Error::Database(Box::new(error.into()))
}
