//! The scheduler against a model that looks at everything, over random clocks, consents, pressures and failures.
#![allow(clippy::unwrap_used, reason = "tests")]

use consent_decay::{
    Classes, ConsentClass, ContentId, Decision, Due, FROZEN_AT_MOST, Item, Ledger, Level, MemoryLedger,
    RETRY, Reason, Scheduler, Terms, Tier, Trigger, decide,
};
use core_types::WallTime;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const START: u64 = 1_767_225_600_000;
const DAY: u64 = 86_400_000;

fn content(n: u8) -> ContentId {
    ContentId([n; 32])
}

fn at(day: u64) -> WallTime {
    WallTime(START + day * DAY)
}

fn terms(class: ConsentClass, day: u64) -> Option<Terms> {
    Some(Terms { class: class.into(), from: at(day), serial: 1 })
}

fn new_item(n: u8, terms: Option<Terms>) -> Item {
    Item { content: content(n), held: Tier::Full, terms, frozen_since: None }
}

fn insert(ledger: &mut MemoryLedger, item: Item, now: WallTime) {
    let due = decide(&item, &Classes::built_in(), Trigger::Time, now).due;
    ledger.insert(item, due);
}

/// A ledger some of whose items fail, and whose commits fail when told to.
#[derive(Default)]
struct Failing {
    inner: MemoryLedger,
    broken: BTreeSet<ContentId>,
    stuck: BTreeSet<ContentId>,
    settled: Vec<ContentId>,
}

impl Ledger for Failing {
    type Error = String;

    fn due(&mut self, now: WallTime, after: Option<Due>, limit: usize) -> Result<Vec<Due>, String> {
        self.inner.due(now, after, limit).map_err(|error| error.to_string())
    }

    fn item(&mut self, content: ContentId) -> Result<Item, String> {
        if self.broken.contains(&content) || self.stuck.contains(&content) {
            return Err("broken".to_owned());
        }
        self.inner.item(content).map_err(|error| error.to_string())
    }

    fn settle(&mut self, due: Due, decision: &Decision, now: WallTime) -> Result<(), String> {
        self.settled.push(due.content);
        self.inner.settle(due, decision, now).map_err(|error| error.to_string())
    }

    fn postpone(&mut self, due: Due, until: WallTime) -> Result<(), String> {
        if self.stuck.contains(&due.content) {
            return Err("stuck".to_owned());
        }
        self.inner.postpone(due, until).map_err(|error| error.to_string())
    }

    fn commit(&mut self) -> Result<(), String> {
        self.inner.commit().map_err(|error| error.to_string())
    }
}

#[test]
fn a_failing_item_is_postponed_and_the_rest_goes_on() {
    let mut ledger = Failing::default();
    for n in 0..10 {
        insert(&mut ledger.inner, new_item(n, terms(ConsentClass::Temporary, 0)), at(0));
    }
    ledger.broken = BTreeSet::from([content(0), content(5)]);
    let mut scheduler = Scheduler::new(Classes::built_in(), 100);
    let tick = scheduler.tick(at(4), &mut ledger).unwrap();
    assert_eq!((tick.transitions.len(), tick.failed.len(), tick.more), (8, 2, false));
    assert_eq!(tick.failed[0], (content(0), "broken".to_owned()));
    let retry = WallTime(at(4).0 + RETRY.as_millis() as u64);
    assert_eq!(ledger.inner.look_up(content(5)).unwrap().1, Some(retry));
    ledger.broken.clear();
    assert_eq!(scheduler.tick(at(4), &mut ledger).unwrap().transitions.len(), 0);
    assert_eq!(scheduler.tick(retry, &mut ledger).unwrap().transitions.len(), 2);
}

