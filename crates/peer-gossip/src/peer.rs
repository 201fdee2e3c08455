//! What is known of a peer.

use crate::bucket::Bucket;
use crate::card::VerifiedCard;
use crate::config::{NEWS_AT_ONCE, NEWS_EVERY};
use crate::entry::{self, Kept};
use alm::VerifiedClaim;
use core_types::{KeyId, LinkId, MonoTime, WallTime};

/// A peer that is there and good now.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Who it is.
    pub key: KeyId,
    /// What it says of itself: where it can be dialled, what it is, and the host's permit.
    pub card: &'a VerifiedCard,
    /// What it claims that it can carry.
    pub claim: &'a VerifiedClaim,
    /// The link over which the claim came first, as long as there is that link.
    pub heard_from: Option<LinkId>,
}

/// What a peer, or this node, says, as it goes out.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) card: Kept,
    /// When the card was made.
    pub(crate) issued_at: WallTime,
    pub(crate) claim: Option<SaidClaim>,
}

#[derive(Debug, Clone)]
pub(crate) struct SaidClaim {
    pub(crate) entry: Kept,
    pub(crate) counter: u64,
    pub(crate) valid_until: WallTime,
}

impl SaidClaim {
    pub(crate) fn new(entry: Kept, claim: &VerifiedClaim) -> Self {
        Self { entry, counter: claim.counter, valid_until: claim.valid_until }
    }

    /// True if that is this claim, whoever signed it how often.
    pub(crate) fn is(&self, claim: &entry::Claim<'_>) -> bool {
        let own = self.entry.get(1..).unwrap_or_default();
        self.counter == claim.counter && entry::Claim::payload(own) == entry::Claim::payload(claim.signed)
    }
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) card: VerifiedCard,
    pub(crate) said: Said,
    pub(crate) heard_from: Option<LinkId>,
    /// When something new of it was taken last.
    pub(crate) heard_at: MonoTime,
    /// What is taken of it that is new.
    pub(crate) news: Bucket,
}

/// What is remembered of a peer that was dropped: when its last card was made, so that an older one is no way back, and what it said
/// lately, so that being dropped gives it no more to say.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) issued_at: WallTime,
    pub(crate) news: Bucket,
}

impl From<Peer> for Past {
    fn from(peer: Peer) -> Self {
        Self { issued_at: peer.said.issued_at, news: peer.news }
    }
}

impl Peer {
    pub(crate) fn new(now: MonoTime, card: VerifiedCard, kept: Kept) -> Self {
        let said = Said { card: kept, issued_at: card.issued_at, claim: None };
        let news = Bucket::new(now, NEWS_EVERY, NEWS_AT_ONCE);
        Self { card, said, heard_from: None, heard_at: now, news }
    }
}
