//! Bare UDP, the baseline of the lane: whole bursts in by GRO, sealed anew for each subscriber, out by GSO or, for
//! comparison, packet by packet. One thread, no runtime, nothing allocated on the way.

use crate::added::Added;
use crate::control::Control;
use crate::traffic::{BURST, Bursts, Moment, PAYLOAD, Received, Stamped, Tally};
use anyhow::{Context, Result, anyhow, bail, ensure};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use std::io::{ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A counter in front, a tag behind.
const COUNTER: usize = 8;
const TAG: usize = 16;
const SEALED: usize = COUNTER + PAYLOAD + TAG;
/// What a subscriber sends until it is answered: its key.
const KEY: usize = 32;
const SUBSCRIBERS: usize = 4_096;
/// Receive calls take so many buffers, each of as much as GRO can put together.
const SLOTS: usize = 8;
const SLOT: usize = 1 << 16;
const SOCKET_BUFFER: usize = 4 << 20;

struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    fn new() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let state = UdpSocketState::new((&socket).into())?;
        ensure!(state.max_gso_segments() >= BURST, "the kernel does not segment for us here");
        Ok(Self { socket, state })
    }

    fn send(&self, destination: SocketAddr, contents: &[u8], segment: usize) -> Result<()> {
        let segment_size = Some(segment);
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
        loop {
            match self.state.try_send((&self.socket).into(), &transmit) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::POLLOUT)?,
                // A subscriber that has gone: its kernel said so for an earlier send.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(()),
                sent => return sent.context("could not send"),
            }
        }
    }

    fn wait(&self, what: PollFlags) -> Result<()> {
        let mut fds = [PollFd::new(self.socket.as_fd(), what)];
        match poll(&mut fds, PollTimeout::from(1_000u16)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Buffers for one receive call, kept.
struct Inlet {
    bytes: Vec<u8>,
    metas: [RecvMeta; SLOTS],
}

impl Inlet {
    fn new() -> Self {
        Self { bytes: vec![0; SLOTS * SLOT], metas: [RecvMeta::default(); SLOTS] }
    }

    /// What one call gives: bytes of one or more packets, and what is known of them. Nothing if nothing is there.
    fn receive(&mut self, from: &Socket) -> Result<impl Iterator<Item = (&mut [u8], RecvMeta)>> {
        let mut chunks = self.bytes.chunks_exact_mut(SLOT);
        let mut slots: [IoSliceMut<'_>; SLOTS] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let count = match from.state.recv((&from.socket).into(), &mut slots, &mut self.metas) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => 0,
            Err(error) => return Err(error).context("could not receive"),
        };
        let slots = self.bytes.chunks_exact_mut(SLOT).zip(self.metas).take(count);
        Ok(slots.map(|(slot, meta)| (&mut slot[..meta.len], meta)))
    }
}

struct Subscriber {
    address: SocketAddr,
    key: LessSafeKey,
    counter: u64,
}

pub(crate) fn relay(one_send_a_packet: bool) -> Result<()> {
    let control = Control::listen()?;
    let socket = Socket::new()?;
    let _ = socket.state.set_recv_buffer_size((&socket.socket).into(), SOCKET_BUFFER);
    let _ = socket.state.set_send_buffer_size((&socket.socket).into(), SOCKET_BUFFER);
    control.ready(&socket.socket.local_addr()?);
    let mut subscribers: Vec<Subscriber> = Vec::new();
    let mut inlet = Inlet::new();
    let mut out = vec![0; BURST * SEALED];
    loop {
        socket.wait(PollFlags::POLLIN)?;
        for (bytes, meta) in inlet.receive(&socket)? {
            if meta.stride == KEY {
                subscribe(&mut subscribers, &bytes[..KEY], meta.addr)?;
                socket.send(meta.addr, b"!", 1)?;
                continue;
            }
            // A burst at a time, should GRO have put more than one together.
            for burst in bytes.chunks(BURST * PAYLOAD) {
                for subscriber in &mut subscribers {
                    let sealed = subscriber.seal(burst, &mut out)?;
                    if one_send_a_packet {
                        for packet in sealed.chunks(SEALED) {
                            socket.send(subscriber.address, packet, SEALED)?;
                        }
                    } else {
                        socket.send(subscriber.address, sealed, SEALED)?;
                    }
                }
            }
        }
    }
}

fn subscribe(subscribers: &mut Vec<Subscriber>, key: &[u8], address: SocketAddr) -> Result<()> {
    if subscribers.len() < SUBSCRIBERS && subscribers.iter().all(|known| known.address != address) {
        subscribers.push(Subscriber { address, key: cipher(key)?, counter: 0 });
    }
    Ok(())
}

impl Subscriber {
    fn seal<'out>(&mut self, burst: &[u8], out: &'out mut [u8]) -> Result<&'out [u8]> {
        let mut len = 0;
        for (packet, sealed) in burst.chunks_exact(PAYLOAD).zip(out.chunks_exact_mut(SEALED)) {
            let (head, rest) = sealed.split_at_mut(COUNTER);
            let (text, tag) = rest.split_at_mut(PAYLOAD);
            head.copy_from_slice(&self.counter.to_be_bytes());
            self.key
                .seal_out_of_place_scatter(nonce(head), Aad::from(&*head), packet, text, &[], tag)
                .map_err(|_| anyhow!("the library refused to seal"))?;
            self.counter += 1;
            len += SEALED;
        }
        Ok(&out[..len])
    }
}

