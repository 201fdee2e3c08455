//! Puts the packets of two tracks into the order of time, and sets the origin of time.

use core::time::Duration;
use core_types::MediaTime;
use std::collections::BTreeMap;

/// How long a packet waits for earlier ones.
const HOLD: Duration = Duration::from_secs(1);
/// How many packets wait at most; then the earliest goes whatever its age.
const MAX_HELD: usize = 512;
/// How many bytes wait at most; then the earliest goes whatever its age.
const MAX_HELD_BYTES: usize = 32 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Track {
    Video,
    Audio,
}

/// A packet whose turn has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) track: Track,
    /// Since the first key frame.
    pub(super) at: Duration,
    pub(super) key: bool,
    pub(super) data: Vec<u8>,
}

/// Holds packets back for up to a second of media time. Time starts at the first video key frame; what belongs before
/// it is dropped. A track's packets never come out in an order that its decoder could not follow.
#[derive(Debug, Default)]
pub(super) struct Interleaver {
    origin: Option<MediaTime>,
    /// By time, then by arrival.
    held: BTreeMap<(MediaTime, u64), (Track, bool, Vec<u8>)>,
    held_bytes: usize,
    arrivals: u64,
    newest: MediaTime,
    last_video: Option<MediaTime>,
    last_audio: Option<MediaTime>,
    dropped: u64,
}

