//! Temporal units from the packets of their layers, and back.

use core_types::Layer;

use av1_backends::{MAX_TEMPORAL_UNIT, Obu, ObuKind, ObuLayer};

use crate::Error;
use crate::unit::checked;

/// The most parts that a temporal unit is put together from: AV1 has four spatial layers.
const MAX_PARTS: usize = 4;

/// Puts the packets of one time together for a decoder. They come in the order of their layers, the lowest first; those that are missing
/// at the top don't matter. Whether those that are there refer to something missing it does not look at; that is what
/// [`LayeredDecoder`](crate::LayeredDecoder) does.
///
/// A packet that begins with a temporal delimiter stands for itself, and takes the place of those before it: so it is with the lowest
/// layer, and with every layer of a simulcast.
///
/// # Errors
/// [`Error::MissingLayer`] when the first packet does not begin with a temporal delimiter; [`Error::Malformed`] when the order is broken,
/// when a packet's own headers say another layer than it came with, for more than four packets, and for more than
/// [`MAX_TEMPORAL_UNIT`] bytes.
pub fn join_layers<'a>(packets: impl IntoIterator<Item = (Layer, &'a [u8])>) -> Result<Vec<u8>, Error> {
    let mut unit: Vec<u8> = Vec::new();
    let mut below: Option<Layer> = None;
    for (count, (layer, data)) in packets.into_iter().enumerate() {
        if count == MAX_PARTS {
            return Err(Error::Malformed("more than four layers of one time"));
        }
        if below.is_some_and(|below| step(layer) <= step(below) || layer.temporal != below.temporal) {
            return Err(Error::Malformed("layers of one time out of order"));
        }
        below = Some(layer);
        let stands_alone = check_part(layer, data)?;
        if stands_alone {
            unit.clear();
        } else if unit.is_empty() {
            return Err(Error::MissingLayer);
        }
        if unit.len() + data.len() > MAX_TEMPORAL_UNIT {
            return Err(Error::Malformed("a temporal unit of more than 16 MiB"));
        }
        unit.extend_from_slice(data);
    }
    if unit.is_empty() { Err(Error::Malformed("no packets")) } else { Ok(unit) }
}

/// What of a temporal unit belongs to one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerPart<'a> {
    /// AV1's `spatial_id`: resolution or quality.
    pub spatial_id: u8,
    /// AV1's `temporal_id`.
    pub temporal_id: u8,
    /// Its OBUs, one after the other.
    pub bytes: &'a [u8],
}

/// Takes a temporal unit apart: what is before the first layer that is named counts to it, what names none to the one before. Put
/// together again the parts are the temporal unit.
///
/// # Errors
/// [`Error::Malformed`] when the framing does not hold together, when layers go down or change their temporal id, and for more than
/// four of them.
pub fn split_layers(temporal_unit: &[u8]) -> Result<Vec<LayerPart<'_>>, Error> {
    let mut parts: Vec<LayerPart<'_>> = Vec::new();
    let (mut start, mut end) = (0, 0);
    let mut named: Option<ObuLayer> = None;
    let part = |layer: Option<ObuLayer>, start: usize, end: usize| LayerPart {
        spatial_id: layer.map_or(0, |layer| layer.spatial),
        temporal_id: layer.map_or(0, |layer| layer.temporal),
        bytes: temporal_unit.get(start..end).unwrap_or_default(),
    };
    for obu in checked(temporal_unit) {
        let obu = obu?;
        if let Some(layer) = obu.layer.filter(|_| is_of_a_layer(&obu)) {
            if named.is_some_and(|before| layer.spatial < before.spatial || layer.temporal != before.temporal)
            {
                return Err(Error::Malformed("layers of a temporal unit out of order"));
            }
            if named.is_some_and(|before| before != layer) {
                parts.push(part(named, start, end));
                start = end;
            }
            named = Some(layer);
        }
        end += obu.bytes.len();
    }
    if end > start {
        parts.push(part(named, start, end));
    }
    Ok(parts)
}

/// The temporal unit without the layers above `highest`; `None` if that is all of it.
pub(crate) fn up_to(temporal_unit: &[u8], highest: ObuLayer) -> Result<Option<Vec<u8>>, Error> {
    let stays = |obu: &Obu<'_>| {
        let says = obu.layer.filter(|_| is_of_a_layer(obu));
        says.is_none_or(|layer| layer.spatial <= highest.spatial && layer.temporal <= highest.temporal)
    };
    let mut kept = Vec::new();
    let mut is_all = true;
    for obu in checked(temporal_unit) {
        let obu = obu?;
        if stays(&obu) {
            kept.extend_from_slice(obu.bytes);
        } else {
            is_all = false;
        }
    }
    Ok((!is_all).then_some(kept))
}

/// True if the packet stands alone. Its headers must not belie the layer that it came with.
fn check_part(layer: Layer, data: &[u8]) -> Result<bool, Error> {
    let mut stands_alone = false;
    for (index, obu) in checked(data).enumerate() {
        let obu = obu?;
        if obu.kind == ObuKind::TemporalDelimiter {
            if index > 0 {
                return Err(Error::Malformed("a second temporal unit in one packet"));
            }
            stands_alone = true;
        }
        if let Some(says) = obu.layer.filter(|_| is_of_a_layer(&obu))
            && (u16::from(says.spatial) != step(layer) || says.temporal != layer.temporal)
        {
            return Err(Error::Malformed("a packet of another layer than it came with"));
        }
    }
    Ok(stands_alone)
}

/// What AV1 calls the spatial layer. A stream has several resolutions or several qualities.
fn step(layer: Layer) -> u16 {
    u16::from(layer.spatial) + u16::from(layer.quality)
}

/// Sequence headers and temporal delimiters belong to all layers, whatever their extension says.
fn is_of_a_layer(obu: &Obu<'_>) -> bool {
    !matches!(obu.kind, ObuKind::SequenceHeader | ObuKind::TemporalDelimiter)
}
