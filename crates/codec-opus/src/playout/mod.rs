//! Packets in, whenever they come; sound out, whenever the device wants some.

mod buffer;
mod fill;
mod pace;
mod queue;
mod stats;

use crate::delay::{DelayEstimator, DelayLimits};
use crate::time::{duration, span, ticks};
use crate::{
    Activity, AudioLevel, Channels, ClockOffset, Effort, Error, OpusDecoder, SampleRate, SampleTime,
    VoiceActivity,
};
use buffer::PcmBuffer;
use core::fmt;
use core::time::Duration;
use core_types::MonoTime;
pub use queue::{Arrival, SoundPacket};
use queue::{Queue, Waiting};
pub use stats::{SoundSource, SoundStats};

/// How a [`SoundPlayout`] is set up. Delays count from the arrival of the fastest packets lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoundConfig {
    /// Channels of the output, whatever the sender used.
    pub channels: Channels,
    /// Where the delay begins.
    pub start_delay: Duration,
    /// What it falls to at the least.
    pub least_delay: Duration,
    /// How far it rises in order that lost packets can be repaired from later ones, when bursts of loss are seen.
    pub repair_delay: Duration,
    /// What it rises to at most.
    pub most_delay: Duration,
    /// What decoding may cost.
    pub effort: Effort,
}

impl Default for SoundConfig {
    /// Mono, 60 ms at first, 20 ms at least, up to 160 ms for repair, 400 ms at most, neural concealment.
    fn default() -> Self {
        Self {
            channels: Channels::default(),
            start_delay: Duration::from_millis(60),
            least_delay: Duration::from_millis(20),
            repair_delay: Duration::from_millis(160),
            most_delay: Duration::from_millis(400),
            effort: Effort::default(),
        }
    }
}

/// 10 ms of sound.
#[derive(Clone, PartialEq, Eq)]
pub struct SoundPiece {
    /// Media time of its first sample; `None` while the stream has not begun or has stopped.
    pub at: Option<SampleTime>,
    /// Interleaved, 48 kHz: 480 samples a channel.
    pub pcm: Vec<i16>,
    /// What the worst of it came from.
    pub source: SoundSource,
    /// Its level, and whether there is a voice in it.
    pub activity: Activity,
}

/// Plays one stream: a jitter buffer whose delay follows the network, the decoder, and what stands in for lost packets.
///
/// - The delay is such that one packet in 50 comes too late, by what was measured over the last ten seconds; a late
///   packet raises it at once, and it falls by at most 20 ms a second. Where bursts of packets are lost that later ones describe, or that
///   the fountain code brings back, it rises further, up to [`SoundConfig::repair_delay`], so that those have come when the lost ones are due.
/// - It is changed by whole periods of the sound's own pitch, put in or taken out, and never by a cut.
/// - A gap is filled at the last moment, by the best there is: a packet that the fountain code brought back is a packet like others;
///   else the coarse copy of the packet after the gap; else the deep redundancy of one; else concealment.
/// - When nothing at all has come after the gap, it is concealed without media time going on for as long as the delay is
///   less than it should be, and with it from then on. After a second playing stops; the next packet starts it anew.
/// - A gap in media time without one in sequence numbers is a pause of the sender's.
/// - A jump of media time by more than a second is followed once three packets agree on it.
/// - At most 512 packets or 256 KiB wait; beyond that the oldest are dropped.
///
/// It reads no clock and never waits: [`push`](Self::push) when a packet comes, [`pull`](Self::pull) each 10 ms of the device's.
pub struct SoundPlayout {
    config: SoundConfig,
    queue: Queue,
    delay: DelayEstimator,
    decoder: OpusDecoder,
    buffer: PcmBuffer,
    voice: VoiceActivity,
    stats: SoundStats,
    playing: Option<Playing>,
    /// Playing is at least this far behind media time.
    hold: Option<ClockOffset>,
    /// The last packet that was out of all relation, and how many in a row agreed with it.
    stray: Option<(i64, u32)>,
    /// The packet that reaches furthest.
    newest: Option<Newest>,
    /// Local time of the last call.
    now: i64,
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    seq: u64,
    end: i64,
}

/// What is kept while something plays.
#[derive(Debug, Clone, Copy)]
struct Playing {
    /// Media time of the next sample to decode.
    head: i64,
    /// Number of the packet that was decoded last.
    last: Option<u64>,
    /// Whether that one said that nothing follows.
    is_pause: bool,
    /// Samples that stood in for packets since the last one.
    starved: i64,
    /// Pieces since the sound was last stretched.
    steady: u32,
    /// The next packet does not follow on what was decoded before.
    is_broken: bool,
}

