//! Proofs of authorship: who sent an object, for receivers that all hold the keys to have sent it (spec 25).
//!
//! A group key shows that a chunk comes from a member, not from which one. So the publisher of a stream signs from time to
//! time what it sent: a [`Proof`] lists hashes of the objects since the last one. [`Prover`] makes them, [`Verifier`] holds
//! what arrived against them. Both are state machines: time comes as an argument, nothing here reads a clock.
//!
//! Drain rule: after every `handle_*` of a verifier call `poll_object` and `poll_event` until they give nothing, then ask
//! `poll_timeout` when to call `handle_timeout`.
//!
//! ```
//! use av_wire::proof::{Event, Grade, Policy, Prover, ProverConfig, Verifier, VerifierConfig};
//! use core_types::{Epoch, MediaTime, MonoTime, ObjectSeq, StreamId};
//! use identity::{Identity, Seed};
//!
//! let publisher = Identity::from_seed(&Seed([1; 64]))?; // 64 random bytes in real use
//! let (stream, now) = (StreamId([7; 32]), MonoTime::from_millis(0));
//! let mut prover = Prover::new(stream, ProverConfig::VIDEO);
//! let mut verifier = Verifier::new(stream, publisher.public().clone(), VerifierConfig::video(Policy::Flag));
//!
//! prover.handle_object(now, ObjectSeq(0), b"a frame")?;
//! verifier.handle_object(now, ObjectSeq(0), MediaTime(0), b"a frame", "decoded elsewhere");
//! assert_eq!(verifier.poll_object().map(|released| released.item), Some("decoded elsewhere"));
//!
//! let now = MonoTime::from_millis(2_000);
//! assert_eq!(prover.due(now), Some(Grade::Hybrid));
//! let proof = prover.prove(Grade::Hybrid, Epoch(1), &publisher)?.expect("one object is not proven yet");
//! verifier.handle_proof(now, &proof.bytes)?;
//! assert!(matches!(verifier.poll_event(), Some(Event::Proven { grade: Grade::Hybrid, .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ledger;
mod merkle;
mod message;
mod part;
mod prover;
mod report;
mod verifier;

pub use merkle::TreeHash;
pub use message::{Grade, MAX_PROOF_LEN, Proof, ProofIndex, RunLength, Section, UnverifiedProof};
pub use part::{ProofAssembler, ProofPart};
pub use prover::{Prover, ProverConfig, SignedProof};
pub use report::{Event, ObjectReport, Released, Unproven, VerifierStats};
pub use verifier::{Policy, Verifier, VerifierConfig};
