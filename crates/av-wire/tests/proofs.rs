//! Proofs of authorship from end to end: what a publisher signs, and what a receiver makes of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

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

/// The publisher's side.
mod publishing {
    use super::*;

    /// Bytes on the wire of a proof: every chunk of it, sealed for real.
    fn chunks_len(sealer: &mut Sealer, proof: &SignedProof) -> usize {
        let seal = |part: Vec<u8>| sealer.seal(Layer::BASE, &Inner::Proof { bytes: &part }).unwrap().len();
        proof.parts().unwrap().into_iter().map(seal).sum()
    }

    /// Bits a second that the proofs of a minute cost, chunk headers and tags included.
    fn cost(config: ProverConfig, rate: u64) -> f64 {
        let mut prover = Prover::new(STREAM, config);
        let keys = StreamKeys::<AwsLc>::derive(&[3; 32], STREAM, LeafIndex(0)).unwrap();
        let mut sealer = Sealer::new(keys, STREAM, Epoch(1), CodecId::Av1);
        let mut bytes = 0;
        let mut hybrid = 0;
        for seq in 0..60 * rate {
            let now = MonoTime::from_micros(seq * 1_000_000 / rate);
            if let Some(grade) = prover.due(now) {
                let proof = prover.prove(grade, Epoch(1), &ALICE).unwrap().unwrap();
                bytes += chunks_len(&mut sealer, &proof);
                hybrid += u64::from(grade == Grade::Hybrid);
            }
            prover.handle_object(now, ObjectSeq(seq), &bytes_of(seq)).unwrap();
        }
        bytes += chunks_len(&mut sealer, &prover.finish(Epoch(1), &ALICE).unwrap().unwrap());
        let expected = 60_000 / config.hybrid_every.as_millis() as u64;
        assert!(hybrid + 2 >= expected, "{hybrid} of {expected} hybrid proofs were made");
        bytes as f64 * 8.0 / 60.0
    }

    #[test]
    fn a_video_stream_of_one_megabit_pays_less_than_four_percent() {
        for rate in [24, 25, 30] {
            let share = cost(ProverConfig::VIDEO, rate) / 1e6;
            assert!(share < 0.04, "{rate} frames a second: {:.2} %", share * 100.0);
            eprintln!("video at {rate}/s: {:.2} % of 1 Mbit/s", share * 100.0);
        }
    }

    #[test]
    fn an_audio_stream_pays_less_than_its_own_chunk_headers() {
        let bits = cost(ProverConfig::AUDIO, 50);
        eprintln!("audio at 50/s: {:.1} kbit/s", bits / 1e3);
        assert!(bits < 50.0 * 68.0 * 8.0 / 2.0, "{bits} bit/s");
    }

    #[test]
    fn proofs_are_due_at_their_intervals_and_never_for_nothing() {
        let mut prover = Prover::new(STREAM, ProverConfig::VIDEO);
        assert_eq!((prover.due(ms(1 << 40)), prover.poll_timeout()), (None, None));
        assert_eq!(prover.finish(Epoch(1), &ALICE).unwrap(), None, "nothing was sent");
        prover.handle_object(ms(100), ObjectSeq(0), b"x").unwrap();
        assert_eq!((prover.due(ms(599)), prover.poll_timeout()), (None, Some(ms(600))));
        assert_eq!(prover.due(ms(600)), Some(Grade::Interim));
        assert!(prover.prove(Grade::Interim, Epoch(1), &ALICE).unwrap().is_some());
        assert_eq!(prover.prove(Grade::Interim, Epoch(1), &ALICE).unwrap(), None);
        assert_eq!((prover.due(ms(2_099)), prover.poll_timeout()), (None, Some(ms(2_100))));
        assert_eq!(prover.due(ms(2_100)), Some(Grade::Hybrid));
        assert!(prover.prove(Grade::Hybrid, Epoch(1), &ALICE).unwrap().is_some());
        assert_eq!(prover.poll_timeout(), None);
        // After a pause the intervals start with the next object.
        prover.handle_object(ms(90_000), ObjectSeq(1), b"y").unwrap();
        assert_eq!(prover.poll_timeout(), Some(ms(90_500)));
    }

    #[test]
    fn intervals_below_the_least_are_raised() {
        let eager = ProverConfig {
            hybrid_every: Duration::ZERO,
            interim_every: Some(Duration::ZERO),
            ..ProverConfig::VIDEO
        };
        let mut prover = Prover::new(STREAM, eager);
        prover.handle_object(ms(0), ObjectSeq(0), b"x").unwrap();
        assert_eq!(prover.poll_timeout(), Some(ms(250)));
        prover.prove(Grade::Interim, Epoch(1), &ALICE).unwrap();
        assert_eq!(prover.poll_timeout(), Some(ms(2_000)));
    }

