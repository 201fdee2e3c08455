//! Consent, tombstones and manifests from anybody, and from a subject that means harm: it signs whatever it likes. What is accepted is
//! written back to the same bytes, and no terms make a tier rise. Shared by the fuzz target and the test that replays its seeds.

use consent_decay::{
    Classes, ConsentRecord, ContentId, FROZEN_AT_MOST, Item, Terms, Tier, Tombstone, Transition, Trigger,
    decide,
};
use core_types::WallTime;
use identity::{Domain, HybridSignature, Identity, Seed};
use std::sync::LazyLock;
use symbol_store::Manifest;

static SUBJECT: LazyLock<Identity> =
    LazyLock::new(|| Identity::from_seed(&Seed([7; 64])).expect("a seed gives an identity"));
static CLASSES: LazyLock<Classes> = LazyLock::new(Classes::built_in);

pub(crate) fn check(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 4 {
        0 => consent(data),
        1 => tombstone(data),
        2 => manifest(data),
        _ => audit(data),
    }
}

/// The bytes with the subject's identity put in at `at`, where there is one, and the same with a signature.
fn signed(data: &[u8], at: usize, domain: &'static str) -> (Vec<u8>, Vec<u8>) {
    let (before, after) = data.split_at(at.min(data.len()));
    let payload = [before, &SUBJECT.public().to_bytes()[..], after].concat();
    let signature = SUBJECT.sign(Domain::new(domain), &payload).expect("anything can be signed");
    let signed = [&payload[..], &signature.to_bytes()].concat();
    (payload, signed)
}

fn payload_of(signed: &[u8]) -> &[u8] {
    &signed[..signed.len() - HybridSignature::LEN]
}

fn consent(data: &[u8]) {
    assert!(ConsentRecord::verify(data).is_err(), "nobody signed it");
    let (payload, signed) = signed(data, 1, "holomesh consent v1");
    assert!(Tombstone::verify(&signed).is_err(), "it was signed as something else");
    let Ok(record) = ConsentRecord::verify(&signed) else { return };
    assert!(signed.len() <= ConsentRecord::MAX_LEN);
    let again = record.sign(&SUBJECT).expect("what was read can be written");
    assert_eq!(payload_of(&again), payload);
    assert_eq!(record.content(), ContentId::of(SUBJECT.key_id(), record.source));
    for now in [WallTime(0), record.terms.from, WallTime(u64::MAX)] {
        let is_taken = record.terms.check(None, now).is_ok();
        assert!(!is_taken || record.terms.from.0 <= now.0.saturating_add(300_000));
        assert!(record.terms.check(Some(&record.terms), now).is_err(), "no serial number comes twice");
        tiers(record.content(), &record.terms, now);
    }
}

/// Whatever the terms and the clock: a tier never rises, and what nobody can say is frozen for a week at most.
fn tiers(content: ContentId, terms: &Terms, now: WallTime) {
    for held in Tier::ALL {
        let item = Item { content, held, terms: Some(terms.clone()), frozen_since: None };
        let decision = decide(&item, &CLASSES, Trigger::Time, now);
        assert!(decision.after <= held);
        assert_eq!(decision.frozen_since.is_some(), CLASSES.schedule(&terms.class).is_none());
        if let Some(since) = decision.frozen_since {
            let later = WallTime(since.0.saturating_add(FROZEN_AT_MOST.as_millis() as u64));
            let item = Item { frozen_since: Some(since), ..item.clone() };
            let over = decide(&item, &CLASSES, Trigger::Time, later).after <= Tier::EnvelopeOnly;
            assert!(over || later.0 == u64::MAX);
        }
        assert_eq!(decide(&item, &CLASSES, Trigger::Revoked, now).after, Tier::HardDelete);
    }
}

fn tombstone(data: &[u8]) {
    assert!(Tombstone::verify(data).is_err(), "nobody signed it");
    let (payload, signed) = signed(data, 1, "holomesh consent tombstone v1");
    let Ok(tombstone) = Tombstone::verify(&signed) else { return };
    assert_eq!(signed.len(), Tombstone::LEN);
    let again = tombstone.sign(&SUBJECT).expect("what was read can be written");
    assert_eq!(payload_of(&again), payload);
    assert_eq!(tombstone.content(), ContentId::of(SUBJECT.key_id(), tombstone.source));
}

fn manifest(data: &[u8]) {
    assert!(Manifest::verify(data).is_err(), "nobody signed it");
    let (payload, signed) = signed(data, 33, "holomesh manifest v1");
    let Ok(manifest) = Manifest::verify(&signed) else { return };
    assert!(signed.len() <= Manifest::MAX_LEN);
    let again = manifest.sign(&SUBJECT).expect("what was read can be written");
    assert_eq!(payload_of(&again), payload);
}

fn audit(data: &[u8]) {
    if let Ok(entry) = Transition::from_bytes(data) {
        assert_eq!(entry.to_bytes(), data);
    }
}
