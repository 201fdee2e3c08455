//! Who may add, remove and rejoin, as every receiver checks it.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use av_mls::{CommitKind, Error, Fault, MAX_COMMITTERS, Member, SessionId};
use common::{Peer, SESSION, assert_in_step, random, session_of};

/// The host names somebody, and all take that in.
fn name(host: &mut Peer, members: &mut [Peer], named: &[usize]) {
    let named: Vec<_> = named.iter().map(|who| members[*who].id()).collect();
    let staged = host.member.stage_committers(&host.identity, &named).unwrap();
    host.member.merge_staged().unwrap();
    for member in members.iter_mut() {
        let outcome = member.member.process_commit(&staged.commit).unwrap();
        assert_eq!((outcome.kind, outcome.by), (CommitKind::Committers, host.id()));
        assert!(named.iter().all(|who| member.member.authority().unwrap().may_change(*who)));
    }
}

#[test]
fn a_named_committer_adds_and_removes_and_its_welcome_is_good() {
    let (mut host, mut members) = session_of(3);
    name(&mut host, &mut members, &[0]);
    let mut joiner = Peer::new(50);
    let gone = members[2].id();
    let staged = members[0].member.stage_change(vec![joiner.package()], &[gone]).unwrap();
    members[0].member.merge_staged().unwrap();
    let outcome = host.member.process_commit(&staged.commit).unwrap();
    assert_eq!(
        (outcome.by, outcome.added, outcome.removed),
        (members[0].id(), vec![joiner.id()], vec![gone])
    );
    members[1].member.process_commit(&staged.commit).unwrap();
    assert!(members[2].member.process_commit(&staged.commit).unwrap().removed_self);
    joiner.member.join(&staged.welcome.unwrap(), host.id(), SESSION).unwrap();
    assert_in_step([&host, &members[0], &members[1], &joiner]);
}

#[test]
fn who_is_named_no_longer_has_no_say_and_the_next_joiner_knows_it() {
    let (mut host, mut members) = session_of(2);
    name(&mut host, &mut members, &[0]);
    name(&mut host, &mut members, &[1]);
    let package = Peer::new(50).package();
    let error = members[0].member.stage_change(vec![package], &[]).unwrap_err();
    assert_eq!(error.fault(), Fault::Caller);
    let mut joiner = Peer::new(51);
    let staged = members[1].member.stage_change(vec![joiner.package()], &[]).unwrap();
    members[1].member.merge_staged().unwrap();
    joiner.member.join(&staged.welcome.unwrap(), host.id(), SESSION).unwrap();
    let authority = joiner.member.authority().unwrap();
    assert!(authority.named().eq([members[1].id()]) && !authority.may_change(members[0].id()));
}

#[test]
fn committers_remove_neither_the_host_nor_one_another() {
    let (mut host, mut members) = session_of(3);
    name(&mut host, &mut members, &[0, 1]);
    let before = members[0].secret();
    for target in [host.id(), members[1].id(), members[0].id()] {
        let refused = members[0].member.stage_change(vec![], &[target]).unwrap_err();
        assert!(matches!(refused, Error::State(_)), "{refused}");
    }
    assert_eq!(members[0].secret(), before);
    let gone = members[1].id();
    _ = host.member.stage_change(vec![], &[gone]).unwrap();
}

#[test]
fn only_the_host_names_committers_and_not_too_many() {
    let (mut host, mut members) = session_of(1);
    let member = &mut members[0];
    let refused = member.member.stage_committers(&member.identity, &[]).unwrap_err();
    assert!(matches!(refused, Error::State(_)));
    let many: Vec<_> = (0..=MAX_COMMITTERS).map(|n| Peer::new(100 + n as u8).id()).collect();
    let refused = host.member.stage_committers(&host.identity, &many).unwrap_err();
    assert!(matches!(refused, Error::Limit { max: MAX_COMMITTERS, .. }));
    assert!(!host.member.is_staged());
}

