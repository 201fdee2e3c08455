//! Sending a frame's chunks over a QUIC link on loopback and receiving them, beside plain UDP sockets.
//!
//! `cargo bench -p benches --bench link` prints a table; with `-- --rows` it prints the row as JSON.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use av_wire::SealedChunk;
use benches::{Clock, Media, Pair, Row};
use bytes::Bytes;
use holomesh::net::{Link, LinkEvent, Net, NetConfig, Role};
use identity::Seed;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PASSES: usize = 51;
/// A chunk that has not come by then was dropped.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> Result<()> {
    let rows = [measure()?];
    if std::env::args().any(|argument| argument == "--rows") {
        println!("{}", serde_json::to_string(&rows)?);
    } else {
        benches::print_table(&rows);
    }
    Ok(())
}

/// One sample is one pass over the clip, a frame at a time: the next is sent when the last has arrived.
fn measure() -> Result<Row> {
    let contents = Media::load()?.contents()?;
    let frames: Vec<Vec<Bytes>> = contents.into_iter().map(|content| content.chunks).collect();
    // A node runs on one thread, but what the transport may do on others counts too.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut quic = runtime.block_on(Quic::connect())?;
    let udp = Udp::bind()?;
    let ours = || quic.pass(&runtime, &frames);
    let row = Pair::interleave(PASSES, frames.len(), ours, || udp.pass(&frames))?
        .row("link", "UDP sockets, not sealed");
    runtime.block_on(quic.close());
    row
}

/// Two nodes' endpoints and the link between them.
struct Quic {
    sender: Net,
    receiver: Net,
    out: Link,
    clock: holomesh::Clock,
    events: mpsc::Receiver<LinkEvent>,
    /// The receiver's end and the sender's events: dropping either would end the link.
    _held: (Box<Link>, mpsc::Receiver<LinkEvent>),
}

impl Quic {
    async fn connect() -> Result<Self> {
        let (sender, replies) = endpoint(1, Role::Host).await?;
        let (receiver, mut events) = endpoint(2, Role::Relay).await?;
        let mut out = sender.connect(&receiver.address()).await?;
        let Some(LinkEvent::Up(mut back)) = events.recv().await else { bail!("the receiver has no link") };
        out.begin();
        back.begin();
        Ok(Self { sender, receiver, out, clock: holomesh::Clock::start(), events, _held: (back, replies) })
    }

    fn pass(&mut self, runtime: &Runtime, frames: &[Vec<Bytes>]) -> Result<Duration> {
        let frames = frames.to_vec();
        let (time, outcome) = Clock::Process.time(|| {
            runtime.block_on(async {
                for chunks in frames {
                    let expected = chunks.len();
                    let sealed = chunks
                        .iter()
                        .map(|chunk| SealedChunk::parse(chunk))
                        .collect::<Result<Vec<_>, _>>()?;
                    self.out.send_chunks(self.clock.now(), sealed.into_iter());
                    self.receive(expected).await?;
                }
                Ok::<(), anyhow::Error>(())
            })
        });
        outcome?;
        Ok(time)
    }

    async fn receive(&mut self, expected: usize) -> Result<()> {
        let mut received = 0;
        while received < expected {
            let event =
                timeout(PATIENCE, self.events.recv()).await.context("a chunk was lost on loopback")?;
            match event {
                Some(LinkEvent::Chunks(_, chunks)) => received += chunks.len(),
                Some(LinkEvent::Control(..) | LinkEvent::Lane(..) | LinkEvent::Writable(_)) => {}
                Some(LinkEvent::Up(_) | LinkEvent::Down(..)) | None => bail!("the link went down"),
            }
        }
        ensure!(received == expected, "{received} chunks where {expected} were sent");
        Ok(())
    }

    async fn close(self) {
        self.sender.close().await;
        self.receiver.close().await;
    }
}

async fn endpoint(seed: u8, role: Role) -> Result<(Net, mpsc::Receiver<LinkEvent>)> {
    let (events, inbox) = mpsc::channel(1_024);
    let config = NetConfig { lanes: false, ..NetConfig::new(Seed([seed; 64]), role, loopback()) };
    Ok((Net::bind(config, events).await?, inbox))
}

/// Two sockets on the calling thread.
struct Udp {
    from: UdpSocket,
    to: UdpSocket,
    address: SocketAddr,
}

impl Udp {
    fn bind() -> Result<Self> {
        let (from, to) = (UdpSocket::bind(loopback())?, UdpSocket::bind(loopback())?);
        to.set_read_timeout(Some(PATIENCE))?;
        let address = to.local_addr()?;
        Ok(Self { from, to, address })
    }

    fn pass(&self, frames: &[Vec<Bytes>]) -> Result<Duration> {
        let mut buffer = [0; 2_048];
        // Nothing here runs on another thread, so whatever QUIC does meanwhile is not counted.
        let (time, outcome) = Clock::Thread.time(|| {
            for chunks in frames {
                for chunk in chunks {
                    self.from.send_to(chunk, self.address)?;
                }
                for _ in chunks {
                    self.to.recv_from(&mut buffer)?;
                }
            }
            Ok::<(), std::io::Error>(())
        });
        outcome.context("a chunk was lost on loopback")?;
        Ok(time)
    }
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}
