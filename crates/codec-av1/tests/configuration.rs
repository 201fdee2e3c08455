//! The codec configuration record against the layout in the specification, and what it says about unusual streams.
#![cfg(feature = "rav1e")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod support;

use codec_av1::{
    Error, Rav1dDecoder, VideoDecoder, configuration_record, is_key_frame, strip_temporal_delimiters,
};
use core_types::MediaTime;
use proptest::prelude::*;
use support::{config, encode, size, steady};

/// Writes headers as AV1 section 5.5 lays them out.
#[derive(Default)]
struct BitWriter {
    bits: Vec<bool>,
}

impl BitWriter {
    fn put(&mut self, value: u32, count: u32) -> &mut Self {
        self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    fn bytes(mut self) -> Vec<u8> {
        self.put(1, 1); // trailing bit
        while !self.bits.len().is_multiple_of(8) {
            self.put(0, 1);
        }
        self.bits
            .chunks(8)
            .map(|byte| byte.iter().fold(0, |value, bit| value << 1 | u8::from(*bit)))
            .collect()
    }
}

/// The parts of a sequence header that are varied.
#[derive(Debug, Clone)]
struct Sequence {
    profile: u32,
    level: u32,
    tier: u32,
    points: u32,
    timing: Option<(Option<u32>, bool)>,
    display_delay: bool,
    width: u32,
    height: u32,
    frame_ids: bool,
    order_hint: bool,
    screen_content: u32,
    high_bit_depth: u32,
    twelve_bit: u32,
    monochrome: u32,
    description: Option<[u32; 3]>,
    subsampling: (u32, u32),
    sample_position: u32,
}

impl Sequence {
    fn payload(&self) -> Vec<u8> {
        let mut w = BitWriter::default();
        w.put(self.profile, 3).put(0, 2);
        w.put(self.timing.is_some().into(), 1);
        let mut model = false;
        if let Some((ticks, decoder_model)) = self.timing {
            w.put(1_001, 32).put(30_000, 32).put(ticks.is_some().into(), 1);
            if let Some(ticks) = ticks {
                let coded = ticks + 1;
                let length = 32 - coded.leading_zeros();
                w.put(0, length - 1).put(coded, length);
            }
            model = decoder_model;
            w.put(model.into(), 1);
            if model {
                w.put(9, 5).put(77, 32).put(3, 5).put(4, 5);
            }
        }
        w.put(self.display_delay.into(), 1).put(self.points - 1, 5);
        for point in 0..self.points {
            let (level, tier) = if point == 0 { (self.level, self.tier) } else { (31, 1) };
            w.put(0, 12).put(level, 5);
            if level > 7 {
                w.put(tier, 1);
            }
            if model {
                w.put(1, 1).put(5, 10).put(6, 10).put(0, 1);
            }
            if self.display_delay {
                w.put(1, 1).put(7, 4);
            }
        }
        w.put(15, 4).put(15, 4).put(self.width - 1, 16).put(self.height - 1, 16);
        w.put(self.frame_ids.into(), 1);
        if self.frame_ids {
            w.put(2, 4).put(1, 3);
        }
        w.put(0b101, 3).put(0b1010, 4).put(self.order_hint.into(), 1);
        if self.order_hint {
            w.put(0b01, 2);
        }
        match self.screen_content {
            0 => w.put(0b00, 2),             // not chosen, off
            1 => w.put(0b01, 2).put(0b1, 1), // not chosen, on; integer motion vectors chosen
            _ => w.put(0b1, 1).put(0b01, 2), // chosen; integer motion vectors not chosen, on
        };
        if self.order_hint {
            w.put(6, 3);
        }
        w.put(0b010, 3);
        w.put(self.high_bit_depth, 1);
        if self.profile == 2 && self.high_bit_depth == 1 {
            w.put(self.twelve_bit, 1);
        }
        if self.profile != 1 {
            w.put(self.monochrome, 1);
        }
        w.put(self.description.is_some().into(), 1);
        for value in self.description.into_iter().flatten() {
            w.put(value, 8);
        }
        let expected = self.expected();
        if expected.monochrome == 1 {
            w.put(1, 1);
        } else if self.description != Some([1, 13, 0]) {
            w.put(1, 1);
            if self.profile == 2 && expected.twelve_bit == 1 {
                w.put(self.subsampling.0, 1);
                if self.subsampling.0 == 1 {
                    w.put(self.subsampling.1, 1);
                }
            }
            if expected.subsampling == (1, 1) {
                w.put(self.sample_position, 2);
            }
        }
        w.put(0, 2); // separate_uv_delta_q or film grain, whichever comes
        w.bytes()
    }

