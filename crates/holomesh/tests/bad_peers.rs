//! Peers that are of another version, not post-quantum, uninvited or plain hostile: each is refused, and the host goes on.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use alm::delivery::Evidence;
use av_wire::SealedChunk;
use control_wire::Start;
use core_types::{Epoch, KeyId, StreamId, WallTime};
use holomesh::net::{ALPN, Control, LinkEvent, Net, NetConfig, PROTOCOL_VERSION, PeerAddress, Role};
use holomesh::{Clock, keyfile, ticket::Ticket};
use iroh::endpoint::{Connection, PortmapperConfig, RelayMode, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, SecretKey};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use support::{Node, asset, holomesh};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

fn host() -> (Node, Ticket) {
    let mut command = holomesh();
    command.arg("host").arg(asset("clip.ivf")).arg("--loop");
    let mut node = Node::spawn(&mut command);
    let ticket = node.first_line().parse().unwrap();
    (node, ticket)
}

/// The host is alive if it lets a proper watcher in and shows it pictures.
fn assert_still_serves(ticket: &Ticket) {
    let output = holomesh().args(["watch", &ticket.to_string(), "--seconds", "3"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("\n0 pictures shown"), "{said}");
}

async fn net() -> (Net, mpsc::Receiver<LinkEvent>) {
    let (events, inbox) = mpsc::channel(64);
    let config = NetConfig::new(keyfile::random_seed().unwrap(), Role::Watcher, ([127, 0, 0, 1], 0).into());
    (Net::bind(config, events).await.unwrap(), inbox)
}

/// A QUIC endpoint that is no node of ours.
async fn stranger(provider: CryptoProvider) -> Endpoint {
    Endpoint::builder(presets::Empty)
        .crypto_provider(Arc::new(provider))
        .secret_key(SecretKey::generate())
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .alpns(vec![ALPN.to_vec()])
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap()
        .bind()
        .await
        .unwrap()
}

fn post_quantum() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    provider
}

fn classical() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];
    provider
}

fn address(ticket: &Ticket) -> EndpointAddr {
    EndpointAddr::new(EndpointId::from_bytes(&ticket.endpoint).unwrap()).with_ip_addr(ticket.addresses[0])
}

