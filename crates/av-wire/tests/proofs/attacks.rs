//! A member that sends in another's name, or a publisher that says two things.

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
        let sections = vec![Section::new(ObjectSeq(first), &[TreeHash([3; 32])], RunLength::ONE).unwrap()];
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
    let equivocation = Event::Equivocation { stream: STREAM, index: ProofIndex(0), grade: Grade::Interim };
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
    let config = VerifierConfig { max_objects: 64, max_bytes: 6_000, ..VerifierConfig::video(Policy::Flag) };
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
        watcher.handle_object(ms(0), ObjectSeq(5), MediaTime(candidate), &candidate.to_be_bytes(), candidate);
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
