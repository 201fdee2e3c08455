//! The host node.

mod requests;

use super::authority::{Authority, Committed};
use super::packages::Packages;
use super::state::State;
use crate::net::{Control, Link, LinkEvent, LossConfig, Net, NetConfig, PeerAddress, Role};
use crate::publish::{
    AudioConfig, BlockSource, Capture, Encoded, EncoderControl, FrameSource, Observer, OutStream, Published,
    StreamKind, VideoConfig,
};
use crate::relay::{EVENT_QUEUE, RelayCore};
use crate::ticket::Ticket;
use crate::{Clock, Error, keyfile, publish};
use av_wire::{FrameDuration, Media, Object, ObjectFlags, StreamAnnounce};
use core_types::{Epoch, KeyId, Layer, LinkId, MediaTime, SymbolSize};
use identity::Seed;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

/// The host's own publisher, as its relay part sees it.
const PUBLISHER: LinkId = LinkId(0);
/// After the last frame, repair requests are answered for this long before the session ends.
const END_GRACE: Duration = Duration::from_millis(800);
const CAPTURE_QUEUE: usize = 256;

/// How a host runs.
pub struct Config {
    /// Its identity.
    pub seed: Seed,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Loss to inject into what it sends.
    pub loss: LossConfig,
    /// Pictures.
    pub video: Option<(Box<dyn FrameSource>, VideoConfig)>,
    /// Sound.
    pub audio: Option<(Box<dyn BlockSource>, AudioConfig)>,
    /// How many parents a watcher's streams are dealt out to, and repair is sized for.
    pub parents: u8,
    /// Bytes of a fountain symbol.
    pub symbol_size: SymbolSize,
    /// A directory that is the host's own, for a session that outlives it: tickets stay good, and no epoch comes twice. Only
    /// with a seed that is the same each time. Without it the session ends with the host.
    pub state: Option<PathBuf>,
    /// Start publishing at once instead of at [`Command::Start`].
    pub autostart: bool,
    /// Is told what is published.
    pub observer: Arc<dyn Observer>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("parents", &self.parents)
            .finish_non_exhaustive()
    }
}

/// What a running host can be told.
#[derive(Debug)]
pub enum Command {
    /// Begin to publish.
    Start,
    /// Take a member out.
    Remove(KeyId),
    /// End the session.
    Stop,
}

/// Runs a host until its media end or it is told to stop. `ready` gets the ticket once the socket listens.
///
/// # Errors
/// [`Error::Network`] if it can't listen; [`Error::Codec`] and [`Error::Media`] if the media can't be encoded or read.
pub async fn run(
    config: Config,
    mut commands: mpsc::Receiver<Command>,
    ready: impl FnOnce(Ticket) + Send,
) -> Result<(), Error> {
    let (events, mut incoming) = mpsc::channel(EVENT_QUEUE);
    let (capture_out, mut captured) = mpsc::channel(CAPTURE_QUEUE);
    let mut host = Host::new(config, events, capture_out).await?;
    ready(host.ticket.clone());
    if host.autostart {
        host.start_wanted = true;
    }
    let outcome = loop {
        if let Err(error) = host.progress() {
            break Err(error);
        }
        if host.is_over() {
            break Ok(());
        }
        let wake = host.next_timeout().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            event = incoming.recv() => match event {
                Some(event) => host.handle_event(event),
                None => break Err(Error::Ended("the network")),
            },
            Some(capture) = captured.recv() => if let Err(error) = host.handle_capture(capture) {
                break Err(error);
            },
            command = commands.recv() => match command {
                Some(Command::Start) => host.start_wanted = true,
                Some(Command::Remove(who)) => {
                    host.authority.leave(Instant::now(), who);
                }
                Some(Command::Stop) | None => host.stop(),
            },
            () = sleep_until(wake.into()) => {}
        }
    };
    host.close().await;
    outcome
}

