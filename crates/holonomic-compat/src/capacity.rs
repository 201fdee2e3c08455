//! What a relay said that it can carry, in both layouts: those of [`alm::legacy`], under names of this crate.
//!
//! ```
//! use core_types::{BitRate, Epoch};
//! use holonomic_compat::{PeerName, capacity, domain};
//!
//! let bytes = capacity::narrow(PeerName("node-b7"), BitRate::from_kbit(250_000), Epoch(42))?;
//! assert!(bytes.starts_with(&domain::RELAY_CAPACITY));
//! assert_eq!(bytes.len(), 39);
//! # Ok::<(), holonomic_compat::Error>(())
//! ```

use crate::{Error, PeerName};
use alm::legacy;
use core_types::{BitRate, Epoch};

pub use alm::legacy::RelayCapacity;

/// The wide layout, with rates as floats; see [`alm::legacy::wide`].
///
/// # Errors
/// [`Error::Capacity`] for a rate, a path or a list that does not fit.
pub fn wide(capacity: &RelayCapacity) -> Result<Vec<u8>, Error> {
    Ok(legacy::wide(capacity)?)
}

/// The narrow layout, with the uplink rounded to Mbit/s; see [`alm::legacy::narrow`].
///
/// # Errors
/// [`Error::Capacity`] for a rate or a name that does not fit.
pub fn narrow(relay: PeerName<'_>, uplink: BitRate, epoch: Epoch) -> Result<Vec<u8>, Error> {
    Ok(legacy::narrow(relay.0, uplink, epoch)?)
}
