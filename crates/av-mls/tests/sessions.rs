//! Members come and go: who shares which secret, and what changes that fail leave behind.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use av_mls::{CommitOutcome, Epoch, Error, Fault, KeyId, MAX_KEY_PACKAGES, Member, SessionId, WallTime};
use common::{Peer, SESSION, assert_in_step};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn take(peer: &mut Peer, commit: &[u8]) -> CommitOutcome {
    peer.member.process_commit(commit).unwrap()
}

/// One change at the host, taken in by `members` and joined by `joiners`. Returns the commit.
fn change(
    host: &mut Peer,
    members: &mut [&mut Peer],
    joiners: &mut [&mut Peer],
    remove: &[KeyId],
) -> Vec<u8> {
    let packages = joiners.iter_mut().map(|joiner| joiner.package()).collect();
    let staged = host.member.stage_change(packages, remove).unwrap();
    for member in members.iter_mut() {
        let outcome = take(member, &staged.commit);
        assert_eq!(outcome.epoch, staged.epoch);
        assert!(outcome.added.iter().eq(&joiners.iter().map(|joiner| joiner.id()).collect::<BTreeSet<_>>()));
        assert!(outcome.removed.iter().eq(&remove.iter().copied().collect::<BTreeSet<_>>()));
        assert_eq!(outcome.removed_self, remove.contains(&member.id()));
    }
    assert_eq!(host.member.merge_staged().unwrap(), staged.epoch);
    assert_eq!(staged.welcome.is_some(), !joiners.is_empty());
    for joiner in joiners.iter_mut() {
        let welcome = staged.welcome.as_ref().unwrap();
        assert_eq!(joiner.member.join(welcome, host.id(), SESSION).unwrap(), staged.epoch);
    }
    staged.commit
}

#[test]
fn three_members_share_each_epoch_and_a_leaver_is_shut_out() {
    let (mut alice, mut bob, mut carol) = (Peer::host(), Peer::new(1), Peer::new(2));
    let mut secrets = vec![alice.secret()];
    change(&mut alice, &mut [], &mut [&mut bob], &[]);
    assert_in_step([&alice, &bob]);
    secrets.push(alice.secret());
    change(&mut alice, &mut [&mut bob], &mut [&mut carol], &[]);
    assert_in_step([&alice, &bob, &carol]);
    secrets.push(alice.secret());

    let gone = bob.id();
    change(&mut alice, &mut [&mut carol, &mut bob], &mut [], &[gone]);
    assert_in_step([&alice, &carol]);
    secrets.push(alice.secret());
    assert_eq!(bob.member.epoch_secret().unwrap_err().fault(), Fault::Caller);
    assert_eq!((bob.member.epoch(), bob.member.session(), bob.member.roster()), (None, None, vec![]));

    let mut dave = Peer::new(3);
    let later = change(&mut alice, &mut [&mut carol], &mut [&mut dave], &[]);
    assert!(bob.member.process_commit(&later).is_err());
    secrets.push(alice.secret());
    assert_eq!(
        secrets.iter().collect::<BTreeSet<_>>().len(),
        secrets.len(),
        "every epoch has its own secret"
    );
}

#[test]
fn a_leaver_who_ignores_its_removal_stays_behind() {
    let (mut alice, mut bob, mut carol) = (Peer::host(), Peer::new(1), Peer::new(2));
    change(&mut alice, &mut [], &mut [&mut bob, &mut carol], &[]);
    let gone = bob.id();
    let removal = change(&mut alice, &mut [&mut carol], &mut [], &[gone]);
    let mut dave = Peer::new(3);
    let next = change(&mut alice, &mut [&mut carol], &mut [&mut dave], &[]);

    assert!(matches!(bob.member.process_commit(&next), Err(Error::EarlyCommit { .. })));
    assert_ne!(bob.secret(), alice.secret());
    let outcome = take(&mut bob, &removal);
    assert!(outcome.removed_self && outcome.secret.is_none() && outcome.followed_by.is_empty());
    assert!(bob.member.epoch_secret().is_err());
}

#[test]
fn a_batch_of_joins_is_one_commit() {
    let mut alice = Peer::host();
    let mut first = Peer::new(1);
    change(&mut alice, &mut [], &mut [&mut first], &[]);
    let mut joiners: Vec<Peer> = (2..8).map(Peer::new).collect();
    change(&mut alice, &mut [&mut first], &mut joiners.iter_mut().collect::<Vec<_>>(), &[]);
    assert_eq!(alice.member.epoch(), Some(Epoch(2)));
    let all: Vec<&Peer> = [&alice, &first].into_iter().chain(&joiners).collect();
    assert_in_step(all);
}

