//! Many objects of one stream at once: each comes out once, the oldest gives way, nothing else changes.
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use codec_fountain::{Encoder, Error, Evicted, Progress, Reassembler, ReassemblyLimits, Symbol};
use core_types::{ObjectSeq, SymbolSize};
use proptest::prelude::*;
use proptest::sample::Index;

fn size() -> SymbolSize {
    SymbolSize::new(64).unwrap()
}

fn reassembler(open_objects: usize) -> Reassembler {
    Reassembler::new(size(), ReassemblyLimits { open_objects, bytes: 1 << 20 }).unwrap()
}

fn object(seq: u64, len: usize) -> Vec<u8> {
    (0..len).map(|n| (seq as usize * 31 + n * 7) as u8).collect()
}

fn push(reassembler: &mut Reassembler, seq: u64, len: usize, symbol: &Symbol) -> Option<Vec<u8>> {
    reassembler.push(ObjectSeq(seq), len, symbol.id, &symbol.data).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn interleaved_objects_come_out_whole_and_once(
        lens in prop::collection::vec(1usize..1_500, 1..20),
        order in prop::collection::vec(any::<Index>(), 600),
    ) {
        let mut encoder = Encoder::new(size());
        let mut wire = Vec::new();
        for (seq, len) in lens.iter().enumerate() {
            let symbols = encoder.encode(&object(seq as u64, *len), 3).unwrap();
            // One symbol of each object is lost, every other one comes twice.
            let lost = seq % symbols.len();
            for (n, symbol) in symbols.into_iter().enumerate().filter(|(n, _)| *n != lost) {
                if n % 2 == 0 {
                    wire.push((seq as u64, *len, symbol.clone()));
                }
                wire.push((seq as u64, *len, symbol));
            }
        }
        for (at, with) in order.iter().enumerate().take(wire.len()) {
            let with = with.index(wire.len());
            wire.swap(at, with);
        }
        let mut reassembler = reassembler(20);
        let mut out = vec![None; lens.len()];
        for (seq, len, symbol) in &wire {
            if let Some(decoded) = push(&mut reassembler, *seq, *len, symbol) {
                prop_assert!(out[*seq as usize].replace(decoded).is_none(), "object {} came twice", seq);
            }
        }
        for (seq, len) in lens.iter().enumerate() {
            prop_assert_eq!(out[seq].as_deref(), Some(&object(seq as u64, *len)[..]));
        }
        prop_assert_eq!((reassembler.held_bytes(), reassembler.open_objects().count()), (0, 0));
        prop_assert_eq!(reassembler.evicted_total(), 0);
    }
}

#[test]
fn the_object_opened_first_gives_way_and_stays_away() {
    let mut reassembler = reassembler(3);
    let symbols = Encoder::new(size()).encode(&object(0, 128), 0).unwrap();
    for seq in [9, 7, 8] {
        assert_eq!(push(&mut reassembler, seq, 128, &symbols[0]), None);
    }
    assert!(reassembler.take_evicted().is_empty());
    assert_eq!(push(&mut reassembler, 1_000_000, 128, &symbols[0]), None);
    let progress = Progress { received: 1, needed: 2 };
    assert_eq!(reassembler.take_evicted(), [Evicted { object: ObjectSeq(9), progress }]);
    assert!(reassembler.take_evicted().is_empty());
    // The rest of 9 comes too late, and does not push 7 out.
    assert_eq!(push(&mut reassembler, 9, 128, &symbols[1]), None);
    assert_eq!(reassembler.progress(ObjectSeq(9)), None);
    for seq in [7, 8, 1_000_000] {
        assert_eq!(reassembler.progress(ObjectSeq(seq)), Some(progress));
        assert_eq!(push(&mut reassembler, seq, 128, &symbols[1]), Some(object(0, 128)));
    }
}

#[test]
fn the_byte_limit_gives_up_old_objects_before_the_count_does() {
    // 65,536 bytes at 64 per symbol: 1,024 source symbols; two such objects and repair do not fit in 140,000 bytes.
    let mut reassembler =
        Reassembler::new(size(), ReassemblyLimits { open_objects: 64, bytes: 140_000 }).unwrap();
    let symbols = Encoder::new(size()).encode(&vec![1; 65_536], 200).unwrap();
    assert_eq!(push(&mut reassembler, 1, 65_536, &symbols[0]), None);
    assert_eq!(push(&mut reassembler, 2, 65_536, &symbols[0]), None);
    assert_eq!(reassembler.evicted_total(), 0);
    for symbol in &symbols[1_024..] {
        assert_eq!(push(&mut reassembler, 1, 65_536, symbol), None);
    }
    assert_eq!(reassembler.take_evicted().iter().map(|e| e.object).collect::<Vec<_>>(), [ObjectSeq(2)]);
    assert_eq!(reassembler.progress(ObjectSeq(1)), Some(Progress { received: 201, needed: 1_024 }));
}

