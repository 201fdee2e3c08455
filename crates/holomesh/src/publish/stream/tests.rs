use super::*;
use av_wire::{ChunkHeader, Opened, Opener};
use codec_fountain::repair_symbols;
use core_types::{FrameRate, FrameSize, KeyId, MediaTime, SessionId, SymbolSize};
use identity::Seed;
use proptest::prelude::*;
use std::time::Duration;

const SECRET: [u8; 32] = [7; 32];

fn identity() -> Identity {
    Identity::from_seed(&Seed([1; 64])).unwrap()
}

/// A small stream of that kind, for whoever tests with one.
pub(crate) fn announce(kind: StreamKind, publisher: KeyId, parents: u8) -> StreamAnnounce {
    let media = match kind {
        StreamKind::Video => {
            Media::Video { size: FrameSize::new(64, 64).unwrap(), rate: FrameRate::new(25, 1).unwrap() }
        }
        StreamKind::Audio => Media::Audio { sample_rate: 48_000, channels: 1 },
    };
    StreamAnnounce {
        session: SessionId([1; 32]),
        publisher,
        label: "a stream".into(),
        random: [2; 16],
        codec: kind.codec(),
        layers: Layer::BASE,
        symbol_size: SymbolSize::DEFAULT,
        parents,
        frame_duration: None,
        media,
    }
}

fn stream(kind: StreamKind, parents: u8) -> OutStream {
    let identity = identity();
    let announce = announce(kind, identity.key_id(), parents);
    let mut stream = OutStream::new(kind, announce, &identity).unwrap();
    stream.enter_epoch(Epoch(1), &SECRET, LeafIndex(0)).unwrap();
    stream
}

/// Marks and content of chunks, in their order.
fn opened<T>(stream: &OutStream, chunks: &[Bytes], look: impl Fn(Opened<'_>) -> T) -> Vec<T> {
    let keys = StreamKeys::<AwsLc>::derive(&SECRET, stream.id(), LeafIndex(0)).unwrap();
    let mut opener = Opener::new(keys, stream.id(), Epoch(1));
    let mut number = None;
    let mut look = |chunk: &Bytes| {
        let mut chunk = chunk.to_vec();
        let opened = opener.open(&mut chunk).unwrap();
        let seq = opened.header.chunk_seq.0;
        assert!(number.is_none_or(|last: u64| last + 1 == seq), "chunk numbers are consecutive");
        number = Some(seq);
        look(opened)
    };
    chunks.iter().map(&mut look).collect()
}

fn object(flags: ObjectFlags, payload: &[u8]) -> Object<'_> {
    Object { flags, pts: MediaTime(40_000), duration: Duration::from_millis(40), picture: None, payload }
}

fn flags() -> impl Strategy<Value = ObjectFlags> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(key_frame, discardable, end_of_stream)| {
        ObjectFlags { key_frame, discardable, end_of_stream }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn pictures_say_what_they_are_where_they_begin_and_what_is_repair(
        objects in prop::collection::vec((flags(), 0usize..40_000, 0u32..1_500), 1..4),
        parents in 1u8..6,
    ) {
        let mut out = stream(StreamKind::Video, parents);
        for (flags, len, permille) in objects {
            let share = RepairShare::from_permille(permille);
            out.set_repair(share);
            let sealed = out.seal(MonoTime(0), &object(flags, &vec![5; len])).unwrap();
            let class = match flags {
                ObjectFlags { key_frame: true, .. } => ObjectClass::KeyFrame,
                ObjectFlags { discardable: true, .. } => ObjectClass::Discardable,
                _ => ObjectClass::Plain,
            };
            let k = (sealed.source_bytes / SymbolSize::DEFAULT.bytes()) as u32;
            let symbols = opened(&out, &sealed.chunks, |chunk| match chunk.inner {
                Inner::Symbol { seq, id, .. } => (seq, id.value(), chunk.header.layer, chunk.header.marks),
                other => panic!("{other:?}"),
            });
            for (index, (seq, id, layer, marks)) in (0u32..).zip(&symbols) {
                prop_assert_eq!((*seq, *id, *layer), (sealed.seq, index, Layer::BASE));
                prop_assert_eq!(*marks, Marks { class, start: index == 0, repair: index >= k });
            }
            // As many as asked for, and any one parent may fail all the same.
            let repair = symbols.len() as u32 - k;
            let asked = (k * permille.min(1_000)).div_ceil(1_000);
            prop_assert_eq!(repair, asked.max(repair_symbols(k, parents)));
            prop_assert!(parents == 1 || k + repair - (k + repair).div_ceil(u32::from(parents)) >= k);
        }
    }

    #[test]
    fn each_packet_of_sound_is_a_start(flags in flags(), len in 0usize..1_200) {
        let mut out = stream(StreamKind::Audio, 4);
        let sealed = out.seal(MonoTime(0), &object(flags, &vec![5; len])).unwrap();
        let marks = opened(&out, &sealed.chunks, |chunk| chunk.header.marks);
        prop_assert_eq!(marks, [Marks { class: ObjectClass::KeyFrame, start: true, repair: false }]);
    }
}

