//! Identifiers and counters. A bare integer or string never stands for one of these in a signature.

use crate::Error;
use core::{fmt, str::FromStr};
use data_encoding::{BASE32_NOPAD, HEXLOWER};

/// 32-byte ids that are shown as lower-case base32 without padding.
macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The first eight characters of the text form: enough for a log line, never for a decision.
            pub fn short(&self) -> String {
                let mut text = self.to_string();
                text.truncate(8);
                text
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}…)"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let malformed = || Error::MalformedId(text.chars().take(64).collect());
                if text.len() != 52 || text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(malformed());
                }
                let bytes =
                    BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| malformed())?;
                bytes.try_into().map(Self).map_err(|_| malformed())
            }
        }
    };
}

id32! {
    /// Names a peer's long-term hybrid identity: a hash over both public keys (spec 10).
    KeyId
}
id32! {
    /// Names one publisher's one source in a session (spec 20 section 1).
    StreamId
}
id32! {
    /// Names a session: one call or channel, one MLS group.
    SessionId
}

/// An epoch of a session: the MLS epoch number, up by one with every commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Position of a chunk in its stream and epoch; starts at 0 in every epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkSeq(pub u64);

/// Position of an object (a coded frame, an audio packet) in its stream; goes on over epochs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectSeq(pub u64);

/// A RaptorQ encoding symbol id: 24 bits, source symbols first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolId(u32);

impl SymbolId {
    /// The largest id that the wire can carry.
    pub const MAX: Self = Self(0x00ff_ffff);

    /// Checks that `id` fits 24 bits.
    ///
    /// # Errors
    /// [`Error::SymbolId`] when it does not.
    pub const fn new(id: u32) -> Result<Self, Error> {
        if id > Self::MAX.0 { Err(Error::SymbolId(id)) } else { Ok(Self(id)) }
    }

    /// The id as a number.
    pub const fn value(self) -> u32 {
        self.0
    }
}

/// A member's position in the MLS tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafIndex(pub u32);

/// One live link between this node and a peer. Local to the node, never on the wire, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What a chunk's stream is coded with. Closed on purpose: an id that is not listed here is refused at parsing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CodecId {
    /// AV1, scalable or not.
    Av1 = 0x01,
    /// JPEG XS; reserved, nothing here codes it yet.
    JpegXs = 0x02,
    /// Multiple descriptions.
    Mdc = 0x03,
    /// Opus audio.
    Opus = 0x04,
    /// Bytes that no relay knows anything about; always layer (0,0,0), admitted by every policy.
    Opaque = 0xff,
}

impl TryFrom<u8> for CodecId {
    type Error = Error;

    fn try_from(byte: u8) -> Result<Self, Error> {
        Ok(match byte {
            0x01 => Self::Av1,
            0x02 => Self::JpegXs,
            0x03 => Self::Mdc,
            0x04 => Self::Opus,
            0xff => Self::Opaque,
            other => return Err(Error::UnknownCodec(other)),
        })
    }
}

impl From<CodecId> for u8 {
    fn from(codec: CodecId) -> Self {
        codec as Self
    }
}

impl fmt::Display for SymbolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

macro_rules! display_number {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}
display_number!(Epoch, ChunkSeq, ObjectSeq, LeafIndex, LinkId);

/// Hex for debugging output in other crates' tests.
impl fmt::LowerHex for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn id_text_round_trips(bytes: [u8; 32]) {
            let id = KeyId(bytes);
            prop_assert_eq!(id.to_string().parse::<KeyId>().unwrap(), id);
            prop_assert_eq!(id.to_string().len(), 52);
        }

        #[test]
        fn id_parsing_never_panics_and_accepts_only_its_own_form(text in "\\PC{0,60}") {
            if let Ok(id) = text.parse::<StreamId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn codec_bytes_round_trip_or_are_refused(byte: u8) {
            match CodecId::try_from(byte) {
                Ok(codec) => prop_assert_eq!(u8::from(codec), byte),
                Err(error) => prop_assert_eq!(error, Error::UnknownCodec(byte)),
            }
        }
    }

    #[test]
    fn upper_case_ids_are_refused() {
        let upper = KeyId([7; 32]).to_string().to_ascii_uppercase();
        assert!(upper.parse::<KeyId>().is_err());
    }

    #[test]
    fn symbol_ids_are_24_bits() {
        assert_eq!(SymbolId::new(0x00ff_ffff).unwrap(), SymbolId::MAX);
        assert_eq!(SymbolId::new(0x0100_0000), Err(Error::SymbolId(0x0100_0000)));
    }
}
