//! One incoming stream: chunks of several parents in, objects out.

use super::dues::Dues;
use super::layers::LayerFlow;
use super::proofs::{ProofCheck, Proofs};
use crate::publish::StreamKind;
use crate::record::Piece;
use crate::{Error, descriptions};
use alm::Subscription;
use av_wire::{
    ChunkHeader, HEADER_LEN, Inner, Keyring, Media, Object, ObjectFlags, StreamAnnounce, StreamSecret,
};
use bytes::Bytes;
use codec_fountain::{BlockShape, Reassembler, ReassemblyLimits};
use codec_mdc::Description;
use codec_opus::OpusPacket;
use control_wire::Start;
use core::ops::Range;
use core_types::{
    BitRate, ChunkSeq, Epoch, Layer, LayerPolicy, LinkId, MediaTime, MonoTime, ObjectClass, ObjectSeq,
    StreamId,
};
use identity::PublicIdentity;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

mod told;
mod units;

pub(super) use told::{Before, Told};
use units::Units;

/// Chunks of an epoch whose key is still on its way that are kept until it comes.
const STASH: usize = 1_024;

/// How often is looked at which layers come.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An object that is complete.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) kind: StreamKind,
    /// Of pictures in several descriptions, which.
    pub(super) description: Option<Description>,
    pub(super) seq: ObjectSeq,
    pub(super) layer: Layer,
    pub(super) class: ObjectClass,
    pub(super) flags: ObjectFlags,
    pub(super) pts: MediaTime,
    /// The number of its picture.
    pub(super) picture: u64,
    /// What it tells of that picture and of those before, in a stream of several layers.
    pub(super) told: Option<Told>,
    pub(super) payload: Vec<u8>,
    pub(super) assembled_at: Instant,
    /// It was lost, and is here by the units of others.
    pub(super) was_repaired: bool,
}

/// What came, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ReceiveStats {
    pub(super) chunks: u64,
    pub(super) bytes: u64,
    pub(super) undecryptable: u64,
    /// Chunks of epochs before this watcher was a member.
    pub(super) foreign: u64,
    /// Chunks whose number is far beyond all that other parents send.
    pub(super) implausible: u64,
    /// Packets of sound that units gave back.
    pub(super) by_units: u64,
}

/// An object that is whole, as it was sealed.
struct Whole<'a> {
    epoch: Epoch,
    seq: ObjectSeq,
    bytes: &'a [u8],
    layer: Layer,
    class: ObjectClass,
    /// The chunks that it came in, where it was put together from several.
    chunks: Option<Range<ChunkSeq>>,
    was_repaired: bool,
}

pub(super) struct InStream {
    pub(super) kind: StreamKind,
    pub(super) description: Option<Description>,
    pub(super) id: StreamId,
    pub(super) announce: StreamAnnounce,
    pub(super) subscription: Subscription,
    pub(super) dues: Dues,
    pub(super) layers: LayerFlow,
    pub(super) stats: ReceiveStats,
    pub(super) proofs: ProofCheck,
    /// Parents that were asked for it, if only to be ready.
    pub(super) known_to: BTreeSet<LinkId>,
    /// When a parent was told to send some of it last.
    pub(super) assigned_at: MonoTime,
    /// Of a description: since when others have gone on without it.
    pub(super) behind_since: Option<MonoTime>,
    first_epoch: Option<Epoch>,
    /// Something came whole that can be shown with nothing before it.
    has_begun: bool,
    /// Of sound, the highest number so far, in the newest epoch.
    newest: Option<(Epoch, ObjectSeq)>,
    /// What was opened and is to be passed on, if anything is.
    opened: Option<Vec<Bytes>>,
    /// What was opened and is to be recorded, if anything is.
    pieces: Option<Vec<Piece>>,
    meter: Meter,
    /// When is looked at which layers come; never in a stream of one.
    next_look: Option<MonoTime>,
    keyring: Keyring,
    reassembler: Reassembler,
    units: Units,
    stash: VecDeque<(LinkId, Epoch, Bytes, usize)>,
    scratch: Vec<u8>,
}

