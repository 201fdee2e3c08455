//! Capacity claims from anybody, and from an advertiser that means harm: it signs whatever it likes. What is accepted is
//! written back to the same bytes, and neither asking it for room nor keeping it ever panics.
#![no_main]

use std::sync::LazyLock;

use alm::claim::{CapacityClaim, ClaimStore, Inserted, MAX_CLAIM_LEN, SubStreamPath};
use core_types::{BitRate, WallTime};
use identity::{Domain, HybridSignature, Identity, Seed};
use libfuzzer_sys::fuzz_target;

static ADVERTISER: LazyLock<Identity> =
    LazyLock::new(|| Identity::from_seed(&Seed([7; 64])).expect("a seed gives an identity"));

/// Where the advertiser's key id stands: after the version.
const ID: std::ops::Range<usize> = 1..33;

fuzz_target!(|data: &[u8]| {
    assert!(CapacityClaim::verify(data, ADVERTISER.public()).is_err(), "nobody signed it");

    let mut payload = data.to_vec();
    if let Some(id) = payload.get_mut(ID) {
        id.copy_from_slice(ADVERTISER.key_id().as_bytes());
    }
    let domain = Domain::new("holomesh capacity claim v4");
    let signature = ADVERTISER.sign(domain, &payload).expect("anything can be signed");
    let signed = [&payload[..], &signature.to_bytes()].concat();
    let Ok(claim) = CapacityClaim::verify(&signed, ADVERTISER.public()) else { return };
    assert!(signed.len() <= MAX_CLAIM_LEN);
    let again = claim.sign(&ADVERTISER).expect("what was read can be written");
    assert_eq!(again[..again.len() - HybridSignature::LEN], payload);

    for path in claim.commitments.iter().map(|own| &own.path).chain([&SubStreamPath::WHOLE]) {
        for rate in [0, 1, claim.uplink.0, u64::MAX] {
            let left = BitRate(claim.uplink.0 - claim.uplink.0.min(rate));
            let has_room = claim.room(path, BitRate(rate), 0, 0, left);
            assert!(!has_room || rate <= claim.uplink.0, "more than there is");
            assert!(!claim.room(path, BitRate(rate), u32::MAX, u32::MAX, BitRate(u64::MAX)));
        }
    }
    for now in [WallTime(0), claim.issued_at, claim.valid_until, WallTime(u64::MAX)] {
        let mut store = ClaimStore::new(1);
        let outcome = store.insert(now, claim.clone());
        assert_eq!(outcome.is_ok(), claim.check_time(now).is_ok());
        if outcome.is_ok() {
            assert_eq!(store.get(now, claim.advertiser), Some(&claim));
            assert_eq!(store.insert(now, claim.clone()), Ok(Inserted::Again));
        }
    }
});
