//! The one error type of this crate.

use core_types::{ObjectSeq, SymbolId};

/// Why an object could not be cut or a symbol was not taken. [`Error::is_peer_fault`] tells whom to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's object is empty or too long for the symbol size.
    #[error(
        "object of {len} bytes: must be 1 to {max} bytes at this symbol size; split it or raise the symbol size"
    )]
    ObjectLength {
        /// Bytes of the object.
        len: usize,
        /// Most bytes that the symbol size allows.
        max: usize,
    },
    /// The caller asked for too many repair symbols.
    #[error("{asked} repair symbols asked for, at most {max} are made for one object")]
    RepairCount {
        /// How many were asked for.
        asked: u32,
        /// The limit, [`Encoder::MAX_REPAIR_SYMBOLS`](crate::Encoder::MAX_REPAIR_SYMBOLS).
        max: u32,
    },
    /// The caller's reassembly limits leave no room for even one object.
    #[error(
        "reassembly limits of {objects} objects and {bytes} bytes: need at least 1 object and {min_bytes} bytes"
    )]
    Limits {
        /// Open objects allowed.
        objects: usize,
        /// Bytes allowed.
        bytes: usize,
        /// Least bytes that hold one object of the largest size.
        min_bytes: usize,
    },
    /// The caller's window or pace is none.
    #[error("{what}: {value} asked for, must be {min} to {max}")]
    Window {
        /// What was asked for.
        what: &'static str,
        /// How much of it.
        value: usize,
        /// The least.
        min: usize,
        /// The most.
        max: usize,
    },
    /// The peer sent an object with repair units whose framing is broken.
    #[error("object {object} with repair units: {why}; drop the chunk")]
    WindowBody {
        /// The object.
        object: ObjectSeq,
        /// What is wrong.
        why: &'static str,
    },
    /// The peer announced an object that is empty or too long for the stream's symbol size.
    #[error("object {object} announced with {len} bytes: must be 1 to {max}; drop the symbol")]
    AnnouncedLength {
        /// The object.
        object: ObjectSeq,
        /// Bytes announced.
        len: usize,
        /// Most bytes that the symbol size allows.
        max: usize,
    },
    /// The peer announced two lengths for one object.
    #[error("object {object} announced with {now} bytes after {first} bytes; drop the symbol")]
    LengthChanged {
        /// The object.
        object: ObjectSeq,
        /// Bytes announced by the symbol that opened the object.
        first: usize,
        /// Bytes announced now.
        now: usize,
    },
    /// The peer sent a symbol of the wrong size.
    #[error("symbol {id} has {actual} bytes, the stream's symbols have {expected}; drop the symbol")]
    SymbolLength {
        /// The symbol.
        id: SymbolId,
        /// The stream's symbol size.
        expected: usize,
        /// Bytes received.
        actual: usize,
    },
}

impl Error {
    /// True if a peer sent what it must not send; false if the caller asked for something impossible.
    pub const fn is_peer_fault(&self) -> bool {
        matches!(
            self,
            Self::AnnouncedLength { .. }
                | Self::LengthChanged { .. }
                | Self::SymbolLength { .. }
                | Self::WindowBody { .. }
        )
    }
}
