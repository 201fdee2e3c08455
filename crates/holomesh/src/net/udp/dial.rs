//! Direct links, from the first handshake datagram to a link that has said what it is: dialling, and the door.

use super::connection::DirectConnection;
use super::direct::{Direct, Entrant, Greeted, Shore};
use super::hub::{Agreed, Knock};
use super::talk::{Greeting, greeted_by};
use super::{LaneCarrier, Lanes, Shared};
use crate::net::PROTOCOL_VERSION;
use crate::net::endpoint::{HELLO_TIMEOUT, Links};
use crate::net::hello::Peer;
use crate::net::link::{Established, Link, LinkEvent};
use crate::{Error, keyfile};
use av_lane::{LaneId, LaneKey, LaneKeys, LaneRole, LaneSuite};
use av_link::{Event, Initiator, Limits, Listener, Seed};
use core_types::{KeyId, LinkId};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::sleep_until;

/// Handshake datagrams that wait at the door, and for somebody who dials.
const KNOCKS: usize = 1_024;
const ANSWERS: usize = 64;
/// Without any answer in this time a direct port counts as closed.
const NO_ANSWER: Duration = Duration::from_millis(1_500);
/// How long an end of a dial sleeps at most.
const LOOK: Duration = Duration::from_millis(50);

/// Why there is no direct link.
#[derive(Debug)]
pub(in crate::net) enum Undialled {
    /// Nobody answered: there may be another way.
    NoAnswer,
    /// Somebody did, and it will not do.
    Refused(Error),
}

/// Id and keys of the lane that a link handshake has keyed (spec 37 section 2).
fn agree(exporter: &av_link::Exporter) -> Result<(LaneId, LaneKeys), av_link::Error> {
    let (mut id, mut secret) = ([0; 8], zeroize::Zeroizing::new([0; LaneKeys::EXPORTED]));
    exporter.export("holomesh lane id v1", b"", &mut id)?;
    exporter.export("holomesh lane v1", &id, &mut *secret)?;
    Ok((LaneId(u64::from_be_bytes(id)), LaneKeys::from_exported(&secret)))
}

/// What makes a direct link of a handshake's outcome.
struct Begun {
    link: LinkId,
    key: LaneKey,
    shore: Arc<Shore>,
}

impl Shared {
    fn begin_direct(
        &self,
        exporter: &av_link::Exporter,
        (role, peer): (LaneRole, SocketAddr),
        (own, link): (Greeting, LinkId),
        entrant: Option<Entrant>,
    ) -> Result<Begun, String> {
        let (id, keys) = agree(exporter).map_err(|e| e.to_string())?;
        let (now, shore) = (self.clock.now(), Arc::<Shore>::default());
        let direct = Direct::new(own, greeted_by(now), entrant, shore.clone());
        let agreed = Agreed { id, role, keys, suite: LaneSuite::Full, peer };
        let key = self.hub().begin_direct(now, link, agreed, direct)?;
        Ok(Begun { link, key, shore })
    }

    /// Makes links of peers that have dialled and said what they are.
    pub(super) fn introduce(self: &Arc<Self>, events: &mut VecDeque<LinkEvent>) {
        // Not while the hub is locked.
        let greeted = self.hub().take_greeted();
        for Greeted { key, entrant, greeting, shore } in greeted {
            let Entrant { links, link, identity, permit } = entrant;
            let connection = DirectConnection { shared: self.clone(), key, link, greeting, shore };
            let peer = Peer { identity, role: greeting.role };
            events.push_back(LinkEvent::Up(Box::new(make(&links, connection, peer, permit, false))));
        }
    }
}

fn make(
    links: &Links,
    connection: DirectConnection,
    peer: Peer,
    permit: OwnedSemaphorePermit,
    dialled: bool,
) -> Link {
    let base = LaneCarrier { shared: connection.shared.clone(), key: connection.key };
    Link::new(Established {
        id: connection.link,
        peer,
        base: Box::new(base),
        connection: Arc::new(connection),
        control: None,
        events: links.events(),
        pulse: links.pulse(),
        permit,
        dialled,
    })
}

/// Calls at one address, as the dialler of several.
struct Call {
    to: SocketAddr,
    initiator: Initiator,
    was_answered: bool,
}

