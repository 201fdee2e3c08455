//! What came at a watcher, beside what was published: the rows of the report.

use super::board::Shown;
use super::options::Options;
use super::sources::TurnSound;
use crate::Error;
use crate::publish::Published;
use crate::report::{Lane, NodeName, SoundReport, SoundState, SpeechReport, StepKind, Steps, ViewReport};
use crate::watch::{MadeFrom, PlayStats, ShownSound};
use codec_opus::{Activity, SoundSource, Speech, Turn, VoiceActivity};
use core_types::{FrameSize, MediaTime};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a packet of sound holds, and what is looked at of it at a time.
const PACKET: Duration = Duration::from_millis(20);
const PIECE: Duration = Duration::from_millis(10);
/// A longer gap in what is heard ends a turn to speak.
const GAP: Duration = Duration::from_millis(500);

/// Where the time of a run begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since(pub(super) Instant);

impl Since {
    fn ms(self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.0).as_millis()).unwrap_or(u64::MAX)
    }
}

/// The row of a watcher's pictures: how many of the steps each lacks, and how many pictures there are of each kind. Nothing where there is
/// one step.
pub(super) fn pictures(
    (name, since): (&str, Since),
    (steps, full, interval): (Steps, FrameSize, Duration),
    published: &[Published],
    shown: &[Shown],
) -> (Lane, Vec<u64>) {
    let mut lane = Lane::new(NodeName::new(name));
    if steps.count < 2 {
        return (lane, Vec::new());
    }
    let shown: BTreeMap<MediaTime, u8> =
        shown.iter().map(|shown| (shown.pts, lacks(steps, full, shown))).collect();
    let mut counts = vec![0u64; usize::from(steps.count) + 1];
    for picture in published {
        let lacks = shown.get(&picture.pts).copied().unwrap_or(steps.count);
        if let Some(count) = counts.get_mut(usize::from(lacks)) {
            *count += 1;
        }
        lane.push(since.ms(picture.captured_at), since.ms(picture.captured_at + interval), lacks);
    }
    (lane, counts)
}

/// How many of the steps a picture that was shown lacks.
fn lacks(steps: Steps, full: FrameSize, shown: &Shown) -> u8 {
    let most = steps.count.saturating_sub(1);
    let lacks = match (steps.of, shown.made_from) {
        (_, MadeFrom::Descriptions { came, of }) => of.saturating_sub(came),
        (StepKind::Qualities, MadeFrom::Layer(layer)) => most.saturating_sub(layer.quality),
        // Each resolution has half the width of the one above it, rounded to even.
        (_, MadeFrom::Layer(_)) => {
            let coded = shown.coded_size.width().max(1);
            let times = (full.width() + coded / 2) / coded;
            u8::try_from(times.max(1).ilog2()).unwrap_or(most)
        }
    };
    lacks.min(most)
}

/// The row of a watcher's sound: where each packet's came from. A pause lasts until the next packet that was sent.
pub(super) fn sound((name, since): (&str, Since), published: &[Published], heard: &[ShownSound]) -> Lane {
    let heard: BTreeMap<MediaTime, SoundSource> =
        heard.iter().map(|sound| (sound.pts, sound.source)).collect();
    let mut lane = Lane::new(NodeName::new(name));
    let next = published.iter().skip(1).map(Some).chain([None]);
    for (packet, next) in published.iter().zip(next) {
        let state = heard.get(&packet.pts).map_or(SoundState::Missing, |source| state_of(*source));
        let end = packet.captured_at + PACKET;
        let end = match next {
            Some(next) if state == SoundState::Pause => end.max(next.captured_at),
            _ => end,
        };
        lane.push(since.ms(packet.captured_at), since.ms(end), state.number());
    }
    lane
}

const fn state_of(source: SoundSource) -> SoundState {
    match source {
        SoundSource::Packet => SoundState::Packet,
        SoundSource::Repaired => SoundState::Repaired,
        SoundSource::Pause => SoundState::Pause,
        SoundSource::CoarseCopy => SoundState::CoarseCopy,
        SoundSource::Redundancy => SoundState::Redundancy,
        SoundSource::Concealment => SoundState::Concealed,
        SoundSource::Nothing => SoundState::Missing,
    }
}

