//! Claims of any kind, in an envelope that is signed.

use crate::{ClaimKind, Error, Occurrence, PeerName, domain, version, write};
use core_types::WallTime;
use identity::canonical::Writer;

/// For whom a claim was made, as far as it was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnerBinding<'a> {
    /// The user to whom the signer belongs.
    pub user_owner: Option<PeerName<'a>>,
    /// To whom the signer delegates.
    pub delegates_to: Option<PeerName<'a>>,
    /// Which occurrence of the identity signs.
    pub occurrence: Option<Occurrence<'a>>,
}

/// An envelope around a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedClaim<'a> {
    /// What kind of claim.
    pub kind: ClaimKind<'a>,
    /// Who signs.
    pub signer: PeerName<'a>,
    /// The claim's own bytes; written as hexadecimal text.
    pub claim: &'a [u8],
    /// When.
    pub signed_at: WallTime,
    /// For whom.
    pub owner: OwnerBinding<'a>,
}

impl SignedClaim<'_> {
    /// What was signed: separator 16 ‖ signed at, u64 ms ‖ version u16 ‖ kind ‖ signer ‖ claim in lower-case hexadecimal, each with a u32
    /// length ‖ user owner ‖ delegates to ‖ occurrence, each 00, or 01, u32 length and text.
    ///
    /// # Errors
    /// [`Error::TooMuch`] for a length.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut w = Writer::new();
        w.fixed(&domain::SIGNED_CLAIM).u64(self.signed_at.0).u16(version::SIGNED_CLAIM);
        write::text(&mut w, "kind", self.kind)?;
        write::text(&mut w, "signer", self.signer)?;
        write::text(&mut w, "claim", hexadecimal(self.claim))?;
        write::optional(&mut w, "user owner", self.owner.user_owner)?;
        write::optional(&mut w, "delegates to", self.owner.delegates_to)?;
        write::optional(&mut w, "occurrence", self.owner.occurrence)?;
        Ok(w.into_bytes())
    }
}

fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]).map(|digit| DIGITS[usize::from(digit)]).collect()
}
