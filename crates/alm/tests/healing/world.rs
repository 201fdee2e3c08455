//! A watcher and its parents in virtual time: frames of symbols at a steady rate, delays, loss, deaths.

use alm::{Action, Config, Stats, Subscription};
use core_types::{ChunkSeq, Epoch, LinkId, MonoTime, StripeSet};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) const EPOCH: Epoch = Epoch(1);
/// Thirty frames a second.
pub(crate) const FRAME: Duration = Duration::from_micros(33_333);

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[derive(Debug, Clone)]
enum Event {
    Arrive { from: LinkId, seq: u64 },
    Told { parent: LinkId, stripes: StripeSet },
    Asked { parent: LinkId, chunks: Vec<ChunkSeq> },
}

#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) start: u64,
    pub(crate) needed: u64,
    pub(crate) len: u64,
    pub(crate) sent: MonoTime,
    pub(crate) came: u64,
    pub(crate) done: Option<MonoTime>,
}

pub(crate) struct World {
    pub(crate) now: MonoTime,
    pub(crate) subscription: Subscription,
    pub(crate) told: BTreeMap<LinkId, StripeSet>,
    pub(crate) dead: BTreeSet<LinkId>,
    /// One way to and from each parent.
    pub(crate) delay: BTreeMap<LinkId, Duration>,
    /// Of a thousand chunks, how many are lost.
    pub(crate) loss: u32,
    pub(crate) frames: Vec<Frame>,
    /// Every action but Assign, and when.
    pub(crate) log: Vec<(MonoTime, Action)>,
    /// Chunks that took the downlink.
    pub(crate) received: u64,
    got: BTreeSet<u64>,
    next_seq: u64,
    events: BTreeMap<(MonoTime, u64), Event>,
    scheduled: u64,
    rng: StdRng,
}

impl World {
    /// Parents 0 to `parents`, so many milliseconds away.
    pub(crate) fn new(config: Config, delays: &[u64]) -> Self {
        let mut world = Self {
            now: MonoTime(1_000_000),
            subscription: Subscription::new(config).unwrap(),
            told: BTreeMap::new(),
            dead: BTreeSet::new(),
            delay: BTreeMap::new(),
            loss: 0,
            frames: Vec::new(),
            log: Vec::new(),
            received: 0,
            got: BTreeSet::new(),
            next_seq: 0,
            events: BTreeMap::new(),
            scheduled: 0,
            rng: StdRng::seed_from_u64(config.seed),
        };
        for (link, delay) in delays.iter().enumerate() {
            world.add(link as u64, *delay);
        }
        world.pass(ms(500));
        world
    }

    pub(crate) fn add(&mut self, link: u64, delay: u64) {
        self.delay.insert(LinkId(link), ms(delay));
        self.subscription.add_parent(self.now, LinkId(link));
        self.act();
    }

    pub(crate) fn kill(&mut self, link: u64) {
        self.dead.insert(LinkId(link));
    }

    /// The publisher sends a frame; each parent forwards its share.
    pub(crate) fn frame(&mut self, needed: u64, repair: u64) {
        let (start, len) = (self.next_seq, needed + repair);
        self.next_seq += len;
        self.frames.push(Frame { start, needed, len, sent: self.now, came: 0, done: None });
        for seq in start..start + len {
            let carriers: Vec<LinkId> =
                self.told.iter().filter(|(_, s)| s.contains(ChunkSeq(seq))).map(|(l, _)| *l).collect();
            for from in carriers {
                self.send(from, seq);
            }
        }
    }

    /// So many frames at a rate, twelve symbols and four for repair each.
    pub(crate) fn play(&mut self, frames: u64, interval: Duration) {
        for _ in 0..frames {
            self.frame(12, 4);
            self.pass(interval);
        }
    }

    fn send(&mut self, from: LinkId, seq: u64) {
        if !self.dead.contains(&from) && self.rng.random_range(0..1_000) >= self.loss {
            let at = self.now.plus(self.delay[&from]);
            self.schedule(at, Event::Arrive { from, seq });
        }
    }

    fn schedule(&mut self, at: MonoTime, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    pub(crate) fn pass(&mut self, by: Duration) {
        let end = self.now.plus(by);
        loop {
            let event = self.events.keys().next().copied().filter(|(at, _)| *at <= end);
            let due = self.subscription.poll_timeout().filter(|at| *at <= end);
            match (event, due) {
                (Some(key), due) if due.is_none_or(|due| key.0 <= due) => {
                    self.now = self.now.max(key.0);
                    let event = self.events.remove(&key).unwrap();
                    self.happen(event);
                }
                (_, Some(due)) => {
                    self.now = self.now.max(due);
                    self.subscription.handle_timeout(self.now);
                    let next = self.subscription.poll_timeout();
                    assert!(next.is_none_or(|next| next > self.now), "what was due is done");
                }
                _ => break,
            }
            self.act();
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Told { parent, stripes } => {
                self.told.insert(parent, stripes);
            }
            Event::Asked { parent, chunks } => chunks.iter().for_each(|seq| self.send(parent, seq.0)),
            Event::Arrive { from, seq } => self.arrive(from, seq),
        }
    }

    /// As a watcher does it: report, expect, settle.
    pub(crate) fn arrive(&mut self, from: LinkId, seq: u64) {
        self.received += 1;
        if !self.got.insert(seq) {
            self.subscription.handle_duplicate(self.now, from, EPOCH, ChunkSeq(seq));
            return;
        }
        self.subscription.handle_chunk(self.now, from, EPOCH, ChunkSeq(seq));
        let frame = self.frames.iter_mut().rev().find(|f| f.start <= seq).unwrap();
        let range = ChunkSeq(frame.start)..ChunkSeq(frame.start + frame.len);
        self.subscription.expect(self.now, EPOCH, range.clone(), frame.needed);
        frame.came += 1;
        if frame.came == frame.needed {
            frame.done = Some(self.now);
            self.subscription.settle(EPOCH, range);
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.subscription.poll_action() {
            match &action {
                Action::Assign { parent, stripes } => {
                    let (at, parent, stripes) = (self.now.plus(self.delay[parent]), *parent, *stripes);
                    self.schedule(at, Event::Told { parent, stripes });
                    continue;
                }
                Action::Request { parent, chunks, .. } => {
                    let at = self.now.plus(self.delay[parent]);
                    self.schedule(at, Event::Asked { parent: *parent, chunks: chunks.clone() });
                }
                _ => {}
            }
            self.log.push((self.now, action));
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.subscription.stats()
    }

    pub(crate) fn suspected(&self) -> Vec<u64> {
        self.times(|a| matches!(a, Action::Suspect { .. }))
            .into_iter()
            .filter_map(|(_, action)| match action {
                Action::Suspect { parent } => Some(parent.0),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn times(&self, which: impl Fn(&Action) -> bool) -> Vec<(MonoTime, Action)> {
        self.log.iter().filter(|(_, action)| which(action)).cloned().collect()
    }

    /// Stripes that `link` was told.
    pub(crate) fn share(&self, link: u64) -> u32 {
        self.told.get(&LinkId(link)).map_or(0, |stripes| stripes.len())
    }
}
