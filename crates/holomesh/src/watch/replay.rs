//! Plays what is not live: chunks of a recording, in their order, by a clock of their own that nobody has to wait for.

use super::pictures::Pictures;
use super::proofs::{ProofStats, Proofs};
use super::receive::{InStream, Received};
use super::sink::Sink;
use crate::Error;
use crate::publish::StreamKind;
use crate::record::Piece;
use av_wire::{StreamAnnounce, StreamSecret};
use bytes::Bytes;
use core_types::{Epoch, LayerPolicy, LinkId, MediaTime, MonoTime, ObjectSeq, StreamId};
use identity::PublicIdentity;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// All chunks come from here.
const STORE: LinkId = LinkId(1);
/// From when an object came to when it is shown: what belongs to it comes before, on this clock.
const DELAY: Duration = Duration::from_millis(200);
/// The clock goes in such steps.
const STEP: Duration = Duration::from_millis(10);
/// Where nothing comes for longer, the clock jumps to where something does.
const GAP: Duration = Duration::from_secs(2);

/// What was played of a recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Pictures shown.
    pub pictures: u64,
    /// Of these, in fewer layers than there were, or from fewer descriptions.
    pub reduced: u64,
    /// Pictures that are not there, or without what they refer to.
    pub missing: u64,
    /// Packets of sound.
    pub packets: u64,
    /// Of these, given back by units of repair: they themselves are not there.
    pub by_units: u64,
    /// Chunks that no key fitted.
    pub undecryptable: u64,
    /// What the proofs of authorship said.
    pub proofs: ProofStats,
}

/// Plays streams of one publisher into sinks.
pub(crate) struct Replay {
    origin: Instant,
    /// Media time that the clock has come to.
    now: Option<MediaTime>,
    streams: BTreeMap<StreamId, InStream>,
    video: Option<Pictures>,
    sinks: Vec<Box<dyn Sink>>,
    sound: InOrder,
    packets: u64,
}

/// Sound that waits for packets before it, which units of later ones may give back.
#[derive(Debug, Default)]
struct InOrder {
    waiting: BTreeMap<(MediaTime, ObjectSeq), Vec<u8>>,
    newest: MediaTime,
}

impl InOrder {
    /// Units give back what is no further behind than this many packets …
    const PACKETS: usize = 32;
    /// … and at once, if at all: so much media time is enough for packets of 20 ms.
    const TIME: Duration = Duration::from_millis(640);

    fn push(&mut self, object: Received) {
        self.newest = self.newest.max(object.pts);
        self.waiting.insert((object.pts, object.seq), object.payload);
    }

    /// The next packet that nothing comes before any more; with `all`, the next.
    fn pop(&mut self, all: bool) -> Option<(MediaTime, Vec<u8>)> {
        let ((first, _), _) = self.waiting.first_key_value()?;
        let behind = self.newest.as_duration().saturating_sub(first.as_duration());
        if !all && self.waiting.len() <= Self::PACKETS && behind <= Self::TIME {
            return None;
        }
        self.waiting.pop_first().map(|((at, _), packet)| (at, packet))
    }
}

