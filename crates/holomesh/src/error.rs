//! The one error type of the node.

use crate::media::MediaError;
use core_types::KeyId;
use std::path::PathBuf;

/// What went wrong, with whom or with which input, and what to do. A peer's fault never ends a node: it ends that link.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that the user gave is not usable.
    #[error("{what}: {why}")]
    Input {
        /// The option, file or value.
        what: String,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// A file can't be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A clip, sound or output file.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The local socket or endpoint.
    #[error("network: {0}")]
    Network(String),
    /// A peer could not be reached.
    #[error("no connection to {peer}: {why}")]
    Connect {
        /// Whom.
        peer: String,
        /// Why not.
        why: String,
    },
    /// The peer speaks another version of the protocol.
    #[error(
        "the peer speaks version {theirs} of the protocol, this node version {ours}: update the older one"
    )]
    Version {
        /// Our version.
        ours: u16,
        /// Theirs.
        theirs: u16,
    },
    /// A peer broke the protocol; its link was closed.
    #[error("peer {peer} misbehaved: {why}")]
    Peer {
        /// Who, as far as known.
        peer: String,
        /// How.
        why: String,
    },
    /// A peer refused us.
    #[error("refused by {peer}: {why}")]
    Refused {
        /// By whom.
        peer: KeyId,
        /// Why.
        why: String,
    },
    /// Group keys.
    #[error(transparent)]
    Group(#[from] av_mls::Error),
    /// Chunks and seals.
    #[error(transparent)]
    Wire(#[from] av_wire::Error),
    /// A codec.
    #[error("{what}: {why}")]
    Codec {
        /// Which.
        what: &'static str,
        /// What it says.
        why: String,
    },
    /// What is recorded, or its store.
    #[error(transparent)]
    Store(#[from] symbol_store::Error),
    /// A part of the node ended without saying why.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

impl Error {
    /// A user's input that is not usable.
    pub fn input(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Input { what: what.into(), why: why.into() }
    }

    /// A codec's error.
    pub fn codec(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Codec { what, why: why.to_string() }
    }

    /// A file's error.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
