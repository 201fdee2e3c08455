use super::*;
use proptest::prelude::*;

/// A snapshot with these operations.
fn snapshot_of(ops: &[u8]) -> Vec<u8> {
    [SNAPSHOT.magic.as_slice(), ops].concat()
}

#[test]
fn an_empty_store_survives_and_nothing_else_passes_for_one() {
    let empty = GroupStore::new(TreeWrites::Deferred).snapshot([]).unwrap();
    assert_eq!(GroupStore::restore(&empty).unwrap().snapshot([]).unwrap(), empty);
    let batch = WriteBatch::default().to_bytes().unwrap();
    for other in [&b""[..], b"HMGS", b"HMGS\x02", &batch] {
        assert!(matches!(GroupStore::restore(other), Err(Error::Malformed { what: "snapshot", .. })));
    }
    assert!(matches!(WriteBatch::from_bytes(&empty), Err(Error::Malformed { what: "batch", .. })));
}

#[test]
fn a_snapshot_that_deletes_or_repeats_is_refused() {
    let put: &[u8] = b"\x01\0\0\0\x01k\0\0\0\x01v";
    assert!(GroupStore::restore(&snapshot_of(put)).is_ok());
    assert!(GroupStore::restore(&snapshot_of(&[put, put].concat())).is_err());
    assert!(GroupStore::restore(&snapshot_of(b"\x00\0\0\0\x01k")).is_err());
    assert!(GroupStore::restore(&snapshot_of(b"\x02\0\0\0\x01k")).is_err());
    for end in 1..put.len() {
        assert!(GroupStore::restore(&snapshot_of(&put[..end])).is_err(), "{end}");
    }
}

#[test]
fn a_length_that_is_not_there_allocates_nothing() {
    let huge = snapshot_of(b"\x01\xff\xff\xff\xffk");
    assert!(GroupStore::restore(&huge).is_err());
    let huge = snapshot_of(b"\x01\0\0\0\x01k\xff\xff\xff\xff");
    assert!(GroupStore::restore(&huge).is_err());
}

#[test]
fn a_capture_has_the_last_state_of_each_entity() {
    let store = GroupStore::new(TreeWrites::Eager);
    let write = |key: u8, value: u8| store.write(Kind::Psk, &key, &value).unwrap();
    write(1, 10);
    write(2, 20);
    store.begin_capture();
    write(1, 11);
    write(1, 12);
    write(3, 30);
    store.delete(Kind::Psk, &2u8).unwrap();
    let batch = WriteBatch::from_bytes(&store.take_captured().to_bytes().unwrap()).unwrap();
    assert_eq!(batch.len(), 3);
    write(4, 40);
    assert!(store.take_captured().is_empty());

    let other = GroupStore::new(TreeWrites::Eager);
    other.write(Kind::Psk, &2u8, &20u8).unwrap();
    other.apply(batch);
    let read = |key: u8| other.read::<u8>(Kind::Psk, &key).unwrap();
    assert_eq!([read(1), read(2), read(3), read(4)], [Some(12), None, Some(30), None]);
}

#[test]
fn a_deferred_tree_is_never_an_old_tree() {
    let store = GroupStore::new(TreeWrites::Eager);
    store.write(Kind::Tree, &1u8, &1u8).unwrap();
    store.set_tree_writes(TreeWrites::Deferred);
    assert_eq!(store.read::<u8>(Kind::Tree, &1u8), Ok(Some(1)), "it did not change yet");
    store.write(Kind::Tree, &1u8, &2u8).unwrap();
    assert_eq!(store.read::<u8>(Kind::Tree, &1u8), Err(Error::TreeNotStored));
    assert_eq!(store.snapshot([]), Err(Error::TreeNotStored));
    store.set_tree_writes(TreeWrites::Eager);
    assert_eq!(store.read::<u8>(Kind::Tree, &1u8), Err(Error::TreeNotStored));
    store.write(Kind::Tree, &1u8, &3u8).unwrap();
    assert_eq!(store.read::<u8>(Kind::Tree, &1u8), Ok(Some(3)));
    assert!(store.snapshot([]).is_ok());

    store.set_tree_writes(TreeWrites::Deferred);
    store.write(Kind::Tree, &1u8, &4u8).unwrap();
    store.delete(Kind::Tree, &1u8).unwrap();
    assert_eq!(store.read::<u8>(Kind::Tree, &1u8), Ok(None));
    assert!(store.snapshot([]).is_ok(), "a group that is gone owes nothing");
}

#[test]
fn what_is_not_of_this_version_is_an_error_and_not_a_panic() {
    let store = GroupStore::new(TreeWrites::Eager);
    store.write(Kind::Psk, &1u8, &"text").unwrap();
    assert!(matches!(store.read::<u8>(Kind::Psk, &1u8), Err(Error::Decode { what: "a pre-shared key", .. })));
    store.write(Kind::JoinConfig, &1u8, &"text").unwrap();
    assert!(matches!(store.read::<u8>(Kind::JoinConfig, &1u8), Err(Error::Decode { .. })));
}

#[test]
fn debug_shows_numbers_alone() {
    let store = GroupStore::new(TreeWrites::Eager);
    store.begin_capture();
    store.write(Kind::Psk, &1u8, &"secret").unwrap();
    let batch = store.take_captured();
    let secret = format!("{:?}", b"secret");
    for shown in [format!("{store:?}"), format!("{batch:?}")] {
        assert!(!shown.contains("secret") && !shown.contains(&secret[1..secret.len() - 1]), "{shown}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(GroupStore::restore(&bytes));
        drop(GroupStore::restore(&snapshot_of(&bytes)));
        drop(WriteBatch::from_bytes(&bytes));
    }

    #[test]
    fn a_batch_survives_its_encoding(
        ops in proptest::collection::btree_map(
            proptest::collection::vec(any::<u8>(), 0..20),
            proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
            0..20,
        ),
    ) {
        let mut batch = WriteBatch::default();
        for (key, value) in &ops {
            batch.record(key.clone(), value.as_deref().map(Secret::from));
        }
        let bytes = batch.to_bytes().unwrap();
        let read: Vec<_> = WriteBatch::from_bytes(&bytes).unwrap().into_ops().collect();
        let read = read.into_iter().map(|(key, value)| (key, value.map(|value| value.to_vec())));
        prop_assert_eq!(read.collect::<BTreeMap<_, _>>(), ops);
    }
}
