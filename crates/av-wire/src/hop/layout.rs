//! The bytes of a hop header (spec 30 section 9).

use super::LinkSeq;
use super::seal::Prefix;
use crate::{ChunkHeader, Error, HEADER_LEN, MAX_QUALITY};
use core_types::{Epoch, Layer, Marks};

/// Bytes in front of the chunk header in a whole hop header.
const WHOLE_PREFIX: usize = 8;
/// Bytes of a whole hop header.
pub(super) const WHOLE_LEN: usize = WHOLE_PREFIX + HEADER_LEN;
/// Room for any hop header, in round pieces.
const ROOM: usize = 64;
/// Bytes of a compact header of the base layer in space and time; two more on other layers.
const COMPACT_LEN: usize = 8;
/// What the low bits of a link number in a compact header can tell apart.
const LINK_SPAN: u64 = 1 << 24;
/// What the low bits of a chunk number can tell apart: the size of a binding's window.
pub(super) const CHUNK_SPAN: u64 = 1 << 16;
/// Windows start at multiples of this.
const QUARTER: u64 = CHUNK_SPAN / 4;

const WHOLE: u8 = 0x80;
const BINDS: u8 = 0x40;
const LAYERED: u8 = 0x40;
/// Spare bits of a whole header.
const SPARE: u8 = 0x0c;
/// With all these bits set the first byte of a datagram is no hop header's, ever (spec 30 section 9).
const RESERVED: u8 = WHOLE | SPARE;

/// True if a datagram is not the hop layer's: the carrier of a link marks its own packets so. What is in them, the
/// carrier authenticates itself.
#[inline]
pub const fn is_carrier_packet(datagram: &[u8]) -> bool {
    matches!(datagram, [first, ..] if *first & RESERVED == RESERVED)
}

/// A link-local name of a binding: 10 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Alias(pub(super) u16);

/// The chunk numbers that a binding covers: 65,536 of them, from a multiple of 16,384 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window(u64);

impl Window {
    /// A window for a binding that begins with `seq`: a quarter behind it stays reachable.
    pub(super) const fn around(seq: u64) -> Self {
        Self((seq / QUARTER).saturating_sub(1) * QUARTER)
    }

    /// How far into the window `seq` is, in quarters; `None` outside.
    #[inline]
    const fn quarter(self, seq: u64) -> Option<u8> {
        if seq < self.0 || seq - self.0 >= CHUNK_SPAN {
            return None;
        }
        Some(((seq - self.0) / QUARTER) as u8)
    }

    #[inline]
    pub(super) const fn contains(self, seq: u64) -> bool {
        self.quarter(seq).is_some()
    }

    /// True if `seq` lies before the window.
    pub(super) const fn is_past(self, seq: u64) -> bool {
        seq < self.0
    }

    /// The window in which `seq` is in that quarter.
    fn with(seq: u64, quarter: u8) -> Option<Self> {
        let start = (seq / QUARTER).checked_sub(u64::from(quarter))?;
        Some(Self(start * QUARTER))
    }

    /// The one number in the window with these low bits; `None` if it would be above 64 bits.
    pub(super) fn resolve(self, low: u16) -> Option<u64> {
        let step = u64::from(low.wrapping_sub(self.0 as u16));
        self.0.checked_add(step)
    }
}

/// The 2^24 link numbers around `highest` that compact headers can name: the one of them with these low bits.
pub(super) fn resolve_link(low: u32, highest: Option<LinkSeq>) -> Option<LinkSeq> {
    // The expected number is the next one; those up to half the span behind it are late, the others ahead.
    let expected = highest.map_or(0, |LinkSeq(seq)| seq + 1);
    let ahead = u64::from(low).wrapping_sub(expected) % LINK_SPAN;
    let seq =
        if ahead < LINK_SPAN / 2 { expected + ahead } else { (expected + ahead).checked_sub(LINK_SPAN)? };
    Some(LinkSeq(seq)).filter(|seq| *seq < LinkSeq::END)
}

