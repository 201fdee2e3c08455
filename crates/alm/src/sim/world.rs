//! The engine: nodes, the network between them, and chunks on their way.

use super::node::{Child, Id, KEPT, Live, MAX_QUEUE, Node, Role, Slot};
use super::queue::{Carried, Event, Queue};
use super::report::{NodeReport, Report, micros};
use super::rng::Rng;
use super::scenario::Scenario;
use super::watch::{LACKS_AFTER, Said};
use crate::{Action, Config, Error, Subscription};
use core::time::Duration;
use core_types::{BitRate, ChunkSeq, Epoch, LinkId, MonoTime, StreamId, StripeSet, WallTime};
use std::collections::BTreeMap;

/// The epoch of the whole run.
pub(super) const EPOCH: Epoch = Epoch(1);
/// Wall time at the beginning of a run, which claims are dated by.
const WALL_START: u64 = 1_700_000_000_000;
/// A subscription that wants to be woken at a time that is past is woken after this.
const AT_ONCE: Duration = Duration::from_millis(1);
/// How long a parent that has never sent anything is not asked for a place again.
pub(super) const AVOID: Duration = Duration::from_secs(60);
/// The same of one that had: it may have been cut off.
pub(super) const SERVED: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) config: Config,
    pub(super) stream: StreamId,
    pub(super) now: MonoTime,
    pub(super) queue: Queue,
    pub(super) nodes: Vec<Node>,
    /// Those who have parents, in no order.
    pub(super) serving: Vec<Id>,
    pub(super) is_partitioned: bool,
    pub(super) losses: Rng,
    pub(super) layout: Rng,
    pub(super) choices: Rng,
    /// Thousandths of a node that churn has yet to take.
    pub(super) churn_debt: u64,
    pub(super) recoveries: Vec<u64>,
    pub(super) unrecovered: u64,
    /// By node: the last walk through the tree that met it.
    pub(super) met: Vec<u32>,
    pub(super) walk: u32,
    /// Evidence that was ever sent.
    pub(super) said: Vec<Said>,
    /// Which of it the publisher passes on, by whom it is against.
    pub(super) accused: BTreeMap<Id, Vec<u32>>,
    shares: Vec<(Id, u16)>,
    events: u64,
}

/// What is needed of a node to send from it.
struct Sender {
    id: Id,
    latency: Duration,
    /// For one chunk; `None` if it sends nothing.
    nanos: Option<u64>,
    sent: u64,
    dropped: u64,
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Result<Self, Error> {
        scenario.validate()?;
        let mut layout = Rng::new(scenario.seed, 1);
        let mut world = Self {
            scenario,
            config: Config { stripes: scenario.parents, ..scenario.subscription },
            stream: StreamId(layout.id()),
            now: MonoTime(0),
            queue: Queue::default(),
            nodes: Vec::new(),
            serving: Vec::new(),
            is_partitioned: false,
            losses: Rng::new(scenario.seed, 2),
            layout,
            choices: Rng::new(scenario.seed, 3),
            churn_debt: 0,
            recoveries: Vec::new(),
            unrecovered: 0,
            met: Vec::new(),
            walk: 0,
            said: Vec::new(),
            accused: BTreeMap::new(),
            shares: Vec::new(),
            events: 0,
        };
        world.add_publisher();
        world.begin();
        Ok(world)
    }

