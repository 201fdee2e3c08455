//! The four messages, seen from outside: what goes right, and what somebody without any secret can try.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_link::handshake::{Claim, Finishing, Initiation, Response};
use av_link::x_wing::Backend;
use av_link::{Error, Fault, Link, Seed};
use identity::Identity;
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

fn person(n: u8) -> Arc<Identity> {
    Arc::new(Identity::from_seed(&identity::Seed([n; 64])).unwrap())
}

fn call(from: u8, to: u8, seed: u8) -> Initiation {
    Initiation::new(person(from), person(to).key_id(), Backend::default(), &Seed([seed; 32])).unwrap()
}

fn respond(who: u8, offer: &[u8], seed: u8) -> Result<Response, Error> {
    Response::new(&person(who), offer, Backend::default(), &Seed([seed; 32]))
}

/// One handshake up to the verdict.
struct Run {
    alice: Initiation,
    bob: Response,
    finishing: Finishing,
}

impl Run {
    fn new(seed: u8) -> Self {
        let alice = call(1, 2, seed);
        let bob = respond(2, alice.offer(), seed ^ 0xff).unwrap();
        let finishing = alice.read_answer(bob.answer()).unwrap();
        Self { alice, bob, finishing }
    }

    fn claim(&self) -> Claim {
        self.bob.read_finish(self.finishing.finish()).unwrap()
    }

    fn links(&self) -> (Link, Link) {
        let (verdict, bob) = self.claim().accept().unwrap();
        (self.finishing.read_verdict(&verdict).unwrap(), bob)
    }
}

static RUN: LazyLock<Run> = LazyLock::new(|| Run::new(7));

fn exported(link: &Link, label: &str, context: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    link.exporter().export(label, context, &mut out).unwrap();
    out
}

#[test]
fn both_sides_prove_themselves_and_have_the_same_keys() {
    let (alice, bob) = RUN.links();
    assert_eq!(alice.peer(), person(2).public());
    assert_eq!(bob.peer(), person(1).public());
    for (one, other) in [(&alice.keys().send, &bob.keys().receive), (&alice.keys().receive, &bob.keys().send)]
    {
        assert_eq!((one.key, one.salt), (other.key, other.salt));
    }
    assert_eq!(exported(&alice, "a", b"c"), exported(&bob, "a", b"c"));
}

#[test]
fn defect_one_key_for_both_directions() {
    let (alice, _) = RUN.links();
    let keys = alice.keys();
    assert_ne!(keys.send.key, keys.receive.key);
    assert_ne!(keys.send.salt, keys.receive.salt);
}

#[test]
fn every_handshake_has_keys_of_its_own() {
    // The same people and the same seed on one side: the other side's part is enough.
    let alice = call(1, 2, 1);
    let mut seen = Vec::new();
    for seed in 0..4 {
        let bob = respond(2, alice.offer(), seed).unwrap();
        let finishing = alice.read_answer(bob.answer()).unwrap();
        let (_, link) = bob.read_finish(finishing.finish()).unwrap().accept().unwrap();
        assert!(!seen.contains(&link.keys().send.key));
        seen.push(link.keys().send.key);
    }
}

#[test]
fn exported_secrets_differ_by_label_and_context() {
    let (alice, _) = RUN.links();
    let base = exported(&alice, "ab", b"c");
    for (label, context) in [("a", &b"c"[..]), ("ab", b""), ("abc", b""), ("a", b"bc")] {
        assert_ne!(exported(&alice, label, context), base, "{label}");
    }
    let mut long = vec![0; 8_161];
    assert_eq!(alice.exporter().export("a", b"", &mut long).unwrap_err().fault(), Fault::Caller);
    assert!(alice.exporter().export(&"a".repeat(256), b"", &mut [0]).is_err());
    assert!(alice.exporter().export("a", b"", &mut long[1..]).is_ok());
}

#[test]
fn a_refused_caller_hears_it_and_gets_no_link() {
    let verdict = RUN.claim().refuse().unwrap();
    assert_eq!(RUN.finishing.read_verdict(&verdict).unwrap_err(), Error::Refused(person(2).key_id()));
}

#[test]
fn every_backend_finishes_with_every_other() {
    for &ours in Backend::ALL {
        for &theirs in Backend::ALL {
            let alice = Initiation::new(person(1), person(2).key_id(), ours, &Seed([1; 32])).unwrap();
            let bob = Response::new(&person(2), alice.offer(), theirs, &Seed([2; 32])).unwrap();
            let finishing = alice.read_answer(bob.answer()).unwrap();
            let (verdict, bob) = bob.read_finish(finishing.finish()).unwrap().accept().unwrap();
            let alice = finishing.read_verdict(&verdict).unwrap();
            assert_eq!(alice.keys().send.key, bob.keys().receive.key, "{ours:?} {theirs:?}");
        }
    }
}

