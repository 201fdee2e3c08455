use super::*;
use crate::net::{Inbox, LinkEvent, Net, NetConfig, Role};
use crate::service::status::Taken;
use av_wire::{ChunkHeader, StreamAnnounce};
use core_types::{ChunkSeq, Epoch, Layer, Marks, ObjectClass};
use identity::Seed;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);
const STREAM: StreamId = StreamId([7; 32]);

async fn node(seed: u8, role: Role) -> (Net, Inbox) {
    let any = "127.0.0.1:0".parse().unwrap();
    Net::open(NetConfig::new(Seed([seed; 64]), role, any)).await.unwrap()
}

/// A node's core, and what it is linked with: a parent that it dialled, and a child that dialled it.
struct Stage {
    core: RelayCore,
    net: Net,
    inbox: Inbox,
    parent: (Net, Inbox),
    child: (Net, Inbox),
}

impl Stage {
    async fn new() -> Self {
        let (net, inbox) = node(1, Role::Relay).await;
        let core = RelayCore::new(Clock::start(), inbox.lanes());
        let (parent, child) = (node(2, Role::Host).await, node(3, Role::Watcher).await);
        Self { core, net, inbox, parent, child }
    }

    /// Links up with the parent; our end of it is in the core, and the other is given.
    async fn dial_parent(&mut self) -> (LinkId, Link) {
        let link = self.net.connect(&self.parent.0.address()).await.unwrap();
        let id = link.id;
        self.core.add_link(link);
        (id, up(&mut self.parent.1).await)
    }

    /// The child links up; our end of it is in the core, and the other is given.
    async fn take_child(&mut self) -> (LinkId, Link) {
        let mut link = self.child.0.connect(&self.net.address()).await.unwrap();
        link.begin();
        let ours = up(&mut self.inbox).await;
        let id = ours.id;
        self.core.add_link(ours);
        (id, link)
    }

    /// What the child is told next.
    async fn told(&mut self) -> Control {
        loop {
            match timeout(PATIENCE, self.child.1.next()).await.unwrap().unwrap() {
                LinkEvent::Control(_, message) => return message,
                LinkEvent::Down(_, why) => panic!("{why}"),
                _ => {}
            }
        }
    }
}

async fn up(inbox: &mut Inbox) -> Link {
    match timeout(PATIENCE, inbox.next()).await.unwrap().unwrap() {
        LinkEvent::Up(link) => *link,
        other => panic!("{other:?}"),
    }
}

fn chunk(stream_id: StreamId, seq: u64) -> Vec<FreshChunk<Bytes>> {
    sized(stream_id, seq, 200)
}

fn sized(stream_id: StreamId, seq: u64, len: usize) -> Vec<FreshChunk<Bytes>> {
    let header = ChunkHeader {
        stream_id,
        epoch: Epoch(1),
        chunk_seq: ChunkSeq(seq),
        codec: CodecId::Av1,
        layer: Layer::BASE,
        marks: Marks::NONE,
    };
    let mut chunk = header.to_bytes().unwrap().to_vec();
    chunk.resize(len, 9);
    let inside = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
    vec![inside.take_whole(Bytes::from(chunk)).unwrap()]
}

#[tokio::test]
async fn links_that_are_for_nothing_are_closed_and_others_stay() {
    let mut stage = Stage::new().await;
    let (parent, _parent) = stage.dial_parent().await;
    let (child, _child) = stage.take_child().await;
    let start = stage.core.clock.now();
    let at = |core: &mut RelayCore, seconds| core.handle_timeout(start.plus(Duration::from_secs(seconds)));
    at(&mut stage.core, 1);
    at(&mut stage.core, 10);
    assert!(stage.core.link(child).is_some(), "it has a moment to say what it wants");
    stage.core.admit(child, false);
    at(&mut stage.core, 100);
    assert!(stage.core.link(child).is_some());
    // Its membership ends, and some seconds later its link.
    stage.core.retire(child);
    at(&mut stage.core, 101);
    at(&mut stage.core, 110);
    assert!(stage.core.link(child).is_some());
    at(&mut stage.core, 111);
    assert!(stage.core.link(child).is_none());
    assert!(stage.core.link(parent).is_some(), "whom we dialled is for what we dialled it for");
    let told = stage.told().await;
    let Control::Refused { why } = told else { panic!("{told:?}") };
    assert!(why.contains("closed after 10 s"), "{why}");
}

#[tokio::test]
async fn whoever_is_linked_for_nothing_is_not_waited_for() {
    let mut stage = Stage::new().await;
    let (parent, _parent) = stage.dial_parent().await;
    let (child, _child) = stage.take_child().await;
    stage.core.carry(STREAM, parent, Carriage::forever(CodecId::Av1)).unwrap();
    assert!(!stage.core.serves_anybody());
    stage.core.admit(child, false);
    assert!(!stage.core.serves_anybody());
    let all = Control::subscribe(STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, Start::Live);
    stage.core.handle_control(child, all);
    assert!(stage.core.serves_anybody());
    stage.core.remove_link(child);
    assert!(!stage.core.serves_anybody());
}

