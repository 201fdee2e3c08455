//! What a table knows of its lanes: who they are, where their peers are, when they are due.

use super::address::{AddressKey, Seeded};
use super::{LaneKey, LaneSlot};
use crate::{Error, LaneId};
use core::cmp::Reverse;
use core::time::Duration;
use core_types::MonoTime;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;

const NEVER: u64 = u64::MAX;

/// What is known of a place beside its time.
#[derive(Debug, Default)]
struct Place {
    generation: u32,
    is_taken: bool,
    is_urgent: bool,
    /// The lane's count of address changes when note was taken of these.
    changes: Option<u32>,
    /// Where its peer is, and where it may be besides.
    addresses: [Option<AddressKey>; 3],
}

#[derive(Debug)]
pub(super) struct Book {
    limit: u32,
    tick: u64,
    lanes: usize,
    places: Vec<Place>,
    /// When each place is due, side by side: they are looked through often.
    due: Vec<u64>,
    /// No place but the urgent ones is due before this.
    earliest: u64,
    /// Where the search for due places goes on, while one is under way.
    scan: Option<usize>,
    urgent: VecDeque<u32>,
    free: BinaryHeap<Reverse<u32>>,
    by_id: HashMap<LaneId, u32, Seeded>,
    by_address: HashMap<AddressKey, u32, Seeded>,
}

impl Book {
    pub(super) const fn new(limit: u32, seed: u64, tick: Duration) -> Self {
        Self {
            limit,
            tick: tick.as_micros() as u64,
            lanes: 0,
            places: Vec::new(),
            due: Vec::new(),
            earliest: NEVER,
            scan: None,
            urgent: VecDeque::new(),
            free: BinaryHeap::new(),
            by_id: HashMap::with_hasher(Seeded(seed)),
            by_address: HashMap::with_hasher(Seeded(seed)),
        }
    }

    pub(super) const fn set_tick(&mut self, tick: Duration) {
        self.tick = tick.as_micros() as u64;
    }

    pub(super) const fn len(&self) -> usize {
        self.lanes
    }

    /// Finds a place, the lowest that is free.
    pub(super) fn open(&mut self, id: LaneId) -> Result<u32, Error> {
        if self.by_id.contains_key(&id) {
            return Err(Error::Duplicate(id));
        }
        if self.lanes >= self.limit as usize {
            return Err(Error::Full { max: self.limit as usize });
        }
        let index = match self.free.pop() {
            Some(Reverse(index)) => index,
            None => {
                // The limit is a u32, and there are no more places than lanes there ever were at once.
                let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
                self.places.push(Place::default());
                self.due.push(NEVER);
                index
            }
        };
        if let Some(place) = self.places.get_mut(index as usize) {
            place.is_taken = true;
        }
        self.by_id.insert(id, index);
        self.lanes += 1;
        Ok(index)
    }

    pub(super) fn close(&mut self, index: u32, id: LaneId) {
        let Some(place) = self.places.get_mut(index as usize) else { return };
        let addresses = core::mem::take(&mut place.addresses);
        let generation = place.generation.wrapping_add(1);
        *place = Place { generation, is_urgent: place.is_urgent, ..Place::default() };
        for address in addresses.into_iter().flatten() {
            self.release(address, index);
        }
        self.due[index as usize] = NEVER;
        self.by_id.remove(&id);
        self.free.push(Reverse(index));
        self.lanes -= 1;
    }

    /// The place that a key names, if the lane is still there.
    pub(super) fn index(&self, key: LaneKey) -> Option<usize> {
        let index = key.index as usize;
        let place = self.places.get(index)?;
        (place.is_taken && place.generation == key.generation).then_some(index)
    }

    pub(super) fn key(&self, index: u32) -> LaneKey {
        let generation = self.places.get(index as usize).map_or(0, |place| place.generation);
        LaneKey { index, generation }
    }

    pub(super) fn by_id(&self, id: LaneId) -> Option<LaneKey> {
        self.by_id.get(&id).map(|index| self.key(*index))
    }

    pub(super) fn by_address(&self, address: AddressKey) -> Option<LaneKey> {
        self.by_address.get(&address).map(|index| self.key(*index))
    }