#[test]
fn any_member_may_change_its_own_keys() {
    let (mut host, mut members) = session_of(2);
    let secret = host.secret();
    let staged = members[1].member.stage_update().unwrap();
    assert!(staged.welcome.is_none());
    let outcome = host.member.process_commit(&staged.commit).unwrap();
    assert_eq!((outcome.kind, outcome.by), (CommitKind::Update, members[1].id()));
    assert!(outcome.added.is_empty() && outcome.removed.is_empty());
    members[0].member.process_commit(&staged.commit).unwrap();
    members[1].member.merge_staged().unwrap();
    assert_in_step(members.iter().chain([&host]));
    assert_ne!(host.secret(), secret);
}

#[test]
fn a_leave_request_names_its_maker_and_can_not_be_used_again() {
    let (mut host, mut members) = session_of(2);
    let request = members[0].member.leave_request().unwrap();
    // It is good in later epochs too.
    let update = members[1].member.stage_update().unwrap();
    members[1].member.merge_staged().unwrap();
    host.member.process_commit(&update.commit).unwrap();
    members[0].member.process_commit(&update.commit).unwrap();
    assert_eq!(host.member.check_leave_request(&request), Ok(members[0].id()));
    for at in [0, 1, 40, 80, request.len() - 1] {
        let mut altered = request.clone();
        altered[at] ^= 1;
        let fault = host.member.check_leave_request(&altered).unwrap_err().fault();
        assert!(matches!(fault, Fault::Peer | Fault::Caller), "{at}");
    }
    assert!(host.member.check_leave_request(&request[..request.len() - 1]).is_err());
    assert!(host.member.check_leave_request(&[request.clone(), vec![0]].concat()).is_err());

    let id = members[0].id();
    let removal = host.member.stage_change(vec![], &[id]).unwrap();
    host.member.merge_staged().unwrap();
    assert!(members[0].member.process_commit(&removal.commit).unwrap().removed_self);
    assert_eq!(host.member.check_leave_request(&request), Err(Error::NotAMember(id)));
    let back = host.member.stage_change(vec![members[0].package()], &[]).unwrap();
    host.member.merge_staged().unwrap();
    members[0].member.join(&back.welcome.unwrap(), host.id(), SESSION).unwrap();
    let replayed = host.member.check_leave_request(&request).unwrap_err();
    assert!(replayed.to_string().contains("another membership"), "{replayed}");
}

#[test]
fn a_cut_off_member_comes_back_by_itself_and_all_check_it() {
    let (mut host, mut members) = session_of(3);
    // The first one misses two commits.
    for _ in 0..2 {
        let update = host.member.stage_update().unwrap();
        host.member.merge_staged().unwrap();
        for member in &mut members[1..] {
            member.member.process_commit(&update.commit).unwrap();
        }
    }
    let info = host.member.group_info().unwrap();
    let status = members[0].member.compare(&info).unwrap();
    assert_eq!((status.by, Some(status.epoch)), (host.id(), host.member.epoch()));
    let before = (members[0].member.epoch(), members[0].secret());
    let staged = members[0].member.stage_rejoin(&info).unwrap();
    assert_eq!((members[0].member.epoch(), members[0].secret()), before, "not before it is accepted");
    for member in members[1..].iter_mut().chain([&mut host]) {
        let outcome = member.member.process_commit(&staged.commit).unwrap();
        assert_eq!(outcome.kind, CommitKind::Rejoin);
        assert!(outcome.added.is_empty() && outcome.removed.is_empty());
    }
    assert_eq!(members[0].member.merge_staged().unwrap(), staged.epoch);
    assert_in_step(members.iter().chain([&host]));
    assert_eq!(host.member.roster().len(), 4, "its old leaf is gone");
}

