//! `cargo xtask deps`: which crate may reach which, over normal and build dependencies, however far.
//!
//! The laws are those of `docs/ARCHITECTURE.md`. They hold for what is linked; tests may use more.

use std::collections::{HashMap, VecDeque};

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

use crate::shell;

pub(crate) fn run() -> Result<()> {
    let metadata = MetadataCommand::new()
        .current_dir(shell::root()?)
        .exec()
        .context("could not ask cargo for the dependency graph")?;
    let faults = check(&graph(&metadata)?);
    if !faults.is_empty() {
        bail!("the layer laws are broken:\n{}", faults.join("\n"));
    }
    println!("deps: all {} laws hold", LAWS.len());
    Ok(())
}

struct Law {
    says: &'static str,
    /// The crates of ours that it binds.
    binds: fn(&str) -> bool,
    /// What they may not reach.
    forbids: fn(&Node) -> bool,
    /// A crate of ours through which they may reach it.
    except_through: Option<&'static str>,
}

const LAWS: [Law; 11] = [
    Law {
        says: "nothing but `benches` depends on `holomesh`",
        binds: |name| !matches!(name, "holomesh" | "benches"),
        forbids: |node| node.is_ours("holomesh"),
        except_through: None,
    },
    Law {
        says: "`av-relay`, `alm` and `peer-gossip` reach neither `av-mls` nor a codec: a relay can't name a content key",
        binds: |name| matches!(name, "av-relay" | "alm" | "peer-gossip"),
        forbids: |node| {
            node.is_ours("av-mls")
                || node.is_ours("mls-provider")
                || node.is_ours("av1-backends")
                || node.is_ours("opus-backends")
                || (node.ours && node.name.starts_with("codec-"))
        },
        except_through: None,
    },
    Law {
        says: "`alm` does not reach `av-wire`",
        binds: |name| name == "alm",
        forbids: |node| node.is_ours("av-wire"),
        except_through: None,
    },
    Law {
        says: "`av-link` reaches `core-types` and `identity` alone of ours",
        binds: |name| name == "av-link",
        forbids: |node| node.ours && !matches!(node.name.as_str(), "core-types" | "identity"),
        except_through: None,
    },
    Law {
        says: "`av-congestion` and `netsim` reach `core-types` alone of ours",
        binds: |name| matches!(name, "av-congestion" | "netsim"),
        forbids: |node| node.ours && node.name != "core-types",
        except_through: None,
    },
    Law {
        says: "`av-lane` carries what it can't read: it reaches neither `av-mls`, a codec nor `av-relay`",
        binds: |name| name == "av-lane",
        forbids: |node| {
            node.is_ours("av-mls")
                || node.is_ours("mls-provider")
                || node.is_ours("av-relay")
                || (node.ours && node.name.starts_with("codec-"))
        },
        except_through: None,
    },
    Law {
        says: "`mls-provider` depends on nothing of ours but `core-types`",
        binds: |name| name == "mls-provider",
        forbids: |node| node.ours && node.name != "core-types",
        except_through: None,
    },
    Law {
        says: "`consent-decay` and `symbol-store` reach `core-types` and `identity` alone of ours, beside each other: a store \
               can't name a content key",
        binds: |name| matches!(name, "consent-decay" | "symbol-store"),
        forbids: |node| {
            node.ours
                && !matches!(node.name.as_str(), "core-types" | "identity" | "consent-decay" | "symbol-store")
        },
        except_through: None,
    },
    Law {
        says: "`core-types` and `gf256` depend on nothing of ours",
        binds: |name| matches!(name, "core-types" | "gf256"),
        forbids: |node| node.ours,
        except_through: None,
    },
    Law {
        says: "nothing depends on `holonomic-compat`: it is for what was before",
        binds: |name| name != "holonomic-compat",
        forbids: |node| node.is_ours("holonomic-compat"),
        except_through: None,
    },
    Law {
        says: "only `holomesh` has tokio",
        binds: |name| name != "holomesh",
        forbids: |node| node.name == "tokio",
        except_through: Some("holomesh"),
    },
];

/// The crates that the laws name: were one renamed, its laws would hold for want of anybody to break them.
const NAMED: [&str; 17] = [
    "alm",
    "av-congestion",
    "av-lane",
    "av-link",
    "av-mls",
    "av-relay",
    "av-wire",
    "benches",
    "consent-decay",
    "core-types",
    "gf256",
    "holomesh",
    "holonomic-compat",
    "mls-provider",
    "netsim",
    "peer-gossip",
    "symbol-store",
];

/// What is wrong, one line for each pair of a crate and a law that it breaks.
fn check(graph: &Graph) -> Vec<String> {
    let mut faults = Vec::new();
    for name in NAMED {
        if !graph.nodes.iter().any(|node| node.is_ours(name)) {
            faults.push(format!("  the laws name `{name}`, and the workspace has no such crate"));
        }
    }
    for law in &LAWS {
        for (from, node) in graph.nodes.iter().enumerate() {
            if !node.ours || !(law.binds)(&node.name) {
                continue;
            }
            if let Some(path) = graph.path(from, law) {
                faults.push(format!("  {}: {}", law.says, path.join(" -> ")));
            }
        }
    }
    faults
}

