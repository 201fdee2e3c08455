//! Looks at what is due, and at nothing else (spec 80 section 6).

use crate::decide::later;
use crate::{Classes, ContentId, Decision, Item, RETRY, Transition, Trigger, decide};
use core_types::WallTime;

/// When to look at what. Ordered by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Due {
    /// When.
    pub at: WallTime,
    /// What.
    pub content: ContentId,
}

/// Where items are kept, with an index by the time at which each is due.
///
/// A tick is one transaction: what [`settle`](Self::settle) and [`postpone`](Self::postpone) did counts once
/// [`commit`](Self::commit) has returned, all of it or nothing. So after a crash in mid-batch what was due still is.
pub trait Ledger {
    /// Why it could not be done.
    type Error: core::fmt::Display;

    /// The earliest that are due at `now`, in order: at most `limit`, those at or before `after` left out.
    ///
    /// # Errors
    /// When the index can't be read: the tick ends.
    fn due(&mut self, now: WallTime, after: Option<Due>, limit: usize) -> Result<Vec<Due>, Self::Error>;

    /// The item.
    ///
    /// # Errors
    /// When it can't be had: it is postponed, and the tick goes on.
    fn item(&mut self, content: ContentId) -> Result<Item, Self::Error>;

    /// Does what was decided: tier, frozen or not, when it is due next, and an entry in the audit log if
    /// [`is_news`](Decision::is_news).
    ///
    /// # Errors
    /// When it can't be done: it is postponed, and the tick goes on.
    fn settle(&mut self, due: Due, decision: &Decision, now: WallTime) -> Result<(), Self::Error>;

    /// Changes nothing but when it is due.
    ///
    /// # Errors
    /// When that can't be done either: the next tick begins after it.
    fn postpone(&mut self, due: Due, until: WallTime) -> Result<(), Self::Error>;

    /// Makes all of it last.
    ///
    /// # Errors
    /// When it did not: everything is as it was before the tick.
    fn commit(&mut self) -> Result<(), Self::Error>;
}

/// What one tick did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tick {
    /// What changed.
    pub transitions: Vec<Transition>,
    /// What could not be looked at or settled, and why. It is tried again after [`RETRY`].
    pub failed: Vec<(ContentId, String)>,
    /// Whether there may be more that is due: call again.
    pub more: bool,
}

/// Takes what is due from a [`Ledger`] in bounded batches.
#[derive(Debug, Clone)]
pub struct Scheduler {
    classes: Classes,
    batch: usize,
    /// Set while something that is due can be neither settled nor postponed: the others get their turn all the same.
    after: Option<Due>,
}

impl Scheduler {
    /// Takes up to `batch` items a tick, at least one.
    pub fn new(classes: Classes, batch: usize) -> Self {
        Self { classes, batch: batch.max(1), after: None }
    }

    /// The classes that it knows.
    pub const fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Looks at what is due at `now`, the earliest first. After a long sleep call it until there is no more.
    ///
    /// # Errors
    /// When the index can't be read or the batch not be committed: nothing has changed.
    pub fn tick<L: Ledger>(&mut self, now: WallTime, ledger: &mut L) -> Result<Tick, L::Error> {
        let mut batch = ledger.due(now, self.after, self.batch)?;
        if let Some(after) = self.after.take()
            && batch.len() < self.batch
        {
            let first = ledger.due(now, None, self.batch - batch.len())?;
            batch.extend(first.into_iter().filter(|due| *due <= after));
        }
        let mut tick = Tick { more: batch.len() == self.batch, ..Tick::default() };
        let mut stuck = false;
        for due in &batch {
            let settled = ledger.item(due.content).and_then(|item| {
                let decision = decide(&item, &self.classes, Trigger::Time, now);
                ledger.settle(*due, &decision, now).map(|()| decision)
            });
            match settled {
                Ok(decision) if decision.is_news => tick.transitions.push(decision.transition(now)),
                Ok(_) => {}
                Err(error) => {
                    tick.failed.push((due.content, error.to_string()));
                    stuck |= ledger.postpone(*due, later(now, RETRY)).is_err();
                }
            }
        }
        if !batch.is_empty() {
            ledger.commit()?;
        }
        self.after = batch.last().copied().filter(|_| stuck);
        Ok(tick)
    }
}
