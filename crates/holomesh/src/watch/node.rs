//! The watcher's node: links, group, streams.

mod conduct;
mod first_contact;
mod host_link;
mod membership;
mod neighbours;
mod parents;
mod reach;
mod refusal;
mod serving;
mod spread;

use self::conduct::Conduct;
use self::first_contact::FirstContact;
use self::host_link::HostLink;
use self::reach::Reached;
use self::serving::{Serving, home_of};
use super::config::{Config, Report, Snapshot, WatchState};
use super::player::PlayerHandle;
use super::proofs::{ProofStats, Proofs};
use super::receive::InStream;
use super::sink::Sink;
use crate::mesh::Mesh;
use crate::net::{Control, Inbox, Lanes, Link, LinkEvent, Net, NetConfig, PeerAddress, Role};
use crate::record::Recorder;
use crate::ticket::Ticket;
use crate::{Clock, Error};
use alm::Action;
use av_mls::{EpochSecret, Member};
use av_wire::{ChunkHeader, FreshChunk, Keyring};
use bytes::Bytes;
use core_types::{LayerPolicy, LeafIndex, LinkId, SessionId, StreamId};
use identity::PublicIdentity;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

/// The host must have let us in by then.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// So long it waits for the host when it leaves.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a running watcher can be told.
#[derive(Debug)]
pub enum Command {
    /// Leave the session and end.
    Leave,
}

/// Watches until the session ends. Pictures and sound go to `sinks`.
///
/// # Errors
/// [`Error::Connect`], [`Error::Version`], [`Error::Refused`] if the host can't be reached, does not let us in, or goes
/// away; [`Error::Media`] if a sink can't write.
pub async fn run(config: Config, sinks: Vec<Box<dyn Sink>>) -> Result<Report, Error> {
    let (_keep, commands) = mpsc::channel(1);
    run_with(config, sinks, commands).await
}

