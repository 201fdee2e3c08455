//! A decoder for packets in layers, whether they build on one another or not.

use core::ops::Range;

use core_types::{FrameSize, Layer, MediaTime};

use av1_backends::ObuKind;

use crate::unit::checked;
use crate::{DecodedFrame, Error, Rav1dDecoder, VideoDecoder, join_layers};

/// Resolutions that may stand for themselves: a simulcast has at most four.
const MAX_STREAMS: usize = 4;

/// Takes the packets of one time and shows the best picture that they make.
///
/// Packets that build on one another go into one decoder. Those that begin with a temporal delimiter stand for themselves and have a
/// decoder each, by their spatial layer, so that a lower resolution can be shown at once when a higher one is missing.
#[derive(Debug)]
pub struct LayeredDecoder {
    max_size: FrameSize,
    /// By the spatial layer that they begin at.
    decoders: Vec<Option<Rav1dDecoder>>,
}

impl LayeredDecoder {
    /// A decoder that refuses pictures with more pixels than `max_size` has, before it takes memory for them.
    pub fn new(max_size: FrameSize) -> Self {
        Self { max_size, decoders: (0..MAX_STREAMS).map(|_| None).collect() }
    }

    /// Takes the packets of one time, the lowest layer first, and gives the picture of the highest layer that can be decoded. A resolution
    /// of a simulcast that is missing is not gone on with before a key frame of its own.
    ///
    /// # Errors
    /// Those of [`VideoDecoder::decode`] and [`join_layers`], when no layer gives a picture: the error of the lowest. No picture and no
    /// error is for packets that make none.
    pub fn decode(
        &mut self,
        packets: &[(Layer, &[u8])],
        pts: MediaTime,
    ) -> Result<Option<DecodedFrame>, Error> {
        let mut best = None;
        let mut failed = None;
        let mut fed = [false; MAX_STREAMS];
        for group in groups(packets)? {
            let group = packets.get(group).unwrap_or_default();
            let spatial = group.first().map_or(0, |(layer, _)| usize::from(layer.spatial));
            let (Some(slot), Some(fed)) = (self.decoders.get_mut(spatial), fed.get_mut(spatial)) else {
                return Err(Error::Malformed("a spatial layer above 3"));
            };
            *fed = true;
            let decoder = match slot {
                Some(decoder) => decoder,
                None => slot.insert(Rav1dDecoder::new(self.max_size)?),
            };
            let shown = join_layers(group.iter().copied()).and_then(|unit| decoder.decode(&unit, pts));
            match shown {
                Ok(mut shown) => best = shown.pop().or(best),
                Err(error) => {
                    decoder.reset();
                    failed = failed.or(Some(error));
                }
            }
        }
        for (decoder, _) in self.decoders.iter_mut().zip(fed).filter(|(_, fed)| !fed) {
            *decoder = None;
        }
        match (best, failed) {
            (None, Some(error)) => Err(error),
            (best, _) => Ok(best),
        }
    }

    /// Forgets the stream: a packet is missing that others refer to.
    pub fn reset(&mut self) {
        self.decoders.fill_with(|| None);
    }

    /// True if nothing can be decoded until a key frame comes: ask the sender for one.
    pub fn needs_key_frame(&self) -> bool {
        self.decoders.iter().flatten().all(VideoDecoder::needs_key_frame)
    }
}

/// Which packets build on one another, lowest first.
fn groups(packets: &[(Layer, &[u8])]) -> Result<Vec<Range<usize>>, Error> {
    let mut starts = Vec::new();
    for (index, (_, data)) in packets.iter().enumerate() {
        let first = checked(data).next().transpose()?;
        if index == 0 || first.is_some_and(|obu| obu.kind == ObuKind::TemporalDelimiter) {
            starts.push(index);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([packets.len()]);
    Ok(starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect())
}
