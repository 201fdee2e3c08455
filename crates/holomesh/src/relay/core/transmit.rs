//! What goes out to a relay's links, and what its state machine has to tell.

use super::{BURST, MAX_KEY_FRAMES, QUIC_TURN, RelayCore, SOUND, UPLINK_SHARE};
use crate::net::{Control, Transport};
use crate::relay::requests::on_wire;
use av_relay::{Event, Rest, Upstream};
use core_types::StreamId;

impl RelayCore {
    /// Streams for which somebody down the tree needs a key frame. For a relay: to be asked for upstream.
    pub(crate) fn take_key_frames_wanted(&mut self) -> Vec<StreamId> {
        std::mem::take(&mut self.key_frames)
    }

    /// Sends what is ready, to each link as much as it takes, or to some of them: see [`sends_more`](Self::sends_more).
    pub(crate) fn transmit(&mut self) {
        let now = self.clock.now();
        let mut served_by_others = 0;
        self.has_more = false;
        while let Some(id) = self.relay.poll_ready() {
            let Some(served) = self.links.get_mut(&id) else { continue };
            let (own, shared) = (served.link.budget(now), self.uplink.budget(now));
            let burst = self.relay.pull(now, id, own.min(shared).max(SOUND), BURST);
            let (rest, bytes) = (burst.rest(), burst.bytes());
            if !burst.is_empty() {
                self.uplink.take(now, bytes);
                served.link.set_more_waits(now, rest == Rest::Budget && own <= shared);
                served.link.send_chunks(now, burst.iter());
                served_by_others += usize::from(served.link.transport() == Transport::Quic);
            }
            if rest == Rest::Budget {
                let at = if own <= shared {
                    served.link.retry_at(now)
                } else {
                    self.uplink.retry_at(now, UPLINK_SHARE)
                };
                self.blocked.insert(id, at);
            }
            if served_by_others == QUIC_TURN {
                self.has_more = true;
                break;
            }
        }
        while let Some(Upstream::KeyFrameWanted { stream }) = self.relay.poll_upstream() {
            if self.key_frames.len() < MAX_KEY_FRAMES && !self.key_frames.contains(&stream) {
                self.key_frames.push(stream);
            }
        }
        while let Some(event) = self.relay.poll_event() {
            self.tell(&event);
        }
    }

    /// Gives those a turn who drive the connections to which something was sent, then sends on, until all has been. What one link
    /// gets is still in the processor's cache then when it is sealed: with a hundred links all would have left it.
    pub(crate) async fn sends_more(&mut self) {
        while self.has_more {
            tokio::task::yield_now().await;
            self.transmit();
        }
    }

    fn tell(&mut self, event: &Event) {
        tracing::debug!(?event, "relay");
        if let Event::StreamExpired { stream } = event {
            self.forget_stream(*stream);
        }
        if let Event::OverQuota { link, stream, what, limit } = event {
            let (stream, what) = (stream.map(|stream| stream.0), on_wire(*what));
            self.send(*link, &Control::OverQuota { stream, what, limit: *limit });
        }
    }
}