#[tokio::test]
async fn chunks_of_a_stream_that_has_just_ended_are_nobodys_fault() {
    let mut stage = Stage::new().await;
    let (parent, _parent) = stage.dial_parent().await;
    let until = stage.core.clock.now().plus(Duration::from_secs(1));
    let expiring = StreamId([8; 32]);
    stage.core.carry(STREAM, parent, Carriage::forever(CodecId::Av1)).unwrap();
    stage.core.carry(expiring, parent, Carriage { until, ..Carriage::forever(CodecId::Av1) }).unwrap();
    stage.core.remove_stream(STREAM);
    stage.core.handle_timeout(until);
    assert!(stage.core.codecs.is_empty(), "{:?}", stage.core.codecs);
    for stream in [STREAM, expiring] {
        stage.core.handle_chunks(parent, chunk(stream, 1));
        assert!(stage.core.link(parent).is_some());
    }
    stage.core.handle_chunks(parent, chunk(StreamId([9; 32]), 1));
    assert!(stage.core.link(parent).is_none(), "a stream that was never carried");
}

#[tokio::test]
async fn lanes_are_for_those_who_may_have_something_and_a_refused_one_leaves_the_former_alone() {
    let mut stage = Stage::new().await;
    let (child, link) = stage.take_child().await;
    let lanes = stage.child.1.lanes();
    let offer = lanes.offer(&link).unwrap();
    stage.core.handle_control(child, offer);
    let told = stage.told().await;
    assert!(matches!(&told, Control::LaneRefused { why, .. } if why.contains("permit first")), "{told:?}");

    stage.core.admit(child, false);
    let offer = lanes.offer(&link).unwrap();
    stage.core.handle_control(child, offer);
    let settled = async {
        while stage.core.link(child).unwrap().transport() != Transport::Udp {
            tokio::select! {
                event = stage.inbox.next() => match event.unwrap() {
                    LinkEvent::Lane(id, change) => stage.core.handle_lane(id, change),
                    other => panic!("{other:?}"),
                },
                event = stage.child.1.next() => match event.unwrap() {
                    LinkEvent::Control(_, answer) => lanes.handle_answer(Some(&link), &answer),
                    LinkEvent::Lane(_, LaneChange::Up) => {}
                    other => panic!("{other:?}"),
                },
            }
        }
    };
    timeout(PATIENCE, settled).await.unwrap();
    let unknown = Control::LaneOffer { lane: u64::MAX, addresses: Vec::new(), port: 9, suite: 99 };
    stage.core.handle_control(child, unknown);
    let told = stage.told().await;
    assert!(matches!(told, Control::LaneRefused { .. }), "{told:?}");
    assert_eq!(stage.core.link(child).unwrap().transport(), Transport::Udp);
}

#[tokio::test]
async fn a_link_over_which_nothing_goes_any_more_does_not_count_for_the_encoder() {
    let mut stage = Stage::new().await;
    let (parent, _parent) = stage.dial_parent().await;
    let (child, _child) = stage.take_child().await;
    stage.core.carry(STREAM, parent, Carriage::forever(CodecId::Av1)).unwrap();
    stage.core.admit(child, false);
    let all = Control::subscribe(STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, Start::Live);
    stage.core.handle_control(child, all);
    let start = stage.core.clock.now();
    let counted = |core: &mut RelayCore, millis| -> Vec<LinkId> {
        core.hops(start.plus(Duration::from_millis(millis))).into_iter().map(|(link, _)| link).collect()
    };
    assert_eq!(counted(&mut stage.core, 0), [], "it had nothing yet");
    stage.core.handle_chunks(parent, chunk(STREAM, 0));
    assert_eq!(counted(&mut stage.core, 100), [child]);
    assert_eq!(counted(&mut stage.core, 1_000), [child]);
    assert_eq!(counted(&mut stage.core, 1_100), []);
    stage.core.handle_chunks(parent, chunk(STREAM, 1));
    assert_eq!(counted(&mut stage.core, 1_200), [child]);
}

