//! Datagrams that nobody asked for.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::stage::{Noise, PAUSE, Relay, Stage, free_port};
use crate::viewer::{PATIENCE, memory, wait_until};
use holomesh::net::ALPN;
use holomesh::ticket::Ticket;
use iroh::endpoint::{PortmapperConfig, RelayMode, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, SecretKey};
use rustls::crypto::aws_lc_rs;
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// QUIC, version 1, with a long header: an Initial packet, whose connection ids follow.
const INITIAL: [u8; 5] = [0xc0, 0, 0, 0, 1];

/// Garbage of one of several forms: shapeless, like the packets of QUIC that cost a server most, and like those of a lane.
fn garbage(noise: &mut Noise, datagram: &mut [u8; 1_400]) -> usize {
    noise.fill(datagram);
    match noise.next() % 4 {
        0 => noise.next() as usize % datagram.len(),
        1 => {
            datagram[..5].copy_from_slice(&INITIAL);
            // Connection ids of 8 bytes, no token, and as much as is left.
            datagram[5] = 8;
            datagram[14] = 8;
            datagram[23] = 0;
            datagram[24..26].copy_from_slice(&(0x4000 | (1_200u16 - 26)).to_be_bytes());
            1_200
        }
        2 => {
            // A version that does not exist.
            datagram[0] |= 0xc0;
            datagram[5] = 8;
            1_200
        }
        _ => {
            // A packet of a connection, or of a lane, that does not exist.
            datagram[0] = 0x40 | (datagram[0] & 0x3f);
            1_100
        }
    }
}

/// At most so many to each, and for no longer than 3 s.
fn flood(targets: &[SocketAddr], datagrams: usize) -> usize {
    let sockets: Vec<UdpSocket> = (0..8).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let (mut noise, mut datagram) = (Noise(7), [0; 1_400]);
    let end = Instant::now() + Duration::from_secs(3);
    let mut sent = 0;
    while sent < datagrams && Instant::now() < end {
        for socket in &sockets {
            for _ in 0..16 {
                let len = garbage(&mut noise, &mut datagram);
                for target in targets {
                    let _ = socket.send_to(&datagram[..len], target);
                }
                sent += 1;
            }
        }
        // This end must not take the processor from the encoder: there may be only one for all.
        std::thread::sleep(Duration::from_millis(2));
    }
    sent
}

#[test]
fn a_flood_of_garbage_at_a_relays_ports_stops_no_picture_and_fills_no_memory() {
    const MOST: u64 = 32 << 20;
    let stage = Stage::new();
    let (_host, ticket) = stage.host(1, &[]);
    let (quic, lanes) = (free_port(), free_port());
    let (listen, udp_port) = (quic.to_string(), format!("udp_port={}", lanes.port()));
    let relay = Relay::start(&ticket, &["--listen", &listen, "--set", &udp_port]);
    let viewer = stage.viewer(&ticket);
    relay.serves(1);
    viewer.shows(10);
    let (at, before) = (Instant::now(), memory(&relay.node).0);
    let sent = flood(&[quic, lanes], 60_000);
    assert!(sent >= 5_000, "that was no flood: {sent}");
    viewer.shows(25);
    let pause = viewer.longest_pause(at);
    assert!(pause < PAUSE, "no picture for {pause:?}: {}", viewer.node.said());
    let most = memory(&relay.node).1;
    assert!(most < before + MOST, "{before} bytes before, {most} at most");
    // It is still there for others.
    let late = stage.viewer(&ticket);
    relay.serves(2);
    late.shows(10);
}

/// A proper dialler that never hears an answer: the first packets of its handshakes are caught here and sent to the host.
async fn half_open(ticket: &Ticket, handshakes: usize) {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    let provider = Arc::new(provider);
    let host = ticket.addresses[0];
    let catch = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let decoy = EndpointAddr::new(EndpointId::from_bytes(&ticket.endpoint).unwrap())
        .with_ip_addr(catch.local_addr().unwrap());
    let senders: Vec<UdpSocket> = (0..16).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut datagram = [0; 2_048];
    let deadline = Instant::now() + PATIENCE;
    while seen.values().filter(|caught| **caught == 2).count() < handshakes {
        assert!(Instant::now() < deadline, "{} handshakes", seen.len());
        let dialler = Endpoint::builder(presets::Empty)
            .crypto_provider(provider.clone())
            .secret_key(SecretKey::generate())
            .relay_mode(RelayMode::Disabled)
            .portmapper_config(PortmapperConfig::Disabled)
            .clear_ip_transports()
            .bind_addr("127.0.0.1:0")
            .unwrap()
            .bind()
            .await
            .unwrap();
        let dials: Vec<_> = (0..100)
            .map(|_| {
                let (dialler, decoy) = (dialler.clone(), decoy.clone());
                tokio::spawn(async move { dialler.connect(decoy, ALPN).await.is_ok() })
            })
            .collect();
        // A hello with a post-quantum key takes two packets. What comes later is sent again, or says that it is given up.
        while let Ok(Ok((len, _))) =
            tokio::time::timeout(Duration::from_millis(200), catch.recv_from(&mut datagram)).await
        {
            if datagram[0] & 0xf0 != INITIAL[0] || datagram[1..5] != INITIAL[1..] {
                continue;
            }
            let id = datagram[6..6 + usize::from(datagram[5])].to_vec();
            let at = seen.len() % senders.len();
            let caught = seen.entry(id).or_insert(0);
            *caught += 1;
            if *caught <= 2 {
                let _ = senders[at].send_to(&datagram[..len], host);
            }
        }
        dials.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_half_open_handshakes_keep_nobody_out_and_fill_no_memory() {
    const MOST: u64 = 64 << 20;
    let stage = Stage::new();
    let (host, ticket) = stage.host(1, &[]);
    let first = stage.viewer(&ticket);
    first.shows(10);
    let (at, before) = (Instant::now(), memory(&host).0);
    half_open(&ticket.parse().unwrap(), 1_000).await;
    let late = stage.viewer(&ticket);
    // Handshakes that are not ended are given up after 5 s; whoever waited for a thousand of them would wait for a minute.
    wait_until(|| host.said().matches("joined:").count() == 2, || host.said());
    late.shows(10);
    let pause = first.longest_pause(at);
    assert!(pause < PAUSE, "no picture for {pause:?}: {}", first.node.said());
    let most = memory(&host).1;
    assert!(most < before + MOST, "{before} bytes before, {most} at most");
}
