//! Temporal units as the decoder's checks and containers see them.

use av1_backends::{Obu, ObuKind, obus};

use crate::Error;
use crate::bits::BitReader;
use crate::sequence::SequenceHeader;

/// The most frames, shown or not, that one temporal unit may code. Encoders need a handful for a pyramid of references; a
/// few bytes can code a whole frame, so without a bound one packet could keep a decoder busy for minutes.
const MAX_FRAMES: usize = 16;

/// What the headers of a temporal unit say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TemporalUnit {
    /// The first sequence header.
    pub(crate) sequence: Option<SequenceHeader>,
    /// True when a decoder can start here: the first frame is a shown key frame, after a sequence header.
    pub(crate) starts_stream: bool,
}

impl TemporalUnit {
    pub(crate) fn inspect(data: &[u8]) -> Result<Self, Error> {
        let mut unit = Self { sequence: None, starts_stream: false };
        let mut frames = 0;
        for obu in checked(data) {
            let obu = obu?;
            match obu.kind {
                ObuKind::SequenceHeader => {
                    let header = SequenceHeader::parse(obu.payload)?;
                    if unit.sequence.is_some_and(|first| first != header) {
                        return Err(Error::Malformed("sequence headers differ within a temporal unit"));
                    }
                    unit.sequence = Some(header);
                }
                ObuKind::Frame | ObuKind::FrameHeader => {
                    if frames == 0
                        && let Some(sequence) = &unit.sequence
                    {
                        unit.starts_stream = is_shown_key_frame(sequence, obu.payload)?;
                    }
                    frames += 1;
                    if frames > MAX_FRAMES {
                        return Err(Error::Malformed("more than 16 frames in a temporal unit"));
                    }
                }
                _ => {}
            }
        }
        Ok(unit)
    }
}

/// True when a decoder can start with this temporal unit: it holds a sequence header and then a shown key frame.
///
/// # Errors
/// [`Error::Malformed`] when the headers can't be parsed.
pub fn is_key_frame(temporal_unit: &[u8]) -> Result<bool, Error> {
    TemporalUnit::inspect(temporal_unit).map(|unit| unit.starts_stream)
}

/// The temporal unit without its temporal delimiters, as Matroska and MP4 want it.
///
/// # Errors
/// [`Error::Malformed`] when the framing does not hold together.
pub fn strip_temporal_delimiters(temporal_unit: &[u8]) -> Result<Vec<u8>, Error> {
    let mut stripped = Vec::with_capacity(temporal_unit.len());
    for obu in checked(temporal_unit) {
        let obu = obu?;
        if obu.kind != ObuKind::TemporalDelimiter {
            stripped.extend_from_slice(obu.bytes);
        }
    }
    Ok(stripped)
}

/// The codec configuration of a stream, from a packet that starts it: the content of MP4's `av1C` box and of Matroska's
/// `CodecPrivate` (AV1 Codec ISO Media File Format Binding, section 2.3). Four bytes of description, then the sequence
/// header OBU.
///
/// # Errors
/// [`Error::NoSequenceHeader`] when the packet carries none; [`Error::Malformed`] when it can't be parsed.
pub fn configuration_record(first_key_packet: &[u8]) -> Result<Vec<u8>, Error> {
    let mut units = checked(first_key_packet);
    let obu = loop {
        match units.next() {
            Some(obu) => {
                let obu = obu?;
                if obu.kind == ObuKind::SequenceHeader {
                    break obu;
                }
            }
            None => return Err(Error::NoSequenceHeader),
        }
    };
    let header = SequenceHeader::parse(obu.payload)?;
    let color = header.color;
    const MARKER_AND_VERSION: u8 = 0x81;
    let mut record = vec![
        MARKER_AND_VERSION,
        header.profile << 5 | header.level,
        u8::from(header.tier) << 7
            | u8::from(color.high_bit_depth) << 6
            | u8::from(color.twelve_bit) << 5
            | u8::from(color.monochrome) << 4
            | u8::from(color.subsampling_x) << 3
            | u8::from(color.subsampling_y) << 2
            | color.chroma_sample_position,
        0, // no initial presentation delay
    ];
    if obu.has_size {
        record.extend_from_slice(obu.bytes);
    } else {
        record.extend_from_slice(&sized_sequence_header(obu.payload));
    }
    Ok(record)
}

/// `configOBUs` must have their length field (section 2.3.4), though a lone sequence header may come without.
fn sized_sequence_header(payload: &[u8]) -> Vec<u8> {
    const SEQUENCE_HEADER_WITH_SIZE: u8 = 1 << 3 | 2;
    let mut bytes = vec![SEQUENCE_HEADER_WITH_SIZE];
    let mut length = payload.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(payload);
    bytes
}

/// The start of `uncompressed_header()`, section 5.9.2.
fn is_shown_key_frame(sequence: &SequenceHeader, payload: &[u8]) -> Result<bool, Error> {
    if sequence.reduced_still_picture {
        return Ok(true);
    }
    const KEY_FRAME: u32 = 0;
    let mut r = BitReader::new(payload);
    let show_existing_frame = r.flag()?;
    Ok(!show_existing_frame && r.bits(2)? == KEY_FRAME && r.flag()?)
}

/// The OBUs, with this crate's error.
pub(crate) fn checked(data: &[u8]) -> impl Iterator<Item = Result<Obu<'_>, Error>> {
    obus(data).map(|obu| {
        obu.map_err(|error| match error {
            av1_backends::Error::Framing { reason, .. } => Error::Malformed(reason),
            other => Error::Decoder(other),
        })
    })
}
