//! Packets that wait to be played, in the order of their media time.

use crate::{Error, OpusPacket, SampleRate, SampleTime};
use core_types::ObjectSeq;
use std::collections::{BTreeMap, VecDeque};

/// A packet as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundPacket {
    /// Its number: one more than that of the packet before it in the stream.
    pub seq: ObjectSeq,
    /// The media time of its first sample.
    pub at: SampleTime,
    /// True when it was lost and the fountain code brought it back.
    pub was_repaired: bool,
    /// The Opus packet.
    pub data: Vec<u8>,
}

/// What became of a packet that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// It will be played when it is due.
    Queued,
    /// Its sound has been played already; dropped.
    Late,
    /// It is here, or was played, already; dropped.
    Duplicate,
    /// Its media time is out of all relation; dropped, until others agree with it.
    Stray,
}

/// A packet that waits, with what it says of itself.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) seq: ObjectSeq,
    pub(super) start: i64,
    /// Samples that it plays.
    pub(super) length: i64,
    /// Samples of one of its frames: what a coarse copy stands for.
    pub(super) frame: i64,
    pub(super) was_repaired: bool,
    pub(super) is_silence: bool,
    pub(super) has_coarse_copy: bool,
    pub(super) voice: Option<bool>,
    pub(super) data: Vec<u8>,
}

impl Waiting {
    pub(super) fn parse(packet: SoundPacket) -> Result<Self, Error> {
        let parsed = OpusPacket::parse(&packet.data)?;
        let info = parsed.info();
        Ok(Self {
            seq: packet.seq,
            start: packet.at.ticks(),
            length: info.samples(SampleRate::Hz48000) as i64,
            frame: info.frame_samples(SampleRate::Hz48000) as i64,
            was_repaired: packet.was_repaired,
            is_silence: parsed.is_silence(),
            has_coarse_copy: parsed.has_coarse_copy(),
            voice: parsed.voice(),
            data: packet.data,
        })
    }

    pub(super) const fn end(&self) -> i64 {
        self.start + self.length
    }
}

/// Bounded in packets and bytes; knows what it has held before.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<i64, Waiting>,
    bytes: usize,
    /// Numbers of the packets that have left it last.
    gone: VecDeque<ObjectSeq>,
}

impl Queue {
    /// More than three minutes of the longest packets and more than half a second of the shortest.
    const MAX_PACKETS: usize = 512;
    const MAX_BYTES: usize = 256 << 10;
    const REMEMBERED: usize = 512;

    /// Whether a packet of this number or start is here, or one of this number was.
    pub(super) fn knows(&self, packet: &Waiting) -> bool {
        self.waiting.contains_key(&packet.start)
            || self.gone.contains(&packet.seq)
            || self.waiting.values().any(|waiting| waiting.seq == packet.seq)
    }

    /// Takes a packet that it doesn't know; returns how many of the oldest it dropped for want of room.
    pub(super) fn insert(&mut self, packet: Waiting) -> u64 {
        self.bytes += packet.data.len();
        self.waiting.insert(packet.start, packet);
        let mut dropped = 0;
        while self.waiting.len() > Self::MAX_PACKETS || self.bytes > Self::MAX_BYTES {
            if self.pop().is_none() {
                break;
            }
            dropped += 1;
        }
        dropped
    }

    pub(super) fn first(&self) -> Option<&Waiting> {
        self.waiting.values().next()
    }

    pub(super) fn newest(&self) -> Option<&Waiting> {
        self.waiting.values().next_back()
    }

    /// In the order of their media time.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values()
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let (_, packet) = self.waiting.pop_first()?;
        self.bytes = self.bytes.saturating_sub(packet.data.len());
        self.gone.push_back(packet.seq);
        if self.gone.len() > Self::REMEMBERED {
            self.gone.pop_front();
        }
        Some(packet)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets all, what has left it too.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
