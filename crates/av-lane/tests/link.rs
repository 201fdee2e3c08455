//! Two machines without QUIC between them: a link handshake and then a lane, over the same sockets.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use av_lane::{Lane, LaneConfig, LaneId, LaneKeys, LaneRole, LaneSuite, PathSecret, Route};
use av_link::{Event, Initiator, Limits, Link, Listener, Seed};
use common::{Node, World, address, ms, path};
use identity::Identity;
use netsim::Network;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::Arc;

/// Id and keys of the lane of a link: both ends find the same.
fn agree(link: &Link) -> (LaneId, LaneKeys) {
    let (mut id, mut exported) = ([0; 8], [0; LaneKeys::EXPORTED]);
    link.exporter().export("holomesh lane id v1", b"", &mut id).unwrap();
    link.exporter().export("holomesh lane v1", &id, &mut exported).unwrap();
    (LaneId(u64::from_be_bytes(id)), LaneKeys::from_exported(&exported))
}

#[test]
fn a_link_handshake_keys_a_lane_on_the_same_socket() {
    let mut world = World::new(1, path(20), path(20));
    let (parent, child) = (world.parent.address, world.child().address);
    // The world's own lanes make way.
    world.parent = Node::new(parent);
    world.children[0] = Node::new(child);
    world.frame = None;

    let mut rng = StdRng::seed_from_u64(1);
    let alice = Arc::new(Identity::from_seed(&identity::Seed([1; 64])).unwrap());
    let bob = Arc::new(Identity::from_seed(&identity::Seed([2; 64])).unwrap());
    let mut now = world.now;
    let mut listener = Listener::new(now, Arc::clone(&bob), Limits::default(), &mut rng);
    let mut caller = Initiator::new(now, alice, bob.key_id(), &Seed::random(&mut rng)).unwrap();
    let (mut at_child, mut at_parent) = (None, None);
    let network: &mut Network = &mut world.network;
    while at_child.is_none() {
        while let Some(datagram) = caller.poll_transmit() {
            network.send(now, child, parent, datagram);
        }
        while let Some((to, datagram)) = listener.poll_transmit() {
            network.send(now, parent, to, datagram);
        }
        now = network.next_delivery().unwrap();
        let arrived: Vec<_> = network.deliver(now).collect();
        for delivery in arrived {
            let table = if delivery.to == parent { &world.parent.table } else { &world.children[0].table };
            assert_eq!(table.route(delivery.from, &delivery.bytes), Route::Handshake(None));
            if delivery.to == parent {
                listener.handle_datagram(now, delivery.from, &delivery.bytes, &mut rng).unwrap();
            } else {
                caller.handle_datagram(now, &delivery.bytes).unwrap();
            }
        }
        while let Some(who) = listener.poll_caller() {
            at_parent = Some(listener.accept(who.attempt).unwrap());
        }
        if let Some(Event::Linked(link)) = caller.poll_event() {
            at_child = Some(link);
        }
    }
    world.now = now;
    for (node, link, role, peer) in [
        (&mut world.parent, at_parent.unwrap(), LaneRole::Parent, child),
        (&mut world.children[0], *at_child.unwrap(), LaneRole::Child, parent),
    ] {
        let (id, keys) = agree(&link);
        let config = LaneConfig::new(PathSecret([role as u8; 32]));
        node.add(now, Lane::new(&config, id, role, keys, LaneSuite::Bind, peer, now).unwrap());
    }
    (world.frame, world.next_frame) = (Some((10, 1_100)), now);
    world.run(ms(4_000));
    assert!(world.child().slot().taken.len() as u64 > world.next_chunk - 40);
    assert_eq!(world.parent.lane().id(), world.child().lane().id());
    assert_eq!(world.child().table.route(parent, b"HMLK"), Route::Handshake(Some(world.child().key())));
    assert_eq!(world.child().table.route(address(9, 9), b"HMLK"), Route::Handshake(None));
}
