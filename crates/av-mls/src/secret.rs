//! The secret of an epoch.

use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What the media keys of one epoch are derived from: MLS exporter("holomesh av epoch v1", "", 32) (RFC 9420 section 8.5,
/// spec 20). Equal at all members. Not `Clone`, wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EpochSecret([u8; 32]);

impl EpochSecret {
    /// Takes over what the exporter gave and wipes it. `None` when it is not 32 bytes.
    pub(crate) fn take(mut exported: Vec<u8>) -> Option<Self> {
        let secret = exported.as_slice().try_into().ok().map(Self);
        exported.zeroize();
        secret
    }

    /// The secret bytes. Don't keep a copy.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for EpochSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochSecret(redacted)")
    }
}