#[test]
fn sound_goes_with_units_and_what_is_too_long_for_them_by_itself() {
    let mut out = stream(StreamKind::Audio, 4);
    out.set_pace(Pace::FAST);
    let mut chunks = Vec::new();
    let lens = [80, 80, 80, 900, 80, 1_499, 80, 80];
    for len in lens {
        chunks.extend(out.seal(MonoTime(0), &object(ObjectFlags::default(), &vec![5; len])).unwrap().chunks);
    }
    // Units, as the head of each body says; none in what goes whole.
    let units = opened(&out, &chunks, |chunk| match chunk.inner {
        Inner::Window { seq, body } => (seq.0, Some(body[0] & 15)),
        Inner::Object { seq, .. } => (seq.0, None),
        other => panic!("{other:?}"),
    });
    let expected = [
        // The first has nothing to protect; then two and one in turn.
        Some(0),
        Some(2),
        Some(1),
        // It is long itself: one of two fits beside it. The next one is as long as that.
        Some(1),
        Some(1),
        // With its own flags and time it is longer than units cover.
        None,
        Some(0),
        Some(2),
    ];
    assert_eq!(units, (0..).zip(expected).collect::<Vec<_>>());
    let longest = SymbolSize::DEFAULT.bytes();
    for (chunk, len) in chunks.iter().zip(lens) {
        assert!(chunk.len() <= 52 + 16 + 9 + longest.max(len + 20), "{} bytes", chunk.len());
    }
}

#[test]
fn each_part_of_a_proof_stands_for_itself() {
    for kind in [StreamKind::Video, StreamKind::Audio] {
        let mut out = stream(kind, 4);
        for n in 0..40 {
            out.seal(MonoTime(n), &object(ObjectFlags::default(), &[n as u8])).unwrap();
        }
        let chunks = out.prove_epoch(&identity()).unwrap();
        out.seal(MonoTime(50), &object(ObjectFlags::default(), b"last")).unwrap();
        for chunks in [chunks, out.prove_end(&identity()).unwrap()] {
            assert!(!chunks.is_empty());
            for marks in opened(&out, &chunks, |chunk| {
                assert!(matches!(chunk.inner, Inner::Proof { .. }));
                chunk.header.marks
            }) {
                assert_eq!(marks, Marks { class: ObjectClass::Plain, start: true, repair: false });
            }
        }
    }
}

#[test]
fn a_share_of_repair_ends_at_as_much_as_there_is_source() {
    assert_eq!(RepairShare::from_permille(u32::MAX), RepairShare::MAX);
    assert_eq!(RepairShare::from_permille(1_000).permille(), 1_000);
    for k in [1, 10, 1_024, u32::MAX] {
        assert_eq!(RepairShare::NONE.symbols(k, 1), 0);
        assert_eq!(RepairShare::MAX.symbols(k, 1), k.min(Encoder::MAX_REPAIR_SYMBOLS));
    }
}

#[test]
fn any_parent_may_fail_but_for_detail_that_nothing_refers_to_for_long() {
    let none = RepairShare::NONE;
    let mut repair = Repair { parents: 4, share: none, of_detail: none };
    let of = |repair: &Repair, spatial, temporal| repair.symbols(12, Layer { spatial, temporal, quality: 0 });
    let places = [(0, 0), (0, 2), (1, 0), (1, 1), (2, 2)];
    assert_eq!(places.map(|(spatial, temporal)| of(&repair, spatial, temporal)), [4, 4, 4, 0, 0]);
    repair.of_detail = RepairShare::from_permille(100);
    let detail = Layer { spatial: 0, temporal: 1, quality: 1 };
    assert_eq!((repair.symbols(12, detail), of(&repair, 0, 0)), (1, 4), "loss is made up for all the same");
    assert_eq!(repair.symbols(4, detail), 0, "but not with a quarter for a tenth");
}

#[test]
fn an_epoch_is_entered_once_and_never_gone_back_to() {
    let mut out = stream(StreamKind::Audio, 1);
    let next = |out: &mut OutStream| {
        let sealed = out.seal(MonoTime(0), &object(ObjectFlags::default(), b"sound")).unwrap();
        let header = ChunkHeader::parse(&sealed.chunks[0]).unwrap();
        (header.epoch.0, header.chunk_seq.0)
    };
    assert_eq!(next(&mut out), (1, 0));
    // Numbers that began at 0 again under the same key would be nonces twice.
    for (epoch, expected) in [(1, (1, 1)), (0, (1, 2)), (3, (3, 0)), (2, (3, 1)), (3, (3, 2))] {
        out.enter_epoch(Epoch(epoch), &SECRET, LeafIndex(0)).unwrap();
        assert_eq!(next(&mut out), expected, "after epoch {epoch}");
    }
}
