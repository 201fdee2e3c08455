//! All lanes of a node over its one socket.

mod looks;

use super::direct::{Direct, Greeted};
use super::narrows::Narrows;
use super::retries::Retries;
use super::socket::UdpSocket;
use super::{Impairment, Kept};
use crate::net::LossConfig;
use crate::net::carrier::{RETRY, Sent};
use crate::net::endpoint::HELLO_TIMEOUT;
use crate::net::link::{LaneChange, LinkEvent};
use crate::net::loss::Loss;
use av_lane::{
    Burst, CloseReason, Event, Fault, Lane, LaneConfig, LaneId, LaneKey, LaneKeys, LaneRole, LaneSlot,
    LaneSuite, LaneTable, MAX_CONTROL_LEN, PathSecret, Received, Route,
};
use av_wire::{FreshChunk, SealedChunk};
use bytes::Bytes;
use core_types::{LinkId, MonoTime};
use looks::Looks;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use tokio::sync::mpsc;

/// The largest datagram of a lane: what an Ethernet frame holds over IPv6.
const MAX_DATAGRAM: usize = 1_452;
/// The largest chunk that fits one with the longest hop header.
pub(super) const MAX_CHUNK: usize = MAX_DATAGRAM - av_wire::HopSender::<av_wire::AwsLc>::MAX_GROWTH;
/// Lanes of a node.
const MAX_LANES: u32 = 8_192;
/// Offers that wait for an answer.
const MAX_OFFERS: usize = 1_024;

/// A lane and whom it belongs to.
#[derive(Debug)]
struct Slot {
    lane: Lane,
    link: LinkId,
    loss: Loss,
    /// The link had no room for what waits: it is told when it may have some.
    starved: bool,
    /// What there is beside the media where the lane is a link by itself.
    direct: Option<Box<Direct>>,
}

impl LaneSlot for Slot {
    fn lane(&self) -> &Lane {
        &self.lane
    }

    fn deadline(&self) -> Option<MonoTime> {
        if self.direct.is_none() && self.lane.is_over() {
            // It is to be taken out, whether or not it has something to say.
            return Some(MonoTime(0));
        }
        let direct = self.direct.as_ref().and_then(|direct| direct.deadline(&self.lane));
        self.lane.poll_timeout().into_iter().chain(direct).min()
    }
}

/// A datagram of a link handshake, and where it came from.
pub(super) type Knock = (SocketAddr, Vec<u8>);

/// What the node's socket serves.
#[derive(Debug)]
pub(super) struct Hub {
    config: LaneConfig,
    loss: LossConfig,
    table: LaneTable<Slot>,
    by_link: BTreeMap<LinkId, LaneKey>,
    offers: BTreeMap<LinkId, LaneId>,
    /// The numbers that were used last: by us for what we offer, and by links' peers for what we took up.
    numbers: BTreeMap<LinkId, LaneId>,
    /// Links whose lanes we ask for.
    retries: Retries,
    burst: Burst,
    impairment: Impairment,
    narrows: Narrows,
    looks: Looks,
    /// Who takes handshakes from anybody.
    door: Option<mpsc::Sender<Knock>>,
    /// Who waits for what comes from an address that is dialled.
    dials: Vec<(SocketAddr, mpsc::Sender<Knock>)>,
    /// Peers that have said what they are, to be made links.
    greeted: Vec<Greeted>,
}

impl Hub {
    /// `seed` keeps peers from choosing addresses that make the table slow.
    pub(super) fn new(secret: PathSecret, seed: u64, loss: LossConfig) -> Self {
        let mut config = LaneConfig::new(secret);
        config.max_datagram = MAX_DATAGRAM;
        Self {
            config,
            loss,
            table: LaneTable::new(MAX_LANES, seed),
            by_link: BTreeMap::new(),
            offers: BTreeMap::new(),
            numbers: BTreeMap::new(),
            retries: Retries::default(),
            burst: Burst::new(),
            impairment: Impairment::default(),
            narrows: Narrows::default(),
            looks: Looks::default(),
            door: None,
            dials: Vec::new(),
            greeted: Vec::new(),
        }
    }

