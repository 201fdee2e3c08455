//! Chunks that come in: source, quota, dedup, and only then anything else.

use super::Relay;
use crate::error::WrongChunk;
use crate::layers::MAX_LAYERS;
use crate::ring::{Flags, Meta};
use crate::stream::KeyFrame;
use crate::{Error, Event};
use av_wire::{FreshChunk, KeptChunk};
use bytes::Bytes;
use core_types::{CodecId, LinkId, MonoTime, ObjectClass};

impl Relay {
    /// Takes chunks that came on `link`, best a frame's worth at a time: their subscribers are ready then. The type says that
    /// they authenticated on their link and are fresh there. Returns the first error; the other chunks are handled all the
    /// same. Chunks over a quota are cut without an error.
    ///
    /// # Errors
    /// [`Error::UnknownLink`]; [`Error::NotUpstream`] and [`Error::WrongChunk`], the peer's faults.
    pub fn handle_chunks(
        &mut self,
        now: MonoTime,
        link: LinkId,
        chunks: impl IntoIterator<Item = FreshChunk<Bytes>>,
    ) -> Result<(), Error> {
        self.tick(now);
        let slot = self.known(link)?;
        let mut outcome = Ok(());
        let mut stream = None;
        for chunk in chunks {
            match self.admit(now, slot, chunk) {
                Ok(Some(of)) if stream != Some(of) => {
                    self.mark_ready(stream.replace(of));
                }
                Ok(_) => {}
                Err(error) => {
                    self.count(Some(slot), None, |stats| stats.refused += 1);
                    outcome = outcome.and(Err(error));
                }
            }
        }
        self.mark_ready(stream);
        outcome
    }

    /// As [`handle_chunks`](Self::handle_chunks), for one chunk.
    ///
    /// # Errors
    /// As [`handle_chunks`](Self::handle_chunks).
    pub fn handle_datagram(
        &mut self,
        now: MonoTime,
        link: LinkId,
        chunk: FreshChunk<Bytes>,
    ) -> Result<(), Error> {
        self.handle_chunks(now, link, [chunk])
    }

    /// The subscribers of a stream have something to be sent.
    fn mark_ready(&mut self, stream: Option<u32>) {
        let state = stream.and_then(|slot| self.streams.get(slot as usize)?.as_ref());
        if let Some(state) = state {
            self.ready.add_all(&state.members, [&self.blocked, &self.throttled]);
        }
    }

    /// Puts a chunk into the ring of its stream, which it returns; `None` if it is not taken.
    fn admit(&mut self, now: MonoTime, link: u32, chunk: FreshChunk<Bytes>) -> Result<Option<u32>, Error> {
        let id = chunk.header().stream_id;
        let recent = self.streams.get(self.recent_stream as usize).and_then(Option::as_ref);
        let slot = match recent {
            Some(state) if state.id == id => Some(self.recent_stream),
            _ => self.stream_slots.get(&id).copied(),
        };
        let feeds = |slot: &u32| {
            self.streams
                .get(*slot as usize)
                .and_then(Option::as_ref)
                .is_some_and(|s| s.upstreams.contains(&link))
        };
        let Some(slot) = slot.filter(feeds) else {
            return Err(Error::NotUpstream { link: self.links[link as usize].id, stream: id });
        };
        self.recent_stream = slot;
        if !self.has_quota(now, link, slot, chunk.bytes().len() as u64) {
            return Ok(None);
        }
        let Some(state) = self.streams.get(slot as usize).and_then(Option::as_ref) else { return Ok(None) };
        let link_id = self.links[link as usize].id;
        let wrong = |why| Error::WrongChunk { link: link_id, stream: id, why };
        let (have, announced) = (chunk.header().codec, state.carriage.codec);
        if have != announced {
            return Err(wrong(WrongChunk::Codec { have, announced }));
        }
        let Ok(first) = self.dedup.first_chunk(chunk) else {
            self.count(Some(link), Some(slot), |stats| stats.duplicates += 1);
            return Ok(None);
        };
        let (len, repair) = (first.bytes().len() as u64, first.header().marks.repair);
        if !self.keep(now, slot, first.keep()) {
            return Err(wrong(WrongChunk::Layers { limit: MAX_LAYERS }));
        }
        self.count(Some(link), Some(slot), |stats| {
            stats.chunks_in += 1;
            stats.bytes_in += len;
            stats.repair_in += u64::from(repair);
        });
        Ok(Some(slot))
    }

