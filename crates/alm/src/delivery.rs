//! What parents deliver, against what they claim.
//!
//! - [`DeliveryMeter`] measures each parent of a stream against its own share of what the publisher really sent, and tells
//!   apart who can't be reached, whose path is congested, and who takes a share and does not carry it.
//! - [`Shares`] feeds it: it keeps which share each parent was given, and what of it came.
//! - [`Evidence`] is such a finding, signed by who made it, for others to weigh.
//! - [`Court`] weighs it: an advertiser is called a liar only when three observers who have nothing to do with one another
//!   say so within a minute, and not for ever.
//!
//! The rules are in spec 57 sections 3 to 5. Nothing here has a timer: verdicts are asked for, and time is an argument.
//!
//! ```
//! use alm::delivery::{DeliveryMeter, Verdict};
//! use core_types::{KeyId, MonoTime};
//!
//! let parent = KeyId([7; 32]);
//! let mut meter = DeliveryMeter::new();
//! // The publisher goes on, 30 chunks in each second are this parent's, and it delivers one in five.
//! for chunk in 0..30 {
//!     let now = MonoTime::from_millis(chunk * 33);
//!     meter.handle_expected(now, parent, 1)?;
//!     if chunk % 5 == 0 {
//!         meter.handle_delivered(now, parent, 1, 1_088)?;
//!     }
//! }
//! let verdict = meter.verdict(MonoTime::from_millis(1_100), parent);
//! assert!(matches!(verdict, Verdict::Short { permille: 150..=300 }), "{verdict:?}");
//! # Ok::<(), alm::Error>(())
//! ```

mod court;
mod docket;
mod evidence;
mod meter;
mod shares;
#[cfg(test)]
mod tests;

pub use court::{Court, Inserted, Standing};
pub use evidence::{Evidence, VerifiedEvidence};
pub use meter::{DeliveryMeter, Verdict};
pub use shares::{Path, Shares};
