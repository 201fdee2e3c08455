//! The network by itself: two nodes, a link, and what happens to it. All on a paused clock.

use super::{GilbertElliott, MemoryNet, PathModel, Reorder, Steps};
use crate::Error;
use crate::net::{Control, Inbox, Link, LinkEvent, LossConfig, Net, NetConfig, Role, Underlay};
use crate::ticket::Ticket;
use av_wire::{ChunkHeader, SealedChunk};
use core_types::{BitRate, ChunkSeq, CodecId, Epoch, KeyId, Layer, Marks, MonoTime, SessionId, StreamId};
use identity::Seed;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

const MILLISECOND: Duration = Duration::from_millis(1);

fn address(host: u8) -> SocketAddr {
    ([10, 0, 0, host], 7).into()
}

async fn node(network: &MemoryNet, number: u8) -> (Net, Inbox) {
    let underlay = Underlay::Memory(network.clone());
    let config = NetConfig { underlay, ..NetConfig::new(Seed([number; 64]), Role::Relay, address(number)) };
    Net::open(config).await.unwrap()
}

/// Node 1, node 2, and the link that node 1 has dialled.
struct Pair {
    network: MemoryNet,
    nets: [Net; 2],
    inboxes: [Inbox; 2],
    links: [Link; 2],
}

impl Pair {
    async fn new(seed: u64, model: PathModel) -> Self {
        let network = MemoryNet::start(seed, &Handle::current());
        network.set_default(model).unwrap();
        let ((a, one), (b, mut two)) = (node(&network, 1).await, node(&network, 2).await);
        let mut dialled = a.connect(&b.address()).await.unwrap();
        dialled.begin();
        let Some(LinkEvent::Up(mut taken)) = two.next().await else { panic!("nobody called") };
        taken.begin();
        Self { network, nets: [a, b], inboxes: [one, two], links: [dialled, *taken] }
    }

    async fn next(&mut self, side: usize) -> LinkEvent {
        timeout(Duration::from_secs(60), self.inboxes[side].next()).await.unwrap().unwrap()
    }

    /// The next events of a side are these messages; with the time that the first took.
    async fn hears(&mut self, side: usize, numbers: impl Iterator<Item = u64>) {
        for number in numbers {
            match self.next(side).await {
                LinkEvent::Control(_, Control::KeyFrame { stream }) => assert_eq!(stream, name(number)),
                other => panic!("{other:?} where message {number} was to come"),
            }
        }
    }

    fn say(&self, side: usize, number: u64) {
        self.links[side].send(&Control::KeyFrame { stream: name(number) });
    }

    /// Sends a chunk of so many bytes from node 1, with a number.
    fn send(&mut self, number: u64, len: usize) {
        let chunk = chunk(number, len);
        let now = self.network.now();
        self.links[0].budget(now);
        self.links[0].send_chunks(now, std::iter::once(SealedChunk::parse(&chunk).unwrap()));
    }

    /// The chunks that node 2 gets within a time, each with the time when it came.
    async fn chunks(&mut self, within: Duration) -> Vec<(MonoTime, u64)> {
        let end = tokio::time::Instant::now() + within;
        let mut chunks = Vec::new();
        while let Ok(Some(event)) = tokio::time::timeout_at(end, self.inboxes[1].next()).await {
            match event {
                LinkEvent::Chunks(_, batch) => {
                    let now = self.network.now();
                    chunks.extend(batch.iter().map(|chunk| (now, chunk.header().chunk_seq.0)));
                }
                other => panic!("{other:?}"),
            }
        }
        chunks
    }

    async fn is_down(&mut self, side: usize) -> (MonoTime, String) {
        match self.next(side).await {
            LinkEvent::Down(_, why) => (self.network.now(), why),
            other => panic!("{other:?}"),
        }
    }
}

fn name(number: u64) -> [u8; 32] {
    std::array::from_fn(|at| if at < 8 { number.to_be_bytes()[at] } else { 0 })
}

fn chunk(number: u64, len: usize) -> Vec<u8> {
    let header = ChunkHeader {
        stream_id: StreamId([9; 32]),
        epoch: Epoch(1),
        chunk_seq: ChunkSeq(number),
        codec: CodecId::Opus,
        layer: Layer::BASE,
        marks: Marks::default(),
    };
    let mut chunk = header.to_bytes().unwrap().to_vec();
    chunk.resize(len, number as u8);
    chunk
}

