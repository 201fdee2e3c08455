//! A ledger in memory, for tests, simulations and benchmarks.

use crate::{ContentId, Decision, Due, Item, Ledger, Tier, Transition};
use core_types::WallTime;
use std::collections::{BTreeSet, HashMap};

/// Keeps items in memory. A tick on it is no transaction: there is nothing that could crash apart from the whole.
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger {
    items: HashMap<ContentId, (Item, Option<WallTime>)>,
    due: BTreeSet<Due>,
    audit: Vec<Transition>,
}

/// The one thing that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such content")]
pub struct NoSuchContent;

impl MemoryLedger {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an item in, to be looked at from `at` on.
    pub fn insert(&mut self, item: Item, at: Option<WallTime>) {
        let content = item.content;
        self.remove(content);
        self.due.extend(at.map(|at| Due { at, content }));
        self.items.insert(content, (item, at));
    }

    /// Takes an item out.
    pub fn remove(&mut self, content: ContentId) -> Option<Item> {
        let (item, at) = self.items.remove(&content)?;
        if let Some(at) = at {
            self.due.remove(&Due { at, content });
        }
        Some(item)
    }

    /// An item, and when it is due.
    pub fn look_up(&self, content: ContentId) -> Option<(&Item, Option<WallTime>)> {
        self.items.get(&content).map(|(item, at)| (item, *at))
    }

    /// Everything that changed, in order.
    pub fn audit(&self) -> &[Transition] {
        &self.audit
    }
}

impl Ledger for MemoryLedger {
    type Error = NoSuchContent;

    fn due(&mut self, now: WallTime, after: Option<Due>, limit: usize) -> Result<Vec<Due>, NoSuchContent> {
        use core::ops::Bound::{Excluded, Included, Unbounded};
        let last = Due { at: now, content: ContentId([0xff; 32]) };
        let from = after.map_or(Unbounded, Excluded);
        if after.is_some_and(|after| after > last) {
            return Ok(Vec::new());
        }
        Ok(self.due.range((from, Included(last))).take(limit).copied().collect())
    }

    fn item(&mut self, content: ContentId) -> Result<Item, NoSuchContent> {
        self.look_up(content).map(|(item, _)| item.clone()).ok_or(NoSuchContent)
    }

    fn settle(&mut self, due: Due, decision: &Decision, now: WallTime) -> Result<(), NoSuchContent> {
        let item = self.remove(due.content).ok_or(NoSuchContent)?;
        if decision.is_news {
            self.audit.push(decision.transition(now));
        }
        if decision.after > Tier::HardDelete {
            let item = Item { held: decision.after, frozen_since: decision.frozen_since, ..item };
            self.insert(item, decision.due);
        }
        Ok(())
    }

    fn postpone(&mut self, due: Due, until: WallTime) -> Result<(), NoSuchContent> {
        let item = self.remove(due.content).ok_or(NoSuchContent)?;
        self.insert(item, Some(until));
        Ok(())
    }

    fn commit(&mut self) -> Result<(), NoSuchContent> {
        Ok(())
    }
}
