//! Bytes from the network as a chunk, and bytes from a member of the group as what is inside its seal: whatever is
//! read is written back to the same bytes.
#![no_main]

use av_wire::{ChunkHeader, Content, FrameDuration, HEADER_LEN, HighWater, Inner, Object, SealedChunk};
use core_types::ObjectSeq;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(header) = ChunkHeader::parse(data) {
        assert_eq!(header.to_bytes().as_ref().map(<[u8; HEADER_LEN]>::as_slice), Ok(&data[..HEADER_LEN]));
        assert_eq!(SealedChunk::parse(data).map(|chunk| *chunk.header()), Ok(header));
    }
    if let Ok(inner) = Inner::parse(data) {
        let mut written = Vec::with_capacity(inner.encoded_len());
        inner.write(&mut written).expect("what was read can be written");
        assert_eq!(written, data);
        if let Inner::Object { seq, bytes } = inner {
            object(seq, bytes);
        }
    }
    object(ObjectSeq(data.len() as u64), data);
    if let Some(Ok(mark)) = data.first_chunk().map(HighWater::from_bytes) {
        assert_eq!(mark.to_bytes(), data[..HighWater::LEN]);
    }
});

fn object(seq: ObjectSeq, data: &[u8]) {
    if let Ok(object) = Object::parse(data) {
        assert_eq!(object.to_bytes().as_deref(), Ok(data));
    }
    let regular = FrameDuration::from_micros(20_000);
    if let Ok(object) = Object::parse_at(data, seq, regular) {
        // Whoever says a time that could be left out is not refused, so the bytes may be shorter the second time.
        let again = object.to_bytes_at(seq, regular).expect("what was read can be written");
        assert_eq!(Object::parse_at(&again, seq, regular), Ok(object));
        assert_eq!(
            Content::object(seq, &object, regular).map(|content| content.encoded_len() > again.len()),
            Ok(true)
        );
    }
}
