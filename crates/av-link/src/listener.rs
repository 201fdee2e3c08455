//! The side that is called, over datagrams: many handshakes at once, and nothing kept for whoever has not shown a cookie.

use crate::cookie::{Baker, Cookie};
use crate::flight::{Assembly, Flight, Progress};
use crate::handshake::{Claim, Response};
use crate::initiator::HANDSHAKE_DEADLINE;
use crate::packet::{Ack, Fragment, HandshakeId, Message, Packet};
use crate::x_wing::Backend;
use crate::{Error, Link, Seed};
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use core_types::MonoTime;
use identity::Identity;
use rand_core::CryptoRng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

mod owner;
mod room;
mod slot;

pub use owner::{AttemptId, Caller, Limits, Stats};
use slot::{Key, Slot, State};

/// Datagrams that wait to be taken; more are dropped, and mended as a loss.
const MAX_QUEUED: usize = 1_024;
/// An answer is not sent again sooner than this: duplicates of what asks for it travel together.
const ANSWER_AGAIN: Duration = Duration::from_millis(30);
/// How often an answer is sent at most, whatever asks for it.
const MAX_ANSWERS: u8 = 48;
/// Finishes that came whole and were wrong, before a handshake is dropped.
const MAX_WRONG: u8 = 4;

/// Takes calls.
///
/// After each `handle_*`, [`accept`](Self::accept) and [`refuse`](Self::refuse): take from
/// [`poll_transmit`](Self::poll_transmit) until it is empty; after [`handle_datagram`](Self::handle_datagram) also from
/// [`poll_caller`](Self::poll_caller). Call [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) is due. It sends nothing of its own accord: who calls asks again.
pub struct Listener {
    identity: Arc<Identity>,
    backend: Backend,
    limits: Limits,
    baker: Baker,
    slots: BTreeMap<Key, Slot>,
    attempts: u64,
    transmit: VecDeque<(SocketAddr, Vec<u8>)>,
    callers: VecDeque<Caller>,
    stats: Stats,
}

impl Listener {
    /// A listener for calls to `identity`.
    pub fn new(now: MonoTime, identity: Arc<Identity>, limits: Limits, rng: &mut dyn CryptoRng) -> Self {
        Self::with_backend(now, identity, limits, rng, Backend::default())
    }

