//! What comes to a hub's socket, and what its lanes have to say in their turn.

use super::{Hub, Slot, speak};
use crate::net::link::{LaneChange, LinkEvent};
use crate::net::udp::Impairment;
use crate::net::udp::socket::UdpSocket;
use av_lane::{CloseReason, Event, Fault, LaneRole, Received, Route};
use av_wire::FreshChunk;
use bytes::Bytes;
use core_types::{LinkId, MonoTime};
use std::collections::VecDeque;
use std::net::SocketAddr;

impl Hub {
    /// Takes datagrams that came.
    pub(in crate::net::udp) fn receive<'a>(
        &mut self,
        now: MonoTime,
        datagrams: impl Iterator<Item = (SocketAddr, &'a mut [u8])>,
        socket: &UdpSocket,
        events: &mut VecDeque<LinkEvent>,
    ) {
        if self.impairment == Impairment::default() {
            self.take(now, datagrams, events);
        } else {
            datagrams.for_each(|(from, datagram)| self.narrows.push(now, self.impairment, from, datagram));
            self.pass(now, events);
        }
        self.serve_due(now, socket, events);
    }

    /// Takes what has come through the impaired link.
    fn pass(&mut self, now: MonoTime, events: &mut VecDeque<LinkEvent>) {
        while let Some((from, mut datagram)) = self.narrows.pop(now) {
            self.take(now, [(from, &mut datagram[..])].into_iter(), events);
        }
    }

    fn take<'a>(
        &mut self,
        now: MonoTime,
        datagrams: impl Iterator<Item = (SocketAddr, &'a mut [u8])>,
        events: &mut VecDeque<LinkEvent>,
    ) {
        // Datagrams of one peer come in runs: their chunks are handed on together.
        let mut run: Option<(LinkId, Vec<FreshChunk<Bytes>>)> = None;
        for (from, datagram) in datagrams {
            let key = match self.table.route(from, datagram) {
                Route::Lane(key) => key,
                Route::Handshake(None) => {
                    self.knock(now, from, datagram.to_vec());
                    continue;
                }
                Route::Handshake(Some(key)) => key,
                Route::Unknown => continue,
            };
            // What looks like a handshake's may be a lane's after all: the lane tries first, and it opens in place.
            let copy = datagram.starts_with(&av_link::MAGIC).then(|| datagram.to_vec());
            let Some(mut slot) = self.table.get_mut(now, key) else { continue };
            let link = slot.link;
            match slot.lane.handle_datagram(now, from, datagram) {
                Ok(Received::Chunk(fresh)) => match &mut run {
                    Some((of, chunks)) if *of == link => chunks.push(fresh.to_chunk().convert()),
                    _ => {
                        let former = run.replace((link, vec![fresh.to_chunk().convert()]));
                        events.extend(former.map(|(link, chunks)| LinkEvent::Chunks(link, chunks)));
                    }
                },
                Ok(Received::Control | Received::Stream) => {
                    if std::mem::take(&mut slot.starved) {
                        events.push_back(LinkEvent::Writable(link));
                    }
                }
                Err(error) if error.fault() == Fault::Peer => {
                    tracing::info!(%link, %error, "a lane is closed");
                    let Slot { lane, direct, .. } = &mut *slot;
                    match direct {
                        Some(direct) => direct.close(lane, CloseReason::Misbehaved, &error.to_string()),
                        None => lane.close(CloseReason::Misbehaved),
                    }
                }
                Err(error) => {
                    tracing::trace!(%link, %error, "a datagram of no use");
                    drop(slot);
                    if let Some(copy) = copy {
                        self.knock(now, from, copy);
                    }
                }
            }
        }
        events.extend(run.map(|(link, chunks)| LinkEvent::Chunks(link, chunks)));
    }

    /// A handshake's datagram goes to who dials its address, or else to the door. What nobody takes in time is lost, as on the way.
    fn knock(&mut self, now: MonoTime, from: SocketAddr, datagram: Vec<u8>) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let dialled = self.dials.iter().find(|(to, dial)| *to == from && !dial.is_closed());
        if let Some(taker) = dialled.map(|(_, dial)| dial).or(self.door.as_ref()) {
            self.looks.busy(now);
            let _ = taker.try_send((from, datagram));
        }
    }

    /// What lanes have to say and to tell.
    fn serve_due(&mut self, now: MonoTime, socket: &UdpSocket, events: &mut VecDeque<LinkEvent>) {
        let (mut over, mut ended) = (Vec::new(), Vec::new());
        while let Some(mut slot) = self.table.poll_due(now) {
            slot.lane.handle_timeout(now);
            let (link, key) = (slot.link, slot.key());
            if let Slot { lane, direct: Some(direct), .. } = &mut *slot {
                while let Some(event) = lane.poll_event() {
                    if !matches!(event, Event::Ready | Event::PathChanged { .. }) {
                        direct.lane_ended(event);
                    }
                }
                if direct.serve((key, link, now), lane, events, &mut self.greeted) {
                    ended.push(link);
                }
            }
            speak(&mut slot, now, socket);
            let (role, mut why) = (slot.lane.role(), None);
            while let Some(event) = slot.lane.poll_event() {
                let change = match event {
                    Event::Ready => {
                        if role == LaneRole::Child {
                            self.retries.works(now, link);
                        }
                        LaneChange::Up
                    }
                    Event::PathChanged { to, .. } => LaneChange::Moved(to),
                    end => {
                        why = Some(format!("{end:?}"));
                        continue;
                    }
                };
                events.push_back(LinkEvent::Lane(link, change));
            }
            if slot.direct.is_none() && slot.lane.is_over() {
                // A lane says nothing of an end that is ours.
                let why = why.unwrap_or_else(|| "the peer broke the protocol".into());
                events.push_back(LinkEvent::Lane(link, LaneChange::Ended(why)));
                over.push((link, role));
            }
        }
        for link in ended {
            self.drop_lane(link);
        }
        for (link, role) in over {
            self.drop_lane(link);
            if role == LaneRole::Child {
                self.retries.ended(now, link);
            }
        }
    }

    pub(in crate::net::udp) fn poll_timeout(&self) -> Option<MonoTime> {
        let due = self.table.poll_timeout().into_iter().chain(self.retries.poll_timeout());
        due.chain(self.narrows.poll_timeout()).min()
    }

    pub(in crate::net::udp) fn handle_timeout(
        &mut self,
        now: MonoTime,
        socket: &UdpSocket,
        events: &mut VecDeque<LinkEvent>,
    ) {
        self.pass(now, events);
        self.serve_due(now, socket, events);
        let due = self.retries.due(now);
        events.extend(due.into_iter().map(|link| LinkEvent::Lane(link, LaneChange::Due)));
    }
}