#[tokio::test]
async fn what_a_permit_says_of_rates_holds_beside_what_the_relay_sets_itself() {
    let sent = async |member: Option<u64>, own: Option<u64>| {
        let mut stage = Stage::new().await;
        let (parent, _parent) = stage.dial_parent().await;
        let (child, _child) = stage.take_child().await;
        stage.core.carry(STREAM, parent, Carriage::forever(CodecId::Av1)).unwrap();
        stage.core.set_permitted_uplink(own);
        stage.core.permit_within(child, Permission::ALL, member);
        let all = Control::subscribe(STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, Start::Live);
        stage.core.handle_control(child, all);
        (0..200).for_each(|seq| stage.core.handle_chunks(parent, sized(STREAM, seq, 1_000)));
        stage.core.relay.link_stats(child).unwrap().bytes_out
    };
    assert_eq!(sent(None, None).await, 200_000);
    // A quarter of a second of it at once, and one chunk of the largest size.
    let held = sent(Some(40_000), None).await;
    assert!((10_000..100_000).contains(&held), "{held}");
    // What one send with segmentation offload holds, and what waits until then.
    let held = sent(None, Some(40_000)).await;
    assert!((60_000..100_000).contains(&held), "{held}");
}

#[tokio::test]
async fn more_connections_than_one_turn_serves_are_all_served() {
    let mut stage = Stage::new().await;
    let (parent, _parent) = stage.dial_parent().await;
    stage.core.carry(STREAM, parent, Carriage::forever(CodecId::Av1)).unwrap();
    let mut children = Vec::new();
    for _ in 0..=QUIC_TURN {
        let child = stage.take_child().await;
        stage.core.admit(child.0, false);
        let all = Control::subscribe(STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, Start::Live);
        stage.core.handle_control(child.0, all);
        children.push(child);
    }
    stage.core.handle_chunks(parent, chunk(STREAM, 1));
    let served = |core: &RelayCore| {
        let counts = children.iter().map(|(id, _)| core.relay.link_stats(*id).unwrap().chunks_out);
        counts.sum::<u64>() as usize
    };
    assert_eq!(served(&stage.core), QUIC_TURN);
    stage.core.sends_more().await;
    assert_eq!(served(&stage.core), QUIC_TURN + 1);
}

/// A chunk that begins a whole object of that layer.
fn object(seq: u64, layer: Layer) -> Vec<FreshChunk<Bytes>> {
    let header = ChunkHeader {
        stream_id: STREAM,
        epoch: Epoch(1),
        chunk_seq: ChunkSeq(seq),
        codec: CodecId::Av1,
        layer,
        marks: Marks { class: ObjectClass::KeyFrame, start: true, ..Marks::NONE },
    };
    let mut chunk = header.to_bytes().unwrap().to_vec();
    chunk.resize(200, 9);
    let inside = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
    vec![inside.take_whole(Bytes::from(chunk)).unwrap()]
}

#[tokio::test]
async fn a_snapshot_tells_which_layers_there_are_and_which_are_taken() {
    let mut stage = Stage::new().await;
    let (parent, _parent) = stage.dial_parent().await;
    let (child, _child) = stage.take_child().await;
    stage.core.carry(STREAM, parent, Carriage::forever(CodecId::Av1)).unwrap();
    stage.core.admit(child, false);
    let now = stage.core.clock.now();
    let bare = stage.core.snapshot(now);
    assert_eq!((bare.streams[0].layers.as_str(), bare.streams[0].description.as_str()), ("", ""));
    let top = Layer { spatial: 2, temporal: 2, quality: 0 };
    let announce = crate::publish::announce(crate::publish::StreamKind::Video, KeyId([1; 32]), 1);
    stage.core.announced(STREAM, &StreamAnnounce { layers: top, ..announce.clone() });
    let cap = LayerPolicy { max_spatial: 1, max_temporal: 255, max_quality: 255 };
    stage.core.handle_control(child, Control::subscribe(STREAM, cap, StripeSet::ALL, Start::Live));
    for (seq, spatial) in (0..3).enumerate() {
        stage.core.handle_chunks(parent, object(seq as u64, Layer { spatial, ..Layer::BASE }));
    }
    let now = stage.core.clock.now();
    let snapshot = stage.core.snapshot(now);
    assert_eq!(snapshot.streams[0].layers, "L3T3");
    let taken = Taken { layers: "L2T1".into(), subscribers: 1 };
    assert_eq!(snapshot.streams[0].taken, [taken]);
    let takes =
        |id: LinkId| snapshot.links.iter().find(|link| link.id == id.0).map(|link| link.takes.as_str());
    assert_eq!((takes(child), takes(parent)), (Some("L2T1"), Some("")));

    // The same stream as one of four descriptions.
    let described = StreamAnnounce { codec: CodecId::Mdc, label: "camera/1/0".into(), ..announce };
    stage.core.announced(STREAM, &described);
    let now = stage.core.clock.now();
    let snapshot = stage.core.snapshot(now);
    assert_eq!(snapshot.streams[0].description, "3 of 4");
    assert!(snapshot.links.iter().any(|link| link.takes == "1 of 4"), "{:?}", snapshot.links);
    stage.core.remove_stream(STREAM);
    assert!(stage.core.announced.is_empty());
}