    /// When to look again for what has come, on a socket that has to be looked at; `None` without lanes and without a door.
    pub(super) fn look_at(&self) -> Option<MonoTime> {
        self.expects_some().then(|| self.looks.next())
    }

    fn expects_some(&self) -> bool {
        !self.table.is_empty() || self.door.is_some()
    }

    /// True if it is time to look; then it counts as done.
    pub(super) fn takes_look(&mut self, now: MonoTime) -> bool {
        self.expects_some() && self.looks.take(now)
    }

    /// A look has found so many datagrams.
    pub(super) fn looked(&mut self, datagrams: usize) {
        self.looks.found(datagrams);
    }

    pub(super) fn kept(&self) -> Kept {
        Kept { lanes: self.table.len(), offers: self.offers.len(), retries: self.retries.len() }
    }

    pub(super) fn impair(&mut self, impairment: Impairment) {
        self.impairment = impairment;
    }

    /// The number of the next lane that is offered over a link: `first`, drawn at random, or else one more than the last.
    pub(super) fn next_number(&mut self, link: LinkId, first: u64) -> LaneId {
        // In the lower half, so that there is always one more.
        let next = self.numbers.get(&link).map_or(first >> 1, |last| last.0.saturating_add(1));
        self.numbers.insert(link, LaneId(next));
        LaneId(next)
    }

    /// Takes the number of a lane that a link's peer offers. One that is not higher than the last could be that of a lane
    /// that there was, and whose keys this one would have again (spec 30.14.1).
    pub(super) fn take_number(&mut self, link: LinkId, lane: LaneId) -> Result<(), String> {
        if self.numbers.get(&link).is_some_and(|last| lane <= *last) {
            return Err("a lane's number has to be higher than that of the lane before".into());
        }
        self.numbers.insert(link, lane);
        Ok(())
    }

    pub(super) fn offered(&mut self, link: LinkId, lane: LaneId) {
        if self.offers.len() < MAX_OFFERS || self.offers.contains_key(&link) {
            self.offers.insert(link, lane);
        }
    }

    /// True if that lane was offered over that link; it is taken up once.
    pub(super) fn take_offer(&mut self, link: LinkId, lane: LaneId) -> bool {
        if self.offers.get(&link) != Some(&lane) {
            return false;
        }
        self.offers.remove(&link);
        true
    }

    /// Where a link's lane is.
    pub(super) fn key(&self, link: LinkId) -> Option<LaneKey> {
        self.by_link.get(&link).copied()
    }

    pub(super) fn lane(&self, key: LaneKey) -> Option<&Lane> {
        self.table.get(key).map(|slot| &slot.lane)
    }

    /// When something came over a link's lane last, if it has one that works.
    pub(super) fn heard(&self, link: LinkId) -> Option<MonoTime> {
        self.lane(self.key(link)?).filter(|lane| lane.is_ready()).map(Lane::last_heard)
    }

    /// Takes up a link's lane, in place of the one that it may have.
    pub(super) fn begin(&mut self, now: MonoTime, link: LinkId, lane: Agreed) -> Result<(), String> {
        self.insert(now, link, lane, &self.config.clone(), None).map(drop)
    }

    /// Takes up a lane that is a link.
    pub(super) fn begin_direct(
        &mut self,
        now: MonoTime,
        link: LinkId,
        lane: Agreed,
        direct: Direct,
    ) -> Result<LaneKey, String> {
        let mut config = self.config.clone();
        (config.stream, config.settle_within) = (true, HELLO_TIMEOUT);
        self.insert(now, link, lane, &config, Some(Box::new(direct)))
    }

    fn insert(
        &mut self,
        now: MonoTime,
        link: LinkId,
        lane: Agreed,
        config: &LaneConfig,
        direct: Option<Box<Direct>>,
    ) -> Result<LaneKey, String> {
        let Agreed { id, role, keys, suite, peer } = lane;
        let lane = Lane::new(config, id, role, keys, suite, peer, now).map_err(|e| e.to_string())?;
        let slot = Slot { lane, link, loss: Loss::new(self.loss.for_link(link.0)), starved: false, direct };
        self.drop_lane(link);
        let key = self.table.insert(now, slot).map_err(|e| e.to_string())?.key;
        self.by_link.insert(link, key);
        Ok(key)
    }

