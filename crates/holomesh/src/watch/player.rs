//! The player: one thread per watcher that decodes and plays out pictures and sound in time.

use super::pictures::Pictures;
use super::receive::Received;
use super::sink::Sink;
use super::sound::{SLOT, SoundPlayer};
use crate::publish::StreamKind;
use crate::{Clock, Error};
use av_wire::{Media, StreamAnnounce};
use codec_mdc::Description;
use codec_opus::SoundStats;
use core_types::Epoch;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// After the end, what is still under way is waited for this long.
const DRAIN: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_millis(200);
/// How often is looked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

/// Objects that may be on their way to the player, and their bytes: some ten seconds of pictures and sound. A player has more only if
/// something that it writes to does not take it.
const MOST_UNDER_WAY: usize = 1_024;
const MOST_UNDER_WAY_BYTES: usize = 64 << 20;
/// Past the time that playing out takes, an output that takes nothing is waited for this long.
const GIVE_UP: Duration = Duration::from_secs(4);

/// What the player is told.
#[derive(Debug)]
pub(super) enum Message {
    Stream(Box<StreamAnnounce>),
    Epoch(Epoch),
    Object(Received),
    /// Objects were left out before those that follow.
    Gap,
    End,
}

/// What was played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlayStats {
    /// Pictures shown.
    pub frames_shown: u64,
    /// Of these, in fewer layers than came of late, or from fewer descriptions than there are: smaller, or less good.
    pub frames_reduced: u64,
    /// Of those shown, more than half a frame late.
    pub frames_late: u64,
    /// Pictures that never came, or far too late.
    pub frames_lost: u64,
    /// Pictures that came and could not be decoded for want of an earlier one.
    pub frames_undecodable: u64,
    /// Slots of sound, 20 ms each, played from their packet or recovered from later ones, pauses of the sender's among them.
    pub audio_shown: u64,
    /// Of these, recovered from later packets, not as they were sent.
    pub audio_recovered: u64,
    /// Slots of sound concealed.
    pub audio_concealed: u64,
    /// What the sound was made from, and by how much it was stretched.
    pub sound: SoundStats,
    /// Whether the publisher speaks, as far as is heard: for 400 ms at the least, and until 800 ms after it stopped.
    pub speaks: bool,
    /// For how long it has spoken in all.
    pub spoken: Duration,
    /// Objects that were not played since they came faster than an output took them.
    pub left_out: u64,
}

impl PlayStats {
    /// So much sound, in slots of 20 ms.
    pub fn slots(of: Duration) -> u64 {
        u64::try_from(of.as_micros() / SLOT.as_micros()).unwrap_or(u64::MAX)
    }
}

/// What is on its way to the player.
#[derive(Debug, Default)]
struct UnderWay {
    objects: AtomicUsize,
    bytes: AtomicUsize,
}

impl UnderWay {
    fn has_room(&self) -> bool {
        self.objects.load(Ordering::Relaxed) < MOST_UNDER_WAY
            && self.bytes.load(Ordering::Relaxed) < MOST_UNDER_WAY_BYTES
    }

