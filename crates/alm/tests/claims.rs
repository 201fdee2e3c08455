//! What a signed claim promises: it is its advertiser's own, all of it is signed, there is one encoding of each; and what it
//! has room for.
#![allow(clippy::unwrap_used, reason = "tests")]

use alm::claim::{MAX_CLAIM_LEN, MAX_LIFETIME};
use alm::{CapacityClaim, Commitment, Error, Fault, Load, SubStreamPath};
use core_types::{BitRate, Epoch, KeyId, Layer, StreamId, WallTime};
use identity::{Domain, HybridSignature, Identity, Seed};
use proptest::prelude::*;
use std::sync::LazyLock;

static RELAY: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&Seed([1; 64])).unwrap());
static MALLORY: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&Seed([2; 64])).unwrap());

/// Where fields are, in a claim for one stream with two commitments, of a half and a quadrant, and two peers on the way.
mod at {
    pub(crate) const STREAM_TAG: usize = 33;
    pub(crate) const UPLINK: usize = 82;
    pub(crate) const TIMES: std::ops::Range<usize> = 93..109;
    pub(crate) const COUNT: usize = 109;
    pub(crate) const FIRST: std::ops::Range<usize> = 110..121;
    pub(crate) const SECOND: std::ops::Range<usize> = 121..133;
    pub(crate) const LOAD: std::ops::Range<usize> = 133..141;
    pub(crate) const WAY_COUNT: usize = 141;
    pub(crate) const WAY: std::ops::Range<usize> = 142..206;
}

fn kbit(kbit: u64) -> BitRate {
    BitRate::from_kbit(kbit)
}

fn commitment(path: &[u8], budget: u64) -> Commitment {
    Commitment { path: SubStreamPath(path.to_vec()), budget: kbit(budget), max_subscribers: 4 }
}

fn claim() -> CapacityClaim {
    CapacityClaim {
        advertiser: RELAY.key_id(),
        stream: Some(StreamId([3; 32])),
        epoch: Epoch(4),
        counter: 5,
        uplink: kbit(10_000),
        max_streams: 6,
        max_subscribers: 16,
        layers: Layer { spatial: 2, temporal: 1, quality: 0 },
        commitments: vec![commitment(&[0], 5_000), commitment(&[0, 1], 2_500)],
        load: Load { streams: 2, subscribers: 3, used: kbit(4_000) },
        way: vec![KeyId([6; 32]), KeyId([7; 32])],
        issued_at: WallTime(1_000_000),
        valid_until: WallTime(1_030_000),
    }
}

/// Signs whatever it is given.
fn signed_by(signer: &Identity, payload: &[u8]) -> Vec<u8> {
    let signature = signer.sign(Domain::new("holomesh capacity claim v4"), payload).unwrap();
    [payload, &signature.to_bytes()].concat()
}

fn payload(claim: &CapacityClaim) -> Vec<u8> {
    let mut signed = claim.sign(&RELAY).unwrap();
    signed.truncate(signed.len() - HybridSignature::LEN);
    signed
}

fn refusal(payload: &[u8]) -> Error {
    CapacityClaim::verify(&signed_by(&RELAY, payload), RELAY.public()).unwrap_err()
}

