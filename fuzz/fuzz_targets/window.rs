//! Objects with units of repair from a sender that is authenticated and means harm: no panic, no growth beyond the limits. And from an
//! honest one, with losses: what is computed is what was lost.
#![no_main]

use codec_fountain::{Pace, WindowConfig, WindowDecoder, WindowEncoder};
use core_types::ObjectSeq;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[span, units, objects], mut rest)) = data.split_first_chunk() else { return };
    let pace = Pace::new(units % 9, 2 + objects % 15).expect("a pace");
    let config = WindowConfig::new(1 + usize::from(span % 16), pace).expect("a span");
    let (mut encoder, mut honest, mut hostile) =
        (WindowEncoder::new(config), WindowDecoder::new(), WindowDecoder::new());
    let mut sent: Vec<Vec<u8>> = Vec::new();
    while let Some((&[control, len], after)) = rest.split_first_chunk() {
        rest = after;
        let is_lost = control & 0x40 != 0;
        match control & 0x80 {
            0 if control & 0x20 != 0 => {
                let Some((number, body)) = encoder.flush() else { continue };
                if !is_lost {
                    assert_eq!(honest.push(number, body).expect("it is as it was made"), None);
                }
            }
            0 => {
                let object = vec![control ^ len; 1 + usize::from(len)];
                let number = ObjectSeq(sent.len() as u64);
                let body = encoder.push(number, &object).expect("it is short");
                if !is_lost {
                    assert_eq!(honest.push(number, body).expect("it is as it was made"), Some(&object[..]));
                }
                sent.push(object);
            }
            _ => {
                let (body, after) = rest.split_at(usize::from(len).min(rest.len()));
                rest = after;
                if let Err(error) = hostile.push(ObjectSeq((control & 0x3f).into()), body) {
                    assert!(error.is_peer_fault(), "{error}");
                }
            }
        }
        while let Some((number, object)) = honest.poll_recovered() {
            assert_eq!(object, sent[number.0 as usize]);
        }
        while let Some((_, object)) = hostile.poll_recovered() {
            assert!(!object.is_empty() && object.len() <= WindowConfig::MAX_OBJECT_LEN);
        }
        assert!(honest.waiting_units().max(hostile.waiting_units()) <= WindowDecoder::MAX_UNITS);
    }
});
