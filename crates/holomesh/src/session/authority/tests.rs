use super::*;
use av_mls::BATCH_WINDOW;
use identity::Seed;

const SESSION: SessionId = SessionId([5; 32]);

fn identity(n: u8) -> Identity {
    Identity::from_seed(&Seed([n; 64])).unwrap()
}

fn package(who: &Identity) -> (Member, Vec<u8>) {
    let mut member = Member::new(who, crate::random::generator().unwrap()).unwrap();
    let bytes = member.key_package(who).unwrap().to_bytes();
    (member, bytes)
}

#[test]
fn joins_within_the_window_share_a_commit_and_the_key_waits_for_the_members() {
    let host = identity(1);
    let mut authority = Authority::new(&host, SESSION).unwrap();
    let start = Instant::now();
    let mut members = Vec::new();
    for n in 2..4u8 {
        let who = identity(n);
        let (member, bytes) = package(&who);
        authority.join(start, LinkId(n.into()), who.key_id(), &bytes).unwrap();
        members.push(member);
    }
    assert!(authority.commit_due(start + BATCH_WINDOW / 2).unwrap().is_none());
    let committed = authority.commit_due(start + BATCH_WINDOW).unwrap().unwrap();
    assert_eq!((committed.epoch, committed.added.len()), (Epoch(1), 2));
    for member in &mut members {
        member.join(&committed.welcome, host.key_id(), SESSION).unwrap();
    }
    let now = start + BATCH_WINDOW;
    assert!(!authority.switch_due(now));
    authority.ready(LinkId(2), Epoch(1));
    assert!(!authority.switch_due(now), "one of two");
    authority.ready(LinkId(3), Epoch(1));
    assert!(authority.switch_due(now));
    let (epoch, secret) = authority.finish_switch().unwrap();
    assert_eq!(epoch, Epoch(1));
    assert!(members.iter().all(|m| m.epoch_secret().unwrap().expose() == secret.expose()));
}

#[test]
fn a_member_that_does_not_answer_is_not_waited_for_long() {
    let mut authority = Authority::new(&identity(1), SESSION).unwrap();
    let start = Instant::now();
    let who = identity(2);
    authority.join(start, LinkId(2), who.key_id(), &package(&who).1).unwrap();
    let at = start + BATCH_WINDOW;
    authority.commit_due(at).unwrap().unwrap();
    assert!(!authority.switch_due(at + READY_TIMEOUT / 2));
    assert!(authority.switch_due(at + READY_TIMEOUT));
}

#[test]
fn a_removal_does_not_wait_and_the_one_removed_is_not_waited_for() {
    let mut authority = Authority::new(&identity(1), SESSION).unwrap();
    let start = Instant::now();
    let who = identity(2);
    authority.join(start, LinkId(2), who.key_id(), &package(&who).1).unwrap();
    authority.commit_due(start + BATCH_WINDOW).unwrap().unwrap();
    authority.finish_switch();
    assert!(authority.leave(start + BATCH_WINDOW, who.key_id()));
    let committed = authority.commit_due(start + BATCH_WINDOW).unwrap().unwrap();
    assert_eq!((committed.removed, committed.informed), (vec![who.key_id()], vec![LinkId(2)]));
    assert!(authority.switch_due(start + BATCH_WINDOW), "nobody is left to wait for");
}

#[test]
fn a_joiner_whose_link_dies_before_its_commit_does_not_become_a_ghost() {
    let mut authority = Authority::new(&identity(1), SESSION).unwrap();
    let now = Instant::now();
    let who = identity(2);
    let bytes = package(&who).1;
    authority.join(now, LinkId(2), who.key_id(), &bytes).unwrap();
    assert_eq!(authority.link_down(now, LinkId(2)), None);
    assert!(authority.commit_due(now + BATCH_WINDOW).unwrap().is_none());
    authority.join(now, LinkId(3), who.key_id(), &bytes).expect("may come back on a new link");
}

