//! Bytes from the network as a chunk, and bytes from a member of the group as what is inside its seal: whatever is
//! read is written back to the same bytes.
#![no_main]

use av_wire::{ChunkHeader, HEADER_LEN, Inner, Object};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(header) = ChunkHeader::parse(data) {
        assert_eq!(header.to_bytes().as_ref().map(<[u8; HEADER_LEN]>::as_slice), Ok(&data[..HEADER_LEN]));
    }
    if let Ok(inner) = Inner::parse(data) {
        let mut written = Vec::with_capacity(inner.encoded_len());
        inner.write(&mut written).expect("what was read can be written");
        assert_eq!(written, data);
        if let Inner::Object { bytes, .. } = inner {
            object(bytes);
        }
    }
    object(data);
});

fn object(data: &[u8]) {
    if let Ok(object) = Object::parse(data) {
        assert_eq!(object.to_bytes().as_deref(), Ok(data));
    }
}
