//! Many lanes on one socket.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use av_lane::{Error, Event, Lane, LaneId, LaneKey, LaneRole, LaneSlot, LaneTable, MAX_CONTROL_LEN, Route};
use common::{World, address, lane, ms, path};
use core::time::Duration;
use core_types::MonoTime;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A slot whose time is set by the test; its lane is closed, so that it has no times of its own.
#[derive(Debug)]
struct Timed {
    lane: Lane,
    due: Option<MonoTime>,
}

impl LaneSlot for Timed {
    fn lane(&self) -> &Lane {
        &self.lane
    }

    fn deadline(&self) -> Option<MonoTime> {
        self.due
    }
}

fn timed(id: u64, peer: SocketAddr) -> Timed {
    Timed { lane: lane(LaneId(id), LaneRole::Parent, peer, ms(0)), due: None }
}

/// What begins a control packet to a lane; nothing behind it has to be true for it to be handed on.
fn control(id: u64) -> Vec<u8> {
    let mut packet = vec![0; 48];
    (packet[0], packet[1]) = (0x8d, 2);
    packet[2..10].copy_from_slice(&id.to_be_bytes());
    packet
}

#[derive(Debug, Clone)]
enum Step {
    Insert { id: u64, port: u16 },
    Remove { pick: usize },
    Due { pick: usize, after: u64 },
    Wait { micros: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0u64..20, 1u16..12).prop_map(|(id, port)| Step::Insert { id, port }),
        1 => any::<usize>().prop_map(|pick| Step::Remove { pick }),
        4 => (any::<usize>(), 0u64..40_000).prop_map(|(pick, after)| Step::Due { pick, after }),
        3 => (0u64..20_000).prop_map(|micros| Step::Wait { micros }),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_table_is_a_map_with_times(steps in steps(), seed: u64) {
        const LIMIT: u32 = 8;
        let mut table = LaneTable::new(LIMIT, seed);
        let mut now = ms(0);
        // What should be there: where, whose, and when it is due. And who has an address.
        let mut model: BTreeMap<u64, (LaneKey, u16, Option<MonoTime>)> = BTreeMap::new();
        let mut owners: BTreeMap<u16, u64> = BTreeMap::new();
        let mut gone: Vec<LaneKey> = Vec::new();
        for step in steps {
            match step {
                Step::Insert { id, port } => {
                    let outcome = table.insert(now, timed(id, address(1, port)));
                    if model.contains_key(&id) {
                        prop_assert_eq!(outcome, Err(Error::Duplicate(LaneId(id))));
                    } else if model.len() == LIMIT as usize {
                        prop_assert_eq!(outcome, Err(Error::Full { max: 8 }));
                    } else {
                        let inserted = outcome.unwrap();
                        // Nobody proves anything here, so who comes later waits until the address is free.
                        let holder = owners.get(&port).map(|owner| model[owner].0);
                        prop_assert_eq!(inserted.holder, holder);
                        owners.entry(port).or_insert(id);
                        model.insert(id, (inserted.key, port, None));
                    }
                }
                Step::Remove { pick } if !model.is_empty() => {
                    let id = *model.keys().nth(pick % model.len()).unwrap();
                    let (key, port, _) = model.remove(&id).unwrap();
                    prop_assert_eq!(table.remove(key).unwrap().lane.id(), LaneId(id));
                    if owners.get(&port) == Some(&id) {
                        owners.remove(&port);
                        let heir = table.iter().find(|(_, slot)| slot.lane.peer().port() == port);
                        owners.extend(heir.map(|(_, slot)| (port, slot.lane.id().0)));
                    }
                    gone.push(key);
                }
                Step::Due { pick, after } if !model.is_empty() => {
                    let id = *model.keys().nth(pick % model.len()).unwrap();
                    let due = now.plus(Duration::from_micros(after));
                    let entry = model.get_mut(&id).unwrap();
                    entry.2 = Some(due);
                    table.get_mut(now, entry.0).unwrap().due = Some(due);
                }
                Step::Wait { micros } => now = now.plus(Duration::from_micros(micros)),
                _ => {}
            }
            let mut taken = Vec::new();
            while let Some(mut slot) = table.poll_due(now) {
                let id = slot.lane.id().0;
                let due = model[&id].2.unwrap();
                prop_assert!(due <= now, "not before its time");
                slot.due = None;
                taken.push(id);
            }
            for (id, (_, _, due)) in &mut model {
                if taken.contains(id) {
                    *due = None;
                }
                let late = due.is_some_and(|due| due.plus(LaneTable::<Timed>::TICK) <= now);
                prop_assert!(!late, "a tick later at most");
            }
            let first = model.values().filter_map(|(_, _, due)| *due).min();
            match (table.poll_timeout(), first) {
                (None, first) => prop_assert_eq!(first, None),
                (Some(at), Some(first)) => prop_assert!(at <= first.plus(LaneTable::<Timed>::TICK)),
                // One that was due and is no more: found out when the time comes.
                (Some(at), None) => prop_assert!(at > now),
            }
            prop_assert_eq!(table.len(), model.len());
            for (id, (key, ..)) in &model {
                prop_assert_eq!(table.get(*key).unwrap().lane.id(), LaneId(*id));
                prop_assert_eq!(table.by_id(LaneId(*id)), Some(*key));
                prop_assert_eq!(table.route(address(9, 9), &control(*id)), Route::Lane(*key));
            }
            for port in 1..12 {
                let owner = owners.get(&port).map(|id| model[id].0);
                let expected = owner.map_or(Route::Unknown, Route::Lane);
                prop_assert_eq!(table.route(address(1, port), &[0x40; 30]), expected);
                prop_assert_eq!(table.route(address(1, port), b"HMLK..."), Route::Handshake(owner));
            }
            prop_assert!(gone.iter().all(|key| table.get(*key).is_none()), "a key names one lane for ever");
            prop_assert!(gone.iter().all(|key| !table.iter().any(|(at, _)| at == *key)));
        }
    }
}