    /// Charges a chunk to the quotas of its link, its identity and its stream; it is cut if one of them is used up.
    fn has_quota(&mut self, now: MonoTime, link: u32, stream: u32, bytes: u64) -> bool {
        let feeder = &mut self.links[link as usize];
        let owner = &mut self.identities[feeder.identity as usize];
        let Some(state) = self.streams.get_mut(stream as usize).and_then(Option::as_mut) else {
            return false;
        };
        let mut meters = [feeder.fed.as_deref_mut(), Some(&mut owner.fed), Some(&mut state.meter)];
        for meter in meters.iter_mut().flatten().filter(|meter| meter.is_limited()) {
            if let Some((obstacle, limit)) = meter.obstacle(now, bytes) {
                self.over_quota(now, link, Some(stream), obstacle.incoming(), limit);
                self.count(Some(link), Some(stream), |stats| stats.cut += 1);
                return false;
            }
        }
        meters.into_iter().flatten().for_each(|meter| meter.spend(bytes, 1));
        true
    }

    /// Puts a chunk into the ring. False if the stream has no room for its layer.
    fn keep(&mut self, now: MonoTime, slot: u32, chunk: KeptChunk<Bytes>) -> bool {
        let Some(state) = self.streams.get_mut(slot as usize).and_then(Option::as_mut) else { return true };
        let header = *chunk.header();
        let Some(layer) = state.layers.number(header.layer, now) else { return false };
        // Chunks that nobody knows anything about belong to no object.
        let known = if header.codec == CodecId::Opaque { None } else { state.objects.find(&header, layer) };
        let (object, flags, needs) = match known {
            Some((object, flags)) => (object, flags, 0),
            None => {
                let mut gone = Vec::new();
                let (class, alone) = (header.marks.class, state.is_alone());
                let standing = state.layers.open(layer, now, class, alone, |layer| gone.push(layer));
                let key = standing.base && class == ObjectClass::KeyFrame && !alone;
                let flags = Flags::default()
                    .with(Flags::BASE, standing.base)
                    .with(Flags::TAKE_UP, standing.take_up)
                    .with(Flags::DISCARDABLE, class == ObjectClass::Discardable)
                    .with(Flags::ALONE, alone)
                    .with(Flags::KEY, key);
                let object = state.objects.open(&header, layer, flags);
                let deadline = state.layers.deadline();
                if key && state.keys.last.is_none_or(|last| last.epoch <= header.epoch) {
                    let index = state.ring.head();
                    state.keys.last = Some(KeyFrame { index, epoch: header.epoch, at: now });
                    state.keys.ask_at = None;
                    state.stats.key_frames_in += 1;
                    self.stats.key_frames_in += 1;
                } else if standing.base && state.keys.last.is_none() && state.keys.sent_at.is_none() {
                    // It is the relay that came late: who waits for a key frame would wait for long.
                    state.keys.ask_at = state.keys.ask_at.map(|at| at.min(now));
                }
                if standing.back {
                    gone.push(header.layer);
                }
                self.report_layers(slot, &gone, standing.back);
                if let Some(deadline) = deadline {
                    self.arm(deadline);
                }
                self.ask_for_key_frame(now, slot);
                (object, flags.with(Flags::OPENS, true), standing.needs)
            }
        };
        let Some(state) = self.streams.get_mut(slot as usize).and_then(Option::as_mut) else { return true };
        let mut meta = Meta::new(object, header.chunk_seq, now, chunk.bytes().len() as u32);
        (meta.order, meta.layer, meta.needs) = (self.order, layer, needs);
        meta.flags = flags.with(Flags::REPAIR, header.marks.repair);
        self.order += 1;
        state.ring.push(chunk, meta);
        true
    }

    /// Says which layers are gone; the last one is back, if one is.
    fn report_layers(&mut self, slot: u32, layers: &[core_types::Layer], back: bool) {
        let Some(stream) = self.streams.get(slot as usize).and_then(|s| Some(s.as_ref()?.id)) else { return };
        for (at, layer) in layers.iter().enumerate() {
            let (layer, last) = (*layer, at + 1 == layers.len());
            self.tell(if back && last {
                Event::LayerBack { stream, layer }
            } else {
                Event::LayerGone { stream, layer }
            });
        }
    }
}
