//! Delivery evidence from anybody, and from an observer that means harm: it signs whatever it likes. What is accepted is
//! written back to the same bytes, and weighing it never panics.
#![no_main]

use std::sync::LazyLock;

use alm::delivery::{Court, Evidence, Inserted};
use core_types::{MonoTime, WallTime};
use identity::{Domain, HybridSignature, Identity, Seed};
use libfuzzer_sys::fuzz_target;

static OBSERVER: LazyLock<Identity> =
    LazyLock::new(|| Identity::from_seed(&Seed([7; 64])).expect("a seed gives an identity"));

/// Where the observer's key id stands: after the version.
const ID: std::ops::Range<usize> = 1..33;

fuzz_target!(|data: &[u8]| {
    assert!(Evidence::verify(data, OBSERVER.public()).is_err(), "nobody signed it");

    let mut payload = data.to_vec();
    if let Some(id) = payload.get_mut(ID) {
        id.copy_from_slice(OBSERVER.key_id().as_bytes());
    }
    let domain = Domain::new("holomesh delivery evidence v1");
    let signature = OBSERVER.sign(domain, &payload).expect("anything can be signed");
    let signed = [&payload[..], &signature.to_bytes()].concat();
    let Ok(evidence) = Evidence::verify(&signed, OBSERVER.public()) else { return };
    assert_eq!(signed.len(), Evidence::LEN);
    assert!(evidence.delivered < evidence.expected.div_ceil(2) && evidence.observer != evidence.accused);
    let again = evidence.sign(&OBSERVER).expect("what was read can be written");
    assert_eq!(again[..again.len() - HybridSignature::LEN], payload);

    for wall in [WallTime(0), evidence.from, evidence.until, WallTime(u64::MAX)] {
        for now in [MonoTime(0), MonoTime(u64::MAX)] {
            let mut court = Court::new(2).expect("a court of two");
            if court.insert(now, wall, 1, &evidence).is_ok() {
                assert_eq!(court.insert(now, wall, 2, &evidence), Ok(Inserted::Known));
                let standing = court.standing(now, evidence.accused);
                assert!(!standing.liar && standing.trust >= 800, "one voice is no verdict");
            }
        }
    }
});
