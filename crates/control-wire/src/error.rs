//! The one error type of this crate.

/// What is wrong with a frame or a preamble.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are not those of a holomesh node: the peer's fault.
    #[error("not a holomesh peer: its first bytes are not `HMSH`")]
    NotHolomesh,
    /// A frame above the limit: the peer's fault when it comes, the caller's when it is made.
    #[error("control message of {have} bytes; the limit is {limit}")]
    TooLarge {
        /// Its length in bytes.
        have: usize,
        /// The limit.
        limit: usize,
    },
    /// Bytes that are no message: the peer's fault.
    #[error("malformed control message: {0}")]
    Malformed(String),
    /// Bytes after the end of a message: the peer's fault.
    #[error("{0} bytes after the end of a control message")]
    TrailingBytes(usize),
}
