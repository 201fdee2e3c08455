//! The handshake over a network that loses, doubles, delays and alters.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use av_link::{Error, Event, Initiator, Limits, Listener, Seed};
use common::{Faults, Flying, Net, Policy, address, kind, message, ms, person};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

const HELLO: u8 = 0;
const RETRY: u8 = 1;
const FROM_INITIATOR: u8 = 2;
const FROM_RESPONDER: u8 = 3;

#[test]
fn without_faults_it_takes_three_round_trips_and_no_datagram_more_than_it_needs() {
    let mut net = Net::new(1, Faults::NONE);
    net.run();
    net.assert_linked();
    // Cookie, offer and answer, finish and verdict: each a round trip of 20 ms.
    assert_eq!(net.now, ms(1_060));
    let count = |which: &dyn Fn(&Flying) -> bool| net.sent.iter().filter(|flying| which(flying)).count();
    assert_eq!(count(&|f| kind(&f.bytes) == HELLO), 1);
    assert_eq!(count(&|f| kind(&f.bytes) == RETRY), 1);
    for (number, parts) in [(1, 2), (2, 7), (3, 6), (4, 1)] {
        assert_eq!(count(&|f| message(&f.bytes) == number), parts, "message {number}");
    }
}

#[test]
fn it_completes_over_a_bad_network() {
    // 30 % lost, 20 % doubled, delays of 5 to 60 ms, so that everything overtakes everything.
    let faults = Faults { loss: 0.3, double: 0.2, delay: (5, 60) };
    for seed in 0..60 {
        let mut net = Net::new(seed, faults);
        assert!(net.run().is_ok(), "seed {seed}: {:?}", net.outcome);
        net.assert_linked();
    }
}

#[test]
fn a_lost_verdict_is_sent_again() {
    let mut net = Net::new(1, Faults::NONE);
    let mut lost = 0;
    net.run_with(&mut |flying| {
        let verdict = message(&flying.bytes) == 4 && lost < 3;
        lost += usize::from(verdict);
        !verdict
    })
    .as_ref()
    .unwrap();
    assert_eq!(lost, 3);
    net.assert_linked();
}

#[test]
fn only_the_fragments_that_are_missing_are_sent_again() {
    let mut net = Net::new(1, Faults::NONE);
    let mut lost = false;
    net.run_with(&mut |flying| {
        let third = message(&flying.bytes) == 2 && flying.bytes[24] == 2 && !lost;
        lost |= third;
        !third
    })
    .as_ref()
    .unwrap();
    let answers = net.sent.iter().filter(|flying| message(&flying.bytes) == 2).count();
    assert_eq!(answers, 8);
    net.assert_linked();
}

#[test]
fn a_silent_peer_is_given_up_at_the_deadline() {
    for (silent_from, what) in [(1, "a cookie"), (2, "the answer"), (4, "the verdict")] {
        let mut net = Net::new(1, Faults::NONE);
        let error = net
            .run_with(&mut |flying| match (flying.up, silent_from) {
                (true, _) => true,
                (_, 1) => false,
                (_, 2) => kind(&flying.bytes) == RETRY,
                _ => message(&flying.bytes) != 4,
            })
            .as_ref()
            .unwrap_err()
            .clone();
        assert_eq!(error, Error::Timeout { waiting_for: what });
        assert_eq!(net.now, ms(11_000));
        assert!(net.caller.poll_timeout().is_none() && net.caller.poll_transmit().is_none());
    }
}

#[test]
fn a_silent_peer_is_asked_less_and_less_often() {
    let mut net = Net::new(1, Faults::NONE);
    let _ = net.run_with(&mut |_| false);
    assert!((15..=25).contains(&net.sent.len()), "{} datagrams in 10 s", net.sent.len());
}

#[test]
fn a_wrong_expected_identity_fails_soon_and_is_named() {
    let mut net = Net::to(1, Faults::NONE, person(9).key_id());
    let error = net.run().as_ref().unwrap_err().clone();
    assert_eq!(error, Error::WrongPeer { expected: person(9).key_id(), got: person(2).key_id() });
    assert!(net.now < ms(3_000), "{:?}", net.now);
    assert!(net.attempts.is_empty());
    // The caller has not shown who it is.
    assert!(net.sent.iter().all(|flying| message(&flying.bytes) != 3));
}

