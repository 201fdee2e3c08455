//! Control messages and their frames from anybody. What is accepted is written back and read again to the same message, and
//! no length that lies costs more memory than came.
#![no_main]

use control_wire::{Control, FRAME_LIMIT, PREFIX_LEN, decode, encode, frame_len, version_of};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(preamble) = data.first_chunk() {
        let _ = version_of(*preamble);
    }
    if let Some(prefix) = data.first_chunk() {
        assert!(
            frame_len(*prefix, FRAME_LIMIT).is_ok_and(|len| len <= FRAME_LIMIT) || prefix[0] | prefix[1] > 0
        );
    }
    let Ok(message) = decode::<Control>(data) else { return };
    let frame = encode(&message).expect("what was read can be written");
    assert_eq!(decode::<Control>(&frame[PREFIX_LEN..]).as_ref(), Ok(&message));
});
