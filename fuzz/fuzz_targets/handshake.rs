//! The link handshake: datagrams from anybody at both ends, parts of messages behind a cookie that holds, and whole
//! messages from a peer that means harm.
#![no_main]

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use av_link::handshake::{Finishing, Initiation, Response};
use av_link::x_wing::Backend;
use av_link::{Initiator, Limits, Listener, Seed};
use core_types::MonoTime;
use identity::Identity;
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

static ALICE: LazyLock<Arc<Identity>> = LazyLock::new(|| person(1));
static BOB: LazyLock<Arc<Identity>> = LazyLock::new(|| person(2));
static MESSAGES: LazyLock<(Initiation, Response, Finishing)> = LazyLock::new(|| {
    let initiation = Initiation::new(ALICE.clone(), BOB.key_id(), Backend::default(), &Seed([1; 32]))
        .expect("a call to somebody else");
    let response = respond(initiation.offer()).expect("an honest offer");
    let finishing = initiation.read_answer(response.answer()).expect("an honest answer");
    (initiation, response, finishing)
});

fn person(n: u8) -> Arc<Identity> {
    Arc::new(Identity::from_seed(&identity::Seed([n; 64])).expect("a seed gives an identity"))
}

fn respond(offer: &[u8]) -> Result<Response, av_link::Error> {
    Response::new(&BOB, offer, Backend::default(), &Seed([2; 32]))
}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_first() else { return };
    match kind % 5 {
        0 => datagrams(data),
        // One honest message with a piece of it replaced: most of what is checked lies behind the lengths.
        1 => drop(respond(&patched(MESSAGES.0.offer(), data))),
        2 => {
            let answer = patched(MESSAGES.1.answer(), data);
            assert_eq!(MESSAGES.0.read_answer(&answer).is_ok(), answer == MESSAGES.1.answer());
        }
        3 => {
            let finish = patched(MESSAGES.2.finish(), data);
            assert_eq!(MESSAGES.1.read_finish(&finish).is_ok(), finish == MESSAGES.2.finish());
        }
        _ => assert!(MESSAGES.2.read_verdict(data).is_err()),
    }
});

/// `good` with what follows the first two bytes of `data` put where these say.
fn patched(good: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    if let Some((at, piece)) = data.split_first_chunk() {
        let at = usize::from(u16::from_be_bytes(*at)) % bytes.len();
        for (byte, new) in bytes[at..].iter_mut().zip(piece) {
            *byte = *new;
        }
    }
    bytes
}

/// Each datagram: a byte of flags, a length, and so many bytes, which may be put behind an honest beginning.
fn datagrams(mut data: &[u8]) {
    let now = MonoTime::from_millis(0);
    let here = SocketAddr::from(([192, 0, 2, 1], 4_000));
    let mut rng = StdRng::seed_from_u64(1);
    let mut listener = Listener::new(now, BOB.clone(), Limits::default(), &mut rng);
    let mut caller =
        Initiator::new(now, ALICE.clone(), BOB.key_id(), &Seed([1; 32])).expect("a call to somebody else");
    let hello = caller.poll_transmit().expect("a first datagram");
    listener.handle_datagram(now, here, &hello, &mut rng).expect("an honest hello");
    let (_, retry) = listener.poll_transmit().expect("a cookie");
    caller.handle_datagram(now, &retry).expect("an honest cookie");
    // Kind, handshake, cookie: what lies before the parts that a parser has to think about.
    let to_listener = caller.poll_transmit().expect("an offer")[..38].to_vec();
    let to_caller = [&b"HMLK\x03"[..], &hello[5..21]].concat();
    let mut clock = 0;
    while let Some((&[flags, len, more], rest)) = data.split_first_chunk() {
        let len = (usize::from(len) * 8 + usize::from(more % 8)).min(rest.len());
        let (piece, rest) = rest.split_at(len);
        data = rest;
        clock += u64::from(flags >> 4) * 50;
        let now = MonoTime::from_millis(clock);
        let bytes = match flags % 4 {
            0 | 1 => piece.to_vec(),
            2 => [&to_listener, piece].concat(),
            _ => [&to_caller, piece].concat(),
        };
        if flags & 1 == 0 {
            let _ = listener.handle_datagram(now, here, &bytes, &mut rng);
        } else {
            let _ = caller.handle_datagram(now, &bytes);
        }
        listener.handle_timeout(now);
        caller.handle_timeout(now);
        assert!(listener.handshakes() <= 16);
        while listener.poll_transmit().is_some() || caller.poll_transmit().is_some() {}
    }
    assert!(
        listener.poll_caller().is_none()
            && caller.poll_event().is_none_or(|event| { matches!(event, av_link::Event::Failed(_)) })
    );
}
