//! A moving picture and an encoder for it, shared by the tests.
#![allow(dead_code, reason = "each test takes what it needs")]

use codec_av1::{EncoderConfig, Frame};
#[cfg(feature = "rav1e")]
use codec_av1::{Packet, Rav1eEncoder, VideoEncoder};
use core_types::{BitRate, FrameRate, FrameSize, MediaTime};

pub(crate) fn size(width: u32, height: u32) -> FrameSize {
    FrameSize::new(width, height).unwrap()
}

/// A gradient that drifts, with a bright square that crosses it.
pub(crate) fn pattern(size: FrameSize, index: usize) -> Frame {
    let (width, height) = (size.width(), size.height());
    let mut data = Vec::with_capacity(size.bytes_420());
    for y in 0..height {
        for x in 0..width {
            let (left, top) = (2 * index % width, height / 4);
            let inside = (left..left + 16).contains(&x) && (top..top + 16).contains(&y);
            let slope = 40 + (x + 2 * y + 3 * index) % 256 / 2;
            data.push(if inside { 220 } else { slope as u8 });
        }
    }
    let chroma = width / 2 * (height / 2);
    data.extend((0..chroma).map(|i| (100 + i % (width / 2) / 2) as u8));
    data.extend((0..chroma).map(|i| (150 - i / (width / 2) / 2) as u8));
    Frame::from_i420(size, data).unwrap()
}

pub(crate) fn config(size: FrameSize) -> EncoderConfig {
    EncoderConfig {
        size,
        rate: FrameRate::new(25, 1).unwrap(),
        bit_rate: BitRate::from_kbit(300),
        max_key_interval: 1_000,
        threads: 1,
    }
}

/// Codes frames with the given times; `forced` are the ones that shall be key frames.
#[cfg(feature = "rav1e")]
pub(crate) fn encode(config: EncoderConfig, times: &[MediaTime], forced: &[usize]) -> Vec<Packet> {
    let mut encoder = Rav1eEncoder::new(config).unwrap();
    let mut packets = Vec::new();
    for (index, pts) in times.iter().enumerate() {
        let frame = pattern(config.size, index);
        packets.extend(encoder.encode(&frame, *pts, forced.contains(&index)).unwrap());
    }
    packets.extend(encoder.flush().unwrap());
    packets
}

/// Times of a steady 25 frames a second.
pub(crate) fn steady(count: usize) -> Vec<MediaTime> {
    (0..count as u64).map(|index| MediaTime(40_000 * index)).collect()
}
