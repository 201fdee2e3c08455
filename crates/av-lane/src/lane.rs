//! One end of a lane.

mod control;
mod receive;
mod send;
mod stream;
#[cfg(test)]
mod tests;
mod timers;

pub use receive::Received;
pub use send::Sealed;

use crate::control::ControlLink;
use crate::inbound::Inbound;
use crate::path::Paths;
use crate::rate::Rate;
use crate::stream::Stream;
use crate::watch::Watch;
use crate::{CloseReason, Error, Failure, LaneConfig, LaneId, LaneKeys, LaneRole, LaneStats, LaneSuite};
use av_wire::{HopReceiver, HopSender};
use core_types::MonoTime;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Events that wait to be taken; moves beyond it are left out, since the last one says it all.
const MAX_EVENTS: usize = 8;

/// What happened to a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer proved its address: media may be sent.
    Ready,
    /// The peer proved that it is at another address, where everything goes from now on.
    PathChanged {
        /// Where it was.
        from: SocketAddr,
        /// Where it is.
        to: SocketAddr,
    },
    /// The peer was not heard for 4 s. The lane has ended.
    Gone,
    /// Media do not get through. The lane has ended; use another transport.
    Failed(Failure),
    /// The peer ended the lane.
    Closed(CloseReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Until the peer has proven its address.
    Settling,
    Ready,
    Over,
}

/// What is to be sent and waits for [`Lane::poll_transmit`].
#[derive(Debug, Default)]
struct Outbox {
    close: Option<CloseReason>,
    /// Answers to challenges, to where these came from. The oldest goes first when there are too many.
    responses: [Option<(SocketAddr, [u8; 16])>; 2],
    ping: bool,
}

/// One end of a lane, without the socket. See the crate's front page for the order of calls.
#[derive(Debug)]
pub struct Lane {
    id: LaneId,
    role: LaneRole,
    state: State,
    max_datagram: usize,
    settle_by: MonoTime,
    sender: HopSender,
    rate: Rate,
    watch: Watch,
    /// The peer asked for whole headers.
    say_whole: bool,
    receiver: HopReceiver,
    inbound: Inbound,
    control: ControlLink,
    stream: Stream,
    paths: Paths,
    outbox: Outbox,
    events: VecDeque<Event>,
    /// When something authentic came last, and something was sent.
    heard: MonoTime,
    spoke: MonoTime,
    pinged: MonoTime,
    last_report: crate::control::ReportBody,
    stats: LaneStats,
}

impl Lane {
    /// One end of a lane to `peer`, with which id, keys and suite were agreed on; the other end takes the other role. A peer
    /// with port 0 is one whose address is not known: it has to speak first.
    ///
    /// The lane begins to ask the peer for a proof of its address at once, and is ready when that came.
    ///
    /// # Errors
    /// [`Error::Rate`] if the configuration of rates can't work. [`Error::Crypto`] if the library refuses the keys; does not
    /// happen.
    #[allow(clippy::needless_pass_by_value, reason = "a lane uses its keys up: nobody else may have them")]
    pub fn new(
        config: &LaneConfig,
        id: LaneId,
        role: LaneRole,
        keys: LaneKeys,
        suite: LaneSuite,
        peer: SocketAddr,
        now: MonoTime,
    ) -> Result<Self, Error> {
        let derived = keys.derive(id, role, suite)?;
        Ok(Self {
            id,
            role,
            state: State::Settling,
            max_datagram: config.max_datagram,
            settle_by: now.plus(config.settle_within),
            sender: HopSender::new(derived.send.media),
            rate: Rate::new(config, id, now)?,
            watch: Watch::default(),
            say_whole: false,
            receiver: HopReceiver::new(derived.receive.media),
            inbound: Inbound::new(now),
            control: ControlLink::new(id, derived.send.control, derived.receive.control),
            stream: Stream::new(config.stream),
            paths: Paths::new(peer, config.secret.of_lane(id, role)?, now),
            outbox: Outbox::default(),
            events: VecDeque::new(),
            heard: now,
            spoke: now,
            pinged: now,
            last_report: crate::control::ReportBody::default(),
            stats: LaneStats::default(),
        })
    }

    /// Its name.
    pub const fn id(&self) -> LaneId {
        self.id
    }

    /// Which end this is.
    pub const fn role(&self) -> LaneRole {
        self.role
    }

    /// Where media go.
    pub const fn peer(&self) -> SocketAddr {
        self.paths.current()
    }

    /// Further addresses from which the peer's datagrams may come while it moves.
    pub fn peer_may_be_at(&self) -> [Option<SocketAddr>; 2] {
        self.paths.others()
    }

    /// True once the peer has proven that it is where [`Lane::peer`] says.
    pub(crate) const fn is_proven(&self) -> bool {
        self.paths.is_proven()
    }

    /// Counts changes of what [`Lane::peer`] and [`Lane::peer_may_be_at`] say.
    pub(crate) const fn address_changes(&self) -> u32 {
        self.paths.changes()
    }

    /// True once the peer has proven its address, until the lane ends.
    pub const fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// True once the lane has ended. A packet that says so to the peer may still be waiting.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// When something authentic came last.
    pub const fn last_heard(&self) -> MonoTime {
        self.heard
    }

    /// Counters.
    pub const fn stats(&self) -> &LaneStats {
        &self.stats
    }

    /// What happened. Take until empty after every call that gives the lane something.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// True if [`Lane::poll_event`] has something.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Ends the lane and tells the peer, once, without waiting for an answer.
    pub fn close(&mut self, reason: CloseReason) {
        if !self.is_over() {
            self.end(Some(reason), None);
        }
    }

    /// Says at once where this end is: for a node that knows that its own address changed.
    pub const fn announce(&mut self) {
        if !self.is_over() {
            self.outbox.ping = true;
        }
    }

    fn end(&mut self, tell: Option<CloseReason>, event: Option<Event>) {
        self.state = State::Over;
        self.outbox = Outbox { close: tell.filter(|_| self.paths.is_known()), ..Outbox::default() };
        if let Some(event) = event {
            self.tell(event);
        }
    }

    fn fail(&mut self, why: Failure) {
        self.end(Some(CloseReason::Failed), Some(Event::Failed(why)));
    }

    fn tell(&mut self, event: Event) {
        // Ready comes once and an end comes once, so only moves can be too many.
        if self.events.len() >= MAX_EVENTS {
            let oldest = self.events.iter().position(|event| matches!(event, Event::PathChanged { .. }));
            oldest.and_then(|at| self.events.remove(at));
        }
        self.events.push_back(event);
    }
}