impl Replay {
    pub(crate) fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        let (origin, now, streams) = (Instant::now(), None, BTreeMap::new());
        Self { origin, now, streams, video: None, sinks, sound: InOrder::default(), packets: 0 }
    }

    /// A stream, as its publisher has announced it.
    pub(crate) fn stream(
        &mut self,
        announce: StreamAnnounce,
        publisher: &PublicIdentity,
    ) -> Result<(), Error> {
        let mut stream = InStream::new(announce.clone(), publisher, Proofs::Flag, LayerPolicy::UNCAPPED)?;
        stream.subscription.add_parent(self.time(), STORE);
        self.video = Pictures::announced(self.video.take(), &announce, DELAY)?;
        self.sinks.iter_mut().try_for_each(|sink| sink.stream(&announce))?;
        self.streams.insert(stream.id, stream);
        Ok(())
    }

    /// What opens a stream in an epoch.
    pub(crate) fn install(
        &mut self,
        stream: StreamId,
        epoch: Epoch,
        secret: &StreamSecret,
    ) -> Result<(), Error> {
        let now = self.time();
        match self.streams.get_mut(&stream) {
            Some(stream) => stream.install_stream(now, epoch, secret),
            None => Ok(()),
        }
    }

    /// Takes a chunk. Gives the media time of what it made whole, if it did.
    pub(crate) fn chunk(&mut self, stream: StreamId, chunk: &Bytes) -> Result<Option<MediaTime>, Error> {
        let now = self.time();
        let Some(stream) = self.streams.get_mut(&stream) else { return Ok(None) };
        stream.handle_chunk(now, STORE, chunk, chunk.len());
        let objects: Vec<Received> = std::iter::from_fn(|| stream.proofs.poll_object()).collect();
        let mut at = None;
        for object in objects {
            at = at.max(Some(object.pts));
            self.object(object)?;
        }
        Ok(at)
    }

    fn object(&mut self, mut object: Received) -> Result<(), Error> {
        if object.kind == StreamKind::Audio {
            if !object.payload.is_empty() {
                self.sound.push(object);
            }
            return self.hear(false);
        }
        self.advance(object.pts)?;
        object.assembled_at = self.instant();
        if let Some(video) = &mut self.video {
            video.push(object);
        }
        self.tick()
    }

    /// Gives sinks the sound whose turn it is.
    fn hear(&mut self, all: bool) -> Result<(), Error> {
        while let Some((at, packet)) = self.sound.pop(all) {
            self.packets += 1;
            self.sinks.iter_mut().try_for_each(|sink| sink.audio_packet(at, &packet))?;
        }
        Ok(())
    }

    /// Lets the clock go on to `to`; it never goes back.
    fn advance(&mut self, to: MediaTime) -> Result<(), Error> {
        let Some(from) = self.now else {
            self.now = Some(to);
            return Ok(());
        };
        let end = from.0.saturating_add(GAP.as_micros() as u64).min(to.0);
        let mut at = from.0;
        while at < end {
            at = at.saturating_add(STEP.as_micros() as u64).min(end);
            self.now = Some(MediaTime(at));
            self.tick()?;
        }
        self.now = Some(MediaTime(to.0.max(from.0)));
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Error> {
        let (time, instant) = (self.time(), self.instant());
        for stream in self.streams.values_mut() {
            stream.handle_timeout(time);
            // Nobody can be asked for what is missing.
            while stream.subscription.poll_action().is_some() {}
        }
        if let Some(video) = &mut self.video {
            // Nor for a key frame.
            let _ = video.decode(instant, &mut self.sinks)?;
            video.show(instant, &mut self.sinks)?;
        }
        Ok(())
    }

    fn elapsed(&self) -> Duration {
        // A publisher can name any time: beyond ten years this clock stands.
        const MOST: u64 = 315_360_000_000_000;
        Duration::from_micros(self.now.unwrap_or_default().0.min(MOST))
    }

    fn time(&self) -> MonoTime {
        MonoTime::default().plus(self.elapsed())
    }

    fn instant(&self) -> Instant {
        self.origin.checked_add(self.elapsed()).unwrap_or(self.origin)
    }

    /// Plays out what is there.
    pub(crate) fn finish(mut self) -> Result<Replayed, Error> {
        if let Some(now) = self.now {
            self.advance(MediaTime(now.0.saturating_add(GAP.as_micros() as u64)))?;
        }
        self.hear(true)?;
        for sink in self.sinks {
            sink.finish()?;
        }
        let mut replayed = Replayed { packets: self.packets, ..Replayed::default() };
        if let Some(video) = &self.video {
            let stats = video.stats();
            replayed.pictures = stats.shown;
            replayed.reduced = stats.reduced;
            replayed.missing = stats.lost + stats.undecodable;
        }
        for stream in self.streams.values_mut() {
            stream.drain_stash(None);
            replayed.undecryptable += stream.stats.undecryptable;
            replayed.by_units += stream.stats.by_units;
            replayed.proofs += stream.proofs.stats();
        }
        Ok(replayed)
    }
}

/// Opens the chunks of one stream as a member does that records it.
pub(crate) struct Pieces(InStream);

impl Pieces {
    pub(crate) fn new(
        announce: StreamAnnounce,
        publisher: &PublicIdentity,
        epoch: Epoch,
        secret: &StreamSecret,
    ) -> Result<Self, Error> {
        let mut stream = InStream::new(announce, publisher, Proofs::Off, LayerPolicy::UNCAPPED)?;
        stream.keep_pieces();
        stream.install_stream(MonoTime::default(), epoch, secret)?;
        Ok(Self(stream))
    }

    pub(crate) fn open(&mut self, now: MonoTime, chunk: &Bytes) -> Vec<Piece> {
        self.0.handle_chunk(now, STORE, chunk, chunk.len());
        while self.0.proofs.poll_object().is_some() {}
        self.0.take_pieces()
    }
}
