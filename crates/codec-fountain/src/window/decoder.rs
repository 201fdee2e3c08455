//! Objects with units to objects, those that were lost too.

use super::body::Body;
use super::{HORIZON, LENGTH, WindowConfig, factor};
use crate::Error;
use crate::solve::System;
use core::fmt;
use core_types::ObjectSeq;
use gf256::{Backend, Coefficients, Source};
use std::collections::VecDeque;

/// Gives the objects of one stream, and from their units those that were lost, as far back as 31 from the newest.
///
/// What it holds is bounded: 32 objects, and 32 units that cover one that is missing; less than 100 kB. A unit that covers none is
/// not kept, so without loss nothing is computed.
pub struct WindowDecoder {
    /// One above the highest number that there is an object of.
    end: u64,
    /// Objects with their length in front, by number modulo the horizon.
    objects: [Option<(u64, Vec<u8>)>; HORIZON as usize],
    units: Vec<Unit>,
    recovered: VecDeque<(ObjectSeq, Vec<u8>)>,
}

/// A unit from which all objects that are here have been taken off.
struct Unit {
    number: u64,
    index: usize,
    /// What it covers and is not here.
    missing: Vec<u64>,
    bytes: Vec<u8>,
}

impl Unit {
    /// Takes an object off. False if the unit can't have been made of it: it is too short.
    fn take_off(&mut self, number: u64, object: &[u8]) -> bool {
        if object.len() > self.bytes.len() {
            return false;
        }
        let factor = [factor(self.number, self.index, number)];
        let factor = Coefficients::new(&factor, 1);
        let bytes = &mut self.bytes[..object.len()];
        Backend::best().combine_within(bytes, object.len(), factor, [Source::Bytes(object)], &[0]);
        true
    }
}

impl WindowDecoder {
    /// Units kept at most. The oldest goes first. Honest ones tell something before they are so many: they are independent of one
    /// another, and there are no more than 31 objects that can be missing.
    pub const MAX_UNITS: usize = 32;

    /// A decoder for a stream, from whatever object on.
    pub fn new() -> Self {
        let (objects, units, recovered) = (core::array::from_fn(|_| None), Vec::new(), VecDeque::new());
        Self { end: 0, objects, units, recovered }
    }

