//! Opus packets from a publisher that means harm, decoded one after another with losses between them: the decoder stays
//! usable, and gives as much audio as the packet says.
#![no_main]

use codec_opus::{Channels, OpusDecoder, PacketInfo, SampleRate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&format, mut rest)) = data.split_first() else { return };
    let rate = SampleRate::ALL[usize::from(format >> 1) % SampleRate::ALL.len()];
    let channels = if format & 1 == 0 { Channels::Mono } else { Channels::Stereo };
    let mut decoder = OpusDecoder::new(rate, channels).expect("there is memory for a decoder");
    // Each packet: what came of it, its length in two bytes, itself.
    while let Some((&[fate, high, low], after)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (packet, next) = after.split_at(len);
        rest = next;
        if fate & 3 == 1 {
            decoder.conceal().expect("concealment needs no input");
        } else if fate & 3 == 2 {
            let _ = decoder.recover(packet);
        }
        if let Ok(pcm) = decoder.decode(packet) {
            let info = PacketInfo::parse(packet).expect("what was decoded was parsed");
            assert_eq!(pcm.len(), info.samples(rate) * channels.count());
        }
    }
});
