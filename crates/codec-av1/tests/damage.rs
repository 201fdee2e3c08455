//! Damaged, lost and made-up packets: never a panic, and a clean picture again from the next key frame on.
#![cfg(feature = "rav1e")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod support;

use std::sync::LazyLock;

use codec_av1::{
    DecodedFrame, Error, Packet, Rav1dDecoder, VideoDecoder, configuration_record, is_key_frame,
    strip_temporal_delimiters,
};
use core_types::MediaTime;
use proptest::prelude::*;
use support::{config, encode, size, steady};

const KEYS: [usize; 2] = [6, 12];

static STREAM: LazyLock<Vec<Packet>> = LazyLock::new(|| encode(config(size(96, 64)), &steady(16), &KEYS));

static CLEAN: LazyLock<Vec<DecodedFrame>> = LazyLock::new(|| {
    let mut decoder = Rav1dDecoder::new(size(96, 64)).unwrap();
    STREAM.iter().flat_map(|packet| decoder.decode(&packet.data, packet.pts).unwrap()).collect()
});

/// Something that may happen to a packet.
#[derive(Debug, Clone)]
enum Damage {
    Lost,
    Cut(prop::sample::Index),
    Flipped(Vec<(prop::sample::Index, u8)>),
    Header(prop::sample::Index, u8),
    Replaced(Vec<u8>),
    Swapped(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        Just(Damage::Lost),
        index().prop_map(Damage::Cut),
        prop::collection::vec((index(), 1u8..), 1..8).prop_map(Damage::Flipped),
        (index(), 1u8..).prop_map(|(at, bits)| Damage::Header(at, bits)),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Damage::Replaced),
        index().prop_map(Damage::Swapped),
    ]
}

/// The damaged bytes; `None` when nothing arrives.
fn damaged(data: &[u8], damage: &Damage) -> Option<Vec<u8>> {
    let mut data = data.to_vec();
    match damage {
        Damage::Lost => return None,
        Damage::Cut(at) => data.truncate(at.index(data.len())),
        Damage::Flipped(flips) => {
            for (at, bits) in flips {
                let at = at.index(data.len());
                data[at] ^= bits;
            }
        }
        Damage::Header(at, bits) => {
            let at = at.index(data.len().min(32));
            data[at] ^= bits;
        }
        Damage::Replaced(with) => data.clone_from(with),
        Damage::Swapped(with) => data.clone_from(&with.get(&STREAM).data),
    }
    Some(data)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_decoder_recovers_at_the_next_key_frame(
        hits in prop::collection::btree_map(0usize..KEYS[1], damage(), 1..8),
    ) {
        let mut decoder = Rav1dDecoder::new(size(96, 64)).unwrap();
        // Frames since the last undamaged key frame are clean as long as nothing was hit.
        let mut clean = false;
        for (index, packet) in STREAM.iter().enumerate() {
            let hit = hits.get(&index);
            let arrived = match hit {
                Some(damage) => damaged(&packet.data, damage),
                None => Some(packet.data.clone()),
            };
            let whole = arrived.as_ref() == Some(&packet.data);
            clean = whole && (clean || packet.key_frame);
            let Some(arrived) = arrived else {
                decoder.reset();
                continue;
            };
            let result = decoder.decode(&arrived, packet.pts);
            if clean {
                prop_assert_eq!(result.unwrap(), &CLEAN[index..=index], "frame {}", index);
            }
        }
    }

    #[test]
    fn made_up_bytes_are_refused_without_panic(data in prop::collection::vec(any::<u8>(), 0..300), pts: u64) {
        let mut decoder = Rav1dDecoder::new(size(96, 64)).unwrap();
        let _ = decoder.decode(&data, MediaTime(pts));
        let _ = (is_key_frame(&data), configuration_record(&data));
        prop_assert_eq!(decoder.decode(&STREAM[0].data, MediaTime(pts)).unwrap()[0].frame.clone(), CLEAN[0].frame.clone());
    }

    #[test]
    fn header_parsers_never_panic_on_damaged_packets(damage in damage(), at in 0usize..16) {
        let Some(data) = damaged(&STREAM[at].data, &damage) else { return Ok(()) };
        let _ = (is_key_frame(&data), configuration_record(&data));
        if let Ok(stripped) = strip_temporal_delimiters(&data) {
            prop_assert_eq!(strip_temporal_delimiters(&stripped).unwrap(), stripped);
        }
    }
}

#[test]
fn after_a_reset_only_a_key_frame_is_taken() {
    let mut decoder = Rav1dDecoder::new(size(96, 64)).unwrap();
    for index in [0, 1] {
        assert!(decoder.decode(&STREAM[index].data, STREAM[index].pts).is_ok());
    }
    decoder.reset();
    for index in 2..KEYS[0] {
        let refused = decoder.decode(&STREAM[index].data, STREAM[index].pts).unwrap_err();
        assert_eq!(refused, Error::AwaitingKeyFrame);
        assert!(!refused.is_peer_fault());
    }
    assert_eq!(
        decoder.decode(&STREAM[KEYS[0]].data, STREAM[KEYS[0]].pts).unwrap(),
        &CLEAN[KEYS[0]..=KEYS[0]]
    );
}

#[test]
fn an_error_is_the_peers_and_asks_for_a_key_frame() {
    let mut decoder = Rav1dDecoder::new(size(96, 64)).unwrap();
    assert!(decoder.decode(&STREAM[0].data, STREAM[0].pts).is_ok());
    let cut = &STREAM[1].data[..STREAM[1].data.len() - 1];
    assert!(decoder.decode(cut, STREAM[1].pts).unwrap_err().is_peer_fault());
    assert_eq!(decoder.decode(&STREAM[1].data, STREAM[1].pts), Err(Error::AwaitingKeyFrame));
}

#[test]
fn a_packet_that_asks_for_too_much_is_refused() {
    // One key frame, then the same picture shown again and again: three bytes each.
    let mut again = STREAM[0].data.clone();
    for _ in 0..12 {
        again.extend([0x1a, 0x01, 0x88]);
    }
    let mut decoder = Rav1dDecoder::new(size(96, 64)).unwrap();
    assert!(
        matches!(decoder.decode(&again, MediaTime(0)), Err(Error::Malformed(what)) if what.contains("shown"))
    );
    for _ in 0..12 {
        again.extend([0x1a, 0x01, 0x88]);
    }
    assert!(
        matches!(decoder.decode(&again, MediaTime(0)), Err(Error::Malformed(what)) if what.contains("16 frames"))
    );
    assert!(decoder.decode(&STREAM[0].data, MediaTime(0)).is_ok());
}

#[test]
fn a_picture_beyond_the_decoders_limit_is_refused() {
    let mut small = Rav1dDecoder::new(size(64, 64)).unwrap();
    let refused = small.decode(&STREAM[0].data, STREAM[0].pts).unwrap_err();
    assert!(matches!(&refused, Error::Unsupported(what) if what.contains("96x64")), "{refused}");
    assert!(refused.is_peer_fault());
}
