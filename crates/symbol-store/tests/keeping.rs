//! What is recorded can be read, as far and as long as its tier allows.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use consent_decay::{Classes, Level, Reason, Terms, Tier};
use core_types::{ObjectSeq, WallTime};
use symbol_store::{Error, Flush, FrameGroup, Group, Options, Store, StoreKey, Symbol};

#[test]
fn a_frame_group_comes_back_as_it_was_given_also_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    assert_eq!(store.admit(day(0), &consent(1), &mut rng()).unwrap(), content(1));
    for group in [0, 10, 20] {
        assert_eq!(record(&mut store, 1, group).kept, 12);
    }
    for _ in 0..2 {
        let reader = store.reader();
        for group in [0, 10, 20] {
            assert_eq!(readable(&reader, day(0), 1, group).unwrap(), KEPT[0]);
        }
        let groups = reader.frame_groups(day(0), content(1), Some(at(5)), 10).unwrap();
        let seen: Vec<_> = groups.iter().map(|group| (group.at, group.symbols)).collect();
        assert_eq!(seen, [(at(10), [2, 2, 4, 4]), (at(20), [2, 2, 4, 4])]);
        assert_eq!(reader.frame_group_of(day(0), content(1), at(13)).unwrap(), Some(at(10)));
        let read = reader.read(day(0), content(1), at(10)).unwrap();
        let object: Vec<_> = read.of(ObjectSeq(12)).map(|symbol| (symbol.id.value(), symbol.group)).collect();
        assert_eq!(object, [(0, Group::Enhancement), (1, Group::Enhancement), (2, Group::Repair)]);
        assert_eq!(reader.consent(content(1)).unwrap(), consent(1));
        drop((reader, store));
        store = open(dir.path());
    }
}

/// Each tier, as the scheduler brings it and as a reader sees it whom nobody told.
#[test]
fn each_tier_shows_what_it_says_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    for n in [1, 2] {
        store.admit(day(0), &consent(n), &mut rng()).unwrap();
        record(&mut store, n, 0);
    }
    let reader = store.reader();
    let tiers = [Tier::Full, Tier::DropRepair, Tier::DropHighQuality, Tier::MinViable];
    for ((day_of, tier), kept) in [0, 4, 8, 11].into_iter().zip(tiers).zip(KEPT) {
        assert_eq!(readable(&reader, day(day_of), 1, 0).unwrap(), kept, "read late, day {day_of}");
        // Key frames and base have two symbols each, enhancement four, repair four.
        let listed = reader.frame_groups(day(day_of), content(1), None, 9).unwrap()[0].symbols;
        let symbols: [u32; 4] = [2, 2, 4, 4];
        let expected =
            Group::ALL.map(|group| if group.is_kept_at(tier) { symbols[group as usize] } else { 0 });
        assert_eq!(listed, expected, "listed late, day {day_of}");
        while store.fade(day(day_of)).unwrap().more {}
        assert_eq!(reader.describe(day(0), content(2)).unwrap().tier, tier);
        // The clock went back: what is gone is gone.
        assert_eq!(readable(&reader, day(0), 2, 0).unwrap(), kept, "faded, day {day_of}");
    }
    store.fade(day(14)).unwrap();
    for now in [day(0), day(14)] {
        assert!(matches!(readable(&reader, now, 1, 0), Err(Error::Faded { held: Tier::EnvelopeOnly, .. })));
        assert_eq!(reader.consent(content(1)).unwrap(), consent(1));
        assert!(matches!(try_record(&mut store, 1, 50, Flush::Now, now), Err(Error::Faded { .. })));
    }
    assert_eq!(reader.next_due().unwrap(), None);
    let log = reader.audit(0, 100).unwrap();
    assert_eq!(log.len(), 2 * 5);
    assert_eq!((log[0].1.reason, log[9].1.reason), (Reason::Admitted, Reason::Age));
    assert_eq!((log[9].1.before, log[9].1.after), (Tier::MinViable, Tier::EnvelopeOnly));
}

#[test]
fn what_a_tier_does_not_keep_is_not_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    store.fade(day(8)).unwrap();
    let recorded = try_record(&mut store, 1, 0, Flush::Now, day(0)).unwrap();
    assert_eq!((recorded.kept, recorded.left_out), (4, 8));
    assert_eq!(readable(&store.reader(), day(0), 1, 0).unwrap(), KEPT[2]);
}

