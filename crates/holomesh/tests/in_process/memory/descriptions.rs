//! Pictures in several descriptions, each over a relay of its own.

use super::stage::{Cast, Stage, Watcher, network, relay_at, watcher_at};
use super::{ENDLESS, MILLISECOND, SECOND, path};
use codec_mdc::Descriptions;
use core_types::{BitRate, SymbolSize};
use holomesh::session::{Command, Shares};

fn cast(relays: u8, watchers: u8, of: Descriptions) -> Cast {
    let (shares, symbol_size) = (Shares::default(), SymbolSize::DEFAULT);
    Cast { relays, watchers, parents: 4, uplink: None, shares, symbol_size, descriptions: Some(of) }
}

/// The relays that have sent a watcher so many datagrams, those with the most first.
fn carriers(stage: &Stage, watcher: u8, relays: u8, least: u64) -> Vec<u8> {
    let sent =
        |relay: u8| stage.network.counters(relay_at(relay), watcher_at(watcher)).map_or(0, |p| p.delivered);
    let mut carriers: Vec<(u64, u8)> =
        (1..=relays).map(|relay| (sent(relay), relay)).filter(|(sent, _)| *sent >= least).collect();
    carriers.sort_unstable();
    carriers.into_iter().rev().map(|(_, relay)| relay).collect()
}

/// Waits until no picture is reduced for a second of them. How many were.
async fn whole_again(watcher: &Watcher) -> u64 {
    let mut reduced = watcher.now().played.frames_reduced;
    loop {
        watcher.shows(SECOND).await;
        let now = watcher.now().played.frames_reduced;
        if std::mem::replace(&mut reduced, now) == now {
            return reduced;
        }
    }
}

/// There is no repair that would bring back what it carried: the other descriptions are what goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_go_on_from_the_other_description_when_a_relay_dies() {
    let network = network(31);
    network.set_default(path()).unwrap();
    let stage = Stage::of(network, 12 * SECOND, cast(3, 2, Descriptions::Two)).await;
    stage.tell(Command::Start).await;
    for watcher in &stage.watchers {
        watcher.shows(2 * SECOND).await;
    }
    let carrying = carriers(&stage, 1, 3, SECOND);
    assert_eq!(carrying.len(), 2, "one for each description: {carrying:?}");
    let before: Vec<_> = stage.watchers.iter().map(|watcher| watcher.now()).collect();
    stage.network.vanish(relay_at(carrying[0]));
    let first = &stage.watchers[0];
    first.is(|now| now.suspected > 0 && now.parents == 2).await;
    // Over the third relay it has both again. That its parent is gone was seen by the other description, long before its link was missed.
    let reduced = whole_again(first).await - before[0].played.frames_reduced;
    assert!(reduced > 0 && reduced < 2 * SECOND, "{reduced} pictures from one description");
    for watcher in &stage.watchers {
        let now = watcher.now();
        assert_eq!((now.played.frames_lost, now.played.frames_undecodable), (0, 0), "{now:?}");
    }
    assert_eq!(stage.repair_symbols(), 0);
    stage.every_picture_is_shown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_that_was_lost_begins_anew_and_the_other_goes_on_as_it_is() {
    let network = network(35);
    network.set_default(path()).unwrap();
    let stage = Stage::of(network, 10 * SECOND, cast(3, 1, Descriptions::Two)).await;
    stage.tell(Command::Start).await;
    let watcher = &stage.watchers[0];
    watcher.shows(2 * SECOND).await;
    assert_eq!(stage.key_frames(), [1, 1]);
    stage.network.vanish(relay_at(carriers(&stage, 1, 3, SECOND)[0]));
    watcher.is(|now| now.suspected > 0 && now.parents == 2).await;
    whole_again(watcher).await;
    let key_frames = stage.key_frames();
    assert!(key_frames.len() == 2 && key_frames[0] == 1 && key_frames[1] > 1, "{key_frames:?}");
    stage.every_picture_is_shown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_four_descriptions_two_are_enough_when_two_relays_die_at_once() {
    let network = network(32);
    network.set_default(path()).unwrap();
    let stage = Stage::of(network, 8 * SECOND, cast(4, 1, Descriptions::Four)).await;
    stage.tell(Command::Start).await;
    stage.watchers[0].shows(2 * SECOND).await;
    assert_eq!(carriers(&stage, 1, 4, SECOND).len(), 4);
    stage.network.vanish(relay_at(1));
    stage.network.vanish(relay_at(2));
    stage.watchers[0].is(|now| now.suspected > 0 && now.parents == 2).await;
    stage.every_picture_is_shown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_one_relay_or_none_it_carries_all_descriptions() {
    for relays in [0, 1] {
        let network = network(33);
        network.set_default(path()).unwrap();
        let stage = Stage::of(network, 3 * SECOND, cast(relays, 1, Descriptions::Four)).await;
        stage.tell(Command::Start).await;
        stage.watchers[0].shows(2 * SECOND).await;
        assert_eq!(stage.watchers[0].now().parents, 1);
        assert_eq!(stage.watchers[0].now().played.frames_reduced, 0);
        stage.every_picture_is_shown().await;
    }
}

/// Who feeds others does so in one description, and takes the others from who feeds in those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_feed_one_another_in_a_description_each() {
    let network = network(34);
    network.set_default(path()).unwrap();
    let uplink = Some(BitRate::from_kbit(20_000));
    let stage = Stage::of(network, ENDLESS, Cast { uplink, ..cast(1, 6, Descriptions::Two) }).await;
    stage.tell(Command::Start).await;
    let deadline = tokio::time::Instant::now() + crate::kit::PATIENCE;
    let children = || stage.watchers.iter().map(|watcher| watcher.now().children).sum::<u32>();
    while children() < 4 {
        assert!(tokio::time::Instant::now() < deadline, "{} links", children());
        tokio::time::sleep(MILLISECOND * 20).await;
    }
    for watcher in &stage.watchers {
        watcher.shows(2 * SECOND).await;
        assert_eq!(watcher.now().played.frames_lost, 0, "{:?}", watcher.now());
    }
    stage.tell(Command::Stop).await;
    stage.every_picture_is_shown().await;
}
