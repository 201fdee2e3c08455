//! A proof as bytes: what it lists, what is signed, and how it is read.

use super::TreeHash;
use crate::Error;
use core::fmt;
use core_types::{Epoch, ObjectSeq, StreamId};
use identity::canonical::{Reader, Writer};
use identity::{ClassicalSignature, Domain, HybridSignature, Identity, PublicIdentity};
use sha2::{Digest, Sha256};

const INTERIM_DOMAIN: Domain = Domain::new("holomesh interim proof v1");
const HYBRID_DOMAIN: Domain = Domain::new("holomesh proof v1");
const CHAIN_PREFIX: &[u8] = b"holomesh proof chain v1";
const VERSION: u8 = 1;
const LAST: u8 = 0x01;
const FIXED_LEN: usize = 3 + 32 + 8 + 8 + 32 + 1;
const SECTION_LEN: usize = 8 + 2 + 1;

/// The longest proof in bytes; more is refused before it is looked at.
pub const MAX_PROOF_LEN: usize =
    FIXED_LEN + 2 * (SECTION_LEN + 2 * 32 * Section::MAX_RUNS) + HybridSignature::LEN;

/// What a proof is signed with, the weaker first. Closed: there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// Ed25519 alone: quick to come, and worth nothing against a quantum computer.
    Interim,
    /// Ed25519 and ML-DSA-65.
    Hybrid,
}

/// A proof's place in its stream's chain; goes up by one with every proof, of either grade.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProofIndex(pub u64);

impl fmt::Display for ProofIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How many consecutive objects share one listed hash: a power of two, 1 to 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunLength(u8);

impl RunLength {
    /// Every object is listed by itself.
    pub const ONE: Self = Self(0);
    /// Eight objects.
    pub const EIGHT: Self = Self(3);
    /// Sixteen objects.
    pub const SIXTEEN: Self = Self(4);
    /// Thirty-two objects, the most.
    pub const THIRTY_TWO: Self = Self(5);

    /// As the wire has it: the logarithm to base 2.
    ///
    /// # Errors
    /// [`Error::Malformed`] above 5.
    pub const fn from_log2(log2: u8) -> Result<Self, Error> {
        if log2 > Self::THIRTY_TWO.0 {
            return Err(Error::Malformed { what: "proof", why: "runs of more than 32 objects" });
        }
        Ok(Self(log2))
    }

    /// The logarithm to base 2.
    pub const fn log2(self) -> u8 {
        self.0
    }

    /// The number of objects.
    pub const fn objects(self) -> usize {
        1 << self.0
    }
}

/// A range of consecutive objects with the hashes of its runs. The last run may be shorter than the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub(super) first: ObjectSeq,
    pub(super) count: u16,
    pub(super) run: RunLength,
    pub(super) nodes: Vec<TreeHash>,
    /// For each run the exclusive or of its leaves; nothing for runs of one.
    pub(super) parities: Vec<TreeHash>,
}

impl Section {
    /// The most objects in a section.
    pub const MAX_OBJECTS: usize = 4_096;
    /// The most runs in a section.
    pub const MAX_RUNS: usize = 512;
    const MAX_SEQ: u64 = 1 << 62;

    /// Lists the objects with these leaves, the first of which is number `first`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] or [`Error::Malformed`] for no objects, too many, or numbers above 62 bits.
    pub fn new(first: ObjectSeq, leaves: &[TreeHash], run: RunLength) -> Result<Self, Error> {
        let runs = leaves.chunks(run.objects());
        let parity = |run: &[TreeHash]| run.iter().copied().fold(TreeHash::ZERO, TreeHash::xor);
        let parities = if run == RunLength::ONE { Vec::new() } else { runs.clone().map(parity).collect() };
        let count = Self::check(first, leaves.len(), run)?;
        Ok(Self { first, count, run, nodes: runs.map(TreeHash::root).collect(), parities })
    }

    fn check(first: ObjectSeq, count: usize, run: RunLength) -> Result<u16, Error> {
        let bad = |why| Error::Malformed { what: "proof section", why };
        let narrow = u16::try_from(count).ok().filter(|count| usize::from(*count) <= Self::MAX_OBJECTS);
        let Some(narrow) = narrow.filter(|_| count.div_ceil(run.objects()) <= Self::MAX_RUNS) else {
            return Err(Error::TooLarge { what: "proof section", limit: Self::MAX_OBJECTS, have: count });
        };
        if count == 0 {
            return Err(bad("lists no object"));
        }
        if first.0.checked_add(count as u64).is_none_or(|end| end > Self::MAX_SEQ) {
            return Err(bad("object numbers above 62 bits"));
        }
        Ok(narrow)
    }

