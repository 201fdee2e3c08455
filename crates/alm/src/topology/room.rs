//! What a claim leaves for a whole stream.

use crate::CapacityClaim;
use core_types::{BitRate, Layer, LayerPolicy};

/// What a claim sets aside for one whole stream: uplink, and subscribers. With commitments, only the one to the whole
/// stream counts: the others are for parts of it.
pub(crate) fn budget(claim: &CapacityClaim) -> (BitRate, u16) {
    if claim.commitments.is_empty() {
        return (claim.uplink, claim.max_subscribers);
    }
    claim.commitments.iter().find(|commitment| commitment.path.0.is_empty()).map_or(
        (BitRate(0), 0),
        |commitment| {
            let subscribers = commitment.max_subscribers.min(claim.max_subscribers);
            (commitment.budget.min(claim.uplink), subscribers)
        },
    )
}

/// What one stripe of the stream costs, rounded up.
pub(crate) fn stripe_rate(rate: BitRate, stripes: u8) -> BitRate {
    BitRate(rate.0.div_ceil(u64::from(stripes.max(1))).max(1))
}

/// True if who carries layers up to `have` carries all of a stream with layers up to `want`.
pub(crate) const fn covers(have: Layer, want: Layer) -> bool {
    let policy =
        LayerPolicy { max_spatial: have.spatial, max_temporal: have.temporal, max_quality: have.quality };
    policy.admits(want)
}

/// How many times `each` fits into `uplink`, at most `subscribers` times.
pub(crate) fn slots(uplink: BitRate, each: BitRate, subscribers: u32) -> u32 {
    let by_uplink = uplink.0 / each.0.max(1);
    u32::try_from(by_uplink).unwrap_or(u32::MAX).min(subscribers)
}
