//! Every case of the committed permit vectors, good and bad, against the crate.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_wire::Error;
use av_wire::permit::{Permit, PermitRefusal, PermitRole, PermitStreams};
use core_types::{KeyId, SessionId, StreamId, WallTime};
use identity::{Backend, Identity, PublicIdentity, Seed};
use serde_json::Value;
use vector_kit::read::{array, hex, list, load};

const FILE: &str = "permit/permit.json";

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

fn role(value: &Value) -> PermitRole {
    match value.as_str().unwrap() {
        "relay" => PermitRole::Relay,
        "member" => PermitRole::Member,
        other => panic!("no role: {other}"),
    }
}

fn issuer(file: &Value) -> PublicIdentity {
    PublicIdentity::from_bytes(&hex(&file["issuer"])).unwrap()
}

#[test]
fn permits() {
    let file = load(FILE);
    let issuer = issuer(&file);
    let seed = Seed(array(&file["seed"]));
    let signer = Identity::from_seed_with(Backend::Portable, &seed).unwrap();
    for case in list(&file, "cases") {
        let streams = match &case["streams"] {
            Value::Null => PermitStreams::All,
            listed => {
                PermitStreams::Only(listed.as_array().unwrap().iter().map(array).map(StreamId).collect())
            }
        };
        let permit = Permit {
            session: SessionId(array(&case["session"])),
            issuer: issuer.key_id(),
            holder: KeyId(array(&case["holder"])),
            role: role(&case["role"]),
            serial: number(&case["serial"]),
            not_before: WallTime(number(&case["not_before_ms"])),
            not_after: WallTime(number(&case["not_after_ms"])),
            streams,
            max_bytes_per_second: number(&case["max_bytes_per_second"]),
            max_subscribers: case["max_subscribers"].as_u64().unwrap() as u32,
        };
        let bytes = hex(&case["bytes"]);
        assert_eq!(permit.sign(&signer).unwrap(), bytes, "{}", case["id"]);
        assert_eq!(Permit::verify(&bytes, &issuer).unwrap(), permit, "{}", case["id"]);
    }
    for case in list(&file, "negative") {
        let error = Permit::verify(&hex(&case["bytes"]), &issuer).unwrap_err();
        let class = match &error {
            Error::Malformed { .. } => "malformed",
            Error::TooLarge { .. } => "too-large",
            Error::Truncated { .. } => "truncated",
            Error::Identity { source: identity::Error::BadSignature { .. }, .. } => "signature",
            Error::Identity { .. } => "encoding",
            _ => "another",
        };
        assert_eq!(class, case["error"], "{}: {error}", case["id"]);
    }
}

#[test]
fn what_a_permit_is_good_for() {
    let file = load(FILE);
    let permit = Permit::verify(&hex(&file["cases"][0]["bytes"]), &issuer(&file)).unwrap();
    for case in list(&file, "checks") {
        let now = WallTime(number(&case["now_ms"]));
        let (session, holder) = (SessionId(array(&case["session"])), KeyId(array(&case["holder"])));
        let outcome = match permit.check(now, session, holder, role(&case["role"])) {
            Ok(()) => "good",
            Err(Error::Permit { why: PermitRefusal::NotYet, .. }) => "not-yet",
            Err(Error::Permit { why: PermitRefusal::Expired, .. }) => "expired",
            Err(Error::Permit { why: PermitRefusal::OtherSession, .. }) => "other-session",
            Err(Error::Permit { why: PermitRefusal::OtherHolder, .. }) => "other-holder",
            Err(Error::Permit { why: PermitRefusal::OtherRole, .. }) => "other-role",
            Err(error) => panic!("{error}"),
        };
        assert_eq!(outcome, case["outcome"], "{case}");
    }
}
