//! Control packets that come in and go out.

use super::{Event, Lane, State};
use crate::control::{Control, Opened, ReportBody};
use crate::path::Proven;
use crate::stream::Segment;
use crate::{CloseReason, Error};
use core_types::MonoTime;
use std::net::SocketAddr;

/// What goes out next.
#[derive(Debug)]
enum Packet {
    Said(Control),
    Data(Segment),
}

impl Lane {
    /// Takes a control packet; true if more of the stream can be read now.
    pub(super) fn handle_control(
        &mut self,
        now: MonoTime,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Result<bool, Error> {
        let (what, is_newest) = self.control.open(datagram)?;
        self.stats.received_control += 1;
        self.heard(now);
        if is_newest && !matches!(what, Opened::Said(Control::Close(_))) {
            self.paths.observe(from, now);
        }
        let misbehaved = |what| Error::Misbehaved { lane: self.id, what };
        let said = match what {
            Opened::Said(said) => said,
            Opened::Data { offset, bytes } => {
                return self.stream.receive.take(offset, bytes).map_err(misbehaved);
            }
        };
        match said {
            Control::Report(report) => self.handle_report(now, &report, is_newest)?,
            Control::Ping { report_each, unbound } => {
                self.inbound.wish(report_each, now);
                self.say_whole |= unbound;
            }
            Control::Challenge(token) => self.answer(from, token),
            Control::Response(token) => {
                if let Some(proven) = self.paths.answered(from, &token) {
                    self.handle_proof(now, proven);
                }
            }
            Control::Close(code) => self.end(None, Some(Event::Closed(CloseReason::from_code(code)))),
            Control::Acknowledge(ack) => {
                self.stream.send.acknowledged(now, &ack, is_newest).map_err(misbehaved)?;
            }
        }
        Ok(false)
    }

    fn handle_report(&mut self, now: MonoTime, report: &ReportBody, is_newest: bool) -> Result<(), Error> {
        let misbehaved = |what| Err(Error::Misbehaved { lane: self.id, what });
        if report.largest >= self.sender.next_seq().0 {
            return misbehaved("it reports a datagram that was not sent");
        }
        if report.packets == 0 || report.packets > report.largest + 1 || report.long > report.packets {
            return misbehaved("it reports more datagrams than were sent");
        }
        if report.bytes > self.stats.sent_bytes {
            return misbehaved("it reports more bytes than were sent");
        }
        if !is_newest {
            // Overtaken by a later one, which said the same and more.
            return Ok(());
        }
        let last = &self.last_report;
        if report.packets < last.packets
            || report.largest < last.largest
            || report.long < last.long
            || report.bytes < last.bytes
            || report.arrival < last.arrival
        {
            return misbehaved("what it reports goes backwards");
        }
        self.last_report = *report;
        self.stats.reports += 1;
        self.stats.arrived_datagrams = report.packets;
        self.stats.missing_datagrams = report.largest + 1 - report.packets;
        self.say_whole |= report.unbound;
        self.watch.arrived(report.packets, report.long);
        match self.rate.on_report(now, report) {
            Ok(wants_more) => self.outbox.ping |= wants_more,
            Err(_) => return misbehaved("it reports what can't be true"),
        }
        Ok(())
    }

    fn handle_proof(&mut self, now: MonoTime, proven: Proven) {
        if self.state == State::Settling {
            self.state = State::Ready;
            self.tell(Event::Ready);
        }
        if let Proven::Moved { from, to } = proven {
            // Nothing is known about the new path.
            self.rate.restart(now);
            self.watch.restart();
            self.stream.send.restart(now);
            self.stats.moves += 1;
            self.tell(Event::PathChanged { from, to });
        }
    }

    fn answer(&mut self, to: SocketAddr, token: [u8; 16]) {
        let [first, second] = &mut self.outbox.responses;
        if first.is_some() {
            *first = second.take();
        }
        let place = if first.is_none() { first } else { second };
        *place = Some((to, token));
    }

    /// The next control packet to be sent, written into `out`: where to, and how many bytes. Take until `None` after every call
    /// that gives the lane something. `out` needs [`MAX_CONTROL_LEN`](crate::MAX_CONTROL_LEN) bytes; with fewer, nothing is
    /// written.
    pub fn poll_transmit(&mut self, now: MonoTime, out: &mut [u8]) -> Option<(SocketAddr, usize)> {
        if out.len() < crate::MAX_CONTROL_LEN {
            return None;
        }
        let (to, packet) = self.next_packet(now)?;
        let len = match packet {
            Packet::Said(what) => self.control.seal(&what, out)?,
            Packet::Data(segment) => {
                let stream = &self.stream.send;
                self.control.seal_data(segment.offset, segment.len, out, |out| stream.copy(segment, out))?
            }
        };
        self.stats.sent_control += 1;
        self.spoke = now;
        Some((to, len))
    }

    fn next_packet(&mut self, now: MonoTime) -> Option<(SocketAddr, Packet)> {
        let said = |to, what| Some((to, Packet::Said(what)));
        let peer = self.paths.current();
        if let Some(reason) = self.outbox.close.take() {
            return said(peer, Control::Close(reason.code()));
        }
        if self.is_over() {
            return None;
        }
        for response in &mut self.outbox.responses {
            if let Some((to, token)) = response.take() {
                return said(to, Control::Response(token));
            }
        }
        if let Some((to, token)) = self.paths.challenge(now) {
            return said(to, Control::Challenge(token));
        }
        if !self.paths.is_proven() {
            return None;
        }
        if let Some(ack) = self.stream.acknowledgement() {
            return said(peer, Control::Acknowledge(ack));
        }
        if self.inbound.due().is_some_and(|due| due <= now) {
            return said(peer, Control::Report(self.inbound.report(now)));
        }
        if self.ping_due().is_some_and(|due| due <= now) {
            self.outbox.ping = false;
            self.pinged = now;
            let (report_each, unbound) = (self.rate.wish(), self.inbound.take_unbound());
            return said(peer, Control::Ping { report_each, unbound });
        }
        self.stream.send.next_segment(now).map(|segment| (peer, Packet::Data(segment)))
    }
}