pub(crate) fn publish(relay: SocketAddr, rate: u64) -> Result<()> {
    let control = Control::listen()?;
    let socket = Socket::new()?;
    control.ready(&Some(socket.socket.local_addr()?));
    let bursts = Bursts::new(control.wait_for_window(), rate)?;
    // Whoever wants packets past the relay has asked by now.
    let direct = Inlet::new().receive(&socket)?.next().map(|(_, meta)| meta.addr);
    control.done(&bursts.publish(|burst| {
        if let Some(direct) = direct {
            socket.send(direct, &burst[..PAYLOAD], PAYLOAD)?;
        }
        socket.send(relay, burst, PAYLOAD)
    })?);
    wait_for_end()
}

pub(crate) fn subscribe_all(relay: SocketAddr, count: usize, direct: Option<SocketAddr>) -> Result<()> {
    let control = Control::listen()?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut inlet = Inlet::new();
    let mut sockets = Vec::new();
    for number in 0..count {
        let mut key = [0x5a; KEY];
        key[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let socket = Socket::new()?;
        let _ = socket.state.set_recv_buffer_size((&socket.socket).into(), 1 << 20);
        introduce(&socket, relay, &key, &mut inlet)?;
        epoll.add(&socket.socket, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        sockets.push((socket, Some(cipher(&key)?)));
    }
    if let Some(publisher) = direct {
        let socket = Socket::new()?;
        socket.send(publisher, b"?", 1)?;
        epoll.add(&socket.socket, EpollEvent::new(EpollFlags::EPOLLIN, count as u64))?;
        sockets.push((socket, None));
    }
    control.ready(&"subscribers");
    let window = control.wait_for_window();
    let (mut tally, mut added) = (Tally::new(window, Stamped::Kernel), Added::new(window));
    let mut events = vec![EpollEvent::empty(); 256];
    while Moment::now() < window.subscriber_ends() {
        let ready = match epoll.wait(&mut events, EpollTimeout::from(50u8)) {
            Ok(ready) => ready,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..ready] {
            let Some((socket, key)) = sockets.get(event.data() as usize) else { continue };
            for (bytes, meta) in inlet.receive(socket)? {
                let at = meta.timestamp.context("the kernel gave no time of receipt")?.into();
                let Some(key) = key else {
                    added.direct(bytes, at);
                    continue;
                };
                for sealed in bytes.chunks_exact_mut(SEALED) {
                    let packet = open(key, sealed)?;
                    tally.record(packet, at);
                    added.relayed(packet, at);
                }
            }
        }
    }
    control.done(&Received { added_latency_us: added.quantiles(), ..tally.received() });
    wait_for_end()
}

/// Sends the key until the relay answers.
fn introduce(socket: &Socket, relay: SocketAddr, key: &[u8; KEY], inlet: &mut Inlet) -> Result<()> {
    let give_up = Instant::now() + Duration::from_secs(5);
    while Instant::now() < give_up {
        socket.send(relay, key, KEY)?;
        socket.wait(PollFlags::POLLIN)?;
        if inlet.receive(socket)?.next().is_some() {
            return Ok(());
        }
    }
    bail!("the relay did not answer a subscriber")
}

fn open<'a>(key: &LessSafeKey, sealed: &'a mut [u8]) -> Result<&'a [u8]> {
    let (head, text) = sealed.split_at_mut(COUNTER);
    let opened = key.open_in_place(nonce(head), Aad::from(&*head), text);
    Ok(opened.map_err(|_| anyhow!("a packet is not what the relay sealed"))?)
}

fn cipher(key: &[u8]) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| anyhow!("not a key"))?;
    Ok(LessSafeKey::new(key))
}

fn nonce(counter: &[u8]) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(counter);
    Nonce::assume_unique_for_key(nonce)
}

/// Until standard input ends, and the process with it.
fn wait_for_end() -> Result<()> {
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subscriber_opens_its_own_and_nobody_elses() {
        let subscriber = |key| {
            let address = (Ipv4Addr::LOCALHOST, 1).into();
            Subscriber { address, key: cipher(&[key; KEY]).unwrap(), counter: 7 }
        };
        let (mut ours, other) = (subscriber(1), subscriber(2));
        let burst: Vec<u8> = (0..3 * PAYLOAD).map(|at| at as u8).collect();
        let mut out = vec![0; BURST * SEALED];
        let sealed = ours.seal(&burst, &mut out).unwrap().to_vec();
        assert_eq!((sealed.len(), ours.counter), (3 * SEALED, 10));
        for (sealed, packet) in sealed.chunks(SEALED).zip(burst.chunks(PAYLOAD)) {
            assert!(open(&other.key, &mut sealed.to_vec()).is_err());
            assert_eq!(open(&ours.key, &mut sealed.to_vec()).unwrap(), packet);
        }
    }
}
