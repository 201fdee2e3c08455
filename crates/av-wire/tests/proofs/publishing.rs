//! The publisher's side.

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