#[test]
fn a_member_is_replaced_in_one_change() {
    let (mut alice, mut bob, mut carol) = (Peer::host(), Peer::new(1), Peer::new(2));
    change(&mut alice, &mut [], &mut [&mut bob, &mut carol], &[]);
    let mut restarted = Peer::new(1);
    let id = bob.id();
    change(&mut alice, &mut [&mut carol, &mut bob], &mut [&mut restarted], &[id]);
    assert_in_step([&alice, &carol, &restarted]);
    // The removed one may come back as well, with the same signature key.
    change(&mut alice, &mut [&mut carol, &mut restarted], &mut [], &[id]);
    change(&mut alice, &mut [&mut carol], &mut [&mut bob], &[]);
    assert_in_step([&alice, &carol, &bob]);
}

#[test]
fn changes_that_make_no_sense_leave_everything_as_it_was() {
    let (mut alice, mut bob) = (Peer::host(), Peer::new(1));
    change(&mut alice, &mut [], &mut [&mut bob], &[]);
    let (host, member, stranger) = (alice.id(), bob.id(), Peer::new(7).id());
    let before = (alice.member.roster(), alice.secret());

    let (mut carol, mut twice) = (Peer::new(2), Peer::new(2));
    let mut again = Peer::new(1);
    let alice_member = &mut alice.member;
    assert_eq!(alice_member.stage_change(vec![], &[]), Err(Error::EmptyChange));
    assert_eq!(
        alice_member.stage_change(vec![carol.package()], &[stranger]),
        Err(Error::NotAMember(stranger))
    );
    assert_eq!(alice_member.stage_change(vec![], &[member, member]), Err(Error::NotAMember(member)));
    assert!(matches!(alice_member.stage_change(vec![carol.package()], &[host]), Err(Error::State(_))));
    assert_eq!(alice_member.stage_change(vec![again.package()], &[]), Err(Error::AlreadyAMember(member)));
    let both = vec![carol.package(), twice.package()];
    assert_eq!(alice_member.stage_change(both, &[]), Err(Error::AlreadyAMember(carol.id())));
    assert!(matches!(bob.member.stage_change(vec![carol.package()], &[]), Err(Error::State(_))));
    for _ in 0..2 {
        assert!(matches!(alice.member.merge_staged(), Err(Error::State(_))));
        assert!(matches!(alice.member.discard_staged(), Err(Error::State(_))));
    }
    assert!(!alice.member.is_staged());
    assert_eq!((alice.member.roster(), alice.secret()), before);
    change(&mut alice, &mut [&mut bob], &mut [&mut carol], &[]);
    assert_in_step([&alice, &bob, &carol]);
}

#[test]
fn a_staged_change_is_neither_replaced_nor_in_force() {
    let (mut alice, mut bob, mut carol) = (Peer::host(), Peer::new(1), Peer::new(2));
    let before = (alice.member.epoch(), alice.member.roster(), alice.secret());
    let staged = alice.member.stage_change(vec![bob.package()], &[]).unwrap();
    assert!(matches!(alice.member.stage_change(vec![carol.package()], &[]), Err(Error::State(_))));
    assert!(alice.member.is_staged());
    assert_eq!((alice.member.epoch(), alice.member.roster(), alice.secret()), before);
    alice.member.merge_staged().unwrap();
    assert_eq!(alice.member.epoch(), Some(staged.epoch));
    bob.member.join(&staged.welcome.unwrap(), alice.id(), SESSION).unwrap();
    assert_in_step([&alice, &bob]);
}

#[test]
fn a_discarded_change_can_be_staged_anew() {
    let (mut alice, mut bob, mut carol) = (Peer::host(), Peer::new(1), Peer::new(2));
    change(&mut alice, &mut [], &mut [&mut bob], &[]);
    let before = (alice.member.epoch(), alice.member.roster(), alice.secret());
    let package = carol.package();
    let dropped = alice.member.stage_change(vec![package.clone()], &[bob.id()]).unwrap();
    alice.member.discard_staged().unwrap();
    assert_eq!((alice.member.epoch(), alice.member.roster(), alice.secret()), before);

    let live = alice.member.stage_change(vec![package], &[]).unwrap();
    take(&mut bob, &live.commit);
    alice.member.merge_staged().unwrap();
    carol.member.join(&live.welcome.unwrap(), alice.id(), SESSION).unwrap();
    assert_in_step([&alice, &bob, &carol]);
    assert!(matches!(bob.member.process_commit(&dropped.commit), Err(Error::StaleCommit { .. })));
    // A joiner can't be drawn to the dead branch either: the package went into the live one.
    carol.member.leave().unwrap();
    assert!(carol.member.join(&dropped.welcome.unwrap(), alice.id(), SESSION).is_err());
}

