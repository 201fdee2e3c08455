//! Records, the order of consents, and classes from files.
#![allow(clippy::unwrap_used, reason = "tests")]

use consent_decay::{Classes, ConsentClass, ConsentRecord, ContentId, Error, SourceId, Terms, Tombstone};
use core_types::{KeyId, WallTime};
use identity::{Identity, Seed};
use proptest::prelude::*;

fn terms(from: u64, serial: u64) -> Terms {
    Terms { class: ConsentClass::Standard.into(), from: WallTime(from), serial }
}

#[test]
fn only_a_higher_number_changes_consent() {
    let (now, held) = (WallTime(1_000_000), terms(5, 7));
    assert_eq!(terms(9, 8).check(Some(&held), now), Ok(()));
    for serial in [0, 6, 7] {
        assert_eq!(terms(9, serial).check(Some(&held), now), Err(Error::OldSerial { held: 7, got: serial }));
        assert_eq!(terms(9, serial).check(None, now), Ok(()));
    }
}

#[test]
fn consent_that_begins_in_the_future_is_refused_first_or_later() {
    let (now, ahead) = (WallTime(1_000_000), 1_300_001);
    assert_eq!(terms(ahead - 1, 2).check(Some(&terms(0, 1)), now), Ok(()));
    for current in [None, Some(terms(0, 1))] {
        assert!(matches!(terms(ahead, 2).check(current.as_ref(), now), Err(Error::FutureAdmission { .. })));
    }
}

#[test]
fn nobody_signs_for_another() {
    let [person, other] = [1, 2].map(|seed| Identity::from_seed(&Seed([seed; 64])).unwrap());
    let (subject, source) = (person.public().clone(), SourceId([3; 32]));
    let record = ConsentRecord { subject: subject.clone(), source, terms: terms(0, 1) };
    let tombstone = Tombstone { subject, source, revoked_at: WallTime(0) };
    assert!(matches!(record.sign(&other), Err(Error::OtherSubject { .. })));
    assert!(matches!(tombstone.sign(&other), Err(Error::OtherSubject { .. })));
    // Whoever signs in its own name speaks of its own content.
    let own = Tombstone { subject: other.public().clone(), ..tombstone.clone() };
    let own = Tombstone::verify(&own.sign(&other).unwrap()).unwrap();
    assert_ne!(own.content(), tombstone.content());
    assert_eq!(tombstone.content(), record.content());
}

#[test]
fn content_depends_on_person_and_source_and_has_one_text_form() {
    let of = |subject, source| ContentId::of(KeyId([subject; 32]), SourceId([source; 32]));
    let all = [of(1, 1), of(1, 2), of(2, 1)];
    assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
    assert_eq!(all[0].to_string().parse::<ContentId>().unwrap(), all[0]);
    assert!(all[0].to_string().to_ascii_uppercase().parse::<ContentId>().is_err());
}

#[test]
fn a_file_adds_classes_and_may_change_persistent_alone() {
    let bands = "full = 1\ndrop_repair = 2\ndrop_high_quality = 3\nmin_viable = 4\n";
    let of = |name: &str| Classes::from_toml(&format!("[class.{name}]\n{bands}"));
    let classes = of("interview-2").unwrap();
    assert_eq!(classes.iter().count(), 4);
    assert_eq!(classes.schedule(&"interview-2".parse().unwrap()).unwrap().bands(), [1, 2, 3, 4]);
    let changed = of("persistent").unwrap();
    assert_eq!(changed.schedule(&ConsentClass::Persistent.into()).unwrap().bands(), [1, 2, 3, 4]);
    for name in ["temporary", "standard"] {
        let error = of(name).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("same on all nodes"), "{error}");
    }
}

#[test]
fn what_is_wrong_with_a_file_of_classes_is_said() {
    let says = |text: &str| Classes::from_toml(text).unwrap_err().to_string();
    let bands = |full: u32| {
        format!("[class.x]\nfull = {full}\ndrop_repair = 2\ndrop_high_quality = 3\nmin_viable = 4\n")
    };
    assert!(says(&bands(2)).contains("\"x\"") && says(&bands(2)).contains("[2, 2, 3, 4]"));
    assert!(says(&bands(0)).contains("[0, 2, 3, 4]"));
    assert!(says("[class.x]\nfull = 1\n").contains("drop_repair"));
    assert!(says(&(bands(1) + "more = 5\n")).contains("more"));
    assert!(says("[classes.x]\n").contains("classes"));
    assert!(says(&bands(1).replace("class.x", "class.X")).contains("malformed class name"));
    assert!(says(&" ".repeat(Classes::MAX_TOML_LEN + 1)).contains("at most"));
    let many: String =
        (0..=Classes::MAX_CLASSES).map(|n| bands(1).replace("class.x", &format!("class.c{n}"))).collect();
    assert!(says(&many).contains("65 classes"));
    assert_eq!(Classes::from_toml("").unwrap(), Classes::built_in());
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..6_000)) {
        prop_assert!(ConsentRecord::verify(&bytes).is_err());
        prop_assert!(Tombstone::verify(&bytes).is_err());
    }

    #[test]
    fn no_text_makes_reading_classes_panic(text in "\\PC{0,80}") {
        let _ = Classes::from_toml(&text);
        let _ = Classes::from_toml(&format!("[class.a]\n{text}"));
    }
}
