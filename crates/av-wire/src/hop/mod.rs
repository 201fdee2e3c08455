//! One link: what is put around a chunk between two neighbours, and taken off again (spec 30 sections 9 to 12).
//!
//! A link has one [`HopSender`] and one [`HopReceiver`] for each direction. Most chunks travel with a compact header of 8
//! bytes that stands for the 52; the first ones of a stream, and every so often one, carry the whole header and bind a
//! link-local alias to it. Three suites: `full` seals the chunk once more, `bind` authenticates header and inner tag and
//! leaves the payload where it lies, and a link whose transport seals adds nothing.

mod bound;
mod layout;
mod open;
mod seal;
mod table;
#[cfg(test)]
mod tests;

pub use layout::is_carrier_packet;
pub use open::{Fresh, FreshChunk, HopReceiver, KeptChunk};
pub use seal::{HopKeys, HopParts, HopSender, HopSuite, SealedChunk};

/// Number of a datagram on a link and direction: strictly increasing, never used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkSeq(pub u64);

impl LinkSeq {
    /// Link numbers end here: 2^48.
    pub const END: Self = Self(1 << 48);
}

impl core::fmt::Display for LinkSeq {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why a link did not take or send a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkRefusal {
    /// The tag does not fit: altered, of another link, or a header that was put together wrongly.
    #[error("it does not authenticate")]
    NotAuthentic,
    /// Taken before, or older than the window.
    #[error("it was taken before")]
    Replayed,
    /// A compact header whose alias is not bound here (any more, or yet): the next whole header mends it.
    #[error("its alias is not bound here")]
    Unbound,
    /// An alias that is still in use was bound to another stream: a sender that keeps the rules does not do that.
    #[error("it binds an alias that is in use")]
    AliasInUse,
    /// All link numbers are used up: the link needs new keys.
    #[error("all link numbers are used: make a new link")]
    Exhausted,
    /// The link's suite does not do that.
    #[error("this link's suite does not allow it")]
    WrongSuite,
}

/// The numbers that sender and receiver of a link agree on. The tests shrink them, so that rare cases come often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    /// A binding holds for so many link numbers after the last whole header that made or repeated it.
    pub(crate) reach: u64,
    /// No datagram is taken that comes this many link numbers late, or more.
    pub(crate) reorder: u64,
    /// How many aliases there are.
    pub(crate) aliases: u16,
    /// Streams that a sender keeps bound at once.
    pub(crate) streams: usize,
    /// Bindings that a receiver keeps.
    pub(crate) bindings: usize,
    /// A whole header is repeated at the latest after so many chunks of its stream; a power of two.
    pub(crate) repeat: u32,
}

impl Geometry {
    pub(crate) const WIRE: Self =
        Self { reach: 16_384, reorder: 4_096, aliases: 1_024, streams: 128, bindings: 512, repeat: 256 };

    /// New bindings that a sender makes at most before it repeats a whole header: no live binding is evicted then.
    pub(crate) const fn churn(&self) -> u64 {
        (self.bindings - 2 * self.streams) as u64
    }
}