struct Host {
    clock: Clock,
    net: Net,
    ticket: Ticket,
    authority: Authority,
    packages: Packages,
    core: RelayCore,
    /// Relays that carry the streams, and where they are.
    relays: BTreeMap<LinkId, (PeerAddress, bool)>,
    streams: BTreeMap<StreamKind, OutStream>,
    sources: Option<Sources>,
    control: Arc<EncoderControl>,
    capture_out: Option<mpsc::Sender<Capture>>,
    capturing: usize,
    observer: Arc<dyn Observer>,
    autostart: bool,
    start_wanted: bool,
    stop_wanted: bool,
    awaiting_key_frame: bool,
    last_key_frame_request: Option<Instant>,
    last_pts: MediaTime,
    ending: Option<Instant>,
}

struct Sources {
    video: Option<(Box<dyn FrameSource>, VideoConfig)>,
    audio: Option<(Box<dyn BlockSource>, AudioConfig)>,
}

impl Host {
    async fn new(
        config: Config,
        events: mpsc::Sender<LinkEvent>,
        capture_out: mpsc::Sender<Capture>,
    ) -> Result<Self, Error> {
        let Config { seed, listen, loss, .. } = config;
        let State { session, invitation, store, packages } = State::open(config.state.as_deref(), &seed)?;
        let net = Net::bind(NetConfig { seed, role: Role::Host, listen, loss }, events).await?;
        let PeerAddress { endpoint, addresses } = net.address();
        let ticket = Ticket { host: net.identity().key_id(), session, endpoint, addresses, invitation };
        let authority = Authority::open(net.identity(), session, store)?;

        let mut core = RelayCore::new();
        let mut streams = BTreeMap::new();
        let video = config
            .video
            .as_ref()
            .map(|(source, _)| Media::Video { size: source.size(), rate: source.rate() });
        let audio = config.audio.as_ref().map(|(_, audio)| Media::Audio {
            sample_rate: audio.opus.sample_rate.hz(),
            channels: audio.opus.channels.count() as u8,
        });
        let audio_frame = config
            .audio
            .as_ref()
            .and_then(|(_, audio)| FrameDuration::from_duration(audio.opus.frame.duration()));
        for (kind, label, media) in
            [(StreamKind::Video, "camera", video), (StreamKind::Audio, "microphone", audio)]
        {
            let Some(media) = media else { continue };
            let mut random = [0; 16];
            keyfile::fill_random(&mut random)?;
            let announce = StreamAnnounce {
                session,
                publisher: net.identity().key_id(),
                label: label.into(),
                random,
                codec: kind.codec(),
                layers: Layer::BASE,
                symbol_size: config.symbol_size,
                parents: config.parents,
                frame_duration: if kind == StreamKind::Audio { audio_frame } else { None },
                media,
            };
            let stream = OutStream::new(kind, announce, net.identity())?;
            core.relay.add_upstream(stream.id(), PUBLISHER).map_err(|e| Error::codec("relay", e))?;
            streams.insert(kind, stream);
        }
        Ok(Self {
            clock: Clock::start(),
            net,
            ticket,
            authority,
            packages,
            core,
            relays: BTreeMap::new(),
            streams,
            sources: Some(Sources { video: config.video, audio: config.audio }),
            control: Arc::default(),
            capture_out: Some(capture_out),
            capturing: 0,
            observer: config.observer,
            autostart: config.autostart,
            start_wanted: false,
            stop_wanted: false,
            awaiting_key_frame: false,
            last_key_frame_request: None,
            last_pts: MediaTime::default(),
            ending: None,
        })
    }

