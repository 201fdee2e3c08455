//! Sound through losses: what units of repair give back, and that the host hears of what is lost.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::kit::{PATIENCE, Pictures, encoder, loopback, on_thread};
use codec_opus::SampleRate;
use holomesh::Error;
use holomesh::keyfile::random_seed;
use holomesh::net::LossConfig;
use holomesh::publish::{AudioConfig, BlockSource, Observer, Published, StreamKind};
use holomesh::relay;
use holomesh::session::{self, Command};
use holomesh::ticket::Ticket;
use holomesh::watch::{self, PlayStats, WatchState};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A tone that changes, without an end.
struct Tone(u64);

impl BlockSource for Tone {
    fn next(&mut self, samples: usize) -> Result<Option<Vec<i16>>, Error> {
        let start = self.0;
        self.0 += samples as u64;
        let at = |n: u64| {
            let seconds = n as f64 / 16_000.0;
            ((seconds * (600.0 + 400.0 * (seconds * 0.9).sin()) * std::f64::consts::TAU).sin() * 9_000.0)
                as i16
        };
        Ok(Some((start..self.0).map(at).collect()))
    }
}

/// Counts packets of sound that went out, and keeps what the host says of sound.
#[derive(Debug, Default)]
struct Said(AtomicU64, Mutex<Vec<String>>);

impl Observer for Said {
    fn published(&self, object: Published) {
        self.0.fetch_add(u64::from(object.kind == StreamKind::Audio), Ordering::Relaxed);
    }

    fn event(&self, kind: &str, detail: String) {
        if kind == "sound" {
            self.1.lock().unwrap().push(detail);
        }
    }
}

impl Said {
    /// The loss that the encoder was told of last, in percent.
    fn expected_loss(&self) -> u64 {
        let said = self.1.lock().unwrap();
        let last = said.last().and_then(|said| said.rsplit_once("coded for ")).map(|(_, rest)| rest);
        last.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
    }
}

/// A host of pictures and sound.
async fn host(parents: u8, direct: bool) -> (Ticket, mpsc::Sender<Command>, Arc<Said>) {
    let said = Arc::<Said>::default();
    let opus =
        codec_opus::EncoderConfig { sample_rate: SampleRate::Hz16000, ..AudioConfig::through_bursts() };
    let config = session::Config {
        video: Some((Box::new(Pictures::new(u64::MAX)), encoder())),
        audio: Some((Box::new(Tone(0)), AudioConfig { opus })),
        parents,
        direct,
        autostart: false,
        observer: said.clone(),
        ..session::Config::new(random_seed().unwrap(), loopback())
    };
    let (commands, inbox) = mpsc::channel(4);
    let (ready, ticket) = oneshot::channel();
    on_thread(move || session::run(config, inbox, |ticket| drop(ready.send(ticket))));
    (ticket.await.unwrap(), commands, said)
}

/// Waits until it is so; what it is instead is said when it takes too long.
async fn until<T: std::fmt::Debug>(look: impl Fn() -> T, is: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = look();
        if is(&now) {
            return now;
        }
        assert!(Instant::now() < deadline, "{now:?}");
        sleep(10 * MILLISECOND).await;
    }
}

/// What happens on a way through real sockets: it takes 40 ms in each direction, and from a given time on nothing comes back for 60 ms,
/// every now and then.
struct Way {
    port: u16,
    /// Milliseconds since the beginning from which there are bursts of loss; 0 for none.
    lossy_from: Arc<AtomicU64>,
    bursts: Arc<AtomicU64>,
    began: Instant,
}

const DELAY: Duration = Duration::from_millis(40);
const BURST: Duration = Duration::from_millis(60);

impl Way {
    fn to(target: SocketAddr, seed: u64) -> Self {
        let (front, back) = (UdpSocket::bind(loopback()).unwrap(), UdpSocket::bind(loopback()).unwrap());
        back.connect(target).unwrap();
        for socket in [&front, &back] {
            socket.set_read_timeout(Some(MILLISECOND)).unwrap();
        }
        let port = front.local_addr().unwrap().port();
        let way = Self { port, lossy_from: Arc::default(), bursts: Arc::default(), began: Instant::now() };
        let client = Arc::new(Mutex::new(None::<SocketAddr>));
        let (up_front, up_back, caller) =
            (front.try_clone().unwrap(), back.try_clone().unwrap(), client.clone());
        std::thread::spawn(move || {
            pump(
                |bytes| {
                    let (len, from) = up_front.recv_from(bytes).ok()?;
                    *caller.lock().unwrap() = Some(from);
                    Some(len)
                },
                |bytes| drop(up_back.send(bytes)),
                |_| false,
            );
        });
        let (lossy_from, bursts, began) = (way.lossy_from.clone(), way.bursts.clone(), way.began);
        let (mut random, mut next) = (StdRng::seed_from_u64(seed), None::<Instant>);
        std::thread::spawn(move || {
            pump(
                |bytes| back.recv(bytes).ok(),
                |bytes| {
                    if let Some(to) = *client.lock().unwrap() {
                        let _ = front.send_to(bytes, to);
                    }
                },
                |now| {
                    let from = lossy_from.load(Ordering::Relaxed);
                    if from == 0 || now < began + from as u32 * MILLISECOND {
                        return false;
                    }
                    let start = *next.get_or_insert(now);
                    if now >= start + BURST {
                        bursts.fetch_add(1, Ordering::Relaxed);
                        next = Some(start + random.random_range(500..900) * MILLISECOND);
                    }
                    next.is_some_and(|start| now >= start)
                },
            );
        });
        way
    }

