//! How many repair symbols are made where there is one parent, and nobody to make up for it.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::kit::{PATIENCE, host, loopback, on_thread};
use av_relay::Stats;
use av_wire::ChunkHeader;
use core_types::CodecId;
use holomesh::keyfile::random_seed;
use holomesh::net::LossConfig;
use holomesh::relay::{self, Tap};
use holomesh::session::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Counts symbols by kind.
#[derive(Debug, Default)]
struct Symbols {
    source: AtomicU64,
    repair: AtomicU64,
}

impl Tap for Symbols {
    fn received(&self, bytes: &[u8]) {
        // Control messages are shown as well; none of this session is as long as a symbol and reads as a chunk of pictures.
        let header = ChunkHeader::parse(bytes).ok().filter(|header| header.codec == CodecId::Av1);
        if let Some(header) = header.filter(|_| bytes.len() > 1_000) {
            let kind = if header.marks.repair { &self.repair } else { &self.source };
            kind.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn stats(&self, _: Stats) {}
}

impl Symbols {
    fn counted(&self) -> (u64, u64) {
        (self.source.load(Ordering::Relaxed), self.repair.load(Ordering::Relaxed))
    }
}

/// A relay behind a host whose datagrams get lost like that, and what it gets.
async fn relayed(loss: LossConfig) -> Arc<Symbols> {
    let (ticket, commands) = host(Some(1), loss).await;
    let symbols = Arc::<Symbols>::default();
    let config = relay::Config {
        tap: Some(symbols.clone()),
        ..relay::Config::new(random_seed().unwrap(), ticket, loopback())
    };
    on_thread(move || async move {
        // The host goes on as long as somebody could tell it something.
        let ready = || drop(commands.try_send(Command::Start));
        relay::run(config, std::future::pending(), ready).await.map(drop)
    });
    symbols
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_parent_repair_is_made_where_the_hop_loses_something() {
    let symbols = relayed(LossConfig { percent: 10.0, seed: 5 }).await;
    let deadline = Instant::now() + PATIENCE;
    // Two for each nine that come would make up for twice the loss; one for each twenty is much more than nothing.
    let enough = |(source, repair): (u64, u64)| source > 200 && repair * 20 > source;
    while !enough(symbols.counted()) {
        assert!(Instant::now() < deadline, "{:?} source and repair symbols", symbols.counted());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_parent_none_is_made_where_nothing_is_lost() {
    let symbols = relayed(LossConfig::NONE).await;
    let deadline = Instant::now() + PATIENCE;
    while symbols.counted().0 < 200 {
        assert!(Instant::now() < deadline, "{:?} source and repair symbols", symbols.counted());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A busy machine may drop a datagram or two by itself.
    let (source, repair) = symbols.counted();
    assert!(repair * 100 < source, "{repair} repair symbols for {source}");
}
