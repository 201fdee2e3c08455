//! The figures of one run, in the shape of the JSON report.

use super::mesh::Mesh;
use super::percentiles::{Percentiles, Spread, measured};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Everything that the demo reports about one run. Its serde form is the JSON report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DemoReport {
    /// Version of the program that ran.
    pub version: String,
    /// Seed of the injected loss and of every other random choice of the run.
    pub seed: u64,
    /// Video frames that the publisher sent.
    pub frames_published: u64,
    /// Audio packets that the publisher sent.
    pub audio_frames_published: u64,
    /// In which steps pictures can be had.
    #[serde(default)]
    pub steps: Steps,
    /// For how long somebody spoke in the sound that was published, in ms.
    #[serde(default)]
    pub spoken_ms: u64,
    /// Whom the screen of several sessions showed, if there were several.
    #[serde(default)]
    pub view: Option<ViewReport>,
    /// Epochs that the session went through, the first included.
    pub epochs: u64,
    /// One entry per watcher, in the order in which they came.
    pub watchers: Vec<WatcherReport>,
    /// One entry per relay.
    pub relays: Vec<RelayReport>,
    /// What happened, in order of time.
    pub events: Vec<Event>,
    /// What the removed member's node could do afterwards.
    pub leaver: Leaver,
    /// Who fed whom while it was published last.
    #[serde(default)]
    pub mesh: Mesh,
    /// The options of the run as they were in force, defaults included.
    pub options: BTreeMap<String, String>,
    /// Where the run took place.
    pub machine: Machine,
    /// CPU time of the whole process, user and system, in seconds.
    #[serde(serialize_with = "measured")]
    pub cpu_seconds: Option<f64>,
}

impl DemoReport {
    /// The JSON report, indented. Figures carry three decimals; what was not measured is `null`.
    ///
    /// # Errors
    /// None that these types can cause; serde's own error type is passed on so that nothing here has to panic.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

/// The name of a node within one run, for example `watcher-1` or `relay-3`. For people and files, never for decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeName(String);

impl NodeName {
    /// A node called `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one watcher received and showed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WatcherReport {
    /// The watcher.
    pub id: NodeName,
    /// When it was a member.
    pub role: Role,
    /// Whether it was a member until the end. The checks of the run cover exactly the watchers that stayed.
    pub stayed: bool,
    /// Frames published while it was a member.
    pub frames_expected: u64,
    /// Frames decoded and shown.
    pub frames_shown: u64,
    /// Of these, shown in fewer layers, or from fewer descriptions, than the publisher made.
    pub frames_reduced: u64,
    /// Frames published while it was a member, by how much of each came: all of it, one of the [`Steps`] less and so on; the last
    /// number is of those that were not shown. Empty where there is one step.
    #[serde(default)]
    pub frames_by_step: Vec<u64>,
    /// Frames that were ready only after their time to be shown.
    pub frames_late: u64,
    /// Audio packets published while it was a member.
    pub audio_expected: u64,
    /// Audio packets decoded and played.
    pub audio_shown: u64,
    /// Audio packets that were missing and concealed by the decoder.
    pub audio_concealed: u64,
    /// Chunks received over all parents, duplicates apart.
    pub chunks_received: u64,
    /// Source symbols that were lost and rebuilt from repair symbols.
    pub chunks_repaired: u64,
    /// Chunks received while it was a member that no key it held could open.
    pub undecryptable_chunks: u64,
    /// Mean luma PSNR of the frames shown against the frames published, in dB.
    #[serde(serialize_with = "measured")]
    pub psnr_y_db: Option<f64>,
    /// Frames that `psnr_y_db` was measured over.
    pub psnr_frames: u64,
    /// From frame captured to frame shown, in milliseconds.
    pub latency_ms: Percentiles,
    /// Where that time went.
    pub stages_ms: StagesMs,
    /// How far apart sound and pictures of one time were heard and seen, in milliseconds.
    #[serde(default)]
    pub lip_sync_ms: Spread,
    /// Bytes received, divided by the bytes of the source symbols published.
    #[serde(serialize_with = "measured")]
    pub downlink_ratio: Option<f64>,
    /// Parents that fed it at the end of the run or when it left.
    pub parents: u32,
    /// What the proofs of authorship said.
    #[serde(default)]
    pub proofs: ProofReport,
    /// What the sound that was heard was made from.
    #[serde(default)]
    pub sound: SoundReport,
    /// Who was heard to speak.
    #[serde(default)]
    pub speech: SpeechReport,
}

/// In which steps pictures can be had: who has less room, or loses much, gets fewer of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// What there are several of.
    pub of: StepKind,
    /// How many; 0 and 1 are the same.
    pub count: u8,
}