#[test]
fn an_address_is_found_in_both_families_forms_and_nobody_elses_datagrams_are() {
    let mut table = LaneTable::new(10, 3);
    let key = table.insert(ms(0), timed(1, "10.0.0.7:4000".parse().unwrap())).unwrap().key;
    assert_eq!(table.route("[::ffff:10.0.0.7]:4000".parse().unwrap(), &[0; 40]), Route::Lane(key));
    assert_eq!(table.route("10.0.0.7:4001".parse().unwrap(), &[0; 40]), Route::Unknown);
    assert_eq!(table.route("10.0.0.7:4000".parse().unwrap(), &control(2)), Route::Unknown);
    assert_eq!(table.route("10.0.0.7:4000".parse().unwrap(), &control(1)[..47]), Route::Unknown);
    assert_eq!(
        table.route("10.0.0.7:4000".parse().unwrap(), &[]),
        Route::Lane(key),
        "for the lane to refuse"
    );
    let key6 = table.insert(ms(0), timed(2, "[2001:db8::1]:9".parse().unwrap())).unwrap().key;
    assert_eq!(table.route("[2001:db8::1]:9".parse().unwrap(), &[0; 40]), Route::Lane(key6));
    assert_eq!(table.route("[2001:db8::2]:9".parse().unwrap(), &[0; 40]), Route::Unknown);
}

#[test]
fn a_lane_that_is_due_and_left_so_comes_again_a_tick_later() {
    let mut table = LaneTable::new(10, 3);
    let key = table.insert(ms(0), timed(1, address(1, 1))).unwrap().key;
    table.get_mut(ms(0), key).unwrap().due = Some(ms(0));
    assert!(table.poll_due(ms(0)).is_some());
    assert!(table.poll_due(ms(0)).is_none(), "no endless loop");
    assert_eq!(table.poll_timeout(), Some(ms(5)));
    assert!(table.poll_due(ms(5)).is_some());
}

#[test]
fn places_are_used_again_from_the_front_so_that_lanes_lie_close_together() {
    let mut table = LaneTable::new(100, 3);
    let keys: Vec<_> =
        (0..50).map(|id| table.insert(ms(0), timed(id, address(1, id as u16 + 1))).unwrap().key).collect();
    for key in keys.iter().step_by(2) {
        table.remove(*key).unwrap();
    }
    for id in 50..75 {
        table.insert(ms(0), timed(id, address(1, id as u16 + 1))).unwrap();
    }
    let order: Vec<u64> = table.iter().map(|(_, slot)| slot.lane.id().0).collect();
    let expected: Vec<u64> = (0..25).flat_map(|at| [50 + at, 2 * at + 1]).collect();
    assert_eq!(order, expected);
}

