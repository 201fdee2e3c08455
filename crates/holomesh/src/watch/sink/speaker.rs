//! One screen for several sessions: it shows the publisher who speaks.

use super::{ShownPicture, Sink};
use crate::Error;
use av_wire::{Media, StreamAnnounce};
use codec_opus::{Activity, SpeakerView};
use core_types::{FrameSize, MediaTime, MonoTime};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A session's part in a screen that it shares with others. The pictures of the one whose publisher speaks are shown, in the size of the
/// first session that there were any of; before anybody has spoken, that one's.
pub struct SpeakerSink {
    screen: Arc<Mutex<Screen>>,
    place: usize,
}

/// What the sessions share.
struct Screen {
    out: Option<Box<dyn Sink>>,
    /// Hears whose pictures are shown from when on, by their place in the list of [`SpeakerSink::screen`].
    told: Box<dyn FnMut(usize, Instant) + Send>,
    /// Where the node's own time begins, as far as the view is concerned.
    origin: Instant,
    view: SpeakerView<usize>,
    /// Whose pictures are shown.
    shown: Option<usize>,
    /// The size of the screen, once something was announced for it.
    size: Option<FrameSize>,
    /// Sessions that have not ended.
    left: usize,
}

impl SpeakerSink {
    /// One sink for each of so many sessions, in their order. What is shown goes to `out`; `told` hears of each change whose pictures they are,
    /// by their place in that order, and when.
    pub fn screen(
        sessions: usize,
        out: Box<dyn Sink>,
        told: Box<dyn FnMut(usize, Instant) + Send>,
    ) -> Vec<Self> {
        let screen = Screen {
            out: Some(out),
            told,
            origin: Instant::now(),
            view: SpeakerView::new(),
            shown: None,
            size: None,
            left: sessions,
        };
        let screen = Arc::new(Mutex::new(screen));
        (0..sessions).map(|place| Self { screen: screen.clone(), place }).collect()
    }

    fn screen_of(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for SpeakerSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpeakerSink").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Screen {
    fn show(&mut self, place: usize, at: Instant) {
        self.shown = Some(place);
        (self.told)(place, at);
    }
}

impl Sink for SpeakerSink {
    fn stream(&mut self, announce: &StreamAnnounce) -> Result<(), Error> {
        let Media::Video { size, .. } = announce.media else { return Ok(()) };
        let mut screen = self.screen_of();
        if screen.size.is_some() {
            return Ok(());
        }
        screen.size = Some(size);
        screen.out.as_mut().map_or(Ok(()), |out| out.stream(announce))
    }

    fn picture(&mut self, picture: &ShownPicture<'_>) -> Result<(), Error> {
        let mut screen = self.screen_of();
        if screen.shown.is_none() {
            screen.show(self.place, picture.shown_at);
        }
        if screen.shown != Some(self.place) {
            return Ok(());
        }
        let Screen { out: Some(out), size: Some(size), .. } = &mut *screen else { return Ok(()) };
        if picture.frame.size() == *size {
            return out.picture(picture);
        }
        let scaled = picture.frame.scaled(*size);
        out.picture(&ShownPicture { frame: &scaled, ..*picture })
    }

    fn activity(&mut self, _at: MediaTime, heard_at: Instant, activity: Activity) {
        let mut screen = self.screen_of();
        let now = micros_since(screen.origin, heard_at);
        if let Some(place) = screen.view.heard(now, self.place, activity)
            && screen.shown != Some(place)
        {
            screen.show(place, heard_at);
        }
    }

