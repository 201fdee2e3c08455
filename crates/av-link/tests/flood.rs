//! Listeners under attack: what they keep, what they compute, what they send.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use av_link::handshake::Initiation;
use av_link::x_wing::Backend;
use av_link::{Error, Event, Initiator, Limits, Listener, MAX_DATAGRAM_LEN, Seed};
use common::{address, ms, person};
use core_types::MonoTime;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

/// The k-th of many addresses.
fn anywhere(k: u32) -> SocketAddr {
    SocketAddr::from(((0x0a00_0000 + k).to_be_bytes(), 4_000))
}

fn listener(limits: Limits) -> (Listener, StdRng) {
    let mut rng = StdRng::seed_from_u64(1);
    (Listener::new(ms(0), person(2), limits, &mut rng), rng)
}

fn caller(now: MonoTime, seed: u64) -> Initiator {
    let seed = Seed::random(&mut StdRng::seed_from_u64(seed));
    Initiator::new(now, person(1), person(2).key_id(), &seed).unwrap()
}

fn hello(k: u32) -> Vec<u8> {
    let mut hello = [b"HMLK\0".as_slice(), &[0; 59]].concat();
    hello[5..9].copy_from_slice(&k.to_be_bytes());
    hello
}

/// Goes on to the offer: the caller's datagrams with its cookie in them.
fn offer_with_cookie(
    listener: &mut Listener,
    rng: &mut StdRng,
    now: MonoTime,
    from: SocketAddr,
    seed: u64,
) -> Vec<Vec<u8>> {
    let mut caller = caller(now, seed);
    listener.handle_datagram(now, from, &caller.poll_transmit().unwrap(), rng).unwrap();
    let (_, retry) = listener.poll_transmit().unwrap();
    caller.handle_datagram(now, &retry).unwrap();
    std::iter::from_fn(|| caller.poll_transmit()).collect()
}

#[test]
fn flood_of_first_messages_leaves_nothing_behind_and_costs_no_public_key_operation() {
    let (mut listener, mut rng) = listener(Limits::default());
    let mut offer = offer_with_cookie(&mut listener, &mut rng, ms(0), address(1), 1);
    let (mut got, mut sent) = (0, 0);
    for k in 0..10_000 {
        // A hello, and a part of an offer with a cookie that was given to somebody else.
        let hello = hello(k);
        got += hello.len();
        listener.handle_datagram(ms(1), anywhere(k), &hello, &mut rng).unwrap();
        for part in &mut offer {
            got += part.len();
            part[5..9].copy_from_slice(&k.to_be_bytes());
            let error = listener.handle_datagram(ms(1), anywhere(k), part, &mut rng).unwrap_err();
            assert_eq!(error, Error::Cookie);
        }
        sent += std::iter::from_fn(|| listener.poll_transmit()).map(|(_, bytes)| bytes.len()).sum::<usize>();
        assert_eq!(listener.handshakes(), 0);
    }
    assert_eq!(listener.stats().public_key_operations, 0);
    assert!(sent < got, "{sent} for {got} bytes");
    assert!(listener.poll_timeout().is_none());
}

#[test]
fn a_flood_that_nobody_drains_is_dropped_and_not_kept() {
    let (mut listener, mut rng) = listener(Limits::default());
    for k in 0..10_000 {
        listener.handle_datagram(ms(1), anywhere(k), &hello(k), &mut rng).unwrap();
    }
    assert_eq!(std::iter::from_fn(|| listener.poll_transmit()).count(), 1_024);
}

#[test]
fn nothing_sent_to_an_unverified_address_is_larger_than_what_came_from_it() {
    let (mut listener, mut rng) = listener(Limits::default());
    let offer = offer_with_cookie(&mut listener, &mut rng, ms(0), address(1), 1);
    let mut probes = vec![hello(1), offer[0].clone(), offer[1].clone()];
    // The smallest datagram that a caller sends: it carries nothing.
    let mut small = offer[0][..45].to_vec();
    small[38..45].copy_from_slice(&[0, 0, 0, 0, 2, 0, 0]);
    probes.push(small);
    for probe in probes {
        let _ = listener.handle_datagram(ms(1), address(2), &probe, &mut rng);
        let back: usize = std::iter::from_fn(|| listener.poll_transmit()).map(|(_, bytes)| bytes.len()).sum();
        assert!(back > 0 && back <= probe.len(), "{back} for {}", probe.len());
    }
}

#[test]
fn verified_addresses_take_turns_when_there_are_too_many() {
    let limits = Limits { handshakes: 8, per_ip: 4, ..Limits::default() };
    let (mut listener, mut rng) = listener(limits);
    for k in 0..100u32 {
        let now = ms(u64::from(k));
        let offer = offer_with_cookie(&mut listener, &mut rng, now, anywhere(k), u64::from(k));
        // Only the first part, which costs the listener memory and nothing else.
        listener.handle_datagram(now, anywhere(k), &offer[0], &mut rng).unwrap();
        assert!(listener.handshakes() <= 8);
        while listener.poll_transmit().is_some() {}
    }
    assert_eq!(listener.handshakes(), 8);
    assert_eq!(listener.stats().evicted, 92);
    assert_eq!(listener.stats().public_key_operations, 0);
    listener.handle_timeout(listener.poll_timeout().unwrap());
    assert_eq!(listener.handshakes(), 7);
}

