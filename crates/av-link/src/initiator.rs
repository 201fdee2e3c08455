//! The side that calls, over datagrams.

use crate::cookie::Cookie;
use crate::flight::{Assembly, Flight, Progress};
use crate::handshake::{Finishing, Initiation};
use crate::packet::{Ack, HandshakeId, Message, Packet};
use crate::x_wing::Backend;
use crate::{Error, Link, Seed};
use core::fmt;
use core::time::Duration;
use core_types::{KeyId, MonoTime};
use identity::Identity;
use std::collections::VecDeque;
use std::sync::Arc;

/// How long a handshake may take, over all its messages.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Before anything is known of the path.
const FIRST_RESEND: Duration = Duration::from_millis(250);
const SHORTEST_RESEND: Duration = Duration::from_millis(60);
const LONGEST_RESEND: Duration = Duration::from_millis(500);
/// Fragments travel together: when some have come and no more do for this long, the others are lost.
const STALLED: Duration = Duration::from_millis(40);
/// Answers that came whole and were wrong, before the handshake is given up. One that somebody has slipped in must not
/// end it; each costs a decapsulation.
const MAX_WRONG: u8 = 4;

/// What an [`Initiator`] says at its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The link is there.
    Linked(Box<Link>),
    /// There will be none. Start another handshake, with another seed, to try again.
    Failed(Error),
}

/// One handshake with one peer, from the side that calls.
///
/// After [`new`](Self::new) and after each `handle_*`: take from [`poll_transmit`](Self::poll_transmit) until it is empty,
/// then look at [`poll_event`](Self::poll_event); call [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) is due. After the event it does nothing any more.
pub struct Initiator {
    id: HandshakeId,
    phase: Phase,
    transmit: VecDeque<Vec<u8>>,
    event: Option<Event>,
    started: MonoTime,
    resend_at: MonoTime,
    /// What the path seems to need, and what it has grown to while nothing came.
    patience: Duration,
    backed_off: Duration,
    resent: bool,
    wrong: u8,
    last_error: Option<Error>,
}

enum Phase {
    /// Waits for a cookie.
    Hello(Box<Initiation>),
    /// Has offered, waits for the answer.
    Offered {
        initiation: Box<Initiation>,
        cookie: Cookie,
        offer: Flight,
        answer: Assembly,
    },
    /// Knows the peer, waits for the verdict.
    Finishing {
        finishing: Box<Finishing>,
        cookie: Cookie,
        finish: Flight,
        verdict: Assembly,
    },
    Over,
}

impl Initiator {
    /// Calls the peer `expected` and nobody else. `seed` is used for this handshake alone.
    ///
    /// # Errors
    /// [`Error::State`] when `expected` is the caller itself; [`Error::Backend`] when a library fails.
    pub fn new(now: MonoTime, identity: Arc<Identity>, expected: KeyId, seed: &Seed) -> Result<Self, Error> {
        Self::with_backend(now, identity, expected, seed, Backend::default())
    }

