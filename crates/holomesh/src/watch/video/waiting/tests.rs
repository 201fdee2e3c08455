//! What waits, what is missing before it, and what goes when there is no room.

use super::*;
use crate::publish::StreamKind;
use crate::watch::receive::Told;
use av_wire::ObjectFlags;
use core_types::{Layer, ObjectClass, ObjectSeq};

const MOST: usize = 256;

fn object(picture: u64, spatial: u8, told: Option<Told>) -> Received {
    let class = if picture == 0 && spatial == 0 { ObjectClass::KeyFrame } else { ObjectClass::Plain };
    Received {
        kind: StreamKind::Video,
        description: None,
        seq: ObjectSeq(picture * 2 + u64::from(spatial)),
        layer: Layer { spatial, ..Layer::BASE },
        class,
        flags: ObjectFlags { key_frame: class == ObjectClass::KeyFrame, ..ObjectFlags::default() },
        pts: MediaTime(picture * 40_000),
        picture,
        told,
        payload: Vec::new(),
        assembled_at: Instant::now(),
        was_repaired: false,
    }
}

/// Two layers, and what came before as temporal layer, discardable, awaited.
fn base(picture: u64, before: &[(u8, bool, bool)]) -> Received {
    let first = picture - before.len() as u64;
    let before = (first..).zip(before).map(|(picture, &(temporal, discardable, awaited))| Before {
        picture,
        temporal,
        discardable,
        awaited,
    });
    object(picture, 0, Some(Told { objects: 2, before: before.collect() }))
}

fn begun() -> Waiting {
    let mut waiting = Waiting::new(MOST, Duration::from_millis(40));
    waiting.push(base(0, &[]));
    assert!(matches!(waiting.next(), Some(Next::Part { .. })));
    waiting.push(object(0, 1, None));
    assert_eq!(waiting.next(), Some(Next::Whole));
    assert_eq!(waiting.take().unwrap().len(), 2);
    waiting
}

#[test]
fn what_is_missing_is_what_a_later_picture_says_it_was() {
    let mut waiting = begun();
    waiting.push(base(3, &[(0, false, true), (2, true, true), (1, false, true)]));
    assert!(matches!(waiting.next(), Some(Next::Missing { needed: false, .. })));
    assert_eq!(waiting.skip(), Skipped { lost: 2, missed: vec![1] });
    waiting.push(object(3, 1, None));
    assert_eq!(waiting.next(), Some(Next::Whole));
}

#[test]
fn pictures_that_are_not_meant_for_this_watcher_are_no_loss() {
    let mut waiting = begun();
    waiting.push(base(2, &[(0, false, true), (2, true, false)]));
    assert_eq!(waiting.next(), Some(Next::Unwanted));
    assert_eq!(waiting.skip(), Skipped::default());
}

#[test]
fn of_what_nobody_tells_it_is_taken_that_all_refer_to_it() {
    let mut waiting = begun();
    // Its list reaches back to a picture of the lowest rate, and three are missing before that.
    waiting.push(base(6, &[(0, false, true), (2, true, true)]));
    assert!(matches!(waiting.next(), Some(Next::Missing { needed: true, .. })));
    assert_eq!(waiting.skip(), Skipped { lost: 3 + 2, missed: vec![0, 0] });
}

#[test]
fn a_picture_without_its_lowest_object_is_a_missing_one_until_that_comes() {
    let mut waiting = begun();
    waiting.push(object(1, 1, None));
    assert_eq!(waiting.next(), None);
    waiting.push(base(2, &[(0, false, true), (0, false, true)]));
    assert!(matches!(waiting.next(), Some(Next::Missing { needed: true, .. })));
    waiting.push(base(1, &[(0, false, true)]));
    assert_eq!(waiting.next(), Some(Next::Whole));
}

