//! Proofs of authorship from end to end: what a publisher signs, and what a receiver makes of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod attacks;
mod encoding;
mod loss;
mod publishing;
mod strict;

use av_wire::proof::{
    Event, Grade, MAX_PROOF_LEN, Policy, Proof, ProofAssembler, ProofIndex, ProofPart, Prover, ProverConfig,
    Released, RunLength, Section, SignedProof, TreeHash, Unproven, UnverifiedProof, Verifier, VerifierConfig,
};
use av_wire::{AwsLc, Error, Inner, Keyring, Sealer, StreamKeys};
use core_types::{CodecId, Epoch, Layer, LeafIndex, MediaTime, MonoTime, ObjectSeq, StreamId};
use identity::{Identity, Seed};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

const STREAM: StreamId = StreamId([7; 32]);
/// Added to the time of forged objects, so that reports show which is which.
const FORGED: u64 = 1 << 40;

static ALICE: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&Seed([1; 64])).unwrap());
static MALLORY: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&Seed([2; 64])).unwrap());

fn ms(millis: u64) -> MonoTime {
    MonoTime::from_millis(millis)
}

fn bytes_of(seq: u64) -> Vec<u8> {
    format!("object {seq} of the publisher").into_bytes()
}

/// A publisher: one object every `step` ms from 0 on, with the proofs that fall due.
struct Sent {
    step: u64,
    objects: u64,
    /// When, and what.
    proofs: Vec<(u64, SignedProof)>,
}

fn publish(config: ProverConfig, step: u64, objects: u64, last: bool) -> Sent {
    let mut prover = Prover::new(STREAM, config);
    let mut proofs = Vec::new();
    for seq in 0..objects {
        let now = seq * step;
        while let Some(grade) = prover.due(ms(now)) {
            proofs.push((now, prover.prove(grade, Epoch(1), &ALICE).unwrap().unwrap()));
        }
        prover.handle_object(ms(now), ObjectSeq(seq), &bytes_of(seq)).unwrap();
    }
    if last {
        proofs.push((objects * step, prover.finish(Epoch(1), &ALICE).unwrap().unwrap()));
    }
    Sent { step, objects, proofs }
}

fn video(objects: u64) -> Sent {
    publish(ProverConfig::VIDEO, 40, objects, true)
}

fn audio(objects: u64) -> Sent {
    publish(ProverConfig::AUDIO, 20, objects, true)
}

type Watcher = Verifier<u64>;

fn watcher(config: VerifierConfig) -> Watcher {
    Verifier::new(STREAM, ALICE.public().clone(), config)
}

fn flag_video() -> Watcher {
    watcher(VerifierConfig::video(Policy::Flag))
}

fn give(watcher: &mut Watcher, at: u64, seq: u64) {
    watcher.handle_object(ms(at), ObjectSeq(seq), MediaTime(seq), &bytes_of(seq), seq);
}

fn forge(watcher: &mut Watcher, at: u64, seq: u64) {
    let item = FORGED + seq;
    watcher.handle_object(ms(at), ObjectSeq(seq), MediaTime(item), b"somebody else's", item);
}

/// Plays what was sent into a watcher, without the objects and proofs that `lost` names, and to the end of all deadlines.
fn play(
    sent: &Sent,
    watcher: &mut Watcher,
    object_lost: impl Fn(u64) -> bool,
    proof_lost: impl Fn(u64) -> bool,
) {
    let mut proofs = sent.proofs.iter().peekable();
    for seq in 0..=sent.objects {
        let now = seq * sent.step;
        watcher.handle_timeout(ms(now));
        while let Some((_, proof)) = proofs.next_if(|(at, _)| *at <= now) {
            if !proof_lost(proof.index.0) {
                watcher.handle_proof(ms(now), &proof.bytes).unwrap();
            }
        }
        if seq < sent.objects && !object_lost(seq) {
            give(watcher, now, seq);
        }
    }
    watcher.handle_timeout(ms(sent.objects * sent.step + 100_000));
}

fn events(watcher: &mut Watcher) -> Vec<Event> {
    std::iter::from_fn(|| watcher.poll_event()).collect()
}

fn released(watcher: &mut Watcher) -> Vec<Released<u64>> {
    std::iter::from_fn(|| watcher.poll_object()).collect()
}

fn forged(events: &[Event]) -> Vec<u64> {
    let pts = |event: &Event| match event {
        Event::Forged { object, .. } => Some(object.pts.0),
        _ => None,
    };
    events.iter().filter_map(pts).collect()
}

fn uncovered(events: &[Event]) -> Vec<(u64, Unproven)> {
    let pts = |event: &Event| match event {
        Event::Uncovered { object, why } => Some((object.pts.0, *why)),
        _ => None,
    };
    events.iter().filter_map(pts).collect()
}

/// True if the publisher was found to say two things.
fn contradicted(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Equivocation { .. }))
}

fn proven(events: &[Event], wanted: Grade) -> Vec<u64> {
    let pts = |event: &Event| match event {
        Event::Proven { object, grade } if *grade == wanted => Some(object.pts.0),
        _ => None,
    };
    events.iter().filter_map(pts).collect()
}
