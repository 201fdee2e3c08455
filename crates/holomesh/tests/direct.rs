//! Links over UDP alone, on real sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use av_link::{Initiator, Seed as LinkSeed};
use av_wire::{ChunkHeader, SealedChunk};
use core_types::{ChunkSeq, CodecId, Epoch, KeyId, Layer, Marks, MonoTime, StreamId};
use holomesh::keyfile::random_seed;
use holomesh::net::{
    Control, DirectPort, Inbox, Link, LinkEvent, Net, NetConfig, PeerAddress, Role, Transport,
};
use holomesh::ticket::Ticket;
use identity::Identity;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Node, asset, holomesh};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

async fn node(role: Role) -> (Net, Inbox) {
    let config = NetConfig { direct: true, ..NetConfig::new(random_seed().unwrap(), role, loopback()) };
    Net::open(config).await.unwrap()
}

async fn next(inbox: &mut Inbox) -> LinkEvent {
    timeout(PATIENCE, inbox.next()).await.unwrap().unwrap()
}

/// The next link that somebody has dialled.
async fn up(inbox: &mut Inbox) -> Link {
    loop {
        if let LinkEvent::Up(mut link) = next(inbox).await {
            link.begin();
            return *link;
        }
    }
}

/// Dials, while somebody serves the peer's sockets: the dialler's link, and the peer's.
async fn meet(child: &Net, to: &PeerAddress, at_parent: &mut Inbox) -> (Link, Link) {
    let mut taken = None;
    let mut dial = std::pin::pin!(child.connect(to));
    let dialled = loop {
        tokio::select! {
            dialled = &mut dial => break dialled.unwrap(),
            event = next(at_parent) => if let LinkEvent::Up(mut link) = event {
                link.begin();
                taken = Some(*link);
            }
        }
    };
    match taken {
        Some(taken) => (dialled, taken),
        None => (dialled, up(at_parent).await),
    }
}

/// The next control message.
async fn said(inbox: &mut Inbox) -> Control {
    loop {
        match next(inbox).await {
            LinkEvent::Control(_, message) => return message,
            LinkEvent::Down(_, why) => panic!("{why}"),
            _ => {}
        }
    }
}

/// A parent and a child with a direct link between them: each end's link, and what its node hears.
async fn pair() -> ((Net, Inbox, Link), (Net, Inbox, Link)) {
    let ((parent, mut at_parent), (child, at_child)) = (node(Role::Relay).await, node(Role::Watcher).await);
    let to = parent.address();
    let (mut dialled, taken) = meet(&child, &to, &mut at_parent).await;
    dialled.begin();
    ((parent, at_parent, taken), (child, at_child, dialled))
}

fn chunk(seq: u64, len: usize) -> Vec<u8> {
    let header = ChunkHeader {
        stream_id: StreamId([7; 32]),
        epoch: Epoch(3),
        chunk_seq: ChunkSeq(seq),
        codec: CodecId::Av1,
        layer: Layer::BASE,
        marks: Marks::NONE,
    };
    let mut chunk = header.to_bytes().unwrap().to_vec();
    chunk.extend((0..len).map(|at| (seq as usize * 31 + at) as u8));
    chunk
}

fn welcome(len: usize) -> Control {
    let welcome = (0..len).map(|at| (at / 3) as u8).collect();
    Control::Welcome { welcome, tree: None, session: [1; 32], announces: Vec::new() }
}