impl Lanes {
    /// Dials a peer for a direct link. Whoever waits here serves the sockets meanwhile, since nobody else may do so yet.
    pub(in crate::net) async fn dial(
        &self,
        links: &Arc<Links>,
        own_key: [u8; 32],
        to: &[SocketAddr],
        peer: KeyId,
    ) -> Result<Link, Undialled> {
        let Some(pair) = &self.0 else { return Err(Undialled::NoAnswer) };
        let failed = |why: String| Undialled::Refused(Error::Connect { peer: name(to), why });
        let permit = links.dial_permit().map_err(Undialled::Refused)?;
        let shared = &pair.parents;
        let (sender, mut answers) = mpsc::channel(ANSWERS);
        let mut calls = Vec::new();
        for to in to {
            let mut seed = Seed([0; 32]);
            keyfile::fill_random(&mut seed.0).map_err(Undialled::Refused)?;
            let to = SocketAddr::new(to.ip().to_canonical(), to.port());
            let initiator = Initiator::new(shared.clock.now(), links.identity_handle(), peer, &seed);
            calls.push(Call {
                to,
                initiator: initiator.map_err(|e| failed(e.to_string()))?,
                was_answered: false,
            });
            shared.hub().dial(to, sender.clone());
        }
        let linked = self.call(&mut calls, &mut answers).await?;
        let (at, handshake) = linked;
        let own = Greeting { role: links.role(), transport_key: own_key };
        let (link, _) = links.next();
        let (identity, _, exporter) = handshake.into_parts();
        let begun =
            shared.begin_direct(&exporter, (LaneRole::Child, at), (own, link), None).map_err(failed)?;
        let unfinished = Unfinished { shared, link: Some(begun.link) };
        let greeting = self.greeted(&begun, to).await.map_err(Undialled::Refused)?;
        unfinished.finish();
        let connection =
            DirectConnection { shared: shared.clone(), key: begun.key, link, greeting, shore: begun.shore };
        Ok(make(links, connection, Peer { identity, role: greeting.role }, permit, true))
    }

    /// Drives the handshakes until one is done.
    async fn call(
        &self,
        calls: &mut Vec<Call>,
        answers: &mut mpsc::Receiver<Knock>,
    ) -> Result<(SocketAddr, Box<av_link::Link>), Undialled> {
        let Some(pair) = &self.0 else { return Err(Undialled::NoAnswer) };
        let shared = &pair.parents;
        let began = shared.clock.now();
        loop {
            for at in (0..calls.len()).rev() {
                let Call { to, initiator, .. } = &mut calls[at];
                while let Some(datagram) = initiator.poll_transmit() {
                    if let Err(error) = shared.socket.send(*to, &datagram, datagram.len()) {
                        tracing::trace!(%to, %error, "a handshake's datagram was not sent");
                    }
                }
                match initiator.poll_event() {
                    Some(Event::Linked(link)) => return Ok((*to, link)),
                    Some(Event::Failed(error)) => {
                        let call = calls.swap_remove(at);
                        tracing::debug!(to = %call.to, %error, "no direct link");
                        if call.was_answered && calls.is_empty() {
                            let why = format!("no direct link: {error}");
                            return Err(Undialled::Refused(Error::Connect {
                                peer: call.to.to_string(),
                                why,
                            }));
                        }
                    }
                    _ => {}
                }
            }
            let now = shared.clock.now();
            if calls.is_empty()
                || (now.since(began) >= NO_ANSWER && !calls.iter().any(|call| call.was_answered))
            {
                return Err(Undialled::NoAnswer);
            }
            let due = calls.iter().filter_map(|call| call.initiator.poll_timeout()).min();
            let due = due.map_or_else(|| Instant::now() + LOOK, |at| shared.clock.instant(at));
            tokio::select! {
                answer = answers.recv() => if let Some((from, datagram)) = answer
                    && let Some(call) = calls.iter_mut().find(|call| call.to == from)
                {
                    call.was_answered = true;
                    if let Err(error) = call.initiator.handle_datagram(shared.clock.now(), &datagram) {
                        tracing::debug!(%from, %error, "a handshake's datagram of no use");
                    }
                },
                () = self.serve() => {}
                () = sleep_until(due.into()) => {}
            }
            let now = shared.clock.now();
            calls.iter_mut().for_each(|call| call.initiator.handle_timeout(now));
        }
    }