#[test]
fn items_that_can_be_neither_settled_nor_postponed_keep_no_other_from_its_turn() {
    let mut ledger = Failing::default();
    for n in 0..20 {
        insert(&mut ledger.inner, new_item(n, terms(ConsentClass::Temporary, 0)), at(0));
    }
    // More than a batch of them, and in front.
    ledger.stuck = (0..7).map(content).collect();
    let mut scheduler = Scheduler::new(Classes::built_in(), 3);
    let mut changed = 0;
    for _ in 0..12 {
        changed += scheduler.tick(at(4), &mut ledger).unwrap().transitions.len();
    }
    assert_eq!(changed, 13);
    ledger.stuck.clear();
    for _ in 0..4 {
        changed += scheduler.tick(at(4), &mut ledger).unwrap().transitions.len();
    }
    assert_eq!(changed, 20);
}

/// The place after which a tick looks is kept only while something is stuck, and then what comes before it has its turn too.
#[test]
fn the_earliest_comes_first_whatever_was_stuck_before() {
    let mut ledger = Failing::default();
    let mut scheduler = Scheduler::new(Classes::built_in(), 2);
    let due = |ledger: &mut Failing, n: u8, hour: u64| {
        let item = new_item(n, terms(ConsentClass::Temporary, 0));
        ledger.inner.insert(item, Some(WallTime(at(3).0 + hour * 3_600_000)));
    };
    for (n, hour) in [(1, 2), (2, 3), (3, 4), (4, 5)] {
        due(&mut ledger, n, hour);
    }
    let mut tick = |ledger: &mut Failing| {
        let from = ledger.settled.len();
        scheduler.tick(at(4), ledger).unwrap();
        ledger.settled[from..].to_vec()
    };
    assert_eq!(tick(&mut ledger), [1, 2].map(content));
    // Nothing is stuck: what is due earlier goes before what has waited.
    due(&mut ledger, 5, 1);
    assert_eq!(tick(&mut ledger), [5, 3].map(content));
    // The first is stuck. What is put in before it has its turn in the same tick as the rest.
    due(&mut ledger, 6, 1);
    ledger.stuck = [content(6)].into();
    assert_eq!(tick(&mut ledger), [content(4)]);
    due(&mut ledger, 7, 0);
    due(&mut ledger, 8, 6);
    assert_eq!(tick(&mut ledger), [8, 7].map(content));
}

#[test]
fn a_batch_is_bounded_and_a_long_sleep_is_caught_up_with() {
    let mut ledger = MemoryLedger::new();
    for n in 0..=255 {
        insert(&mut ledger, new_item(n, terms(ConsentClass::Temporary, 0)), at(0));
    }
    let mut scheduler = Scheduler::new(Classes::built_in(), 100);
    let batches: Vec<_> = (0..4)
        .map(|_| {
            let tick = scheduler.tick(at(400), &mut ledger).unwrap();
            (tick.transitions.len(), tick.more)
        })
        .collect();
    assert_eq!(batches, [(100, true), (100, true), (56, false), (0, false)]);
    assert!(ledger.audit().iter().all(|entry| entry.after == Tier::EnvelopeOnly));
}

#[test]
fn what_nobody_can_say_is_frozen_tried_again_and_given_up_after_seven_days() {
    let mut ledger = MemoryLedger::new();
    ledger.insert(new_item(0, None), Some(at(0)));
    let mut scheduler = Scheduler::new(Classes::built_in(), 10);
    let mut now = at(0);
    let mut looks = 0;
    while let Some(due) = ledger.look_up(content(0)).unwrap().1 {
        assert!(ledger.look_up(content(0)).unwrap().0.held == Tier::Full);
        now = due.max(now);
        scheduler.tick(now, &mut ledger).unwrap();
        looks += 1;
    }
    assert_eq!(now, WallTime(at(0).0 + FROZEN_AT_MOST.as_millis() as u64));
    assert_eq!(looks, 7 * 24 + 1);
    let said: Vec<_> = ledger.audit().iter().map(|entry| (entry.reason, entry.after)).collect();
    assert_eq!(said, [(Reason::Frozen, Tier::Full), (Reason::Unreadable, Tier::EnvelopeOnly)]);
}