    /// The lane whose peer is at an address, if that is where its media go.
    pub(super) fn at(&self, address: SocketAddr) -> Option<LaneKey> {
        let address = AddressKey::new(address)?;
        let key = self.by_address(address)?;
        let place = self.places.get(key.index as usize)?;
        (place.addresses[0] == Some(address)).then_some(key)
    }

    /// Takes note of a lane after something was done to it. `is_again` puts one that is still due off by a tick.
    pub(super) fn refresh<T: LaneSlot>(&mut self, index: u32, now: MonoTime, slot: &T, is_again: bool) {
        self.note_addresses(index, slot);
        let at = index as usize;
        let (Some(place), Some(due)) = (self.places.get_mut(at), self.due.get_mut(at)) else { return };
        let Some(deadline) = slot.deadline() else {
            *due = NEVER;
            return;
        };
        if deadline <= now && !is_again {
            *due = now.0;
            if !place.is_urgent {
                place.is_urgent = true;
                self.urgent.push_back(index);
            }
            return;
        }
        // Rounded up to the tick, so that lanes are due together.
        let tick = self.tick.max(1);
        *due = deadline.0.max(now.0 + 1).div_ceil(tick).saturating_mul(tick);
        self.earliest = self.earliest.min(*due);
    }

    fn note_addresses<T: LaneSlot>(&mut self, index: u32, slot: &T) {
        let Some(place) = self.places.get_mut(index as usize) else { return };
        let (lane, old) = (slot.lane(), place.addresses);
        if place.changes == Some(lane.address_changes()) {
            return;
        }
        place.changes = Some(lane.address_changes());
        let [other, previous] = lane.peer_may_be_at();
        let new = [
            AddressKey::new(lane.peer()),
            other.and_then(AddressKey::new),
            previous.and_then(AddressKey::new),
        ];
        place.addresses = new;
        let is_proven = lane.is_proven();
        for address in old.into_iter().flatten().filter(|address| !new.contains(&Some(*address))) {
            self.release(address, index);
        }
        if let Some(address) = new[0].filter(|_| is_proven) {
            self.by_address.insert(address, index);
        }
        for address in new.into_iter().flatten() {
            // An address that may be this peer's does not take another lane's media away.
            self.by_address.entry(address).or_insert(index);
        }
    }

    /// Takes an address from a lane, unless another one has it by now. One that was kept from it has it then.
    fn release(&mut self, address: AddressKey, index: u32) {
        if self.by_address.get(&address) != Some(&index) {
            return;
        }
        let rank = |place: &Place| place.addresses.iter().position(|known| *known == Some(address));
        let places = self.places.iter().enumerate().filter(|(at, _)| *at != index as usize);
        let heirs = places.filter_map(|(at, place)| Some((rank(place)?, u32::try_from(at).ok()?)));
        // Whoever is there by its own word goes before who may be there.
        match heirs.min() {
            Some((_, heir)) => self.by_address.insert(address, heir),
            None => self.by_address.remove(&address),
        };
    }

    /// The next place that is due.
    pub(super) fn next_due(&mut self, now: MonoTime) -> Option<LaneKey> {
        while let Some(index) = self.urgent.pop_front() {
            let Some(place) = self.places.get_mut(index as usize) else { continue };
            place.is_urgent = false;
            if place.is_taken && self.due.get(index as usize).is_some_and(|due| *due <= now.0) {
                return Some(self.key(index));
            }
        }
        if self.scan.is_none() && now.0 < self.earliest {
            return None;
        }
        if self.scan.is_none() {
            self.earliest = NEVER;
        }
        let mut at = self.scan.take().unwrap_or(0);
        while let Some(due) = self.due.get(at) {
            if *due <= now.0 {
                self.scan = Some(at + 1);
                return Some(self.key(u32::try_from(at).unwrap_or(u32::MAX)));
            }
            self.earliest = self.earliest.min(*due);
            at += 1;
        }
        None
    }

    pub(super) fn earliest(&self) -> Option<MonoTime> {
        if !self.urgent.is_empty() || self.scan.is_some() {
            return Some(MonoTime(0));
        }
        (self.earliest < NEVER).then_some(MonoTime(self.earliest))
    }
}
