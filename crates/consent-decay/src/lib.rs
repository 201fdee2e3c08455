//! How much of a recording its consent still allows to keep.
//!
//! Consent ages. A recording admitted under a [`ConsentClass`] loses fidelity tier by tier as days go by, until only its
//! envelope (that it existed) is left; revoked consent removes it entirely and at once. This crate computes which
//! [`Tier`] holds when, and nothing else: the two wall-clock times are arguments, and what a tier means in bytes is up to
//! the store.
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
//! - An admission date in the future is refused, since it would never age. An error is no permission to keep: hold on to
//!   the envelope alone until the record is mended.
//!
//! Not here yet: the walk over a store that applies the tiers, tombstones, and the record of what was dropped when.
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

mod error;
mod schedule;
mod tier;

pub use error::Error;
pub use schedule::Schedule;
pub use tier::{Consent, ConsentClass, Tier};