fn bad() -> PathModel {
    PathModel {
        delay: 20 * MILLISECOND,
        jitter: 5 * MILLISECOND,
        loss: 0.02,
        bursts: Some(GilbertElliott::bursts(0.05, 4.0)),
        reorder: Some(Reorder { rate: 0.1, by: 30 * MILLISECOND }),
        duplicate: 0.1,
        ..PathModel::default()
    }
}

#[tokio::test(start_paused = true)]
async fn both_ends_know_each_other_and_share_what_nobody_else_has() {
    let mut pair = Pair::new(1, PathModel::default()).await;
    for side in [0, 1] {
        let (own, other) = (&pair.nets[side], &pair.nets[1 - side]);
        let link = &pair.links[side];
        assert_eq!(link.peer.key_id(), other.identity().key_id());
        assert_eq!(link.transport_key(), other.address().endpoint);
        assert_eq!(link.remote_address(), other.address().addresses.first().copied());
        assert_ne!(own.address().endpoint, own.identity().key_id().0, "one key, one use");
    }
    let second = pair.nets[0].connect(&pair.nets[1].address()).await.unwrap();
    let secrets = pair.links.each_ref().map(|link| link.lane_secret(5).unwrap());
    assert_eq!(secrets[0], secrets[1]);
    assert_ne!(secrets[0], pair.links[0].lane_secret(6).unwrap(), "another context");
    assert_ne!(secrets[0], second.lane_secret(5).unwrap(), "another link");
    assert!(matches!(pair.next(1).await, LinkEvent::Up(_)));
}

#[tokio::test(start_paused = true)]
async fn without_an_address_a_node_is_found_by_its_transport_key() {
    let mut pair = Pair::new(1, PathModel::default()).await;
    let mut nowhere = pair.nets[1].address();
    nowhere.addresses.clear();
    let link = pair.nets[0].connect(&nowhere).await.unwrap();
    assert_eq!(link.peer.key_id(), pair.nets[1].identity().key_id());
    assert!(matches!(pair.next(1).await, LinkEvent::Up(_)));
}

