//! One subscriber of one stream: a place in the ring, and what has been decided about the objects around it.

use crate::layers::LayerTable;
use crate::ring::{Flags, Meta};
use core_types::{LayerPolicy, StripeSet};

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// How many objects back a decision is remembered.
const REMEMBERED: u64 = 64;

#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) link: u32,
    pub(crate) stream: u32,
    /// The link's next subscription.
    pub(crate) next: u32,
    /// Layers in the stream's table when `allowed` was made.
    layers: u8,
    /// Served before the others of its link: sound, and what is small.
    pub(crate) first_class: bool,
    pub(crate) policy: LayerPolicy,
    pub(crate) stripes: StripeSet,
    /// Repair symbols seen of the object `repairs_of`.
    repairs_seen: u16,
    /// Microseconds that the base layer may be late beyond the limit, since a key frame took so long to send.
    lag: u32,
    /// The next chunk to be looked at.
    pub(crate) cursor: u64,
    /// Layers that the policy admits.
    pub(crate) allowed: u64,
    /// Layers that the subscriber has all of since it took them up.
    pub(crate) have: u64,
    /// Objects that were under way when it started: the layers of which it gets the rest.
    midway: u64,
    /// The newest object decided on.
    newest: u64,
    /// The oldest one decided on; `u64::MAX` before the first.
    oldest: u64,
    /// Decisions, the newest object's in the lowest bit: forwarded; or shed because the subscriber was behind.
    forwarded: u64,
    shed: u64,
    repairs_of: u64,
    /// Chunks before this one came before the subscriber did: a late joiner catches up with them.
    pub(crate) live_from: u64,
    /// Layers told of in the last event.
    pub(crate) told: u64,
    /// Indices of chunks to be sent again.
    pub(crate) again: Vec<u64>,
}

/// What becomes of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Forward,
    /// The subscriber was behind.
    Shed,
    /// It can't be decoded without what the subscriber does not have.
    Withheld,
    /// The policy does not admit it.
    Unwanted,
}

impl Subscription {
    pub(crate) fn new(link: u32, stream: u32, policy: LayerPolicy, stripes: StripeSet) -> Self {
        Self {
            link,
            stream,
            next: NONE,
            layers: 0,
            first_class: false,
            policy,
            stripes,
            repairs_seen: 0,
            lag: 0,
            cursor: 0,
            allowed: 0,
            have: 0,
            midway: 0,
            newest: 0,
            oldest: u64::MAX,
            forwarded: 0,
            shed: 0,
            repairs_of: u64::MAX,
            live_from: 0,
            told: 0,
            again: Vec::new(),
        }
    }

    /// Starts at `cursor`, as a receiver that has had everything.
    pub(crate) const fn start_live(&mut self, cursor: u64) {
        (self.cursor, self.have, self.midway) = (cursor, u64::MAX, self.allowed);
        self.have &= self.allowed | !self.numbered();
    }

    /// The layers that have a number, as far as it knows.
    const fn numbered(&self) -> u64 {
        if self.layers >= 64 { u64::MAX } else { (1 << self.layers) - 1 }
    }

    /// Starts at `cursor`, as a receiver that has nothing: with a key frame.
    pub(crate) const fn start_anew(&mut self, cursor: u64) {
        (self.cursor, self.have, self.midway, self.oldest) = (cursor, 0, 0, u64::MAX);
    }

    /// Keeps up with the stream's table of layers.
    #[inline]
    pub(crate) fn learn_layers(&mut self, table: &LayerTable) {
        if usize::from(self.layers) != table.len() {
            self.admit(table);
        }
    }

    #[cold]
    fn admit(&mut self, table: &LayerTable) {
        self.layers = table.len() as u8;
        self.allowed = table.admitted(self.policy);
        // Of a layer that has no number yet, a receiver that had everything lacks nothing.
        self.have &= self.allowed | !self.numbered();
    }

    /// Another policy: layers that it does not admit are gone at the next object, others are taken up at an object that
    /// allows it.
    pub(crate) fn set_policy(&mut self, policy: LayerPolicy, table: &LayerTable) {
        self.learn_layers(table);
        self.policy = policy;
        self.admit(table);
    }

    /// What it gets of the layers that are there.
    #[inline]
    pub(crate) const fn effective(&self, table: &LayerTable) -> u64 {
        self.have & self.allowed & table.active()
    }

