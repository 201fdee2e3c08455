//! Queue and policy against a model that keeps a list of chunks for every subscriber.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;
#[path = "kit/model.rs"]
mod model;

use av_relay::{Limits, Relay, StartAt};
use core::time::Duration;
use core_types::{LayerPolicy, LinkId, MonoTime, ObjectClass, StripeSet};
use kit::{STREAM, Source, Spec, T0, UP, add};
use model::{Bounds, LAYERS, Stream, Subscriber};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    /// Objects of a picture: layer, class, source and repair symbols, and which of them were lost on the way.
    Picture(Vec<(usize, u8, usize, usize, u16)>),
    Wait(u64),
    /// Link, room in bytes and chunks.
    Pull(u64, usize, usize),
    Policy(u64, usize),
    Stripes(u64, u16),
    Share(u64, u16),
    Leave(u64),
    Join(u64, usize, u16, bool),
}

fn policy(choice: usize) -> LayerPolicy {
    let cap = |max_spatial, max_temporal| LayerPolicy { max_spatial, max_temporal, max_quality: 0 };
    [LayerPolicy::UNCAPPED, cap(0, 0), cap(0, 1), cap(1, 0), cap(1, 1)][choice % 5]
}

/// Stripes of three, or all.
fn stripes(mask: u16) -> StripeSet {
    if mask % 8 == 7 { StripeSet::ALL } else { StripeSet::new(3, mask % 8).unwrap() }
}