/// A hop header as it stands in a datagram, before anything is known to be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HopHeader {
    Whole { link_seq: LinkSeq, binds: Option<(Alias, Window)>, header: ChunkHeader },
    Compact { link_low: u32, alias: Alias, epoch_low: u8, chunk_low: u16, layer: Layer, marks: Marks },
}

impl HopHeader {
    /// Reads a header off the front, and says how long the part before the 52 bytes is, and the whole.
    pub(super) fn parse(datagram: &[u8]) -> Result<(Self, usize, usize), Error> {
        let malformed = |why| Error::Malformed { what: "hop header", why };
        let short = |need| Error::Truncated { what: "hop header", need, have: datagram.len() };
        if is_carrier_packet(datagram) {
            return Err(malformed("a packet of the carrier's own"));
        }
        let Some(&[first, second, ref rest @ ..]) = datagram.first_chunk::<COMPACT_LEN>() else {
            return Err(short(COMPACT_LEN));
        };
        let alias = Alias(u16::from(first & 3) << 8 | u16::from(second));
        if first & WHOLE != 0 {
            let Some((prefix, after)) = datagram.split_first_chunk::<WHOLE_PREFIX>() else {
                return Err(short(WHOLE_LEN));
            };
            let header = ChunkHeader::from_bytes(after.first_chunk().ok_or_else(|| short(WHOLE_LEN))?)?;
            let link_seq = LinkSeq(prefix[2..].iter().fold(0, |seq, byte| seq << 8 | u64::from(*byte)));
            let quarter = first >> 4 & 3;
            let binds = if first & BINDS != 0 {
                let window = Window::with(header.chunk_seq.0, quarter);
                Some((alias, window.ok_or_else(|| malformed("window below chunk number 0"))?))
            } else {
                None
            };
            let spare = first & SPARE != 0 || binds.is_none() && (alias.0, quarter) != (0, 0);
            if spare {
                return Err(malformed("spare bits are set"));
            }
            return Ok((Self::Whole { link_seq, binds, header }, WHOLE_PREFIX, WHOLE_LEN));
        }
        let [last, chunk_high, chunk_low, link_high, link_mid, link_low] = *rest;
        let ([spatial, temporal], len) = if first & LAYERED == 0 {
            ([0, 0], COMPACT_LEN)
        } else {
            let Some(layer) = datagram[COMPACT_LEN..].first_chunk() else {
                return Err(short(COMPACT_LEN + 2));
            };
            if *layer == [0, 0] {
                return Err(malformed("the base layer is left out"));
            }
            (*layer, COMPACT_LEN + 2)
        };
        let compact = Self::Compact {
            link_low: u32::from_be_bytes([0, link_high, link_mid, link_low]),
            alias,
            epoch_low: epoch_bits(first),
            chunk_low: u16::from_be_bytes([chunk_high, chunk_low]),
            layer: Layer { spatial, temporal, quality: last & MAX_QUALITY },
            marks: Marks::from_bits(last >> 4)?,
        };
        Ok((compact, len, len))
    }
}

/// A hop header that is about to be sent, with the 52 bytes that it stands for.
///
/// Aligned and of a round size, so that it is moved in the pieces in which it was written: others stall the processor.
#[derive(Debug, Clone, Copy)]
#[repr(align(16))]
pub(super) struct Written {
    bytes: [u8; ROOM],
    prefix: u8,
    len: u8,
}

impl Written {
    /// Nothing: to be set.
    pub(super) const EMPTY: Self = Self { bytes: [0; ROOM], prefix: 0, len: 0 };

    pub(super) fn set_whole(
        &mut self,
        link_seq: LinkSeq,
        binds: Option<(Alias, Window)>,
        seq: u64,
        header: &[u8; HEADER_LEN],
    ) {
        let bytes = &mut self.bytes;
        bytes[..WHOLE_PREFIX].copy_from_slice(&link_seq.0.to_be_bytes());
        (bytes[0], bytes[1]) = (WHOLE, 0);
        if let Some((alias, window)) = binds {
            let quarter = window.quarter(seq).unwrap_or(0);
            bytes[0] |= BINDS | quarter << 4 | (alias.0 >> 8) as u8;
            bytes[1] = alias.0 as u8;
        }
        bytes[WHOLE_PREFIX..WHOLE_LEN].copy_from_slice(header);
        (self.prefix, self.len) = (WHOLE_PREFIX as u8, WHOLE_LEN as u8);
    }

