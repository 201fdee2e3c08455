use super::*;
use core_types::Epoch;
use proptest::prelude::*;

fn start(object: u64) -> Position {
    Position { epoch: Epoch(3), object: ObjectSeq(object) }
}

/// Spec 82 section 10 as bytes.
#[test]
fn an_object_has_these_bytes() {
    let mut packer = Packer::new(start(7), 4_096).unwrap();
    packer.put(Importance::Normal, b"no").unwrap();
    assert_eq!(packer.put(Importance::Vital, b"yes").unwrap(), 8);
    let batch = packer.finish().unwrap();
    let expected = [1, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3];
    assert_eq!(batch.objects[0].bytes, [&expected[..], b"yes"].concat());
    assert_eq!(Symbols::kept(29, b"coded").unwrap(), b"\0\0\0\x1dcoded");
    assert_eq!((batch.at, batch.records), (start(7), 2));
    packer.put(Importance::Detail, b"").unwrap();
    assert_eq!(packer.finish().unwrap().at, start(9));
    assert_eq!(packer.finish(), None);
}

#[test]
fn importance_is_the_group_and_repair_is_repair() {
    let of = |importance, id| {
        let packed = Packed { number: ObjectSeq(0), importance, bytes: vec![] };
        packed.symbol(SymbolId::new(id).unwrap(), 4, b"x").group
    };
    for (importance, group) in Importance::ALL.into_iter().zip(Group::ALL) {
        assert_eq!((of(importance, 3), of(importance, 4)), (group, Group::Repair));
    }
}

#[test]
fn limits_are_kept_and_say_so() {
    assert!(matches!(Packer::new(start(0), 63), Err(Error::Refused(_))));
    assert!(matches!(Packer::new(start(0), (1 << 20) + 1), Err(Error::Refused(_))));
    let mut packer = Packer::new(start(0), 1_024).unwrap();
    let longest = vec![1; Packer::MAX_RECORD];
    for _ in 0..16 {
        packer.put(Importance::Normal, &longest).unwrap();
    }
    let longer = vec![1; Packer::MAX_RECORD + 1];
    assert!(matches!(packer.put(Importance::Normal, &longer), Err(Error::Refused(_))));
    assert!(matches!(packer.put(Importance::Vital, &longest), Err(Error::Refused(_))));
    assert!(packer.waiting() <= Packer::MAX_BATCH);
    let batch = packer.finish().unwrap();
    assert_eq!((batch.records, batch.objects.len()), (16, 16));
    assert!(batch.objects.iter().all(|object| object.bytes.len() == Packer::MAX_OBJECT));
    assert!(Object::open(&batch.objects[15].bytes).is_ok());
    assert!(packer.put(Importance::Vital, &longest).is_ok());
    assert!(Symbols::kept(Packer::MAX_OBJECT + 1, b"x").is_err());
    assert!(Symbols::kept(1, &[0; Symbol::MAX_LEN - 3]).is_err());
    assert!(Symbols::open(&[0, 0x10, 0, 1, 9]).is_err() && Symbols::open(&[0, 0, 0]).is_err());
    let mut last = Packer::new(start(u64::MAX - 1), 64).unwrap();
    assert!(last.put(Importance::Vital, b"").is_ok() && last.put(Importance::Vital, b"").is_err());
    assert!(Object::open(&last.finish().unwrap().objects[0].bytes).is_ok());
}

#[test]
fn what_is_missing_is_said_as_ranges() {
    assert_eq!(gaps(10..20, [12, 11, 15, 99, 3]), [10..11, 13..15, 16..20]);
    assert_eq!(gaps(0..2, [0, 1]), []);
    assert_eq!(gaps(5..7, []).first(), Some(&(5..7)));
}

proptest! {
    /// All that is put in comes out once, in objects of its importance and of no more than the given length.
    #[test]
    fn records_round_trip(
        records in prop::collection::vec((0usize..3, prop::collection::vec(any::<u8>(), 0..300)), 1..60),
        object_len in 64usize..600,
        first in 0u64..1 << 40,
    ) {
        let mut packer = Packer::new(start(first), object_len).unwrap();
        for (importance, record) in &records {
            packer.put(Importance::ALL[*importance], record).unwrap();
        }
        let batch = packer.finish().unwrap();
        let mut read = std::collections::BTreeMap::new();
        for (n, object) in batch.objects.iter().enumerate() {
            prop_assert_eq!(object.number.0, first + n as u64);
            let opened = Object::open(&object.bytes).unwrap();
            prop_assert_eq!(opened.batch, first..first + records.len() as u64);
            prop_assert!(object.bytes.len() <= object_len || opened.records.len() == 1);
            for record in opened.records {
                prop_assert_eq!(opened.importance, object.importance);
                let new = read.insert(record.number - first, (opened.importance as usize, record.bytes.to_vec()));
                prop_assert!(new.is_none());
            }
        }
        prop_assert_eq!(read.into_values().collect::<Vec<_>>(), records);
    }

    #[test]
    fn no_bytes_make_reading_a_trace_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), good in any::<bool>()) {
        let mut bytes = bytes;
        if good && bytes.len() > 2 {
            bytes[..2].copy_from_slice(&[1, 0]);
        }
        let _ = (Object::open(&bytes), Symbols::open(&bytes));
    }
}
