//! Watchers that feed one another.

use super::stage::{Cast, HOST, Stage, network, relay_at, watcher_at};
use super::{ENDLESS, MILLISECOND, SECOND, path};
use core_types::{BitRate, KeyId, SymbolSize};
use holomesh::keyfile::random_seed;
use holomesh::net::LossConfig;
use holomesh::net::memory::PathModel;
use holomesh::session::{Command, Shares};
use identity::{Identity, Seed};

fn lending(relays: u8, watchers: u8) -> Cast {
    let uplink = Some(BitRate::from_kbit(20_000));
    let (shares, symbol_size) = (Shares::default(), SymbolSize::DEFAULT);
    Cast { relays, watchers, parents: 4, uplink, shares, symbol_size, descriptions: None }
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

fn between_watchers(stage: &Stage) -> u64 {
    let count = stage.watchers.len() as u8;
    (1..=count).flat_map(|a| (1..=count).map(move |b| (a, b))).map(|(a, b)| delivered(stage, a, b)).sum()
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
    let before = between_watchers(&stage);
    stage.watchers[0].shows(2 * SECOND).await;
    let sent = between_watchers(&stage) - before;
    assert!(sent > 500, "{sent} datagrams went between watchers in two seconds");
    stage.every_picture_is_shown().await;
}

/// Its children have the stripe from others, and their other stripes go on meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_picture_is_shown_when_a_watcher_that_feeds_others_vanishes() {
    let network = network(22);
    network.set_default(path()).unwrap();
    let mut stage = Stage::of(network, 10 * SECOND, lending(1, 6)).await;
    stage.tell(Command::Start).await;
    stage.watchers[0].shows(SECOND).await;
    fed_by_watchers(&stage, 6).await;
    let counts: Vec<u32> = stage.watchers.iter().map(|watcher| watcher.now().children).collect();
    let busiest = (0..counts.len()).max_by_key(|at| counts[*at]).unwrap();
    stage.network.vanish(watcher_at(busiest as u8 + 1));
    stage.watchers.remove(busiest);
    stage.watchers[0].shows(2 * SECOND).await;
    stage.every_picture_is_shown().await;
}

/// Without any relay they take what they can from one another, and the host sends each stripe to few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_relays_watchers_take_from_one_another_what_the_host_need_not_send() {
    let network = network(23);
    network.set_default(path()).unwrap();
    let stage = Stage::of(network, 10 * SECOND, lending(0, 6)).await;
    stage.tell(Command::Start).await;
    stage.watchers[0].shows(SECOND).await;
    fed_by_watchers(&stage, 6).await;
    let by_host = || -> u64 {
        let paths = (1..=6).filter_map(|to| stage.network.counters(HOST, watcher_at(to)));
        paths.map(|path| path.delivered).sum()
    };
    let before = (by_host(), between_watchers(&stage));
    stage.watchers[0].shows(3 * SECOND).await;
    let (host, watchers) = (by_host() - before.0, between_watchers(&stage) - before.1);
    assert!(watchers * 2 > host, "{host} datagrams by the host, {watchers} by watchers");
    stage.every_picture_is_shown().await;
}

/// A seed whose key may feed those with higher keys, or is one of those.
fn seed(low: bool) -> Seed {
    loop {
        let seed = random_seed().unwrap();
        let KeyId([first, ..]) = Identity::from_seed(&seed).unwrap().key_id();
        if (first < 8) == low {
            return seed;
        }
    }
}

/// It claims room, takes a share, says that all is well, and hardly anything of it arrives. All four whom it feeds say so; when three
/// have, from three networks, the host tells everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_a_share_and_does_not_pass_it_on_is_left_and_found_out() {
    let network = network(25);
    network.set_default(path()).unwrap();
    let symbol_size = SymbolSize::new(128).unwrap();
    let cast = Cast { uplink: None, symbol_size, ..lending(1, 0) };
    let mut stage = Stage::of(network, ENDLESS, cast).await;
    let loss = LossConfig { percent: 85.0, seed: 5 };
    stage.add_lossy(1, seed(true), Some(BitRate::from_kbit(20_000)), loss);
    for number in 2..=5 {
        stage.add_lossy(number, seed(false), None, LossConfig::NONE);
    }
    stage.tell(Command::Start).await;
    let (liar, others) = stage.watchers.split_first().unwrap();
    let deadline = tokio::time::Instant::now() + crate::kit::PATIENCE;
    while stage.events("liar") == 0 {
        let states: Vec<_> = others.iter().map(|watcher| watcher.now()).collect();
        assert!(tokio::time::Instant::now() < deadline, "{:?} {states:?}", liar.now());
        tokio::time::sleep(MILLISECOND * 20).await;
    }
    let accused = || others.iter().map(|watcher| watcher.now().accused).sum::<u64>();
    assert!(accused() >= 3, "{}", accused());
    liar.is(|now| now.children == 0).await;
    // It says that it has room still, and nobody asks for it.
    liar.shows(3 * SECOND).await;
    assert_eq!(liar.now().children, 0);
    assert_eq!((liar.now().accused, stage.events("liar")), (0, 1));
}

