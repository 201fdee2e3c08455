//! What nodes say to each other beside the media (spec 30): the messages, how they are framed, and the version.
//!
//! What is here: [`Control`], every message; [`encode`] and [`decode`], one frame each; [`preamble`] and [`version_of`], what
//! a side says first. Nothing here reads a socket: a reader takes four bytes, asks [`frame_len`] how many follow, and gives
//! those to [`decode`]. What the messages carry (commits, announcements, packages) is for others to check.
//!
//! A frame is a u32 length and that many bytes of `postcard`, integers of the frame big-endian; one with bytes left over, or
//! that is no message, is an error, and ends the link.
//!
//! ```
//! use control_wire::{Control, FRAME_LIMIT, PREFIX_LEN, decode, encode, frame_len};
//!
//! let frame = encode(&Control::EpochReady { epoch: 7 })?;
//! let (prefix, content) = frame.split_first_chunk::<PREFIX_LEN>().expect("encode writes a length");
//! assert_eq!(frame_len(*prefix, FRAME_LIMIT)?, content.len());
//! assert_eq!(decode::<Control>(content)?, Control::EpochReady { epoch: 7 });
//! # Ok::<(), control_wire::Error>(())
//! ```

mod bounded;
mod error;
mod frame;
mod lane;
mod message;
mod quota;

pub use bounded::{
    MAX_CONSENT_LEN, MAX_CONSENTS, MAX_EVIDENCE_LEN, MAX_GOSSIP_ENTRIES, MAX_GOSSIP_ENTRY_LEN,
    MAX_IDENTITY_LEN, MAX_LANE_ADDRESSES, MAX_MANIFEST_LEN, MAX_PERMIT_LEN, MAX_STORED_SYMBOL_LEN,
    MAX_STORED_SYMBOLS, MAX_WHY_LEN,
};
pub use error::Error;
pub use frame::{
    FRAME_LIMIT, PREAMBLE_LEN, PREFIX_LEN, PROTOCOL_VERSION, decode, encode, frame_len, preamble, version_of,
};
pub use lane::{LANE_EXPORTED_LEN, LANE_EXPORTER_LABEL, lane_context};
pub use message::{Control, DirectPort, PeerAddress, REMOVED, Start, StoredAt, StoredSymbol};
pub use quota::{NoRoom, OverQuota};
