//! Which line of commits a group has followed, and which of two lines holds.

use crate::Error;
use core::cmp::Ordering;
use core::fmt;
use core_types::Epoch;
use identity::canonical::{Reader, Writer};
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;

/// How many commits back a group remembers its line.
const REMEMBERED: usize = 32;

/// SHA-256 of a commit as it was sent. Of two commits from one epoch, the one with the smaller hash holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitHash(pub [u8; 32]);

impl CommitHash {
    /// The hash of a commit's bytes.
    pub fn of(commit: &[u8]) -> Self {
        Self(Sha256::digest(commit).into())
    }
}

impl fmt::Debug for CommitHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommitHash({:02x}{:02x}{:02x}{:02x}..)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// How another member's line of commits stands to this member's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchOrder {
    /// The same line: the other one may be ahead or behind, commits close the gap.
    SameLine,
    /// They parted, and this member's line holds.
    OursHolds,
    /// They parted, and the other one holds: this member has to rejoin.
    TheirsHolds,
    /// Nothing that both remember: the one who asks can't tell.
    Unknown,
}

/// The last commits of a line: the epoch that each started from, and its hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Branch(VecDeque<(Epoch, CommitHash)>);

impl Branch {
    /// The largest encoding in bytes.
    pub(crate) const MAX_LEN: usize = 1 + REMEMBERED * 40;

    pub(crate) fn push(&mut self, epoch: Epoch, commit: CommitHash) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((epoch, commit));
    }

    /// The commit that ended `epoch` on this line.
    pub(crate) fn at(&self, epoch: Epoch) -> Option<CommitHash> {
        self.0.iter().find(|(at, _)| *at == epoch).map(|(_, commit)| *commit)
    }

    pub(crate) fn compare(&self, other: &Self) -> BranchOrder {
        let mut shared =
            self.0.iter().filter_map(|(epoch, ours)| Some((*ours, other.at(*epoch)?))).peekable();
        if shared.peek().is_none() {
            return BranchOrder::Unknown;
        }
        match shared.map(|(ours, theirs)| ours.cmp(&theirs)).find(|order| order.is_ne()) {
            None => BranchOrder::SameLine,
            Some(Ordering::Less) => BranchOrder::OursHolds,
            Some(_) => BranchOrder::TheirsHolds,
        }
    }

    /// u8 count ‖ (u64 epoch ‖ hash 32) each, epochs rising.
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.u8(self.0.len() as u8);
        for (epoch, commit) in &self.0 {
            writer.u64(epoch.0).fixed(&commit.0);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let count = usize::from(reader.u8()?);
        crate::error::limit("line of commits", count, REMEMBERED)?;
        let mut line = VecDeque::with_capacity(count);
        for _ in 0..count {
            let epoch = Epoch(reader.u64()?);
            if line.back().is_some_and(|(last, _)| *last >= epoch) {
                return Err(Error::bad("line of commits", "out of order"));
            }
            line.push_back((epoch, CommitHash(reader.array()?)));
        }
        Ok(Self(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(commits: &[(u64, u8)]) -> Branch {
        let mut branch = Branch::default();
        for (epoch, first) in commits {
            branch.push(Epoch(*epoch), CommitHash([*first; 32]));
        }
        branch
    }

    #[test]
    fn the_first_commit_apart_decides_with_the_smaller_hash() {
        let ours = line(&[(1, 9), (2, 5), (3, 1)]);
        for (theirs, order) in [
            (line(&[(1, 9), (2, 5)]), BranchOrder::SameLine),
            (line(&[(2, 5), (3, 1), (4, 7)]), BranchOrder::SameLine),
            (line(&[(1, 9), (2, 6), (3, 0)]), BranchOrder::OursHolds),
            (line(&[(1, 9), (2, 4), (3, 9)]), BranchOrder::TheirsHolds),
            (line(&[(7, 1)]), BranchOrder::Unknown),
            (Branch::default(), BranchOrder::Unknown),
        ] {
            assert_eq!(ours.compare(&theirs), order, "{theirs:?}");
        }
    }

    #[test]
    fn a_line_comes_back_from_its_bytes_and_stays_bounded() {
        let mut long = Branch::default();
        for epoch in 0..100 {
            long.push(Epoch(epoch), CommitHash([epoch as u8; 32]));
        }
        assert_eq!((long.at(Epoch(67)), long.at(Epoch(99))), (None, Some(CommitHash([99; 32]))));
        let mut writer = Writer::new();
        long.write(&mut writer);
        let bytes = writer.into_bytes();
        assert_eq!(bytes.len(), Branch::MAX_LEN);
        assert_eq!(Branch::read(&mut Reader::new(&bytes)).unwrap(), long);
        let mut disorder = bytes.clone();
        disorder[1..9].copy_from_slice(&u64::MAX.to_be_bytes());
        assert!(Branch::read(&mut Reader::new(&disorder)).is_err());
        assert!(Branch::read(&mut Reader::new(&[33])).is_err());
    }
}
