//! What comes is kept for a moment, until it is known which symbols of an object came and which were lost on the way.

use av_wire::ChunkHeader;
use bytes::Bytes;
use core_types::{ChunkSeq, Epoch, Layer, Marks, MonoTime, ObjectSeq};
use std::collections::BTreeMap;
use std::time::Duration;

/// So long an object is waited for. What comes later is kept too, as what its marks say.
const SETTLE: Duration = Duration::from_millis(1_000);
/// Bytes that wait at most; beyond that the oldest waits no more.
const MOST: usize = 32 << 20;

/// A chunk that a member has opened, sealed as it came.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) epoch: Epoch,
    pub(crate) object: ObjectSeq,
    /// The symbol's id: 0 of a whole object.
    pub(crate) id: u32,
    /// How many source symbols the object has.
    pub(crate) sources: u32,
    pub(crate) layer: Layer,
    pub(crate) marks: Marks,
    /// A part of a proof, which is kept as long as anything that it proves.
    pub(crate) is_proof: bool,
    pub(crate) chunk: Bytes,
}

/// What came of one object.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) epoch: Epoch,
    /// Its number; of who can't read it, that of its first chunk.
    pub(crate) object: ObjectSeq,
    pub(crate) sources: u32,
    pub(crate) symbols: Vec<SettledSymbol>,
}

#[derive(Debug)]
pub(crate) struct SettledSymbol {
    pub(crate) id: u32,
    pub(crate) layer: Layer,
    pub(crate) marks: Marks,
    pub(crate) is_proof: bool,
    /// It makes up for a source symbol that did not come.
    pub(crate) stands_in: bool,
    pub(crate) chunk: Bytes,
}

impl Settled {
    /// Of what came: as many repair symbols as source symbols are missing stand in for those.
    fn new(epoch: Epoch, object: ObjectSeq, sources: u32, mut symbols: Vec<SettledSymbol>) -> Self {
        symbols.sort_by_key(|symbol| symbol.id);
        let has = symbols.iter().filter(|symbol| !symbol.marks.repair && !symbol.is_proof).count();
        let missing = (sources as usize).saturating_sub(has);
        let repair = symbols.iter_mut().filter(|symbol| symbol.marks.repair).take(missing);
        repair.for_each(|symbol| symbol.stands_in = true);
        Self { epoch, object, sources, symbols }
    }

    pub(crate) fn is_key_frame(&self) -> bool {
        self.symbols
            .iter()
            .any(|symbol| symbol.layer == Layer::BASE && symbol.marks.is_key_frame() && !symbol.is_proof)
    }
}

/// Settles what a member has opened, by its objects.
#[derive(Debug, Default)]
pub(crate) struct ByObject {
    open: BTreeMap<(Epoch, ObjectSeq), (MonoTime, u32, Vec<SettledSymbol>)>,
    bytes: usize,
    /// The object that came last: parts of proofs go with it.
    last: ObjectSeq,
}

impl ByObject {
    pub(crate) fn take(&mut self, now: MonoTime, piece: Piece) {
        let object = if piece.is_proof { self.last } else { piece.object };
        self.last = object;
        self.bytes += piece.chunk.len();
        let (_, sources, symbols) =
            self.open.entry((piece.epoch, object)).or_insert_with(|| (now, 0, Vec::new()));
        *sources = piece.sources.max(*sources);
        let Piece { id, layer, marks, is_proof, chunk, .. } = piece;
        symbols.push(SettledSymbol { id, layer, marks, is_proof, stands_in: false, chunk });
    }

    /// What has waited long enough, in order; with `all`, all of it.
    pub(crate) fn settle(&mut self, now: MonoTime, all: bool) -> Vec<Settled> {
        let mut settled = Vec::new();
        while let Some(first) = self.open.first_entry() {
            if !all && self.bytes <= MOST && now.since(first.get().0) < SETTLE {
                break;
            }
            let ((epoch, object), (_, sources, symbols)) = first.remove_entry();
            self.bytes -= symbols.iter().map(|symbol| symbol.chunk.len()).sum::<usize>();
            settled.push(Settled::new(epoch, object, sources, symbols));
        }
        settled
    }
}

/// Settles what a relay passes on: where objects begin and end is known to it by their marks alone.
#[derive(Debug, Default)]
pub(crate) struct ByMark {
    waiting: BTreeMap<(Epoch, ChunkSeq), (MonoTime, Layer, Marks, Bytes)>,
    bytes: usize,
}

impl ByMark {
    pub(crate) fn take(&mut self, now: MonoTime, header: &ChunkHeader, chunk: Bytes) {
        let len = chunk.len();
        let new = (now, header.layer, header.marks, chunk);
        if self.waiting.insert((header.epoch, header.chunk_seq), new).is_none() {
            self.bytes += len;
        }
    }

    /// The objects that have waited long enough, in order; with `all`, all of them.
    pub(crate) fn settle(&mut self, now: MonoTime, all: bool) -> Vec<Settled> {
        let mut settled = Vec::new();
        while let Some(first) = self.waiting.first_entry() {
            if !all && self.bytes <= MOST && now.since(first.get().0) < SETTLE {
                break;
            }
            settled.push(self.take_first());
        }
        settled
    }

    /// From the first chunk up to where the next object begins: at a chunk that says so, in another epoch, or with a source symbol after
    /// repair symbols, whose object's first chunk was lost.
    fn take_first(&mut self) -> Settled {
        let mut object: Option<((Epoch, ChunkSeq), Option<ChunkSeq>)> = None;
        let mut symbols = Vec::new();
        let mut last = ChunkSeq(0);
        while let Some(next) = self.waiting.first_entry() {
            let (epoch, seq) = *next.key();
            let marks = next.get().2;
            let ((_, start), repair) = *object.get_or_insert(((epoch, seq), None));
            let begins = !symbols.is_empty()
                && (marks.start
                    || object.is_some_and(|((of, _), _)| of != epoch)
                    || (repair.is_some() && !marks.repair));
            if begins {
                break;
            }
            if marks.repair && repair.is_none() {
                object = Some(((epoch, start), Some(seq)));
            }
            let (_, layer, marks, chunk) = next.remove();
            self.bytes -= chunk.len();
            last = seq;
            let id = u32::try_from(seq.0.saturating_sub(start.0)).unwrap_or(u32::MAX);
            symbols.push(SettledSymbol { id, layer, marks, is_proof: false, stands_in: false, chunk });
        }
        let ((epoch, start), repair) = object.unwrap_or_default();
        // Of an object whose repair symbols all were lost, those between the first and the last that came are known.
        let end = repair.map_or(last.0.saturating_add(1), |repair| repair.0);
        let sources = u32::try_from(end.saturating_sub(start.0)).unwrap_or(u32::MAX);
        Settled::new(epoch, ObjectSeq(start.0), sources, symbols)
    }
}

#[cfg(test)]
mod tests;