async fn dial(endpoint: &Endpoint, ticket: &Ticket) -> Connection {
    timeout(PATIENCE, endpoint.connect(address(ticket), ALPN)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_peer_without_the_post_quantum_key_exchange_is_refused() {
    let (_host, ticket) = host();
    let dialler = stranger(classical()).await;
    let refused = timeout(PATIENCE, dialler.connect(address(&ticket), ALPN)).await.unwrap();
    assert!(refused.is_err(), "a classical peer was let in");

    assert_still_serves(&ticket);
}

#[tokio::test]
async fn a_classical_host_is_not_dialled_into_and_the_reason_is_given() {
    let listener = stranger(classical()).await;
    let to = PeerAddress {
        endpoint: *listener.id().as_bytes(),
        addresses: listener.bound_sockets(),
        direct: None,
    };
    let accepting = tokio::spawn(async move {
        while let Some(incoming) = listener.accept().await {
            let _ = incoming.await;
        }
    });
    let (node, _inbox) = net().await;
    let error = node.connect(&to).await.unwrap_err().to_string();
    assert!(error.contains("post-quantum"), "{error}");
    accepting.abort();
}

#[tokio::test]
async fn a_peer_of_another_version_is_told_so() {
    let listener = stranger(post_quantum()).await;
    let to = PeerAddress {
        endpoint: *listener.id().as_bytes(),
        addresses: listener.bound_sockets(),
        direct: None,
    };
    let accepting = tokio::spawn(async move {
        let connection = listener.accept().await.unwrap().await.unwrap();
        let (mut send, _recv) = connection.accept_bi().await.unwrap();
        send.write_all(b"HMSH").await.unwrap();
        send.write_all(&(PROTOCOL_VERSION + 1).to_be_bytes()).await.unwrap();
        connection.closed().await
    });
    let (node, _inbox) = net().await;
    let error = node.connect(&to).await.unwrap_err().to_string();
    for version in [PROTOCOL_VERSION, PROTOCOL_VERSION + 1] {
        assert!(error.contains(&format!("version {version}")), "{error}");
    }
    let seen = timeout(PATIENCE, accepting).await.unwrap().unwrap().to_string();
    assert!(seen.contains("version"), "the peer is told as well: {seen}");
}

#[tokio::test]
async fn uninvited_and_malformed_joins_are_refused_in_words() {
    let (_host, ticket) = host();
    let good = ticket.invitation;
    for (invitation, key_package, word) in [
        ([0; 16], vec![1, 2, 3], "invitation"),
        (good, vec![1, 2, 3], "key package"),
        (good, vec![0; 20_000], ""),
    ] {
        let (node, mut inbox) = net().await;
        let mut link = node.connect(&ticket.address()).await.unwrap();
        link.begin();
        link.send(&Control::Join { invitation, key_package });
        let answer = timeout(PATIENCE, inbox.recv()).await.unwrap().unwrap();
        let LinkEvent::Control(_, Control::Refused { why }) = answer else { panic!("{answer:?}") };
        assert!(why.contains(word), "{why}");
    }
    assert_still_serves(&ticket);
}

#[tokio::test]
async fn whoever_has_not_joined_gets_no_stream_and_feeds_none() {
    let (_host, ticket) = host();
    let (node, mut inbox) = net().await;
    let subscribe = Control::Subscribe {
        stream: [0; 32],
        layers: [255; 3],
        stripe_count: 1,
        stripe_mask: 1,
        start: Start::Live,
    };
    // It is sound, and the word of somebody who is no member.
    let now = UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let evidence = Evidence {
        observer: node.identity().key_id(),
        accused: KeyId([1; 32]),
        stream: StreamId([2; 32]),
        epoch: Epoch(1),
        claim_counter: 1,
        expected: 50,
        delivered: 0,
        from: WallTime(now - 1_000),
        until: WallTime(now),
    };
    let evidence = Control::Evidence { evidence: evidence.sign(node.identity()).unwrap() };
    for message in [subscribe, evidence] {
        let mut link = node.connect(&ticket.address()).await.unwrap();
        link.begin();
        link.send(&message);
        let why = loop {
            match timeout(PATIENCE, inbox.recv()).await.unwrap().unwrap() {
                LinkEvent::Control(id, Control::Refused { why }) if id == link.id => break why,
                _ => {}
            }
        };
        assert_eq!(why, "join or serve first");
    }

    let mut link = node.connect(&ticket.address()).await.unwrap();
    link.begin();
    let chunk = [1u8; 300];
    link.send_chunks(Clock::start().now(), SealedChunk::parse(&chunk).into_iter());
    let down = loop {
        match timeout(PATIENCE, inbox.recv()).await.unwrap().unwrap() {
            LinkEvent::Down(id, why) if id == link.id => break why,
            _ => {}
        }
    };
    assert!(!down.is_empty());
    assert_still_serves(&ticket);
}

#[tokio::test]
async fn garbage_on_every_channel_costs_the_sender_its_link_and_nobody_else_anything() {
    let (_host, ticket) = host();
    let endpoint = stranger(post_quantum()).await;
    for garbage in [
        &b""[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 4_000],
        b"HMSH\x00\x03\xff\xff\xff\xff",
        b"HMSH\x00\x03\x00\x00\x00\x02\x09\x09",
    ] {
        let connection = dial(&endpoint, &ticket).await;
        let (mut send, _recv) = connection.open_bi().await.unwrap();
        let _ = send.write_all(garbage).await;
        let _ = send.finish();
        for size in [0, 1, 51, 52, 69, 1_000] {
            let _ = connection.send_datagram(vec![0xee; size].into());
        }
        timeout(PATIENCE, connection.closed()).await.expect("the host closes the link");
    }
    assert_still_serves(&ticket);
}

#[tokio::test]
async fn who_does_not_say_who_it_is_in_time_loses_its_connection() {
    let (_host, ticket) = host();
    let endpoint = stranger(post_quantum()).await;
    // As much as a preamble and half of a hello, and then nothing; the streams stay open.
    let mut open = Vec::new();
    for said in [&b""[..], b"HM", b"HMSH\x00\x03", b"HMSH\x00\x03\x00\x00\x14\x00\x02"] {
        let connection = dial(&endpoint, &ticket).await;
        let (mut send, recv) = connection.open_bi().await.unwrap();
        send.write_all(said).await.unwrap();
        open.push((connection, send, recv));
    }
    for (connection, _send, _recv) in &open {
        // QUIC itself would give it 15 s.
        timeout(PATIENCE, connection.closed()).await.expect("the host closes the link");
    }
    assert_still_serves(&ticket);
}
