//! Capacity claims: what a peer says that it can carry for others, signed (spec 55).
//!
//! A claim is a promise of its advertiser, not a measurement by anybody else. What is here makes sure that it is the
//! advertiser's own, that all of it is signed, that it is fresh, and that an older one is not shown again in its place. Whether
//! it is true shows in what is delivered, and whose claims are wanted at all, members of the session, say, is for the caller to
//! say.
//!
//! Nothing here is a float: two machines that compare claims have to come to the same result. Rates are whole kbit/s.
//!
//! ```
//! use alm::claim::{CapacityClaim, ClaimStore, Load, SubStreamPath};
//! use core_types::{BitRate, Epoch, Layer, WallTime};
//! use identity::{Identity, Seed};
//!
//! let relay = Identity::from_seed(&Seed([1; 64]))?;
//! let signed = CapacityClaim {
//!     advertiser: relay.key_id(),
//!     stream: None,
//!     epoch: Epoch(3),
//!     counter: 1,
//!     uplink: BitRate::from_kbit(10_000),
//!     max_streams: 2,
//!     max_subscribers: 8,
//!     layers: Layer::BASE,
//!     commitments: Vec::new(),
//!     load: Load::default(),
//!     way: Vec::new(),
//!     issued_at: WallTime(1_000_000),
//!     valid_until: WallTime(1_030_000),
//! }
//! .sign(&relay)?;
//!
//! // At another peer, 200 ms later.
//! let now = WallTime(1_000_200);
//! let mut store = ClaimStore::new(1_024);
//! let _ = store.insert(now, CapacityClaim::verify(&signed, relay.public())?)?;
//! let claim = store.get(now, relay.key_id()).expect("it was just put in");
//! // It carries one other stream, has three subscribers of this one, and sends 6 Mbit/s: there is room for 4 Mbit/s more.
//! assert!(claim.room(&SubStreamPath::WHOLE, BitRate::from_kbit(4_000), 1, 3, BitRate::from_kbit(6_000)));
//! assert!(!claim.room(&SubStreamPath::WHOLE, BitRate::from_kbit(4_001), 1, 3, BitRate::from_kbit(6_000)));
//! # Ok::<(), alm::Error>(())
//! ```

mod codec;
mod store;

use crate::Error;
use core::ops::Deref;
use core::time::Duration;
use core_types::{BitRate, Epoch, KeyId, Layer, StreamId, WallTime};

pub use store::{ClaimStore, Inserted};

/// The longest time that a claim is good for.
pub const MAX_LIFETIME: Duration = Duration::from_secs(60);
/// How far in the future a claim may have been made, by the reader's clock: clocks differ.
pub const EARLY_BY: Duration = Duration::from_secs(5);
/// The longest signed claim in bytes; more is refused before it is looked at.
pub const MAX_CLAIM_LEN: usize = codec::MAX_LEN;

/// A part of a stream: `[]` is the whole, `[0]` its first half, `[0, 1]` a quadrant.
///
/// In ascending order a part comes right before those that it contains.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubStreamPath(pub Vec<u8>);

impl SubStreamPath {
    /// The whole stream.
    pub const WHOLE: Self = Self(Vec::new());
    /// The most steps that a path in a claim can have.
    pub const MAX_LEN: usize = 16;

    /// True if `other` is this part or lies in it.
    ///
    /// ```
    /// use alm::SubStreamPath;
    ///
    /// let (half, quadrant) = (SubStreamPath(vec![0]), SubStreamPath(vec![0, 1]));
    /// assert!(SubStreamPath::WHOLE.contains(&half) && half.contains(&quadrant) && half.contains(&half));
    /// assert!(!quadrant.contains(&half) && !SubStreamPath(vec![1]).contains(&quadrant));
    /// ```
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

/// What a claim sets aside for a part of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Commitment {
    /// Which part.
    pub path: SubStreamPath,
    /// Uplink for it, in whole kbit/s.
    pub budget: BitRate,
    /// Subscribers of it at most.
    pub max_subscribers: u16,
}

/// What a peer carries at present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Load {
    /// Streams.
    pub streams: u16,
    /// Subscribers of the stream in question; in a claim of the one that has most.
    pub subscribers: u16,
    /// Uplink in use, for all streams; in a claim in whole kbit/s.
    pub used: BitRate,
}

