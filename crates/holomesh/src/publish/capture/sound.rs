//! Capture of sound.

use super::{AudioConfig, BlockSource, Capture, Coded, Encoded, Prepared, wait_until};
use crate::Error;
use crate::publish::{EncoderControl, StreamKind};
use codec_opus::{EncoderConfig as OpusConfig, OpusEncoder, OpusPacket};
use core_types::{Layer, MediaTime, ObjectClass};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Makes an encoder for sound, ready to start.
///
/// # Errors
/// [`Error::Codec`] if the encoder does not take the configuration.
pub(crate) fn prepare_audio(
    mut source: Box<dyn BlockSource>,
    config: AudioConfig,
) -> Result<Prepared, Error> {
    let encoder = OpusEncoder::new(config.opus).map_err(|e| Error::codec("Opus encoder", e))?;
    let body = move |control: &_, origin, out: &_| run_audio(&mut *source, encoder, control, origin, out);
    Ok(Prepared { kind: StreamKind::Audio, body: Box::new(body) })
}

pub(super) fn run_audio(
    source: &mut dyn BlockSource,
    mut encoder: OpusEncoder,
    control: &EncoderControl,
    origin: Instant,
    out: &mpsc::Sender<Capture>,
) -> Result<(), Error> {
    let failed = |e| Error::codec("Opus encoder", e);
    let (config, duration) = (encoder.config(), encoder.config().frame.duration());
    let micros = duration.as_micros() as u64;
    let mut was_silent = false;
    for index in 0u64.. {
        let pts = MediaTime(index * micros);
        // A packet can be made only when its last sample has been heard.
        wait_until(origin + pts.as_duration() + duration, || control.is_over(pts));
        if control.is_over(pts) {
            break;
        }
        let Some(pcm) = source.next(encoder.samples_per_frame())? else {
            control.end_at(pts);
            break;
        };
        expect_loss(&mut encoder, &config, control.expected_loss()).map_err(failed)?;
        let payload = encoder.encode(&pcm).map_err(failed)?;
        // Of packets that say that nothing is said, the first says it all.
        let is_silent = config.dtx && OpusPacket::parse(&payload).is_ok_and(|packet| packet.is_silence());
        let goes_on = is_silent && was_silent;
        was_silent = is_silent;
        let coded = Coded { layer: Layer::BASE, class: ObjectClass::KeyFrame, payload };
        let encoded = Encoded {
            kind: StreamKind::Audio,
            parts: if goes_on { Vec::new() } else { vec![coded] },
            pts,
            duration,
            key_frame: true,
            bit_rate: encoder.config().bit_rate,
            captured_at: origin + pts.as_duration(),
            encoded_at: Instant::now(),
        };
        out.blocking_send(Capture::Encoded(encoded)).map_err(|_| Error::Ended("the node"))?;
    }
    Ok(())
}

/// Tells the encoder what to expect from the next packet on, if that is news. While nothing is lost it spends nothing on it.
pub(super) fn expect_loss(
    encoder: &mut OpusEncoder,
    most: &OpusConfig,
    percent: u8,
) -> Result<(), codec_opus::Error> {
    let percent = percent.min(most.expected_loss_percent);
    let redundancy = if percent == 0 { Duration::ZERO } else { most.redundancy };
    if encoder.config().expected_loss_percent != percent {
        encoder.set_expected_loss(percent)?;
    }
    if encoder.config().redundancy != redundancy {
        encoder.set_redundancy(redundancy)?;
    }
    Ok(())
}
