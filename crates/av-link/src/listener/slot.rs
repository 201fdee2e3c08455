//! What a listener knows of one handshake.

use super::AttemptId;
use crate::flight::{Assembly, Flight};
use crate::handshake::{Claim, Response};
use crate::initiator::HANDSHAKE_DEADLINE;
use crate::packet::HandshakeId;
use core::net::IpAddr;
use core_types::MonoTime;

/// The address comes first, so that the handshakes of one IP address lie together.
pub(super) type Key = (IpAddr, u16, HandshakeId);

pub(super) struct Slot {
    pub(super) since: MonoTime,
    pub(super) wrong: u8,
    pub(super) state: State,
}

pub(super) enum State {
    /// Parts of an offer have come.
    Offered(Assembly),
    /// Has answered, waits for the finish.
    Answered { response: Box<Response>, answer: Flight, finish: Assembly, sent: u8, sent_at: MonoTime },
    /// The owner has to decide.
    Deciding { attempt: AttemptId, claim: Box<Claim> },
    /// Decided. Kept for a lost verdict.
    Done { verdict: [u8; 32] },
    /// Can't become a link. Kept so that it isn't tried again and again.
    Dead { refusal: Option<&'static str> },
}

impl Slot {
    pub(super) fn expired(&self, now: MonoTime) -> bool {
        now >= self.since.plus(HANDSHAKE_DEADLINE)
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, State::Done { .. } | State::Dead { .. })
    }

    pub(super) const fn waits_for_its_caller(&self) -> bool {
        matches!(self.state, State::Offered(_) | State::Answered { .. })
    }
}
