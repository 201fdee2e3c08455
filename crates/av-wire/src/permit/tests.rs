//! What a permit promises: nobody else signs one, nobody else uses it, and there is one encoding of each.

use super::*;
use crate::Fault;
use identity::{Domain, HybridSignature, Identity, Seed};
use proptest::prelude::*;
use std::sync::LazyLock;

static HOST: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&Seed([1; 64])).unwrap());
static MALLORY: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&Seed([2; 64])).unwrap());

const SESSION: SessionId = SessionId([4; 32]);
const HOLDER: KeyId = KeyId([5; 32]);

fn permit(role: PermitRole, streams: PermitStreams) -> Permit {
    Permit {
        session: SESSION,
        issuer: HOST.key_id(),
        holder: HOLDER,
        role,
        serial: 7,
        not_before: WallTime(1_000_000),
        not_after: WallTime(1_600_000),
        streams,
        max_bytes_per_second: 300_000,
        max_subscribers: if role == PermitRole::Relay { 500 } else { 0 },
    }
}

fn only(streams: impl IntoIterator<Item = u8>) -> PermitStreams {
    PermitStreams::Only(streams.into_iter().map(|n| StreamId([n; 32])).collect())
}

/// Signs whatever it is given.
fn signed_by(signer: &Identity, payload: &[u8]) -> Vec<u8> {
    let signature = signer.sign(Domain::new("holomesh permit v1"), payload).unwrap();
    [payload, &signature.to_bytes()].concat()
}

fn payload(permit: &Permit) -> Vec<u8> {
    let mut signed = permit.sign(&HOST).unwrap();
    signed.truncate(signed.len() - HybridSignature::LEN);
    signed
}