impl Interleaver {
    /// How many packets were dropped: before the first key frame, or later than the hold allows.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn push(&mut self, track: Track, pts: MediaTime, key: bool, data: Vec<u8>) {
        if self.origin.is_none() && track == Track::Video {
            if !key {
                self.dropped += 1;
                return;
            }
            self.origin = Some(pts);
            let early = |(at, _): &(MediaTime, u64)| *at < pts;
            let before = self.held.len();
            self.held.retain(|at, _| !early(at));
            self.dropped += (before - self.held.len()) as u64;
            self.held_bytes = self.held.values().map(|(_, _, data)| data.len()).sum();
            self.newest = self.held.keys().next_back().map_or(pts, |(at, _)| *at);
        }
        let last = match track {
            Track::Video => self.last_video,
            Track::Audio => self.last_audio,
        };
        if last.max(self.origin).is_some_and(|last| pts < last) {
            self.dropped += 1;
            return;
        }
        self.held_bytes += data.len();
        self.held.insert((pts, self.arrivals), (track, key, data));
        self.arrivals += 1;
        self.newest = self.newest.max(pts);
        if self.origin.is_none() {
            self.forget_old();
        }
    }

    /// The next packet that has waited long enough.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        self.origin?;
        let due = self.is_full() || self.oldest_age()? > HOLD;
        if due { self.take_first() } else { None }
    }

    /// The next packet however short it waited: for the end of the file.
    pub(super) fn drain(&mut self) -> Option<Packet> {
        // Sound without any picture is worth keeping too.
        self.origin = self.origin.or_else(|| self.held.keys().next().map(|(at, _)| *at));
        self.take_first()
    }

    /// Before the first key frame only the last second of sound is kept.
    fn forget_old(&mut self) {
        while self.is_full() || self.oldest_age().is_some_and(|age| age > HOLD) {
            let Some((_, (_, _, data))) = self.held.pop_first() else { return };
            self.held_bytes -= data.len();
            self.dropped += 1;
        }
    }

    fn is_full(&self) -> bool {
        self.held.len() > MAX_HELD || self.held_bytes > MAX_HELD_BYTES
    }

    fn oldest_age(&self) -> Option<Duration> {
        let (oldest, _) = self.held.keys().next()?;
        Some(self.newest.as_duration().saturating_sub(oldest.as_duration()))
    }

    fn take_first(&mut self) -> Option<Packet> {
        let ((pts, _), (track, key, data)) = self.held.pop_first()?;
        self.held_bytes -= data.len();
        match track {
            Track::Video => self.last_video = Some(pts),
            Track::Audio => self.last_audio = Some(pts),
        }
        let at = pts.as_duration().saturating_sub(self.origin.unwrap_or(pts).as_duration());
        Some(Packet { track, at, key, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(interleaver: &mut Interleaver) -> Vec<(Track, u64)> {
        std::iter::from_fn(|| interleaver.drain()).map(|p| (p.track, p.at.as_millis() as u64)).collect()
    }

    const fn ms(millis: u64) -> MediaTime {
        MediaTime(millis * 1_000)
    }

    #[test]
    fn time_starts_at_the_first_key_frame_and_what_is_before_it_goes() {
        let mut i = Interleaver::default();
        i.push(Track::Audio, ms(4_980), true, b"a".to_vec());
        i.push(Track::Video, ms(4_990), false, b"v".to_vec());
        i.push(Track::Audio, ms(5_020), true, b"a".to_vec());
        i.push(Track::Video, ms(5_000), true, b"v".to_vec());
        i.push(Track::Audio, ms(4_999), true, b"a".to_vec());
        assert_eq!(all(&mut i), [(Track::Video, 0), (Track::Audio, 20)]);
        assert_eq!(i.dropped(), 3);
    }

    #[test]
    fn a_packet_waits_for_a_second_and_no_longer() {
        let mut i = Interleaver::default();
        i.push(Track::Video, ms(0), true, b"v".to_vec());
        i.push(Track::Video, ms(1_000), false, b"v".to_vec());
        assert!(i.pop().is_none());
        i.push(Track::Audio, ms(500), true, b"a".to_vec());
        i.push(Track::Video, ms(1_501), false, b"v".to_vec());
        let popped: Vec<_> = std::iter::from_fn(|| i.pop()).map(|p| p.at.as_millis()).collect();
        assert_eq!(popped, [0, 500]);
    }

    #[test]
    fn a_frame_older_than_one_already_out_is_dropped_but_sound_still_comes() {
        let mut i = Interleaver::default();
        i.push(Track::Video, ms(0), true, b"v".to_vec());
        i.push(Track::Video, ms(5_000), false, b"v".to_vec());
        i.push(Track::Video, ms(9_000), false, b"v".to_vec());
        while i.pop().is_some() {}
        i.push(Track::Video, ms(4_000), false, b"v".to_vec());
        i.push(Track::Audio, ms(4_000), true, b"a".to_vec());
        assert_eq!(all(&mut i), [(Track::Audio, 4_000), (Track::Video, 9_000)]);
        assert_eq!(i.dropped(), 1);
    }

    #[test]
    fn sound_without_pictures_is_kept_for_the_last_second() {
        let mut i = Interleaver::default();
        for n in 0..200 {
            i.push(Track::Audio, ms(n * 20), true, b"a".to_vec());
            assert!(i.pop().is_none());
        }
        let out = all(&mut i);
        assert_eq!((out.len(), out[0].1, out[50].1), (51, 0, 1_000));
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_in_bytes() {
        for (packets, bytes) in [(2_000, 1), (40, 1 << 20)] {
            let mut i = Interleaver::default();
            let mut out = 0;
            i.push(Track::Video, ms(0), true, vec![0; bytes]);
            for _ in 1..packets {
                i.push(Track::Audio, ms(0), true, vec![0; bytes]);
                out += std::iter::from_fn(|| i.pop()).count();
                assert!(i.held.len() <= MAX_HELD && i.held_bytes <= MAX_HELD_BYTES);
            }
            assert_eq!((out + all(&mut i).len(), i.dropped()), (packets, 0));
        }
    }

    proptest! {
        #[test]
        fn each_track_comes_out_in_order_and_nothing_is_lost_uncounted(
            pushes in proptest::collection::vec((any::<bool>(), 0u64..5_000_000, any::<bool>()), 0..700)
        ) {
            let mut i = Interleaver::default();
            let mut out = Vec::new();
            for (video, pts, key) in &pushes {
                let track = if *video { Track::Video } else { Track::Audio };
                i.push(track, MediaTime(*pts), *key, vec![0; 8]);
                out.extend(std::iter::from_fn(|| i.pop()));
                prop_assert!(i.held.len() <= MAX_HELD);
            }
            out.extend(std::iter::from_fn(|| i.drain()));
            prop_assert_eq!(out.len() as u64 + i.dropped(), pushes.len() as u64);
            for track in [Track::Video, Track::Audio] {
                let times: Vec<_> = out.iter().filter(|p| p.track == track).map(|p| p.at).collect();
                prop_assert!(times.is_sorted());
            }
            prop_assert_eq!(i.held_bytes, 0);
        }
    }
}
