//! All lanes of a node over its one socket.

mod looks;
mod received;

use super::direct::{Direct, Greeted};
use super::narrows::Narrows;
use super::retries::Retries;
use super::socket::UdpSocket;
use super::{Impairment, Kept};
use crate::net::LossConfig;
use crate::net::carrier::{RETRY, Sent};
use crate::net::endpoint::HELLO_TIMEOUT;
use crate::net::loss::Loss;
use av_lane::{
    Burst, CloseReason, Lane, LaneConfig, LaneId, LaneKey, LaneKeys, LaneRole, LaneSlot, LaneSuite,
    LaneTable, MAX_CONTROL_LEN, PathSecret,
};
use av_wire::SealedChunk;
use core_types::{LinkId, MonoTime};
use looks::Looks;
use std::collections::BTreeMap;
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
