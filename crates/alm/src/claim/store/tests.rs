//! What the store promises, against a naive model of it, and against many identities that mean harm.

use super::*;
use crate::{CapacityClaim, Load};
use core_types::{BitRate, Epoch, Layer};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const START: u64 = 1_000_000;

fn peer(n: u8) -> KeyId {
    KeyId([n; 32])
}

/// Made at `issued`, good for `lifetime`; claims of different `variant` differ.
fn claim(advertiser: KeyId, counter: u64, issued: u64, lifetime: u64, variant: u16) -> VerifiedClaim {
    VerifiedClaim::assume(CapacityClaim {
        advertiser,
        stream: None,
        epoch: Epoch(1),
        counter,
        uplink: BitRate::from_kbit(10_000),
        max_streams: variant,
        max_subscribers: 8,
        layers: Layer::BASE,
        commitments: Vec::new(),
        load: Load::default(),
        way: Vec::new(),
        issued_at: WallTime(issued),
        valid_until: WallTime(issued + lifetime),
    })
}

fn insert(store: &mut ClaimStore, now: u64, claim: &VerifiedClaim) -> Result<Inserted, Error> {
    store.insert(WallTime(now), claim.clone())
}

fn advertisers(store: &ClaimStore, now: u64) -> Vec<KeyId> {
    store.claims(WallTime(now)).map(|claim| claim.advertiser).collect()
}

#[test]
fn a_claim_counts_from_five_seconds_before_its_time_until_it_is_over() {
    let claim = claim(peer(1), 1, START, 30_000, 0);
    let outcome = |now| insert(&mut ClaimStore::new(1), now, &claim);
    let refused = |why| Err(Error::NotNow { what: "capacity claim", peer: peer(1), why });
    assert_eq!(outcome(START - 5_001), refused("in the future"));
    assert_eq!(outcome(START - 5_000), Ok(Inserted::New));
    assert_eq!(outcome(START + 29_999), Ok(Inserted::New));
    assert_eq!(outcome(START + 30_000), refused("over"));
    assert_eq!(outcome(u64::MAX), refused("over"));
}

#[test]
fn a_claim_that_is_over_is_not_given_out_though_nobody_called_expire() {
    let mut store = ClaimStore::new(2);
    assert_eq!(insert(&mut store, START, &claim(peer(1), 1, START, 10_000, 0)), Ok(Inserted::New));
    assert_eq!(insert(&mut store, START, &claim(peer(2), 1, START, 20_000, 0)), Ok(Inserted::New));
    assert_eq!(advertisers(&store, START + 9_999), [peer(1), peer(2)]);
    assert_eq!(advertisers(&store, START + 10_000), [peer(2)]);
    assert_eq!(store.get(WallTime(START + 10_000), peer(1)), None);
    assert!(store.get(WallTime(START + 10_000), peer(2)).is_some());
    // A clock that went back makes them claims of the future.
    assert_eq!(advertisers(&store, START - 5_001), []);
    assert_eq!(store.poll_timeout(), Some(WallTime(START + 10_000)));
    store.expire(WallTime(START + 10_000));
    assert_eq!((store.len(), store.poll_timeout()), (1, Some(WallTime(START + 20_000))));
    store.expire(WallTime(START + 20_000));
    assert!(store.is_empty() && store.poll_timeout().is_none());
}

#[test]
fn an_older_claim_that_is_good_for_longer_is_no_way_back() {
    let (long, short) = (claim(peer(1), 1, START, 60_000, 0), claim(peer(1), 2, START + 1, 5_000, 0));
    let replayed = Err(Error::Replayed { peer: peer(1), counter: 1, last: 2 });
    for seen in [true, false] {
        let mut store = ClaimStore::new(1);
        if seen {
            assert_eq!(insert(&mut store, START, &long), Ok(Inserted::New));
        }
        let _ = insert(&mut store, START + 1, &short).unwrap();
        assert_eq!(insert(&mut store, START + 2, &long), replayed, "while the newer one is good");
        for now in START + 5_001..START + 5_010 {
            assert_eq!(insert(&mut store, now, &long), replayed, "when the newer one is over");
        }
        assert!(insert(&mut store, START + 59_999, &long).is_err(), "until it is over itself");
    }
}

