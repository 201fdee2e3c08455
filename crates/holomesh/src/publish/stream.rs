//! One outgoing stream: objects to sealed chunks, epoch after epoch, and the proofs of who sent them.

use super::repair::Repair;
use super::told::Told;
use super::{Coded, RepairShare, SoundProtection, StreamKind};
use crate::{Error, descriptions};
use av_wire::proof::{Grade, Prover};
use av_wire::{
    AwsLc, Inner, Media, Object, ObjectFlags, PictureOf, Place, Sealer, StreamAnnounce, StreamKeys,
};
use bytes::Bytes;
use codec_fountain::{BlockShape, Encoder, Pace, WindowConfig, WindowEncoder};
use codec_mdc::Description;
use core_types::{
    Epoch, Layer, LayerPolicy, LeafIndex, Marks, MediaTime, MonoTime, ObjectClass, ObjectSeq, StreamId,
};
use identity::Identity;
use std::time::Duration;

/// What an object has beside its payload takes no more than this: flags, times, and what it says of 15 objects.
const OBJECT_HEAD: usize = 128;
/// Packets of sound that a unit covers: of 20 ms each, bursts of half of that are repaired.
const SPAN: usize = 10;

/// An object as sealed chunks, or those of a picture.
#[derive(Debug)]
pub struct SealedObject {
    /// Its number; of a picture, that of its lowest layer.
    pub seq: ObjectSeq,
    /// Its chunks, of each object source first, with consecutive numbers.
    pub chunks: Vec<Bytes>,
    /// Bytes of the source symbols, or of the object where there are none.
    pub source_bytes: usize,
}

/// A picture in one layer or several.
#[derive(Debug, Clone, Copy)]
pub struct PictureToSeal<'a> {
    /// When it was captured, in the publisher's time.
    pub pts: MediaTime,
    /// How long it stands.
    pub duration: Duration,
    /// The stream ends with it.
    pub end_of_stream: bool,
    /// What its layers add to it, the lowest first.
    pub parts: &'a [Coded],
}

/// A stream that is being published.
#[derive(Debug)]
pub struct OutStream {
    kind: StreamKind,
    announce: StreamAnnounce,
    signed: Vec<u8>,
    id: StreamId,
    fountain: Encoder,
    repair: Repair,
    /// Of sound, what protects its objects across time.
    window: Option<WindowEncoder>,
    sealer: Option<Sealer>,
    next_object: u64,
    /// In a stream of several layers, what its objects say of pictures.
    told: Option<Told>,
    description: Option<Description>,
    prover: Prover,
}

impl OutStream {
    /// A stream as announced, with no epoch yet.
    ///
    /// # Errors
    /// [`Error::Wire`] if the announcement can't be signed; [`Error::Codec`] for a description whose label names none.
    pub fn new(kind: StreamKind, announce: StreamAnnounce, identity: &Identity) -> Result<Self, Error> {
        let description = descriptions::of_stream(&announce).map_err(|why| Error::codec("stream", why))?;
        let signed = announce.sign(identity)?;
        let id = announce.stream_id()?;
        let fountain = Encoder::new(announce.symbol_size);
        let prover = Prover::new(id, kind.proofs());
        let none = RepairShare::NONE;
        let repair = Repair { parents: announce.parents, share: none, of_detail: none };
        let told = (announce.layers != Layer::BASE).then(Told::default);
        let window = match kind {
            StreamKind::Audio => Some(window(&announce)?),
            StreamKind::Video => None,
        };
        let (sealer, next_object) = (None, 0);
        Ok(Self {
            kind,
            announce,
            signed,
            id,
            fountain,
            repair,
            window,
            sealer,
            next_object,
            told,
            description,
            prover,
        })
    }

    /// Its id.
    pub const fn id(&self) -> StreamId {
        self.id
    }

    /// Which description it is, if it is one of several.
    pub const fn description(&self) -> Option<Description> {
        self.description
    }

    /// Its signed announcement.
    pub fn signed_announce(&self) -> &[u8] {
        &self.signed
    }

    /// What it carries.
    pub const fn media(&self) -> Media {
        self.announce.media
    }

