//! Direct links as the node's sockets serve them: who may be at the other end, what it has said, and how it ended.

use super::hub::Hub;
use super::socket::UdpSocket;
use super::talk::{Breach, Greeting, Said, Talk};
use crate::net::control::Control;
use crate::net::endpoint::Links;
use crate::net::link::LinkEvent;
use crate::net::outbox::NOT_READ;
use crate::net::reader::PONG_EACH;
use av_lane::{CloseReason, Event, Failure, Lane, LaneKey};
use bytes::Bytes;
use core_types::{LinkId, MonoTime};
use identity::PublicIdentity;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// What a direct link's owner sees of it from outside of the sockets.
#[derive(Debug, Default)]
pub(super) struct Shore {
    /// What the peer says it is, once it has.
    pub(super) greeting: OnceLock<Greeting>,
    /// Why the link is over, once it is.
    over: OnceLock<Ended>,
    changed: Notify,
}

/// How a direct link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) why: String,
    /// The version that the peer speaks, if that is why.
    pub(super) version: Option<u16>,
}

impl Shore {
    pub(super) fn over(&self) -> Option<&Ended> {
        self.over.get()
    }

    fn end(&self, why: String, version: Option<u16>) {
        let _ = self.over.set(Ended { why, version });
        self.changed.notify_waiters();
    }

    /// Waits until the link is over.
    pub(super) async fn ended(&self) {
        let mut changed = std::pin::pin!(self.changed.notified());
        while self.over.get().is_none() {
            changed.as_mut().enable();
            if self.over.get().is_some() {
                return;
            }
            changed.as_mut().await;
            changed.set(self.changed.notified());
        }
    }
}

/// What a link is made of that a peer has dialled, once the peer has said what it is to the session.
#[derive(Debug)]
pub(super) struct Entrant {
    pub(super) links: Arc<Links>,
    pub(super) link: LinkId,
    pub(super) identity: PublicIdentity,
    pub(super) permit: OwnedSemaphorePermit,
}

/// One that has said it.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) key: LaneKey,
    pub(super) entrant: Entrant,
    pub(super) greeting: Greeting,
    pub(super) shore: Arc<Shore>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Until then the peer has to say what it is.
    Greeting(MonoTime),
    /// It has; the node does not know of the link yet, and hears nothing of it.
    Greeted,
    /// The node hears what comes.
    Open,
}

/// A lane that is a link.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) talk: Talk,
    stage: Stage,
    entrant: Option<Box<Entrant>>,
    /// When the peer was given a sign last that it had asked for.
    answered: Option<MonoTime>,
    pub(super) shore: Arc<Shore>,
}

impl Direct {
    /// `entrant` for a peer that has dialled us.
    pub(super) fn new(
        own: Greeting,
        greeted_by: MonoTime,
        entrant: Option<Entrant>,
        shore: Arc<Shore>,
    ) -> Self {
        Self {
            talk: Talk::new(own),
            stage: Stage::Greeting(greeted_by),
            entrant: entrant.map(Box::new),
            answered: None,
            shore,
        }
    }

    /// When it is to be looked at; a time that is over if at once.
    pub(super) fn deadline(&self, lane: &Lane) -> Option<MonoTime> {
        let has_come =
            self.stage == Stage::Open && (lane.stream_readable() > 0 || self.shore.over().is_some());
        if has_come || self.talk.wants_to_write(lane) {
            return Some(MonoTime(0));
        }
        match self.stage {
            Stage::Greeting(by) => Some(by),
            _ => None,
        }
    }

    /// The node knows of the link, and is to hear what comes.
    pub(super) fn open(&mut self) {
        if self.stage == Stage::Greeted {
            self.stage = Stage::Open;
        }
    }

    /// The lane has ended by itself.
    pub(super) fn lane_ended(&self, event: Event) {
        self.shore.end(explain(event), None);
    }

    /// This end closes the link.
    pub(super) fn close(&self, lane: &mut Lane, reason: CloseReason, why: &str) {
        lane.close(reason);
        self.shore.end(why.to_owned(), None);
    }