    /// As [`new`](Self::new), on a backend of choice.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_backend(
        now: MonoTime,
        identity: Arc<Identity>,
        expected: KeyId,
        seed: &Seed,
        backend: Backend,
    ) -> Result<Self, Error> {
        let initiation = Initiation::new(identity, expected, backend, seed)?;
        let mut initiator = Self {
            id: HandshakeId::of(initiation.offer()),
            phase: Phase::Hello(Box::new(initiation)),
            transmit: VecDeque::new(),
            event: None,
            started: now,
            resend_at: now,
            patience: FIRST_RESEND,
            backed_off: FIRST_RESEND,
            resent: false,
            wrong: 0,
            last_error: None,
        };
        initiator.send(now);
        Ok(initiator)
    }

    /// Takes a datagram that came from the peer's address.
    ///
    /// # Errors
    /// Why it was of no use; the handshake goes on unless an [`Event`] says otherwise.
    pub fn handle_datagram(&mut self, now: MonoTime, datagram: &[u8]) -> Result<(), Error> {
        if self.expire(now) || matches!(self.phase, Phase::Over) {
            return Ok(());
        }
        match Packet::parse(datagram)? {
            Packet::Retry { id, cookie } if id == self.id => {
                self.take_cookie(now, cookie);
                Ok(())
            }
            Packet::FromResponder { id, fragment, ack } if id == self.id => {
                self.take_ack(now, ack);
                match fragment {
                    Some(fragment) => self.take_fragment(now, &fragment),
                    None => Ok(()),
                }
            }
            Packet::Refusal { id, what } if id == self.id => {
                // Anybody can say so, thus it is only what the deadline will blame.
                self.last_error = Some(Error::Incompatible { what });
                Ok(())
            }
            Packet::Hello { .. } | Packet::FromInitiator { .. } => {
                Err(Error::Malformed { what: "handshake datagram", reason: "only initiators send such" })
            }
            _ => Err(Error::Unknown),
        }
    }

    /// Sends again what is not known to have come, or gives up.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        if self.expire(now) || matches!(self.phase, Phase::Over) || now < self.resend_at {
            return;
        }
        self.resent = true;
        self.backed_off = (self.backed_off * 3 / 2).min(LONGEST_RESEND.max(self.patience));
        self.send(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        match self.phase {
            Phase::Over => None,
            _ => Some(self.resend_at.min(self.deadline())),
        }
    }

    /// The next datagram for the peer's address.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmit.pop_front()
    }

    /// How it ended, once.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.event.take()
    }

    fn take_cookie(&mut self, now: MonoTime, fresh: Cookie) {
        match core::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Hello(initiation) => {
                if !self.resent {
                    self.patience = (now.since(self.started) * 2).clamp(SHORTEST_RESEND, LONGEST_RESEND);
                }
                let offer = Flight::new(Message::Offer, initiation.offer().to_vec());
                let answer = Assembly::new(Message::Answer);
                self.phase = Phase::Offered { initiation, cookie: fresh, offer, answer };
                self.backed_off = self.patience;
                self.send(now);
            }
            // The one before has expired, or was somebody else's invention: the next time goes with this one.
            Phase::Offered { initiation, offer, answer, .. } => {
                self.phase = Phase::Offered { initiation, cookie: fresh, offer, answer };
            }
            other => self.phase = other,
        }
    }

    fn take_ack(&mut self, now: MonoTime, ack: Ack) {
        let news = match &mut self.phase {
            Phase::Offered { offer, answer, .. } => {
                // The listener knows nothing of the offer any more. Its next answer will be another one.
                if ack.message == Message::Offer && ack.bits == 0 {
                    *answer = Assembly::new(Message::Answer);
                }
                offer.note(ack)
            }
            Phase::Finishing { finish, .. } => finish.note(ack),
            Phase::Hello(_) | Phase::Over => false,
        };
        if news {
            self.progress(now);
        }
    }

    fn take_fragment(&mut self, now: MonoTime, fragment: &crate::packet::Fragment<'_>) -> Result<(), Error> {
        let progress = match &mut self.phase {
            Phase::Offered { answer, .. } => answer.insert(fragment)?,
            Phase::Finishing { verdict, .. } => verdict.insert(fragment)?,
            Phase::Hello(_) | Phase::Over => Progress::Nothing,
        };
        match progress {
            Progress::Nothing => Ok(()),
            Progress::Some => {
                self.progress(now);
                Ok(())
            }
            Progress::Whole(message) => {
                self.backed_off = self.patience;
                self.read(now, &message).inspect_err(|error| {
                    self.last_error = Some(error.clone());
                    self.wrong += 1;
                    if self.wrong >= MAX_WRONG || matches!(error, Error::Refused(_)) {
                        self.end(Event::Failed(error.clone()));
                    }
                })
            }
        }
    }

    fn read(&mut self, now: MonoTime, message: &[u8]) -> Result<(), Error> {
        match &self.phase {
            Phase::Offered { initiation, cookie, .. } => {
                let finishing = Box::new(initiation.read_answer(message)?);
                let finish = Flight::new(Message::Finish, finishing.finish().to_vec());
                let verdict = Assembly::new(Message::Verdict);
                self.phase = Phase::Finishing { finishing, cookie: *cookie, finish, verdict };
                self.last_error = None;
                self.send(now);
            }
            Phase::Finishing { finishing, .. } => {
                let link = Box::new(finishing.read_verdict(message)?);
                self.end(Event::Linked(link));
            }
            Phase::Hello(_) | Phase::Over => {}
        }
        Ok(())
    }

    /// Something came, so more may be close behind it; if not, it is lost.
    fn progress(&mut self, now: MonoTime) {
        self.backed_off = self.patience;
        self.resend_at = now.plus(STALLED);
    }

    fn send(&mut self, now: MonoTime) {
        let id = self.id;
        match &self.phase {
            Phase::Hello(_) => self.transmit.push_back(Packet::Hello { id }.to_bytes()),
            Phase::Offered { cookie, offer: flight, answer: incoming, .. }
            | Phase::Finishing { cookie, finish: flight, verdict: incoming, .. } => {
                let (cookie, ack) = (*cookie, incoming.ack());
                let packet = |fragment| Packet::FromInitiator { id, cookie, fragment, ack }.to_bytes();
                let before = self.transmit.len();
                // What has begun to come is an answer, so that all of the offer was there.
                if ack.bits == 0 {
                    self.transmit.extend(flight.missing().map(|fragment| packet(Some(fragment))));
                }
                if self.transmit.len() == before {
                    self.transmit.push_back(packet(None));
                }
            }
            Phase::Over => {}
        }
        self.resend_at = now.plus(self.backed_off);
    }

    fn deadline(&self) -> MonoTime {
        self.started.plus(HANDSHAKE_DEADLINE)
    }

    fn expire(&mut self, now: MonoTime) -> bool {
        if matches!(self.phase, Phase::Over) || now < self.deadline() {
            return false;
        }
        let waiting_for = match self.phase {
            Phase::Hello(_) => "a cookie",
            Phase::Offered { .. } => "the answer",
            Phase::Finishing { .. } | Phase::Over => "the verdict",
        };
        let error = self.last_error.take().unwrap_or(Error::Timeout { waiting_for });
        self.end(Event::Failed(error));
        true
    }

    fn end(&mut self, event: Event) {
        self.phase = Phase::Over;
        self.transmit.clear();
        self.event = Some(event);
    }
}

impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Hello(_) => "waits for a cookie",
            Phase::Offered { .. } => "waits for the answer",
            Phase::Finishing { .. } => "waits for the verdict",
            Phase::Over => "over",
        };
        f.debug_struct("Initiator").field("phase", &phase).finish_non_exhaustive()
    }
}
