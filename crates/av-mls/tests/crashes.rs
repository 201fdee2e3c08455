//! A crash at every write of every operation: the member that comes back is in the state before or after, and goes on.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use av_mls::{Epoch, Error, KeyId, MemoryStore, Staged, StateStore};
use common::{Failing, Fault, Peer, SESSION, Trigger};

/// Where a peer's state is.
trait Disk {
    fn open(&self) -> Box<dyn StateStore>;
}

impl Disk for MemoryStore {
    fn open(&self) -> Box<dyn StateStore> {
        Box::new(self.clone())
    }
}

#[cfg(feature = "redb")]
impl Disk for tempfile::TempDir {
    fn open(&self) -> Box<dyn StateStore> {
        let key = av_mls::StorageKey([3; 32]);
        Box::new(av_mls::RedbStore::open(&self.path().join("state"), &key).unwrap())
    }
}

/// A peer that can lose power.
struct Durable {
    number: u8,
    peer: Option<Peer>,
    disk: Box<dyn Disk>,
    trigger: Trigger,
}

impl Durable {
    fn new(number: u8, disk: Box<dyn Disk>) -> Self {
        let mut durable = Self { number, peer: None, disk, trigger: Trigger::default() };
        durable.restart();
        durable
    }

    fn restart(&mut self) {
        // The file is held by the one that runs.
        self.peer = None;
        let store = Failing { store: self.disk.open(), trigger: self.trigger.clone() };
        self.peer = Some(Peer::open(self.number, Box::new(store)));
    }

    fn peer(&mut self) -> &mut Peer {
        self.peer.as_mut().unwrap()
    }

    fn id(&self) -> KeyId {
        self.peer.as_ref().unwrap().id()
    }