/// What a peer says that it can carry. All that a planner reads of it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CapacityClaim {
    /// Who claims it, and signs.
    pub advertiser: KeyId,
    /// For which stream; `None` for any.
    pub stream: Option<StreamId>,
    /// The epoch of the session in which it was made.
    pub epoch: Epoch,
    /// Higher than that of every earlier claim of this advertiser, also over its restarts.
    pub counter: u64,
    /// What it can send in all, in whole kbit/s; at most 2³² − 1 of them.
    pub uplink: BitRate,
    /// Streams that it carries at most.
    pub max_streams: u16,
    /// Subscribers of each stream at most.
    pub max_subscribers: u16,
    /// The highest layer that it carries, on each axis.
    pub layers: Layer,
    /// What of it is set aside for parts of the stream, ascending by path, together no more than `uplink`.
    pub commitments: Vec<Commitment>,
    /// What it carries at present, by its own word.
    pub load: Load,
    /// From whom it has what it feeds to others, and from whom that one has it, and so on to the publisher: the nearest first. Of more than
    /// [`CapacityClaim::MAX_WAY`] the nearest; nobody, if it does not say.
    pub way: Vec<KeyId>,
    /// When it was made. Not before that of any earlier claim of this advertiser.
    pub issued_at: WallTime,
    /// From when on it is worth nothing: later than `issued_at`, by [`MAX_LIFETIME`] at most.
    pub valid_until: WallTime,
}

impl CapacityClaim {
    /// The most commitments that a claim can have.
    pub const MAX_COMMITMENTS: usize = 64;
    /// The most peers of its way to the publisher that a claim can name.
    pub const MAX_WAY: usize = 8;

    /// The peers by way of which it has what it feeds to others, if it says so.
    pub fn path_to_source(&self) -> Option<&[KeyId]> {
        (!self.way.is_empty()).then_some(&self.way)
    }

    /// What is set aside for exactly this part.
    pub fn commitment(&self, path: &SubStreamPath) -> Option<&Commitment> {
        self.commitments.iter().find(|commitment| commitment.path == *path)
    }

    /// True if by this claim there is room for one more subscriber of the part `path` of a stream, which takes `rate`.
    ///
    /// `n_streams` is how many *other* streams the advertiser carries now, `n_subscribers` how many subscribers it has of this
    /// part, and `used` what it sends now out of the budget that counts: that of the commitment for exactly this path; of the
    /// whole uplink if the claim has no commitments at all. A claim with commitments, none of them for this path, has no room
    /// for it: not even if one is for a part that contains it, since that was set aside for subscribers of that part.
    pub fn room(
        &self,
        path: &SubStreamPath,
        rate: BitRate,
        n_streams: u32,
        n_subscribers: u32,
        used: BitRate,
    ) -> bool {
        let (budget, max_subscribers) = match self.commitment(path) {
            Some(own) => (own.budget, own.max_subscribers),
            None if self.commitments.is_empty() => (self.uplink, self.max_subscribers),
            None => return false,
        };
        n_streams < u32::from(self.max_streams)
            && n_subscribers < u32::from(max_subscribers)
            && used.0.checked_add(rate.0).is_some_and(|sum| sum <= budget.0)
    }

    /// Checks that the claim is good now: not over, and not made more than [`EARLY_BY`] from now.
    ///
    /// # Errors
    /// [`Error::NotNow`], nobody's fault: clocks differ, and claims take their time.
    pub fn check_time(&self, now: WallTime) -> Result<(), Error> {
        let refused = |why| Err(Error::NotNow { what: "capacity claim", peer: self.advertiser, why });
        if now >= self.valid_until {
            return refused("over");
        }
        if self.issued_at > later(now, EARLY_BY) {
            return refused("in the future");
        }
        Ok(())
    }
}

/// A claim whose signature was checked. Outside of this crate there is no other way to get one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifiedClaim(CapacityClaim);

impl VerifiedClaim {
    /// A claim that needs no signature: of a simulated peer, or in a test of this crate.
    pub(crate) const fn assume(claim: CapacityClaim) -> Self {
        Self(claim)
    }
}

impl Deref for VerifiedClaim {
    type Target = CapacityClaim;

    fn deref(&self) -> &CapacityClaim {
        &self.0
    }
}

/// That time after `from`, saturating.
fn later(from: WallTime, by: Duration) -> WallTime {
    let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    WallTime(from.0.saturating_add(millis))
}
