//! A UDP socket with segmentation offload: many datagrams to one peer in one system call, and many received in one.

use crate::Error;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;
use tokio::io::Interest;

/// What one receive buffer holds: as much as the kernel coalesces.
const BUFFER: usize = 65_536;
/// Receive buffers: enough for what comes between two turns of the node, and no more memory than that.
const BUFFERS: usize = if BATCH_SIZE < 8 { BATCH_SIZE } else { 8 };
/// What the kernel is asked to keep for us; it may grant less.
const KERNEL_BUFFER: usize = 4 << 20;

/// The socket.
#[derive(Debug)]
pub(super) struct UdpSocket {
    io: Io,
    state: UdpSocketState,
}

/// Who finds out that something has come.
#[derive(Debug)]
enum Io {
    /// The runtime, which wakes whoever waits.
    Woken(tokio::net::UdpSocket),
    /// Whoever looks now and then: where much comes that is not urgent, a wake-up for each datagram costs most of all.
    Polled(std::net::UdpSocket),
}

impl UdpSocket {
    /// Binds a socket that wakes whoever waits for it.
    pub(super) fn woken(to: SocketAddr) -> Result<Self, Error> {
        let failed = |e: io::Error| Error::Network(format!("can't open a UDP socket on {to}: {e}"));
        let (socket, state) = Self::bind(to)?;
        Ok(Self { io: Io::Woken(tokio::net::UdpSocket::from_std(socket).map_err(failed)?), state })
    }

    /// Binds a socket that has to be looked at.
    pub(super) fn polled(to: SocketAddr) -> Result<Self, Error> {
        let (socket, state) = Self::bind(to)?;
        Ok(Self { io: Io::Polled(socket), state })
    }

    fn bind(to: SocketAddr) -> Result<(std::net::UdpSocket, UdpSocketState), Error> {
        let failed = |e: io::Error| Error::Network(format!("can't open a UDP socket on {to}: {e}"));
        let socket = std::net::UdpSocket::bind(to).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket)).map_err(failed)?;
        // Where the limit is lower the kernel gives what it may, which is no error; whoever may pass over the limit does.
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), KERNEL_BUFFER);
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, KERNEL_BUFFER);
        let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), KERNEL_BUFFER);
        Ok((socket, state))
    }

    /// Where it is bound.
    pub(super) fn local_addr(&self) -> Result<SocketAddr, Error> {
        let address = match &self.io {
            Io::Woken(io) => io.local_addr(),
            Io::Polled(io) => io.local_addr(),
        };
        address.map_err(|e| Error::Network(e.to_string()))
    }

    /// Sends datagrams of `segment` bytes each, the last of which may be shorter.
    pub(super) fn send(&self, to: SocketAddr, contents: &[u8], segment: usize) -> io::Result<()> {
        // A device that can't do the offload is noticed by the first error, and the limit is one segment from then on.
        let most = self.state.max_gso_segments().max(1) * segment.max(1);
        for part in contents.chunks(most) {
            let transmit = Transmit {
                destination: to,
                ecn: None,
                contents: part,
                segment_size: (part.len() > segment).then_some(segment),
                src_ip: None,
            };
            match &self.io {
                Io::Woken(io) => {
                    io.try_io(Interest::WRITABLE, || self.state.try_send(UdpSockRef::from(io), &transmit))?
                }
                Io::Polled(io) => self.state.try_send(UdpSockRef::from(io), &transmit)?,
            }
        }
        Ok(())
    }

    /// Waits until there may be something to receive; for ever with a socket that has to be looked at.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match &self.io {
            Io::Woken(io) => io.readable().await,
            Io::Polled(_) => std::future::pending().await,
        }
    }

    /// Receives what is there into `buffers`; `None` if nothing is.
    pub(super) fn receive(&self, buffers: &mut Buffers) -> io::Result<Option<usize>> {
        let Buffers { bytes, meta } = buffers;
        let mut chunks = bytes.chunks_mut(BUFFER);
        let mut slices: [IoSliceMut<'_>; BUFFERS] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let received = match &self.io {
            Io::Woken(io) => io.try_io(Interest::READABLE, || {
                self.state.recv(UdpSockRef::from(io), &mut slices, &mut meta[..])
            }),
            Io::Polled(io) => self.state.recv(UdpSockRef::from(io), &mut slices, &mut meta[..]),
        };
        match received {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Where received datagrams go.
pub(super) struct Buffers {
    bytes: Vec<u8>,
    meta: [RecvMeta; BUFFERS],
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BUFFER * BUFFERS], meta: [RecvMeta::default(); BUFFERS] }
    }

    /// How many datagrams are in the first `count` buffers.
    pub(super) fn len(&self, count: usize) -> usize {
        self.meta.iter().take(count).map(|meta| meta.len.div_ceil(meta.stride.max(1)).max(1)).sum()
    }

    /// The datagrams of the first `count` buffers, with their senders.
    pub(super) fn datagrams(&mut self, count: usize) -> impl Iterator<Item = (SocketAddr, &mut [u8])> {
        self.bytes.chunks_mut(BUFFER).zip(self.meta).take(count).flat_map(|(buffer, meta)| {
            let stride = meta.stride.max(1);
            buffer[..meta.len.min(BUFFER)].chunks_mut(stride).map(move |datagram| (meta.addr, datagram))
        })
    }
}

impl Buffers {
    /// When the kernel had the first of what came last, by the clock of the calendar.
    pub(super) fn arrival(&self) -> Option<std::time::Duration> {
        self.meta[0].timestamp
    }
}

impl std::fmt::Debug for Buffers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_arrives_as_the_datagrams_that_it_was_put_together_from() {
        let local = "127.0.0.1:0".parse().unwrap();
        let (from, to) = (UdpSocket::polled(local).unwrap(), UdpSocket::woken(local).unwrap());
        let burst: Vec<u8> = (0..10 * 1_100 + 7).map(|i| (i / 1_100) as u8).collect();
        from.send(to.local_addr().unwrap(), &burst, 1_100).unwrap();
        let mut buffers = Buffers::new();
        let mut received: Vec<Vec<u8>> = Vec::new();
        while received.len() < 11 {
            to.readable().await.unwrap();
            let Some(count) = to.receive(&mut buffers).unwrap() else { continue };
            for (sender, datagram) in buffers.datagrams(count) {
                assert_eq!(sender, from.local_addr().unwrap());
                received.push(datagram.to_vec());
            }
        }
        let sent: Vec<Vec<u8>> = burst.chunks(1_100).map(<[u8]>::to_vec).collect();
        assert_eq!(received, sent);
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let first = UdpSocket::woken("127.0.0.1:0".parse().unwrap()).unwrap();
        let taken = first.local_addr().unwrap();
        let error = UdpSocket::polled(taken).unwrap_err().to_string();
        assert!(error.contains(&taken.to_string()), "{error}");
    }
}