#[tokio::test]
async fn two_nodes_know_each_other_and_speak_without_quic() {
    let ((parent, mut at_parent, taken), (child, mut at_child, dialled)) = pair().await;
    assert!(taken.is_direct() && dialled.is_direct());
    assert_eq!((taken.transport(), dialled.transport()), (Transport::Udp, Transport::Udp));
    assert_eq!((taken.peer.key_id(), taken.peer.role), (child.identity().key_id(), Role::Watcher));
    assert_eq!((dialled.peer.key_id(), dialled.peer.role), (parent.identity().key_id(), Role::Relay));
    assert_eq!(taken.transport_key(), child.address().endpoint);
    assert_eq!((taken.is_dialled(), dialled.is_dialled()), (false, true));

    // As large as messages may be, and many small ones, in order.
    taken.send(&welcome(3 << 20));
    for epoch in 0..500 {
        taken.send(&Control::EpochReady { epoch });
        dialled.send(&Control::EpochReady { epoch: epoch + 1_000 });
    }
    let down = async {
        assert!(said(&mut at_child).await == welcome(3 << 20));
        for epoch in 0..500 {
            assert_eq!(said(&mut at_child).await, Control::EpochReady { epoch });
        }
    };
    let up = async {
        for epoch in 1_000..1_500u64 {
            assert_eq!(said(&mut at_parent).await, Control::EpochReady { epoch });
        }
        // Somebody has to serve the parent's socket for as long as the child is not done.
        loop {
            next(&mut at_parent).await;
        }
    };
    // Nothing else comes to the parent: its wait ends with the child's.
    let up = timeout(PATIENCE, up);
    tokio::select! {
        () = down => {}
        _ = up => panic!("the child does not get what was said"),
    }
}

#[tokio::test]
async fn media_go_over_the_lane_and_large_chunks_over_its_stream() {
    let ((_parent, mut at_parent, mut taken), (_child, mut at_child, _dialled)) = pair().await;
    let chunks: Vec<Vec<u8>> =
        [(0, 1_000), (1, 1_000), (2, 3_000), (3, 40)].into_iter().map(|(seq, len)| chunk(seq, len)).collect();
    let clock = Instant::now();
    let mut heard: Vec<Vec<u8>> = Vec::new();
    let mut is_sent = false;
    while heard.len() < chunks.len() {
        let now = MonoTime::from_millis(clock.elapsed().as_millis() as u64 + 100);
        if !is_sent && taken.budget(now) > 10_000 {
            taken.send_chunks(now, chunks.iter().map(|chunk| SealedChunk::parse(chunk).unwrap()));
            is_sent = true;
        }
        assert!(clock.elapsed() < PATIENCE);
        tokio::select! {
            event = at_child.next() => if let Some(LinkEvent::Chunks(_, chunks)) = event {
                heard.extend(chunks.iter().map(|chunk| chunk.bytes().to_vec()));
            },
            _ = at_parent.next() => {}
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    heard.sort_unstable();
    let mut expected = chunks;
    expected.sort_unstable();
    assert!(heard == expected);
    let (base, lane) = taken.sent();
    assert_eq!((base.datagrams, lane.datagrams), (0, 4), "the lane is the link");
}

#[tokio::test]
async fn a_close_says_that_it_is_one_and_a_refusal_why() {
    let ((_parent, mut at_parent, taken), (_child, mut at_child, dialled)) = pair().await;
    taken.refuse("not today");
    let serves = async {
        loop {
            if let LinkEvent::Down(_, why) = next(&mut at_parent).await {
                return why;
            }
        }
    };
    let child = async {
        assert_eq!(said(&mut at_child).await, Control::Refused { why: "not today".into() });
        let id = dialled.id;
        dialled.close("heard");
        loop {
            if let LinkEvent::Down(of, why) = next(&mut at_child).await {
                assert_eq!((of, why.as_str()), (id, "heard"));
                return;
            }
        }
    };
    let child = async {
        child.await;
        std::future::pending::<()>().await
    };
    tokio::select! {
        why = serves => assert_eq!(why, "closed by the peer"),
        () = child => {}
    }
}

#[tokio::test]
async fn who_answers_must_be_who_was_called() {
    let (parent, mut at_parent) = node(Role::Relay).await;
    let (child, _at_child) = node(Role::Watcher).await;
    let mut to = parent.address();
    to.direct = to.direct.map(|direct| DirectPort { key_id: [9; 32], ..direct });
    let (outcome, ()) = tokio::join!(child.connect(&to), async {
        // Nobody gets as far as a link.
        let up = timeout(Duration::from_millis(1_500), up(&mut at_parent)).await;
        assert!(up.is_err());
    });
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("no direct link"), "no other way is tried: {error}");
}

#[tokio::test]
async fn where_the_direct_port_is_closed_quic_is_the_way() {
    let (parent, mut at_parent) = node(Role::Relay).await;
    let (child, _at_child) = node(Role::Watcher).await;
    let closed = UdpSocket::bind(loopback()).unwrap().local_addr().unwrap().port();
    let mut to = parent.address();
    to.direct = to.direct.map(|direct| DirectPort { port: closed, ..direct });
    let began = Instant::now();
    let (dialled, taken) = meet(&child, &to, &mut at_parent).await;
    assert_eq!((dialled.transport(), taken.transport()), (Transport::Quic, Transport::Quic));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // And with a peer that takes none, at once.
    let to = PeerAddress { direct: None, ..parent.address() };
    let (dialled, _) = meet(&child, &to, &mut at_parent).await;
    assert_eq!(dialled.transport(), Transport::Quic);
}

#[tokio::test]
async fn signs_of_life_are_nothing_to_the_node_and_nothing_wrong() {
    let ((_parent, mut at_parent, taken), (_child, mut at_child, dialled)) = pair().await;
    for end in [&taken, &dialled] {
        for message in [Control::Ping, Control::Ping, Control::Pong, Control::EpochReady { epoch: 1 }] {
            end.send(&message);
        }
    }
    let heard = tokio::join!(said(&mut at_parent), said(&mut at_child));
    assert_eq!(heard, (Control::EpochReady { epoch: 1 }, Control::EpochReady { epoch: 1 }));
}

#[tokio::test]
async fn a_peer_that_vanishes_without_a_word_is_gone_within_five_seconds() {
    let ((_parent, mut at_parent, taken), (_child, at_child, dialled)) = pair().await;
    // The child lives on, and nobody serves it: as if its machine had lost its power.
    let began = Instant::now();
    let why = loop {
        if let LinkEvent::Down(id, why) = next(&mut at_parent).await {
            assert_eq!(id, taken.id);
            break why;
        }
    };
    let took = began.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(5)).contains(&took), "{took:?}");
    assert!(why.contains("not heard"), "{why}");
    drop((at_child, dialled));
}