/// What the sound was made from, in figures: of what was published, without what is guessed after its end.
pub(super) fn sound_report(lane: &Lane, played: &PlayStats) -> SoundReport {
    let ms = |of: Duration| u64::try_from(of.as_millis()).unwrap_or(u64::MAX);
    let totals = lane.totals(SoundState::ALL.len());
    let total = |state: SoundState| totals.get(usize::from(state.number())).copied().unwrap_or(0);
    SoundReport {
        packets_ms: total(SoundState::Packet),
        repaired_ms: total(SoundState::Repaired),
        coarse_copies_ms: total(SoundState::CoarseCopy),
        redundancy_ms: total(SoundState::Redundancy),
        concealed_ms: total(SoundState::Concealed),
        paused_ms: total(SoundState::Pause),
        stretched_ms: ms(played.sound.stretched),
        squeezed_ms: ms(played.sound.squeezed),
    }
}

/// When somebody speaks in a sound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Speaking {
    /// Media time in which anything is known, and in which somebody speaks, as beginnings and ends.
    known: Vec<(Duration, Duration)>,
    turns: Vec<(Duration, Duration)>,
}

impl Speaking {
    /// In what the speaker at that place publishes.
    pub(super) fn published(options: &Options, place: u8) -> Result<Self, Error> {
        let mut sound = TurnSound::load(options, place)?;
        let samples = usize::try_from(sound.sample_rate().hz() / 100).unwrap_or(usize::MAX);
        let (mut voice, mut pieces) = (VoiceActivity::new(), Vec::new());
        while let Some(pcm) = crate::publish::BlockSource::next(&mut sound, samples)? {
            let at = PIECE * u32::try_from(pieces.len()).unwrap_or(u32::MAX);
            pieces.push((MediaTime::from_duration(at), voice.update(&pcm, None)));
        }
        Ok(Self::of(&pieces))
    }

    /// In what is found of each 10 ms.
    pub(super) fn of(pieces: &[(MediaTime, Activity)]) -> Self {
        let mut speaking = Self::default();
        let (mut speech, mut began, mut end) = (Speech::new(), None, None::<Duration>);
        for (at, activity) in pieces {
            let at = at.as_duration();
            if end.is_some_and(|end| at > end + GAP) {
                speaking.ends(speech.stop(), &mut began, end.unwrap_or_default());
            }
            match speaking.known.last_mut() {
                Some((_, known)) if at <= *known + GAP => *known = at + PIECE,
                _ => speaking.known.push((at, at + PIECE)),
            }
            end = Some(at + PIECE);
            match speech.update(*activity) {
                Some(Turn::Began { ago }) => began = (at + PIECE).checked_sub(ago),
                turn => speaking.ends(turn, &mut began, at + PIECE),
            }
        }
        speaking.ends(speech.stop(), &mut began, end.unwrap_or_default());
        speaking
    }

    fn ends(&mut self, turn: Option<Turn>, began: &mut Option<Duration>, at: Duration) {
        if let (Some(Turn::Ended { ago }), Some(from)) = (turn, began.take_if(|_| turn.is_some())) {
            self.turns.push((from, at.saturating_sub(ago).max(from)));
        }
    }

    fn is_at(&self, at: Duration) -> bool {
        self.turns.iter().any(|(from, to)| (*from..*to).contains(&at))
    }

    /// For how long somebody speaks, in ms.
    pub(super) fn spoken_ms(&self) -> u64 {
        let spoken: Duration = self.turns.iter().map(|(from, to)| *to - *from).sum();
        u64::try_from(spoken.as_millis()).unwrap_or(u64::MAX)
    }

    /// Beside what was published.
    pub(super) fn report(&self, published: &Self) -> SpeechReport {
        let (mut alike, mut all) = (0u64, 0u64);
        for (from, to) in &self.known {
            let mut at = *from;
            while at < *to {
                alike += u64::from(self.is_at(at) == published.is_at(at));
                all += 1;
                at += PIECE;
            }
        }
        let agreement_percent = (all > 0).then(|| alike as f64 * 100.0 / all as f64);
        SpeechReport { spoken_ms: self.spoken_ms(), agreement_percent }
    }

