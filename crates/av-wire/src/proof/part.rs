//! Proofs in pieces that fit a chunk each, and back.

use super::ProofIndex;
use super::message::MAX_PROOF_LEN;
use crate::{Error, varint};
use std::collections::VecDeque;

/// A piece of a proof: what a chunk of kind 2 carries (spec 25 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofPart<'a> {
    /// The proof's index. Nothing relies on it but putting pieces together.
    pub index: ProofIndex,
    /// Which piece, from 0.
    pub part: u8,
    /// How many pieces there are.
    pub parts: u8,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl<'a> ProofPart<'a> {
    /// Bytes of a piece at most. With a chunk's other fields it is no longer than a chunk with a default fountain symbol,
    /// so that whatever carries pictures carries proofs.
    pub const MAX_LEN: usize = 1_088;
    /// Pieces of a proof at most.
    pub const MAX_PARTS: usize = MAX_PROOF_LEN.div_ceil(Self::MAX_LEN) + 1;

    /// Cuts a proof into as few pieces as possible, about equally long.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`MAX_PROOF_LEN`].
    pub fn split(index: ProofIndex, proof: &'a [u8]) -> Result<impl Iterator<Item = Self>, Error> {
        Self::split_off(index, proof, 0)
    }

    /// As [`split`](Self::split), with the last `small` bytes as a piece of their own.
    pub(super) fn split_off(
        index: ProofIndex,
        proof: &'a [u8],
        small: usize,
    ) -> Result<impl Iterator<Item = Self>, Error> {
        if proof.len() > MAX_PROOF_LEN {
            return Err(Error::TooLarge { what: "proof", limit: MAX_PROOF_LEN, have: proof.len() });
        }
        let (most, last) = proof.split_at(proof.len().saturating_sub(small));
        let pieces = most.len().div_ceil(Self::MAX_LEN).max(1);
        let pieces: Vec<&[u8]> =
            most.chunks(most.len().div_ceil(pieces).max(1)).chain(last.chunks(Self::MAX_LEN)).collect();
        let parts = pieces.len() as u8;
        Ok(pieces.into_iter().zip(0..).map(move |(bytes, part)| Self { index, part, parts, bytes }))
    }

    /// Reads a piece.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::TooLarge`] or [`Error::Malformed`].
    pub fn parse(mut content: &'a [u8]) -> Result<Self, Error> {
        let index = ProofIndex(varint::read(&mut content)?);
        let Some((&[part, parts], bytes)) = content.split_first_chunk() else {
            return Err(Error::Truncated { what: "proof part", need: 2, have: content.len() });
        };
        if bytes.is_empty() || part >= parts || usize::from(parts) > Self::MAX_PARTS {
            return Err(Error::Malformed {
                what: "proof part",
                why: "empty, or not one of the stated number",
            });
        }
        if bytes.len() > Self::MAX_LEN {
            return Err(Error::TooLarge { what: "proof part", limit: Self::MAX_LEN, have: bytes.len() });
        }
        Ok(Self { index, part, parts, bytes })
    }

    /// The piece as bytes, for [`Inner::Proof`](crate::Inner::Proof).
    ///
    /// # Errors
    /// [`Error::Malformed`] for an index above 62 bits.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(10 + self.bytes.len());
        let (index, start) = varint::encode(self.index.0)?;
        out.extend_from_slice(&index[start..]);
        out.extend_from_slice(&[self.part, self.parts]);
        out.extend_from_slice(self.bytes);
        Ok(out)
    }
}

/// Puts pieces together. Keeps at most [`ProofAssembler::MAX_OPEN`] unfinished proofs; the one begun first gives way.
#[derive(Debug, Default)]
pub struct ProofAssembler {
    /// In the order in which they were begun.
    open: VecDeque<Open>,
    given_up: u64,
}

#[derive(Debug)]
struct Open {
    index: ProofIndex,
    pieces: Vec<Option<Vec<u8>>>,
}

impl ProofAssembler {
    /// Unfinished proofs at most: 8, so at most 8 times [`MAX_PROOF_LEN`] bytes.
    pub const MAX_OPEN: usize = 8;

    /// Nothing begun yet.
    pub const fn new() -> Self {
        Self { open: VecDeque::new(), given_up: 0 }
    }

    /// Takes a piece from an authentic chunk; gives the proof's bytes when it is the last one missing. Whether they are a
    /// proof is not looked at. Of two pieces for one place the first stays.
    pub fn push(&mut self, part: &ProofPart<'_>) -> Option<Vec<u8>> {
        if part.parts == 1 {
            return Some(part.bytes.to_vec());
        }
        let (index, parts) = (part.index, usize::from(part.parts));
        let same = |open: &Open| open.index == index && open.pieces.len() == parts;
        let at = match self.open.iter().position(same) {
            Some(at) => at,
            None => {
                if self.open.len() == Self::MAX_OPEN {
                    self.open.pop_front();
                    self.given_up += 1;
                }
                self.open.push_back(Open { index, pieces: vec![None; parts] });
                self.open.len() - 1
            }
        };
        let pieces = &mut self.open.get_mut(at)?.pieces;
        let place = pieces.get_mut(usize::from(part.part))?;
        place.get_or_insert_with(|| part.bytes.to_vec());
        if pieces.iter().any(Option::is_none) {
            return None;
        }
        let open = self.open.remove(at)?;
        Some(open.pieces.into_iter().flatten().flatten().collect())
    }

    /// Proofs begun and given up so far.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Bytes held for unfinished proofs.
    pub fn held_bytes(&self) -> usize {
        self.open.iter().flat_map(|open| open.pieces.iter().flatten()).map(Vec::len).sum()
    }
}

const _: () = assert!(ProofPart::MAX_PARTS <= u8::MAX as usize);