#[test]
fn a_rejoin_that_is_not_accepted_leaves_the_member_where_it_is() {
    let (mut host, mut members) = session_of(2);
    let info = host.member.group_info().unwrap();
    let before = (members[0].member.epoch(), members[0].secret(), members[0].member.roster());
    _ = members[0].member.stage_rejoin(&info).unwrap();
    members[0].member.discard_staged().unwrap();
    assert_eq!((members[0].member.epoch(), members[0].secret(), members[0].member.roster()), before);
    let update = host.member.stage_update().unwrap();
    host.member.merge_staged().unwrap();
    for member in &mut members {
        member.member.process_commit(&update.commit).unwrap();
    }
    assert_in_step(members.iter().chain([&host]));
}

#[test]
fn a_group_info_counts_from_those_with_a_say_alone() {
    let (mut host, mut members) = session_of(2);
    assert!(matches!(members[0].member.group_info(), Err(Error::State(_))));
    let info = host.member.group_info().unwrap();
    for at in [0, 1, 2, 5_000, 5_500, info.len() / 2, info.len() - 1] {
        let mut altered = info.clone();
        altered[at] ^= 1;
        assert_eq!(members[0].member.stage_rejoin(&altered).unwrap_err().fault(), Fault::Peer, "{at}");
    }
    assert!(!members[0].member.is_staged());
    // Another session of the same host, and one of the same name by somebody else.
    let mut elsewhere = Member::new(&host.identity, random()).unwrap();
    elsewhere.create(SessionId([1; 32])).unwrap();
    let mut usurper = Peer::new(66);
    usurper.member.create(SESSION).unwrap();
    for foreign in [elsewhere.group_info().unwrap(), usurper.member.group_info().unwrap()] {
        assert_eq!(members[0].member.stage_rejoin(&foreign).unwrap_err().fault(), Fault::Peer);
    }
    // A welcome is no group info.
    let welcome = host.member.stage_change(vec![Peer::new(9).package()], &[]).unwrap().welcome.unwrap();
    assert_eq!(members[0].member.compare(&welcome).unwrap_err().fault(), Fault::Peer);
}

/// A stranger that gets hold of a group info is refused by every receiver, and so is a member that was removed.
#[test]
fn an_external_commit_by_who_is_not_in_is_refused_by_everybody() {
    let (mut host, mut members) = session_of(3);
    let gone = members[2].id();
    let removal = host.member.stage_change(vec![], &[gone]).unwrap();
    host.member.merge_staged().unwrap();
    for member in &mut members[..2] {
        member.member.process_commit(&removal.commit).unwrap();
    }
    // It has not seen its removal, or does not care.
    let info = host.member.group_info().unwrap();
    let staged = members[2].member.stage_rejoin(&info).unwrap();
    let before = host.secret();
    for member in members[..2].iter_mut().chain([&mut host]) {
        let error = member.member.process_commit(&staged.commit).unwrap_err();
        assert_eq!(error, Error::NotAuthorised { sender: gone });
    }
    assert_eq!(host.secret(), before);
    let update = host.member.stage_update().unwrap();
    host.member.merge_staged().unwrap();
    for member in &mut members[..2] {
        member.member.process_commit(&update.commit).unwrap();
    }
    assert_in_step(members[..2].iter().chain([&host]));
}

#[test]
fn a_member_with_a_new_mls_key_can_not_take_its_own_old_place() {
    let (mut host, mut members) = session_of(2);
    // A second device with the first one's identity: it has the session from elsewhere.
    let mut second = Peer::new(1);
    let mut other_host = Peer::host();
    let staged = other_host.member.stage_change(vec![second.package()], &[]).unwrap();
    other_host.member.merge_staged().unwrap();
    second.member.join(&staged.welcome.unwrap(), other_host.id(), SESSION).unwrap();
    let info = host.member.group_info().unwrap();
    // It would be in the group twice.
    assert!(second.member.stage_rejoin(&info).is_err());
    let update = host.member.stage_update().unwrap();
    members[0].member.process_commit(&update.commit).unwrap();
}