    /// The first object's number.
    pub const fn first(&self) -> ObjectSeq {
        self.first
    }

    /// The number after the last object's.
    pub const fn end(&self) -> ObjectSeq {
        ObjectSeq(self.first.0 + self.count as u64)
    }

    /// The root of the tree over all its objects.
    pub fn root(&self) -> TreeHash {
        TreeHash::root(&self.nodes)
    }

    fn write_head(&self, w: &mut Writer) {
        w.u64(self.first.0).u16(self.count).u8(self.run.0);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Error> {
        let first = ObjectSeq(r.u64().map_err(wrong)?);
        let count = usize::from(r.u16().map_err(wrong)?);
        let run = RunLength::from_log2(r.u8().map_err(wrong)?)?;
        let count = Self::check(first, count, run)?;
        let runs = usize::from(count).div_ceil(run.objects());
        let mut hashes = |n: usize| -> Result<Vec<TreeHash>, Error> {
            let bytes = r.fixed(32 * n).map_err(wrong)?;
            Ok(bytes.as_chunks::<32>().0.iter().copied().map(TreeHash).collect())
        };
        let nodes = hashes(runs)?;
        let parities = hashes(if run == RunLength::ONE { 0 } else { runs })?;
        Ok(Self { first, count, run, nodes, parities })
    }
}

/// What a publisher says of the objects that it sent (spec 25 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// What it is signed with.
    pub grade: Grade,
    /// No object follows those that it lists: the stream is over. Hybrid proofs only.
    pub last: bool,
    /// The stream.
    pub stream: StreamId,
    /// The epoch in which it was made.
    pub epoch: Epoch,
    /// Its place in the chain.
    pub index: ProofIndex,
    /// [`Proof::chain_hash`] of the proof before it; zeros for the first.
    pub previous: TreeHash,
    /// The objects since the last proof of this grade or a higher one, then once more those of that proof. At most two,
    /// and the second ends where the first begins.
    pub sections: Vec<Section>,
}

impl Proof {
    /// Signs the proof: its bytes, then the signature of its grade.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it breaks a rule that readers check; [`Error::Identity`] if signing fails.
    pub fn sign(&self, signer: &Identity) -> Result<Vec<u8>, Error> {
        self.check()?;
        let statement = self.statement();
        let mut bytes = self.body();
        match self.grade {
            Grade::Interim => {
                bytes.extend_from_slice(&signer.sign_classical(INTERIM_DOMAIN, &statement).map_err(wrong)?.0)
            }
            Grade::Hybrid => {
                bytes.extend_from_slice(&signer.sign(HYBRID_DOMAIN, &statement).map_err(wrong)?.to_bytes());
            }
        }
        Ok(bytes)
    }

    /// Reads a proof and verifies its signature.
    ///
    /// # Errors
    /// As [`UnverifiedProof::parse`] and [`UnverifiedProof::verify`].
    pub fn verify(bytes: &[u8], publisher: &PublicIdentity) -> Result<Self, Error> {
        UnverifiedProof::parse(bytes)?.verify(publisher)
    }

    /// What the next proof names this one by: SHA-256("holomesh proof chain v1" ‖ statement). Signatures are not in it:
    /// ML-DSA may sign one statement in many ways.
    pub fn chain_hash(&self) -> TreeHash {
        TreeHash(Sha256::new().chain_update(CHAIN_PREFIX).chain_update(self.statement()).finalize().into())
    }

    /// What is signed: the fields, and for each section its root in place of its hashes; where there are parities, their
    /// hash as well.
    pub fn statement(&self) -> Vec<u8> {
        let mut w = self.head();
        for section in &self.sections {
            section.write_head(&mut w);
            w.fixed(&section.root().0);
            if section.run != RunLength::ONE {
                let mut hash = Sha256::new();
                section.parities.iter().for_each(|parity| hash.update(parity.0));
                w.fixed(&hash.finalize());
            }
        }
        w.into_bytes()
    }

