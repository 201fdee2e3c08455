//! The one error type of this crate.

/// What a peer or a caller said that can't be. The state is as it was before the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A report on a datagram that was never sent.
    #[error(
        "report: the peer says that it took link number {largest}, and {sent:?} is the highest one sent; drop it"
    )]
    NeverSent {
        /// The highest link number that the report names.
        largest: u64,
        /// The highest one that was sent.
        sent: Option<u64>,
    },
    /// A report of more than was sent.
    #[error(
        "report: the peer says that it took {claimed} {what} up to link number {largest}, and {sent} were sent; drop it"
    )]
    TooMuch {
        /// Packets or bytes.
        what: &'static str,
        /// The highest link number that the report names.
        largest: u64,
        /// What the peer says it took.
        claimed: u64,
        /// What was sent.
        sent: u64,
    },
    /// A report whose link number went up and something else down.
    #[error(
        "report: the peer's {what} went from {before} back to {claimed} at link number {largest}; drop it"
    )]
    Backwards {
        /// Packets, bytes or arrival.
        what: &'static str,
        /// The highest link number that the report names.
        largest: u64,
        /// What the peer says now.
        claimed: u64,
        /// What it said before.
        before: u64,
    },
    /// The caller sent a link number that is not above the ones before.
    #[error(
        "burst: link number {first} is not above {last}, the last one sent; number datagrams in the order of sending"
    )]
    NotAscending {
        /// The first link number of the burst.
        first: u64,
        /// The last one sent before.
        last: u64,
    },
    /// A configuration that can't work.
    #[error("configuration: {what} is {value}, {should}")]
    Config {
        /// Which field.
        what: &'static str,
        /// Its value.
        value: u64,
        /// What it should be.
        should: &'static str,
    },
    /// More links than one controller takes.
    #[error("media rate: {0} links are known already; remove one first")]
    TooManyLinks(usize),
}

impl Error {
    /// Whether the peer is at fault, and not the caller.
    pub const fn is_peer_fault(&self) -> bool {
        matches!(self, Self::NeverSent { .. } | Self::TooMuch { .. } | Self::Backwards { .. })
    }
}
