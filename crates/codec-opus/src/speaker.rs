//! Who speaks, as people are shown it: whoever draws breath speaks on, whoever coughs does not speak, and of several who speak at
//! once one stays in view.

use crate::{Activity, AudioLevel};
use core::time::Duration;
use core_types::MonoTime;
use std::collections::BTreeMap;

/// What changes in whether somebody speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// Speaks now.
    Began {
        /// How long ago the voice began.
        ago: Duration,
    },
    /// Speaks no more.
    Ended {
        /// How long ago the voice ended.
        ago: Duration,
    },
}

/// Whether one person speaks, from what is found of each 10 ms of their sound.
///
/// It begins with a voice that lasts for 400 ms, of which [`VoiceActivity`](crate::VoiceActivity) itself adds 300 to whatever it hears:
/// so with 100 ms of it. It ends when there was none for 500 ms, which is 800 ms of quiet. Both are told with how long ago it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Speech {
    speaks: bool,
    /// Pieces in a row that are not as they were before: with a voice, or without one.
    other: u32,
    /// All pieces in a row with a voice or, while it speaks, since it began to.
    length: u64,
}

impl Speech {
    const PIECE: Duration = Duration::from_millis(10);
    const BEGIN: u32 = 40;
    const END: u32 = 50;
    const PAUSE: u32 = 10;

    /// Silent.
    pub const fn new() -> Self {
        Self { speaks: false, other: 0, length: 0 }
    }

    /// Takes what is found of the next 10 ms.
    pub fn update(&mut self, activity: Activity) -> Option<Turn> {
        self.other = if activity.is_voice == self.speaks { 0 } else { self.other + 1 };
        let enough = if self.speaks { Self::END } else { Self::BEGIN };
        self.length = if self.speaks || activity.is_voice { self.length.saturating_add(1) } else { 0 };
        if self.other < enough {
            return None;
        }
        self.other = 0;
        self.speaks = !self.speaks;
        let ago = Self::PIECE * enough;
        Some(if self.speaks { Turn::Began { ago } } else { Turn::Ended { ago } })
    }

    /// The stream has stopped: whoever spoke does not any more.
    pub fn stop(&mut self) -> Option<Turn> {
        let ago = Self::PIECE * self.other;
        core::mem::take(self).speaks.then_some(Turn::Ended { ago })
    }

    /// Speaks now.
    pub const fn is_speaking(&self) -> bool {
        self.speaks
    }

    /// Speaks, and has had no voice for 100 ms: with what [`VoiceActivity`](crate::VoiceActivity) adds that is 400 ms of quiet.
    pub const fn is_pausing(&self) -> bool {
        self.speaks && self.other >= Self::PAUSE
    }

    /// For how long it has spoken without an end, or had a voice that is not taken for speech yet.
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.length.saturating_mul(10))
    }
}

/// Whom to show of several people: one at a time, by who speaks.
///
/// - Who is shown stays until another speaks and they do not, or pause; when nobody speaks they stay.
/// - While they speak, another takes their place who has spoken for two seconds and is 6 dB louder: an interjection does not.
/// - Who was given the place has it for a second at least, unless they go.
/// - Of several the one comes first who has spoken for longest, and of those the loudest.
///
/// Reads no clock. It keeps an entry for everybody who was heard until they are [`gone`](Self::gone).
#[derive(Debug, Clone, Default)]
pub struct SpeakerView<K> {
    people: BTreeMap<K, Person>,
    shown: Option<K>,
    since: MonoTime,
}

#[derive(Debug, Clone, Copy)]
struct Person {
    speech: Speech,
    heard: MonoTime,
    /// Decibels below the loudest in 1/256, over half a second or so.
    quietness: i32,
}

impl<K: Copy + Ord> SpeakerView<K> {
    const STAY: Duration = Duration::from_secs(1);
    const TALKED_OVER: Duration = Duration::from_secs(2);
    const LOUDER: i32 = 6 * 256;
    /// Of whom nothing was heard for so long does not speak.
    const STALE: Duration = Duration::from_millis(500);

    /// Nobody is there yet.
    pub const fn new() -> Self {
        Self { people: BTreeMap::new(), shown: None, since: MonoTime(0) }
    }

