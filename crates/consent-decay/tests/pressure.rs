//! Watermarks, hysteresis, and what gives way first.
#![allow(clippy::unwrap_used, reason = "tests")]

use consent_decay::{
    Candidate, ContentId, Disk, Error, Level, Mark, Pressure, Relief, Step, Tier, Watermarks,
};
use core_types::WallTime;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn mark(free_percent: u8, free_bytes: u64) -> Mark {
    Mark { free_bytes, free_percent }
}

fn marks() -> Watermarks {
    Watermarks::new([mark(40, 300), mark(30, 250), mark(20, 0), mark(10, 0)], mark(5, 0)).unwrap()
}

fn free(free: u64) -> Disk {
    Disk { free, total: 1_000 }
}

#[test]
fn levels_begin_at_their_marks_and_end_a_margin_above() {
    let mut pressure = Pressure::new(marks());
    let looks = [
        (400, Level::Calm),
        (399, Level::Repair),
        (430, Level::Repair),
        (449, Level::Repair),
        (450, Level::Calm),
        (299, Level::HighQuality),
        (349, Level::HighQuality),
        (350, Level::Repair),
        (99, Level::Last),
        (149, Level::Last),
        (150, Level::Least),
        (1_000, Level::Calm),
        (0, Level::Last),
    ];
    for (n, level) in looks {
        assert_eq!(pressure.observe(free(n)), level, "{n} free");
        assert_eq!(pressure.level(), level);
    }
    assert_eq!(pressure.need(free(0)), 150);
}

#[test]
fn bytes_and_percent_each_suffice() {
    let mut pressure = Pressure::new(marks());
    // 250 bytes of 500 are half of them, and below the mark in bytes all the same.
    assert_eq!(pressure.observe(Disk { free: 249, total: 500 }), Level::HighQuality);
}

#[test]
fn marks_that_do_not_fall_are_refused() {
    for marks in [
        [mark(10, 0), mark(20, 0), mark(5, 0), mark(1, 0)],
        [mark(10, 5), mark(5, 6), mark(4, 0), mark(1, 0)],
        [mark(96, 0), mark(5, 0), mark(4, 0), mark(1, 0)],
    ] {
        assert!(matches!(Watermarks::new(marks, mark(5, 0)), Err(Error::Watermarks(_))));
    }
}

fn candidate(n: u8, held: Tier, from: u64, steps: [(u64, u8); 4]) -> Candidate {
    let steps = steps.map(|(bytes, priority)| Step { bytes, priority });
    Candidate { content: ContentId([n; 32]), held, from: WallTime(from), steps }
}

fn relieve(level: Level, need: u64, candidates: &[Candidate]) -> (Vec<(u8, Tier)>, u64) {
    let mut relief = Relief::new(level, need);
    candidates.iter().for_each(|candidate| relief.offer(candidate));
    let (to, freed) = relief.finish();
    (to.into_iter().map(|(content, tier)| (content.0[0], tier)).collect(), freed)
}

#[test]
fn repair_of_all_goes_before_layers_of_any_and_priority_decides_within() {
    let steps = |priority| [(10, priority), (10, 70), (10, 16), (10, 8)];
    let candidates = [
        candidate(1, Tier::Full, 5, steps(50)),
        candidate(2, Tier::Full, 9, steps(120)),
        candidate(3, Tier::Full, 4, steps(50)),
    ];
    let last = Level::Last;
    assert_eq!(relieve(last, 0, &candidates), (vec![], 0));
    assert_eq!(relieve(last, 1, &candidates).0, [(2, Tier::DropRepair)]);
    assert_eq!(relieve(last, 11, &candidates).0, [(2, Tier::DropRepair), (3, Tier::DropRepair)]);
    let (to, freed) = relieve(last, 31, &candidates);
    assert_eq!(to, [(1, Tier::DropRepair), (2, Tier::DropRepair), (3, Tier::DropHighQuality)]);
    assert_eq!(freed, 40);
    let (to, freed) = relieve(last, 1_000, &candidates);
    assert_eq!((to, freed), ([1, 2, 3].map(|n| (n, Tier::EnvelopeOnly)).to_vec(), 120));
}