#[test]
fn renewed_consent_keeps_what_is_left_and_gives_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    record(&mut store, 1, 0);
    store.fade(day(5)).unwrap();
    let renewed = signed_consent(1, "standard", day(5), 2);
    store.admit(day(5), &renewed, &mut rng()).unwrap();
    let reader = store.reader();
    let described = reader.describe(day(5), content(1)).unwrap();
    assert_eq!((described.tier, described.due), (Tier::DropRepair, Some(day(5 + 51))));
    assert_eq!(described.terms, Some(Terms { class: "standard".parse().unwrap(), from: day(5), serial: 2 }));
    store.fade(day(50)).unwrap();
    assert_eq!(readable(&reader, day(50), 1, 0).unwrap(), KEPT[1]);
    // An older record changes nothing, a shorter one takes away at once.
    assert!(matches!(store.admit(day(50), &consent(1), &mut rng()), Err(Error::Consent(_))));
    store.admit(day(50), &signed_consent(1, "temporary", day(40), 3), &mut rng()).unwrap();
    assert_eq!(readable(&reader, day(0), 1, 0).unwrap(), KEPT[2]);
    let reasons: Vec<_> = reader.audit(0, 10).unwrap().into_iter().map(|(_, entry)| entry.reason).collect();
    assert_eq!(
        reasons,
        [Reason::Admitted, Reason::Age, Reason::ConsentChanged, Reason::ConsentChanged, Reason::Age]
    );
}

#[test]
fn consent_in_the_future_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let ahead = WallTime(START + 300_001);
    let refused = store.admit(day(0), &signed_consent(1, "standard", ahead, 1), &mut rng());
    assert!(matches!(refused, Err(Error::Consent(consent_decay::Error::FutureAdmission { .. }))));
    assert!(matches!(store.reader().describe(day(0), content(1)), Err(Error::Unknown(_))));
}

#[test]
fn a_class_that_the_node_forgot_freezes_and_thaws() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[class.interview]\nfull = 20\ndrop_repair = 30\ndrop_high_quality = 40\nmin_viable = 50\n";
    let with = |text: &str| {
        let options = Options { classes: Classes::from_toml(text).unwrap(), ..Options::default() };
        Store::open(dir.path(), &KEY, options, &mut rng()).unwrap()
    };
    let mut store = with(text);
    store.admit(day(0), &signed_consent(1, "interview", day(0), 1), &mut rng()).unwrap();
    record(&mut store, 1, 0);
    drop(store);
    let mut store = with("");
    let reader = store.reader();
    assert!(matches!(readable(&reader, day(1), 1, 0), Err(Error::Frozen(_))));
    assert!(matches!(try_record(&mut store, 1, 50, Flush::Now, day(1)), Err(Error::Frozen(_))));
    drop((reader, store));
    let mut store = with(text);
    assert_eq!(readable(&store.reader(), day(1), 1, 0).unwrap(), KEPT[0]);
    while store.fade(day(20)).unwrap().more {}
    assert_eq!(readable(&store.reader(), day(20), 1, 0).unwrap(), KEPT[1]);
}

#[test]
fn pressure_takes_repair_of_all_before_layers_of_any_and_no_more_than_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    for n in [1, 2, 3] {
        store
            .admit(day(0), &signed_consent(n, "standard", WallTime(START - u64::from(n)), 1), &mut rng())
            .unwrap();
        record(&mut store, n, 0);
    }
    let reader = store.reader();
    let tiers = |day_of| [1, 2, 3].map(|n| reader.describe(day(day_of), content(n)).unwrap().tier);
    let one = reader.describe(day(0), content(1)).unwrap().groups[Group::Repair as usize].stored;
    // The oldest goes first.
    let relieved = store.relieve(day(0), Level::Last, one).unwrap();
    assert_eq!((relieved.freed, relieved.transitions.len()), (one, 1));
    assert_eq!(relieved.transitions[0].reason, Reason::Pressure(Level::Last));
    assert_eq!(tiers(0), [Tier::Full, Tier::Full, Tier::DropRepair]);
    store.relieve(day(0), Level::Repair, u64::MAX).unwrap();
    assert_eq!(tiers(0), [Tier::DropRepair; 3]);
    store.relieve(day(0), Level::Least, u64::MAX).unwrap();
    assert_eq!(tiers(0), [Tier::MinViable; 3]);
    assert_eq!(readable(&reader, day(0), 2, 0).unwrap(), KEPT[3]);
    assert_eq!(store.relieve(day(0), Level::Least, u64::MAX).unwrap().transitions, []);
    store.relieve(day(0), Level::Last, 1).unwrap();
    assert_eq!(tiers(0), [Tier::MinViable, Tier::MinViable, Tier::EnvelopeOnly]);
    // Age and pressure meet: the lower of both.
    store.fade(day(90)).unwrap();
    assert_eq!(tiers(0), [Tier::EnvelopeOnly; 3]);
}