    fn head(&self) -> Writer {
        let mut w = Writer::with_capacity(FIXED_LEN + 200);
        w.u8(VERSION).u8(self.grade as u8).u8(if self.last { LAST } else { 0 });
        w.fixed(self.stream.as_bytes()).u64(self.epoch.0).u64(self.index.0).fixed(&self.previous.0);
        w.u8(self.sections.len() as u8);
        w
    }

    fn body(&self) -> Vec<u8> {
        let mut w = self.head();
        for section in &self.sections {
            section.write_head(&mut w);
            section.nodes.iter().chain(&section.parities).for_each(|hash| {
                w.fixed(&hash.0);
            });
        }
        w.into_bytes()
    }

    fn check(&self) -> Result<(), Error> {
        let bad = |why| Err(Error::Malformed { what: "proof", why });
        if self.last && self.grade != Grade::Hybrid {
            return bad("an interim proof can't be the last");
        }
        if self.index.0 == 0 && self.previous != TreeHash::ZERO {
            return bad("the first of a chain names one before it");
        }
        match self.sections.as_slice() {
            [] => bad("no section"),
            [_] => Ok(()),
            [new, again] if again.end() == new.first => Ok(()),
            [_, _] => bad("sections that don't meet"),
            _ => bad("more than two sections"),
        }
    }
}

/// A proof that was read and whose signature nobody has looked at yet. It tells nothing about objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedProof<'a> {
    proof: Proof,
    signature: &'a [u8],
}

impl<'a> UnverifiedProof<'a> {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Malformed`] or [`Error::Identity`]: these bytes are no proof.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_PROOF_LEN {
            return Err(Error::TooLarge { what: "proof", limit: MAX_PROOF_LEN, have: bytes.len() });
        }
        let bad = |why| Error::Malformed { what: "proof", why };
        let mut r = Reader::new(bytes);
        if r.u8().map_err(wrong)? != VERSION {
            return Err(bad("unknown version"));
        }
        let grade = match r.u8().map_err(wrong)? {
            0 => Grade::Interim,
            1 => Grade::Hybrid,
            _ => return Err(bad("grade is not 0 (interim) or 1 (hybrid)")),
        };
        let last = match r.u8().map_err(wrong)? {
            0 => false,
            LAST => true,
            _ => return Err(bad("unknown flag bits")),
        };
        let stream = StreamId(r.array().map_err(wrong)?);
        let epoch = Epoch(r.u64().map_err(wrong)?);
        let index = ProofIndex(r.u64().map_err(wrong)?);
        let previous = TreeHash(r.array().map_err(wrong)?);
        let sections = match r.u8().map_err(wrong)? {
            1 => vec![Section::read(&mut r)?],
            2 => vec![Section::read(&mut r)?, Section::read(&mut r)?],
            _ => return Err(bad("sections must be 1 or 2")),
        };
        let signature = r
            .fixed(match grade {
                Grade::Interim => ClassicalSignature::LEN,
                Grade::Hybrid => HybridSignature::LEN,
            })
            .map_err(wrong)?;
        r.finish().map_err(wrong)?;
        let proof = Proof { grade, last, stream, epoch, index, previous, sections };
        proof.check()?;
        Ok(Self { proof, signature })
    }

    /// The stream that it says it is about.
    pub const fn stream(&self) -> StreamId {
        self.proof.stream
    }

    /// The place that it says it has.
    pub const fn index(&self) -> ProofIndex {
        self.proof.index
    }

    /// What it would be named by if it were genuine.
    pub fn chain_hash(&self) -> TreeHash {
        self.proof.chain_hash()
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// [`Error::Identity`]: `publisher` did not sign this.
    pub fn verify(self, publisher: &PublicIdentity) -> Result<Proof, Error> {
        let statement = self.proof.statement();
        match self.proof.grade {
            Grade::Interim => {
                let signature = ClassicalSignature::from_bytes(self.signature).map_err(wrong)?;
                publisher.verify_classical(INTERIM_DOMAIN, &statement, &signature).map_err(wrong)?;
            }
            Grade::Hybrid => {
                let signature = HybridSignature::from_bytes(self.signature).map_err(wrong)?;
                publisher.verify(HYBRID_DOMAIN, &statement, &signature).map_err(wrong)?;
            }
        }
        Ok(self.proof)
    }

    /// The bytes that were read.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.proof.body();
        bytes.extend_from_slice(self.signature);
        bytes
    }
}

const fn wrong(source: identity::Error) -> Error {
    Error::Identity { what: "proof", source }
}
