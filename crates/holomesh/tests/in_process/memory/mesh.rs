//! Watchers that feed one another.

use super::stage::{Cast, Stage, network, watcher_at};
use super::{MILLISECOND, SECOND, path};
use core_types::BitRate;
use holomesh::session::{Command, Shares};

fn lending(relays: u8, watchers: u8) -> Cast {
    let uplink = Some(BitRate::from_kbit(20_000));
    Cast { relays, watchers, parents: 4, uplink, shares: Shares::default() }
}

/// Waits until so many links between watchers carry something.
async fn fed_by_watchers(stage: &Stage, links: u32) {
    let deadline = tokio::time::Instant::now() + crate::kit::PATIENCE;
    let children = || stage.watchers.iter().map(|watcher| watcher.now().children).sum::<u32>();
    while children() < links {
        assert!(tokio::time::Instant::now() < deadline, "{} links", children());
        tokio::time::sleep(MILLISECOND * 20).await;
    }
}

fn delivered(stage: &Stage, from: u8, to: u8) -> u64 {
    stage.network.counters(watcher_at(from), watcher_at(to)).map_or(0, |path| path.delivered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_that_hear_of_one_another_feed_one_another() {
    let network = network(21);
    network.set_default(path()).unwrap();
    let stage = Stage::of(network, 8 * SECOND, lending(1, 6)).await;
    stage.tell(Command::Start).await;
    stage.watchers[0].shows(SECOND).await;
    fed_by_watchers(&stage, 6).await;
    let before: u64 =
        (1..=6).flat_map(|a| (1..=6).map(move |b| (a, b))).map(|(a, b)| delivered(&stage, a, b)).sum();
    stage.watchers[0].shows(2 * SECOND).await;
    let after: u64 =
        (1..=6).flat_map(|a| (1..=6).map(move |b| (a, b))).map(|(a, b)| delivered(&stage, a, b)).sum();
    assert!(after > before + 500, "{} datagrams went between watchers in two seconds", after - before);
    stage.every_picture_is_shown().await;
}