#[test]
fn a_wrong_expected_identity_ends_the_handshake_and_shows_nobody_the_caller() {
    // Alice wants Bob; Carol answers, and is honest about who she is.
    let alice = call(1, 2, 1);
    let carol = respond(3, alice.offer(), 2).unwrap();
    let error = alice.read_answer(carol.answer()).unwrap_err();
    assert_eq!(error, Error::WrongPeer { expected: person(2).key_id(), got: person(3).key_id() });
    assert_eq!(error.fault(), Fault::Peer);
}

#[test]
fn a_node_does_not_call_itself() {
    let error =
        Initiation::new(person(1), person(1).key_id(), Backend::default(), &Seed([1; 32])).unwrap_err();
    assert_eq!(error.fault(), Fault::Caller);
}

#[test]
fn identity_mix_up_messages_of_two_handshakes_do_not_go_together() {
    // Alice calls Bob twice, and Carol calls Bob: nothing of one fits another.
    let other = Run::new(8);
    let carol = call(3, 2, 9);
    let for_carol = respond(2, carol.offer(), 10).unwrap();
    for (alice, answer) in
        [(&RUN.alice, other.bob.answer()), (&RUN.alice, for_carol.answer()), (&carol, RUN.bob.answer())]
    {
        let error = alice.read_answer(answer).unwrap_err();
        assert!(matches!(error, Error::Authentication { what: "the answer's seal" }), "{error}");
    }
    for (bob, finish) in [(&RUN.bob, other.finishing.finish()), (&for_carol, RUN.finishing.finish())] {
        let error = bob.read_finish(finish).unwrap_err();
        assert!(matches!(error, Error::Authentication { what: "the finish's seal" }), "{error}");
    }
    let (verdict, _) = other.claim().accept().unwrap();
    assert!(matches!(RUN.finishing.read_verdict(&verdict), Err(Error::Authentication { .. })));
}

#[test]
fn defect_no_replay_protection() {
    // All that Alice once sent to Bob, sent again: he answers with a fresh key, and the old finish does not fit it.
    let again = respond(2, RUN.alice.offer(), 99).unwrap();
    assert_ne!(again.answer(), RUN.bob.answer());
    let error = again.read_finish(RUN.finishing.finish()).unwrap_err();
    assert!(matches!(error, Error::Authentication { .. }), "{error}");
}

#[test]
fn a_reflected_message_is_not_taken_for_an_answer() {
    let alice = call(1, 2, 1);
    for own in [alice.offer(), RUN.finishing.finish()] {
        assert!(matches!(alice.read_answer(own), Err(Error::Malformed { .. })));
    }
    assert!(matches!(RUN.bob.read_finish(RUN.bob.answer()), Err(Error::Malformed { .. })));
    // Alice's offer reflected to Alice, who listens too: her answer goes back to her.
    let reflected = respond(1, alice.offer(), 2).unwrap();
    assert_eq!(alice.read_answer(reflected.answer()).unwrap_err(), Error::OwnIdentity);
}

#[test]
fn downgrade_taking_entries_out_of_the_offer_breaks_it() {
    // Lists: count 2, unknown, 1 — for versions and for suites. The unknown entry stands for a better one.
    let offer = RUN.alice.offer();
    assert_eq!((offer[0], offer[5]), (2, 2));
    for at in [0, 5] {
        let mut stripped = offer.to_vec();
        stripped[at] = 1;
        stripped.drain(at + 1..at + 3);
        let bob = respond(2, &stripped, 3).unwrap();
        let error = RUN.alice.read_answer(bob.answer()).unwrap_err();
        assert!(matches!(error, Error::Authentication { what: "the answer's seal" }), "{error}");
    }
}

#[test]
fn downgrade_another_choice_than_the_responders_breaks_it() {
    for (at, what) in [(1, "version"), (3, "suite")] {
        let mut answer = RUN.bob.answer().to_vec();
        answer[at] ^= 2;
        assert_eq!(RUN.alice.read_answer(&answer).unwrap_err(), Error::Incompatible { what });
    }
}