/// As many identities as one likes can be in one network. So there nobody is convicted, and yet each finds out for itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_one_network_nobody_is_convicted_and_each_leaves_by_what_it_measures() {
    let network = network(27);
    network.set_default(path()).unwrap();
    let symbol_size = SymbolSize::new(128).unwrap();
    let cast = Cast { uplink: None, symbol_size, ..lending(1, 0) };
    let mut stage = Stage::of(network, ENDLESS, cast).await;
    let loss = LossConfig { percent: 85.0, seed: 5 };
    stage.add_neighbour(1, seed(true), Some(BitRate::from_kbit(20_000)), loss);
    for number in 2..=7 {
        stage.add_neighbour(number, seed(false), None, LossConfig::NONE);
    }
    stage.tell(Command::Start).await;
    let (liar, others) = stage.watchers.split_first().unwrap();
    for watcher in others {
        watcher.is(|now| now.left > 0).await;
    }
    // In networks of their own so many would do.
    let accused = || others.iter().map(|watcher| watcher.now().accused).sum::<u64>();
    let deadline = tokio::time::Instant::now() + crate::kit::PATIENCE;
    while accused() < 3 {
        assert!(tokio::time::Instant::now() < deadline, "{}", accused());
        tokio::time::sleep(MILLISECOND * 20).await;
    }
    liar.is(|now| now.children == 0).await;
    liar.shows(SECOND).await;
    assert_eq!(stage.events("liar"), 0);
}

/// A relay that delivers most of its share is no cause for alarm, and yet a spare that might do better takes its place in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spare_takes_the_place_of_a_relay_that_delivers_less() {
    let network = network(26);
    network.set_default(path()).unwrap();
    // So many chunks of each picture that something of each comes over every relay: none of them is silent.
    let symbol_size = SymbolSize::new(128).unwrap();
    let cast = Cast { uplink: None, symbol_size, ..lending(3, 0) };
    let mut stage = Stage::of(network, ENDLESS, cast).await;
    stage.add_relay(4, LossConfig { percent: 30.0, seed: 6 }).await;
    stage.add_watcher(1);
    stage.add_watcher(2);
    stage.tell(Command::Start).await;
    for watcher in &stage.watchers {
        watcher.is(|now| now.parents == 4).await;
    }
    stage.add_relay(5, LossConfig::NONE).await;
    for watcher in &stage.watchers {
        watcher.is(|now| now.switched == 1).await;
        watcher.shows(2 * SECOND).await;
        let now = watcher.now();
        assert_eq!((now.parents, now.left, now.played.frames_lost), (4, 0, 0), "{now:?}");
    }
}

/// All relays deliver alike little of what they send. Another one would not deliver more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_own_line_loses_much_changes_no_relays_for_it() {
    let network = network(28);
    network.set_default(path()).unwrap();
    for relay in 1..=5 {
        let lossy = PathModel { loss: 0.25, ..path() };
        network.set_path(relay_at(relay), watcher_at(1), lossy).unwrap();
    }
    let symbol_size = SymbolSize::new(128).unwrap();
    let cast = Cast { uplink: None, symbol_size, ..lending(5, 0) };
    let mut stage = Stage::of(network, ENDLESS, cast).await;
    stage.add_watcher(1);
    stage.tell(Command::Start).await;
    let watcher = &stage.watchers[0];
    watcher.is(|now| now.parents == 4).await;
    watcher.shows(10 * SECOND).await;
    let now = watcher.now();
    assert!(now.switched == 0 && now.missing > 100, "{now:?}");
}

/// A watcher that was taken out gets nothing more from those who fed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_taken_out_is_fed_by_nobody() {
    let network = network(24);
    network.set_default(path()).unwrap();
    let mut stage = Stage::of(network, ENDLESS, lending(1, 5)).await;
    stage.tell(Command::Start).await;
    stage.watchers[0].shows(SECOND).await;
    fed_by_watchers(&stage, 5).await;
    stage.add_lingering(6);
    stage.watchers[5].shows(SECOND).await;
    let to_it = |stage: &Stage| (1..=5).map(|from| delivered(stage, from, 6)).sum::<u64>();
    let deadline = tokio::time::Instant::now() + crate::kit::PATIENCE;
    while to_it(&stage) < 300 {
        assert!(tokio::time::Instant::now() < deadline, "no watcher feeds it");
        tokio::time::sleep(MILLISECOND * 20).await;
    }
    let key = stage.watchers[5].key;
    stage.tell(Command::Remove(key)).await;
    stage.watchers[5].is(|now| now.removed_in.is_some()).await;
    // What was under way has come after a moment; from then on there is nothing but keep-alives.
    stage.watchers[0].shows(SECOND).await;
    let before = to_it(&stage);
    stage.watchers[0].shows(4 * SECOND).await;
    let after = to_it(&stage) - before;
    assert!(after < 60, "{after} datagrams in four seconds");
    assert_eq!(stage.watchers[5].now().opened_after_removal, 0);
}