    /// Does what is due: commits, epoch switches, the start and the end.
    fn progress(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        match self.authority.commit_due(now) {
            Ok(Some(committed)) => self.announce_commit(committed),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a commit could not be made"),
        }
        match self.authority.renew_due(now) {
            Ok(Some(committed)) => self.announce_commit(committed),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the host's keys could not be renewed"),
        }
        for (link, why) in self.authority.take_refused() {
            self.core.refuse(link, why);
        }
        if self.authority.switch_due(now) && !self.awaiting_key_frame {
            if self.publishes_video() {
                // The first object of an epoch must be a key frame: the switch waits for it.
                self.awaiting_key_frame = true;
                self.control.request_key_frame();
            } else {
                self.switch_epoch()?;
            }
        }
        if self.start_wanted && self.sources.is_some() && self.authority.is_settled() {
            self.start()?;
        }
        self.prove()?;
        self.packages.write_due(Some(now));
        if self.stop_wanted && self.capturing == 0 && self.ending.is_none() {
            self.end_streams()?;
        }
        Ok(())
    }

    fn publishes_video(&self) -> bool {
        self.capturing > 0 && self.streams.get(&StreamKind::Video).is_some_and(|s| s.epoch().is_some())
    }

    fn start(&mut self) -> Result<(), Error> {
        let (Some(sources), Some(out)) = (self.sources.take(), self.capture_out.take()) else {
            return Ok(());
        };
        let (epoch, secret) = self.authority.current()?;
        self.enter_epoch(epoch, secret.expose())?;
        let origin = Instant::now() + Duration::from_millis(20);
        self.observer.event("start", format!("publishing in epoch {epoch}"));
        if let Some((source, config)) = sources.video {
            publish::spawn_video(source, config, self.control.clone(), origin, out.clone())?;
            self.capturing += 1;
        }
        if let Some((source, config)) = sources.audio {
            publish::spawn_audio(source, config, self.control.clone(), origin, out)?;
            self.capturing += 1;
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.stop_wanted = true;
        self.control.stop();
    }

    fn switch_epoch(&mut self) -> Result<(), Error> {
        self.awaiting_key_frame = false;
        let Some((epoch, secret)) = self.authority.finish_switch() else { return Ok(()) };
        self.enter_epoch(epoch, secret.expose())?;
        self.authority.checkpoint();
        self.observer.event("epoch", format!("sealing in epoch {epoch}"));
        Ok(())
    }

    /// Sends the proofs that are due.
    fn prove(&mut self) -> Result<(), Error> {
        let now = self.clock.now();
        for stream in self.streams.values_mut() {
            let chunks = stream.prove_due(now, self.net.identity())?;
            self.core.publish(PUBLISHER, chunks);
        }
        Ok(())
    }

    fn enter_epoch(&mut self, epoch: Epoch, secret: &[u8; 32]) -> Result<(), Error> {
        let own_leaf = self.authority.own_leaf()?;
        for stream in self.streams.values_mut() {
            // Under the old key, for those that have it.
            let chunks = stream.prove_epoch(self.net.identity())?;
            self.core.publish(PUBLISHER, chunks);
            stream.enter_epoch(epoch, secret, own_leaf)?;
        }
        self.observer.epoch_secret(epoch, secret);
        Ok(())
    }

    fn announce_commit(&mut self, committed: Committed) {
        let Committed { epoch, commit, welcome, tree, added, informed, removed, removed_links } = committed;
        for link in removed_links {
            self.core.relay.remove_link(link);
        }
        tracing::info!(%epoch, added = added.len(), removed = removed.len(), "the roster changed");
        for link in informed {
            self.send(link, &Control::Commit { commit: commit.clone() });
        }
        let announces: Vec<Vec<u8>> = self.streams.values().map(|s| s.signed_announce().to_vec()).collect();
        let message = Control::welcome(welcome, tree, self.ticket.session, announces);
        for (link, who) in added {
            self.send(link, &message);
            self.send(link, &self.relay_list());
            self.observer.event("joined", format!("{} with epoch {epoch}", who.short()));
        }
        for who in removed {
            self.observer.event("removed", format!("{} with epoch {epoch}", who.short()));
        }
    }

    fn handle_capture(&mut self, capture: Capture) -> Result<(), Error> {
        match capture {
            Capture::Encoded(encoded) => self.publish(encoded),
            Capture::End(end) => {
                self.capturing = self.capturing.saturating_sub(1);
                self.stop();
                end.outcome
            }
        }
    }

    fn publish(&mut self, encoded: Encoded) -> Result<(), Error> {
        if self.awaiting_key_frame && encoded.kind == StreamKind::Video && encoded.key_frame {
            self.switch_epoch()?;
        }
        let Encoded { kind, payload, pts, duration, key_frame, captured_at, encoded_at } = encoded;
        self.last_pts = self.last_pts.max(pts);
        let flags = ObjectFlags { key_frame, ..ObjectFlags::default() };
        let Some(stream) = self.streams.get_mut(&kind) else { return Ok(()) };
        let sealed = stream.seal(self.clock.now(), &Object { flags, pts, duration, payload: &payload })?;
        let published = Published {
            kind,
            seq: sealed.seq,
            epoch: stream.epoch().unwrap_or_default(),
            pts,
            captured_at,
            encoded_at,
            source_bytes: sealed.source_bytes,
            coded_bytes: payload.len(),
        };
        self.observer.published(published);
        self.core.publish(PUBLISHER, sealed.chunks);
        Ok(())
    }

    /// The last object of every stream says that it is the last.
    fn end_streams(&mut self) -> Result<(), Error> {
        self.ending = Some(Instant::now() + END_GRACE);
        let object = Object {
            flags: ObjectFlags { end_of_stream: true, ..ObjectFlags::default() },
            pts: self.last_pts,
            duration: Duration::ZERO,
            payload: &[],
        };
        for stream in self.streams.values_mut().filter(|s| s.epoch().is_some()) {
            let mut chunks = stream.seal(self.clock.now(), &object)?.chunks;
            chunks.extend(stream.prove_end(self.net.identity())?);
            self.core.publish(PUBLISHER, chunks);
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.ending.is_some_and(|at| Instant::now() >= at)
    }

    fn next_timeout(&self) -> Option<Instant> {
        let waits_for_encoder = self.awaiting_key_frame;
        let authority = self.authority.next_timeout().filter(|_| !waits_for_encoder);
        let proofs = self.streams.values().filter_map(OutStream::poll_timeout).min();
        let proofs = proofs.map(|at| self.clock.instant(at));
        authority.into_iter().chain(self.ending).chain(proofs).chain(self.packages.next_timeout()).min()
    }

    async fn close(mut self) {
        self.packages.write_due(None);
        self.authority.checkpoint();
        for link in self.core.links.values() {
            link.send(&Control::End);
        }
        // The peers close when they have read it; whoever does not is cut off.
        let patience = Instant::now() + Duration::from_millis(500);
        for link in self.core.links.values() {
            link.closed_by(patience).await;
        }
        self.net.close().await;
    }

    fn handle_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up(link) => self.core.add_link(*link),
            LinkEvent::Control(link, message) => self.handle_control(link, message),
            LinkEvent::Chunks(link, chunks) => self.core.handle_chunks(link, chunks),
            LinkEvent::Down(link, why) => self.handle_down(link, &why),
        }
    }

    fn handle_down(&mut self, link: LinkId, why: &str) {
        if let Some(who) = self.authority.link_down(Instant::now(), link) {
            self.observer.event("lost", format!("member {}: {why}", who.short()));
        }
        if self.relays.remove(&link).is_some() {
            self.observer.event("lost", format!("relay on link {link}: {why}"));
            self.spread_relay_list();
        }
        self.core.remove_link(link);
    }

    fn relay_list(&self) -> Control {
        let relays = self.relays.values().filter(|(_, carrying)| *carrying).map(|(a, _)| a.clone()).collect();
        Control::Relays { relays }
    }

    fn spread_relay_list(&self) {
        let list = self.relay_list();
        for link in self.authority.member_links() {
            self.send(link, &list);
        }
    }

    fn send(&self, link: LinkId, message: &Control) {
        if let Some(link) = self.core.links.get(&link) {
            Link::send(link, message);
        }
    }
}
