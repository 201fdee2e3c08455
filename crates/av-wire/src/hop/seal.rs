//! The sender's side of a link.

use super::layout::{WHOLE_LEN, Written};
use super::table::Outgoing;
use super::{Geometry, LinkRefusal, LinkSeq};
use crate::{Aead, AwsLc, ChunkHeader, Error, HEADER_LEN, MAX_CHUNK_LEN, TAG_LEN};
use core_types::StreamId;
use zeroize::Zeroizing;

/// Key and salt of one direction of a link, from the link handshake. Not `Clone`: one sender or one receiver has them.
///
/// ```compile_fail
/// fn two_senders(keys: av_wire::HopKeys) -> (av_wire::HopSender, av_wire::HopSender) {
///     let suite = av_wire::HopSuite::Full;
///     (av_wire::HopSender::new(suite(keys)), av_wire::HopSender::new(suite(keys)))
/// }
/// ```
pub struct HopKeys<A = AwsLc> {
    aead: A,
    /// The salt's 12 bytes, the first one highest.
    salt: Zeroizing<u128>,
}

impl<A: Aead> HopKeys<A> {
    /// Takes key and salt. A direction's key must serve one sender: two would use link numbers twice.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library refuses the key; does not happen.
    pub fn new(key: &[u8; 32], salt: &[u8; 12]) -> Result<Self, Error> {
        let salt = salt.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte));
        Ok(Self { aead: A::new(key)?, salt: Zeroizing::new(salt) })
    }

    pub(super) const fn aead(&self) -> &A {
        &self.aead
    }

    /// salt XOR (u32 0 ‖ link number).
    #[inline]
    pub(super) fn nonce(&self, seq: LinkSeq) -> [u8; 12] {
        let wide = (*self.salt ^ u128::from(seq.0)) << 32;
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&wide.to_be_bytes()[..12]);
        nonce
    }
}

impl<A> core::fmt::Debug for HopKeys<A> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HopKeys(redacted)")
    }
}

/// What a link adds around a chunk (spec 30 section 10). Both ends must be told the same.
#[derive(Debug)]
pub enum HopSuite<A = AwsLc> {
    /// AES-256-GCM once more over what is sealed already, under the hop header.
    Full(HopKeys<A>),
    /// A tag over hop header, length and inner tag: costs the same for every size. Who alters the payload on the way is
    /// found out only where the inner seal is opened, so it is for links that are trusted not to.
    Bind(HopKeys<A>),
    /// Nothing: the transport is an authenticated, sealed, post-quantum channel that delivers nothing twice.
    TransportSealed,
}

/// A whole chunk, taken apart without copying: 52 bytes of header, then ciphertext and tag.
#[derive(Debug, Clone, Copy)]
pub struct SealedChunk<'a> {
    pub(super) header: ChunkHeader,
    pub(super) header_bytes: &'a [u8; HEADER_LEN],
    pub(super) body: &'a [u8],
}

impl<'a> SealedChunk<'a> {
    /// Reads a chunk.
    ///
    /// # Errors
    /// As [`ChunkHeader::parse`].
    pub fn parse(chunk: &'a [u8]) -> Result<Self, Error> {
        let header = ChunkHeader::parse(chunk)?;
        let Some((header_bytes, body)) = chunk.split_first_chunk() else {
            return Err(Error::Truncated { what: "chunk", need: HEADER_LEN, have: chunk.len() });
        };
        Ok(Self { header, header_bytes, body })
    }

    /// Its header.
    pub const fn header(&self) -> &ChunkHeader {
        &self.header
    }

    /// Ciphertext and tag.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }
}

/// What goes before and behind a chunk's body on a link: head ‖ body ‖ tag is the datagram.
#[derive(Debug, Clone, Copy)]
pub struct HopParts {
    head: Written,
    tag: [u8; TAG_LEN],
    tag_len: usize,
}

impl HopParts {
    /// What goes before.
    pub fn head(&self) -> &[u8] {
        self.head.bytes()
    }

    /// What goes behind; empty on a link whose transport seals.
    pub fn tag(&self) -> &[u8] {
        &self.tag[..self.tag_len]
    }
}

/// Sends chunks on one link: numbers them, shortens their headers, seals them again. Not `Clone`, and the number never goes
/// back, whoever subscribes anew.
#[derive(Debug)]
pub struct HopSender<A = AwsLc> {
    suite: HopSuite<A>,
    pub(super) next: LinkSeq,
    aliases: Outgoing,
}

impl<A: Aead> HopSender<A> {
    /// Bytes that a datagram is longer than its chunk at most.
    pub const MAX_GROWTH: usize = WHOLE_LEN - HEADER_LEN + TAG_LEN;

