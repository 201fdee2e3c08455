//! What was done.

/// Counters since the start, and how much there is now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Peers that are known now, those included that are silent.
    pub peers: usize,
    /// Links now.
    pub links: usize,
    /// Hybrid signatures that were verified, two for a card and one for a claim. What costs.
    pub verifications: u64,
    /// Cards that were taken.
    pub cards: u64,
    /// Claims that were taken.
    pub claims: u64,
    /// Entries that went out.
    pub sent: u64,
    /// Entries not taken since they are here already.
    pub duplicates: u64,
    /// Entries not taken since there is a newer one.
    pub old: u64,
    /// Entries not taken by the clock: over, from the future, or with a permit that is.
    pub not_now: u64,
    /// Entries not looked at since their link sent too many.
    pub over_rate: u64,
    /// Entries not taken since their peer has too much news.
    pub too_often: u64,
    /// Claims not taken since the card is not known.
    pub without_card: u64,
    /// Entries not taken since there is no room for another peer.
    pub no_room: u64,
    /// Entries of this node, of peers that are forgotten, or with permits that are revoked.
    pub unwanted: u64,
    /// Claims not taken since there is another one with the same counter, by the same advertiser.
    pub equivocations: u64,
    /// Messages that ended in an error for which their link is to blame.
    pub faults: u64,
}