    #[test]
    fn objects_out_of_order_or_without_end_are_refused() {
        let mut prover = Prover::new(STREAM, ProverConfig::VIDEO);
        prover.handle_object(ms(0), ObjectSeq(5), b"a stream may start at any number").unwrap();
        for seq in [0, 5, 7] {
            let result = prover.handle_object(ms(0), ObjectSeq(seq), b"x");
            assert!(matches!(result, Err(Error::Malformed { .. })), "{seq}");
        }
        for seq in 6..5 + Section::MAX_RUNS as u64 {
            assert_eq!(prover.due(ms(0)), None);
            prover.handle_object(ms(0), ObjectSeq(seq), b"x").unwrap();
        }
        assert_eq!(prover.due(ms(0)), Some(Grade::Hybrid), "a full section waits for nothing");
        let next = ObjectSeq(5 + Section::MAX_RUNS as u64);
        assert!(matches!(prover.handle_object(ms(0), next, b"x"), Err(Error::TooLarge { .. })));
        assert!(prover.prove(Grade::Hybrid, Epoch(1), &ALICE).unwrap().is_some());
        prover.handle_object(ms(0), next, b"x").unwrap();
    }

    #[test]
    fn each_proof_names_the_one_before() {
        let sent = video(200);
        let mut previous = TreeHash::ZERO;
        for (at, (_, signed)) in sent.proofs.iter().enumerate() {
            let proof = Proof::verify(&signed.bytes, ALICE.public()).unwrap();
            assert_eq!((proof.index, proof.previous), (ProofIndex(at as u64), previous));
            previous = proof.chain_hash();
        }
    }
}

/// Proofs as bytes.
mod encoding {
    use super::*;

