//! Packets in arrival order to packets in playing order, each when it is due.
//!
//! Time is cut into slots of one frame along the stream's own media time; the slot at `head` is played next. A slot is due
//! at `base + pts`, where `base` comes from the arrival of the first packet plus the delay. Media time decides the order
//! and not the sequence number, so that a sender's pause, which advances media time alone, is not taken for loss.

use crate::{Error, FrameDuration, PacketInfo};
use core::fmt;
use core::time::Duration;
use core_types::{MediaTime, MonoTime, ObjectSeq};
use std::collections::{BTreeMap, VecDeque};

/// How a [`JitterBuffer`] is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JitterConfig {
    /// Audio per packet.
    pub frame: FrameDuration,
    /// Delay from the first packet's arrival to its playing.
    pub delay: Duration,
    /// What the delay grows to at most.
    pub max_delay: Duration,
    /// Packets held at most, up to 1024; also what a burst after a stall is cut down to.
    pub max_packets: usize,
}

impl Default for JitterConfig {
    /// 20 ms frames, played 60 ms after arrival and 400 ms at most, 40 packets.
    fn default() -> Self {
        Self {
            frame: FrameDuration::default(),
            delay: Duration::from_millis(60),
            max_delay: Duration::from_millis(400),
            max_packets: 40,
        }
    }
}

/// One slot to play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playout {
    /// The slot's media time.
    pub pts: MediaTime,
    /// What to do in it.
    pub kind: PlayoutKind,
}

/// How a slot is filled. Closed on purpose: a player must handle every one.
#[derive(Clone, PartialEq, Eq)]
pub enum PlayoutKind {
    /// The packet is here: decode it.
    Packet {
        /// Its number.
        seq: ObjectSeq,
        /// Its bytes.
        packet: Vec<u8>,
    },
    /// The packet is lost, the one after it is here: recover from that one. It comes as a packet of its own next.
    Recover {
        /// The bytes of the packet after the lost one.
        next: Vec<u8>,
    },
    /// The packet is lost or late: conceal.
    Missing,
}

/// What became of a packet that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// It will be played when it is due.
    Queued,
    /// Its slot has been played already; dropped.
    Late,
    /// It is here, or was played, already; dropped.
    Duplicate,
    /// Its media time is out of all relation; dropped, until others agree with it ([`SoundPlayout`](crate::SoundPlayout) only).
    Stray,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets played.
    pub played: u64,
    /// Slots filled from the packet after them.
    pub recovered: u64,
    /// Slots concealed.
    pub missing: u64,
    /// Packets that came after their slot.
    pub late: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets dropped unplayed because too many were waiting.
    pub skipped: u64,
    /// Times that playing was timed anew because of a gap.
    pub resyncs: u64,
}

/// Orders packets and says when each is to be played.
///
/// - The delay starts as configured and counts from the arrival of the first packet. Each packet that comes after its
///   slot moves playing back by as much as it was late, but by one frame at most, until the delay is at its maximum.
///   It does not shrink again.
/// - A gap in media time without one in sequence numbers is a pause: once the packet after it is here, nothing is
///   concealed in it.
/// - After one second of concealment without a packet playing stops, and the next packet times it anew. When media time
///   jumps ahead by more than a second, what comes after the jump is played at once instead.
/// - When more packets wait than configured, the oldest are skipped and what follows takes their place in time.
pub struct JitterBuffer {
    config: JitterConfig,
    waiting: BTreeMap<MediaTime, Waiting>,
    clock: Option<PlayoutClock>,
    delay: Duration,
    /// The last packets that were played, to tell a duplicate from a late packet.
    played: VecDeque<ObjectSeq>,
    stats: JitterStats,
}

struct Waiting {
    seq: ObjectSeq,
    packet: Vec<u8>,
}

#[derive(Clone, Copy)]
struct PlayoutClock {
    /// Microseconds from media time to due time; negative when media time is ahead of the node's clock.
    base: i128,
    /// Media time of the slot to play next.
    head: MediaTime,
    /// True until something is played: an earlier packet may still open the stream.
    fresh: bool,
    /// Number of the packet that was played last.
    last_seq: Option<ObjectSeq>,
    /// Slots concealed in a row.
    concealed: u32,
}

impl PlayoutClock {
    fn due(&self, pts: MediaTime) -> MonoTime {
        MonoTime((self.base + i128::from(pts.0)).clamp(0, i128::from(u64::MAX)) as u64)
    }