    /// Hands handshakes from anybody to the door, or from now on to nobody.
    pub(super) fn set_door(&mut self, door: Option<mpsc::Sender<Knock>>) {
        self.door = door;
    }

    /// Hands handshakes from there to who dials it.
    pub(super) fn dial(&mut self, to: SocketAddr, dial: mpsc::Sender<Knock>) {
        self.dials.retain(|(_, dial)| !dial.is_closed());
        self.dials.push((to, dial));
    }

    /// Peers that have dialled us and said what they are.
    pub(super) fn take_greeted(&mut self) -> Vec<Greeted> {
        std::mem::take(&mut self.greeted)
    }

    /// The node hears from now on what comes over a direct link.
    pub(super) fn open(&mut self, key: LaneKey, now: MonoTime) {
        if let Some(mut slot) = self.table.get_mut(now, key)
            && let Some(direct) = &mut slot.direct
        {
            direct.open();
        }
    }

    /// Closes a direct link and tells the peer; the node hears of it as of any other end.
    pub(super) fn close(
        &mut self,
        key: LaneKey,
        now: MonoTime,
        reason: CloseReason,
        why: &str,
        socket: &UdpSocket,
    ) {
        self.with_direct(key, now, socket, |direct, lane| direct.close(lane, reason, why));
    }

