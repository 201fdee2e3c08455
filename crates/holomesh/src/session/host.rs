//! The host node.

mod announcing;
mod links;
mod publishing;
mod relays;
mod requests;
mod roster;

use self::relays::Relays;
use self::roster::Expelled;
use super::authority::Authority;
use super::judge::Judge;
use super::packages::Packages;
use super::permits::{Permits, Shares};
use super::rate::{self, EncoderRate};
use super::state::State;
use crate::clock::wall_now;
use crate::mesh::Mesh;
use crate::net::{Control, Inbox, LossConfig, Net, NetConfig, PeerAddress, Role, Underlay};
use crate::publish::{
    AudioConfig, BlockSource, Capture, EncoderControl, FrameSource, Observer, OutStream, Protection,
    SoundProtection, VideoConfig,
};
use crate::relay::RelayCore;
use crate::ticket::Ticket;
use crate::{Clock, Error};
use announcing::{Common, Key};
use consent_decay::{ClassName, ConsentRecord, Terms};
use core_types::{KeyId, LinkId, MediaTime, SymbolSize};
use identity::Seed;
use std::collections::{BTreeMap, BTreeSet};
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
/// When it is told to stop, what is captured already is waited for so long.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// Pictures and packets of sound that are encoded and not sealed: 200 ms of both. Beyond that capturing waits, sees that it is late, and
/// leaves pictures out.
const CAPTURE_QUEUE: usize = 16;
/// Who was removed is cut off so long after the last chunk that it can open: chunks and revocations travel apart.
const LAST_CHUNKS: Duration = Duration::from_millis(250);

/// Members that were taken out, of which it is remembered that they are not to come back by themselves.
const MAX_TAKEN_OUT: usize = 4_096;

/// How a host runs.
pub struct Config {
    /// Its identity.
    pub seed: Seed,
    /// Where it listens.
    pub listen: SocketAddr,
    /// What its links run over.
    pub underlay: Underlay,
    /// Loss to inject into what it sends.
    pub loss: LossConfig,
    /// Pictures.
    pub video: Option<(Box<dyn FrameSource>, VideoConfig)>,
    /// Sound.
    pub audio: Option<(Box<dyn BlockSource>, AudioConfig)>,
    /// How many parents a watcher's streams are dealt out to, and repair is sized for.
    pub parents: u8,
    /// What its permits let relays and members have.
    pub shares: Shares,
    /// Bytes of a fountain symbol.
    pub symbol_size: SymbolSize,
    /// A directory that is the host's own, for a session that outlives it: tickets stay good, and no epoch comes twice. Only
    /// with a seed that is the same each time. Without it the session ends with the host.
    pub state: Option<PathBuf>,
    /// Whether relays and members may take media over UDP lanes.
    pub lanes: bool,
    /// Whether links may be over UDP alone, with peers that do the same.
    pub direct: bool,
    /// For how long its streams may be recorded, if they may.
    pub consent: Option<ClassName>,
    /// Start publishing at once instead of at [`Command::Start`].
    pub autostart: bool,
    /// Is told what is published.
    pub observer: Arc<dyn Observer>,
}

impl Config {
    /// The usual configuration: begins by itself, four parents, lanes on, nobody looks on; without any media yet.
    pub fn new(seed: Seed, listen: SocketAddr) -> Self {
        Self {
            seed,
            listen,
            underlay: Underlay::Quic,
            loss: LossConfig::NONE,
            video: None,
            audio: None,
            parents: 4,
            shares: Shares::default(),
            symbol_size: SymbolSize::DEFAULT,
            state: None,
            lanes: true,
            direct: false,
            consent: None,
            autostart: true,
            observer: Arc::new(Nobody),
        }
    }
}

/// Looks on at nothing.
#[derive(Debug)]
struct Nobody;

impl Observer for Nobody {}

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
    let (capture_out, mut captured) = mpsc::channel(CAPTURE_QUEUE);
    let (mut host, mut inbox) = Host::new(config, capture_out).await?;
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
        host.core.sends_more().await;
        let wake = host.next_timeout().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            event = inbox.next() => match event {
                Some(event) => host.handle_event(event),
                None => break Err(Error::Ended("the network")),
            },
            Some(capture) = captured.recv() => if let Err(error) = host.handle_capture(capture) {
                break Err(error);
            },
            command = commands.recv() => match command {
                Some(Command::Start) => host.start_wanted = true,
                Some(Command::Remove(who)) => host.take_out(who),
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
    permits: Permits,
    judge: Judge,
    /// Who was removed, and is still served what belongs to the epoch that it knows.
    expelled: Vec<Expelled>,
    /// Who was told to go, and has not joined anew since.
    taken_out: BTreeSet<KeyId>,
    core: RelayCore,
    /// Absent where the encoder's bit rate is fixed.
    rate: Option<EncoderRate>,
    /// How much sound is protected.
    protection: SoundProtection,
    protected: Option<Protection>,
    relays: Relays,
    streams: BTreeMap<Key, OutStream>,
    /// That they may be recorded, signed.
    consents: Vec<Vec<u8>>,
    sources: Option<Sources>,
    control: Arc<EncoderControl>,
    capture_out: Option<mpsc::Sender<Capture>>,
    capturing: usize,
    observer: Arc<dyn Observer>,
    autostart: bool,
    start_wanted: bool,
    stop_wanted: bool,
    /// It was told to stop: what does not end by then is not waited for.
    stop_by: Option<Instant>,
    awaiting_key_frame: bool,
    /// A picture was left out, and all are up to the next key frame.
    awaiting_start: bool,
    /// When key frames were asked for last, of each stream.
    key_frames_asked: BTreeMap<Key, Instant>,
    last_pts: MediaTime,
    ending: Option<Instant>,
}

