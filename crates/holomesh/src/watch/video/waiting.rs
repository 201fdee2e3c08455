//! Objects until their picture is decoded: what is there of each, what is still awaited, and what is missing before it.

use super::MAX_WAITING;
use crate::watch::receive::{Before, Received};
use core_types::MediaTime;
use std::collections::BTreeMap;
use std::time::Instant;

/// Objects of a picture, at most (spec 64.2.5).
const MAX_OBJECTS: usize = 4;

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Decode a picture with all that is awaited of it.
    Whole,
    /// Decode a picture of which more may come.
    Part {
        /// When it is to be shown.
        pts: MediaTime,
    },
    /// Go past pictures of which nothing can be made, to one that is there.
    Missing {
        /// When the one that is there is to be shown.
        pts: MediaTime,
        /// When something of it came.
        came_at: Instant,
        /// Others refer to some of what is missing.
        needed: bool,
    },
    /// Go past pictures that are not meant for this watcher.
    Unwanted,
}

/// What was gone past.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Skipped {
    /// Pictures that should have come.
    pub(super) lost: u64,
    /// Temporal layers of those that others refer to.
    pub(super) missed: Vec<u8>,
}

/// What is there of a picture, by the number of the object.
type Objects = BTreeMap<u64, Received>;

/// Pictures that wait, in their order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pictures: BTreeMap<u64, Objects>,
    /// The number of the next picture; none before the first key frame.
    next: Option<u64>,
}

impl Waiting {
    pub(super) fn is_past(&self, picture: u64) -> bool {
        self.next.is_some_and(|next| picture < next)
    }

    /// Keeps an object. Gives how many pictures it turned out nothing can be made of.
    pub(super) fn push(&mut self, object: Received) -> u64 {
        let mut useless = 0;
        if self.is_full() && !self.pictures.contains_key(&object.picture) {
            // Without its lowest object the first one only takes room.
            match self.pictures.first_entry().filter(|first| lowest(first.get()).is_none()) {
                Some(first) => drop(first.remove()),
                None => return 0,
            }
            useless += 1;
        }
        let objects = self.pictures.entry(object.picture).or_default();
        if objects.len() < MAX_OBJECTS {
            objects.insert(object.seq.0, object);
        }
        if self.next.is_none() {
            useless += self.find_start();
        }
        useless
    }

    /// Playing starts with the first key frame, whatever small frames after it came more quickly.
    fn find_start(&mut self) -> u64 {
        let is_start = |objects: &Objects| lowest(objects).is_some_and(|o| o.flags.key_frame);
        let start = self.pictures.iter().find(|(_, objects)| is_start(objects)).map(|(number, _)| *number);
        if let Some(start) = start {
            self.next = Some(start);
            self.drop_before(start)
        } else if self.is_full() {
            self.pictures.pop_first();
            1
        } else {
            0
        }
    }

    fn drop_before(&mut self, picture: u64) -> u64 {
        let kept = self.pictures.split_off(&picture);
        std::mem::replace(&mut self.pictures, kept).len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.pictures.len() >= MAX_WAITING
    }

    /// Nothing before something is there that a picture can be made of.
    pub(super) fn next(&self) -> Option<Next> {
        let next = self.next?;
        let (number, first) = self.first()?;
        if number > next {
            let (unknown, known) = missing(first, next, number);
            let mut awaited = known.filter(|before| before.awaited).peekable();
            if unknown == 0 && awaited.peek().is_none() {
                return Some(Next::Unwanted);
            }
            let needed = unknown > 0 || awaited.any(|before| before.temporal == 0);
            return Some(Next::Missing { pts: first.pts, came_at: first.assembled_at, needed });
        }
        let awaited = first.told.as_ref().map_or(1, |told| told.objects);
        let is_whole = self.pictures.get(&number).is_some_and(|objects| objects.len() >= awaited);
        Some(if is_whole { Next::Whole } else { Next::Part { pts: first.pts } })
    }

    /// Goes on with the first picture that waits.
    pub(super) fn skip(&mut self) -> Skipped {
        let (Some(next), Some((number, first))) = (self.next, self.first()) else {
            return Skipped::default();
        };
        let (unknown, known) = missing(first, next, number);
        let mut skipped = Skipped { lost: unknown, missed: Vec::new() };
        if unknown > 0 {
            skipped.missed.push(0);
        }
        for before in known {
            skipped.lost += u64::from(before.awaited);
            if !before.discardable {
                skipped.missed.push(before.temporal);
            }
        }
        self.next = Some(number);
        self.drop_before(number);
        skipped
    }

    /// The next picture's objects, the lowest first.
    pub(super) fn take(&mut self) -> Option<Vec<Received>> {
        let (number, objects) = self.pictures.pop_first()?;
        self.next = Some(number + 1);
        Some(objects.into_values().collect())
    }

    /// The first picture that there is, by its lowest object.
    fn first(&self) -> Option<(u64, &Received)> {
        self.pictures.iter().find_map(|(number, objects)| Some((*number, lowest(objects)?)))
    }
}

/// How many pictures are missing from `next` on before `number` of which nothing is known, and those of which something is.
fn missing(first: &Received, next: u64, number: u64) -> (u64, impl Iterator<Item = Before>) {
    let before = first.told.as_ref().map(|told| &told.before[..]).unwrap_or_default();
    let known_from = before.first().map_or(number, |before| before.picture);
    let known = before.iter().copied().filter(move |before| (next..number).contains(&before.picture));
    (known_from.saturating_sub(next), known)
}

/// The lowest object of a picture, without which there is none.
fn lowest(objects: &Objects) -> Option<&Received> {
    objects.values().next().filter(|object| object.layer.spatial == 0 && object.layer.quality == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::StreamKind;
    use crate::watch::receive::Told;
    use av_wire::ObjectFlags;
    use core_types::{Layer, ObjectClass, ObjectSeq};

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
        let mut waiting = Waiting::default();
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
        for picture in 1..=MAX_WAITING as u64 {
            assert_eq!(waiting.push(object(picture, 1, None)), 0);
        }
        assert_eq!(waiting.push(base(9_000, &[])), 1);
        assert_eq!(waiting.pictures.len(), MAX_WAITING);
        assert_eq!(waiting.first().map(|(number, _)| number), Some(9_000));
    }
}
