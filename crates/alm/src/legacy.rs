//! The two layouts in which the predecessor signed a relay's capacity, for writing alone.
//!
//! They are here to be compared with what is left of its vectors, and to show what was wrong with them; nothing on the wire of this
//! protocol has them, nothing here reads or verifies them. Both begin with the same 16 bytes, though they are laid out
//! differently: a signature over one says nothing of which it is over. The wide one has rates as floats. The narrow one
//! leaves out the stream, the time, the layers and all limits. See [`claim`](crate::claim) for what took their place.
//!
//! ```
//! use core_types::{BitRate, Epoch};
//!
//! let bytes = alm::legacy::narrow("relay-1", BitRate::from_kbit(500_000), Epoch(3))?;
//! assert_eq!(bytes[..14], *b"CIRISALM-CAPv2");
//! assert_eq!(bytes.len(), 16 + 4 + 7 + 4 + 8);
//! # Ok::<(), alm::Error>(())
//! ```

use crate::{Commitment, Error};
use core_types::{BitRate, Epoch, Layer, StreamId, WallTime};
use identity::canonical::Writer;

const SEPARATOR: &[u8; 16] = b"CIRISALM-CAPv2\0\0";

/// What the predecessor's wide layout holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RelayCapacity {
    /// For which stream.
    pub stream: StreamId,
    /// The epoch of the session.
    pub epoch: Epoch,
    /// In whole kbit/s; written in Mbit/s.
    pub uplink: BitRate,
    /// Streams at most.
    pub max_streams: u16,
    /// Subscribers of each stream at most.
    pub max_subscribers: u16,
    /// When it was measured.
    pub measured_at: WallTime,
    /// The highest layer.
    pub layers: Layer,
    /// For parts of the stream, in this order.
    pub commitments: Vec<Commitment>,
}

/// The wide layout, "v2": separator 16 ‖ stream 32 ‖ epoch u64 ‖ uplink ‖ streams u16 ‖ subscribers u16 ‖ measured at u64 ‖ layer
/// 3 ‖ u32 count ‖ {u16 length, path, budget, subscribers u16}. Rates are IEEE 754 binary32 in Mbit/s, big-endian.
///
/// The layer is written as spatial, temporal, quality. The vectors don't tell: they have the same number three times.
///
/// # Errors
/// [`Error::Input`] for a rate that is not in whole kbit/s or does not fit, and for a path or a list whose length does not fit.
pub fn wide(capacity: &RelayCapacity) -> Result<Vec<u8>, Error> {
    let mut w = Writer::new();
    w.fixed(SEPARATOR).fixed(capacity.stream.as_bytes()).u64(capacity.epoch.0);
    w.u32(mbit_bits(capacity.uplink)?).u16(capacity.max_streams).u16(capacity.max_subscribers);
    w.u64(capacity.measured_at.0);
    w.u8(capacity.layers.spatial).u8(capacity.layers.temporal).u8(capacity.layers.quality);
    let count = capacity.commitments.len();
    w.u32(u32::try_from(count).map_err(|_| refused("more commitments than a u32 can say"))?);
    for Commitment { path, budget, max_subscribers } in &capacity.commitments {
        let length = path.0.len();
        w.u16(u16::try_from(length).map_err(|_| refused("a path longer than a u16 can say"))?);
        w.fixed(&path.0).u32(mbit_bits(*budget)?).u16(*max_subscribers);
    }
    Ok(w.into_bytes())
}

/// The narrow layout, "v2" too: separator 16 ‖ u32 length, name ‖ uplink u32 ‖ epoch u64. The uplink is in whole Mbit/s,
/// rounded to the nearest, a half up.
///
/// `name` is what the predecessor called a peer by: text, not a hash of its keys.
///
/// # Errors
/// [`Error::Input`] for a rate or a name that does not fit.
pub fn narrow(name: &str, uplink: BitRate, epoch: Epoch) -> Result<Vec<u8>, Error> {
    let rounded = uplink.0.saturating_add(500_000) / 1_000_000;
    let mbit = u32::try_from(rounded).map_err(|_| refused("a rate above 2^32 - 1 Mbit/s"))?;
    let length = u32::try_from(name.len()).map_err(|_| refused("a name longer than a u32 can say"))?;
    let mut w = Writer::new();
    w.fixed(SEPARATOR).u32(length).fixed(name.as_bytes()).u32(mbit).u64(epoch.0);
    Ok(w.into_bytes())
}

/// The bits of the IEEE 754 binary32 that is nearest to this rate in Mbit/s, ties to even: what the decimal fraction is read
/// as. Worked out in integers, so that no float is named here and the result is the same on every machine.
fn mbit_bits(rate: BitRate) -> Result<u32, Error> {
    const FRACTION_BITS: u32 = 23;
    const BIAS: u32 = 127;
    if !rate.0.is_multiple_of(1_000) {
        return Err(refused("a rate that is not in whole kbit/s"));
    }
    let kbit = u32::try_from(rate.0 / 1_000).map_err(|_| refused("a rate above 2^32 - 1 kbit/s"))?;
    if kbit == 0 {
        return Ok(0);
    }
    // The value is kbit / 1000. Shifted until the quotient has 24 bits; 2^32 / 1000 has at most 23, 1 / 1000 needs 33.
    let mut shift = 0;
    while (u64::from(kbit) << shift) / 1_000 < 1 << FRACTION_BITS {
        shift += 1;
    }
    let scaled = u64::from(kbit) << shift;
    let (quotient, rest) = (scaled / 1_000, scaled % 1_000);
    let up = rest > 500 || (rest == 500 && quotient % 2 == 1);
    // Rounding up may give a 25th bit: then it carries into the exponent, as it should.
    let significand = quotient as u32 + u32::from(up);
    let exponent = BIAS + FRACTION_BITS - shift;
    Ok(((exponent - 1) << FRACTION_BITS) + significand)
}

const fn refused(why: &'static str) -> Error {
    Error::Input { what: "relay capacity", why }
}
