//! Capture and encoding on threads of their own, in real time.

use super::haste::Haste;
use super::switching::SwitchPoints;
use super::{EncoderControl, RateBounds, StreamKind};
use crate::Error;
use codec_av1::{Frame, LibaomEncoder, Packet, Rav1eEncoder, SimulcastEncoder, Structure, VideoEncoder};
use codec_fountain::BlockShape;
use codec_mdc::Descriptions;
use codec_opus::{Channels, EncoderConfig as OpusConfig};
use core_types::{BitRate, FrameRate, FrameSize, Layer, MediaTime, ObjectClass};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

mod sound;

pub(crate) use sound::prepare_audio;

/// A capture that is further behind than this skips frames instead of sending old ones.
const MAX_LAG: Duration = Duration::from_millis(150);

/// Who waits for the next picture looks so often whether there is to be one.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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

/// What encodes pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Encoder {
    /// libaom: an eighth to a seventh of the time that rav1e takes, no delay, and a bit rate that changes without a key frame.
    #[default]
    Libaom,
    /// rav1e, in Rust: gives a picture out four pictures later.
    Rav1e,
}

impl Encoder {
    /// Whether it can make these layers: known before anything is opened.
    ///
    /// # Errors
    /// [`Error::Input`], naming the option and what would do.
    pub fn check(self, layers: Structure) -> Result<(), Error> {
        if self == Self::Rav1e && (layers.temporal() > 1 || layers.quality() > 1) {
            let why = "rav1e has L1T1, L2T1 and L3T1; take one of these, or --encoder libaom";
            return Err(Error::input(format!("--layers {layers}"), why));
        }
        Ok(())
    }

    /// Opens it. rav1e makes each resolution a stream of its own.
    fn open(
        self,
        config: codec_av1::EncoderConfig,
        layers: Structure,
    ) -> Result<Box<dyn VideoEncoder>, codec_av1::Error> {
        Ok(match self {
            Self::Libaom => Box::new(LibaomEncoder::layered(config, layers)?),
            Self::Rav1e if layers == Structure::L1T1 => Box::new(Rav1eEncoder::new(config)?),
            Self::Rav1e => Box::new(SimulcastEncoder::new(config, layers)?),
        })
    }
}

/// How pictures are encoded.
#[derive(Debug, Clone, Copy)]
pub struct VideoConfig {
    /// By what.
    pub encoder: Encoder,
    /// In which layers.
    pub layers: Structure,
    /// In how many descriptions, if in several: each goes out as a stream of its own.
    pub descriptions: Option<Descriptions>,
    /// Target bit rate to begin with.
    pub bit_rate: BitRate,
    /// Where [`EncoderControl::set_bit_rate`] may take it; `None` if it stays as it is.
    pub bounds: Option<RateBounds>,
    /// A key frame comes at least this often, in frames.
    pub max_key_interval: u32,
    /// Encoder threads.
    pub threads: usize,
}

impl VideoConfig {
    /// Whether it can be done: known before anything is opened.
    ///
    /// # Errors
    /// [`Error::Input`], naming the option and what would do.
    pub fn check(&self) -> Result<(), Error> {
        self.encoder.check(self.layers)?;
        let Some(of) = self.descriptions else { return Ok(()) };
        let refused = |why: String| Err(Error::input(format!("--mdc {}", of.count()), why));
        if self.encoder != Encoder::Libaom {
            return refused("rav1e makes no descriptions; take --encoder libaom".into());
        }
        if self.layers != Structure::L1T1 {
            return refused(format!("descriptions have no layers; leave out --layers {}", self.layers));
        }
        let least = BitRate(codec_av1::EncoderConfig::MIN_BIT_RATE.0 * of.count() as u64);
        let lowest = self.bounds.map_or(self.bit_rate, |bounds| bounds.min.min(self.bit_rate));
        if lowest < least {
            return refused(format!(
                "{lowest} is too little for {} descriptions; take {least} or more",
                of.count()
            ));
        }
        Ok(())
    }
}

/// How sound is encoded.
#[derive(Debug, Clone, Copy)]
pub struct AudioConfig {
    /// The Opus encoder's configuration. Its expected loss is the most that it is told to expect: it begins with none and follows
    /// what receivers report, and there is no redundancy while none is expected.
    pub opus: OpusConfig,
}

