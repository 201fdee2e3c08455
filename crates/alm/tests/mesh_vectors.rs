//! Every case of the committed vectors of stripes, trees, plans and claims earned.
#![allow(clippy::unwrap_used, reason = "tests")]

use alm::estimator::{Estimator, Sample};
use alm::planner::{Candidate, Load, Plan, Request, plan};
use alm::topology::{Offer, Shape, Topology, arrange};
use alm::{CapacityClaim, Commitment, Error, SubStreamPath, VerifiedClaim};
use core_types::{BitRate, ChunkSeq, Epoch, KeyId, Layer, LinkId, MonoTime, StreamId, StripeSet, WallTime};
use identity::{Backend, Identity, Seed};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use vector_kit::read::{array, hex, list, load};

/// A number, or one as text.
fn number(value: &Value) -> u64 {
    value.as_str().map_or_else(|| value.as_u64().unwrap(), |text| text.parse().unwrap())
}

fn small<T: TryFrom<u64, Error: std::fmt::Debug>>(value: &Value) -> T {
    T::try_from(number(value)).unwrap()
}

fn key(value: &Value) -> KeyId {
    KeyId(array(value))
}

#[test]
fn stripes_hold_the_chunks_of_the_vectors() {
    let file = load("alm/striping.json");
    for case in list(&file, "cases") {
        let set = StripeSet::new(small(&case["count"]), small(&case["mask"])).unwrap();
        let held: Vec<u64> =
            list(case, "numbers").iter().map(number).filter(|seq| set.contains(ChunkSeq(*seq))).collect();
        let carried: Vec<u64> = case["carried"].as_array().unwrap().iter().map(number).collect();
        assert_eq!(held, carried, "{}", case["id"]);
    }
    for case in list(&file, "negative") {
        let error = StripeSet::new(small(&case["count"]), small(&case["mask"])).unwrap_err();
        assert!(matches!(error, core_types::Error::Stripe { .. }) && case["error"] == "value", "{error}");
    }
}

fn arranged(case: &Value) -> Result<Topology, Error> {
    let said = &case["shape"];
    let shape = Shape {
        publisher: key(&said["publisher"]),
        stream: StreamId(array(&said["stream"])),
        epoch: Epoch(number(&said["epoch"])),
        rate: BitRate(number(&said["rate"])),
        parents: small(&said["parents"]),
    };
    let offer = |said: &Value| Offer {
        peer: key(&said["peer"]),
        uplink: BitRate(number(&said["uplink"])),
        max_subscribers: small(&said["max_subscribers"]),
        trust: small(&said["trust"]),
        reach: small(&said["reach"]),
    };
    arrange(&shape, &list(case, "offers").iter().map(offer).collect::<Vec<_>>())
}

#[test]
fn trees_are_those_of_the_vectors() {
    let file = load("alm/topology.json");
    for case in list(&file, "cases") {
        let topology = arranged(case).unwrap();
        let served = case["served"].as_array().unwrap();
        assert!(topology.served().eq(served.iter().map(|peer| key(&peer["peer"]))), "{}", case["id"]);
        for peer in served {
            let parents: Vec<KeyId> = list(peer, "parents").iter().map(key).collect();
            assert!(topology.parents(key(&peer["peer"])).iter().eq(parents.iter()), "{peer}");
            assert_eq!(topology.depth(key(&peer["peer"])), Some(small(&peer["depth"])));
        }
        let unserved = case["unserved"].as_array().unwrap().iter().map(key);
        assert!(topology.unserved().eq(unserved), "{}", case["id"]);
        assert_eq!(topology.max_depth(), small::<u32>(&case["max_depth"]));
    }
    for case in list(&file, "negative") {
        let error = arranged(case).unwrap_err();
        assert!(matches!(error, Error::Input { .. }) && case["error"] == "input", "{}: {error}", case["id"]);
    }
}

fn layer(value: &Value) -> Layer {
    Layer { spatial: small(&value[0]), temporal: small(&value[1]), quality: small(&value[2]) }
}

/// The identities of the planner's vectors, each made once.
#[derive(Default)]
struct People(BTreeMap<u64, Identity>);

impl People {
    fn get(&mut self, person: &Value) -> &Identity {
        self.0.entry(number(person)).or_insert_with(|| {
            Identity::from_seed_with(Backend::Portable, &Seed([small(person); 64])).unwrap()
        })
    }

    fn claim(&mut self, said: &Value) -> VerifiedClaim {
        let commitments = said["commitments"].as_array().unwrap().iter().map(|part| Commitment {
            path: SubStreamPath(hex(&part["path"])),
            budget: BitRate::from_kbit(number(&part["budget_kbit"])),
            max_subscribers: small(&part["max_subscribers"]),
        });
        let signer = self.get(&said["person"]);
        let claim = CapacityClaim {
            advertiser: signer.key_id(),
            stream: said["stream"].is_string().then(|| StreamId(array(&said["stream"]))),
            epoch: Epoch(number(&said["epoch"])),
            counter: number(&said["counter"]),
            uplink: BitRate::from_kbit(number(&said["uplink_kbit"])),
            max_streams: small(&said["max_streams"]),
            max_subscribers: small(&said["max_subscribers"]),
            layers: layer(&said["layers"]),
            commitments: commitments.collect(),
            load: Load::default(),
            way: Vec::new(),
            issued_at: WallTime(number(&said["issued_at_ms"])),
            valid_until: WallTime(number(&said["valid_until_ms"])),
        };
        CapacityClaim::verify(&claim.sign(signer).unwrap(), signer.public()).unwrap()
    }
}