    fn enter(&self, bytes: usize) {
        self.objects.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn leave(&self, bytes: usize) {
        self.objects.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The node's handle on its player's thread.
#[derive(Debug)]
pub(super) struct PlayerHandle {
    messages: Sender<Message>,
    under_way: Arc<UnderWay>,
    /// Objects that there was no room for, and whether the player knows.
    left_out: AtomicU64,
    is_gap_told: AtomicBool,
    stats: Arc<Mutex<PlayStats>>,
    thread: JoinHandle<Result<(), Error>>,
    /// What it takes to play out what is there.
    drain: Duration,
}

impl PlayerHandle {
    /// Starts the thread. `wants_key_frame` is called from it, with the description that one is needed of.
    pub(super) fn start(
        delay: Duration,
        sinks: Vec<Box<dyn Sink>>,
        wants_key_frame: impl Fn(Option<Description>) + Send + 'static,
    ) -> Result<Self, Error> {
        let (messages, inbox) = channel();
        let stats = Arc::<Mutex<PlayStats>>::default();
        let under_way = Arc::<UnderWay>::default();
        let (shared, entered) = (stats.clone(), under_way.clone());
        let thread = std::thread::Builder::new()
            .name("player".into())
            .spawn(move || Player::new(delay, sinks, shared, entered).run(&inbox, wants_key_frame))
            .map_err(|e| Error::Network(format!("can't start a thread: {e}")))?;
        let drain = DRAIN + delay;
        let (left_out, is_gap_told) = (AtomicU64::new(0), AtomicBool::new(true));
        Ok(Self { messages, under_way, left_out, is_gap_told, stats, thread, drain })
    }

    pub(super) fn send(&self, message: Message) {
        // A player that ended with an error says so when it is joined.
        let _ = self.messages.send(message);
    }

    /// Hands an object over. If the player has as many as it may have, it is left out: what is old by the time it is played is no loss, and
    /// memory has an end.
    pub(super) fn play(&self, object: Received) {
        if !self.under_way.has_room() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            self.is_gap_told.store(false, Ordering::Relaxed);
            return;
        }
        if !self.is_gap_told.swap(true, Ordering::Relaxed) {
            self.send(Message::Gap);
        }
        self.under_way.enter(object.payload.len());
        self.send(Message::Object(object));
    }

    pub(super) fn stats(&self) -> PlayStats {
        let stats = *self.stats.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        PlayStats { left_out: self.left_out.load(Ordering::Relaxed), ..stats }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Plays out what is there and ends. Blocks for as long, but not for an output that takes nothing.
    ///
    /// # Errors
    /// The player's; [`Error::Input`] where an output does not take what is left.
    pub(super) fn finish(self) -> Result<PlayStats, Error> {
        let patience = self.drain + GIVE_UP;
        self.finish_within(patience)
    }

    fn finish_within(self, patience: Duration) -> Result<PlayStats, Error> {
        let _ = self.messages.send(Message::End);
        let deadline = Instant::now() + patience;
        while !self.thread.is_finished() {
            if Instant::now() >= deadline {
                // It is somewhere in the system, which nothing gets it out of.
                return Err(Error::input("output", "what reads it takes nothing more; its end is missing"));
            }
            std::thread::sleep(POLL);
        }
        let stats = self.stats();
        self.thread.join().map_err(|_| Error::Ended("the player"))??;
        Ok(stats)
    }
}

struct Player {
    clock: Clock,
    delay: Duration,
    sinks: Vec<Box<dyn Sink>>,
    video: Option<Pictures>,
    audio: Option<SoundPlayer>,
    shared: Arc<Mutex<PlayStats>>,
    under_way: Arc<UnderWay>,
    ending: Option<Instant>,
}

impl Player {
    fn new(
        delay: Duration,
        sinks: Vec<Box<dyn Sink>>,
        shared: Arc<Mutex<PlayStats>>,
        under_way: Arc<UnderWay>,
    ) -> Self {
        let (video, audio, ending) = (None, None, None);
        Self { clock: Clock::start(), delay, sinks, video, audio, shared, under_way, ending }
    }

    fn run(
        mut self,
        inbox: &Receiver<Message>,
        wants_key_frame: impl Fn(Option<Description>),
    ) -> Result<(), Error> {
        loop {
            self.play(&wants_key_frame)?;
            if self.is_over() {
                break;
            }
            match inbox.recv_timeout(self.patience()) {
                Ok(message) => self.take(message)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.end(),
            }
            // Whatever else has come meanwhile, before deciding that something is missing.
            while let Ok(message) = inbox.try_recv() {
                self.take(message)?;
            }
        }
        if let Some(audio) = &mut self.audio {
            audio.finish(&mut self.sinks);
        }
        for sink in self.sinks {
            sink.finish()?;
        }
        Ok(())
    }

    fn end(&mut self) {
        let delay = self.delay;
        self.ending.get_or_insert_with(|| Instant::now() + DRAIN + delay);
    }

    fn take(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::Stream(announce) => {
                match announce.media {
                    Media::Video { .. } => {
                        self.video = Pictures::announced(self.video.take(), &announce, self.delay)?;
                    }
                    Media::Audio { channels, .. } => {
                        self.audio = Some(SoundPlayer::new(channels, self.delay)?)
                    }
                    Media::Data => {}
                }
                for sink in &mut self.sinks {
                    sink.stream(&announce)?;
                }
            }
            Message::Epoch(epoch) => self.sinks.iter_mut().for_each(|sink| sink.epoch(epoch)),
            Message::Object(object) => {
                self.under_way.leave(object.payload.len());
                match (object.kind, &mut self.video, &mut self.audio) {
                    (StreamKind::Video, Some(video), _) => video.push(object),
                    (StreamKind::Audio, _, Some(audio)) => {
                        audio.push(&self.clock, object, &mut self.sinks)?
                    }
                    _ => {}
                }
            }
            Message::Gap => self.video.iter_mut().for_each(Pictures::restart),
            Message::End => self.end(),
        }
        Ok(())
    }

    fn play(&mut self, wants_key_frame: &impl Fn(Option<Description>)) -> Result<(), Error> {
        let mut stats = PlayStats::default();
        if let Some(video) = &mut self.video {
            video.decode(Instant::now(), &mut self.sinks)?.into_iter().for_each(wants_key_frame);
            video.show(Instant::now(), &mut self.sinks)?;
            let shown = video.stats();
            stats.frames_shown = shown.shown;
            stats.frames_reduced = shown.reduced;
            stats.frames_late = shown.late;
            stats.frames_lost = shown.lost;
            stats.frames_undecodable = shown.undecodable;
        }
        if let Some(audio) = &mut self.audio {
            let pictures = self.video.as_ref().and_then(Pictures::zero);
            audio.play(&self.clock, Instant::now(), pictures, &mut self.sinks)?;
            if let Some(video) = &mut self.video {
                video.follow(audio.zero());
            }
            let sound = audio.stats();
            let recovered = sound.from_coarse_copies + sound.from_redundancy;
            let played = sound.from_packets + sound.from_repaired + sound.paused + recovered;
            stats.audio_shown = PlayStats::slots(played);
            stats.audio_recovered = PlayStats::slots(recovered);
            stats.audio_concealed = PlayStats::slots(sound.concealed);
            (stats.sound, stats.speaks, stats.spoken) = (sound, audio.is_speaking(), audio.spoken());
        }
        *self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = stats;
        Ok(())
    }

    fn is_over(&self) -> bool {
        let idle = self.video.as_ref().is_none_or(Pictures::is_idle)
            && self.audio.as_ref().is_none_or(SoundPlayer::is_idle);
        self.ending.is_some_and(|deadline| idle || Instant::now() >= deadline)
    }

    fn patience(&self) -> Duration {
        let audio = self.audio.as_ref().and_then(SoundPlayer::next_due);
        let next = self.video.as_ref().and_then(Pictures::next_due).into_iter().chain(audio).min();
        next.map_or(IDLE, |due| due.saturating_duration_since(Instant::now())).min(IDLE)
    }
}

#[cfg(test)]
mod tests;
