//! What time alone does to a lane.

use super::{Event, Lane, State};
use crate::times::{GONE_AFTER, HEARD_WITHIN, KEEP_ALIVE, SILENT_CHILD, UNBOUND};
use crate::{CloseReason, Failure, LaneRole};
use core_types::MonoTime;

impl Lane {
    /// When [`Lane::handle_timeout`] and then [`Lane::poll_transmit`] and [`Lane::poll_event`] are due: a time that is over if there
    /// is something to take at once. `None` after the lane's end.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        let answers = self.outbox.close.is_some() || self.outbox.responses.iter().any(Option::is_some);
        if answers || self.has_events() {
            return Some(MonoTime(0));
        }
        if self.is_over() {
            return None;
        }
        let settle = (self.state == State::Settling).then_some(self.settle_by);
        let report = self.inbound.due().filter(|_| self.paths.is_proven());
        let stream = self.stream.due().filter(|_| self.paths.is_proven());
        let due = [
            settle,
            report,
            stream,
            self.stream.send.stalls_at(),
            self.paths.next_challenge(),
            self.ping_due(),
            self.watch.due(self.heard),
            self.rate.poll_timeout(),
        ];
        let due = due.into_iter().flatten().min();
        Some(due.map_or(self.gone_at(), |due| due.min(self.gone_at())))
    }

    /// Lets time pass: nothing happens unless [`Lane::poll_timeout`] is due. What there is to send then,
    /// [`Lane::poll_transmit`] says.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        if self.is_over() {
            return;
        }
        if self.state == State::Settling && now >= self.settle_by {
            self.fail(Failure::NoAnswer);
        } else if now >= self.gone_at() {
            self.end(Some(CloseReason::Gone), Some(Event::Gone));
        } else if let Some(why) = self.watch.failure(now, self.heard) {
            self.fail(why);
        } else if self.stream.send.stalls_at().is_some_and(|at| at <= now) {
            self.fail(Failure::StreamStalled);
        } else {
            self.stream.send.handle_timeout(now);
            self.rate.handle_timeout(now);
        }
    }

    /// Something authentic came.
    #[inline]
    pub(super) fn heard(&mut self, now: MonoTime) {
        if now.since(self.heard) >= HEARD_WITHIN {
            // What was sent into the silence is no sign that media alone are lost.
            self.watch.restart();
            self.stream.send.resume(now);
        }
        self.heard = now;
    }

    fn gone_at(&self) -> MonoTime {
        self.heard.plus(GONE_AFTER)
    }

    /// When to say that this end is there: after a second without a word; and a child that gets no media more often, since
    /// its address may have changed without its knowing.
    pub(super) fn ping_due(&self) -> Option<MonoTime> {
        if !self.paths.is_proven() {
            return None;
        }
        if self.outbox.ping {
            return Some(self.pinged);
        }
        let mut quiet = self.spoke.plus(KEEP_ALIVE);
        if self.inbound.is_unbound() {
            // A report would say it too; where nothing can be read there is none. Anybody may cause this.
            quiet = quiet.min(self.pinged.plus(UNBOUND));
        }
        Some(match self.role {
            LaneRole::Parent => quiet,
            LaneRole::Child => quiet.min(self.inbound.last().max(self.pinged).plus(SILENT_CHILD)),
        })
    }
}
