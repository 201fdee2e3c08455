//! A run that never took place, for the tests: seven watchers, four relays, a kill, a join and a removal.

use crate::report::{
    DemoReport, Event, EventKind, Feed, Lane, Leaver, Machine, Mesh, MeshNode, NodeName, Part, Percentiles,
    ProofReport, PublisherSample, RelayReport, Role, SoundReport, SoundState, SpeechReport, Spread, StagesMs,
    StepKind, Steps, Timeline, ViewReport, WatcherReport, WatcherSample, WatcherSeries,
};

use proptest::prelude::*;

const END_MS: u64 = 10_400;
const KILL_MS: u64 = 4_000;
const JOIN_MS: u64 = 5_000;
const LEAVE_MS: u64 = 7_000;

/// The figures of the run; every check holds.
pub(crate) fn report() -> DemoReport {
    DemoReport {
        version: "0.1.0".to_owned(),
        seed: 1,
        frames_published: 250,
        audio_frames_published: 500,
        steps: Steps { of: StepKind::Resolutions, count: 3 },
        spoken_ms: 8_130,
        view: Some(ViewReport { speakers: 2, changes: 4, right_percent: Some(81.5) }),
        epochs: 3,
        watchers: (1..=7).map(watcher).collect(),
        relays: (1..=4).map(relay).collect(),
        events: events(),
        leaver: Leaver { chunks_seen_after_leave: 812, chunks_opened_after_leave: 0 },
        mesh: mesh(),
        options: [
            ("relays", "4"),
            ("watchers", "6"),
            ("parents", "4"),
            ("seconds", "10"),
            ("loss", "2"),
            ("kill-relay-at", "4"),
            ("join-at", "5"),
            ("leave-at", "7"),
            ("clip", "assets/clip.ivf"),
            ("audio", "assets/speech.wav"),
            ("out", "demo-out"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into(),
        machine: Machine {
            cpu: "Example CPU @ 3.10 GHz".to_owned(),
            cores: 2,
            os: "Debian GNU/Linux 12".to_owned(),
            profile: "release".to_owned(),
        },
        cpu_seconds: Some(14.37),
    }
}

/// The same run over time.
pub(crate) fn timeline() -> Timeline {
    let publisher = (1..=END_MS / 200).map(|i| PublisherSample {
        t_ms: i * 200,
        encoder_kbit: if i % 10 == 1 { 690.0 } else { 310.0 } + 40.0 * noise(i, 0),
    });
    Timeline {
        publisher: publisher.collect(),
        watchers: (1..=7).map(series).collect(),
        pictures: (1..=7).map(pictures).collect(),
        sound: (1..=7).map(sound).collect(),
        speech: (0..=7).map(speech).collect(),
        view: Some(Lane { id: NodeName::new("in view"), ..lane(1, 2_500, |at, _| (at / 2_500 % 2) as u8) }),
    }
}

/// Each watcher takes from two relays that are left, and the last two from the third watcher, which lends.
fn mesh() -> Mesh {
    let node = |id: &str, part| MeshNode { id: NodeName::new(id), part, is_gone: false, claims_kbit: None };
    let mut nodes = vec![node("publisher", Part::Publisher)];
    nodes.extend((1..=4).map(|n| node(&format!("relay-{n}"), Part::Relay)));
    nodes.extend((1..=7).map(|n| node(&format!("watcher-{n}"), Part::Watcher)));
    (nodes[2].is_gone, nodes[10].is_gone, nodes[7].claims_kbit) = (true, true, Some(5_000));
    let feed = |from: &str, to: String| Feed { from: NodeName::new(from), to: NodeName::new(to) };
    let mut feeds: Vec<Feed> = [1, 3, 4].map(|n| feed("publisher", format!("relay-{n}"))).into();
    for n in [1, 2, 3, 4, 5, 7] {
        feeds.push(feed(if n % 2 == 0 { "relay-3" } else { "relay-1" }, format!("watcher-{n}")));
        feeds.push(feed(if n > 4 { "watcher-3" } else { "relay-4" }, format!("watcher-{n}")));
    }
    Mesh { at_ms: 9_800, nodes, feeds }
}

fn lane(n: u64, step_ms: u64, state: impl Fn(u64, bool) -> u8) -> Lane {
    let (from, to, _) = span(n);
    let name = if n == 0 { "published".to_owned() } else { format!("watcher-{n}") };
    let mut lane = Lane::new(NodeName::new(name));
    for at in (from..to.min(10_000)).step_by(step_ms as usize) {
        lane.push(at, at + step_ms, state(at, (KILL_MS..KILL_MS + 600).contains(&at)));
    }
    lane
}

fn pictures(n: u64) -> Lane {
    lane(n, 40, |at, hurt| match noise(at, n) {
        low if hurt && low < 0.3 => 3,
        low if hurt && low < 0.8 || low < 0.02 => 1 + (n % 2) as u8,
        _ => 0,
    })
}

fn sound(n: u64) -> Lane {
    let states =
        [SoundState::Repaired, SoundState::CoarseCopy, SoundState::Redundancy, SoundState::Concealed];
    lane(n, 20, |at, hurt| match noise(at, n + 20) {
        low if low < if hurt { 0.4 } else { 0.04 } => states[(at / 20) as usize % 4].number(),
        _ if (8_500..9_000).contains(&at) => SoundState::Pause.number(),
        _ => SoundState::Packet.number(),
    })
}

fn speech(n: u64) -> Lane {
    let late = n * 7;
    lane(n, 10, move |at, _| {
        u8::from(at % 4_000 > 300 + late && at % 4_000 < 3_200 + late && at < 8_500 + late)
    })
}

fn events() -> Vec<Event> {
    let event = |at_ms, kind, node: &str, detail: &str| Event {
        at_ms,
        kind,
        node: (!node.is_empty()).then(|| NodeName::new(node)),
        detail: detail.to_owned(),
    };
    vec![
        event(0, EventKind::EpochChanged, "", "epoch 1: six watchers"),
        event(KILL_MS, EventKind::RelayKilled, "relay-2", "fed 6 watchers"),
        event(4_190, EventKind::ParentLost, "watcher-3", "relay-2 silent for 150 ms"),
        event(4_260, EventKind::ParentReplaced, "watcher-3", "relay-4 took over stripe 1"),
        event(JOIN_MS, EventKind::MemberJoined, "watcher-7", "one commit, one welcome"),
        event(5_012, EventKind::EpochChanged, "", "epoch 2"),
        event(5_030, EventKind::KeyFrameRequested, "watcher-7", "merged at relay-1"),
        event(LEAVE_MS, EventKind::MemberRemoved, "watcher-6", "its node keeps getting the traffic"),
        event(7_009, EventKind::EpochChanged, "", "epoch 3"),
    ]
}

/// Any figure, among them often those that no measurement yields.
pub(crate) fn odd_figure() -> impl Strategy<Value = f64> {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, -1.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE];
    prop_oneof![prop::sample::select(odd.to_vec()), any::<u64>().prop_map(f64::from_bits), 0.0..1e4]
}

/// A number in 0..1 that only depends on its arguments.
fn noise(i: u64, of: u64) -> f64 {
    let mixed = (i ^ (of << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / f64::from(1u32 << 24)
}

fn span(n: u64) -> (u64, u64, Role) {
    match n {
        6 => (0, LEAVE_MS, Role::Left),
        7 => (JOIN_MS, END_MS, Role::Joined),
        _ => (0, END_MS, Role::Stayed),
    }
}

fn watcher(n: u64) -> WatcherReport {
    let (from, to, role) = span(n);
    let expected = (to.min(10_000) - from) / 40;
    let slow = (32.0 * noise(n, 9)).round() / 8.0;
    let spread = |p50: f64, p95: f64| Spread { p50: Some(p50 + slow), p95: Some(p95 + 2.0 * slow) };
    WatcherReport {
        id: NodeName::new(format!("watcher-{n}")),
        role,
        stayed: role != Role::Left,
        frames_expected: expected,
        frames_shown: expected - u64::from(n == 3),
        frames_reduced: n % 4,
        frames_by_step: vec![expected - n % 4 - u64::from(n == 3), n % 4, 0, u64::from(n == 3)],
        frames_late: n % 3,
        audio_expected: expected * 2,
        audio_shown: expected * 2 - n % 2,
        audio_concealed: n % 2,
        chunks_received: expected * 11,
        chunks_repaired: 40 + n * 3,
        undecryptable_chunks: 0,
        psnr_y_db: Some(36.25 + n as f64 / 8.0),
        psnr_frames: expected / 5,
        lip_sync_ms: Spread { p50: Some(4.0), p95: Some(11.5) },
        latency_ms: Percentiles { p50: Some(172.5 + slow), p95: Some(214.0 + slow), p99: Some(266.0) },
        stages_ms: StagesMs {
            encode: spread(124.0, 141.0),
            send: spread(9.0, 22.0),
            wait: spread(31.0, 44.0),
            decode: spread(3.5, 6.0),
        },
        downlink_ratio: Some(1.375),
        parents: if role == Role::Left { 0 } else { 4 - u32::from(n == 5) },
        proofs: ProofReport {
            objects: expected * 3,
            hybrid: expected * 3 - n % 2,
            interim: n % 2,
            unproven: 0,
            forged: 0,
            lost_proofs: n % 4,
            bytes: expected * 170,
            downlink_percent: Some(4.25 + n as f64 / 8.0),
        },
        sound: SoundReport {
            packets_ms: expected * 38,
            repaired_ms: 120 + n * 20,
            coarse_copies_ms: 0,
            redundancy_ms: 60,
            concealed_ms: 20 * (n % 2),
            paused_ms: 460,
            stretched_ms: 35,
            squeezed_ms: 12,
        },
        speech: SpeechReport { spoken_ms: expected * 31, agreement_percent: Some(98.5 - n as f64 / 8.0) },
    }
}

fn relay(n: u64) -> RelayReport {
    let killed = n == 2;
    let chunks_in = if killed { 341 } else { 870 + n };
    RelayReport {
        id: NodeName::new(format!("relay-{n}")),
        killed,
        chunks_in,
        chunks_out: chunks_in * 6,
        bytes_in: chunks_in * 1_133,
        bytes_out: chunks_in * 6 * 1_133,
        content_keys_held: 0,
    }
}

fn series(n: u64) -> WatcherSeries {
    let (from, to, _) = span(n);
    let mut shown = 0.0;
    let sample = |i: u64| {
        let t_ms = from + i * 200;
        let hurt = (KILL_MS..KILL_MS + 600).contains(&t_ms);
        shown +=
            if i < 2 || t_ms > 10_200 { 0.0 } else { 5.0 - f64::from(u8::from(hurt && n.is_multiple_of(3))) };
        WatcherSample {
            t_ms,
            frames_shown_total: shown as u64,
            latency_ms_p50: (i >= 2).then(|| {
                168.0 + 10.0 * noise(i, n) + 2.0 * n as f64 + if hurt { 45.0 * noise(n, 3) } else { 0.0 }
            }),
            parents: if hurt { 3 } else { 4 - u32::from(n == 5 && t_ms > KILL_MS) },
            downlink_kbit: if i < 1 {
                0.0
            } else {
                520.0 + 120.0 * noise(i, n) - if hurt { 90.0 } else { 0.0 }
            },
        }
    };
    WatcherSeries {
        id: NodeName::new(format!("watcher-{n}")),
        samples: (0..=(to - from) / 200).map(sample).collect(),
    }
}
