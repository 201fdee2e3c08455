//! Why candidates were left out.

use core::fmt;

/// Why a candidate was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// It is the joiner itself.
    Myself,
    /// Its claim is for another stream.
    OtherStream,
    /// Its claim is of another epoch.
    OtherEpoch,
    /// It was there already, with the same claim or a newer one.
    Duplicate,
    /// It is trusted not at all, or signed two claims with one counter.
    Untrusted,
    /// Its claim is over or lies in the future.
    Stale,
    /// It does not carry all layers that are wanted.
    Layers,
    /// It gets the stream by way of the joiner.
    Loop,
    /// It can't be reached.
    Unreachable,
    /// It has no room for a share of the stream.
    NoRoom,
}

impl Cause {
    const ALL: [Self; 10] = [
        Self::Myself,
        Self::OtherStream,
        Self::OtherEpoch,
        Self::Duplicate,
        Self::Untrusted,
        Self::Stale,
        Self::Layers,
        Self::Loop,
        Self::Unreachable,
        Self::NoRoom,
    ];

    const fn words(self) -> &'static str {
        match self {
            Self::Myself => "this peer itself",
            Self::OtherStream => "with a claim for another stream",
            Self::OtherEpoch => "with a claim of another epoch",
            Self::Duplicate => "there twice",
            Self::Untrusted => "not trusted",
            Self::Stale => "with a claim out of time",
            Self::Layers => "without the layers",
            Self::Loop => "fed by this peer",
            Self::Unreachable => "not reachable",
            Self::NoRoom => "without room",
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Myself | Self::Duplicate | Self::Loop | Self::Untrusted => "ask the host for other relays",
            Self::OtherStream | Self::OtherEpoch => "wait for claims of this stream and epoch",
            Self::Stale => "wait for new claims, and compare the clock",
            Self::Layers => "ask for fewer layers",
            Self::Unreachable => "look at the network, or ask the host for a relay",
            Self::NoRoom => "ask for fewer layers, or try again later",
        }
    }
}

/// How many candidates fell to which cause. Each is counted once, for the first that applies in the order of the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// [`Cause::Myself`].
    pub myself: u32,
    /// [`Cause::OtherStream`].
    pub other_stream: u32,
    /// [`Cause::OtherEpoch`].
    pub other_epoch: u32,
    /// [`Cause::Duplicate`].
    pub duplicate: u32,
    /// [`Cause::Untrusted`].
    pub untrusted: u32,
    /// [`Cause::Stale`].
    pub stale: u32,
    /// [`Cause::Layers`].
    pub layers: u32,
    /// [`Cause::Loop`].
    pub looped: u32,
    /// [`Cause::Unreachable`].
    pub unreachable: u32,
    /// [`Cause::NoRoom`].
    pub no_room: u32,
}

impl Refusals {
    /// How many there were in all.
    pub fn total(&self) -> u32 {
        Cause::ALL.into_iter().map(|cause| self.count(cause)).fold(0, u32::saturating_add)
    }

    /// How many fell to this cause.
    pub const fn count(&self, cause: Cause) -> u32 {
        match cause {
            Cause::Myself => self.myself,
            Cause::OtherStream => self.other_stream,
            Cause::OtherEpoch => self.other_epoch,
            Cause::Duplicate => self.duplicate,
            Cause::Untrusted => self.untrusted,
            Cause::Stale => self.stale,
            Cause::Layers => self.layers,
            Cause::Loop => self.looped,
            Cause::Unreachable => self.unreachable,
            Cause::NoRoom => self.no_room,
        }
    }

    /// The cause, if all fell to the same one.
    pub fn single_cause(&self) -> Option<Cause> {
        let mut seen = self.seen();
        seen.next().filter(|_| seen.next().is_none())
    }

    pub(super) const fn add(&mut self, cause: Cause) {
        let count = match cause {
            Cause::Myself => &mut self.myself,
            Cause::OtherStream => &mut self.other_stream,
            Cause::OtherEpoch => &mut self.other_epoch,
            Cause::Duplicate => &mut self.duplicate,
            Cause::Untrusted => &mut self.untrusted,
            Cause::Stale => &mut self.stale,
            Cause::Layers => &mut self.layers,
            Cause::Loop => &mut self.looped,
            Cause::Unreachable => &mut self.unreachable,
            Cause::NoRoom => &mut self.no_room,
        };
        *count = count.saturating_add(1);
    }

    fn seen(&self) -> impl Iterator<Item = Cause> {
        Cause::ALL.into_iter().filter(|cause| self.count(*cause) > 0)
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cause) = self.single_cause() {
            return write!(f, "all {} candidates are {}; {}", self.total(), cause.words(), cause.advice());
        }
        // The most frequent cause is where to start; of equal ones the first.
        let Some(main) = self.seen().min_by_key(|cause| core::cmp::Reverse(self.count(*cause))) else {
            return f.write_str("there are no candidates; ask the host for relays");
        };
        write!(f, "of {} candidates", self.total())?;
        for (number, cause) in self.seen().enumerate() {
            let comma = if number == 0 { " " } else { ", " };
            write!(f, "{comma}{} are {}", self.count(cause), cause.words())?;
        }
        write!(f, "; {}", main.advice())
    }
}