#[test]
fn a_newer_claim_with_an_older_date_does_not_make_its_counter_be_forgotten_sooner() {
    let mut store = ClaimStore::new(1);
    let first = claim(peer(1), 1, START, 60_000, 0);
    let _ = insert(&mut store, START, &first).unwrap();
    let _ = insert(&mut store, START + 1, &claim(peer(1), 2, START - 30_000, 30_002, 0)).unwrap();
    for n in 2..=5 {
        let now = START + u64::from(n);
        assert_eq!(insert(&mut store, now, &claim(peer(n), 1, now, 1, 0)), Ok(Inserted::New), "{n}");
    }
    let limit = Err(Error::Limit { what: "advertiser of capacity claims", max: 5 });
    for now in [START + 30_000, START + 59_999] {
        assert_eq!(insert(&mut store, now, &claim(peer(6), 1, now, 1, 0)), limit);
        let replayed = Err(Error::Replayed { peer: peer(1), counter: 1, last: 2 });
        assert_eq!(insert(&mut store, now, &first), replayed);
    }
    let now = START + 60_000;
    assert_eq!(insert(&mut store, now, &claim(peer(6), 1, now, 1, 0)), Ok(Inserted::New));
}

#[test]
fn who_was_removed_comes_back_with_a_newer_claim_alone() {
    let mut store = ClaimStore::new(4);
    let first = claim(peer(1), 7, START, 60_000, 0);
    assert_eq!(insert(&mut store, START, &first), Ok(Inserted::New));
    assert_eq!(store.remove(peer(1)), Some(first.clone()));
    assert_eq!((store.remove(peer(1)), store.len(), store.poll_timeout()), (None, 0, None));
    let replayed = Err(Error::Replayed { peer: peer(1), counter: 7, last: 7 });
    assert_eq!(insert(&mut store, START + 1, &first), replayed);
    assert_eq!(insert(&mut store, START + 1, &claim(peer(1), 8, START, 60_000, 0)), Ok(Inserted::New));
}

#[test]
fn the_same_claim_by_two_ways_is_nobodys_fault() {
    let mut store = ClaimStore::new(1);
    let one = claim(peer(1), 1, START, 60_000, 0);
    assert_eq!(insert(&mut store, START, &one), Ok(Inserted::New));
    assert_eq!(insert(&mut store, START + 9, &one), Ok(Inserted::Again));
    assert_eq!(insert(&mut store, START + 9, &claim(peer(1), 2, START, 60_000, 0)), Ok(Inserted::Replaced));
}

/// The predecessor took whichever of two claims with the same time came last, so that peers disagreed.
#[test]
fn defect_two_claims_of_equal_age_depend_on_their_order() {
    let two = [claim(peer(1), 1, START, 60_000, 1), claim(peer(1), 1, START, 60_000, 2)];
    for (first, second) in [(&two[0], &two[1]), (&two[1], &two[0])] {
        let mut store = ClaimStore::new(1);
        assert_eq!(insert(&mut store, START, first), Ok(Inserted::New));
        let expected =
            Inserted::Equivocation { first: Box::new(first.clone()), second: Box::new(second.clone()) };
        assert_eq!(
            insert(&mut store, START, second),
            Ok(expected),
            "in either order it is reported with both"
        );
        assert_eq!(store.get(WallTime(START), peer(1)), Some(first), "and the first stays");
    }
}

/// The predecessor compared dates with nothing: a claim from the far future was fresh for ever.
#[test]
fn defect_dates_in_the_future_are_not_bounded() {
    let mut store = ClaimStore::new(1);
    for issued in [START + 5_001, START + 86_400_000, u64::MAX - 60_000] {
        let outcome = insert(&mut store, START, &claim(peer(1), 1, issued, 60_000, 0));
        assert!(matches!(outcome, Err(Error::NotNow { why: "in the future", .. })), "{issued}");
    }
    assert!(store.is_empty());
    assert_eq!(
        insert(&mut store, START, &claim(peer(1), 1, START, 1, 0)),
        Ok(Inserted::New),
        "no trace is left"
    );
}

#[test]
fn a_full_store_drops_what_is_over_and_refuses_strangers_alone() {
    let mut store = ClaimStore::new(2);
    let limit = Err(Error::Limit { what: "capacity claim", max: 2 });
    let _ = insert(&mut store, START, &claim(peer(1), 1, START, 10_000, 0)).unwrap();
    let _ = insert(&mut store, START, &claim(peer(2), 1, START, 60_000, 0)).unwrap();
    let stranger = claim(peer(3), 1, START, 60_000, 0);
    assert_eq!(insert(&mut store, START + 9_999, &stranger), limit);
    assert_eq!(
        insert(&mut store, START + 9_999, &claim(peer(2), 2, START, 60_000, 0)),
        Ok(Inserted::Replaced),
        "who is there needs no room"
    );
    assert_eq!(insert(&mut store, START + 10_000, &stranger), Ok(Inserted::New));
    assert_eq!(advertisers(&store, START + 10_000), [peer(2), peer(3)]);
}

