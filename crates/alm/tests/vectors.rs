//! Every case of the committed vectors of capacity claims, good and bad, against the crate.
#![allow(clippy::unwrap_used, reason = "tests")]

use alm::legacy::{self, RelayCapacity};
use alm::{CapacityClaim, Commitment, Error, Load, SubStreamPath};
use core_types::{BitRate, Epoch, KeyId, Layer, StreamId, WallTime};
use identity::{Backend, Domain, HybridSignature, Identity, PublicIdentity, Seed};
use proptest::prelude::*;
use serde_json::Value;
use vector_kit::read::{array, hex, list, load};

const FILE: &str = "claim/claim.json";
const LEGACY: &str = "claim/legacy.json";

/// A number, as such or in text.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn small(value: &Value) -> u16 {
    number(value).try_into().unwrap()
}

fn kbit(value: &Value) -> BitRate {
    BitRate::from_kbit(number(value))
}

fn layers(value: &Value) -> Layer {
    let axis = |at: usize| number(&value[at]).try_into().unwrap();
    Layer { spatial: axis(0), temporal: axis(1), quality: axis(2) }
}

fn commitments(case: &Value) -> Vec<Commitment> {
    let all = case["commitments"].as_array().unwrap().iter();
    all.map(|own| Commitment {
        path: SubStreamPath(hex(&own["path"])),
        budget: kbit(&own["budget_kbit"]),
        max_subscribers: small(&own["max_subscribers"]),
    })
    .collect()
}

fn advertiser(file: &Value) -> PublicIdentity {
    PublicIdentity::from_bytes(&hex(&file["advertiser"])).unwrap()
}

fn read(file: &Value, case: &Value) -> CapacityClaim {
    CapacityClaim {
        advertiser: advertiser(file).key_id(),
        stream: case["stream"].as_str().map(|_| StreamId(array(&case["stream"]))),
        epoch: Epoch(number(&case["epoch"])),
        counter: number(&case["counter"]),
        uplink: kbit(&case["uplink_kbit"]),
        max_streams: small(&case["max_streams"]),
        max_subscribers: small(&case["max_subscribers"]),
        layers: layers(&case["layers"]),
        commitments: commitments(case),
        load: Load {
            streams: small(&case["streams_now"]),
            subscribers: small(&case["subscribers_now"]),
            used: kbit(&case["used_kbit"]),
        },
        way: case["way"].as_array().unwrap().iter().map(|peer| KeyId(array(peer))).collect(),
        issued_at: WallTime(number(&case["issued_at_ms"])),
        valid_until: WallTime(number(&case["valid_until_ms"])),
    }
}

fn case<'a>(file: &'a Value, id: &Value) -> &'a Value {
    list(file, "cases").iter().find(|case| case["id"] == *id).unwrap()
}

#[test]
fn claims_have_the_bytes_of_the_vectors() {
    let file = load(FILE);
    let advertiser = advertiser(&file);
    let signer = Identity::from_seed_with(Backend::Portable, &Seed(array(&file["seed"]))).unwrap();
    assert_eq!(file["domain"], "holomesh capacity claim v4");
    for case in list(&file, "cases") {
        let claim = read(&file, case);
        let (canonical, bytes) = (hex(&case["canonical"]), hex(&case["bytes"]));
        assert_eq!(claim.sign(&signer).unwrap(), bytes, "{}", case["id"]);
        assert_eq!(*CapacityClaim::verify(&bytes, &advertiser).unwrap(), claim, "{}", case["id"]);
        let (payload, signature) = bytes.split_at(canonical.len());
        assert_eq!(payload, canonical, "{}", case["id"]);
        // What an implementation that knows nothing but the specification of signatures checks.
        let signature = HybridSignature::from_bytes(signature).unwrap();
        advertiser.verify(Domain::new("holomesh capacity claim v4"), &canonical, &signature).unwrap();
    }
}

#[test]
fn bad_claims_of_the_vectors_are_refused_for_what_is_wrong_with_them() {
    let file = load(FILE);
    for case in list(&file, "negative") {
        let error = CapacityClaim::verify(&hex(&case["bytes"]), &advertiser(&file)).unwrap_err();
        let class = match &error {
            Error::Malformed { .. } => "malformed",
            Error::Identity(identity::Error::BadSignature { .. }) => "signature",
            Error::Identity(_) => "encoding",
            _ => "another",
        };
        assert_eq!(class, case["error"], "{}: {error}", case["id"]);
    }
}