    pub(super) fn run(mut self) -> Report {
        let end = MonoTime(0).plus(self.scenario.length);
        while let Some((at, event)) = self.queue.pop(end) {
            self.now = at;
            self.events += 1;
            self.handle(event);
        }
        self.now = end;
        for index in 0..self.nodes.len() {
            self.finish(Id(index as u32));
        }
        self.recoveries.sort_unstable();
        Report {
            nodes: self.nodes.into_iter().map(|node| node.report).collect(),
            frames: u64::from(self.scenario.frames()),
            chunk_bytes: u64::from(self.scenario.chunk_bytes),
            source_chunks: u64::from(self.scenario.source_chunks),
            recoveries: self.recoveries,
            unrecovered: self.unrecovered,
            events: self.events,
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Frame(frame) => self.capture(frame),
            Event::Chunk(carried) => self.arrive(carried),
            Event::Timer(id) => self.wake(id),
            Event::Check(id) => self.check(id),
            Event::Search(id) => self.search(id),
            Event::Settle(id) => self.settle_for(id),
            Event::Place { child, parent, stripes, need } => self.place(child, parent, stripes, need),
            Event::Placed { child, parent, answer } => self.placed(child, parent, answer),
            Event::Assign { child, parent, mask } => self.give(child, parent, mask),
            Event::Short { child, parent, stripes } => self.fall_short(child, parent, stripes),
            Event::Move { child, parent, to } => self.move_to(child, parent, to),
            Event::Expel { child, parent, stripes } => self.expel(child, parent, stripes),
            Event::Ask { child, parent, chunk } => self.answer(child, parent, chunk),
            Event::Look(id) => self.look(id),
            Event::Lacks { child, parent } => self.excuse(child, parent),
            Event::Evidence(number) => self.hear_evidence(number),
            Event::Left { child, parent } => self.forget_child(child, parent),
            Event::Cut { child, parent } => self.lose_parent(child, parent),
            Event::Join => self.join(),
            Event::Die(id) => self.die(id),
            Event::Shrink(id) => self.shrink(id),
            Event::Happen(index) => self.happen(index),
            Event::Over(index) => self.over(index),
            Event::Sever => self.sever(),
        }
    }