#[test]
fn a_picture_has_no_more_objects_than_there_may_be() {
    let mut waiting = begun();
    for seq in 100..10_000 {
        waiting.push(Received { seq: ObjectSeq(seq), ..object(7, 1, None) });
    }
    assert_eq!(waiting.pictures[&7].len(), 4);
}

#[test]
fn there_is_room_for_what_can_be_made_something_of() {
    let mut waiting = begun();
    for picture in 1..=MOST as u64 {
        assert_eq!(waiting.push(object(picture, 1, None)), Pushed::default());
    }
    assert_eq!(waiting.push(base(300, &[])), Pushed { useless: 1, starts_anew: false });
    assert_eq!(waiting.pictures.len(), MOST);
    assert_eq!(waiting.first().map(|(number, _)| number), Some(300));
}

fn key_frame(picture: u64) -> Received {
    let flags = ObjectFlags { key_frame: true, ..ObjectFlags::default() };
    Received { class: ObjectClass::KeyFrame, flags, ..base(picture, &[]) }
}

#[test]
fn when_it_is_full_playing_goes_on_at_the_newest_key_frame() {
    let mut waiting = begun();
    for picture in 1..=MOST as u64 {
        let came = if picture % 100 == 0 { key_frame(picture) } else { base(picture, &[]) };
        assert_eq!(waiting.push(came), Pushed::default());
    }
    assert!(waiting.is_full());
    assert_eq!(waiting.push(base(257, &[])), Pushed { useless: 199, starts_anew: true });
    assert_eq!(waiting.next(), Some(Next::Part { pts: MediaTime(200 * 40_000) }));
    assert_eq!(waiting.pictures.len(), 58);
}

#[test]
fn when_it_is_full_and_there_is_no_key_frame_one_is_waited_for() {
    let mut waiting = begun();
    for picture in 1..=MOST as u64 {
        waiting.push(base(picture, &[]));
    }
    let pushed = waiting.push(base(257, &[]));
    assert_eq!((pushed, waiting.next.is_none()), (Pushed { useless: 256, starts_anew: true }, true));
    for picture in 258..900 {
        assert!(!waiting.push(base(picture, &[])).starts_anew);
        assert!(waiting.next().is_none() && waiting.pictures.len() <= MOST);
    }
    waiting.push(key_frame(900));
    assert_eq!(waiting.next(), Some(Next::Part { pts: MediaTime(900 * 40_000) }));
    assert_eq!(waiting.pictures.len(), 1);
}

#[test]
fn what_waits_is_bounded_in_bytes_however_few_pictures_it_is() {
    let mut waiting = begun();
    let large =
        |picture: u64, spatial: u8| Received { payload: vec![0; 1 << 20], ..object(picture, spatial, None) };
    for picture in 1..200 {
        for spatial in 0..3 {
            waiting.push(large(picture, spatial));
        }
        let held: usize = bytes(&waiting.pictures);
        assert_eq!(held, waiting.bytes);
        assert!(held <= MAX_WAITING_BYTES + (3 << 20), "{held}");
    }
    while waiting.skip() != Skipped::default() || waiting.take().is_some() {}
    assert_eq!((waiting.bytes, waiting.pictures.len()), (0, 0));
}

#[test]
fn what_was_far_ahead_of_the_first_key_frame_is_forgotten_with_it() {
    let mut waiting = Waiting::new(MOST, Duration::from_millis(40));
    waiting.push(base(1 << 40, &[]));
    waiting.push(base(3, &[]));
    assert_eq!(waiting.push(key_frame(2)).useless, 1);
    assert_eq!(waiting.pictures.keys().copied().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn the_first_one_can_be_left_out() {
    let mut waiting = begun();
    assert_eq!(waiting.leave_out(), None);
    waiting.push(base(4, &[]));
    waiting.push(base(1, &[]));
    assert_eq!(waiting.leave_out(), Some(0), "the next one");
    assert_eq!(waiting.leave_out(), None, "those before it may still come");
    waiting.push(base(2, &[]));
    assert!(matches!(waiting.next(), Some(Next::Part { .. })));
}