#[test]
fn objects_of_one_symbol_need_no_room() {
    let mut reassembler = reassembler(1);
    let symbols = Encoder::new(size()).encode(&object(0, 128), 0).unwrap();
    let small = Encoder::new(size()).encode(&object(1, 40), 0).unwrap();
    assert_eq!(push(&mut reassembler, 0, 128, &symbols[0]), None);
    for seq in 1..50 {
        assert_eq!(push(&mut reassembler, seq, 40, &small[0]), Some(object(1, 40)));
        assert_eq!(push(&mut reassembler, seq, 40, &small[0]), None);
    }
    assert_eq!(push(&mut reassembler, 0, 128, &symbols[1]), Some(object(0, 128)));
}

#[test]
fn a_bad_announcement_is_the_peers_fault_and_opens_nothing() {
    let mut reassembler = reassembler(2);
    let symbols = Encoder::new(size()).encode(&object(0, 128), 0).unwrap();
    for len in [0, 65_537, usize::MAX] {
        let error = reassembler.push(ObjectSeq(3), len, symbols[0].id, &symbols[0].data).unwrap_err();
        assert_eq!(error, Error::AnnouncedLength { object: ObjectSeq(3), len, max: 65_536 });
        assert!(error.is_peer_fault());
    }
    assert!(reassembler.push(ObjectSeq(3), 128, symbols[0].id, &[0; 63]).unwrap_err().is_peer_fault());
    assert_eq!(reassembler.progress(ObjectSeq(3)), None);

    assert_eq!(push(&mut reassembler, 3, 128, &symbols[0]), None);
    let error = reassembler.push(ObjectSeq(3), 127, symbols[1].id, &symbols[1].data).unwrap_err();
    assert_eq!(error, Error::LengthChanged { object: ObjectSeq(3), first: 128, now: 127 });
    assert!(error.is_peer_fault());
    assert_eq!(push(&mut reassembler, 3, 128, &symbols[1]), Some(object(0, 128)));
}

