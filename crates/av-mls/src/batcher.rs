//! Which joins and removals share a commit.

use crate::{Error, MAX_BATCH, VerifiedKeyPackage};
use core::time::Duration;
use core_types::{KeyId, MonoTime};
use std::collections::{BTreeSet, VecDeque};

/// Joins within this time of the first share a commit.
pub const BATCH_WINDOW: Duration = Duration::from_millis(200);
/// How many joiners wait at most.
pub const MAX_WAITING: usize = 1_024;

/// Collects joins and removals for whoever commits. Sans-IO: `now` is an argument, and
/// [`next_timeout`](Self::next_timeout) says when to ask again. `T` is what the caller knows a joiner by.
///
/// The drain rule: call [`due`](Self::due) when the time has come and no other commit is under way; tell
/// [`failed`](Self::failed) about a batch that could not be staged. A removal that can't be done is the caller's to drop.
#[derive(Debug)]
pub struct Batcher<T> {
    joining: VecDeque<(T, VerifiedKeyPackage)>,
    leaving: BTreeSet<KeyId>,
    due: Option<MonoTime>,
    /// Set when a batch failed: its joiners then come one by one, so that a bad one spoils it for nobody else.
    one_by_one: bool,
}

/// What shares a commit.
#[derive(Debug)]
pub struct BatchOfChanges<T> {
    /// Whom to add, first come first.
    pub joining: Vec<(T, VerifiedKeyPackage)>,
    /// Whom to remove, in order of key id.
    pub leaving: Vec<KeyId>,
}

impl<T> Default for Batcher<T> {
    fn default() -> Self {
        Self { joining: VecDeque::new(), leaving: BTreeSet::new(), due: None, one_by_one: false }
    }
}

impl<T> Batcher<T> {
    /// With nobody waiting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Somebody wants in. Its commit is due 200 ms after the first that waits.
    ///
    /// # Errors
    /// [`Error::AlreadyAMember`] when the same identity waits already, [`Error::Limit`] when 1,024 wait.
    pub fn join(&mut self, now: MonoTime, tag: T, package: VerifiedKeyPackage) -> Result<(), Error> {
        if self.is_joining(package.key_id()) {
            return Err(Error::AlreadyAMember(package.key_id()));
        }
        crate::error::limit("waiting joiners", self.joining.len() + 1, MAX_WAITING)?;
        self.joining.push_back((tag, package));
        self.due.get_or_insert(now.plus(BATCH_WINDOW));
        Ok(())
    }

    /// A member has to go. Due at once: where joining can wait, nothing new is to be read by who has gone.
    pub fn remove(&mut self, now: MonoTime, who: KeyId) {
        self.leaving.insert(who);
        self.due = Some(now);
    }

    /// Takes back the joins for which `which` holds.
    pub fn withdraw(&mut self, mut which: impl FnMut(&T, KeyId) -> bool) {
        self.joining.retain(|(tag, package)| !which(tag, package.key_id()));
    }

    /// True if a join by this identity waits.
    pub fn is_joining(&self, who: KeyId) -> bool {
        self.joining.iter().any(|(_, package)| package.key_id() == who)
    }

    /// True if this member is to go.
    pub fn is_leaving(&self, who: KeyId) -> bool {
        self.leaving.contains(&who)
    }

    /// What is due for a commit at `now`, if anything. What does not fit into one commit is due right after it.
    pub fn due(&mut self, now: MonoTime) -> Option<BatchOfChanges<T>> {
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        let most = if self.one_by_one { 1 } else { MAX_BATCH };
        let joining: Vec<_> = self.joining.drain(..self.joining.len().min(most)).collect();
        let leaving: Vec<KeyId> = core::mem::take(&mut self.leaving).into_iter().collect();
        self.one_by_one &= !self.joining.is_empty();
        self.due = (!self.joining.is_empty()).then_some(now);
        (!joining.is_empty() || !leaving.is_empty()).then_some(BatchOfChanges { joining, leaving })
    }

    /// A batch could not be staged. Its removals are due again at once, its joiners one by one. A joiner that failed alone
    /// is given back: it is to be told.
    pub fn failed(&mut self, now: MonoTime, batch: BatchOfChanges<T>) -> Option<(T, VerifiedKeyPackage)> {
        self.due = Some(now);
        self.leaving.extend(batch.leaving);
        let mut joining = batch.joining;
        if joining.len() == 1 {
            // Whoever came with it in an earlier batch still comes one by one.
            self.one_by_one = !self.joining.is_empty();
            return joining.pop();
        }
        self.one_by_one = true;
        for joiner in joining.into_iter().rev() {
            self.joining.push_front(joiner);
        }
        None
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.joining.is_empty() && self.leaving.is_empty()
    }

    /// When [`due`](Self::due) has something to say next.
    pub const fn next_timeout(&self) -> Option<MonoTime> {
        self.due
    }
}
