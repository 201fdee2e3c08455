//! What has no encoding is refused, and lists come out in one order.
#![allow(clippy::unwrap_used, reason = "tests")]

use core_types::{Epoch, WallTime};
use holonomic_compat::{
    AggregationMeta, AlgorithmName, CohortScope, CompressRequest, ContentName, CorpusKind, CorpusWant,
    EpochName, Error, HoldingClaim, Mass, MemberName, MetaVersion, Namespace, PeerName, Root, ScopeBudget,
    StorageBudget, SymbolIndex, Witness, descend, member_commitment, merkle_root,
};
use proptest::prelude::*;

fn holding(symbols: &[u32]) -> Result<Vec<u8>, Error> {
    let symbols: Vec<SymbolIndex> = symbols.iter().copied().map(SymbolIndex).collect();
    let (holder, content) = (PeerName("a"), ContentName("b"));
    HoldingClaim { holder, content, symbols: &symbols, observed_at: WallTime(0) }.canonical_bytes()
}

#[test]
fn what_is_there_twice_is_refused() {
    assert_eq!(holding(&[3, 1, 3]), Err(Error::Twice { what: "symbols", which: "3".to_owned() }));
    let witness = |namespaces: &[Namespace<'_>]| {
        let (peer, root) = (PeerName("a"), Root([0; 32]));
        Witness { peer, epoch: Epoch(0), root, leaves: 0, namespaces, observed_at: WallTime(0) }.preimage()
    };
    assert!(witness(&[Namespace("b"), Namespace("a")]).is_ok());
    let twice = witness(&[Namespace("b"), Namespace("a"), Namespace("b")]);
    assert_eq!(twice, Err(Error::Twice { what: "namespaces", which: "b".to_owned() }));
}

#[test]
fn lists_whose_order_was_never_published_come_in_order() {
    let want = |want: &[MemberName<'_>]| {
        let (node, epoch, scope) = (PeerName("a"), EpochName("b"), CohortScope("c"));
        CorpusWant { node, epoch, scope, size_cap: 0, remaining: 0, want }.canonical_bytes()
    };
    assert!(want(&[MemberName("a"), MemberName("b")]).is_ok());
    let unsorted = want(&[MemberName("b"), MemberName("a")]);
    assert_eq!(unsorted, Err(Error::Unsorted { what: "want", which: "a".to_owned() }));

    let budget = |scopes: &[&str], pinned: &[&str]| {
        let scope = |name| ScopeBudget { scope: CohortScope(name), bytes: 1, pin_reserve: 0 };
        let scopes: Vec<_> = scopes.iter().copied().map(scope).collect();
        let pinned: Vec<_> = pinned.iter().copied().map(CorpusKind).collect();
        let (node, epoch) = (PeerName("a"), EpochName("b"));
        StorageBudget { node, epoch, revision: 1, scopes: &scopes, pinned: &pinned }.canonical_bytes()
    };
    assert!(budget(&["a", "b"], &["a", "b"]).is_ok());
    assert!(matches!(budget(&["b", "a"], &[]), Err(Error::Unsorted { what: "scopes", .. })));
    assert!(matches!(budget(&["b", "b"], &[]), Err(Error::Twice { what: "scopes", .. })));
    assert!(matches!(budget(&[], &["b", "a"]), Err(Error::Unsorted { what: "pinned", .. })));
}

#[test]
fn a_range_ends_no_sooner_than_it_begins() {
    let request = |low, high| {
        let (peer, content) = (PeerName("a"), ContentName("b"));
        let (low, high) = (SymbolIndex(low), SymbolIndex(high));
        CompressRequest { peer, content, low, high, deadline: WallTime(0) }.canonical_bytes()
    };
    assert!(request(7, 7).is_ok());
    assert_eq!(request(8, 7), Err(Error::Range { low: 8, high: 7 }));
}

#[test]
fn each_member_has_one_mass() {
    let meta = |masses: &[Mass]| {
        AggregationMeta {
            content: ContentName("a"),
            corpus: CorpusKind("b"),
            tier: 0,
            algorithm: AlgorithmName("c"),
            members: &[MemberName("x"), MemberName("y")],
            noise_floor: "",
            version: MetaVersion::V3 { effective: 2, max_multiplicity: 1, masses },
        }
        .canonical_bytes()
    };
    let both = meta(&[Mass(1), Mass(2)]).unwrap();
    assert_ne!(both, meta(&[Mass(2), Mass(1)]).unwrap(), "whose mass it is counts");
    assert_eq!(meta(&[Mass(1)]), Err(Error::Masses { members: 2, masses: 1 }));
}

proptest! {
    /// The order in which anything is given is of no account.
    #[test]
    fn sets_have_no_order(ids in prop::collection::btree_set(any::<u32>(), 0..20), turn in 0usize..20) {
        let ids: Vec<u32> = ids.into_iter().collect();
        let mut turned = ids.clone();
        turned.rotate_left(turn % ids.len().max(1));
        prop_assert_eq!(holding(&turned).unwrap(), holding(&ids).unwrap());

        let texts: Vec<String> = turned.iter().map(u32::to_string).collect();
        let members: Vec<MemberName<'_>> = texts.iter().map(|text| MemberName(text)).collect();
        let mut other = members.clone();
        other.reverse();
        prop_assert_eq!(member_commitment(&other), member_commitment(&members));
        prop_assert!(descend(&members).is_sorted());
        // The defect that the front page names: an odd last leaf counts as if it were there twice.
        if members.len() % 2 == 1 && members.len() > 1 {
            let doubled = descend(&members).into_iter().chain(members.iter().copied().max());
            prop_assert_eq!(merkle_root(doubled), merkle_root(&members));
        }
    }
}