    /// Takes what a chunk carries under object number `number`. Returns its object, if it has one that is not here already; what else
    /// that gave is for [`poll_recovered`](Self::poll_recovered).
    ///
    /// Another object under a number of which there is one is returned too: whichever was forged, that is not for a number to tell. Units
    /// go by the first.
    ///
    /// An object that is further behind the newest than 31 is passed on without being looked at; its units are of no use any more.
    ///
    /// # Errors
    /// [`Error::WindowBody`] when it is not framed as spec 62 says; the decoder is unchanged.
    pub fn push<'a>(&mut self, number: ObjectSeq, body: &'a [u8]) -> Result<Option<&'a [u8]>, Error> {
        let body = Body::parse(number, body)?;
        let number = number.0;
        // Units alone say that what is in front of their number was there.
        let end = if body.object.is_empty() { number } else { number.saturating_add(1) };
        self.advance(end);
        let held = self.object(number);
        let is_new = !body.object.is_empty() && held.is_none();
        let is_other = !body.object.is_empty()
            && held.and_then(|held| held.get(LENGTH..)).is_some_and(|held| held != body.object);
        if is_new && self.is_within(number) {
            let length = (body.object.len() as u16).to_be_bytes();
            self.insert(number, [&length, body.object].concat());
        }
        let had_units = self.units.len();
        for (index, bytes) in body.units() {
            self.take_unit(number, index, body.span, bytes);
        }
        if !self.units.is_empty() && (is_new || self.units.len() != had_units) {
            self.solve();
        }
        Ok((is_new || is_other).then_some(body.object))
    }

    /// The next object that was lost and is here again, in the order in which they were found. At most 32 wait; the oldest is dropped.
    pub fn poll_recovered(&mut self) -> Option<(ObjectSeq, Vec<u8>)> {
        self.recovered.pop_front()
    }

    /// Units that wait for more.
    pub const fn waiting_units(&self) -> usize {
        self.units.len()
    }

    const fn is_within(&self, number: u64) -> bool {
        number < self.end && self.end - number <= HORIZON
    }

    fn object(&self, number: u64) -> Option<&[u8]> {
        let (held, object) = self.objects[(number % HORIZON) as usize].as_ref()?;
        (*held == number && self.is_within(number)).then_some(object)
    }

    /// Moves on to a new end, and forgets what that leaves behind.
    fn advance(&mut self, end: u64) {
        if end <= self.end {
            return;
        }
        self.end = end;
        let is_within = |number: &u64| end - number <= HORIZON;
        self.units.retain(|unit| unit.missing.iter().all(is_within));
    }

    /// An object that was not here.
    fn insert(&mut self, number: u64, object: Vec<u8>) {
        self.units.retain_mut(|unit| {
            let Some(place) = unit.missing.iter().position(|missing| *missing == number) else {
                return true;
            };
            unit.missing.swap_remove(place);
            unit.take_off(number, &object) && !unit.missing.is_empty()
        });
        self.objects[(number % HORIZON) as usize] = Some((number, object));
    }

    fn take_unit(&mut self, number: u64, index: usize, span: u64, bytes: &[u8]) {
        let covered = number - span..number;
        let is_known = self.units.iter().any(|unit| (unit.number, unit.index) == (number, index));
        if is_known || !covered.clone().all(|number| self.is_within(number)) {
            return;
        }
        let missing: Vec<u64> = covered.clone().filter(|number| self.object(*number).is_none()).collect();
        if missing.is_empty() {
            return;
        }
        let mut unit = Unit { number, index, missing, bytes: bytes.to_vec() };
        for number in covered {
            if let Some(object) = self.object(number)
                && !unit.take_off(number, object)
            {
                return;
            }
        }
        if self.units.len() == Self::MAX_UNITS
            && let Some(oldest) = (0..self.units.len()).min_by_key(|place| self.units[*place].number)
        {
            self.units.swap_remove(oldest);
        }
        self.units.push(unit);
    }

    /// Finds what can be told from the units that are here.
    fn solve(&mut self) {
        let mut unknown: Vec<u64> = self.units.iter().flat_map(|unit| unit.missing.iter().copied()).collect();
        unknown.sort_unstable();
        unknown.dedup();
        let count = self.units.len();
        let mut system = System::new(count, unknown.len() + count, unknown.len());
        for (place, unit) in self.units.iter().enumerate() {
            let row = system.row_mut(place);
            for missing in &unit.missing {
                if let Ok(column) = unknown.binary_search(missing) {
                    row[column] = factor(unit.number, unit.index, *missing);
                }
            }
            row[unknown.len() + place] = 1;
        }
        let told = system.solve_what_can_be(Backend::best());
        if told.is_empty() {
            return;
        }
        // A unit is as long as the longest that it covers; behind that there are zeros.
        let longest = self.units.iter().map(|unit| unit.bytes.len()).max().unwrap_or(0);
        self.units.iter_mut().for_each(|unit| unit.bytes.resize(longest, 0));
        let objects: Vec<(u64, Vec<u8>)> = told
            .into_iter()
            .map(|(column, row)| {
                let mut object = vec![0; longest];
                let factors = Coefficients::new(&system.row(row)[unknown.len()..], count);
                Backend::best().combine(factors, self.units.iter().map(|unit| &unit.bytes[..]), &mut object);
                (unknown[column], object)
            })
            .collect();
        for (number, object) in objects {
            self.recover(number, object);
        }
    }

    /// An object with its length in front and zeros behind, if its sender made it as it should be.
    fn recover(&mut self, number: u64, mut object: Vec<u8>) {
        let whole = object.split_first_chunk().and_then(|(length, rest)| {
            let len = usize::from(u16::from_be_bytes(*length));
            let (bytes, behind) = rest.split_at_checked(len)?;
            let is_whole =
                (1..=WindowConfig::MAX_OBJECT_LEN).contains(&len) && behind.iter().all(|byte| *byte == 0);
            is_whole.then(|| bytes.to_vec())
        });
        let Some(bytes) = whole else {
            // Whichever unit is to blame, nothing comes of those that have to do with it.
            self.units.retain(|unit| !unit.missing.contains(&number));
            return;
        };
        object.truncate(LENGTH + bytes.len());
        self.insert(number, object);
        if self.recovered.len() == HORIZON as usize {
            self.recovered.pop_front();
        }
        self.recovered.push_back((ObjectSeq(number), bytes));
    }
}

impl Default for WindowDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WindowDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowDecoder(up to {}, {} units wait)", self.end, self.units.len())
    }
}
