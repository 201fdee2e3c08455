//! Payloads of descriptions from a publisher that means harm, before a decoder sees what is in them: headers, shares put together, what
//! waits for its time.
#![no_main]

use codec_mdc::{Description, Descriptions, FrameNumber, MdcReceiver, coded_layers, coded_picture};
use core_types::FrameSize;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, mut rest)) = data.split_first() else { return };
    let of = if first & 1 == 0 { Descriptions::Two } else { Descriptions::Four };
    let mut receiver = MdcReceiver::new(of, FrameSize::new(64, 64).expect("a size"));
    let mut frame = FrameNumber(u64::from(first >> 1));
    let mut payloads: Vec<(Description, &[u8])> = Vec::new();
    // Each payload: its description, whether it is of the next frame, and whether it is lost, in a byte; its length in two; itself.
    while let Some((&[control, high, low], after)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (payload, next) = after.split_at(len);
        rest = next;
        if control & 0x10 != 0 {
            look_at(frame, &payloads);
            payloads.clear();
            frame.0 += 1;
        }
        let description = of.get(usize::from(control) % of.count()).expect("there is one");
        if control & 0x20 != 0 {
            receiver.missed(description, frame);
            continue;
        }
        if let Err(error) = receiver.take(description, frame, payload) {
            assert!(error.is_peer_fault(), "{error}");
        }
        if let Ok(Some(picture)) = coded_picture(description, frame, payload) {
            assert!(picture.refers_to.is_none_or(|to| to < frame));
            // Head, reference and marks are gone, and the delimiter is there.
            assert_eq!((&picture.unit[..2], &picture.unit[2..]), (&[0x12, 0x00][..], &payload[3..]));
        }
        payloads.push((description, payload));
    }
    look_at(frame, &payloads);
    assert!(receiver.wants_key_frame().len() <= of.count());
});

/// What is taken of one frame, all of it and each payload alone.
fn look_at(frame: FrameNumber, payloads: &[(Description, &[u8])]) {
    let bytes: usize = payloads.iter().map(|(_, payload)| payload.len()).sum();
    for taken in [payloads].into_iter().chain(payloads.chunks(1)) {
        match coded_layers(frame, taken) {
            Ok(layers) => {
                let given: usize = layers.iter().map(|layer| layer.data.len()).sum();
                assert!(layers.len() <= 4 && given <= bytes);
            }
            Err(error) => assert!(error.is_peer_fault(), "{error}"),
        }
    }
}
