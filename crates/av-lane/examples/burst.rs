//! What a lane costs beside its seal: nanoseconds for a burst of ten datagrams, each of a chunk of 1,100 bytes.
//!
//! `cargo run --release -p av-lane --example burst [full|bind]`
//!
//! Plain: AES-256-GCM over the same bytes into one buffer, and nothing else. Seal: the hop layer alone. Lane: what a relay does for
//! each of its subscribers: the budget asked, the burst sealed, the congestion controller told, runs made. These three in turn, in
//! one process; medians. Then the same for tables of many lanes, visited in memory order, and what taking a report costs.

use av_lane::{
    Burst, Lane, LaneConfig, LaneId, LaneKey, LaneKeys, LaneRole, LaneSuite, LaneTable, MAX_CONTROL_LEN,
    PathSecret,
};
use av_wire::{Aead, AwsLc, HopKeys, HopSender, HopSuite, SealedChunk};
use core_types::MonoTime;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

#[path = "../tests/common/fixture.rs"]
mod fixture;

type Failure = Box<dyn std::error::Error>;

const CHUNKS: usize = 10;
const CHUNK: usize = 1_100;
/// Bursts between two looks at the clock.
const BATCH: usize = 16;
const ROUNDS: usize = 2_001;

fn at(host: u32, port: u16) -> SocketAddr {
    let [_, b, c, d] = host.to_be_bytes();
    SocketAddr::from(([10, b, c, d], port))
}

/// Control packets to and fro at `now`.
fn exchange(now: MonoTime, child: &mut Lane, parent: &mut Lane) -> Result<(), Failure> {
    fixture::settle(now, child, parent, |_, _| {})?;
    while parent.poll_event().is_some() || child.poll_event().is_some() {}
    Ok(())
}

/// One end of a lane.
fn end(id: u32, role: LaneRole, suite: LaneSuite) -> Result<Lane, Failure> {
    let config = LaneConfig::new(PathSecret([1; 32]));
    let keys = LaneKeys::from_exported(&std::array::from_fn(|at| at as u8));
    let peer = if role == LaneRole::Child { at(0, 1) } else { at(id + 1, 2) };
    Ok(Lane::new(&config, LaneId(id.into()), role, keys, suite, peer, MonoTime(0))?)
}

/// A burst's chunks, with numbers from `first` on.
fn chunks(first: u64) -> Result<Vec<Vec<u8>>, Failure> {
    let chunk = |seq| -> Result<Vec<u8>, Failure> {
        let mut chunk = fixture::header(seq).to_bytes()?.to_vec();
        chunk.resize(CHUNK, 9);
        Ok(chunk)
    };
    (first..first + CHUNKS as u64).map(chunk).collect()
}

fn parsed(chunks: &[Vec<u8>]) -> Result<Vec<SealedChunk<'_>>, Failure> {
    Ok(chunks.iter().map(|chunk| SealedChunk::parse(chunk)).collect::<Result<_, _>>()?)
}

fn median(mut samples: Vec<Duration>, each: usize) -> f64 {
    samples.sort_unstable();
    samples[samples.len() / 2].as_nanos() as f64 / each as f64
}

fn main() -> Result<(), Failure> {
    let suite = match std::env::args().nth(1).as_deref() {
        Some("bind") => LaneSuite::Bind,
        _ => LaneSuite::Full,
    };
    one_lane(suite)?;
    for lanes in [32, 2_000] {
        many_lanes(suite, lanes)?;
    }
    Ok(())
}

