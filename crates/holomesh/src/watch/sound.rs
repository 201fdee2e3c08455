//! The sound side of playing out: a piece each 10 ms, as a sound card would ask for it, as far behind as the pictures are.

use super::receive::Received;
use super::sink::{ShownSound, Sink};
use crate::{Clock, Error};
use codec_opus::{
    Activity, Arrival, Channels, ClockOffset, SampleTime, SoundConfig, SoundPacket, SoundPlayout,
    SoundSource, SoundStats, Speech,
};
use core_types::MediaTime;
use std::time::{Duration, Instant};

/// What a sound card takes at a time.
const PIECE: Duration = Duration::from_millis(10);
/// Sinks are told of slots of this length, which is that of a packet.
pub(super) const SLOT: Duration = Duration::from_millis(20);
/// Whose thread stood still for longer than this goes on from there: what was to be heard meanwhile is past.
const STANDSTILL: Duration = Duration::from_millis(500);

pub(super) struct SoundPlayer {
    playout: SoundPlayout,
    next_pull: Option<Instant>,
    /// The slot that plays, by its number, and what the worst of it so far came from.
    slot: Option<(u64, SoundSource)>,
    /// Whether the publisher speaks, and pieces of 10 ms in which it did.
    speech: Speech,
    spoken: u32,
    /// When media time 0 was heard, as the last piece tells.
    zero: Option<Instant>,
    is_stopped: bool,
    ended: bool,
}

impl SoundPlayer {
    pub(super) fn new(channels: u8, delay: Duration) -> Result<Self, Error> {
        let channels = if channels == 2 { Channels::Stereo } else { Channels::Mono };
        let default = SoundConfig::default();
        // The delay may grow to twice what was asked for, and by 300 ms at least.
        let most_delay = (delay * 2).max(delay + Duration::from_millis(300)).min(SoundPlayout::MOST_DELAY);
        let start_delay = delay.min(most_delay);
        let config = SoundConfig {
            channels,
            start_delay,
            least_delay: default.least_delay.min(start_delay),
            repair_delay: default.repair_delay.clamp(start_delay.min(most_delay), most_delay),
            most_delay,
            ..default
        };
        let playout = SoundPlayout::new(config).map_err(failed)?;
        Ok(Self {
            playout,
            next_pull: None,
            slot: None,
            speech: Speech::new(),
            spoken: 0,
            zero: None,
            is_stopped: true,
            ended: false,
        })
    }

    pub(super) fn push(
        &mut self,
        clock: &Clock,
        object: Received,
        sinks: &mut [Box<dyn Sink>],
    ) -> Result<(), Error> {
        if object.flags.end_of_stream {
            self.ended = true;
            return Ok(());
        }
        self.next_pull.get_or_insert(object.assembled_at);
        let packet = SoundPacket {
            seq: object.seq,
            at: SampleTime::from_media(object.pts),
            was_repaired: object.was_repaired,
            data: object.payload.clone(),
        };
        match self.playout.push(clock.at(object.assembled_at), packet) {
            // A file has it too if it is too late to be heard.
            Ok(Arrival::Queued | Arrival::Late) => {}
            Ok(left_out) => {
                tracing::debug!(?left_out, "a packet of sound was left out");
                return Ok(());
            }
            Err(error) => {
                tracing::debug!(%error, "a packet of sound was left out");
                return Ok(());
            }
        }
        for sink in sinks {
            sink.audio_packet(object.pts, &object.payload)?;
        }
        Ok(())
    }

    /// Plays what is due. Pictures of media time 0 are shown at `pictures`: the sound is heard no sooner.
    pub(super) fn play(
        &mut self,
        clock: &Clock,
        now: Instant,
        pictures: Option<Instant>,
        sinks: &mut [Box<dyn Sink>],
    ) -> Result<(), Error> {
        let hold = pictures.map(|zero| ClockOffset::between(clock.at(zero), SampleTime::new(0)));
        self.playout.hold_back(hold);
        while let Some(at) = self.next_pull.filter(|at| *at <= now) {
            let at = if now.duration_since(at) > STANDSTILL { now } else { at };
            self.next_pull = Some(at + PIECE);
            let piece = self.playout.pull(clock.at(at)).map_err(failed)?;
            self.is_stopped = piece.at.is_none();
            let Some(media) = piece.at else {
                self.speech.stop();
                continue;
            };
            self.zero = at.checked_sub(media.media().as_duration());
            // After the last packet there is nothing to guess, and nothing to play until another one comes after all.
            if self.ended && self.playout.waiting() == 0 && piece.source == SoundSource::Concealment {
                self.next_pull = None;
                break;
            }
            // What is guessed is nobody's voice.
            let is_voice = piece.activity.is_voice && piece.source != SoundSource::Concealment;
            let activity = Activity { is_voice, ..piece.activity };
            self.speech.update(activity);
            self.spoken += u32::from(self.speech.is_speaking());
            for sink in &mut *sinks {
                sink.activity(media.media(), at, activity);
            }
            let slot =
                u64::try_from(media.media().as_duration().as_micros() / SLOT.as_micros()).unwrap_or(u64::MAX);
            match &mut self.slot {
                Some((playing, worst)) if *playing == slot => *worst = piece.source.max(*worst),
                _ => {
                    self.tell(sinks, at);
                    self.slot = Some((slot, piece.source));
                }
            }
        }
        Ok(())
    }

