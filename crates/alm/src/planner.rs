//! Which parents a joiner asks, out of those it has heard of, and when it changes one for a better one.
//!
//! [`plan`] takes verified claims with what is known of each peer at present, and picks P parents and some spares. It
//! leaves out who can't be a parent, and counts why. The rest it orders by distance, in steps, and within a step by a
//! hash that is each joiner's own and weighted by free room: so 500 joiners that come at once and know the same list
//! spread over it as room is. Then it picks one after the other, and prefers other networks, other ways of discovery and
//! other branches of the tree than those picked already. [`Damping`] keeps a joiner from changing back and forth. The
//! rules are in spec 58.
//!
//! ```
//! use alm::planner::{Request, plan};
//! use core_types::{BitRate, Epoch, KeyId, Layer, StreamId, WallTime};
//!
//! let request = Request {
//!     me: KeyId([1; 32]),
//!     stream: StreamId([2; 32]),
//!     epoch: Some(Epoch(1)),
//!     rate: BitRate::from_kbit(2_500),
//!     layers: Layer::BASE,
//!     parents: alm::planner::PARENTS,
//!     spares: alm::planner::SPARES,
//!     now: WallTime(1_700_000_000_000),
//!     seed: 42,
//! };
//! // Nobody was heard of yet:
//! assert_eq!(
//!     plan(&request, &[]).expect_err("no candidates").to_string(),
//!     "no parent: there are no candidates; ask the host for relays"
//! );
//! ```

use crate::topology::{MAX_PARENTS, room};
use crate::{Error, VerifiedClaim};
use core::time::Duration;
use core_types::{BitRate, Epoch, KeyId, Layer, StreamId, WallTime};

mod damping;
mod rank;
mod refusals;
mod sift;
#[cfg(test)]
mod tests;

pub use crate::claim::Load;
pub use crate::topology::MIN_REACH;
pub use damping::{Damping, Switch};
pub use refusals::{Cause, Refusals};

/// Parents that a joiner asks for unless there is a reason for another number.
pub const PARENTS: u8 = 4;
/// Spares that it keeps warm.
pub const SPARES: u8 = 2;
/// Candidates that are looked at, at most.
pub const MAX_CANDIDATES: usize = 4_096;

/// What a joiner wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The joiner itself.
    pub me: KeyId,
    /// The stream that it wants.
    pub stream: StreamId,
    /// The epoch whose claims count; `None` if those of any do: what a peer can carry changes with none.
    pub epoch: Option<Epoch>,
    /// Rate of the whole stream, above 0.
    pub rate: BitRate,
    /// The highest layer that it wants.
    pub layers: Layer,
    /// Parents, which is stripes: 1 to 16, [`PARENTS`] as a rule.
    pub parents: u8,
    /// Spares beyond them, [`SPARES`] as a rule.
    pub spares: u8,
    /// The time, which claims have to hold at.
    pub now: WallTime,
    /// A secret of this joiner, drawn once when it starts. So nobody can choose whose parent he becomes.
    pub seed: u64,
}

/// A peer that might be a parent, with what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// What it claims.
    pub claim: &'a VerifiedClaim,
    /// Measured time to it and back; `None` if it was not measured. Such candidates come last.
    pub rtt: Option<Duration>,
    /// What it carries already, as far as known.
    pub load: Load,
    /// How well it can be reached, in permille; below [`MIN_REACH`] it is left out.
    pub reach: u16,
    /// Its parents, their parents and so on up to the publisher, if it said so.
    pub path_to_source: Option<&'a [KeyId]>,
    /// Tag of its network: peers with the same one are likely to fail together.
    pub network: u64,
    /// How it was heard of: peers that one source told of may all be that source's.
    pub discovered_by: u8,
    /// Trust in permille; with 0 it is left out.
    pub trust: u16,
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The parents, best first. As many as were asked for, or fewer that have room for more stripes each.
    pub parents: Vec<KeyId>,
    /// To keep a link to, for when a parent dies.
    pub spares: Vec<KeyId>,
    /// Others that would do, best first, for when one of those above refuses.
    pub rest: Vec<KeyId>,
}

/// Picks parents and spares.
///
/// Each parent has room for its share of the stripes. If there are not enough for one stripe each, fewer parents are
/// picked, of those that can carry more.
///
/// # Errors
/// [`Error::NoParent`] with a count for each cause when there is nobody to pick. [`Error::Input`] when the request can't
/// be. [`Error::Limit`] when there are more than [`MAX_CANDIDATES`].
pub fn plan(request: &Request, candidates: &[Candidate<'_>]) -> Result<Plan, Error> {
    check(request, candidates)?;
    let (mut fit, mut refusals) = sift::sift(request, candidates);
    let Some((parents, each)) = how_many(request, &fit) else {
        for _ in &fit {
            refusals.add(Cause::NoRoom);
        }
        return Err(Error::NoParent(refusals));
    };
    fit.retain(|candidate| candidate.stripes >= each);
    let mut order = rank::order(request, fit, parents + usize::from(request.spares)).into_iter();
    Ok(Plan {
        parents: order.by_ref().take(parents).collect(),
        spares: order.by_ref().take(usize::from(request.spares)).collect(),
        rest: order.collect(),
    })
}

fn check(request: &Request, candidates: &[Candidate<'_>]) -> Result<(), Error> {
    if request.rate.0 == 0 {
        return Err(Error::Input { what: "rate", why: "a stream without a rate; take the announced one" });
    }
    if request.parents == 0 || request.parents > MAX_PARENTS {
        return Err(Error::Input { what: "parents", why: "1 to 16 are possible" });
    }
    if candidates.len() > MAX_CANDIDATES {
        return Err(Error::Limit { what: "candidate", max: MAX_CANDIDATES });
    }
    Ok(())
}

/// The most parents for which there are enough candidates with room for an even share, and how many stripes that is.
fn how_many(request: &Request, fit: &[sift::Fit<'_>]) -> Option<(usize, u32)> {
    (1..=request.parents).rev().find_map(|parents| {
        let each = u32::from(request.parents.div_ceil(parents));
        let enough = fit.iter().filter(|candidate| candidate.stripes >= each).count() >= usize::from(parents);
        enough.then_some((usize::from(parents), each))
    })
}

/// How many more stripes of the stream a candidate can send, as far as its load is known.
fn free_stripes(request: &Request, candidate: &Candidate<'_>) -> u32 {
    let Candidate { claim, load, .. } = candidate;
    // Who feeds nobody of this stream would have to take it on.
    if load.subscribers == 0 && load.streams >= claim.max_streams {
        return 0;
    }
    let (uplink, subscribers) = room::budget(claim);
    let uplink = BitRate(uplink.0.saturating_sub(load.used.0));
    // A subscriber may take all stripes, but one that takes some has a place of its own.
    if subscribers <= load.subscribers {
        return 0;
    }
    room::slots(uplink, room::stripe_rate(request.rate, request.parents), u32::MAX)
}
