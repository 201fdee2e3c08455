//! Who can be a parent at all.

use super::{Candidate, Cause, MIN_REACH, Refusals, Request, free_stripes};
use crate::topology::room;
use core_types::{KeyId, WallTime};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A claim that was made later than this by our clock is not believed: clocks differ by less (spec 56 section 4).
const CLOCK_EARLY_MS: u64 = 120_000;

/// A candidate that can be a parent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit<'a> {
    pub(super) candidate: &'a Candidate<'a>,
    /// Stripes that it has room for.
    pub(super) stripes: u32,
}

/// What stands for an advertiser among several candidates of it.
struct Standing<'a> {
    candidate: &'a Candidate<'a>,
    /// It signed another claim with the same counter.
    conflict: bool,
}

/// Splits the candidates into those that can be a parent, by key, and counts of the others.
pub(super) fn sift<'a>(request: &Request, candidates: &'a [Candidate<'a>]) -> (Vec<Fit<'a>>, Refusals) {
    let mut refusals = Refusals::default();
    let mut standing: BTreeMap<KeyId, Standing<'a>> = BTreeMap::new();
    for candidate in candidates {
        if let Some(cause) = out_of_place(request, candidate) {
            refusals.add(cause);
            continue;
        }
        match standing.entry(candidate.claim.advertiser) {
            Entry::Vacant(entry) => {
                entry.insert(Standing { candidate, conflict: false });
            }
            Entry::Occupied(mut entry) => {
                refusals.add(Cause::Duplicate);
                entry.get_mut().meet(candidate);
            }
        }
    }
    let mut fit = Vec::with_capacity(standing.len());
    for Standing { candidate, conflict } in standing.into_values() {
        let cause = if conflict { Some(Cause::Untrusted) } else { unfit(request, candidate) };
        let stripes = free_stripes(request, candidate);
        match cause.or_else(|| (stripes == 0).then_some(Cause::NoRoom)) {
            Some(cause) => refusals.add(cause),
            None => fit.push(Fit { candidate, stripes }),
        }
    }
    (fit, refusals)
}

impl<'a> Standing<'a> {
    /// Keeps the newer claim; of two entries with the same claim the one that was measured as nearer.
    fn meet(&mut self, other: &'a Candidate<'a>) {
        let (ours, theirs) = (self.candidate.claim, other.claim);
        if theirs.counter > ours.counter {
            *self = Self { candidate: other, conflict: false };
        } else if theirs.counter == ours.counter {
            self.conflict |= theirs != ours;
            let distance = |candidate: &Candidate<'_>| candidate.rtt.map_or((1, None), |rtt| (0, Some(rtt)));
            if distance(other) < distance(self.candidate) {
                self.candidate = other;
            }
        }
    }
}

fn out_of_place(request: &Request, candidate: &Candidate<'_>) -> Option<Cause> {
    let claim = candidate.claim;
    if claim.advertiser == request.me {
        Some(Cause::Myself)
    } else if claim.stream.is_some_and(|stream| stream != request.stream) {
        Some(Cause::OtherStream)
    } else if request.epoch.is_some_and(|epoch| epoch != claim.epoch) {
        Some(Cause::OtherEpoch)
    } else {
        None
    }
}

fn unfit(request: &Request, candidate: &Candidate<'_>) -> Option<Cause> {
    let claim = candidate.claim;
    let latest_issue = WallTime(request.now.0.saturating_add(CLOCK_EARLY_MS));
    if candidate.trust == 0 {
        Some(Cause::Untrusted)
    } else if claim.valid_until <= request.now || claim.issued_at > latest_issue {
        Some(Cause::Stale)
    } else if !room::covers(claim.layers, request.layers) {
        Some(Cause::Layers)
    } else if candidate.path_to_source.is_some_and(|path| path.contains(&request.me)) {
        Some(Cause::Loop)
    } else if candidate.reach < MIN_REACH {
        Some(Cause::Unreachable)
    } else {
        None
    }
}