    /// What the record should say, with the values that the syntax implies.
    fn expected(&self) -> Record {
        let twelve_bit = if self.profile == 2 && self.high_bit_depth == 1 { self.twelve_bit } else { 0 };
        let monochrome = if self.profile == 1 { 0 } else { self.monochrome };
        let subsampling = match (monochrome, self.description, self.profile) {
            (1, ..) => (1, 1),
            (_, Some([1, 13, 0]), _) => (0, 0),
            (.., 0) => (1, 1),
            (.., 1) => (0, 0),
            _ if twelve_bit == 1 => (self.subsampling.0, self.subsampling.0 & self.subsampling.1),
            _ => (1, 0),
        };
        let positioned = monochrome == 0 && subsampling == (1, 1);
        Record {
            marker_version: 0x81,
            profile: self.profile,
            level: self.level,
            tier: if self.level > 7 { self.tier } else { 0 },
            high_bit_depth: self.high_bit_depth,
            twelve_bit,
            monochrome,
            subsampling,
            sample_position: if positioned { self.sample_position } else { 0 },
            delay: 0,
        }
    }
}

/// `AV1CodecConfigurationRecord`, section 2.3.3 of the ISO media file format binding.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    marker_version: u32,
    profile: u32,
    level: u32,
    tier: u32,
    high_bit_depth: u32,
    twelve_bit: u32,
    monochrome: u32,
    subsampling: (u32, u32),
    sample_position: u32,
    delay: u32,
}

fn parse(record: &[u8]) -> (Record, &[u8]) {
    let bits = |byte: usize, from: u32, count: u32| {
        u32::from(record[byte]) >> (8 - from - count) & ((1 << count) - 1)
    };
    let fields = Record {
        marker_version: bits(0, 0, 8),
        profile: bits(1, 0, 3),
        level: bits(1, 3, 5),
        tier: bits(2, 0, 1),
        high_bit_depth: bits(2, 1, 1),
        twelve_bit: bits(2, 2, 1),
        monochrome: bits(2, 3, 1),
        subsampling: (bits(2, 4, 1), bits(2, 5, 1)),
        sample_position: bits(2, 6, 2),
        delay: bits(3, 0, 8),
    };
    (fields, &record[4..])
}

fn sequence() -> impl Strategy<Value = Sequence> {
    let timing = prop::option::of((prop::option::of(0u32..100_000), any::<bool>()));
    let stream = (0u32..3, 0u32..32, 0u32..2, 1u32..33, timing, any::<bool>());
    let shape = (1u32..65_537, 1u32..65_537, any::<bool>(), any::<bool>(), 0u32..3);
    let description =
        prop_oneof![Just(None), Just(Some([1, 13, 0])), [0u32..256, 0u32..256, 0u32..256].prop_map(Some)];
    let color = (0u32..2, 0u32..2, 0u32..2, description, (0u32..2, 0u32..2), 0u32..3);
    (stream, shape, color).prop_map(|(s, h, c)| Sequence {
        profile: s.0,
        level: s.1,
        tier: s.2,
        points: s.3,
        timing: s.4,
        display_delay: s.5,
        width: h.0,
        height: h.1,
        frame_ids: h.2,
        order_hint: h.3,
        screen_content: h.4,
        high_bit_depth: c.0,
        twelve_bit: c.1,
        monochrome: c.2,
        description: c.3,
        subsampling: c.4,
        sample_position: c.5,
    })
}

/// A sequence header OBU around `payload`, which is shorter than 16 KiB.
fn framed(payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let length =
        if length < 0x80 { vec![length as u8] } else { vec![length as u8 | 0x80, (length >> 7) as u8] };
    [&[0x0a], &length[..], payload].concat()
}

/// Temporal delimiter, sequence header and the start of a key frame; and the sequence header alone.
fn packet(sequence: &Sequence) -> (Vec<u8>, Vec<u8>) {
    let header = framed(&sequence.payload());
    let packet = [&[0x12, 0x00], &header[..], &[0x32, 0x02, 0x10, 0x00]].concat();
    (packet, header)
}