    /// A sender that has sent nothing yet. Its keys are used up with it.
    pub const fn new(suite: HopSuite<A>) -> Self {
        Self { suite, next: LinkSeq(0), aliases: Outgoing::new(Geometry::WIRE) }
    }

    /// The number that the next datagram will have.
    pub const fn next_seq(&self) -> LinkSeq {
        self.next
    }

    /// Says the whole header with the next chunks of a stream, as if it were new: for a receiver that lost the thread.
    pub fn rebind(&mut self, stream: StreamId) {
        self.aliases.rebind(stream);
    }

    /// Writes the datagram for a chunk into `out` and returns its length. Nothing but the header, and in the suites that
    /// leave the payload alone the payload, is copied.
    ///
    /// # Errors
    /// [`Error::Truncated`] if `out` has no room: [`HopSender::MAX_GROWTH`] more than the chunk is enough.
    /// [`Error::Link`] after 2^48 datagrams. A number is used up only on success.
    pub fn seal_into(&mut self, chunk: &SealedChunk<'_>, out: &mut [u8]) -> Result<usize, Error> {
        let tag_len = if matches!(self.suite, HopSuite::TransportSealed) { 0 } else { TAG_LEN };
        let most = WHOLE_LEN + chunk.body.len() + tag_len;
        if out.len() < most {
            return Err(Error::Truncated { what: "buffer for a datagram", need: most, have: out.len() });
        }
        if !matches!(self.suite, HopSuite::Full(_)) {
            let parts = self.seal_by_reference(chunk)?;
            let (head, tag) = (parts.head(), parts.tag());
            let (before, rest) = out.split_at_mut(head.len());
            let (body, behind) = rest.split_at_mut(chunk.body.len());
            before.copy_from_slice(head);
            body.copy_from_slice(chunk.body);
            behind[..tag.len()].copy_from_slice(tag);
            return Ok(head.len() + chunk.body.len() + tag.len());
        }
        let mut head = Written::EMPTY;
        let seq = self.number(chunk, &mut head)?;
        let HopSuite::Full(keys) = &self.suite else {
            return Err(wrong_suite());
        };
        let len = head.bytes().len() + chunk.body.len() + TAG_LEN;
        let (before, rest) = out[..len].split_at_mut(head.bytes().len());
        before.copy_from_slice(head.bytes());
        let mut aad = Associated::EMPTY;
        aad.set_full(&head.prefix(), chunk.header_bytes);
        keys.aead.seal_apart(keys.nonce(seq), aad.bytes(), chunk.body, rest)?;
        Ok(len)
    }

    /// What goes before and behind the chunk's body, which stays where it is: for many subscribers of one chunk.
    ///
    /// # Errors
    /// [`Error::Link`] after 2^48 datagrams, and on a link of suite `full`, which seals the body anew.
    #[inline]
    pub fn seal_by_reference(&mut self, chunk: &SealedChunk<'_>) -> Result<HopParts, Error> {
        if matches!(self.suite, HopSuite::Full(_)) {
            return Err(wrong_suite());
        }
        let mut parts = HopParts { head: Written::EMPTY, tag: [0; TAG_LEN], tag_len: 0 };
        let seq = self.number(chunk, &mut parts.head)?;
        if let HopSuite::Bind(keys) = &self.suite {
            let mut aad = Associated::EMPTY;
            aad.set_bind(&parts.head.prefix(), chunk.header_bytes, chunk.body)?;
            parts.tag = keys.aead.seal(keys.nonce(seq), aad.bytes(), &mut [])?;
            parts.tag_len = TAG_LEN;
        }
        Ok(parts)
    }

    /// Takes a number and writes the header for it. The number is gone before a key is used.
    #[inline]
    fn number(&mut self, chunk: &SealedChunk<'_>, head: &mut Written) -> Result<LinkSeq, Error> {
        let seq = self.next;
        if seq >= LinkSeq::END {
            return Err(Error::Link { seq: Some(seq), why: LinkRefusal::Exhausted });
        }
        self.next = LinkSeq(seq.0 + 1);
        self.aliases.write(seq, &chunk.header, chunk.header_bytes, head);
        Ok(seq)
    }
}

/// What a hop tag covers besides the body (spec 30 section 10).
///
/// Made in blocks of sixteen bytes at even places, each stored at once: what is stored in other pieces than it is read in
/// stalls the processor, and a last block that is not full costs the library a multiplication of its own.
#[repr(align(16))]
pub(super) struct Associated {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl Associated {
    const ROOM: usize = 96;

