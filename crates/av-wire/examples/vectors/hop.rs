//! Links: the suites, and sequences of datagrams with losses, reorder and forgeries.

use super::{counting, hex};
use av_wire::{
    AwsLc, ChunkHeader, Error, HopKeys, HopReceiver, HopSender, HopSuite, LinkRefusal, SealedChunk,
};
use core_types::{ChunkSeq, CodecId, Epoch, Layer, Marks, StreamId};
use serde_json::{Value, json};

const SUITES: [&str; 3] = ["full", "bind", "transport-sealed"];

fn suite(name: &str) -> Result<HopSuite, Error> {
    let keys = || HopKeys::<AwsLc>::new(&counting(0x30), &counting(0x70));
    Ok(match name {
        "full" => HopSuite::Full(keys()?),
        "bind" => HopSuite::Bind(keys()?),
        _ => HopSuite::TransportSealed,
    })
}

/// A chunk whose body looks sealed: the hop does not look into it.
fn chunk(stream: u8, epoch: u64, seq: u64, temporal: u8) -> Result<Vec<u8>, Error> {
    let header = ChunkHeader {
        stream_id: StreamId(counting(stream)),
        epoch: Epoch(epoch),
        chunk_seq: ChunkSeq(seq),
        codec: if stream < 0x80 { CodecId::Av1 } else { CodecId::Opus },
        layer: Layer { temporal, quality: temporal, ..Layer::BASE },
        marks: Marks::from_bits((seq % 12) as u8)?,
    };
    let mut bytes = header.to_bytes()?.to_vec();
    bytes.extend_from_slice(&counting::<24>(seq as u8));
    Ok(bytes)
}

fn send(sender: &mut HopSender, chunk: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; chunk.len() + HopSender::<AwsLc>::MAX_GROWTH];
    let len = sender.seal_into(&SealedChunk::parse(chunk)?, &mut out)?;
    out.truncate(len);
    Ok(out)
}

fn outcome(result: &Result<Vec<u8>, Error>) -> &'static str {
    match result {
        Ok(_) => "taken",
        Err(Error::Link { why: LinkRefusal::NotAuthentic, .. }) => "not-authentic",
        Err(Error::Link { why: LinkRefusal::Replayed, .. }) => "replayed",
        Err(Error::Link { why: LinkRefusal::Unbound, .. }) => "unbound",
        Err(Error::Link { why: LinkRefusal::AliasInUse, .. }) => "alias-in-use",
        Err(Error::Malformed { .. }) => "malformed",
        Err(Error::Truncated { .. }) => "truncated",
        Err(Error::Value(_)) => "value",
        Err(_) => "another",
    }
}

/// What a link is sent and what arrives at its end, in order.
struct Sequence {
    suite: &'static str,
    sender: HopSender,
    receiver: HopReceiver,
    datagrams: Vec<(Vec<u8>, Vec<u8>)>,
    sent: Vec<Value>,
    arrives: Vec<Value>,
}

impl Sequence {
    fn new(name: &'static str) -> Result<Self, Error> {
        let (sender, receiver) = (HopSender::new(suite(name)?), HopReceiver::new(suite(name)?));
        Ok(Self {
            suite: name,
            sender,
            receiver,
            datagrams: Vec::new(),
            sent: Vec::new(),
            arrives: Vec::new(),
        })
    }

    fn send(&mut self, chunk: Vec<u8>) -> Result<usize, Error> {
        let datagram = send(&mut self.sender, &chunk)?;
        self.sent.push(json!({ "chunk": hex(&chunk), "datagram": hex(&datagram) }));
        self.datagrams.push((chunk, datagram));
        Ok(self.datagrams.len() - 1)
    }

