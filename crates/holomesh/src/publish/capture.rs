//! Capture and encoding on threads of their own, in real time.

use super::StreamKind;
use crate::Error;
use codec_av1::{Frame, Packet, Rav1eEncoder, VideoEncoder};
use codec_opus::{EncoderConfig as OpusConfig, OpusEncoder};
use core_types::{BitRate, FrameRate, FrameSize, MediaTime};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A capture that is further behind than this skips frames instead of sending old ones.
const MAX_LAG: Duration = Duration::from_millis(150);

/// Where pictures come from.
pub trait FrameSource: Send {
    /// Their size.
    fn size(&self) -> FrameSize;
    /// How many come each second.
    fn rate(&self) -> FrameRate;
    /// The next picture; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Media`] if the source is damaged.
    fn next(&mut self) -> Result<Option<Arc<Frame>>, Error>;
}

/// Where sound comes from.
pub trait BlockSource: Send {
    /// The next `samples` samples a channel, interleaved; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Media`] if the source is damaged.
    fn next(&mut self, samples: usize) -> Result<Option<Vec<i16>>, Error>;
}

/// How pictures are encoded.
#[derive(Debug, Clone, Copy)]
pub struct VideoConfig {
    /// Target bit rate.
    pub bit_rate: BitRate,
    /// A key frame comes at least this often, in frames.
    pub max_key_interval: u32,
    /// Encoder threads.
    pub threads: usize,
}

/// How sound is encoded.
#[derive(Debug, Clone, Copy)]
pub struct AudioConfig {
    /// The Opus encoder's configuration.
    pub opus: OpusConfig,
}

/// An encoded frame or packet on its way to be sealed.
#[derive(Debug)]
pub struct Encoded {
    /// Which stream it is for.
    pub kind: StreamKind,
    /// The coded bytes.
    pub payload: Vec<u8>,
    /// Presentation time.
    pub pts: MediaTime,
    /// How long it stands.
    pub duration: Duration,
    /// Decoding can start here.
    pub key_frame: bool,
    /// When it was due to be captured.
    pub captured_at: Instant,
    /// When the encoder gave it out.
    pub encoded_at: Instant,
}

/// How a capture thread ended.
#[derive(Debug)]
pub struct CaptureEnd {
    /// Which stream.
    pub kind: StreamKind,
    /// The source's or encoder's error, if it was that.
    pub outcome: Result<(), Error>,
}

/// What the node says to the encoding threads while they run.
#[derive(Debug, Default)]
pub struct EncoderControl {
    key_frame: AtomicBool,
    stop: AtomicBool,
    skipped: AtomicU64,
}

impl EncoderControl {
    /// The next picture shall be a key frame.
    pub fn request_key_frame(&self) {
        self.key_frame.store(true, Ordering::Relaxed);
    }

    /// Stop capturing; what is in the encoder still comes out.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Pictures that were not encoded because encoding was too slow.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What capture threads send.
#[derive(Debug)]
pub enum Capture {
    /// A coded frame or packet.
    Encoded(Encoded),
    /// A thread ended.
    End(CaptureEnd),
}

/// Starts the thread that captures and encodes pictures. Media time counts from `origin`.
///
/// # Errors
/// [`Error::Codec`] if the encoder does not take the size or rate.
pub(crate) fn spawn_video(
    mut source: Box<dyn FrameSource>,
    config: VideoConfig,
    control: Arc<EncoderControl>,
    origin: Instant,
    out: mpsc::Sender<Capture>,
) -> Result<(), Error> {
    let encoder = Rav1eEncoder::new(codec_av1::EncoderConfig {
        size: source.size(),
        rate: source.rate(),
        bit_rate: config.bit_rate,
        max_key_interval: config.max_key_interval,
        threads: config.threads,
    })
    .map_err(|e| Error::codec("AV1 encoder", e))?;
    spawn("encode-video", move || {
        let outcome = run_video(&mut *source, encoder, &control, origin, &out);
        let _ = out.blocking_send(Capture::End(CaptureEnd { kind: StreamKind::Video, outcome }));
    })
}

fn run_video(
    source: &mut dyn FrameSource,
    mut encoder: impl VideoEncoder,
    control: &EncoderControl,
    origin: Instant,
    out: &mpsc::Sender<Capture>,
) -> Result<(), Error> {
    let rate = source.rate();
    let send = |packets: Vec<Packet>| {
        for packet in packets {
            let encoded = Encoded {
                kind: StreamKind::Video,
                captured_at: origin + packet.pts.as_duration(),
                encoded_at: Instant::now(),
                payload: packet.data,
                pts: packet.pts,
                duration: rate.frame_interval(),
                key_frame: packet.key_frame,
            };
            out.blocking_send(Capture::Encoded(encoded)).map_err(|_| Error::Ended("the node"))?;
        }
        Ok::<(), Error>(())
    };
    for index in 0.. {
        let offset = rate.frame_offset(index);
        wait_until(origin + offset);
        if control.stopped() {
            break;
        }
        let Some(frame) = source.next()? else { break };
        if Instant::now().saturating_duration_since(origin + offset) > MAX_LAG {
            control.skipped.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let force_key = control.key_frame.swap(false, Ordering::Relaxed);
        let packets = encoder
            .encode(&frame, MediaTime::from_duration(offset), force_key)
            .map_err(|e| Error::codec("AV1 encoder", e))?;
        send(packets)?;
    }
    send(encoder.flush().map_err(|e| Error::codec("AV1 encoder", e))?)
}

/// Starts the thread that captures and encodes sound. Media time counts from `origin`.
///
/// # Errors
/// [`Error::Codec`] if the encoder does not take the configuration.
pub(crate) fn spawn_audio(
    mut source: Box<dyn BlockSource>,
    config: AudioConfig,
    control: Arc<EncoderControl>,
    origin: Instant,
    out: mpsc::Sender<Capture>,
) -> Result<(), Error> {
    let encoder = OpusEncoder::new(config.opus).map_err(|e| Error::codec("Opus encoder", e))?;
    spawn("encode-audio", move || {
        let outcome = run_audio(&mut *source, encoder, &control, origin, &out);
        let _ = out.blocking_send(Capture::End(CaptureEnd { kind: StreamKind::Audio, outcome }));
    })
}

fn run_audio(
    source: &mut dyn BlockSource,
    mut encoder: OpusEncoder,
    control: &EncoderControl,
    origin: Instant,
    out: &mpsc::Sender<Capture>,
) -> Result<(), Error> {
    let duration = encoder.config().frame.duration();
    let micros = duration.as_micros() as u64;
    for index in 0u64.. {
        let pts = MediaTime(index * micros);
        // A packet can be made only when its last sample has been heard.
        wait_until(origin + pts.as_duration() + duration);
        if control.stopped() {
            break;
        }
        let Some(pcm) = source.next(encoder.samples_per_frame())? else { break };
        let payload = encoder.encode(&pcm).map_err(|e| Error::codec("Opus encoder", e))?;
        let encoded = Encoded {
            kind: StreamKind::Audio,
            payload,
            pts,
            duration,
            key_frame: true,
            captured_at: origin + pts.as_duration(),
            encoded_at: Instant::now(),
        };
        out.blocking_send(Capture::Encoded(encoded)).map_err(|_| Error::Ended("the node"))?;
    }
    Ok(())
}

fn wait_until(due: Instant) {
    let now = Instant::now();
    if due > now {
        thread::sleep(due - now);
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = thread::Builder::new().name(name.into()).spawn(body);
    thread.map(drop).map_err(|e| Error::Network(format!("can't start a thread: {e}")))
}