fn planned(people: &mut People, case: &Value, seed: u64) -> Result<Plan, Error> {
    let said = &case["request"];
    let request = Request {
        me: people.get(&said["me"]).key_id(),
        stream: StreamId(array(&said["stream"])),
        epoch: Some(Epoch(number(&said["epoch"]))),
        rate: BitRate(number(&said["rate"])),
        layers: layer(&said["layers"]),
        parents: small(&said["parents"]),
        spares: small(&said["spares"]),
        now: WallTime(number(&said["now_ms"])),
        seed,
    };
    let told = case["candidates"].as_array().unwrap();
    let claims: Vec<VerifiedClaim> = told.iter().map(|said| people.claim(said)).collect();
    let mut path = |said: &Value| {
        let path = said["path"].as_array()?;
        Some(path.iter().map(|person| people.get(person).key_id()).collect::<Vec<_>>())
    };
    let paths: Vec<_> = told.iter().map(&mut path).collect();
    let candidate = |((said, claim), path)| candidate(said, claim, path);
    let candidates: Vec<_> = told.iter().zip(&claims).zip(&paths).map(candidate).collect();
    plan(&request, &candidates)
}

fn candidate<'a>(said: &Value, claim: &'a VerifiedClaim, path: &'a Option<Vec<KeyId>>) -> Candidate<'a> {
    Candidate {
        claim,
        rtt: said["rtt_ms"].as_u64().map(Duration::from_millis),
        load: Load {
            streams: small(&said["streams_now"]),
            subscribers: small(&said["subscribers_now"]),
            used: BitRate(number(&said["used"])),
        },
        reach: small(&said["reach"]),
        path_to_source: path.as_deref(),
        network: number(&said["network"]),
        discovered_by: small(&said["discovered_by"]),
        trust: small(&said["trust"]),
    }
}

#[test]
fn plans_are_those_of_the_vectors() {
    let file = load("alm/planner.json");
    let mut people = People::default();
    for case in list(&file, "cases") {
        // The lot is each joiner's own, and does not decide in these.
        for seed in [0, 42, u64::MAX] {
            let plan = planned(&mut people, case, seed).unwrap();
            for (part, found) in [("parents", plan.parents), ("spares", plan.spares), ("rest", plan.rest)] {
                let keys: Vec<KeyId> = case[part].as_array().unwrap().iter().map(key).collect();
                assert_eq!(found, keys, "{}: {part}", case["id"]);
            }
        }
    }
    for case in list(&file, "negative") {
        let class = match planned(&mut people, case, 1).unwrap_err() {
            Error::Input { .. } => "input",
            Error::NoParent(refusals) => {
                let said = &case["refusals"];
                let count = |name: &str| small::<u32>(&said[name]);
                assert_eq!(
                    (refusals.myself, refusals.other_stream, refusals.other_epoch, refusals.duplicate),
                    (count("myself"), count("other_stream"), count("other_epoch"), count("duplicate"))
                );
                assert_eq!(
                    (refusals.untrusted, refusals.stale, refusals.layers),
                    (count("untrusted"), count("stale"), count("layers_missing"))
                );
                assert_eq!(
                    (refusals.looped, refusals.unreachable, refusals.no_room),
                    (count("looped"), count("unreachable"), count("no_room"))
                );
                "no-parents"
            }
            _ => "another",
        };
        assert_eq!(class, case["error"], "{}", case["id"]);
    }
}

#[test]
fn claims_follow_from_what_was_carried_as_in_the_vectors() {
    for case in list(&load("alm/estimator.json"), "cases") {
        let mut estimator = Estimator::new();
        for step in list(case, "steps") {
            let now = MonoTime::from_millis(number(&step["now"]));
            if step["link"].is_u64() {
                let sample = Sample {
                    delivered: number(&step["delivered"]),
                    over: Duration::from_millis(number(&step["over"])),
                    app_limited: step["app_limited"] == true,
                    congested: step["congested"] == true,
                };
                estimator.handle_sample(now, LinkId(number(&step["link"])), sample).unwrap();
                continue;
            }
            let rates: Vec<BitRate> = list(step, "rates").iter().map(|rate| BitRate(number(rate))).collect();
            let claim = estimator.claimable(now, BitRate(number(&step["committed"])), &rates);
            let found = (estimator.demonstrated(now).0, estimator.floor(now).0);
            assert_eq!(found, (number(&step["ceiling"]), number(&step["floor"])), "{}: {step}", case["id"]);
            assert_eq!(claim.uplink.0, number(&step["uplink"]), "{}: {step}", case["id"]);
            let layer = step["highest"].as_u64().map(|layer| layer as usize);
            assert_eq!((claim.layer, claim.subscribers), (layer, small(&step["subscribers"])), "{step}");
        }
    }
}
