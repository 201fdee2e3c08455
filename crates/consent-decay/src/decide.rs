//! The one place where consent, age, disk pressure and revocation meet (spec 80 section 5). The lowest tier wins.

use crate::{Classes, ContentId, Error, Level, Terms, Tier};
use core::fmt;
use core::time::Duration;
use core_types::WallTime;
use identity::canonical::{Reader, Writer};

/// How long content stays frozen before it goes to its envelope, when nobody can say what its consent allows.
pub const FROZEN_AT_MOST: Duration = Duration::from_secs(7 * 86_400);
/// How long after a failure the next attempt is made: of an unreadable consent, or of an item that could not be settled.
pub const RETRY: Duration = Duration::from_secs(3_600);

/// What is known of one piece of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which.
    pub content: ContentId,
    /// The tier that is held.
    pub held: Tier,
    /// What its consent says; `None` when that can't be read.
    pub terms: Option<Terms>,
    /// Since when it has been frozen, if it is.
    pub frozen_since: Option<WallTime>,
}

/// Why an item is looked at. Closed on purpose: each is weighed by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Its time has come, it is about to be read, or its consent has changed.
    Time,
    /// The disk is full, and this is what it may be kept at.
    Pressure {
        /// How full the disk is.
        level: Level,
        /// What the item was chosen to go down to.
        to: Tier,
    },
    /// Consent was taken back.
    Revoked,
}

/// Why a tier changed, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It was taken in.
    Admitted,
    /// Age.
    Age,
    /// Consent was taken back.
    Revoked,
    /// The disk was at this level.
    Pressure(Level),
    /// Nobody can say what its consent allows: it can't be read until somebody can.
    Frozen,
    /// It could be said again.
    Thawed,
    /// It stayed frozen for too long.
    Unreadable,
    /// The person concerned changed consent.
    ConsentChanged,
    /// Its keys were found destroyed.
    KeysGone,
}

impl Reason {
    const fn code(self) -> u8 {
        match self {
            Self::Admitted => 1,
            Self::Age => 2,
            Self::Revoked => 3,
            Self::Frozen => 4,
            Self::Thawed => 5,
            Self::Unreadable => 6,
            Self::ConsentChanged => 7,
            Self::KeysGone => 8,
            Self::Pressure(level) => 16 + level.code(),
        }
    }

    fn from_code(code: u8) -> Result<Self, Error> {
        Ok(match code {
            1 => Self::Admitted,
            2 => Self::Age,
            3 => Self::Revoked,
            4 => Self::Frozen,
            5 => Self::Thawed,
            6 => Self::Unreadable,
            7 => Self::ConsentChanged,
            8 => Self::KeysGone,
            _ => match Level::from_code(code.wrapping_sub(16))? {
                Level::Calm => return Err(Error::Record("an audit entry names a pressure that is none")),
                level => Self::Pressure(level),
            },
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admitted => "admitted",
            Self::Age => "age",
            Self::Revoked => "revoked",
            Self::Frozen => "frozen: its consent can't be read",
            Self::Thawed => "thawed: its consent can be read again",
            Self::Unreadable => "its consent could not be read for seven days",
            Self::ConsentChanged => "consent changed",
            Self::KeysGone => "its keys were found destroyed",
            Self::Pressure(level) => return write!(f, "disk pressure, level {level}"),
        })
    }
}

/// What is to become of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which.
    pub content: ContentId,
    /// The tier that was held.
    pub before: Tier,
    /// The tier to hold from now on: never above the one before.
    pub after: Tier,
    /// Why.
    pub reason: Reason,
    /// Since when it is frozen: nothing of it may be read.
    pub frozen_since: Option<WallTime>,
    /// When to look at it again; `None` when time changes nothing any more.
    pub due: Option<WallTime>,
    /// Whether anything changed that the audit log has to say.
    pub is_news: bool,
}

impl Decision {
    /// The entry for the audit log.
    pub const fn transition(&self, at: WallTime) -> Transition {
        Transition { at, content: self.content, before: self.before, after: self.after, reason: self.reason }
    }
}

/// Decides. The tier of the item, what age leaves of it, and what pressure or revocation leave of it are merged: the lowest
/// wins, and what is held never rises. A clock that has gone back changes nothing.
pub fn decide(item: &Item, classes: &Classes, trigger: Trigger, now: WallTime) -> Decision {
    let schedule = item.terms.as_ref().and_then(|terms| Some((classes.schedule(&terms.class)?, terms.from)));
    let (by_age, frozen_since) = match schedule {
        Some((schedule, from)) => (schedule.tier_of_admitted(from, now), None),
        None => {
            let since = item.frozen_since.unwrap_or(now);
            let over = u128::from(now.0.saturating_sub(since.0)) >= FROZEN_AT_MOST.as_millis();
            (if over { Tier::EnvelopeOnly } else { Tier::Full }, Some(since))
        }
    };
    let (by_trigger, why) = match trigger {
        Trigger::Time => (Tier::Full, Reason::Age),
        Trigger::Pressure { level, to } => (to.max(level.floor()), Reason::Pressure(level)),
        Trigger::Revoked => (Tier::HardDelete, Reason::Revoked),
    };
    let after = item.held.merge(by_age).merge(by_trigger);
    let reason = if after == item.held && frozen_since.is_some() != item.frozen_since.is_some() {
        if frozen_since.is_some() { Reason::Frozen } else { Reason::Thawed }
    } else if by_trigger < by_age {
        why
    } else if frozen_since.is_some() {
        Reason::Unreadable
    } else {
        Reason::Age
    };
    let due = match (schedule, frozen_since) {
        _ if after <= Tier::EnvelopeOnly => None,
        (Some((schedule, from)), _) => schedule.falls_below(from, after),
        (None, since) => {
            let end =
                since.map_or(u64::MAX, |since| since.0.saturating_add(FROZEN_AT_MOST.as_millis() as u64));
            Some(WallTime(end.min(later(now, RETRY).0)))
        }
    };
    let is_news = after != item.held || frozen_since.is_some() != item.frozen_since.is_some();
    Decision { content: item.content, before: item.held, after, reason, frozen_since, due, is_news }
}

/// Saturating.
pub(crate) const fn later(now: WallTime, by: Duration) -> WallTime {
    WallTime(now.0.saturating_add(by.as_millis() as u64))
}

/// An entry of the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transition {
    /// When, by the node's clock.
    pub at: WallTime,
    /// What.
    pub content: ContentId,
    /// The tier before.
    pub before: Tier,
    /// The tier after.
    pub after: Tier,
    /// Why.
    pub reason: Reason,
}

impl Transition {
    /// Bytes of an entry.
    pub const LEN: usize = 1 + 8 + 32 + 3;

    /// As canonical bytes (spec 80 section 6).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(Self::LEN);
        writer.u8(1).u64(self.at.0).fixed(&self.content.0);
        writer.u8(self.before.code()).u8(self.after.code()).u8(self.reason.code());
        writer.into_bytes()
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`Error::Record`] or [`Error::Identity`] for bytes that no entry has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != 1 {
            return Err(Error::Record("an audit entry is of another version than 1"));
        }
        let entry = Self {
            at: WallTime(reader.u64()?),
            content: ContentId(reader.array()?),
            before: Tier::from_code(reader.u8()?)?,
            after: Tier::from_code(reader.u8()?)?,
            reason: Reason::from_code(reader.u8()?)?,
        };
        reader.finish()?;
        Ok(entry)
    }
}