    /// One that was sent arrives, with a change if there is one.
    fn arrives(
        &mut self,
        index: usize,
        expected: &str,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Box<dyn std::error::Error>> {
        let (chunk, mut datagram) = self.datagrams[index].clone();
        change(&mut datagram);
        self.bytes_arrive(datagram, expected, Some(&chunk))
    }

    fn bytes_arrive(
        &mut self,
        datagram: Vec<u8>,
        expected: &str,
        chunk: Option<&[u8]>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let mut opened = datagram.clone();
        let result = self.receiver.open(&mut opened).map(|fresh| {
            let mut bytes = Vec::new();
            fresh.write(&mut bytes);
            bytes
        });
        let found = outcome(&result);
        if found != expected || result.as_deref().is_ok_and(|bytes| Some(bytes) != chunk) {
            return Err(format!("{} expected, {found} found: {result:?}", expected).into());
        }
        let mut case = json!({ "datagram": hex(&datagram), "outcome": found });
        if let Ok(bytes) = result {
            case["chunk"] = hex(&bytes).into();
        }
        self.arrives.push(case);
        Ok(())
    }

    fn done(self, id: &str) -> Value {
        json!({ "id": id, "suite": self.suite, "sent": self.sent, "arrives": self.arrives })
    }
}

/// All suites: the first datagrams of a stream, and what must not be taken.
pub(super) fn seals() -> Result<Value, Box<dyn std::error::Error>> {
    let mut sequences = Vec::new();
    for name in SUITES {
        let mut s = Sequence::new(name)?;
        for seq in 0..6 {
            s.send(chunk(1, 7, seq, u8::from(seq == 5))?)?;
        }
        for index in 0..6 {
            if name != "transport-sealed" {
                let len = s.datagrams[index].1.len();
                s.arrives(index, "not-authentic", |d| d[len - 1] ^= 1)?;
                // A bit of the link number, of the marks, and of the alias.
                s.arrives(index, "not-authentic", |d| d[7] ^= 1)?;
                s.arrives(index, "not-authentic", |d| d[if index < 3 { 59 } else { 2 }] ^= 0x10)?;
                s.arrives(index, if index < 3 { "not-authentic" } else { "unbound" }, |d| d[1] ^= 1)?;
            }
            if name == "full" {
                let head = [60, 60, 60, 8, 8, 10][index];
                s.arrives(index, "not-authentic", |d| d[head] ^= 1)?;
            }
            s.arrives(index, "taken", |_| ())?;
            s.arrives(index, "replayed", |_| ())?;
        }
        sequences.push(s.done(name));
    }
    Ok(json!({
        "id": "chunk/hop_seal", "spec": "30-links.md sections 9 to 12", "key": hex(&counting::<32>(0x30)),
        "salt": hex(&counting::<12>(0x70)), "sequences": sequences,
    }))
}

/// Compact headers: what the receiver makes of them after losses, reorder, changes of epoch and window, and by hand.
pub(super) fn headers() -> Result<Value, Box<dyn std::error::Error>> {
    let sequences = vec![lost()?, epochs()?, windows()?, by_hand()?];
    Ok(json!({
        "id": "chunk/hop_header", "spec": "30-links.md sections 9 and 11", "key": hex(&counting::<32>(0x30)),
        "salt": hex(&counting::<12>(0x70)), "schedule": schedule()?, "sequences": sequences,
    }))
}

/// Which of the chunks of one stream go under whole headers: number of the first, by how much it goes up each time, how many, and
/// those by their place.
fn schedule() -> Result<Vec<Value>, Box<dyn std::error::Error>> {
    let mut cases = Vec::new();
    for (id, first, step, count) in
        [("from-zero", 0, 1, 1_100), ("over-windows", 65_000, 100, 700), ("late", 1 << 40, 1, 40)]
    {
        let mut sender = HopSender::new(suite("transport-sealed")?);
        let mut whole = Vec::new();
        for place in 0..count {
            if send(&mut sender, &chunk(1, 7, first + step * place, 0)?)?[0] & 0x80 != 0 {
                whole.push(place);
            }
        }
        cases.push(
            json!({ "id": id, "first": first.to_string(), "step": step, "count": count, "whole": whole }),
        );
    }
    Ok(cases)
}

/// The whole headers of a stream are lost: nothing is taken until the next one, and what is late then is.
fn lost() -> Result<Value, Box<dyn std::error::Error>> {
    let mut s = Sequence::new("bind")?;
    for seq in 0..12 {
        s.send(chunk(1, 7, seq, 0)?)?;
    }
    for index in 3..7 {
        s.arrives(index, "unbound", |_| ())?;
    }
    for index in [8, 7, 10, 5, 11] {
        s.arrives(index, "taken", |_| ())?;
    }
    for index in [8, 5] {
        s.arrives(index, "replayed", |_| ())?;
    }
    Ok(s.done("whole-headers-lost"))
}

/// Two streams change their epoch, and datagrams overtake one another.
fn epochs() -> Result<Value, Box<dyn std::error::Error>> {
    let mut s = Sequence::new("transport-sealed")?;
    for epoch in [15, 16] {
        for seq in 0..5 {
            s.send(chunk(1, epoch, seq, 0)?)?;
            s.send(chunk(0x80, epoch, seq, 0)?)?;
        }
    }
    for index in [0, 1, 2, 3, 10, 11, 6, 7, 16, 4, 17, 8, 18, 19, 9] {
        s.arrives(index, "taken", |_| ())?;
    }
    // The epoch's low bits are those of neither binding.
    s.arrives(18, "unbound", |d| {
        d[0] ^= 4;
        d[7] = 20;
    })?;
    Ok(s.done("epoch-change"))
}

/// A stream leaves its window; late chunks of a former window and epoch carry the whole header and bind nothing.
fn windows() -> Result<Value, Box<dyn std::error::Error>> {
    let mut s = Sequence::new("full")?;
    for seq in [0, 1, 2, 65_535, 65_536, 65_537, 65_538, 49_152, 49_151, 114_687, 114_688] {
        s.send(chunk(1, 7, seq, 0)?)?;
    }
    s.send(chunk(1, 6, 5, 0)?)?;
    for index in 0..12 {
        s.arrives(index, "taken", |_| ())?;
    }
    Ok(s.done("windows"))
}

/// Headers that no sender makes.
fn by_hand() -> Result<Value, Box<dyn std::error::Error>> {
    let mut s = Sequence::new("transport-sealed")?;
    let whole = |first: u8, link: u8, chunk: &[u8]| {
        let mut datagram = vec![first, 0, 0, 0, 0, 0, 0, link];
        datagram.extend_from_slice(chunk);
        datagram
    };
    let (one, other) = (chunk(1, 7, 0, 0)?, chunk(2, 7, 0, 0)?);
    s.bytes_arrive(whole(0xc0, 0, &one), "taken", Some(&one))?;
    s.bytes_arrive(whole(0xc0, 1, &other), "alias-in-use", None)?;
    s.bytes_arrive(whole(0xd0, 2, &one), "malformed", None)?;
    s.bytes_arrive(whole(0xc4, 2, &one), "malformed", None)?;
    s.bytes_arrive(whole(0x81, 2, &one), "malformed", None)?;
    s.bytes_arrive(whole(0x90, 2, &one), "malformed", None)?;
    s.bytes_arrive(whole(0x8c, 2, &one), "malformed", None)?;
    s.bytes_arrive(vec![0xff], "malformed", None)?;
    let mut opaque = one.clone();
    (opaque[48], opaque[50]) = (0xff, 1);
    s.bytes_arrive(whole(0x80, 2, &opaque), "malformed", None)?;
    opaque[48] = 9;
    s.bytes_arrive(whole(0x80, 2, &opaque), "value", None)?;
    s.bytes_arrive(whole(0x80, 2, &one)[..59].to_vec(), "truncated", None)?;
    s.bytes_arrive(whole(0x80, 2, &one)[..76].to_vec(), "truncated", None)?;
    s.bytes_arrive(vec![0; 7], "truncated", None)?;
    let compact = |head: &[u8]| [head, &one[52..]].concat();
    s.bytes_arrive(compact(&[0x1c, 0, 0x10, 0, 1, 0, 0, 2]), "taken", Some(&chunk_with_body(1, &one)?))?;
    s.bytes_arrive(compact(&[0x1c, 1, 0x10, 0, 1, 0, 0, 3]), "unbound", None)?;
    s.bytes_arrive(compact(&[0x18, 0, 0x10, 0, 1, 0, 0, 3]), "unbound", None)?;
    s.bytes_arrive(compact(&[0x5c, 0, 0x10, 0, 1, 0, 0, 3, 0, 0]), "malformed", None)?;
    // The first chunk of an object that would be a repair symbol.
    s.bytes_arrive(compact(&[0x1c, 0, 0xc0, 0, 1, 0, 0, 3]), "value", None)?;
    // One more than the binding reaches, and its last.
    s.bytes_arrive(compact(&[0x1c, 0, 0x10, 0, 1, 0, 0x40, 1]), "unbound", None)?;
    s.bytes_arrive(compact(&[0x1c, 0, 0x10, 0, 1, 0, 0x40, 0]), "taken", Some(&chunk_with_body(1, &one)?))?;
    // Opaque chunks have no marks and no quality layer.
    let mut opaque = chunk(3, 7, 0, 0)?;
    opaque[48] = 0xff;
    let mut bind = whole(0xc0, 0, &opaque);
    (bind[1], bind[5], bind[6]) = (1, 0, 0x41);
    s.bytes_arrive(bind, "taken", Some(&opaque))?;
    s.bytes_arrive(compact(&[0x1c, 1, 0x10, 0, 1, 0, 0x41, 1]), "unbound", None)?;
    s.bytes_arrive(compact(&[0x1c, 1, 1, 0, 1, 0, 0x41, 1]), "unbound", None)?;
    let plain = [&opaque[..47], &[1], &opaque[48..52], &one[52..]].concat();
    s.bytes_arrive(compact(&[0x1c, 1, 0, 0, 1, 0, 0x41, 1]), "taken", Some(&plain))?;
    // Before the first link number of a binding it holds for 4,095 more: those are bound, and too old all the same.
    let mut bind = whole(0xc0, 0, &other);
    (bind[1], bind[6]) = (2, 0x60);
    s.bytes_arrive(bind, "taken", Some(&other))?;
    s.bytes_arrive(compact(&[0x1c, 2, 0x10, 0, 1, 0, 0x50, 1]), "replayed", None)?;
    s.bytes_arrive(compact(&[0x1c, 2, 0x10, 0, 1, 0, 0x50, 0]), "unbound", None)?;
    Ok(s.done("by-hand"))
}

/// Chunk `seq` of the first stream with the body of another.
fn chunk_with_body(seq: u64, of: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = chunk(1, 7, seq, 0)?;
    bytes.splice(52.., of[52..].iter().copied());
    Ok(bytes)
}
