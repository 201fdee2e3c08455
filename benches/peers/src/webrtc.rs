//! WebRTC peers on str0m in RTP mode: the clients of our SFU and of Janus.

use crate::control::{Control, NO_WAY_PAST};
use crate::tasks::PATIENCE;
use crate::traffic::{Bursts, Moment, PAYLOAD, Received, Stamped, Tally};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// Calls for output that follow one input: far more than a burst needs.
const OUTPUTS: usize = 10_000;
/// As the most that RTP and SRTP put around a packet of ours.
const DATAGRAM: usize = 2_048;
const VIDEO_CLOCK: u64 = 90_000;

/// The settings of every peer here, and of the SFU: one video codec, packets as they are.
pub(crate) fn config() -> RtcConfig {
    let crypto = Arc::new(str0m::crypto::from_feature_flags());
    RtcConfig::new().set_crypto_provider(crypto).clear_codecs().enable_vp8(true).set_rtp_mode(true)
}

/// One peer: its state, when it wants to be woken, and what has come of late.
pub(crate) struct Peer {
    pub(crate) rtc: Rtc,
    pub(crate) wakes: Instant,
    pub(crate) packets: Vec<RtpPacket>,
    pub(crate) mid: Option<Mid>,
    pub(crate) is_connected: bool,
}

impl Peer {
    pub(crate) fn new(rtc: Rtc) -> Self {
        Self { rtc, wakes: Instant::now(), packets: Vec::new(), mid: None, is_connected: false }
    }

    /// Sends what there is to send, and finds out when to come again.
    pub(crate) fn drain(&mut self, socket: &UdpSocket) -> Result<()> {
        for _ in 0..OUTPUTS {
            match self.rtc.poll_output()? {
                Output::Transmit(transmit) => {
                    match socket.send_to(&transmit.contents, transmit.destination) {
                        Err(error)
                            if !matches!(
                                error.kind(),
                                ErrorKind::WouldBlock | ErrorKind::ConnectionRefused
                            ) =>
                        {
                            return Err(error).context("could not send");
                        }
                        _ => {}
                    }
                }
                Output::Event(Event::RtpPacket(packet)) => self.packets.push(packet),
                Output::Event(Event::Connected) => self.is_connected = true,
                Output::Event(Event::MediaAdded(media)) => self.mid = Some(media.mid),
                Output::Event(_) => {}
                Output::Timeout(at) => {
                    let now = Instant::now();
                    if at > now {
                        self.wakes = at;
                        return Ok(());
                    }
                    self.rtc.handle_input(Input::Timeout(now))?;
                }
            }
        }
        bail!("a peer's output does not end")
    }

    pub(crate) fn wake(&mut self, now: Instant, socket: &UdpSocket) -> Result<()> {
        if self.wakes <= now {
            self.rtc.handle_input(Input::Timeout(now))?;
            self.drain(socket)?;
        }
        Ok(())
    }
}

/// A peer with a socket of its own.
pub(crate) struct Client {
    peer: Peer,
    socket: UdpSocket,
    address: SocketAddr,
}

