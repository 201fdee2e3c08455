//! Cards: who a peer is, where it can be dialled, and by what it belongs to the session, signed (spec 53 section 2).
//!
//! A card holds the permit that the session's host signed for the advertiser. So whoever knows the host, a relay that is no
//! member included, can check that the advertiser belongs to the session.
//!
//! ```
//! use av_wire::permit::{Permit, PermitRole, PermitStreams};
//! use control_wire::PeerAddress;
//! use core_types::{SessionId, WallTime};
//! use identity::{Identity, Seed};
//! use peer_gossip::{Card, Kind};
//!
//! let (host, relay) = (Identity::from_seed(&Seed([1; 64]))?, Identity::from_seed(&Seed([2; 64]))?);
//! let (session, now) = (SessionId([3; 32]), WallTime(1_000_000));
//! let permit = Permit {
//!     session,
//!     issuer: host.key_id(),
//!     holder: relay.key_id(),
//!     role: PermitRole::Relay,
//!     serial: 1,
//!     not_before: now,
//!     not_after: WallTime(now.0 + 600_000),
//!     streams: PermitStreams::All,
//!     max_bytes_per_second: 0,
//!     max_subscribers: 0,
//! }
//! .sign(&host)?;
//! let signed = Card {
//!     session,
//!     identity: relay.public().clone(),
//!     address: PeerAddress { endpoint: [4; 32], addresses: vec!["192.0.2.7:4433".parse()?], direct: None },
//!     kind: Kind::Relay,
//!     issued_at: now,
//!     permit,
//! }
//! .sign(&relay)?;
//!
//! let card = Card::verify(&signed, session, host.public(), now)?;
//! assert_eq!(card.key_id(), relay.key_id());
//! assert!(Card::verify(&signed, SessionId([9; 32]), host.public(), now).is_err(), "of another session");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod codec;
#[cfg(test)]
mod tests;

use crate::Error;
use av_wire::permit::{Permit, PermitRole};
use control_wire::PeerAddress;
use core::fmt;
use core::ops::Deref;
use core::time::Duration;
use core_types::{KeyId, SessionId, WallTime};
use identity::PublicIdentity;

pub(crate) use codec::Parts;

/// The longest signed card in bytes; more is refused before it is looked at.
pub const MAX_CARD_LEN: usize = codec::MAX_LEN;
/// Socket addresses of a card at most.
pub const MAX_ADDRESSES: usize = 8;
/// How far in the future a card may have been made, by the reader's clock: clocks differ.
pub const EARLY_BY: Duration = Duration::from_secs(5);

/// What a peer is to the session. Closed: there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It forwards, and has a relay's permit.
    Relay,
    /// It watches, feeds others, and has a member's permit.
    Watcher,
}

impl Kind {
    /// As what the host has to have permitted it.
    pub const fn role(self) -> PermitRole {
        match self {
            Self::Relay => PermitRole::Relay,
            Self::Watcher => PermitRole::Member,
        }
    }
}

/// What a peer says of itself, for as long as its permit is good and it says nothing newer.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Card {
    /// The session that it is for.
    pub session: SessionId,
    /// Who it is, and signs.
    pub identity: PublicIdentity,
    /// Where it can be dialled: at most [`MAX_ADDRESSES`], each once and with a port. If it takes direct links, then under this
    /// identity.
    pub address: PeerAddress,
    /// What it is.
    pub kind: Kind,
    /// When the card was made. Later than each earlier one of this peer: the newest counts.
    pub issued_at: WallTime,
    /// The permit that the session's host signed for it (spec 56).
    pub permit: Vec<u8>,
}

impl Card {
    /// Checks what changes with time: that the card is not from the future, and that its permit is good now.
    fn check_time(&self, permit: &Permit, now: WallTime) -> Result<(), Error> {
        let peer = self.identity.key_id();
        let early = EARLY_BY.as_millis() as u64;
        if self.issued_at.0 > now.0.saturating_add(early) {
            return Err(Error::NotYet { peer, by_millis: self.issued_at.0 - now.0 });
        }
        permit
            .check(now, self.session, peer, self.kind.role())
            .map_err(|source| Error::Permit { peer, source })
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the permit, which is 3.5 KB of signature for the most part.
        f.debug_struct("Card")
            .field("session", &self.session)
            .field("identity", &self.identity)
            .field("address", &self.address)
            .field("kind", &self.kind)
            .field("issued_at", &self.issued_at)
            .finish_non_exhaustive()
    }
}

/// A card whose signature and permit were checked. Outside of this crate there is no other way to get one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifiedCard {
    card: Card,
    permit: Permit,
}

impl VerifiedCard {
    /// The name of the peer that it is of.
    pub const fn key_id(&self) -> KeyId {
        self.card.identity.key_id()
    }

    /// What the host's permit in the card says: which streams, and how much.
    pub const fn permitted(&self) -> &Permit {
        &self.permit
    }

    /// Checks that the card is good now.
    ///
    /// # Errors
    /// [`Error::NotYet`] or [`Error::Permit`], nobody's fault: clocks differ, and cards take their time.
    pub fn check_time(&self, now: WallTime) -> Result<(), Error> {
        self.card.check_time(&self.permit, now)
    }
}

impl Deref for VerifiedCard {
    type Target = Card;

    fn deref(&self) -> &Card {
        &self.card
    }
}