    /// As [`new`](Self::new), on a backend of choice.
    pub fn with_backend(
        now: MonoTime,
        identity: Arc<Identity>,
        limits: Limits,
        rng: &mut dyn CryptoRng,
        backend: Backend,
    ) -> Self {
        Self {
            identity,
            backend,
            limits,
            baker: Baker::new(now, limits.cookie_period, rng),
            slots: BTreeMap::new(),
            attempts: 0,
            transmit: VecDeque::new(),
            callers: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Takes a datagram. Randomness is drawn for cookie secrets and for answers.
    ///
    /// # Errors
    /// Why it was of no use. [`Error::fault`] tells whose fault that may be; an address without a cookie has proved
    /// nothing, so that nobody is to be blamed for [`Error::Cookie`] and [`Error::Unknown`].
    pub fn handle_datagram(
        &mut self,
        now: MonoTime,
        from: SocketAddr,
        datagram: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Error> {
        self.baker.turn(now, rng);
        match Packet::parse(datagram)? {
            Packet::Hello { id } => {
                self.send_cookie(from, id);
                Ok(())
            }
            Packet::FromInitiator { id, cookie, fragment, ack } => {
                self.take(now, from, id, &cookie, fragment.as_ref(), ack, rng)
            }
            Packet::Retry { .. } | Packet::FromResponder { .. } | Packet::Refusal { .. } => {
                Err(Error::Malformed { what: "handshake datagram", reason: "only listeners send such" })
            }
        }
    }

    /// Takes the call: the link, whose keys may be used at once.
    ///
    /// # Errors
    /// [`Error::State`] when the attempt is over, or was decided before.
    pub fn accept(&mut self, attempt: AttemptId) -> Result<Link, Error> {
        let (key, claim) = self.decide(attempt)?;
        let (verdict, link) = claim.accept()?;
        self.send_verdict(key, verdict);
        Ok(link)
    }

    /// Does not take it, and tells the caller so.
    ///
    /// # Errors
    /// [`Error::State`] when the attempt is over, or was decided before.
    pub fn refuse(&mut self, attempt: AttemptId) -> Result<(), Error> {
        let (key, claim) = self.decide(attempt)?;
        let verdict = claim.refuse()?;
        self.send_verdict(key, verdict);
        Ok(())
    }

    /// Forgets what is over or too old.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        self.slots.retain(|_, slot| !slot.expired(now));
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        self.slots.values().map(|slot| slot.since.plus(HANDSHAKE_DEADLINE)).min()
    }

    /// The next datagram, and where to.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.transmit.pop_front()
    }

    /// The next one to be let in or refused, within 10 s of its first message.
    pub fn poll_caller(&mut self) -> Option<Caller> {
        self.callers.pop_front()
    }

    /// How many handshakes it knows of now.
    pub fn handshakes(&self) -> usize {
        self.slots.len()
    }

    /// What it has done so far.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    #[expect(clippy::too_many_arguments, reason = "a datagram's fields, where it came from, and when")]
    fn take(
        &mut self,
        now: MonoTime,
        from: SocketAddr,
        id: HandshakeId,
        cookie: &Cookie,
        fragment: Option<&Fragment<'_>>,
        ack: Ack,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Error> {
        let key = (from.ip(), from.port(), id);
        if self.slots.get(&key).is_some_and(|slot| slot.expired(now)) {
            self.slots.remove(&key);
        }
        if !self.slots.contains_key(&key) {
            // Nothing is remembered and no key touched before this holds.
            if !self.baker.accepts(from, id, cookie) {
                self.send_cookie(from, id);
                return Err(Error::Cookie);
            }
            match fragment {
                Some(fragment) if fragment.message == Message::Offer => self.make_room(now, key)?,
                Some(_) => return Err(Error::Unknown),
                None => {
                    // It believes that the offer is here. It was evicted: say that nothing is.
                    self.send(key, None, Ack { message: Message::Offer, bits: 0 });
                    return Err(Error::Unknown);
                }
            }
        }
        let slot = self.slots.entry(key).or_insert_with(|| Slot {
            since: now,
            wrong: 0,
            state: State::Offered(Assembly::new(Message::Offer)),
        });
        match &mut slot.state {
            State::Offered(offer) => {
                let Some(fragment) = fragment else {
                    let ack = offer.ack();
                    self.send(key, None, ack);
                    return Ok(());
                };
                match offer.insert(fragment)? {
                    Progress::Nothing | Progress::Some => {
                        let ack = offer.ack();
                        self.send(key, None, ack);
                        Ok(())
                    }
                    Progress::Whole(offer) => self.answer(now, key, &offer, rng),
                }
            }
            State::Answered { finish, answer, .. } => match fragment {
                Some(fragment) if fragment.message == Message::Finish => match finish.insert(fragment)? {
                    Progress::Nothing | Progress::Some => {
                        let ack = finish.ack();
                        self.send(key, None, ack);
                        Ok(())
                    }
                    Progress::Whole(finish) => self.check(key, &finish),
                },
                // All of its finish was here, and it was wrong.
                _ if ack.message == Message::Verdict => {
                    let ack = finish.ack();
                    self.send(key, None, ack);
                    Ok(())
                }
                _ => {
                    answer.note(ack);
                    self.answer_again(now, key);
                    Ok(())
                }
            },
            State::Deciding { .. } => {
                self.send(key, None, Ack { message: Message::Finish, bits: u16::MAX });
                Ok(())
            }
            State::Done { verdict } => {
                // An offer's straggler needs no answer.
                if ack.message == Message::Verdict {
                    let verdict = *verdict;
                    self.send_whole(key, &verdict);
                }
                Ok(())
            }
            State::Dead { refusal } => {
                if let Some(what) = *refusal {
                    self.push(from, &Packet::Refusal { id, what });
                }
                Err(Error::Unknown)
            }
        }
    }

    fn answer(
        &mut self,
        now: MonoTime,
        key: Key,
        offer: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Error> {
        let (ip, port, id) = key;
        if HandshakeId::of(offer) != id {
            // Not what the cookie was given for. The assembly has started again.
            return Err(Error::Authentication { what: "the offer" });
        }
        let made = Response::new(&self.identity, offer, self.backend, &Seed::random(rng));
        if !matches!(made, Err(Error::Incompatible { .. })) {
            self.stats.public_key_operations += 3;
        }
        let state = match made {
            Ok(response) => State::Answered {
                answer: Flight::new(Message::Answer, response.answer().to_vec()),
                response: Box::new(response),
                finish: Assembly::new(Message::Finish),
                sent: 0,
                sent_at: now,
            },
            Err(error) => {
                let refusal = if let Error::Incompatible { what } = error { Some(what) } else { None };
                if let Some(what) = refusal {
                    self.push(SocketAddr::new(ip, port), &Packet::Refusal { id, what });
                }
                self.set(key, State::Dead { refusal });
                return Err(error);
            }
        };
        self.set(key, state);
        self.answer_again(now, key);
        Ok(())
    }

    /// Sends what is missing of the answer, if that was not done just now or all too often.
    fn answer_again(&mut self, now: MonoTime, key: Key) {
        let Some(Slot { state: State::Answered { answer, finish, sent, sent_at, .. }, .. }) =
            self.slots.get_mut(&key)
        else {
            return;
        };
        if *sent >= MAX_ANSWERS || (*sent > 0 && now.since(*sent_at) < ANSWER_AGAIN) {
            return;
        }
        *sent += 1;
        *sent_at = now;
        let (ip, port, id) = key;
        let ack = finish.ack();
        for fragment in answer.missing() {
            if self.transmit.len() < MAX_QUEUED {
                let packet = Packet::FromResponder { id, fragment: Some(fragment), ack };
                self.transmit.push_back((SocketAddr::new(ip, port), packet.to_bytes()));
            }
        }
    }

    fn check(&mut self, key: Key, finish: &[u8]) -> Result<(), Error> {
        let Some(slot) = self.slots.get_mut(&key) else { return Ok(()) };
        let State::Answered { response, .. } = &slot.state else { return Ok(()) };
        self.stats.public_key_operations += 2;
        match response.read_finish(finish) {
            Ok(claim) => {
                self.attempts += 1;
                let attempt = AttemptId(self.attempts);
                let from = SocketAddr::new(key.0, key.1);
                // Whoever never takes them out loses the oldest, which have run out by then.
                if self.callers.len() >= self.limits.handshakes {
                    self.callers.pop_front();
                }
                self.callers.push_back(Caller { attempt, from, peer: claim.peer().clone() });
                slot.state = State::Deciding { attempt, claim: Box::new(claim) };
                self.send(key, None, Ack { message: Message::Finish, bits: u16::MAX });
                Ok(())
            }
            Err(error) => {
                slot.wrong += 1;
                if slot.wrong >= MAX_WRONG {
                    slot.state = State::Dead { refusal: None };
                }
                Err(error)
            }
        }
    }

    /// Takes the claim out of its slot.
    fn decide(&mut self, attempt: AttemptId) -> Result<(Key, Claim), Error> {
        let over = || Error::State("this attempt is over or decided");
        let key = self.slots.iter().find_map(|(key, slot)| match &slot.state {
            State::Deciding { attempt: of, .. } if *of == attempt => Some(*key),
            _ => None,
        });
        let slot = key.and_then(|key| Some((key, self.slots.get_mut(&key)?)));
        let (key, slot) = slot.ok_or_else(over)?;
        match core::mem::replace(&mut slot.state, State::Dead { refusal: None }) {
            State::Deciding { claim, .. } => Ok((key, *claim)),
            _ => Err(over()),
        }
    }

    fn send_verdict(&mut self, key: Key, verdict: [u8; 32]) {
        self.set(key, State::Done { verdict });
        self.send_whole(key, &verdict);
    }

    fn send_whole(&mut self, key: Key, verdict: &[u8; 32]) {
        let fragment = Fragment { message: Message::Verdict, total: verdict.len(), index: 0, bytes: verdict };
        self.send(key, Some(fragment), Ack { message: Message::Finish, bits: u16::MAX });
    }

    fn send(&mut self, (ip, port, id): Key, fragment: Option<Fragment<'_>>, ack: Ack) {
        self.push(SocketAddr::new(ip, port), &Packet::FromResponder { id, fragment, ack });
    }

    fn send_cookie(&mut self, to: SocketAddr, id: HandshakeId) {
        self.stats.cookies += 1;
        let cookie = self.baker.bake(to, id);
        self.push(to, &Packet::Retry { id, cookie });
    }

    fn push(&mut self, to: SocketAddr, packet: &Packet<'_>) {
        if self.transmit.len() < MAX_QUEUED {
            self.transmit.push_back((to, packet.to_bytes()));
        }
    }

    fn set(&mut self, key: Key, state: State) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.state = state;
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("handshakes", &self.slots.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}