    fn state(&self) -> State {
        let member = &self.peer.as_ref().unwrap().member;
        State {
            epoch: member.epoch(),
            secret: member.epoch_secret().ok().map(|secret| *secret.expose()),
            members: member.roster().len(),
            staged: member.is_staged(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    epoch: Option<Epoch>,
    secret: Option<[u8; 32]>,
    members: usize,
    staged: bool,
}

/// Alice hosts, Bob is in, Carol may come.
struct World {
    alice: Durable,
    bob: Durable,
    carol: Durable,
    /// Messages on the way.
    staged: Option<Staged>,
    info: Vec<u8>,
}

impl World {
    fn new(disk: &dyn Fn() -> Box<dyn Disk>) -> Self {
        let [alice, bob, carol] = [1, 2, 3].map(|number| Durable::new(number, disk()));
        Self { alice, bob, carol, staged: None, info: Vec::new() }
    }

    /// In epoch 2, so that there is a journal.
    fn running(disk: &dyn Fn() -> Box<dyn Disk>) -> Self {
        let mut world = Self::new(disk);
        world.alice.peer().member.create(SESSION).unwrap();
        let package = world.bob.peer().package();
        let staged = world.alice.peer().member.stage_change(vec![package], &[]).unwrap();
        world.alice.peer().member.merge_staged().unwrap();
        world.join_bob(&staged);
        let update = world.bob.peer().member.stage_update().unwrap();
        world.alice.peer().member.process_commit(&update.commit).unwrap();
        world.bob.peer().member.merge_staged().unwrap();
        world
    }

    fn join_bob(&mut self, staged: &Staged) {
        let host = self.alice.id();
        self.bob.peer().member.join(staged.welcome.as_ref().unwrap(), host, SESSION).unwrap();
    }

    fn stage_carol(&mut self) -> Result<(), Error> {
        let package = self.carol.peer().package();
        self.staged = Some(self.alice.peer().member.stage_change(vec![package], &[])?);
        Ok(())
    }

    fn join_carol(&mut self) -> Result<(), Error> {
        let (host, staged) = (self.alice.id(), self.staged.clone().unwrap());
        self.carol.peer().member.join(staged.welcome.as_ref().unwrap(), host, SESSION).map(drop)
    }

    /// Alice and carol know of the change that brings carol in, bob does not.
    fn bring_carol_in(&mut self) {
        self.stage_carol().unwrap();
        self.alice.peer().member.merge_staged().unwrap();
        self.join_carol().unwrap();
    }

    /// Bob gets the commit that alice made.
    fn tell_bob(&mut self) -> Result<(), Error> {
        let commit = self.staged.clone().unwrap().commit;
        self.bob.peer().member.process_commit(&commit).map(drop)
    }

    /// Alice has a commit, or makes one; then everybody goes on.
    fn settle_alice(&mut self) {
        if let Some(staged) = self.alice.peer().member.staged() {
            self.alice.peer().member.merge_staged().unwrap();
            self.staged = Some(staged);
        }
        if let Some(staged) = self.staged.take() {
            _ = self.bob.peer().member.process_commit(&staged.commit);
            let host = self.alice.id();
            if let Some(welcome) = &staged.welcome
                && self.carol.peer().member.session().is_none()
            {
                _ = self.carol.peer().member.join(welcome, host, SESSION);
            }
        }
    }

    /// Whoever is in the roster takes part in one more commit by each of the two.
    fn go_on(mut self) {
        for by_alice in [true, false, true] {
            let (maker, taker) =
                if by_alice { (&mut self.alice, &mut self.bob) } else { (&mut self.bob, &mut self.alice) };
            let update = maker.peer().member.stage_update().unwrap();
            assert!(!taker.peer().member.process_commit(&update.commit).unwrap().removed_self);
            maker.peer().member.merge_staged().unwrap();
            if self.carol.peer().member.session().is_some() {
                self.carol.peer().member.process_commit(&update.commit).unwrap();
                assert_eq!(self.carol.peer().secret(), self.bob.peer().secret());
            }
            assert_eq!(self.alice.peer().secret(), self.bob.peer().secret());
            assert_eq!(self.alice.state(), self.bob.state());
            // And once more through the store.
            let state = self.bob.state();
            self.bob.restart();
            assert_eq!(self.bob.state(), state);
        }
    }
}

type Step<T> = fn(&mut World) -> T;
type Who = fn(&mut World) -> &mut Durable;

/// One operation, who does it, and what comes after it.
struct Case {
    name: &'static str,
    running: bool,
    prepare: Step<()>,
    subject: Who,
    run: Step<Result<(), Error>>,
    finish: Step<()>,
}

const NOTHING: Step<()> = |_| {};

fn cases() -> Vec<Case> {
    let alice: Who = |world| &mut world.alice;
    let bob: Who = |world| &mut world.bob;
    let carol: Who = |world| &mut world.carol;
    let add_bob: Step<()> = |world| {
        let package = world.bob.peer().package();
        let staged = world.alice.peer().member.stage_change(vec![package], &[]).unwrap();
        world.alice.peer().member.merge_staged().unwrap();
        world.join_bob(&staged);
    };
    let settle_bob: Step<()> = |world| {
        let staged = world.bob.peer().member.staged();
        let staged = staged.or_else(|| world.staged.take());
        if let Some(staged) = staged {
            _ = world.alice.peer().member.process_commit(&staged.commit);
            if world.bob.peer().member.is_staged() {
                world.bob.peer().member.merge_staged().unwrap();
            }
        }
    };
    vec![
        Case {
            name: "create",
            running: false,
            prepare: NOTHING,
            subject: alice,
            run: |world| world.alice.peer().member.create(SESSION).map(drop),
            finish: |world| {
                if world.alice.peer().member.session().is_none() {
                    world.alice.peer().member.create(SESSION).unwrap();
                }
                let package = world.bob.peer().package();
                let staged = world.alice.peer().member.stage_change(vec![package], &[]).unwrap();
                world.alice.peer().member.merge_staged().unwrap();
                world.join_bob(&staged);
            },
        },
        Case {
            name: "key package",
            running: false,
            prepare: |world| _ = world.alice.peer().member.create(SESSION).unwrap(),
            subject: bob,
            run: |world| {
                let peer = world.bob.peer();
                peer.member.key_package(&peer.identity).map(drop)
            },
            finish: add_bob,
        },
        Case {
            name: "stage",
            running: true,
            prepare: NOTHING,
            subject: alice,
            run: World::stage_carol,
            finish: World::settle_alice,
        },
        Case {
            name: "merge",
            running: true,
            prepare: |world| world.stage_carol().unwrap(),
            subject: alice,
            run: |world| world.alice.peer().member.merge_staged().map(drop),
            finish: World::settle_alice,
        },
        Case {
            name: "discard",
            running: true,
            prepare: |world| world.stage_carol().unwrap(),
            subject: alice,
            run: |world| world.alice.peer().member.discard_staged(),
            finish: |world| {
                world.staged = None;
                if world.alice.peer().member.is_staged() {
                    world.alice.peer().member.discard_staged().unwrap();
                }
                world.stage_carol().unwrap();
                world.settle_alice();
            },
        },
        Case {
            name: "process a commit",
            running: true,
            prepare: World::bring_carol_in,
            subject: bob,
            run: World::tell_bob,
            finish: World::settle_alice,
        },
        Case {
            name: "a commit against one of its own",
            running: true,
            prepare: |world| {
                _ = world.bob.peer().member.stage_update().unwrap();
                world.bring_carol_in();
            },
            subject: bob,
            run: World::tell_bob,
            finish: World::settle_alice,
        },
        Case {
            name: "join",
            running: true,
            prepare: |world| {
                world.stage_carol().unwrap();
                world.settle_after_merge();
            },
            subject: carol,
            run: World::join_carol,
            finish: |world| {
                if world.carol.peer().member.session().is_none() {
                    world.join_carol().unwrap();
                }
            },
        },
        Case {
            name: "self-update",
            running: true,
            prepare: NOTHING,
            subject: bob,
            run: |world| {
                world.staged = Some(world.bob.peer().member.stage_update()?);
                Ok(())
            },
            finish: settle_bob,
        },
        Case {
            name: "rejoin",
            running: true,
            prepare: |world| world.info = world.alice.peer().member.group_info().unwrap(),
            subject: bob,
            run: |world| {
                let info = world.info.clone();
                world.staged = Some(world.bob.peer().member.stage_rejoin(&info)?);
                Ok(())
            },
            finish: settle_bob,
        },
        Case {
            name: "merge a rejoin",
            running: true,
            prepare: |world| {
                let info = world.alice.peer().member.group_info().unwrap();
                let staged = world.bob.peer().member.stage_rejoin(&info).unwrap();
                world.alice.peer().member.process_commit(&staged.commit).unwrap();
            },
            subject: bob,
            run: |world| world.bob.peer().member.merge_staged().map(drop),
            finish: |world| {
                if world.bob.peer().member.is_staged() {
                    world.bob.peer().member.merge_staged().unwrap();
                }
            },
        },
        Case {
            name: "merge a rejoin that is then given up",
            running: true,
            prepare: |world| {
                let info = world.alice.peer().member.group_info().unwrap();
                world.staged = Some(world.bob.peer().member.stage_rejoin(&info).unwrap());
            },
            subject: bob,
            run: |world| world.bob.peer().member.merge_staged().map(drop),
            finish: |world| {
                let rejoin = world.staged.take().unwrap();
                if world.bob.peer().member.is_staged() {
                    world.bob.peer().member.discard_staged().unwrap();
                } else {
                    world.alice.peer().member.process_commit(&rejoin.commit).unwrap();
                }
                // Through the store before anything else is written.
                let state = world.bob.state();
                world.bob.restart();
                assert_eq!(world.bob.state(), state);
            },
        },
        Case {
            name: "leave",
            running: true,
            prepare: NOTHING,
            subject: bob,
            run: |world| world.bob.peer().member.leave(),
            finish: |world| world.bring_bob_back(),
        },
        Case {
            name: "be removed",
            running: true,
            prepare: |world| {
                let bob = world.bob.id();
                world.staged = Some(world.alice.peer().member.stage_change(vec![], &[bob]).unwrap());
                world.alice.peer().member.merge_staged().unwrap();
            },
            subject: bob,
            run: World::tell_bob,
            finish: |world| world.bring_bob_back(),
        },
        Case {
            name: "checkpoint",
            running: true,
            prepare: NOTHING,
            subject: bob,
            run: |world| world.bob.peer().member.checkpoint(),
            finish: NOTHING,
        },
        Case {
            name: "checkpoint with a change in waiting",
            running: true,
            prepare: |world| world.stage_carol().unwrap(),
            subject: alice,
            run: |world| world.alice.peer().member.checkpoint(),
            finish: World::settle_alice,
        },
        Case {
            name: "name committers",
            running: true,
            prepare: NOTHING,
            subject: alice,
            run: |world| {
                let (peer, bob) = (world.alice.peer.as_mut().unwrap(), world.bob.id());
                world.staged = Some(peer.member.stage_committers(&peer.identity, &[bob])?);
                Ok(())
            },
            finish: World::settle_alice,
        },
    ]
}

impl World {
    /// Bob leaves if he has not, and comes in again.
    fn bring_bob_back(&mut self) {
        self.staged = None;
        let bob = self.bob.id();
        if self.bob.peer().member.session().is_some() {
            self.bob.peer().member.leave().unwrap();
        }
        if self.alice.peer().member.leaf_of(bob).is_some() {
            _ = self.alice.peer().member.stage_change(vec![], &[bob]).unwrap();
            self.alice.peer().member.merge_staged().unwrap();
        }
        let package = self.bob.peer().package();
        let staged = self.alice.peer().member.stage_change(vec![package], &[]).unwrap();
        self.alice.peer().member.merge_staged().unwrap();
        self.join_bob(&staged);
    }

    fn settle_after_merge(&mut self) {
        self.alice.peer().member.merge_staged().unwrap();
        self.tell_bob().unwrap();
    }
}

/// Fails each write of each operation both ways, and goes on with the member that saw it or with one from the store.
fn crash_everywhere(disk: &dyn Fn() -> Box<dyn Disk>, restarts: &[bool]) {
    for case in cases() {
        let mut failures = 0;
        for (fault, restart) in [Fault::Before, Fault::After]
            .into_iter()
            .flat_map(|fault| restarts.iter().map(move |restart| (fault, *restart)))
        {
            for write in 0.. {
                let what = format!("{}, write {write}, {fault:?}, restart {restart}", case.name);
                let mut world = if case.running { World::running(disk) } else { World::new(disk) };
                (case.prepare)(&mut world);
                let subject = (case.subject)(&mut world);
                let before = subject.state();
                subject.trigger.arm(write, fault);
                let result = (case.run)(&mut world);
                let subject = (case.subject)(&mut world);
                if subject.trigger.disarm() {
                    result.unwrap();
                    break;
                }
                failures += 1;
                assert!(matches!(result, Err(Error::Store { .. })), "{what}: {result:?}");
                assert_eq!(subject.state(), before, "{what}: after an error all is as it was");
                if restart {
                    subject.restart();
                    let state = subject.state();
                    match fault {
                        Fault::Before => assert_eq!(state, before, "{what}"),
                        // All of the operation, or nothing.
                        Fault::After if state.epoch == before.epoch => {
                            assert_eq!(state.secret, before.secret, "{what}");
                        }
                        Fault::After => assert!(!state.staged && state != before, "{what}"),
                    }
                }
                (case.finish)(&mut world);
                println!("{what}");
                world.go_on();
            }
        }
        assert!(failures >= 2 * restarts.len(), "{}: nothing was written", case.name);
    }
}

#[test]
fn a_member_in_memory_survives_a_crash_at_every_write() {
    crash_everywhere(&|| Box::new(MemoryStore::new()), &[true, false]);
}

#[cfg(feature = "redb")]
#[test]
fn a_member_in_a_file_survives_a_crash_at_every_write() {
    crash_everywhere(&|| Box::new(tempfile::tempdir().unwrap()), &[true]);
}
