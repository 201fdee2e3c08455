//! Writes the conformance vectors of lanes as JSON: `vectors OUTDIR`.

use av_lane::{
    Burst, CloseReason, Lane, LaneConfig, LaneId, LaneKeys, LaneRole, LaneSuite, MAX_CONTROL_LEN, PathSecret,
};
use av_wire::SealedChunk;
use core_types::MonoTime;
use hkdf::Hkdf;
use serde_json::{Value, json};
use sha2::Sha256;
use std::net::SocketAddr;
use vector_kit::read;
use vector_kit::write::{hex, write};

#[path = "../tests/common/fixture.rs"]
mod fixture;

type Failure = Box<dyn std::error::Error>;

const EXPORTED: [u8; LaneKeys::EXPORTED] = {
    let mut bytes = [0; LaneKeys::EXPORTED];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = at as u8;
        at += 1;
    }
    bytes
};
const ID: LaneId = LaneId(0x0102_0304_0506_0708);

fn main() -> Result<(), Failure> {
    let cases = [lane(LaneSuite::Full)?, lane(LaneSuite::Bind)?];
    let note = "Spec 37 sections 2 and 3. Packets and media in the order in which the lane sends them.";
    write(
        "lane/control.json",
        &json!({ "id": "lane/control", "spec": "37-lanes.md sections 2, 3 and 10", "note": note, "cases": cases }),
    )
}

/// Keys as the specification derives them, without the crate.
fn keys(secret: &[u8], suite: u8) -> Result<Value, Failure> {
    let derived = Hkdf::<Sha256>::new(Some(b"holomesh lane v1"), secret);
    let expand = |what: &str, len: usize| -> Result<String, Failure> {
        let mut out = vec![0; len];
        let info = [b"holomesh lane v1 ", what.as_bytes(), &ID.0.to_be_bytes(), &[suite]].concat();
        derived.expand(&info, &mut out).map_err(|error| error.to_string())?;
        Ok(hex(&out))
    };
    Ok(json!({
        "media_key": expand("media key", 32)?,
        "media_salt": expand("media salt", 12)?,
        "control_key": expand("control key", 32)?,
        "control_salt": expand("control salt", 12)?,
    }))
}

/// Both ends of a lane, what they send, and when it is what.
fn lane(suite: LaneSuite) -> Result<Value, Failure> {
    let (at_child, at_parent) =
        (SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 2], 2)));
    let end = |role, peer| {
        let mut config = LaneConfig::new(PathSecret([role as u8 + 1; 32]));
        config.stream = true;
        Lane::new(&config, ID, role, LaneKeys::from_exported(&EXPORTED), suite, peer, MonoTime(0))
    };
    let (mut child, mut parent) = (end(LaneRole::Child, at_parent)?, end(LaneRole::Parent, at_child)?);
    let mut sent = Vec::new();
    let mut now = MonoTime(0);
    settle(now, &mut child, &mut parent, &mut sent)?;

    // Three datagrams, the second of which is lost.
    now = MonoTime::from_millis(50);
    let mut burst = Burst::new();
    let chunks: Vec<Vec<u8>> = (0..3).map(chunk).collect::<Result<_, _>>()?;
    let chunks: Vec<SealedChunk<'_>> =
        chunks.iter().map(|chunk| SealedChunk::parse(chunk)).collect::<Result<_, _>>()?;
    parent.seal_burst(now, chunks, &mut burst)?;
    let sealed = (0..3).map(chunk);
    for ((at, datagram), chunk) in burst.runs().flat_map(|run| run.datagrams()).enumerate().zip(sealed) {
        sent.push(
            json!({ "from": "parent", "kind": "media", "chunk": hex(&chunk?), "bytes": hex(datagram) }),
        );
        if at != 1 {
            child.handle_datagram(MonoTime::from_millis(70), at_parent, &mut datagram.to_vec())?;
        }
    }
    now = MonoTime::from_millis(75);
    settle(now, &mut child, &mut parent, &mut sent)?;
    child.announce();
    settle(now, &mut child, &mut parent, &mut sent)?;

    // The stream: a short message, and one of three packets of which the second is lost.
    child.write_stream(b"what have you");
    settle(now, &mut child, &mut parent, &mut sent)?;
    parent.write_stream(&(0..3_000u32).map(|at| at as u8).collect::<Vec<_>>());
    let mut packet = [0; MAX_CONTROL_LEN];
    let mut data = 0;
    while let Some((_, len)) = parent.poll_transmit(now, &mut packet) {
        sent.push(json!({ "from": "parent", "kind": "data", "bytes": hex(&packet[..len]) }));
        data += 1;
        if data != 2 {
            child.handle_datagram(now, at_parent, &mut packet[..len])?;
        }
    }
    settle(now, &mut child, &mut parent, &mut sent)?;
    parent.close(CloseReason::Draining);
    settle(now, &mut child, &mut parent, &mut sent)?;

    let byte = if suite == LaneSuite::Full { 1 } else { 2 };
    Ok(json!({
        "suite": byte,
        "id": format!("{ID}"),
        "exported": hex(&EXPORTED),
        "child_to_parent": keys(&EXPORTED[..44], byte)?,
        "parent_to_child": keys(&EXPORTED[44..], byte)?,
        "negative": negative(&sent)?,
        "sent": sent,
    }))
}

