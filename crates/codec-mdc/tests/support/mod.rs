//! A moving picture and an encoder for it, shared by the tests.
#![allow(dead_code, clippy::unwrap_used, reason = "each test takes what it needs; helpers of tests")]

use codec_av1::{EncoderConfig, Frame, Structure};
use codec_mdc::{Descriptions, FrameNumber, MdcEncoder, Payload, Scheme};
use core_types::{BitRate, FrameRate, FrameSize, MediaTime};

pub(crate) const SCHEMES: [Scheme; 3] =
    [Scheme::Alternating, Scheme::Priority(Structure::L1T1Q2), Scheme::Priority(Structure::L2T1)];

pub(crate) const COUNTS: [Descriptions; 2] = [Descriptions::Two, Descriptions::Four];

pub(crate) fn size() -> FrameSize {
    FrameSize::new(128, 96).unwrap()
}

pub(crate) fn config() -> EncoderConfig {
    EncoderConfig {
        size: size(),
        rate: FrameRate::new(25, 1).unwrap(),
        bit_rate: BitRate::from_kbit(250),
        max_key_interval: 1_000,
        threads: 1,
    }
}

/// A slope that drifts, with a grain that stands and a bright square that crosses it.
pub(crate) fn picture(index: usize) -> Frame {
    let (width, height) = (size().width(), size().height());
    let mut data = Vec::with_capacity(size().bytes_420());
    for y in 0..height {
        for x in 0..width {
            let (left, top) = (2 * index % width, height / 4);
            let inside = (left..left + 16).contains(&x) && (top..top + 16).contains(&y);
            let slope = 40 + (x + 2 * y + 3 * index) % 256 / 2 + (x * 7 + y * 13) % 11;
            data.push(if inside { 220 } else { slope as u8 });
        }
    }
    let chroma = width / 2 * (height / 2);
    data.extend((0..chroma).map(|i| (100 + i % (width / 2) / 2) as u8));
    data.extend((0..chroma).map(|i| (150 - i / (width / 2) / 2) as u8));
    Frame::from_i420(size(), data).unwrap()
}

pub(crate) fn encoder(of: Descriptions, scheme: Scheme) -> MdcEncoder {
    MdcEncoder::new(config(), of, scheme).unwrap()
}

/// All payloads of the first frames.
pub(crate) fn payloads(of: Descriptions, scheme: Scheme, count: usize) -> Vec<Vec<Payload>> {
    let mut encoder = encoder(of, scheme);
    (0..count).map(|index| encode(&mut encoder, index)).collect()
}

pub(crate) fn encode(encoder: &mut MdcEncoder, index: usize) -> Vec<Payload> {
    encoder.encode(&picture(index), MediaTime(40_000 * index as u64)).unwrap()
}

/// PSNR of the luma, of a picture that may be half as large.
pub(crate) fn psnr(index: usize, shown: &Frame) -> f64 {
    picture(index).scaled(shown.size()).psnr_y(shown).unwrap()
}

pub(crate) fn number(index: usize) -> FrameNumber {
    FrameNumber(index as u64)
}