/// As [`run`], with a channel for commands.
///
/// # Errors
/// As [`run`].
pub async fn run_with(
    config: Config,
    sinks: Vec<Box<dyn Sink>>,
    mut commands: mpsc::Receiver<Command>,
) -> Result<Report, Error> {
    let (dialled, mut dials) = mpsc::channel(16);
    let (ask, mut key_frames) = mpsc::channel(8);
    let player =
        PlayerHandle::start(config.delay + config.proofs.added_delay(), sinks, move |description| {
            // Requests that are waiting already say it all.
            let _ = ask.try_send(description);
        })?;
    let (mut watcher, mut inbox) = Watcher::join(config, player, dialled).await?;
    let mut commanded = true;
    let outcome = loop {
        if watcher.player.is_finished() {
            watcher.leave(&mut inbox).await;
            break Ok(());
        }
        if let Some(serving) = &mut watcher.serving {
            serving.core.sends_more().await;
        }
        let wake = watcher.next_timeout();
        let step = tokio::select! {
            event = inbox.next() => match event {
                Some(event) => watcher.handle_event(event),
                None => Err(Error::Ended("the network")),
            },
            Some(dialled) = dials.recv() => watcher.handle_dialled(dialled).map(|()| true),
            Some(of) = key_frames.recv() => { watcher.ask_for_key_frame(of); Ok(true) }
            // A command may still wait in a channel that is closed already: only `None` is the end of it.
            command = commands.recv(), if commanded => match command {
                Some(Command::Leave) => { watcher.leave(&mut inbox).await; Ok(false) }
                None => { commanded = false; Ok(true) }
            },
            () = sleep_until(wake.into()) => watcher.handle_timeout().map(|()| true),
        };
        match step {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    watcher.finish(outcome).await
}

/// Whom we dialled, and what came of it.
#[derive(Debug)]
enum Dialled {
    Relay(PeerAddress, Result<Link, Error>),
    Host(Result<Link, Error>),
}

struct Watcher {
    clock: Clock,
    net: Net,
    lanes: Lanes,
    ticket: Ticket,
    host: LinkId,
    host_link: HostLink,
    first_contact: FirstContact,
    host_identity: PublicIdentity,
    /// Feeds others, if it lends anything for that; and the stripe that it does it in, before it is known how many there are.
    serving: Option<Serving>,
    home: u64,
    /// What is heard of others, and when it is looked at next.
    mesh: Mesh,
    look_at: Instant,
    conduct: Conduct,
    /// What the host signed for us, for relays to see.
    permit: Option<Vec<u8>>,
    member: Member,
    links: BTreeMap<LinkId, Link>,
    /// Relays that the host names.
    relays: Vec<PeerAddress>,
    /// Relays that we have a link to, or are dialling, or that asked us to move away.
    reached: BTreeMap<PeerAddress, Reached>,
    redial_at: Option<Instant>,
    /// Relays that are about to stop, and when their links are closed.
    leaving: Vec<(Instant, LinkId)>,
    /// Commits are missing: when to ask the host again where the group is.
    rejoin_at: Option<Instant>,
    /// When it is this member's turn to renew its keys, if nothing happens before.
    renew_at: Option<Instant>,
    dialled: mpsc::Sender<Dialled>,
    streams: BTreeMap<StreamId, InStream>,
    parents: BTreeSet<LinkId>,
    /// How often a key frame was asked for: the next request goes to the next parent.
    key_frames_asked: usize,
    player: PlayerHandle,
    proofs: Proofs,
    recorder: Option<Recorder>,
    cap: LayerPolicy,
    joined_by: Option<Instant>,
    linger: bool,
    /// Secrets of former epochs, kept only to show after a removal that they open nothing.
    old_secrets: Vec<EpochSecret>,
    snapshot: Snapshot,
    state: Arc<WatchState>,
}

impl Watcher {
    async fn join(
        config: Config,
        player: PlayerHandle,
        dialled: mpsc::Sender<Dialled>,
    ) -> Result<(Self, Inbox), Error> {
        let Config {
            seed,
            ticket,
            listen,
            underlay,
            loss,
            proofs,
            layers: cap,
            linger_after_removal,
            state,
            lanes,
            direct,
            uplink,
            recorder,
            ..
        } = config;
        let config =
            NetConfig { underlay, loss, lanes, direct, ..NetConfig::new(seed, Role::Watcher, listen) };
        let (net, inbox) = Net::open(config).await?;
        let mut host = net.connect_to_host(&ticket).await?;
        let member = Member::new(net.identity(), crate::random::generator()?)?;
        host.begin();
        let clock = Clock::start();
        let own = net.identity().key_id();
        let serving = uplink.map(|uplink| Serving::new(clock, inbox.lanes(), ticket.session, own, uplink));
        let mut watcher = Self {
            clock,
            lanes: inbox.lanes(),
            host_identity: host.peer.identity.clone(),
            serving,
            home: home_of(own),
            mesh: Mesh::new(ticket.session, own, host.peer.identity.clone())?,
            look_at: Instant::now(),
            conduct: Conduct::new()?,
            host: host.id,
            host_link: HostLink::new(),
            first_contact: FirstContact::default(),
            permit: None,
            links: BTreeMap::from([(host.id, host)]),
            net,
            ticket,
            member,
            relays: Vec::new(),
            reached: BTreeMap::new(),
            redial_at: None,
            leaving: Vec::new(),
            rejoin_at: None,
            renew_at: None,
            dialled,
            streams: BTreeMap::new(),
            parents: BTreeSet::new(),
            key_frames_asked: 0,
            player,
            proofs,
            recorder,
            cap,
            joined_by: None,
            linger: linger_after_removal,
            old_secrets: Vec::new(),
            snapshot: Snapshot::default(),
            state,
        };
        watcher.ask_to_join()?;
        Ok((watcher, inbox))
    }

    /// False when the session is over.
    fn handle_event(&mut self, event: LinkEvent) -> Result<bool, Error> {
        let Some(event) = self.handle_child(event) else { return Ok(true) };
        match event {
            LinkEvent::Up(link) => self.link_up(*link),
            LinkEvent::Chunks(link, chunks) => self.handle_chunks(link, chunks),
            LinkEvent::Control(link, message) if link == self.host => return self.handle_host(message),
            LinkEvent::Control(link, message) => self.handle_relay(link, message),
            LinkEvent::Lane(link, change) => self.handle_lane(link, change),
            LinkEvent::Writable(_) => {}
            LinkEvent::Down(link, why) if link == self.host => self.host_is_gone(why)?,
            LinkEvent::Down(link, _) => self.drop_parent(link),
        }
        Ok(true)
    }

    fn handle_host(&mut self, message: Control) -> Result<bool, Error> {
        match message {
            Control::Welcome { welcome, tree, session, announces } => {
                self.enter(&welcome, tree.as_deref(), SessionId(session), &announces)?
            }
            Control::Commit { commit } => {
                self.host_is_back();
                self.handle_commit(&commit)?;
            }
            Control::GroupInfo { group_info } => self.handle_group_info(&group_info)?,
            Control::KeyPackagesWanted { count } => self.publish_key_packages(count.into())?,
            Control::Permit { permit } => self.take_permit(permit),
            Control::Relays { relays } => {
                self.host_is_back();
                self.relays = relays;
                if self.relays.is_empty() {
                    self.first_contact.is_over();
                }
                self.reach_relays();
                self.serve_by_host_if_alone();
                self.look_for_orphans();
            }
            Control::Gossip { entries } => {
                self.hear(self.host, &entries);
            }
            Control::Found { observer, origin, evidence } => {
                if let Err(why) = self.hear_found(&observer, origin, &evidence) {
                    tracing::warn!(why, "the host has passed on what is no evidence");
                }
            }
            Control::Sheds { stream } => self.excuse(self.host, StreamId(stream)),
            Control::SubscribeRefused { stream, why } => self.no_place(self.host, StreamId(stream), why),
            message @ (Control::Consent { .. } | Control::Tombstone { .. }) => {
                if let Some(recorder) = &self.recorder {
                    recorder.hear_host(message);
                }
            }
            Control::Refused { why } => return self.refused_by_host(why).map(|()| true),
            Control::OverQuota { what, limit, .. } => {
                tracing::warn!(?what, limit, "the host leaves out what is over a quota");
            }
            Control::LaneAccept { .. } | Control::LaneRefused { .. } => {
                self.lanes.handle_answer(self.links.get(&self.host), &message);
            }
            Control::End => return Ok(false),
            _ => {
                return Err(Error::Peer {
                    peer: self.ticket.host.to_string(),
                    why: "an unexpected message".into(),
                });
            }
        }
        Ok(true)
    }

    fn handle_chunks(&mut self, link: LinkId, chunks: Vec<FreshChunk<Bytes>>) {
        let now = self.clock.now();
        for chunk in chunks {
            let (header, carried, chunk) = (*chunk.header(), chunk.carried(), chunk.into_bytes());
            if self.snapshot.removed_in.is_some_and(|epoch| header.epoch >= epoch) {
                self.try_after_removal(&header, &chunk);
                continue;
            }
            let Some(stream) = self.streams.get_mut(&header.stream_id) else { continue };
            stream.handle_chunk(now, link, &chunk, carried);
            play(&self.player, stream);
        }
        self.pass_on();
        self.record();
        self.act();
    }

    /// Hands over to the recorder what was opened.
    pub(super) fn record(&mut self) {
        let Some(recorder) = &self.recorder else { return };
        for stream in self.streams.values_mut() {
            recorder.opened(stream.id, stream.take_pieces());
        }
    }

    /// A former member does its worst: every secret it ever had, taken for the chunk's own epoch.
    fn try_after_removal(&mut self, header: &ChunkHeader, chunk: &Bytes) {
        self.snapshot.seen_after_removal += 1;
        for secret in &self.old_secrets {
            let mut ring: Keyring = Keyring::new(header.stream_id);
            let installed = ring.install(self.clock.now(), header.epoch, secret.expose(), LeafIndex(0));
            if installed.is_ok() && ring.open(self.clock.now(), &mut chunk.to_vec()).is_ok() {
                self.snapshot.opened_after_removal += 1;
            }
        }
    }

    /// Carries out what the subscriptions decide.
    fn act(&mut self) {
        let now = self.clock.now();
        let (mut silent, mut quiet, mut told) = (Vec::new(), Vec::new(), Vec::new());
        let mut rebuild = false;
        for stream in self.streams.values_mut() {
            while let Some(action) = stream.subscription.poll_action() {
                let (link, message) = match action {
                    Action::Assign { parent, stripes } => {
                        stream.known_to.insert(parent);
                        if stripes.mask() != 0 {
                            stream.assigned_at = now;
                        }
                        let start = stream.start();
                        told.push((stream.id, parent, stripes));
                        (parent, Control::subscribe(stream.id, stream.layers.policy(), stripes, start))
                    }
                    Action::Request { parent, epoch, chunks } => {
                        (parent, Control::repair(stream.id, epoch, &chunks))
                    }
                    Action::Suspect { parent } => {
                        silent.push(parent);
                        continue;
                    }
                    Action::Quiet { parent } => {
                        quiet.push(parent);
                        continue;
                    }
                    Action::Rebuild => {
                        rebuild = true;
                        continue;
                    }
                    _ => continue,
                };
                if let Some(link) = self.links.get(&link) {
                    link.send(&message);
                }
            }
        }
        for (stream, parent, stripes) in told {
            self.note_share(stream, parent, stripes);
        }
        // A spare that shows no life is no use as one; of the host its link tells.
        quiet.retain(|parent| *parent != self.host);
        for parent in quiet {
            self.drop_parent(parent);
        }
        for parent in silent {
            self.snapshot.suspected += 1;
            // What one stream has found out holds for the others.
            self.streams.values_mut().for_each(|s| s.subscription.suspect_parent(now, parent));
            self.spread();
            self.act();
        }
        if rebuild {
            self.rebuild();
        }
        self.publish_state();
    }

    /// Says goodbye, and waits for a moment until the host has taken us out: what is said last on a link that is closed at once
    /// may never arrive, and then the others' keys change only when the link is missed.
    async fn leave(&mut self, inbox: &mut Inbox) {
        let request = self.member.leave_request().unwrap_or_default();
        self.send(self.host, &Control::Leave { request });
        let deadline = Instant::now() + GOODBYE;
        // The deadline is looked at by itself: where something always waits, no timeout is ever reached.
        while self.host_answers()
            && self.snapshot.removed_in.is_none()
            && Instant::now() < deadline
            && let Ok(Some(event)) = tokio::time::timeout_at(deadline.into(), inbox.next()).await
            && let Ok(true) = self.handle_event(event)
        {}
    }

    fn send(&self, link: LinkId, message: &Control) {
        let asks = matches!(message, Control::Join { .. } | Control::Resume { .. });
        if link == self.host && !asks && !self.host_answers() {
            return;
        }
        if let Some(link) = self.links.get(&link) {
            link.send(message);
        }
    }

    fn handle_timeout(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if self.joined_by.is_some_and(|by| now >= by) {
            let why = format!("not let in within {} s", JOIN_TIMEOUT.as_secs());
            return Err(Error::Refused { peer: self.ticket.host, why });
        }
        self.keep_in_step(now)?;
        self.return_to_host(now)?;
        self.close_left(now);
        if self.redial_at.is_some_and(|at| now >= at) {
            self.reach_relays();
        }
        self.tend_first_contact(now);
        self.tend_mesh(now);
        self.tend_parents(now);
        let time = self.clock.now();
        for stream in self.streams.values_mut() {
            stream.handle_timeout(time);
            play(&self.player, stream);
        }
        self.look_for_lost();
        self.spread();
        if let Some(serving) = &mut self.serving {
            serving.core.handle_timeout(time);
        }
        self.tend_children();
        self.act();
        Ok(())
    }

    fn next_timeout(&self) -> Instant {
        let streams =
            self.streams.values().filter_map(InStream::poll_timeout).map(|at| self.clock.instant(at));
        let refresh = Instant::now() + Duration::from_millis(100);
        // What only the host can do waits for it.
        let by_host = [self.rejoin_at, self.renew_at].into_iter().flatten().filter(|_| self.host_answers());
        let children = self.serving.as_ref().and_then(|serving| serving.core.poll_timeout());
        streams
            .chain(children.into_iter().chain(self.mesh.poll_timeout()).map(|at| self.clock.instant(at)))
            .chain([self.look_at, self.conduct.look_at()])
            .chain(self.joined_by)
            .chain(self.redial_at)
            .chain(self.leaving.iter().map(|(at, _)| *at))
            .chain(by_host)
            .chain(self.host_link.poll_timeout())
            .chain(self.first_contact.poll_timeout())
            .chain([refresh])
            .min()
            .unwrap_or(refresh)
    }

    fn publish_state(&mut self) {
        let mut s = self.snapshot;
        (s.chunks, s.bytes, s.undecryptable, s.missing, s.repaired) = (0, 0, 0, 0, 0);
        s.sound_by_units = 0;
        s.proofs = ProofStats::default();
        for stream in self.streams.values() {
            s.chunks += stream.stats.chunks;
            s.bytes += stream.stats.bytes;
            s.undecryptable += stream.stats.undecryptable;
            s.sound_by_units += stream.stats.by_units;
            s.proofs += stream.proofs.stats();
            let repair = stream.subscription.stats();
            s.missing += repair.missing;
            s.repaired += repair.repaired;
        }
        let carriers = self.carriers();
        s.parents = carriers.len() as u32;
        s.claimed = self.mesh.offered();
        let feeders = carriers.iter().filter_map(|link| self.links.get(link));
        self.state.set_feeders(feeders.map(|link| link.peer.key_id()));
        s.played = self.player.stats();
        self.snapshot = s;
        self.state.set(s);
    }

    async fn finish(mut self, outcome: Result<(), Error>) -> Result<Report, Error> {
        for stream in self.streams.values_mut() {
            stream.drain_stash(self.snapshot.removed_in);
        }
        self.publish_state();
        self.net.close().await;
        self.record();
        let recorder = self.recorder.take();
        let recorded = tokio::task::spawn_blocking(move || recorder.map(Recorder::finish).transpose())
            .await
            .map_err(|_| Error::Ended("the recorder"))
            .and_then(|recorded| recorded);
        let player = self.player;
        let played = tokio::task::spawn_blocking(move || player.finish())
            .await
            .map_err(|_| Error::Ended("the player"))
            .and_then(|played| played);
        outcome?;
        let last = Snapshot { played: played?, ..self.snapshot };
        self.state.set(last);
        Ok(Report { frames_shown: last.played.frames_shown, last, recorded: recorded? })
    }
}

/// Hands on what a stream has ready.
fn play(player: &PlayerHandle, stream: &mut InStream) {
    while let Some(object) = stream.proofs.poll_object() {
        player.play(object);
    }
}
