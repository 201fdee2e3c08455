//! A direct link as its node holds it.

use super::direct::{FULL, Shore};
use super::talk::Greeting;
use super::{LaneCarrier, Shared};
use crate::net::carrier::Sent;
use crate::net::connection::{Base, CloseCode, Connection};
use crate::net::link::LinkEvent;
use av_lane::{CloseReason, LaneKey};
use bytes::Bytes;
use core_types::LinkId;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The connection under a direct link: a lane. Dropping it ends the lane.
#[derive(Debug)]
pub(super) struct DirectConnection {
    pub(super) shared: Arc<Shared>,
    pub(super) key: LaneKey,
    pub(super) link: LinkId,
    pub(super) greeting: Greeting,
    pub(super) shore: Arc<Shore>,
}

impl Connection for DirectConnection {
    fn transport_key(&self) -> [u8; 32] {
        self.greeting.transport_key
    }

    fn remote_address(&self) -> Option<SocketAddr> {
        self.shared.hub().lane(self.key).map(av_lane::Lane::peer)
    }

    fn export(&self, _label: &[u8], _context: &[u8], _out: &mut [u8]) -> Result<(), String> {
        Err("a direct link is its own lane".into())
    }

    fn read_media(&self, _link: LinkId, _events: mpsc::Sender<LinkEvent>) {
        // What comes goes to the inbox, which serves the sockets.
        self.shared.hub().open(self.key, self.shared.clock.now());
    }

    fn say(&self, frame: Vec<u8>) -> bool {
        self.shared.hub().say(self.key, self.shared.clock.now(), frame, &self.shared.socket)
    }

    fn close(&self, code: CloseCode, why: &str) {
        let reason = match code {
            CloseCode::Done => CloseReason::Done,
            CloseCode::Misbehaved => CloseReason::Misbehaved,
            CloseCode::Full => FULL,
        };
        self.shared.hub().close(self.key, self.shared.clock.now(), reason, why, &self.shared.socket);
    }

    fn close_reason(&self) -> Option<String> {
        self.shore.over().map(|ended| ended.why.clone())
    }

    fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.shore.ended())
    }
}

impl Drop for DirectConnection {
    fn drop(&mut self) {
        self.shared.hub().remove(self.link, self.shared.clock.now(), &self.shared.socket);
    }
}

impl Base for LaneCarrier {
    fn send_oversize(&mut self, chunks: Vec<Bytes>) -> Sent {
        let now = self.shared.clock.now();
        let (count, bytes) = (chunks.len() as u64, chunks.iter().map(|chunk| chunk.len() as u64).sum());
        if self.shared.hub().say_chunks(self.key, now, &chunks, &self.shared.socket) {
            Sent { datagrams: count, bytes, ..Sent::default() }
        } else {
            Sent { overflowed: count, ..Sent::default() }
        }
    }
}