impl SoundPlayout {
    /// Samples per channel of a piece: 10 ms.
    pub const PIECE: usize = 480;
    /// Longer than this a gap is none, and a stream without packets has stopped.
    pub const MAX_GAP: Duration = Duration::from_secs(1);
    /// No delay is longer.
    pub const MOST_DELAY: Duration = Duration::from_secs(8);
    const GAP: i64 = span(Self::MAX_GAP);
    /// Packets that must agree on a jump.
    const AGREEMENT: u32 = 3;

    /// Nothing to play yet.
    ///
    /// # Errors
    /// [`Error::Delays`] unless the least delay is at most that at the start, both are at most the most, the one for repair
    /// is between the least and the most, and that is [`MOST_DELAY`](Self::MOST_DELAY) at most; [`Error::Codec`] when libopus has no memory.
    pub fn new(config: SoundConfig) -> Result<Self, Error> {
        let SoundConfig {
            start_delay: start,
            least_delay: least,
            repair_delay: repair,
            most_delay: most,
            ..
        } = config;
        if least > start || start > most || least > repair || repair > most || most > Self::MOST_DELAY {
            return Err(Error::Delays { least, start, repair, most });
        }
        let limits =
            DelayLimits { start: span(start), least: span(least), repair: span(repair), most: span(most) };
        Ok(Self {
            config,
            queue: Queue::default(),
            delay: DelayEstimator::new(limits),
            decoder: OpusDecoder::with_effort(SampleRate::Hz48000, config.channels, config.effort)?,
            buffer: PcmBuffer::new(config.channels.count()),
            voice: VoiceActivity::new(),
            stats: SoundStats::default(),
            playing: None,
            hold: None,
            stray: None,
            newest: None,
            now: 0,
        })
    }

    /// Takes a packet that came at `now`.
    ///
    /// # Errors
    /// [`Error::PacketLength`] or [`Error::MalformedPacket`], both the peer's fault; the packet is left out.
    pub fn push(&mut self, now: MonoTime, packet: SoundPacket) -> Result<Arrival, Error> {
        self.now = self.now.max(ticks(now));
        let packet = Waiting::parse(packet).inspect_err(|_| self.stats.malformed += 1)?;
        if self.queue.knows(&packet) {
            self.stats.duplicates += 1;
            return Ok(Arrival::Duplicate);
        }
        if self.is_stray(&packet) {
            self.stats.strays += 1;
            return Ok(Arrival::Stray);
        }
        self.look_for_losses(&packet);
        if packet.was_repaired {
            // How late that is says nothing of the way, only how long repair is to be waited for, by a delay that is kept no closer than this.
            self.delay.repairable(self.now + Self::SLACK, packet.start);
        } else {
            self.delay.arrived(self.now, packet.start, packet.length);
        }
        if self.playing.is_some_and(|playing| packet.end() <= playing.head) {
            self.stats.late += 1;
            return Ok(Arrival::Late);
        }
        self.stats.packets += 1;
        self.stats.skipped += self.queue.insert(packet);
        Ok(Arrival::Queued)
    }

    /// The next 10 ms, for a device that plays them at `now`.
    ///
    /// # Errors
    /// [`Error::Codec`] when libopus fails for another reason than a packet.
    pub fn pull(&mut self, now: MonoTime) -> Result<SoundPiece, Error> {
        self.now = self.now.max(ticks(now));
        if self.playing.is_none() && !self.start() {
            self.voice = VoiceActivity::new();
            let pcm = vec![0; Self::PIECE * self.config.channels.count()];
            let activity = Activity { level: AudioLevel::SILENCE, is_voice: false };
            return Ok(SoundPiece { at: None, pcm, source: SoundSource::Nothing, activity });
        }
        self.fill(Self::PIECE)?;
        self.adjust()?;
        let at = self.position().map(SampleTime::clamped);
        let (pcm, origin) = self.buffer.take(Self::PIECE);
        let activity = self.voice.update(&pcm, origin.voice);
        self.stop_when_starved();
        Ok(SoundPiece { at, pcm, source: origin.source, activity })
    }

