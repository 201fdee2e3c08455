//! Who is served, and in which order the trees are filled.

use super::buckets::by_word;
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

/// What decides a peer's place, beside its tie.
#[derive(Clone, Copy)]
struct Place {
    slots: u32,
    score: u32,
}

/// Decides who is served, and ranks them.
pub(super) fn rank(shape: &Shape, offers: &[Offer]) -> Result<Ranked, Error> {
    let stripes = u64::from(shape.parents);
    let each = room::stripe_rate(shape.rate, shape.parents);
    let seed = tie::mix(tie::mix_id(0, shape.stream.as_bytes()), shape.epoch.0);
    let mut source = None;
    let mut places = Vec::with_capacity(offers.len());
    for (offer, number) in offers.iter().zip(0_u32..) {
        let slots = room::slots(offer.uplink, each, offer.max_subscribers);
        if offer.peer == shape.publisher {
            // Trust and reach of the source are no question: there is no other.
            if source.replace((number, slots)).is_some() {
                return Err(TWICE);
            }
            places.push(Place { slots: 0, score: 0 });
            continue;
        }
        let slots = usable_slots(offer, slots);
        places.push(Place { slots, score: score(offer, slots, stripes) });
    }
    let Some((publisher, source)) = source else {
        return Err(Error::Input { what: "offers", why: "the publisher's is not there" });
    };

    let peer = |number: u32| offers.get(number as usize).map(|offer| offer.peer);
    let place = |number: u32| places.get(number as usize).copied().unwrap_or(Place { slots: 0, score: 0 });
    // By tie, and what goes before that afterwards, in sorts that leave what is equal as it is: of that there is much.
    let ties: Vec<u64> = offers.iter().map(|offer| tie::mix_id(seed, offer.peer.as_bytes())).collect();
    let tie = |number: u32| ties.get(number as usize);
    let sorted = by_word(&ties, |a, b| tie(a).cmp(&tie(b)).then_with(|| peer(a).cmp(&peer(b))));
    let others = sorted.numbers().filter(|number| *number != publisher);
    let mut order: Vec<(Place, u32)> = others.map(|number| (place(number), number)).collect();
    drop((sorted, ties));
    drop(places);
    let unserved = if all_served(source, &order, stripes) {
        Vec::new()
    } else {
        take_unserved(source, &mut order, stripes)
    };
    order.sort_by_key(|(place, _)| (Reverse(size_class(place.slots)), Reverse(place.score)));
    let slots = order.iter().map(|(place, _)| place.slots);
    let slots = core::iter::once(source).chain(slots).collect();
    let keys = order.iter().chain(&unserved).filter_map(|(_, number)| peer(*number));
    let keys: Vec<KeyId> = core::iter::once(shape.publisher).chain(keys).collect();
    let index = by_key(&keys)?;
    Ok(Ranked { keys, slots, index })
}

const TWICE: Error = Error::Input { what: "offers", why: "a peer is there twice; give one offer of each" };

/// Node numbers by key.
fn by_key(keys: &[KeyId]) -> Result<Vec<u32>, Error> {
    let key = |node: u32| keys.get(node as usize);
    let starts: Vec<u64> = keys.iter().map(tie::key_start).collect();
    let sorted = by_word(&starts, |a, b| key(a).cmp(&key(b)));
    let twice = sorted.alike().any(|(a, b)| key(a) == key(b));
    if twice { Err(TWICE) } else { Ok(sorted.numbers().collect()) }
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

/// True if there is room for all. With those of most room first, each one more adds ever less, so what is free is least before
/// the first or after the last.
fn all_served(source: u32, order: &[(Place, u32)], stripes: u64) -> bool {
    let slots: u64 = order.iter().map(|(place, _)| u64::from(place.slots)).sum();
    u64::from(source) >= stripes && u64::from(source) + slots >= stripes * order.len() as u64
}

/// Takes those out for whom there is no room, and leaves the others in their order. The most that can be served: with those of
/// most room first, what k peers need, k stripes each, must not be more than what the source and they themselves have. One
/// more peer adds ever less, so the first failure is the last word.
fn take_unserved(source: u32, order: &mut Vec<(Place, u32)>, stripes: u64) -> Vec<(Place, u32)> {
    let mut sorted = order.clone();
    sorted.sort_by_key(|(place, _)| (Reverse(place.slots), Reverse(place.score)));
    let mut free = Some(u64::from(source)).filter(|free| *free >= stripes);
    let is_served = |(place, _): &&(Place, u32)| {
        free = free.and_then(|free| (free + u64::from(place.slots)).checked_sub(stripes));
        free.is_some()
    };
    let served = sorted.iter().take_while(is_served).count();
    let unserved = sorted.split_off(served);
    // By number of the offer; the publisher's is among them.
    let mut is_left_out = vec![false; order.len() + 1];
    for (_, number) in &unserved {
        if let Some(left_out) = is_left_out.get_mut(*number as usize) {
            *left_out = true;
        }
    }
    order.retain(|(_, number)| !is_left_out.get(*number as usize).copied().unwrap_or(false));
    unserved
}
