use super::*;
use crate::net::{Net, NetConfig, Role};
use identity::Seed;
use iroh::endpoint::{PortmapperConfig, RelayMode, presets};
use iroh::{Endpoint, EndpointAddr};
use rustls::crypto::aws_lc_rs::kx_group;

const LINK: LinkId = LinkId(1);
const PATIENCE: Duration = Duration::from_secs(10);

async fn endpoint(group: &'static dyn rustls::crypto::SupportedKxGroup) -> Endpoint {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![group];
    let builder = Endpoint::builder(presets::Empty)
        .crypto_provider(Arc::new(provider))
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .alpns(vec![ALPN.to_vec()])
        .transport_config(endpoint::transport_config().unwrap())
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0");
    builder.unwrap().bind().await.unwrap()
}

/// Two ends of a connection: that of who dialled, and the other. Their endpoints live as long.
async fn ends() -> (iroh::endpoint::Connection, iroh::endpoint::Connection, [Endpoint; 2]) {
    ends_with(kx_group::X25519MLKEM768).await
}

async fn ends_with(
    group: &'static dyn rustls::crypto::SupportedKxGroup,
) -> (iroh::endpoint::Connection, iroh::endpoint::Connection, [Endpoint; 2]) {
    let [dialler, listener] = [endpoint(group).await, endpoint(group).await];
    let to = EndpointAddr::new(listener.id()).with_ip_addr(listener.bound_sockets()[0]);
    let accepting = async { listener.accept().await.unwrap().await.unwrap() };
    let (dialled, accepted) = tokio::join!(dialler.connect(to, ALPN), accepting);
    (dialled.unwrap(), accepted, [dialler, listener])
}

fn chunk(len: usize) -> Vec<u8> {
    let header = av_wire::ChunkHeader {
        stream_id: core_types::StreamId([7; 32]),
        epoch: core_types::Epoch(3),
        chunk_seq: core_types::ChunkSeq(1),
        codec: core_types::CodecId::Av1,
        layer: core_types::Layer::BASE,
        marks: core_types::Marks::NONE,
    };
    let mut chunk = header.to_bytes().unwrap().to_vec();
    chunk.resize(len, 9);
    chunk
}

async fn send(connection: &iroh::endpoint::Connection, bytes: &[u8]) -> iroh::endpoint::SendStream {
    let mut stream = connection.open_uni().await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

#[tokio::test]
async fn a_stream_without_an_end_is_not_waited_for_and_others_go_on() {
    let (dialled, parent, _endpoints) = ends().await;
    let (events, mut inbox) = mpsc::channel(8);
    QuicConnection(dialled).read_media(LINK, events);
    let mut endless = Vec::new();
    for _ in 0..OVERSIZE_STREAMS {
        endless.push(send(&parent, &[0; 1_000]).await);
    }
    let large = chunk(20_000);
    let mut whole = send(&parent, &[&20_000u32.to_be_bytes()[..], &large].concat()).await;
    whole.finish().unwrap();
    for stream in &endless {
        let stopped = timeout(PATIENCE, stream.stopped()).await.expect("it is given up");
        assert_eq!(stopped.unwrap(), Some(VarInt::from_u32(0)));
    }
    let event = timeout(PATIENCE, inbox.recv()).await.unwrap().unwrap();
    let LinkEvent::Chunks(LINK, chunks) = event else { panic!("{event:?}") };
    assert_eq!(chunks.len(), 1);
    assert_eq!(chunks[0].bytes(), &large[..]);
}

#[tokio::test]
async fn a_stream_that_is_no_chunks_costs_the_link() {
    let (dialled, parent, _endpoints) = ends().await;
    let (events, _inbox) = mpsc::channel(8);
    QuicConnection(dialled).read_media(LINK, events);
    let whole = chunk(2_000);
    let mut stream = send(&parent, &[&2_000u32.to_be_bytes()[..], &whole, &[0, 1]].concat()).await;
    stream.finish().unwrap();
    timeout(PATIENCE, parent.closed()).await.expect("bytes left over");
}

#[tokio::test]
async fn whoever_dialled_a_node_can_make_it_keep_no_more_than_its_window() {
    let (child, accepted, _endpoints) = ends().await;
    let (events, _inbox) = mpsc::channel(8);
    QuicConnection(accepted).read_media(LINK, events);
    let mut stream = child.open_uni().await.unwrap();
    let sent = timeout(Duration::from_secs(1), stream.write_all(&vec![0; MAX_OVERSIZE - 1])).await;
    assert!(sent.is_err(), "somebody reads it");
}

async fn net(seed: u8, max_links: usize) -> (Net, mpsc::Receiver<LinkEvent>) {
    let (events, inbox) = mpsc::channel(8);
    let any = "127.0.0.1:0".parse().unwrap();
    let config = NetConfig { max_links, ..NetConfig::new(Seed([seed; 64]), Role::Relay, any) };
    (Net::bind(config, events).await.unwrap(), inbox)
}

/// Waits until the node has refused so many links for want of room, and for a handshake that failed.
async fn refuses(net: &Net, limit: u64, handshake: u64) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while net.refused() != (limit, handshake) {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", net.refused());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_node_whose_places_are_taken_refuses_counts_and_still_dials() {
    let ((full, mut inbox), (child, _), (other, _other_inbox)) =
        (net(1, 1).await, net(2, 8).await, net(3, 8).await);
    let _link = child.connect(&full.address()).await.unwrap();
    let LinkEvent::Up(first) = timeout(PATIENCE, inbox.recv()).await.unwrap().unwrap() else { panic!() };
    assert!(other.connect(&full.address()).await.is_err());
    refuses(&full, 1, 0).await;
    // Its own host and parents are not out of its reach.
    full.connect(&other.address()).await.unwrap();

    let stranger = endpoint(kx_group::X25519MLKEM768).await;
    let address = full.address();
    let id = iroh::EndpointId::from_bytes(&address.endpoint).unwrap();
    let to = EndpointAddr::new(id).with_ip_addr(address.addresses[0]);
    let connection = stranger.connect(to, ALPN).await.unwrap();
    drop(first);
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    refuses(&full, 1, 1).await;
}

/// Both ends offer the classical group here, as after a mistake in the configuration: the connection stands, and is looked at.
#[tokio::test]
async fn what_was_negotiated_is_looked_at_after_the_handshake() {
    for (group, good) in [(kx_group::X25519MLKEM768, true), (kx_group::X25519, false)] {
        let (dialled, accepted, _endpoints) = ends_with(group).await;
        for end in [dialled, accepted] {
            let checked = endpoint::check_post_quantum(&end);
            assert_eq!(checked.is_ok(), good, "{checked:?}");
        }
    }
}
