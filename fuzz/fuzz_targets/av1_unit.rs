//! AV1 packets from a publisher that means harm, before a decoder sees them: framing, sequence header, layers put together and taken
//! apart.
#![no_main]

use codec_av1::{configuration_record, is_key_frame, join_layers, split_layers, strip_temporal_delimiters};
use core_types::Layer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Each packet: its layer in a byte, its length in two, itself.
    let mut packets = Vec::new();
    let mut rest = data;
    while let Some((&[layer, high, low], after)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (packet, next) = after.split_at(len);
        rest = next;
        let layer = Layer { spatial: layer >> 6, temporal: layer >> 2 & 7, quality: layer & 3 };
        packets.push((layer, packet));
    }
    for (_, packet) in &packets {
        look_at(packet);
    }
    if let Ok(unit) = join_layers(packets.iter().copied()) {
        assert!(!unit.is_empty() && unit.len() <= data.len());
        look_at(&unit);
    }
});

fn look_at(unit: &[u8]) {
    let _ = is_key_frame(unit);
    if let Ok(record) = configuration_record(unit) {
        // It holds the sequence header OBU, so it is found in itself.
        assert_eq!(configuration_record(&record[4..]).as_ref(), Ok(&record));
    }
    if let Ok(stripped) = strip_temporal_delimiters(unit) {
        assert_eq!(strip_temporal_delimiters(&stripped).as_ref(), Ok(&stripped));
    }
    if let Ok(parts) = split_layers(unit) {
        assert_eq!(parts.iter().flat_map(|part| part.bytes).copied().collect::<Vec<_>>(), unit);
        assert!(parts.windows(2).all(|pair| pair[0].spatial_id < pair[1].spatial_id));
    }
}
