//! From what was measured to the report.

use super::board::{Board, WatchRecord};
use super::came::{self, Since, Speaking};
use super::options::Options;
use super::sources::Clip;
use super::tap::RelayTap;
use crate::Error;
use crate::media::frame_to_png;
use crate::publish::{Published, StreamKind};
use crate::report::checks::{Outcome as CheckOutcome, assess};
use crate::report::model::{
    DemoReport, Event, EventKind, Leaver, Machine, NodeName, ProofReport, RelayReport, Role, SoundReport,
    SpeechReport, StagesMs, WatcherReport,
};
use crate::report::{Mesh, Percentiles, PicturePair, Spread, Timeline, html, table};
use crate::watch::{ShownSound, Snapshot};
use core_types::Epoch;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All that the run left behind.
pub(super) struct Outcome {
    pub(super) start: Instant,
    pub(super) clip: Clip,
    pub(super) board: Arc<Board>,
    pub(super) watchers: Vec<(String, Role, Snapshot, Arc<WatchRecord>)>,
    pub(super) relays: Vec<(String, bool, Arc<RelayTap>)>,
    pub(super) events: Vec<Event>,
    pub(super) timeline: Timeline,
    pub(super) mesh: Mesh,
}

/// Writes report and JSON; returns what to print, and whether every promise was kept.
pub(super) fn write(
    options: &Options,
    mut outcome: Outcome,
    cpu_before: Option<Duration>,
) -> Result<(String, bool), Error> {
    let mut report = report(options, &outcome, cpu_before);
    add_rows(options, &mut outcome, &mut report)?;
    let json_path = options.json.clone().unwrap_or_else(|| options.out.join("report.json"));
    let json = report.to_json().map_err(|e| Error::codec("JSON", e))?;
    save(&json_path, json.as_bytes())?;
    let html_path = options.out.join("report.html");
    let page = html::render(&report, &outcome.timeline, &pictures(&outcome)?);
    save(&html_path, page.as_bytes())?;
    let checks = assess(&report);
    let kept = checks.iter().all(|check| check.outcome != CheckOutcome::Fails);
    let text = format!(
        "{}\nreport    {}\nfigures   {}\nrecording {}\n",
        table::render(&report),
        html_path.display(),
        json_path.display(),
        options.out.join("watcher-1.mkv").display(),
    );
    Ok((text, kept))
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    }
    std::fs::write(path, bytes).map_err(Error::file(path))
}

fn report(options: &Options, outcome: &Outcome, cpu_before: Option<Duration>) -> DemoReport {
    let video = outcome.board.all(StreamKind::Video);
    let audio = outcome.board.all(StreamKind::Audio);
    let epochs: BTreeSet<Epoch> = video.iter().chain(&audio).map(|p| p.epoch).collect();
    let leaver = outcome.watchers.iter().find(|(_, role, ..)| *role == Role::Left);
    let leaver = leaver.map_or_else(Leaver::default, |(_, _, last, _)| Leaver {
        chunks_seen_after_leave: last.seen_after_removal,
        chunks_opened_after_leave: last.opened_after_removal,
    });
    let secrets = outcome.board.secrets();
    let relays = outcome.relays.iter().map(|(name, killed, tap)| {
        let stats = tap.counters();
        RelayReport {
            id: NodeName::new(name),
            killed: *killed,
            chunks_in: stats.chunks_in,
            chunks_out: stats.chunks_out,
            bytes_in: stats.bytes_in,
            bytes_out: stats.bytes_out,
            content_keys_held: tap.content_keys_held(&secrets),
        }
    });
    DemoReport {
        version: env!("CARGO_PKG_VERSION").into(),
        seed: options.seed,
        frames_published: video.len() as u64,
        audio_frames_published: audio.len() as u64,
        epochs: epochs.len() as u64,
        watchers: outcome
            .watchers
            .iter()
            .map(|watcher| WatcherReport {
                parents: parents_while_publishing(options, &outcome.timeline, &watcher.0),
                ..watcher_report(watcher, &video, &audio)
            })
            .collect(),
        relays: relays.collect(),
        events: events(outcome),
        leaver,
        steps: options.steps(),
        spoken_ms: 0,
        view: None,
        mesh: outcome.mesh.clone(),
        options: options.shown().into_iter().map(|(name, value)| (name.into(), value)).collect(),
        machine: machine(),
        cpu_seconds: crate::service::cpu_time()
            .zip(cpu_before)
            .map(|(after, before)| (after - before).as_secs_f64()),
    }
}