#[test]
fn a_store_without_room_takes_nothing() {
    let outcome = insert(&mut ClaimStore::new(0), START, &claim(peer(1), 1, START, 60_000, 0));
    assert_eq!(outcome, Err(Error::Limit { what: "capacity claim", max: 0 }));
}

#[test]
fn many_identities_make_no_counter_be_forgotten_in_time_for_a_replay() {
    let mut store = ClaimStore::new(8);
    let honest = peer(0xff);
    let old = claim(honest, 1, START, 60_000, 0);
    let _ = insert(&mut store, START, &old).unwrap();
    let _ = insert(&mut store, START + 10, &claim(honest, 2, START + 10, 1, 0)).unwrap();
    // From here on the honest peer has no claim. A new identity each millisecond, with the shortest of claims.
    let mut refused = 0;
    for at in 0..59_980_u64 {
        let now = START + 20 + at;
        let mut id = [0; 32];
        id[..8].copy_from_slice(&at.to_be_bytes());
        match insert(&mut store, now, &claim(KeyId(id), 1, now, 1, 0)) {
            Ok(outcome) => assert_eq!(outcome, Inserted::New),
            Err(error) => {
                assert_eq!(error, Error::Limit { what: "advertiser of capacity claims", max: 40 });
                refused += 1;
            }
        }
        if at % 1_000 == 0 {
            let replayed = Err(Error::Replayed { peer: honest, counter: 1, last: 2 });
            assert_eq!(insert(&mut store, now, &old), replayed, "at {at}");
        }
    }
    assert_eq!(refused, 59_980 - 39, "39 beside the honest peer");
    assert!(store.known.len() <= 40 && store.due.len() <= 40);
    // Nothing that has its counter or a lower one is good any more; now it may be forgotten, and is, the first of all.
    let late = START + 10 + 60_000;
    assert_eq!(insert(&mut store, late, &claim(peer(0xfe), 1, late, 1, 0)), Ok(Inserted::New));
    assert!(!store.known.contains_key(&honest));
    assert!(matches!(insert(&mut store, late, &old), Err(Error::NotNow { why: "over", .. })));
}

/// What somebody does to a store.
#[derive(Debug, Clone)]
enum Step {
    Insert {
        peer: u8,
        counter: u64,
        age: i64,
        lifetime: u64,
        variant: u16,
    },
    /// Shows one again that was shown before.
    Repeat(prop::sample::Index),
    Wait(u64),
    Back(u64),
    Expire,
    Remove(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let age = prop_oneof![4 => 0..2_000_i64, 1 => -5_002..70_000_i64];
    let lifetime = prop_oneof![1..100_u64, 1..=60_000_u64];
    prop_oneof![
        12 => (0..14_u8, 0..5_u64, age, lifetime, 0..2_u16).prop_map(
            |(peer, counter, age, lifetime, variant)| Step::Insert { peer, counter, age, lifetime, variant }
        ),
        4 => any::<prop::sample::Index>().prop_map(Step::Repeat),
        3 => (0..3_000_u64).prop_map(Step::Wait),
        1 => (50_000..70_000_u64).prop_map(Step::Wait),
        1 => (0..10_000_u64).prop_map(Step::Back),
        1 => Just(Step::Expire),
        1 => (0..14_u8).prop_map(Step::Remove),
    ]
}

/// The same rules, with neither indexes nor care for cost: rows of (counter, due, claim) that are all looked at each time.
#[derive(Default)]
struct Model {
    rows: BTreeMap<KeyId, (u64, u64, Option<VerifiedClaim>)>,
}

impl Model {
    fn expire(&mut self, now: u64) {
        for (_, _, claim) in self.rows.values_mut() {
            if claim.as_ref().is_some_and(|claim| claim.valid_until.0 <= now) {
                *claim = None;
            }
        }
    }

    fn live(&self) -> usize {
        self.rows.values().filter(|(_, _, claim)| claim.is_some()).count()
    }

    fn insert(&mut self, capacity: usize, now: u64, new: &VerifiedClaim) -> &'static str {
        if new.valid_until.0 <= now || new.issued_at.0 > now + 5_000 {
            return "not now";
        }
        self.expire(now);
        let old = self.rows.get(&new.advertiser).cloned();
        let mut due = new.issued_at.0 + 60_000;
        if let Some((counter, old_due, claim)) = &old {
            match claim {
                Some(claim) if claim == new => return "again",
                Some(claim) if claim.counter == new.counter => return "equivocation",
                _ if new.counter <= *counter => return "replayed",
                _ => due = due.max(*old_due),
            }
        }
        let had = old.as_ref().is_some_and(|(_, _, claim)| claim.is_some());
        if !had && self.live() >= capacity {
            return "limit";
        }
        if old.is_none() && self.rows.len() >= 5 * capacity {
            let first = self.rows.iter().map(|(id, (_, due, _))| (*due, *id)).min();
            match first.filter(|(due, _)| *due <= now) {
                Some((_, id)) => self.rows.remove(&id),
                None => return "limit",
            };
        }
        self.rows.insert(new.advertiser, (new.counter, due, Some(new.clone())));
        if had { "replaced" } else { "new" }
    }

