//! Who is served, and in which order the trees are filled.

use super::{MIN_REACH, Offer, Shape, room, tie};
use crate::Error;
use core::cmp::Reverse;
use core_types::KeyId;

/// A peer with room for this many full streams has all the points for room that there are.
const FULL_ROOM: u64 = 16;

/// The peers by node number.
pub(super) struct Ranked {
    /// The publisher, the served by rank, then the unserved.
    pub(super) keys: Vec<KeyId>,
    /// How many stripe-children each can have; of the publisher and the served alone.
    pub(super) slots: Vec<u32>,
    /// Node numbers, by key.
    pub(super) index: Vec<u32>,
}

/// What decides a peer's place.
struct Place {
    slots: u32,
    score: u32,
    tie: u64,
    /// Of its offer.
    number: u32,
}

/// Decides who is served, and ranks them.
pub(super) fn rank(shape: &Shape, offers: &[Offer]) -> Result<Ranked, Error> {
    let stripes = u64::from(shape.parents);
    let each = room::stripe_rate(shape.rate, shape.parents);
    let seed = tie::mix(tie::mix_id(0, shape.stream.as_bytes()), shape.epoch.0);
    let mut source = None;
    let mut places = Vec::with_capacity(offers.len());
    for (offer, number) in offers.iter().zip(0..) {
        let slots = room::slots(offer.uplink, each, offer.max_subscribers);
        if offer.peer == shape.publisher {
            // Trust and reach of the source are no question: there is no other.
            if source.replace(slots).is_some() {
                return Err(TWICE);
            }
            continue;
        }
        let slots = usable_slots(offer, slots);
        let tie = tie::mix_id(seed, offer.peer.as_bytes());
        places.push(Place { slots, score: score(offer, slots, stripes), tie, number });
    }
    let Some(source) = source else {
        return Err(Error::Input { what: "offers", why: "the publisher's is not there" });
    };

    let peer = |place: &Place| offers.get(place.number as usize).map(|offer| offer.peer);
    places.sort_unstable_by(|a, b| {
        let order = |place: &Place| (Reverse(place.slots), Reverse(place.score), place.tie);
        order(a).cmp(&order(b)).then_with(|| peer(a).cmp(&peer(b)))
    });
    let served = count_served(source, &places, stripes);
    if let Some(of_served) = places.get_mut(..served) {
        of_served.sort_unstable_by(|a, b| {
            let order = |place: &Place| (Reverse(size_class(place.slots)), Reverse(place.score), place.tie);
            order(a).cmp(&order(b)).then_with(|| peer(a).cmp(&peer(b)))
        });
    }
    let slots = core::iter::once(source).chain(places.iter().take(served).map(|place| place.slots)).collect();
    let keys: Vec<KeyId> = core::iter::once(shape.publisher).chain(places.iter().filter_map(peer)).collect();
    let index = by_key(&keys)?;
    Ok(Ranked { keys, slots, index })
}

const TWICE: Error = Error::Input { what: "offers", why: "a peer is there twice; give one offer of each" };

/// Node numbers by key.
fn by_key(keys: &[KeyId]) -> Result<Vec<u32>, Error> {
    let key = |node: u32| keys.get(node as usize);
    let mut sorted: Vec<(u64, u32)> = keys.iter().map(tie::key_start).zip(0..).collect();
    sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(&key(b.1))));
    let twice = sorted.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0 && key(a.1) == key(b.1)));
    if twice { Err(TWICE) } else { Ok(sorted.into_iter().map(|(_, node)| node).collect()) }
}

/// Who is not trusted or can't be reached feeds nobody.
const fn usable_slots(offer: &Offer, slots: u32) -> u32 {
    if offer.trust == 0 || offer.reach < MIN_REACH { 0 } else { slots }
}

/// 50 · room + 30 · trust + 20 · reach, each 0 to 1,000.
fn score(offer: &Offer, slots: u32, stripes: u64) -> u32 {
    let room = (u64::from(slots) * 1_000 / (FULL_ROOM * stripes)).min(1_000) as u32;
    50 * room + 30 * u32::from(offer.trust.min(1_000)) + 20 * u32::from(offer.reach.min(1_000))
}

/// Twice as many slots are a class more. Whole classes go before the score, or peers that are well trusted and can feed
/// one child each would make a chain above those that could feed many.
const fn size_class(slots: u32) -> u32 {
    match slots.checked_ilog2() {
        Some(log) => log + 1,
        None => 0,
    }
}

/// The most that can be served: with those of most room first, what k peers need, k stripes each, must not be more than
/// what the source and they themselves have. One more peer adds ever less, so the first failure is the last word.
fn count_served(source: u32, places: &[Place], stripes: u64) -> usize {
    if u64::from(source) < stripes {
        return 0;
    }
    let mut free = u64::from(source);
    places
        .iter()
        .take_while(|place| match (free + u64::from(place.slots)).checked_sub(stripes) {
            Some(left) => {
                free = left;
                true
            }
            None => false,
        })
        .count()
}
