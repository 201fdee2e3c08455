//! Pictures to measure with.

use std::error::Error;

use codec_av1::{Frame, Rav1dDecoder, VideoDecoder};
use core_types::{FrameSize, MediaTime};

const CLIP: &[u8] = include_bytes!("../../../../assets/clip.ivf");

/// The pictures of the bundled clip: an IVF file has a header of 32 bytes, then twelve bytes before each temporal unit, of which four are
/// its length.
pub(crate) fn bundled(most: usize) -> Result<Vec<Frame>, Box<dyn Error>> {
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

/// A texture that the camera pans over, uneven in its speed, with two things that move before it, one of them turning: always something
/// new, which each description has to tell.
pub(crate) fn synthetic(most: usize) -> Result<Vec<Frame>, Box<dyn Error>> {
    let size = FrameSize::new(480, 270)?;
    (0..most.min(262)).map(|index| Ok(Frame::from_i420(size, picture(size, index))?)).collect()
}

fn picture(size: FrameSize, index: usize) -> Vec<u8> {
    let (width, height, time) = (size.width(), size.height(), index as f64);
    let (pan_x, pan_y) = (1.3 * time + 12.0 * (time / 17.0).sin(), 6.0 * (time / 29.0).sin());
    let luma = |x: f64, y: f64| {
        let (disc_x, disc_y) =
            (x - 240.0 - 150.0 * (time / 40.0).sin(), y - 130.0 - 60.0 * (time / 31.0).cos());
        if disc_x.hypot(disc_y) < 42.0 {
            let (sin, cos) = (time / 25.0).sin_cos();
            return 90.0
                + 110.0
                    * texture(disc_x * cos - disc_y * sin + 300.0, disc_x * sin + disc_y * cos + 300.0, 6.0);
        }
        if (x - (time * 2.6) % 520.0 + 20.0).abs() < 18.0 && (y - 215.0).abs() < 24.0 {
            return 60.0 + 60.0 * texture(x - time * 2.6, y, 5.0);
        }
        let (x, y) = (x + pan_x, y + pan_y);
        40.0 + 100.0 * texture(x, y, 48.0) + 55.0 * texture(x, y, 12.0) + 22.0 * texture(x, y, 3.0)
    };
    let mut data = Vec::with_capacity(size.bytes_420());
    for y in 0..height {
        data.extend((0..width).map(|x| luma(x as f64, y as f64) as u8));
    }
    for offset in [500.0, 900.0] {
        for y in 0..height / 2 {
            data.extend((0..width / 2).map(|x| {
                let (x, y) = (2.0 * x as f64 + pan_x + offset, 2.0 * y as f64 + pan_y);
                (98.0 + 60.0 * texture(x, y, 60.0)) as u8
            }));
        }
    }
    data
}

/// Noise of a grain of that many pixels, 0 to 1, smooth between.
fn texture(x: f64, y: f64, grain: f64) -> f64 {
    let (x, y) = (x / grain, y / grain);
    let (left, top) = (x.floor(), y.floor());
    let smooth = |t: f64| t * t * (3.0 - 2.0 * t);
    let (right_part, low_part) = (smooth(x - left), smooth(y - top));
    let at = |dx: f64, dy: f64| {
        let mut hash = (left + dx) as i64 as u64;
        hash = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ((top + dy) as i64 as u64))
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash ^= hash >> 31;
        hash = hash.wrapping_mul(0x94d0_49bb_1331_11eb);
        (hash >> 40) as f64 / f64::from(1 << 24)
    };
    let upper = at(0.0, 0.0) * (1.0 - right_part) + at(1.0, 0.0) * right_part;
    let lower = at(0.0, 1.0) * (1.0 - right_part) + at(1.0, 1.0) * right_part;
    upper * (1.0 - low_part) + lower * low_part
}