#[test]
fn the_owner_decides_and_a_refusal_is_told() {
    let mut net = Net::new(1, Faults { loss: 0.3, ..Faults::NONE });
    net.policy = Policy::Refuse;
    assert_eq!(net.run().as_ref().unwrap_err(), &Error::Refused(person(2).key_id()));
    assert!(net.accepted.is_empty());
}

#[test]
fn a_slow_decision_is_waited_for_and_one_that_is_too_late_does_nothing() {
    let mut net = Net::new(1, Faults::NONE);
    net.policy = Policy::Ignore;
    while net.now < ms(6_000) {
        net.step(&mut |_| true);
    }
    assert!(net.outcome.is_none());
    let link = net.listener.accept(net.attempts[0]).unwrap();
    net.accepted.push(link);
    net.run();
    net.assert_linked();
    assert!(matches!(net.listener.accept(net.attempts[0]), Err(Error::State(_))));

    let mut net = Net::new(1, Faults::NONE);
    net.policy = Policy::Ignore;
    assert_eq!(net.run().as_ref().unwrap_err(), &Error::Timeout { waiting_for: "the verdict" });
    net.listener.handle_timeout(ms(30_000));
    assert!(matches!(net.listener.accept(net.attempts[0]), Err(Error::State(_))));
}

#[test]
fn reflection_of_everything_that_was_sent_gives_nothing() {
    let mut net = Net::new(1, Faults::NONE);
    net.run();
    let sent = std::mem::take(&mut net.sent);
    // The caller's datagrams back to a caller, the listener's back to the listener.
    let mut rng = StdRng::seed_from_u64(1);
    let mut alice = Initiator::new(ms(0), person(1), person(2).key_id(), &Seed::random(&mut rng)).unwrap();
    let own: Vec<u8> = alice.poll_transmit().unwrap();
    assert!(matches!(alice.handle_datagram(ms(1), &own), Err(Error::Malformed { .. })));
    let mut bob = Listener::new(ms(0), person(2), Limits::default(), &mut rng);
    for flying in &sent {
        if flying.up {
            assert!(alice.handle_datagram(ms(1), &flying.bytes).is_err());
        } else {
            assert!(bob.handle_datagram(ms(1), address(1), &flying.bytes, &mut rng).is_err());
        }
    }
    assert!(alice.poll_event().is_none() && bob.poll_caller().is_none() && bob.poll_transmit().is_none());
    assert_eq!(bob.stats().public_key_operations, 0);
}

#[test]
fn replay_of_everything_that_was_sent_costs_a_bounded_amount_and_gives_no_session() {
    let mut net = Net::new(1, Faults::NONE);
    net.run();
    net.assert_linked();
    let sent = std::mem::take(&mut net.sent);
    let before = net.listener.stats().public_key_operations;
    // Soon: the handshake is remembered, and nothing is computed.
    for _ in 0..100 {
        for flying in sent.iter().filter(|flying| flying.up) {
            let _ = net.listener.handle_datagram(net.now, address(1), &flying.bytes, &mut net.rng);
        }
    }
    assert_eq!(net.listener.stats().public_key_operations, before);
    while net.listener.poll_transmit().is_some() {}
    // After it was forgotten, and while its cookie still holds: one answer, and no finish fits that.
    let later = ms(12_500);
    net.listener.handle_timeout(later);
    assert_eq!(net.listener.handshakes(), 0);
    for _ in 0..100 {
        for flying in sent.iter().filter(|flying| flying.up) {
            let _ = net.listener.handle_datagram(later, address(1), &flying.bytes, &mut net.rng);
        }
    }
    // Three for the answer, two for each of the four wrong finishes that are looked at.
    assert_eq!(net.listener.stats().public_key_operations - before, 3 + 4 * 2);
    assert_eq!(net.listener.handshakes(), 1);
    assert!(net.listener.poll_caller().is_none());
    // From another address: nothing at all.
    for flying in sent.iter().filter(|flying| flying.up) {
        let _ = net.listener.handle_datagram(later, address(2), &flying.bytes, &mut net.rng);
    }
    assert_eq!(net.listener.handshakes(), 1);
    // When the cookie has expired: nothing at all.
    let late = ms(60_000);
    net.listener.handle_timeout(late);
    for flying in sent.iter().filter(|flying| flying.up) {
        let _ = net.listener.handle_datagram(late, address(1), &flying.bytes, &mut net.rng);
    }
    assert_eq!(net.listener.handshakes(), 0);
}