    /// Takes what is found of somebody's next 10 ms, heard at `now`. Gives whom to show from then on, if that is somebody else.
    pub fn heard(&mut self, now: MonoTime, who: K, activity: Activity) -> Option<K> {
        let silent = Person {
            speech: Speech::new(),
            heard: now,
            quietness: i32::from(AudioLevel::SILENCE.below_loudest()) * 256,
        };
        let person = self.people.entry(who).or_insert(silent);
        if now.since(person.heard) >= Self::STALE {
            person.speech.stop();
        }
        person.heard = now;
        person.speech.update(activity);
        let level = i32::from(activity.level.below_loudest()) * 256;
        person.quietness += (level - person.quietness) / 64;
        self.decide(now)
    }

    /// Somebody is not there any more. Gives whom to show instead, if they were shown and another speaks.
    pub fn gone(&mut self, now: MonoTime, who: K) -> Option<K> {
        self.people.remove(&who);
        if self.shown == Some(who) {
            self.shown = None;
        }
        self.decide(now)
    }

    /// Who is shown; nobody before somebody has spoken.
    pub const fn shown(&self) -> Option<K> {
        self.shown
    }

    /// Everybody who speaks.
    pub fn speaking(&self, now: MonoTime) -> impl Iterator<Item = K> {
        self.people.iter().filter(move |(_, person)| person.speaks(now)).map(|(who, _)| *who)
    }

    fn decide(&mut self, now: MonoTime) -> Option<K> {
        let shown = self.shown.and_then(|who| self.people.get(&who));
        if shown.is_some() && now.since(self.since) < Self::STAY {
            return None;
        }
        let floor = shown.filter(|shown| shown.speaks(now) && !shown.speech.is_pausing());
        let may = |(who, person): &(&K, &Person)| {
            let is_over = |floor: &Person| {
                person.speech.length() >= Self::TALKED_OVER
                    && person.quietness.saturating_add(Self::LOUDER) <= floor.quietness
            };
            Some(**who) != self.shown && person.speaks(now) && floor.is_none_or(is_over)
        };
        let (next, _) = self
            .people
            .iter()
            .filter(may)
            .max_by_key(|(_, person)| (person.speech.length(), core::cmp::Reverse(person.quietness)))?;
        let next = *next;
        (self.shown, self.since) = (Some(next), now);
        Some(next)
    }
}

