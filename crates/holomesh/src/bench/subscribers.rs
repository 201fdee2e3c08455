//! The subscribers: each a node of its own, all in one process.

use super::Via;
use super::asks::Asks;
use super::edge::Edge;
use super::figures::{Audience, Seen, Usage};
use super::options::FRAME;
use super::process::{Orders, answer, say};
use super::publisher::{host, permit};
use super::relay::Place;
use super::stream::{Reader, announce, stamp};
use super::tally::Tally;
use crate::net::{Control, Impairment, Inbox, LaneChange, Link, LinkEvent, Net, NetConfig, Role};
use crate::ticket::Ticket;
use crate::{Clock, Error, keyfile};
use alm::Action;
use av_wire::permit::PermitRole;
use clap::Args;
use core_types::{LayerPolicy, StreamId, StripeSet};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Interval, interval, sleep_until, timeout};

/// Subscribers that link up at the same time.
const AT_ONCE: usize = 16;
/// Nobody waits longer for a link and its lane.
const PATIENCE: Duration = Duration::from_secs(30);
/// Latencies are sampled up to so many.
const SAMPLES: usize = 200_000;

/// Options of the subscribers' process.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[arg(long, value_enum)]
    transport: Via,
    #[arg(long)]
    count: u32,
    #[arg(long)]
    lossy: u32,
    #[arg(long)]
    narrow: u32,
    /// So many a second go, and as many come.
    #[arg(long)]
    churn: u32,
    #[arg(long)]
    rate: u64,
    #[arg(long, default_value_t = 0)]
    repair: usize,
    #[arg(long)]
    relay: Place,
    ticket: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Lossy,
    Narrow,
    /// Takes the stream from the publisher itself: what the relay adds is measured against it.
    Direct,
}

/// Arrival times of first chunks of frames: at the direct subscriber, and what came later elsewhere.
#[derive(Debug, Default)]
struct Times {
    direct: HashMap<u64, Duration>,
    relayed: Vec<(u64, Duration)>,
    latencies_us: Vec<u64>,
}

struct Shared {
    ticket: Ticket,
    relay: Place,
    via: Via,
    rate: u64,
    stream: StreamId,
    repair: usize,
    times: Mutex<Times>,
    edge: Mutex<Edge>,
    linking: Semaphore,
}

struct Subscriber {
    kind: Kind,
    tally: Arc<Mutex<Tally>>,
    task: tokio::task::JoinHandle<()>,
    /// Dropped, it ends the task, which closes its links.
    _end: oneshot::Sender<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) async fn run(options: Options) -> Result<(), Error> {
    let ticket: Ticket = options.ticket.parse()?;
    let shared = Arc::new(Shared {
        stream: announce(ticket.session, ticket.host)?.stream_id()?,
        ticket,
        relay: options.relay.clone(),
        via: options.transport,
        rate: options.rate,
        repair: options.repair,
        times: Mutex::default(),
        edge: Mutex::default(),
        linking: Semaphore::new(AT_ONCE),
    });
    let (ready, mut linked) = mpsc::channel(AT_ONCE);
    let kind = |n: u32| match n {
        n if n < options.lossy => Kind::Lossy,
        n if n < options.lossy + options.narrow => Kind::Narrow,
        _ => Kind::Plain,
    };
    let mut all: Vec<Subscriber> =
        (0..options.count).map(|n| start(&shared, kind(n), ready.clone())).collect();
    let direct = start(&shared, Kind::Direct, ready.clone());
    for _ in 0..=options.count {
        let outcome = timeout(PATIENCE * 4, linked.recv()).await;
        outcome.map_err(|_| Error::Network("not everybody could link up".into()))?.transpose()?;
    }
    say("ready")?;
    let mut orders = Orders::new();
    let (mut turn, mut gone) = (0, Vec::new());
    let mut churn: Option<Interval> = None;
    loop {
        tokio::select! {
            order = orders.next() => match order.as_deref() {
                None => break,
                Some("mark") => answer(&mark(&shared, &all, std::mem::take(&mut gone)))?,
                Some("churn") => churn = (options.churn > 0).then(|| interval(Duration::from_secs(1))),
                Some("rest") => churn = None,
                Some(other) => {
                    return Err(Error::input(other, "the subscribers take mark, churn, rest and stop"));
                }
            },
            // Those who come later are not waited for.
            Some(outcome) = linked.recv() => outcome?,
            () = tick(&mut churn) => {
                let settled = lock(&shared.edge).settled(Instant::now());
                for _ in 0..options.churn.min(options.count) {
                    let at = turn % all.len();
                    turn += 1;
                    let goes = std::mem::replace(&mut all[at], start(&shared, Kind::Plain, ready.clone()));
                    gone.push(lock(&goes.tally).mark(settled));
                }
            }
        }
    }
    let tasks: Vec<_> = all.into_iter().chain([direct]).map(|Subscriber { task, .. }| task).collect();
    let closed = async {
        for task in tasks {
            let _ = task.await;
        }
    };
    let _ = timeout(Duration::from_secs(2), closed).await;
    Ok(())
}