#[test]
fn what_can_be_said_again_thaws_and_has_lost_nothing() {
    let mut ledger = MemoryLedger::new();
    ledger.insert(
        Item { frozen_since: Some(at(0)), ..new_item(0, terms(ConsentClass::Standard, 0)) },
        Some(at(0)),
    );
    let tick = Scheduler::new(Classes::built_in(), 10).tick(at(3), &mut ledger).unwrap();
    assert_eq!((tick.transitions[0].reason, tick.transitions[0].after), (Reason::Thawed, Tier::Full));
    assert_eq!(ledger.look_up(content(0)).unwrap().1, Some(at(26)));
}

#[derive(Debug, Clone)]
enum Event {
    /// The clock says this many hours, which may be before the last.
    Clock(u64),
    Tick,
    Admit {
        n: u8,
        class: usize,
        hours: u64,
    },
    Consent {
        n: u8,
        class: usize,
        hours: u64,
    },
    /// A class that this node does not know.
    Unknown(u8),
    Pressure {
        n: u8,
        level: usize,
        to: usize,
    },
    Revoke(u8),
}

fn event() -> impl Strategy<Value = Event> {
    let item = 0u8..6;
    let hours = 0u64..24 * 110;
    prop_oneof![
        3 => hours.clone().prop_map(Event::Clock),
        4 => Just(Event::Tick),
        3 => (item.clone(), 0usize..3, hours.clone()).prop_map(|(n, class, hours)| Event::Admit { n, class, hours }),
        2 => (item.clone(), 0usize..3, hours).prop_map(|(n, class, hours)| Event::Consent { n, class, hours }),
        1 => item.clone().prop_map(Event::Unknown),
        2 => (item.clone(), 0usize..5, 0usize..6).prop_map(|(n, level, to)| Event::Pressure { n, level, to }),
        1 => item.prop_map(Event::Revoke),
    ]
}

const LEVELS: [Level; 5] = [Level::Calm, Level::Repair, Level::HighQuality, Level::Least, Level::Last];
/// What a level leaves, by the specification's table.
const FLOORS: [Tier; 5] =
    [Tier::Full, Tier::DropRepair, Tier::DropHighQuality, Tier::MinViable, Tier::EnvelopeOnly];

/// What should be held, computed from the tables alone and by looking at everything.
#[derive(Debug, Clone)]
struct Model {
    held: Tier,
    /// Class and hour; none when unknown.
    consent: Option<(usize, u64)>,
    frozen_since: Option<u64>,
}

