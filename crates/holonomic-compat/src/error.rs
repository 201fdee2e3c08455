//! The one error type of this crate.

/// Why no bytes were made. It is always the caller's to change: nothing comes from a peer here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The layout can't say so much.
    #[error("{what}: {len} do not fit the u32 that counts them; the predecessor has no such structure")]
    TooMuch {
        /// Which field.
        what: &'static str,
        /// Its length or count.
        len: usize,
    },
    /// Two of a list are the same, and what the predecessor made of that was never published.
    #[error("{what}: {which:?} is there twice; leave one out")]
    Twice {
        /// Which list.
        what: &'static str,
        /// What is there twice.
        which: String,
    },
    /// A list that has to be in ascending order, byte by byte, and is not.
    #[error("{what}: {which:?} comes after what is above it; sort the list")]
    Unsorted {
        /// Which list.
        what: &'static str,
        /// The first that is out of order.
        which: String,
    },
    /// A range whose end is below its beginning.
    #[error("symbols {low} to {high}: the end is below the beginning")]
    Range {
        /// The first symbol.
        low: u32,
        /// The one after the last.
        high: u32,
    },
    /// Not one mass for each member.
    #[error("{masses} masses for {members} members; each has one")]
    Masses {
        /// How many members.
        members: usize,
        /// How many masses.
        masses: usize,
    },
    /// The capacity of a relay can't be written.
    #[error(transparent)]
    Capacity(#[from] alm::Error),
}
