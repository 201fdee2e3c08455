//! What a verifier tells.

use super::{Grade, ProofIndex};
use core_types::{MediaTime, MonoTime, ObjectSeq, StreamId};

/// Which object, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectReport {
    /// The stream that it came in.
    pub stream: StreamId,
    /// The number that it came with.
    pub seq: ObjectSeq,
    /// The time that it says it is of.
    pub pts: MediaTime,
    /// When it arrived.
    pub arrived: MonoTime,
}

/// Why an object stayed unproven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unproven {
    /// No proof lists its number: proofs were lost, or the publisher never sent it.
    NoProof,
    /// A proof lists the run that it is in, and so many others of the run are missing that it can't be checked.
    NeighboursLost,
    /// At least one object of its run is forged, and which one can't be told.
    SuspectRun,
    /// The verifier had to make room.
    Evicted,
}

/// What a verifier found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The publisher sent this object. With [`Grade::Interim`] a second event may follow: hybrid, or forged.
    Proven {
        /// Which.
        object: ObjectReport,
        /// What signed the proof.
        grade: Grade,
    },
    /// The publisher did not send this object: a proof lists another one under its number, or says that the stream ended
    /// before it. Somebody else with the group's keys made it.
    Forged {
        /// Which.
        object: ObjectReport,
        /// What signed the proof that contradicts it. An interim one could itself be forged with a quantum computer; the
        /// next hybrid proof decides.
        grade: Grade,
        /// When it was found.
        at: MonoTime,
    },
    /// At least one of these objects is forged, and which one can't be told. They stay unproven unless the genuine ones
    /// arrive.
    SuspectRun {
        /// The stream.
        stream: StreamId,
        /// The first of them.
        first: ObjectSeq,
        /// How many.
        count: usize,
        /// What signed the proof that contradicts them.
        grade: Grade,
        /// When it was found.
        at: MonoTime,
    },
    /// No proof covered this object within the deadline.
    Uncovered {
        /// Which.
        object: ObjectReport,
        /// Why.
        why: Unproven,
    },
    /// The publisher signed two things that exclude each other.
    Equivocation {
        /// The stream.
        stream: StreamId,
        /// The proof that does not fit those before it.
        index: ProofIndex,
        /// The weaker of the grades involved. Interim: it may be a forged signature and not the publisher.
        grade: Grade,
    },
}

/// An object that the policy lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released<T> {
    /// Its number.
    pub seq: ObjectSeq,
    /// What it is proven with so far; `None` for an object that plays before its proof (policy flag).
    pub grade: Option<Grade>,
    /// An object with a higher number was released before it.
    pub late: bool,
    /// What the caller gave.
    pub item: T,
}

/// What became of the objects so far. Every object that was taken, duplicates aside, is in exactly one of `hybrid`,
/// `interim`, `unproven`, `forged` and `open`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifierStats {
    /// Objects taken.
    pub objects: u64,
    /// Objects that came a second time with the same bytes.
    pub duplicates: u64,
    /// Proven by a hybrid proof.
    pub hybrid: u64,
    /// Proven by an interim proof alone, so far or for good.
    pub interim: u64,
    /// Covered by no proof within the deadline.
    pub unproven: u64,
    /// Contradicted.
    pub forged: u64,
    /// Still waiting, within the deadline.
    pub open: u64,
    /// Hybrid proofs accepted.
    pub hybrid_proofs: u64,
    /// Interim proofs accepted.
    pub interim_proofs: u64,
    /// Proofs refused: malformed, of another stream, or not signed by the publisher.
    pub refused_proofs: u64,
    /// Proofs missing between the first and the newest that came.
    pub lost_proofs: u64,
    /// Events thrown away because nobody polled.
    pub lost_events: u64,
}
