//! What the predecessor got wrong, one test each.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use av_mls::{Arbiter, BATCH_WINDOW, Batcher, Epoch, Error, Event, MonoTime, SETTLE_TIME, SessionId};
use common::{Peer, SESSION, assert_in_step, session_of};
use std::collections::BTreeSet;

/// The inviter made the joiner's key package, and knew its secrets.
#[test]
fn defect_inviter_knows_the_joiners_secrets() {
    let mut host = Peer::host();
    let mut joiner = Peer::new(1);
    let staged = host.member.stage_change(vec![joiner.package()], &[]).unwrap();
    host.member.merge_staged().unwrap();
    let welcome = staged.welcome.unwrap();
    // Everything the host holds, and a member of the same identity without the private parts: none of them can open it.
    let mut twin = Peer::new(1);
    assert!(twin.member.join(&welcome, host.id(), SESSION).is_err());
    host.member.leave().unwrap();
    assert!(host.member.join(&welcome, host.id(), SESSION).is_err());
    assert_eq!(joiner.member.join(&welcome, host.id(), SESSION), Ok(Epoch(1)));
}

/// A commit was in force before anybody had accepted it.
#[test]
fn defect_merged_before_acceptance() {
    let (mut host, _) = session_of(2);
    let before = (host.member.epoch(), host.secret(), host.member.roster());
    let staged = host.member.stage_change(vec![Peer::new(9).package()], &[]).unwrap();
    assert_eq!((host.member.epoch(), host.secret(), host.member.roster()), before);
    host.member.discard_staged().unwrap();
    assert_eq!((host.member.epoch(), host.secret(), host.member.roster()), before);
    assert!(matches!(host.member.process_commit(&staged.commit), Err(Error::Discarded { .. })));
}

/// Two commits in one epoch split the group.
#[test]
fn defect_no_rule_for_concurrent_commits() {
    let (mut host, mut members) = session_of(2);
    let now = MonoTime::from_millis(1_000);
    let ours = host.member.stage_update().unwrap();
    let theirs = members[0].member.stage_update().unwrap();
    let mut arbiters: [Arbiter; 3] = Default::default();
    arbiters[0].stage(now, &ours);
    arbiters[1].stage(now, &theirs);
    arbiters[0].handle_commit(now, &mut host.member, &theirs.commit).unwrap();
    arbiters[1].handle_commit(now, &mut members[0].member, &ours.commit).unwrap();
    for commit in [&theirs.commit, &ours.commit] {
        arbiters[2].handle_commit(now, &mut members[1].member, commit).unwrap();
    }
    let later = now.plus(SETTLE_TIME);
    let [first, second] = &mut members[..] else { panic!() };
    let mut overtaken = 0;
    for (arbiter, peer) in arbiters.iter_mut().zip([&mut host, first, second]) {
        let events = arbiter.handle_timeout(later, &mut peer.member).unwrap();
        overtaken +=
            events.iter().filter(|event| matches!(event, Event::Overtaken(change) if change.update)).count();
    }
    assert_eq!(overtaken, 1, "the loser is told");
    assert_in_step(members.iter().chain([&host]));
    assert_eq!(host.member.epoch(), Some(Epoch(2)));
}

/// Whoever was in could add and remove; only the sender's own code looked at who it was.
#[test]
fn defect_no_authority_over_adds_and_removes() {
    let (mut host, mut members) = session_of(2);
    let target = members[1].id();
    let refused = members[0].member.stage_change(vec![], &[target]).unwrap_err();
    assert!(matches!(refused, Error::State(_)));
    // That receivers refuse it as well, from a member that does not ask itself: `tests::every_receiver_checks_...`.
    let staged = host.member.stage_change(vec![], &[target]).unwrap();
    assert!(members[0].member.process_commit(&staged.commit).is_ok());
}

/// The leaf's credential could be anybody's.
#[test]
fn defect_credential_not_bound_to_the_identity() {
    let (host, members) = session_of(2);
    for entry in host.member.roster() {
        let owner = members.iter().chain([&host]).find(|peer| peer.id() == entry.key_id).unwrap();
        assert_eq!(owner.member.own_leaf(), Some(entry.leaf));
    }
    // A package of one identity in an envelope of another: the signature is over both.
    let (mut alice, mut bob) = (Peer::new(1), Peer::new(2));
    let stolen = alice.member.key_package(&alice.identity).unwrap().to_bytes();
    let own = bob.member.key_package(&bob.identity).unwrap().to_bytes();
    let parts = |bytes: &[u8]| {
        let split = bytes.len() - identity::PublicIdentity::LEN - identity::HybridSignature::LEN;
        (bytes[..split].to_vec(), bytes[split..].to_vec())
    };
    let forged = [parts(&stolen).0, parts(&own).1].concat();
    let verdict = av_mls::SignedKeyPackage::from_bytes(&forged).and_then(|package| package.verify());
    assert_eq!(verdict.unwrap_err().fault(), av_mls::Fault::Peer);
}

