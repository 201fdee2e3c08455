//! Groups over the store: alike with and without deferred trees, and alike after a crash.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Peer, commit, group_of};
use mls_provider::{Error, GroupStore, Provider, TreeWrites, WriteBatch};
use openmls::prelude::*;

fn assert_agree(peers: &[Peer]) {
    for peer in peers {
        assert_eq!(peer.secret(), peers[0].secret());
    }
}

#[test]
fn members_agree_with_deferred_trees() {
    let mut peers = group_of(6, TreeWrites::Deferred);
    assert_agree(&peers);
    let mut late = Peer::new(40, TreeWrites::Deferred);
    let (bytes, welcome) = peers[2].stage(vec![late.key_package()], &[]);
    peers[2].merge();
    for at in [0, 1, 3, 4, 5] {
        peers[at].receive(&bytes);
    }
    late.join(welcome.unwrap());
    peers.push(late);
    assert_agree(&peers);
    let gone = peers.remove(1);
    let epoch = gone.secret().0;
    commit(&mut peers, 3, Vec::new(), &[1]);
    assert_agree(&peers);
    assert_eq!(peers[0].secret().0, epoch + 1);
    assert_ne!(peers[0].secret().1, gone.secret().1);
}

#[test]
fn a_group_comes_back_from_a_snapshot_and_goes_on() {
    for trees in [TreeWrites::Deferred, TreeWrites::Eager] {
        let mut peers = group_of(5, trees);
        for peer in &mut peers {
            let snapshot = peer.snapshot();
            let again = peer.revive(&snapshot);
            assert_eq!(again.secret(), peer.secret());
            assert_eq!(again.group().export_ratchet_tree(), peer.group().export_ratchet_tree());
            assert_eq!(again.snapshot(), snapshot, "nothing is lost or changed");
            *peer = again;
            assert_eq!(peer.provider.storage().tree_writes(), TreeWrites::Eager);
            peer.provider.storage().set_tree_writes(trees);
        }
        for by in 0..peers.len() {
            commit(&mut peers, by, Vec::new(), &[]);
        }
        commit(&mut peers, 0, vec![Peer::new(41, trees).key_package()], &[]);
        assert_agree(&peers);
    }
}

#[test]
fn a_deferred_store_has_no_tree_of_its_own() {
    let peers = group_of(3, TreeWrites::Deferred);
    let storage = peers[0].provider.storage();
    assert_eq!(storage.snapshot([]).unwrap_err(), Error::TreeNotStored);
    let loaded = MlsGroup::load(storage, peers[0].group().group_id());
    assert_eq!(loaded.err(), Some(Error::TreeNotStored));
}

#[test]
fn a_snapshot_taken_eagerly_needs_no_group() {
    let peers = group_of(3, TreeWrites::Eager);
    let from_store = peers[0].provider.storage().snapshot([]).unwrap();
    assert_eq!(peers[0].revive(&from_store).secret(), peers[0].secret());
}

/// What a member wrote down.
enum Entry {
    Received(Vec<u8>),
    Staged(Vec<u8>),
    Merged,
    Discarded,
}

fn replay(peer: &mut Peer, journal: &[Entry]) {
    for entry in journal {
        match entry {
            Entry::Received(commit) => peer.receive(commit),
            Entry::Staged(batch) => {
                peer.provider.storage().apply(WriteBatch::from_bytes(batch).unwrap());
                peer.load();
                assert!(peer.group().pending_commit().is_some());
            }
            Entry::Merged => peer.merge(),
            Entry::Discarded => peer.discard(),
        }
    }
}

/// Stages with a capture, and gives the commit with the batch as it goes to the journal.
fn stage_captured(peer: &mut Peer, add: Vec<KeyPackage>, remove: &[u32]) -> (Vec<u8>, Vec<u8>) {
    peer.provider.storage().begin_capture();
    let (commit, _) = peer.stage(add, remove);
    (commit, peer.provider.storage().take_captured().to_bytes().unwrap().to_vec())
}