    /// The epoch that it seals in.
    pub fn epoch(&self) -> Option<Epoch> {
        self.sealer.as_ref().map(Sealer::epoch)
    }

    /// Goes on in a new epoch: chunk numbers start at 0 again, under a new key. What was sent in the old one has to be
    /// proven in it, and its last sound protected: call [`seal_units`](Self::seal_units) and [`prove_epoch`](Self::prove_epoch) first. Whoever
    /// has the new key alone must learn nothing of what was before, so no unit covers that.
    ///
    /// # Errors
    /// [`Error::Wire`] if keys can't be derived.
    pub fn enter_epoch(&mut self, epoch: Epoch, secret: &[u8; 32], own_leaf: LeafIndex) -> Result<(), Error> {
        if self.epoch().is_some_and(|current| epoch <= current) {
            return Ok(());
        }
        let keys = StreamKeys::<AwsLc>::derive(secret, self.id, own_leaf)?;
        self.sealer = Some(Sealer::new(keys, self.id, epoch, self.announce.codec));
        self.told.iter_mut().for_each(Told::enter_epoch);
        self.window.iter_mut().for_each(WindowEncoder::restart);
        Ok(())
    }

    /// Over how many parents its chunks are dealt.
    pub const fn parents(&self) -> u8 {
        self.announce.parents
    }

    /// From the next picture on, so many repair symbols, or as many as let any one parent fail if those are more. Follows
    /// the loss of the worst hop: relays can leave repair symbols out for those that need fewer, and make none.
    pub const fn set_repair(&mut self, share: RepairShare) {
        (self.repair.share, self.repair.of_detail) = (share, share);
    }

    /// As [`set_repair`](Self::set_repair), for layers above the lowest at higher rates than the lowest alone: those do without the repair
    /// that lets a parent fail.
    pub const fn set_detail_repair(&mut self, share: RepairShare) {
        self.repair.of_detail = share;
    }

    /// From the next packet of sound on, so many units of repair. Pictures have none.
    pub const fn set_pace(&mut self, pace: Pace) {
        if let Some(window) = &mut self.window {
            window.set_pace(pace);
        }
    }

    /// A packet of sound is due and there is none, since a silence goes on: units alone, if some are due.
    ///
    /// # Errors
    /// [`Error::Ended`] before the first epoch; [`Error::Wire`] if they can't be sealed.
    pub fn skip(&mut self) -> Result<Vec<Bytes>, Error> {
        self.units(WindowEncoder::skip)
    }

    /// Units alone for the last sound, after which nothing follows in this epoch.
    ///
    /// # Errors
    /// As [`OutStream::skip`].
    pub fn seal_units(&mut self) -> Result<Vec<Bytes>, Error> {
        if self.sealer.is_none() {
            return Ok(Vec::new());
        }
        self.units(WindowEncoder::flush)
    }

    fn units(
        &mut self,
        of: impl FnOnce(&mut WindowEncoder) -> Option<(ObjectSeq, &[u8])>,
    ) -> Result<Vec<Bytes>, Error> {
        let sealer = self.sealer.as_mut().ok_or(Error::Ended("sealing before the first epoch"))?;
        let Some((seq, body)) = self.window.as_mut().and_then(of) else { return Ok(Vec::new()) };
        // Nothing refers to them, and nobody is to leave them out as repair, or they would be missed.
        let chunk = sealer.seal(first(ObjectClass::Discardable), &Inner::Window { seq, body })?;
        Ok(vec![chunk.into()])
    }

    /// Seals the next object, of the lowest layer. Pictures become source symbols and repair ([`set_repair`](Self::set_repair)); sound goes
    /// whole in one chunk, with units that make up for the packets before it ([`set_pace`](Self::set_pace)).
    ///
    /// # Errors
    /// [`Error::Ended`] before the first epoch; [`Error::Codec`] and [`Error::Wire`] for an object above the limits.
    pub fn seal(&mut self, now: MonoTime, object: &Object<'_>) -> Result<SealedObject, Error> {
        let seq = ObjectSeq(self.next_object);
        let bytes = object.to_bytes_at(seq, self.announce.frame_duration)?;
        self.seal_bytes(now, Layer::BASE, self.kind.class(object.flags), &bytes)
    }