#[test]
fn a_bad_joiner_holds_up_neither_a_removal_nor_the_other_joiners() {
    let mut authority = Authority::new(&identity(1), SESSION).unwrap();
    let mut now = Instant::now();
    let (bob, carol, dave) = (identity(2), identity(3), identity(4));
    authority.join(now, LinkId(2), bob.key_id(), &package(&bob).1).unwrap();
    now += BATCH_WINDOW;
    authority.commit_due(now).unwrap().unwrap();
    authority.finish_switch();
    let bytes = package(&carol).1;
    authority.join(now, LinkId(3), carol.key_id(), &bytes).unwrap();
    // Somebody in the host's own name: it can't be added, and spoils the batch.
    let twin = identity(1);
    authority.join(now, LinkId(4), twin.key_id(), &package(&twin).1).unwrap();
    authority.join(now, LinkId(5), dave.key_id(), &package(&dave).1).unwrap();
    authority.leave(now, bob.key_id());
    let mut added = Vec::new();
    let mut removed = Vec::new();
    for _ in 0..4 {
        now += BATCH_WINDOW;
        if let Some(committed) = authority.commit_due(now).unwrap() {
            added.extend(committed.added.into_iter().map(|(link, _)| link));
            removed.extend(committed.removed);
            authority.finish_switch();
        }
    }
    assert_eq!(added, [LinkId(3), LinkId(5)]);
    assert_eq!(removed, [bob.key_id()]);
    assert_eq!(authority.take_refused().len(), 1, "the twin is told");
    assert!(authority.is_settled());
}

#[test]
fn somebody_elses_key_package_and_a_second_join_are_refused() {
    let mut authority = Authority::new(&identity(1), SESSION).unwrap();
    let now = Instant::now();
    let (bob, carol) = (identity(2), identity(3));
    let bytes = package(&bob).1;
    assert!(authority.join(now, LinkId(3), carol.key_id(), &bytes).unwrap_err().contains("somebody else"));
    authority.join(now, LinkId(2), bob.key_id(), &bytes).unwrap();
    assert!(authority.join(now, LinkId(4), bob.key_id(), &bytes).unwrap_err().contains("already"));
    assert!(authority.join(now, LinkId(5), bob.key_id(), b"rubbish").is_err());
}

/// One round: whatever is due is committed, and every member in `members` takes it in.
fn commit(authority: &mut Authority, now: Instant, members: &mut [&mut Member]) -> Committed {
    let committed = authority.commit_due(now + BATCH_WINDOW).unwrap().unwrap();
    for member in members {
        member.process_commit(&committed.commit).unwrap();
    }
    authority.finish_switch();
    committed
}

/// A session with two members, on links 2 and 3.
fn with_bob_and_carol(now: Instant) -> (Authority, Member, Member) {
    let host = identity(1);
    let mut authority = Authority::new(&host, SESSION).unwrap();
    let mut members = Vec::new();
    for n in 2..4u8 {
        let who = identity(n);
        let (member, bytes) = package(&who);
        authority.join(now, LinkId(n.into()), who.key_id(), &bytes).unwrap();
        members.push(member);
    }
    let welcome = commit(&mut authority, now, &mut []).welcome;
    for member in &mut members {
        member.join(&welcome, host.key_id(), SESSION).unwrap();
    }
    let [bob, carol] = members.try_into().unwrap();
    (authority, bob, carol)
}

