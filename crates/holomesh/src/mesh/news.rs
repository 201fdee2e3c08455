//! When what a node has to offer is said anew before its claim is due: what is said is passed on by all.

use super::Offer;
use std::time::Duration;

/// What can be lent is news when it has changed by so many per cent, …
const CHANGED: u64 = 25;
/// … and room and places when they have changed by this part of all that there is.
const PART: u64 = 4;
/// That there is less is not said more often than this, …
const LEAST: Duration = Duration::from_secs(2);
/// … and anything else than this.
const AGAIN: Duration = Duration::from_secs(5);

/// Whether what is offered now is to be said, so long after the last.
pub(super) fn is_due(since: Duration, said: &Offer, is: &Offer) -> bool {
    if is.subscribers == 0 && said.subscribers > 0 {
        // It is about to stop.
        return true;
    }
    let uplink = (said.uplink.0, is.uplink.0);
    let all = uplink.0.max(uplink.1);
    let room = (room(said), room(is));
    let most = u64::from(said.subscribers.max(is.subscribers));
    let places = (places(said), places(is));
    let less = uplink.1.saturating_mul(100) < uplink.0.saturating_mul(100 - CHANGED)
        || is_part(room.0.saturating_sub(room.1), all)
        || is_part(places.0.saturating_sub(places.1), most);
    let other = less
        || uplink.1.saturating_mul(100) > uplink.0.saturating_mul(100 + CHANGED)
        || is_part(room.1.saturating_sub(room.0), all)
        || is_part(places.1.saturating_sub(places.0), most)
        // Of what changes above the parent all that it feeds would speak at once.
        || said.way.first() != is.way.first();
    since >= if less { LEAST } else { AGAIN } && other
}

fn room(offer: &Offer) -> u64 {
    offer.uplink.0.saturating_sub(offer.load.used.0)
}

fn places(offer: &Offer) -> u64 {
    offer.subscribers.saturating_sub(offer.load.subscribers).into()
}

const fn is_part(change: u64, of: u64) -> bool {
    change > 0 && change.saturating_mul(PART) >= of
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::PeerAddress;
    use alm::Load;
    use core_types::{BitRate, KeyId};
    use peer_gossip::Kind;

    fn offer(uplink: u64, used: u64, children: u16) -> Offer {
        Offer {
            kind: Kind::Relay,
            address: PeerAddress { endpoint: [1; 32], addresses: Vec::new(), direct: None },
            uplink: BitRate::from_kbit(uplink),
            subscribers: 16,
            load: Load { streams: 1, subscribers: children, used: BitRate::from_kbit(used) },
            way: Vec::new(),
        }
    }

    fn due_after(said: &Offer, is: &Offer) -> Option<u64> {
        (0..60).find(|seconds| is_due(Duration::from_secs(*seconds), said, is))
    }

    #[test]
    fn less_is_said_sooner_than_more_and_little_is_said_with_the_next_claim() {
        let said = offer(8_000, 4_000, 8);
        assert_eq!(due_after(&said, &said), None);
        for (is, after) in [
            (offer(6_001, 4_000, 8), None),
            (offer(5_999, 4_000, 8), Some(2)),
            (offer(9_999, 4_000, 8), None),
            (offer(10_001, 4_000, 8), Some(5)),
            // A quarter of all its room, or of its places.
            (offer(8_000, 5_999, 8), None),
            (offer(8_000, 6_000, 8), Some(2)),
            (offer(8_000, 2_000, 8), Some(5)),
            (offer(8_000, 4_000, 11), None),
            (offer(8_000, 4_000, 12), Some(2)),
            (offer(8_000, 4_000, 4), Some(5)),
            (Offer { way: vec![KeyId([1; 32])], ..said.clone() }, Some(5)),
        ] {
            assert_eq!(due_after(&said, &is), after, "{is:?}");
        }
        let nothing = Offer { subscribers: 0, ..offer(0, 0, 0) };
        assert_eq!(due_after(&said, &nothing), Some(0));
        assert_eq!(due_after(&nothing, &nothing), None);
    }
}
