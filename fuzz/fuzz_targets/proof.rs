//! Bytes from a member of the group as a proof and as a piece of one: whatever is read is written back to the same
//! bytes, and a receiver that is fed with it stays within its bounds.
#![no_main]

use av_wire::proof::{Policy, ProofAssembler, ProofPart, UnverifiedProof, Verifier, VerifierConfig};
use core_types::{MediaTime, MonoTime, ObjectSeq, StreamId};
use identity::{Identity, PublicIdentity, Seed};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PUBLISHER: LazyLock<PublicIdentity> =
    LazyLock::new(|| Identity::from_seed(&Seed([1; 64])).expect("a key pair").public().clone());

fuzz_target!(|data: &[u8]| {
    if let Ok(proof) = UnverifiedProof::parse(data) {
        assert_eq!(proof.to_bytes(), data);
        let mut verifier: Verifier<()> =
            Verifier::new(proof.stream(), PUBLISHER.clone(), VerifierConfig::video(Policy::Flag));
        assert!(verifier.handle_proof(MonoTime(0), data).is_err(), "nobody signed it");
    }
    let mut assembler = ProofAssembler::new();
    let mut verifier =
        Verifier::new(StreamId([0; 32]), PUBLISHER.clone(), VerifierConfig::audio(Policy::Flag));
    for (at, piece) in data.chunks(97).enumerate() {
        let now = MonoTime::from_millis(at as u64);
        verifier.handle_object(now, ObjectSeq(at as u64 / 2), MediaTime(0), piece, ());
        if let Ok(part) = ProofPart::parse(piece) {
            assert_eq!(part.to_bytes().as_deref(), Ok(piece));
            if let Some(whole) = assembler.push(&part) {
                let _ = verifier.handle_proof(now, &whole);
            }
        }
    }
    assert!(assembler.held_bytes() <= ProofAssembler::MAX_OPEN * data.len());
});