#[test]
fn a_player_that_moved_on_gives_up_what_lies_behind() {
    let mut reassembler = reassembler(8);
    let symbols = Encoder::new(size()).encode(&object(0, 128), 0).unwrap();
    for seq in 0..6 {
        push(&mut reassembler, seq, 128, &symbols[0]);
    }
    reassembler.give_up_before(ObjectSeq(4));
    let gone: Vec<_> = reassembler.take_evicted().iter().map(|e| e.object.0).collect();
    assert_eq!(gone, [0, 1, 2, 3]);
    assert_eq!(reassembler.open_objects().map(|(seq, _)| seq.0).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(push(&mut reassembler, 2, 128, &symbols[1]), None);
}

/// In order, which is the short way through: each symbol still goes to its own object, and only if it says the same length.
#[test]
fn symbols_in_order_are_not_mixed_up() {
    let mut reassembler = reassembler(8);
    let mut encoder = Encoder::new(size());
    let objects = [1, 2, 3].map(|seq| object(seq, 300));
    let symbols = objects.each_ref().map(|object| encoder.encode(object, 0).unwrap());
    for n in 0..5 {
        for (seq, (symbols, object)) in (1..).zip(symbols.iter().zip(&objects)) {
            let whole = push(&mut reassembler, seq, 300, &symbols[n]);
            assert_eq!(whole.as_ref(), (n == 4).then_some(object));
            if let Some(next) = symbols.get(n + 1) {
                let other_length = reassembler.push(ObjectSeq(seq), 299, next.id, &next.data);
                assert!(other_length.unwrap_err().is_peer_fault());
                assert!(reassembler.push(ObjectSeq(seq), 300, next.id, &[1; 65]).is_err());
            }
        }
    }
}

#[test]
fn memory_that_is_given_back_is_used_again() {
    let mut reassembler = reassembler(8);
    let symbols = Encoder::new(size()).encode(&object(1, 300), 0).unwrap();
    let mut seq = 0;
    let mut place = |recycled: Vec<Vec<u8>>| {
        seq += 1;
        recycled.into_iter().for_each(|object| reassembler.recycle(object));
        let whole = symbols.iter().find_map(|symbol| push(&mut reassembler, seq, 300, symbol));
        let whole = whole.unwrap();
        whole.as_ptr()
    };
    let [given, large, small] = [1_000, 2_000, 400].map(Vec::with_capacity);
    let its_place = given.as_ptr();
    assert_eq!(place(vec![given]), its_place);
    // The larger of two is kept.
    let its_place = large.as_ptr();
    assert_eq!(place(vec![large, small]), its_place);
    // More than an object ever needs is let go.
    let huge = Vec::with_capacity((1 << 20) + 1);
    let its_place = huge.as_ptr();
    assert_ne!(place(vec![huge]), its_place);
}

#[test]
fn memory_that_is_given_back_counts_with_all_of_it() {
    let limits = ReassemblyLimits { open_objects: 64, bytes: 200_000 };
    let mut reassembler = Reassembler::new(size(), limits).unwrap();
    let symbols = Encoder::new(size()).encode(&object(1, 300), 0).unwrap();
    for (open, evicted) in [(1, 0), (2, 0), (3, 0), (3, 1)] {
        reassembler.recycle(Vec::with_capacity(60_000));
        push(&mut reassembler, open + evicted, 300, &symbols[0]);
        assert_eq!(reassembler.held_bytes() as u64, open * 60_000);
        assert_eq!(reassembler.evicted_total(), evicted);
    }
}

#[test]
fn what_came_of_an_object_that_is_late_can_be_had() {
    let mut reassembler = reassembler(8);
    let data = object(5, 300);
    let symbols = Encoder::new(size()).encode(&data, 0).unwrap();
    assert!(reassembler.take_partial(ObjectSeq(5)).is_none());
    for n in [0, 1, 3] {
        push(&mut reassembler, 5, 300, &symbols[n]);
    }
    let partial = reassembler.take_partial(ObjectSeq(5)).unwrap();
    assert_eq!(partial.prefix(), &data[..128]);
    assert_eq!(partial.ranges().collect::<Vec<_>>(), [0..128, 192..256]);
    let progress = Progress { received: 3, needed: 5 };
    assert_eq!(reassembler.take_evicted(), [Evicted { object: ObjectSeq(5), progress }]);
    assert_eq!(reassembler.held_bytes(), 0);
    // The rest comes too late.
    assert_eq!(push(&mut reassembler, 5, 300, &symbols[2]), None);
    assert!(reassembler.take_partial(ObjectSeq(5)).is_none());
}

#[test]
fn what_is_remembered_and_reported_is_bounded() {
    let mut reassembler = reassembler(1);
    let symbols = Encoder::new(size()).encode(&object(0, 128), 0).unwrap();
    let objects = 3 * Reassembler::MAX_REMEMBERED as u64;
    for seq in 0..objects {
        push(&mut reassembler, seq, 128, &symbols[0]);
    }
    assert_eq!(reassembler.evicted_total(), objects - 1);
    let reports = reassembler.take_evicted();
    assert_eq!(reports.len(), Reassembler::MAX_EVICTION_REPORTS);
    assert_eq!(reports.last().unwrap().object, ObjectSeq(objects - 2));
    // Long forgotten: counts as new.
    push(&mut reassembler, 0, 128, &symbols[0]);
    assert!(reassembler.progress(ObjectSeq(0)).is_some());
}

#[test]
fn limits_that_hold_no_object_are_refused() {
    let least = (2 * 1_024 + 32) * 64;
    for (open_objects, bytes) in [(0, 1 << 20), (1, least - 1)] {
        let error = Reassembler::new(size(), ReassemblyLimits { open_objects, bytes }).unwrap_err();
        assert_eq!(error, Error::Limits { objects: open_objects, bytes, min_bytes: least });
        assert!(!error.is_peer_fault());
    }
    assert!(Reassembler::new(size(), ReassemblyLimits { open_objects: 1, bytes: least }).is_ok());
    for units in [1, 17, 256] {
        assert!(Reassembler::new(SymbolSize::new(units * 64).unwrap(), ReassemblyLimits::default()).is_ok());
    }
}
