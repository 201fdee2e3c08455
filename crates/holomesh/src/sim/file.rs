//! Scenarios as files: TOML, all in milliseconds, kbit/s and permille.

use crate::Error;
use alm::sim::{Bursts, Class, Happening, Roles, Scenario};
use core_types::BitRate;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// Larger files are not scenarios.
const MAX_FILE: u64 = 1 << 20;

/// A scenario, and what a run of it has to keep to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) about: String,
    pub(super) scenario: Scenario,
    pub(super) expect: Expect,
}

/// Reads a scenario file.
pub(super) fn load(path: &Path) -> Result<Loaded, Error> {
    let size = std::fs::metadata(path).map_err(Error::file(path))?.len();
    let named = || path.display().to_string();
    if size > MAX_FILE {
        return Err(Error::input(named(), "larger than 1 MiB: not a scenario"));
    }
    let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
    parse(&text).map_err(|why| Error::input(named(), why))
}

fn parse(text: &str) -> Result<Loaded, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
    let loaded = file.into_loaded();
    loaded.scenario.validate().map_err(|e| e.to_string())?;
    Ok(loaded)
}

/// What is not given is as in [`Scenario::default`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    about: String,
    seed: Option<u64>,
    nodes: Option<u32>,
    join_within_ms: Option<u64>,
    start_ms: Option<u64>,
    length_ms: Option<u64>,
    fps: Option<u16>,
    source_chunks: Option<u8>,
    repair_chunks: Option<u8>,
    chunk_bytes: Option<u16>,
    parents: Option<u8>,
    spares: Option<u8>,
    deadline_ms: Option<u64>,
    publisher_uplink_kbit: Option<u64>,
    claim_permille: Option<u16>,
    loss_permille: Option<u16>,
    known: Option<u16>,
    link_timeout_ms: Option<u64>,
    relays_repair_all: Option<bool>,
    classes: Option<Vec<ClassOf>>,
    bursts: Option<BurstsOf>,
    roles: RolesOf,
    events: Vec<Event>,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassOf {
    share: u16,
    uplink_kbit: u64,
    latency_ms: [u64; 2],
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BurstsOf {
    start_permille: u16,
    stop_permille: u16,
    loss_permille: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RolesOf {
    lying_permille: u16,
    stalling_permille: u16,
    stall_at_ms: u64,
    slow_permille: u16,
    slow_by_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
enum Event {
    FlashCrowd { at_ms: u64, count: u32, within_ms: u64 },
    Churn { from_ms: u64, until_ms: u64, permille_per_second: u16 },
    Kill { at_ms: u64, parents: u8, within_ms: u64 },
    Bandwidth { at_ms: u64, share_permille: u16, to_permille: u16 },
    Partition { at_ms: u64, until_ms: u64, share_permille: u16 },
}

/// Bounds; what is not given is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expect {
    /// Frames shown in time by who had shown one before, at least.
    pub(super) shown_permille: Option<u64>,
    /// Frames missed, at most.
    pub(super) missed: Option<u64>,
    /// The longest time without a new frame, at most.
    pub(super) worst_gap_ms: Option<u64>,
    /// Watchers with a picture a second after they joined, at least.
    pub(super) served_within_1s_permille: Option<u64>,
    /// Chunks that came in time without being asked for, at least.
    pub(super) first_delivery_permille: Option<u64>,
    /// Bytes that came for each byte of source, in permille, at most.
    pub(super) downlink_permille: Option<u64>,
    /// From the death of a parent to the full rate, at the 99th percentile, at most.
    pub(super) recovery_p99_ms: Option<u64>,
    /// Hops from the publisher, at most.
    pub(super) hops: Option<u64>,
    /// Watchers that promised more than they could send, at most.
    pub(super) over_capacity: Option<u64>,
}

impl File {
    fn into_loaded(self) -> Loaded {
        let base = Scenario::default();
        let time = |given: Option<u64>, otherwise| given.map_or(otherwise, Duration::from_millis);
        let scenario = Scenario {
            seed: self.seed.unwrap_or(base.seed),
            nodes: self.nodes.unwrap_or(base.nodes),
            join_within: time(self.join_within_ms, base.join_within),
            start: time(self.start_ms, base.start),
            length: time(self.length_ms, base.length),
            fps: self.fps.unwrap_or(base.fps),
            source_chunks: self.source_chunks.unwrap_or(base.source_chunks),
            repair_chunks: self.repair_chunks.unwrap_or(base.repair_chunks),
            chunk_bytes: self.chunk_bytes.unwrap_or(base.chunk_bytes),
            parents: self.parents.unwrap_or(base.parents),
            spares: self.spares.unwrap_or(base.spares),
            deadline: time(self.deadline_ms, base.deadline),
            publisher_uplink: self.publisher_uplink_kbit.map_or(base.publisher_uplink, BitRate::from_kbit),
            classes: match self.classes {
                Some(classes) => classes.into_iter().map(ClassOf::into_class).collect(),
                None => base.classes,
            },
            claim_permille: self.claim_permille.unwrap_or(base.claim_permille),
            loss_permille: self.loss_permille.unwrap_or(base.loss_permille),
            bursts: self.bursts.map(BurstsOf::into_bursts),
            roles: self.roles.into_roles(),
            known: self.known.unwrap_or(base.known),
            link_timeout: time(self.link_timeout_ms, base.link_timeout),
            relays_repair_all: self.relays_repair_all.unwrap_or(base.relays_repair_all),
            subscription: base.subscription,
            events: self.events.into_iter().map(Event::into_happening).collect(),
        };
        Loaded { about: self.about, scenario, expect: self.expect }
    }
}

impl ClassOf {
    fn into_class(self) -> Class {
        let [low, high] = self.latency_ms.map(Duration::from_millis);
        Class { share: self.share, uplink: BitRate::from_kbit(self.uplink_kbit), latency: (low, high) }
    }
}

impl BurstsOf {
    const fn into_bursts(self) -> Bursts {
        Bursts { start: self.start_permille, stop: self.stop_permille, loss: self.loss_permille }
    }
}

impl RolesOf {
    const fn into_roles(self) -> Roles {
        Roles {
            lying: self.lying_permille,
            stalling: self.stalling_permille,
            stall_at: Duration::from_millis(self.stall_at_ms),
            slow: self.slow_permille,
            slow_by: Duration::from_millis(self.slow_by_ms),
        }
    }
}

impl Event {
    fn into_happening(self) -> Happening {
        let ms = Duration::from_millis;
        match self {
            Self::FlashCrowd { at_ms, count, within_ms } => {
                Happening::FlashCrowd { at: ms(at_ms), count, within: ms(within_ms) }
            }
            Self::Churn { from_ms, until_ms, permille_per_second } => {
                Happening::Churn { from: ms(from_ms), until: ms(until_ms), permille_per_second }
            }
            Self::Kill { at_ms, parents, within_ms } => {
                Happening::Kill { at: ms(at_ms), parents, within: ms(within_ms) }
            }
            Self::Bandwidth { at_ms, share_permille, to_permille } => {
                Happening::Bandwidth { at: ms(at_ms), share: share_permille, to: to_permille }
            }
            Self::Partition { at_ms, until_ms, share_permille } => {
                Happening::Partition { at: ms(at_ms), until: ms(until_ms), share: share_permille }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_is_as_usual_and_what_is_given_counts() {
        assert_eq!(parse("").unwrap().scenario, Scenario::default());
        let text = "nodes = 7\nlength_ms = 9_000\n[[events]]\nkind = \"kill\"\nat_ms = 3_000\nparents = 2\nwithin_ms = 100\n\
                    [expect]\nmissed = 0\n";
        let loaded = parse(text).unwrap();
        let (scenario, ms) = (loaded.scenario, Duration::from_millis);
        assert_eq!((scenario.nodes, scenario.length), (7, ms(9_000)));
        assert_eq!(scenario.events, [Happening::Kill { at: ms(3_000), parents: 2, within: ms(100) }]);
        assert_eq!(loaded.expect, Expect { missed: Some(0), ..Expect::default() });
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, words) in [
            ("nodes = 7\nnodse = 8", vec!["line 2", "nodse", "nodes"]),
            ("fps = 0", vec!["fps", "1 to 240"]),
            ("[[events]]\nkind = \"explode\"", vec!["line 2", "explode", "flash-crowd"]),
            ("[[events]]\nkind = \"kill\"\nat_ms = 1\nparents = 99\nwithin_ms = 0", vec!["1 to 16"]),
            ("nodes = [", vec!["line 1"]),
        ] {
            let why = parse(text).unwrap_err();
            assert!(words.iter().all(|word| why.contains(word)), "{why}");
        }
    }
}
