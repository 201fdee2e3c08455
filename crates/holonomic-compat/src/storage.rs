//! How much a node kept for whom, and what it wanted.

use crate::{CohortScope, CorpusKind, EpochName, Error, MemberName, PeerName, domain, version, write};
use identity::canonical::Writer;

/// What a node keeps for one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeBudget<'a> {
    /// For whom.
    pub scope: CohortScope<'a>,
    /// How much, in bytes.
    pub bytes: u64,
    /// How much of it for what is pinned, in bytes.
    pub pin_reserve: u64,
}

/// How much a node keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageBudget<'a> {
    /// Who.
    pub node: PeerName<'a>,
    /// In which epoch.
    pub epoch: EpochName<'a>,
    /// The how manieth of the epoch.
    pub revision: u64,
    /// For whom; ascending by scope.
    pub scopes: &'a [ScopeBudget<'a>],
    /// What is not dropped for want of room; ascending.
    pub pinned: &'a [CorpusKind<'a>],
}

impl StorageBudget<'_> {
    /// What was signed: separator 16 ‖ version u32 ‖ node ‖ epoch, each with a u32 length ‖ revision u64 ‖ u32 count, {u32 length, scope ‖
    /// bytes u64 ‖ reserve u64} ‖ u32 count, {u32 length, pinned}.
    ///
    /// # Errors
    /// [`Error::Unsorted`] and [`Error::Twice`] for the lists, [`Error::TooMuch`] for a length.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, Error> {
        write::ascending("scopes", self.scopes.iter().map(|of| of.scope))?;
        write::ascending("pinned", self.pinned)?;
        let mut w = Writer::new();
        w.fixed(&domain::STORAGE_BUDGET).u32(version::STORAGE_BUDGET);
        write::text(&mut w, "node", self.node)?;
        write::text(&mut w, "epoch", self.epoch)?;
        w.u64(self.revision);
        write::count(&mut w, "scopes", self.scopes.len())?;
        for of in self.scopes {
            write::text(&mut w, "scope", of.scope)?;
            w.u64(of.bytes).u64(of.pin_reserve);
        }
        write::texts(&mut w, "pinned", self.pinned)?;
        Ok(w.into_bytes())
    }
}

/// What a node wants of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorpusWant<'a> {
    /// Who.
    pub node: PeerName<'a>,
    /// In which epoch.
    pub epoch: EpochName<'a>,
    /// For whom it would be kept.
    pub scope: CohortScope<'a>,
    /// How large one may be, in bytes.
    pub size_cap: u64,
    /// How much room there is, in bytes.
    pub remaining: u64,
    /// What is wanted; ascending.
    pub want: &'a [MemberName<'a>],
}

impl CorpusWant<'_> {
    /// What was signed: separator 16 ‖ version u32 ‖ node ‖ epoch ‖ scope, each with a u32 length ‖ size u64 ‖ remaining u64 ‖ u32 count,
    /// {u32 length, wanted}.
    ///
    /// # Errors
    /// [`Error::Unsorted`] and [`Error::Twice`] for the list, [`Error::TooMuch`] for a length.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, Error> {
        write::ascending("want", self.want)?;
        let mut w = Writer::new();
        w.fixed(&domain::CORPUS_WANT).u32(version::CORPUS_WANT);
        write::text(&mut w, "node", self.node)?;
        write::text(&mut w, "epoch", self.epoch)?;
        write::text(&mut w, "scope", self.scope)?;
        w.u64(self.size_cap).u64(self.remaining);
        write::texts(&mut w, "want", self.want)?;
        Ok(w.into_bytes())
    }
}
