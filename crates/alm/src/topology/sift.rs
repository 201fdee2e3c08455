//! From claims in any order to one offer for each peer.

use super::{Input, MAX_CLAIMS, Offer, room, tie};
use crate::{Error, VerifiedClaim};
use core_types::{BitRate, KeyId};
use std::collections::BTreeMap;

/// One offer for each peer with a claim for this stream and epoch, by key.
pub(super) fn offers(input: &Input<'_>) -> Result<Vec<Offer>, Error> {
    if input.claims.len() > MAX_CLAIMS {
        return Err(Error::Limit { what: "claim", max: MAX_CLAIMS });
    }
    let publisher = input.shape.publisher;
    let (mut trust, mut reach) = (Permille::new(input.trust), Permille::new(input.reach));
    let mut offers = Vec::new();
    let mut publisher_claimed = false;
    for of_one in by_advertiser(input).chunk_by(|a, b| a.1.advertiser == b.1.advertiser) {
        let Some((_, newest)) = of_one.first() else { continue };
        let conflict = of_one.iter().any(|(_, claim)| claim.counter == newest.counter && claim != newest);
        if newest.advertiser == publisher {
            publisher_claimed = true;
            if conflict {
                let why = "two that differ have the same counter";
                return Err(Error::Malformed { what: "publisher's claims", why });
            }
        }
        let usable = !conflict && newest.max_streams > 0 && room::covers(newest.layers, input.layers);
        let (uplink, subscribers) = if usable { room::budget(newest) } else { (BitRate(0), 0) };
        offers.push(Offer {
            peer: newest.advertiser,
            uplink,
            max_subscribers: u32::from(subscribers),
            trust: trust.of(newest.advertiser),
            reach: reach.of(newest.advertiser),
        });
    }
    if !publisher_claimed {
        let why = "it has no claim for this stream and epoch; wait for one";
        return Err(Error::Input { what: "publisher", why });
    }
    Ok(offers)
}

/// The claims that count, by key and the newest first, each with the start of its key.
fn by_advertiser<'a>(input: &Input<'a>) -> Vec<(u64, &'a VerifiedClaim)> {
    let shape = &input.shape;
    let here = |claim: &&VerifiedClaim| {
        claim.epoch == shape.epoch && claim.stream.is_none_or(|stream| stream == shape.stream)
    };
    let claims = input.claims.iter().filter(here);
    let mut claims: Vec<_> = claims.map(|claim| (tie::key_start(&claim.advertiser), claim)).collect();
    claims.sort_unstable_by(|(start_a, a), (start_b, b)| {
        let whole = || (a.advertiser, b.counter).cmp(&(b.advertiser, a.counter));
        start_a.cmp(start_b).then_with(whole)
    });
    claims
}

/// Looks keys up that are asked for in ascending order: much faster than in any order when there are many.
struct Permille<'a> {
    left: core::iter::Peekable<std::collections::btree_map::Iter<'a, KeyId, u16>>,
}

impl<'a> Permille<'a> {
    fn new(map: &'a BTreeMap<KeyId, u16>) -> Self {
        Self { left: map.iter().peekable() }
    }

    /// The value of this key, which is above all that were asked for before; 1,000 if it has none.
    fn of(&mut self, key: KeyId) -> u16 {
        while self.left.next_if(|(other, _)| **other < key).is_some() {}
        self.left.next_if(|(other, _)| **other == key).map_or(1_000, |(_, value)| *value)
    }
}