#[test]
fn a_member_that_missed_a_commit_comes_back_by_itself_and_nobody_else_notices() {
    let now = Instant::now();
    let (mut authority, mut bob, mut carol) = with_bob_and_carol(now);
    let dave_id = identity(4);
    // Carol misses the commit that adds Dave, and then gets one that she has no keys for.
    authority.join(now, LinkId(4), dave_id.key_id(), &package(&dave_id).1).unwrap();
    commit(&mut authority, now, &mut [&mut bob]);
    authority.leave(now, dave_id.key_id());
    let early = commit(&mut authority, now, &mut [&mut bob]).commit;
    assert!(matches!(carol.process_commit(&early), Err(av_mls::Error::EarlyCommit { .. })));

    let group_info = authority.group_info(LinkId(3)).unwrap();
    assert!(authority.group_info(LinkId(9)).is_err(), "not for strangers");
    let staged = carol.stage_rejoin(&group_info).unwrap();
    assert!(authority.member_commit(now, LinkId(9), &staged.commit).is_err(), "nor is a rejoin");
    let (kind, committed) = authority.member_commit(now, LinkId(3), &staged.commit).unwrap().unwrap();
    assert_eq!(kind, "rejoined");
    assert_eq!(committed.informed, [LinkId(2), LinkId(3)]);
    assert!(
        authority.member_commit(now, LinkId(3), &staged.commit).unwrap().is_none(),
        "one change at a time"
    );
    for member in [&mut bob, &mut carol] {
        member.process_commit(&committed.commit).unwrap();
    }
    let (_, secret) = authority.finish_switch().unwrap();
    for member in [&bob, &carol] {
        assert_eq!(member.epoch_secret().unwrap().expose(), secret.expose());
    }
}

#[test]
fn nobody_leaves_by_anothers_hand() {
    let now = Instant::now();
    let (mut authority, bob, mut carol) = with_bob_and_carol(now);
    let (bob_id, carol_id) = (identity(2), identity(3));
    let request = bob.leave_request().unwrap();
    assert!(authority.leave_by_request(now, carol_id.key_id(), &request).is_err());
    assert!(authority.leave_by_request(now, bob_id.key_id(), b"").is_err());
    assert!(authority.is_settled());
    authority.leave_by_request(now, bob_id.key_id(), &request).unwrap();
    assert_eq!(commit(&mut authority, now, &mut [&mut carol]).removed, [bob_id.key_id()]);
}

#[test]
fn a_session_that_is_kept_goes_on_in_a_later_epoch_without_those_whose_links_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let host = identity(1);
    let open = |session| {
        let key = av_mls::StorageKey([7; 32]);
        let store = av_mls::RedbStore::open(&dir.path().join("group.redb"), &key).unwrap();
        Authority::open(&host, session, Box::new(store))
    };
    let mut authority = open(SESSION).unwrap();
    let now = Instant::now();
    let who = identity(2);
    authority.join(now, LinkId(2), who.key_id(), &package(&who).1).unwrap();
    commit(&mut authority, now, &mut []);
    let (before, old_secret) = authority.current().unwrap();
    drop(authority);

    let mut authority = open(SESSION).unwrap();
    let (after, secret) = authority.current().unwrap();
    assert!(after > before && secret.expose() != old_secret.expose(), "{before} then {after}");
    // The same peer comes in again.
    let (mut member, bytes) = package(&who);
    authority.join(now, LinkId(2), who.key_id(), &bytes).unwrap();
    let welcome = commit(&mut authority, now, &mut []).welcome;
    member.join(&welcome, host.key_id(), SESSION).unwrap();
    drop(authority);
    let error = open(SessionId([6; 32])).err().unwrap().to_string();
    assert!(error.contains("another session"), "{error}");
}

#[test]
fn a_members_new_keys_go_to_all_and_an_overtaken_update_is_dropped() {
    let now = Instant::now();
    let (mut authority, mut bob, mut carol) = with_bob_and_carol(now);
    let (from_bob, from_carol) = (bob.stage_update().unwrap().commit, carol.stage_update().unwrap().commit);
    let (kind, committed) = authority.member_commit(now, LinkId(2), &from_bob).unwrap().unwrap();
    assert_eq!(kind, "renewed");
    let (_, secret) = authority.finish_switch().unwrap();
    assert!(authority.member_commit(now, LinkId(3), &from_carol).unwrap().is_none(), "it came second");
    for member in [&mut bob, &mut carol] {
        member.process_commit(&committed.commit).unwrap();
        assert_eq!(member.epoch_secret().unwrap().expose(), secret.expose());
        assert!(!member.is_staged());
    }
}