impl InStream {
    /// A stream as announced by `publisher`, who must have been verified to have said so.
    pub(super) fn new(
        announce: StreamAnnounce,
        publisher: &PublicIdentity,
        proofs: Proofs,
        cap: LayerPolicy,
    ) -> Result<Self, Error> {
        let kind = match announce.media {
            Media::Video { .. } => StreamKind::Video,
            Media::Audio { .. } => StreamKind::Audio,
            Media::Data => return Err(Error::codec("stream", "data streams are not watched yet")),
        };
        let description = descriptions::of_stream(&announce).map_err(|why| Error::codec("stream", why))?;
        let is_played = match description {
            Some(_) => kind == StreamKind::Video,
            None => announce.codec == kind.codec(),
        };
        if !is_played {
            return Err(Error::codec("stream", format!("codec {:?} is not played here", announce.codec)));
        }
        let id = announce.stream_id()?;
        let mut seed = [0; 8];
        crate::keyfile::fill_random(&mut seed)?;
        let seed = u64::from_be_bytes(seed);
        let config = alm::Config { stripes: announce.parents, seed, ..alm::Config::default() };
        Ok(Self {
            kind,
            description,
            id,
            subscription: Subscription::new(config).map_err(|e| Error::codec("stream", e))?,
            dues: Dues::new(announce.parents),
            layers: LayerFlow::new(announce.layers, cap),
            stats: ReceiveStats::default(),
            proofs: ProofCheck::new(id, kind, publisher, proofs),
            known_to: BTreeSet::new(),
            assigned_at: MonoTime(0),
            behind_since: None,
            first_epoch: None,
            has_begun: false,
            newest: None,
            opened: None,
            pieces: None,
            meter: Meter::default(),
            next_look: (announce.layers != Layer::BASE).then_some(MonoTime(0)),
            keyring: Keyring::new(id),
            reassembler: Reassembler::new(announce.symbol_size, ReassemblyLimits::default())
                .map_err(|e| Error::codec("fountain decoder", e))?,
            units: Units::default(),
            stash: VecDeque::new(),
            scratch: Vec::new(),
            announce,
        })
    }

    /// Where a new parent is to start: who has nothing yet that can be shown wants the pictures since the last key frame, as far as
    /// it can open them; anybody else has them from the other parents.
    pub(super) fn start(&self) -> Start {
        match self.first_epoch {
            Some(epoch) if !self.has_begun => Start::Kept { epoch: epoch.0 },
            _ => Start::Live,
        }
    }

    /// Puts a new epoch's key in place, and opens what came before it. What comes of it is for
    /// [`ProofCheck::poll_object`].
    #[cfg(test)]
    pub(super) fn install(
        &mut self,
        now: MonoTime,
        epoch: Epoch,
        secret: &[u8; 32],
        sender: core_types::LeafIndex,
    ) -> Result<(), Error> {
        self.install_stream(now, epoch, &StreamSecret::derive(secret, self.id, sender)?)
    }

    /// As [`install`](Self::install), of the stream's own secret.
    pub(super) fn install_stream(
        &mut self,
        now: MonoTime,
        epoch: Epoch,
        secret: &StreamSecret,
    ) -> Result<(), Error> {
        self.keyring.install_stream(now, epoch, secret)?;
        self.first_epoch.get_or_insert(epoch);
        for (link, chunk_epoch, chunk, carried) in std::mem::take(&mut self.stash) {
            if chunk_epoch <= epoch {
                self.open(now, link, &chunk, carried);
            } else {
                self.stash.push_back((link, chunk_epoch, chunk, carried));
            }
        }
        Ok(())
    }

    /// Takes a chunk of this stream from a link, on which it took `carried` bytes. What comes of it is for [`ProofCheck::poll_object`].
    pub(super) fn handle_chunk(&mut self, now: MonoTime, link: LinkId, chunk: &Bytes, carried: usize) {
        self.stats.chunks += 1;
        self.stats.bytes += carried as u64;
        self.open(now, link, chunk, carried);
    }