    /// The slot that played is over.
    fn tell(&mut self, sinks: &mut [Box<dyn Sink>], heard_at: Instant) {
        let Some((slot, source)) = self.slot.take() else { return };
        let real = source != SoundSource::Concealment;
        let pts = MediaTime(slot.saturating_mul(SLOT.as_micros() as u64));
        let heard_at = heard_at.checked_sub(SLOT).unwrap_or(heard_at);
        for sink in sinks {
            sink.sound(ShownSound { pts, real, source, heard_at });
        }
    }

    /// When media time 0 was heard, as the last piece tells: pictures go with it.
    pub(super) const fn zero(&self) -> Option<Instant> {
        if self.is_stopped { None } else { self.zero }
    }

    /// When there is something to do next.
    pub(super) const fn next_due(&self) -> Option<Instant> {
        self.next_pull
    }

    /// Nothing is left to be played.
    pub(super) fn is_idle(&self) -> bool {
        self.playout.waiting() == 0
    }

    pub(super) fn finish(&mut self, sinks: &mut [Box<dyn Sink>]) {
        self.tell(sinks, Instant::now());
    }

    pub(super) const fn stats(&self) -> SoundStats {
        self.playout.stats()
    }

    /// Whether the publisher speaks.
    pub(super) const fn is_speaking(&self) -> bool {
        self.speech.is_speaking()
    }

    /// For how long it has spoken in all.
    pub(super) fn spoken(&self) -> Duration {
        PIECE * self.spoken
    }
}

