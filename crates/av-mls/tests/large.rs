//! Sessions of some size: the tree beside the welcome, and whose turn it is to renew keys.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use av_mls::{TREE_APART_FROM, UPDATE_IDLE, WARM_FROM};
use common::{Peer, SESSION, session_of};
use std::collections::BTreeSet;

#[test]
fn in_a_large_session_the_tree_goes_beside_the_welcome() {
    let mut host = Peer::host();
    let mut crowd: Vec<Peer> = (1..TREE_APART_FROM as u8 - 1).map(Peer::new).collect();
    let packages = crowd.iter_mut().map(Peer::package).collect();
    let staged = host.member.stage_change(packages, &[]).unwrap();
    host.member.merge_staged().unwrap();
    assert_eq!(host.member.roster().len(), TREE_APART_FROM - 1);
    assert_eq!(host.member.tree_for_welcome().unwrap(), None, "one less: it is inside");
    crowd[0].member.join(staged.welcome.as_ref().unwrap(), host.id(), SESSION).unwrap();

    let mut late = Peer::new(250);
    let staged = host.member.stage_change(vec![late.package()], &[]).unwrap();
    host.member.merge_staged().unwrap();
    let (welcome, tree) = (staged.welcome.unwrap(), host.member.tree_for_welcome().unwrap().unwrap());
    assert!(welcome.len() < 20_000 && tree.len() > 100_000, "{} and {}", welcome.len(), tree.len());
    // A welcome without its tree, or with an altered one, costs the joiner nothing.
    late.member.join(&welcome, host.id(), SESSION).unwrap_err();
    for at in [50, tree.len() / 2, tree.len() - 1] {
        let mut altered = tree.clone();
        altered[at] ^= 1;
        late.member.join_with_tree(&welcome, Some(&altered), host.id(), SESSION).unwrap_err();
    }
    late.member.join_with_tree(&welcome, Some(&tree), host.id(), SESSION).unwrap();
    crowd[0].member.process_commit(&staged.commit).unwrap();
    assert!(crowd[0].secret() == host.secret() && late.secret() == host.secret());
    assert_eq!(late.member.roster(), host.member.roster());
    // And it is a member like any other.
    let update = late.member.stage_update().unwrap();
    late.member.merge_staged().unwrap();
    host.member.process_commit(&update.commit).unwrap();
    assert_eq!(late.secret(), host.secret());
}

#[test]
fn the_turn_to_renew_goes_round() {
    let (host, members) = session_of(WARM_FROM as u8 - 2);
    assert_eq!(host.member.update_due(), None, "too small a session");
    drop(members);

    let (mut host, mut members) = session_of(WARM_FROM as u8 - 1);
    let mut first = BTreeSet::new();
    for _ in 0..3 {
        let all: Vec<&Peer> = std::iter::once(&host).chain(&members).collect();
        let due: BTreeSet<_> = all.iter().map(|peer| peer.member.update_due().unwrap()).collect();
        assert_eq!(due.len(), WARM_FROM, "no two at once");
        assert_eq!(due.first(), Some(&UPDATE_IDLE));
        let turn = all.iter().position(|peer| peer.member.update_due() == Some(UPDATE_IDLE)).unwrap();
        assert!(first.insert(turn), "somebody else each epoch");
        let committer = if turn == 0 { &mut host } else { &mut members[turn - 1] };
        let update = committer.member.stage_update().unwrap();
        committer.member.merge_staged().unwrap();
        for (place, peer) in std::iter::once(&mut host).chain(&mut members).enumerate() {
            if place != turn {
                peer.member.process_commit(&update.commit).unwrap();
            }
        }
    }
}
