//! A network that loses, doubles and delays, with a seed; and both ends on it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(dead_code, reason = "each test program uses some of it")]

use av_link::{AttemptId, Error, Event, Initiator, Limits, Link, Listener, Seed};
use core_types::MonoTime;
use identity::{Identity, KeyId};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) fn person(n: u8) -> Arc<Identity> {
    Arc::new(Identity::from_seed(&identity::Seed([n; 64])).unwrap())
}

pub(crate) fn address(n: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], n))
}

pub(crate) fn ms(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

/// What the network does to each datagram.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) loss: f64,
    pub(crate) double: f64,
    /// Each copy takes between the two, in milliseconds.
    pub(crate) delay: (u64, u64),
}

impl Faults {
    pub(crate) const NONE: Self = Self { loss: 0.0, double: 0.0, delay: (10, 10) };
}

/// What the owner of the listener does with who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Accept,
    Refuse,
    Ignore,
}

#[derive(Debug, Clone)]
pub(crate) struct Flying {
    pub(crate) at: MonoTime,
    pub(crate) up: bool,
    pub(crate) bytes: Vec<u8>,
}

/// One caller and one listener.
pub(crate) struct Net {
    pub(crate) now: MonoTime,
    pub(crate) caller: Initiator,
    pub(crate) listener: Listener,
    pub(crate) policy: Policy,
    pub(crate) faults: Faults,
    pub(crate) rng: StdRng,
    pub(crate) flying: Vec<Flying>,
    /// Everything that was sent, before the network had it.
    pub(crate) sent: Vec<Flying>,
    pub(crate) attempts: Vec<AttemptId>,
    pub(crate) accepted: Vec<Link>,
    pub(crate) outcome: Option<Result<Link, Error>>,
}

impl Net {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self::to(seed, faults, person(2).key_id())
    }

    /// Alice calls `expected`, and it is Bob who listens.
    pub(crate) fn to(seed: u64, faults: Faults, expected: KeyId) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = ms(1_000);
        let caller = Initiator::new(now, person(1), expected, &Seed::random(&mut rng)).unwrap();
        let listener = Listener::new(now, person(2), Limits::default(), &mut rng);
        Self {
            now,
            caller,
            listener,
            policy: Policy::Accept,
            faults,
            rng,
            flying: Vec::new(),
            sent: Vec::new(),
            attempts: Vec::new(),
            accepted: Vec::new(),
            outcome: None,
        }
    }

    fn throw(&mut self, up: bool, bytes: Vec<u8>) {
        assert!(bytes.len() <= av_link::MAX_DATAGRAM_LEN);
        self.sent.push(Flying { at: self.now, up, bytes: bytes.clone() });
        let copies = if self.rng.random_bool(self.faults.double) { 2 } else { 1 };
        for _ in 0..copies {
            if !self.rng.random_bool(self.faults.loss) {
                let delay = self.rng.random_range(self.faults.delay.0..=self.faults.delay.1);
                let at = self.now.plus(std::time::Duration::from_millis(delay));
                self.flying.push(Flying { at, up, bytes: bytes.clone() });
            }
        }
    }

    /// Takes everything out of both ends.
    pub(crate) fn drain(&mut self) {
        while let Some(caller) = self.listener.poll_caller() {
            assert_eq!(&caller.peer, person(1).public());
            self.attempts.push(caller.attempt);
            match self.policy {
                Policy::Accept => self.accepted.push(self.listener.accept(caller.attempt).unwrap()),
                Policy::Refuse => self.listener.refuse(caller.attempt).unwrap(),
                Policy::Ignore => {}
            }
        }
        while let Some(bytes) = self.caller.poll_transmit() {
            self.throw(true, bytes);
        }
        while let Some((to, bytes)) = self.listener.poll_transmit() {
            assert_eq!(to, address(1));
            self.throw(false, bytes);
        }
        match self.caller.poll_event() {
            Some(Event::Linked(link)) => self.outcome = Some(Ok(*link)),
            Some(Event::Failed(error)) => self.outcome = Some(Err(error)),
            _ => {}
        }
    }

    /// Goes to what happens next, and lets it happen. `on_the_way` may alter what arrives, or make it vanish.
    pub(crate) fn step(&mut self, on_the_way: &mut dyn FnMut(&mut Flying) -> bool) -> bool {
        self.drain();
        let times = [self.caller.poll_timeout(), self.listener.poll_timeout()];
        let next = self.flying.iter().map(|flying| flying.at).chain(times.into_iter().flatten()).min();
        let Some(next) = next else { return false };
        self.now = self.now.max(next);
        while let Some(index) = self.flying.iter().position(|flying| flying.at <= self.now) {
            let mut flying = self.flying.swap_remove(index);
            if !on_the_way(&mut flying) {
                continue;
            }
            // Whatever is wrong with a datagram is said, and the handshake goes on.
            let _ = if flying.up {
                self.listener.handle_datagram(self.now, address(1), &flying.bytes, &mut self.rng)
            } else {
                self.caller.handle_datagram(self.now, &flying.bytes)
            };
            self.drain();
        }
        if self.caller.poll_timeout().is_some_and(|at| at <= self.now) {
            self.caller.handle_timeout(self.now);
        }
        self.listener.handle_timeout(self.now);
        self.drain();
        true
    }

    pub(crate) fn run(&mut self) -> &Result<Link, Error> {
        self.run_with(&mut |_| true)
    }

    /// Until the caller knows.
    pub(crate) fn run_with(
        &mut self,
        on_the_way: &mut dyn FnMut(&mut Flying) -> bool,
    ) -> &Result<Link, Error> {
        let mut steps = 0;
        while self.outcome.is_none() {
            assert!(self.step(on_the_way), "nothing happens any more");
            steps += 1;
            assert!(steps < 20_000, "it does not end");
        }
        self.outcome.as_ref().unwrap()
    }

    /// Checks that both ends have one link, the same, and that the listener gave no other.
    pub(crate) fn assert_linked(&self) {
        let caller = self.outcome.as_ref().unwrap().as_ref().unwrap();
        assert_eq!(caller.peer(), person(2).public());
        assert_eq!(self.accepted.len(), 1);
        assert_same(caller, &self.accepted[0]);
    }
}

pub(crate) fn assert_same(one: &Link, other: &Link) {
    for (a, b) in [(&one.keys().send, &other.keys().receive), (&one.keys().receive, &other.keys().send)] {
        assert_eq!((a.key, a.salt), (b.key, b.salt));
    }
}

/// Names the kind of a datagram by its fifth byte.
pub(crate) fn kind(bytes: &[u8]) -> u8 {
    bytes[4]
}

/// The number of the message that a datagram carries a part of, 0 for none.
pub(crate) fn message(bytes: &[u8]) -> u8 {
    match kind(bytes) {
        2 => bytes[38],
        3 => bytes[21],
        _ => 0,
    }
}
