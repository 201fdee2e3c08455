//! What a burst is on the wire.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use av_lane::{Burst, Error, Lane, LaneId, LaneRole, MAX_BURST, Received};
use av_wire::SealedChunk;
use common::fixture::settle;
use common::{address, chunk, lane, ms};
use proptest::prelude::*;

/// Child and parent, both ready.
fn pair() -> (Lane, Lane) {
    let (a, b) = (address(1, 1), address(2, 2));
    let mut child = lane(LaneId(1), LaneRole::Child, b, ms(0));
    let mut parent = lane(LaneId(1), LaneRole::Parent, a, ms(0));
    settle(ms(0), &mut child, &mut parent, |_, _| {}).unwrap();
    assert!(child.is_ready() && parent.is_ready());
    (child, parent)
}

fn parsed(chunks: &[Vec<u8>]) -> impl Iterator<Item = SealedChunk<'_>> {
    chunks.iter().map(|chunk| SealedChunk::parse(chunk).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn runs_are_exactly_the_datagrams_of_the_chunks(
        bursts in prop::collection::vec(prop::collection::vec(prop_oneof![3 => Just(1_100usize), 1 => 70usize..1_300], 0..40), 1..6),
    ) {
        let (mut child, mut parent) = pair();
        let mut burst = Burst::new();
        let mut seq = 0;
        for lens in bursts {
            let chunks: Vec<_> = lens.iter().map(|len| { seq += 1; chunk(seq, *len) }).collect();
            let sealed = parent.seal_burst(ms(1), parsed(&chunks), &mut burst).unwrap();
            prop_assert_eq!((sealed.datagrams, sealed.left_out), (chunks.len(), 0));
            prop_assert_eq!(sealed.bytes, burst.byte_len());
            prop_assert_eq!(burst.runs().map(|run| run.count).sum::<usize>(), chunks.len());
            let mut taken = Vec::new();
            for run in burst.runs() {
                for datagram in run.datagrams() {
                    let mut bytes = datagram.to_vec();
                    match child.handle_datagram(ms(2), address(2, 2), &mut bytes) {
                        Ok(Received::Chunk(fresh)) => {
                            let mut whole = Vec::new();
                            fresh.write(&mut whole);
                            taken.push(whole);
                        }
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
            }
            taken.sort_unstable();
            let mut chunks = chunks;
            chunks.sort_unstable();
            prop_assert_eq!(taken, chunks);
        }
    }
}

#[test]
fn a_burst_takes_what_it_holds_and_leaves_the_rest() {
    let (_, mut parent) = pair();
    let chunks: Vec<_> = (0..400).map(|seq| chunk(seq, 300)).collect();
    let (mut rest, mut burst) = (parsed(&chunks), Burst::new());
    let sealed = parent.seal_burst(ms(1), &mut rest, &mut burst).unwrap();
    assert_eq!((sealed.datagrams, rest.count()), (MAX_BURST, 400 - MAX_BURST));
    assert!(burst.runs().len() <= 4 + 1);
}

#[test]
fn chunks_that_are_too_long_for_the_lane_are_left_out() {
    let (_, mut parent) = pair();
    let chunks = [chunk(0, 1_000), chunk(1, 2_000), chunk(2, 1_000)];
    let mut burst = Burst::new();
    let sealed = parent.seal_burst(ms(1), parsed(&chunks), &mut burst).unwrap();
    assert_eq!((sealed.datagrams, sealed.left_out, parent.stats().left_out), (2, 1, 1));
    assert_eq!(burst.runs().len(), 1);
}

#[test]
fn before_the_proof_nothing_may_be_sent() {
    let mut lane = lane(LaneId(1), LaneRole::Parent, address(1, 1), ms(0));
    let mut burst = Burst::new();
    let chunks = [chunk(0, 1_000)];
    assert_eq!((lane.budget(ms(0)), lane.next_send_at(ms(0), 1_000)), (0, None));
    assert_eq!(lane.seal_burst(ms(0), parsed(&chunks), &mut burst), Err(Error::NotReady(LaneId(1))));
    assert!(burst.is_empty());
}

#[test]
fn the_budget_counts_what_is_sent_with_its_headers() {
    let (_, mut parent) = pair();
    let before = parent.budget(ms(1));
    let chunks = [chunk(0, 1_000), chunk(1, 1_000)];
    let mut burst = Burst::new();
    let sealed = parent.seal_burst(ms(1), parsed(&chunks), &mut burst).unwrap();
    // Two whole headers of 60 bytes in place of 52, and two tags.
    assert_eq!(sealed.bytes, 2 * (1_000 + 8 + 16));
    assert_eq!(before - parent.budget(ms(1)), sealed.bytes);
    assert_eq!(parent.stats().sent_bytes, sealed.bytes as u64);
}
