//! The receiver's side of a link: authenticate, then check for replay, and only then let anything else happen.

mod owned;

pub use owned::{FreshChunk, KeptChunk};

use super::bound::Incoming;
use super::layout::{HopHeader, WHOLE_LEN, resolve_link};
use super::seal::{Associated, Prefix, wrong_suite};
use super::{Geometry, HopSuite, LinkRefusal, LinkSeq, SealedChunk};
use crate::{Aead, AwsLc, ChunkHeader, Error, HEADER_LEN, MAX_CHUNK_LEN, ReplayWindow, TAG_LEN};

/// The largest datagram on a link.
const MAX_DATAGRAM: usize = WHOLE_LEN + MAX_CHUNK_LEN - HEADER_LEN + TAG_LEN;
/// One byte of content and the inner tag.
const MIN_BODY: usize = 1 + TAG_LEN;

/// Takes chunks off one link. Until a datagram has authenticated it changes nothing here; one that was taken before
/// changes nothing else.
#[derive(Debug)]
pub struct HopReceiver<A = AwsLc> {
    suite: HopSuite<A>,
    window: ReplayWindow,
    bindings: Incoming,
}

/// A datagram whose tag fits. Private: what leaves this module was checked for replay as well.
struct Authentic<'a> {
    seq: LinkSeq,
    hop: HopHeader,
    chunk: Fresh<'a>,
}

/// A chunk that the neighbour sent: authenticated on the link, and not taken there before. Only a [`HopReceiver`] makes one,
/// so what asks for it can't be given anything else:
///
/// ```compile_fail
/// fn poison(dedup: &mut av_wire::Dedup, unauthenticated: &[u8]) {
///     let chunk = av_wire::SealedChunk::parse(unauthenticated).unwrap();
///     dedup.first(chunk);
/// }
/// ```
///
/// ```compile_fail
/// fn forge(header: av_wire::ChunkHeader, body: &mut [u8]) -> av_wire::Fresh<'_> {
///     av_wire::Fresh { header, header_bytes: header.to_bytes().unwrap(), body, carried: 0 }
/// }
/// ```
#[derive(Debug)]
pub struct Fresh<'a> {
    header: ChunkHeader,
    header_bytes: [u8; HEADER_LEN],
    body: &'a mut [u8],
    carried: usize,
}

impl Fresh<'_> {
    /// The chunk's header.
    pub const fn header(&self) -> &ChunkHeader {
        &self.header
    }

    /// Ciphertext and tag.
    pub const fn body(&self) -> &[u8] {
        self.body
    }

    /// Ciphertext and tag, to be opened in place.
    pub const fn body_mut(&mut self) -> &mut [u8] {
        self.body
    }

    /// Bytes that it took on the link, hop header and hop tag included.
    pub const fn carried(&self) -> usize {
        self.carried
    }

    /// The chunk as the next link wants it.
    pub const fn as_chunk(&self) -> SealedChunk<'_> {
        SealedChunk { header: self.header, header_bytes: &self.header_bytes, body: self.body }
    }

    /// Appends the whole chunk, 52 bytes of header in front: to keep it, or for a transport that takes it so.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.reserve(HEADER_LEN + self.body.len());
        out.extend_from_slice(&self.header_bytes);
        out.extend_from_slice(self.body);
    }
}

impl<A: Aead> HopReceiver<A> {
    /// A receiver that has taken nothing yet. Suite and keys are those of the sender at the other end.
    pub const fn new(suite: HopSuite<A>) -> Self {
        Self { suite, window: ReplayWindow::new(), bindings: Incoming::new(Geometry::WIRE) }
    }

    /// The highest link number taken.
    pub const fn highest(&self) -> Option<LinkSeq> {
        match self.window.highest() {
            Some(seq) => Some(LinkSeq(seq.0)),
            None => None,
        }
    }