#[test]
fn nothing_in_common_is_told_apart_from_garbage() {
    for (at, what) in [(4, "version"), (9, "suite")] {
        let mut offer = RUN.alice.offer().to_vec();
        offer[at] = 2;
        assert_eq!(respond(2, &offer, 3).unwrap_err(), Error::Incompatible { what });
    }
    for count in [0, 9] {
        let mut offer = RUN.alice.offer().to_vec();
        offer[0] = count;
        assert!(matches!(respond(2, &offer, 3), Err(Error::Malformed { .. })), "{count}");
    }
}

#[test]
fn an_offer_with_a_key_that_is_none_is_refused() {
    let mut offer = RUN.alice.offer().to_vec();
    offer[74] = 0xff;
    offer[75] |= 0x0f;
    assert!(matches!(respond(2, &offer, 3), Err(Error::Malformed { what: "ML-KEM-768 key", .. })));
    let mut offer = RUN.alice.offer().to_vec();
    let point = offer.len() - 32;
    offer[point..].fill(0);
    assert!(matches!(respond(2, &offer, 3), Err(Error::Malformed { what: "X25519 key", .. })));
}

#[test]
fn truncation_and_extension_of_every_message_are_refused() {
    let (verdict, _) = RUN.claim().accept().unwrap();
    let cuts = |bytes: &[u8]| {
        let mut wrong: Vec<Vec<u8>> =
            (0..bytes.len()).step_by(37).chain([bytes.len() - 1]).map(|len| bytes[..len].to_vec()).collect();
        wrong.push([bytes, &[0]].concat());
        wrong
    };
    for wrong in cuts(RUN.alice.offer()) {
        assert!(matches!(respond(2, &wrong, 3), Err(Error::Malformed { .. })), "{}", wrong.len());
    }
    for wrong in cuts(RUN.bob.answer()) {
        assert!(matches!(RUN.alice.read_answer(&wrong), Err(Error::Malformed { .. })), "{}", wrong.len());
    }
    for wrong in cuts(RUN.finishing.finish()) {
        assert!(matches!(RUN.bob.read_finish(&wrong), Err(Error::Malformed { .. })), "{}", wrong.len());
    }
    for wrong in cuts(&verdict) {
        assert!(
            matches!(RUN.finishing.read_verdict(&wrong), Err(Error::Malformed { .. })),
            "{}",
            wrong.len()
        );
    }
}

#[test]
fn secrets_are_not_shown() {
    let (link, _) = RUN.links();
    let shown = format!("{link:?} {:?} {:?} {:?} {:?}", RUN.alice, RUN.bob, RUN.finishing, Seed([5; 32]));
    let numbers = format!("{:?}", link.keys().send.key);
    assert!(!shown.contains(numbers.trim_matches(['[', ']'])) && !shown.contains("5, 5"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn tampering_with_any_byte_of_the_offer_gives_no_answer_that_the_caller_takes(at in 0usize..1_290, by in 1u8..) {
        let mut offer = RUN.alice.offer().to_vec();
        offer[at] ^= by;
        if let Ok(bob) = respond(2, &offer, 3) {
            prop_assert!(RUN.alice.read_answer(bob.answer()).is_err());
        }
    }

    #[test]
    fn tampering_with_any_byte_of_the_answer_is_found(at in 0usize..7_777, by in 1u8..) {
        let mut answer = RUN.bob.answer().to_vec();
        answer[at] ^= by;
        prop_assert!(RUN.alice.read_answer(&answer).is_err());
    }

    #[test]
    fn tampering_with_any_byte_of_the_finish_is_found(at in 0usize..6_557, by in 1u8..) {
        let mut finish = RUN.finishing.finish().to_vec();
        finish[at] ^= by;
        prop_assert!(RUN.bob.read_finish(&finish).is_err());
    }

    #[test]
    fn tampering_with_any_byte_of_the_verdict_is_found(at in 0usize..32, by in 1u8..) {
        for mut verdict in [RUN.claim().accept().unwrap().0, RUN.claim().refuse().unwrap()] {
            verdict[at] ^= by;
            let error = RUN.finishing.read_verdict(&verdict).unwrap_err();
            let right = matches!(error, Error::Authentication { .. });
            prop_assert!(right, "{}", error);
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..9_000)) {
        prop_assert!(respond(2, &bytes, 3).is_err());
        prop_assert!(RUN.alice.read_answer(&bytes).is_err());
        prop_assert!(RUN.bob.read_finish(&bytes).is_err());
        prop_assert!(RUN.finishing.read_verdict(&bytes).is_err());
    }
}
