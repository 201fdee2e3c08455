//! One outgoing stream: objects to sealed chunks, epoch after epoch, and the proofs of who sent them.

use super::RepairShare;
use crate::Error;
use av_wire::proof::{Grade, Prover, ProverConfig};
use av_wire::{AwsLc, Inner, Media, Object, ObjectFlags, Place, Sealer, StreamAnnounce, StreamKeys};
use bytes::Bytes;
use codec_fountain::{BlockShape, Encoder};
use core_types::{CodecId, Epoch, Layer, LeafIndex, Marks, MonoTime, ObjectClass, ObjectSeq, StreamId};
use identity::Identity;

/// Which of a publisher's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StreamKind {
    /// Pictures, as fountain symbols.
    Video,
    /// Sound, as whole objects.
    Audio,
}

impl StreamKind {
    /// The codec of its chunks.
    pub const fn codec(self) -> CodecId {
        match self {
            Self::Video => CodecId::Av1,
            Self::Audio => CodecId::Opus,
        }
    }

    /// What an object with these flags is to a decoder, for the marks of its chunks (spec 20 section 2). A decoder can start
    /// with any packet of sound.
    pub const fn class(self, flags: ObjectFlags) -> ObjectClass {
        match (self, flags) {
            (Self::Audio, _) | (Self::Video, ObjectFlags { key_frame: true, .. }) => ObjectClass::KeyFrame,
            (Self::Video, ObjectFlags { discardable: true, .. }) => ObjectClass::Discardable,
            (Self::Video, _) => ObjectClass::Plain,
        }
    }

    /// How often its objects are proven, and how finely (spec 25 section 4).
    pub const fn proofs(self) -> ProverConfig {
        match self {
            Self::Video => ProverConfig::VIDEO,
            Self::Audio => ProverConfig::AUDIO,
        }
    }
}

/// An object as sealed chunks.
#[derive(Debug)]
pub struct SealedObject {
    /// Its number.
    pub seq: ObjectSeq,
    /// Its chunks, source first, with consecutive numbers.
    pub chunks: Vec<Bytes>,
    /// Bytes of the source symbols, or of the object where there are none.
    pub source_bytes: usize,
}

/// A stream that is being published.
#[derive(Debug)]
pub struct OutStream {
    kind: StreamKind,
    announce: StreamAnnounce,
    signed: Vec<u8>,
    id: StreamId,
    fountain: Encoder,
    repair: RepairShare,
    sealer: Option<Sealer>,
    next_object: u64,
    prover: Prover,
}

impl OutStream {
    /// A stream as announced, with no epoch yet.
    ///
    /// # Errors
    /// [`Error::Wire`] if the announcement can't be signed.
    pub fn new(kind: StreamKind, announce: StreamAnnounce, identity: &Identity) -> Result<Self, Error> {
        let signed = announce.sign(identity)?;
        let id = announce.stream_id()?;
        let fountain = Encoder::new(announce.symbol_size);
        let prover = Prover::new(id, kind.proofs());
        let repair = RepairShare::NONE;
        Ok(Self { kind, announce, signed, id, fountain, repair, sealer: None, next_object: 0, prover })
    }

    /// Its id.
    pub const fn id(&self) -> StreamId {
        self.id
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
    /// proven in it: call [`prove_epoch`](Self::prove_epoch) first.
    ///
    /// # Errors
    /// [`Error::Wire`] if keys can't be derived.
    pub fn enter_epoch(&mut self, epoch: Epoch, secret: &[u8; 32], own_leaf: LeafIndex) -> Result<(), Error> {
        if self.epoch().is_some_and(|current| epoch <= current) {
            return Ok(());
        }
        let keys = StreamKeys::<AwsLc>::derive(secret, self.id, own_leaf)?;
        self.sealer = Some(Sealer::new(keys, self.id, epoch, self.kind.codec()));
        Ok(())
    }

    /// Over how many parents its chunks are dealt.
    pub const fn parents(&self) -> u8 {
        self.announce.parents
    }

    /// From the next picture on, so many repair symbols, or as many as let any one parent fail if those are more. Follows
    /// the loss of the worst hop: relays can leave repair symbols out for those that need fewer, and make none.
    pub const fn set_repair(&mut self, share: RepairShare) {
        self.repair = share;
    }

    /// Seals the next object. Pictures become source symbols and repair ([`set_repair`](Self::set_repair)); sound goes whole
    /// in one chunk, since a lost packet is asked for again or recovered from the next one.
    ///
    /// # Errors
    /// [`Error::Ended`] before the first epoch; [`Error::Codec`] and [`Error::Wire`] for an object above the limits.
    pub fn seal(&mut self, now: MonoTime, object: &Object<'_>) -> Result<SealedObject, Error> {
        let sealer = self.sealer.as_mut().ok_or(Error::Ended("sealing before the first epoch"))?;
        let seq = ObjectSeq(self.next_object);
        let bytes = object.to_bytes_at(seq, self.announce.frame_duration)?;
        let class = self.kind.class(object.flags);
        let sealed = match self.kind {
            StreamKind::Audio => {
                let chunk = sealer.seal(first(class), &Inner::Object { seq, bytes: &bytes })?;
                SealedObject { seq, chunks: vec![chunk.into()], source_bytes: bytes.len() }
            }
            StreamKind::Video => {
                let fountain = |e| Error::codec("fountain encoder", e);
                let object_len =
                    u32::try_from(bytes.len()).map_err(|e| Error::codec("fountain encoder", e))?;
                let size = self.announce.symbol_size;
                let k = BlockShape::new(bytes.len(), size).map_err(fountain)?.source_symbols();
                let repair = self.repair.symbols(k, self.announce.parents);
                let made = u16::try_from(repair).map_err(|e| Error::codec("fountain encoder", e))?;
                let mut chunks = Vec::with_capacity((k + repair) as usize);
                for symbol in self.fountain.encode(&bytes, repair).map_err(fountain)? {
                    let id = symbol.id.value();
                    let marks = Marks { class, start: id == 0, repair: id >= k };
                    let inner =
                        Inner::Symbol { seq, object_len, repair: made, id: symbol.id, bytes: &symbol.data };
                    chunks.push(Bytes::from(sealer.seal(Place { layer: Layer::BASE, marks }, &inner)?));
                }
                SealedObject { seq, chunks, source_bytes: k as usize * size.bytes() }
            }
        };
        self.next_object += 1;
        self.prover.handle_object(now, seq, &bytes)?;
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

/// The place of a chunk that begins an object of the base layer.
const fn first(class: ObjectClass) -> Place {
    Place { layer: Layer::BASE, marks: Marks { class, start: true, repair: false } }
}

#[cfg(test)]
pub(super) mod tests;
