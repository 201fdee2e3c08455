//! The stream that is measured with: frames of equal size in three temporal layers, sealed like any other.

use super::options::{CHUNK, FRAME};
use crate::Error;
use av_wire::{AwsLc, HEADER_LEN, Inner, Media, Opener, Place, Sealer, StreamAnnounce, StreamKeys, TAG_LEN};
use bytes::Bytes;
use core_types::{
    CodecId, Epoch, FrameRate, FrameSize, KeyId, Layer, LeafIndex, Marks, ObjectClass, ObjectSeq, SessionId,
    StreamId, SymbolId, SymbolSize,
};
use std::time::Duration;

/// Anybody may know it: nothing secret is sent here.
const SECRET: [u8; 32] = [0x5a; 32];
const EPOCH: Epoch = Epoch(1);
/// Frames from one key frame to the next.
const KEY_INTERVAL: u64 = 64;

/// The time of the clock that kernel time stamps have.
pub(super) fn stamp() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

/// The stream's announcement.
pub(super) fn announce(session: SessionId, publisher: KeyId) -> Result<StreamAnnounce, Error> {
    Ok(StreamAnnounce {
        session,
        publisher,
        label: "bench".into(),
        random: [7; 16],
        codec: CodecId::Av1,
        layers: Layer { temporal: 2, ..Layer::BASE },
        symbol_size: SymbolSize::DEFAULT,
        parents: 1,
        frame_duration: None,
        media: Media::Video {
            size: FrameSize::new(640, 360).map_err(|e| Error::codec("stream", e))?,
            rate: FrameRate::new(25, 1).map_err(|e| Error::codec("stream", e))?,
        },
    })
}

/// The layer and class of a frame: every fourth is of the base layer, every other of the topmost, to which nothing refers.
pub(super) const fn place_of(frame: u64) -> (Layer, ObjectClass) {
    let temporal = match frame % 4 {
        0 => 0,
        2 => 1,
        _ => 2,
    };
    let class = match (frame % KEY_INTERVAL, temporal) {
        (0, _) => ObjectClass::KeyFrame,
        (_, 2) => ObjectClass::Discardable,
        (_, 1) => ObjectClass::SwitchPoint,
        _ => ObjectClass::Plain,
    };
    (Layer { temporal, ..Layer::BASE }, class)
}

/// Makes the frames.
#[derive(Debug)]
pub(super) struct Maker {
    sealer: Sealer,
    source: usize,
    next: u64,
    key_wanted: bool,
}

impl Maker {
    /// With so many repair symbols in each frame.
    pub(super) fn new(stream: StreamId, repair: usize) -> Result<Self, Error> {
        let keys = StreamKeys::<AwsLc>::derive(&SECRET, stream, LeafIndex(0))?;
        let source = FRAME.saturating_sub(repair);
        Ok(Self {
            source,
            sealer: Sealer::new(keys, stream, EPOCH, CodecId::Av1),
            next: 0,
            key_wanted: false,
        })
    }

    /// The next frame of the base layer is to be a key frame: somebody needs one.
    pub(super) const fn want_key_frame(&mut self) {
        self.key_wanted = true;
    }

    /// The next frame's chunks, each of 1,100 bytes, with the time of making in them.
    ///
    /// # Errors
    /// [`Error::Wire`] when the numbers of the epoch are used up.
    pub(super) fn frame(&mut self) -> Result<Vec<Bytes>, Error> {
        let frame = self.next;
        self.next += 1;
        let (layer, mut class) = place_of(frame);
        if layer == Layer::BASE && (self.key_wanted || class == ObjectClass::KeyFrame) {
            (self.key_wanted, class) = (false, ObjectClass::KeyFrame);
        }
        let mut symbol = [0u8; CHUNK];
        symbol[..8].copy_from_slice(&(stamp().as_nanos() as u64).to_be_bytes());
        let mut chunks = Vec::with_capacity(FRAME);
        for n in 0..FRAME {
            let id = SymbolId::new(n as u32).map_err(|e| Error::codec("symbol", e))?;
            let inner = |bytes| Inner::Symbol {
                seq: ObjectSeq(frame),
                object_len: (self.source * CHUNK) as u32,
                repair: FRAME.saturating_sub(self.source) as u16,
                id,
                bytes,
            };
            let around = inner(&symbol[..0]).encoded_len() + HEADER_LEN + TAG_LEN;
            let marks = Marks { class, start: n == 0, repair: n >= self.source };
            let chunk = self.sealer.seal(Place { layer, marks }, &inner(&symbol[..CHUNK - around]))?;
            chunks.push(chunk.into());
        }
        Ok(chunks)
    }
}

/// Reads what the maker has put into a chunk.
#[derive(Debug)]
pub(super) struct Reader {
    opener: Opener,
}

/// A chunk of a frame, as it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) frame: u64,
    pub(super) symbol: u32,
    pub(super) made_at: Duration,
}

impl Reader {
    pub(super) fn new(stream: StreamId) -> Result<Self, Error> {
        let keys = StreamKeys::<AwsLc>::derive(&SECRET, stream, LeafIndex(0))?;
        Ok(Self { opener: Opener::new(keys, stream, EPOCH) })
    }

    /// `None` for what came before, or is none of ours.
    pub(super) fn read(&mut self, chunk: &[u8]) -> Option<Part> {
        let mut chunk = chunk.to_vec();
        match self.opener.open(&mut chunk).ok()?.inner {
            Inner::Symbol { seq, id, bytes, .. } => {
                let nanos = u64::from_be_bytes(*bytes.first_chunk()?);
                let made_at = Duration::from_nanos(nanos);
                Some(Part { frame: seq.0, symbol: id.value(), made_at })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_of_equal_chunks_and_come_out_as_they_were_made() {
        let stream = StreamId([3; 32]);
        let (mut maker, mut reader) = (Maker::new(stream, 2).unwrap(), Reader::new(stream).unwrap());
        for frame in 0..70 {
            let chunks = maker.frame().unwrap();
            assert_eq!(chunks.len(), FRAME);
            for (n, chunk) in chunks.iter().enumerate() {
                assert_eq!(chunk.len(), CHUNK);
                let part = reader.read(chunk).unwrap();
                assert_eq!((part.frame, part.symbol as usize), (frame, n));
                assert!(part.made_at <= stamp());
                assert_eq!(reader.read(chunk), None, "only once");
            }
        }
    }
}
