//! Permits from anybody, and from a host that means harm: it signs whatever it likes. What is accepted is written back to
//! the same bytes, and checking it never panics.
#![no_main]

use std::sync::LazyLock;

use av_wire::permit::{MAX_PERMIT_LEN, Permit, PermitRole};
use core_types::{StreamId, WallTime};
use identity::{Domain, HybridSignature, Identity, Seed};
use libfuzzer_sys::fuzz_target;

static HOST: LazyLock<Identity> =
    LazyLock::new(|| Identity::from_seed(&Seed([7; 64])).expect("a seed gives an identity"));

/// Where the issuer's key id stands: after the version and the session id.
const ISSUER: std::ops::Range<usize> = 33..65;

fuzz_target!(|data: &[u8]| {
    assert!(Permit::verify(data, HOST.public()).is_err(), "nobody signed it");

    let mut payload = data.to_vec();
    if let Some(issuer) = payload.get_mut(ISSUER) {
        issuer.copy_from_slice(HOST.key_id().as_bytes());
    }
    let signature = HOST.sign(Domain::new("holomesh permit v1"), &payload).expect("anything can be signed");
    let signed = [&payload[..], &signature.to_bytes()].concat();
    let Ok(permit) = Permit::verify(&signed, HOST.public()) else { return };
    assert!(signed.len() <= MAX_PERMIT_LEN);
    let again = permit.sign(&HOST).expect("what was read can be written");
    assert_eq!(again[..again.len() - HybridSignature::LEN], payload);
    for now in [WallTime(0), permit.not_before, permit.not_after, WallTime(u64::MAX)] {
        for role in [PermitRole::Relay, PermitRole::Member] {
            let good = permit.check(now, permit.session, permit.holder, role).is_ok();
            assert!(!good || role == permit.role);
        }
    }
    let _ = permit.streams.admits(StreamId([0; 32]));
});
