//! Where the demo's nodes leave what they measured. It exists only because they share a process: nothing of it is on the
//! wire.

use super::sources::Clip;
use crate::Error;
use crate::publish::{Observer, Published, StreamKind};
use crate::watch::{MadeFrom, ShownPicture, ShownSound, Sink};
use codec_opus::Activity;
use core_types::{Epoch, FrameSize, MediaTime};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something that happened in the publishing node.
#[derive(Debug, Clone)]
pub(super) struct HostEvent {
    pub(super) at: Instant,
    pub(super) kind: String,
    pub(super) detail: String,
}

/// What the publisher published.
#[derive(Debug, Default)]
pub(super) struct Board {
    published: Mutex<BTreeMap<(StreamKind, MediaTime), Published>>,
    secrets: Mutex<Vec<(Epoch, [u8; 32])>>,
    events: Mutex<Vec<HostEvent>>,
    coded_bytes: Mutex<u64>,
}

impl Observer for Board {
    fn published(&self, object: Published) {
        if object.kind == StreamKind::Video {
            *lock(&self.coded_bytes) += object.coded_bytes as u64;
        }
        lock(&self.published).insert((object.kind, object.pts), object);
    }

    fn epoch_secret(&self, epoch: Epoch, secret: &[u8; 32]) {
        lock(&self.secrets).push((epoch, *secret));
    }

    fn event(&self, kind: &str, detail: String) {
        lock(&self.events).push(HostEvent { at: Instant::now(), kind: kind.into(), detail });
    }
}

impl Board {
    pub(super) fn find(&self, kind: StreamKind, pts: MediaTime) -> Option<Published> {
        lock(&self.published).get(&(kind, pts)).copied()
    }

    /// All that was published of one kind, in the order of its time.
    pub(super) fn all(&self, kind: StreamKind) -> Vec<Published> {
        lock(&self.published).values().filter(|p| p.kind == kind).copied().collect()
    }

    pub(super) fn secrets(&self) -> Vec<(Epoch, [u8; 32])> {
        lock(&self.secrets).clone()
    }

    pub(super) fn events(&self) -> Vec<HostEvent> {
        lock(&self.events).clone()
    }

    pub(super) fn last_event(&self) -> Option<HostEvent> {
        lock(&self.events).last().cloned()
    }

    /// Bytes of coded video so far.
    pub(super) fn coded_bytes(&self) -> u64 {
        *lock(&self.coded_bytes)
    }

    pub(super) fn frames_published(&self) -> u64 {
        lock(&self.published).keys().filter(|(kind, _)| *kind == StreamKind::Video).count() as u64
    }
}

/// One picture that a watcher showed: when, how it fared, and how long each stage took, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) pts: MediaTime,
    pub(super) shown_at: Instant,
    pub(super) latency: f64,
    pub(super) encode: f64,
    pub(super) send: f64,
    pub(super) wait: f64,
    pub(super) decode: f64,
    pub(super) psnr: f64,
    pub(super) coded_size: FrameSize,
    pub(super) made_from: MadeFrom,
}

/// A picture kept for the report: its number in the clip, as watched, and its PSNR.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) index: u64,
    pub(super) frame: codec_av1::Frame,
    pub(super) psnr: f64,
}

/// What one watcher showed.
#[derive(Debug, Default)]
pub(super) struct WatchRecord {
    shown: Mutex<Vec<Shown>>,
    kept: Mutex<Vec<Kept>>,
    sounds: Mutex<Vec<ShownSound>>,
    activity: Mutex<Vec<(MediaTime, Activity)>>,
}

impl WatchRecord {
    pub(super) fn shown(&self) -> Vec<Shown> {
        lock(&self.shown).clone()
    }

    pub(super) fn kept(&self) -> Vec<Kept> {
        lock(&self.kept).clone()
    }

    pub(super) fn sounds(&self) -> Vec<ShownSound> {
        lock(&self.sounds).clone()
    }

    /// What was found of each 10 ms that were heard.
    pub(super) fn activity(&self) -> Vec<(MediaTime, Activity)> {
        lock(&self.activity).clone()
    }

    /// Latencies of what was shown since `since`, in milliseconds.
    pub(super) fn latencies_since(&self, since: Instant) -> Vec<f64> {
        lock(&self.shown).iter().rev().take_while(|s| s.shown_at >= since).map(|s| s.latency).collect()
    }
}

/// The sink that measures: compares each picture with the published one.
pub(super) struct MeasuringSink {
    pub(super) board: Arc<Board>,
    pub(super) record: Arc<WatchRecord>,
    pub(super) clip: Clip,
    /// Numbers of the pictures to keep for the report.
    pub(super) keep: Vec<u64>,
}

impl Sink for MeasuringSink {
    fn picture(&mut self, picture: &ShownPicture<'_>) -> Result<(), Error> {
        let Some(published) = self.board.find(StreamKind::Video, picture.pts) else { return Ok(()) };
        let interval = self.clip.rate.frame_interval();
        let index = (picture.pts.as_duration() + interval / 2).as_nanos() / interval.as_nanos().max(1);
        let index = index as u64;
        let source = self.clip.frame(index);
        let psnr = picture.frame.psnr_y(source).map_err(|e| Error::codec("PSNR", e))?;
        let ms = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1e3;
        let decode = picture.decode_time.as_secs_f64() * 1e3;
        let shown = Shown {
            pts: picture.pts,
            shown_at: picture.shown_at,
            latency: ms(published.captured_at, picture.shown_at),
            encode: ms(published.captured_at, published.encoded_at),
            send: ms(published.encoded_at, picture.assembled_at),
            wait: (ms(picture.assembled_at, picture.shown_at) - decode).max(0.0),
            decode,
            psnr,
            coded_size: picture.coded_size,
            made_from: picture.made_from,
        };
        lock(&self.record.shown).push(shown);
        if self.keep.contains(&index) {
            lock(&self.record.kept).push(Kept { index, frame: picture.frame.clone(), psnr });
        }
        Ok(())
    }

    fn sound(&mut self, sound: ShownSound) {
        lock(&self.record.sounds).push(sound);
    }

    fn activity(&mut self, at: MediaTime, _heard_at: Instant, activity: Activity) {
        lock(&self.record.activity).push((at, activity));
    }
}
