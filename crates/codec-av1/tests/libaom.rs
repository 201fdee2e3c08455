//! libaom's packets through rav1d: every picture, at once, as the encoder has it.
#![cfg(feature = "libaom")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod support;

use codec_av1::{LibaomEncoder, Rav1dDecoder, VideoDecoder, VideoEncoder};
use core_types::{Layer, ObjectClass};
use support::{config, pattern, size, steady};

#[test]
fn every_picture_comes_out_of_its_own_call_as_the_encoder_has_it() {
    let config = config(size(160, 96));
    let mut encoder = LibaomEncoder::new(config).unwrap();
    let mut decoder = Rav1dDecoder::new(config.size).unwrap();
    assert_eq!(encoder.delay_frames(), 0);
    for (index, pts) in steady(30).into_iter().enumerate() {
        let frame = pattern(config.size, index);
        let packets = encoder.encode(&frame, pts, index == 20).unwrap();
        assert_eq!(packets.len(), 1, "frame {index}");
        let packet = &packets[0];
        assert_eq!((packet.pts, packet.layer), (pts, Layer::BASE));
        assert_eq!(packet.key_frame, index == 0 || index == 20);
        assert_eq!(packet.key_frame, packet.class == ObjectClass::KeyFrame);
        let shown = decoder.decode(&packet.data, pts).unwrap();
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].pts, pts);
        assert_eq!(Some(&shown[0].frame), encoder.reconstruction().as_ref());
        let psnr = frame.psnr_y(&shown[0].frame).unwrap();
        assert!(psnr > 30.0, "frame {index}: {psnr:.1} dB");
    }
}
