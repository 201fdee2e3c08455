//! What a peer signed about the claims that it held.

use crate::{Error, Namespace, PeerName, Root, domain, version, write};
use core_types::{Epoch, WallTime};
use identity::canonical::Writer;

/// A witness of wholeness: the root over what a peer held in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness<'a> {
    /// Who says so.
    pub peer: PeerName<'a>,
    /// In which epoch.
    pub epoch: Epoch,
    /// Over the claims, as [`merkle_root`](crate::merkle_root) has it.
    pub root: Root,
    /// How many claims.
    pub leaves: u32,
    /// Of which namespaces; written in ascending order.
    pub namespaces: &'a [Namespace<'a>],
    /// When.
    pub observed_at: WallTime,
}

impl Witness<'_> {
    /// What was signed: separator 16 ‖ u32 length, peer ‖ epoch u64 ‖ root 32 ‖ leaves u32 ‖ u32 count, {u32 length, namespace} ‖ observed
    /// at, u64 ms ‖ version u16.
    ///
    /// # Errors
    /// [`Error::Twice`] for a namespace, [`Error::TooMuch`] for a length.
    pub fn preimage(&self) -> Result<Vec<u8>, Error> {
        let mut namespaces = self.namespaces.to_vec();
        namespaces.sort_unstable();
        write::ascending("namespaces", &namespaces)?;
        let mut w = Writer::new();
        w.fixed(&domain::WITNESS);
        write::text(&mut w, "peer", self.peer)?;
        w.u64(self.epoch.0).fixed(&self.root.0).u32(self.leaves);
        write::texts(&mut w, "namespaces", &namespaces)?;
        w.u64(self.observed_at.0).u16(version::WITNESS);
        Ok(w.into_bytes())
    }
}
