//! An upstream link that sends whatever a header can say, and subscribers that ask for whatever they can: nothing panics,
//! nothing grows beyond its bound, and nobody gets a chunk twice that was not asked for twice.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use av_relay::{Limits, StartAt};
use core_types::{ChunkSeq, CodecId, Epoch, Layer, LayerPolicy, LinkId, Marks, MonoTime, StripeSet};
use kit::{STREAM, Spec, T0, UP, add, relay_with};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Epoch, number, marks, layer and length.
type Chunk = (u64, u64, u8, (u8, u8, u8), usize);

#[derive(Debug, Clone)]
enum Step {
    Chunks(Vec<Chunk>),
    Subscribe(u64, (u8, u8, u8), u16, bool),
    Pull(u64, usize, usize),
    Repair(u64, u64, Vec<u64>),
    KeyFrame(u64),
    Share(u64, u16),
    Leave(u64),
    Wait(u64),
}

/// Numbers around those that matter, and any.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0u64..200, 1 => any::<u64>(), 1 => (0u64..3).prop_map(|n| u64::MAX - n), 1 => 3_900u64..8_300]
}

fn layer() -> impl Strategy<Value = (u8, u8, u8)> {
    prop_oneof![5 => (0u8..3, 0u8..3, 0u8..2), 1 => (any::<u8>(), any::<u8>(), 0u8..16)]
}

fn step() -> impl Strategy<Value = Step> {
    let link = || 0u64..3;
    let chunk = (0u64..3, number(), 0u8..12, layer(), 69usize..1_500);
    prop_oneof![
        6 => prop::collection::vec(chunk, 1..20).prop_map(Step::Chunks),
        2 => (link(), layer(), any::<u16>(), any::<bool>()).prop_map(|(l, p, s, k)| Step::Subscribe(l, p, s, k)),
        5 => (link(), 0usize..20_000, 0usize..30).prop_map(|(l, b, m)| Step::Pull(l, b, m)),
        1 => (link(), 0u64..3, prop::collection::vec(number(), 0..30)).prop_map(|(l, e, c)| Step::Repair(l, e, c)),
        1 => link().prop_map(Step::KeyFrame),
        1 => (link(), any::<u16>()).prop_map(|(l, s)| Step::Share(l, s)),
        1 => link().prop_map(Step::Leave),
        2 => prop_oneof![0u64..400_000, 0u64..1 << 56].prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks_and_nothing_grows(steps in prop::collection::vec(step(), 1..80)) {
        let limits = Limits { ring_bytes: 20_000, ring_chunks: 30, backlog_bytes: 9_000, chunks_per_request: 20, ..Limits::default() };
        let mut relay = relay_with(limits);
        for link in 0..3 {
            add(&mut relay, link);
        }
        let mut now = T0;
        let mut taken: BTreeSet<(u64, u64)> = BTreeSet::new();
        let mut given: BTreeSet<(u64, u64, u64)> = BTreeSet::new();
        let mut again: BTreeSet<(u64, u64, u64)> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Chunks(chunks) => for (epoch, seq, bits, (spatial, temporal, quality), len) in chunks {
                    let layer = Layer { spatial, temporal, quality };
                    let marks = Marks::from_bits(bits).unwrap();
                    let spec = Spec { stream: STREAM, codec: CodecId::Av1, epoch, seq, layer, marks, len };
                    let before = relay.stats().chunks_in;
                    let outcome = relay.handle_datagram(now, UP, spec.fresh());
                    prop_assert!(outcome.is_ok() || outcome.is_err_and(|error| error.is_peer_fault()));
                    if relay.stats().chunks_in > before {
                        prop_assert!(taken.insert((epoch, seq)), "taken twice");
                    }
                },
                Step::Subscribe(link, (max_spatial, max_temporal, max_quality), mask, live) => {
                    let policy = LayerPolicy { max_spatial, max_temporal, max_quality };
                    let start = if live { StartAt::Live } else { StartAt::KeyFrameGroup };
                    relay.subscribe(now, LinkId(link), STREAM, policy, StripeSet::new(16, mask).unwrap(), start).unwrap();
                }
                Step::Pull(link, budget, max) => {
                    let burst = relay.pull(now, LinkId(link), budget, max);
                    prop_assert!(burst.bytes() <= budget as u64 && burst.len() <= max);
                    prop_assert_eq!(burst.kept().map(|kept| kept.bytes().len() as u64).sum::<u64>(), burst.bytes());
                    for chunk in burst.iter() {
                        let key = (link, chunk.header().epoch.0, chunk.header().chunk_seq.0);
                        prop_assert!(taken.contains(&(key.1, key.2)));
                        prop_assert!(given.insert(key) || again.remove(&key), "given twice");
                    }
                }
                Step::Repair(link, epoch, wanted) => {
                    let chunks: Vec<ChunkSeq> = wanted.iter().map(|seq| ChunkSeq(*seq)).collect();
                    if relay.handle_repair_request(now, LinkId(link), STREAM, Epoch(epoch), &chunks).is_ok() {
                        again.extend(wanted.into_iter().map(|seq| (link, epoch, seq)));
                    }
                }
                Step::KeyFrame(link) => drop(relay.request_key_frame(now, LinkId(link), STREAM)),
                Step::Share(link, share) => relay.set_repair_share(LinkId(link), share).unwrap(),
                Step::Leave(link) => {
                    relay.unsubscribe(LinkId(link), STREAM);
                    // A new subscription may start with what the former one had.
                    given.retain(|(of, ..)| *of != link);
                }
                Step::Wait(micros) => {
                    now = MonoTime(now.0.saturating_add(micros));
                    relay.handle_timeout(now);
                    prop_assert!(relay.poll_timeout().is_none_or(|at| at > now));
                }
            }
            prop_assert!(relay.ring_bytes() <= 20_000);
            while let Some(link) = relay.poll_ready() {
                prop_assert!(link.0 < 3);
            }
        }
    }
}
