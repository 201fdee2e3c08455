//! Pictures in several descriptions: one encoder, and for each picture one payload in each description.

use super::capture::{Prepared, in_time};
use super::{Capture, Coded, Encoded, EncoderControl, FrameSource, RateBounds, StreamKind};
use crate::Error;
use codec_av1::EncoderConfig;
use codec_mdc::{Descriptions, MdcEncoder, Payload, Scheme};
use core_types::{Layer, ObjectClass};
use std::time::Instant;
use tokio::sync::mpsc;

/// Makes an encoder that gives so many descriptions, ready to start.
pub(super) fn prepare(
    mut source: Box<dyn FrameSource>,
    settings: EncoderConfig,
    of: Descriptions,
    bounds: Option<RateBounds>,
) -> Result<Prepared, Error> {
    let mut encoder = MdcEncoder::new(settings, of, Scheme::Alternating).map_err(failed)?;
    let body = move |control: &_, origin, out: &_| {
        run(&mut *source, &mut encoder, (of, bounds), control, origin, out)
    };
    Ok(Prepared { kind: StreamKind::Video, body: Box::new(body) })
}

fn failed(error: codec_mdc::Error) -> Error {
    Error::codec("encoder of descriptions", error)
}

fn run(
    source: &mut dyn FrameSource,
    encoder: &mut MdcEncoder,
    (of, bounds): (Descriptions, Option<RateBounds>),
    control: &EncoderControl,
    origin: Instant,
    out: &mpsc::Sender<Capture>,
) -> Result<(), Error> {
    let duration = source.rate().frame_interval();
    in_time(source, control, origin, |frame, pts, _| {
        if let Some(bit_rate) = bounds.and_then(|bounds| control.bit_rate(bounds)) {
            encoder.set_bit_rate(bit_rate).map_err(failed)?;
        }
        let keys = control.take_key_frame_requests();
        for description in of.all().filter(|description| keys & 1 << description.index() != 0) {
            encoder.request_key_frame(description);
        }
        let payloads = encoder.encode(frame, pts).map_err(failed)?;
        let encoded = Encoded {
            kind: StreamKind::Video,
            captured_at: origin + pts.as_duration(),
            encoded_at: Instant::now(),
            pts,
            duration,
            key_frame: payloads.iter().all(|payload| payload.class == ObjectClass::KeyFrame),
            bit_rate: encoder.config().bit_rate,
            parts: payloads.into_iter().map(Coded::from).collect(),
        };
        out.blocking_send(Capture::Encoded(encoded)).map_err(|_| Error::Ended("the node"))
    })
}

impl From<Payload> for Coded {
    fn from(payload: Payload) -> Self {
        Self { layer: Layer::BASE, class: payload.class, payload: payload.data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec_av1::Frame;
    use core_types::{BitRate, FrameRate, FrameSize};
    use std::sync::Arc;

    /// Twelve small pictures; asks for key frames and a bit rate as it goes.
    struct Asking {
        control: Arc<EncoderControl>,
        of: Descriptions,
        next: u64,
    }

    impl FrameSource for Asking {
        fn size(&self) -> FrameSize {
            FrameSize::new(64, 64).unwrap()
        }

        fn rate(&self) -> FrameRate {
            FrameRate::new(240, 1).unwrap()
        }

        fn next(&mut self) -> Result<Option<Arc<Frame>>, Error> {
            match self.next {
                4 => self.control.request_key_frame_in(self.of.get(1).unwrap()),
                6 => self.control.set_bit_rate(BitRate::from_kbit(5_000)),
                8 => self.control.request_key_frame(),
                _ => {}
            }
            self.next += 1;
            Ok((self.next <= 12).then(|| Arc::new(Frame::black(self.size()))))
        }
    }

    #[test]
    fn each_picture_has_a_part_in_each_description_and_key_frames_where_they_were_asked_for() {
        for of in [Descriptions::Two, Descriptions::Four] {
            let control = Arc::new(EncoderControl::default());
            let mut source = Asking { control: control.clone(), of, next: 0 };
            let (low, high) = (BitRate::from_kbit(200), BitRate::from_kbit(900));
            let settings = EncoderConfig {
                size: source.size(),
                rate: source.rate(),
                bit_rate: low,
                max_key_interval: 500,
                threads: 1,
            };
            let mut encoder = MdcEncoder::new(settings, of, Scheme::Alternating).unwrap();
            let (out, mut captured) = mpsc::channel(64);
            let bounds = Some(RateBounds { min: low, max: high });
            // A machine that stalls leaves pictures out: so far ahead none is late.
            let origin = Instant::now() + std::time::Duration::from_millis(50);
            run(&mut source, &mut encoder, (of, bounds), &control, origin, &out).unwrap();
            drop(out);
            let mut all_keys = 0;
            let mut keys_of_one = 0;
            while let Ok(Capture::Encoded(encoded)) = captured.try_recv() {
                assert_eq!(encoded.parts.len(), of.count());
                let keys: Vec<bool> =
                    encoded.parts.iter().map(|part| part.class == ObjectClass::KeyFrame).collect();
                let number = encoded.pts.0 * 240 / 1_000_000;
                assert_eq!(encoded.key_frame, keys.iter().all(|key| *key));
                all_keys += u32::from(encoded.key_frame);
                keys_of_one += u32::from(keys[1] && !encoded.key_frame);
                let expected = if number < 6 { low } else { high };
                assert!(encoded.bit_rate == expected || number.abs_diff(6) <= 1, "{number}");
            }
            assert_eq!((all_keys, keys_of_one), (2, 1), "{of:?}");
        }
    }

    #[test]
    fn what_can_not_be_made_in_descriptions_is_refused_by_name() {
        let good = super::super::VideoConfig {
            encoder: super::super::Encoder::Libaom,
            layers: codec_av1::Structure::L1T1,
            descriptions: Some(Descriptions::Four),
            bit_rate: BitRate::from_kbit(32),
            bounds: None,
            max_key_interval: 100,
            threads: 1,
        };
        assert!(good.check().is_ok());
        let said = |config: super::super::VideoConfig| config.check().unwrap_err().to_string();
        let mut bad = good;
        bad.encoder = super::super::Encoder::Rav1e;
        assert!(said(bad).starts_with("--mdc 4: rav1e"), "{}", said(bad));
        let mut bad = good;
        bad.layers = codec_av1::Structure::L1T3;
        assert!(said(bad).contains("leave out --layers L1T3"), "{}", said(bad));
        let mut bad = good;
        bad.bounds = Some(RateBounds { min: BitRate::from_kbit(31), max: BitRate::from_kbit(900) });
        assert!(said(bad).contains("take 32"), "{}", said(bad));
    }
}
