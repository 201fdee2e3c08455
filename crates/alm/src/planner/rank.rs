//! In which order those are asked who can be a parent.

use super::sift::Fit;
use super::{Candidate, Request};
use crate::topology::tie;
use core_types::KeyId;

/// Times to a candidate and back within one such step count as equal, so that joiners spread over what is about as near.
const STEP_MS: u128 = 20;
/// Further away than so many steps is all the same.
const FAR: u32 = 1_000;
/// Distance of a candidate that was not measured: behind all that were.
const UNKNOWN: u32 = 1_000_000;
/// Hops to the source of a candidate that did not say. Each hop counts as a step.
const UNKNOWN_HOPS: usize = 4;
/// More hops are all the same.
const MAX_HOPS: usize = 64;
/// Room for more full streams than this counts no more: it costs nothing to claim, and nobody needs so much.
const FULL_ROOM: u32 = 32;
/// Steps that it is worth to avoid a network, or a branch of the tree, that was picked already: 100 ms.
const SAME_FATE: u32 = 5;
/// Steps that it is worth to avoid the way of discovery of one picked already: 40 ms.
const SAME_SOURCE: u32 = 2;

/// All candidates in the order in which to ask them. The first `picked` are chosen one after the other, each in view of
/// those before it; the others follow by distance and lot.
pub(super) fn order(request: &Request, fit: Vec<Fit<'_>>, picked: usize) -> Vec<KeyId> {
    let mut pool: Vec<Entry<'_>> = fit.into_iter().map(|fit| Entry::new(request, fit)).collect();
    pool.sort_unstable_by_key(|entry| (entry.distance, entry.lot, entry.key()));
    let mut keys = Vec::with_capacity(pool.len());
    for _ in 0..picked {
        let place = |entry: &Entry<'_>| (entry.distance + entry.penalty, entry.lot, entry.key());
        let best = pool.iter().enumerate().min_by_key(|(_, entry)| place(entry)).map(|(at, _)| at);
        let Some(at) = best else { break };
        let chosen = pool.remove(at);
        for entry in &mut pool {
            entry.penalty = entry.penalty.saturating_add(shared_fate(chosen.candidate, entry.candidate));
        }
        keys.push(chosen.key());
    }
    keys.extend(pool.iter().map(Entry::key));
    keys
}

struct Entry<'a> {
    candidate: &'a Candidate<'a>,
    distance: u32,
    penalty: u32,
    lot: u64,
}

impl<'a> Entry<'a> {
    fn new(request: &Request, fit: Fit<'a>) -> Self {
        let lot = lot(request, &fit);
        Self { candidate: fit.candidate, distance: distance(fit.candidate), penalty: 0, lot }
    }

    fn key(&self) -> KeyId {
        self.candidate.claim.advertiser
    }
}

/// Steps to a candidate and on to the source.
fn distance(candidate: &Candidate<'_>) -> u32 {
    let hops = candidate.path_to_source.map_or(UNKNOWN_HOPS, <[_]>::len).min(MAX_HOPS) as u32;
    let steps =
        candidate.rtt.map_or(UNKNOWN, |rtt| u32::try_from(rtt.as_millis() / STEP_MS).unwrap_or(FAR).min(FAR));
    steps + hops
}

/// What it is worth not to have both.
fn shared_fate(chosen: &Candidate<'_>, other: &Candidate<'_>) -> u32 {
    let above = |path: Option<&[KeyId]>, key: KeyId| path.is_some_and(|path| path.contains(&key));
    let related = above(chosen.path_to_source, other.claim.advertiser)
        || above(other.path_to_source, chosen.claim.advertiser);
    u32::from(chosen.network == other.network) * SAME_FATE
        + u32::from(chosen.discovered_by == other.discovered_by) * SAME_SOURCE
        + u32::from(related) * SAME_FATE
}

/// Weighted rendezvous hashing: the lowest lot wins, and a candidate with twice the weight wins twice as often. The lot
/// is −log₂ of a hash, taken as a fraction of 1, over the weight (Schindelhauer, Schomaker, SPAA 2005), in integers.
fn lot(request: &Request, fit: &Fit<'_>) -> u64 {
    let Fit { candidate, stripes } = fit;
    let trusted = u64::from(candidate.trust.min(1_000)) * u64::from(candidate.reach.min(1_000));
    let room = (*stripes).min(FULL_ROOM * u32::from(request.parents));
    let weight = (u64::from(room) * trusted / 1_000).max(1);
    let hash = [&request.me.0, &candidate.claim.advertiser.0, &request.stream.0]
        .into_iter()
        .fold(tie::mix(0, request.seed), tie::mix_id);
    (neg_log2(hash) << 32) / weight
}

/// −log₂(x / 2⁶⁴) in units of 2⁻²⁴; at most 64 of them.
fn neg_log2(x: u64) -> u64 {
    let x = x.max(1);
    let zeros = x.leading_zeros();
    // Between 1 and 2 in units of 2⁻⁶³; squaring it doubles the logarithm, so each carry is a binary digit of it.
    let mut mantissa = x << zeros;
    let mut fraction = 0;
    for _ in 0..24 {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let carry = square >> 64 != 0;
        fraction = fraction << 1 | u64::from(carry);
        mantissa = if carry { (square >> 1) as u64 } else { square as u64 };
    }
    (u64::from(zeros + 1) << 24) - fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_that_of_floating_point() {
        for x in [1, 2, 3, 1 << 40, (1 << 40) + 12_345, u64::MAX / 3, 1 << 63, u64::MAX - (1 << 30), u64::MAX]
        {
            let exact = 64.0 - (x as f64).log2();
            let ours = neg_log2(x) as f64 / f64::from(1 << 24);
            assert!((exact - ours).abs() < 1e-6, "{x}: {ours} for {exact}");
        }
        assert_eq!(neg_log2(0), neg_log2(1));
    }
}