    #[inline]
    pub(super) fn set_compact(&mut self, link_seq: LinkSeq, alias: Alias, header: &ChunkHeader) {
        // Put together in a register and stored at once: what is stored in bits and read as a whole stalls the processor.
        let first = u128::from(alias.0 >> 8) | u128::from(header.epoch.0 & 15) << 2;
        let mut word = first << 120
            | u128::from(alias.0 & 0xff) << 112
            | u128::from(header.last_byte()) << 104
            | u128::from(header.chunk_seq.0 & (CHUNK_SPAN - 1)) << 88
            | u128::from(link_seq.0 & (LINK_SPAN - 1)) << 64;
        let mut len = COMPACT_LEN;
        let Layer { spatial, temporal, .. } = header.layer;
        if spatial | temporal != 0 {
            let layer = u128::from(spatial) << 8 | u128::from(temporal);
            word |= u128::from(LAYERED) << 120 | layer << 48;
            len += 2;
        }
        self.bytes[..16].copy_from_slice(&word.to_be_bytes());
        (self.prefix, self.len) = (len as u8, len as u8);
    }

    /// What is sent.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// What is sent, less the 52 bytes if they are in it.
    #[inline]
    pub(super) fn prefix(&self) -> Prefix {
        if usize::from(self.len) == WHOLE_LEN {
            return Prefix::new(&self.bytes[..WHOLE_PREFIX]);
        }
        // Behind a compact header there are zeros.
        Prefix::padded(self.bytes.first_chunk().copied().unwrap_or_default(), self.prefix.into())
    }
}

/// True if these are the low bits of `epoch`.
pub(super) const fn epoch_fits(low: u8, epoch: Epoch) -> bool {
    epoch.0 as u8 & 15 == low
}

