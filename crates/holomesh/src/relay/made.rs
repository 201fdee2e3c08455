//! How many repair symbols come with the pictures: what a share of them is a share of.

/// Of what was counted before, so much is left after each further count: with four a second, a second or so counts.
const KEPT: f64 = 0.75;
/// Before anything has come: what publishers make for four parents, in permille of the source symbols.
const UNKNOWN: u16 = 333;

/// Repair symbols made, as a part of the source symbols, lately.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Chunks and repair symbols counted so far.
    seen: (u64, u64),
    source: f64,
    repair: f64,
}

impl Made {
    /// Takes in how many chunks have come in all, and how many of them are repair symbols. Counts that have gone down, since a
    /// stream is gone, begin anew.
    pub(super) fn count(&mut self, chunks: u64, repair: u64) {
        let (chunks_before, repair_before) = std::mem::replace(&mut self.seen, (chunks, repair));
        let (Some(new), Some(new_repair)) =
            (chunks.checked_sub(chunks_before), repair.checked_sub(repair_before))
        else {
            return;
        };
        // A pause says nothing.
        if new > 0 {
            self.source = self.source * KEPT + new.saturating_sub(new_repair) as f64;
            self.repair = self.repair * KEPT + new_repair as f64;
        }
    }

    pub(super) fn permille(&self) -> u16 {
        if self.source < 1.0 {
            return UNKNOWN;
        }
        (self.repair * 1_000.0 / self.source).round().min(10_000.0) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_came_lately_whatever_there_was_before_and_whatever_goes() {
        let mut made = Made::default();
        assert_eq!(made.permille(), UNKNOWN);
        made.count(0, 0);
        assert_eq!(made.permille(), UNKNOWN, "a pause says nothing");
        let (mut chunks, mut repair) = (0, 0);
        for _ in 0..20 {
            (chunks, repair) = (chunks + 125, repair + 25);
            made.count(chunks, repair);
            assert_eq!(made.permille(), 250);
        }
        for _ in 0..30 {
            chunks += 100;
            made.count(chunks, repair);
        }
        assert_eq!(made.permille(), 0, "none is made any more");
        made.count(100, 50);
        assert_eq!(made.permille(), 0, "another stream: counted from here on");
        made.count(250, 100);
        assert!(made.permille() > 100);
    }
}
