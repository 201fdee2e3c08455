//! Every case of the committed vectors of consent, good and bad, against the crate.
#![allow(clippy::unwrap_used, reason = "tests")]

use consent_decay::{
    Classes, Consent, ConsentClass, ConsentRecord, ContentId, Error, Item, Level, ReadGrant, Schedule,
    SourceId, Terms, Tier, Tombstone, Transition, Trigger, decide,
};
use core_types::{KeyId, WallTime};
use identity::{Backend, Identity, Seed};
use serde_json::Value;
use vector_kit::read::{array, hex, list, load};

fn time(value: &Value) -> WallTime {
    WallTime(value.as_str().unwrap().parse().unwrap())
}

fn tier(value: &Value) -> Tier {
    Tier::ALL.into_iter().find(|tier| value == tier.name()).unwrap()
}

fn class(value: &Value) -> ConsentClass {
    let is_it = |class: &ConsentClass| value == consent_decay::ClassName::from(*class).as_str();
    ConsentClass::ALL.into_iter().find(is_it).unwrap()
}

/// The class of error that the vectors name.
fn class_of(error: &Error) -> &'static str {
    match error {
        Error::Identity(identity::Error::BadSignature { .. }) => "signature",
        Error::Identity(_) => "encoding",
        Error::Record(_) | Error::ClassName(_) => "malformed",
        _ => "another",
    }
}

#[test]
fn tiers_by_day_are_those_of_the_vectors() {
    for case in list(&load("consent/tiers.json"), "cases") {
        let consent = if case["revoked"] == true { Consent::Revoked } else { Consent::Given };
        let got = Schedule::of(class(&case["class"])).tier(
            time(&case["admitted_ms"]),
            time(&case["now_ms"]),
            consent,
        );
        match got {
            Ok(got) => assert_eq!(got, tier(&case["tier"]), "{case}"),
            Err(_) => assert_eq!(case["tier"], "refused", "{case}"),
        }
    }
}

#[test]
fn decisions_are_those_of_the_vectors() {
    for case in list(&load("consent/tiers.json"), "decisions") {
        let from = time(&case["from_ms"]);
        let day = |value: &Value| value.as_u64().map(|day| WallTime(from.0 + day * 86_400_000));
        let level = [Level::Calm, Level::Repair, Level::HighQuality, Level::Least, Level::Last]
            [case["pressure_level"].as_u64().unwrap() as usize];
        let trigger = match case["trigger"].as_str().unwrap() {
            "time" => Trigger::Time,
            "revoked" => Trigger::Revoked,
            _ => Trigger::Pressure { level, to: tier(&case["pressure_to"]) },
        };
        let class = case["class"].as_str().map(|class| class.parse().unwrap());
        let item = Item {
            content: ContentId([0; 32]),
            held: tier(&case["held"]),
            terms: class.map(|class| Terms { class, from, serial: 1 }),
            frozen_since: day(&case["frozen_since_day"]),
        };
        let decision = decide(&item, &Classes::built_in(), trigger, day(&case["day"]).unwrap());
        assert_eq!(decision.after, tier(&case["after"]), "{case}");
        assert_eq!(decision.reason.to_string(), case["reason"].as_str().unwrap(), "{case}");
        assert_eq!(decision.frozen_since.is_some(), case["is_frozen"] == true, "{case}");
        let due = case["due_ms"].as_str().map(|due| WallTime(due.parse().unwrap()));
        assert_eq!(decision.due, due, "{case}");
    }
}

#[test]
fn records_have_the_bytes_of_the_vectors() {
    let file = load("consent/records.json");
    let person = Identity::from_seed_with(Backend::Portable, &Seed(array(&file["seed"]))).unwrap();
    let (subject, source) = (person.public().clone(), SourceId(array(&file["source"])));
    let content = ContentId(array(&file["content"]));
    for case in list(&file, "consents") {
        let terms = Terms {
            class: case["class"].as_str().unwrap().parse().unwrap(),
            from: time(&case["from_ms"]),
            serial: case["serial"].as_str().unwrap().parse().unwrap(),
        };
        let record = ConsentRecord { subject: subject.clone(), source, terms };
        assert_eq!(record.content(), content);
        assert_eq!(record.sign(&person).unwrap(), hex(&case["bytes"]), "{}", case["id"]);
        assert_eq!(ConsentRecord::verify(&hex(&case["bytes"])), Ok(record));
    }
    let case = &file["tombstone"];
    let tombstone = Tombstone { subject, source, revoked_at: time(&case["revoked_at_ms"]) };
    assert_eq!(tombstone.content(), content);
    assert_eq!(tombstone.sign(&person).unwrap(), hex(&case["bytes"]));
    assert_eq!(Tombstone::verify(&hex(&case["bytes"])), Ok(tombstone));
}

#[test]
fn what_is_no_record_is_refused() {
    for case in list(&load("consent/records.json"), "negative") {
        let bytes = hex(&case["bytes"]);
        let error = match case["kind"].as_str().unwrap() {
            "consent" => ConsentRecord::verify(&bytes).unwrap_err(),
            _ => Tombstone::verify(&bytes).unwrap_err(),
        };
        assert_eq!(class_of(&error), case["error"], "{}", case["id"]);
    }
}

#[test]
fn audit_entries_have_the_bytes_of_the_vectors() {
    for case in list(&load("consent/audit.json"), "cases") {
        let bytes = hex(&case["bytes"]);
        let entry = Transition::from_bytes(&bytes).unwrap();
        assert_eq!(entry.reason.to_string(), case["reason"].as_str().unwrap());
        assert_eq!((entry.before, entry.after), (tier(&case["before"]), tier(&case["after"])));
        assert_eq!((entry.at, entry.content), (time(&case["at_ms"]), ContentId(array(&case["content"]))));
        assert_eq!(entry.to_bytes(), bytes);
    }
    for case in list(&load("consent/audit.json"), "negative") {
        let error = Transition::from_bytes(&hex(&case["bytes"])).unwrap_err();
        assert_eq!(class_of(&error), case["error"], "{}", case["id"]);
    }
}

#[test]
fn grants_have_the_bytes_of_the_vectors_and_nothing_else_is_one() {
    let file = load("consent/grants.json");
    let person = Identity::from_seed_with(Backend::Portable, &Seed(array(&file["seed"]))).unwrap();
    let (subject, source) = (person.public().clone(), SourceId(array(&file["source"])));
    for case in list(&file, "cases") {
        let (reader, until) = (KeyId(array(&case["reader"])), time(&case["until_ms"]));
        let grant = ReadGrant { subject: subject.clone(), source, reader, until };
        assert_eq!(grant.content(), ContentId(array(&file["content"])));
        assert_eq!(grant.sign(&person).unwrap(), hex(&case["bytes"]), "{}", case["id"]);
        assert_eq!(ReadGrant::verify(&hex(&case["bytes"])), Ok(grant));
    }
    for case in list(&file, "negative") {
        let error = ReadGrant::verify(&hex(&case["bytes"])).unwrap_err();
        assert_eq!(class_of(&error), case["error"], "{}", case["id"]);
    }
}
