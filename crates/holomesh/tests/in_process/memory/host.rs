//! When the host feeds watchers itself, and when it stops.

use super::stage::{Cast, HOST, Stage, network, relay_at, watcher_at};
use super::{ENDLESS, MILLISECOND, SECOND, path};
use crate::kit::PATIENCE;
use core_types::{BitRate, SymbolSize};
use holomesh::keyfile::random_seed;
use holomesh::net::LossConfig;
use holomesh::net::memory::PathModel;
use holomesh::session::{Command, Shares};
use identity::{Identity, Seed};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

fn sent(stage: &Stage, from: SocketAddr, to: SocketAddr) -> u64 {
    stage.network.counters(from, to).map_or(0, |path| path.sent)
}

/// The host goes on until a relay delivers. One that is asked and has no place costs nothing of what is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_goes_on_while_it_is_not_known_that_a_relay_has_a_place() {
    let network = network(41);
    network.set_default(path()).unwrap();
    let far = PathModel { delay: 400 * MILLISECOND, ..PathModel::default() };
    network.set_both(relay_at(1), watcher_at(2), far).unwrap();
    let shares = Shares { relay_subscribers: Some(1), ..Shares::default() };
    let mut stage = Stage::with_shares(network, ENDLESS, 1, 1, shares).await;
    stage.tell(Command::Start).await;
    stage.watchers[0].shows(SECOND).await;
    // It waits for half a second for relays and takes the pictures from the host then; this one says after longer that it has no place.
    stage.add_watcher(2);
    let refused = |stage: &Stage| stage.watchers[1].now().refused;
    let deadline = Instant::now() + PATIENCE;
    while sent(&stage, HOST, watcher_at(2)) == 0 {
        assert!(Instant::now() < deadline && refused(&stage) == 0, "{:?}", stage.watchers[1].now());
        tokio::time::sleep(MILLISECOND).await;
    }
    // What the host sends to the relay meanwhile is the measure, so that it does not matter if all stand still.
    let counts = |stage: &Stage| [relay_at(1), watcher_at(2)].map(|to| sent(stage, HOST, to));
    let (start, first) = (Instant::now(), counts(&stage));
    let (mut last, mut longest) = (first, 0);
    let mut ends = None;
    while ends.is_none_or(|at| Instant::now() < at) {
        assert!(Instant::now() < deadline, "{:?}", stage.watchers[1].now());
        let now = counts(&stage);
        longest = longest.max(now[0] - last[0]);
        if now[1] != last[1] {
            last = now;
        }
        // It is asked for a place again after two seconds.
        if ends.is_none() && refused(&stage) >= 2 {
            ends = Some(Instant::now() + Duration::from_secs(1));
        }
        tokio::time::sleep(MILLISECOND).await;
    }
    let a_second = (counts(&stage)[0] - first[0]) as f64 / start.elapsed().as_secs_f64();
    assert!(
        (longest as f64) < a_second * 0.3,
        "nothing came while {longest} were sent, of {a_second:.0} a second"
    );
    assert_eq!(stage.watchers[1].feeders(), [stage.ticket.host]);
}

/// The relays answer, and have nothing to send. So nothing that comes from one of them shows that another one lacks it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_feeds_who_has_only_relays_that_have_lost_it() {
    let network = network(42);
    network.set_default(path()).unwrap();
    let stage = Stage::new(network, ENDLESS, 2, 1).await;
    stage.tell(Command::Start).await;
    let watcher = &stage.watchers[0];
    watcher.shows(SECOND).await;
    stage.network.partition(&[HOST], &[relay_at(1), relay_at(2)]);
    let start = Instant::now();
    watcher.shows(2 * SECOND).await;
    // The host takes 3.5 s to notice. The relays would go on looking for it for 30 s.
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
    // They are back, and take over again.
    stage.network.heal_all();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = sent(&stage, HOST, watcher_at(1));
        watcher.shows(SECOND).await;
        let by_host = sent(&stage, HOST, watcher_at(1)) - before;
        if by_host < SECOND / 2 {
            return;
        }
        assert!(Instant::now() < deadline, "{by_host} by the host in a second: {:?}", watcher.now());
    }
}

/// The seed of a key by which its holder feeds others in that stripe of four.
fn feeds_in(stripe: u8) -> Seed {
    loop {
        let seed = random_seed().unwrap();
        if Identity::from_seed(&seed).unwrap().key_id().0[7] % 4 == stripe {
            return seed;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_feeds_nobody_who_has_each_stripe_from_another_watcher() {
    let network = network(43);
    network.set_default(path()).unwrap();
    let (shares, symbol_size) = (Shares::default(), SymbolSize::DEFAULT);
    let cast =
        Cast { relays: 0, watchers: 0, parents: 4, uplink: None, shares, symbol_size, descriptions: None };
    let mut stage = Stage::of(network, ENDLESS, cast).await;
    for stripe in 0..4 {
        let uplink = Some(BitRate::from_kbit(20_000));
        stage.add_lossy(stripe + 1, feeds_in(stripe), uplink, LossConfig::NONE);
    }
    stage.add_watcher(5);
    stage.tell(Command::Start).await;
    let watcher = &stage.watchers[4];
    let deadline = Instant::now() + PATIENCE;
    while watcher.feeders().contains(&stage.ticket.host) || watcher.now().parents < 4 {
        assert!(Instant::now() < deadline, "{:?}", watcher.now());
        tokio::time::sleep(MILLISECOND * 20).await;
    }
    watcher.shows(SECOND).await;
    let before = sent(&stage, HOST, watcher_at(5));
    watcher.shows(2 * SECOND).await;
    let by_host = sent(&stage, HOST, watcher_at(5)) - before;
    assert!(by_host < SECOND / 2, "{by_host} datagrams in two seconds");
    assert_eq!(watcher.now().played.frames_lost, 0, "{:?}", watcher.now());
}

/// As many relays as are asked at once answer and send nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_that_send_nothing_keep_nobody_from_asking_others() {
    let network = network(44);
    network.set_default(path()).unwrap();
    let (shares, symbol_size) = (Shares::default(), SymbolSize::DEFAULT);
    let cast =
        Cast { relays: 1, watchers: 0, parents: 2, uplink: None, shares, symbol_size, descriptions: None };
    let mut stage = Stage::of(network, ENDLESS, cast).await;
    stage.add_watcher(1);
    stage.tell(Command::Start).await;
    // Where nothing comes from anybody nothing shows that something is missing.
    stage.watchers[0].shows(SECOND).await;
    for number in 2..=4 {
        stage.add_relay(number, LossConfig { percent: 100.0, seed: number.into() }).await;
    }
    let watcher = &stage.watchers[0];
    watcher.is(|now| now.suspected > 0).await;
    watcher.shows(SECOND).await;
    stage.add_relay(5, LossConfig::NONE).await;
    let deadline = Instant::now() + PATIENCE;
    while sent(&stage, relay_at(5), watcher_at(1)) < SECOND {
        assert!(Instant::now() < deadline, "{:?}", watcher.now());
        tokio::time::sleep(MILLISECOND * 20).await;
    }
    watcher.shows(SECOND).await;
}
