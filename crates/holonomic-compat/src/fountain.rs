//! What a peer said of the symbols that it held.

use crate::{ContentName, Error, PeerName, SymbolIndex, domain, version, write};
use core_types::WallTime;
use identity::canonical::Writer;

/// Which symbols of a content a peer held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldingClaim<'a> {
    /// Who.
    pub holder: PeerName<'a>,
    /// Of which content.
    pub content: ContentName<'a>,
    /// Which; written in ascending order.
    pub symbols: &'a [SymbolIndex],
    /// When.
    pub observed_at: WallTime,
}

impl HoldingClaim<'_> {
    /// What was signed: separator ‖ holder ‖ content, each with a u64 length ‖ u64 count, {u32} ‖ observed at, u64 ms ‖ version u32.
    ///
    /// # Errors
    /// [`Error::Twice`] for a symbol.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut symbols = self.symbols.to_vec();
        symbols.sort_unstable();
        write::ascending("symbols", symbols.iter().map(|symbol| symbol.0))?;
        let mut w = Writer::new();
        w.fixed(domain::HOLDING_CLAIM);
        write::long_text(&mut w, self.holder);
        write::long_text(&mut w, self.content);
        w.u64(symbols.len() as u64);
        for symbol in symbols {
            w.u32(symbol.0);
        }
        w.u64(self.observed_at.0).u32(version::HOLDING_CLAIM);
        Ok(w.into_bytes())
    }
}

/// That a peer was about to drop symbols, and until when others may take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressRequest<'a> {
    /// Who.
    pub peer: PeerName<'a>,
    /// Of which content.
    pub content: ContentName<'a>,
    /// The first symbol.
    pub low: SymbolIndex,
    /// The one after the last.
    pub high: SymbolIndex,
    /// Until when.
    pub deadline: WallTime,
}

impl CompressRequest<'_> {
    /// What was signed: separator ‖ peer ‖ content, each with a u64 length ‖ low u32 ‖ high u32 ‖ deadline, u64 ms ‖ version u32.
    ///
    /// # Errors
    /// [`Error::Range`] when the end is below the beginning.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, Error> {
        let (low, high) = (self.low.0, self.high.0);
        if high < low {
            return Err(Error::Range { low, high });
        }
        let mut w = Writer::new();
        w.fixed(domain::COMPRESS_REQUEST);
        write::long_text(&mut w, self.peer);
        write::long_text(&mut w, self.content);
        w.u32(low).u32(high).u64(self.deadline.0).u32(version::COMPRESS_REQUEST);
        Ok(w.into_bytes())
    }
}
