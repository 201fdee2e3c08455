//! All lanes of a socket (spec 37 section 8).

mod address;
mod book;

use crate::control::lane_of;
use crate::{Error, Lane, LaneId};
use address::AddressKey;
use av_wire::is_carrier_packet;
use book::Book;
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use core_types::MonoTime;
use std::net::SocketAddr;

/// What datagrams of a link handshake begin with (spec 35 section 8).
const HANDSHAKE: &[u8; 4] = b"HMLK";

/// What a [`LaneTable`] holds: a lane, or something with a lane in it.
pub trait LaneSlot {
    /// Its lane.
    fn lane(&self) -> &Lane;

    /// When it wants to be looked at next. A slot with times of its own, such as a queue that is sent from later, gives the
    /// earliest.
    fn deadline(&self) -> Option<MonoTime> {
        self.lane().poll_timeout()
    }
}

impl LaneSlot for Lane {
    fn lane(&self) -> &Lane {
        self
    }
}

/// Names a place in a [`LaneTable`]. Not used again for another lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneKey {
    index: u32,
    generation: u32,
}

/// What [`LaneTable::insert`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inserted {
    /// Where the lane is.
    pub key: LaneKey,
    /// A lane to the same address. It gets what comes from there until the new one's peer has proven that it is there.
    pub holder: Option<LaneKey>,
}

/// Whose a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// A lane's.
    Lane(LaneKey),
    /// A link handshake's. If there is a lane at that address, it may be one of its media datagrams after all, once in some
    /// billions: give the lane a copy first, and the handshake what does not authenticate there.
    Handshake(Option<LaneKey>),
    /// Nobody's: drop it.
    Unknown,
}

/// Lanes in memory order: found by address for media and by id for control packets, and looked at when their time has come. The
/// number of lanes is bounded, and so is everything else: three addresses and one id for each.
///
/// Whatever is done to a lane is done through [`SlotMut`], so that the table knows where its peer is and when it is due.
#[derive(Debug)]
pub struct LaneTable<T> {
    slots: Vec<Option<T>>,
    book: Book,
}

impl<T: LaneSlot> LaneTable<T> {
    /// How much later than its time a lane may be looked at, so that many are looked at at once.
    pub const TICK: Duration = Duration::from_millis(5);

    /// A table for up to `limit` lanes. The seed, drawn at random, keeps peers from choosing addresses that make it slow.
    pub const fn new(limit: u32, seed: u64) -> Self {
        Self { slots: Vec::new(), book: Book::new(limit, seed, Self::TICK) }
    }

    /// Sets how much later than its time a lane may be looked at: shorter for slots that pace what they send.
    #[must_use]
    pub const fn with_tick(mut self, tick: Duration) -> Self {
        self.book.set_tick(tick);
        self
    }

    /// Takes a lane in.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Duplicate`]; the slot is dropped.
    pub fn insert(&mut self, now: MonoTime, slot: T) -> Result<Inserted, Error> {
        let index = self.book.open(slot.lane().id())?;
        let holder = self.book.at(slot.lane().peer());
        if self.slots.len() <= index as usize {
            self.slots.resize_with(index as usize + 1, || None);
        }
        if let Some(place) = self.slots.get_mut(index as usize) {
            self.book.refresh(index, now, place.insert(slot), false);
        }
        Ok(Inserted { key: self.book.key(index), holder })
    }

    /// Takes a lane out.
    pub fn remove(&mut self, key: LaneKey) -> Option<T> {
        let index = self.book.index(key)?;
        let slot = self.slots.get_mut(index)?.take()?;
        self.book.close(key.index, slot.lane().id());
        Some(slot)
    }

    /// Lanes in it.
    pub const fn len(&self) -> usize {
        self.book.len()
    }

    /// True without any lane.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whose a datagram from `from` is. Nothing of it is authentic yet; this changes nothing.
    pub fn route(&self, from: SocketAddr, datagram: &[u8]) -> Route {
        if is_carrier_packet(datagram) {
            return lane_of(datagram).and_then(|id| self.by_id(id)).map_or(Route::Unknown, Route::Lane);
        }
        let lane = AddressKey::new(from).and_then(|address| self.book.by_address(address));
        if datagram.starts_with(HANDSHAKE) {
            return Route::Handshake(lane);
        }
        lane.map_or(Route::Unknown, Route::Lane)
    }

    /// The lane of that id.
    pub fn by_id(&self, id: LaneId) -> Option<LaneKey> {
        self.book.by_id(id)
    }

    /// A look at a lane.
    pub fn get(&self, key: LaneKey) -> Option<&T> {
        self.slots.get(self.book.index(key)?)?.as_ref()
    }

    /// A lane to work with at that time.
    pub fn get_mut(&mut self, now: MonoTime, key: LaneKey) -> Option<SlotMut<'_, T>> {
        let index = self.book.index(key)?;
        let slot = self.slots.get_mut(index)?.as_mut()?;
        Some(SlotMut { slot, book: &mut self.book, key, now, was_due: false })
    }

    /// The next lane that is due, or that has events or packets to be taken. Take until `None` after what came from the socket was
    /// handed out, and when [`LaneTable::poll_timeout`] is due.
    ///
    /// A lane that is still due when it is let go comes again a tick later.
    pub fn poll_due(&mut self, now: MonoTime) -> Option<SlotMut<'_, T>> {
        let key = self.book.next_due(now)?;
        let slot = self.slots.get_mut(key.index as usize)?.as_mut()?;
        Some(SlotMut { slot, book: &mut self.book, key, now, was_due: true })
    }

    /// When to call [`LaneTable::poll_due`] again. It may find nothing then.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        self.book.earliest()
    }

    /// All lanes in memory order.
    pub fn iter(&self) -> impl Iterator<Item = (LaneKey, &T)> + '_ {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(index, slot)| Some((self.book.key(u32::try_from(index).ok()?), slot.as_ref()?)))
    }
}

/// A lane in a table, to be worked with. When it is let go, the table takes note of where its peer is and when it is due.
#[derive(Debug)]
pub struct SlotMut<'a, T: LaneSlot> {
    slot: &'a mut T,
    book: &'a mut Book,
    key: LaneKey,
    now: MonoTime,
    was_due: bool,
}

impl<T: LaneSlot> SlotMut<'_, T> {
    /// Where it is.
    pub const fn key(&self) -> LaneKey {
        self.key
    }
}

impl<T: LaneSlot> Deref for SlotMut<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.slot
    }
}

impl<T: LaneSlot> DerefMut for SlotMut<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.slot
    }
}

impl<T: LaneSlot> Drop for SlotMut<'_, T> {
    fn drop(&mut self) {
        self.book.refresh(self.key.index, self.now, self.slot, self.was_due);
    }
}
