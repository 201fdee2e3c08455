//! Where the peer is, and the proof of it (spec 37 section 6).

use crate::keys::PathSecret;
use crate::times::KEEP_ALIVE;
use core::time::Duration;
use core_types::MonoTime;
use std::net::SocketAddr;

/// Challenges to the first address, which is only asked for as long as the lane may take to settle.
const FIRST_TRIES: u32 = 8;
/// Challenges to another address for each packet that came from there.
const TRIES: u32 = 3;
/// Between the first and the second challenge; doubles up to [`SLOWEST`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const SLOWEST: Duration = Duration::from_millis(200);
/// New candidates at once, and one more each so often: a peer that changes its address with every packet is not followed.
const CANDIDATES: u32 = 4;
const CANDIDATE_EACH: Duration = Duration::from_millis(250);

/// Two addresses are the same if a socket for both families shows them the same.
pub(crate) fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
}

/// An address that is being asked for a proof.
#[derive(Debug)]
struct Probe {
    address: SocketAddr,
    token: [u8; 16],
    /// Challenges that may still go there.
    left: u32,
    pause: Duration,
    next: MonoTime,
}

/// What a proof changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proven {
    /// The first address, or the one that is used, is the peer's.
    Settled,
    /// The peer is at another address than before.
    Moved { from: SocketAddr, to: SocketAddr },
}

#[derive(Debug)]
pub(crate) struct Paths {
    current: SocketAddr,
    is_proven: bool,
    probe: Option<Probe>,
    previous: Option<SocketAddr>,
    secret: PathSecret,
    challenges: u64,
    /// Counts every change of what [`Paths::current`] and [`Paths::others`] say.
    changes: u32,
    candidates: u32,
    candidates_since: MonoTime,
}

impl Paths {
    pub(crate) fn new(peer: SocketAddr, secret: PathSecret, now: MonoTime) -> Self {
        let mut paths = Self {
            current: peer,
            is_proven: false,
            probe: None,
            previous: None,
            secret,
            challenges: 0,
            changes: 0,
            candidates: CANDIDATES,
            candidates_since: now,
        };
        if paths.is_known() {
            paths.begin(peer, FIRST_TRIES, now);
        }
        paths
    }

    /// Where media and packets go.
    pub(crate) const fn current(&self) -> SocketAddr {
        self.current
    }

    /// Port 0 is nobody's: the peer speaks first.
    pub(crate) const fn is_known(&self) -> bool {
        self.current.port() != 0
    }

    pub(crate) const fn is_proven(&self) -> bool {
        self.is_proven
    }

    pub(crate) const fn changes(&self) -> u32 {
        self.changes
    }

    /// Another address from which the peer's datagrams may come: the one that is being asked, or else the one before.
    pub(crate) fn others(&self) -> [Option<SocketAddr>; 2] {
        let probed = self.probe.as_ref().map(|probe| probe.address);
        [probed.filter(|address| !is_same(*address, self.current)), self.previous]
    }

    fn begin(&mut self, address: SocketAddr, left: u32, now: MonoTime) {
        let token = self.secret.token(self.challenges);
        self.challenges += 1;
        self.changes = self.changes.wrapping_add(1);
        self.probe = Some(Probe { address, token, left, pause: FIRST_PAUSE, next: now });
    }

    /// An authenticated packet came from `from`, and none that was sent later came before it.
    pub(crate) fn observe(&mut self, from: SocketAddr, now: MonoTime) {
        if self.is_proven && is_same(from, self.current) {
            // The peer is where it was: whoever showed another address does not have its later packets.
            if self.probe.take().is_some() {
                self.changes = self.changes.wrapping_add(1);
            }
            return;
        }
        if let Some(probe) = self.probe.as_mut().filter(|probe| is_same(probe.address, from)) {
            if probe.left == 0 {
                (probe.left, probe.pause, probe.next) = (TRIES, FIRST_PAUSE, now);
            }
            return;
        }
        if self.may_follow(now) {
            self.begin(from, TRIES, now);
        }
    }

    fn may_follow(&mut self, now: MonoTime) -> bool {
        let waited = now.since(self.candidates_since).as_micros() / CANDIDATE_EACH.as_micros();
        if waited > 0 {
            let more = u32::try_from(waited).unwrap_or(u32::MAX);
            self.candidates = self.candidates.saturating_add(more).min(CANDIDATES);
            self.candidates_since = now;
        }
        let may = self.candidates > 0;
        self.candidates = self.candidates.saturating_sub(1);
        may
    }

    /// An answer came. It counts from the address that was asked alone.
    pub(crate) fn answered(&mut self, from: SocketAddr, token: &[u8; 16]) -> Option<Proven> {
        let probe = self.probe.as_ref().filter(|probe| is_same(probe.address, from))?;
        // All bytes are compared, so that the time says nothing about where they differ.
        let differ = probe.token.iter().zip(token).fold(0, |sum, (ours, theirs)| sum | (ours ^ theirs));
        if differ != 0 {
            return None;
        }
        self.probe = None;
        self.changes = self.changes.wrapping_add(1);
        let (was_proven, old) = (self.is_proven, self.current);
        self.is_proven = true;
        if is_same(old, from) {
            return Some(Proven::Settled);
        }
        self.current = from;
        if !was_proven {
            return Some(Proven::Settled);
        }
        self.previous = Some(old);
        Some(Proven::Moved { from: old, to: from })
    }

    /// The challenge that is due now.
    pub(crate) fn challenge(&mut self, now: MonoTime) -> Option<(SocketAddr, [u8; 16])> {
        let probe = self.probe.as_mut().filter(|probe| probe.left > 0 && probe.next <= now)?;
        probe.left -= 1;
        probe.next = now.plus(probe.pause);
        probe.pause = (probe.pause * 2).min(SLOWEST);
        Some((probe.address, probe.token))
    }

    /// When the next challenge is due.
    pub(crate) fn next_challenge(&self) -> Option<MonoTime> {
        self.probe.as_ref().filter(|probe| probe.left > 0).map(|probe| probe.next)
    }
}

// A candidate that does not answer is asked as long as the peer's packets come from there; nothing else keeps it.
const _: () = assert!(TRIES as u128 * SLOWEST.as_micros() < KEEP_ALIVE.as_micros());