/// A welcome that was no good used up the joiner's secret.
#[test]
fn defect_bogus_welcome_consumes_the_secret() {
    let (mut host, mut mallory, mut joiner) = (Peer::host(), Peer::new(7), Peer::new(1));
    let package = joiner.package();
    mallory.member.create(SESSION).unwrap();
    let bogus = mallory.member.stage_change(vec![package.clone()], &[]).unwrap().welcome.unwrap();
    let real = host.member.stage_change(vec![package], &[]).unwrap();
    host.member.merge_staged().unwrap();
    let welcome = real.welcome.unwrap();
    let mut cut = welcome.clone();
    let middle = cut.len() / 2;
    cut[middle] ^= 1;
    for bad in [&bogus, &cut, &welcome[..100].to_vec()] {
        assert!(joiner.member.join(bad, host.id(), SESSION).is_err());
        assert!(joiner.member.join(bad, mallory.id(), SessionId([1; 32])).is_err());
    }
    assert_eq!(joiner.member.join(&welcome, host.id(), SESSION), Ok(Epoch(1)));
    assert_eq!(joiner.secret(), host.secret());
}

/// The signature on a welcome left out what it was for and whom.
#[test]
fn defect_signed_welcome_leaves_out_what_it_is_for() {
    let (mut host, mut first, mut second) = (Peer::host(), Peer::new(1), Peer::new(2));
    let packages = [first.package(), second.package()];
    let one = host.member.stage_change(packages[..1].to_vec(), &[]).unwrap().welcome.unwrap();
    host.member.discard_staged().unwrap();
    let both = host.member.stage_change(packages[1..].to_vec(), &[]).unwrap().welcome.unwrap();
    host.member.merge_staged().unwrap();
    // Recipient: the other's welcome. Group: another session. Signer: another host.
    assert!(second.member.join(&one, host.id(), SESSION).is_err());
    assert!(second.member.join(&both, host.id(), SessionId([1; 32])).is_err());
    assert!(second.member.join(&both, first.id(), SESSION).is_err());
    // Ciphertext: each part of it counts.
    for at in (0..both.len()).step_by(both.len() / 40) {
        let mut altered = both.clone();
        altered[at] ^= 0x20;
        assert!(second.member.join(&altered, host.id(), SESSION).is_err(), "byte {at}");
    }
    assert!(second.member.join(&both, host.id(), SESSION).is_ok());
}

/// A replacement roster without oneself failed inside the library.
#[test]
fn defect_replace_without_self() {
    let (mut host, mut members) = session_of(3);
    let mut joiner = Peer::new(9);
    let wanted: BTreeSet<_> = [members[0].id(), joiner.id()].into();
    assert!(!wanted.contains(&host.id()));
    let refused = host.member.stage_replace(&wanted, vec![]).unwrap_err();
    assert!(matches!(refused, Error::State(_)), "a package is missing");
    // Packages of those who are in, or not wanted, are not used.
    let packages = vec![Peer::new(1).package(), Peer::new(44).package(), joiner.package()];
    let staged = host.member.stage_replace(&wanted, packages).unwrap();
    host.member.merge_staged().unwrap();
    members[0].member.process_commit(&staged.commit).unwrap();
    joiner.member.join(&staged.welcome.unwrap(), host.id(), SESSION).unwrap();
    assert_in_step([&host, &members[0], &joiner]);
    assert!(matches!(host.member.stage_replace(&wanted, vec![]), Err(Error::EmptyChange)));
}

/// An empty batch, an unknown removal and a bad joiner each refuse all of it.
#[test]
fn defect_batch_is_not_all_or_nothing() {
    let (mut host, members) = session_of(1);
    let before = (host.member.epoch(), host.secret(), host.member.roster());
    let (mut good, mut double) = (Peer::new(8), Peer::new(1));
    assert_eq!(host.member.stage_change(vec![], &[]), Err(Error::EmptyChange));
    let stranger = Peer::new(9).id();
    assert_eq!(host.member.stage_change(vec![good.package()], &[stranger]), Err(Error::NotAMember(stranger)));
    let mixed = vec![good.package(), double.package()];
    assert_eq!(host.member.stage_change(mixed, &[]), Err(Error::AlreadyAMember(members[0].id())));
    assert!(!host.member.is_staged());
    assert_eq!((host.member.epoch(), host.secret(), host.member.roster()), before);
}

