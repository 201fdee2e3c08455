//! The policy that holds back.

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
            assert!(freed.iter().all(|freed| freed.item < seq && freed.grade >= Some(grade) && !freed.late));
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
    assert_eq!(freed, [Released { seq: ObjectSeq(40), grade: Some(Grade::Hybrid), late: true, item: 40 }]);
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