    /// Whether there is room for these parts of a picture, each in an object: what is longer than that can't be sealed.
    pub fn has_room(&self, parts: &[Coded]) -> bool {
        let most = BlockShape::max_object_len(self.announce.symbol_size).saturating_sub(OBJECT_HEAD);
        parts.iter().all(|part| part.payload.len() <= most)
    }

    /// Seals the objects of the next picture, one for each layer that it has.
    ///
    /// # Errors
    /// As [`OutStream::seal`]; [`Error::Codec`] also for a picture in layers that were not announced, or in none.
    pub fn seal_picture(
        &mut self,
        now: MonoTime,
        picture: &PictureToSeal<'_>,
    ) -> Result<SealedObject, Error> {
        let (symbol_size, repair) = (self.announce.symbol_size, self.repair);
        let chunks = |len: usize, layer: Layer| {
            let k = BlockShape::new(len, symbol_size).map_err(fountain)?.source_symbols();
            Ok(k + repair.symbols(k, layer))
        };
        let top = self.announce.layers;
        let admitted =
            LayerPolicy { max_spatial: top.spatial, max_temporal: top.temporal, max_quality: top.quality };
        if picture.parts.is_empty() || picture.parts.iter().any(|part| !admitted.admits(part.layer)) {
            return Err(Error::codec(
                "picture",
                format!("its layers are not those announced, up to {top:?}"),
            ));
        }
        let objects = match &mut self.told {
            Some(told) => {
                told.objects(picture, ObjectSeq(self.next_object), self.announce.frame_duration, chunks)?
            }
            None => vec![
                object(picture, &picture.parts[0], None)
                    .to_bytes_at(ObjectSeq(self.next_object), self.announce.frame_duration)?,
            ],
        };
        let mut sealed: Option<SealedObject> = None;
        for (part, bytes) in picture.parts.iter().zip(&objects) {
            let next = self.seal_bytes(now, part.layer, part.class, bytes)?;
            match &mut sealed {
                Some(sealed) => {
                    sealed.chunks.extend(next.chunks);
                    sealed.source_bytes += next.source_bytes;
                }
                None => sealed = Some(next),
            }
        }
        sealed.ok_or(Error::Ended("a picture without layers"))
    }

    fn seal_bytes(
        &mut self,
        now: MonoTime,
        layer: Layer,
        class: ObjectClass,
        bytes: &[u8],
    ) -> Result<SealedObject, Error> {
        let sealer = self.sealer.as_mut().ok_or(Error::Ended("sealing before the first epoch"))?;
        let seq = ObjectSeq(self.next_object);
        let sealed = match self.kind {
            StreamKind::Audio => {
                // What is too long for units goes by itself, and the next ones cover what follows on it.
                let body = self.window.as_mut().and_then(|window| window.push(seq, bytes).ok());
                let inner = body.map_or(Inner::Object { seq, bytes }, |body| Inner::Window { seq, body });
                let chunk = sealer.seal(first(class), &inner)?;
                SealedObject { seq, chunks: vec![chunk.into()], source_bytes: bytes.len() }
            }
            StreamKind::Video => {
                let object_len =
                    u32::try_from(bytes.len()).map_err(|e| Error::codec("fountain encoder", e))?;
                let size = self.announce.symbol_size;
                let k = BlockShape::new(bytes.len(), size).map_err(fountain)?.source_symbols();
                // What nothing refers to is there in the other descriptions as well.
                let is_spare = self.description.is_some() && class == ObjectClass::Discardable;
                let repair = if is_spare { self.repair.for_spare(k) } else { self.repair.symbols(k, layer) };
                let made = u16::try_from(repair).map_err(|e| Error::codec("fountain encoder", e))?;
                let mut chunks = Vec::with_capacity((k + repair) as usize);
                for (id, data) in self.fountain.encode_block(bytes, repair).map_err(fountain)?.symbols() {
                    let marks = Marks { class, start: id.value() == 0, repair: id.value() >= k };
                    let inner = Inner::Symbol { seq, object_len, repair: made, id, bytes: data };
                    chunks.push(Bytes::from(sealer.seal(Place { layer, marks }, &inner)?));
                }
                SealedObject { seq, chunks, source_bytes: k as usize * size.bytes() }
            }
        };
        self.next_object += 1;
        self.prover.handle_object(now, seq, bytes)?;
        Ok(sealed)
    }

