//! What reads a link's control messages.

use super::connection::{CloseCode, Connection};
use super::control::{self, Control, FRAME_LIMIT};
use super::link::LinkEvent;
use super::outbox::{NOT_READ, Outbox};
use super::pulse::Ended;
use core_types::LinkId;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A peer that asks for a sign more often than this goes without.
pub(super) const PONG_EACH: Duration = Duration::from_millis(500);

/// Reads control messages and tells the node, and in the end of the link's end.
pub(super) struct Reader {
    pub(super) id: LinkId,
    pub(super) connection: Arc<dyn Connection>,
    pub(super) outbox: Outbox,
    pub(super) ended: Ended,
    pub(super) events: mpsc::Sender<LinkEvent>,
}

impl Reader {
    pub(super) async fn run(self, mut stream: Box<dyn AsyncRead + Send + Unpin>) {
        let mut answered = None;
        let why = loop {
            let message = match control::read_frame(&mut stream, FRAME_LIMIT).await {
                Ok(frame) => control_wire::decode(&frame).map_err(|e| e.to_string()),
                Err(why) => break self.reason().unwrap_or(why),
            };
            match message {
                Ok(Control::Ping) => {
                    if answered.is_none_or(|at: Instant| at.elapsed() >= PONG_EACH) {
                        answered = Some(Instant::now());
                        if !self.outbox.sign(&Control::Pong) {
                            break NOT_READ.to_owned();
                        }
                    }
                }
                // That it came is all there is to it.
                Ok(Control::Pong) => {}
                Ok(message) => {
                    if self.events.send(LinkEvent::Control(self.id, message)).await.is_err() {
                        return;
                    }
                }
                Err(why) => break why,
            }
        };
        self.connection.close(CloseCode::Misbehaved, &why);
        let _ = self.events.send(LinkEvent::Down(self.id, why)).await;
    }

    /// Why there is nothing more to be read.
    fn reason(&self) -> Option<String> {
        self.ended.get().cloned().or_else(|| self.connection.close_reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::sleep;

    /// Nothing is to be asked of it here but to be closed.
    #[derive(Debug)]
    struct Nothing;

    impl Connection for Nothing {
        fn transport_key(&self) -> [u8; 32] {
            [0; 32]
        }
        fn remote_address(&self) -> Option<SocketAddr> {
            None
        }
        fn export(&self, _label: &[u8], _context: &[u8], _out: &mut [u8]) -> Result<(), String> {
            Err("no keys".into())
        }
        fn read_media(&self, _link: LinkId, _events: mpsc::Sender<LinkEvent>) {}
        fn close(&self, _code: CloseCode, _why: &str) {}
        fn close_reason(&self) -> Option<String> {
            Some("closed".into())
        }
        fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    /// A reader, the peer's ends of its two streams, and what it tells the node.
    fn reader(ended: Ended) -> (DuplexStream, DuplexStream, mpsc::Receiver<LinkEvent>) {
        let ((says, reads), (writes, hears)) = (tokio::io::duplex(1 << 16), tokio::io::duplex(1 << 16));
        let (events, told) = mpsc::channel(16);
        let outbox = Outbox::start(Box::new(writes));
        let reader = Reader { id: LinkId(1), connection: Arc::new(Nothing), outbox, ended, events };
        tokio::spawn(reader.run(Box::new(reads)));
        (says, hears, told)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_all_the_time_is_answered_twice_a_second() {
        let (mut says, mut hears, mut told) = reader(Ended::default());
        let (ping, pong) =
            (control_wire::encode(&Control::Ping).unwrap(), control_wire::encode(&Control::Pong).unwrap());
        for _ in 0..1_000 {
            says.write_all(&ping).await.unwrap();
            says.write_all(&pong).await.unwrap();
            sleep(Duration::from_millis(5)).await;
        }
        says.write_all(&control_wire::encode(&Control::Carrying).unwrap()).await.unwrap();
        // Neither comes to the node, and a Pong is answered with nothing.
        assert!(matches!(told.recv().await, Some(LinkEvent::Control(_, Control::Carrying))));
        drop(says);
        assert!(matches!(told.recv().await, Some(LinkEvent::Down(_, why)) if why == "closed"));
        let mut answers = Vec::new();
        hears.read_to_end(&mut answers).await.unwrap();
        assert_eq!(answers, pong.repeat(10));
    }

    #[tokio::test]
    async fn a_link_that_this_node_has_ended_says_why() {
        let ended = Ended::default();
        ended.set("silent for 3.3 s".to_owned()).unwrap();
        let (says, _hears, mut told) = reader(ended);
        drop(says);
        assert!(matches!(told.recv().await, Some(LinkEvent::Down(_, why)) if why == "silent for 3.3 s"));
    }
}