fn one_lane(suite: LaneSuite) -> Result<(), Failure> {
    let (mut child, mut parent) = (end(0, LaneRole::Child, suite)?, end(0, LaneRole::Parent, suite)?);
    exchange(MonoTime(0), &mut child, &mut parent)?;
    let aead = AwsLc::new(&[3; 32])?;
    let hop = HopKeys::new(&[3; 32], &[4; 12])?;
    let mut sender: HopSender = HopSender::new(match suite {
        LaneSuite::Full => HopSuite::Full(hop),
        LaneSuite::Bind => HopSuite::Bind(hop),
    });
    let (mut burst, mut out, mut first, mut now) = (Burst::new(), vec![0; 64 * 1024], 0, MonoTime(0));
    let (mut plain, mut seal, mut lane) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sent, mut runs) = (0, 0);
    for _ in 0..ROUNDS {
        let mut batch = Vec::new();
        for _ in 0..BATCH {
            batch.push(chunks(first)?);
            first += CHUNKS as u64;
        }
        let parsed: Vec<_> = batch.iter().map(|chunks| parsed(chunks)).collect::<Result<_, _>>()?;

        let begin = Instant::now();
        for chunks in &parsed {
            let mut at = 0;
            for chunk in chunks {
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&chunk.header().chunk_seq.0.to_be_bytes());
                let end = at + 8 + chunk.body().len() + 16;
                aead.seal_apart(nonce, &[0; 60], chunk.body(), &mut out[at + 8..end])?;
                at = end;
            }
            black_box(&out);
        }
        plain.push(begin.elapsed());

        let begin = Instant::now();
        for chunks in &parsed {
            let mut at = 0;
            for chunk in chunks {
                at += sender.seal_into(chunk, &mut out[at..])?;
            }
            black_box(&out);
        }
        seal.push(begin.elapsed());

        let begin = Instant::now();
        for chunks in &parsed {
            now = now.plus(Duration::from_millis(1));
            black_box(parent.budget(now));
            sent += parent.seal_burst(now, chunks.iter().copied(), &mut burst)?.datagrams;
            for run in burst.runs() {
                black_box(run);
                runs += 1;
            }
            black_box(parent.poll_timeout());
        }
        lane.push(begin.elapsed());
        // The last burst arrives, and is reported as over a real path.
        for datagram in burst.runs().flat_map(|run| run.datagrams()) {
            let _ = child.handle_datagram(now, at(0, 1), &mut datagram.to_vec());
        }
        exchange(now, &mut child, &mut parent)?;
    }
    let (plain, seal, lane) = (median(plain, BATCH), median(seal, BATCH), median(lane, BATCH));
    println!("burst of {CHUNKS} chunks of {CHUNK} bytes, suite {suite:?}: {sent} datagrams in {runs} runs");
    println!("plain AES-256-GCM   {plain:7.0} ns");
    println!("hop seal            {seal:7.0} ns   {:+.0} ns", seal - plain);
    println!("seal_burst and runs {lane:7.0} ns   {:+.0} ns over the hop seal", lane - seal);
    Ok(())
}

/// Resident bytes of this process; 0 where that can't be read.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4_096
}

fn many_lanes(suite: LaneSuite, count: u32) -> Result<(), Failure> {
    let before = resident();
    // The parents' lanes one after the other, as a relay's lie in memory.
    let parents = (0..count).map(|id| end(id, LaneRole::Parent, suite)).collect::<Result<Vec<_>, _>>()?;
    let mut children = (0..count).map(|id| end(id, LaneRole::Child, suite)).collect::<Result<Vec<_>, _>>()?;
    let mut table = LaneTable::new(count, 7);
    let mut keys: Vec<LaneKey> = Vec::new();
    for (mut parent, child) in parents.into_iter().zip(&mut children) {
        exchange(MonoTime(0), child, &mut parent)?;
        keys.push(table.insert(MonoTime(0), parent)?.key);
    }
    let (mut burst, mut first, mut now) = (Burst::new(), 0, MonoTime(0));
    let (mut sealed, mut reported) = (Vec::new(), Vec::new());
    // About as many bursts in all, whatever the number of lanes.
    for round in 0..(60_000 / count).max(30) {
        now = now.plus(Duration::from_millis(40));
        let chunks = chunks(first)?;
        first += CHUNKS as u64;
        let parsed = parsed(&chunks)?;
        // Of every third burst a datagram arrives, which makes a report.
        let is_heard = round % 3 == 2;
        let mut arrived = Vec::new();
        let begin = Instant::now();
        for (at, key) in keys.iter().enumerate() {
            let Some(mut slot) = table.get_mut(now, *key) else { continue };
            black_box(slot.budget(now));
            slot.seal_burst(now, parsed.iter().copied(), &mut burst)?;
            if is_heard {
                let datagram = burst.runs().next().and_then(|run| run.datagrams().next());
                arrived.extend(datagram.map(|datagram| (at, datagram.to_vec())));
            }
        }
        if !is_heard {
            sealed.push(begin.elapsed());
        }
        let mut packet = [0; MAX_CONTROL_LEN];
        let mut reports = Vec::new();
        for (at, mut datagram) in arrived {
            let child = &mut children[at];
            let _ = child.handle_datagram(now, child.peer(), &mut datagram);
            while let Some((_, len)) = child.poll_transmit(now, &mut packet) {
                reports.push((at, packet[..len].to_vec()));
            }
        }
        let (begin, count) = (Instant::now(), reports.len());
        for (at, mut packet) in reports {
            if let Some(mut slot) = table.get_mut(now, keys[at]) {
                let from = slot.peer();
                slot.handle_datagram(now, from, &mut packet)?;
            }
        }
        if count > 0 {
            reported.push(begin.elapsed() / u32::try_from(count)?);
        }
        while let Some(mut slot) = table.poll_due(now) {
            while slot.poll_transmit(now, &mut packet).is_some() {}
            while slot.poll_event().is_some() {}
        }
    }
    println!(
        "{count:5} lanes           {:7.0} ns a burst, {:.0} ns a report; {} bytes a lane, {} resident for both ends",
        median(sealed, count as usize),
        median(reported, 1),
        size_of::<Lane>(),
        resident().saturating_sub(before) / count as usize,
    );
    Ok(())
}
