//! The publisher's side: when a proof is due, and what it lists.

use super::{Grade, Proof, ProofIndex, ProofPart, RunLength, Section, TreeHash};
use crate::Error;
use core::time::Duration;
use core_types::{Epoch, MonoTime, ObjectSeq, StreamId};
use identity::Identity;
use std::collections::VecDeque;

/// How often to prove, and how finely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProverConfig {
    /// From an object to the hybrid proof that covers it. Never below [`ProverConfig::MIN_HYBRID`].
    pub hybrid_every: Duration,
    /// From an object to the interim proof that covers it; `None` for no interim proofs. Never below
    /// [`ProverConfig::MIN_INTERIM`].
    pub interim_every: Option<Duration>,
    /// Objects to a listed hash in interim proofs.
    pub interim_run: RunLength,
    /// Objects to a listed hash in hybrid proofs.
    pub hybrid_run: RunLength,
    /// Objects to a listed hash where a proof repeats what the one before it listed.
    pub again_run: RunLength,
}

impl ProverConfig {
    /// Hybrid proofs are at least this far apart, epoch changes and the end of the stream aside.
    pub const MIN_HYBRID: Duration = Duration::from_secs(2);
    /// Interim proofs are at least this far apart.
    pub const MIN_INTERIM: Duration = Duration::from_millis(250);
    /// For pictures: every frame is listed, each half second by an interim proof and every 2 s by a hybrid one.
    pub const VIDEO: Self = Self {
        hybrid_every: Self::MIN_HYBRID,
        interim_every: Some(Duration::from_millis(500)),
        interim_run: RunLength::ONE,
        hybrid_run: RunLength::ONE,
        again_run: RunLength::EIGHT,
    };
    /// For sound, whose packets are small and many: listed in runs, by interim proofs each second and hybrid ones every 10 s.
    pub const AUDIO: Self = Self {
        hybrid_every: Duration::from_secs(10),
        interim_every: Some(Duration::from_secs(1)),
        interim_run: RunLength::SIXTEEN,
        hybrid_run: RunLength::THIRTY_TWO,
        again_run: RunLength::THIRTY_TWO,
    };
}

/// A proof that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedProof {
    /// Its place in the chain.
    pub index: ProofIndex,
    /// What it is signed with.
    pub grade: Grade,
    /// The proof with its signature.
    pub bytes: Vec<u8>,
}

impl SignedProof {
    /// Its pieces, each the content of one [`Inner::Proof`](crate::Inner::Proof).
    ///
    /// # Errors
    /// None that a proof of a [`Prover`] meets.
    pub fn parts(&self) -> Result<Vec<Vec<u8>>, Error> {
        ProofPart::split(self.index, &self.bytes)?.map(|part| part.to_bytes()).collect()
    }

    /// Its pieces as [`parts`](Self::parts) cuts them, the last of them small: for a proof after which nothing is sent, so
    /// that this one can be sent again and again and shows a receiver that it lost others.
    ///
    /// # Errors
    /// As [`parts`](Self::parts).
    pub fn parts_with_small_last(&self) -> Result<Vec<Vec<u8>>, Error> {
        ProofPart::split_off(self.index, &self.bytes, Self::SMALL)?.map(|part| part.to_bytes()).collect()
    }

    const SMALL: usize = 64;
}

/// Makes the proofs of one stream. It is told of every object that is sent, in order, and says when a proof is due.
///
/// The chain lives as long as the prover: a publisher that restarts opens a new stream, whose id is another.
#[derive(Debug)]
pub struct Prover {
    stream: StreamId,
    config: ProverConfig,
    index: ProofIndex,
    previous: TreeHash,
    /// Leaves from object `base` on.
    leaves: VecDeque<TreeHash>,
    base: u64,
    interim: Window,
    hybrid: Window,
}

/// Which objects a proof of one grade lists next.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    /// First object of the proof before: listed again.
    before: u64,
    /// First object that no proof has listed.
    since: u64,
    /// When that object was sent, if it was.
    oldest: Option<MonoTime>,
}

impl Window {
    const fn close(&mut self, next: u64) {
        *self = Self { before: self.since, since: next, oldest: None };
    }
}

impl Prover {
    /// A prover that has seen nothing. The intervals of `config` are raised to the least allowed.
    pub fn new(stream: StreamId, config: ProverConfig) -> Self {
        let config = ProverConfig {
            hybrid_every: config.hybrid_every.max(ProverConfig::MIN_HYBRID),
            interim_every: config.interim_every.map(|every| every.max(ProverConfig::MIN_INTERIM)),
            ..config
        };
        Self {
            stream,
            config,
            index: ProofIndex(0),
            previous: TreeHash::ZERO,
            leaves: VecDeque::new(),
            base: 0,
            interim: Window::default(),
            hybrid: Window::default(),
        }
    }

