//! What a publisher tells whoever measures it.

use super::StreamKind;
use core_types::{Epoch, MediaTime, ObjectSeq};
use std::fmt::Debug;
use std::time::Instant;

/// An object that was sealed and sent.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    /// Which stream.
    pub kind: StreamKind,
    /// The object's number.
    pub seq: ObjectSeq,
    /// The epoch that it was sealed in.
    pub epoch: Epoch,
    /// Its presentation time.
    pub pts: MediaTime,
    /// When it was due to be captured.
    pub captured_at: Instant,
    /// When the encoder gave it out.
    pub encoded_at: Instant,
    /// Bytes of its source symbols, or of the whole object where there are none.
    pub source_bytes: usize,
    /// Bytes of the coded frame or packet.
    pub coded_bytes: usize,
}

/// Is told what a publisher does. Called from the node's own thread: it must not wait.
pub trait Observer: Debug + Send + Sync {
    /// An object went out.
    fn published(&self, _object: Published) {}
    /// A new epoch's secret is in place. Only for measuring in one process: it is shown here and nowhere else.
    fn epoch_secret(&self, _epoch: Epoch, _secret: &[u8; 32]) {}
    /// Something worth a line in a log.
    fn event(&self, _kind: &str, _detail: String) {}
}
