//! The least that is an SFU on str0m: one socket, one thread, every packet of the publisher to every subscriber.
//!
//! Signalling is a line with an offer and a line with the answer, over TCP. A peer that offers to send is the publisher.

use crate::control::Control;
use crate::tasks::PATIENCE;
use crate::webrtc::{Peer, config};
use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use str0m::change::SdpOffer;
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Candidate, Input, Rtc};

const PEERS: usize = 4_096;
const OFFER: u64 = 1 << 16;
/// Datagrams taken before what they brought is passed on.
const BATCH: usize = 64;

pub(crate) fn relay() -> Result<()> {
    let control = Control::listen()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let signalling = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    control.ready(&signalling.local_addr()?);
    let (sender, arrivals) = sync_channel(PEERS);
    std::thread::spawn(move || {
        for stream in signalling.incoming() {
            if let Err(error) = stream.map_err(Into::into).and_then(|stream| greet(stream, address, &sender))
            {
                eprintln!("peers: the SFU could not take a peer in: {error:#}");
            }
        }
    });
    let sfu = Sfu { socket, address, peers: Vec::new(), by_source: HashMap::new(), burst: Vec::new() };
    sfu.run(&arrivals)
}

fn greet(mut stream: TcpStream, address: SocketAddr, arrivals: &SyncSender<Rtc>) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(Read::by_ref(&mut stream).take(OFFER)).read_line(&mut line)?;
    let offer: SdpOffer = serde_json::from_str(&line)?;
    let mut rtc = config().set_ice_lite(true).build(Instant::now());
    rtc.add_local_candidate(Candidate::host(address, "udp")?);
    let answer = rtc.sdp_api().accept_offer(offer)?;
    // Known to the loop before its peer is: the first check of connectivity then meets somebody.
    arrivals.send(rtc).context("the SFU has ended")?;
    Ok(writeln!(stream, "{}", serde_json::to_string(&answer)?)?)
}

struct Sfu {
    socket: UdpSocket,
    address: SocketAddr,
    peers: Vec<Peer>,
    by_source: HashMap<SocketAddr, usize>,
    /// Packets to pass on, kept for its room.
    burst: Vec<RtpPacket>,
}

impl Sfu {
    fn run(mut self, arrivals: &Receiver<Rtc>) -> Result<()> {
        let mut buffer = vec![0; 2_048];
        loop {
            let mut now = Instant::now();
            while let Ok(rtc) = arrivals.try_recv() {
                ensure!(self.peers.len() < PEERS, "too many peers");
                let mut peer = Peer::new(rtc);
                peer.drain(&self.socket)?;
                self.peers.push(peer);
            }
            let next = self.peers.iter().map(|peer| peer.wakes).min();
            let wait = next.map_or(Duration::from_millis(20), |next| next.saturating_duration_since(now));
            self.wait(wait.min(Duration::from_millis(20)))?;
            self.receive(&mut buffer)?;
            self.forward()?;
            now = Instant::now();
            for peer in &mut self.peers {
                peer.wake(now, &self.socket)?;
            }
        }
    }

    fn wait(&self, time: Duration) -> Result<()> {
        // Rounded up, as in `Clients::turn`.
        let time = PollTimeout::try_from(time + Duration::from_micros(999))?;
        match poll(&mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)], time) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        for _ in 0..BATCH {
            let (len, source) = match self.socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error.into()),
            };
            let Ok(contents) = buffer[..len].try_into() else { continue };
            let received = Receive { proto: Protocol::Udp, source, destination: self.address, contents };
            let input = Input::Receive(Instant::now(), received);
            let known = self.by_source.get(&source).copied();
            let Some(number) = known.or_else(|| self.peers.iter().position(|peer| peer.rtc.accepts(&input)))
            else {
                continue;
            };
            self.by_source.insert(source, number);
            let peer = &mut self.peers[number];
            peer.rtc.handle_input(input)?;
            peer.drain(&self.socket)?;
            self.burst.append(&mut peer.packets);
        }
        Ok(())
    }

    /// A burst at a time to each subscriber.
    fn forward(&mut self) -> Result<()> {
        if self.burst.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        for peer in self.peers.iter_mut().filter(|peer| peer.is_connected) {
            let Some(mid) = peer.mid else { continue };
            let Some(pt) = peer.rtc.media(mid).and_then(|media| media.remote_pts().first().copied()) else {
                continue;
            };
            let mut direct = peer.rtc.direct_api();
            let Some(stream) = direct.stream_tx_by_mid(mid, None) else { continue };
            for packet in &self.burst {
                let header = &packet.header;
                let write = RtpWrite::new(pt, packet.seq_no, header.timestamp, now, packet.payload.clone());
                stream.write_rtp(write.marker(header.marker).nackable(true));
            }
            peer.rtc.handle_input(Input::Timeout(now))?;
            peer.drain(&self.socket)?;
        }
        self.burst.clear();
        Ok(())
    }
}
