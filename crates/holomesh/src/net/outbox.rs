//! Control messages on their way to a peer.

use super::control::{Control, FRAME_LIMIT};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// Control messages that may wait to be written; a peer that reads slower than that is cut off.
const QUEUE: usize = 1_024;
/// Bytes of these: room for two of the largest.
const BYTES: usize = 2 * FRAME_LIMIT;

/// Why a link is closed whose peer lets more wait.
pub(super) const NOT_READ: &str = "control messages are not read";

/// What waits to be written to one peer, in order. Clones are handles on the same.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    frames: mpsc::Sender<Vec<u8>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Bytes that wait.
    unwritten: AtomicUsize,
    said: AtomicU64,
}

impl Outbox {
    /// Begins to write to `stream`, until all handles are gone or it breaks.
    pub(super) fn start(stream: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        let (frames, written) = mpsc::channel(QUEUE);
        let counts = Arc::<Counts>::default();
        tokio::spawn(write(stream, written, counts.clone()));
        Self { frames, counts }
    }

    /// Puts a message's frame behind those that wait. False if the peer lets too much wait.
    pub(super) fn say(&self, frame: Vec<u8>) -> bool {
        self.counts.said.fetch_add(1, Ordering::Relaxed);
        self.push(frame)
    }

    /// As [`say`](Self::say), for what is only a sign of life: one would call for another otherwise, without an end.
    pub(super) fn sign(&self, message: &Control) -> bool {
        control_wire::encode(message).is_ok_and(|frame| self.push(frame))
    }

    fn push(&self, frame: Vec<u8>) -> bool {
        let len = frame.len();
        let waiting = self.counts.unwritten.fetch_add(len, Ordering::Relaxed);
        waiting.saturating_add(len) <= BYTES && self.frames.try_send(frame).is_ok()
    }

    /// How many messages were said.
    pub(super) fn said(&self) -> u64 {
        self.counts.said.load(Ordering::Relaxed)
    }
}

async fn write(
    mut stream: Box<dyn AsyncWrite + Send + Unpin>,
    mut frames: mpsc::Receiver<Vec<u8>>,
    counts: Arc<Counts>,
) {
    while let Some(frame) = frames.recv().await {
        if stream.write_all(&frame).await.is_err() {
            return;
        }
        counts.unwritten.fetch_sub(frame.len(), Ordering::Relaxed);
    }
    let _ = stream.shutdown().await;
}