fn some() -> impl Strategy<Value = Permit> {
    let streams =
        prop_oneof![Just(PermitStreams::All), prop::collection::vec(any::<u8>(), 1..64).prop_map(only),];
    (any::<[u8; 32]>(), any::<bool>(), any::<[u64; 3]>(), any::<u64>(), any::<u32>(), streams).prop_map(
        |(id, relay, [serial, one, other], bytes, subscribers, streams)| Permit {
            session: SessionId(id),
            issuer: HOST.key_id(),
            holder: KeyId([id[0]; 32]),
            role: if relay { PermitRole::Relay } else { PermitRole::Member },
            serial,
            not_before: WallTime(one.min(other)),
            not_after: WallTime(one.max(other)),
            streams,
            max_bytes_per_second: bytes,
            max_subscribers: if relay { subscribers } else { 0 },
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn permits_round_trip(permit in some()) {
        let signed = permit.sign(&HOST).unwrap();
        prop_assert!(signed.len() <= MAX_PERMIT_LEN);
        prop_assert_eq!(Permit::verify(&signed, HOST.public()), Ok(permit));
    }

    #[test]
    fn parsing_never_panics_and_accepts_only_what_writing_makes(
        permit in some(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index, noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let whole = payload(&permit);
        let mut altered = whole.clone();
        altered[at.index(whole.len())] = byte;
        for bytes in [&altered, &whole[..cut.index(whole.len())].to_vec(), &[&whole[..], &[0]].concat(), &noise] {
            if let Ok(read) = Permit::verify(&signed_by(&HOST, bytes), HOST.public()) {
                prop_assert_eq!(&payload(&read), bytes);
            }
        }
        let _ = Permit::verify(&noise, HOST.public());
    }
}

#[test]
fn only_the_issuer_signs_and_nothing_can_be_altered() {
    let permit = permit(PermitRole::Relay, only([1, 2]));
    let signed = permit.sign(&HOST).unwrap();
    assert_eq!(Permit::verify(&signed, HOST.public()).unwrap(), permit);
    assert!(Permit::verify(&signed, MALLORY.public()).is_err());
    assert!(permit.sign(&MALLORY).is_err(), "mallory can't sign in the host's name");
    let forged = signed_by(&MALLORY, &payload(&permit));
    assert!(Permit::verify(&forged, HOST.public()).is_err());
    assert!(Permit::verify(&forged, MALLORY.public()).is_err(), "nor pass the host's permits for her own");
    for at in 0..payload(&permit).len() {
        let mut altered = signed.clone();
        altered[at] ^= 1;
        assert!(Permit::verify(&altered, HOST.public()).is_err(), "byte {at}");
    }
    let mut last = signed;
    *last.last_mut().unwrap() ^= 1;
    assert!(Permit::verify(&last, HOST.public()).is_err());
}

#[test]
fn a_signature_for_another_purpose_is_none() {
    let bytes = payload(&permit(PermitRole::Member, PermitStreams::All));
    let signature = HOST.sign(Domain::new("holomesh stream-announce v1"), &bytes).unwrap();
    let other = [&bytes[..], &signature.to_bytes()].concat();
    assert!(matches!(Permit::verify(&other, HOST.public()), Err(Error::Identity { .. })));
}

#[test]
fn a_permit_is_good_for_its_holder_session_and_role_alone() {
    let permit = permit(PermitRole::Member, PermitStreams::All);
    let now = WallTime(1_200_000);
    let refusal = |session, holder, role| match permit.check(now, session, holder, role) {
        Ok(()) => None,
        Err(error) => {
            assert_eq!(error.fault(), Fault::Peer);
            let Error::Permit { serial: 7, why } = error else { panic!("{error}") };
            Some(why)
        }
    };
    assert_eq!(refusal(SESSION, HOLDER, PermitRole::Member), None);
    assert_eq!(refusal(SessionId([9; 32]), HOLDER, PermitRole::Member), Some(PermitRefusal::OtherSession));
    assert_eq!(refusal(SESSION, MALLORY.key_id(), PermitRole::Member), Some(PermitRefusal::OtherHolder));
    assert_eq!(refusal(SESSION, HOLDER, PermitRole::Relay), Some(PermitRefusal::OtherRole));
}

#[test]
fn times_are_taken_with_the_tolerance_for_clocks_and_no_more() {
    let permit = permit(PermitRole::Member, PermitStreams::All);
    let refusal = |now| match permit.check(WallTime(now), SESSION, HOLDER, PermitRole::Member) {
        Ok(()) => None,
        Err(error) => {
            assert_eq!(error.fault(), Fault::State, "nobody's clock need be right");
            let Error::Permit { why, .. } = error else { panic!("{error}") };
            Some(why)
        }
    };
    assert_eq!(refusal(1_000_000 - 120_001), Some(PermitRefusal::NotYet));
    assert_eq!(refusal(1_000_000 - 120_000), None);
    assert_eq!(refusal(1_600_000 + 300_000), None);
    assert_eq!(refusal(1_600_000 + 300_001), Some(PermitRefusal::Expired));
    let forever = Permit { not_before: WallTime(u64::MAX), not_after: WallTime(u64::MAX), ..permit };
    assert!(forever.check(WallTime(u64::MAX), SESSION, HOLDER, PermitRole::Member).is_ok());
}

#[test]
fn a_list_of_streams_admits_those_alone() {
    assert!(PermitStreams::All.admits(StreamId([9; 32])));
    let admits = |n: u8| only([1, 3]).admits(StreamId([n; 32]));
    assert_eq!([0, 1, 2, 3, 4].map(admits), [false, true, false, true, false]);
}

#[test]
fn permits_that_make_no_sense_are_neither_signed_nor_taken() {
    let good = permit(PermitRole::Member, only([1, 2]));
    assert_eq!(MAX_PERMIT_LEN, 5_557, "as the specification says");
    assert_eq!(permit(PermitRole::Relay, only(0..64)).sign(&HOST).unwrap().len(), MAX_PERMIT_LEN);
    let nonsense = [
        Permit { not_after: WallTime(999_999), ..good.clone() },
        Permit { max_subscribers: 1, ..good.clone() },
        Permit { streams: only([]), ..good.clone() },
        Permit { streams: only(0..65), ..good.clone() },
    ];
    for bad in nonsense {
        assert!(matches!(bad.sign(&HOST), Err(Error::Malformed { .. })), "{bad:?}");
    }
    let bytes = payload(&good);
    assert_eq!(bytes[..1], [1]);
    // Version, role, all or listed, how many, the first stream's first byte, the last byte of the subscribers.
    let last = bytes.len() - 1;
    for (at, byte) in [(0, 0), (0, 2), (97, 0), (97, 3), (122, 2), (123, 0), (123, 65), (124, 3), (last, 1)] {
        let mut bad = bytes.clone();
        bad[at] = byte;
        let refused = Permit::verify(&signed_by(&HOST, &bad), HOST.public());
        assert!(refused.is_err(), "byte {at} as {byte}");
    }
    let mut twice = bytes.clone();
    twice.copy_within(124..156, 156);
    assert!(Permit::verify(&signed_by(&HOST, &twice), HOST.public()).is_err());
    let mut backwards = bytes;
    backwards[106..122].rotate_left(8);
    assert!(Permit::verify(&signed_by(&HOST, &backwards), HOST.public()).is_err());
    let too_long = vec![1; MAX_PERMIT_LEN + 1];
    assert!(matches!(Permit::verify(&too_long, HOST.public()), Err(Error::TooLarge { .. })));
    assert!(matches!(Permit::verify(&too_long[..100], HOST.public()), Err(Error::Truncated { .. })));
}
