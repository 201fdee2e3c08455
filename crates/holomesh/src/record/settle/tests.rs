use super::*;
use core_types::ObjectClass;

fn piece(object: u64, id: u32, sources: u32) -> Piece {
    let marks = Marks { start: id == 0, repair: id >= sources, class: ObjectClass::KeyFrame };
    let chunk = Bytes::from(vec![id as u8; 10]);
    let (epoch, object) = (Epoch(1), ObjectSeq(object));
    Piece { epoch, object, id, sources, layer: Layer::BASE, marks, is_proof: false, chunk }
}

fn at(ms: u64) -> MonoTime {
    MonoTime::from_millis(ms)
}

/// What stands in for something, by id.
fn stand_ins(settled: &Settled) -> Vec<u32> {
    settled.symbols.iter().filter(|symbol| symbol.stands_in).map(|symbol| symbol.id).collect()
}

#[test]
fn as_many_repair_symbols_stand_in_as_source_symbols_are_missing() {
    let mut settling = ByObject::default();
    for id in [6, 0, 5, 2, 4] {
        settling.take(at(0), piece(9, id, 4));
    }
    assert!(settling.settle(at(999), false).is_empty(), "more may come");
    let settled = settling.settle(at(1_000), false);
    assert_eq!((settled.len(), settled[0].object, settled[0].sources), (1, ObjectSeq(9), 4));
    assert_eq!(stand_ins(&settled[0]), [4, 5]);
    assert!(settled[0].is_key_frame());
    assert_eq!(settling.bytes, 0);
}

#[test]
fn objects_settle_in_order_and_proofs_go_with_what_came_before_them() {
    let mut settling = ByObject::default();
    settling.take(at(0), piece(3, 0, 1));
    settling.take(at(10), Piece { is_proof: true, ..piece(0, 0, 1) });
    settling.take(at(20), piece(2, 0, 1));
    let settled = settling.settle(at(20), true);
    assert_eq!(settled.iter().map(|object| object.object.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(settled[1].symbols.len(), 2);
    assert!(stand_ins(&settled[1]).is_empty());
}

#[test]
fn what_waits_is_bounded() {
    let mut settling = ByObject::default();
    let chunk = Bytes::from(vec![0; 1 << 20]);
    for object in 0..40 {
        settling.take(at(0), Piece { chunk: chunk.clone(), ..piece(object, 0, 1) });
    }
    assert_eq!(settling.settle(at(0), false).len(), 40 - (MOST >> 20));
}

/// Chunks of an epoch as a relay sees them: number, whether first, whether repair.
fn by_mark(chunks: &[(u64, bool, bool)]) -> Vec<(u64, u32, Vec<u32>, Vec<u32>)> {
    let mut settling = ByMark::default();
    for (seq, start, repair) in chunks {
        let header = ChunkHeader {
            stream_id: core_types::StreamId([1; 32]),
            epoch: Epoch(1),
            chunk_seq: ChunkSeq(*seq),
            codec: core_types::CodecId::Av1,
            layer: Layer::BASE,
            marks: Marks { start: *start, repair: *repair, class: ObjectClass::Plain },
        };
        settling.take(at(0), &header, Bytes::from_static(b"sealed"));
    }
    let settled = settling.settle(at(1_000), false);
    assert_eq!((settling.bytes, settling.waiting.len()), (0, 0));
    let ids = |object: &Settled| object.symbols.iter().map(|symbol| symbol.id).collect();
    settled.iter().map(|o| (o.object.0, o.sources, ids(o), stand_ins(o))).collect()
}

#[test]
fn a_relay_knows_objects_by_their_marks() {
    // Two objects of 3 + 1 and 2 + 2; they come in any order.
    let all = [
        (2, false, false),
        (0, true, false),
        (1, false, false),
        (3, false, true),
        (7, false, true),
        (4, true, false),
        (6, false, true),
        (5, false, false),
    ];
    assert_eq!(by_mark(&all), [(0, 3, vec![0, 1, 2, 3], vec![]), (4, 2, vec![0, 1, 2, 3], vec![])]);
}

#[test]
fn a_relay_sees_what_is_missing_as_far_as_marks_go() {
    // One lost in the middle; the first of the next one lost; then one without repair.
    let some = [
        (0, true, false),
        (2, false, false),
        (3, false, true),
        (5, false, false),
        (6, false, true),
        (8, true, false),
    ];
    assert_eq!(
        by_mark(&some),
        [(0, 3, vec![0, 2, 3], vec![3]), (5, 1, vec![0, 1], vec![]), (8, 1, vec![0], vec![])]
    );
}
