//! What the host publishes: capturing begins and ends, epochs are entered, objects and proofs are sealed and go out.

use super::{END_GRACE, Host, LAST_CHUNKS, PUBLISHER, STOP_PATIENCE};
use crate::publish::{Capture, Coded, Encoded, PictureToSeal, Published, StreamKind};
use crate::{Error, publish};
use core_types::{Epoch, Layer, ObjectClass};
use std::time::{Duration, Instant};

impl Host {
    pub(super) fn publishes_video(&self) -> bool {
        self.capturing > 0 && self.streams.get(&(StreamKind::Video, 0)).is_some_and(|s| s.epoch().is_some())
    }

    pub(super) fn start(&mut self) -> Result<(), Error> {
        let (Some(sources), Some(out)) = (self.sources.take(), self.capture_out.take()) else {
            return Ok(());
        };
        let (epoch, secret) = self.authority.current()?;
        self.enter_epoch(epoch, secret.expose())?;
        // Making an encoder takes its time; media time begins when both are there.
        let video =
            sources.video.map(|(source, config)| publish::prepare_video(source, config)).transpose()?;
        let audio =
            sources.audio.map(|(source, config)| publish::prepare_audio(source, config)).transpose()?;
        let origin = Instant::now() + Duration::from_millis(20);
        self.observer.event("start", format!("publishing in epoch {epoch}"));
        for capture in video.into_iter().chain(audio) {
            capture.start(self.control.clone(), origin, out.clone())?;
            self.capturing += 1;
        }
        Ok(())
    }

    pub(super) fn stop(&mut self) {
        self.stop_wanted = true;
        self.stop_by.get_or_insert_with(|| Instant::now() + STOP_PATIENCE);
        self.control.stop();
    }

    /// Whether all that is captured is there, as far as it is waited for. A source that waits for something itself, such as a pipe, can't be
    /// told to stop.
    pub(super) fn has_stopped(&self, now: Instant) -> bool {
        self.stop_wanted && (self.capturing == 0 || self.stop_by.is_some_and(|by| now >= by))
    }

    pub(super) fn switch_epoch(&mut self) -> Result<(), Error> {
        self.awaiting_key_frame = false;
        let Some((epoch, secret)) = self.authority.finish_switch() else { return Ok(()) };
        self.enter_epoch(epoch, secret.expose())?;
        self.authority.checkpoint();
        let cut = Instant::now() + LAST_CHUNKS;
        self.expelled.iter_mut().for_each(|expelled| expelled.at = expelled.at.or(Some(cut)));
        self.observer.event("epoch", format!("sealing in epoch {epoch}"));
        Ok(())
    }

    /// Sends the proofs that are due.
    pub(super) fn prove(&mut self) -> Result<(), Error> {
        let now = self.clock.now();
        for stream in self.streams.values_mut() {
            let chunks = stream.prove_due(now, self.net.identity())?;
            self.core.publish(PUBLISHER, chunks);
        }
        Ok(())
    }

    pub(super) fn enter_epoch(&mut self, epoch: Epoch, secret: &[u8; 32]) -> Result<(), Error> {
        let own_leaf = self.authority.own_leaf()?;
        for stream in self.streams.values_mut() {
            // Under the old key, for those that have it.
            let mut chunks = stream.seal_units()?;
            chunks.extend(stream.prove_epoch(self.net.identity())?);
            self.core.publish(PUBLISHER, chunks);
            stream.enter_epoch(epoch, secret, own_leaf)?;
        }
        self.observer.epoch_secret(epoch, secret);
        Ok(())
    }

    pub(super) fn handle_capture(&mut self, capture: Capture) -> Result<(), Error> {
        match capture {
            // After the last object nothing follows.
            Capture::Encoded(_) if self.ending.is_some() => Ok(()),
            Capture::Encoded(encoded) => self.publish(encoded),
            // Where one source ends the session does; what the others have up to there is still on its way.
            Capture::End(end) => {
                self.capturing = self.capturing.saturating_sub(1);
                self.stop_wanted = true;
                end.outcome
            }
        }
    }