#[test]
fn no_level_but_the_last_takes_what_can_still_be_shown() {
    let candidates = [
        candidate(1, Tier::Full, 0, [(10, 0); 4]),
        candidate(2, Tier::MinViable, 0, [(0, 0), (0, 0), (0, 0), (10, 0)]),
    ];
    let of = |level| relieve(level, 1_000, &candidates).0;
    assert_eq!(of(Level::Calm), []);
    assert_eq!(of(Level::Repair), [(1, Tier::DropRepair)]);
    assert_eq!(of(Level::Least), [(1, Tier::MinViable)]);
    assert_eq!(of(Level::Last), [(1, Tier::EnvelopeOnly), (2, Tier::EnvelopeOnly)]);
}

#[test]
fn however_many_are_offered_a_bounded_number_is_chosen_and_the_best() {
    let many: Vec<_> = (0..10_000_u32)
        .map(|n| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            Candidate {
                content: ContentId(id),
                ..candidate(0, Tier::Full, 10_000 - u64::from(n), [(1, 1), (0, 0), (0, 0), (0, 0)])
            }
        })
        .collect();
    let mut relief = Relief::new(Level::Last, u64::MAX);
    many.iter().for_each(|candidate| relief.offer(candidate));
    let (to, freed) = relief.finish();
    assert_eq!((to.len(), freed), (Relief::MAX_STEPS, Relief::MAX_STEPS as u64));
    // The oldest are those with the highest numbers.
    assert!(many[10_000 - Relief::MAX_STEPS..].iter().all(|one| to.contains_key(&one.content)));
}

proptest! {
    /// No more than one step beyond what is needed, nothing below the floor, nothing raised.
    #[test]
    fn relief_takes_what_is_needed_and_no_more(
        level in 0usize..5,
        need in 0u64..500,
        all in prop::collection::vec((1usize..6, prop::array::uniform4((0u64..40, any::<u8>()))), 0..12),
    ) {
        let level = [Level::Calm, Level::Repair, Level::HighQuality, Level::Least, Level::Last][level];
        let candidates: Vec<_> =
            all.iter().zip(0..).map(|((held, steps), n)| candidate(n, Tier::ALL[*held], 0, *steps)).collect();
        let (to, freed) = relieve(level, need, &candidates);
        let to: BTreeMap<u8, Tier> = to.into_iter().collect();
        let mut adds_up = 0;
        let mut could = 0;
        for (n, candidate) in (0..).zip(&candidates) {
            let held = candidate.held;
            let goes = to.get(&n).copied().unwrap_or(held);
            prop_assert!(goes <= held && (goes == held || goes >= level.floor()));
            for (step, tier) in [Tier::DropRepair, Tier::DropHighQuality, Tier::MinViable, Tier::EnvelopeOnly].into_iter().enumerate() {
                let bytes = if tier < held { candidate.steps[step].bytes } else { 0 };
                adds_up += if tier >= goes { bytes } else { 0 };
                could += if tier >= level.floor() { bytes } else { 0 };
            }
        }
        prop_assert_eq!(adds_up, freed);
        prop_assert!(freed >= need.min(could));
        prop_assert!(freed < need + 40);
    }
}

/// Each level ends at its own margin: what is enough for the last is not enough for those before it.
#[test]
fn levels_end_one_by_one() {
    let marks = Watermarks::new([mark(40, 0), mark(30, 0), mark(20, 0), mark(10, 0)], mark(5, 0)).unwrap();
    let mut pressure = Pressure::new(marks);
    let mut level = |free| pressure.observe(Disk { free, total: 100 });
    assert_eq!(level(5), Level::Last);
    for (free, expected) in [
        (14, Level::Last),
        (15, Level::Least),
        (32, Level::HighQuality),
        (40, Level::Repair),
        (44, Level::Repair),
        (45, Level::Calm),
        (5, Level::Last),
        (41, Level::Repair),
    ] {
        assert_eq!(level(free), expected, "{free} free");
    }
}