/// What pictures are made in several of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Nothing: each picture is there or not.
    #[default]
    Whole,
    /// Layers of resolution.
    Resolutions,
    /// Layers of quality.
    Qualities,
    /// Descriptions.
    Descriptions,
}

/// Whom a screen showed on which there were several publishers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ViewReport {
    /// Publishers.
    pub speakers: u8,
    /// How often it changed.
    pub changes: u64,
    /// Of the time in which one of them spoke and no other did, the part in which that one was shown, in per cent.
    #[serde(serialize_with = "measured")]
    pub right_percent: Option<f64>,
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Whole => "pictures",
            Self::Resolutions => "resolutions",
            Self::Qualities => "qualities",
            Self::Descriptions => "descriptions",
        })
    }
}

/// What the sound that a watcher heard was made from, in ms of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoundReport {
    /// Packets as they came.
    pub packets_ms: u64,
    /// Packets brought back in time by the fountain code, from what later ones carried for them.
    pub repaired_ms: u64,
    /// The coarse copy in the packet after a lost one.
    pub coarse_copies_ms: u64,
    /// The deep redundancy of a later packet.
    pub redundancy_ms: u64,
    /// Guesses from what came before.
    pub concealed_ms: u64,
    /// Pauses that the publisher made.
    pub paused_ms: u64,
    /// Put in by stretching, to have more delay.
    pub stretched_ms: u64,
    /// Taken out by stretching, to have less.
    pub squeezed_ms: u64,
}

/// Who was heard to speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SpeechReport {
    /// For how long the publisher was heard to speak, in ms.
    pub spoken_ms: u64,
    /// Part of the time in which it was so as in the sound that was published, in per cent.
    #[serde(serialize_with = "measured")]
    pub agreement_percent: Option<f64>,
}

/// What a watcher found out about who had sent what it received. Objects are frames and audio packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ProofReport {
    /// Objects received and held against proofs.
    pub objects: u64,
    /// Of these, proven to be the publisher's by Ed25519 and ML-DSA-65.
    pub hybrid: u64,
    /// By Ed25519 alone.
    pub interim: u64,
    /// By nothing.
    pub unproven: u64,
    /// Proven to be somebody else's.
    pub forged: u64,
    /// Proofs that never came.
    pub lost_proofs: u64,
    /// Bytes that chunks with proofs took on the links.
    pub bytes: u64,
    /// The same in per cent of all bytes of chunks received.
    #[serde(serialize_with = "measured")]
    pub downlink_percent: Option<f64>,
}

/// When a watcher was a member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// From before the first frame until the end.
    #[default]
    Stayed,
    /// It joined while the stream was running.
    Joined,
    /// It was removed while the stream was running.
    Left,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stayed => "stayed",
            Self::Joined => "joined",
            Self::Left => "left",
        })
    }
}

/// Where the time between capture and show goes, in milliseconds. Percentiles of each stage by itself: their sum is
/// not the percentile of the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StagesMs {
    /// Frame captured until its coded form leaves the encoder.
    pub encode: Spread,
    /// Coded until enough of its symbols have arrived to rebuild it.
    pub send: Spread,
    /// Rebuilt until its turn to be decoded and shown.
    pub wait: Spread,
    /// The decoder's own time.
    pub decode: Spread,
}

