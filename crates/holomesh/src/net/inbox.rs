//! What comes to a node, over whatever transport: one queue of events.

use super::link::LinkEvent;
use super::pulse::Pulse;
use super::udp::Lanes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

/// Link events that may wait for the node; beyond that, datagrams are dropped in the transport's buffers.
pub(crate) const EVENT_QUEUE: usize = 512;

/// The node's end of its links and lanes. Lanes are served by whoever waits here: their datagrams take no way through
/// another task, and need no wake-up of their own. So is the time of all links: they have one timer.
#[derive(Debug)]
pub struct Inbox {
    events: mpsc::Receiver<LinkEvent>,
    lanes: Lanes,
    pulse: Pulse,
    ready: VecDeque<LinkEvent>,
    arrival: Option<Duration>,
}

impl Inbox {
    pub(super) const fn new(events: mpsc::Receiver<LinkEvent>, lanes: Lanes, pulse: Pulse) -> Self {
        Self { events, lanes, pulse, ready: VecDeque::new(), arrival: None }
    }

    /// When the kernel had what the last event brought, by the clock of the calendar, where it came over a lane.
    pub(crate) const fn arrival(&self) -> Option<Duration> {
        self.arrival
    }

    /// The lanes that are served here.
    pub(crate) fn lanes(&self) -> Lanes {
        self.lanes.clone()
    }

    /// The next event; `None` when the endpoint is gone. Nothing is lost if it is not waited for to the end.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        loop {
            if self.ready.is_empty() {
                self.lanes.take_found(&mut self.ready);
            }
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let due = self.lanes.next_timeout().into_iter().chain(self.pulse.next_timeout()).min();
            let wake = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
            tokio::select! {
                event = self.events.recv() => {
                    self.arrival = None;
                    return event;
                }
                () = self.lanes.readable() => self.arrival = self.lanes.receive(&mut self.ready),
                () = self.lanes.found() => {}
                () = sleep_until(wake.into()) => {
                    self.arrival = None;
                    self.lanes.handle_timeout(&mut self.ready);
                    self.pulse.handle_timeout();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::LossConfig;
    use crate::net::link::LaneChange;
    use core_types::LinkId;

    #[tokio::test]
    async fn what_a_timer_brings_did_not_arrive_with_what_came_before() {
        let lanes = Lanes::open("127.0.0.1:0".parse().unwrap(), LossConfig::NONE).unwrap();
        let (_events, incoming) = mpsc::channel(1);
        let mut inbox = Inbox::new(incoming, lanes.clone(), Pulse::new(lanes.clone()));
        inbox.arrival = Some(Duration::from_secs(1));
        // Nobody answers on it, so it ends after a second.
        lanes.begin_unanswered(LinkId(3));
        let event = inbox.next().await.unwrap();
        assert!(matches!(event, LinkEvent::Lane(LinkId(3), LaneChange::Ended(_))), "{event:?}");
        assert_eq!(inbox.arrival(), None);
    }
}
