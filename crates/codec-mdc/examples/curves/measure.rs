//! The measuring: pictures in, payloads out, some of them lost, pictures back. By itself, so that benchmarks can take it up.

use std::error::Error;
use std::time::Duration;

use codec_av1::{EncoderConfig, Frame, LibaomEncoder, Rav1dDecoder, VideoDecoder, VideoEncoder};
use codec_mdc::{Description, Descriptions, FrameNumber, MdcEncoder, MdcReceiver, Payload, Scheme};
use core_types::{BitRate, FrameRate, FrameSize, MediaTime};

#[path = "ssim.rs"]
mod ssim;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// Frames a second.
pub(crate) const FPS: u32 = 25;
/// Frames from a wish for a key frame to the first frame that can be one.
const ROUND_TRIP: usize = 4;

/// What was seen of each frame, of its luma.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// In decibels.
    pub(crate) psnr: Vec<f64>,
    /// 1 for what was filmed.
    pub(crate) ssim: Vec<f64>,
    /// Frames of which nothing was there: the one before was shown on.
    pub(crate) frozen: usize,
    pub(crate) bytes: usize,
    /// Mean CPU time of coding a frame, if it was measured.
    pub(crate) coding: Duration,
    /// Likewise of decoding and blending one.
    pub(crate) decoding: Duration,
    pub(crate) key_frames: usize,
}

impl Seen {
    pub(crate) fn mean_psnr(&self) -> f64 {
        mean(&self.psnr)
    }

    pub(crate) fn mean_ssim(&self) -> f64 {
        mean(&self.ssim)
    }