/// What one relay forwarded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RelayReport {
    /// The relay.
    pub id: NodeName,
    /// Whether the run killed it on purpose.
    pub killed: bool,
    /// Chunks received.
    pub chunks_in: u64,
    /// Chunks sent on, one count per receiver.
    pub chunks_out: u64,
    /// Bytes received as chunks.
    pub bytes_in: u64,
    /// Bytes sent on as chunks.
    pub bytes_out: u64,
    /// Content keys in its possession.
    pub content_keys_held: u64,
}

/// Something that happened during the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the start of the run.
    pub at_ms: u64,
    /// What kind of thing.
    pub kind: EventKind,
    /// The node that it happened to, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// The rest, for people.
    pub detail: String,
}

impl Event {
    /// A few words that name the event: the node, if any, and what happened to it.
    pub fn label(&self) -> String {
        match &self.node {
            Some(node) => format!("{node} {}", self.kind.verb()),
            None => self.kind.to_string(),
        }
    }
}

/// Kinds of events. Open: more may come; an unknown kind reads as [`EventKind::Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A relay was killed without warning.
    RelayKilled,
    /// A member was added to the running session.
    MemberJoined,
    /// A member was removed from the running session.
    MemberRemoved,
    /// The session's keys changed.
    EpochChanged,
    /// A watcher noticed that a parent was gone.
    ParentLost,
    /// A watcher found another parent for a stripe.
    ParentReplaced,
    /// A key frame was asked for.
    KeyFrameRequested,
    /// Anything else.
    #[serde(other)]
    Note,
}

impl EventKind {
    /// Whether this is one of the things that the demo does on purpose, which its plots name.
    pub const fn is_landmark(self) -> bool {
        matches!(self, Self::RelayKilled | Self::MemberJoined | Self::MemberRemoved)
    }

    /// What happened, to be read after the name of the node.
    const fn verb(self) -> &'static str {
        match self {
            Self::RelayKilled => "killed",
            Self::MemberJoined => "joined",
            Self::MemberRemoved => "removed",
            Self::EpochChanged => "changed epoch",
            Self::ParentLost => "lost a parent",
            Self::ParentReplaced => "replaced a parent",
            Self::KeyFrameRequested => "asked for a key frame",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::RelayKilled => "relay killed",
            Self::MemberJoined => "member joined",
            Self::MemberRemoved => "member removed",
            Self::EpochChanged => "epoch changed",
            Self::ParentLost => "parent lost",
            Self::ParentReplaced => "parent replaced",
            Self::KeyFrameRequested => "key frame requested",
            Self::Note => "note",
        })
    }
}

/// What the removed member's node got and could read after its removal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaver {
    /// Chunks of later epochs that still reached it.
    pub chunks_seen_after_leave: u64,
    /// How many of those it managed to open.
    pub chunks_opened_after_leave: u64,
}