    /// Goes on at `pts`, at the time when the old head was due.
    fn move_head(&mut self, pts: MediaTime) {
        self.base += i128::from(self.head.0) - i128::from(pts.0);
        self.head = pts;
    }
}

/// What happens next, and when.
enum Step {
    Packet(MediaTime),
    Recover(MediaTime),
    Missing,
}

impl JitterBuffer {
    /// A gap longer than this, in media time or in concealed playing, times playing anew.
    pub const MAX_GAP: Duration = Duration::from_secs(1);
    const MAX_PACKETS: usize = 1024;
    const REMEMBERED: usize = 256;

    /// An empty buffer.
    ///
    /// # Errors
    /// [`Error::JitterLimits`] when `max_packets` is above 1024 or can't span `max_delay` with four packets to spare, or
    /// `delay` is above `max_delay`.
    pub fn new(config: JitterConfig) -> Result<Self, Error> {
        let spanned = config.max_delay.as_micros() / config.frame.duration().as_micros();
        let needed = usize::try_from(spanned).unwrap_or(usize::MAX).saturating_add(4);
        if config.max_packets < needed
            || config.max_packets > Self::MAX_PACKETS
            || config.delay > config.max_delay
        {
            return Err(Error::JitterLimits { max_packets: config.max_packets, needed });
        }
        Ok(Self {
            config,
            waiting: BTreeMap::new(),
            clock: None,
            delay: config.delay,
            played: VecDeque::new(),
            stats: JitterStats::default(),
        })
    }

    /// Takes a packet that arrived at `now`, was captured at `pts` and has number `seq`.
    ///
    /// # Errors
    /// [`Error::PacketLength`], the peer's fault, above [`PacketInfo::MAX_PACKET_LEN`].
    pub fn push(
        &mut self,
        now: MonoTime,
        seq: ObjectSeq,
        pts: MediaTime,
        packet: Vec<u8>,
    ) -> Result<Arrival, Error> {
        if packet.len() > PacketInfo::MAX_PACKET_LEN {
            return Err(Error::PacketLength { len: packet.len(), max: PacketInfo::MAX_PACKET_LEN });
        }
        if self.is_known(seq, pts) {
            self.stats.duplicates += 1;
            return Ok(Arrival::Duplicate);
        }
        match &mut self.clock {
            None => self.start(now, pts, None),
            Some(clock) if clock.fresh && pts < clock.head && gap(pts, clock.head) <= self.delay => {
                clock.head = pts
            }
            Some(clock) if pts.0.saturating_add(self.config.half_frame()) < clock.head.0 => {
                self.late(now, pts);
                return Ok(Arrival::Late);
            }
            Some(clock) => {
                // Slot by slot, a jump would be concealed for as long as it is.
                let last_seq = clock.last_seq;
                if self.waiting.is_empty() && gap(clock.head, pts) > Self::MAX_GAP {
                    self.stats.resyncs += 1;
                    self.start(now, pts, last_seq);
                }
            }
        }
        self.waiting.insert(pts, Waiting { seq, packet });
        self.skip_beyond_limit();
        Ok(Arrival::Queued)
    }

    /// The slot that is due at `now`; `None` when nothing is. Call it until it returns `None`.
    ///
    /// At most one second of consecutive slots comes without a packet having been pushed.
    pub fn pop(&mut self, now: MonoTime) -> Option<Playout> {
        let (step, due) = self.next_step()?;
        if due > now {
            return None;
        }
        let clock = self.clock.as_mut()?;
        clock.fresh = false;
        let playout = match step {
            Step::Packet(pts) => {
                let Waiting { seq, packet } = self.waiting.remove(&pts)?;
                clock.head = pts;
                clock.last_seq = Some(seq);
                clock.concealed = 0;
                self.stats.played += 1;
                self.played.push_back(seq);
                if self.played.len() > Self::REMEMBERED {
                    self.played.pop_front();
                }
                Playout { pts, kind: PlayoutKind::Packet { seq, packet } }
            }
            Step::Recover(next) => {
                self.stats.recovered += 1;
                let next = self.waiting.get(&next)?.packet.clone();
                Playout { pts: clock.head, kind: PlayoutKind::Recover { next } }
            }
            Step::Missing => {
                self.stats.missing += 1;
                clock.concealed += 1;
                Playout { pts: clock.head, kind: PlayoutKind::Missing }
            }
        };
        clock.head = MediaTime(clock.head.0.saturating_add(self.config.frame_micros()));
        self.after_slot();
        Some(playout)
    }