    fn finish(self: Box<Self>) -> Result<(), Error> {
        let mut screen = self.screen_of();
        let at = Instant::now();
        let now = micros_since(screen.origin, at);
        screen.left = screen.left.saturating_sub(1);
        let next = screen.view.gone(now, self.place);
        if screen.shown == Some(self.place) {
            // Whoever has pictures next, if nobody speaks.
            screen.shown = None;
            if let Some(next) = next {
                screen.show(next, at);
            }
        }
        if screen.left == 0 { screen.out.take().map_or(Ok(()), |out| out.finish()) } else { Ok(()) }
    }
}

fn micros_since(origin: Instant, at: Instant) -> MonoTime {
    let micros = at.saturating_duration_since(origin).as_micros();
    MonoTime::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{StreamKind, announce};
    use crate::watch::MadeFrom;
    use codec_av1::Frame;
    use codec_opus::AudioLevel;
    use core_types::{KeyId, Layer, ObjectSeq};
    use std::time::Duration;

    /// What was shown: the brightness and the size of each picture, and whether it has ended.
    #[derive(Clone, Default)]
    struct Eyes(Arc<Mutex<Seen>>);

    #[derive(Clone, Default)]
    struct Seen {
        pictures: Vec<(u8, FrameSize)>,
        ended: bool,
    }

    impl Sink for Eyes {
        fn picture(&mut self, picture: &ShownPicture<'_>) -> Result<(), Error> {
            let luma = picture.frame.y()[0];
            self.0.lock().unwrap().pictures.push((luma, picture.frame.size()));
            Ok(())
        }

        fn finish(self: Box<Self>) -> Result<(), Error> {
            self.0.lock().unwrap().ended = true;
            Ok(())
        }
    }

    fn size(width: u32, height: u32) -> FrameSize {
        FrameSize::new(width, height).unwrap()
    }

    fn picture(sink: &mut SpeakerSink, at: Instant, of: FrameSize) {
        let luma = sink.place as u8 * 50 + 10;
        let frame = Frame::from_i420(of, vec![luma; of.bytes_420()]).unwrap();
        let shown = ShownPicture {
            seq: ObjectSeq(0),
            pts: MediaTime(0),
            frame: &frame,
            coded_size: of,
            made_from: MadeFrom::Layer(Layer::BASE),
            assembled_at: at,
            decode_time: Duration::ZERO,
            shown_at: at,
            late: false,
        };
        sink.picture(&shown).unwrap();
    }

    #[test]
    fn the_screen_shows_who_speaks_in_one_size_and_ends_with_the_last() {
        let (eyes, changes) = (Eyes::default(), Arc::<Mutex<Vec<usize>>>::default());
        let told = changes.clone();
        let told = Box::new(move |place, _| told.lock().unwrap().push(place));
        let mut sinks = SpeakerSink::screen(2, Box::new(eyes.clone()), told);
        let sizes = [size(64, 32), size(32, 16)];
        for (sink, size) in sinks.iter_mut().zip(sizes) {
            let mut announce = announce(StreamKind::Video, KeyId([1; 32]), 1);
            if let Media::Video { size: of, .. } = &mut announce.media {
                *of = size;
            }
            sink.stream(&announce).unwrap();
        }
        let origin = Instant::now();
        // The second one speaks, then the first, then nobody, and the first one leaves.
        for n in 0..600u64 {
            let at = origin + Duration::from_millis(n * 10);
            for place in 0..2 {
                let is_voice = if n < 300 { place == 1 } else { place == 0 && n < 500 };
                let level = AudioLevel::of(&[if is_voice { 4_000 } else { 10 }; 480]);
                sinks[place].activity(MediaTime(n * 10_000), at, Activity { level, is_voice });
                if n % 4 == 0 {
                    picture(&mut sinks[place], at, sizes[place]);
                }
            }
        }
        let second = Box::new(sinks.pop().unwrap());
        Box::new(sinks.pop().unwrap()).finish().unwrap();
        assert!(!eyes.0.lock().unwrap().ended, "one is left");
        let mut second = second;
        picture(&mut second, origin + Duration::from_secs(7), sizes[1]);
        second.finish().unwrap();
        assert_eq!(*changes.lock().unwrap(), [0, 1, 0, 1]);
        let Seen { pictures: shown, ended } = eyes.0.lock().unwrap().clone();
        assert!(ended && shown.iter().all(|(_, size)| *size == sizes[0]), "{shown:?}");
        assert_eq!(shown.len(), 151, "of each moment one picture");
        let mut runs: Vec<u8> = shown.iter().map(|(luma, _)| *luma).collect();
        runs.dedup();
        assert_eq!(runs, [10, 60, 10, 60]);
    }
}