    /// Whom a screen showed, beside who spoke of those who were on it.
    pub(super) fn view(lane: &Lane, speakers: &[Self], zero: Duration) -> ViewReport {
        let (mut right, mut all) = (0u64, 0u64);
        for span in &lane.spans {
            for at in (span.from_ms..span.to_ms).step_by(10) {
                let Some(media) = Duration::from_millis(at).checked_sub(zero) else { continue };
                let speak = |place: &usize| speakers.get(*place).is_some_and(|speaker| speaker.is_at(media));
                let mut speaking = (0..speakers.len()).filter(speak);
                if let (Some(one), None) = (speaking.next(), speaking.next()) {
                    right += u64::from(one == usize::from(span.state));
                    all += 1;
                }
            }
        }
        ViewReport {
            speakers: u8::try_from(speakers.len()).unwrap_or(u8::MAX),
            changes: (lane.spans.len() as u64).saturating_sub(1),
            right_percent: (all > 0).then(|| right as f64 * 100.0 / all as f64),
        }
    }

    /// As a row, where media time began at `zero` of the run.
    pub(super) fn lane(&self, name: &str, zero: Duration) -> Lane {
        let ms = |at: Duration| u64::try_from((zero + at).as_millis()).unwrap_or(u64::MAX);
        let mut lane = Lane::new(NodeName::new(name));
        for (from, to) in &self.known {
            for (begin, end) in self.turns.iter().filter(|(begin, _)| (*from..*to).contains(begin)) {
                // Silence up to there.
                let before = lane.spans.last().map_or(0, |last| last.to_ms).max(ms(*from));
                lane.push(before, ms(*begin), 0);
                lane.push(ms(*begin), ms(*end), 1);
            }
            lane.push(lane.spans.last().map_or(0, |last| last.to_ms).max(ms(*from)), ms(*to), 0);
        }
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec_opus::AudioLevel;
    use core_types::{Epoch, Layer, ObjectSeq};

    fn ms(at: u64) -> Duration {
        Duration::from_millis(at)
    }

    /// Pieces from one time to another, in ms, with a voice in those of the ranges.
    fn pieces(from: u64, to: u64, voice: &[(u64, u64)]) -> Vec<(MediaTime, Activity)> {
        let is_voice = |at: u64| voice.iter().any(|(begin, end)| (*begin..*end).contains(&at));
        let piece = |at: u64| {
            let activity = Activity { level: AudioLevel::SILENCE, is_voice: is_voice(at) };
            (MediaTime(at * 1_000), activity)
        };
        (from..to).step_by(10).map(piece).collect()
    }

    #[test]
    fn turns_to_speak_begin_and_end_where_the_voice_did() {
        let mut pieces_of = pieces(0, 6_000, &[(1_000, 2_500), (2_800, 4_000), (5_000, 5_100)]);
        // Nothing is heard for two seconds while somebody speaks, and that goes on afterwards.
        pieces_of.extend(pieces(6_000, 7_000, &[(6_300, 7_000)]));
        pieces_of.extend(pieces(9_000, 10_000, &[(9_000, 10_000)]));
        let speaking = Speaking::of(&pieces_of);
        let turns = [(1_000, 4_000), (6_300, 7_000), (9_000, 10_000)].map(|(from, to)| (ms(from), ms(to)));
        assert_eq!(speaking.turns, turns);
        assert_eq!(speaking.known, [(ms(0), ms(7_000)), (ms(9_000), ms(10_000))]);
        assert_eq!(speaking.spoken_ms(), 4_700);
        let lane = speaking.lane("w", ms(50));
        let spans: Vec<_> = lane.spans.iter().map(|s| (s.from_ms, s.to_ms, s.state)).collect();
        let expected =
            [(50, 1_050, 0), (1_050, 4_050, 1), (4_050, 6_350, 0), (6_350, 7_050, 1), (9_050, 10_050, 1)];
        assert_eq!(spans, expected);
    }

    #[test]
    fn what_is_heard_is_held_against_what_was_said() {
        let said = Speaking::of(&pieces(0, 4_000, &[(1_000, 3_000)]));
        let heard = Speaking::of(&pieces(2_000, 4_000, &[(2_000, 3_200)]));
        let report = heard.report(&said);
        assert_eq!((report.spoken_ms, report.agreement_percent), (1_200, Some(90.0)));
        assert_eq!(Speaking::default().report(&said).agreement_percent, None);
    }

    #[test]
    fn whom_the_screen_showed_is_held_against_who_spoke_alone() {
        let speakers = [
            Speaking::of(&pieces(0, 6_000, &[(0, 3_000)])),
            Speaking::of(&pieces(0, 6_000, &[(2_000, 6_000)])),
        ];
        let mut lane = Lane::new(NodeName::new("in view"));
        lane.push(100, 3_500, 0);
        lane.push(3_500, 6_000, 1);
        let view = Speaking::view(&lane, &speakers, Duration::ZERO);
        // 1.9 s of the first one alone, all right; 3 s of the second one, of which 2.5.
        assert_eq!((view.speakers, view.changes), (2, 1));
        assert!((view.right_percent.unwrap() - 4_400.0 / 49.0).abs() < 0.1, "{view:?}");
    }

    fn shown(pts: u64, width: u32, made_from: MadeFrom) -> Shown {
        Shown {
            pts: MediaTime(pts),
            shown_at: Instant::now(),
            latency: 0.0,
            encode: 0.0,
            send: 0.0,
            wait: 0.0,
            decode: 0.0,
            psnr: 0.0,
            coded_size: FrameSize::new(width, 36).unwrap(),
            made_from,
        }
    }

    /// What is not sent in a pause is part of it; what is missing after one is not.
    #[test]
    fn a_pause_lasts_until_the_next_packet_that_was_sent() {
        let at = Instant::now();
        let packet = |ms: u64| Published {
            kind: crate::publish::StreamKind::Audio,
            seq: ObjectSeq(0),
            epoch: Epoch(1),
            pts: MediaTime(ms * 1_000),
            captured_at: at + Duration::from_millis(ms),
            encoded_at: at,
            source_bytes: 0,
            coded_bytes: 0,
        };
        let published = [0, 20, 40, 440, 840, 860].map(packet);
        let sources = [SoundSource::Packet, SoundSource::Pause, SoundSource::Pause, SoundSource::Pause];
        let heard: Vec<ShownSound> = published
            .iter()
            .zip(sources)
            .map(|(packet, source)| ShownSound { pts: packet.pts, real: true, source, heard_at: at })
            .collect();
        let lane = sound(("w", Since(at)), &published, &heard);
        let spans: Vec<_> = lane.spans.iter().map(|span| (span.from_ms, span.to_ms, span.state)).collect();
        let [said, paused, missing] =
            [SoundState::Packet, SoundState::Pause, SoundState::Missing].map(SoundState::number);
        assert_eq!(spans, [(0, 20, said), (20, 840, paused), (840, 880, missing)]);
        assert_eq!(sound_report(&lane, &PlayStats::default()).paused_ms, 820);
        let at_the_end = sound(("w", Since(at)), &published[..4], &heard);
        assert_eq!(at_the_end.spans.last().map(|span| span.to_ms), Some(460));
    }

    #[test]
    fn pictures_are_told_by_how_much_of_them_came() {
        let at = Instant::now();
        let published = |pts: u64| Published {
            kind: crate::publish::StreamKind::Video,
            seq: ObjectSeq(0),
            epoch: Epoch(1),
            pts: MediaTime(pts),
            captured_at: at + Duration::from_micros(pts),
            encoded_at: at,
            source_bytes: 0,
            coded_bytes: 0,
        };
        let all: Vec<Published> = (0..4).map(|n| published(n * 40_000)).collect();
        let full = FrameSize::new(480, 270).unwrap();
        let row = |of, count, shown: &[Shown]| {
            let steps = Steps { of, count };
            let (lane, counts) = pictures(("w", Since(at)), (steps, full, ms(40)), &all, shown);
            (lane.spans.iter().map(|span| span.state).collect::<Vec<_>>(), counts)
        };
        let layer = MadeFrom::Layer(Layer { spatial: 2, temporal: 0, quality: 0 });
        let resolutions = [shown(0, 480, layer), shown(40_000, 240, layer), shown(80_000, 120, layer)];
        assert_eq!(row(StepKind::Resolutions, 3, &resolutions), (vec![0, 1, 2, 3], vec![1, 1, 1, 1]));
        let quality = |quality| MadeFrom::Layer(Layer { quality, ..Layer::BASE });
        let qualities = [shown(0, 480, quality(1)), shown(40_000, 480, quality(0))];
        assert_eq!(row(StepKind::Qualities, 2, &qualities), (vec![0, 1, 2], vec![1, 1, 2]));
        let of_four = |came| MadeFrom::Descriptions { came, of: 4 };
        let described =
            [shown(0, 480, of_four(4)), shown(40_000, 480, of_four(1)), shown(80_000, 480, of_four(1))];
        assert_eq!(row(StepKind::Descriptions, 4, &described), (vec![0, 3, 4], vec![1, 0, 0, 2, 1]));
        assert_eq!(row(StepKind::Whole, 1, &resolutions), (vec![], vec![]));
    }
}