#[test]
fn symbols_beyond_the_limits_are_refused_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    let long = vec![1; Symbol::MAX_LEN + 1];
    let bytes = bytes_of(5, 100);
    let good = symbols(5, &bytes);
    let with = |change: &dyn Fn(&mut Symbol<'_>)| {
        let mut bad = good[1];
        change(&mut bad);
        vec![good[0], bad]
    };
    let mut try_it = |symbols: &[Symbol<'_>]| {
        let group = FrameGroup { content: content(1), at: at(5), symbols };
        store.record(day(0), &group, Flush::Now, &mut rng())
    };
    for bad in [
        vec![good[0], Symbol { bytes: &long, ..good[1] }],
        with(&|symbol| symbol.bytes = &[]),
        with(&|symbol| symbol.object = ObjectSeq(4)),
        with(&|symbol| symbol.object = ObjectSeq(5 + (1 << 32))),
        vec![good[0]; FrameGroup::MAX_SYMBOLS as usize + 1],
    ] {
        assert!(matches!(try_it(&bad), Err(Error::Refused(_))));
    }
    let longest = Symbol { bytes: &long[1..], object: ObjectSeq(5 + u64::from(u32::MAX)), ..good[0] };
    assert_eq!(try_it(&[longest]).unwrap().kept, 1);
    let read = store.reader().read(day(0), content(1), at(5)).unwrap();
    assert_eq!(read.iter().collect::<Vec<_>>(), [longest]);
}

#[test]
fn another_store_key_and_another_stores_keys_are_refused() {
    let mut other = rand::SeedableRng::seed_from_u64(2);
    let _: &mut rand::rngs::StdRng = &mut other;
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(open(one.path()));
    drop(Store::open(two.path(), &KEY, Options::default(), &mut other).unwrap());
    let wrong = Store::open(one.path(), &StoreKey([8; 32]), Options::default(), &mut rng());
    assert!(matches!(wrong, Err(Error::WrongKey)));
    std::fs::copy(two.path().join("keys"), one.path().join("keys")).unwrap();
    let mixed = Store::open(one.path(), &KEY, Options::default(), &mut rng());
    assert!(matches!(mixed, Err(Error::Damaged(_))));
    std::fs::remove_file(one.path().join("keys")).unwrap();
    assert!(matches!(Store::open(one.path(), &KEY, Options::default(), &mut rng()), Err(Error::Damaged(_))));
}

#[test]
fn one_process_at_a_time_has_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let _held = open(dir.path());
    let second = Store::open(dir.path(), &KEY, Options::default(), &mut rng());
    assert!(matches!(second, Err(Error::Database(_))));
}

#[test]
fn readers_read_on_while_the_writer_writes() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.admit(day(0), &consent(1), &mut rng()).unwrap();
    record(&mut store, 1, 0);
    let reader = store.reader();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for group in 1..60 {
                try_record(&mut store, 1, group * 10, Flush::Later, day(0)).unwrap();
            }
            store.sync().unwrap();
        });
        let mut seen = 0;
        while !writing.is_finished() {
            let groups = reader.frame_groups(day(0), content(1), None, 100).unwrap();
            assert!(groups.len() >= seen, "what was committed went away");
            seen = groups.len();
            for group in groups {
                assert_eq!(readable(&reader, day(0), 1, group.at.object.0).unwrap(), KEPT[0]);
            }
        }
    });
    assert_eq!(reader.frame_groups(day(0), content(1), None, 100).unwrap().len(), 60);
}

#[test]
fn the_audit_log_keeps_its_newest_entries() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { audit_entries: 3, ..Options::default() };
    let mut store = Store::open(dir.path(), &KEY, options, &mut rng()).unwrap();
    for n in 0..5 {
        store.admit(day(0), &consent(n), &mut rng()).unwrap();
    }
    let log = store.reader().audit(0, 10).unwrap();
    let kept: Vec<_> = log.into_iter().map(|(number, entry)| (number, entry.content)).collect();
    assert_eq!(kept, [2, 3, 4].map(|n| (n, content(n as u8))));
}