proptest! {
    #[test]
    fn every_sequence_header_is_described_as_the_specification_says(sequence in sequence()) {
        let (packet, header) = packet(&sequence);
        let record = configuration_record(&packet).unwrap();
        let (fields, config_obus) = parse(&record);
        prop_assert_eq!(fields, sequence.expected());
        prop_assert_eq!(config_obus, &header[..]);
        prop_assert_eq!(is_key_frame(&packet), Ok(true));
        // Cut anywhere inside the fields that matter, it is refused; a last byte of trailing bits may be missed.
        let payload = sequence.payload();
        for end in 0..payload.len() - 2 {
            let cut = configuration_record(&framed(&payload[..end]));
            prop_assert_eq!(cut, Err(Error::Malformed("header cut off")));
        }
    }

    #[test]
    fn a_decoder_takes_only_the_streams_that_it_is_for(sequence in sequence()) {
        let (packet, _) = packet(&sequence);
        let refused = Rav1dDecoder::new(size(4096, 4096)).unwrap().decode(&packet, MediaTime(0));
        let expected = sequence.expected();
        let fits = expected.twelve_bit == 0 && expected.monochrome == 0 && expected.subsampling == (1, 1)
            && [sequence.width, sequence.height].iter().all(|side| (16..=4096).contains(side) && side % 2 == 0);
        // The key frame is a stub, so even a stream that fits ends in an error, but in another one.
        prop_assert_eq!(matches!(refused, Err(Error::Unsupported(_))), !fits);
    }
}

#[test]
fn odd_and_huge_pictures_are_refused_by_name() {
    let plain = Sequence {
        profile: 0,
        level: 8,
        tier: 0,
        points: 1,
        timing: None,
        display_delay: false,
        width: 64,
        height: 64,
        frame_ids: false,
        order_hint: true,
        screen_content: 2,
        high_bit_depth: 0,
        twelve_bit: 0,
        monochrome: 0,
        description: None,
        subsampling: (1, 1),
        sample_position: 0,
    };
    for (width, height) in [(65, 64), (64, 63), (4098, 64), (65_536, 65_536), (8, 64)] {
        let (packet, _) = packet(&Sequence { width, height, ..plain.clone() });
        let refused = Rav1dDecoder::new(size(4096, 4096)).unwrap().decode(&packet, MediaTime(0));
        let what = format!("{width}x{height}");
        assert!(matches!(&refused, Err(Error::Unsupported(text)) if text.contains(&what)), "{refused:?}");
    }
}

#[test]
fn the_encoders_own_stream_is_described() {
    let packets = encode(config(size(160, 96)), &steady(6), &[4]);
    let record = configuration_record(&packets[0].data).unwrap();
    let (fields, config_obus) = parse(&record);
    assert_eq!((fields.marker_version, fields.profile, fields.subsampling), (0x81, 0, (1, 1)));
    assert_eq!((fields.high_bit_depth, fields.monochrome, fields.delay), (0, 0, 0));
    assert_eq!(configuration_record(&packets[4].data).unwrap(), record, "every key frame says the same");
    let stripped = strip_temporal_delimiters(&packets[0].data).unwrap();
    assert!(stripped.starts_with(config_obus), "the sequence header comes first once the delimiter is gone");
    assert_eq!(stripped.len() + 2, packets[0].data.len());
    assert_eq!(configuration_record(&packets[1].data), Err(Error::NoSequenceHeader));
    assert_eq!(configuration_record(config_obus).unwrap(), record);
}

#[test]
fn stripped_packets_still_decode() {
    let packets = encode(config(size(64, 64)), &steady(5), &[]);
    let mut whole = Rav1dDecoder::new(size(64, 64)).unwrap();
    let mut bare = Rav1dDecoder::new(size(64, 64)).unwrap();
    for packet in packets {
        let stripped = strip_temporal_delimiters(&packet.data).unwrap();
        assert_eq!(bare.decode(&stripped, packet.pts), whole.decode(&packet.data, packet.pts));
    }
}

#[test]
fn a_sequence_header_without_length_gets_one() {
    let packets = encode(config(size(64, 64)), &steady(1), &[]);
    let record = configuration_record(&packets[0].data).unwrap();
    let payload = &record[6..];
    let bare = [&[0x08], payload].concat();
    assert_eq!(configuration_record(&bare).unwrap(), record);
}

#[test]
fn the_record_is_the_one_that_another_muxer_writes() {
    let header = [0x0a, 0x0a, 0x00, 0x00, 0x00, 0xf9, 0x57, 0xfb, 0xc4, 0x21, 0x40, 0x14];
    let packet = [&[0x12, 0x00], &header[..]].concat();
    let av1c = [&[0x81, 0x1f, 0x0c, 0x00], &header[..]].concat();
    assert_eq!(configuration_record(&packet).unwrap(), av1c);
}