#[test]
fn when_claims_are_good_and_what_they_have_room_for_is_as_in_the_vectors() {
    let file = load(FILE);
    let one = read(&file, case(&file, &"one-stream".into()));
    for row in list(&file, "times") {
        assert_eq!(one.check_time(WallTime(number(&row["now_ms"]))).is_ok(), row["good"], "{row}");
    }
    for row in list(&file, "room") {
        let claim = read(&file, case(&file, &row["case"]));
        let path = SubStreamPath(hex(&row["path"]));
        let (streams, subscribers) = (small(&row["streams"]).into(), small(&row["subscribers"]).into());
        let has_room =
            claim.room(&path, kbit(&row["rate_kbit"]), streams, subscribers, kbit(&row["used_kbit"]));
        assert_eq!(has_room, row["room"], "{row}");
    }
}

fn wide(case: &Value) -> RelayCapacity {
    RelayCapacity {
        stream: StreamId(array(&case["stream"])),
        epoch: Epoch(number(&case["epoch"])),
        uplink: kbit(&case["uplink_kbit"]),
        max_streams: small(&case["max_streams"]),
        max_subscribers: small(&case["max_subscribers"]),
        measured_at: WallTime(number(&case["measured_at_ms"])),
        layers: layers(&case["layers"]),
        commitments: commitments(case),
    }
}

#[test]
fn the_predecessors_layouts_are_written_as_it_wrote_them() {
    let file = load(LEGACY);
    for case in list(&file, "wide") {
        assert_eq!(legacy::wide(&wide(case)).unwrap(), hex(&case["bytes"]), "{}", case["id"]);
    }
    for case in list(&file, "narrow") {
        let (name, uplink) =
            (case["name"].as_str().unwrap(), kbit(&(number(&case["uplink_mbit"]) * 1_000).into()));
        let bytes = legacy::narrow(name, uplink, Epoch(number(&case["epoch"]))).unwrap();
        assert_eq!(bytes, hex(&case["bytes"]), "{}", case["id"]);
    }
}

#[test]
fn what_does_not_fit_the_predecessors_layouts_is_refused_not_cut() {
    let file = load(LEGACY);
    let good = wide(&list(&file, "wide")[1]);
    assert!(legacy::wide(&good).is_ok());
    let mut long = good.clone();
    long.commitments[0].path = SubStreamPath(vec![0; 65_536]);
    let mut uneven = good.clone();
    uneven.commitments[0].budget = BitRate(1_500);
    let uplink = |uplink| RelayCapacity { uplink, ..good.clone() };
    for bad in [long, uneven, uplink(BitRate(999)), uplink(BitRate::from_kbit(1 << 32))] {
        assert!(matches!(legacy::wide(&bad), Err(Error::Input { .. })));
    }
    let most = BitRate::from_kbit(u64::from(u32::MAX) * 1_000);
    assert!(legacy::narrow("a", most, Epoch(0)).is_ok());
    assert!(legacy::narrow("a", BitRate(most.0 + 500_000), Epoch(0)).is_err());
    assert!(legacy::narrow("a", BitRate(u64::MAX), Epoch(0)).is_err());
}

#[test]
fn the_narrow_layout_rounds_to_the_nearest_megabit() {
    let mbit = |bits| {
        let bytes = legacy::narrow("", BitRate(bits), Epoch(0)).unwrap();
        u32::from_be_bytes(*bytes[20..].first_chunk().unwrap())
    };
    assert_eq!([0, 499_999, 500_000, 1_499_999, 1_500_000].map(mbit), [0, 0, 1, 1, 2]);
}

/// The bits in the wide layout of a rate of so many kbit/s.
fn bits(kbit: u32) -> u32 {
    let file = load(LEGACY);
    let uplink = BitRate::from_kbit(kbit.into());
    let bytes = legacy::wide(&RelayCapacity { uplink, ..wide(&list(&file, "wide")[0]) }).unwrap();
    u32::from_be_bytes(*bytes[56..].first_chunk().unwrap())
}

/// Reading a decimal fraction rounds to the nearest, ties to even.
fn read_as_decimal(kbit: u32) -> u32 {
    format!("{}.{:03}", kbit / 1_000, kbit % 1_000).parse::<f32>().unwrap().to_bits()
}

#[test]
fn megabits_are_the_nearest_float_at_the_edges() {
    // 2^22 + 0.25 and + 0.75 Mbit/s are ties; just below a power of two it is rounded up into the next exponent.
    let ties = [4_194_304_250, 4_194_304_750, 2_097_152_125, 2_097_152_375, 1_048_576_000 - 1];
    for kbit in ties.into_iter().chain([0, 1, 2, 999, 1_000, 1_001, 4_194_303_999, u32::MAX - 1, u32::MAX]) {
        assert_eq!(bits(kbit), read_as_decimal(kbit), "{kbit}");
    }
}

proptest! {
    #[test]
    fn megabits_are_the_nearest_float(kbit: u32, shift in 0..32_u32) {
        let kbit = kbit >> shift;
        prop_assert_eq!(bits(kbit), read_as_decimal(kbit), "{}", kbit);
    }
}