const fn epoch_bits(first: u8) -> u8 {
    first >> 2 & 15
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_types::{ChunkSeq, CodecId, StreamId};
    use proptest::prelude::*;

    fn whole(link: LinkSeq, binds: Option<(Alias, Window)>, seq: u64, header: &[u8; HEADER_LEN]) -> Written {
        let mut written = Written::EMPTY;
        written.set_whole(link, binds, seq, header);
        written
    }

    fn compact(link: LinkSeq, alias: Alias, header: &ChunkHeader) -> Written {
        let mut written = Written::EMPTY;
        written.set_compact(link, alias, header);
        written
    }

    fn header(epoch: u64, seq: u64, layer: [u8; 2], last: u8) -> ChunkHeader {
        let layer = Layer { spatial: layer[0], temporal: layer[1], quality: last & 15 };
        ChunkHeader {
            stream_id: StreamId([3; 32]),
            epoch: Epoch(epoch),
            chunk_seq: ChunkSeq(seq),
            codec: CodecId::Av1,
            layer,
            marks: Marks::from_bits(last >> 4).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn whole_headers_round_trip(link in 0u64..1 << 48, epoch: u64, seq: u64, back in 0u64..=32_768, alias in 0u16..1_024, layer: [u8; 2], last in 0u8..0xc0, binds: bool) {
            let window = Window::around(seq.saturating_sub(back));
            let binds = binds.then_some((Alias(alias), window));
            let header = header(epoch, seq, layer, last);
            let written = whole(LinkSeq(link), binds, seq, &header.to_bytes().unwrap());
            let (read, prefix, len) = HopHeader::parse(written.bytes()).unwrap();
            prop_assert_eq!(read, HopHeader::Whole { link_seq: LinkSeq(link), binds, header });
            prop_assert_eq!((prefix, len), (written.prefix().bytes().len(), 60));
        }

        #[test]
        fn compact_headers_resolve_to_what_was_sent(
            highest in 0u64..1 << 47, ahead in -(1i64 << 23)..1 << 23, epoch: u64, first in 0u64..1 << 60, on in 0u64..=32_768,
            alias in 0u16..1_024, layer in prop::array::uniform2(0u8..3), last in 0u8..0xc0,
        ) {
            let link = (highest + 1).saturating_add_signed(ahead);
            let header = header(epoch, first + on, layer, last);
            let written = compact(LinkSeq(link), Alias(alias), &header);
            prop_assert_eq!(written.bytes().len(), if layer == [0, 0] { 8 } else { 10 });
            let Ok((HopHeader::Compact { link_low, alias: read, epoch_low, chunk_low, layer, marks }, prefix, _)) = HopHeader::parse(written.bytes()) else {
                return Err(TestCaseError::fail("not compact"));
            };
            let before = written.prefix();
            prop_assert_eq!(before.bytes(), &written.bytes()[..prefix]);
            prop_assert_eq!((read, layer, marks), (Alias(alias), header.layer, header.marks));
            prop_assert!(epoch_fits(epoch_low, header.epoch));
            prop_assert_eq!(Window::around(first).resolve(chunk_low), Some(first + on));
            prop_assert_eq!(resolve_link(link_low, Some(LinkSeq(highest))), Some(LinkSeq(link)));
        }

        #[test]
        fn parsing_never_panics_and_accepts_only_what_writing_makes(bytes in prop::collection::vec(any::<u8>(), 0..70), codec: bool) {
            let mut bytes = bytes;
            if let (true, Some(byte)) = (codec, bytes.get_mut(56)) {
                *byte = 1;
            }
            if let Ok((read, prefix, len)) = HopHeader::parse(&bytes) {
                let written = match read {
                    HopHeader::Whole { link_seq, binds, header } => {
                        whole(link_seq, binds, header.chunk_seq.0, &header.to_bytes().unwrap())
                    }
                    HopHeader::Compact { link_low, alias, epoch_low, chunk_low, layer, marks } => {
                        let header = ChunkHeader {
                            layer, marks, ..header(u64::from(epoch_low), u64::from(chunk_low), [0; 2], 0)
                        };
                        compact(LinkSeq(u64::from(link_low)), alias, &header)
                    }
                };
                prop_assert_eq!(written.bytes(), &bytes[..len]);
                let before = written.prefix();
                prop_assert_eq!(before.bytes(), &bytes[..prefix]);
            }
        }
    }

    #[test]
    fn packets_of_the_carrier_are_no_hop_headers() {
        let header = header(7, 9, [0, 0], 0);
        let written = whole(LinkSeq(1), None, 9, &header.to_bytes().unwrap());
        assert!(HopHeader::parse(written.bytes()).is_ok());
        for first in 0..=u8::MAX {
            let mut datagram = written.bytes().to_vec();
            datagram[0] = first;
            let reserved = first & 0x8c == 0x8c;
            assert_eq!(is_carrier_packet(&datagram), reserved);
            if reserved {
                let refused = |bytes| matches!(HopHeader::parse(bytes), Err(Error::Malformed { .. }));
                assert!(refused(&datagram) && refused(&datagram[..1]), "{first:#04x}");
            }
        }
        assert!(!is_carrier_packet(&[]));
    }

    #[test]
    fn a_window_keeps_a_quarter_behind_and_ends_before_it_could_be_mistaken() {
        let window = Window::around(100_000);
        assert!(window.contains(100_000 - 16_384) && window.contains(100_000 + 32_767));
        assert!(!window.contains(100_000 + 65_536) && !window.contains(0));
        assert!(Window::around(0).contains(65_535) && !Window::around(0).contains(65_536));
        assert_eq!(Window::around(u64::MAX).resolve(0), None, "it would be above 64 bits");
    }

    #[test]
    fn link_numbers_before_the_first_and_after_the_last_are_refused() {
        assert_eq!(resolve_link(0xff_ffff, None), None);
        assert_eq!(resolve_link(0, Some(LinkSeq((1 << 48) - 1))), None);
        assert_eq!(resolve_link(5, None), Some(LinkSeq(5)));
    }
}