    /// An object opens: nothing is decided yet.
    #[inline]
    pub(crate) const fn open(&mut self, object: u64) {
        let by = object.wrapping_sub(self.newest);
        if self.oldest == u64::MAX {
            (self.oldest, self.forwarded, self.shed) = (object, 0, 0);
        } else if by < REMEMBERED {
            (self.forwarded, self.shed) = (self.forwarded << by, self.shed << by);
        } else {
            (self.forwarded, self.shed) = (0, 0);
        }
        self.newest = object;
        (self.forwarded, self.shed) = (self.forwarded & !1, self.shed & !1);
    }

    /// Whether the object that opens can be decoded with what the subscriber has.
    #[inline]
    pub(crate) const fn can_have(&self, meta: &Meta) -> Candidate {
        let bit = 1u64 << meta.layer;
        let had = self.have & bit != 0;
        if self.allowed & bit == 0 {
            Candidate::No
        } else if meta.needs & !self.have != 0 {
            // Something came of a layer that it was taken up without.
            if had { Candidate::Lost } else { Candidate::No }
        } else if had {
            Candidate::Had
        } else if meta.is(Flags::TAKE_UP) {
            Candidate::TakeUp
        } else {
            Candidate::No
        }
    }

    /// The object that opened last is forwarded.
    #[inline]
    pub(crate) const fn forward(&mut self, meta: &Meta) {
        self.forwarded |= 1;
        self.have |= 1 << meta.layer;
    }

    /// An object is shed, or what is left of it: what refers to it is withheld from now on.
    pub(crate) fn shed(&mut self, meta: &Meta, table: &LayerTable) {
        let by = self.newest.wrapping_sub(meta.object);
        if by < REMEMBERED {
            self.forwarded &= !(1 << by);
            self.shed |= 1 << by;
        }
        self.lack(meta, table);
    }

    /// An object is not forwarded: what may refer to it can't be decoded.
    pub(crate) fn lack(&mut self, meta: &Meta, table: &LayerTable) {
        if !meta.is(Flags::DISCARDABLE) && !meta.is(Flags::ALONE) {
            // Whatever is on the base has the base below it.
            self.have &= if meta.is(Flags::BASE) { 0 } else { !table.above(meta.layer) };
        }
    }

    /// What becomes of a chunk, by what was decided about its object.
    #[inline]
    pub(crate) const fn verdict(&self, meta: &Meta) -> Verdict {
        let bit = 1u64 << meta.layer;
        let by = self.newest.wrapping_sub(meta.object);
        let (forwarded, shed) = if meta.object < self.oldest {
            (self.midway & bit != 0, false)
        } else if by < REMEMBERED {
            (self.forwarded >> by & 1 != 0, self.shed >> by & 1 != 0)
        } else {
            // Nobody knows any more, and it is too late for it in any case.
            (false, false)
        };
        if forwarded {
            Verdict::Forward
        } else if shed {
            Verdict::Shed
        } else if self.allowed & bit != 0 {
            Verdict::Withheld
        } else {
            Verdict::Unwanted
        }
    }

    /// True if the next repair symbol of an object is within the link's share of those that the object has for this
    /// subscriber, rounded up.
    #[inline]
    pub(crate) const fn is_in_share(&self, object: u64, permille: u16) -> bool {
        let seen = if self.repairs_of == object { self.repairs_seen as u32 } else { 0 };
        let share = permille as u32;
        share >= 1_000 || ((seen + 1) * share).div_ceil(1_000) > (seen * share).div_ceil(1_000)
    }

    /// Counts a repair symbol of an object.
    #[inline]
    pub(crate) const fn count_repair(&mut self, object: u64) {
        if self.repairs_of != object {
            (self.repairs_of, self.repairs_seen) = (object, 0);
        }
        self.repairs_seen = self.repairs_seen.saturating_add(1);
    }

    /// How late the base layer may be beyond the limit, in microseconds.
    pub(crate) const fn lag(&self) -> u64 {
        self.lag as u64
    }

    pub(crate) fn set_lag(&mut self, micros: u64) {
        self.lag = u32::try_from(micros).unwrap_or(u32::MAX);
    }
}

/// Whether an object can be forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// Not wanted, or it could not be decoded.
    No,
    /// Its layer is had, but not one below of which something came since.
    Lost,
    /// Its layer is had.
    Had,
    /// Its layer could be taken up with it.
    TakeUp,
}