#[tokio::test]
async fn garbage_at_the_port_disturbs_nobody() {
    let ((parent, mut at_parent, taken), (child, mut at_child, dialled)) = pair().await;
    let to = SocketAddr::new([127, 0, 0, 1].into(), parent.address().direct.unwrap().port);
    let flooding = std::thread::spawn(move || {
        let socket = UdpSocket::bind(loopback()).unwrap();
        // For longer than a peer may be silent: with all of its reports lost it would be gone by the end.
        let (began, mut round) = (Instant::now(), 0u32);
        while began.elapsed() < Duration::from_secs(5) {
            round += 1;
            let mut datagram = vec![round as u8; 40 + (round % 1_100) as usize];
            match round % 4 {
                0 => datagram[..4].copy_from_slice(b"HMLK"),
                1 => datagram[..2].copy_from_slice(&[0x8d, (round / 4 % 8) as u8]),
                2 => datagram[0] = 0x80,
                _ => {}
            }
            let _ = socket.send_to(&datagram, to);
        }
    });
    let talk = async {
        for epoch in 0..100 {
            taken.send(&Control::EpochReady { epoch });
            assert_eq!(said(&mut at_child).await, Control::EpochReady { epoch });
        }
        let mut has_said = false;
        loop {
            // The child goes on being served: what it says last may meet a buffer that is still full, and is said again.
            let _ = timeout(Duration::from_millis(10), at_child.next()).await;
            if !has_said && flooding.is_finished() {
                dialled.send(&Control::End);
                has_said = true;
            }
        }
    };
    tokio::select! {
        message = said(&mut at_parent) => assert_eq!(message, Control::End),
        () = talk => {}
    }
    // And whoever is honest still gets in.
    let (second, _inbox) = node(Role::Watcher).await;
    let to = parent.address();
    let (dialled, taken) = meet(&second, &to, &mut at_parent).await;
    assert!(dialled.is_direct() && taken.is_direct());
    drop(child);
}

