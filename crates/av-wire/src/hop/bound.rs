//! The receiver's side of the aliases: a bounded table that only authentic whole headers change.

use super::layout::{Alias, HopHeader, Window, epoch_fits};
use super::{Geometry, LinkRefusal, LinkSeq};
use crate::ChunkHeader;
use core_types::{ChunkSeq, CodecId, Epoch, StreamId};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Binding {
    stream: StreamId,
    epoch: Epoch,
    codec: CodecId,
    window: Window,
    /// The lowest and highest link numbers at which it was said.
    first: LinkSeq,
    last: LinkSeq,
}

impl Binding {
    /// True if a datagram of that number can only have been sent while this binding stood: an alias is bound anew no earlier
    /// than `reach + reorder` after it was said last.
    const fn holds(&self, at: LinkSeq, geometry: &Geometry) -> bool {
        at.0 + geometry.reorder > self.first.0 && at.0 <= self.last.0 + geometry.reach
    }
}

/// What the receiver of a link was told.
#[derive(Debug)]
pub(super) struct Incoming {
    geometry: Geometry,
    bindings: BTreeMap<Alias, Binding>,
}

impl Incoming {
    pub(super) const fn new(geometry: Geometry) -> Self {
        Self { geometry, bindings: BTreeMap::new() }
    }

    /// The chunk header that a hop header stands for, if it is what it says. Changes nothing.
    pub(super) fn read(&self, hop: &HopHeader, link_seq: LinkSeq) -> Result<ChunkHeader, LinkRefusal> {
        match *hop {
            HopHeader::Whole { header, .. } => Ok(header),
            HopHeader::Compact { alias, epoch_low, chunk_low, layer, marks, .. } => {
                let holds = |binding: &&Binding| {
                    binding.holds(link_seq, &self.geometry) && epoch_fits(epoch_low, binding.epoch)
                };
                let Some(binding) = self.bindings.get(&alias).filter(holds) else {
                    return Err(LinkRefusal::Unbound);
                };
                let Binding { stream: stream_id, epoch, codec, window, .. } = *binding;
                let chunk_seq = ChunkSeq(window.resolve(chunk_low).ok_or(LinkRefusal::Unbound)?);
                let header = ChunkHeader { stream_id, epoch, chunk_seq, codec, layer, marks };
                if codec == CodecId::Opaque && !header.is_plain() {
                    return Err(LinkRefusal::Unbound);
                }
                Ok(header)
            }
        }
    }

    /// Takes the binding of an authentic whole header.
    pub(super) fn learn(&mut self, hop: &HopHeader) -> Result<(), LinkRefusal> {
        let HopHeader::Whole { link_seq, binds: Some((alias, window)), header } = *hop else {
            return Ok(());
        };
        let ChunkHeader { stream_id: stream, epoch, codec, .. } = header;
        let new = Binding { stream, epoch, codec, window, first: link_seq, last: link_seq };
        match self.bindings.get_mut(&alias) {
            Some(old) if old.holds(link_seq, &self.geometry) => {
                let (first, last) = (old.first.min(link_seq), old.last.max(link_seq));
                if *old != (Binding { first: old.first, last: old.last, ..new }) {
                    return Err(LinkRefusal::AliasInUse);
                }
                (old.first, old.last) = (first, last);
            }
            Some(old) if link_seq > old.first => *old = new,
            Some(_) => {}
            None => {
                if self.bindings.len() >= self.geometry.bindings {
                    let oldest = self.bindings.iter().min_by_key(|(_, binding)| binding.last);
                    if let Some(alias) = oldest.map(|(alias, _)| *alias) {
                        self.bindings.remove(&alias);
                    }
                }
                self.bindings.insert(alias, new);
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.bindings.len()
    }
}