/// When the next come and go; never without churn.
async fn tick(churn: &mut Option<Interval>) {
    match churn {
        Some(churn) => drop(churn.tick().await),
        None => std::future::pending().await,
    }
}

fn mark(shared: &Shared, all: &[Subscriber], gone: Vec<Seen>) -> Audience {
    let mut audience = Audience { usage: Usage::now(), gone, ..Audience::default() };
    let settled = lock(&shared.edge).settled(Instant::now());
    for subscriber in all {
        let seen = lock(&subscriber.tally).mark(settled);
        match subscriber.kind {
            Kind::Plain => audience.plain.push(seen),
            Kind::Lossy => audience.lossy.push(seen),
            Kind::Narrow => audience.narrow.push(seen),
            Kind::Direct => {}
        }
    }
    let Times { direct, relayed, latencies_us } = std::mem::take(&mut *lock(&shared.times));
    audience.latencies_us = thin(latencies_us);
    let added = relayed.iter().filter_map(|(frame, at)| Some(at.saturating_sub(*direct.get(frame)?)));
    audience.added_us = thin(added.map(|added| added.as_micros() as u64).collect());
    audience
}

/// A tenth of a percent of a window is enough to tell a percentile by.
fn thin(values: Vec<u64>) -> Vec<u64> {
    let step = values.len().div_ceil(20_000).max(1);
    values.into_iter().step_by(step).collect()
}

fn start(shared: &Arc<Shared>, kind: Kind, ready: mpsc::Sender<Result<(), Error>>) -> Subscriber {
    let tally = Arc::new(Mutex::new(Tally::new(shared.repair)));
    let (end, ended) = oneshot::channel();
    let (shared, counts) = (shared.clone(), tally.clone());
    let task = tokio::spawn(async move {
        let linked = {
            let _turn = shared.linking.acquire().await;
            timeout(PATIENCE, Node::link(&shared, kind, &counts)).await
        };
        let linked = linked.unwrap_or_else(|_| Err(Error::Network("a subscriber could not link up".into())));
        match linked {
            Ok(node) => {
                let _ = ready.send(Ok(())).await;
                let net = node.net.clone();
                tokio::select! {
                    outcome = node.watch(&shared, kind, &counts) => if let Err(error) = outcome {
                        tracing::warn!(%error, "a subscriber ended");
                    },
                    _ = ended => {}
                }
                net.close().await;
            }
            Err(error) => {
                let _ = ready.send(Err(error)).await;
            }
        }
    });
    Subscriber { kind, tally, task, _end: end }
}

/// A subscriber that has linked up.
struct Node {
    net: Net,
    inbox: Inbox,
    link: Link,
}

