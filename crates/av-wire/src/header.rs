//! The chunk header: 52 bytes that every hop can read and nobody can alter.

use crate::{Error, TAG_LEN};
use core_types::{ChunkSeq, CodecId, Epoch, Layer, Marks, StreamId};

/// Bytes of a chunk header.
pub const HEADER_LEN: usize = 52;
/// The largest chunk anywhere, header and tag included.
pub const MAX_CHUNK_LEN: usize = 64 * 1024;
/// The largest chunk on a datagram link, header and tag included.
pub const MAX_DATAGRAM_CHUNK_LEN: usize = 1_400;
/// The highest quality layer: it has four bits.
pub const MAX_QUALITY: u8 = 15;

/// Where a chunk belongs: its layer, and its place in its object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// Where it sits in the scalable stream.
    pub layer: Layer,
    /// What a relay may know of its object.
    pub marks: Marks,
}

impl From<Layer> for Place {
    /// Without marks.
    fn from(layer: Layer) -> Self {
        Self { layer, marks: Marks::NONE }
    }
}

/// What stands in front of every chunk (spec 20 section 2): stream id 32, epoch u64, chunk number u64, codec id u8, spatial
/// u8, temporal u8, marks 4 bits, quality 4 bits; integers big-endian. It is the additional data of the inner seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkHeader {
    /// The stream that the chunk belongs to.
    pub stream_id: StreamId,
    /// The session epoch whose key seals it.
    pub epoch: Epoch,
    /// Its number in stream and epoch.
    pub chunk_seq: ChunkSeq,
    /// What the content is coded with.
    pub codec: CodecId,
    /// Where it sits in the scalable stream; (0,0,0) if the codec is opaque. Quality is at most [`MAX_QUALITY`].
    pub layer: Layer,
    /// Its place in its object; none if the codec is opaque.
    pub marks: Marks,
}

impl ChunkHeader {
    /// Reads the header of a whole chunk and checks the chunk's length against the limits.
    ///
    /// # Errors
    /// [`Error::Truncated`] below 69 bytes (header, one byte of content, tag), [`Error::TooLarge`] above 64 KiB,
    /// [`Error::Value`] for an unknown codec id and for marks that no chunk can have, [`Error::Malformed`] for an opaque chunk
    /// with marks or on another layer than (0,0,0).
    #[inline]
    pub fn parse(chunk: &[u8]) -> Result<Self, Error> {
        const MIN: usize = HEADER_LEN + 1 + TAG_LEN;
        if chunk.len() < MIN {
            return Err(Error::Truncated { what: "chunk", need: MIN, have: chunk.len() });
        }
        if chunk.len() > MAX_CHUNK_LEN {
            return Err(Error::TooLarge { what: "chunk", limit: MAX_CHUNK_LEN, have: chunk.len() });
        }
        let Some((bytes, _)) = chunk.split_first_chunk::<HEADER_LEN>() else {
            return Err(Error::Truncated { what: "chunk", need: MIN, have: chunk.len() });
        };
        Self::from_bytes(bytes)
    }

    /// Reads a header.
    ///
    /// # Errors
    /// As [`ChunkHeader::parse`], but for the lengths.
    #[inline]
    pub fn from_bytes(bytes: &[u8; HEADER_LEN]) -> Result<Self, Error> {
        let mut stream = [0; 32];
        stream.copy_from_slice(&bytes[..32]);
        let header = Self {
            stream_id: StreamId(stream),
            epoch: Epoch(be_u64(bytes, 32)),
            chunk_seq: ChunkSeq(be_u64(bytes, 40)),
            codec: CodecId::try_from(bytes[48])?,
            layer: Layer { spatial: bytes[49], temporal: bytes[50], quality: bytes[51] & MAX_QUALITY },
            marks: Marks::from_bits(bytes[51] >> 4)?,
        };
        header.check()?;
        Ok(header)
    }

    /// Writes the header.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a quality layer above [`MAX_QUALITY`], and for an opaque chunk with marks or on another layer
    /// than (0,0,0); [`Error::Value`] for marks that no chunk can have.
    #[inline]
    pub fn to_bytes(&self) -> Result<[u8; HEADER_LEN], Error> {
        self.check()?;
        let mut bytes = [0; HEADER_LEN];
        bytes[..32].copy_from_slice(self.stream_id.as_bytes());
        bytes[32..40].copy_from_slice(&self.epoch.0.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.chunk_seq.0.to_be_bytes());
        bytes[48] = self.codec.into();
        bytes[49] = self.layer.spatial;
        bytes[50] = self.layer.temporal;
        bytes[51] = self.last_byte();
        Ok(bytes)
    }

