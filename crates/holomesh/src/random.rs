//! Where randomness enters: the libraries draw none themselves.

use crate::Error;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use zeroize::Zeroizing;

/// A generator of its own, seeded by the operating system.
///
/// # Errors
/// [`Error::Input`] if the operating system has no randomness to give.
pub(crate) fn generator() -> Result<StdRng, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    crate::keyfile::fill_random(seed.as_mut_slice())?;
    Ok(StdRng::from_seed(*seed))
}
