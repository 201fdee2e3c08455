//! Encoding and decoding sound: what our interfaces cost on top of libopus. A frame is 20 ms here.

use anyhow::{Result, ensure};
use benches::{Clock, Media, Pair, Row};
use codec_opus::{Channels, OpusDecoder, OpusEncoder};

/// Times that the speech is coded.
const PASSES: usize = 2;
/// The longest packet that the settings can give, and then some.
const MAX_PACKET: usize = 4_000;

/// One sample is one packet. Both encoders hear the same and must give the same packets.
pub(crate) fn encode(media: &Media) -> Result<Row> {
    let mut pair = Pair::default();
    let mut buffer = vec![0; MAX_PACKET];
    for _ in 0..PASSES {
        let mut ours = OpusEncoder::new(media.audio)?;
        let mut direct = open(media)?;
        for (at, pcm) in media.sound.iter().enumerate() {
            let (our_time, packet) = Clock::Thread.time(|| ours.encode(pcm));
            let (direct_time, length) = Clock::Thread.time(|| direct.encode(pcm, &mut buffer));
            let same = packet?.as_slice() == &buffer[..length?];
            ensure!(same, "audio-encode: packet {at} differs: not the same settings");
            pair.push(1, our_time, direct_time);
        }
    }
    pair.row("audio-encode", "opus, same settings")
}

/// One sample is one packet.
pub(crate) fn decode(media: &Media) -> Result<Row> {
    let mut encoder = OpusEncoder::new(media.audio)?;
    let packets = media.sound.iter().map(|pcm| encoder.encode(pcm)).collect::<Result<Vec<_>, _>>()?;
    let mut pair = Pair::default();
    let mut buffer = vec![0; encoder.samples_per_frame()];
    for _ in 0..PASSES {
        let mut ours = OpusDecoder::new(media.audio.sample_rate, media.audio.channels)?;
        let mut direct = opus::Decoder::new(media.audio.sample_rate.hz(), channels(media))?;
        for (at, packet) in packets.iter().enumerate() {
            let (our_time, pcm) = Clock::Thread.time(|| ours.decode(packet));
            let (direct_time, samples) = Clock::Thread.time(|| direct.decode(packet, &mut buffer, false));
            let samples = samples? * media.audio.channels.count();
            ensure!(pcm?.as_slice() == &buffer[..samples], "audio-decode: packet {at} sounds different");
            pair.push(1, our_time, direct_time);
        }
    }
    pair.row("audio-decode", "opus")
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
