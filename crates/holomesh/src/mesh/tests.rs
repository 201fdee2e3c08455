//! What is said of nodes, and whom that makes others ask.

use super::*;
use identity::Seed;
use std::collections::BTreeSet;

const SESSION: SessionId = SessionId([3; 32]);
const STREAM: StreamId = StreamId([9; 32]);

fn someone(number: u8) -> Identity {
    Identity::from_seed(&Seed([number; 64])).expect("a key")
}

fn permit(host: &Identity, holder: &Identity, kind: Kind) -> Vec<u8> {
    let WallTime(wall) = wall_now();
    let permit = av_wire::permit::Permit {
        session: SESSION,
        issuer: host.key_id(),
        holder: holder.key_id(),
        role: kind.role(),
        serial: 1,
        not_before: WallTime(wall - 1_000),
        not_after: WallTime(wall + 600_000),
        streams: av_wire::permit::PermitStreams::All,
        max_bytes_per_second: 0,
        max_subscribers: 0,
    };
    permit.sign(host).expect("a permit")
}

/// Somebody who is linked with the host.
struct Node {
    identity: Identity,
    kind: Kind,
    permit: Vec<u8>,
    mesh: Mesh,
}

impl Node {
    fn key(&self) -> KeyId {
        self.identity.key_id()
    }

    fn feeders(&self) -> Vec<Feeder> {
        let wanted = Wanted { stream: STREAM, rate: BitRate::from_kbit(1_000), parents: 1, spares: 2 };
        self.mesh.feeders(&wanted, |_| Measured::NOTHING)
    }
}

/// A host, and those with whom it passes on what they say: each over the link of its number.
struct Stage {
    host: Identity,
    mesh: Mesh,
    nodes: Vec<Node>,
    now: MonoTime,
}

impl Stage {
    fn new() -> Self {
        let host = someone(1);
        let mesh = Mesh::with_seed(SESSION, host.key_id(), host.public().clone(), 1);
        Self { host, mesh, nodes: Vec::new(), now: MonoTime(0) }
    }

    fn add(&mut self, kind: Kind) -> usize {
        let at = self.nodes.len();
        let identity = someone(at as u8 + 2);
        let permit = permit(&self.host, &identity, kind);
        let mut mesh =
            Mesh::with_seed(SESSION, identity.key_id(), self.host.public().clone(), at as u64 + 100);
        mesh.add_link(self.now, LinkId(0));
        self.nodes.push(Node { identity, kind, permit, mesh });
        self.mesh.add_link(self.now, LinkId(at as u64));
        self.pass_on();
        at
    }

    /// One says what it has to offer: 4 Mbit/s, of which so much is in use. Who carries more has said so later, in a newer epoch.
    fn offers(&mut self, at: usize, used: u64, way: Vec<KeyId>) {
        let node = &mut self.nodes[at];
        let address = PeerAddress { endpoint: [at as u8; 32], ..address(&[&format!("10.0.{at}.1:7")]) };
        let offer = Offer {
            kind: node.kind,
            address,
            uplink: BitRate::from_kbit(4_000),
            subscribers: 64,
            load: Load { streams: 1, subscribers: 1, used: BitRate(used) },
            way,
        };
        node.mesh.offer(self.now, &node.identity, offer, &node.permit, Epoch(1 + used));
        self.pass_on();
    }

    fn pass_on(&mut self) {
        loop {
            let mut is_quiet = true;
            for (at, node) in self.nodes.iter_mut().enumerate() {
                while let Some((_, Control::Gossip { entries })) = node.mesh.poll_message() {
                    is_quiet = false;
                    assert_eq!(self.mesh.handle(self.now, LinkId(at as u64), &entries), Ok(()));
                }
            }
            while let Some((link, Control::Gossip { entries })) = self.mesh.poll_message() {
                is_quiet = false;
                let node = &mut self.nodes[link.0 as usize];
                assert_eq!(node.mesh.handle(self.now, LinkId(0), &entries), Ok(()));
            }
            if is_quiet {
                return;
            }
        }
    }

    fn wait(&mut self) {
        self.now = self.now.plus(Duration::from_secs(3));
    }
}

fn many(stage: &mut Stage, watchers: usize) -> Vec<usize> {
    (0..watchers).map(|_| stage.add(Kind::Watcher)).collect()
}

/// Four relays with room for four each, which say what they carry.
#[test]
fn joiners_spread_over_relays_by_what_these_carry() {
    let mut stage = Stage::new();
    let host = stage.host.key_id();
    let relays: Vec<usize> = (0..4).map(|_| stage.add(Kind::Relay)).collect();
    let mut carried = [0_u64; 4];
    for _ in 0..14 {
        stage.wait();
        for relay in &relays {
            stage.offers(*relay, carried[*relay] * 1_000_000, vec![host]);
        }
        let joiner = stage.add(Kind::Watcher);
        let feeders = stage.nodes[joiner].feeders();
        let chosen =
            relays.iter().find(|relay| stage.nodes[**relay].key() == feeders[0].key).expect("a relay");
        carried[*chosen] += 1;
    }
    assert!(carried.iter().all(|n| (2..=4).contains(n)), "{carried:?}");
}