fn watcher_report(
    (name, role, last, record): &(String, Role, Snapshot, Arc<WatchRecord>),
    video: &[Published],
    audio: &[Published],
) -> WatcherReport {
    let (my_video, my_audio) = (expected(last, video), expected(last, audio));
    let my_pictures: BTreeSet<_> = my_video.iter().map(|p| p.pts).collect();
    let my_sounds: BTreeSet<_> = my_audio.iter().map(|p| p.pts).collect();
    let shown: Vec<_> = record.shown().into_iter().filter(|s| my_pictures.contains(&s.pts)).collect();
    let sounds = record.sounds();
    let heard: BTreeSet<_> = sounds
        .iter()
        .filter(|sound| sound.real && my_sounds.contains(&sound.pts))
        .map(|sound| sound.pts)
        .collect();
    let column = |pick: fn(&super::board::Shown) -> f64| shown.iter().map(pick).collect::<Vec<f64>>();
    let psnr = column(|s| s.psnr);
    let source: usize = my_video.iter().chain(&my_audio).map(|p| p.source_bytes).sum();
    let mut apart: Vec<f64> = shown.iter().filter_map(|picture| apart(picture, &sounds)).collect();
    WatcherReport {
        id: NodeName::new(name),
        role: *role,
        stayed: *role != Role::Left,
        frames_expected: my_video.len() as u64,
        frames_shown: shown.len() as u64,
        frames_reduced: last.played.frames_reduced,
        frames_late: last.played.frames_late,
        audio_expected: my_audio.len() as u64,
        audio_shown: heard.len() as u64,
        audio_concealed: last.played.audio_concealed,
        chunks_received: last.chunks,
        chunks_repaired: last.repaired,
        undecryptable_chunks: last.undecryptable,
        psnr_y_db: (!psnr.is_empty()).then(|| psnr.iter().sum::<f64>() / psnr.len() as f64),
        psnr_frames: psnr.len() as u64,
        latency_ms: Percentiles::of(&mut column(|s| s.latency)),
        lip_sync_ms: Spread::of(&mut apart),
        stages_ms: StagesMs {
            encode: Spread::of(&mut column(|s| s.encode)),
            send: Spread::of(&mut column(|s| s.send)),
            wait: Spread::of(&mut column(|s| s.wait)),
            decode: Spread::of(&mut column(|s| s.decode)),
        },
        downlink_ratio: (source > 0).then(|| last.bytes as f64 / source as f64),
        parents: 0,
        frames_by_step: Vec::new(),
        sound: SoundReport::default(),
        speech: SpeechReport::default(),
        proofs: ProofReport {
            objects: last.proofs.objects,
            hybrid: last.proofs.hybrid,
            interim: last.proofs.interim,
            unproven: last.proofs.unproven,
            forged: last.proofs.forged,
            lost_proofs: last.proofs.lost_proofs,
            bytes: last.proofs.bytes,
            downlink_percent: (last.bytes > 0).then(|| last.proofs.bytes as f64 * 100.0 / last.bytes as f64),
        },
    }
}

/// What a member may expect: everything of the epochs that it was a member in.
fn expected(last: &Snapshot, all: &[Published]) -> Vec<Published> {
    let mine = |p: &&Published| {
        last.first_epoch.is_some_and(|first| p.epoch >= first)
            && last.removed_in.is_none_or(|end| p.epoch < end)
    };
    all.iter().filter(mine).copied().collect()
}