#[test]
fn an_expired_cookie_is_replaced_under_way() {
    // The offer is lost for so long that the cookie runs out; the listener gives another one.
    let mut rng = StdRng::seed_from_u64(1);
    let limits = Limits { cookie_period: std::time::Duration::from_millis(500), ..Limits::default() };
    let mut net = Net::new(1, Faults::NONE);
    net.listener = Listener::new(ms(1_000), person(2), limits, &mut rng);
    net.run_with(&mut |flying| message(&flying.bytes) != 1 || flying.at > ms(3_000)).as_ref().unwrap();
    assert!(net.listener.stats().cookies > 1);
    net.assert_linked();
}

#[test]
fn a_handshake_that_the_listener_forgot_begins_again_with_the_offer() {
    // The listener loses all it knows when a part of the answer has come.
    let mut net = Net::new(1, Faults::NONE);
    while !net.sent.iter().any(|flying| message(&flying.bytes) == 2) {
        net.step(&mut |_| true);
    }
    let before = net.sent.len();
    let mut parts = 0;
    net.listener.handle_timeout(ms(20_000));
    assert_eq!(net.listener.handshakes(), 0);
    net.run_with(&mut |flying| {
        // Of the first answer, three parts come through.
        let answer = message(&flying.bytes) == 2;
        parts += usize::from(answer);
        !(answer && (4..=7).contains(&parts))
    })
    .as_ref()
    .unwrap();
    assert!(net.sent[before..].iter().any(|flying| message(&flying.bytes) == 1));
    assert_eq!(net.listener.stats().public_key_operations, 3 + 3 + 2);
    net.assert_linked();
}

#[test]
fn a_forged_fragment_that_comes_first_does_not_end_the_handshake() {
    for number in [1, 2, 3, 4] {
        let mut net = Net::new(1, Faults::NONE);
        let mut forged = 0;
        net.run_with(&mut |flying| {
            if message(&flying.bytes) == number && forged < 1 {
                forged += 1;
                *flying.bytes.last_mut().unwrap() ^= 1;
            }
            true
        })
        .as_ref()
        .unwrap();
        assert_eq!(forged, 1);
        net.assert_linked();
    }
}

#[test]
fn nothing_in_common_is_reported_at_the_deadline() {
    let mut net = Net::new(1, Faults::NONE);
    let mut hinted = false;
    let error = net
        .run_with(&mut |flying| {
            // What a listener of another version says to this offer.
            if flying.up || kind(&flying.bytes) != FROM_RESPONDER {
                return true;
            }
            flying.bytes.truncate(21);
            flying.bytes[4] = 4;
            flying.bytes.push(1);
            hinted = true;
            true
        })
        .as_ref()
        .unwrap_err()
        .clone();
    assert!(hinted);
    assert_eq!(error, Error::Incompatible { what: "version" });
    assert_eq!(net.now, ms(11_000));
}

#[test]
fn events_come_once_and_then_nothing_happens() {
    let mut net = Net::new(1, Faults::NONE);
    net.run();
    let sent = std::mem::take(&mut net.sent);
    for flying in sent.iter().filter(|flying| !flying.up) {
        net.caller.handle_datagram(net.now, &flying.bytes).unwrap();
    }
    net.caller.handle_timeout(ms(60_000));
    assert!(net.caller.poll_event().is_none() && net.caller.poll_transmit().is_none());
    assert!(sent.iter().any(|flying| kind(&flying.bytes) == FROM_INITIATOR));
    assert!(!matches!(net.caller.poll_event(), Some(Event::Linked(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn altered_datagrams_never_give_the_two_ends_different_keys(
        seed: u64, rate in 0.0f64..0.5, at in 0usize..1_200, by in 1u8..,
    ) {
        let mut net = Net::new(seed, Faults { loss: 0.05, double: 0.1, delay: (5, 30) });
        let mut count = 0.0f64;
        let _ = net.run_with(&mut |flying| {
            count += rate;
            if count >= 1.0 {
                count -= 1.0;
                let len = flying.bytes.len();
                flying.bytes[at % len] ^= by;
            }
            true
        });
        if matches!(net.outcome, Some(Ok(_))) {
            net.assert_linked();
        }
    }
}
