//! What is inside the seal: a whole object, by itself or with units of repair, a fountain symbol of one, or a proof.

use crate::head::Head;
use crate::{Error, FrameDuration, Object, varint};
use core_types::{ObjectSeq, SymbolId};

/// Repair symbols of one object at most.
pub const MAX_REPAIR: u16 = 2_048;

const TOO_MUCH_REPAIR: Error =
    Error::Malformed { what: "symbol", why: "more than 2048 repair symbols of an object" };

const NO_BODY: Error = Error::Malformed { what: "object with units", why: "nothing follows its number" };

/// The content of a chunk once it is open (spec 20 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inner<'a> {
    /// Kind 0: an [`Object`](crate::Object) that fits one chunk.
    Object {
        /// The object's number in the stream.
        seq: ObjectSeq,
        /// The object's bytes.
        bytes: &'a [u8],
    },
    /// Kind 1: one RaptorQ symbol of an object.
    Symbol {
        /// The object's number in the stream.
        seq: ObjectSeq,
        /// The object's length in bytes; with the announced symbol size it gives K.
        object_len: u32,
        /// How many repair symbols the publisher made of the object: with K it says which chunk numbers the object has. At most
        /// [`MAX_REPAIR`].
        repair: u16,
        /// Which symbol: below K source in order, from K on repair.
        id: SymbolId,
        /// The symbol's bytes: exactly the announced symbol size.
        bytes: &'a [u8],
    },
    /// Kind 2: a proof of authorship.
    Proof {
        /// The proof's bytes.
        bytes: &'a [u8],
    },
    /// Kind 3: an object with units of repair for those before it, or units alone (spec 62).
    Window {
        /// The object's number in the stream; of units alone that of the object that comes next.
        seq: ObjectSeq,
        /// Units and object as spec 62 section 2 frames them.
        body: &'a [u8],
    },
}

impl<'a> Inner<'a> {
    const OBJECT: u8 = 0;
    const SYMBOL: u8 = 1;
    const PROOF: u8 = 2;
    const WINDOW: u8 = 3;

    /// Reads what was inside a seal.
    ///
    /// # Errors
    /// [`Error::Truncated`] or [`Error::Malformed`]: the sender sealed something that is not content.
    pub fn parse(plaintext: &'a [u8]) -> Result<Self, Error> {
        let Some((kind, mut rest)) = plaintext.split_first() else {
            return Err(Error::Truncated { what: "chunk content", need: 1, have: 0 });
        };
        match *kind {
            Self::OBJECT => {
                let seq = ObjectSeq(varint::read(&mut rest)?);
                Ok(Self::Object { seq, bytes: rest })
            }
            Self::SYMBOL => {
                let seq = ObjectSeq(varint::read(&mut rest)?);
                let object_len = u32::try_from(varint::read(&mut rest)?)
                    .map_err(|_| Error::Malformed { what: "symbol", why: "object length above 32 bits" })?;
                let repair = u16::try_from(varint::read(&mut rest)?).ok();
                let repair = repair.filter(|repair| *repair <= MAX_REPAIR).ok_or(TOO_MUCH_REPAIR)?;
                let Some((id, bytes)) = rest.split_first_chunk::<3>() else {
                    return Err(Error::Truncated { what: "symbol id", need: 3, have: rest.len() });
                };
                let id = SymbolId::new(u32::from_be_bytes([0, id[0], id[1], id[2]]))?;
                if object_len == 0 || bytes.is_empty() {
                    return Err(Error::Malformed { what: "symbol", why: "empty object or symbol" });
                }
                Ok(Self::Symbol { seq, object_len, repair, id, bytes })
            }
            Self::PROOF => Ok(Self::Proof { bytes: rest }),
            Self::WINDOW => {
                let seq = ObjectSeq(varint::read(&mut rest)?);
                if rest.is_empty() {
                    return Err(NO_BODY);
                }
                Ok(Self::Window { seq, body: rest })
            }
            _ => Err(Error::Malformed {
                what: "chunk content",
                why: "kind is not 0 (object), 1 (symbol), 2 (proof) or 3 (object with units)",
            }),
        }
    }

    /// Bytes that the content takes before the seal.
    pub const fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Object { seq, bytes } => varint::len(seq.0) + bytes.len(),
            Self::Symbol { seq, object_len, repair, bytes, .. } => {
                let sizes = varint::len(*object_len as u64) + varint::len(*repair as u64);
                varint::len(seq.0) + sizes + 3 + bytes.len()
            }
            Self::Proof { bytes } => bytes.len(),
            Self::Window { seq, body } => varint::len(seq.0) + body.len(),
        }
    }

    /// Appends the content to `out`.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an object number above 62 bits, more than [`MAX_REPAIR`] repair symbols, or an empty body.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let content = Content::new(self)?;
        out.extend_from_slice(content.head.bytes());
        out.extend_from_slice(content.payload);
        Ok(())
    }
}

