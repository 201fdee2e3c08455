//! Lists and texts of a message that are shorter than a frame could be: refused in both directions beyond their limit.

use core::{fmt, marker::PhantomData};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a signed permit in a message at most; one with all it may hold is shorter.
pub const MAX_PERMIT_LEN: usize = 8 * 1024;
/// Addresses of a lane at most.
pub const MAX_LANE_ADDRESSES: usize = 16;
/// Bytes of the reason for a lane's refusal at most.
pub const MAX_WHY_LEN: usize = 1024;
/// Entries of a gossip message at most.
pub const MAX_GOSSIP_ENTRIES: usize = 32;
/// Bytes of an entry of gossip at most; a card with all it may hold is shorter.
pub const MAX_GOSSIP_ENTRY_LEN: usize = 12 * 1024;
/// Bytes of delivery evidence at most (spec 57 section 4).
pub const MAX_EVIDENCE_LEN: usize = 4 * 1024;
/// Bytes of a public identity at most (spec 10).
pub const MAX_IDENTITY_LEN: usize = 4 * 1024;
/// Bytes of a signed consent, tombstone or reading grant at most (spec 80).
pub const MAX_CONSENT_LEN: usize = 6 * 1024;
/// Consents of a message at most.
pub const MAX_CONSENTS: usize = 16;
/// Bytes of a manifest at most (spec 82 section 7).
pub const MAX_MANIFEST_LEN: usize = 16 * 1024;
/// Stored symbols of a message at most.
pub const MAX_STORED_SYMBOLS: usize = 4_096;
/// Bytes of a stored symbol at most: a chunk's.
pub const MAX_STORED_SYMBOL_LEN: usize = 65_536;

const TOO_LONG: &str = "longer than the message allows";

pub(crate) fn write<const MOST: usize, T: Serialize, S: Serializer>(
    list: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if list.len() > MOST {
        return Err(S::Error::custom(TOO_LONG));
    }
    list.serialize(serializer)
}

pub(crate) fn read<'de, const MOST: usize, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Bounded::<MOST, T>(PhantomData))
}

/// As [`write`], of byte strings that have a limit of their own.
pub(crate) fn write_strings<const MOST: usize, const LEN: usize, S: Serializer>(
    list: &[Vec<u8>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if list.iter().any(|string| string.len() > LEN) {
        return Err(S::Error::custom(TOO_LONG));
    }
    write::<MOST, _, _>(list, serializer)
}

/// As [`read`], of byte strings that have a limit of their own.
pub(crate) fn read_strings<'de, const MOST: usize, const LEN: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Vec<u8>>, D::Error> {
    let list = read::<MOST, ByteString<LEN>, D>(deserializer)?;
    Ok(list.into_iter().map(|ByteString(bytes)| bytes).collect())
}

struct ByteString<const MOST: usize>(Vec<u8>);

impl<'de, const MOST: usize> Deserialize<'de> for ByteString<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read::<MOST, u8, D>(deserializer).map(Self)
    }
}

pub(crate) fn write_text<const MOST: usize, S: Serializer>(
    text: &str,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if text.len() > MOST {
        return Err(S::Error::custom(TOO_LONG));
    }
    text.serialize(serializer)
}

pub(crate) fn read_text<'de, const MOST: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    let text = <&str>::deserialize(deserializer)?;
    if text.len() > MOST {
        return Err(D::Error::custom(TOO_LONG));
    }
    Ok(text.to_owned())
}

struct Bounded<const MOST: usize, T>(PhantomData<T>);

impl<'de, const MOST: usize, T: Deserialize<'de>> Visitor<'de> for Bounded<MOST, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MOST} elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        if list.size_hint().is_some_and(|len| len > MOST) {
            return Err(A::Error::custom(TOO_LONG));
        }
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            if elements.len() == MOST {
                return Err(A::Error::custom(TOO_LONG));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}