    /// Opens a datagram in place.
    ///
    /// # Errors
    /// Parse errors, and [`Error::Link`]: [`LinkRefusal::Unbound`] until the next whole header if the binding was lost;
    /// [`LinkRefusal::NotAuthentic`], [`LinkRefusal::Replayed`], [`LinkRefusal::AliasInUse`] by the neighbour's fault or that
    /// of whoever is between.
    pub fn open<'a>(&mut self, datagram: &'a mut [u8]) -> Result<Fresh<'a>, Error> {
        let authentic = self.authenticate(datagram)?;
        self.accept(authentic)
    }

    /// Takes a whole chunk with its 52-byte header that came over the transport without a hop header. Only a transport that
    /// sealed it, and that delivers nothing twice, vouches for it.
    ///
    /// # Errors
    /// As [`ChunkHeader::parse`]; [`Error::Link`] on a link whose transport does not seal.
    pub fn open_whole<'a>(&mut self, chunk: &'a mut [u8]) -> Result<Fresh<'a>, Error> {
        if !matches!(self.suite, HopSuite::TransportSealed) {
            return Err(wrong_suite());
        }
        let header = ChunkHeader::parse(chunk)?;
        let have = chunk.len();
        let Some((header_bytes, body)) = chunk.split_first_chunk_mut() else {
            return Err(Error::Truncated { what: "chunk", need: HEADER_LEN, have });
        };
        Ok(Fresh { header, header_bytes: *header_bytes, body, carried: have })
    }

    /// Reads and checks without changing anything: it has no way to.
    fn authenticate<'a>(&self, datagram: &'a mut [u8]) -> Result<Authentic<'a>, Error> {
        let have = datagram.len();
        if have > MAX_DATAGRAM {
            return Err(Error::TooLarge { what: "datagram", limit: MAX_DATAGRAM, have });
        }
        let (hop, prefix_len, len) = HopHeader::parse(datagram)?;
        let seq = match hop {
            HopHeader::Whole { link_seq, .. } => Some(link_seq),
            HopHeader::Compact { link_low, .. } => resolve_link(link_low, self.highest()),
        };
        let refused = |why| Error::Link { seq, why };
        let seq = seq.ok_or(refused(LinkRefusal::Unbound))?;
        let header = self.bindings.read(&hop, seq).map_err(refused)?;
        let header_bytes = header.to_bytes()?;
        let (head, rest) = datagram.split_at_mut(len);
        let mut aad = Associated::EMPTY;
        let prefix = Prefix::new(&head[..prefix_len]);
        let truncated = Error::Truncated { what: "datagram", need: len + MIN_BODY, have };
        let body = match &self.suite {
            HopSuite::TransportSealed => rest,
            HopSuite::Full(keys) => {
                let (body, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(truncated.clone())?;
                aad.set_full(&prefix, &header_bytes);
                if !keys.aead().open(keys.nonce(seq), aad.bytes(), body, tag) {
                    return Err(refused(LinkRefusal::NotAuthentic));
                }
                body
            }
            HopSuite::Bind(keys) => {
                let (body, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(truncated.clone())?;
                aad.set_bind(&prefix, &header_bytes, body)?;
                if !keys.aead().open(keys.nonce(seq), aad.bytes(), &mut [], tag) {
                    return Err(refused(LinkRefusal::NotAuthentic));
                }
                body
            }
        };
        if body.len() < MIN_BODY {
            return Err(truncated);
        }
        if body.len() > MAX_CHUNK_LEN - HEADER_LEN {
            return Err(Error::TooLarge {
                what: "chunk",
                limit: MAX_CHUNK_LEN,
                have: HEADER_LEN + body.len(),
            });
        }
        Ok(Authentic { seq, hop, chunk: Fresh { header, header_bytes, body, carried: have } })
    }

    /// Lets an authentic datagram change what this receiver knows, if it is new.
    fn accept<'a>(&mut self, authentic: Authentic<'a>) -> Result<Fresh<'a>, Error> {
        let Authentic { seq, hop, chunk } = authentic;
        let refused = |why| Error::Link { seq: Some(seq), why };
        if seq >= LinkSeq::END || !self.window.take_number(seq.0) {
            return Err(refused(LinkRefusal::Replayed));
        }
        self.bindings.learn(&hop).map_err(refused)?;
        Ok(chunk)
    }
}