/// What is noise: each of it by the first packet of its kind, altered, or sent twice.
fn negative(sent: &[Value]) -> Result<Vec<Value>, Failure> {
    let first = |kind: &str| -> Result<(Value, Vec<u8>), Failure> {
        let packet = sent.iter().find(|packet| packet["kind"] == kind).ok_or("a kind that is not sent")?;
        Ok((packet["from"].clone(), read::hex(&packet["bytes"])))
    };
    let mut cases = Vec::new();
    let mut bad = |id: &str, kind: &str, alter: &dyn Fn(&mut Vec<u8>)| {
        let (from, mut bytes) = first(kind)?;
        alter(&mut bytes);
        let twice = id.ends_with("twice");
        cases.push(json!({ "id": id, "error": "noise", "from": from, "twice": twice, "bytes": hex(&bytes) }));
        Ok::<_, Failure>(())
    };
    bad("first-byte", "ping", &|bytes| bytes[0] ^= 0x10)?;
    bad("kind-of-another", "challenge", &|bytes| bytes[1] = 4)?;
    bad("kind-unknown", "ping", &|bytes| bytes[1] = 8)?;
    bad("another-lane", "ping", &|bytes| bytes[9] ^= 1)?;
    bad("number", "ping", &|bytes| bytes[15] ^= 1)?;
    bad("payload", "report", &|bytes| bytes[16] ^= 1)?;
    bad("tag", "close", &|bytes| bytes[47] ^= 1)?;
    bad("cut", "report", &|bytes| bytes.truncate(71))?;
    bad("left-over", "ping", &|bytes| bytes.push(0))?;
    bad("shorter-than-its-head", "ping", &|bytes| bytes.truncate(15))?;
    bad("challenge-twice", "challenge", &|_| ())?;
    bad("ping-twice", "ping", &|_| ())?;
    Ok(cases)
}

fn chunk(seq: u64) -> Result<Vec<u8>, Failure> {
    let mut chunk = fixture::header(seq).to_bytes()?.to_vec();
    chunk.extend((0..40).map(|at| at + seq as u8));
    Ok(chunk)
}

/// Hands control packets to and fro until nobody has any, and writes them down.
fn settle(now: MonoTime, child: &mut Lane, parent: &mut Lane, sent: &mut Vec<Value>) -> Result<(), Failure> {
    Ok(fixture::settle(now, child, parent, |from, packet| {
        let from = if from == LaneRole::Child { "child" } else { "parent" };
        let kind = match packet[1] {
            1 => "report",
            2 => "ping",
            3 => "challenge",
            4 => "response",
            5 => "close",
            6 => "data",
            _ => "acknowledgement",
        };
        sent.push(json!({ "from": from, "kind": kind, "bytes": hex(packet) }));
    })?)
}