fn failed(error: codec_opus::Error) -> Error {
    Error::codec("Opus decoder", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{AudioConfig, StreamKind};
    use crate::watch::video::Schedule;
    use av_wire::ObjectFlags;
    use codec_opus::OpusEncoder;
    use core_types::{Layer, ObjectClass, ObjectSeq};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Ears(Arc<Mutex<Vec<ShownSound>>>, Arc<Mutex<Vec<(MediaTime, bool)>>>);

    impl Sink for Ears {
        fn sound(&mut self, sound: ShownSound) {
            self.0.lock().unwrap().push(sound);
        }

        fn activity(&mut self, at: MediaTime, _: Instant, activity: Activity) {
            self.1.lock().unwrap().push((at, activity.is_voice));
        }
    }

    fn object(n: u64, payload: Vec<u8>, assembled_at: Instant) -> Received {
        Received {
            kind: StreamKind::Audio,
            description: None,
            seq: ObjectSeq(n),
            layer: Layer::BASE,
            class: ObjectClass::KeyFrame,
            flags: ObjectFlags::default(),
            pts: MediaTime(n * 20_000),
            picture: n,
            told: None,
            payload,
            assembled_at,
            was_repaired: false,
        }
    }

    /// Packets that each take 30 ms; before each 10 ms of playing it is asked when pictures of media time 0 are shown, in ms after they
    /// were captured. Gives how long after it was captured each slot was heard.
    fn heard(
        packets: u64,
        mut pictures: impl FnMut(u64) -> Option<u64>,
        lost: impl Fn(u64) -> bool,
    ) -> Vec<(u64, bool)> {
        let clock = Clock::start();
        let origin = Instant::now() + Duration::from_secs(1);
        let mut encoder = OpusEncoder::new(AudioConfig::through_bursts()).unwrap();
        let mut player = SoundPlayer::new(1, Duration::from_millis(100)).unwrap();
        let ears = Ears::default();
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(ears.clone())];
        let ms = Duration::from_millis;
        for n in 0..packets {
            let pcm: Vec<i16> = (0..960).map(|i| ((n * 960 + i) % 240 * 60) as i16).collect();
            let payload = encoder.encode(&pcm).unwrap();
            let at = origin + ms(n * 20 + 30);
            if !lost(n) {
                player.push(&clock, object(n, payload, at), &mut sinks).unwrap();
            }
            for now in [at, at + ms(10)] {
                let zero = pictures(n).map(|after| origin + ms(after));
                player.play(&clock, now, zero, &mut sinks).unwrap();
            }
        }
        let heard = ears.0.lock().unwrap();
        let after = |sound: &ShownSound| {
            sound.heard_at.duration_since(origin + sound.pts.as_duration()).as_millis() as u64
        };
        heard.iter().map(|sound| (after(sound), sound.real)).collect()
    }

    #[test]
    fn sound_waits_for_pictures_and_pictures_for_sound() {
        let alone = heard(500, |_| None, |_| false);
        assert!(alone.last().unwrap().0 < 90, "nothing keeps it: {:?}", alone.last());
        let with = heard(500, |_| Some(250), |_| false);
        assert!(with[100..].iter().all(|(after, _)| after.abs_diff(250) <= 12), "{:?}", &with[100..120]);
        // Pictures become slower while it plays: it is stretched until it is with them again.
        let slower = heard(800, |n| Some(if n < 100 { 150 } else { 280 }), |_| false);
        assert!(slower[50..90].iter().all(|(after, _)| after.abs_diff(150) <= 12), "{:?}", &slower[50..90]);
        assert!(slower.last().unwrap().0.abs_diff(280) <= 12, "{:?}", slower.last());

        let origin = Instant::now();
        let ms = Duration::from_millis;
        let mut schedule = Schedule::new(ms(100));
        schedule.handle_object(origin + ms(30), MediaTime(0));
        assert_eq!(schedule.due(MediaTime(40_000)), Some(origin + ms(170)));
        schedule.follow(Some(origin + ms(120)));
        assert_eq!(schedule.due(MediaTime(40_000)), Some(origin + ms(170)), "sound is not late for them");
        schedule.follow(Some(origin + ms(330)));
        assert_eq!(schedule.due(MediaTime(40_000)), Some(origin + ms(350)));
        assert_eq!(schedule.zero(), Some(origin + ms(130)), "sound is not held back to where it is itself");
    }

    /// A second of hum, two of a tone that swells as speech does, and two of hum; of the last second every fifth packet is lost.
    #[test]
    fn who_speaks_is_found_in_what_is_heard() {
        let clock = Clock::start();
        let origin = Instant::now() + Duration::from_secs(1);
        let mut encoder = OpusEncoder::new(AudioConfig::through_bursts()).unwrap();
        let mut player = SoundPlayer::new(1, Duration::from_millis(60)).unwrap();
        let ears = Ears::default();
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(ears.clone())];
        let (mut spoke, mut loud) = (Vec::new(), 0);
        for n in 0..250u64 {
            let amplitude = if (50..150).contains(&n) { 9_000.0 } else { 12.0 };
            let pcm: Vec<i16> = (0..960u64)
                .map(|i| {
                    let t = (n * 960 + i) as f64 / 48_000.0;
                    let swell = 0.6 + 0.4 * (t * 25.0).sin();
                    ((t * 1_100.0).sin() * amplitude * swell) as i16
                })
                .collect();
            let at = origin + Duration::from_millis(n * 20);
            let payload = encoder.encode(&pcm).unwrap();
            if n < 200 || n % 5 != 0 {
                player.push(&clock, object(n, payload, at), &mut sinks).unwrap();
            }
            player.play(&clock, at, None, &mut sinks).unwrap();
            spoke.push(player.is_speaking());
        }
        let turns: Vec<usize> = (1..250).filter(|n| spoke[*n] != spoke[n - 1]).collect();
        let [began, ended] = turns[..] else { panic!("{turns:?}") };
        // 400 ms after it began and 800 after it ended, and as long as it is kept back.
        assert!((70..=78).contains(&began) && (186..=200).contains(&ended), "{turns:?}");
        assert_eq!(player.spoken().as_millis() / 100, (ended - began) as u128 / 5, "{turns:?}");
        for (at, is_voice) in ears.1.lock().unwrap().iter() {
            loud += u32::from(*is_voice);
            let inside = (1_000_000..3_400_000).contains(&at.0);
            assert!(!is_voice || inside, "{at:?}");
        }
        assert!((200..240).contains(&loud), "{loud} pieces");
        let heard = ears.0.lock().unwrap();
        let lost: Vec<_> = heard.iter().filter(|slot| slot.source != SoundSource::Packet).collect();
        assert!(
            lost.iter().all(|slot| slot.pts.0 >= 3_980_000 && slot.source > SoundSource::Repaired),
            "{lost:?}"
        );
        // Ten packets, each of which is heard in one slot or in two.
        assert!((10..=20).contains(&lost.len()), "{}", lost.len());
    }

    #[test]
    fn after_the_last_packet_nothing_is_guessed() {
        let clock = Clock::start();
        let origin = Instant::now() + Duration::from_secs(1);
        let mut encoder = OpusEncoder::new(AudioConfig::through_bursts()).unwrap();
        let mut player = SoundPlayer::new(1, Duration::from_millis(60)).unwrap();
        let at = |n: u64| origin + Duration::from_millis(n * 20);
        for n in 0..50 {
            let payload = encoder.encode(&[0; 960]).unwrap();
            player.push(&clock, object(n, payload, at(n)), &mut []).unwrap();
            player.play(&clock, at(n), None, &mut []).unwrap();
        }
        let flags = ObjectFlags { end_of_stream: true, ..ObjectFlags::default() };
        player.push(&clock, Received { flags, ..object(50, Vec::new(), at(50)) }, &mut []).unwrap();
        (50..150).for_each(|n| player.play(&clock, at(n), None, &mut []).unwrap());
        let stats = player.stats();
        assert!(player.is_idle() && player.next_due().is_none());
        assert!(stats.concealed <= PIECE && stats.from_packets >= Duration::from_millis(900), "{stats:?}");
    }

    #[test]
    fn what_is_lost_singly_is_heard_all_the_same() {
        let heard = heard(500, |_| Some(150), |n| n % 10 == 7);
        let guessed = heard.iter().filter(|(_, real)| !real).count();
        assert!(heard.len() >= 480 && guessed <= 2, "{guessed} of {}", heard.len());
    }
}
