//! What became of a stream, and where each piece came from.

use crate::time::duration;
use core::time::Duration;

/// Where sound came from, best first. Closed on purpose: statistics account for every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SoundSource {
    /// The packet, as sent.
    Packet,
    /// The packet, brought back in time by the fountain code.
    Repaired,
    /// Nothing was sent because there was nothing to say.
    Pause,
    /// The coarse copy in the packet after it.
    CoarseCopy,
    /// The deep redundancy of a later packet.
    Redundancy,
    /// A guess from what came before.
    Concealment,
    /// Silence, because the stream has not begun or has stopped.
    Nothing,
}

/// Counters since the start. Durations are of sound at its own pace, before stretching.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoundStats {
    /// Packets that were taken in.
    pub packets: u64,
    /// Packets that came after their sound had been played or stood in for.
    pub late: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that were no Opus.
    pub malformed: u64,
    /// Packets whose media time was far from that of the others.
    pub strays: u64,
    /// Packets dropped unplayed, because too many were waiting or to catch up.
    pub skipped: u64,
    /// Times that playing was timed anew.
    pub resyncs: u64,
    /// Played from packets as sent.
    pub from_packets: Duration,
    /// Played from packets that the fountain code had brought back.
    pub from_repaired: Duration,
    /// Lost, and stood in for by the coarse copy in the packet after.
    pub from_coarse_copies: Duration,
    /// Lost, and stood in for by the deep redundancy of a later packet.
    pub from_redundancy: Duration,
    /// Lost or late, and guessed.
    pub concealed: Duration,
    /// Pauses that the sender made.
    pub paused: Duration,
    /// Put in by stretching, to have more delay.
    pub stretched: Duration,
    /// Taken out by stretching, to have less.
    pub squeezed: Duration,
}

impl SoundStats {
    pub(super) fn add(&mut self, source: SoundSource, ticks: i64) {
        let counter = match source {
            SoundSource::Packet => &mut self.from_packets,
            SoundSource::Repaired => &mut self.from_repaired,
            SoundSource::Pause => &mut self.paused,
            SoundSource::CoarseCopy => &mut self.from_coarse_copies,
            SoundSource::Redundancy => &mut self.from_redundancy,
            SoundSource::Concealment => &mut self.concealed,
            SoundSource::Nothing => return,
        };
        *counter += duration(ticks);
    }
}
