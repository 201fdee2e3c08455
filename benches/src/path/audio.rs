//! Encoding and decoding sound: what our interfaces cost on top of libopus. A frame is 20 ms here.
//!
//! A sample is a whole pass and not one packet: libopus takes a third less time for a packet that it has just seen, so
//! whoever came second would look better by more than our interfaces cost.

use std::hint::black_box;

use anyhow::{Result, ensure};
use benches::{Clock, Media, Pair, Row};
use codec_opus::{Channels, OpusDecoder, OpusEncoder};

const PASSES: usize = 21;
/// The longest packet that the settings can give, and then some.
const MAX_PACKET: usize = 4_000;

/// One sample is one pass over the speech. Both encoders must give the same packets.
pub(crate) fn encode(media: &Media) -> Result<Row> {
    let mut buffer = vec![0; MAX_PACKET];
    let (mut checked, mut direct) = (OpusEncoder::new(media.audio)?, open(media)?);
    for (at, pcm) in media.sound.iter().enumerate() {
        let length = direct.encode(pcm, &mut buffer)?;
        let same = checked.encode(pcm)?.as_slice() == &buffer[..length];
        ensure!(same, "audio-encode: packet {at} differs: not the same settings");
    }
    let ours = || {
        let mut encoder = OpusEncoder::new(media.audio)?;
        let (time, outcome) = Clock::Thread.time(|| {
            for pcm in &media.sound {
                black_box(encoder.encode(pcm)?);
            }
            Ok::<(), codec_opus::Error>(())
        });
        outcome?;
        Ok(time)
    };
    let baseline = || {
        let mut encoder = open(media)?;
        let (time, outcome) = Clock::Thread.time(|| {
            for pcm in &media.sound {
                black_box(encoder.encode(pcm, &mut buffer)?);
            }
            Ok::<(), opus::Error>(())
        });
        outcome?;
        Ok(time)
    };
    Pair::interleave(PASSES, media.sound.len(), ours, baseline)?.row("audio-encode", "opus, same settings")
}

/// One sample is one pass over the speech. Both decoders must give the same sound.
pub(crate) fn decode(media: &Media) -> Result<Row> {
    let mut encoder = OpusEncoder::new(media.audio)?;
    let packets = media.sound.iter().map(|pcm| encoder.encode(pcm)).collect::<Result<Vec<_>, _>>()?;
    let (rate, sound) = (media.audio.sample_rate, media.audio.channels);
    let open_ours = || OpusDecoder::new(rate, sound);
    let open_direct = || opus::Decoder::new(rate.hz(), channels(media));
    let mut buffer = vec![0; encoder.samples_per_frame()];
    let (mut checked, mut direct) = (open_ours()?, open_direct()?);
    for (at, packet) in packets.iter().enumerate() {
        let samples = direct.decode(packet, &mut buffer, false)? * sound.count();
        let same = checked.decode(packet)?.as_slice() == &buffer[..samples];
        ensure!(same, "audio-decode: packet {at} sounds different");
    }
    let ours = || {
        let mut decoder = open_ours()?;
        let (time, outcome) = Clock::Thread.time(|| {
            for packet in &packets {
                black_box(decoder.decode(packet)?);
            }
            Ok::<(), codec_opus::Error>(())
        });
        outcome?;
        Ok(time)
    };
    let baseline = || {
        let mut decoder = open_direct()?;
        let (time, outcome) = Clock::Thread.time(|| {
            for packet in &packets {
                black_box(decoder.decode(packet, &mut buffer, false)?);
            }
            Ok::<(), opus::Error>(())
        });
        outcome?;
        Ok(time)
    };
    Pair::interleave(PASSES, packets.len(), ours, baseline)?.row("audio-decode", "opus")
}

fn open(media: &Media) -> Result<opus::Encoder> {
    let config = &media.audio;
    let mut encoder = opus::Encoder::new(config.sample_rate.hz(), channels(media), opus::Application::Voip)?;
    encoder.set_complexity(9)?;
    encoder.set_inband_fec(true)?;
    encoder.set_bitrate(opus::Bitrate::Bits(i32::try_from(config.bit_rate.0)?))?;
    encoder.set_packet_loss_perc(config.expected_loss_percent.into())?;
    Ok(encoder)
}

fn channels(media: &Media) -> opus::Channels {
    match media.audio.channels {
        Channels::Mono => opus::Channels::Mono,
        Channels::Stereo => opus::Channels::Stereo,
    }
}