#[test]
fn a_crash_between_any_two_entries_of_the_journal_is_made_good() {
    let mut peers = group_of(6, TreeWrites::Deferred);
    let snapshot = peers[0].snapshot();
    let mut journal = Vec::new();
    // The state after each entry, to compare with.
    let mut states = vec![(peers[0].secret(), peers[0].entities())];
    let mut note = |peer: &Peer, journal: &mut Vec<Entry>, entry| {
        journal.push(entry);
        states.push((peer.secret(), peer.entities()));
    };

    for round in 0..3 {
        let received = commit(&mut peers, 2 + round, Vec::new(), &[]);
        note(&peers[0], &mut journal, Entry::Received(received));

        let (_, batch) =
            stage_captured(&mut peers[0], vec![Peer::new(50, TreeWrites::Eager).key_package()], &[]);
        note(&peers[0], &mut journal, Entry::Staged(batch));
        peers[0].discard();
        note(&peers[0], &mut journal, Entry::Discarded);

        let (own, batch) = stage_captured(&mut peers[0], Vec::new(), &[]);
        note(&peers[0], &mut journal, Entry::Staged(batch));
        peers[0].merge();
        note(&peers[0], &mut journal, Entry::Merged);
        for peer in &mut peers[1..] {
            peer.receive(&own);
        }
    }
    assert_agree(&peers);

    for crash in 0..=journal.len() {
        let mut again = peers[0].revive(&snapshot);
        replay(&mut again, &journal[..crash]);
        assert_eq!(again.secret(), states[crash].0, "after {crash} entries");
        assert_eq!(again.entities(), states[crash].1, "after {crash} entries");
    }

    let mut again = peers[0].revive(&snapshot);
    replay(&mut again, &journal);
    again.provider.storage().set_tree_writes(TreeWrites::Deferred);
    peers[0] = again;
    commit(&mut peers, 0, Vec::new(), &[5]);
    assert_eq!(peers[0].secret(), peers[4].secret());
    commit(&mut peers[..5], 3, Vec::new(), &[]);
    assert_agree(&peers[..5]);
}

#[test]
fn a_staged_commit_survives_a_crash_and_can_still_be_merged_or_dropped() {
    let mut peers = group_of(4, TreeWrites::Deferred);
    let before = peers[0].secret();
    let snapshot = peers[0].snapshot();
    let (commit, batch) = stage_captured(&mut peers[0], Vec::new(), &[3]);
    peers.pop();

    let mut dropped = peers[0].revive(&snapshot);
    replay(&mut dropped, &[Entry::Staged(batch.clone()), Entry::Discarded]);
    assert_eq!(dropped.secret(), before);

    let mut merged = peers[0].revive(&snapshot);
    replay(&mut merged, &[Entry::Staged(batch), Entry::Merged]);
    peers[0] = merged;
    for peer in &mut peers[1..] {
        peer.receive(&commit);
    }
    assert_agree(&peers);
}

#[test]
fn a_key_package_made_before_a_crash_still_joins() {
    let mut host = Peer::new(1, TreeWrites::Deferred);
    host.create();
    let joiner = Peer::new(2, TreeWrites::Deferred);
    let empty = joiner.snapshot();
    joiner.provider.storage().begin_capture();
    let package = joiner.key_package();
    let batch = joiner.provider.storage().take_captured().to_bytes().unwrap();

    let store = GroupStore::restore(&empty).unwrap();
    store.apply(WriteBatch::from_bytes(&batch).unwrap());
    let mut again = Peer::over(90, store, 2);
    let (_, welcome) = host.stage(vec![package], &[]);
    host.merge();
    again.join(welcome.unwrap());
    assert_eq!(again.secret(), host.secret());
}

#[test]
fn a_group_that_was_deleted_leaves_nothing_behind() {
    let mut peers = group_of(3, TreeWrites::Deferred);
    let Peer { provider, group, .. } = &mut peers[1];
    group.take().unwrap().delete(provider.storage()).unwrap();
    let left = provider.storage().snapshot([]).unwrap();
    let fresh = GroupStore::new(TreeWrites::Deferred).snapshot([]).unwrap();
    assert_eq!(left, fresh);
}

#[test]
fn proposals_are_kept_in_order_and_come_back() {
    let mut peers = group_of(3, TreeWrites::Deferred);
    let Peer { provider, signer, group, .. } = &mut peers[0];
    let group = group.as_mut().unwrap();
    group.propose_remove_member(provider, signer, LeafNodeIndex::new(2)).unwrap();
    group.propose_self_update(provider, signer, LeafNodeParameters::default()).unwrap();
    let count = group.pending_proposals().count();
    assert_eq!(count, 2);
    let again = peers[0].revive(&peers[0].snapshot());
    let kinds = |peer: &Peer| -> Vec<_> {
        peer.group().pending_proposals().map(|queued| queued.proposal().clone()).collect()
    };
    assert_eq!(kinds(&again), kinds(&peers[0]));
    let Peer { provider, group, .. } = &mut peers[0];
    group.as_mut().unwrap().clear_pending_proposals(provider.storage()).unwrap();
    let empty = peers[0].revive(&peers[0].snapshot());
    assert_eq!(empty.group().pending_proposals().count(), 0);
}

const fn assert_shareable<T: Send + Sync>() {}
const _: () = assert_shareable::<Provider>();
