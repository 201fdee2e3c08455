//! Encoding and decoding pictures: what our interfaces cost on top of the libraries.

use std::hint::black_box;

use anyhow::{Context as _, Result, ensure};
use av1_backends::{Decoder, Settings};
use benches::{Clock, Media, Pair, Row};
use codec_av1::{EncoderConfig, Frame, Rav1dDecoder, Rav1eEncoder, VideoDecoder, VideoEncoder};
use rav1e::prelude::{
    ChromaSampling, Config, Context, EncoderConfig as Rav1eConfig, EncoderStatus, Rational,
    SceneDetectionSpeed, Tune,
};

/// Calls at the start in which the encoders only take frames in, and the first key frame.
const FILLING: usize = 6;
const DECODE_PASSES: usize = 21;

/// One sample is one picture: some 20 ms, beside which it does not matter who had the picture first. Both encoders see
/// the same pictures and must give the same packets.
pub(crate) fn encode(media: &Media) -> Result<Row> {
    let mut ours = Rav1eEncoder::new(media.video)?;
    let mut direct = open(&media.video)?;
    let mut pair = Pair::default();
    for (at, frame) in media.frames.iter().enumerate() {
        // rav1e's threads do the work, so the process is what counts.
        let (our_time, packets) = Clock::Process.time(|| ours.encode(frame, media.pts(at), false));
        let (direct_time, expected) = Clock::Process.time(|| encode_directly(&mut direct, frame));
        let packets: Vec<Vec<u8>> = packets?.into_iter().map(|packet| packet.data).collect();
        ensure!(packets == expected?, "encode: the packets differ at picture {at}: not the same settings");
        if at >= FILLING {
            pair.push(1, our_time, direct_time);
        }
    }
    pair.row("encode", "rav1e, same settings")
}

/// The settings of `codec-av1`, which are its own; that packets are compared keeps the two alike.
fn open(video: &EncoderConfig) -> Result<Context<u8>> {
    let mut config = Rav1eConfig::with_speed_preset(10);
    config.width = video.size.width();
    config.height = video.size.height();
    config.time_base = Rational::new(video.rate.den().into(), video.rate.num().into());
    config.chroma_sampling = ChromaSampling::Cs420;
    config.bitrate = i32::try_from(video.bit_rate.0)?;
    config.quantizer = 255;
    config.low_latency = true;
    config.set_key_frame_interval(0, video.max_key_interval.into());
    config.speed_settings.rdo_lookahead_frames = 1;
    config.speed_settings.scene_detection_mode = SceneDetectionSpeed::None;
    config.speed_settings.cdef = false;
    config.tune = Tune::Psnr;
    config.reservoir_frame_delay = Some(i32::try_from(video.rate.num().div_ceil(video.rate.den()))?);
    config.tiles = video.threads;
    let config = Config::new().with_encoder_config(config).with_threads(video.threads);
    config.new_context().context("rav1e refuses the settings")
}

fn encode_directly(context: &mut Context<u8>, frame: &Frame) -> Result<Vec<Vec<u8>>> {
    let mut picture = context.new_frame();
    let width = frame.size().width();
    let planes = [(frame.y(), width), (frame.u(), width / 2), (frame.v(), width / 2)];
    for (plane, (samples, stride)) in picture.planes.iter_mut().zip(planes) {
        plane.copy_from_raw_u8(samples, stride, 1);
    }
    context.send_frame(picture)?;
    let mut packets = Vec::new();
    loop {
        match context.receive_packet() {
            Ok(packet) => packets.push(packet.data),
            Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::NeedMoreData) => return Ok(packets),
            Err(status) => return Err(status.into()),
        }
    }
}

/// One sample is one pass over the clip, since a decoder is quicker with a packet that another has just seen. Ours
/// checks each packet's headers and copies each picture out; the baseline lets the decoder keep its pictures.
pub(crate) fn decode(media: &Media) -> Result<Row> {
    let pixels = u32::try_from(media.video.size.width() * media.video.size.height())?;
    let settings = Settings { max_pixels: pixels.try_into()? };
    let pictures = media.packets.len();
    let ours = || {
        let mut decoder = Rav1dDecoder::new(media.video.size)?;
        let (time, shown) = Clock::Thread.time(|| {
            let mut shown = 0;
            for packet in &media.packets {
                shown += black_box(decoder.decode(&packet.data, packet.pts)?).len();
            }
            Ok::<usize, codec_av1::Error>(shown)
        });
        ensure!(shown? == pictures, "decode: a packet shows no picture");
        Ok(time)
    };
    let baseline = || {
        let mut decoder = Decoder::new(settings)?;
        let (time, shown) = Clock::Thread.time(|| {
            let mut shown = 0;
            for packet in &media.packets {
                shown += decode_directly(&mut decoder, &packet.data, packet.pts.0.cast_signed())?;
            }
            Ok::<usize, anyhow::Error>(shown)
        });
        ensure!(shown? == pictures, "decode: a packet shows no picture without us");
        Ok(time)
    };
    Pair::interleave(DECODE_PASSES, pictures, ours, baseline)?.row("decode", "av1-backends, no copy")
}

fn decode_directly(decoder: &mut Decoder, data: &[u8], pts: i64) -> Result<usize> {
    decoder.feed(data, pts)?;
    let mut shown = 0;
    while let Some(picture) = decoder.next_picture()? {
        black_box(picture.width());
        shown += 1;
    }
    Ok(shown)
}
