//! Bytes from anywhere: refused without panic, and without harm to what comes after.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use av_mls::{Error, Fault, MAX_COMMIT_BYTES, MAX_WELCOME_BYTES, Member, SessionId, SignedKeyPackage};
use common::{Peer, SESSION};
use identity::Identity;
use proptest::prelude::*;

fn peer(number: u8) -> (Identity, Member) {
    let Peer { identity, member } = Peer::new(number);
    (identity, member)
}

/// A host with one member, and a joiner who waits for the welcome that is returned with the commit.
struct Scene {
    host: (Identity, Member),
    member: Member,
    joiner: Member,
    commit: Vec<u8>,
    welcome: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let (mut host, (bob, mut member), (carol, mut joiner)) = (peer(1), peer(2), peer(3));
        host.1.create(SESSION).unwrap();
        let package = member.key_package(&bob).unwrap().verify().unwrap();
        let first = host.1.stage_change(vec![package], &[]).unwrap();
        host.1.merge_staged().unwrap();
        member.join(&first.welcome.unwrap(), host.0.key_id(), SESSION).unwrap();
        let package = joiner.key_package(&carol).unwrap().verify().unwrap();
        let second = host.1.stage_change(vec![package], &[]).unwrap();
        host.1.merge_staged().unwrap();
        Self { host, member, joiner, commit: second.commit, welcome: second.welcome.unwrap() }
    }

    fn join(&mut self, welcome: &[u8]) -> Result<av_mls::Epoch, Error> {
        self.joiner.join(welcome, self.host.0.key_id(), SESSION)
    }

    /// The real messages still work.
    fn goes_on(mut self) {
        let welcome = core::mem::take(&mut self.welcome);
        self.join(&welcome).unwrap();
        self.member.process_commit(&self.commit).unwrap();
        let secrets = [&self.host.1, &self.member, &self.joiner].map(|m| *m.epoch_secret().unwrap().expose());
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    }
}

fn flipped(bytes: &[u8], at: &prop::sample::Index, bit: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at.index(bytes.len())] ^= 1 << bit;
    changed
}

/// Random bytes, and random bytes behind a plausible start.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just(vec![]),
        Just(vec![1]),
        Just(vec![0, 1, 0, 1]),
        Just(vec![0, 1, 0, 2]),
        Just(vec![0, 1, 0, 3]),
        Just([&[0, 1, 0, 2, 32][..], &[9; 32], &[0, 0, 0, 0, 0, 0, 0, 1, 3]].concat()),
    ];
    (start, proptest::collection::vec(any::<u8>(), 0..6_000)).prop_map(|(start, rest)| [start, rest].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_bytes_are_refused_everywhere(bytes in hostile()) {
        let mut scene = Scene::new();
        prop_assert!(SignedKeyPackage::from_bytes(&bytes).is_err());
        prop_assert!(scene.join(&bytes).is_err());
        prop_assert!(scene.member.process_commit(&bytes).is_err());
        scene.goes_on();
    }

    #[test]
    fn one_flipped_bit_makes_a_commit_and_a_welcome_useless(at: prop::sample::Index, bit in 0u8..8) {
        let mut scene = Scene::new();
        let (commit, welcome) = (flipped(&scene.commit, &at, bit), flipped(&scene.welcome, &at, bit));
        prop_assert!(scene.member.process_commit(&commit).is_err());
        let error = scene.join(&welcome).unwrap_err();
        prop_assert_ne!(error.fault(), Fault::Internal);
        scene.goes_on();
    }

    #[test]
    fn a_cut_off_message_is_refused(at: prop::sample::Index) {
        let mut scene = Scene::new();
        let commit = scene.commit[..at.index(scene.commit.len())].to_vec();
        prop_assert!(scene.member.process_commit(&commit).is_err());
        let welcome = scene.welcome[..at.index(scene.welcome.len())].to_vec();
        prop_assert!(scene.join(&welcome).is_err());
        scene.goes_on();
    }
}

proptest! {
    #[test]
    fn one_flipped_bit_makes_a_key_package_useless(at: prop::sample::Index, bit in 0u8..8) {
        let (identity, mut member) = peer(4);
        let bytes = member.key_package(&identity).unwrap().to_bytes();
        prop_assert!(bytes.len() <= SignedKeyPackage::MAX_BYTES);
        let intact = SignedKeyPackage::from_bytes(&bytes).unwrap();
        prop_assert_eq!(intact.to_bytes(), bytes.clone());
        prop_assert_eq!(intact.verify().unwrap().key_id(), identity.key_id());

        let verdict = SignedKeyPackage::from_bytes(&flipped(&bytes, &at, bit)).and_then(|package| package.verify());
        prop_assert_eq!(verdict.unwrap_err().fault(), Fault::Peer);
    }
}

#[test]
fn oversized_messages_are_refused_by_their_size() {
    let mut scene = Scene::new();
    let huge = vec![0; MAX_WELCOME_BYTES + 8_000];
    for error in [
        scene.member.process_commit(&huge[..=MAX_COMMIT_BYTES]).unwrap_err(),
        scene.join(&huge).unwrap_err(),
        SignedKeyPackage::from_bytes(&huge[..=SignedKeyPackage::MAX_BYTES]).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Limit { .. }), "{error}");
    }
    scene.goes_on();
}

#[test]
fn a_welcome_counts_for_its_host_and_session_alone() {
    let mut scene = Scene::new();
    let (host, stranger) = (scene.host.0.key_id(), peer(8).0.key_id());
    let welcome = scene.welcome.clone();
    assert!(matches!(scene.joiner.join(&welcome, stranger, SESSION), Err(Error::BadMessage { .. })));
    assert!(matches!(scene.joiner.join(&welcome, host, SessionId([8; 32])), Err(Error::BadMessage { .. })));
    // A commit of another session.
    let (_, mut elsewhere) = peer(2);
    elsewhere.create(SessionId([8; 32])).unwrap();
    assert!(matches!(elsewhere.process_commit(&scene.commit), Err(Error::BadMessage { .. })));
    scene.goes_on();
}
