//! Objects until their picture is decoded: what is there of each, what is still awaited, and what is missing before it.

use super::MAX_WAITING_BYTES;
use crate::watch::astray::{Numbers, Place};
use crate::watch::receive::{Before, Received};
use core_types::MediaTime;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Objects of a picture, at most (spec 64.2.5).
const MAX_OBJECTS: usize = 4;

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Decode a picture with all that is awaited of it.
    Whole,
    /// Decode a picture of which more may come.
    Part {
        /// When it is to be shown.
        pts: MediaTime,
    },
    /// Go past pictures of which nothing can be made, to one that is there.
    Missing {
        /// When the one that is there is to be shown.
        pts: MediaTime,
        /// When something of it came.
        came_at: Instant,
        /// Others refer to some of what is missing.
        needed: bool,
    },
    /// Go past pictures that are not meant for this watcher.
    Unwanted,
}

/// What was gone past.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Skipped {
    /// Pictures that should have come.
    pub(super) lost: u64,
    /// Temporal layers of those that others refer to.
    pub(super) missed: Vec<u8>,
}

/// What is there of a picture, by the number of the object.
type Objects = BTreeMap<u64, Received>;

/// What came of keeping an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pushed {
    /// Pictures of which nothing can be made for it.
    pub(super) useless: u64,
    /// Playing goes on at a key frame, and nothing after it refers to what was before.
    pub(super) starts_anew: bool,
}

/// Pictures that wait, in their order.
#[derive(Debug)]
pub(super) struct Waiting {
    pictures: BTreeMap<u64, Objects>,
    /// Bytes of all of them.
    bytes: usize,
    /// Pictures that there is room for.
    most: usize,
    /// The number of the next picture; none before the first key frame.
    next: Option<u64>,
    numbers: Numbers,
}

impl Waiting {
    /// With room for so many pictures, which come so often.
    pub(super) fn new(most: usize, interval: Duration) -> Self {
        Self { pictures: BTreeMap::new(), bytes: 0, most, next: None, numbers: Numbers::new(interval) }
    }

    /// Where an object of that picture is. Objects are to be pushed that are near, or elsewhere once all that waits is forgotten.
    pub(super) fn place(&mut self, picture: u64) -> Place {
        self.numbers.place(self.next, picture)
    }

    /// Forgets all that waits: playing goes on with the next key frame, wherever that is.
    pub(super) fn restart(&mut self) -> u64 {
        let forgotten = self.pictures.len() as u64;
        (self.pictures, self.bytes, self.next) = (BTreeMap::new(), 0, None);
        forgotten
    }

    /// Keeps an object.
    pub(super) fn push(&mut self, object: Received) -> Pushed {
        let mut pushed = Pushed::default();
        while self.is_full() && !self.pictures.contains_key(&object.picture) {
            pushed.starts_anew |= self.make_room(&mut pushed.useless);
        }
        if self.next.is_some_and(|next| object.picture < next) {
            return pushed;
        }
        let objects = self.pictures.entry(object.picture).or_default();
        if objects.len() < MAX_OBJECTS {
            self.bytes += object.payload.len();
            let before = objects.insert(object.seq.0, object);
            self.bytes -= before.map_or(0, |before| before.payload.len());
        }
        if self.next.is_none() {
            pushed.useless += self.find_start();
        }
        pushed
    }

    /// Gives up what is the least loss, and says whether that is all before a key frame. What is full is old: whoever plays it was held up.
    fn make_room(&mut self, useless: &mut u64) -> bool {
        let is_start = |objects: &Objects| lowest(objects).is_some_and(|o| o.flags.key_frame);
        // Without its lowest object the first one only takes room.
        let can_wait = |objects: &Objects| self.next.is_some() && lowest(objects).is_some();
        let Some((first, objects)) = self.pictures.first_key_value() else { return false };
        let first = *first;
        if !can_wait(objects) {
            *useless += self.remove(first);
            return false;
        }
        let newest = self.pictures.iter().rev().find(|(_, objects)| is_start(objects));
        match newest.map(|(number, _)| *number).filter(|number| *number > first) {
            Some(newest) => {
                *useless += self.drop_before(newest);
                self.next = Some(newest);
            }
            None => *useless += self.restart(),
        }
        true
    }