    /// Waits until the peer has said what it is.
    async fn greeted(&self, begun: &Begun, to: &[SocketAddr]) -> Result<Greeting, Error> {
        let failed = |why: String| Error::Connect { peer: name(to), why };
        let until = Instant::now() + HELLO_TIMEOUT;
        loop {
            if let Some(greeting) = begun.shore.greeting.get() {
                return Ok(*greeting);
            }
            if let Some(ended) = begun.shore.over() {
                return Err(match ended.version {
                    Some(theirs) => Error::Version { ours: PROTOCOL_VERSION, theirs },
                    None => failed(ended.why.clone()),
                });
            }
            if Instant::now() >= until {
                return Err(failed("the peer did not say what it is".into()));
            }
            self.serve().await;
        }
    }

    /// Opens the door: whoever proves who it is may have a link.
    pub(in crate::net) fn open_door(&self, links: &Arc<Links>, own_key: [u8; 32]) -> Result<(), Error> {
        let Some(pair) = &self.0 else { return Ok(()) };
        let shared = &pair.children;
        let (sender, knocks) = mpsc::channel(KNOCKS);
        let mut random = Random::new()?;
        let (now, identity) = (shared.clock.now(), links.identity_handle());
        let listener = Listener::new(now, identity, Limits::default(), &mut random.0);
        shared.hub().set_door(Some(sender));
        let own = Greeting { role: links.role(), transport_key: own_key };
        let door = Door { shared: Arc::downgrade(shared), links: links.clone(), own, listener, random };
        crate::net::quic::driver().spawn(door.keep(knocks));
        Ok(())
    }
}

fn name(to: &[SocketAddr]) -> String {
    to.first().map_or_else(|| "a peer without addresses".into(), SocketAddr::to_string)
}

/// Ends a lane that did not become a link.
struct Unfinished<'a> {
    shared: &'a Arc<Shared>,
    link: Option<LinkId>,
}

impl Unfinished<'_> {
    fn finish(mut self) {
        self.link = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.link {
            self.shared.hub().remove(link, self.shared.clock.now(), &self.shared.socket);
        }
    }
}

/// Randomness for handshakes.
struct Random(rand::rngs::StdRng);

impl Random {
    fn new() -> Result<Self, Error> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        keyfile::fill_random(&mut *seed)?;
        Ok(Self(rand::SeedableRng::from_seed(*seed)))
    }
}

/// Takes handshakes from anybody, bounded as spec 35 section 9 says, and beside the node's own task: signatures take
/// milliseconds. It does not keep the sockets open.
struct Door {
    shared: Weak<Shared>,
    links: Arc<Links>,
    own: Greeting,
    listener: Listener,
    random: Random,
}

impl Door {
    async fn keep(mut self, mut knocks: mpsc::Receiver<Knock>) {
        while let Some((from, datagram)) = knocks.recv().await {
            let Some(shared) = self.shared.upgrade() else { return };
            let now = shared.clock.now();
            self.listener.handle_timeout(now);
            if let Err(error) = self.listener.handle_datagram(now, from, &datagram, &mut self.random.0) {
                tracing::trace!(%from, %error, "a handshake's datagram of no use");
            }
            while let Some(caller) = self.listener.poll_caller() {
                if let Err(why) = self.let_in(&shared, &caller) {
                    tracing::debug!(from = %caller.from, why, "a peer was not let in");
                }
            }
            while let Some((to, datagram)) = self.listener.poll_transmit() {
                if let Err(error) = shared.socket.send(to, &datagram, datagram.len()) {
                    tracing::trace!(%to, %error, "a handshake's datagram was not sent");
                }
            }
        }
    }

    fn let_in(&mut self, shared: &Arc<Shared>, caller: &av_link::Caller) -> Result<(), String> {
        let permit = match self.links.permit() {
            Ok(permit) => permit,
            Err(full) => {
                self.listener.refuse(caller.attempt).map_err(|e| e.to_string())?;
                return Err(full.to_string());
            }
        };
        let handshake = self.listener.accept(caller.attempt).map_err(|e| e.to_string())?;
        let (identity, _, exporter) = handshake.into_parts();
        let (link, _) = self.links.next();
        let entrant = Entrant { links: self.links.clone(), link, identity, permit };
        shared
            .begin_direct(&exporter, (LaneRole::Parent, caller.from), (self.own, link), Some(entrant))
            .map(drop)
    }
}