impl Model {
    fn look(&mut self, hour: u64) {
        const DAYS: [[u64; 4]; 3] = [[4, 8, 11, 14], [26, 51, 70, 90], [365, 730, 1_095, 1_460]];
        const DOWN: [Tier; 5] =
            [Tier::Full, Tier::DropRepair, Tier::DropHighQuality, Tier::MinViable, Tier::EnvelopeOnly];
        match self.consent {
            Some((class, from)) => {
                self.frozen_since = None;
                let days = hour.saturating_sub(from) / 24;
                let passed = DAYS[class].iter().filter(|band| days >= **band).count();
                self.held = self.held.min(DOWN[passed]);
            }
            None => {
                let since = *self.frozen_since.get_or_insert(hour);
                if hour.saturating_sub(since) >= 7 * 24 {
                    self.held = self.held.min(Tier::EnvelopeOnly);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_scheduler_does_what_looking_at_everything_would(events in prop::collection::vec(event(), 1..60), batch in 1usize..5) {
        let classes = Classes::built_in();
        let mut scheduler = Scheduler::new(classes.clone(), batch);
        let mut ledger = MemoryLedger::new();
        let mut model = BTreeMap::<u8, Model>::new();
        let mut revoked = BTreeSet::new();
        let mut hour = 0;
        let wall = |hour: u64| WallTime(START + hour * 3_600_000);
        for event in events {
            let now = wall(hour);
            let settle = |ledger: &mut MemoryLedger, n: u8, trigger| {
                let (item, due) = ledger.look_up(content(n)).unwrap();
                let decision = decide(item, &classes, trigger, now);
                let due = Due { at: due.unwrap_or(now), content: content(n) };
                ledger.settle(due, &decision, now).unwrap();
            };
            match event {
                Event::Clock(to) => hour = to,
                Event::Admit { n, class, hours } => {
                    let from = hours.min(hour);
                    if revoked.contains(&n) || model.contains_key(&n) {
                        continue;
                    }
                    let terms = Terms { class: ConsentClass::ALL[class].into(), from: wall(from), serial: 1 };
                    ledger.insert(new_item(n, Some(terms)), None);
                    settle(&mut ledger, n, Trigger::Time);
                    model.insert(n, Model { held: Tier::Full, consent: Some((class, from)), frozen_since: None });
                    model.get_mut(&n).unwrap().look(hour);
                }
                Event::Consent { n, class, hours } => {
                    let Some(entry) = model.get_mut(&n) else { continue };
                    let from = hours.min(hour);
                    let (item, due) = ledger.look_up(content(n)).unwrap();
                    let terms = Terms { class: ConsentClass::ALL[class].into(), from: wall(from), serial: 2 };
                    let item = Item { terms: Some(terms), ..item.clone() };
                    ledger.insert(item, due);
                    settle(&mut ledger, n, Trigger::Time);
                    entry.consent = Some((class, from));
                    entry.look(hour);
                }
                Event::Unknown(n) => {
                    let Some(entry) = model.get_mut(&n) else { continue };
                    let (item, due) = ledger.look_up(content(n)).unwrap();
                    let class = "unheard-of".parse().unwrap();
                    let terms = item.terms.clone().map(|terms| Terms { class, ..terms });
                    let item = Item { terms, ..item.clone() };
                    ledger.insert(item, due);
                    settle(&mut ledger, n, Trigger::Time);
                    entry.consent = None;
                    entry.look(hour);
                }
                Event::Pressure { n, level, to } => {
                    let Some(entry) = model.get_mut(&n) else { continue };
                    settle(&mut ledger, n, Trigger::Pressure { level: LEVELS[level], to: Tier::ALL[to] });
                    entry.look(hour);
                    entry.held = entry.held.min(Tier::ALL[to].max(FLOORS[level]));
                }
                Event::Revoke(n) => {
                    revoked.insert(n);
                    if model.remove(&n).is_some() {
                        settle(&mut ledger, n, Trigger::Revoked);
                    }
                }
                Event::Tick => {
                    while scheduler.tick(now, &mut ledger).unwrap().more {}
                    for entry in model.values_mut() {
                        entry.look(hour);
                    }
                    for n in 0..6 {
                        let held = ledger.look_up(content(n)).map(|(item, _)| (item.held, item.frozen_since.is_some()));
                        let says = model.get(&n).map(|entry| (entry.held, entry.frozen_since.is_some()));
                        // At its envelope nothing is looked at any more, so nothing thaws or freezes.
                        if says.is_some_and(|(held, _)| held <= Tier::EnvelopeOnly) {
                            prop_assert_eq!(held.map(|held| held.0), says.map(|says| says.0));
                        } else {
                            prop_assert_eq!(held, says);
                        }
                    }
                }
            }
        }
        // No tier ever rose, and the log says how each got where it is.
        let mut last = BTreeMap::new();
        for entry in ledger.audit() {
            prop_assert!(entry.after <= entry.before);
            if let Some(before) = last.insert(entry.content, entry.after) {
                prop_assert_eq!(entry.before, before);
            }
        }
    }
}