    fn claims(&self, now: u64) -> Vec<VerifiedClaim> {
        let claims = self.rows.values().filter_map(|(_, _, claim)| claim.clone());
        claims.filter(|c| c.valid_until.0 > now && c.issued_at.0 <= now + 5_000).collect()
    }
}

fn name(outcome: &Result<Inserted, Error>) -> &'static str {
    match outcome {
        Ok(Inserted::New) => "new",
        Ok(Inserted::Replaced) => "replaced",
        Ok(Inserted::Again) => "again",
        Ok(Inserted::Equivocation { .. }) => "equivocation",
        Err(Error::Replayed { .. }) => "replayed",
        Err(Error::NotNow { .. }) => "not now",
        Err(Error::Limit { .. }) => "limit",
        Err(_) => "another",
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_store_does_as_the_naive_model_does(
        capacity in 0..4_usize, steps in prop::collection::vec(step(), 1..120),
    ) {
        let (mut store, mut model, mut now) = (ClaimStore::new(capacity), Model::default(), START);
        let mut shown = Vec::new();
        for step in steps {
            match step {
                Step::Insert { peer: n, counter, age, lifetime, variant } => {
                    let issued = now.saturating_add_signed(-age);
                    let new = claim(peer(n), counter, issued, lifetime, variant);
                    let expected = model.insert(capacity, now, &new);
                    prop_assert_eq!(name(&insert(&mut store, now, &new)), expected);
                    shown.push(new);
                }
                Step::Repeat(_) if shown.is_empty() => {}
                Step::Repeat(which) => {
                    let again = which.get(&shown);
                    let expected = model.insert(capacity, now, again);
                    prop_assert_eq!(name(&insert(&mut store, now, again)), expected);
                }
                Step::Wait(millis) => now += millis,
                Step::Back(millis) => now -= millis.min(now - START / 2),
                Step::Expire => {
                    model.expire(now);
                    store.expire(WallTime(now));
                }
                Step::Remove(n) => {
                    let expected = model.rows.get_mut(&peer(n)).and_then(|(_, _, claim)| claim.take());
                    prop_assert_eq!(store.remove(peer(n)), expected);
                }
            }
            prop_assert_eq!(store.claims(WallTime(now)).cloned().collect::<Vec<_>>(), model.claims(now));
            prop_assert_eq!(store.len(), model.live());
            let next = model.rows.values().filter_map(|(_, _, claim)| claim.as_ref()).map(|c| c.valid_until).min();
            prop_assert_eq!(store.poll_timeout(), next);
            prop_assert!(store.known.len() <= 5 * capacity && store.due.len() == store.known.len());
            for n in 0..14 {
                let expected = model.claims(now).into_iter().find(|claim| claim.advertiser == peer(n));
                prop_assert_eq!(store.get(WallTime(now), peer(n)).cloned(), expected);
            }
        }
    }

    /// Peers that make claims in order, as they should, and somebody who shows all of them in any order, with as many identities
    /// of its own as it likes.
    #[test]
    fn whatever_is_shown_in_whatever_order_no_claim_is_followed_by_an_older_one(
        shown in prop::collection::vec((0..3_u8, 0..40_u64, 0..2_500_u64, any::<bool>()), 1..200),
        lifetimes in prop::collection::vec(1..=60_000_u64, 40),
    ) {
        let mut store = ClaimStore::new(2);
        let mut highest: BTreeMap<KeyId, u64> = BTreeMap::new();
        let (mut now, mut taken) = (START, BTreeSet::new());
        for (at, (n, counter, wait, by_stranger)) in shown.into_iter().enumerate() {
            now += wait;
            let issued = START + counter * 2_000;
            let new = if by_stranger {
                claim(KeyId([0x80 | at as u8; 32]), 1, now, 1, 0)
            } else {
                claim(peer(n), counter, issued, lifetimes[counter as usize], 0)
            };
            if let Ok(Inserted::New | Inserted::Replaced) = insert(&mut store, now, &new) {
                let before = highest.insert(new.advertiser, new.counter);
                let is_newer = before.is_none_or(|before| new.counter > before);
                prop_assert!(is_newer || by_stranger, "{before:?} came before {}", new.counter);
                taken.insert(new.advertiser);
            }
        }
        prop_assert!(taken.len() == highest.len());
    }
}