struct Sources {
    video: Option<(Box<dyn FrameSource>, VideoConfig)>,
    audio: Option<(Box<dyn BlockSource>, AudioConfig)>,
}

impl Host {
    async fn new(config: Config, capture_out: mpsc::Sender<Capture>) -> Result<(Self, Inbox), Error> {
        if let Some((_, video)) = &config.video {
            video.check()?;
        }
        let Config { seed, listen, underlay, loss, lanes, direct, .. } = config;
        let State { session, invitation, store, packages } = State::open(config.state.as_deref(), &seed)?;
        let (net, inbox) = Net::open(NetConfig {
            underlay,
            loss,
            lanes,
            direct,
            ..NetConfig::new(seed, Role::Host, listen)
        })
        .await?;
        let PeerAddress { endpoint, addresses, direct } = net.address();
        let (host, direct) = (net.identity().key_id(), direct.map(|direct| direct.port));
        let ticket = Ticket { host, session, endpoint, addresses, direct, invitation };
        let authority = Authority::open(net.identity(), session, store)?;

        let clock = Clock::start();
        let mut core = RelayCore::new(clock, inbox.lanes());
        let (mut streams, mut consents) = (BTreeMap::new(), Vec::new());
        let common = Common {
            session,
            publisher: net.identity().key_id(),
            symbol_size: config.symbol_size,
            parents: config.parents,
        };
        for (key, announce) in common.announcements(config.video.as_ref(), config.audio.as_ref())? {
            let codec = announce.codec;
            let stream = OutStream::new(key.0, announce, net.identity())?;
            core.carry_own(net.identity().key_id(), stream.id(), PUBLISHER, codec)?;
            if let Some(class) = &config.consent {
                let (from, source) = (wall_now(), stream.id().into());
                let terms = Terms { class: class.clone(), from, serial: from.0 };
                let record = ConsentRecord { subject: net.identity().public().clone(), source, terms };
                consents.push(record.sign(net.identity()).map_err(symbol_store::Error::from)?);
                // To take it back takes the stream's name, also when nobody who recorded can be asked any more.
                let detail = format!("{class}, to recordings of stream {}", stream.id());
                config.observer.event("consent", detail);
            }
            streams.insert(key, stream);
        }
        let identity = net.identity();
        core.set_mesh(Mesh::new(session, identity.key_id(), identity.public().clone())?);
        let rate = config.video.as_ref().and_then(|(_, video)| Some((video.bounds?, video.descriptions)));
        let rate = rate.map(|(bounds, descriptions)| match descriptions {
            Some(of) => EncoderRate::of_descriptions(bounds.min, bounds.max, of),
            None => EncoderRate::new(bounds.min, bounds.max, config.parents),
        });
        let rate = rate.transpose()?;
        let host = Self {
            clock,
            net,
            permits: Permits::new(session, config.shares),
            judge: Judge::new()?,
            expelled: Vec::new(),
            taken_out: BTreeSet::new(),
            ticket,
            authority,
            packages,
            core,
            rate,
            protection: SoundProtection::new(config.parents),
            protected: None,
            relays: Relays::new(),
            streams,
            consents,
            sources: Some(Sources { video: config.video, audio: config.audio }),
            control: Arc::default(),
            capture_out: Some(capture_out),
            capturing: 0,
            observer: config.observer,
            autostart: config.autostart,
            start_wanted: false,
            stop_wanted: false,
            stop_by: None,
            awaiting_key_frame: false,
            awaiting_start: false,
            key_frames_asked: BTreeMap::new(),
            last_pts: MediaTime::default(),
            ending: None,
        };
        Ok((host, inbox))
    }

    /// Does what is due: commits, epoch switches, the start and the end.
    fn progress(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        self.tend_links(now);
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
        if self.has_stopped(now) && self.ending.is_none() {
            self.end_streams()?;
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
        let stop_by = self.stop_by.filter(|_| self.ending.is_none());
        let due = authority.into_iter().chain(self.ending).chain(stop_by).chain(proofs);
        due.chain(self.packages.next_timeout()).chain(self.tend_at()).min()
    }

    async fn close(mut self) {
        self.packages.write_due(None);
        self.authority.checkpoint();
        for link in self.core.links() {
            link.send(&Control::End);
        }
        // The peers close when they have read it; whoever does not is cut off.
        let patience = Instant::now() + Duration::from_millis(500);
        for link in self.core.links() {
            link.closed_by(patience).await;
        }
        self.net.close().await;
    }

    /// What of its streams may be recorded.
    fn tell_consent(&self, link: LinkId) {
        if !self.consents.is_empty() {
            self.send(link, &Control::Consent { consents: self.consents.clone() });
        }
    }

    fn send(&self, link: LinkId, message: &Control) {
        self.core.send(link, message);
    }
}

#[cfg(test)]
mod tests;