fn picture() -> impl Strategy<Value = Step> {
    let object = || (0u8..12, 1usize..4, 0usize..3, any::<u16>());
    (object(), prop::collection::vec((any::<bool>(), object()), 4)).prop_map(
        |((class, source, repair, lost), above)| {
            let mut objects = vec![(0, class, source, repair, lost)];
            for (at, (is_there, (class, source, repair, lost))) in above.into_iter().enumerate() {
                if is_there {
                    objects.push((at + 1, class, source, repair, lost));
                }
            }
            Step::Picture(objects)
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let link = || 1u64..4;
    prop_oneof![
        6 => picture(),
        3 => (0u64..60).prop_map(Step::Wait),
        6 => (link(), 0usize..12_000, prop_oneof![Just(usize::MAX), 0usize..8]).prop_map(|(l, b, m)| Step::Pull(l, b, m)),
        2 => link().prop_map(|l| Step::Pull(l, usize::MAX, usize::MAX)),
        1 => (link(), 0usize..5).prop_map(|(l, p)| Step::Policy(l, p)),
        1 => (link(), 0u16..16).prop_map(|(l, s)| Step::Stripes(l, s)),
        1 => (link(), 0u16..1_200).prop_map(|(l, s)| Step::Share(l, s)),
        1 => link().prop_map(Step::Leave),
        2 => (link(), 0usize..5, 0u16..16, any::<bool>()).prop_map(|(l, p, s, k)| Step::Join(l, p, s, k)),
    ]
}

struct Both {
    relay: Relay,
    bounds: Bounds,
    now: MonoTime,
    source: Source,
    stream: Stream,
    subscribers: BTreeMap<u64, Subscriber>,
    /// Key frames that a link needed, by the model.
    needed: BTreeMap<u64, u64>,
}

impl Both {
    fn new(bounds: Bounds) -> Self {
        let limits = Limits {
            backlog_bytes: bounds.bytes,
            backlog_age: Duration::from_micros(bounds.age),
            ring_bytes: bounds.ring,
            ..Limits::default()
        };
        let mut relay = kit::relay_with(limits);
        for link in 1..4 {
            add(&mut relay, link);
        }
        let (stream, subscribers) = (Stream::default(), BTreeMap::new());
        let mut both = Self {
            relay,
            bounds,
            now: T0,
            source: Source::video(),
            stream,
            subscribers,
            needed: BTreeMap::new(),
        };
        // All layers are known from the start, and begin with a key frame.
        both.picture(&[(0, 0, 1, 0, 0), (1, 1, 1, 0, 0), (2, 1, 1, 0, 0), (3, 1, 1, 0, 0), (4, 1, 1, 0, 0)]);
        both
    }

    fn picture(&mut self, objects: &[(usize, u8, usize, usize, u16)]) {
        let mut came = Vec::new();
        for (layer, class, source, repair, lost) in objects {
            let class = match class {
                0 => ObjectClass::KeyFrame,
                1 | 2 => ObjectClass::SwitchPoint,
                3..=5 => ObjectClass::Discardable,
                _ => ObjectClass::Plain,
            };
            self.source.len = 600 + 100 * source;
            let chunks = self.source.object(class, LAYERS[*layer], *source, *repair);
            // One in four of the others is lost; not the first, whose loss makes it another object.
            let is_kept = |at: usize| at == 0 || lost >> (2 * at) & 3 != 0;
            let chunks: Vec<Spec> = chunks
                .into_iter()
                .enumerate()
                .filter(|(at, _)| is_kept(*at))
                .map(|(_, chunk)| chunk)
                .collect();
            self.stream.add(self.now, &chunks);
            came.extend(chunks);
        }
        kit::feed(&mut self.relay, self.now, &came);
    }

    fn join(&mut self, link: u64, layers: LayerPolicy, stripes: StripeSet, live: bool) {
        let head = self.stream.log.len();
        let start = if live { StartAt::Live } else { StartAt::KeyFrameGroup };
        self.relay.subscribe(self.now, LinkId(link), STREAM, layers, stripes, start).unwrap();
        let key =
            self.stream.log.iter().rposition(|e| e.opens && self.stream.objects[e.object].is_key()).unwrap();
        let new = if live {
            Subscriber::live(head, layers, stripes)
        } else if key >= self.stream.first(&self.bounds) {
            Subscriber::anew(key, head, layers, stripes)
        } else {
            *self.needed.entry(link).or_default() += 1;
            Subscriber::anew(head, 0, layers, stripes)
        };
        self.subscribers.insert(link, new);
    }

    fn run(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Picture(ref objects) => self.picture(objects),
            Step::Wait(millis) => self.now = MonoTime(self.now.0 + millis * 1_000),
            Step::Join(link, layers, mask, live) if !self.subscribers.contains_key(&link) => {
                self.join(link, policy(layers), stripes(mask), live);
                self.relay.set_repair_share(LinkId(link), 1_000).unwrap();
            }
            Step::Leave(link) => {
                self.relay.unsubscribe(LinkId(link), STREAM);
                self.subscribers.remove(&link);
            }
            Step::Share(link, share) => {
                if let Some(sub) = self.subscribers.get_mut(&link) {
                    sub.share = usize::from(share.min(1_000));
                    self.relay.set_repair_share(LinkId(link), share).unwrap();
                }
            }
            Step::Policy(link, choice) => {
                if let Some(sub) = self.subscribers.get_mut(&link) {
                    sub.set_policy(policy(choice));
                    let (p, s) = (sub.policy, sub.stripes);
                    self.relay
                        .subscribe(self.now, LinkId(link), STREAM, p, s, StartAt::KeyFrameGroup)
                        .unwrap();
                }
            }
            Step::Stripes(link, mask) => {
                if let Some(sub) = self.subscribers.get_mut(&link) {
                    sub.stripes = stripes(mask);
                    self.relay
                        .subscribe(self.now, LinkId(link), STREAM, sub.policy, sub.stripes, StartAt::Live)
                        .unwrap();
                }
            }
            Step::Pull(link, budget, max) => return self.pull(link, budget, max),
            Step::Join(..) => {}
        }
        Ok(())
    }

    fn pull(&mut self, link: u64, budget: usize, max: usize) -> Result<(), TestCaseError> {
        let id = LinkId(link);
        let before = self.relay.link_stats(id).unwrap();
        let burst = self.relay.pull(self.now, id, budget, max);
        let got: Vec<u64> = burst.iter().map(|chunk| chunk.header().chunk_seq.0).collect();
        let Some(sub) = self.subscribers.get_mut(&link) else {
            prop_assert!(got.is_empty(), "nobody is subscribed there");
            return Ok(());
        };
        let counts = sub.counts;
        let expected = sub.pull(&self.stream, &self.bounds, self.now, budget, max);
        prop_assert_eq!(&got, &expected);
        *self.needed.entry(link).or_default() += u64::from(sub.lost);
        let after = self.relay.link_stats(id).unwrap();
        let shed = |s: &av_relay::Stats| [s.shed.repair, s.shed.discardable, s.shed.enhancement, s.shed.base];
        let growth = |of: fn(&av_relay::Stats) -> u64| of(&after) - of(&before);
        for class in 0..4 {
            prop_assert_eq!(
                shed(&after)[class] - shed(&before)[class],
                sub.counts.shed[class] - counts.shed[class]
            );
        }
        prop_assert_eq!(growth(|s| s.withheld), sub.counts.withheld - counts.withheld);
        prop_assert_eq!(growth(|s| s.over_share), sub.counts.over_share - counts.over_share);
        prop_assert_eq!(growth(|s| s.overrun), sub.counts.overrun - counts.overrun);
        prop_assert_eq!(growth(|s| s.chunks_out) as usize, expected.len());
        prop_assert_eq!(after.key_frame_requests, self.needed.get(&link).copied().unwrap_or(0));
        let top = sub.top(&self.stream, self.now).filter(|_| !sub.stripes.is_empty());
        prop_assert_eq!(self.relay.effective_layer(id, STREAM), top);
        Ok(())
    }
}

fn check(bounds: Bounds, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut both = Both::new(bounds);
    both.join(1, LayerPolicy::UNCAPPED, StripeSet::ALL, false);
    both.join(2, policy(4), StripeSet::ALL, true);
    for step in steps {
        both.run(step)?;
    }
    let everything: Vec<u64> = both.stream.log.iter().map(|entry| entry.spec.seq).collect();
    prop_assert_eq!(both.relay.link_stats(UP).unwrap().chunks_in as usize, everything.len());
    // Whoever has time and room gets the rest.
    for link in 1..4 {
        both.pull(link, usize::MAX, usize::MAX)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_relay_serves_as_the_model_does(steps in prop::collection::vec(step(), 1..80)) {
        check(Bounds { bytes: 12_000, age: 80_000, ring: 1 << 20 }, &steps)?;
    }

    #[test]
    fn also_when_chunks_leave_the_ring_before_they_are_served(steps in prop::collection::vec(step(), 1..80)) {
        check(Bounds { bytes: 9_000, age: 400_000, ring: 15_000 }, &steps)?;
    }
}

#[test]
fn the_model_sheds_and_withholds_at_all() {
    // A model under which nothing is ever shed would agree with a relay that does not know how.
    let mut both = Both::new(Bounds { bytes: 6_000, age: 80_000, ring: 1 << 20 });
    both.join(1, LayerPolicy::UNCAPPED, StripeSet::ALL, false);
    let object = |layer, class| (layer, class, 2, 1, u16::MAX);
    for n in 0..60 {
        both.picture(&[object(0, 9), object(1, 4), object(2, 9), object(3, 4), object(4, 9)]);
        both.now = MonoTime(both.now.0 + 20_000);
        both.pull(1, 8_000 - 130 * n, 100).unwrap();
    }
    let counts = both.subscribers[&1].counts;
    assert!(counts.shed.iter().all(|class| *class > 0) && counts.withheld > 0, "{counts:?}");
}
