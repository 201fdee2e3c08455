//! Who feeds whom in the demo, by the names that its nodes have there.

use super::run::{RelayNode, WatchNode};
use crate::report::{Feed, Mesh, MeshNode, NodeName, Part};
use core_types::KeyId;
use std::collections::BTreeMap;

/// As it is now.
pub(super) fn of(at_ms: u64, host: KeyId, relays: &[RelayNode], watchers: &[WatchNode]) -> Mesh {
    let publisher = NodeName::new("publisher");
    let mut names = BTreeMap::from([(host, publisher.clone())]);
    let mut nodes = vec![node(&publisher, Part::Publisher)];
    let mut feeds = Vec::new();
    for relay in relays {
        let id = NodeName::new(&relay.name);
        names.insert(relay.key_id, id.clone());
        nodes.push(MeshNode { is_gone: relay.killed, ..node(&id, Part::Relay) });
        if !relay.killed {
            feeds.push(Feed { from: publisher.clone(), to: id });
        }
    }
    for watcher in watchers {
        names.insert(watcher.key_id, NodeName::new(&watcher.name));
    }
    for watcher in watchers {
        let (id, now) = (NodeName::new(&watcher.name), watcher.state.snapshot());
        let is_gone = now.removed_in.is_some();
        let claims_kbit = (now.claimed.0 > 0 && !is_gone).then_some(now.claimed.0 / 1_000);
        nodes.push(MeshNode { is_gone, claims_kbit, ..node(&id, Part::Watcher) });
        if !is_gone {
            let feeders = watcher.state.feeders().into_iter().filter_map(|key| names.get(&key).cloned());
            feeds.extend(feeders.map(|from| Feed { from, to: id.clone() }));
        }
    }
    feeds.sort();
    Mesh { at_ms, nodes, feeds }
}

fn node(id: &NodeName, part: Part) -> MeshNode {
    MeshNode { id: id.clone(), part, ..MeshNode::default() }
}