    fn publish(&mut self, encoded: Encoded) -> Result<(), Error> {
        if self.awaiting_key_frame && encoded.kind == StreamKind::Video && encoded.key_frame {
            self.switch_epoch()?;
        }
        let (kind, pts) = (encoded.kind, encoded.pts);
        self.last_pts = self.last_pts.max(pts);
        if encoded.parts.is_empty() {
            return self.skip(kind);
        }
        if kind == StreamKind::Video && self.leaves_out(&encoded) {
            return Ok(());
        }
        let Encoded { parts, duration, captured_at, encoded_at, .. } = encoded;
        let now = self.clock.now();
        let mut streams: Vec<_> =
            self.streams.range_mut((kind, 0)..=(kind, u8::MAX)).map(|(_, s)| s).collect();
        // Of several descriptions each has one part; all are of one epoch, and give the picture the same number.
        let each = if streams.len() > 1 { 1 } else { parts.len().max(1) };
        let (mut chunks, mut first, mut source_bytes) = (Vec::new(), None, 0);
        for (stream, parts) in streams.iter_mut().zip(parts.chunks(each)) {
            let picture = PictureToSeal { pts, duration, end_of_stream: false, parts };
            let sealed = stream.seal_picture(now, &picture)?;
            first.get_or_insert((sealed.seq, stream.epoch().unwrap_or_default()));
            source_bytes += sealed.source_bytes;
            chunks.extend(sealed.chunks);
        }
        let Some((seq, epoch)) = first else { return Ok(()) };
        let published = Published {
            kind,
            seq,
            epoch,
            pts,
            captured_at,
            encoded_at,
            source_bytes,
            coded_bytes: parts.iter().map(|part| part.payload.len()).sum(),
        };
        self.observer.published(published);
        self.core.publish(PUBLISHER, chunks);
        Ok(())
    }

    /// Whether a picture can't be sent: it is too long, or refers to one that was. What is left out has no number, so that nothing which
    /// comes refers to it; everything goes on with the next key frame.
    fn leaves_out(&mut self, picture: &Encoded) -> bool {
        let mut streams = self.streams.range((StreamKind::Video, 0)..=(StreamKind::Video, u8::MAX));
        let is_too_long = streams.any(|(_, stream)| !stream.has_room(&picture.parts));
        if is_too_long {
            let bytes: usize = picture.parts.iter().map(|part| part.payload.len()).sum();
            tracing::warn!(bytes, "a picture is too long to be sent; a lower bit rate would help");
            self.control.request_key_frame();
        }
        self.awaiting_start = is_too_long || self.awaiting_start && !picture.key_frame;
        if self.awaiting_start {
            self.control.count_skipped();
        }
        self.awaiting_start
    }

    /// A silence goes on: what was said last may still need repair.
    fn skip(&mut self, kind: StreamKind) -> Result<(), Error> {
        let Some(stream) = self.streams.get_mut(&(kind, 0)) else { return Ok(()) };
        let chunks = stream.skip()?;
        self.core.publish(PUBLISHER, chunks);
        Ok(())
    }

    /// The last object of every stream says that it is the last.
    pub(super) fn end_streams(&mut self) -> Result<(), Error> {
        self.ending = Some(Instant::now() + END_GRACE);
        let nothing = [Coded { layer: Layer::BASE, class: ObjectClass::Plain, payload: Vec::new() }];
        let end = PictureToSeal {
            pts: self.last_pts,
            duration: Duration::ZERO,
            end_of_stream: true,
            parts: &nothing,
        };
        for stream in self.streams.values_mut().filter(|s| s.epoch().is_some()) {
            let mut chunks = stream.seal_picture(self.clock.now(), &end)?.chunks;
            chunks.extend(stream.seal_units()?);
            chunks.extend(stream.prove_end(self.net.identity())?);
            self.core.publish(PUBLISHER, chunks);
        }
        Ok(())
    }
}