impl Person {
    const fn speaks(&self, now: MonoTime) -> bool {
        self.speech.is_speaking() && now.since(self.heard).as_millis() < SpeakerView::<u8>::STALE.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sound(is_voice: bool, below_loudest: u8) -> Activity {
        // The level of a square wave so far below the loudest.
        let amplitude = (32_767.0 * 10f64.powf(-f64::from(below_loudest) / 20.0)) as i16;
        let pcm: Vec<i16> = (0..480).map(|n| if n / 40 % 2 == 0 { amplitude } else { -amplitude }).collect();
        Activity { level: AudioLevel::of(&pcm), is_voice }
    }

    /// Each of the people with a voice or without one for so many ms; gives when who was put in view.
    fn changes(view: &mut SpeakerView<u8>, from: u64, ms: u64, people: &[(u8, bool, u8)]) -> Vec<(u64, u8)> {
        let people: Vec<_> = people.iter().map(|(who, voice, level)| (*who, sound(*voice, *level))).collect();
        let mut changes = Vec::new();
        for at in (from..from + ms).step_by(10) {
            for (who, activity) in &people {
                changes.extend(view.heard(MonoTime::from_millis(at), *who, *activity).map(|who| (at, who)));
            }
        }
        changes
    }

    #[test]
    fn who_draws_breath_speaks_on_and_who_coughs_does_not_speak() {
        let mut speech = Speech::new();
        let mut turns = |voice: bool, ms: u32| -> Vec<(u32, Turn)> {
            let turn = |n: u32| speech.update(sound(voice, 20)).map(|turn| (n * 10, turn));
            (0..ms / 10).filter_map(turn).collect()
        };
        let ms = Duration::from_millis;
        assert_eq!(turns(true, 390), []);
        assert_eq!(turns(false, 2_000), [], "a cough");
        assert_eq!(turns(true, 5_000), [(390, Turn::Began { ago: ms(400) })]);
        assert_eq!(turns(false, 490), [], "a breath");
        assert_eq!(turns(true, 1_000), []);
        assert_eq!(turns(false, 5_000), [(490, Turn::Ended { ago: ms(500) })]);
        turns(true, 1_000);
        turns(false, 100);
        assert_eq!(speech.length(), ms(1_100));
        assert_eq!(speech.stop(), Some(Turn::Ended { ago: ms(100) }));
        assert_eq!((speech.is_speaking(), speech.stop()), (false, None));
    }

    #[test]
    fn the_view_goes_to_who_takes_the_floor_and_stays_while_nobody_speaks() {
        let mut view = SpeakerView::new();
        assert_eq!(
            (changes(&mut view, 0, 1_000, &[(1, false, 70), (2, false, 70)]), view.shown()),
            (vec![], None)
        );
        assert_eq!(changes(&mut view, 1_000, 3_000, &[(1, true, 20), (2, false, 70)]), [(1_390, 1)]);
        assert_eq!(changes(&mut view, 4_000, 5_000, &[(1, false, 70), (2, false, 70)]), [], "it stays");
        assert_eq!(changes(&mut view, 9_000, 3_000, &[(1, false, 70), (2, true, 20)]), [(9_390, 2)]);
        let speaking: Vec<u8> = view.speaking(MonoTime::from_millis(12_000)).collect();
        assert_eq!(speaking, [2]);
    }

    #[test]
    fn a_pause_of_one_is_enough_for_another() {
        let mut view = SpeakerView::new();
        changes(&mut view, 0, 3_000, &[(1, true, 20), (2, true, 20)]);
        assert_eq!(changes(&mut view, 3_000, 90, &[(1, false, 20), (2, true, 20)]), []);
        assert_eq!(changes(&mut view, 3_090, 1_000, &[(1, false, 20), (2, true, 20)]), [(3_090, 2)]);
    }

    #[test]
    fn an_interjection_changes_nothing_and_who_talks_over_somebody_for_long_gets_the_view() {
        let mut view = SpeakerView::new();
        changes(&mut view, 0, 3_000, &[(1, true, 26), (2, false, 70)]);
        assert_eq!(changes(&mut view, 3_000, 1_500, &[(1, true, 26), (2, true, 10)]), []);
        changes(&mut view, 4_500, 2_000, &[(1, true, 26), (2, false, 70)]);
        assert_eq!(
            changes(&mut view, 6_500, 6_000, &[(1, true, 26), (2, true, 24)]),
            [],
            "as loud as the other"
        );
        let over = changes(&mut view, 12_500, 2_000, &[(1, true, 26), (2, true, 10)]);
        assert_eq!(over.iter().map(|(_, who)| *who).collect::<Vec<_>>(), [2], "{over:?}");
    }

    #[test]
    fn who_goes_or_falls_silent_without_a_word_gives_the_view_away() {
        let mut view = SpeakerView::new();
        changes(&mut view, 0, 2_000, &[(1, true, 20), (2, true, 30)]);
        assert_eq!(view.shown(), Some(1));
        // Nothing is heard of the first one any more.
        let stale = changes(&mut view, 2_000, 1_000, &[(2, true, 30)]);
        assert_eq!(stale, [(2_490, 2)]);
        changes(&mut view, 3_000, 1_000, &[(1, true, 20), (2, true, 30)]);
        assert_eq!(view.gone(MonoTime::from_millis(4_000), 2), Some(1), "at once");
        assert_eq!((view.gone(MonoTime::from_millis(4_000), 1), view.shown()), (None, None));
    }

    proptest! {
        #[test]
        fn the_view_never_flickers_and_goes_only_to_who_speaks(
            turns in prop::collection::vec((any::<[bool; 3]>(), 1u64..80), 1..60),
        ) {
            let mut view = SpeakerView::new();
            let (mut now, mut last) = (0u64, None::<u64>);
            for (voices, pieces) in turns {
                for _ in 0..pieces {
                    for (who, voice) in voices.iter().enumerate() {
                        let at = MonoTime::from_millis(now);
                        if let Some(shown) = view.heard(at, who, sound(*voice, 20)) {
                            prop_assert!(last.is_none_or(|last| now - last >= 1_000), "after {} ms", now - last.unwrap());
                            prop_assert!(view.speaking(at).any(|who| who == shown));
                            prop_assert_eq!(view.shown(), Some(shown));
                            last = Some(now);
                        }
                    }
                    now += 10;
                }
            }
        }
    }
}