/// The library replaces a pending commit without a word.
#[test]
fn defect_commit_builder_overwrites_a_pending_commit() {
    let (mut host, mut members) = session_of(2);
    let staged = host.member.stage_change(vec![Peer::new(8).package()], &[]).unwrap();
    let (info, remove) = (host.member.group_info().unwrap(), members[0].id());
    for second in [
        host.member.stage_change(vec![], &[remove]),
        host.member.stage_update(),
        host.member.stage_committers(&host.identity, &[remove]),
        host.member.stage_rejoin(&info),
    ] {
        assert!(matches!(second, Err(Error::State(_))), "{second:?}");
    }
    assert_eq!(host.member.staged(), Some(staged.clone()));
    assert_eq!(host.member.merge_staged(), Ok(staged.epoch));
    for member in &mut members {
        member.member.process_commit(&staged.commit).unwrap();
        assert_eq!(member.secret(), host.secret());
    }
}

/// A ciphertext of one's own that comes back can't be opened, and was taken for somebody else's broken commit.
#[test]
fn defect_own_ciphertext_is_not_recognised() {
    let (mut host, mut members) = session_of(2);
    let staged = members[0].member.stage_update().unwrap();
    let outcome = members[0].member.process_commit(&staged.commit).unwrap();
    assert_eq!((outcome.by, outcome.epoch), (members[0].id(), staged.epoch));
    assert!(!members[0].member.is_staged());
    host.member.process_commit(&staged.commit).unwrap();
    members[1].member.process_commit(&staged.commit).unwrap();
    assert_in_step(members.iter().chain([&host]));
    // Again, when it is in force: old, and nobody's fault.
    let again = members[0].member.process_commit(&staged.commit).unwrap_err();
    assert!(matches!(again, Error::StaleCommit { .. }));
    // One that was dropped says so.
    let dropped = host.member.stage_update().unwrap();
    host.member.discard_staged().unwrap();
    let back = host.member.process_commit(&dropped.commit).unwrap_err();
    assert_eq!(back, Error::Discarded { epoch: staged.epoch });
}

/// Each join made a commit of its own.
#[test]
fn defect_a_commit_for_each_join() {
    let mut host = Peer::host();
    let mut joiners: Vec<Peer> = (1..=25).map(Peer::new).collect();
    let mut batcher = Batcher::new();
    let start = MonoTime::from_millis(5);
    for (number, joiner) in joiners.iter_mut().enumerate() {
        let now = MonoTime::from_millis(5 + 8 * number as u64);
        batcher.join(now, number, joiner.package()).unwrap();
        assert!(batcher.due(now).is_none());
    }
    assert_eq!(batcher.next_timeout(), Some(start.plus(BATCH_WINDOW)));
    let batch = batcher.due(start.plus(BATCH_WINDOW)).unwrap();
    let packages = batch.joining.into_iter().map(|(_, package)| package).collect();
    let staged = host.member.stage_change(packages, &[]).unwrap();
    host.member.merge_staged().unwrap();
    assert_eq!((host.member.epoch(), batcher.is_empty()), (Some(Epoch(1)), true));
    for joiner in &mut joiners {
        joiner.member.join(staged.welcome.as_ref().unwrap(), host.id(), SESSION).unwrap();
    }
    assert_in_step(joiners.iter().chain([&host]));
}

/// A commit that only adds was as dear as one that removes: it had a path.
#[test]
fn defect_adds_carry_a_path() {
    let (mut host, members) = session_of(12);
    let add = host.member.stage_change(vec![Peer::new(80).package()], &[]).unwrap().commit.len();
    host.member.discard_staged().unwrap();
    let gone = members[3].id();
    let remove = host.member.stage_change(vec![], &[gone]).unwrap().commit.len();
    host.member.discard_staged().unwrap();
    let update = host.member.stage_update().unwrap().commit.len();
    // A path of this tree has four nodes, each with a key of 1,216 bytes and a ciphertext of 1,120 at least.
    assert!(add < 4_000, "{add}");
    assert!(remove > 4 * 2_336 && update > 4 * 2_336, "{remove} {update}");
}