    /// Closes all direct links and lets nobody in any more.
    pub(super) fn close_all(&mut self, now: MonoTime, why: &str, socket: &UdpSocket) {
        self.door = None;
        let keys: Vec<LaneKey> = self.table.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.close(key, now, CloseReason::Done, why, socket);
        }
    }

    /// Works with a direct link, and sends what it has to say then.
    pub(super) fn with_direct<T>(
        &mut self,
        key: LaneKey,
        now: MonoTime,
        socket: &UdpSocket,
        work: impl FnOnce(&mut Direct, &mut Lane) -> T,
    ) -> Option<T> {
        let mut slot = self.table.get_mut(now, key)?;
        let Slot { lane, direct, .. } = &mut *slot;
        let done = work(direct.as_mut()?, lane);
        speak(&mut slot, now, socket);
        self.looks.busy(now);
        Some(done)
    }

    /// Ends a link's lane, and tells the peer.
    pub(super) fn remove(&mut self, link: LinkId, now: MonoTime, socket: &UdpSocket) {
        self.offers.remove(&link);
        self.numbers.remove(&link);
        self.retries.forget(link);
        if let Some(key) = self.by_link.get(&link)
            && let Some(mut slot) = self.table.get_mut(now, *key)
        {
            let Slot { lane, direct, .. } = &mut *slot;
            match direct {
                Some(direct) => direct.close(lane, CloseReason::Done, "link dropped"),
                None => lane.close(CloseReason::Done),
            }
            speak(&mut slot, now, socket);
        }
        self.drop_lane(link);
    }

    fn drop_lane(&mut self, link: LinkId) {
        if let Some(key) = self.by_link.remove(&link) {
            self.table.remove(key);
        }
    }

    /// Seals chunks for a lane's peer and sends them.
    pub(super) fn send(
        &mut self,
        key: LaneKey,
        now: MonoTime,
        chunks: &mut dyn Iterator<Item = SealedChunk<'_>>,
        socket: &UdpSocket,
    ) -> Sent {
        let mut sent = Sent::default();
        let Some(mut slot) = self.table.get_mut(now, key) else {
            sent.overflowed = chunks.count() as u64;
            return sent;
        };
        if let Err(error) = slot.lane.seal_burst(now, chunks, &mut self.burst) {
            tracing::debug!(link = %slot.link, %error, "a burst was not sent");
        }
        self.looks.busy(now);
        let to = slot.lane.peer();
        for run in self.burst.runs() {
            if slot.loss.is_none() {
                count(&mut sent, socket.send(to, run.bytes, run.segment), run.count, run.bytes.len());
                continue;
            }
            for datagram in run.datagrams() {
                if slot.loss.strikes() {
                    sent.lost += 1;
                } else {
                    count(&mut sent, socket.send(to, datagram, datagram.len()), 1, datagram.len());
                }
            }
        }
        sent
    }

    /// Whether more waits for a lane than it is given.
    pub(super) fn set_more_waits(&mut self, key: LaneKey, now: MonoTime, more: bool) {
        if let Some(mut slot) = self.table.get_mut(now, key) {
            slot.lane.set_more_waits(more);
        }
    }

    /// When a link that had no room may have some.
    pub(super) fn retry_at(&mut self, key: LaneKey, now: MonoTime) -> Option<MonoTime> {
        let mut slot = self.table.get_mut(now, key)?;
        slot.starved = true;
        let paced = slot.lane.next_send_at(now, MAX_DATAGRAM);
        // Without a time it waits for a report; that one it is told of, and the look is in case none comes.
        Some(paced.map_or(now.plus(RETRY * 5), |at| at.max(now.plus(RETRY / 5))))
    }

    /// Takes datagrams that came.
    pub(super) fn receive<'a>(
        &mut self,
        now: MonoTime,
        datagrams: impl Iterator<Item = (SocketAddr, &'a mut [u8])>,
        socket: &UdpSocket,
        events: &mut VecDeque<LinkEvent>,
    ) {
        if self.impairment == Impairment::default() {
            self.take(now, datagrams, events);
        } else {
            datagrams.for_each(|(from, datagram)| self.narrows.push(now, self.impairment, from, datagram));
            self.pass(now, events);
        }
        self.serve_due(now, socket, events);
    }

    /// Takes what has come through the impaired link.
    fn pass(&mut self, now: MonoTime, events: &mut VecDeque<LinkEvent>) {
        while let Some((from, mut datagram)) = self.narrows.pop(now) {
            self.take(now, [(from, &mut datagram[..])].into_iter(), events);
        }
    }

    fn take<'a>(
        &mut self,
        now: MonoTime,
        datagrams: impl Iterator<Item = (SocketAddr, &'a mut [u8])>,
        events: &mut VecDeque<LinkEvent>,
    ) {
        // Datagrams of one peer come in runs: their chunks are handed on together.
        let mut run: Option<(LinkId, Vec<FreshChunk<Bytes>>)> = None;
        for (from, datagram) in datagrams {
            let key = match self.table.route(from, datagram) {
                Route::Lane(key) => key,
                Route::Handshake(None) => {
                    self.knock(now, from, datagram.to_vec());
                    continue;
                }
                Route::Handshake(Some(key)) => key,
                Route::Unknown => continue,
            };
            // What looks like a handshake's may be a lane's after all: the lane tries first, and it opens in place.
            let copy = datagram.starts_with(&av_link::MAGIC).then(|| datagram.to_vec());
            let Some(mut slot) = self.table.get_mut(now, key) else { continue };
            let link = slot.link;
            match slot.lane.handle_datagram(now, from, datagram) {
                Ok(Received::Chunk(fresh)) => match &mut run {
                    Some((of, chunks)) if *of == link => chunks.push(fresh.to_chunk().convert()),
                    _ => {
                        let former = run.replace((link, vec![fresh.to_chunk().convert()]));
                        events.extend(former.map(|(link, chunks)| LinkEvent::Chunks(link, chunks)));
                    }
                },
                Ok(Received::Control | Received::Stream) => {
                    if std::mem::take(&mut slot.starved) {
                        events.push_back(LinkEvent::Writable(link));
                    }
                }
                Err(error) if error.fault() == Fault::Peer => {
                    tracing::info!(%link, %error, "a lane is closed");
                    let Slot { lane, direct, .. } = &mut *slot;
                    match direct {
                        Some(direct) => direct.close(lane, CloseReason::Misbehaved, &error.to_string()),
                        None => lane.close(CloseReason::Misbehaved),
                    }
                }
                Err(error) => {
                    tracing::trace!(%link, %error, "a datagram of no use");
                    drop(slot);
                    if let Some(copy) = copy {
                        self.knock(now, from, copy);
                    }
                }
            }
        }
        events.extend(run.map(|(link, chunks)| LinkEvent::Chunks(link, chunks)));
    }

    /// A handshake's datagram goes to who dials its address, or else to the door. What nobody takes in time is lost, as on the way.
    fn knock(&mut self, now: MonoTime, from: SocketAddr, datagram: Vec<u8>) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let dialled = self.dials.iter().find(|(to, dial)| *to == from && !dial.is_closed());
        if let Some(taker) = dialled.map(|(_, dial)| dial).or(self.door.as_ref()) {
            self.looks.busy(now);
            let _ = taker.try_send((from, datagram));
        }
    }

    /// What lanes have to say and to tell.
    fn serve_due(&mut self, now: MonoTime, socket: &UdpSocket, events: &mut VecDeque<LinkEvent>) {
        let (mut over, mut ended) = (Vec::new(), Vec::new());
        while let Some(mut slot) = self.table.poll_due(now) {
            slot.lane.handle_timeout(now);
            let (link, key) = (slot.link, slot.key());
            if let Slot { lane, direct: Some(direct), .. } = &mut *slot {
                while let Some(event) = lane.poll_event() {
                    if !matches!(event, Event::Ready | Event::PathChanged { .. }) {
                        direct.lane_ended(event);
                    }
                }
                if direct.serve((key, link, now), lane, events, &mut self.greeted) {
                    ended.push(link);
                }
            }
            speak(&mut slot, now, socket);
            let (role, mut why) = (slot.lane.role(), None);
            while let Some(event) = slot.lane.poll_event() {
                let change = match event {
                    Event::Ready => {
                        if role == LaneRole::Child {
                            self.retries.works(now, link);
                        }
                        LaneChange::Up
                    }
                    Event::PathChanged { to, .. } => LaneChange::Moved(to),
                    end => {
                        why = Some(format!("{end:?}"));
                        continue;
                    }
                };
                events.push_back(LinkEvent::Lane(link, change));
            }
            if slot.direct.is_none() && slot.lane.is_over() {
                // A lane says nothing of an end that is ours.
                let why = why.unwrap_or_else(|| "the peer broke the protocol".into());
                events.push_back(LinkEvent::Lane(link, LaneChange::Ended(why)));
                over.push((link, role));
            }
        }
        for link in ended {
            self.drop_lane(link);
        }
        for (link, role) in over {
            self.drop_lane(link);
            if role == LaneRole::Child {
                self.retries.ended(now, link);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        let due = self.table.poll_timeout().into_iter().chain(self.retries.poll_timeout());
        due.chain(self.narrows.poll_timeout()).min()
    }

    pub(super) fn handle_timeout(
        &mut self,
        now: MonoTime,
        socket: &UdpSocket,
        events: &mut VecDeque<LinkEvent>,
    ) {
        self.pass(now, events);
        self.serve_due(now, socket, events);
        let due = self.retries.due(now);
        events.extend(due.into_iter().map(|link| LinkEvent::Lane(link, LaneChange::Due)));
    }
}

/// What two nodes have agreed on for a lane.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) id: LaneId,
    pub(super) role: LaneRole,
    pub(super) keys: LaneKeys,
    pub(super) suite: LaneSuite,
    pub(super) peer: SocketAddr,
}

/// Sends a lane's control packets.
fn speak(slot: &mut Slot, now: MonoTime, socket: &UdpSocket) {
    let mut packet = [0; MAX_CONTROL_LEN];
    while let Some((to, len)) = slot.lane.poll_transmit(now, &mut packet) {
        if slot.loss.strikes() {
            continue;
        }
        if let Err(error) = socket.send(to, &packet[..len], len) {
            tracing::trace!(link = %slot.link, %error, "a control packet of a lane was not sent");
        }
    }
}

fn count(sent: &mut Sent, outcome: std::io::Result<()>, datagrams: usize, bytes: usize) {
    match outcome {
        Ok(()) => {
            sent.datagrams += datagrams as u64;
            sent.bytes += bytes as u64;
        }
        Err(error) => {
            tracing::trace!(%error, "datagrams of a lane were not sent");
            sent.overflowed += datagrams as u64;
        }
    }
}

#[cfg(test)]
mod tests;
