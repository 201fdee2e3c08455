//! Host, relays and watchers over a network in this process, with faults that follow from a seed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod descriptions;
mod host;
mod mesh;
mod stage;

use crate::kit::{PATIENCE, on_thread};
use core_types::BitRate;
use holomesh::Error;
use holomesh::keyfile::random_seed;
use holomesh::net::Underlay;
use holomesh::net::memory::{Counters, GilbertElliott, PathModel, Reorder};
use holomesh::session::{Command, Shares};
use holomesh::watch;
use stage::{HOST, Stage, network, relay_at, watcher_at};
use std::time::Duration;
use tokio::time::timeout;

const MILLISECOND: Duration = Duration::from_millis(1);
/// A second of pictures.
const SECOND: u64 = 25;
/// More pictures than a test waits for.
const ENDLESS: u64 = 100_000;

fn path() -> PathModel {
    PathModel { delay: 10 * MILLISECOND, ..PathModel::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_picture_is_shown_through_bursts_of_loss_reordering_and_copies() {
    let network = network(1);
    let model = PathModel {
        jitter: 4 * MILLISECOND,
        bursts: Some(GilbertElliott::bursts(0.03, 3.0)),
        reorder: Some(Reorder { rate: 0.05, by: 20 * MILLISECOND }),
        duplicate: 0.05,
        ..path()
    };
    network.set_default(model).unwrap();
    let stage = Stage::new(network, 4 * SECOND, 3, 2).await;
    stage.tell(Command::Start).await;
    stage.watchers[0].shows(3 * SECOND).await;
    let faults = stage.faults();
    let kinds: [fn(&Counters) -> u64; 3] =
        [|path| path.lost_burst, |path| path.reordered, |path| path.duplicated];
    for kind in kinds {
        assert!(faults.iter().map(kind).sum::<u64>() > 10, "{faults:?}");
    }
    assert_eq!(stage.network.strays().unread, 0);
    stage.every_picture_is_shown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_picture_is_shown_when_a_relay_vanishes_in_mid_stream() {
    let network = network(2);
    network.set_default(path()).unwrap();
    let stage = Stage::new(network, 8 * SECOND, 3, 2).await;
    stage.tell(Command::Start).await;
    stage.watchers[0].shows(SECOND).await;
    let carried = || stage.network.counters(relay_at(1), watcher_at(1)).unwrap().delivered;
    assert!(carried() > 0, "it carried nothing");
    stage.network.vanish(relay_at(1));
    for watcher in &stage.watchers {
        watcher.is(|now| now.suspected > 0 && now.parents == 2).await;
    }
    stage.every_picture_is_shown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_picture_is_shown_when_a_relay_is_rebound_in_mid_stream() {
    let network = network(3);
    network.set_default(path()).unwrap();
    let stage = Stage::new(network, 4 * SECOND, 3, 1).await;
    stage.tell(Command::Start).await;
    stage.watchers[0].shows(SECOND).await;
    stage.network.rebind(relay_at(1), "192.0.2.1:4000".parse().unwrap());
    let before = stage.network.counters(HOST, relay_at(1)).unwrap().delivered;
    stage.watchers[0].shows(SECOND).await;
    // What the host goes on sending reaches it at its new address.
    assert!(stage.network.counters(HOST, relay_at(1)).unwrap().delivered > before + SECOND / 2);
    assert!(stage.network.strays().unroutable > 0, "nobody sent anything to the old one");
    stage.every_picture_is_shown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_cut_off_for_long_comes_back_by_itself_when_the_partition_heals() {
    let network = network(4);
    network.set_default(path()).unwrap();
    let stage = Stage::new(network, ENDLESS, 2, 2).await;
    stage.tell(Command::Start).await;
    let [cut_off, other] = &stage.watchers[..] else { panic!("two watchers") };
    cut_off.shows(SECOND).await;
    let first = cut_off.now();
    stage.network.partition(&[watcher_at(1)], &[HOST, relay_at(1), relay_at(2)]);
    // Until it is taken out of the session. The relays hear later that its permit is void: it may be back by then.
    other.is(|now| now.epoch > first.epoch).await;
    let gone = other.now();
    let still = cut_off.now().played.frames_shown;
    assert!(still < first.played.frames_shown + SECOND, "it went on without a link: {still}");
    stage.network.heal_all();
    // Pictures from before it was taken out may still come meanwhile, which it may see; those after it is let in are the others'.
    cut_off.is(|now| now.epoch > gone.epoch).await;
    cut_off.shows(SECOND).await;
    cut_off.is(|now| now.parents == 2).await;

    // Nobody else has noticed.
    assert_eq!(other.now().played.frames_lost, 0, "{:?}", other.now());
    stage.tell(Command::Stop).await;
    for watcher in stage.watchers {
        watcher.report().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_permit_limits_the_relay_keeps_to() {
    let shares = Shares { relay_subscribers: Some(1), ..Shares::default() };
    let mut stage = Stage::with_shares(network(6), ENDLESS, 1, 1, shares).await;
    stage.tell(Command::Start).await;
    stage.watchers[0].shows(5).await;
    // Who comes now is a member, and the relay's permit has no place for it.
    stage.add_watcher(2);
    stage.watchers[1].is(|now| now.epoch.is_some()).await;
    stage.watchers[0].shows(50).await;
    // It has what it shows from the host.
    let bytes = |from, to| stage.network.counters(from, watcher_at(to)).map_or(0, |path| path.sent_bytes);
    let [first, second, host] = [bytes(relay_at(1), 1), bytes(relay_at(1), 2), bytes(HOST, 2)];
    assert!(second * 10 < first && second * 10 < host, "{first} {second} {host}");
    stage.tell(Command::Stop).await;
    for watcher in stage.watchers {
        watcher.report().await;
    }
}

/// What a relay sends to two watchers in four seconds or so, beside what it may send at that rate and what a moment allows.
async fn sent_by_a_relay(seed: u64, shares: Shares, rate: BitRate) -> (u64, u64) {
    let stage = Stage::with_shares(network(seed), ENDLESS, 1, 2, shares).await;
    stage.tell(Command::Start).await;
    let sent = || -> u64 {
        let paths = (1..=2).filter_map(|to| stage.network.counters(relay_at(1), watcher_at(to)));
        paths.map(|path| path.sent_bytes).sum()
    };
    let path = || stage.network.counters(HOST, relay_at(1)).map_or(0, |path| path.sent_bytes);
    while path() < 50_000 {
        tokio::time::sleep(MILLISECOND * 10).await;
    }
    let (start, before) = (std::time::Instant::now(), sent());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let allowed = rate.0 as f64 / 8.0 * start.elapsed().as_secs_f64();
    // A quarter of a second's worth at once, what is no media, and headers.
    (sent() - before, (allowed * 1.2) as u64 + rate.0 / 32 + 30_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_permit_says_of_rates_the_relay_keeps_to() {
    let rate = BitRate::from_kbit(200);
    let member = Shares { member_rate: Some(rate), ..Shares::default() };
    let (sent, allowed) = sent_by_a_relay(7, member, BitRate(rate.0 * 2)).await;
    assert!(sent > allowed / 4 && sent < allowed, "to members {sent} of {allowed}");
    let uplink = Shares { relay_uplink: Some(rate), ..Shares::default() };
    let (sent, allowed) = sent_by_a_relay(8, uplink, rate).await;
    assert!(sent > allowed / 4 && sent < allowed, "by the relay {sent} of {allowed}");
    // What they would have otherwise.
    let (sent, allowed) = sent_by_a_relay(9, Shares::default(), BitRate(rate.0 * 2)).await;
    assert!(sent > allowed * 2, "without a limit {sent}, and {allowed} with one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_with_another_transport_key_leads_nowhere() {
    let network = network(5);
    let stage = Stage::new(network.clone(), ENDLESS, 1, 1).await;
    let mut ticket = stage.ticket.clone();
    ticket.endpoint[0] ^= 1;
    let config = watch::Config {
        underlay: Underlay::Memory(network),
        listen: watcher_at(9),
        ..watch::Config::new(random_seed().unwrap(), ticket)
    };
    let ended = on_thread(move || watch::run(config, Vec::new()));
    let error = timeout(PATIENCE, ended).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(&error, Error::Connect { why, .. } if why.contains("another transport key")), "{error}");
    // The others go on.
    stage.tell(Command::Start).await;
    stage.watchers[0].shows(5).await;
}