#[tokio::test]
async fn a_thousand_handshakes_that_are_never_ended_keep_nobody_out() {
    let (parent, mut at_parent) = node(Role::Relay).await;
    let to = SocketAddr::new([127, 0, 0, 1].into(), parent.address().direct.unwrap().port);
    let key = parent.identity().key_id();
    let flooding = std::thread::spawn(move || half_open(1_000, to, key));
    // The node goes on serving.
    while !flooding.is_finished() {
        let _ = timeout(Duration::from_millis(10), at_parent.next()).await;
    }
    let answered = flooding.join().unwrap();
    assert!(answered >= 900, "they were begun: {answered}");
    let (child, _inbox) = node(Role::Watcher).await;
    let began = Instant::now();
    let to = parent.address();
    let (dialled, taken) = meet(&child, &to, &mut at_parent).await;
    assert!(dialled.is_direct() && taken.is_direct());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

/// Handshakes from as many addresses that go as far as the offer; how many got a cookie.
fn half_open(count: u16, to: SocketAddr, key: KeyId) -> usize {
    let identity = Arc::new(Identity::from_seed(&random_seed().unwrap()).unwrap());
    let mut answered = 0;
    let mut bytes = [0; 2_000];
    let numbers: Vec<u16> = (0..count).collect();
    for batch in numbers.chunks(100) {
        let mut calls: Vec<(UdpSocket, Initiator)> = Vec::new();
        for number in batch {
            let [high, low] = number.to_be_bytes();
            let socket = UdpSocket::bind(SocketAddr::from(([127, 1, high, low], 0))).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let mut seed = LinkSeed([0; 32]);
            seed.0[..2].copy_from_slice(&[high, low]);
            calls.push((socket, Initiator::new(MonoTime(0), identity.clone(), key, &seed).unwrap()));
        }
        let send = |socket: &UdpSocket, call: &mut Initiator| {
            while let Some(datagram) = call.poll_transmit() {
                socket.send_to(&datagram, to).unwrap();
            }
        };
        calls.iter_mut().for_each(|(socket, call)| send(socket, call));
        for (socket, call) in &mut calls {
            let Ok((len, _)) = socket.recv_from(&mut bytes) else { continue };
            answered += 1;
            call.handle_datagram(MonoTime(0), &bytes[..len]).unwrap();
            send(socket, call);
        }
    }
    answered
}

/// What a relay says on its status port.
fn metrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_whole_session_goes_over_direct_links_alone() {
    const LIMIT: Duration = Duration::from_secs(60);
    let mut host = {
        let mut command = holomesh();
        command.arg("host").arg(asset("clip.ivf")).args(["--wait", "--parents", "1", "--transport", "udp"]);
        command.arg("--audio").arg(asset("speech.wav")).stdin(Stdio::piped());
        Node::spawn(&mut command)
    };
    // Under a transport key that is nobody's, so that no QUIC connection can come about.
    let mut ticket: Ticket = host.first_line().parse().unwrap();
    ticket.endpoint = [1; 32];
    let ticket = ticket.to_string();
    let status = TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
    let relay =
        Node::spawn(holomesh().args(["relay", &ticket, "--transport", "udp", "--http", &status.to_string()]));
    let dir = tempfile::tempdir().unwrap();
    let mut watch = holomesh();
    watch
        .args(["watch", &ticket, "--transport", "udp", "--log", "info", "-o"])
        .arg(dir.path().join("out.mkv"));
    let watch = Node::spawn(&mut watch);
    watch.wait_for("parents 1", LIMIT);
    host.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let seen = metrics(status);
    let links = |transport: &str| {
        let name = format!("holomesh_links{{transport=\"{transport}\"}} ");
        seen.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok())
    };
    assert_eq!((links("udp"), links("quic")), (Some(2), Some(0)), "{seen}");
    let (ok, said) = watch.finish(LIMIT);
    assert!(ok && said.contains("0 chunks could not be opened"), "{said}");
    let (ok, said) = relay.finish(LIMIT);
    assert!(ok && said.contains("chunks out"), "{said}");
    let (ok, said) = host.finish(LIMIT);
    assert!(ok, "{said}");
}
