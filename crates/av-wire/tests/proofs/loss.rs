//! Honest publisher, bad network.

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