#[test]
fn one_ip_address_can_not_crowd_out_the_others() {
    let limits = Limits { handshakes: 8, per_ip: 4, ..Limits::default() };
    let (mut listener, mut rng) = listener(limits);
    let others: Vec<_> = (0..4).map(|k| (anywhere(k), u64::from(k))).collect();
    for &(from, seed) in &others {
        let offer = offer_with_cookie(&mut listener, &mut rng, ms(0), from, seed);
        listener.handle_datagram(ms(0), from, &offer[0], &mut rng).unwrap();
        while listener.poll_transmit().is_some() {}
    }
    for port in 0..50u16 {
        let offer = offer_with_cookie(&mut listener, &mut rng, ms(1), address(port), u64::from(port) + 100);
        let result = listener.handle_datagram(ms(1), address(port), &offer[0], &mut rng);
        let full = Error::Limit { what: "handshakes of one IP address", max: 4 };
        assert_eq!(result, if port < 4 { Ok(()) } else { Err(full) });
        while listener.poll_transmit().is_some() {}
    }
    assert_eq!((listener.handshakes(), listener.stats().evicted), (8, 0));
}

#[test]
fn an_address_that_repeats_its_offer_gets_a_bounded_number_of_answers() {
    let (mut listener, mut rng) = listener(Limits::default());
    let offer = offer_with_cookie(&mut listener, &mut rng, ms(0), address(1), 1);
    let (mut sent, mut bursts) = (0, 0);
    for at in 0..9_000 {
        for part in &offer {
            listener.handle_datagram(ms(at), address(1), part, &mut rng).unwrap();
        }
        let now: usize = std::iter::from_fn(|| listener.poll_transmit()).map(|(_, bytes)| bytes.len()).sum();
        sent += now;
        bursts += usize::from(now > 5_000);
    }
    assert_eq!(listener.stats().public_key_operations, 3);
    assert_eq!(bursts, 48);
    assert!(sent < 48 * 7 * MAX_DATAGRAM_LEN, "{sent}");
}

#[test]
fn an_offer_other_than_the_one_the_cookie_is_for_is_not_looked_at() {
    let (mut listener, mut rng) = listener(Limits::default());
    let mut offer = offer_with_cookie(&mut listener, &mut rng, ms(0), address(1), 1);
    *offer[1].last_mut().unwrap() ^= 1;
    listener.handle_datagram(ms(0), address(1), &offer[0], &mut rng).unwrap();
    let error = listener.handle_datagram(ms(0), address(1), &offer[1], &mut rng).unwrap_err();
    assert_eq!(error, Error::Authentication { what: "the offer" });
    assert_eq!(listener.stats().public_key_operations, 0);
    // What was meant comes after all.
    *offer[1].last_mut().unwrap() ^= 1;
    for part in &offer {
        listener.handle_datagram(ms(1), address(1), part, &mut rng).unwrap();
    }
    assert_eq!(listener.stats().public_key_operations, 3);
}

#[test]
fn an_offer_of_another_version_is_looked_at_once_and_answered_with_a_refusal() {
    let (mut listener, mut rng) = listener(Limits::default());
    let seed = Seed([1; 32]);
    let mut offer =
        Initiation::new(person(1), person(2).key_id(), Backend::default(), &seed).unwrap().offer().to_vec();
    offer[4] = 2;
    let hash = Sha256::new().chain_update(b"holomesh link id v1").chain_update(&offer).finalize();
    let mut hello = hello(0);
    hello[5..21].copy_from_slice(&hash[..16]);
    listener.handle_datagram(ms(0), address(1), &hello, &mut rng).unwrap();
    let (_, retry) = listener.poll_transmit().unwrap();
    let parts: Vec<Vec<u8>> = [(0, &offer[..1_152]), (1, &offer[1_152..])]
        .map(|(index, bytes)| {
            let total = u16::try_from(offer.len()).unwrap().to_be_bytes();
            [b"HMLK\x02", &retry[5..38], &[1], &total, &[index, 2, 0, 0], bytes].concat()
        })
        .into();
    let refusal = [b"HMLK\x04", &hash[..16], &[1]].concat();
    listener.handle_datagram(ms(0), address(1), &parts[0], &mut rng).unwrap();
    assert!(listener.poll_transmit().is_some());
    let error = listener.handle_datagram(ms(0), address(1), &parts[1], &mut rng).unwrap_err();
    assert_eq!(error, Error::Incompatible { what: "version" });
    assert_eq!(listener.poll_transmit(), Some((address(1), refusal.clone())));
    for at in 1..100 {
        for part in &parts {
            assert_eq!(listener.handle_datagram(ms(at), address(1), part, &mut rng), Err(Error::Unknown));
            assert_eq!(listener.poll_transmit(), Some((address(1), refusal.clone())));
        }
    }
    assert_eq!((listener.handshakes(), listener.stats().public_key_operations), (1, 0));
}