fn some() -> impl Strategy<Value = CapacityClaim> {
    let paths =
        prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..=16), any::<(u16, u16)>(), 0..=64);
    let times = (any::<u64>(), 1..=60_000_u64);
    let figures = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u16>(), any::<u16>(), any::<[u8; 3]>());
    let present =
        (any::<(u16, u16, u32)>(), prop::collection::btree_set(any::<[u8; 32]>().prop_map(KeyId), 0..=8));
    (prop::option::of(any::<[u8; 32]>()), figures, times, paths, present).prop_map(
        |(
            stream,
            (epoch, counter, uplink, max_streams, max_subscribers, layers),
            (issued, lifetime),
            paths,
            ((streams, subscribers, used), way),
        )| {
            let issued = issued.min(u64::MAX - lifetime);
            let set_aside: u64 = paths.values().map(|(budget, _)| u64::from(*budget)).sum();
            CapacityClaim {
                advertiser: RELAY.key_id(),
                stream: stream.map(StreamId),
                epoch: Epoch(epoch),
                counter,
                uplink: kbit(u64::from(uplink).max(set_aside)),
                max_streams,
                max_subscribers,
                layers: Layer { spatial: layers[0], temporal: layers[1], quality: layers[2] },
                commitments: paths
                    .into_iter()
                    .map(|(path, (budget, max_subscribers))| Commitment {
                        path: SubStreamPath(path),
                        budget: kbit(budget.into()),
                        max_subscribers,
                    })
                    .collect(),
                load: Load { streams, subscribers, used: kbit(used.into()) },
                way: way.into_iter().collect(),
                issued_at: WallTime(issued),
                valid_until: WallTime(issued + lifetime),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn claims_round_trip(claim in some()) {
        let signed = claim.sign(&RELAY).unwrap();
        prop_assert!(signed.len() <= MAX_CLAIM_LEN);
        let verified = CapacityClaim::verify(&signed, RELAY.public()).unwrap();
        prop_assert_eq!(&*verified, &claim);
    }

    #[test]
    fn parsing_never_panics_and_accepts_only_what_writing_makes(
        claim in some(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let whole = payload(&claim);
        let mut altered = whole.clone();
        altered[at.index(whole.len())] = byte;
        for bytes in [&altered, &whole[..cut.index(whole.len())].to_vec(), &[&whole[..], &[0]].concat(), &noise] {
            if let Ok(read) = CapacityClaim::verify(&signed_by(&RELAY, bytes), RELAY.public()) {
                prop_assert_eq!(&payload(&read), bytes);
            }
        }
        prop_assert!(CapacityClaim::verify(&noise, RELAY.public()).is_err());
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed(claim in some(), at: prop::sample::Index) {
        let mut signed = claim.sign(&RELAY).unwrap();
        let bit = at.index(signed.len() * 8);
        signed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(CapacityClaim::verify(&signed, RELAY.public()).is_err(), "bit {bit}");
    }

    #[test]
    fn cut_or_lengthened_claims_are_refused(
        claim in some(), cut: prop::sample::Index, more in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let whole = payload(&claim);
        // Even if their advertiser signs them so.
        for bytes in [&whole[..cut.index(whole.len())], &[&whole[..], &more].concat()] {
            prop_assert!(CapacityClaim::verify(&signed_by(&RELAY, bytes), RELAY.public()).is_err());
        }
        let signed = claim.sign(&RELAY).unwrap();
        prop_assert!(CapacityClaim::verify(&signed[..cut.index(signed.len())], RELAY.public()).is_err());
        prop_assert!(CapacityClaim::verify(&[&signed[..], &more].concat(), RELAY.public()).is_err());
    }

    #[test]
    fn room_is_what_is_left_and_no_arithmetic_overflows(
        uplink: u64, rate: u64, used: u64, streams: (u16, u32), subscribers: (u16, u32),
    ) {
        let (max_streams, n_streams) = (streams.0, streams.1 % 70_000);
        let (max_subscribers, n_subscribers) = (subscribers.0, subscribers.1 % 70_000);
        let claim = CapacityClaim {
            uplink: BitRate(uplink), max_streams, max_subscribers, commitments: Vec::new(), ..claim()
        };
        let fits = u128::from(rate) + u128::from(used) <= u128::from(uplink)
            && n_streams < u32::from(max_streams) && n_subscribers < u32::from(max_subscribers);
        let path = SubStreamPath(vec![7]);
        prop_assert_eq!(claim.room(&path, BitRate(rate), n_streams, n_subscribers, BitRate(used)), fits);
    }
}

#[test]
fn only_the_advertiser_signs_and_no_bit_of_what_is_signed_can_be_altered() {
    let claim = claim();
    let signed = claim.sign(&RELAY).unwrap();
    assert_eq!(*CapacityClaim::verify(&signed, RELAY.public()).unwrap(), claim);
    assert!(CapacityClaim::verify(&signed, MALLORY.public()).is_err());
    let error = claim.sign(&MALLORY).unwrap_err();
    assert_eq!(error.fault(), Fault::Caller, "{error}");
    let forged = signed_by(&MALLORY, &payload(&claim));
    assert!(CapacityClaim::verify(&forged, RELAY.public()).is_err());
    assert!(
        CapacityClaim::verify(&forged, MALLORY.public()).is_err(),
        "nor pass a relay's claims for her own"
    );
    for bit in 0..payload(&claim).len() * 8 {
        let mut altered = signed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let error = CapacityClaim::verify(&altered, RELAY.public()).unwrap_err();
        assert_eq!(error.fault(), Fault::Peer, "bit {bit}: {error}");
    }
}

#[test]
fn a_signature_for_another_purpose_is_none() {
    let bytes = payload(&claim());
    let signature = RELAY.sign(Domain::new("holomesh permit v1"), &bytes).unwrap();
    let other = [&bytes[..], &signature.to_bytes()].concat();
    assert!(matches!(CapacityClaim::verify(&other, RELAY.public()), Err(Error::Identity(_))));
}

/// The predecessor's last layout covered a name, the uplink and the epoch: the rest could be written anew by anybody.
#[test]
fn defect_signature_leaves_out_stream_freshness_layers_and_commitments() {
    let signed = claim().sign(&RELAY).unwrap();
    let signature = &signed[signed.len() - HybridSignature::LEN..];
    let others = [
        ("stream", CapacityClaim { stream: Some(StreamId([4; 32])), ..claim() }),
        ("any stream", CapacityClaim { stream: None, ..claim() }),
        ("epoch", CapacityClaim { epoch: Epoch(5), ..claim() }),
        ("counter", CapacityClaim { counter: 6, ..claim() }),
        ("uplink", CapacityClaim { uplink: kbit(10_001), ..claim() }),
        ("streams", CapacityClaim { max_streams: 7, ..claim() }),
        ("subscribers", CapacityClaim { max_subscribers: 17, ..claim() }),
        ("spatial", CapacityClaim { layers: Layer { spatial: 3, ..claim().layers }, ..claim() }),
        ("temporal", CapacityClaim { layers: Layer { temporal: 2, ..claim().layers }, ..claim() }),
        ("quality", CapacityClaim { layers: Layer { quality: 1, ..claim().layers }, ..claim() }),
        ("issued", CapacityClaim { issued_at: WallTime(1_000_001), ..claim() }),
        ("until", CapacityClaim { valid_until: WallTime(1_030_001), ..claim() }),
        ("a commitment less", CapacityClaim { commitments: vec![commitment(&[0], 5_000)], ..claim() }),
        (
            "path",
            CapacityClaim { commitments: vec![commitment(&[0], 5_000), commitment(&[1], 2_500)], ..claim() },
        ),
        (
            "budget",
            CapacityClaim {
                commitments: vec![commitment(&[0], 5_000), commitment(&[0, 1], 2_501)],
                ..claim()
            },
        ),
        ("its subscribers", {
            let mut other = claim();
            other.commitments[1].max_subscribers = 5;
            other
        }),
        ("streams now", CapacityClaim { load: Load { streams: 1, ..claim().load }, ..claim() }),
        ("subscribers now", CapacityClaim { load: Load { subscribers: 2, ..claim().load }, ..claim() }),
        ("uplink in use", CapacityClaim { load: Load { used: kbit(3_999), ..claim().load }, ..claim() }),
        ("the way", CapacityClaim { way: vec![KeyId([6; 32]), KeyId([8; 32])], ..claim() }),
        ("a peer less on the way", CapacityClaim { way: vec![KeyId([6; 32])], ..claim() }),
    ];
    for (what, other) in others {
        let forged = [&payload(&other)[..], signature].concat();
        let refused = CapacityClaim::verify(&forged, RELAY.public());
        assert!(matches!(refused, Err(Error::Identity(identity::Error::BadSignature { .. }))), "{what}");
    }
}

/// The predecessor signed rates as 32-bit floats, in which these two are one.
#[test]
fn defect_floats_in_signed_data() {
    let with = |uplink| payload(&CapacityClaim { uplink: kbit(uplink), ..claim() });
    let (one, other) = (with(16_777_216), with(16_777_217));
    assert_eq!(one[at::UPLINK..at::UPLINK + 4], 16_777_216_u32.to_be_bytes());
    assert_eq!(other[at::UPLINK..at::UPLINK + 4], 16_777_217_u32.to_be_bytes());
    for rate in [BitRate(10_000_001), BitRate(10_000_999), kbit(1 << 32)] {
        let error = CapacityClaim { uplink: rate, ..claim() }.sign(&RELAY).unwrap_err();
        assert!(matches!(error, Error::Input { .. }), "{rate} is not rounded: {error}");
        let mut budget = CapacityClaim { uplink: kbit(u64::from(u32::MAX)), ..claim() };
        budget.commitments[1].budget = rate;
        assert!(budget.sign(&RELAY).is_err(), "nor is a budget of {rate}");
        let load = Load { used: rate, ..claim().load };
        assert!(CapacityClaim { load, ..claim() }.sign(&RELAY).is_err(), "nor is {rate} in use");
    }
}

/// The predecessor's planner asked whether a relay without any subscriber had room, so that 500 joiners chose the same one.
#[test]
fn defect_present_load_is_not_counted() {
    let claim = CapacityClaim { commitments: Vec::new(), ..claim() };
    let (mut used, mut subscribers) = (BitRate(0), 0);
    while claim.room(&SubStreamPath::WHOLE, kbit(2_400), 0, subscribers, used) {
        used = BitRate(used.0 + kbit(2_400).0);
        subscribers += 1;
    }
    assert_eq!(subscribers, 4, "10 Mbit/s hold 2.4 four times, whoever asks");
}

#[test]
fn claims_that_make_no_sense_are_neither_signed_nor_taken() {
    let late = 1_000_000 + MAX_LIFETIME.as_millis() as u64;
    let many = |n: u8| (0..n).map(|path| commitment(&[path], 1)).collect::<Vec<_>>();
    let with = |commitments| CapacityClaim { commitments, ..claim() };
    for good in [
        CapacityClaim { valid_until: WallTime(1_000_001), ..claim() },
        CapacityClaim { valid_until: WallTime(late), ..claim() },
        CapacityClaim { issued_at: WallTime(u64::MAX - 1), valid_until: WallTime(u64::MAX), ..claim() },
        with(many(64)),
        with(vec![commitment(&[], 5_000), commitment(&[9; 16], 5_000)]),
        CapacityClaim { way: (10..18).map(|n| KeyId([n; 32])).collect(), ..claim() },
        // What is claimed sinks while it is in use.
        CapacityClaim { load: Load { used: kbit(10_001), ..claim().load }, ..claim() },
    ] {
        let signed = good.sign(&RELAY).unwrap();
        assert_eq!(*CapacityClaim::verify(&signed, RELAY.public()).unwrap(), good);
    }
    for nonsense in [
        CapacityClaim { valid_until: WallTime(1_000_000), ..claim() },
        CapacityClaim { valid_until: WallTime(999_999), ..claim() },
        CapacityClaim { valid_until: WallTime(late + 1), ..claim() },
        with(many(65)),
        with(vec![commitment(&[9; 17], 1)]),
        with(vec![commitment(&[1], 1), commitment(&[0], 1)]),
        with(vec![commitment(&[1], 1), commitment(&[1], 2)]),
        with(vec![commitment(&[0], 5_000), commitment(&[1], 5_001)]),
        with(vec![Commitment { budget: BitRate(u64::MAX), ..commitment(&[0], 0) }, commitment(&[1], 5_000)]),
        CapacityClaim { way: (10..19).map(|n| KeyId([n; 32])).collect(), ..claim() },
        CapacityClaim { way: vec![KeyId([1; 32]), KeyId([2; 32]), KeyId([1; 32])], ..claim() },
        CapacityClaim { way: vec![KeyId([1; 32]), RELAY.key_id()], ..claim() },
    ] {
        let error = nonsense.sign(&RELAY).unwrap_err();
        assert!(matches!(error, Error::Input { .. }), "{nonsense:?}: {error}");
        assert_eq!(error.fault(), Fault::Caller);
    }
}

/// What the signer of this crate can't be brought to sign, somebody else's can.
#[test]
fn nonsense_that_its_advertiser_signed_is_refused_all_the_same() {
    let bytes = payload(&claim());
    let altered = |at: usize, to: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = to;
        bytes
    };
    assert_eq!((bytes.len(), bytes[0], bytes[at::COUNT]), (at::WAY.end, 4, 2));
    assert_eq!(bytes[at::LOAD], [0, 2, 0, 3, 0, 0, 15, 160]);
    assert_eq!(bytes[at::WAY_COUNT], 2);
    let head = &bytes[..at::FIRST.start];
    let (first, second, tail) = (&bytes[at::FIRST], &bytes[at::SECOND], &bytes[at::LOAD.start..]);
    let (on, off) = (&bytes[at::WAY.start..at::WAY.start + 32], &bytes[..at::WAY.start]);
    let mut endless = bytes.clone();
    endless[at::TIMES.end - 3] = 0xff;
    let mut backwards = bytes.clone();
    backwards[at::TIMES].rotate_left(8);
    let mut long = bytes.clone();
    long.splice(at::FIRST, [&[0, 0, 0, 17][..], &[0; 17], &first[5..]].concat());
    let mut greedy = bytes.clone();
    greedy[at::UPLINK + 2..at::UPLINK + 4].copy_from_slice(&7_499_u16.to_be_bytes());
    for (what, bytes) in [
        ("version 3", altered(0, 3)),
        ("version 5", altered(0, 5)),
        ("neither any stream nor one", altered(at::STREAM_TAG, 2)),
        ("a stream where there is none", altered(at::STREAM_TAG, 0)),
        ("65 commitments", altered(at::COUNT, 65)),
        ("fewer commitments than are said", altered(at::COUNT, 3)),
        ("more commitments than are said", altered(at::COUNT, 1)),
        ("good for too long", endless),
        ("the end before the beginning", backwards),
        ("a path of 17", long),
        ("a path twice", [head, first, first, tail].concat()),
        ("out of order", [head, second, first, tail].concat()),
        ("a peer on the way twice", [off, on, on].concat()),
        ("itself on the way", [off, &bytes[1..33], on].concat()),
        ("nine peers on the way", altered(at::WAY_COUNT, 9)),
        ("fewer peers than are said", altered(at::WAY_COUNT, 3)),
        ("more peers than are said", altered(at::WAY_COUNT, 1)),
        ("more set aside than there is", greedy),
    ] {
        let error = refusal(&bytes);
        let is_encoding = matches!(&error, Error::Identity(source) if !matches!(source, identity::Error::BadSignature { .. }));
        assert!(matches!(error, Error::Malformed { .. }) || is_encoding, "{what}: {error}");
        assert_eq!(error.fault(), Fault::Peer, "{what}");
    }
    for count in 65..=255 {
        // Before anything is looked for that is not there.
        let many = Error::Malformed { what: "capacity claim", why: "there are more than 64 commitments" };
        assert_eq!(refusal(&altered(at::COUNT, count)), many, "{count}");
    }
}

#[test]
fn claims_of_any_other_length_than_they_can_have_are_not_looked_at() {
    assert_eq!(MAX_CLAIM_LEN, 5_412, "as the specification says");
    let commitments = (0..64).map(|n| commitment(&[n; 16], 1)).collect();
    let way = (10..18).map(|n| KeyId([n; 32])).collect();
    let longest = CapacityClaim { commitments, way, ..claim() }.sign(&RELAY).unwrap();
    assert_eq!(longest.len(), MAX_CLAIM_LEN);
    let refused = |bytes: &[u8]| match CapacityClaim::verify(bytes, RELAY.public()) {
        Err(Error::Malformed { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&[&longest[..], &[0]].concat()), "it is longer than any");
    assert_eq!(refused(&longest[..HybridSignature::LEN - 1]), "it is shorter than a signature");
    assert_eq!(refused(&[]), "it is shorter than a signature");
}

#[test]
fn a_part_has_the_room_that_was_set_aside_for_exactly_it() {
    let none = BitRate(0);
    let (half, quadrant) = (SubStreamPath(vec![0]), SubStreamPath(vec![0, 1]));
    let claim = claim();
    let room = |path: &SubStreamPath, rate| claim.room(path, kbit(rate), 0, 0, none);
    assert!(room(&half, 5_000) && !room(&half, 5_001));
    assert!(room(&quadrant, 2_500) && !room(&quadrant, 2_501), "not that of the half in which it lies");
    for other in [SubStreamPath::WHOLE, SubStreamPath(vec![0, 0]), SubStreamPath(vec![1])] {
        assert!(!room(&other, 0), "{other:?}: nothing is set aside for it");
    }
    assert!(!claim.room(&half, kbit(1), 0, 4, none), "four subscribers are its own limit");
    assert!(!claim.room(&half, kbit(1), 6, 0, none), "six streams are that of all");
    let whole = CapacityClaim { commitments: Vec::new(), ..claim.clone() };
    for path in [&SubStreamPath::WHOLE, &half, &quadrant] {
        assert!(whole.room(path, kbit(10_000), 5, 15, none), "{path:?}");
        assert!(!whole.room(path, kbit(10_001), 5, 15, none), "{path:?}");
    }
}
