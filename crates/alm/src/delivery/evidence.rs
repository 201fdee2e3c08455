//! The bytes of delivery evidence (spec 57 section 4).

use crate::Error;
use core::ops::Deref;
use core_types::{Epoch, KeyId, StreamId, WallTime};
use identity::canonical::{Reader, Writer};
use identity::{Domain, HybridSignature, Identity, PublicIdentity};

const DOMAIN: Domain = Domain::new("holomesh delivery evidence v1");
const VERSION: u8 = 1;
/// Version, observer, accused, stream, epoch, counter, expected, delivered, from, until.
const PAYLOAD_LEN: usize = 1 + 3 * 32 + 2 * 8 + 2 * 4 + 2 * 8;
/// Fewer chunks than this say nothing.
pub(super) const MIN_EXPECTED: u32 = 6;
/// The longest time that one piece of evidence is about, in milliseconds.
const MAX_SPAN: u64 = 10_000;

/// That a parent took a share of a stream, was there, and delivered less than half of it. What an observer says and signs;
/// whether it is so nobody can see from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// Who measured, and signs.
    pub observer: KeyId,
    /// Who should have delivered.
    pub accused: KeyId,
    /// Of which stream.
    pub stream: StreamId,
    /// The epoch of the claim.
    pub epoch: Epoch,
    /// The counter of the claim by which the accused had room.
    pub claim_counter: u64,
    /// Chunks of its share that the publisher sent: at least 6.
    pub expected: u32,
    /// Chunks of them that came: fewer than half.
    pub delivered: u32,
    /// When measuring began, by the observer's wall clock.
    pub from: WallTime,
    /// When it ended: later, and at most 10 s later.
    pub until: WallTime,
}

impl Evidence {
    /// Bytes of signed evidence.
    pub const LEN: usize = PAYLOAD_LEN + HybridSignature::LEN;

    /// Signs it: its canonical bytes, then the hybrid signature.
    ///
    /// # Errors
    /// [`Error::Input`] if `observer` is not the signer, and for what [`Evidence::verify`] would refuse.
    pub fn sign(&self, observer: &Identity) -> Result<Vec<u8>, Error> {
        if observer.key_id() != self.observer {
            return Err(Error::Input { what: "delivery evidence", why: "its observer has to sign it" });
        }
        self.check().map_err(|why| Error::Input { what: "delivery evidence", why })?;
        let mut bytes = self.canonical();
        let signature = observer.sign(DOMAIN, &bytes)?;
        bytes.extend_from_slice(&signature.to_bytes());
        Ok(bytes)
    }

    /// Reads and verifies signed evidence. Whether it is of now is for [`Court::insert`](super::Court::insert).
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::Identity`]: it is not what `observer` signed, or says nothing.
    pub fn verify(bytes: &[u8], observer: &PublicIdentity) -> Result<VerifiedEvidence, Error> {
        if bytes.len() != Self::LEN {
            return Err(malformed("it is not 3,510 bytes"));
        }
        let Some((payload, signature)) = bytes.split_last_chunk::<{ HybridSignature::LEN }>() else {
            return Err(malformed("it is not 3,510 bytes"));
        };
        // What costs least comes first.
        let evidence = Self::parse(payload)?;
        if evidence.observer != observer.key_id() {
            return Err(malformed("the signer is not the observer"));
        }
        observer.verify(DOMAIN, payload, &HybridSignature::from_bytes(signature)?)?;
        Ok(VerifiedEvidence(evidence))
    }

    fn canonical(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(Self::LEN);
        w.u8(VERSION).fixed(self.observer.as_bytes()).fixed(self.accused.as_bytes());
        w.fixed(self.stream.as_bytes()).u64(self.epoch.0).u64(self.claim_counter);
        w.u32(self.expected).u32(self.delivered).u64(self.from.0).u64(self.until.0);
        w.into_bytes()
    }

    fn parse(payload: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(payload);
        if r.u8()? != VERSION {
            return Err(malformed("unknown version"));
        }
        // Fields are read in the order in which they stand here.
        let evidence = Self {
            observer: KeyId(r.array()?),
            accused: KeyId(r.array()?),
            stream: StreamId(r.array()?),
            epoch: Epoch(r.u64()?),
            claim_counter: r.u64()?,
            expected: r.u32()?,
            delivered: r.u32()?,
            from: WallTime(r.u64()?),
            until: WallTime(r.u64()?),
        };
        r.finish()?;
        evidence.check().map_err(malformed)?;
        Ok(evidence)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.observer == self.accused {
            return Err("nobody accuses itself");
        }
        if self.expected < MIN_EXPECTED {
            return Err("fewer than 6 chunks say nothing");
        }
        if u64::from(self.delivered) * 2 >= u64::from(self.expected) {
            return Err("half of a share is enough");
        }
        match self.until.0.checked_sub(self.from.0) {
            Some(1..=MAX_SPAN) => Ok(()),
            _ => Err("it has to be about 1 ms to 10 s"),
        }
    }
}

/// Evidence whose signature was checked. There is no other way to get one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifiedEvidence(Evidence);

impl VerifiedEvidence {
    /// Evidence that needs no signature: of a simulated peer, or in a test of this crate.
    pub(crate) const fn assume(evidence: Evidence) -> Self {
        Self(evidence)
    }
}

impl Deref for VerifiedEvidence {
    type Target = Evidence;

    fn deref(&self) -> &Evidence {
        &self.0
    }
}

const fn malformed(why: &'static str) -> Error {
    Error::Malformed { what: "delivery evidence", why }
}