    /// Nothing: to be set where it is, since moving it would cost as much as hashing it.
    pub(super) const EMPTY: Self = Self { bytes: [0; Self::ROOM], len: 0 };

    /// Suite `full`: hop header without the 52 bytes, then the 52 bytes.
    #[inline]
    pub(super) fn set_full(&mut self, prefix: &Prefix, header: &[u8; HEADER_LEN]) {
        // Sixteen bytes always, since a copy of a known length is a single move; the header goes over what is too many.
        self.bytes[..16].copy_from_slice(&prefix.bytes);
        self.bytes[prefix.len..prefix.len + HEADER_LEN].copy_from_slice(header);
        self.len = prefix.len + HEADER_LEN;
    }

    /// Suite `bind`: the first 48 bytes of the 52, the inner tag, the last 4 of the 52, the body's length as u32, and the hop
    /// header without the 52, which has 8 bytes, or 10 and zeros behind it to 24.
    #[inline]
    pub(super) fn set_bind(
        &mut self,
        prefix: &Prefix,
        header: &[u8; HEADER_LEN],
        body: &[u8],
    ) -> Result<(), Error> {
        let Some(tag) = body.last_chunk::<TAG_LEN>() else {
            return Err(Error::Truncated { what: "chunk", need: TAG_LEN, have: body.len() });
        };
        let Ok(len) = u32::try_from(body.len()) else {
            return Err(Error::TooLarge { what: "chunk", limit: MAX_CHUNK_LEN, have: body.len() });
        };
        let ([first, second, third], last) = header.as_chunks::<16>() else {
            return Err(Error::Crypto("a header of 52 bytes"));
        };
        let (Some(last), Some(front)) = (last.first_chunk::<4>(), prefix.bytes.first_chunk::<8>()) else {
            return Err(Error::Crypto("a header of 52 bytes"));
        };
        self.bytes[..16].copy_from_slice(first);
        self.bytes[16..32].copy_from_slice(second);
        self.bytes[32..48].copy_from_slice(third);
        self.bytes[48..64].copy_from_slice(tag);
        let block = u128::from(u32::from_be_bytes(*last)) << 96
            | u128::from(len) << 64
            | u128::from(u64::from_be_bytes(*front));
        self.bytes[64..80].copy_from_slice(&block.to_be_bytes());
        self.len = 80;
        if prefix.len > 8 {
            self.bytes[80..88].copy_from_slice(&prefix.bytes[8..]);
            self.len = 96;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A hop header without the 52 bytes: at most ten, zeros behind them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prefix {
    bytes: [u8; 16],
    len: usize,
}

#[cfg(test)]
impl Prefix {
    pub(super) fn bytes(&self) -> &[u8] {
        assert!(self.bytes[self.len..].iter().all(|byte| *byte == 0), "zeros behind it");
        &self.bytes[..self.len]
    }
}

impl Prefix {
    #[inline]
    pub(super) fn new(prefix: &[u8]) -> Self {
        let mut bytes = [0; 16];
        let len = prefix.len().min(16);
        bytes[..len].copy_from_slice(&prefix[..len]);
        Self { bytes, len }
    }

    /// From sixteen bytes, of which `len` count and the others are zeros.
    #[inline]
    pub(super) const fn padded(bytes: [u8; 16], len: usize) -> Self {
        Self { bytes, len }
    }
}

pub(super) const fn wrong_suite() -> Error {
    Error::Link { seq: None, why: LinkRefusal::WrongSuite }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_ends_after_its_last_number() {
        let keys = HopKeys::<AwsLc>::new(&[1; 32], &[2; 12]).unwrap();
        let mut sender = HopSender::new(HopSuite::Bind(keys));
        let mut chunk = [0; 100];
        chunk[48] = 4;
        let chunk = SealedChunk::parse(&chunk).unwrap();
        sender.next = LinkSeq(LinkSeq::END.0 - 1);
        assert!(sender.seal_by_reference(&chunk).is_ok());
        let refused = Error::Link { seq: Some(LinkSeq::END), why: LinkRefusal::Exhausted };
        assert_eq!(sender.seal_by_reference(&chunk).unwrap_err(), refused);
        assert_eq!(sender.seal_into(&chunk, &mut [0; 200]).unwrap_err(), refused);
    }

    #[test]
    fn debug_output_shows_no_key() {
        let keys = HopKeys::<AwsLc>::new(&[0x41; 32], &[0x42; 12]).unwrap();
        let text = format!("{:?}", HopSender::new(HopSuite::Full(keys)));
        assert!(text.contains("redacted") && !text.contains("66, 66"), "{text}");
    }
}