/// What one layer adds to a picture, or a packet of sound: what becomes one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    /// Its layer.
    pub layer: Layer,
    /// What it is to a decoder.
    pub class: ObjectClass,
    /// The coded bytes.
    pub payload: Vec<u8>,
}

impl AudioConfig {
    /// The encoder's usual configuration, with as much of the past in each packet as bursts of loss ask for, where some are reported.
    pub fn through_bursts() -> OpusConfig {
        OpusConfig {
            in_band_fec: false,
            redundancy: Duration::from_secs(1),
            expected_loss_percent: 20,
            ..OpusConfig::default()
        }
    }

    /// Whether silence is left out unless somebody says so: of one channel, which is nearly always a voice.
    pub const fn dtx_of(channels: Channels) -> bool {
        matches!(channels, Channels::Mono)
    }
}

/// An encoded frame or packet on its way to be sealed.
#[derive(Debug)]
pub struct Encoded {
    /// Which stream it is for.
    pub kind: StreamKind,
    /// What its layers add to it, the lowest first; or what each of its descriptions has of it. None of sound: a silence goes on, of
    /// which nothing is sent.
    pub parts: Vec<Coded>,
    /// Presentation time.
    pub pts: MediaTime,
    /// How long it stands.
    pub duration: Duration,
    /// Decoding can start here, in all descriptions.
    pub key_frame: bool,
    /// The target that the encoder had for it.
    pub bit_rate: BitRate,
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

/// What capture threads send.
#[derive(Debug)]
pub enum Capture {
    /// A coded frame or packet.
    Encoded(Encoded),
    /// A thread ended.
    End(CaptureEnd),
}

/// What runs on a thread of its own: captures and encodes from media time 0 on, which is at the instant given, to the end.
pub(super) type Body =
    dyn FnOnce(&EncoderControl, Instant, &mpsc::Sender<Capture>) -> Result<(), Error> + Send;

/// A source and its encoder, ready to start.
pub(crate) struct Prepared {
    pub(super) kind: StreamKind,
    pub(super) body: Box<Body>,
}

impl Prepared {
    /// Starts the thread. Media time counts from `origin`.
    ///
    /// # Errors
    /// [`Error::Network`] if the system has no thread to give.
    pub(crate) fn start(
        self,
        control: Arc<EncoderControl>,
        origin: Instant,
        out: mpsc::Sender<Capture>,
    ) -> Result<(), Error> {
        let Self { kind, body } = self;
        let name = match kind {
            StreamKind::Video => "encode-video",
            StreamKind::Audio => "encode-audio",
        };
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            let outcome = body(&control, origin, &out);
            let _ = out.blocking_send(Capture::End(CaptureEnd { kind, outcome }));
        });
        thread.map(drop).map_err(|e| Error::Network(format!("can't start a thread: {e}")))
    }
}

/// Makes an encoder for pictures, ready to start.
///
/// # Errors
/// [`Error::Codec`] if the encoder does not take the size or rate, [`Error::Input`] if the bounds are none.
pub(crate) fn prepare_video(
    mut source: Box<dyn FrameSource>,
    config: VideoConfig,
) -> Result<Prepared, Error> {
    if let Some(bounds) = config.bounds {
        bounds.check()?;
    }
    config.check()?;
    let most = most_bit_rate(source.rate(), config.descriptions);
    let bounds =
        config.bounds.map(|RateBounds { min, max }| RateBounds { min: min.min(most), max: max.min(most) });
    let settings = codec_av1::EncoderConfig {
        size: source.size(),
        rate: source.rate(),
        bit_rate: config.bit_rate.min(most),
        max_key_interval: config.max_key_interval,
        threads: config.threads,
    };
    if let Some(of) = config.descriptions {
        return super::described::prepare(source, settings, of, bounds);
    }
    let mut encoder =
        config.encoder.open(settings, config.layers).map_err(|e| Error::codec("AV1 encoder", e))?;
    let body = move |control: &_, origin, out: &_| {
        run_video(&mut *source, &mut *encoder, (config.layers, bounds), control, origin, out)
    };
    Ok(Prepared { kind: StreamKind::Video, body: Box::new(body) })
}