    fn any_proof() -> impl Strategy<Value = Proof> {
        let leaves = prop::collection::vec(any::<[u8; 32]>(), 1..70);
        (leaves.clone(), leaves, 0u8..6, any::<(bool, bool, bool, u64, u64)>(), 0u64..1 << 60).prop_map(
            |(new, again, run, (hybrid, last, two, epoch, index), first)| {
                let run = RunLength::from_log2(run).unwrap();
                let hashes = |leaves: Vec<[u8; 32]>| leaves.into_iter().map(TreeHash).collect::<Vec<_>>();
                let first = first + 100;
                let mut sections = vec![Section::new(ObjectSeq(first), &hashes(new), run).unwrap()];
                if two {
                    let start = ObjectSeq(first - again.len() as u64);
                    sections.push(Section::new(start, &hashes(again), RunLength::EIGHT).unwrap());
                }
                let grade = if hybrid { Grade::Hybrid } else { Grade::Interim };
                let previous = if index == 0 { TreeHash::ZERO } else { TreeHash([9; 32]) };
                let (index, epoch) = (ProofIndex(index), Epoch(epoch));
                Proof { grade, last: last && hybrid, stream: STREAM, epoch, index, previous, sections }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn proofs_round_trip_and_no_bit_of_them_can_be_altered(proof in any_proof(), at: prop::sample::Index, bit in 0u8..8) {
            let bytes = proof.sign(&ALICE).unwrap();
            prop_assert!(bytes.len() <= MAX_PROOF_LEN);
            prop_assert_eq!(UnverifiedProof::parse(&bytes).unwrap().to_bytes(), bytes.clone());
            prop_assert_eq!(Proof::verify(&bytes, ALICE.public()).unwrap(), proof);
            prop_assert!(Proof::verify(&bytes, MALLORY.public()).is_err());
            let mut altered = bytes;
            let at = at.index(altered.len());
            altered[at] ^= 1 << bit;
            prop_assert!(Proof::verify(&altered, ALICE.public()).is_err(), "byte {}", at);
        }

        #[test]
        fn parsing_never_panics_and_accepts_only_what_writing_makes(
            proof in any_proof(), cut: prop::sample::Index, at: prop::sample::Index, byte: u8, noise: Vec<u8>,
        ) {
            let mut bytes = proof.sign(&ALICE).unwrap();
            let at = at.index(200.min(bytes.len()));
            bytes[at] = byte;
            if let Ok(read) = UnverifiedProof::parse(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes.clone());
            }
            prop_assert!(UnverifiedProof::parse(&bytes[..cut.index(bytes.len())]).is_err());
            prop_assert!(UnverifiedProof::parse(&noise).is_err());
            bytes.push(0);
            prop_assert!(UnverifiedProof::parse(&bytes).is_err());
        }

        #[test]
        fn pieces_in_any_order_are_put_together(len in 1usize..20_000, swaps: Vec<(prop::sample::Index, prop::sample::Index)>) {
            let proof: Vec<u8> = (0..len).map(|n| (n * 31) as u8).collect();
            let mut parts: Vec<_> =
                ProofPart::split(ProofIndex(9), &proof).unwrap().map(|part| part.to_bytes().unwrap()).collect();
            prop_assert!(parts.iter().all(|part| part.len() <= ProofPart::MAX_LEN + 10));
            for (one, other) in swaps {
                let (one, other) = (one.index(parts.len()), other.index(parts.len()));
                parts.swap(one, other);
            }
            let mut assembler = ProofAssembler::new();
            let last = parts.len() - 1;
            for (n, part) in parts.iter().enumerate() {
                let part = ProofPart::parse(part).unwrap();
                // Each twice: repair may bring what came after all.
                let whole = assembler.push(&part).or_else(|| if n < last { assembler.push(&part) } else { None });
                prop_assert_eq!(whole, (n == last).then(|| proof.clone()));
            }
            prop_assert_eq!(assembler.held_bytes(), 0);
        }

        #[test]
        fn reading_a_piece_never_panics_and_accepts_only_what_writing_makes(bytes: Vec<u8>) {
            if let Ok(part) = ProofPart::parse(&bytes) {
                prop_assert_eq!(part.to_bytes().unwrap(), bytes);
            }
        }
    }

    #[test]
    fn a_small_last_piece_is_cut_off_and_put_back() {
        let sent = video(70);
        for (_, proof) in &sent.proofs {
            let parts = proof.parts_with_small_last().unwrap();
            assert_eq!(ProofPart::parse(parts.last().unwrap()).unwrap().bytes.len(), 64);
            let mut assembler = ProofAssembler::new();
            let whole = parts.iter().find_map(|part| assembler.push(&ProofPart::parse(part).unwrap()));
            assert_eq!(whole.as_ref(), Some(&proof.bytes));
        }
    }

    #[test]
    fn limits_are_checked_before_anything_is_allocated() {
        assert!(matches!(UnverifiedProof::parse(&vec![1; MAX_PROOF_LEN + 1]), Err(Error::TooLarge { .. })));
        let bytes = video(10).proofs[0].1.bytes.clone();
        let count_at = 3 + 32 + 8 + 8 + 32 + 1 + 8;
        let mut many = bytes;
        many[count_at..count_at + 2].copy_from_slice(&u16::MAX.to_be_bytes());
        assert!(matches!(UnverifiedProof::parse(&many), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn unfinished_proofs_are_bounded_and_the_first_begun_gives_way() {
        let mut assembler = ProofAssembler::new();
        let piece = |index, part| ProofPart { index: ProofIndex(index), part, parts: 2, bytes: &[1; 1_088] };
        for index in 0..100 {
            assert_eq!(assembler.push(&piece(index, 0)), None);
        }
        assert_eq!(assembler.given_up(), 100 - ProofAssembler::MAX_OPEN as u64);
        assert_eq!(assembler.held_bytes(), ProofAssembler::MAX_OPEN * 1_088);
        assert_eq!(assembler.push(&piece(0, 1)), None, "its first piece is gone");
        assert!(assembler.push(&piece(99, 1)).is_some());
    }
}

/// Honest publisher, bad network.
mod loss {
    use super::*;

    #[test]
    fn without_loss_everything_is_proven_by_both_grades() {
        for (sent, config) in [
            (video(500), VerifierConfig::video(Policy::Flag)),
            (audio(2_000), VerifierConfig::audio(Policy::Flag)),
        ] {
            let mut watcher = watcher(config);
            play(&sent, &mut watcher, |_| false, |_| false);
            let stats = watcher.stats();
            assert_eq!((stats.hybrid, stats.objects, stats.lost_proofs), (sent.objects, sent.objects, 0));
            let events = events(&mut watcher);
            assert_eq!(proven(&events, Grade::Hybrid).len() as u64, sent.objects);
            assert!(proven(&events, Grade::Interim).len() as u64 > sent.objects * 3 / 4);
            assert!(forged(&events).is_empty() && uncovered(&events).is_empty());
        }
    }

    #[test]
    fn any_one_lost_proof_is_recovered_by_the_next() {
        let sent = video(300);
        for lost in 0..sent.proofs.len() as u64 - 1 {
            let mut watcher = flag_video();
            play(&sent, &mut watcher, |_| false, |index| index == lost);
            let stats = watcher.stats();
            let what = sent.proofs[lost as usize].1.grade;
            assert_eq!((stats.hybrid, stats.unproven, stats.forged), (300, 0, 0), "{what:?} proof {lost}");
            assert_eq!(stats.lost_proofs, u64::from(lost > 0), "before the first nothing is missed");
        }
    }

    #[test]
    fn a_lost_interim_proof_is_recovered_before_the_hybrid_one() {
        let sent = video(300);
        let first_hybrid = sent.proofs.iter().find(|(_, proof)| proof.grade == Grade::Hybrid).unwrap();
        let objects = first_hybrid.0 / sent.step;
        for lost in 0..first_hybrid.1.index.0 - 1 {
            let mut watcher = flag_video();
            (0..objects).for_each(|seq| give(&mut watcher, seq * sent.step, seq));
            for (at, proof) in sent.proofs.iter().take_while(|(_, proof)| proof.grade == Grade::Interim) {
                if proof.index.0 != lost {
                    watcher.handle_proof(ms(*at), &proof.bytes).unwrap();
                }
            }
            let listed = proven(&events(&mut watcher), Grade::Interim);
            assert!(listed.len() as u64 > objects * 7 / 10, "{} of {objects} without {lost}", listed.len());
            assert!(listed.contains(&0), "the first was listed by proof {lost} or by the next");
        }
    }

    #[test]
    fn two_hybrid_proofs_lost_in_a_row_are_reported_as_what_they_are() {
        let quiet = ProverConfig { interim_every: None, ..ProverConfig::VIDEO };
        let sent = publish(quiet, 40, 400, true);
        let mut watcher = flag_video();
        play(&sent, &mut watcher, |_| false, |index| index == 1 || index == 2);
        let (stats, events) = (watcher.stats(), events(&mut watcher));
        assert_eq!((stats.lost_proofs, stats.forged), (2, 0));
        let uncovered = uncovered(&events);
        assert!(uncovered.iter().any(|(_, why)| *why == Unproven::NoProof), "{uncovered:?}");
        assert_eq!(stats.hybrid + stats.unproven, 400);
        assert!(stats.unproven <= 110, "only what waited too long: {}", stats.unproven);
    }

    #[test]
    fn lost_objects_do_not_keep_others_from_being_proven() {
        let sent = video(300);
        let mut watcher = flag_video();
        let lost = |seq: u64| seq.is_multiple_of(3) || (100..140).contains(&seq);
        play(&sent, &mut watcher, lost, |_| false);
        let arrived = (0..300).filter(|seq| !lost(*seq)).count() as u64;
        assert_eq!((watcher.stats().hybrid, watcher.stats().forged), (arrived, 0));
    }

    #[test]
    fn a_run_with_one_lost_packet_is_still_proven_and_with_two_it_is_not_blamed() {
        let sent = audio(1_000);
        let mut lossy = watcher(VerifierConfig::audio(Policy::Flag));
        play(&sent, &mut lossy, |seq| seq % 32 == 5, |_| false);
        assert_eq!(lossy.stats().hybrid, lossy.stats().objects);

        let mut torn = watcher(VerifierConfig::audio(Policy::Flag));
        play(&sent, &mut torn, |seq| seq == 200 || seq == 201, |_| false);
        let (stats, events) = (torn.stats(), events(&mut torn));
        assert_eq!((stats.forged, stats.objects), (0, 998));
        let uncovered = uncovered(&events);
        assert!(!uncovered.is_empty() && uncovered.len() < 32);
        assert!(uncovered.iter().all(|(_, why)| *why == Unproven::NeighboursLost), "{uncovered:?}");
    }

    #[test]
    fn who_joins_in_the_middle_proves_from_there_on() {
        let sent = video(500);
        for joined in [1, 130, 251, 499] {
            let mut watcher = flag_video();
            let before = |index: u64| sent.proofs[index as usize].0 < joined * sent.step;
            play(&sent, &mut watcher, |seq| seq < joined, before);
            let stats = watcher.stats();
            assert_eq!((stats.hybrid, stats.objects, stats.lost_proofs), (500 - joined, 500 - joined, 0));
        }
    }

    #[test]
    fn the_chain_goes_on_over_epochs_and_each_change_proves_what_was_sent_before() {
        let mut prover = Prover::new(STREAM, ProverConfig::VIDEO);
        let mut watcher = flag_video();
        for seq in 0..60 {
            let now = seq * 40;
            if seq % 10 == 0 && seq > 0 {
                let proof = prover.prove(Grade::Hybrid, Epoch(seq / 10), &ALICE).unwrap().unwrap();
                watcher.handle_proof(ms(now), &proof.bytes).unwrap();
                assert_eq!(watcher.stats().hybrid, seq, "all of the epochs before");
            }
            prover.handle_object(ms(now), ObjectSeq(seq), &bytes_of(seq)).unwrap();
            give(&mut watcher, now, seq);
        }
        let last = prover.finish(Epoch(6), &ALICE).unwrap().unwrap();
        watcher.handle_proof(ms(3_000), &last.bytes).unwrap();
        assert_eq!((watcher.stats().hybrid, watcher.stats().lost_proofs), (60, 0));
        assert!(!contradicted(&events(&mut watcher)));
    }

    #[test]
    fn objects_that_come_after_their_proof_are_proven_at_once() {
        let sent = video(100);
        let mut watcher = flag_video();
        for (at, proof) in &sent.proofs {
            watcher.handle_proof(ms(*at), &proof.bytes).unwrap();
        }
        (0..100).rev().for_each(|seq| give(&mut watcher, 9_000, seq));
        assert_eq!((watcher.stats().hybrid, watcher.stats().open), (100, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn repeated_and_reordered_proofs_change_nothing(order: Vec<prop::sample::Index>) {
            let sent = video(120);
            let mut watcher = flag_video();
            (0..120).for_each(|seq| give(&mut watcher, 0, seq));
            for at in order {
                let (_, proof) = &sent.proofs[at.index(sent.proofs.len())];
                watcher.handle_proof(ms(1), &proof.bytes).unwrap();
            }
            for (_, proof) in sent.proofs.iter().rev().chain(&sent.proofs) {
                watcher.handle_proof(ms(1), &proof.bytes).unwrap();
            }
            prop_assert_eq!(watcher.stats().hybrid, 120);
            let events = events(&mut watcher);
            prop_assert_eq!(proven(&events, Grade::Hybrid).len(), 120, "each once");
            prop_assert!(!contradicted(&events));
            prop_assert!(forged(&events).is_empty());
        }
    }
}

/// A member that sends in another's name, or a publisher that says two things.
mod attacks {
    use super::*;

    /// The predecessor's any-member-can-forge-any-other, with the real keys: mallory is in the group, so the seal opens.
    #[test]
    fn defect_any_member_can_forge_any_other() {
        let (epoch, secret, alices_leaf) = (Epoch(1), [5; 32], LeafIndex(0));
        let keys = StreamKeys::<AwsLc>::derive(&secret, STREAM, alices_leaf).unwrap();
        let mut in_alices_name = Sealer::new(keys, STREAM, epoch, CodecId::Av1);
        let mut chunk = in_alices_name
            .seal(Layer::BASE, &Inner::Object { seq: ObjectSeq(3), bytes: b"never sent by alice" })
            .unwrap();
        let mut ring: Keyring = Keyring::new(STREAM);
        ring.install(ms(0), epoch, &secret, alices_leaf).unwrap();
        let opened = ring.open(ms(120), &mut chunk).expect("group keys can't tell members apart");
        let Inner::Object { seq, bytes } = opened.inner else { panic!("an object was sealed") };

        let sent = video(100);
        let mut watcher = flag_video();
        watcher.handle_object(ms(120), seq, MediaTime(120_000), bytes, 0);
        let (at, proof) = &sent.proofs[0];
        watcher.handle_proof(ms(*at), &proof.bytes).unwrap();
        let Some(Event::Forged { object, grade: Grade::Interim, at }) = watcher.poll_event() else {
            panic!("not named")
        };
        assert_eq!((object.stream, object.seq, object.arrived), (STREAM, ObjectSeq(3), ms(120)));
        assert!(at.since(object.arrived) < VerifierConfig::video(Policy::Flag).deadline);
    }

    #[test]
    fn a_forged_object_is_named_within_the_deadline_wherever_it_is_put() {
        let sent = video(100);
        // In place of a real one, beside a real one, ahead of the stream, behind its end.
        for (seq, instead) in [(30, true), (30, false), (70_000, false), (100, false)] {
            let mut watcher = flag_video();
            forge(&mut watcher, 30 * 40, seq);
            play(&sent, &mut watcher, |lost| instead && lost == seq, |_| false);
            let events = events(&mut watcher);
            let mut named = forged(&events);
            named.extend(uncovered(&events).into_iter().map(|(pts, _)| pts));
            named.dedup();
            assert_eq!(named, [FORGED + seq], "{seq} instead: {instead}");
            assert_eq!(watcher.stats().hybrid, if instead { 99 } else { 100 });
        }
    }

    #[test]
    fn an_object_that_was_never_sent_is_named_when_the_deadline_ends() {
        let mut watcher = flag_video();
        forge(&mut watcher, 1_000, 70_000);
        assert_eq!(watcher.poll_timeout(), Some(ms(4_000)));
        watcher.handle_timeout(ms(3_999));
        assert_eq!(watcher.poll_event(), None);
        watcher.handle_timeout(ms(4_000));
        assert_eq!(uncovered(&events(&mut watcher)), [(FORGED + 70_000, Unproven::NoProof)]);
    }

    #[test]
    fn nothing_can_be_added_after_the_end() {
        let sent = video(50);
        let mut watcher = flag_video();
        forge(&mut watcher, 100, 50);
        play(&sent, &mut watcher, |_| false, |_| false);
        forge(&mut watcher, 200_000, 51);
        assert_eq!(forged(&events(&mut watcher)), [FORGED + 50, FORGED + 51]);
    }

    #[test]
    fn the_forged_packet_of_a_run_is_told_from_its_neighbours() {
        let sent = audio(600);
        let mut watcher = watcher(VerifierConfig::audio(Policy::Flag));
        forge(&mut watcher, 0, 77);
        play(&sent, &mut watcher, |seq| seq == 77, |_| false);
        assert_eq!(
            forged(&events(&mut watcher)),
            [FORGED + 77, FORGED + 77],
            "by the interim and the hybrid proof"
        );
        assert_eq!((watcher.stats().hybrid, watcher.stats().forged), (599, 1));
    }

    #[test]
    fn two_forged_packets_in_a_run_make_it_suspect_and_nobody_innocent_is_named() {
        let sent = audio(600);
        let mut watcher = watcher(VerifierConfig::audio(Policy::Flag));
        forge(&mut watcher, 0, 77);
        forge(&mut watcher, 0, 78);
        play(&sent, &mut watcher, |seq| seq == 77 || seq == 78, |_| false);
        let events = events(&mut watcher);
        assert!(forged(&events).is_empty(), "which ones can't be told");
        let suspects = |event: &Event| match event {
            Event::SuspectRun { first, count, .. } => Some(first.0..first.0 + *count as u64),
            _ => None,
        };
        let suspects: Vec<_> = events.iter().filter_map(suspects).collect();
        assert!(!suspects.is_empty() && suspects.iter().all(|run| run.contains(&77) || run.contains(&78)));
        let uncovered = uncovered(&events);
        assert!(uncovered.contains(&(FORGED + 77, Unproven::SuspectRun)), "{uncovered:?}");
        assert!(proven(&events, Grade::Hybrid).iter().all(|pts| *pts < FORGED));
    }

    #[test]
    fn proofs_of_others_are_refused_and_leave_no_trace() {
        let mut prover = Prover::new(STREAM, ProverConfig::VIDEO);
        prover.handle_object(ms(0), ObjectSeq(0), b"mallory's").unwrap();
        let not_hers = prover.prove(Grade::Hybrid, Epoch(1), &MALLORY).unwrap().unwrap();
        let mut other = Prover::new(StreamId([8; 32]), ProverConfig::VIDEO);
        other.handle_object(ms(0), ObjectSeq(0), b"of another stream").unwrap();
        let elsewhere = other.prove(Grade::Interim, Epoch(1), &ALICE).unwrap().unwrap();
        let mut watcher = flag_video();
        assert!(matches!(watcher.handle_proof(ms(0), &not_hers.bytes), Err(Error::Identity { .. })));
        assert!(matches!(watcher.handle_proof(ms(0), &elsewhere.bytes), Err(Error::Malformed { .. })));
        assert!(watcher.handle_proof(ms(0), b"noise").is_err());
        assert_eq!(watcher.stats().refused_proofs, 3);
        play(&video(50), &mut watcher, |_| false, |_| false);
        assert_eq!(watcher.stats().hybrid, 50);
    }

    #[test]
    fn a_publisher_that_signs_two_histories_is_reported() {
        let history = |content: &[u8], grade| {
            let mut prover = Prover::new(STREAM, ProverConfig::VIDEO);
            prover.handle_object(ms(0), ObjectSeq(0), content).unwrap();
            let first = prover.prove(grade, Epoch(1), &ALICE).unwrap().unwrap();
            prover.handle_object(ms(1), ObjectSeq(1), b"common").unwrap();
            let second = prover.prove(grade, Epoch(1), &ALICE).unwrap().unwrap();
            (first, second)
        };
        for (grade, pick_second) in
            [(Grade::Hybrid, false), (Grade::Hybrid, true), (Grade::Interim, false), (Grade::Interim, true)]
        {
            let (one, other) = (history(b"one", grade), history(b"another", grade));
            let mut watcher = flag_video();
            watcher.handle_proof(ms(0), &one.0.bytes).unwrap();
            let clash = if pick_second { other.1 } else { other.0 };
            watcher.handle_proof(ms(0), &clash.bytes).unwrap();
            let (stream, index) = (STREAM, clash.index);
            assert!(events(&mut watcher).contains(&Event::Equivocation { stream, index, grade }));
        }
    }

    #[test]
    fn a_proof_that_names_another_one_before_it_is_reported_though_no_object_tells() {
        let proof = |index, previous, first| {
            let sections =
                vec![Section::new(ObjectSeq(first), &[TreeHash([3; 32])], RunLength::ONE).unwrap()];
            let (index, epoch) = (ProofIndex(index), Epoch(1));
            Proof { grade: Grade::Hybrid, last: false, stream: STREAM, epoch, index, previous, sections }
        };
        let first = proof(4, TreeHash([1; 32]), 0);
        for (previous, broken) in [(first.chain_hash(), false), (TreeHash([2; 32]), true)] {
            let (first, second) = (first.sign(&ALICE).unwrap(), proof(5, previous, 1).sign(&ALICE).unwrap());
            for order in [[&first, &second], [&second, &first]] {
                let mut watcher = flag_video();
                for bytes in order {
                    watcher.handle_proof(ms(0), bytes).unwrap();
                }
                assert_eq!(contradicted(&events(&mut watcher)), broken);
            }
        }
    }

    /// Who can forge Ed25519 gets interim verdicts wrong, and only until the hybrid proof.
    #[test]
    fn what_an_interim_proof_says_is_kept_apart_and_overruled() {
        let config = ProverConfig::VIDEO;
        let interim_of = |content: &[u8]| {
            let mut prover = Prover::new(STREAM, config);
            prover.handle_object(ms(0), ObjectSeq(0), content).unwrap();
            prover.prove(Grade::Interim, Epoch(1), &ALICE).unwrap().unwrap()
        };
        // Signed with alice's key here, as with a quantum computer.
        let stolen = interim_of(b"forged");
        let mut genuine = Prover::new(STREAM, config);
        genuine.handle_object(ms(0), ObjectSeq(0), b"genuine").unwrap();
        let hybrid = genuine.prove(Grade::Hybrid, Epoch(1), &ALICE).unwrap().unwrap();

        let mut watcher = flag_video();
        watcher.handle_object(ms(0), ObjectSeq(0), MediaTime(0), b"genuine", 0);
        watcher.handle_object(ms(0), ObjectSeq(0), MediaTime(FORGED), b"forged", FORGED);
        watcher.handle_proof(ms(1), &stolen.bytes).unwrap();
        let early = events(&mut watcher);
        assert_eq!((proven(&early, Grade::Interim), forged(&early)), (vec![FORGED], vec![0]));
        assert!(proven(&early, Grade::Hybrid).is_empty());
        watcher.handle_proof(ms(2), &hybrid.bytes).unwrap();
        let late = events(&mut watcher);
        assert_eq!((proven(&late, Grade::Hybrid), forged(&late)), (vec![0], vec![FORGED]));
        let equivocation =
            Event::Equivocation { stream: STREAM, index: ProofIndex(0), grade: Grade::Interim };
        assert!(late.contains(&equivocation), "{late:?}");
        let stats = watcher.stats();
        assert_eq!((stats.hybrid, stats.interim, stats.forged), (1, 0, 1));
    }

    #[test]
    fn an_object_with_nothing_but_an_interim_proof_is_counted_as_that() {
        let sent = video(100);
        let mut watcher = flag_video();
        let grades: Vec<_> = sent.proofs.iter().map(|(_, proof)| proof.grade).collect();
        play(&sent, &mut watcher, |_| false, |index| grades[index as usize] == Grade::Hybrid);
        let stats = watcher.stats();
        assert_eq!((stats.hybrid, stats.interim + stats.unproven, stats.open), (0, 100, 0));
        assert!(stats.interim > 70);
    }

    #[test]
    fn a_flood_is_bounded_and_what_gave_way_is_reported() {
        let config =
            VerifierConfig { max_objects: 64, max_bytes: 6_000, ..VerifierConfig::video(Policy::Flag) };
        for policy in [Policy::Flag, Policy::Strict(Grade::Interim)] {
            let mut watcher = watcher(VerifierConfig { policy, ..config });
            for seq in 0..5_000u64 {
                let bytes = [seq as u8; 100];
                for candidate in 0..3 {
                    let bytes = [&bytes[..], &[candidate]].concat();
                    watcher.handle_object(ms(seq), ObjectSeq(seq / 2), MediaTime(seq), &bytes, seq);
                }
                let (objects, bytes, ..) = watcher.held();
                assert!(objects <= 64 && bytes <= 6_000, "{objects} objects, {bytes} bytes");
            }
            let stats = watcher.stats();
            assert_eq!(stats.unproven + stats.open, stats.objects);
            assert!(stats.lost_events > 0, "nobody polled");
            let events = events(&mut watcher);
            assert_eq!(events.len(), Watcher::MAX_EVENTS);
            assert!(uncovered(&events).iter().any(|(_, why)| *why == Unproven::Evicted));
        }
    }

    #[test]
    fn candidates_for_one_number_are_bounded_and_those_turned_away_are_reported() {
        let mut watcher = flag_video();
        for candidate in 0..9u64 {
            watcher.handle_object(
                ms(0),
                ObjectSeq(5),
                MediaTime(candidate),
                &candidate.to_be_bytes(),
                candidate,
            );
        }
        let most = Watcher::MAX_CANDIDATES as u64;
        assert_eq!(released(&mut watcher).len() as u64, most);
        let away: Vec<_> = (most..9).map(|candidate| (candidate, Unproven::Evicted)).collect();
        assert_eq!(uncovered(&events(&mut watcher)), away);
    }

    #[test]
    fn what_proofs_say_is_bounded_too() {
        let mut watcher = watcher(VerifierConfig::audio(Policy::Flag));
        let leaves: Vec<_> = (0..4_096u16).map(|n| TreeHash([n as u8; 32])).collect();
        for index in 0..40u64 {
            let run = if index % 2 == 0 { RunLength::EIGHT } else { RunLength::ONE };
            let listed = if run == RunLength::ONE { &leaves[..512] } else { &leaves[..] };
            let section = Section::new(ObjectSeq(index << 20), listed, run).unwrap();
            let previous = if index == 0 { TreeHash::ZERO } else { TreeHash([1; 32]) };
            let (index, sections) = (ProofIndex(index * 7), vec![section]);
            let proof = Proof {
                grade: Grade::Interim,
                last: false,
                stream: STREAM,
                epoch: Epoch(1),
                index,
                previous,
                sections,
            };
            watcher.handle_proof(ms(0), &proof.sign(&ALICE).unwrap()).unwrap();
            let (_, _, leaves, runs) = watcher.held();
            assert!(leaves <= 8_192 && runs <= 1_024, "{leaves} leaves, {runs} runs");
        }
        watcher.handle_timeout(ms(60_000));
        assert_eq!(watcher.held().3, 0, "runs are forgotten in time");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Any pattern of loss, reordering and forging: what somebody else made is never proven, and what the publisher
        /// made is never called forged. If all proofs come, all that can be checked is proven.
        #[test]
        fn the_forged_are_never_proven_and_the_honest_are_never_blamed(
            sound: bool,
            lost in prop::collection::btree_set(0u64..150, 0..60),
            forgeries in prop::collection::btree_set(0u64..170, 0..12),
            replaced in prop::collection::btree_set(0u64..150, 0..6),
            lost_proofs in prop::collection::btree_set(0u64..12, 0..5),
            delay in 0u64..1_500,
        ) {
            let (sent, config) = if sound {
                (audio(150), VerifierConfig::audio(Policy::Flag))
            } else {
                (video(150), VerifierConfig::video(Policy::Flag))
            };
            let mut watcher = watcher(config);
            let mut proofs = sent.proofs.iter().peekable();
            let mut arrived = BTreeSet::new();
            for seq in 0..=200 {
                let now = seq * sent.step;
                watcher.handle_timeout(ms(now));
                while let Some((_, proof)) = proofs.next_if(|(at, _)| at + delay <= now) {
                    if !lost_proofs.contains(&proof.index.0) {
                        watcher.handle_proof(ms(now), &proof.bytes).unwrap();
                    }
                }
                if forgeries.contains(&seq) || replaced.contains(&seq) {
                    forge(&mut watcher, now, seq);
                }
                if seq < sent.objects && !lost.contains(&seq) && !replaced.contains(&seq) {
                    give(&mut watcher, now, seq);
                    arrived.insert(seq);
                }
            }
            for (_, proof) in proofs.filter(|(_, proof)| !lost_proofs.contains(&proof.index.0)) {
                watcher.handle_proof(ms(200 * sent.step), &proof.bytes).unwrap();
            }
            watcher.handle_timeout(ms(1_000_000));
            let events = events(&mut watcher);
            for grade in [Grade::Interim, Grade::Hybrid] {
                prop_assert!(proven(&events, grade).iter().all(|pts| *pts < FORGED), "a forgery was proven");
            }
            prop_assert!(forged(&events).iter().all(|pts| *pts >= FORGED), "an honest object was blamed");
            prop_assert!(!contradicted(&events));
            if lost_proofs.is_empty() && !sound {
                let hybrid: BTreeSet<_> = proven(&events, Grade::Hybrid).into_iter().collect();
                prop_assert_eq!(hybrid, arrived);
                let reported: BTreeSet<_> =
                    forged(&events).into_iter().chain(uncovered(&events).into_iter().map(|(pts, _)| pts)).collect();
                let made: BTreeSet<_> = forgeries.union(&replaced).map(|seq| FORGED + seq).collect();
                prop_assert_eq!(reported, made, "every forgery is named, and nothing else");
            }
            let stats = watcher.stats();
            prop_assert_eq!(stats.hybrid + stats.interim + stats.unproven + stats.forged + stats.open, stats.objects);
        }
    }
}

/// The policy that holds back.
mod strict {
    use super::*;

    #[test]
    fn nothing_goes_before_its_proof_and_what_goes_is_in_order() {
        for grade in [Grade::Interim, Grade::Hybrid] {
            let sent = video(200);
            let mut watcher = watcher(VerifierConfig::video(Policy::Strict(grade)));
            let mut proofs = sent.proofs.iter().peekable();
            let mut out = Vec::new();
            for seq in 0..=200u64 {
                let now = seq * 40;
                while let Some((_, proof)) = proofs.next_if(|(at, _)| *at <= now) {
                    watcher.handle_proof(ms(now), &proof.bytes).unwrap();
                }
                let freed = released(&mut watcher);
                assert!(
                    freed.iter().all(|freed| freed.item < seq && freed.grade >= Some(grade) && !freed.late)
                );
                out.extend(freed.into_iter().map(|freed| (freed.item, now)));
                // Pairs arrive swapped.
                if seq < 200 {
                    give(&mut watcher, now, seq ^ 1);
                }
            }
            let order: Vec<_> = out.iter().map(|(seq, _)| *seq).collect();
            assert_eq!(order, (0..200).collect::<Vec<_>>());
            let wait = out.iter().map(|(seq, at)| at - seq * 40).max().unwrap();
            assert!(wait <= if grade == Grade::Interim { 560 } else { 2_080 }, "{grade:?}: {wait} ms");
            assert_eq!(watcher.held().1, 0);
        }
    }

    #[test]
    fn a_proof_that_makes_good_for_a_lost_one_lets_the_older_go_first() {
        let sent = video(40);
        let mut watcher = watcher(VerifierConfig::video(Policy::Strict(Grade::Interim)));
        (0..26).for_each(|seq| give(&mut watcher, seq * 40, seq));
        watcher.handle_proof(ms(1_040), &sent.proofs[1].1.bytes).unwrap();
        let freed = released(&mut watcher);
        assert_eq!(freed.iter().map(|freed| freed.item).collect::<Vec<_>>(), (0..26).collect::<Vec<_>>());
        assert!(freed.iter().all(|freed| !freed.late));
    }

    #[test]
    fn the_forged_and_the_unproven_never_go() {
        let sent = video(100);
        let mut watcher = watcher(VerifierConfig::video(Policy::Strict(Grade::Interim)));
        for seq in [10, 40, 1_000] {
            forge(&mut watcher, 0, seq);
        }
        play(&sent, &mut watcher, |seq| seq == 40, |_| false);
        forge(&mut watcher, 200_000, 20);
        let freed: Vec<_> = released(&mut watcher).iter().map(|freed| freed.item).collect();
        assert_eq!(freed, (0..100).filter(|seq| *seq != 40).collect::<Vec<_>>());
        let events = events(&mut watcher);
        assert_eq!(
            forged(&events).into_iter().collect::<BTreeSet<_>>(),
            [10, 20, 40].map(|seq| FORGED + seq).into()
        );
        assert_eq!(uncovered(&events), [(FORGED + 1_000, Unproven::NoProof)]);
        assert_eq!(watcher.held().1, 0);
    }

    #[test]
    fn what_comes_after_its_proof_goes_at_once_and_says_that_it_is_late() {
        let sent = video(100);
        let mut watcher = watcher(VerifierConfig::video(Policy::Strict(Grade::Hybrid)));
        play(&sent, &mut watcher, |seq| seq == 40, |_| false);
        assert_eq!(released(&mut watcher).len(), 99);
        give(&mut watcher, 5_000, 40);
        let freed = released(&mut watcher);
        assert_eq!(
            freed,
            [Released { seq: ObjectSeq(40), grade: Some(Grade::Hybrid), late: true, item: 40 }]
        );
    }

    #[test]
    fn flag_lets_go_at_once_and_only_drops_what_is_already_known_to_be_forged() {
        let sent = video(100);
        let mut watcher = flag_video();
        give(&mut watcher, 0, 0);
        forge(&mut watcher, 0, 1);
        let freed: Vec<_> = released(&mut watcher).iter().map(|freed| (freed.item, freed.grade)).collect();
        assert_eq!(freed, [(0, None), (FORGED + 1, None)]);
        play(&sent, &mut watcher, |_| true, |_| false);
        forge(&mut watcher, 5_000, 2);
        assert_eq!(released(&mut watcher), []);
        assert_eq!(watcher.stats().forged, 2);
    }

    #[test]
    fn the_same_object_twice_goes_once_when_it_waits_and_is_counted() {
        let sent = video(10);
        let mut watcher = watcher(VerifierConfig::video(Policy::Strict(Grade::Hybrid)));
        give(&mut watcher, 0, 3);
        give(&mut watcher, 1, 3);
        watcher.handle_proof(ms(400), &sent.proofs.last().unwrap().1.bytes).unwrap();
        give(&mut watcher, 500, 3);
        assert_eq!(released(&mut watcher).len(), 1);
        assert_eq!((watcher.stats().objects, watcher.stats().duplicates), (1, 2));
    }
}
