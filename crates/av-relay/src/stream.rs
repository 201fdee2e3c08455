//! One stream as the relay sees it: who feeds it, who takes it, what is kept of it, and whether a key frame is wanted.

use crate::bits::Bits;
use crate::layers::LayerTable;
use crate::limits::{Carriage, Limits};
use crate::meter::Meter;
use crate::objects::Objects;
use crate::ring::Ring;
use crate::stats::Stats;
use core::time::Duration;
use core_types::{CodecId, Epoch, KeyId, MonoTime, StreamId};
use std::collections::BTreeMap;

/// Between two requests upstream.
pub(crate) const KEY_FRAME_GAP: Duration = Duration::from_millis(500);
/// Requests that are not answered are repeated, at longer and longer intervals up to this one.
pub(crate) const KEY_FRAME_GAP_MOST: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(crate) struct StreamState {
    pub(crate) id: StreamId,
    pub(crate) carriage: Carriage,
    /// Slots of the links that feed it.
    pub(crate) upstreams: Vec<u32>,
    /// Slots of the links that are subscribed.
    pub(crate) members: Bits,
    pub(crate) ring: Ring,
    pub(crate) layers: LayerTable,
    pub(crate) objects: Objects,
    pub(crate) keys: KeyFrames,
    pub(crate) meter: Meter,
    pub(crate) stats: Stats,
}

impl StreamState {
    pub(crate) fn new(id: StreamId, carriage: Carriage, limits: &Limits) -> Self {
        Self {
            id,
            carriage,
            upstreams: Vec::new(),
            members: Bits::default(),
            ring: Ring::new(limits.ring_bytes, limits.ring_chunks),
            layers: LayerTable::default(),
            objects: Objects::default(),
            keys: KeyFrames::default(),
            meter: Meter::new(&carriage.quota),
            stats: Stats::default(),
        }
    }

    /// True if each of its objects stands alone, so that none waits for a key frame.
    pub(crate) const fn is_alone(&self) -> bool {
        matches!(self.carriage.codec, CodecId::Opus | CodecId::Opaque)
    }
}

/// The last key frame, and whether the next one is asked for.
#[derive(Debug, Default)]
pub(crate) struct KeyFrames {
    pub(crate) last: Option<KeyFrame>,
    pub(crate) sent_at: Option<MonoTime>,
    /// One is wanted, and is asked for then (again), unless it comes before.
    pub(crate) ask_at: Option<MonoTime>,
    pub(crate) gap: Duration,
    /// Who asked lately: an identity, whatever its links and subscriptions.
    pub(crate) askers: BTreeMap<KeyId, Asker>,
}

/// Somebody that asked for key frames.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asker {
    /// How often in a row.
    pub(crate) level: u8,
    /// None is asked for on its behalf before then.
    pub(crate) next: MonoTime,
}

/// A key frame of the base layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyFrame {
    /// Of its first chunk that came.
    pub(crate) index: u64,
    pub(crate) epoch: Epoch,
    pub(crate) at: MonoTime,
}
