//! A decoder for packets in layers, whether they build on one another or not.

use core::ops::Range;

use core_types::{FrameSize, Layer, MediaTime, ObjectClass};

use av1_backends::ObuKind;

use crate::gate::Gate;
use crate::unit::checked;
use crate::{DecodedFrame, Error, Packet, Rav1dDecoder, VideoDecoder, join_layers};

/// Resolutions that may stand for themselves: a simulcast has at most four.
const MAX_STREAMS: usize = 4;

/// A packet as it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerPacket<'a> {
    /// The layer that it is of.
    pub layer: Layer,
    /// What it is to others.
    pub class: ObjectClass,
    /// Its bytes.
    pub data: &'a [u8],
}

impl<'a> From<&'a Packet> for LayerPacket<'a> {
    fn from(packet: &'a Packet) -> Self {
        Self { layer: packet.layer, class: packet.class, data: &packet.data }
    }
}

/// Takes the packets of one time and shows the best picture that they make. What refers to something that is missing is left out, by
/// what packets say of themselves, so a loss costs no more than the layers that it touches and no wrong picture is shown.
///
/// Packets that build on one another go into one decoder. Those that begin with a temporal delimiter stand for themselves and have a
/// decoder each, by their spatial layer, so that a lower resolution can be shown at once when a higher one is missing.
#[derive(Debug)]
pub struct LayeredDecoder {
    max_size: FrameSize,
    /// By the spatial layer that they begin at.
    streams: [Option<Stream>; MAX_STREAMS],
}

/// Layers that build on one another.
#[derive(Debug)]
struct Stream {
    decoder: Rav1dDecoder,
    gate: Gate,
}

impl LayeredDecoder {
    /// A decoder that refuses pictures with more pixels than `max_size` has, before it takes memory for them.
    pub fn new(max_size: FrameSize) -> Self {
        Self { max_size, streams: Default::default() }
    }

    /// Takes the packets of one time, the lowest layer first, and gives the picture of the highest layer that can be decoded. Layers that are
    /// missing at the top, and those that refer to something missing, are taken up again at their next switch point. No picture and no
    /// error is for packets that make none, or none now.
    ///
    /// What is missing of a picture is seen here; whole pictures that are missing have to be told ([`LayeredDecoder::missed`]).
    ///
    /// # Errors
    /// Those of [`VideoDecoder::decode`] and [`join_layers`], when no layer gives a picture: the error of the lowest.
    pub fn decode(
        &mut self,
        packets: &[LayerPacket<'_>],
        pts: MediaTime,
    ) -> Result<Option<DecodedFrame>, Error> {
        let mut best = None;
        let mut failed = None;
        let groups = groups(packets)?;
        if groups.is_empty() {
            // The lowest one is missing, and with it the picture.
            if let Some(packet) = packets.first() {
                self.missed(Layer { temporal: packet.layer.temporal, ..Layer::BASE });
            }
            return Ok(None);
        }
        let mut fed = [false; MAX_STREAMS];
        for group in groups {
            let group = packets.get(group).unwrap_or_default();
            let spatial = group.first().map_or(0, |packet| usize::from(packet.layer.spatial));
            let (Some(slot), Some(fed)) = (self.streams.get_mut(spatial), fed.get_mut(spatial)) else {
                return Err(Error::Malformed("a spatial layer above 3"));
            };
            *fed = true;
            let stream = match slot {
                Some(stream) => stream,
                None => {
                    slot.insert(Stream { decoder: Rav1dDecoder::new(self.max_size)?, gate: Gate::default() })
                }
            };
            match stream.decode(group, pts) {
                Ok(shown) => best = shown.or(best),
                Err(error) => {
                    *slot = None;
                    failed = failed.or(Some(error));
                }
            }
        }
        for (stream, _) in self.streams.iter_mut().zip(fed).filter(|(_, fed)| !fed) {
            *stream = None;
        }
        match (best, failed) {
            (None, Some(error)) => Err(error),
            (best, _) => Ok(best),
        }
    }

    /// Nothing came of a picture that was of this layer or above, and not discardable. Of a picture in several layers say the lowest one.
    /// If it is not known which layer that was, [`LayeredDecoder::reset`] is what is left.
    pub fn missed(&mut self, layer: Layer) {
        // Which of several resolutions stand for themselves shows in what came of them; at or above the layer nothing did.
        for (first, stream) in self.streams.iter_mut().enumerate() {
            if let Some(stream) = stream {
                let step = usize::from(layer.spatial).saturating_sub(first) + usize::from(layer.quality);
                stream.gate.miss(step, layer.temporal.into());
            }
        }
    }

    /// Forgets the stream: a packet is missing that others refer to.
    pub fn reset(&mut self) {
        self.streams = Default::default();
    }

    /// True if nothing can be decoded until a key frame comes: ask the sender for one.
    pub fn needs_key_frame(&self) -> bool {
        self.streams
            .iter()
            .flatten()
            .all(|stream| stream.decoder.needs_key_frame() || stream.gate.is_base_missing())
    }
}

impl Stream {
    fn decode(&mut self, group: &[LayerPacket<'_>], pts: MediaTime) -> Result<Option<DecodedFrame>, Error> {
        let step =
            |packet: &LayerPacket<'_>| u16::from(packet.layer.spatial) + u16::from(packet.layer.quality);
        // What is above a gap refers to what is missing there.
        let pairs = group.iter().zip(group.iter().skip(1));
        let whole = 1 + pairs.take_while(|(below, above)| step(above) <= step(below) + 1).count();
        let group = group.get(..whole).unwrap_or(group);
        let Some(first) = group.first() else { return Ok(None) };
        if self.decoder.needs_key_frame() && first.class != ObjectClass::KeyFrame {
            return Err(Error::AwaitingKeyFrame);
        }
        // Checked before the gate learns of it.
        join_layers(group.iter().map(|packet| (packet.layer, packet.data)))?;
        let classes: Vec<ObjectClass> = group.iter().map(|packet| packet.class).collect();
        let taken = self.gate.admit(first.layer.temporal, &classes);
        if taken == 0 {
            return Ok(None);
        }
        let unit = join_layers(group.iter().take(taken).map(|packet| (packet.layer, packet.data)))?;
        Ok(self.decoder.decode(&unit, pts)?.pop())
    }
}

/// Which packets build on one another, lowest first. Those before the first one that begins something are in no group.
fn groups(packets: &[LayerPacket<'_>]) -> Result<Vec<Range<usize>>, Error> {
    let mut starts = Vec::new();
    for (index, packet) in packets.iter().enumerate() {
        let first = checked(packet.data).next().transpose()?;
        if first.is_some_and(|obu| obu.kind == ObuKind::TemporalDelimiter) {
            starts.push(index);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([packets.len()]);
    Ok(starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect())
}