    /// Takes note of an object that is sent: the object's bytes as they are sealed, whole.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is not the number after the last one; [`Error::TooLarge`] if so many objects wait for a
    /// proof that none can list them: [`Prover::due`] was not asked. Then the object must not be sent.
    pub fn handle_object(&mut self, now: MonoTime, seq: ObjectSeq, bytes: &[u8]) -> Result<(), Error> {
        let next = self.next();
        if self.leaves.is_empty() && next == 0 {
            // A stream may start at any number, once.
            self.base = seq.0;
            self.interim = Window { before: seq.0, since: seq.0, oldest: None };
            self.hybrid = self.interim;
        } else if seq.0 != next {
            return Err(Error::Malformed { what: "proof", why: "objects must be told in order, each once" });
        }
        if self.unproven() >= Section::MAX_RUNS {
            let (limit, have) = (Section::MAX_RUNS, self.unproven() + 1);
            return Err(Error::TooLarge { what: "objects without a proof", limit, have });
        }
        self.leaves.push_back(TreeHash::leaf(self.stream, seq, bytes));
        self.interim.oldest.get_or_insert(now);
        self.hybrid.oldest.get_or_insert(now);
        Ok(())
    }

    /// The proof that is due by now, if one is.
    pub fn due(&self, now: MonoTime) -> Option<Grade> {
        let due = |at: Option<MonoTime>| at.is_some_and(|at| at <= now);
        if due(self.hybrid_due()) {
            Some(Grade::Hybrid)
        } else {
            due(self.interim_due()).then_some(Grade::Interim)
        }
    }

    /// When a proof is due next.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        self.hybrid_due().into_iter().chain(self.interim_due()).min()
    }

    /// Signs a proof of the objects since the last one. Nothing if there are none: an interim proof lists objects that no
    /// proof has listed, a hybrid one those that no hybrid proof has. To be called when one is [`due`](Prover::due), and
    /// with [`Grade::Hybrid`] before the stream goes on in another epoch: `epoch` is the one that the proof is sealed in.
    ///
    /// # Errors
    /// [`Error::Identity`] if signing fails; then nothing has changed.
    pub fn prove(
        &mut self,
        grade: Grade,
        epoch: Epoch,
        signer: &Identity,
    ) -> Result<Option<SignedProof>, Error> {
        self.make(grade, epoch, false, signer)
    }

    /// Signs the last proof of the stream, after its last object. Nothing if there never was an object.
    ///
    /// # Errors
    /// As [`Prover::prove`].
    pub fn finish(&mut self, epoch: Epoch, signer: &Identity) -> Result<Option<SignedProof>, Error> {
        self.make(Grade::Hybrid, epoch, true, signer)
    }

    fn make(
        &mut self,
        grade: Grade,
        epoch: Epoch,
        last: bool,
        signer: &Identity,
    ) -> Result<Option<SignedProof>, Error> {
        let next = self.next();
        let (window, run) = match grade {
            Grade::Interim => (self.interim, self.config.interim_run),
            Grade::Hybrid => (self.hybrid, self.config.hybrid_run),
        };
        let mut sections = Vec::new();
        if window.since < next {
            sections.push(self.section(window.since, next, run)?);
        } else if !last {
            return Ok(None);
        }
        if window.before < window.since {
            sections.push(self.section(window.before, window.since, self.config.again_run)?);
        }
        if sections.is_empty() {
            return Ok(None);
        }
        let (stream, index, previous) = (self.stream, self.index, self.previous);
        let proof = Proof { grade, last, stream, epoch, index, previous, sections };
        let bytes = proof.sign(signer)?;
        self.previous = proof.chain_hash();
        self.index.0 += 1;
        self.interim.close(next);
        if grade == Grade::Hybrid {
            self.hybrid.close(next);
        }
        let keep = self.interim.before.min(self.hybrid.before);
        self.leaves.drain(..((keep - self.base) as usize).min(self.leaves.len()));
        self.base = keep;
        Ok(Some(SignedProof { index, grade, bytes }))
    }

    fn section(&self, from: u64, to: u64, run: RunLength) -> Result<Section, Error> {
        let range = (from - self.base) as usize..(to - self.base) as usize;
        let leaves: Vec<_> = self.leaves.range(range).copied().collect();
        Section::new(ObjectSeq(from), &leaves, run)
    }

    /// The number of the object that comes next.
    fn next(&self) -> u64 {
        self.base + self.leaves.len() as u64
    }

    fn unproven(&self) -> usize {
        (self.next() - self.hybrid.since) as usize
    }

    fn hybrid_due(&self) -> Option<MonoTime> {
        let oldest = self.hybrid.oldest?;
        // A stream of so many objects that a section fills up is proven more often than it asked for.
        let full = self.unproven() >= Section::MAX_RUNS;
        Some(if full { oldest } else { oldest.plus(self.config.hybrid_every) })
    }

    fn interim_due(&self) -> Option<MonoTime> {
        Some(self.interim.oldest?.plus(self.config.interim_every?))
    }
}