    /// Marks and quality layer, of a header that was checked.
    #[inline]
    pub(crate) const fn last_byte(&self) -> u8 {
        self.marks.bits() << 4 | self.layer.quality
    }

    /// Spec 20 section 2: opaque content has no layers and no marks, so that no policy can single it out.
    #[inline]
    fn check(&self) -> Result<(), Error> {
        let malformed = |why| Err(Error::Malformed { what: "chunk header", why });
        if self.layer.quality > MAX_QUALITY {
            return malformed("quality layers end at 15");
        }
        if self.marks.start && self.marks.repair {
            return Err(core_types::Error::Marks(self.marks.bits()).into());
        }
        if self.codec == CodecId::Opaque && !self.is_plain() {
            return malformed("an opaque chunk must be on layer (0,0,0), without marks");
        }
        Ok(())
    }

    /// True on the base layer and without marks: all that opaque content may have.
    #[inline]
    pub(crate) const fn is_plain(&self) -> bool {
        self.layer.spatial | self.layer.temporal | self.last_byte() == 0
    }
}

#[inline]
fn be_u64(bytes: &[u8; HEADER_LEN], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |number| u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parsing_never_panics_and_accepts_only_what_writing_makes(bytes in prop::collection::vec(any::<u8>(), 0..90)) {
            if let Ok(header) = ChunkHeader::parse(&bytes) {
                prop_assert_eq!(&header.to_bytes().unwrap()[..], &bytes[..HEADER_LEN]);
            }
        }

        #[test]
        fn round_trips(stream: [u8; 32], epoch: u64, seq: u64, l: [u8; 3], class in 0u8..4, start: bool, repair: bool) {
            let class = Marks::from_bits(class).unwrap().class;
            let header = ChunkHeader {
                stream_id: StreamId(stream), epoch: Epoch(epoch), chunk_seq: ChunkSeq(seq), codec: CodecId::Av1,
                layer: Layer { spatial: l[0], temporal: l[1], quality: l[2] }, marks: Marks { class, start, repair },
            };
            match header.to_bytes() {
                Ok(bytes) => prop_assert_eq!(ChunkHeader::from_bytes(&bytes), Ok(header)),
                Err(Error::Malformed { .. }) => prop_assert!(l[2] > 15),
                Err(_) => prop_assert!(l[2] <= 15 && start && repair),
            }
        }
    }

    #[test]
    fn lengths_are_checked_before_anything_else() {
        assert!(matches!(ChunkHeader::parse(&[0; 68]), Err(Error::Truncated { need: 69, have: 68, .. })));
        assert!(matches!(ChunkHeader::parse(&vec![1; MAX_CHUNK_LEN + 1]), Err(Error::TooLarge { .. })));
        let mut largest = vec![0; MAX_CHUNK_LEN];
        largest[48] = 1;
        assert!(ChunkHeader::parse(&largest).is_ok());
    }

    #[test]
    fn the_last_byte_is_marks_and_quality() {
        let mut bytes = [0; HEADER_LEN];
        bytes[48] = 1;
        for last in 0..=u8::MAX {
            bytes[51] = last;
            match ChunkHeader::from_bytes(&bytes) {
                Ok(header) => {
                    assert_eq!((header.marks.bits(), header.layer.quality), (last / 16, last % 16));
                    assert_eq!(header.to_bytes().unwrap(), bytes);
                }
                Err(error) => {
                    assert_eq!(error, Error::Value(core_types::Error::Marks(last / 16)));
                    assert!(last >= 0xc0, "the first chunk of an object is no repair symbol");
                }
            }
        }
    }

    #[test]
    fn opaque_chunks_on_a_layer_are_refused_both_ways() {
        let mut bytes = [0; HEADER_LEN];
        bytes[48] = 0xff;
        assert!(ChunkHeader::from_bytes(&bytes).is_ok());
        for (axis, value) in [(49, 1), (50, 1), (51, 1), (51, 0x10), (51, 0x40)] {
            let mut bad = bytes;
            bad[axis] = value;
            assert!(matches!(ChunkHeader::from_bytes(&bad), Err(Error::Malformed { .. })));
            bad[48] = 1;
            let header = ChunkHeader { codec: CodecId::Opaque, ..ChunkHeader::from_bytes(&bad).unwrap() };
            assert!(matches!(header.to_bytes(), Err(Error::Malformed { .. })));
        }
    }
}
