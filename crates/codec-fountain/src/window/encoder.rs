//! Objects to objects with units.

use super::body::{UNITS_HEAD, write_head};
use super::{LENGTH, MAX_INDEX, Pace, WindowConfig, factor};
use crate::Error;
use core::fmt;
use core_types::ObjectSeq;
use gf256::{Backend, Coefficients};

/// Room for an object of any length with its length in front, and zeros behind.
const SLOT: usize = LENGTH + WindowConfig::MAX_OBJECT_LEN;

/// Adds units of repair to the small objects of one stream, which are not cut into symbols. Holds 24 kB.
///
/// A packet of sound is a single chunk, so a fountain over one object has nothing to spread over. Here each object may bring *units* of
/// repair: linear combinations over GF(256) of the objects before it, as many as its window spans. They travel in the object's
/// own chunk, so there are no more chunks than before, and a burst of losses is made good by the chunks that follow it: as
/// many units as objects are missing, whichever they are. [`Pace`] says how many, and what it costs.
///
/// Spec 62.
///
/// ```
/// use codec_fountain::{WindowConfig, WindowDecoder, WindowEncoder};
/// use core_types::ObjectSeq;
///
/// let mut encoder = WindowEncoder::new(WindowConfig::default());
/// let mut decoder = WindowDecoder::new();
/// for number in 0..20u8 {
///     let body = encoder.push(ObjectSeq(number.into()), &[number; 80])?;
///     // A burst takes three packets; the third that comes after it brings them back.
///     if !(7..10).contains(&number) {
///         decoder.push(ObjectSeq(number.into()), body)?;
///     }
///     if number == 12 {
///         assert_eq!(decoder.poll_recovered(), Some((ObjectSeq(7), vec![7; 80])));
///     }
/// }
/// assert_eq!(decoder.poll_recovered(), Some((ObjectSeq(8), vec![8; 80])));
/// # Ok::<(), codec_fountain::Error>(())
/// ```
pub struct WindowEncoder {
    config: WindowConfig,
    /// The last objects, as they go into units: object `n` at place `n % MAX_SPAN`.
    slots: Vec<u8>,
    lens: [usize; WindowConfig::MAX_SPAN],
    /// The object after the last, and how many before it there are.
    next: u64,
    kept: usize,
    /// Units that object `next` has had so far.
    used: usize,
    /// How often it was due and there was none.
    waited: u8,
    out: Vec<u8>,
    factors: Vec<u8>,
}

impl WindowEncoder {
    /// An encoder for a stream from its next object on.
    pub fn new(config: WindowConfig) -> Self {
        Self {
            config,
            slots: vec![0; WindowConfig::MAX_SPAN * SLOT],
            lens: [0; WindowConfig::MAX_SPAN],
            next: 0,
            kept: 0,
            used: 0,
            waited: 0,
            out: Vec::new(),
            factors: Vec::new(),
        }
    }

    /// From the next object on, so much repair: as the loss on the way asks.
    pub const fn set_pace(&mut self, pace: Pace) {
        self.config.pace = pace;
    }

    /// Forgets the objects so far: no unit to come covers any of them. For who is to read what comes, and not what was.
    pub const fn restart(&mut self) {
        (self.kept, self.used, self.waited) = (0, 0, 0);
    }

    /// The object `number` with the units that come with it, as a chunk carries them. After a number that does not follow the last one
    /// the window begins anew.
    ///
    /// # Errors
    /// [`Error::ObjectLength`] when it is empty or longer than [`WindowConfig::MAX_OBJECT_LEN`].
    pub fn push(&mut self, number: ObjectSeq, object: &[u8]) -> Result<&[u8], Error> {
        let max = WindowConfig::MAX_OBJECT_LEN;
        if object.is_empty() || object.len() > max {
            return Err(Error::ObjectLength { len: object.len(), max });
        }
        if number.0 != self.next {
            self.restart();
            self.next = number.0;
        }
        self.write_units(self.config.pace.units_of(number.0), object.len());
        self.out.extend_from_slice(object);
        self.keep(object);
        Ok(&self.out)
    }

    /// Units alone, at the pace's most an object and one at least, for the time when the next object is due and there is none: when speech
    /// stops, the last of it would otherwise go unprotected. To be sent under the number that is returned, which the next object
    /// has too. `None` when there is nothing to protect, no pace, or that number has had all the units that it can have.
    pub fn flush(&mut self) -> Option<(ObjectSeq, &[u8])> {
        let Pace { units, objects } = self.config.pace;
        self.units_alone(usize::from(units.div_ceil(objects)))
    }

    /// The next object is due and there is none, since nothing is said: units alone, as [`flush`](Self::flush), at the pace at which they would have come
    /// with objects, and for as many places as a unit covers objects. `None` where there are none for this place.
    pub fn skip(&mut self) -> Option<(ObjectSeq, &[u8])> {
        if self.waited >= self.config.span {
            return None;
        }
        let place = self.next.saturating_add(self.waited.into());
        self.waited += 1;
        self.units_alone(self.config.pace.units_of(place))
    }

    fn units_alone(&mut self, count: usize) -> Option<(ObjectSeq, &[u8])> {
        if self.write_units(count, 0) == 0 {
            return None;
        }
        Some((ObjectSeq(self.next), &self.out))
    }

    /// Begins the body of object `next`, which will have so many bytes, with up to `count` more units. Gives how many.
    fn write_units(&mut self, count: usize, object_len: usize) -> usize {
        let span = usize::from(self.config.span).min(self.kept);
        let covered = self.next - span as u64..self.next;
        let place = |number: u64| (number % WindowConfig::MAX_SPAN as u64) as usize;
        let longest = covered.clone().map(|number| self.lens[place(number)]).max().unwrap_or(0);
        let unit_len = LENGTH + longest;
        let room = self.config.most.saturating_sub(UNITS_HEAD + object_len) / unit_len;
        let count = if span == 0 { 0 } else { count.min(MAX_INDEX - self.used).min(room) };
        write_head(&mut self.out, self.used, count, span, unit_len);
        if count == 0 {
            return 0;
        }
        self.factors.clear();
        for index in self.used..self.used + count {
            self.factors.extend(covered.clone().map(|number| factor(self.next, index, number)));
        }
        let start = self.out.len();
        self.out.resize(start + count * unit_len, 0);
        let slots = covered.map(|number| &self.slots[place(number) * SLOT..][..unit_len]);
        let factors = Coefficients::new(&self.factors, span);
        Backend::best().combine(factors, slots, &mut self.out[start..]);
        self.used += count;
        count
    }

    /// Object `next` is `object`.
    fn keep(&mut self, object: &[u8]) {
        let place = (self.next % WindowConfig::MAX_SPAN as u64) as usize;
        let slot = &mut self.slots[place * SLOT..][..SLOT];
        let (length, rest) = slot.split_at_mut(LENGTH);
        length.copy_from_slice(&(object.len() as u16).to_be_bytes());
        let (bytes, behind) = rest.split_at_mut(object.len());
        bytes.copy_from_slice(object);
        let before = self.lens[place].saturating_sub(object.len());
        behind[..before].fill(0);
        self.lens[place] = object.len();
        self.next = self.next.saturating_add(1);
        self.kept = (self.kept + 1).min(WindowConfig::MAX_SPAN);
        (self.used, self.waited) = (0, 0);
    }
}

impl fmt::Debug for WindowEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowEncoder({:?}, next {}, {} kept)", self.config, self.next, self.kept)
    }
}
