//! The framing of a temporal unit: open bitstream units (AV1 specification, sections 5.3 and 6.2).

use crate::Error;

/// The longest temporal unit that is taken: 16 MiB, more than an uncompressed 4096x2160 picture needs.
pub const MAX_TEMPORAL_UNIT: usize = 16 << 20;

/// What an OBU holds (AV1 specification, section 6.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObuKind {
    /// A sequence header.
    SequenceHeader,
    /// The start of a temporal unit.
    TemporalDelimiter,
    /// A frame header of its own.
    FrameHeader,
    /// The tiles of a frame, or some of them.
    TileGroup,
    /// Metadata.
    Metadata,
    /// A frame header with tiles behind it.
    Frame,
    /// A repeated frame header.
    RedundantFrameHeader,
    /// Tiles for large-scale tile decoding.
    TileList,
    /// Padding.
    Padding,
    /// A reserved type.
    Reserved(u8),
}

impl ObuKind {
    const fn from_bits(bits: u8) -> Self {
        match bits {
            1 => Self::SequenceHeader,
            2 => Self::TemporalDelimiter,
            3 => Self::FrameHeader,
            4 => Self::TileGroup,
            5 => Self::Metadata,
            6 => Self::Frame,
            7 => Self::RedundantFrameHeader,
            8 => Self::TileList,
            15 => Self::Padding,
            other => Self::Reserved(other),
        }
    }

    /// True for what a decoder needs to make pictures.
    const fn is_needed(self) -> bool {
        matches!(
            self,
            Self::SequenceHeader
                | Self::TemporalDelimiter
                | Self::FrameHeader
                | Self::TileGroup
                | Self::Frame
                | Self::RedundantFrameHeader
        )
    }
}

/// One open bitstream unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obu<'a> {
    /// What it holds.
    pub kind: ObuKind,
    /// Header, length field and payload.
    pub bytes: &'a [u8],
    /// What follows the header and the length field.
    pub payload: &'a [u8],
    /// Whether the length field is there; without it the OBU reaches to the end of the temporal unit.
    pub has_size: bool,
    /// The layer, if the header has an extension that says it.
    pub layer: Option<ObuLayer>,
}

/// What an OBU's extension header says of its layer (AV1 specification, section 6.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObuLayer {
    /// `temporal_id`: 0 to 7.
    pub temporal: u8,
    /// `spatial_id`: 0 to 3.
    pub spatial: u8,
}

/// Walks the OBUs of a temporal unit in the low-overhead format (AV1 specification, section 5.2). Stops after the first
/// error, which is always [`Error::Framing`].
pub const fn obus(temporal_unit: &[u8]) -> Obus<'_> {
    Obus { data: temporal_unit, offset: 0 }
}

/// The iterator that [`obus`] gives.
#[derive(Debug, Clone)]
pub struct Obus<'a> {
    data: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Obus<'a> {
    type Item = Result<Obu<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.data.get(self.offset..).filter(|rest| !rest.is_empty())?;
        match split(rest) {
            Ok(obu) => {
                self.offset += obu.bytes.len();
                Some(Ok(obu))
            }
            Err(reason) => {
                let offset = self.offset;
                self.offset = self.data.len();
                Some(Err(Error::Framing { offset, reason }))
            }
        }
    }
}

/// Takes the first OBU off `data`.
fn split(data: &[u8]) -> Result<Obu<'_>, &'static str> {
    let header = *data.first().ok_or("nothing there")?;
    if header & 0x80 != 0 {
        return Err("the forbidden bit is set");
    }
    let has_size = header & 0x02 != 0;
    let header_len = if header & 0x04 != 0 { 2 } else { 1 };
    let after_header = data.get(header_len..).ok_or("cut off in the header")?;
    let extension = data.get(1).filter(|_| header_len == 2);
    let layer = extension.map(|bits| ObuLayer { temporal: bits >> 5, spatial: bits >> 3 & 3 });
    let (payload_len, length_len) = if has_size { leb128(after_header)? } else { (after_header.len(), 0) };
    let start = header_len + length_len;
    let end = start.checked_add(payload_len).ok_or("the length overflows")?;
    let payload = data.get(start..end).ok_or("the length points past the end")?;
    let bytes = data.get(..end).ok_or("the length points past the end")?;
    Ok(Obu { kind: ObuKind::from_bits((header >> 3) & 0x0f), bytes, payload, has_size, layer })
}