#[tokio::test(start_paused = true)]
async fn control_messages_come_in_order_without_loss_as_late_as_the_path() {
    let mut pair = Pair::new(3, bad()).await;
    let sent = pair.network.now();
    for number in 0..500 {
        pair.say(0, number);
    }
    pair.hears(1, 0..1).await;
    let took = pair.network.now().since(sent);
    assert!((20 * MILLISECOND..23 * MILLISECOND).contains(&took), "{took:?}");
    pair.hears(1, 1..500).await;
    pair.say(1, 500);
    pair.hears(0, 500..501).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_of_megabytes_comes_through_and_whoever_does_not_read_is_cut_off() {
    let mut pair = Pair::new(3, PathModel { delay: 5 * MILLISECOND, ..PathModel::default() }).await;
    let commit = vec![7; 3 << 20];
    pair.links[0].send(&Control::Commit { commit: commit.clone() });
    assert!(
        matches!(pair.next(1).await, LinkEvent::Control(_, Control::Commit { commit: got }) if got == commit)
    );
    for _ in 0..4 {
        pair.links[0].send(&Control::Commit { commit: commit.clone() });
    }
    let why = pair.is_down(0).await.1;
    assert_eq!(why, "control messages are not read");
}

/// What becomes of 2,000 chunks: when which of them came.
async fn run(seed: u64) -> (Vec<(MonoTime, u64)>, super::Counters) {
    let mut pair = Pair::new(seed, bad()).await;
    let start = pair.network.now();
    for number in 0..400 {
        for n in 0..5 {
            pair.send(number * 5 + n, 1_100);
        }
        sleep(2 * MILLISECOND).await;
    }
    let chunks = pair.chunks(Duration::from_millis(200)).await;
    let chunks =
        chunks.into_iter().map(|(at, chunk)| (MonoTime::default().plus(at.since(start)), chunk)).collect();
    (chunks, pair.network.counters(address(1), address(2)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_seed_gives_its_faults_and_another_one_others() {
    let (first, counters) = run(11).await;
    assert_eq!((&first, counters), (&run(11).await.0, run(11).await.1));
    assert_ne!(first, run(12).await.0);

    // All that the model asks for did happen, and no chunk came twice.
    assert_eq!(counters.sent, 2_000);
    assert!((90..250).contains(&counters.lost_burst), "{counters:?}");
    assert!((15..80).contains(&counters.lost_plain), "{counters:?}");
    assert!((130..260).contains(&counters.duplicated), "{counters:?}");
    assert!(first.windows(2).any(|pair| pair[1].1 < pair[0].1), "nothing was overtaken");
    let mut numbers: Vec<u64> = first.iter().map(|(_, number)| *number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), first.len());
    assert_eq!(first.len() as u64, counters.sent - counters.lost());
}

#[tokio::test(start_paused = true)]
async fn a_smaller_mtu_takes_large_datagrams_until_it_is_noticed_then_they_take_another_way() {
    let mtu = Steps::constant(65_507).then(MonoTime::from_millis(1_000), 900);
    let mut pair = Pair::new(1, PathModel { mtu, ..PathModel::default() }).await;
    pair.send(0, 1_100);
    assert_eq!(pair.chunks(100 * MILLISECOND).await.len(), 1);
    sleep(MonoTime::from_millis(990).since(pair.network.now())).await;
    pair.send(1, 1_100);
    sleep(20 * MILLISECOND).await;
    pair.send(2, 1_100);
    pair.send(3, 800);
    let came = pair.chunks(300 * MILLISECOND).await;
    assert_eq!(came.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(pair.network.counters(address(1), address(2)).unwrap().lost_mtu, 1);
    pair.send(4, 1_100);
    let came = pair.chunks(300 * MILLISECOND).await;
    assert_eq!(came.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [4]);
    assert_eq!(pair.network.counters(address(1), address(2)).unwrap().lost_mtu, 1);
}

#[tokio::test(start_paused = true)]
async fn damaged_datagrams_are_dropped_and_the_link_goes_on() {
    let mut pair = Pair::new(5, PathModel { corrupt: 0.3, ..PathModel::default() }).await;
    for number in 0..200 {
        pair.send(number, 1_100);
        sleep(MILLISECOND).await;
    }
    let came = pair.chunks(100 * MILLISECOND).await.len() as u64;
    let damaged = pair.network.strays().damaged;
    assert!((30..90).contains(&damaged), "{damaged}");
    assert_eq!(came + damaged, 200);
    pair.say(0, 1);
    pair.hears(1, 1..2).await;
}

#[tokio::test(start_paused = true)]
async fn no_more_may_be_sent_than_the_bottleneck_takes_and_nothing_is_lost_there() {
    let bandwidth = Steps::constant(BitRate::from_kbit(8_000))
        .then(MonoTime::from_millis(3_000), BitRate::from_kbit(2_000));
    let mut pair = Pair::new(5, PathModel { bandwidth, queue: 60_000, ..PathModel::default() }).await;
    let mut number = 0;
    let mut came = 0;
    let mut sent_by = [0, 0];
    while pair.network.now() < MonoTime::from_millis(6_000) {
        let late = pair.network.now() >= MonoTime::from_millis(3_000);
        let now = pair.network.now();
        while pair.links[0].budget(now) >= 1_200 {
            pair.send(number, 1_100);
            number += 1;
            sent_by[usize::from(late)] += 1_100;
        }
        came += pair.chunks(5 * MILLISECOND).await.len() as u64;
    }
    came += pair.chunks(Duration::from_secs(1)).await.len() as u64;
    assert_eq!(came, number, "{:?}", pair.network.counters(address(1), address(2)));
    // 3 MB and what waits in the queue at the step, then 750 kB; chunks are a fortieth longer than their datagrams.
    assert!((3_000_000..3_150_000).contains(&sent_by[0]), "{sent_by:?}");
    assert!((700_000..800_000).contains(&sent_by[1]), "{sent_by:?}");
    let estimate = pair.links[0].estimate(pair.network.now());
    assert!((1_500_000..2_200_000).contains(&estimate.pacing_rate.0), "{estimate:?}");
}

#[tokio::test(start_paused = true)]
async fn injected_loss_takes_datagrams_before_the_path_does() {
    let network = MemoryNet::start(1, &Handle::current());
    let underlay = Underlay::Memory(network.clone());
    let loss = LossConfig { percent: 100.0, seed: 1 };
    let config = NetConfig { underlay, loss, ..NetConfig::new(Seed([1; 64]), Role::Relay, address(1)) };
    let (one, _events) = Net::open(config).await.unwrap();
    let (two, _inbox) = node(&network, 2).await;
    let mut link = one.connect(&two.address()).await.unwrap();
    let chunk = chunk(1, 500);
    link.send_chunks(network.now(), std::iter::once(SealedChunk::parse(&chunk).unwrap()));
    assert_eq!(link.sent().0.lost, 1);
    assert_eq!(network.counters(address(1), address(2)).unwrap().sent, 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_another_key_than_the_one_dialled_is_not_talked_to() {
    let mut pair = Pair::new(1, PathModel::default()).await;
    let (_third, mut calls) = node(&pair.network, 3).await;
    let mut wrong = pair.nets[1].address();
    wrong.addresses = vec![address(3)];
    let error = pair.nets[0].connect(&wrong).await.unwrap_err();
    assert!(matches!(&error, Error::Connect { why, .. } if why.contains("another transport key")), "{error}");
    assert!(timeout(Duration::from_secs(10), calls.next()).await.is_err(), "the wrong one heard of it");
    pair.say(0, 1);
    pair.hears(1, 1..2).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_answers_where_nobody_is() {
    let pair = Pair::new(1, PathModel::default()).await;
    let mut nobody = pair.nets[1].address();
    nobody.addresses = vec![address(9)];
    let start = pair.network.now();
    let error = pair.nets[0].connect(&nobody).await.unwrap_err();
    assert!(matches!(&error, Error::Connect { why, .. } if why.contains("no answer")), "{error}");
    assert!(pair.network.now().since(start) > Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn an_address_has_one_node_until_that_leaves_and_port_0_is_any() {
    let network = MemoryNet::start(1, &Handle::current());
    let (first, _inbox) = node(&network, 1).await;
    let config = |number: u8, at| NetConfig {
        underlay: Underlay::Memory(network.clone()),
        ..NetConfig::new(Seed([number; 64]), Role::Relay, at)
    };
    let error = Net::open(config(2, address(1))).await.unwrap_err();
    assert!(error.to_string().contains("another node"), "{error}");
    let any = SocketAddr::from(([10, 0, 0, 1], 0));
    let mut ports = Vec::new();
    let mut nets = Vec::new();
    for number in 3..12 {
        let (net, inbox) = Net::open(config(number, any)).await.unwrap();
        ports.push(net.address().addresses[0].port());
        nets.push((net, inbox));
    }
    assert_eq!(ports, [1, 2, 3, 4, 5, 6, 8, 9, 10]);
    first.close().await;
    Net::open(config(2, address(1))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_comes_after_what_was_said_before() {
    let mut pair = Pair::new(1, bad()).await;
    for number in 0..20 {
        pair.say(0, number);
    }
    let [dialled, _taken] = pair.links;
    dialled.refuse("no room");
    let mut heard = 0;
    let why = loop {
        match pair.inboxes[1].next().await.unwrap() {
            LinkEvent::Control(_, Control::KeyFrame { .. }) => heard += 1,
            LinkEvent::Control(_, Control::Refused { why }) => break why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((heard, why.as_str()), (20, "no room"));
    let Some(LinkEvent::Down(_, why)) = pair.inboxes[1].next().await else { panic!("it is still up") };
    assert_eq!(why, "closed by peer: no room");
}

#[tokio::test(start_paused = true)]
async fn who_closes_tells_all_peers_and_who_drops_a_link_the_one() {
    let mut pair = Pair::new(1, PathModel::default()).await;
    let mut second = pair.nets[0].connect(&pair.nets[1].address()).await.unwrap();
    second.begin();
    let LinkEvent::Up(mut taken) = pair.next(1).await else { panic!("nobody called") };
    taken.begin();
    drop(taken);
    assert_eq!(pair.is_down(0).await.1, "closed by peer: link dropped");
    assert_eq!(pair.is_down(1).await.1, "link dropped");
    pair.nets[1].close().await;
    assert_eq!(pair.is_down(0).await.1, "closed by peer: endpoint closed");
    let again = pair.nets[0].connect(&pair.nets[1].address()).await;
    assert!(matches!(again, Err(Error::Connect { .. })), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_links_than_a_node_takes() {
    let network = MemoryNet::start(1, &Handle::current());
    let underlay = Underlay::Memory(network.clone());
    let config =
        NetConfig { underlay, max_links: 1, ..NetConfig::new(Seed([1; 64]), Role::Relay, address(1)) };
    let (full, mut inbox) = Net::open(config).await.unwrap();
    let (other, _events) = node(&network, 2).await;
    let first = other.connect(&full.address()).await.unwrap();
    let Some(LinkEvent::Up(taken)) = inbox.next().await else { panic!("nobody called") };
    let error = other.connect(&full.address()).await.unwrap_err();
    assert!(error.to_string().contains("too many links"), "{error}");
    drop((first, taken));
    sleep(MILLISECOND).await;
    other.connect(&full.address()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_vanishes_says_nothing_and_is_missed_in_time() {
    let mut pair = Pair::new(1, PathModel { delay: 10 * MILLISECOND, ..PathModel::default() }).await;
    pair.say(0, 1);
    pair.hears(1, 1..2).await;
    let start = pair.network.now();
    pair.network.vanish(address(1));
    pair.say(0, 2);
    pair.send(1, 500);
    pair.nets[0].close().await;
    let (at, why) = pair.is_down(1).await;
    assert_eq!(why, "timed out");
    let took = at.since(start);
    assert!((Duration::from_millis(2_250)..Duration::from_millis(2_800)).contains(&took), "{took:?}");
    // Its address is free: it can come back as if nothing had been.
    let (back, _inbox) = node(&pair.network, 1).await;
    back.connect(&pair.nets[1].address()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_holds_messages_back_and_a_long_one_ends_the_link_on_both_sides() {
    let mut pair = Pair::new(1, PathModel { delay: 10 * MILLISECOND, ..PathModel::default() }).await;
    pair.network.cut(address(1), address(2));
    for number in 0..5 {
        pair.say(0, number);
        pair.send(number, 500);
    }
    let heard = timeout(Duration::from_secs(2), pair.inboxes[1].next()).await;
    assert!(heard.is_err(), "{heard:?}");
    assert_eq!(pair.network.counters(address(1), address(2)).unwrap().lost_blackout, 5);
    pair.network.heal(address(1), address(2));
    let healed = pair.network.now();
    pair.hears(1, 0..5).await;
    assert!(pair.network.now().since(healed) < 20 * MILLISECOND);

    let start = pair.network.now();
    pair.network.partition(&[address(1)], &[address(2), address(3)]);
    for side in [0, 1] {
        let (at, why) = pair.is_down(side).await;
        assert_eq!(why, "timed out");
        assert!((Duration::from_millis(2_250)..Duration::from_millis(2_800)).contains(&at.since(start)));
    }
    assert!(matches!(pair.nets[0].connect(&pair.nets[1].address()).await, Err(Error::Connect { .. })));
    pair.network.heal_all();
    pair.nets[0].connect(&pair.nets[1].address()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_blackout_of_the_model_does_the_same() {
    let at = MonoTime::from_millis;
    let model = PathModel {
        blackouts: vec![(at(1_000), at(2_500)), (at(10_000), at(20_000))],
        ..PathModel::default()
    };
    let mut pair = Pair::new(1, model).await;
    sleep(at(1_500).since(pair.network.now())).await;
    pair.say(0, 1);
    pair.hears(1, 1..2).await;
    let heard = pair.network.now();
    assert!((at(2_500)..at(2_800)).contains(&heard), "{heard:?}");
    let (down, _) = pair.is_down(1).await;
    assert!((at(12_250)..at(12_800)).contains(&down), "{down:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_rebound_is_followed() {
    let mut pair = Pair::new(1, PathModel { delay: 10 * MILLISECOND, ..PathModel::default() }).await;
    let outside: SocketAddr = "192.0.2.7:4000".parse().unwrap();
    pair.network.rebind(address(2), outside);
    pair.send(1, 500);
    assert_eq!(pair.chunks(400 * MILLISECOND).await, [], "nobody has told node 1 yet");
    assert_eq!(pair.network.strays().unroutable, 1);
    assert_eq!(pair.links[0].remote_address(), Some(outside));
    pair.send(2, 500);
    assert_eq!(pair.chunks(100 * MILLISECOND).await.len(), 1);
    pair.say(0, 1);
    pair.hears(1, 1..2).await;
    assert_eq!(pair.nets[1].address().addresses, [outside]);
    pair.nets[0].connect(&pair.nets[1].address()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_is_dialled_as_the_host_must_be_the_one_that_the_ticket_names_and_a_host() {
    let network = MemoryNet::start(1, &Handle::current());
    let (watcher, _inbox) = node(&network, 1).await;
    for (number, role) in [(2, Role::Host), (3, Role::Relay)] {
        let underlay = Underlay::Memory(network.clone());
        let config = NetConfig { underlay, ..NetConfig::new(Seed([number; 64]), role, address(number)) };
        let (net, _calls) = Net::open(config).await.unwrap();
        let good = Ticket {
            host: net.identity().key_id(),
            session: SessionId([1; 32]),
            endpoint: net.address().endpoint,
            addresses: net.address().addresses,
            direct: None,
            invitation: [0; 16],
        };
        let other = Ticket { host: KeyId([9; 32]), ..good.clone() };
        assert_eq!(watcher.dial_host(&good).await.is_ok(), role == Role::Host);
        let error = watcher.dial_host(&other).await.unwrap_err();
        assert!(matches!(&error, Error::Peer { why, .. } if why.contains("not the host")), "{error}");
    }
}