    fn begin_to_lose(&self) {
        self.lossy_from.store(self.began.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
    }

    fn bursts(&self) -> u64 {
        self.bursts.load(Ordering::Relaxed)
    }
}

/// Hands on what comes, later, unless it is lost.
fn pump(
    mut take: impl FnMut(&mut [u8]) -> Option<usize>,
    mut give: impl FnMut(&[u8]),
    mut is_lost: impl FnMut(Instant) -> bool,
) {
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut bytes = [0; 2_048];
    loop {
        if let Some(len) = take(&mut bytes) {
            let now = Instant::now();
            if !is_lost(now) {
                under_way.push_back((now + DELAY, bytes[..len].to_vec()));
            }
        }
        while under_way.front().is_some_and(|(due, _)| *due <= Instant::now())
            && let Some((_, datagram)) = under_way.pop_front()
        {
            give(&datagram);
        }
    }
}

/// From one snapshot to another.
fn between(before: &PlayStats, after: &PlayStats) -> (u64, u64, u64) {
    let repaired = PlayStats::slots(after.sound.from_repaired - before.sound.from_repaired);
    let recovered = after.audio_recovered - before.audio_recovered;
    (repaired, recovered, after.audio_concealed - before.audio_concealed)
}

/// Over real sockets, with 40 ms each way: what is asked for again takes longer than what the next packets bring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_on_every_way_is_heard_as_it_was_sent() {
    let (mut ticket, commands, said) = host(1, true).await;
    let way = Way::to(SocketAddr::new([127, 0, 0, 1].into(), ticket.direct.unwrap()), 7);
    // There is no other way: nobody has that transport key.
    (ticket.endpoint, ticket.direct) = ([1; 32], Some(way.port));
    let config = watch::Config {
        direct: true,
        delay: 250 * MILLISECOND,
        ..watch::Config::new(random_seed().unwrap(), ticket)
    };
    let state = config.state.clone();
    on_thread(move || watch::run(config, Vec::new()));
    let played = |state: &Arc<WatchState>| state.snapshot().played;
    until(|| state.snapshot(), |now| now.epoch.is_some() && now.parents == 1).await;
    commands.send(Command::Start).await.unwrap();
    until(|| played(&state), |now| now.frames_shown > 50).await;
    let before = played(&state);
    assert_eq!(said.expected_loss(), 0, "nothing is lost yet");
    way.begin_to_lose();
    until(|| said.expected_loss(), |percent| *percent >= 2).await;
    // From here on there is a unit with each packet.
    let (start, bursts) = (played(&state), way.bursts());
    until(|| way.bursts(), |now| *now >= bursts + 12).await;
    sleep(500 * MILLISECOND).await;
    let end = played(&state);
    let (repaired, recovered, concealed) = between(&start, &end);
    println!(
        "before any loss {before:?}\nat the beginning {start:?}\nafter {} bursts {end:?}",
        way.bursts() - bursts
    );
    assert!(repaired >= 24, "{repaired} given back, {recovered} recovered, {concealed} concealed: {end:?}");
    assert!((recovered + concealed) * 8 <= repaired, "{repaired} {recovered} {concealed}: {end:?}");
    assert!(state.snapshot().sound_by_units >= repaired);
}

/// The host's own hop loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_on_the_last_hop_is_heard_of_by_the_host() {
    for percent in [0.0, 10.0] {
        let (ticket, commands, said) = host(1, false).await;
        let config = relay::Config {
            loss: LossConfig { percent, seed: 3 },
            ..relay::Config::new(random_seed().unwrap(), ticket.clone(), loopback())
        };
        let (ready, serves) = oneshot::channel();
        on_thread(move || async move {
            relay::run(config, std::future::pending(), || _ = ready.send(())).await.map(drop)
        });
        serves.await.unwrap();
        let config = watch::Config::new(random_seed().unwrap(), ticket);
        let state = config.state.clone();
        on_thread(move || watch::run(config, Vec::new()));
        until(|| state.snapshot(), |now| now.epoch.is_some() && now.parents == 1).await;
        commands.send(Command::Start).await.unwrap();
        until(|| state.snapshot().played, |now| now.frames_shown > 75).await;
        if percent > 0.0 {
            until(|| said.expected_loss(), |expected| *expected >= 4).await;
        } else {
            // A busy machine may drop a datagram or two by itself.
            assert!(said.expected_loss() <= 2, "{:?}", said.1.lock().unwrap());
        }
        commands.send(Command::Stop).await.unwrap();
    }
}