/// The rows of what came at each watcher, and what they add up to.
fn add_rows(options: &Options, outcome: &mut Outcome, report: &mut DemoReport) -> Result<(), Error> {
    let since = Since(outcome.start);
    let (video, audio) = (outcome.board.all(StreamKind::Video), outcome.board.all(StreamKind::Audio));
    let published = Speaking::published(options, 0)?;
    report.spoken_ms = published.spoken_ms();
    // When media time began.
    let zero = audio.first().and_then(|first| first.captured_at.checked_sub(first.pts.as_duration()));
    let zero = zero.map_or(Duration::ZERO, |zero| zero.saturating_duration_since(outcome.start));
    let made = (options.steps(), outcome.clip.size, outcome.clip.rate.frame_interval());
    let timeline = &mut outcome.timeline;
    timeline.speech.push(published.lane("published", zero));
    let mut speakers = vec![published];
    for place in 1..options.speakers {
        let guest = Speaking::published(options, place)?;
        timeline.speech.push(guest.lane(&format!("guest {place}"), zero));
        speakers.push(guest);
    }
    report.view = timeline.view.as_ref().map(|lane| Speaking::view(lane, &speakers, zero));
    let Some(published) = speakers.first() else { return Ok(()) };
    for ((name, _, last, record), watcher) in outcome.watchers.iter().zip(&mut report.watchers) {
        let (pictures, by_step) =
            came::pictures((name, since), made, &expected(last, &video), &record.shown());
        watcher.frames_by_step = by_step;
        timeline.pictures.push(pictures);
        let sound = came::sound((name, since), &expected(last, &audio), &record.sounds());
        watcher.sound = came::sound_report(&sound, &last.played);
        timeline.sound.push(sound);
        let heard = Speaking::of(&record.activity());
        watcher.speech = heard.report(published);
        timeline.speech.push(heard.lane(name, zero));
    }
    Ok(())
}

/// How much sooner or later than its sound a picture was seen, in milliseconds; `None` if nothing was heard then.
fn apart(picture: &super::board::Shown, sounds: &[ShownSound]) -> Option<f64> {
    // The slot of sound that holds the picture's time.
    let next = sounds.partition_point(|sound| sound.pts <= picture.pts);
    let sound = sounds.get(next.checked_sub(1)?)?;
    let into = picture.pts.as_duration().checked_sub(sound.pts.as_duration())?;
    if into > Duration::from_millis(20) {
        return None;
    }
    let heard_at = sound.heard_at + into;
    let ahead = heard_at.saturating_duration_since(picture.shown_at);
    let behind = picture.shown_at.saturating_duration_since(heard_at);
    Some(ahead.max(behind).as_secs_f64() * 1e3)
}

/// Parents at the last sample before publishing ended: afterwards the relays say goodbye one by one.
fn parents_while_publishing(options: &Options, timeline: &Timeline, name: &str) -> u32 {
    let end = (options.seconds * 1e3) as u64;
    let series = timeline.watchers.iter().find(|series| series.id.as_str() == name);
    let last = series.and_then(|series| series.samples.iter().rfind(|sample| sample.t_ms <= end));
    last.map_or(0, |sample| sample.parents)
}

/// The demo's own events and the host's, in order.
fn events(outcome: &Outcome) -> Vec<Event> {
    let mut events = outcome.events.clone();
    for event in outcome.board.events() {
        let kind = match event.kind.as_str() {
            "epoch" => EventKind::EpochChanged,
            "key-frame" => EventKind::KeyFrameRequested,
            // The demo notes itself who joins and leaves.
            "joined" | "removed" => continue,
            _ => EventKind::Note,
        };
        let at_ms = event.at.saturating_duration_since(outcome.start).as_millis() as u64;
        events.push(Event { at_ms, kind, node: None, detail: event.detail });
    }
    events.sort_by_key(|event| event.at_ms);
    events
}

fn pictures(outcome: &Outcome) -> Result<Vec<PicturePair>, Error> {
    let Some((name, _, _, record)) = outcome.watchers.first() else { return Ok(Vec::new()) };
    let kept = record.kept();
    let pair = |kept: &super::board::Kept| {
        let at = outcome.clip.rate.frame_offset(kept.index).as_secs_f64();
        Ok(PicturePair {
            label: format!("{at:.1} s, {name}"),
            published_png: frame_to_png(outcome.clip.frame(kept.index))?,
            watched_png: frame_to_png(&kept.frame)?,
            psnr_db: Some(kept.psnr),
        })
    };
    kept.iter().map(pair).collect()
}

fn machine() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, key: &str, separator: char| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(separator)?.1.trim().trim_matches('"').to_owned())
    };
    Machine {
        cpu: field(&read("/proc/cpuinfo"), "model name", ':')
            .unwrap_or_else(|| std::env::consts::ARCH.into()),
        cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        os: field(&read("/etc/os-release"), "PRETTY_NAME", '=')
            .unwrap_or_else(|| std::env::consts::OS.into()),
        profile: if cfg!(debug_assertions) { "dev (dependencies optimised)" } else { "release" }.into(),
    }
}
