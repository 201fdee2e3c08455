//! Encodes and decodes raw I420 video and prints what it cost: milliseconds a frame, PSNR, bit rate, key frames.
//!
//! `cargo run -p codec-av1 --example measure -- FILE.yuv WIDTH HEIGHT FPS KBIT THREADS [KBIT …]`
//!
//! Further bit rates are taken up one after the other, evenly over the file.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use codec_av1::{EncoderConfig, Frame, Rav1dDecoder, Rav1eEncoder, VideoDecoder, VideoEncoder};
use core_types::{BitRate, FrameRate, FrameSize, MediaTime};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, numbers @ ..] = &arguments[..] else {
        return Err("FILE WIDTH HEIGHT FPS KBIT THREADS".into());
    };
    let numbers: Vec<u32> = numbers.iter().map(|n| n.parse()).collect::<Result<_, _>>()?;
    let [width, height, fps, kbit, threads, ref later @ ..] = numbers[..] else {
        return Err("five numbers are needed".into());
    };
    let size = FrameSize::new(width, height)?;
    let rate = FrameRate::new(fps, 1)?;
    let frames: Vec<Frame> = std::fs::read(path)?
        .chunks_exact(size.bytes_420())
        .map(|bytes| Frame::from_i420(size, bytes.to_vec()))
        .collect::<Result<_, _>>()?;

    let mut encoder = Rav1eEncoder::new(EncoderConfig {
        size,
        rate,
        bit_rate: BitRate::from_kbit(kbit.into()),
        max_key_interval: 10_000,
        threads: threads as usize,
    })?;
    let mut calls = Vec::new();
    let mut packets = Vec::new();
    let mut delays = Vec::new();
    for (index, frame) in (0u64..).zip(&frames) {
        let pts = MediaTime::from_duration(rate.frame_offset(index));
        let phase = index as usize * (later.len() + 1) / frames.len();
        if let Some(kbit) = phase.checked_sub(1).and_then(|phase| later.get(phase)) {
            encoder.set_bit_rate(BitRate::from_kbit((*kbit).into()))?;
        }
        let start = Instant::now();
        // A key frame is asked for every fourth second.
        let ready = encoder.encode(frame, pts, index % u64::from(4 * fps) == 0)?;
        calls.push(start.elapsed());
        delays.extend(ready.iter().map(|p| (pts.0 - p.pts.0) as f64 * f64::from(fps) / 1e6));
        packets.extend(ready);
    }
    let start = Instant::now();
    packets.extend(encoder.flush()?);
    let encoding = calls.iter().sum::<Duration>() + start.elapsed();
    calls.sort();

    let mut decoder = Rav1dDecoder::new(size)?;
    let start = Instant::now();
    let mut shown = Vec::new();
    for packet in &packets {
        shown.extend(decoder.decode(&packet.data, packet.pts)?);
    }
    let decoding = start.elapsed();
    let mut psnr = 0.0;
    for (frame, picture) in frames.iter().zip(&shown) {
        psnr += frame.psnr_y(&picture.frame)?;
    }

    let count = frames.len() as f64;
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let bits = |packets: &[codec_av1::Packet]| packets.iter().map(|p| p.data.len() * 8).sum::<usize>() as f64;
    let keys: Vec<usize> = (0..packets.len()).filter(|i| packets[*i].key_frame).collect();
    let largest = packets.iter().map(|p| p.data.len()).max().unwrap_or(0);
    println!("{} frames in, {} packets, {} pictures", frames.len(), packets.len(), shown.len());
    println!(
        "encode {:.2} ms a frame (median {:.2}, p95 {:.2}, worst {:.2}), decode {:.2} ms a frame",
        ms(encoding) / count,
        ms(calls[calls.len() / 2]),
        ms(calls[calls.len() * 95 / 100]),
        ms(calls[calls.len() - 1]),
        ms(decoding) / count,
    );
    println!("delay {:.1} frames at most", delays.iter().copied().fold(0.0, f64::max));
    println!(
        "{:.2} dB, {:.0} kbit/s for {kbit}, largest packet {largest} bytes",
        psnr / count,
        bits(&packets) / count * f64::from(fps) / 1e3
    );
    for (second, chunk) in packets.chunks(fps as usize).enumerate() {
        print!("{}s:{:.0} ", second, bits(chunk) / chunk.len() as f64 * f64::from(fps) / 1e3);
    }
    println!("kbit/s; key frames at {keys:?}");
    Ok(())
}