impl Node {
    async fn link(shared: &Shared, kind: Kind, tally: &Mutex<Tally>) -> Result<Self, Error> {
        let listen = ([127, 0, 0, 1], 0).into();
        let (lanes, direct) = (shared.via.lanes(), shared.via == Via::Udp);
        let config =
            NetConfig { lanes, direct, ..NetConfig::new(keyfile::random_seed()?, Role::Watcher, listen) };
        let (net, mut inbox) = Net::open(config).await?;
        let to = if kind == Kind::Direct { shared.ticket.address() } else { shared.relay.0.clone() };
        let mut link = net.connect(&to).await?;
        link.begin();
        if kind != Kind::Direct {
            link.send(&permit(&host()?, net.identity().key_id(), PermitRole::Member)?);
        }
        let handle = inbox.lanes();
        match kind {
            Kind::Lossy => handle.impair(Impairment { loss_permille: 100, bytes_per_second: 0 }),
            Kind::Narrow => {
                handle.impair(Impairment { loss_permille: 0, bytes_per_second: shared.rate / 8 / 4 });
            }
            _ => {}
        }
        if let Some(offer) = handle.offer(&link) {
            link.send(&offer);
            loop {
                match inbox.next().await.ok_or(Error::Ended("the network"))? {
                    LinkEvent::Control(_, message) => handle.handle_answer(Some(&link), &message),
                    LinkEvent::Lane(_, LaneChange::Up) => break,
                    // One that failed is offered anew, as nodes do.
                    LinkEvent::Lane(_, LaneChange::Due) => {
                        handle.offer(&link).into_iter().for_each(|offer| link.send(&offer));
                    }
                    LinkEvent::Down(_, why) => {
                        return Err(Error::Connect { peer: "the relay".into(), why });
                    }
                    _ => {}
                }
            }
        }
        link.send(&Control::subscribe(
            shared.stream,
            LayerPolicy::UNCAPPED,
            StripeSet::ALL,
            control_wire::Start::KeyFrame,
        ));
        lock(tally).begin(lock(&shared.edge).next());
        Ok(Self { net, inbox, link })
    }

    async fn watch(mut self, shared: &Shared, kind: Kind, tally: &Mutex<Tally>) -> Result<(), Error> {
        let clock = Clock::start();
        let mut reader = Reader::new(shared.stream)?;
        let mut repair = match kind {
            Kind::Lossy | Kind::Narrow => Some(Asks::new(clock.now(), self.link.id, shared.repair)?),
            _ => None,
        };
        loop {
            let wake = repair.as_ref().and_then(|asks| asks.poll_timeout()).map(|at| clock.instant(at));
            let wake = wake.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
            tokio::select! {
                event = self.inbox.next() => match event {
                    Some(LinkEvent::Chunks(link, chunks)) => {
                        let (arrived, now) = (self.inbox.arrival().unwrap_or_else(stamp), Instant::now());
                        let mut tally = lock(tally);
                        for chunk in &chunks {
                            let seq = chunk.header().chunk_seq;
                            if let Some(repair) = &mut repair {
                                repair.take(clock.now(), link, chunk.header());
                            }
                            match kind {
                                Kind::Direct => lock(&shared.edge).begun(now, seq.0 / FRAME as u64),
                                _ => tally.take(now, seq, chunk.header().marks.class),
                            }
                            let counts = kind == Kind::Direct || tally.is_of_its_stay(seq);
                            if counts && seq.0 % FRAME as u64 == 0 {
                                sample(shared, kind, &mut reader, chunk.bytes(), arrived);
                            }
                        }
                    }
                    Some(LinkEvent::Control(_, message)) => {
                        self.inbox.lanes().handle_answer(Some(&self.link), &message);
                    }
                    Some(LinkEvent::Lane(_, LaneChange::Due)) => {
                        let offer = self.inbox.lanes().offer(&self.link);
                        offer.into_iter().for_each(|offer| self.link.send(&offer));
                    }
                    Some(LinkEvent::Down(_, why)) => {
                        return Err(Error::Connect { peer: "the relay".into(), why });
                    }
                    Some(_) => {}
                    None => return Err(Error::Ended("the network")),
                },
                () = sleep_until(wake.into()) => {
                    if let Some(repair) = &mut repair {
                        repair.handle_timeout(clock.now());
                    }
                }
            }
            if let Some(repair) = &mut repair {
                ask(repair, &self.link, shared.stream);
            }
        }
    }
}

fn ask(repair: &mut Asks, link: &Link, stream: StreamId) {
    while let Some(action) = repair.poll_action() {
        if let Action::Request { epoch, chunks, .. } = action {
            link.send(&Control::repair(stream, epoch, &chunks));
        }
    }
}

fn sample(shared: &Shared, kind: Kind, reader: &mut Reader, chunk: &[u8], arrived: Duration) {
    let Some(part) = reader.read(chunk) else { return };
    let mut times = lock(&shared.times);
    match kind {
        Kind::Direct if times.direct.len() < SAMPLES => {
            times.direct.insert(part.frame, arrived);
        }
        Kind::Direct => {}
        _ if times.relayed.len() < SAMPLES => {
            times.relayed.push((part.frame, arrived));
            times.latencies_us.push(arrived.saturating_sub(part.made_at).as_micros() as u64);
        }
        _ => {}
    }
}