#[derive(Debug, Default)]
struct Graph {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    name: String,
    ours: bool,
    deps: Vec<usize>,
}

impl Node {
    fn is_ours(&self, name: &str) -> bool {
        self.ours && self.name == name
    }
}

impl Graph {
    /// The shortest way by which the crate reaches something that the law forbids it.
    fn path(&self, from: usize, law: &Law) -> Option<Vec<&str>> {
        let mut reached_by: HashMap<usize, Option<usize>> = HashMap::from([(from, None)]);
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            let node = &self.nodes[at];
            if at != from && (law.forbids)(node) {
                let mut path = vec![node.name.as_str()];
                let mut step = at;
                while let Some(Some(before)) = reached_by.get(&step) {
                    path.push(&self.nodes[*before].name);
                    step = *before;
                }
                path.reverse();
                return Some(path);
            }
            if law.except_through.is_some_and(|name| node.is_ours(name)) {
                continue;
            }
            for &dep in &node.deps {
                reached_by.entry(dep).or_insert_with(|| {
                    queue.push_back(dep);
                    Some(at)
                });
            }
        }
        None
    }
}

/// The graph as cargo resolved it; edges for tests alone are left out.
fn graph(metadata: &Metadata) -> Result<Graph> {
    let resolve = metadata.resolve.as_ref().context("cargo gave no dependency graph")?;
    let index: HashMap<_, _> = resolve.nodes.iter().enumerate().map(|(at, node)| (&node.id, at)).collect();
    let mut graph = Graph::default();
    for node in &resolve.nodes {
        let linked = node.deps.iter().filter(|dep| {
            dep.dep_kinds
                .iter()
                .any(|kind| matches!(kind.kind, DependencyKind::Normal | DependencyKind::Build))
        });
        graph.nodes.push(Node {
            name: metadata[&node.id].name.to_string(),
            ours: metadata.workspace_members.contains(&node.id),
            deps: linked.filter_map(|dep| index.get(&dep.pkg).copied()).collect(),
        });
    }
    Ok(graph)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [(&str, &[&str]); 20] = [
        ("core-types", &["thiserror"]),
        ("gf256", &[]),
        ("identity", &["core-types"]),
        ("av-wire", &["core-types", "identity"]),
        ("av-link", &["core-types", "identity"]),
        ("mls-provider", &["openmls"]),
        ("av-mls", &["core-types", "mls-provider", "openmls"]),
        ("av-relay", &["core-types", "av-wire"]),
        ("av-congestion", &["core-types"]),
        ("av-lane", &["core-types", "av-wire", "av-congestion"]),
        ("netsim", &["core-types"]),
        ("alm", &["core-types", "identity"]),
        ("peer-gossip", &["core-types", "identity", "av-wire", "alm"]),
        ("consent-decay", &["core-types", "identity"]),
        ("symbol-store", &["core-types", "identity", "consent-decay"]),
        ("codec-opus", &["core-types"]),
        ("holonomic-compat", &["core-types", "identity", "alm"]),
        ("holomesh", &["av-mls", "av-relay", "av-lane", "alm", "codec-opus", "iroh"]),
        ("benches", &["holomesh"]),
        ("xtask", &["thiserror"]),
    ];
    const THEIRS: [(&str, &[&str]); 4] =
        [("thiserror", &[]), ("openmls", &["thiserror"]), ("iroh", &["tokio"]), ("tokio", &[])];

    /// The lawful graph with more edges.
    fn with(edges: &[(&str, &str)]) -> Graph {
        let all: Vec<_> =
            OURS.iter().map(|entry| (entry, true)).chain(THEIRS.iter().map(|entry| (entry, false))).collect();
        let place = |name: &str| all.iter().position(|((other, _), _)| *other == name).unwrap();
        let mut graph = Graph::default();
        for ((name, deps), ours) in &all {
            let more = edges.iter().filter(|(from, _)| from == name).map(|(_, to)| to);
            let deps = deps.iter().chain(more).map(|dep| place(dep)).collect();
            graph.nodes.push(Node { name: (*name).to_owned(), ours: *ours, deps });
        }
        graph
    }

    #[track_caller]
    fn assert_broken(edges: &[(&str, &str)], law: &str, path: &str) {
        let faults = check(&with(edges));
        assert!(faults.iter().any(|fault| fault.contains(law) && fault.ends_with(path)), "{faults:#?}");
    }

    #[test]
    fn the_layers_as_drawn_are_lawful() {
        assert_eq!(check(&with(&[])), Vec::<String>::new());
    }

    #[test]
    fn nothing_depends_on_the_node() {
        let law = "nothing but `benches` depends on `holomesh`";
        assert_broken(&[("codec-opus", "holomesh")], law, ": codec-opus -> holomesh");
        assert_broken(&[("xtask", "holomesh")], law, ": xtask -> holomesh");
    }

    #[test]
    fn a_relay_reaches_neither_keys_nor_codecs() {
        let law = "`av-relay`, `alm` and `peer-gossip` reach neither";
        assert_broken(&[("av-relay", "av-mls")], law, ": av-relay -> av-mls");
        assert_broken(&[("identity", "av-mls")], law, ": alm -> identity -> av-mls");
        assert_broken(&[("alm", "mls-provider")], law, ": alm -> mls-provider");
        assert_broken(&[("peer-gossip", "av-mls")], law, ": peer-gossip -> av-mls");
        assert_broken(&[("av-wire", "codec-opus")], law, ": av-relay -> av-wire -> codec-opus");
    }

    #[test]
    fn the_overlay_does_not_reach_the_wire() {
        assert_broken(&[("alm", "av-wire")], "`alm` does not reach `av-wire`", ": alm -> av-wire");
    }

    #[test]
    fn the_link_handshake_knows_no_media() {
        let law = "`av-link` reaches `core-types` and `identity` alone of ours";
        assert_broken(&[("av-link", "av-wire")], law, ": av-link -> av-wire");
    }

    #[test]
    fn rates_and_lanes_know_no_media() {
        let law = "`av-congestion` and `netsim` reach `core-types` alone of ours";
        assert_broken(&[("av-congestion", "av-wire")], law, ": av-congestion -> av-wire");
        assert_broken(&[("netsim", "identity")], law, ": netsim -> identity");
        let law = "`av-lane` carries what it can't read";
        assert_broken(&[("av-lane", "av-relay")], law, ": av-lane -> av-relay");
        assert_broken(&[("av-congestion", "codec-opus")], law, ": av-lane -> av-congestion -> codec-opus");
    }

    #[test]
    fn a_store_knows_no_content_keys() {
        let law = "`consent-decay` and `symbol-store` reach `core-types` and `identity` alone";
        assert_broken(&[("symbol-store", "av-wire")], law, ": symbol-store -> av-wire");
        assert_broken(&[("consent-decay", "av-mls")], law, ": symbol-store -> consent-decay -> av-mls");
    }

    #[test]
    fn what_openmls_stands_on_knows_nothing_of_sessions() {
        let law = "`mls-provider` depends on nothing of ours but `core-types`";
        assert_broken(&[("mls-provider", "identity")], law, ": mls-provider -> identity");
        assert_eq!(check(&with(&[("mls-provider", "core-types")])), Vec::<String>::new());
    }

    #[test]
    fn the_core_stands_alone() {
        let law = "`core-types` and `gf256` depend on nothing of ours";
        assert_broken(&[("core-types", "identity")], law, ": core-types -> identity");
        assert_broken(&[("thiserror", "xtask")], law, ": core-types -> thiserror -> xtask");
    }

    #[test]
    fn nothing_depends_on_what_was_before() {
        let law = "nothing depends on `holonomic-compat`";
        assert_broken(&[("holomesh", "holonomic-compat")], law, ": holomesh -> holonomic-compat");
    }

    #[test]
    fn tokio_stays_in_the_node() {
        let law = "only `holomesh` has tokio";
        assert_broken(&[("av-wire", "tokio")], law, ": av-relay -> av-wire -> tokio");
        assert_broken(&[("openmls", "tokio")], law, ": av-mls -> openmls -> tokio");
        assert_broken(&[("benches", "tokio")], law, ": benches -> tokio");
    }

    #[test]
    fn a_law_on_a_crate_that_is_gone_is_a_fault() {
        let mut graph = with(&[]);
        for node in &mut graph.nodes {
            if node.name == "av-mls" {
                node.name = "av-keys".to_owned();
            }
        }
        let faults = check(&graph);
        assert!(
            faults.iter().any(|fault| fault.contains("`av-mls`, and the workspace has no")),
            "{faults:#?}"
        );
    }

    #[test]
    fn test_dependencies_are_not_edges_and_build_dependencies_are() {
        let package = |name: &str| {
            serde_json::json!({
                "name": name, "version": "0.1.0", "id": name, "dependencies": [], "targets": [], "features": {},
                "manifest_path": "Cargo.toml",
            })
        };
        let dep = |name: &str, kind: &str| serde_json::json!({ "name": name, "pkg": name, "dep_kinds": [{ "kind": kind, "target": null }] });
        let metadata: Metadata = serde_json::from_value(serde_json::json!({
            "packages": [package("a"), package("b"), package("c"), package("d")],
            "workspace_members": ["a"], "workspace_root": "", "target_directory": "", "version": 1,
            "resolve": { "root": null, "nodes": [
                { "id": "a", "dependencies": [], "deps": [dep("b", "dev"), dep("c", "build"), dep("d", "normal")] },
                { "id": "b", "dependencies": [], "deps": [] },
                { "id": "c", "dependencies": [], "deps": [] },
                { "id": "d", "dependencies": [], "deps": [] },
            ] },
        }))
        .unwrap();
        let graph = graph(&metadata).unwrap();
        let reached: Vec<&str> =
            graph.nodes[0].deps.iter().map(|dep| graph.nodes[*dep].name.as_str()).collect();
        assert_eq!(reached, ["c", "d"]);
        assert!(graph.nodes[0].ours && !graph.nodes[1].ours);
    }
}
