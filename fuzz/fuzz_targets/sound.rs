//! Opus packets from a publisher that means harm, arriving at any time with any media time, through the playout: each pull gives its
//! 10 ms, and no more waits than may.
#![no_main]

use codec_opus::{Channels, ClockOffset, SampleTime, SoundConfig, SoundPacket, SoundPlayout};
use core_types::{MonoTime, ObjectSeq};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&format, mut rest)) = data.split_first() else { return };
    let channels = if format & 1 == 0 { Channels::Mono } else { Channels::Stereo };
    let config = SoundConfig { channels, ..SoundConfig::default() };
    let mut playout = SoundPlayout::new(config).expect("the default is in order");
    let (mut now, mut seq, mut at) = (0u64, 0u64, 0u64);
    // Each packet: what is odd about it, how its number and time go on, its length, itself.
    while let Some((&[fate, step, len], after)) = rest.split_first_chunk() {
        let (bytes, next) = after.split_at(usize::from(len).min(after.len()));
        rest = next;
        seq = seq.wrapping_add(if fate & 1 == 0 { 1 } else { u64::from(step) });
        at = match fate >> 1 & 3 {
            0 => at.wrapping_add(960),
            1 => at.wrapping_add(u64::from(step) * 120),
            2 => at.wrapping_sub(u64::from(step) * 480),
            _ => u64::from(step) << (fate >> 2),
        };
        let packet = SoundPacket {
            seq: ObjectSeq(seq),
            at: SampleTime::new(at),
            was_repaired: fate & 8 != 0,
            data: bytes.to_vec(),
        };
        let _ = playout.push(MonoTime(now), packet);
        assert!(playout.waiting() <= 256);
        if fate & 16 != 0 {
            playout.hold_back(Some(ClockOffset::between(MonoTime(now), SampleTime::new(at))));
        }
        for _ in 0..fate >> 5 {
            now = now.wrapping_add(if fate & 4 == 0 { 10_000 } else { u64::from(step) * 1_000 });
            let piece = playout.pull(MonoTime(now)).expect("packets are no reason to fail");
            assert_eq!(piece.pcm.len(), SoundPlayout::PIECE * channels.count());
        }
    }
});
