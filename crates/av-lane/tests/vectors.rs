//! The committed vectors: keys as the specification derives them open what lanes send, and it says what the specification says.
#![allow(clippy::unwrap_used, reason = "tests")]

use av_lane::{
    Error, Lane, LaneConfig, LaneId, LaneKeys, LaneRole, LaneSuite, MAX_CONTROL_LEN, PathSecret, Received,
};
use av_wire::{Aead, AwsLc, HopKeys, HopReceiver, HopSuite};
use core_types::MonoTime;
use serde_json::Value;
use std::net::SocketAddr;
use vector_kit::read::{array, hex, list, load};

fn cases() -> Vec<Value> {
    list(&load("lane/control.json"), "cases").clone()
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[test]
fn packets_are_what_the_specification_says() {
    let mut kinds = Vec::new();
    for case in cases() {
        let id = u64::from_str_radix(case["id"].as_str().unwrap(), 16).unwrap();
        let mut next = [0, 0];
        let mut challenges: Vec<Vec<u8>> = Vec::new();
        for sent in case["sent"].as_array().unwrap().iter().filter(|sent| sent["kind"] != "media") {
            let from_child = sent["from"] == "child";
            let keys = &case[if from_child { "child_to_parent" } else { "parent_to_child" }];
            let bytes = hex(&sent["bytes"]);
            let (head, rest) = bytes.split_at(16);
            let (payload, tag) = rest.split_last_chunk::<16>().unwrap();
            let counter = &mut next[usize::from(from_child)];
            assert_eq!((head[0], number(&head[2..10]), number(&head[10..])), (0x8d, id, *counter));
            let mut nonce: [u8; 12] = array(&keys["control_salt"]);
            for (byte, number) in nonce[4..].iter_mut().zip(counter.to_be_bytes()) {
                *byte ^= number;
            }
            *counter += 1;
            let mut payload = payload.to_vec();
            assert!(AwsLc::new(&array(&keys["control_key"])).unwrap().open(nonce, head, &mut payload, tag));
            let kind = sent["kind"].as_str().unwrap();
            match (kind, head[1]) {
                ("report", 1) => {
                    // Numbers 0 and 2 of three, at 70 ms, said at 75 ms.
                    let u = |from: usize, to: usize| number(&payload[from..to]);
                    let fields = (u(2, 8), u(8, 14), u(14, 20), u(20, 28), u(28, 36), u(36, 40));
                    let len = case["sent"].as_array().unwrap().iter().find(|sent| sent["kind"] == "media");
                    let len = hex(&len.unwrap()["bytes"]).len() as u64;
                    assert_eq!(
                        (payload.len(), payload[0], fields),
                        (40, 0, (2, 2, 0, 2 * len, 70_000, 5_000))
                    );
                }
                ("ping", 2) => assert_eq!(payload, [0; 16]),
                ("challenge", 3) => challenges.push(payload.clone()),
                ("response", 4) => assert!(challenges.contains(&payload)),
                ("data", 6) if from_child => assert_eq!(payload, [&[0; 8], &b"what have you"[..]].concat()),
                ("data", 6) => {
                    // 3,000 bytes in pieces of 1,160.
                    let (offset, bytes) = payload.split_at(8);
                    let offset = number(offset);
                    assert!(
                        [0, 1_160, 2_320].contains(&offset)
                            && bytes.len() as u64 == (3_000 - offset).min(1_160)
                    );
                    assert!(bytes.iter().zip(offset..).all(|(byte, at)| *byte == at as u8));
                }
                ("acknowledgement", 7) => {
                    let fields = (number(&payload[..8]), number(&payload[8..12]), &payload[16..24]);
                    // Of the three the first and the last have come to the child.
                    let apart = [1_160u32.to_be_bytes(), 680u32.to_be_bytes()].concat();
                    let expected = if from_child {
                        (1_160, 131_072 - 1_160, &apart[..])
                    } else {
                        (13, 131_072 - 13, &[0; 8][..])
                    };
                    assert_eq!((payload.len(), fields), (40, expected));
                    assert_eq!(payload[24..], [0; 16]);
                }
                ("close", 5) => assert_eq!((payload.len(), number(&payload[..2])), (16, 1)),
                other => panic!("{other:?}"),
            }
            kinds.push(kind.to_owned());
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, ["acknowledgement", "challenge", "close", "data", "ping", "report", "response"]);
}

#[test]
fn media_are_under_the_media_key() {
    for case in cases() {
        let keys = &case["parent_to_child"];
        let keys = HopKeys::<AwsLc>::new(&array(&keys["media_key"]), &array(&keys["media_salt"])).unwrap();
        let suite = if case["suite"] == 1 { HopSuite::Full(keys) } else { HopSuite::Bind(keys) };
        let mut receiver = HopReceiver::new(suite);
        let media: Vec<_> =
            case["sent"].as_array().unwrap().iter().filter(|sent| sent["kind"] == "media").collect();
        for (seq, sent) in media.iter().enumerate() {
            let mut bytes = hex(&sent["bytes"]);
            let fresh = receiver.open(&mut bytes).unwrap();
            assert_eq!(fresh.header().chunk_seq.0, seq as u64);
            assert_eq!(fresh.body(), (0..40).map(|at| at + seq as u8).collect::<Vec<_>>());
        }
        assert_eq!(media.len(), 3);
    }
}

#[test]
fn a_lane_takes_what_is_in_the_vectors() {
    for case in cases() {
        let suite = if case["suite"] == 1 { LaneSuite::Full } else { LaneSuite::Bind };
        let id = LaneId(u64::from_str_radix(case["id"].as_str().unwrap(), 16).unwrap());
        let peer = SocketAddr::from(([192, 0, 2, 2], 2));
        let mut config = LaneConfig::new(PathSecret([1; 32]));
        config.stream = true;
        let keys = LaneKeys::from_exported(&array(&case["exported"]));
        let mut child = Lane::new(&config, id, LaneRole::Child, keys, suite, peer, MonoTime(0)).unwrap();
        let mut packet = [0; MAX_CONTROL_LEN];
        for sent in case["sent"].as_array().unwrap().iter().filter(|sent| sent["from"] == "parent") {
            if sent["kind"] == "acknowledgement" {
                // It is of what the child said.
                child.write_stream(b"what have you");
            }
            while child.poll_transmit(MonoTime(0), &mut packet).is_some() {}
            let taken = child.handle_datagram(MonoTime(0), peer, &mut hex(&sent["bytes"])).map(|received| {
                match received {
                    Received::Chunk(_) => "media",
                    Received::Control => "control",
                    Received::Stream => "data",
                }
            });
            match sent["kind"].as_str().unwrap() {
                kind @ ("media" | "data") => assert_eq!(taken, Ok(kind), "{sent}"),
                _ => assert_eq!(taken, Ok("control"), "{sent}"),
            }
        }
        assert!(child.is_over(), "the last is a close");
    }
}

#[test]
fn noise_is_not_taken() {
    for case in cases() {
        let suite = if case["suite"] == 1 { LaneSuite::Full } else { LaneSuite::Bind };
        let id = LaneId(u64::from_str_radix(case["id"].as_str().unwrap(), 16).unwrap());
        let peer = SocketAddr::from(([192, 0, 2, 2], 2));
        for noise in list(&case, "negative") {
            let role = if noise["from"] == "child" { LaneRole::Parent } else { LaneRole::Child };
            let keys = LaneKeys::from_exported(&array(&case["exported"]));
            let config = LaneConfig::new(PathSecret([1; 32]));
            let mut end = Lane::new(&config, id, role, keys, suite, peer, MonoTime(0)).unwrap();
            let mut take = || end.handle_datagram(MonoTime(0), peer, &mut hex(&noise["bytes"])).map(|_| ());
            if noise["twice"] == true {
                take().unwrap();
            }
            let error = take().unwrap_err();
            assert!(matches!(error, Error::Noise { .. }), "{}: {error}", noise["id"]);
            assert_eq!(noise["error"], "noise");
        }
    }
}