    fn open(&mut self, now: MonoTime, link: LinkId, chunk: &Bytes, carried: usize) {
        let Ok(header) = ChunkHeader::parse(chunk) else {
            return tracing::debug!("a chunk of no use");
        };
        // Any member can seal any number. One that no other parent is near to would have the rest of the epoch looked for in vain.
        if !self.subscription.is_plausible(now, link, header.epoch, header.chunk_seq) {
            self.stats.implausible += 1;
            return tracing::debug!(%link, seq = %header.chunk_seq, "a number that no other parent is near to");
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(chunk.get(HEADER_LEN..).unwrap_or_default());
        let opened = match self.keyring.open_body(now, header, &mut self.scratch) {
            Ok(opened) => opened,
            Err(av_wire::Error::NoKey { epoch, newest, .. })
                if newest.is_none_or(|newest| epoch > newest) =>
            {
                // The key is on its way: commits travel on another path than chunks.
                if self.stash.len() >= STASH {
                    self.stash.pop_front();
                    self.stats.undecryptable += 1;
                }
                self.stash.push_back((link, epoch, chunk.clone(), carried));
                return;
            }
            Err(av_wire::Error::NoKey { epoch, .. })
                if self.first_epoch.is_some_and(|first| epoch < first) =>
            {
                self.stats.foreign += 1;
                return;
            }
            Err(av_wire::Error::Replayed { epoch, seq, .. }) => {
                // What a parent repeats is no part of its share.
                if self.subscription.handle_duplicate(now, link, epoch, seq) {
                    self.dues.chunk(now, link, (epoch, seq), chunk.len());
                }
                return;
            }
            Err(av_wire::Error::NoKey { .. } | av_wire::Error::Authentication { .. }) => {
                // Anybody on the way may have altered it, so nobody is blamed.
                self.stats.undecryptable += 1;
                return;
            }
            Err(other) => {
                // The header was sound, so this is what the publisher sealed: not the fault of who passed it on.
                tracing::debug!(error = %other, "a chunk of no use");
                return;
            }
        };
        let (epoch, chunk_seq) = (header.epoch, header.chunk_seq);
        let (layer, class) = (header.layer, header.marks.class);
        self.layers.handle_chunk(now, layer);
        self.subscription.handle_chunk(now, link, epoch, chunk_seq);
        self.meter.take(now, chunk.len());
        if let Some(opened) = &mut self.opened {
            opened.push(chunk.clone());
        }
        match opened.inner {
            Inner::Object { seq, bytes } => {
                self.dues.object(now, epoch, chunk_seq.0..chunk_seq.0.saturating_add(1));
                self.dues.chunk(now, link, (epoch, chunk_seq), chunk.len());
                let bytes = bytes.to_vec();
                self.note(&header, seq, (0, 1), chunk);
                self.units.place(seq, (epoch, chunk_seq));
                let whole =
                    Whole { epoch, seq, bytes: &bytes, layer, class, chunks: None, was_repaired: false };
                self.take_whole(now, whole);
            }
            Inner::Window { seq, body } => {
                self.dues.object(now, epoch, chunk_seq.0..chunk_seq.0.saturating_add(1));
                self.dues.chunk(now, link, (epoch, chunk_seq), chunk.len());
                let body = body.to_vec();
                self.take_units(now, &header, seq, &body, chunk);
            }
            Inner::Symbol { seq, object_len, repair, id, bytes } => {
                let object_len = object_len as usize;
                // Symbols are sent in order of their ids, under consecutive numbers: from one of them it is known which chunks the
                // object has, and how many of them make it whole.
                let shape = BlockShape::new(object_len, self.announce.symbol_size).ok();
                let block = shape.map(|shape| {
                    let needed = u64::from(shape.source_symbols());
                    let first = chunk_seq.0.saturating_sub(u64::from(id.value()));
                    let end = first.saturating_add(needed).saturating_add(repair.into());
                    (ChunkSeq(first)..ChunkSeq(end), needed)
                });
                if let Some((chunks, needed)) = &block {
                    let first = chunks.start.0;
                    self.dues.object(now, epoch, first..first.saturating_add(*needed));
                }
                self.dues.chunk(now, link, (epoch, chunk_seq), chunk.len());
                if let Some((chunks, needed)) = block.clone() {
                    self.subscription.expect(now, epoch, chunks, needed);
                }
                let pushed = self.reassembler.push(seq, object_len, id, bytes);
                let sources = block.as_ref().map_or(1, |(_, needed)| *needed);
                self.note(&header, seq, (id.value(), sources as u32), chunk);
                let object = match pushed {
                    Ok(Some(object)) => object,
                    Ok(None) => return,
                    Err(error) => return tracing::debug!(%error, "a symbol of no use"),
                };
                // The rest is not needed, neither what is lost nor what was left out on the way because this hop loses little.
                let chunks = block.map(|(chunks, _)| {
                    self.subscription.settle(epoch, chunks.clone());
                    chunks
                });
                let whole = Whole { epoch, seq, bytes: &object, layer, class, chunks, was_repaired: false };
                self.take_whole(now, whole);
            }
            Inner::Proof { bytes } => {
                self.proofs.handle_part(now, bytes, carried);
                self.note_proof(&header, chunk);
            }
        }
    }

    /// Hands on an object that is whole.
    fn take_whole(&mut self, now: MonoTime, whole: Whole<'_>) {
        let Whole { epoch, seq, bytes, layer, class, chunks, was_repaired } = whole;
        let object = match Object::parse_at(bytes, seq, self.announce.frame_duration) {
            Ok(object) => object,
            Err(error) => return tracing::debug!(%error, "an object of no use"),
        };
        if self.kind == StreamKind::Audio {
            self.has_begun = true;
            // What comes late, or is given back, says nothing of now. An epoch begins anew: a number that somebody made up in an old one
            // is not to stand for good.
            if self.newest.is_none_or(|newest| (epoch, seq) > newest) {
                self.newest = Some((epoch, seq));
                let is_silence = OpusPacket::parse(object.payload).is_ok_and(|packet| packet.is_silence());
                self.dues.set_rests(is_silence);
            }
        }
        self.has_begun |= object.flags.key_frame;
        let parts = object.picture.and_then(|picture| picture.parts);
        let told = match (parts, chunks) {
            (Some(parts), Some(chunks)) => {
                if parts.own().is_none_or(|own| (own.layer, own.class) != (layer, class)) {
                    return tracing::debug!(%seq, "an object that tells of itself what is not so");
                }
                let number = object.picture.map_or(seq.0, |picture| picture.number);
                Some(self.handle_told(now, (epoch, chunks), (seq, number), &parts))
            }
            _ => None,
        };
        self.layers.handle_whole(seq);
        let received = Received {
            kind: self.kind,
            description: self.description,
            seq,
            layer,
            class,
            flags: object.flags,
            pts: object.pts,
            picture: object.picture.map_or(seq.0, |picture| picture.number),
            told,
            payload: object.payload.to_vec(),
            assembled_at: Instant::now(),
            was_repaired,
        };
        self.proofs.handle_object(now, bytes, received);
    }

    /// Keeps what is opened from now on, sealed as it came, for [`take_opened`](Self::take_opened).
    pub(super) fn keep_opened(&mut self) {
        self.layers.fix();
        self.opened.get_or_insert_default();
    }

    /// Chunks that were opened since: what nobody has forged, each once.
    pub(super) fn take_opened(&mut self) -> Vec<Bytes> {
        self.opened.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Keeps what is opened from now on for [`take_pieces`](Self::take_pieces).
    pub(super) fn keep_pieces(&mut self) {
        self.pieces.get_or_insert_default();
    }

    /// What was opened since, to be recorded.
    pub(super) fn take_pieces(&mut self) -> Vec<Piece> {
        self.pieces.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn note(&mut self, header: &ChunkHeader, object: ObjectSeq, (id, sources): (u32, u32), chunk: &Bytes) {
        let Some(pieces) = &mut self.pieces else { return };
        let ChunkHeader { epoch, layer, marks, .. } = *header;
        let chunk = chunk.clone();
        pieces.push(Piece { epoch, object, id, sources, layer, marks, is_proof: false, chunk });
    }

    fn note_proof(&mut self, header: &ChunkHeader, chunk: &Bytes) {
        self.note(header, ObjectSeq(0), (0, 1), chunk);
        if let Some(piece) = self.pieces.as_mut().and_then(|pieces| pieces.last_mut()) {
            piece.is_proof = true;
        }
    }

    /// What the stream takes, as far as known.
    pub(super) const fn rate(&self) -> BitRate {
        self.meter.rate
    }

    pub(super) fn handle_timeout(&mut self, now: MonoTime) {
        self.keyring.handle_timeout(now);
        self.subscription.handle_timeout(now);
        self.proofs.handle_timeout(now);
        if self.next_look.is_some_and(|at| at <= now) {
            self.next_look = Some(now.plus(LOOK_EVERY));
            if let Some(policy) = self.layers.look(now) {
                tracing::info!(stream = %self.id.short(), ?policy, "layers asked for");
                // Each parent is told with its share.
                self.subscription.assign_again();
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        let own =
            self.keyring.poll_timeout().into_iter().chain(self.proofs.poll_timeout()).chain(self.next_look);
        own.chain(self.subscription.poll_timeout()).min()
    }

    /// Chunks whose key never came, at the end.
    pub(super) fn drain_stash(&mut self, before: Option<Epoch>) {
        let lost =
            self.stash.drain(..).filter(|(_, epoch, _, _)| before.is_none_or(|end| *epoch < end)).count();
        self.stats.undecryptable += lost as u64;
    }
}

/// Measures a rate over two seconds at a time.
#[derive(Debug)]
struct Meter {
    since: Option<MonoTime>,
    bytes: u64,
    rate: BitRate,
}

impl Meter {
    const OVER: Duration = Duration::from_secs(2);

    fn take(&mut self, now: MonoTime, bytes: usize) {
        let since = *self.since.get_or_insert(now);
        self.bytes += bytes as u64;
        let passed = now.since(since);
        if passed >= Self::OVER {
            let micros = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX);
            self.rate = BitRate(self.bytes.saturating_mul(8_000_000) / micros.max(1));
            (self.since, self.bytes) = (Some(now), 0);
        }
    }
}

impl Default for Meter {
    /// Until it has measured something, a picture of middling size is assumed.
    fn default() -> Self {
        Self { since: None, bytes: 0, rate: BitRate::from_kbit(1_000) }
    }
}

#[cfg(test)]
mod layered;
#[cfg(test)]
mod tests;