#[test]
fn a_candidate_does_not_take_another_lanes_address_and_a_proven_move_does() {
    let mut table = LaneTable::new(10, 3);
    let (a, b) = (address(2, 1), address(3, 1));
    let mut child = lane(LaneId(1), LaneRole::Child, address(1, 1), ms(0));
    let first = table.insert(ms(0), lane(LaneId(1), LaneRole::Parent, a, ms(0))).unwrap().key;
    let second = table.insert(ms(0), lane(LaneId(2), LaneRole::Parent, b, ms(0))).unwrap().key;
    // The first child settles at its address, and is then at the second one's.
    for (now, from, is_moved) in [(ms(0), a, false), (ms(10), b, true)] {
        child.announce();
        let mut packet = [0; MAX_CONTROL_LEN];
        let mut is_asked = false;
        for _ in 0..3 {
            while let Some((_, len)) = child.poll_transmit(now, &mut packet) {
                let key = table.by_id(LaneId(1)).unwrap();
                table.get_mut(now, key).unwrap().handle_datagram(now, from, &mut packet[..len]).unwrap();
                let owner = table.get(first).unwrap().peer();
                let expected = if is_moved && owner == b { first } else { second };
                assert_eq!(table.route(b, &[0; 40]), Route::Lane(expected));
                is_asked |= owner == a;
            }
            while let Some((_, len)) = table.get_mut(now, first).unwrap().poll_transmit(now, &mut packet) {
                child.handle_datagram(now, address(1, 1), &mut packet[..len]).unwrap();
            }
        }
        assert!(is_asked);
    }
    assert_eq!(table.get(first).unwrap().peer(), b);
    assert_eq!(table.route(b, &[0; 40]), Route::Lane(first));
    assert_eq!(table.route(a, &[0; 40]), Route::Lane(first), "where it was before");
    table.remove(first).unwrap();
    assert_eq!(table.route(a, &[0; 40]), Route::Unknown);
}

#[test]
fn a_lane_takes_an_address_once_its_peer_has_proven_that_it_is_there() {
    let at = address(2, 1);
    let mut table = LaneTable::new(10, 3);
    let honest = table.insert(ms(0), lane(LaneId(1), LaneRole::Parent, at, ms(0))).unwrap().key;
    let mut peer = lane(LaneId(1), LaneRole::Child, address(1, 1), ms(0));
    settle(&mut table, honest, &mut peer, at);
    // Somebody says that it is at the same address, and does not answer there.
    let inserted = table.insert(ms(0), lane(LaneId(2), LaneRole::Parent, at, ms(0))).unwrap();
    assert_eq!(inserted.holder, Some(honest));
    assert_eq!(table.route(at, &[0; 40]), Route::Lane(honest));
    table.remove(inserted.key).unwrap();
    assert_eq!(table.route(at, &[0; 40]), Route::Lane(honest));
    // Somebody else is there: a peer that was started again, in the same place.
    let again = table.insert(ms(0), lane(LaneId(3), LaneRole::Parent, at, ms(0))).unwrap().key;
    let mut peer = lane(LaneId(3), LaneRole::Child, address(1, 1), ms(0));
    settle(&mut table, again, &mut peer, at);
    assert_eq!(table.route(at, &[0; 40]), Route::Lane(again));
    // Whoever has it leaves it to the one that was there before.
    table.remove(again).unwrap();
    assert_eq!(table.route(at, &[0; 40]), Route::Lane(honest));
}

/// The peer at the other end of a lane, which is at `at`, proves that.
fn settle(table: &mut LaneTable<Lane>, key: LaneKey, peer: &mut Lane, at: SocketAddr) {
    let (now, mut packet) = (ms(0), [0; MAX_CONTROL_LEN]);
    for _ in 0..3 {
        while let Some((_, len)) = table.get_mut(now, key).unwrap().poll_transmit(now, &mut packet) {
            peer.handle_datagram(now, address(1, 1), &mut packet[..len]).unwrap();
        }
        while let Some((_, len)) = peer.poll_transmit(now, &mut packet) {
            table.get_mut(now, key).unwrap().handle_datagram(now, at, &mut packet[..len]).unwrap();
        }
    }
    assert!(table.get(key).unwrap().is_ready());
}

#[test]
fn two_hundred_children_are_served_over_one_socket() {
    let mut world = World::with_children(1, path(10), path(10), 200);
    world.frame = Some((4, 1_100));
    world.run(ms(2_500));
    for child in &world.children {
        assert_eq!(child.events(), [Event::Ready]);
        let taken = &child.slot().taken;
        assert!(taken.len() as u64 >= world.next_chunk - 16, "{} of {}", taken.len(), world.next_chunk);
        assert!(taken.values().all(|times| *times == 1));
        assert_eq!((child.unknown, child.refused), (0, 0));
    }
    assert_eq!((world.parent.unknown, world.parent.refused), (0, 0));
}
