//! Opus packets from a publisher that means harm, decoded one after another with losses between them: the decoder stays
//! usable, and gives as much audio as the packet says; what takes a packet apart and what decodes it agree on which are packets.
#![no_main]

use codec_opus::{Channels, OpusDecoder, OpusPacket, PacketInfo, SampleRate};
use core::time::Duration;
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
        } else if fate & 3 == 3
            && let Ok(covered) = decoder.read_redundancy(packet, Duration::from_secs(1))
        {
            let pcm = decoder
                .redundant(covered, Duration::from_millis(20))
                .expect("what is not covered is concealed");
            assert_eq!(pcm.len(), rate.hz() as usize / 50 * channels.count());
        }
        let parsed = OpusPacket::parse(packet);
        if let Ok(parsed) = &parsed {
            let used: usize = parsed.frames().map(<[u8]>::len).sum();
            assert!(used + parsed.padding().len() < packet.len());
            let _ = (parsed.voice(), parsed.has_coarse_copy(), parsed.is_silence());
        }
        if let Ok(pcm) = decoder.decode(packet) {
            assert!(parsed.is_ok(), "what was decoded can be taken apart");
            let info = PacketInfo::parse(packet).expect("what was decoded was parsed");
            assert_eq!(pcm.len(), info.samples(rate) * channels.count());
        }
    }
});