    /// Playing starts with the first key frame, whatever small frames after it came more quickly.
    fn find_start(&mut self) -> u64 {
        let is_start = |objects: &Objects| lowest(objects).is_some_and(|o| o.flags.key_frame);
        let start = self.pictures.iter().find(|(_, objects)| is_start(objects)).map(|(number, _)| *number);
        let Some(start) = start else { return 0 };
        self.next = Some(start);
        // What came before it may be anything.
        let astray = self.pictures.split_off(&self.numbers.last_from(start).saturating_add(1));
        self.bytes -= bytes(&astray);
        self.drop_before(start) + astray.len() as u64
    }

    fn drop_before(&mut self, picture: u64) -> u64 {
        let kept = self.pictures.split_off(&picture);
        let dropped = std::mem::replace(&mut self.pictures, kept);
        self.bytes -= bytes(&dropped);
        dropped.len() as u64
    }

    fn remove(&mut self, picture: u64) -> u64 {
        let removed = self.pictures.remove(&picture);
        self.bytes -=
            removed.iter().flat_map(BTreeMap::values).map(|object| object.payload.len()).sum::<usize>();
        u64::from(removed.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.pictures.len() >= self.most || self.bytes > MAX_WAITING_BYTES
    }

    /// When the first picture that something can be made of is to be shown, and when it came.
    pub(super) fn times(&self) -> Option<(MediaTime, Instant)> {
        self.first().map(|(_, first)| (first.pts, first.assembled_at))
    }

    /// Leaves the first picture out that something could be made of. Gives its temporal layer if it was the next one.
    pub(super) fn leave_out(&mut self) -> Option<u8> {
        let (number, temporal) = self.first().map(|(number, first)| (number, first.layer.temporal))?;
        self.remove(number);
        (self.next == Some(number)).then(|| {
            self.next = number.checked_add(1);
            temporal
        })
    }

    /// Nothing before something is there that a picture can be made of.
    pub(super) fn next(&self) -> Option<Next> {
        let next = self.next?;
        let (number, first) = self.first()?;
        if number > next {
            let (unknown, known) = missing(first, next, number);
            let mut awaited = known.filter(|before| before.awaited).peekable();
            if unknown == 0 && awaited.peek().is_none() {
                return Some(Next::Unwanted);
            }
            let needed = unknown > 0 || awaited.any(|before| before.temporal == 0);
            return Some(Next::Missing { pts: first.pts, came_at: first.assembled_at, needed });
        }
        let awaited = first.told.as_ref().map_or(1, |told| told.objects);
        let is_whole = self.pictures.get(&number).is_some_and(|objects| objects.len() >= awaited);
        Some(if is_whole { Next::Whole } else { Next::Part { pts: first.pts } })
    }

    /// Goes on with the first picture that waits.
    pub(super) fn skip(&mut self) -> Skipped {
        let (Some(next), Some((number, first))) = (self.next, self.first()) else {
            return Skipped::default();
        };
        let (unknown, known) = missing(first, next, number);
        let mut skipped = Skipped { lost: unknown, missed: Vec::new() };
        if unknown > 0 {
            skipped.missed.push(0);
        }
        for before in known {
            skipped.lost += u64::from(before.awaited);
            if !before.discardable {
                skipped.missed.push(before.temporal);
            }
        }
        self.next = Some(number);
        self.drop_before(number);
        skipped
    }

    /// The next picture's objects, the lowest first.
    pub(super) fn take(&mut self) -> Option<Vec<Received>> {
        let (number, objects) = self.pictures.pop_first()?;
        self.bytes -= objects.values().map(|object| object.payload.len()).sum::<usize>();
        self.next = Some(number.saturating_add(1));
        Some(objects.into_values().collect())
    }

    /// The first picture that there is, by its lowest object.
    fn first(&self) -> Option<(u64, &Received)> {
        self.pictures.iter().find_map(|(number, objects)| Some((*number, lowest(objects)?)))
    }
}

/// How many pictures are missing from `next` on before `number` of which nothing is known, and those of which something is.
fn missing(first: &Received, next: u64, number: u64) -> (u64, impl Iterator<Item = Before>) {
    let before = first.told.as_ref().map(|told| &told.before[..]).unwrap_or_default();
    let known_from = before.first().map_or(number, |before| before.picture);
    let known = before.iter().copied().filter(move |before| (next..number).contains(&before.picture));
    (known_from.saturating_sub(next), known)
}

fn bytes(pictures: &BTreeMap<u64, Objects>) -> usize {
    pictures.values().flat_map(BTreeMap::values).map(|object| object.payload.len()).sum()
}

/// The lowest object of a picture, without which there is none.
fn lowest(objects: &Objects) -> Option<&Received> {
    objects.values().next().filter(|object| object.layer.spatial == 0 && object.layer.quality == 0)
}

#[cfg(test)]
mod tests;