    /// When [`pop`](Self::pop) will have something; `None` while the stream is paused or has not begun.
    pub fn next_due(&self) -> Option<MonoTime> {
        self.next_step().map(|(_, due)| due)
    }

    /// The delay now in force.
    pub const fn delay(&self) -> Duration {
        self.delay
    }

    /// Packets waiting.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True if no packet is waiting.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The counters.
    pub const fn stats(&self) -> JitterStats {
        self.stats
    }

    fn next_step(&self) -> Option<(Step, MonoTime)> {
        let clock = self.clock.as_ref()?;
        let Some((first, waiting)) = self.waiting.first_key_value() else {
            // Nothing has come since the last slot. Before the first slot of all there is always a packet.
            return Some((Step::Missing, clock.due(clock.head)));
        };
        let ahead = first.0.saturating_sub(clock.head.0);
        let pause = clock.last_seq.is_some_and(|last| last.0.checked_add(1) == Some(waiting.seq.0));
        if ahead < self.config.half_frame() || pause {
            return Some((Step::Packet(*first), clock.due(*first)));
        }
        let adjacent = ahead < self.config.half_frame() + self.config.frame_micros();
        let step = if adjacent { Step::Recover(*first) } else { Step::Missing };
        Some((step, clock.due(clock.head)))
    }

    fn is_known(&self, seq: ObjectSeq, pts: MediaTime) -> bool {
        self.waiting.contains_key(&pts)
            || self.waiting.values().any(|waiting| waiting.seq == seq)
            || self.played.contains(&seq)
    }

    /// Times playing by a packet at `pts` that arrived at `now`.
    fn start(&mut self, now: MonoTime, pts: MediaTime, last_seq: Option<ObjectSeq>) {
        let base = i128::from(now.0) - i128::from(pts.0) + self.delay.as_micros() as i128;
        self.clock = Some(PlayoutClock { base, head: pts, fresh: true, last_seq, concealed: 0 });
    }

    fn late(&mut self, now: MonoTime, pts: MediaTime) {
        self.stats.late += 1;
        let Some(clock) = &mut self.clock else {
            return;
        };
        let lateness = now.since(clock.due(pts));
        // Beyond the gap limit, or from before the first packet, it is a stray and not a sign of how the network is.
        if lateness <= Self::MAX_GAP && !clock.fresh {
            let growth = lateness
                .min(self.config.frame.duration())
                .min(self.config.max_delay.saturating_sub(self.delay));
            self.delay += growth;
            clock.base += growth.as_micros() as i128;
        }
    }

    /// Skips the oldest packets of a burst. What comes after them is played when they would have been.
    fn skip_beyond_limit(&mut self) {
        while self.waiting.len() > self.config.max_packets {
            let Some((_, clock)) = self.waiting.pop_first().zip(self.clock.as_mut()) else {
                return;
            };
            self.stats.skipped += 1;
            if let Some((first, _)) = self.waiting.first_key_value() {
                clock.move_head(*first);
            }
        }
    }

    /// Drops what the slot just played has passed, closes a jump, and stops after a second without a packet.
    fn after_slot(&mut self) {
        let Some(clock) = &mut self.clock else {
            return;
        };
        while let Some(entry) = self.waiting.first_entry()
            && entry.key().0.saturating_add(self.config.half_frame()) < clock.head.0
        {
            entry.remove();
            self.stats.late += 1;
        }
        let concealed = self.config.frame.duration() * clock.concealed;
        match self.waiting.first_key_value() {
            Some((first, _)) if gap(clock.head, *first) > Self::MAX_GAP => {
                self.stats.resyncs += 1;
                clock.move_head(*first);
            }
            None if concealed >= Self::MAX_GAP => {
                self.stats.resyncs += 1;
                self.clock = None;
            }
            _ => {}
        }
    }
}

impl JitterConfig {
    const fn frame_micros(&self) -> u64 {
        self.frame.duration().as_micros() as u64
    }

    const fn half_frame(&self) -> u64 {
        self.frame_micros() / 2
    }
}

/// Media time from `from` to `to`; zero when `to` is not after it.
const fn gap(from: MediaTime, to: MediaTime) -> Duration {
    Duration::from_micros(to.0.saturating_sub(from.0))
}

impl fmt::Debug for JitterBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JitterBuffer")
            .field("waiting", &self.waiting.len())
            .field("delay", &self.delay)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PlayoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet { seq, packet } => write!(f, "Packet({seq}, {} bytes)", packet.len()),
            Self::Recover { next } => write!(f, "Recover({} bytes)", next.len()),
            Self::Missing => f.write_str("Missing"),
        }
    }
}