#[test]
fn callers_that_nobody_takes_out_are_bounded() {
    let limits = Limits { handshakes: 2, per_ip: 2, ..Limits::default() };
    let (mut listener, mut rng) = listener(limits);
    for n in 0..5u64 {
        let now = ms(n * 20_000);
        listener.handle_timeout(now);
        let mut caller = caller(now, n);
        for _ in 0..6 {
            while let Some(bytes) = caller.poll_transmit() {
                let _ = listener.handle_datagram(now, address(1), &bytes, &mut rng);
            }
            while let Some((_, bytes)) = listener.poll_transmit() {
                let _ = caller.handle_datagram(now, &bytes);
            }
        }
    }
    assert_eq!(std::iter::from_fn(|| listener.poll_caller()).count(), 2);
}

#[test]
fn an_honest_caller_gets_through_a_flood() {
    let (mut listener, mut rng) = listener(Limits::default());
    let mut alice = caller(ms(0), 1);
    let mut linked = false;
    for round in 0..20u32 {
        for k in 0..500 {
            let _ = listener.handle_datagram(ms(1), anywhere(k), &hello(k + 500 * round), &mut rng);
        }
        while let Some(bytes) = alice.poll_transmit() {
            let _ = listener.handle_datagram(ms(1), address(1), &bytes, &mut rng);
        }
        if let Some(caller) = listener.poll_caller() {
            listener.accept(caller.attempt).unwrap();
        }
        while let Some((to, bytes)) = listener.poll_transmit() {
            if to == address(1) {
                alice.handle_datagram(ms(1), &bytes).unwrap();
            }
        }
        linked |= matches!(alice.poll_event(), Some(Event::Linked(_)));
    }
    assert!(linked);
}

#[test]
fn hostile_fragments_are_refused_before_any_memory_is_set_aside() {
    let (mut listener, mut rng) = listener(Limits::default());
    let offer = offer_with_cookie(&mut listener, &mut rng, ms(0), address(1), 1);
    // Bytes 38 to 44: message, total (two), index, then what is acknowledged: message, bits (two).
    type Change = (&'static str, fn(&mut Vec<u8>));
    let changes: [Change; 9] = [
        ("an unknown message", |bytes| bytes[38] = 9),
        ("a message of the other side", |bytes| bytes[38] = 2),
        ("a huge total", |bytes| bytes[39..41].fill(0xff)),
        ("no total", |bytes| bytes[39..41].fill(0)),
        ("an index outside", |bytes| bytes[41] = 2),
        ("a far index", |bytes| bytes[41] = 255),
        ("an acknowledgement of its own message", |bytes| bytes[42] = 1),
        ("too few bytes", |bytes| {
            bytes.pop();
        }),
        ("too many bytes", |bytes| bytes.push(0)),
    ];
    for (what, change) in changes {
        let mut hostile = offer[0].clone();
        change(&mut hostile);
        let error = listener.handle_datagram(ms(0), address(1), &hostile, &mut rng).unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{what}: {error}");
        assert!(listener.handshakes() == 0 && listener.poll_transmit().is_none(), "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_datagrams_never_panic_and_never_compute(seed: u64) {
        let (mut listener, mut rng) = listener(Limits::default());
        let offer = offer_with_cookie(&mut listener, &mut rng, ms(0), address(1), 1);
        let mut alice = caller(ms(0), 2);
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..200 {
            let mut bytes = match random.random_range(0..3u8) {
                0 => offer[0].clone(),
                1 => hello(1),
                _ => vec![0; random.random_range(0..1_300)],
            };
            let from = random.random_range(0..=bytes.len());
            random.fill_bytes(&mut bytes[from..]);
            if random.random_bool(0.5) {
                bytes.splice(..bytes.len().min(5), [b'H', b'M', b'L', b'K', random.random_range(0..6)]);
            }
            let _ = listener.handle_datagram(ms(1), address(9), &bytes, &mut rng);
            let _ = alice.handle_datagram(ms(1), &bytes);
        }
        prop_assert_eq!(listener.stats().public_key_operations, 0);
        prop_assert_eq!(listener.handshakes(), 0);
    }
}

#[test]
fn the_offer_is_no_longer_than_two_datagrams_hold() {
    let seed = Seed([1; 32]);
    let initiation = Initiation::new(person(1), person(2).key_id(), Backend::default(), &seed).unwrap();
    assert_eq!(initiation.offer().len().div_ceil(1_152), 2);
}