/// Whatever they know of load is old by then: what spreads them is that each has a lot of his own.
#[test]
fn joiners_who_come_at_once_do_not_all_ask_the_same_relay() {
    let mut stage = Stage::new();
    let host = stage.host.key_id();
    let relays: Vec<usize> = (0..4).map(|_| stage.add(Kind::Relay)).collect();
    for relay in &relays {
        stage.offers(*relay, 0, vec![host]);
    }
    let joiners = many(&mut stage, 16);
    let mut asked = [0; 4];
    for joiner in joiners {
        let first = stage.nodes[joiner].feeders()[0].key;
        asked[relays.iter().position(|relay| stage.nodes[*relay].key() == first).expect("a relay")] += 1;
    }
    assert!(asked.iter().all(|n| (1..=8).contains(n)), "{asked:?}");
}

#[test]
fn relays_that_the_host_names_are_asked_by_the_room_that_they_say_they_have() {
    let mut stage = Stage::new();
    let host = stage.host.key_id();
    let relays: Vec<usize> = (0..3).map(|_| stage.add(Kind::Relay)).collect();
    for (relay, used) in relays.iter().zip([9_000_000, 5_000_000, 1_000_000]) {
        stage.offers(*relay, used, vec![host]);
    }
    // A watcher whose card has the endpoint of another relay says nothing for that.
    let liar = stage.add(Kind::Watcher);
    stage.offers(liar, 0, vec![host]);
    let order = |stage: &Stage, joiner: usize| {
        let named = |n: u8| PeerAddress { endpoint: [n; 32], ..address(&["10.9.9.9:7"]) };
        let mut named: Vec<PeerAddress> = (0..12).map(named).collect();
        let joiner = &stage.nodes[joiner];
        joiner.mesh.sort_relays(&mut named, &joiner.feeders());
        named.iter().map(|relay| relay.endpoint[0]).collect::<Vec<u8>>()
    };
    let orders: Vec<Vec<u8>> = many(&mut stage, 6).iter().map(|at| order(&stage, *at)).collect();
    for order in &orders {
        assert_eq!((order[0], &order[10..]), (2, &[1, 0][..]), "{order:?}");
    }
    // Of those who say nothing everybody begins with another one.
    let first: BTreeSet<u8> = orders.iter().map(|order| order[1]).collect();
    assert!(first.len() > 2, "{orders:?}");
}

#[test]
fn who_is_nearer_to_the_publisher_comes_first_and_who_says_that_we_feed_it_not_at_all() {
    let mut stage = Stage::new();
    let host = stage.host.key_id();
    let [relay, near, far, liar] =
        [Kind::Relay, Kind::Watcher, Kind::Watcher, Kind::Watcher].map(|kind| stage.add(kind));
    let key = |stage: &Stage, at: usize| stage.nodes[at].key();
    let (relay_key, near_key) = (key(&stage, relay), key(&stage, near));
    stage.offers(near, 0, vec![relay_key, host]);
    stage.offers(far, 0, vec![near_key, relay_key, host]);
    stage.offers(liar, 0, vec![host]);
    let me = stage.add(Kind::Watcher);
    let asked = |stage: &Stage| stage.nodes[me].feeders().iter().map(|feeder| feeder.key).collect::<Vec<_>>();
    let order = asked(&stage);
    // Who says that the host itself feeds it comes no sooner than who is behind a relay.
    assert_eq!(order.len(), 3);
    assert_eq!(order[2], key(&stage, far));
    let firsts: BTreeSet<KeyId> =
        many(&mut stage, 12).iter().map(|at| stage.nodes[*at].feeders()[0].key).collect();
    assert_eq!(firsts, BTreeSet::from([near_key, key(&stage, liar)]));

    stage.now = stage.now.plus(Duration::from_secs(6));
    let my_key = key(&stage, me);
    stage.offers(far, 0, vec![my_key, relay_key, host]);
    assert!(!asked(&stage).contains(&key(&stage, far)), "it would have it from us");

    // What we say in turn.
    let mesh = &stage.nodes[me].mesh;
    assert_eq!(mesh.way_by(host, Role::Host), [host]);
    assert_eq!(mesh.way_by(relay_key, Role::Relay), [relay_key, host]);
    assert_eq!(mesh.way_by(near_key, Role::Watcher), [near_key, relay_key, host]);
    assert_eq!(mesh.way_by(key(&stage, far), Role::Watcher), [], "it leads back here");
    assert_eq!(mesh.way_by(KeyId([1; 32]), Role::Watcher), [], "nobody knows");
}

#[test]
fn who_has_no_place_for_us_is_not_asked_until_it_may_have_one() {
    let mut stage = Stage::new();
    let host = stage.host.key_id();
    let relay = stage.add(Kind::Relay);
    stage.offers(relay, 0, vec![host]);
    let me = stage.add(Kind::Watcher);
    let wanted = Wanted { stream: STREAM, rate: BitRate::from_kbit(1_000), parents: 1, spares: 2 };
    let asked =
        |full| stage.nodes[me].mesh.feeders(&wanted, |_| Measured { full, ..Measured::NOTHING }).len();
    assert_eq!((asked(false), asked(true)), (1, 0));
}