    /// Takes what has come over the stream, and gives it what there is to say. True when there is nothing more to come.
    pub(super) fn serve(
        &mut self,
        (key, link, now): (LaneKey, LinkId, MonoTime),
        lane: &mut Lane,
        events: &mut VecDeque<LinkEvent>,
        greeted: &mut Vec<Greeted>,
    ) -> bool {
        self.talk.write(lane);
        if let Err(breach) = self.listen((key, link, now), lane, events, greeted) {
            let (why, version) = match breach {
                Breach::Version(theirs) => (format!("it speaks version {theirs}"), Some(theirs)),
                Breach::Protocol(why) => (why, None),
            };
            tracing::info!(%link, why, "a direct link is closed");
            lane.close(CloseReason::Misbehaved);
            self.shore.end(why, version);
        }
        if matches!(self.stage, Stage::Greeting(by) if by <= now) {
            self.close(lane, CloseReason::Done, "the peer did not say in time what it is");
        }
        match (self.stage, self.shore.over()) {
            (_, None) | (Stage::Greeted, _) => false,
            (Stage::Greeting(_), Some(_)) => true,
            (Stage::Open, Some(ended)) => {
                events.push_back(LinkEvent::Down(link, ended.why.clone()));
                true
            }
        }
    }

    fn listen(
        &mut self,
        (key, link, now): (LaneKey, LinkId, MonoTime),
        lane: &mut Lane,
        events: &mut VecDeque<LinkEvent>,
        greeted: &mut Vec<Greeted>,
    ) -> Result<(), Breach> {
        if let Stage::Greeting(_) = self.stage
            && let Some(greeting) = self.talk.greeting(lane)?
        {
            self.stage = Stage::Greeted;
            let _ = self.shore.greeting.set(greeting);
            self.shore.changed.notify_waiters();
            if let Some(entrant) = self.entrant.take() {
                greeted.push(Greeted { key, entrant: *entrant, greeting, shore: self.shore.clone() });
            }
        }
        if self.stage != Stage::Open {
            return Ok(());
        }
        while let Some(said) = self.talk.next(lane)? {
            match said {
                Said::Control(message) => match *message {
                    Control::Ping => self.answer(now)?,
                    // That it came is all there is to it.
                    Control::Pong => {}
                    message => events.push_back(LinkEvent::Control(link, message)),
                },
                Said::Chunks(chunks) => events.push_back(LinkEvent::Chunks(link, chunks)),
            }
        }
        Ok(())
    }

    /// A sign of life. Lanes have their own; a peer may ask for one all the same, and gets it as often as over QUIC.
    fn answer(&mut self, now: MonoTime) -> Result<(), Breach> {
        if self.answered.is_some_and(|at| now.since(at) < PONG_EACH) {
            return Ok(());
        }
        self.answered = Some(now);
        let said = control_wire::encode(&Control::Pong).is_ok_and(|frame| self.talk.push(frame));
        said.then_some(()).ok_or_else(|| Breach::Protocol(NOT_READ.into()))
    }
}

/// In words, why a lane is over.
fn explain(event: Event) -> String {
    let why = match event {
        Event::Gone => "the peer was not heard for 4 s",
        Event::Failed(Failure::NoAnswer) => "the peer did not answer",
        Event::Failed(Failure::NothingArrives) => "media do not arrive",
        Event::Failed(Failure::LongLost) => "datagrams above 512 bytes do not arrive any more",
        Event::Failed(Failure::StreamStalled) => "control messages do not arrive",
        Event::Closed(CloseReason::Done) => "closed by the peer",
        Event::Closed(CloseReason::Draining) => "closed by the peer, which is about to stop",
        Event::Closed(CloseReason::Gone) => "closed by the peer, which did not hear us",
        Event::Closed(CloseReason::Misbehaved) => "closed by the peer: it says that we broke the protocol",
        Event::Closed(FULL) => "closed by the peer: too many links",
        other => return format!("the lane ended: {other:?}"),
    };
    why.to_owned()
}

/// There is no room for another link.
pub(super) const FULL: CloseReason = CloseReason::Other(5);

/// What a [`Hub`] does for direct links.
impl Hub {
    /// Sends a control message; false if too many wait.
    pub(super) fn say(&mut self, key: LaneKey, now: MonoTime, frame: Vec<u8>, socket: &UdpSocket) -> bool {
        let pushed = self.with_direct(key, now, socket, |direct, lane| {
            let pushed = direct.talk.push(frame);
            direct.talk.write(lane);
            pushed
        });
        // What is said to a link that is over is nobody's.
        pushed.unwrap_or(true)
    }

    /// Sends chunks that no datagram holds; false if they would be late.
    pub(super) fn say_chunks(
        &mut self,
        key: LaneKey,
        now: MonoTime,
        chunks: &[Bytes],
        socket: &UdpSocket,
    ) -> bool {
        let pushed = self.with_direct(key, now, socket, |direct, lane| {
            let pushed = direct.talk.push_chunks(chunks);
            direct.talk.write(lane);
            pushed
        });
        pushed.unwrap_or(false)
    }
}