/// Content that is about to be sealed: a few bytes that say what it is, and the payload where it lies.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    pub(crate) head: Head,
    pub(crate) payload: &'a [u8],
}

impl<'a> Content<'a> {
    /// Content as it is read after opening.
    ///
    /// # Errors
    /// [`Error::Malformed`] for an object number above 62 bits, more than [`MAX_REPAIR`] repair symbols, or an empty body.
    pub fn new(inner: &Inner<'a>) -> Result<Self, Error> {
        let mut head = Head::new();
        let payload = match inner {
            Inner::Object { seq, bytes } => {
                head.push(Inner::OBJECT);
                head.varint(seq.0)?;
                bytes
            }
            Inner::Symbol { seq, object_len, repair, id, bytes } => {
                head.push(Inner::SYMBOL);
                head.varint(seq.0)?;
                head.varint(u64::from(*object_len))?;
                if *repair > MAX_REPAIR {
                    return Err(TOO_MUCH_REPAIR);
                }
                head.varint(u64::from(*repair))?;
                head.extend(&id.value().to_be_bytes()[1..]);
                bytes
            }
            Inner::Proof { bytes } => {
                head.push(Inner::PROOF);
                bytes
            }
            Inner::Window { seq, body } => {
                head.push(Inner::WINDOW);
                head.varint(seq.0)?;
                if body.is_empty() {
                    return Err(NO_BODY);
                }
                body
            }
        };
        Ok(Self { head, payload })
    }

    /// A whole object, with its coded bytes where they lie. `regular` is what the stream announced.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a number or a time above 62 bits.
    pub fn object(
        seq: ObjectSeq,
        object: &Object<'a>,
        regular: Option<FrameDuration>,
    ) -> Result<Self, Error> {
        let mut head = Head::new();
        head.push(Inner::OBJECT);
        head.varint(seq.0)?;
        head.extend(object.head(seq, regular)?.bytes());
        Ok(Self { head, payload: object.payload })
    }

    /// Bytes that the content takes before the seal.
    pub const fn encoded_len(&self) -> usize {
        self.head.len() + self.payload.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn content_round_trips(seq in 0u64..1 << 62, len in 1u32.., repair in 0..=MAX_REPAIR, id in 0u32..1 << 24, bytes in prop::collection::vec(any::<u8>(), 1..50)) {
            let id = SymbolId::new(id).unwrap();
            for inner in [
                Inner::Object { seq: ObjectSeq(seq), bytes: &bytes },
                Inner::Symbol { seq: ObjectSeq(seq), object_len: len, repair, id, bytes: &bytes },
                Inner::Proof { bytes: &bytes },
                Inner::Window { seq: ObjectSeq(seq), body: &bytes },
            ] {
                let mut out = Vec::new();
                inner.write(&mut out).unwrap();
                prop_assert_eq!(out.len(), inner.encoded_len());
                prop_assert_eq!(Inner::parse(&out), Ok(inner));
            }
        }

        #[test]
        fn more_repair_symbols_than_anybody_makes_are_refused(repair in MAX_REPAIR + 1..1 << 14) {
            let [high, low] = (0x4000 | repair).to_be_bytes();
            let content = [1, 0, 1, high, low, 0, 0, 0, 7];
            prop_assert_eq!(Inner::parse(&content), Err(TOO_MUCH_REPAIR));
        }

        #[test]
        fn units_without_anything_are_refused_both_ways(seq in 0u64..1 << 62) {
            let mut out = Vec::new();
            let inner = Inner::Window { seq: ObjectSeq(seq), body: &[] };
            prop_assert_eq!(inner.write(&mut out), Err(NO_BODY));
            Inner::Object { seq: ObjectSeq(seq), bytes: &[] }.write(&mut out).unwrap();
            out[0] = 3;
            prop_assert_eq!(Inner::parse(&out), Err(NO_BODY));
        }

        #[test]
        fn parsing_never_panics_and_accepts_only_what_writing_makes(bytes: Vec<u8>) {
            if let Ok(inner) = Inner::parse(&bytes) {
                let mut again = Vec::new();
                inner.write(&mut again).unwrap();
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