    /// From now on plays at least this far behind media time, within the most delay: for pictures that take longer than sound. `None`
    /// lets go again.
    pub fn hold_back(&mut self, least: Option<ClockOffset>) {
        self.hold = least;
    }

    /// How far playing is meant to be behind media time; `None` before the first packet.
    pub fn target(&self) -> Option<ClockOffset> {
        let (target, floor) = (self.delay.target()?, self.delay.floor()?);
        let held =
            self.hold.map_or(target, |hold| target.max(hold.0.min(floor + span(self.config.most_delay))));
        Some(ClockOffset(held))
    }

    /// How much later sound plays than the fastest packets lately would have allowed.
    pub fn delay(&self) -> Duration {
        let offset = self.position().map(|at| self.now - at);
        duration(offset.zip(self.delay.floor()).map_or(0, |(offset, floor)| offset - floor))
    }

    /// The configuration.
    pub const fn config(&self) -> SoundConfig {
        self.config
    }

    /// The counters.
    pub const fn stats(&self) -> SoundStats {
        self.stats
    }

    /// Packets that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Media time of the next sample to be played.
    fn position(&self) -> Option<i64> {
        self.playing.map(|playing| playing.head - self.buffer.ahead() as i64)
    }

    /// How much later than it should be what is played next is; negative when earlier.
    fn excess(&self) -> i64 {
        match (self.position(), self.target()) {
            (Some(at), Some(target)) => self.now - at - target.0,
            _ => 0,
        }
    }

    /// Begins once the first packet is due.
    fn start(&mut self) -> bool {
        let Some((first, target)) = self.queue.first().zip(self.target()) else {
            return false;
        };
        if self.now - first.start < target.0 {
            return false;
        }
        let (head, is_broken) = (first.start, true);
        self.playing = Some(Playing { head, last: None, is_pause: false, starved: 0, steady: 0, is_broken });
        true
    }

    /// True for a packet that can't belong where playing is. When enough agree, playing begins anew with the one at hand.
    fn is_stray(&mut self, packet: &Waiting) -> bool {
        let near = |other: i64| (packet.start - other).abs() <= Self::GAP;
        let reference =
            self.playing.map(|playing| playing.head).or(self.queue.first().map(|first| first.start));
        // The newest counts as well: behind a long queue much is far from what plays.
        let newest = self.queue.newest().map(|last| last.start);
        if reference.is_none_or(near) || newest.is_some_and(near) {
            self.stray = None;
            return false;
        }
        let agreed = match self.stray {
            Some((last, count)) if near(last) => count + 1,
            _ => 1,
        };
        if agreed < Self::AGREEMENT {
            self.stray = Some((packet.start, agreed));
            return true;
        }
        self.stats.resyncs += 1;
        self.stop();
        false
    }

    /// Notes lost frames just before a packet that describes them: what delay they would have needed.
    fn look_for_losses(&mut self, packet: &Waiting) {
        let seen = Newest { seq: packet.seq.0, end: packet.end() };
        let Some(newest) = self.newest else {
            self.newest = Some(seen);
            return;
        };
        if seen.end > newest.end {
            self.newest = Some(seen);
        }
        let gap = packet.start - newest.end;
        let is_lost = seen.seq > newest.seq.saturating_add(1);
        if !is_lost || !(120..=Self::GAP).contains(&gap) {
            return;
        }
        let described = self.decoder.read_redundancy(&packet.data, duration(gap)).map_or(0, span);
        let covered = described.max(if packet.has_coarse_copy { packet.frame } else { 0 });
        let mut back = packet.length;
        while back <= gap.min(covered) {
            self.delay.repairable(self.now, packet.start - back);
            back += packet.length;
        }
    }

    fn stop_when_starved(&mut self) {
        if self.playing.is_some_and(|playing| playing.starved >= Self::GAP) {
            self.stats.resyncs += 1;
            self.stop();
        }
    }

    /// Forgets where it was; what has been measured of the network stays only if media time goes on.
    fn stop(&mut self) {
        self.playing = None;
        self.newest = None;
        self.stray = None;
        self.buffer.clear_ahead();
        self.queue.clear();
        self.delay.restart();
    }
}

impl fmt::Debug for SoundPlayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoundPlayout")
            .field("config", &self.config)
            .field("playing", &self.playing)
            .field("waiting", &self.queue.len())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SoundPiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoundPiece")
            .field("at", &self.at)
            .field("source", &self.source)
            .field("activity", &self.activity)
            .finish_non_exhaustive()
    }
}