    /// When [`prove_due`](Self::prove_due) has something to do next.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        self.prover.poll_timeout()
    }

    /// The proof that is due by now, as sealed chunks.
    ///
    /// # Errors
    /// [`Error::Wire`] if it can't be signed or sealed.
    pub fn prove_due(&mut self, now: MonoTime, identity: &Identity) -> Result<Vec<Bytes>, Error> {
        let Some(grade) = self.prover.due(now) else { return Ok(Vec::new()) };
        self.prove(grade, identity)
    }

    /// A proof of what the current epoch has left unproven, as sealed chunks.
    ///
    /// # Errors
    /// [`Error::Wire`] if it can't be signed or sealed.
    pub fn prove_epoch(&mut self, identity: &Identity) -> Result<Vec<Bytes>, Error> {
        self.prove(Grade::Hybrid, identity)
    }

    /// The last proof, after the last object, as sealed chunks, and its last piece twice more: nothing else follows by
    /// which a receiver would notice what it has lost, and no later proof makes good for this one.
    ///
    /// # Errors
    /// [`Error::Wire`] if it can't be signed or sealed.
    pub fn prove_end(&mut self, identity: &Identity) -> Result<Vec<Bytes>, Error> {
        let Some(epoch) = self.epoch() else { return Ok(Vec::new()) };
        let Some(proof) = self.prover.finish(epoch, identity)? else { return Ok(Vec::new()) };
        let mut parts = proof.parts_with_small_last()?;
        parts.extend(parts.last().cloned().map(|last| [last.clone(), last]).into_iter().flatten());
        self.seal_parts(&parts)
    }

    fn prove(&mut self, grade: Grade, identity: &Identity) -> Result<Vec<Bytes>, Error> {
        let Some(epoch) = self.epoch() else { return Ok(Vec::new()) };
        match self.prover.prove(grade, epoch, identity)? {
            Some(proof) => self.seal_parts(&proof.parts()?),
            None => Ok(Vec::new()),
        }
    }

    fn seal_parts(&mut self, parts: &[Vec<u8>]) -> Result<Vec<Bytes>, Error> {
        let sealer = self.sealer.as_mut().ok_or(Error::Ended("sealing before the first epoch"))?;
        let place = first(ObjectClass::Plain);
        let mut seal = |part: &Vec<u8>| sealer.seal(place, &Inner::Proof { bytes: part });
        parts.iter().map(|part| Ok(Bytes::from(seal(part)?))).collect()
    }
}

/// What protects the sound of a stream. With its units a chunk is no longer than one of pictures: that has a way through.
fn window(announce: &StreamAnnounce) -> Result<WindowEncoder, Error> {
    let pace = SoundProtection::new(announce.parents).floor();
    let config = WindowConfig::new(SPAN, pace).map_err(fountain)?;
    Ok(WindowEncoder::new(config.within(announce.symbol_size.bytes())))
}

fn fountain(error: codec_fountain::Error) -> Error {
    Error::codec("fountain encoder", error)
}

/// What a layer adds to a picture, as an object.
pub(super) fn object<'a>(picture: &PictureToSeal<'_>, part: &'a Coded, of: Option<PictureOf>) -> Object<'a> {
    let flags = ObjectFlags {
        key_frame: part.class == ObjectClass::KeyFrame,
        discardable: part.class == ObjectClass::Discardable,
        end_of_stream: picture.end_of_stream,
    };
    Object { flags, pts: picture.pts, duration: picture.duration, picture: of, payload: &part.payload }
}

/// The place of a chunk that begins an object of the base layer.
const fn first(class: ObjectClass) -> Place {
    Place { layer: Layer::BASE, marks: Marks { class, start: true, repair: false } }
}

#[cfg(test)]
pub(super) mod tests;