#[test]
fn commits_that_come_early_are_applied_in_order() {
    let (mut alice, mut bob) = (Peer::host(), Peer::new(1));
    change(&mut alice, &mut [], &mut [&mut bob], &[]);
    let mut secrets = Vec::new();
    let commits: Vec<Vec<u8>> = (2..6)
        .map(|number| {
            let commit = change(&mut alice, &mut [], &mut [&mut Peer::new(number)], &[]);
            secrets.push(alice.secret());
            commit
        })
        .collect();
    for late in [3, 1, 2, 2] {
        let (have, got) = (Epoch(1), Epoch(1 + late as u64));
        assert_eq!(
            bob.member.process_commit(&commits[late]).unwrap_err(),
            Error::EarlyCommit { have, got, kept: true }
        );
    }
    let outcome = take(&mut bob, &commits[0]);
    let taken: Vec<_> = std::iter::once(&outcome)
        .chain(&outcome.followed_by)
        .map(|step| (step.epoch, *step.secret.as_ref().unwrap().expose()))
        .collect();
    assert_eq!(taken, (2..6).map(Epoch).zip(secrets).collect::<Vec<_>>());
    assert_eq!(bob.secret(), alice.secret());
    let stale = bob.member.process_commit(&commits[3]).unwrap_err();
    assert_eq!(stale, Error::StaleCommit { have: Epoch(5), got: Epoch(4) });
    assert_eq!(stale.fault(), Fault::Order);
}

#[test]
fn at_most_eight_early_commits_wait() {
    let (mut alice, mut bob) = (Peer::host(), Peer::new(1));
    change(&mut alice, &mut [], &mut [&mut bob], &[]);
    // Add one, remove it, and so on: commits for epochs 1 to 12.
    let commits: Vec<Vec<u8>> = (0..6)
        .flat_map(|_| {
            let mut guest = Peer::new(2);
            let id = guest.id();
            [change(&mut alice, &mut [], &mut [&mut guest], &[]), change(&mut alice, &mut [], &mut [], &[id])]
        })
        .collect();
    let kept = commits[1..]
        .iter()
        .filter(|commit| {
            matches!(bob.member.process_commit(commit), Err(Error::EarlyCommit { kept: true, .. }))
        })
        .count();
    assert_eq!(kept, 8);
    assert_eq!(take(&mut bob, &commits[0]).followed_by.len(), 8);
    for commit in &commits[9..] {
        take(&mut bob, commit);
    }
    assert_eq!(bob.secret(), alice.secret());
}

#[test]
fn a_flood_of_altered_early_commits_is_bounded_and_passes() {
    let (mut alice, mut bob) = (Peer::host(), Peer::new(1));
    change(&mut alice, &mut [], &mut [&mut bob], &[]);
    let commits: Vec<Vec<u8>> =
        (2..12).map(|number| change(&mut alice, &mut [], &mut [&mut Peer::new(number)], &[])).collect();
    let altered = |number: u8| {
        let mut commit = commits[1].clone();
        *commit.last_mut().unwrap() ^= number;
        commit
    };
    let kept = |bob: &mut Peer, commit: &[u8]| match bob.member.process_commit(commit) {
        Err(Error::EarlyCommit { kept, .. }) => kept,
        other => panic!("{other:?}"),
    };
    for number in 1..8 {
        assert!(kept(&mut bob, &altered(number)));
    }
    assert!(kept(&mut bob, &commits[1]), "the real one is the eighth");
    assert!(kept(&mut bob, &commits[1]) && !kept(&mut bob, &altered(8)), "no room for another");

    assert_eq!(take(&mut bob, &commits[0]).followed_by.len(), 1);
    // The altered ones are gone: there is room again.
    assert!(commits[3..].iter().all(|commit| kept(&mut bob, commit)));
    assert_eq!(take(&mut bob, &commits[2]).followed_by.len(), 7);
    assert_eq!(bob.secret(), alice.secret());
}

#[test]
fn a_member_is_in_one_session_at_a_time() {
    let (mut alice, mut bob) = (Peer::host(), Peer::new(1));
    assert!(matches!(alice.member.create(SessionId([1; 32])), Err(Error::State(_))));
    change(&mut alice, &mut [], &mut [&mut bob], &[]);
    bob.member.leave().unwrap();
    assert!(matches!(bob.member.leave(), Err(Error::State(_))));
    bob.member.create(SESSION).unwrap();
    assert_ne!(bob.secret(), alice.secret());
    assert_eq!(bob.member.host(), Some(bob.id()));
}

