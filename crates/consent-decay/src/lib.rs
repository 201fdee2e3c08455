//! How much of a recording its consent still allows to keep.
//!
//! Consent ages. A recording admitted under a class of consent loses fidelity tier by tier as days go by, until only its
//! envelope (that it existed) is left; revoked consent removes it entirely and at once. Everything here is computation: wall
//! time is an argument, and keeping and dropping bytes is up to a store behind the trait [`Ledger`].
//!
//! - [`Schedule`] and [`Classes`]: which [`Tier`] holds at which age, to the day; classes of a deployment from TOML;
//! - [`ConsentRecord`] and [`Tombstone`]: what the person concerned signs; [`ContentId`] names that person;
//! - [`decide`]: where age, consent, disk pressure and revocation meet, and the lowest tier wins;
//! - [`Scheduler`]: looks at what is due, in bounded batches; [`Transition`] is an entry of the audit log;
//! - [`Pressure`] and [`Relief`]: how full the disk is, and what gives way first.
//!
//! | class | full below | without repair below | without high quality below | least viable below | then |
//! |---|---|---|---|---|---|
//! | temporary | 4 days | 8 | 11 | 14 | envelope only |
//! | standard | 26 days | 51 | 70 | 90 | envelope only |
//! | persistent | 365 days | 730 | 1,095 | 1,460 | envelope only |
//!
//! - Age is whole days since admission. Age alone never deletes the envelope; only revocation does.
//! - A tier never rises: what was dropped is gone, whatever the clock says later. [`Tier::merge`] what is held with what
//!   is computed.
//! - An admission date in the future is refused, since it would never age. A clock that goes back later changes nothing. One
//!   that goes forward by mistake ages everything, and nothing brings back what that drops: nodes need a clock that they trust.
//! - Consent that can't be read, or of a class that this node does not know, freezes the content: nothing of it may be read. It is
//!   tried again each hour, and after seven days only the envelope is kept.
//!
//! ```
//! use consent_decay::{Consent, ConsentClass, Schedule, Tier};
//! use core_types::WallTime;
//!
//! let day = |n: u64| WallTime(1_700_000_000_000 + n * 86_400_000);
//! let schedule = Schedule::of(ConsentClass::Temporary);
//! assert_eq!(schedule.tier(day(0), day(3), Consent::Given)?, Tier::Full);
//! assert_eq!(schedule.tier(day(0), day(4), Consent::Given)?, Tier::DropRepair);
//! assert_eq!(schedule.next_change(day(0), day(4))?, Some(day(8)));
//! assert_eq!(schedule.tier(day(0), day(4), Consent::Revoked)?, Tier::HardDelete);
//!
//! // The clock was set back; the repair symbols are gone all the same.
//! let computed = schedule.tier(day(0), day(1), Consent::Given)?;
//! assert_eq!(Tier::DropRepair.merge(computed), Tier::DropRepair);
//! # Ok::<(), consent_decay::Error>(())
//! ```

mod class;
mod content;
mod decide;
mod error;
mod grant;
mod memory;
mod pressure;
mod record;
mod schedule;
mod scheduler;
mod tier;

pub use class::{ClassName, Classes};
pub use content::{ContentId, SourceId};
pub use decide::{Decision, FROZEN_AT_MOST, Item, RETRY, Reason, Transition, Trigger, decide};
pub use error::Error;
pub use grant::ReadGrant;
pub use memory::{MemoryLedger, NoSuchContent};
pub use pressure::{Candidate, Disk, Level, Mark, Pressure, Relief, Step, Watermarks};
pub use record::{ConsentRecord, Terms, Tombstone};
pub use schedule::Schedule;
pub use scheduler::{Due, Ledger, Scheduler, Tick};
pub use tier::{Consent, ConsentClass, Tier};