    pub(super) fn node(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id.index())
    }

    pub(super) fn node_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.nodes.get_mut(id.index())
    }

    pub(super) fn live(&self, id: Id) -> Option<&Live> {
        self.node(id)?.live.as_deref()
    }

    pub(super) fn live_mut(&mut self, id: Id) -> Option<&mut Live> {
        self.node_mut(id)?.live.as_deref_mut()
    }

    /// Works on a node's state with the rest of the world at hand.
    pub(super) fn with<T>(&mut self, id: Id, work: impl FnOnce(&mut Self, &mut Live) -> T) -> Option<T> {
        let mut live = self.node_mut(id)?.live.take()?;
        let result = work(self, &mut live);
        if let Some(node) = self.node_mut(id) {
            node.live = Some(live);
        }
        Some(result)
    }

    pub(super) fn report(&mut self, id: Id, change: impl FnOnce(&mut NodeReport)) {
        if let Some(node) = self.node_mut(id) {
            change(&mut node.report);
        }
    }

    pub(super) const fn wall(&self) -> WallTime {
        WallTime(WALL_START + self.now.0 / 1_000)
    }

    pub(super) fn start(&self) -> MonoTime {
        MonoTime(0).plus(self.scenario.start)
    }

    pub(super) fn captured_at(&self, frame: u32) -> MonoTime {
        MonoTime(self.start().0 + u64::from(frame) * 1_000_000 / u64::from(self.scenario.fps))
    }

    /// Time from one to the other.
    pub(super) fn latency(&self, a: Id, b: Id) -> Duration {
        let own = |id| self.node(id).map_or(Duration::ZERO, |node| node.latency);
        own(a) + own(b)
    }

    pub(super) fn can_reach(&self, a: Id, b: Id) -> bool {
        let side = |id| self.node(id).is_some_and(|node| node.cut_off);
        !self.is_partitioned || side(a) == side(b)
    }

    /// Sends a message that is never lost, as over a stream; only a partition stops it.
    pub(super) fn tell(&mut self, from: Id, to: Id, event: Event) {
        if self.can_reach(from, to) {
            self.queue.push(self.now.plus(self.latency(from, to)), event);
        }
    }

    fn bit(&self, chunk: u32) -> u16 {
        1 << (chunk % u32::from(self.scenario.parents))
    }

    fn sender(&self, id: Id) -> Sender {
        let mut sender = Sender { id, latency: Duration::ZERO, nanos: None, sent: 0, dropped: 0 };
        let Some(node) = self.node(id) else { return sender };
        let roles = &self.scenario.roles;
        let sends = match node.role {
            Role::Honest | Role::Slow => true,
            Role::Lying => false,
            Role::Stalling => self.now < MonoTime(0).plus(roles.stall_at),
        };
        let bits = u64::from(self.scenario.chunk_bytes) * 8 * 1_000_000_000;
        sender.nanos = bits.checked_div(node.uplink.0).filter(|_| sends);
        sender.latency = node.latency + if node.role == Role::Slow { roles.slow_by } else { Duration::ZERO };
        sender
    }

    /// Puts a chunk on the uplink, if there is room in its queue. What is lost is lost behind the uplink.
    fn transmit(&mut self, sender: &mut Sender, busy_until: &mut u64, child: &mut Child, carried: Carried) {
        let Some(nanos) = sender.nanos else { return };
        let now = self.now.0 * 1_000;
        let begin = now.max(*busy_until);
        if u128::from(begin - now) > MAX_QUEUE.as_nanos() {
            sender.dropped += 1;
            return;
        }
        *busy_until = begin + nanos;
        sender.sent += 1;
        let lost = child.loses(&mut self.losses, self.scenario.loss_permille, self.scenario.bursts);
        let Some(receiver) = self.node(child.id) else { return };
        if lost || receiver.live.is_none() || !self.can_reach(sender.id, child.id) {
            return;
        }
        let at = MonoTime(busy_until.div_ceil(1_000)).plus(sender.latency + receiver.latency);
        self.queue.push(at, Event::Chunk(carried));
    }

    fn count_sent(&mut self, sender: &Sender) {
        self.report(sender.id, |report| {
            report.sent += sender.sent;
            report.dropped += sender.dropped;
        });
    }

    fn forward(&mut self, sender: &mut Sender, live: &mut Live, chunk: u32, hops: u8) {
        let bit = self.bit(chunk);
        for child in live.children.iter_mut().filter(|child| child.mask & bit != 0) {
            let carried = Carried { from: sender.id, to: child.id, chunk, hops, asked: false };
            self.transmit(sender, &mut live.busy_until, child, carried);
        }
    }

    fn capture(&mut self, frame: u32) {
        let per_frame = self.scenario.per_frame();
        self.with(Id::PUBLISHER, |world, live| {
            if let Some(slot) = live.slot(frame) {
                *slot = Slot { have: (1 << per_frame) - 1, frame, asked: 0, shown: true };
            }
            let mut sender = world.sender(Id::PUBLISHER);
            for number in 0..per_frame {
                world.forward(&mut sender, live, frame * per_frame + number, 1);
            }
            world.count_sent(&sender);
        });
        if frame + 1 < self.scenario.frames() {
            self.queue.push(self.captured_at(frame + 1), Event::Frame(frame + 1));
        }
    }

    fn arrive(&mut self, carried: Carried) {
        self.with(carried.to, |world, live| {
            world.account(carried.to, live);
            world.take(carried, live);
            world.drain(carried.to, live);
        });
    }

    /// Takes a chunk in and passes it on.
    fn take(&mut self, carried: Carried, live: &mut Live) {
        let Carried { from, to, chunk, hops, asked } = carried;
        let now = self.now;
        let per_frame = self.scenario.per_frame();
        let (frame, number) = (chunk / per_frame, chunk % per_frame);
        let captured_at = self.captured_at(frame);
        let source_chunks = u32::from(self.scenario.source_chunks);
        live.heard = Some(now);
        let Some(slot) = live.slot(frame) else { return };
        let fresh = slot.have & (1 << number) == 0;
        slot.have |= 1 << number;
        slot.asked += u8::from(fresh && asked);
        let count = slot.have.count_ones();
        let completes = fresh && count == source_chunks;
        slot.shown |= completes && now <= captured_at.plus(self.scenario.deadline);
        let shows = completes && slot.shown;
        // Who feeds others owes them what it does not need itself.
        let passed_on = if self.scenario.relays_repair_all { live.passed_on() } else { 0 };
        if let Some(parent) = live.parents.iter_mut().find(|parent| parent.id == from && !asked) {
            parent.served = true;
        }
        if fresh || !asked {
            live.watch.shares.handle_chunk(now, from, self.bit(chunk), self.scenario.chunk_bytes.into());
        }
        let stripe = (chunk % u32::from(self.scenario.parents)) as usize;
        if let Some(heard) = live.heard_of.get_mut(stripe) {
            let stale = heard.is_none_or(|at| now.since(at) > LACKS_AFTER);
            *heard = Some(now);
            if let Some(resumed) = live.resumed.get_mut(stripe).filter(|_| stale) {
                *resumed = Some(now);
            }
        }
        if let Some(subscription) = &mut live.subscription {
            subscription.pass_on(StripeSet::new(self.scenario.parents, passed_on).unwrap_or(StripeSet::ALL));
            let (link, seq) = (LinkId(u64::from(from.0)), ChunkSeq(u64::from(chunk)));
            if fresh {
                subscription.handle_chunk(now, link, EPOCH, seq);
            } else {
                subscription.handle_duplicate(now, link, EPOCH, seq);
            }
            let first = u64::from(frame * per_frame);
            let range = ChunkSeq(first)..ChunkSeq(first + u64::from(per_frame));
            if fresh && count <= source_chunks {
                subscription.expect(now, EPOCH, range.clone(), u64::from(source_chunks));
            }
            if completes {
                subscription.settle(EPOCH, range);
            }
        }
        if fresh && count == per_frame && live.hurt_at.is_some_and(|hurt| hurt <= captured_at) {
            self.recover(live);
        }
        if fresh && count == 1 {
            self.frame_begins(live, frame);
        }
        let start = self.start();
        self.report(to, |report| {
            report.received += 1;
            report.duplicates += u64::from(!fresh);
            report.repairs += u64::from(fresh && asked);
            if fresh && !asked {
                report.hops = report.hops.max(u64::from(hops));
            }
            if shows && report.first_frame.is_none() {
                report.first_frame = Some(now.0 - report.joined.max(start.0));
            }
        });
        if fresh {
            if let Some(known) = live.hops.get_mut((chunk % u32::from(self.scenario.parents)) as usize) {
                *known = hops;
            }
            let mut sender = self.sender(to);
            self.forward(&mut sender, live, chunk, hops.saturating_add(1));
            self.count_sent(&sender);
        }
    }

    /// Does what the subscription wants done, and sets its timer.
    pub(super) fn drain(&mut self, id: Id, live: &mut Live) {
        let Some(subscription) = &mut live.subscription else { return };
        let mut shares = core::mem::take(&mut self.shares);
        shares.clear();
        let mut lacks_parents = false;
        let mut suspects = Vec::new();
        while let Some(action) = subscription.poll_action() {
            match action {
                // Of several shares for one parent the last counts: they would arrive at one time.
                Action::Assign { parent, stripes } => {
                    let parent = Id(parent.0 as u32);
                    shares.retain(|(other, _)| *other != parent);
                    shares.push((parent, stripes.mask()));
                }
                Action::Request { parent, chunks, .. } => {
                    let parent = Id(parent.0 as u32);
                    self.report(id, |report| report.requests += chunks.len() as u64);
                    for seq in chunks {
                        self.tell(id, parent, Event::Ask { child: id, parent, chunk: seq.0 as u32 });
                    }
                }
                Action::Suspect { parent } => {
                    suspects.push(Id(parent.0 as u32));
                    lacks_parents = true;
                }
                // A spare that is gone is looked for again when the link counts as dead: nobody says that it lives.
                Action::Quiet { .. } => {}
                Action::Rebuild => lacks_parents = true,
            }
        }
        let due = subscription.poll_timeout();
        for (parent, mask) in &shares {
            self.tell(id, *parent, Event::Assign { child: id, parent: *parent, mask: *mask });
            self.share(id, live, *parent, *mask);
        }
        self.shares = shares;
        for parent in suspects {
            self.suspect(id, live, parent);
        }
        if lacks_parents {
            self.queue.push(self.now, Event::Search(id));
        }
        if let Some(due) = due {
            let at = if due > self.now { due } else { self.now.plus(AT_ONCE) };
            if live.timer.is_none_or(|timer| at < timer) {
                live.timer = Some(at);
                self.queue.push(at, Event::Timer(id));
            }
        }
    }

    fn suspect(&mut self, id: Id, live: &mut Live, parent: Id) {
        let innocent = self.node(parent).is_some_and(|node| node.live.is_some() && node.role == Role::Honest)
            && self.can_reach(id, parent);
        self.report(id, |report| {
            report.suspicions += 1;
            report.false_suspicions += u64::from(innocent);
        });
        // Everybody knows who the publisher is: it may be slow at times, and is asked again.
        let mut served = false;
        for known in live.parents.iter_mut().filter(|known| known.id == parent) {
            known.suspect = true;
            served = known.served;
        }
        if parent != Id::PUBLISHER {
            live.avoid(parent, self.now.plus(if served { SERVED } else { AVOID }));
        }
    }

    fn wake(&mut self, id: Id) {
        let now = self.now;
        self.with(id, |world, live| {
            if live.timer != Some(now) {
                return;
            }
            live.timer = None;
            let subscription = live.subscription.as_mut();
            if let Some(subscription) =
                subscription.filter(|it| it.poll_timeout().is_some_and(|due| due <= now))
            {
                subscription.handle_timeout(now);
            }
            world.drain(id, live);
        });
    }

    /// A request for one chunk has come.
    fn answer(&mut self, child: Id, parent: Id, chunk: u32) {
        let per_frame = self.scenario.per_frame();
        let (frame, number) = (chunk / per_frame, chunk % per_frame);
        let is_kept = self.now.since(self.captured_at(frame)) <= KEPT;
        let stripe = (chunk % u32::from(self.scenario.parents)) as usize;
        self.with(parent, |world, live| {
            if !is_kept || live.peek(frame).is_none_or(|slot| slot.have & (1 << number) == 0) {
                return;
            }
            let hops = live.hops.get(stripe).copied().unwrap_or(0).saturating_add(1);
            let Some(known) = live.children.iter_mut().find(|known| known.id == child) else { return };
            let mut sender = world.sender(parent);
            let carried = Carried { from: parent, to: child, chunk, hops, asked: true };
            world.transmit(&mut sender, &mut live.busy_until, known, carried);
            world.count_sent(&sender);
        });
    }

    /// What one stripe costs.
    pub(super) fn stripe_rate(&self) -> BitRate {
        BitRate(self.scenario.rate().0.div_ceil(u64::from(self.scenario.parents)))
    }

    /// A frame index by time: the first that is captured at `at` or later.
    pub(super) fn first_frame(&self, at: MonoTime) -> u32 {
        let since = micros(at.since(self.start()));
        let frame = (u128::from(since) * u128::from(self.scenario.fps)).div_ceil(1_000_000);
        u32::try_from(frame).unwrap_or(u32::MAX)
    }

    pub(super) fn subscription(&self, id: Id) -> Option<Subscription> {
        Subscription::new(Config { seed: self.scenario.seed ^ u64::from(id.0), ..self.config }).ok()
    }
}
