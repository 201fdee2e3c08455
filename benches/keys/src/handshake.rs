//! The link handshake: what both sides compute, datagrams and all, beside its primitives one by one.

use anyhow::{Result, bail};
use av_link::x_wing::{Backend, SecretKey};
use av_link::{Event, Initiator, Limits, Listener, Seed};
use bench_harness::{Clock, Limit, Pair, Row, Unit};
use core_types::MonoTime;
use identity::{Domain, Identity};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const SAMPLES: usize = 61;
/// ML-DSA signs in a number of attempts that chance decides, so a sample is the mean of many.
const HANDSHAKES: usize = 40;
const DOMAIN: Domain = Domain::new("holomesh benchmark v1");

pub(crate) fn run() -> Result<Vec<Row>> {
    let mut rng = StdRng::seed_from_u64(1);
    let alice = Arc::new(Identity::from_seed(&identity::Seed([1; 64]))?);
    let bob = Arc::new(Identity::from_seed(&identity::Seed([2; 64]))?);
    let mut more_rng = StdRng::seed_from_u64(2);
    let pair = Pair::interleave(
        SAMPLES,
        HANDSHAKES,
        || time(HANDSHAKES, || handshake(&alice, &bob, &mut rng)),
        || time(HANDSHAKES, || primitives(&alice, &bob, &mut more_rng)),
    )?;
    Ok(vec![
        pair.row_in(
            Unit::Micros,
            "handshake CPU, both sides",
            "2 key pairs, 2 encapsulations, 2 decapsulations, 2 hybrid signatures, 2 hybrid verifications",
        )?
        .target(&[Limit::Ratio(1.5)]),
    ])
}

fn time(n: usize, mut work: impl FnMut() -> Result<()>) -> Result<Duration> {
    let (time, outcome) = Clock::Thread.time(|| (0..n).try_for_each(|_| work()));
    outcome.map(|()| time)
}

/// From the call to a link at both ends, cookie and fragments included, over a network without faults.
fn handshake(alice: &Arc<Identity>, bob: &Arc<Identity>, rng: &mut StdRng) -> Result<()> {
    let now = MonoTime::from_millis(0);
    let from = SocketAddr::from(([192, 0, 2, 1], 4_000));
    let mut listener = Listener::new(now, Arc::clone(bob), Limits::default(), rng);
    let mut caller = Initiator::new(now, Arc::clone(alice), bob.key_id(), &Seed::random(rng))?;
    let mut accepted = None;
    for _ in 0..4 {
        while let Some(datagram) = caller.poll_transmit() {
            listener.handle_datagram(now, from, &datagram, rng)?;
        }
        if let Some(who) = listener.poll_caller() {
            accepted = Some(listener.accept(who.attempt)?);
        }
        while let Some((_, datagram)) = listener.poll_transmit() {
            caller.handle_datagram(now, &datagram)?;
        }
        match (caller.poll_event(), accepted.take()) {
            (Some(Event::Linked(link)), Some(other)) => {
                black_box((link, other));
                return Ok(());
            }
            (None, other) => accepted = other,
            (event, _) => bail!("the handshake ended with {event:?}"),
        }
    }
    bail!("the handshake did not end")
}

fn primitives(alice: &Identity, bob: &Identity, rng: &mut StdRng) -> Result<()> {
    for side in [alice, bob] {
        let (mut seed, mut randomness, mut message) = ([0; 32], [0; 64], [0; 32]);
        rng.fill_bytes(&mut seed);
        rng.fill_bytes(&mut randomness);
        rng.fill_bytes(&mut message);
        let secret = SecretKey::generate(Backend::default(), &seed)?;
        let (ciphertext, sent) = secret.public().encapsulate(Backend::default(), &randomness)?;
        black_box((secret.decapsulate(&ciphertext)?, sent));
        let signature = side.sign(DOMAIN, &message)?;
        side.public().verify(DOMAIN, &message, &signature)?;
    }
    Ok(())
}