/// Where the run took place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Processor model.
    pub cpu: String,
    /// Processors that the process may use.
    pub cores: u32,
    /// Operating system.
    pub os: String,
    /// Build profile of the program, for example `release`.
    pub profile: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use serde_json::Value;

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    fn assert_has(value: &Value, names: &[&str]) {
        for name in names {
            assert!(keys(value).contains(name), "{name} is missing from {:?}", keys(value));
        }
    }

    #[test]
    fn json_has_the_documented_shape() {
        let json: Value = serde_json::from_str(&fixture::report().to_json().unwrap()).unwrap();
        assert_has(
            &json,
            &["seed", "frames_published", "audio_frames_published", "epochs", "watchers", "relays"],
        );
        assert_has(&json, &["events", "leaver", "version", "options", "machine", "cpu_seconds"]);
        for watcher in json["watchers"].as_array().unwrap() {
            assert_has(
                watcher,
                &["id", "frames_expected", "frames_shown", "frames_reduced", "frames_late", "audio_expected"],
            );
            assert_has(watcher, &["audio_shown", "undecryptable_chunks", "psnr_y_db", "latency_ms"]);
            assert_has(
                watcher,
                &["downlink_ratio", "parents", "stayed", "role", "stages_ms", "chunks_received"],
            );
            assert_has(watcher, &["chunks_repaired", "audio_concealed", "psnr_frames", "proofs"]);
            assert_has(watcher, &["frames_by_step", "sound", "speech"]);
            assert_has(
                &watcher["sound"],
                &["packets_ms", "repaired_ms", "coarse_copies_ms", "redundancy_ms"],
            );
            assert_has(&watcher["sound"], &["concealed_ms", "paused_ms", "stretched_ms", "squeezed_ms"]);
            assert_eq!(keys(&watcher["speech"]), ["agreement_percent", "spoken_ms"]);
            assert_has(&watcher["proofs"], &["objects", "hybrid", "interim", "unproven", "forged"]);
            assert_has(&watcher["proofs"], &["lost_proofs", "bytes", "downlink_percent"]);
            assert_eq!(keys(&watcher["latency_ms"]), ["p50", "p95", "p99"]);
            assert_eq!(keys(&watcher["stages_ms"]), ["decode", "encode", "send", "wait"]);
            assert_eq!(keys(&watcher["stages_ms"]["wait"]), ["p50", "p95"]);
            assert!(watcher["id"].is_string() && watcher["parents"].is_u64());
        }
        for relay in json["relays"].as_array().unwrap() {
            assert_has(
                relay,
                &["id", "chunks_in", "chunks_out", "bytes_in", "bytes_out", "content_keys_held"],
            );
            assert_has(relay, &["killed"]);
        }
        for event in json["events"].as_array().unwrap() {
            assert_has(event, &["at_ms", "kind", "detail"]);
        }
        assert_eq!(keys(&json["leaver"]), ["chunks_opened_after_leave", "chunks_seen_after_leave"]);
        assert_eq!(keys(&json["machine"]), ["cores", "cpu", "os", "profile"]);
        assert_eq!(json["steps"], serde_json::json!({ "of": "resolutions", "count": 3 }));
        assert_has(&json["mesh"], &["at_ms", "nodes", "feeds"]);
        assert_eq!(json["mesh"]["feeds"][0], serde_json::json!({ "from": "publisher", "to": "relay-1" }));
        let roles: Vec<_> = json["watchers"].as_array().unwrap().iter().map(|w| w["role"].clone()).collect();
        assert!(["stayed", "joined", "left"].iter().all(|role| roles.contains(&Value::from(*role))));
    }

    #[test]
    fn json_reads_back_as_the_report_that_was_written() {
        let report = fixture::report();
        let back: DemoReport = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        assert_eq!(back, report);
    }

    #[test]
    fn what_was_not_measured_is_null_and_reads_back() {
        let mut report = DemoReport { watchers: vec![WatcherReport::default()], ..DemoReport::default() };
        report.watchers[0].psnr_y_db = Some(f64::NAN);
        report.watchers[0].downlink_ratio = Some(f64::INFINITY);
        report.cpu_seconds = Some(f64::NEG_INFINITY);
        let text = report.to_json().unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert!(
            json["watchers"][0]["psnr_y_db"].is_null() && json["watchers"][0]["downlink_ratio"].is_null()
        );
        assert!(json["watchers"][0]["latency_ms"]["p95"].is_null() && json["cpu_seconds"].is_null());
        let back: DemoReport = serde_json::from_str(&text).unwrap();
        assert_eq!(back.watchers[0], WatcherReport::default());
    }

    #[test]
    fn an_event_of_a_later_version_reads_as_a_note() {
        let event: Event = serde_json::from_str(r#"{"at_ms":5,"kind":"comet_seen","detail":"x"}"#).unwrap();
        assert_eq!((event.kind, event.node), (EventKind::Note, None));
    }
}