    pub(crate) fn kbit(&self) -> f64 {
        8.0 * self.bytes as f64 * f64::from(FPS) / self.psnr.len().max(1) as f64 / 1e3
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

pub(crate) fn config(size: FrameSize, kbit: u64) -> Outcome<EncoderConfig> {
    Ok(EncoderConfig {
        size,
        rate: FrameRate::new(FPS, 1)?,
        bit_rate: BitRate::from_kbit(kbit),
        max_key_interval: 10_000,
        threads: 1,
    })
}

fn pts(index: usize) -> MediaTime {
    MediaTime(40_000 * index as u64)
}

/// Reads a clock before and after.
pub(crate) type Clock = fn(&mut dyn FnMut()) -> Duration;

/// One stream of one layer. `lost` says of each frame whether it is; key frames are then asked for.
pub(crate) fn single(
    frames: &[Frame],
    kbit: u64,
    mut lost: impl FnMut(usize) -> bool,
    clock: Clock,
) -> Outcome<Seen> {
    let size = frames.first().ok_or("no frames")?.size();
    let mut encoder = LibaomEncoder::new(config(size, kbit)?)?;
    let mut decoder = Rav1dDecoder::new(size)?;
    let (mut seen, mut shown) = (Seen::default(), Frame::black(size));
    let mut wishes = Wishes::default();
    for (index, frame) in frames.iter().enumerate() {
        let is_wanted = wishes.is_due(index);
        let mut packets = Ok(Vec::new());
        seen.coding += clock(&mut || packets = encoder.encode(frame, pts(index), is_wanted));
        let packet = packets?.pop().ok_or("a frame without a packet")?;
        seen.bytes += packet.data.len();
        seen.key_frames += usize::from(packet.key_frame);
        let mut picture = None;
        if lost(index) {
            decoder.reset();
        } else if packet.key_frame || !decoder.needs_key_frame() {
            let mut decoded = Ok(Vec::new());
            seen.decoding += clock(&mut || decoded = decoder.decode(&packet.data, pts(index)));
            picture = decoded?.pop().map(|decoded| decoded.frame);
        }
        if decoder.needs_key_frame() {
            wishes.wish(index);
        }
        seen.add(frame, picture, &mut shown)?;
    }
    Ok(seen)
}

impl Seen {
    fn add(&mut self, frame: &Frame, picture: Option<Frame>, shown: &mut Frame) -> Outcome<()> {
        match picture {
            Some(picture) => *shown = enlarged(&picture, frame.size())?,
            None => self.frozen += 1,
        }
        self.psnr.push(frame.psnr_y(shown)?);
        self.ssim.push(ssim::ssim(frame, shown));
        Ok(())
    }
}

/// When a key frame is wanted, and comes.
#[derive(Debug, Clone, Default)]
struct Wishes {
    due: Option<usize>,
    quiet_until: usize,
}

impl Wishes {
    fn wish(&mut self, now: usize) {
        if self.due.is_none() && now >= self.quiet_until {
            self.due = Some(now + ROUND_TRIP);
        }
    }

    fn is_due(&mut self, now: usize) -> bool {
        let is_due = self.due == Some(now);
        if is_due {
            // It takes as long again until it is known whether that one came.
            self.due = None;
            self.quiet_until = now + ROUND_TRIP / 2;
        }
        is_due
    }
}

/// All payloads of all frames, when nothing is lost.
pub(crate) fn described(
    frames: &[Frame],
    kbit: u64,
    of: Descriptions,
    scheme: Scheme,
    clock: Clock,
) -> Outcome<(Vec<Vec<Payload>>, Duration)> {
    let size = frames.first().ok_or("no frames")?.size();
    let mut encoder = MdcEncoder::new(config(size, kbit)?, of, scheme)?;
    let (mut all, mut coding) = (Vec::new(), Duration::ZERO);
    for (index, frame) in frames.iter().enumerate() {
        let mut payloads = Ok(Vec::new());
        coding += clock(&mut || payloads = encoder.encode(frame, pts(index)));
        all.push(payloads?);
    }
    Ok((all, coding))
}

/// What is seen by who gets these descriptions, all of them.
pub(crate) fn received(
    frames: &[Frame],
    payloads: &[Vec<Payload>],
    of: Descriptions,
    got: &[usize],
    clock: Clock,
) -> Outcome<(Seen, Vec<Frame>)> {
    let size = frames.first().ok_or("no frames")?.size();
    let mut receiver = MdcReceiver::new(of, size);
    let (mut seen, mut shown, mut pictures) = (Seen::default(), Frame::black(size), Vec::new());
    for (frame, payloads) in frames.iter().zip(payloads) {
        let mut number = FrameNumber(0);
        for payload in payloads {
            number = payload.frame;
            seen.bytes += payload.data.len();
            if got.contains(&payload.description.index()) {
                receiver.take(payload.description, payload.frame, &payload.data)?;
            }
        }
        let mut picture = None;
        seen.decoding += clock(&mut || picture = receiver.show(number).picture);
        seen.add(frame, picture, &mut shown)?;
        pictures.push(shown.clone());
    }
    Ok((seen, pictures))
}

/// As [`received`] over all sets of so many descriptions: the mean of each frame.
pub(crate) fn received_any(
    frames: &[Frame],
    payloads: &[Vec<Payload>],
    of: Descriptions,
    count: usize,
    clock: Clock,
) -> Outcome<Seen> {
    let mut mean = Seen::default();
    let sets: Vec<Vec<usize>> = (0..1usize << of.count())
        .filter(|set| set.count_ones() as usize == count)
        .map(|set| (0..of.count()).filter(|index| set >> index & 1 == 1).collect())
        .collect();
    for set in &sets {
        let (seen, _) = received(frames, payloads, of, set, clock)?;
        mean.bytes = seen.bytes;
        mean.frozen += seen.frozen;
        mean.decoding += seen.decoding / sets.len() as u32;
        // All frames of all sets: the mean is theirs, and so are those at the low end.
        mean.psnr.extend(seen.psnr);
        mean.ssim.extend(seen.ssim);
    }
    mean.bytes *= sets.len();
    Ok(mean)
}

/// With losses: `lost` says of each description and frame whether it is; key frames are then asked for.
pub(crate) fn lossy(
    frames: &[Frame],
    kbit: u64,
    of: Descriptions,
    scheme: Scheme,
    mut lost: impl FnMut(Description, usize) -> bool,
) -> Outcome<Seen> {
    let size = frames.first().ok_or("no frames")?.size();
    let mut encoder = MdcEncoder::new(config(size, kbit)?, of, scheme)?;
    let mut receiver = MdcReceiver::new(of, size);
    let (mut seen, mut shown) = (Seen::default(), Frame::black(size));
    let mut wishes = vec![Wishes::default(); of.count()];
    for (index, frame) in frames.iter().enumerate() {
        for (description, wishes) in of.all().zip(&mut wishes) {
            if wishes.is_due(index) {
                encoder.request_key_frame(description);
            }
        }
        let number = FrameNumber(index as u64);
        for payload in encoder.encode(frame, pts(index))? {
            seen.bytes += payload.data.len();
            seen.key_frames += usize::from(payload.class == core_types::ObjectClass::KeyFrame);
            if lost(payload.description, index) {
                receiver.missed(payload.description, number);
            } else {
                receiver.take(payload.description, number, &payload.data)?;
            }
        }
        let picture = receiver.show(number).picture;
        for description in receiver.wants_key_frame() {
            if let Some(wishes) = wishes.get_mut(description.index()) {
                wishes.wish(index);
            }
        }
        seen.add(frame, picture, &mut shown)?;
    }
    Ok(seen)
}

/// In full size, by linear interpolation: `Frame::scaled` is for smaller pictures.
fn enlarged(frame: &Frame, size: FrameSize) -> Outcome<Frame> {
    if frame.size() == size {
        return Ok(frame.clone());
    }
    let (from, to) = ((frame.size().width(), frame.size().height()), (size.width(), size.height()));
    let half = |(width, height): (usize, usize)| (width / 2, height / 2);
    let mut data = Vec::with_capacity(size.bytes_420());
    for (plane, from, to) in
        [(frame.y(), from, to), (frame.u(), half(from), half(to)), (frame.v(), half(from), half(to))]
    {
        let place = |at: usize, from: usize, to: usize| {
            let exact = ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, from as f64 - 1.0);
            let low = exact.floor() as usize;
            (low, (low + 1).min(from - 1), exact.fract())
        };
        for y in 0..to.1 {
            let (top, bottom, down) = place(y, from.1, to.1);
            for x in 0..to.0 {
                let (left, right, across) = place(x, from.0, to.0);
                let at = |x: usize, y: usize| f64::from(plane.get(y * from.0 + x).copied().unwrap_or(0));
                let upper = at(left, top) * (1.0 - across) + at(right, top) * across;
                let lower = at(left, bottom) * (1.0 - across) + at(right, bottom) * across;
                data.push((upper * (1.0 - down) + lower * down + 0.5) as u8);
            }
        }
    }
    Ok(Frame::from_i420(size, data)?)
}

/// The pictures of one stream of one layer.
pub(crate) fn single_pictures(frames: &[Frame], kbit: u64) -> Outcome<Vec<Frame>> {
    let size = frames.first().ok_or("no frames")?.size();
    let mut encoder = LibaomEncoder::new(config(size, kbit)?)?;
    let mut decoder = Rav1dDecoder::new(size)?;
    let mut pictures = Vec::new();
    for (index, frame) in frames.iter().enumerate() {
        let packet = encoder.encode(frame, pts(index), false)?.pop().ok_or("a frame without a packet")?;
        pictures.extend(decoder.decode(&packet.data, pts(index))?.into_iter().map(|shown| shown.frame));
    }
    Ok(pictures)
}
