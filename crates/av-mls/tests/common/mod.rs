//! What several tests share: peers, and stores that fail when told to.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![allow(dead_code, reason = "no test uses all of it")]

use av_mls::{
    Batch, Epoch, KeyId, Member, Record, SessionId, SignedKeyPackage, StateStore, StoreFault,
    VerifiedKeyPackage,
};
use identity::{Identity, Seed};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

mod random;

pub(crate) use random::random;

pub(crate) const SESSION: SessionId = SessionId([9; 32]);

/// An identity and its member.
pub(crate) struct Peer {
    pub(crate) identity: Identity,
    pub(crate) member: Member,
}

impl Peer {
    pub(crate) fn new(number: u8) -> Self {
        let identity = Identity::from_seed(&Seed([number; 64])).unwrap();
        let member = Member::new(&identity, random()).unwrap();
        Self { identity, member }
    }

    pub(crate) fn open(number: u8, store: Box<dyn StateStore>) -> Self {
        let identity = Identity::from_seed(&Seed([number; 64])).unwrap();
        let member = Member::open(&identity, random(), store).unwrap();
        Self { identity, member }
    }

    pub(crate) fn host() -> Self {
        let mut host = Self::new(200);
        assert_eq!(host.member.create(SESSION).unwrap(), Epoch(0));
        host
    }

    pub(crate) fn id(&self) -> KeyId {
        self.identity.key_id()
    }

    /// A key package that went over the wire.
    pub(crate) fn package(&mut self) -> VerifiedKeyPackage {
        let bytes = self.member.key_package(&self.identity).unwrap().to_bytes();
        SignedKeyPackage::from_bytes(&bytes).unwrap().verify().unwrap()
    }

    pub(crate) fn secret(&self) -> [u8; 32] {
        *self.member.epoch_secret().unwrap().expose()
    }
}

/// A host and `count` members, all in epoch 1.
pub(crate) fn session_of(count: u8) -> (Peer, Vec<Peer>) {
    let mut host = Peer::host();
    let mut members: Vec<Peer> = (1..=count).map(Peer::new).collect();
    let packages = members.iter_mut().map(Peer::package).collect();
    let staged = host.member.stage_change(packages, &[]).unwrap();
    host.member.merge_staged().unwrap();
    for member in &mut members {
        member.member.join(staged.welcome.as_ref().unwrap(), host.id(), SESSION).unwrap();
    }
    (host, members)
}

pub(crate) fn assert_in_step<'a>(peers: impl IntoIterator<Item = &'a Peer>) {
    let peers: Vec<&Peer> = peers.into_iter().collect();
    for peer in &peers {
        assert_eq!(peer.member.epoch(), peers[0].member.epoch());
        assert_eq!(peer.member.roster(), peers[0].member.roster());
        assert_eq!(peer.secret(), peers[0].secret());
        assert_eq!(peer.member.authority(), peers[0].member.authority());
        assert_eq!(peer.member.leaf_of(peer.id()), peer.member.own_leaf());
    }
    let roster: BTreeSet<KeyId> = peers[0].member.roster().iter().map(|entry| entry.key_id).collect();
    assert_eq!(roster, peers.iter().map(|peer| peer.id()).collect());
}

/// When a store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The write is not done.
    Before,
    /// The write is done, and the answer is lost.
    After,
}

/// Makes one write of a store fail.
#[derive(Clone, Default)]
pub(crate) struct Trigger(Arc<Mutex<Option<(u32, Fault)>>>);

impl Trigger {
    /// The write after `writes` others fails.
    pub(crate) fn arm(&self, writes: u32, fault: Fault) {
        *self.0.lock().unwrap() = Some((writes, fault));
    }

    /// Nothing fails from now on. True if something was to fail and has not.
    pub(crate) fn disarm(&self) -> bool {
        self.0.lock().unwrap().take().is_some()
    }
}

/// A store that fails when its trigger says so.
pub(crate) struct Failing {
    pub(crate) store: Box<dyn StateStore>,
    pub(crate) trigger: Trigger,
}

impl StateStore for Failing {
    fn load(&self) -> Result<Vec<Record>, StoreFault> {
        self.store.load()
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreFault> {
        let mut plan = self.trigger.0.lock().unwrap();
        match *plan {
            Some((0, fault)) => {
                *plan = None;
                if fault == Fault::After {
                    self.store.commit(batch).unwrap();
                }
                Err(StoreFault("the power went out".into()))
            }
            Some((writes, fault)) => {
                *plan = Some((writes - 1, fault));
                self.store.commit(batch)
            }
            None => self.store.commit(batch),
        }
    }
}
