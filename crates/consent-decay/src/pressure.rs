//! Disk pressure: how full the disk is, and what gives way first (spec 80 section 7).

use crate::{ContentId, Error, Tier};
use core::cmp::Reverse;
use core::fmt;
use core_types::WallTime;
use std::collections::{BTreeMap, BinaryHeap};

/// How full the disk is, least first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Nothing has to go.
    #[default]
    Calm = 0,
    /// Repair symbols go.
    Repair = 1,
    /// Enhancement layers go too.
    HighQuality = 2,
    /// All but key frames goes: the least that can be shown is kept.
    Least = 3,
    /// There is no room even for that.
    Last = 4,
}

impl Level {
    const ALL: [Self; 5] = [Self::Calm, Self::Repair, Self::HighQuality, Self::Least, Self::Last];

    /// The tier below which this level takes nothing. Pressure never deletes an envelope.
    pub const fn floor(self) -> Tier {
        match self {
            Self::Calm => Tier::Full,
            Self::Repair => Tier::DropRepair,
            Self::HighQuality => Tier::DropHighQuality,
            Self::Least => Tier::MinViable,
            Self::Last => Tier::EnvelopeOnly,
        }
    }

    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u8) -> Result<Self, Error> {
        Self::ALL.get(usize::from(code)).copied().ok_or(Error::Record("no level has this number"))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of 4", self.code())
    }
}

/// What a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that can still be written, those that the store can use again included.
    pub free: u64,
    /// Bytes in all, or what the store may take of them.
    pub total: u64,
}

/// A watermark: it is reached when less than either is free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    /// Bytes.
    pub free_bytes: u64,
    /// Hundredths of the disk.
    pub free_percent: u8,
}

impl Mark {
    /// The bytes that have to be free.
    fn bytes_of(self, disk: Disk) -> u64 {
        let percent = u128::from(disk.total) * u128::from(self.free_percent) / 100;
        self.free_bytes.max(u64::try_from(percent).unwrap_or(u64::MAX)).min(disk.total)
    }
}

/// Where the four levels begin, and how much more has to be free before one ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    marks: [Mark; 4],
    margin: Mark,
}

impl Watermarks {
    /// The marks of the levels from [`Level::Repair`] to [`Level::Last`], and the margin.
    ///
    /// # Errors
    /// [`Error::Watermarks`] when a mark is above the one before it, or leaves no room for the margin.
    pub fn new(marks: [Mark; 4], margin: Mark) -> Result<Self, Error> {
        let falls = |at: fn(&Mark) -> u64| marks.windows(2).all(|pair| at(&pair[0]) >= at(&pair[1]));
        if !falls(|mark| mark.free_bytes) || !falls(|mark| u64::from(mark.free_percent)) {
            return Err(Error::Watermarks("each level begins with no more room than the one before"));
        }
        if u32::from(marks[0].free_percent) + u32::from(margin.free_percent) > 100 {
            return Err(Error::Watermarks("the first level and the margin are more than the whole disk"));
        }
        Ok(Self { marks, margin })
    }
}

impl Default for Watermarks {
    /// 15, 10, 6 and 3 % free, at least 4, 2, 1 and 0.5 GB; a margin of 2 % and 512 MB.
    fn default() -> Self {
        let mark = |free_percent, mega: u64| Mark { free_percent, free_bytes: mega * 1_000_000 };
        Self { marks: [mark(15, 4_000), mark(10, 2_000), mark(6, 1_000), mark(3, 500)], margin: mark(2, 512) }
    }
}

/// Follows a disk. Levels begin at once, and end one by one, each when the margin is free too.
#[derive(Debug, Clone)]
pub struct Pressure {
    marks: Watermarks,
    level: Level,
}

impl Pressure {
    /// Calm.
    pub const fn new(marks: Watermarks) -> Self {
        Self { marks, level: Level::Calm }
    }

    /// The level as of the last look.
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Takes a look.
    pub fn observe(&mut self, disk: Disk) -> Level {
        let reached = self.marks.marks.iter().filter(|mark| disk.free < mark.bytes_of(disk)).count();
        let reached = Level::ALL[reached];
        if reached >= self.level {
            self.level = reached;
        }
        while self.level > reached && disk.free >= self.released_at(disk) {
            self.level = Level::ALL[usize::from(self.level.code()) - 1];
        }
        self.level
    }

    /// Bytes that have to become free before this level ends.
    pub fn need(&self, disk: Disk) -> u64 {
        if self.level == Level::Calm { 0 } else { self.released_at(disk).saturating_sub(disk.free) }
    }

    fn released_at(&self, disk: Disk) -> u64 {
        let mark = self.marks.marks[usize::from(self.level.code()).max(1) - 1];
        mark.bytes_of(disk).saturating_add(self.marks.margin.bytes_of(disk)).min(disk.total)
    }
}

/// What one step down frees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes.
    pub bytes: u64,
    /// The mean retention priority of what goes; higher goes first.
    pub priority: u8,
}

/// Content that could give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub content: ContentId,
    /// The tier that it is held at.
    pub held: Tier,
    /// When its ages began: older goes first among equals.
    pub from: WallTime,
    /// What going down frees, step by step: to `DropRepair`, `DropHighQuality`, `MinViable`, `EnvelopeOnly`.
    pub steps: [Step; 4],
}

/// Chooses what gives way: all repair symbols before any enhancement layer, those before the rest of the base layer, key
/// frames last; in each step by retention priority, the oldest first. No more than is needed, and never below the level's
/// floor. Keeps a bounded number of steps, however many candidates are offered.
#[derive(Debug)]
pub struct Relief {
    level: Level,
    need: u64,
    best: BinaryHeap<Choice>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Choice {
    step: usize,
    priority: Reverse<u8>,
    from: WallTime,
    content: ContentId,
    bytes: u64,
}

impl Relief {
    /// Steps that one relief takes at most; what is left over takes another.
    pub const MAX_STEPS: usize = 4_096;

    /// To free `need` bytes at this level.
    pub const fn new(level: Level, need: u64) -> Self {
        Self { level, need, best: BinaryHeap::new() }
    }

    /// Offers one.
    pub fn offer(&mut self, candidate: &Candidate) {
        const TIERS: [Tier; 4] =
            [Tier::DropRepair, Tier::DropHighQuality, Tier::MinViable, Tier::EnvelopeOnly];
        for (step, (tier, frees)) in TIERS.into_iter().zip(candidate.steps).enumerate() {
            if tier < self.level.floor() || tier >= candidate.held || frees.bytes == 0 {
                continue;
            }
            let Candidate { content, from, .. } = *candidate;
            let priority = Reverse(frees.priority);
            self.best.push(Choice { step, priority, from, content, bytes: frees.bytes });
            if self.best.len() > Self::MAX_STEPS {
                self.best.pop();
            }
        }
    }

    /// The tier that each has to go down to, and how many bytes that frees in all.
    pub fn finish(self) -> (BTreeMap<ContentId, Tier>, u64) {
        let mut to = BTreeMap::new();
        let mut freed = 0_u64;
        for choice in self.best.into_sorted_vec() {
            if freed >= self.need {
                break;
            }
            freed = freed.saturating_add(choice.bytes);
            // Later steps of one content are lower.
            to.insert(choice.content, Level::ALL[choice.step + 1].floor());
        }
        (to, freed)
    }
}