/// Section 4.10.5: at most eight bytes, and the value fits 32 bits. Gives the value and how many bytes it took.
fn leb128(data: &[u8]) -> Result<(usize, usize), &'static str> {
    let mut value = 0u64;
    for (index, byte) in data.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return match u32::try_from(value).map(usize::try_from) {
                Ok(Ok(value)) => Ok((value, index + 1)),
                _ => Err("the length does not fit 32 bits"),
            };
        }
    }
    Err("cut off or endless length")
}

/// The OBUs of a temporal unit that a decoder needs, framing checked.
pub(crate) fn decodable(temporal_unit: &[u8]) -> Result<Vec<u8>, Error> {
    if temporal_unit.len() > MAX_TEMPORAL_UNIT {
        return Err(Error::TooLong { bytes: temporal_unit.len() });
    }
    let mut needed = Vec::with_capacity(temporal_unit.len());
    for obu in obus(temporal_unit) {
        let obu = obu?;
        if obu.kind.is_needed() {
            needed.extend_from_slice(obu.bytes);
        }
    }
    Ok(needed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An OBU as a writer would frame it.
    fn framed(kind: u8, payload: &[u8], extension: bool) -> Vec<u8> {
        let mut bytes = vec![kind << 3 | u8::from(extension) << 2 | 2];
        bytes.extend(extension.then_some(0xb7));
        let mut length = payload.len();
        while length >= 0x80 {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(payload);
        bytes
    }

    proptest! {
        #[test]
        fn walking_finds_what_was_framed(
            units in prop::collection::vec((0u8..16, prop::collection::vec(any::<u8>(), 0..300), any::<bool>()), 0..8)
        ) {
            let data: Vec<u8> = units.iter().flat_map(|(k, p, e)| framed(*k, p, *e)).collect();
            let found: Vec<Obu<'_>> = obus(&data).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(found.len(), units.len());
            for (obu, (kind, payload, extension)) in found.iter().zip(&units) {
                prop_assert_eq!(obu.kind, ObuKind::from_bits(*kind));
                prop_assert_eq!(obu.payload, &payload[..]);
                prop_assert_eq!(obu.layer, extension.then_some(ObuLayer { temporal: 5, spatial: 2 }));
                prop_assert_eq!(obu.bytes, &framed(*kind, payload, *extension)[..]);
            }
            let kept: Vec<u8> = units.iter().filter(|(k, ..)| matches!(k, 1..=4 | 6 | 7))
                .flat_map(|(k, p, e)| framed(*k, p, *e)).collect();
            prop_assert_eq!(decodable(&data).unwrap(), kept);
        }

        #[test]
        fn random_bytes_are_walked_to_the_end_or_refused(data in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut walked = 0;
            let mut refused = None;
            for obu in obus(&data) {
                prop_assert!(refused.is_none(), "nothing comes after an error");
                match obu {
                    Ok(obu) => walked += obu.bytes.len(),
                    Err(error) => refused = Some(error),
                }
            }
            match refused {
                None => prop_assert_eq!(walked, data.len()),
                Some(Error::Framing { offset, .. }) => prop_assert_eq!(offset, walked),
                Some(other) => prop_assert!(false, "unexpected {other}"),
            }
        }
    }

    #[test]
    fn lengths_beyond_32_bits_or_the_data_are_refused() {
        for bad in [
            &[0x32, 0xff, 0xff, 0xff, 0xff, 0x7f][..],
            &[0x32, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
            &[0x32, 0x05, 1, 2, 3, 4],
            &[0x32, 0x80],
            &[0x36],
            &[0xb2, 0x00],
        ] {
            assert!(matches!(decodable(bad), Err(Error::Framing { offset: 0, .. })), "{bad:02x?}");
        }
        assert_eq!(
            decodable(&vec![0; MAX_TEMPORAL_UNIT + 1]),
            Err(Error::TooLong { bytes: MAX_TEMPORAL_UNIT + 1 })
        );
    }

    #[test]
    fn an_obu_without_length_reaches_to_the_end() {
        let data = [0x12, 0x00, 0x30, 1, 2, 3];
        let last = obus(&data).last().unwrap().unwrap();
        assert_eq!((last.kind, last.payload, last.has_size), (ObuKind::Frame, &data[3..], false));
    }
}