/// The most that an encoder is asked for: a third of what a picture may have, since some are larger than others. Only where few come
/// each second is that less than anybody asks for.
fn most_bit_rate(rate: FrameRate, of: Option<Descriptions>) -> BitRate {
    let bits = (BlockShape::MAX_OBJECT_LEN * 8 / 3) as f64;
    let least = codec_av1::EncoderConfig::MIN_BIT_RATE.0 * of.map_or(1, Descriptions::count) as u64;
    BitRate(((bits / rate.frame_interval().as_secs_f64()) as u64).max(least))
}

fn run_video(
    source: &mut dyn FrameSource,
    encoder: &mut dyn VideoEncoder,
    (layers, bounds): (Structure, Option<RateBounds>),
    control: &EncoderControl,
    origin: Instant,
    out: &mpsc::Sender<Capture>,
) -> Result<(), Error> {
    let rate = source.rate();
    let failed = |e| Error::codec("AV1 encoder", e);
    let send = |packets: Vec<Packet>| {
        let mut packets = packets.into_iter().peekable();
        while let Some(lowest) = packets.next() {
            let Packet { pts, key_frame, bit_rate, .. } = lowest;
            let above = std::iter::from_fn(|| packets.next_if(|packet| packet.pts == pts));
            let parts = std::iter::once(lowest).chain(above).map(Coded::from).collect();
            let encoded = Encoded {
                kind: StreamKind::Video,
                captured_at: origin + pts.as_duration(),
                encoded_at: Instant::now(),
                pts,
                duration: rate.frame_interval(),
                key_frame,
                bit_rate,
                parts,
            };
            out.blocking_send(Capture::Encoded(encoded)).map_err(|_| Error::Ended("the node"))?;
        }
        Ok::<(), Error>(())
    };
    let mut haste = Haste::new(layers, rate.frame_interval());
    let mut switch_points = SwitchPoints::new(layers, rate.frame_interval());
    in_time(source, control, origin, |frame, pts, lag| {
        if let Some(policy) = haste.handle_frame(lag) {
            encoder.set_layers(policy);
        }
        if let Some(bit_rate) = bounds.and_then(|bounds| control.bit_rate(bounds)) {
            encoder.set_bit_rate(bit_rate).map_err(failed)?;
        }
        let force_key = control.take_key_frame_requests() != 0;
        if switch_points.handle_frame(force_key, control.expected_loss() > 0) {
            encoder.request_switch_point();
        }
        send(encoder.encode(frame, pts, force_key).map_err(failed)?)
    })?;
    send(encoder.flush().map_err(failed)?)
}

/// Takes pictures from a source when they are due, until it ends or is to; leaves out those that are too late.
pub(super) fn in_time(
    source: &mut dyn FrameSource,
    control: &EncoderControl,
    origin: Instant,
    mut encode: impl FnMut(&Frame, MediaTime, Duration) -> Result<(), Error>,
) -> Result<(), Error> {
    let rate = source.rate();
    for index in 0.. {
        let offset = rate.frame_offset(index);
        wait_until(origin + offset, || control.is_over(MediaTime::from_duration(offset)));
        if control.is_over(MediaTime::from_duration(offset)) {
            break;
        }
        let Some(frame) = source.next()? else {
            control.end_at(MediaTime::from_duration(offset));
            break;
        };
        // The first is never left out: files begin with it, and sound that is older than it goes from them.
        let lag = Instant::now().saturating_duration_since(origin + offset);
        if index > 0 && lag > MAX_LAG {
            control.count_skipped();
            continue;
        }
        encode(&frame, MediaTime::from_duration(offset), lag)?;
    }
    Ok(())
}

impl From<Packet> for Coded {
    fn from(packet: Packet) -> Self {
        Self { layer: packet.layer, class: packet.class, payload: packet.data }
    }
}

/// Waits, however long that is, and no longer than until it is over.
fn wait_until(due: Instant, is_over: impl Fn() -> bool) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() || is_over() {
            return;
        }
        thread::sleep(left.min(LOOK_EVERY));
    }
}

#[cfg(test)]
mod tests;