impl Client {
    pub(crate) fn new(at: IpAddr) -> Result<Self> {
        let socket = UdpSocket::bind((at, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let mut rtc = config().build(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, "udp")?);
        Ok(Self { peer: Peer::new(rtc), socket, address })
    }

    /// Offers one video to the SFU whose signalling listens there, and takes its answer.
    fn call(&mut self, signalling: SocketAddr, direction: Direction) -> Result<()> {
        let mut change = self.peer.rtc.sdp_api();
        self.peer.mid = Some(change.add_media(MediaKind::Video, direction, None, None, None));
        let (offer, pending) = change.apply().context("nothing to offer")?;
        let mut stream = TcpStream::connect(signalling)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        writeln!(stream, "{}", serde_json::to_string(&offer)?)?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        let answer: SdpAnswer = serde_json::from_str(&line).context("the SFU's answer")?;
        Ok(self.peer.rtc.sdp_api().accept_answer(pending, answer)?)
    }

    /// Answers an offer of somebody else's.
    pub(crate) fn answer(&mut self, offer: &str) -> Result<String> {
        let offer = SdpOffer::from_sdp_string(offer)?;
        Ok(self.peer.rtc.sdp_api().accept_offer(offer)?.to_sdp_string())
    }

    /// Takes all that has come.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<()> {
        loop {
            match self.socket.recv_from(buffer) {
                Ok((len, source)) => {
                    let contents = buffer[..len].try_into()?;
                    let proto = Protocol::Udp;
                    let received = Receive { proto, source, destination: self.address, contents };
                    self.peer.rtc.handle_input(Input::Receive(Instant::now(), received))?;
                    self.peer.drain(&self.socket)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn send(&mut self, burst: &[u8], number: &mut u64) -> Result<()> {
        let now = Instant::now();
        let mid = self.peer.mid.context("no medium")?;
        let media = self.peer.rtc.media(mid).context("no medium")?;
        let pt = *media.remote_pts().first().context("no payload type")?;
        let time = (Moment::now().0 / 1_000 * VIDEO_CLOCK / 1_000_000) as u32;
        for packet in burst.chunks_exact(PAYLOAD) {
            let mut direct = self.peer.rtc.direct_api();
            let stream = direct.stream_tx_by_mid(mid, None).context("no stream to send")?;
            stream.write_rtp(RtpWrite::new(pt, (*number).into(), time, now, packet));
            *number += 1;
        }
        self.peer.rtc.handle_input(Input::Timeout(now))?;
        self.peer.drain(&self.socket)
    }
}

/// Many clients on one thread.
pub(crate) struct Clients {
    clients: Vec<Client>,
    epoll: Epoll,
    events: Vec<EpollEvent>,
    buffer: Vec<u8>,
}

impl Clients {
    pub(crate) fn new(clients: Vec<Client>) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for (number, client) in clients.iter().enumerate() {
            epoll.add(&client.socket, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        }
        Ok(Self { clients, epoll, events: vec![EpollEvent::empty(); 256], buffer: vec![0; DATAGRAM] })
    }

    /// Waits no longer than until somebody has something to do, and does it.
    fn turn(&mut self, limit: Duration) -> Result<()> {
        let now = Instant::now();
        let next = self.clients.iter().map(|client| client.peer.wakes).min().unwrap_or(now);
        let wait = next.saturating_duration_since(now).min(limit);
        // Rounded up: the timer has no finer steps, and waiting for nothing would be a busy loop.
        let wait = EpollTimeout::try_from(wait + Duration::from_micros(999))?;
        let ready = match self.epoll.wait(&mut self.events, wait) {
            Ok(ready) => ready,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &self.events[..ready] {
            if let Some(client) = self.clients.get_mut(event.data() as usize) {
                client.receive(&mut self.buffer)?;
            }
        }
        let now = Instant::now();
        self.clients.iter_mut().try_for_each(|client| client.peer.wake(now, &client.socket))
    }

    pub(crate) fn connect(&mut self) -> Result<()> {
        let give_up = Instant::now() + 2 * PATIENCE;
        for client in &mut self.clients {
            client.peer.drain(&client.socket)?;
        }
        while !self.clients.iter().all(|client| client.peer.is_connected) {
            ensure!(Instant::now() < give_up, "not all peers could connect");
            self.turn(Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// Receives until the window is over.
    pub(crate) fn watch(mut self, control: &Control) -> Result<Received> {
        let mut tally: Option<Tally> = None;
        loop {
            self.turn(Duration::from_millis(20))?;
            if tally.is_none() {
                tally = control.window().map(|window| Tally::new(window, Stamped::Program));
            }
            let now = Moment::now();
            for client in &mut self.clients {
                for packet in client.peer.packets.drain(..) {
                    if let Some(tally) = &mut tally {
                        tally.record(&packet.payload, now);
                    }
                }
            }
            if let Some(tally) = tally.as_ref().filter(|tally| tally.window().subscriber_ends() < now) {
                return Ok(tally.received());
            }
        }
    }
}

pub(crate) fn publish(signalling: SocketAddr, rate: u64) -> Result<()> {
    let control = Control::listen()?;
    let mut client = Client::new(signalling.ip())?;
    client.call(signalling, Direction::SendOnly)?;
    let mut clients = Clients::new(vec![client])?;
    clients.connect()?;
    control.ready(&NO_WAY_PAST);
    while control.window().is_none() {
        clients.turn(Duration::from_millis(5))?;
    }
    let mut bursts = Bursts::new(control.wait_for_window(), rate)?;
    // Not zero: some receivers take a first number of zero for none at all.
    let mut number = 1_000;
    while let Some(due) = bursts.due() {
        while !due.left().is_zero() {
            clients.turn(due.left())?;
        }
        let client = clients.clients.first_mut().context("the publisher itself")?;
        client.send(bursts.next(), &mut number)?;
    }
    control.done(&bursts.sent());
    loop {
        clients.turn(Duration::from_millis(20))?;
    }
}

pub(crate) fn subscribe_all(signalling: SocketAddr, count: usize) -> Result<()> {
    let control = Control::listen()?;
    let clients = (0..count).map(|_| {
        let mut client = Client::new(signalling.ip())?;
        client.call(signalling, Direction::RecvOnly)?;
        Ok(client)
    });
    watch_all(&control, clients.collect::<Result<_>>()?)
}

/// Connects them all, and tells what they get.
pub(crate) fn watch_all(control: &Control, clients: Vec<Client>) -> Result<()> {
    let mut clients = Clients::new(clients)?;
    clients.connect()?;
    control.ready(&"subscribers");
    control.done(&clients.watch(control)?);
    loop {
        std::thread::park();
    }
}
