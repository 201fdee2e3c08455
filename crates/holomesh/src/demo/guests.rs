//! Others who publish beside the first one, each in a session of its own; one watcher has them all on one screen.

use super::nodes::{HostNode, NodeThread, loopback};
use super::options::Options;
use super::sources::{Clip, LoopedClip, TurnSound};
use crate::report::{Lane, NodeName};
use crate::watch::{Sink, SpeakerSink, WatchState};
use crate::{Error, keyfile, session, watch};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A guest, and the watcher that takes its session.
struct Guest {
    commands: mpsc::Sender<session::Command>,
    host: NodeThread<()>,
    watcher: NodeThread<watch::Report>,
    state: Arc<WatchState>,
}

/// All guests, and whom the screen shows.
#[derive(Default)]
pub(super) struct Guests {
    guests: Vec<Guest>,
    shown: Arc<Mutex<Vec<(Instant, usize)>>>,
}

/// What the screen shows is seen by nobody: when who is shown is what counts.
struct Unseen;

impl Sink for Unseen {}

impl Guests {
    /// Starts them, if there are any; gives what the first publisher's pictures go to.
    pub(super) fn start(&mut self, options: &Options, clip: &Clip) -> Result<Option<SpeakerSink>, Error> {
        if options.speakers < 2 {
            return Ok(None);
        }
        let shown = self.shown.clone();
        let told = Box::new(move |place, at| {
            shown.lock().unwrap_or_else(PoisonError::into_inner).push((at, place));
        });
        let mut sinks = SpeakerSink::screen(options.speakers.into(), Box::new(Unseen), told).into_iter();
        let first = sinks.next();
        for (place, sink) in (1..options.speakers).zip(sinks) {
            self.guests.push(Guest::start(options, clip, place, sink)?);
        }
        Ok(first)
    }

    pub(super) fn are_linked(&self) -> bool {
        self.guests.iter().all(|guest| guest.state.snapshot().epoch.is_some())
    }

    pub(super) fn tell_start(&self) -> Result<(), Error> {
        self.guests.iter().try_for_each(|guest| {
            guest.commands.try_send(session::Command::Start).map_err(|_| Error::Ended("a guest"))
        })
    }

    /// Waits until they have ended, and gives the row of who was shown.
    pub(super) fn end(self, deadline: Instant, start: Instant, end: Duration) -> Result<Option<Lane>, Error> {
        if self.guests.is_empty() {
            return Ok(None);
        }
        for guest in self.guests {
            drop(guest.commands);
            guest.host.finish_by(deadline).unwrap_or(Err(Error::Ended("a guest")))?;
            guest.watcher.finish_by(deadline).unwrap_or(Err(Error::Ended("a guest's watcher")))?;
        }
        let ms = |at: Duration| u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut lane = Lane::new(NodeName::new("in view"));
        for (n, (at, place)) in shown.iter().enumerate() {
            let until = shown.get(n + 1).map_or(end, |(next, _)| next.saturating_duration_since(start));
            let state = u8::try_from(*place).unwrap_or(u8::MAX);
            lane.push(ms(at.saturating_duration_since(start)), ms(until.min(end)), state);
        }
        Ok(Some(lane))
    }
}

impl Guest {
    fn start(options: &Options, clip: &Clip, place: u8, sink: SpeakerSink) -> Result<Self, Error> {
        let sound = TurnSound::load(options, place)?;
        let pictures = LoopedClip::for_demo(clip, options.seconds);
        let audio = sound.audio_config();
        let config = session::Config {
            video: Some((Box::new(pictures), options.guest_video(clip.rate.frame_interval()))),
            audio: Some((Box::new(sound), audio)),
            parents: 1,
            lanes: options.lanes(),
            direct: options.direct(),
            autostart: false,
            ..session::Config::new(keyfile::random_seed()?, loopback())
        };
        let HostNode { commands, ticket, thread: host } = HostNode::spawn(config)?;
        let mut config = watch::Config::new(keyfile::random_seed()?, ticket);
        config.delay = Duration::from_millis(options.delay);
        config.lanes = options.lanes();
        config.direct = options.direct();
        let state = config.state.clone();
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(sink)];
        let watcher = NodeThread::spawn("guest's watcher", move || watch::run(config, sinks))?;
        Ok(Self { commands, host, watcher, state })
    }
}
