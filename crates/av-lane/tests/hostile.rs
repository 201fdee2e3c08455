//! Forged, repeated and reflected datagrams.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use av_lane::{Error, Event, Fault, Lane, LaneId, LaneRole, LaneSlot, MAX_CONTROL_LEN, Noise};
use common::{World, address, lane, ms, path};
use proptest::prelude::*;

/// All that a lane knows, but for its counters and the wish for whole headers, which anybody may raise.
fn state(lane: &Lane) -> String {
    let text = format!("{lane:?}").replace("unbound: true", "unbound: false");
    text.split("stats:").next().unwrap().to_owned()
}

/// A parent's and a child's lane after two seconds of media.
fn busy(seed: u64) -> World {
    let mut world = World::new(seed, path(20), path(20));
    world.run(ms(3_000));
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_flood_of_garbage_changes_nothing(
        firsts in prop::collection::vec(prop_oneof![Just(0x8du8), Just(0xc0), Just(0x80), Just(0x48), any::<u8>()], 400),
        rests in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 40),
        host: u8,
    ) {
        let mut world = busy(1);
        let now = world.now;
        let peers = [world.child().address, world.parent.address];
        for (node, peer) in [&mut world.parent, &mut world.children[0]].into_iter().zip(peers) {
            let key = node.key();
            let mut slot = node.table.get_mut(now, key).unwrap();
            let before = state(&slot.lane);
            for (at, first) in firsts.iter().enumerate() {
                let mut datagram = vec![*first];
                datagram.extend_from_slice(&rests[at % rests.len()]);
                if *first == 0x8d && datagram.len() > 16 {
                    // As near to a control packet as one gets without the key.
                    datagram[1] = 1 + (at % 7) as u8;
                    datagram.resize(if matches!(datagram[1], 1 | 7) { 72 } else { 48 }, 7);
                    datagram[2..10].copy_from_slice(&slot.lane.id().0.to_be_bytes());
                }
                let from = if at % 2 == 0 { peer } else { address(host, at as u16) };
                let error = slot.lane.handle_datagram(now, from, &mut datagram).unwrap_err();
                prop_assert_eq!(error.fault(), Fault::Network);
            }
            prop_assert_eq!(state(&slot.lane), before);
            let stats = slot.lane.stats();
            prop_assert!(stats.forged + stats.malformed + stats.unbound >= 400);
        }
    }
}

#[test]
fn a_flood_during_a_call_costs_nothing_but_its_opening() {
    let mut world = busy(2);
    let flood: Vec<Vec<u8>> = (0..500u32).map(|at| at.to_be_bytes().repeat(100)).collect();
    for round in 0..20 {
        for (at, datagram) in flood.iter().enumerate() {
            let from = if at % 2 == 0 { world.child().address } else { address(77, at as u16) };
            world.parent.receive(world.now, from, &mut datagram.clone());
            let from = if at % 2 == 0 { world.parent.address } else { address(77, at as u16) };
            world.children[0].receive(world.now, from, &mut datagram.clone());
        }
        world.run(ms(3_000 + round * 100));
    }
    world.run(ms(6_000));
    assert_eq!((world.parent.events(), world.child().events()), (vec![Event::Ready], vec![Event::Ready]));
    let missing =
        (0..world.next_chunk - 30).filter(|seq| !world.child().slot().taken.contains_key(seq)).count();
    assert_eq!(missing, 0);
    assert!(world.parent.refused > 1_000 && world.parent.unknown > 1_000);
    assert_eq!(world.parent.table.len(), 1);
    assert!(world.parent.sent.iter().all(|sent| sent.to == world.child().address), "nobody is answered");
}

#[test]
fn what_was_sent_before_is_not_taken_again_nor_by_who_sent_it() {
    let mut world = busy(3);
    let now = world.now;
    let (down, up) = (world.parent.sent.clone(), world.child().sent.clone());
    assert!(down.len() > 300 && up.len() > 20);
    let addresses = [world.parent.address, world.child().address];
    let [parent, child] = [&mut world.parent, &mut world.children[0]];
    for (node, replayed, reflected, from) in
        [(child, &down, &up, addresses[0]), (parent, &up, &down, addresses[1])]
    {
        let key = node.key();
        let mut slot = node.table.get_mut(now, key).unwrap();
        let lane = &mut slot.lane;
        let before = state(lane);
        // The last few are still on their way: those would be new.
        for sent in replayed.iter().filter(|sent| sent.at < ms(2_950)) {
            let noise = lane.handle_datagram(now, from, &mut sent.bytes.clone()).map(|_| ()).unwrap_err();
            assert_eq!(noise, Error::Noise { lane: lane.id(), why: Noise::Replayed });
        }
        for sent in reflected.iter() {
            let error = lane.handle_datagram(now, from, &mut sent.bytes.clone()).map(|_| ()).unwrap_err();
            assert_eq!(error.fault(), Fault::Network);
            assert_ne!(error, Error::Noise { lane: lane.id(), why: Noise::Replayed });
        }
        assert_eq!(state(lane), before);
    }
}

#[test]
fn no_byte_of_a_control_packet_may_be_altered() {
    let (a, b) = (address(1, 1), address(2, 2));
    let mut child = lane(LaneId(1), LaneRole::Child, b, ms(0));
    let mut parent = lane(LaneId(1), LaneRole::Parent, a, ms(0));
    let mut packet = [0; MAX_CONTROL_LEN];
    let (_, len) = child.poll_transmit(ms(0), &mut packet).unwrap();
    let before = state(&parent);
    for at in 0..len {
        for bit in 0..8 {
            let mut altered = packet[..len].to_vec();
            altered[at] ^= 1 << bit;
            let error = parent.handle_datagram(ms(0), a, &mut altered).map(|_| ()).unwrap_err();
            assert_eq!(error.fault(), Fault::Network, "byte {at} bit {bit}");
        }
    }
    for cut in 0..len {
        assert!(parent.handle_datagram(ms(0), a, &mut packet[..cut].to_vec()).is_err());
    }
    assert_eq!(state(&parent), before);
    assert!(parent.handle_datagram(ms(0), a, &mut packet[..len]).is_ok());
}

#[test]
fn packets_of_another_lane_of_the_same_secrets_are_refused() {
    let (a, b) = (address(1, 1), address(2, 2));
    let mut child = lane(LaneId(1), LaneRole::Child, b, ms(0));
    // The same exported bytes and another id: other keys.
    let config = av_lane::LaneConfig::new(av_lane::PathSecret([1; 32]));
    let (keys, suite) = (common::keys(LaneId(1)), av_lane::LaneSuite::Full);
    let mut other = Lane::new(&config, LaneId(2), LaneRole::Parent, keys, suite, a, ms(0)).unwrap();
    let mut packet = [0; MAX_CONTROL_LEN];
    let (_, len) = child.poll_transmit(ms(0), &mut packet).unwrap();
    let refused = other.handle_datagram(ms(0), a, &mut packet[..len].to_vec()).map(|_| ()).unwrap_err();
    assert_eq!(refused, Error::Noise { lane: LaneId(2), why: Noise::OtherLane });
    packet[2..10].copy_from_slice(&2u64.to_be_bytes());
    let refused = other.handle_datagram(ms(0), a, &mut packet[..len]).map(|_| ()).unwrap_err();
    assert_eq!(refused, Error::Noise { lane: LaneId(2), why: Noise::NotAuthentic });
    assert_eq!(other.lane().stats().forged, 1);
}