fn address(addresses: &[&str]) -> PeerAddress {
    let addresses = addresses.iter().map(|a| a.parse().expect("an address")).collect();
    PeerAddress { endpoint: [1; 32], addresses, direct: None }
}

#[test]
fn a_card_names_what_others_can_dial_and_each_once() {
    let many: Vec<String> = (1..20).map(|n| format!("10.0.0.{n}:7")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(on_a_card(&address(&many)).addresses.len(), MAX_ADDRESSES);
    let odd = address(&["0.0.0.0:5", "[::]:5", "10.0.0.1:0", "10.0.0.2:5", "10.0.0.2:5"]);
    assert_eq!(on_a_card(&odd), address(&["10.0.0.2:5"]));
}

#[test]
fn neighbours_are_of_one_network() {
    let of = |a| network(&address(&[a]));
    assert_eq!(of("10.0.0.1:5"), of("10.0.0.200:9"));
    assert_ne!(of("10.0.0.1:5"), of("10.0.1.1:5"));
    assert_eq!(of("[2001:db8:1::1]:5"), of("[2001:db8:1:9::1]:5"));
    assert_ne!(of("[2001:db8:1::1]:5"), of("[2001:db8:2::1]:5"));
    assert_ne!(of("0.0.0.1:5"), of("[::1]:5"));
}

#[test]
fn what_a_node_says_of_itself_is_said_anew_before_it_is_over_and_no_more_often() {
    let host = Identity::from_seed(&Seed([1; 64])).expect("a key");
    let peer = Identity::from_seed(&Seed([2; 64])).expect("a key");
    let session = SESSION;
    let permit = permit(&host, &peer, Kind::Watcher);
    let mut mesh = Mesh::new(session, peer.key_id(), host.public().clone()).expect("a seed");
    let offer = Offer {
        kind: Kind::Watcher,
        address: address(&["10.0.0.2:5"]),
        uplink: BitRate::from_kbit(5_000),
        subscribers: 8,
        load: Load::default(),
        way: Vec::new(),
    };
    let mut other = Mesh::new(session, host.key_id(), host.public().clone()).expect("a seed");
    let link = LinkId(1);
    mesh.add_link(MonoTime(0), link);
    other.add_link(MonoTime(0), link);
    mesh.offer(MonoTime(0), &peer, offer.clone(), &permit, Epoch(2));
    let Some((to, Control::Gossip { entries })) = mesh.poll_message() else { panic!("nothing is said") };
    assert_eq!((to, entries.len()), (link, 2));
    assert_eq!(other.handle(MonoTime(0), link, &entries), Ok(()));
    let wanted = Wanted { stream: StreamId([9; 32]), rate: BitRate::from_kbit(1_000), parents: 4, spares: 2 };
    let feeders = other.feeders(&wanted, |_| Measured::NOTHING);
    let feeder = Feeder { key: peer.key_id(), kind: Kind::Watcher, address: offer.address.clone() };
    assert_eq!(feeders, [feeder]);
    let knows = |endpoint, kind| other.knows_as(peer.key_id(), endpoint, kind);
    assert!(knows([1; 32], Kind::Watcher) && !knows([2; 32], Kind::Watcher) && !knows([1; 32], Kind::Relay));

    // The same once more is nothing new, and a claim is renewed after 25 s.
    let last = offer.clone();
    mesh.offer(MonoTime::from_millis(20_000), &peer, offer, &permit, Epoch(2));
    mesh.renew(MonoTime::from_millis(24_999), &peer, Epoch(3));
    assert_eq!(mesh.poll_message(), None);
    mesh.renew(MonoTime::from_millis(25_000), &peer, Epoch(3));
    let Some((_, Control::Gossip { entries })) = mesh.poll_message() else { panic!("it is not renewed") };
    assert_eq!(entries.len(), 1, "the claim alone");
    assert_eq!(other.handle(MonoTime::from_millis(25_000), link, &entries), Ok(()));
    // What it can carry is said anew, and its card is not.
    let less = Offer { uplink: BitRate::from_kbit(500), ..last };
    mesh.offer(MonoTime::from_millis(28_000), &peer, less, &permit, Epoch(3));
    let Some((_, Control::Gossip { entries })) = mesh.poll_message() else { panic!("it is not said") };
    assert_eq!(entries.len(), 1);
    assert_eq!(other.handle(MonoTime::from_millis(28_000), link, &entries), Ok(()));
    let uplink = other.claim_of(peer.key_id()).expect("a claim").uplink;
    assert_eq!((uplink, other.advertisers()), (BitRate::from_kbit(500), 1));
    // Who is not believed is not asked.
    let liar = Measured { trust: 0, ..Measured::NOTHING };
    assert_eq!(other.feeders(&wanted, |_| liar), []);
    other.expel(MonoTime::from_millis(28_000), peer.key_id());
    assert_eq!(other.feeders(&wanted, |_| Measured::NOTHING), []);
}
