//! The measuring: pictures in, packets out, pictures back, and the time that the first of these takes. By itself, so that benchmarks can
//! take it up.

use std::error::Error;
use std::time::Duration;

use codec_av1::{
    EncoderConfig, Frame, LibaomEncoder, Packet, Rav1dDecoder, Rav1eEncoder, Structure, VideoDecoder,
    VideoEncoder, join_layers,
};
use core_types::{BitRate, FrameRate, FrameSize, MediaTime};

const CLIP: &[u8] = include_bytes!("../../../../assets/clip.ivf");
const FPS: u32 = 25;

/// What one encoder did with the clip in one size.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// Of the pictures.
    pub(crate) size: FrameSize,
    /// Which encoder, and in which layers.
    pub(crate) encoder: &'static str,
    /// Mean CPU time of a call, in milliseconds.
    pub(crate) ms_per_frame: f64,
    /// The longest call, likewise.
    pub(crate) worst_ms: f64,
    /// What came out, over all layers.
    pub(crate) kbit: f64,
    /// Mean of the luma of the highest layer, in decibels.
    pub(crate) psnr: f64,
    /// How many pictures went in.
    pub(crate) frames: usize,
}

/// The clip at 640x360 and at 1280x720, each through libaom in one layer, in three by three, and through rav1e. With `quick` 50 frames of
/// it. `clock` gives the CPU time that something takes, in all threads.
pub(crate) fn all(
    quick: bool,
    clock: fn(&mut dyn FnMut()) -> Duration,
) -> Result<Vec<Measured>, Box<dyn Error>> {
    let clip = clip(if quick { 50 } else { usize::MAX })?;
    let mut results = Vec::new();
    for (width, height, kbit) in [(640, 360, 300), (1280, 720, 800)] {
        let size = FrameSize::new(width, height)?;
        let frames: Vec<Frame> = clip.iter().map(|frame| frame.scaled(size)).collect();
        let config = EncoderConfig {
            size,
            rate: FrameRate::new(FPS, 1)?,
            bit_rate: BitRate::from_kbit(kbit),
            max_key_interval: 10_000,
            threads: 1,
        };
        for (name, structure) in [
            ("libaom L1T1", Structure::L1T1),
            ("libaom L1T3", Structure::L1T3),
            ("libaom L3T3", Structure::L3T3),
        ] {
            results.push(run(name, LibaomEncoder::layered(config, structure)?, &frames, clock)?);
        }
        results.push(run("rav1e", Rav1eEncoder::new(config)?, &frames, clock)?);
    }
    Ok(results)
}

fn run(
    encoder: &'static str,
    mut coder: impl VideoEncoder,
    frames: &[Frame],
    clock: fn(&mut dyn FnMut()) -> Duration,
) -> Result<Measured, Box<dyn Error>> {
    let size = frames.first().ok_or("no frames")?.size();
    let mut calls: Vec<Duration> = Vec::new();
    let mut packets: Vec<Packet> = Vec::new();
    let pts = |index: usize| MediaTime(1_000_000 * index as u64 / u64::from(FPS));
    for (index, frame) in frames.iter().enumerate() {
        let mut ready = Ok(Vec::new());
        calls.push(clock(&mut || ready = coder.encode(frame, pts(index), false)));
        packets.extend(ready?);
    }
    let mut ready = Ok(Vec::new());
    calls.push(clock(&mut || ready = coder.flush()));
    packets.extend(ready?);

    let mut decoder = Rav1dDecoder::new(size)?;
    let mut psnr = 0.0;
    for (index, frame) in frames.iter().enumerate() {
        let parts = packets.iter().filter(|packet| packet.pts == pts(index));
        let unit = join_layers(parts.map(|packet| (packet.layer, &packet.data[..])))?;
        let shown = decoder.decode(&unit, pts(index))?.pop().ok_or("a frame without a picture")?;
        psnr += frame.psnr_y(&shown.frame)?;
    }
    let count = frames.len() as f64;
    let bits = 8 * packets.iter().map(|packet| packet.data.len()).sum::<usize>();
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    Ok(Measured {
        size,
        encoder,
        ms_per_frame: ms(calls.iter().sum()) / count,
        worst_ms: calls.iter().max().map_or(0.0, |longest| ms(*longest)),
        kbit: bits as f64 * f64::from(FPS) / count / 1e3,
        psnr: psnr / count,
        frames: frames.len(),
    })
}

/// The pictures of the bundled clip: an IVF file has a header of 32 bytes, then twelve bytes before each temporal unit, of which four are
/// its length.
fn clip(most: usize) -> Result<Vec<Frame>, Box<dyn Error>> {
    let mut decoder = Rav1dDecoder::new(FrameSize::new(480, 270)?)?;
    let mut frames = Vec::new();
    let mut rest = CLIP.get(32..).ok_or("the clip has no header")?;
    while let Some((header, after)) = rest.split_first_chunk::<12>() {
        let [a, b, c, d, ..] = *header;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let (unit, next) = after.split_at_checked(length).ok_or("the clip is cut off")?;
        rest = next;
        frames.extend(decoder.decode(unit, MediaTime(0))?.into_iter().map(|shown| shown.frame));
    }
    frames.truncate(most);
    Ok(frames)
}
