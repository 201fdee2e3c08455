//! Who feeds whom.

use super::model::NodeName;
use serde::{Deserialize, Serialize};

/// Who feeds whom at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mesh {
    /// Milliseconds since the start of the run.
    pub at_ms: u64,
    /// Everybody who takes part.
    pub nodes: Vec<MeshNode>,
    /// Who carries some of the pictures to whom, or of the sound where there are no pictures.
    pub feeds: Vec<Feed>,
}

/// A node in a [`Mesh`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshNode {
    /// The node.
    pub id: NodeName,
    /// What it is.
    pub part: Part,
    /// It has been killed or removed by then.
    pub is_gone: bool,
    /// What it claims to others that it can carry, in kbit/s: of a watcher that lends some of its uplink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims_kbit: Option<u64>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Publishes.
    Publisher,
    /// Passes on.
    Relay,
    /// Watches, and passes on as well if it lends.
    #[default]
    Watcher,
}

/// One feeds another.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Feed {
    /// Who sends.
    pub from: NodeName,
    /// Who takes.
    pub to: NodeName,
}

impl Mesh {
    /// How many a node feeds.
    pub fn children(&self, of: &NodeName) -> usize {
        self.feeds.iter().filter(|feed| feed.from == *of).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_counted() {
        let feed = |from: &str, to: &str| Feed { from: NodeName::new(from), to: NodeName::new(to) };
        let mesh = Mesh { feeds: vec![feed("a", "b"), feed("a", "c"), feed("b", "c")], ..Mesh::default() };
        let count = |name: &str| mesh.children(&NodeName::new(name));
        assert_eq!((count("a"), count("b"), count("c")), (2, 1, 0));
    }
}