#[test]
fn a_key_package_serves_one_join_and_one_of_last_resort_several() {
    let (mut alice, mut bob) = (Peer::host(), Peer::new(1));
    let id = bob.id();
    let one_use = bob.package();
    let last_resort = bob.member.last_resort_package(&bob.identity).unwrap().verify().unwrap();
    assert!(last_resort.is_last_resort() && !one_use.is_last_resort());
    assert!(last_resort.not_after() > one_use.not_after());
    for (package, serves) in [(&one_use, true), (&one_use, false), (&last_resort, true), (&last_resort, true)]
    {
        let staged = alice.member.stage_change(vec![package.clone()], &[]).unwrap();
        alice.member.merge_staged().unwrap();
        let joined = bob.member.join(&staged.welcome.unwrap(), alice.id(), SESSION);
        assert_eq!(joined.is_ok(), serves, "{joined:?}");
        if serves {
            assert_in_step([&alice, &bob]);
            bob.member.leave().unwrap();
        }
        _ = alice.member.stage_change(vec![], &[id]).unwrap();
        alice.member.merge_staged().unwrap();
    }
}

#[test]
fn only_the_last_key_packages_are_kept_and_one_of_last_resort_in_any_case() {
    let (mut alice, mut bob) = (Peer::host(), Peer::new(1));
    let last_resort = bob.member.last_resort_package(&bob.identity).unwrap().verify().unwrap();
    let packages: Vec<_> = (0..MAX_KEY_PACKAGES).map(|_| bob.package()).collect();
    let first = packages.iter().take(2).cloned();
    let welcomes = first.chain([last_resort]).map(|package| {
        let staged = alice.member.stage_change(vec![package], &[]).unwrap();
        alice.member.discard_staged().unwrap();
        staged.welcome.unwrap()
    });
    let welcomes: Vec<_> = welcomes.collect();
    let [oldest, next, last_resort] = welcomes.try_into().unwrap();
    assert!(bob.member.join(&oldest, alice.id(), SESSION).is_err());
    assert_eq!(bob.member.join(&next, alice.id(), SESSION), Ok(Epoch(1)));
    bob.member.leave().unwrap();
    assert_eq!(bob.member.join(&last_resort, alice.id(), SESSION), Ok(Epoch(1)));
}

#[test]
fn key_packages_out_of_date_are_forgotten() {
    let (mut alice, mut bob) = (Peer::host(), Peer::new(1));
    let packages = bob.member.key_packages(&bob.identity, 3).unwrap();
    let end = packages[0].verify().unwrap().not_after();
    assert_eq!(bob.member.kept_key_packages(WallTime(end.0 - 1)), 3);
    assert_eq!(bob.member.kept_key_packages(WallTime(end.0 + 5_000)), 0);
    bob.member.expire_key_packages(WallTime(end.0 + 5_000)).unwrap();
    let staged = alice.member.stage_change(vec![packages[2].verify().unwrap()], &[]).unwrap();
    assert!(bob.member.join(&staged.welcome.unwrap(), alice.id(), SESSION).is_err());
}

#[test]
fn members_can_move_between_threads_and_show_no_secret() {
    const fn assert_send<T: Send>() {}
    assert_send::<Member>();
    let alice = Peer::host();
    assert_eq!(format!("{:?}", alice.member.epoch_secret().unwrap()), "EpochSecret(redacted)");
    let shown = format!("{:?}", alice.member);
    assert!(shown.starts_with("Member") && shown.len() < 120, "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 20, ..ProptestConfig::default() })]

    /// Any sequence of batches: whoever is in has the host's secret, whoever is out has none.
    #[test]
    fn members_agree_after_any_changes(changes in proptest::collection::vec(proptest::collection::btree_set(0u8..5, 1..4), 1..7)) {
        let mut host = Peer::host();
        let mut peers: Vec<Peer> = (1..6).map(Peer::new).collect();
        let mut epoch = 0;
        for toggled in changes {
            let present: Vec<bool> = peers.iter().map(|peer| host.member.leaf_of(peer.id()).is_some()).collect();
            let (mut members, mut joiners, mut leavers) = (Vec::new(), Vec::new(), Vec::new());
            for (number, peer) in peers.iter_mut().enumerate() {
                let toggle = toggled.contains(&(number as u8));
                match (present[number], toggle) {
                    (true, leaves) => {
                        if leaves {
                            leavers.push(peer.id());
                        }
                        members.push(peer);
                    }
                    (false, true) => joiners.push(peer),
                    (false, false) => {}
                }
            }
            change(&mut host, &mut members, &mut joiners, &leavers);
            epoch += 1;
            prop_assert_eq!(host.member.epoch(), Some(Epoch(epoch)));
            let (inside, outside): (Vec<&Peer>, Vec<&Peer>) =
                peers.iter().partition(|peer| host.member.leaf_of(peer.id()).is_some());
            assert_in_step(std::iter::once(&host).chain(inside));
            prop_assert!(outside.iter().all(|peer| peer.member.epoch_secret().is_err()));
        }
    }
}
