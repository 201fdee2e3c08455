//! Letting go: what time, pressure and revocation take away, key by key (spec 82 section 6).

use crate::Error;
use crate::admit::{Kind, envelope_key};
use crate::error::db;
use crate::keys::{ENVELOPE, Slot};
use crate::retention::Group;
use crate::row::{GroupStats, Row, due_key, due_of, erased_key};
use crate::store::{Sealing, Shared, Store, put_row, row};
use crate::tables::{self, meta};
use consent_decay::{
    Candidate, ContentId, Decision, Due, Item, Ledger, Level, Relief, Step, Tick, Tier, Transition, Trigger,
    decide,
};
use core_types::WallTime;
use redb::{ReadableDatabase as _, ReadableTable as _, WriteTransaction};

/// What [`Store::relieve`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relieved {
    /// What went down, and to where.
    pub transitions: Vec<Transition>,
    /// Bytes that [`Store::reclaim`] can give back now, as far as pressure freed them.
    pub freed: u64,
}

impl Store {
    /// Looks at what is due at `now` and lets go of what consent does not allow any more. Call it again while
    /// [`Tick::more`] says so, and when [`Reader::next_due`](crate::Reader::next_due) has come.
    ///
    /// Keys are destroyed on the disk when it returns. What the database says of that is there with the next
    /// [`sync`](Store::sync), or anything else that syncs, a call that finds nothing due included. After a crash before that
    /// nothing can be read that was let go of; the next call does the same once more, and the log says it once.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::KeyFile`]: nothing is lost, and what is due still is.
    pub fn fade(&mut self, now: WallTime) -> Result<Tick, Error> {
        let _letting_go = self.letting_go();
        let mut fading = Fading {
            shared: &self.shared,
            sealing: &mut self.sealing,
            audit_entries: self.options.audit_entries,
            transaction: None,
            wipes: Vec::new(),
            news: Vec::new(),
            must_last: false,
            is_said: self.is_said,
        };
        let tick = self.scheduler.tick(now, &mut fading);
        self.is_said = fading.is_said;
        if !self.is_said && tick.as_ref().is_ok_and(|tick| *tick == Tick::default()) {
            self.sync()?;
        }
        tick
    }

    /// Lets go of as much as frees `need` bytes, by tier and retention priority across contents, and of nothing below the
    /// level's floor. Looks at all contents.
    ///
    /// # Errors
    /// As [`Store::fade`].
    pub fn relieve(&mut self, now: WallTime, level: Level, need: u64) -> Result<Relieved, Error> {
        let _letting_go = self.letting_go();
        let mut relief = Relief::new(level, need);
        let reading = self.shared.database.begin_read().map_err(db)?;
        for entry in reading.open_table(tables::CONTENTS).map_err(db)?.iter().map_err(db)? {
            let (content, row) = entry.map_err(db)?;
            // What can't be read is for `check`, and no reason to free nothing.
            let Ok(row) = Row::from_bytes(row.value()) else { continue };
            relief.offer(&candidate(ContentId(*content.value()), &row));
        }
        drop(reading);
        let (chosen, freed) = relief.finish();
        let mut transitions = Vec::new();
        let transaction = tables::durable(&self.shared.database)?;
        let mut change = Change::new(&transaction);
        for (content, to) in chosen {
            let Some(row) = row(&transaction, content)? else { continue };
            let trigger = Trigger::Pressure { level, to };
            let decision = decide(&row.item(content), &self.shared.classes, trigger, now);
            if decision.is_news {
                transitions.push(decision.transition(now));
            }
            change.settle(row, &decision, now)?;
        }
        let wipes = change.finish(self.options.audit_entries)?;
        commit(&self.shared, &mut self.sealing, transaction, &wipes)?;
        Ok(Relieved { transitions, freed })
    }
}

fn candidate(content: ContentId, row: &Row) -> Candidate {
    // Step 0 drops repair, the last group; step 3 the first.
    let steps = [Group::Repair, Group::Enhancement, Group::Base, Group::KeyFrames].map(|group| {
        let stats = &row.groups[group.index()];
        Step { bytes: stats.stored, priority: stats.mean_priority() }
    });
    let from = row.terms.as_ref().map_or(WallTime(0), |terms| terms.from);
    Candidate { content, held: row.tier, from, steps }
}

/// A key to be destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wipe {
    content: ContentId,
    slot: Slot,
    cell: usize,
}

/// Destroys keys, and then says so in the database. In this order: whatever happens in between, what was let go of can't be
/// read. The other way round a crash could leave a key of what is said to be gone.
pub(crate) fn commit(
    shared: &Shared,
    sealing: &mut Sealing,
    transaction: WriteTransaction,
    wipes: &[Wipe],
) -> Result<(), Error> {
    for wipe in wipes {
        sealing.remove(&wipe.content);
        shared.keys.wipe(wipe.slot, [wipe.cell])?;
    }
    if !wipes.is_empty() {
        shared.keys.sync()?;
    }
    transaction.commit().map_err(db)
}

/// Changes of tier inside one transaction.
pub(crate) struct Change<'a> {
    transaction: &'a WriteTransaction,
    wipes: Vec<Wipe>,
    news: Vec<Transition>,
}

impl<'a> Change<'a> {
    pub(crate) const fn new(transaction: &'a WriteTransaction) -> Self {
        Self { transaction, wipes: Vec::new(), news: Vec::new() }
    }

    /// Writes the audit log, and says which keys to destroy.
    pub(crate) fn finish(self, audit_entries: u64) -> Result<Vec<Wipe>, Error> {
        audit(self.transaction, audit_entries, &self.news)?;
        Ok(self.wipes)
    }

    /// Notes that a key has to be destroyed.
    pub(crate) fn wipe(&mut self, row: &Row, content: ContentId, cell: usize) {
        self.wipes.push(Wipe { content, slot: row.slot, cell });
    }

    /// Does to a content what was decided.
    pub(crate) fn settle(&mut self, mut row: Row, decision: &Decision, now: WallTime) -> Result<(), Error> {
        let (content, after) = (decision.content, decision.after);
        self.index(&mut row, content, decision.due)?;
        row.frozen_since = decision.frozen_since;
        row.tier = after;
        if decision.is_news {
            self.audit(decision.transition(now));
        }
        let had = decision.before;
        let mut erased = self.transaction.open_table(tables::ERASED).map_err(db)?;
        for group in Group::ALL {
            if group.is_kept_at(after) || !group.is_kept_at(had) {
                continue;
            }
            self.wipe(&row, content, group.index());
            if row.groups[group.index()].symbols > 0 {
                erased.insert(&erased_key(row.number, group as u8), ()).map_err(db)?;
            }
            row.groups[group.index()] = GroupStats::default();
        }
        if after <= Tier::EnvelopeOnly && had > Tier::EnvelopeOnly {
            erased.insert(&erased_key(row.number, FRAME_GROUPS), ()).map_err(db)?;
        }
        drop(erased);
        if after > Tier::HardDelete {
            return put_row(self.transaction, content, &row);
        }
        self.wipe(&row, content, ENVELOPE);
        let mut envelopes = self.transaction.open_table(tables::ENVELOPES).map_err(db)?;
        for kind in [Kind::Consent, Kind::Manifest] {
            envelopes.remove(&envelope_key(content, kind)).map_err(db)?;
        }
        self.transaction.open_table(tables::CONTENTS).map_err(db)?.remove(content.as_bytes()).map_err(db)?;
        let mut free = self.transaction.open_table(tables::FREE_SLOTS).map_err(db)?;
        free.insert(row.slot.0, ()).map_err(db)?;
        Ok(())
    }

    /// Moves a content in the index of what is due.
    pub(crate) fn index(
        &self,
        row: &mut Row,
        content: ContentId,
        due: Option<WallTime>,
    ) -> Result<(), Error> {
        let mut table = self.transaction.open_table(tables::DUE).map_err(db)?;
        if let Some(old) = row.due {
            table.remove(&due_key(old, content)).map_err(db)?;
        }
        if let Some(due) = due {
            table.insert(&due_key(due, content), ()).map_err(db)?;
        }
        row.due = due;
        Ok(())
    }

    /// Notes what the audit log has to say.
    pub(crate) fn audit(&mut self, entry: Transition) {
        self.news.push(entry);
    }
}

fn audit(transaction: &WriteTransaction, kept: u64, news: &[Transition]) -> Result<(), Error> {
    if news.is_empty() {
        return Ok(());
    }
    let first = tables::number(transaction, meta::NEXT_AUDIT)?;
    let mut table = transaction.open_table(tables::AUDIT).map_err(db)?;
    let mut next = first;
    for entry in news {
        table.insert(next, entry.to_bytes().as_slice()).map_err(db)?;
        if let Some(old) = next.checked_sub(kept) {
            table.remove(old).map_err(db)?;
        }
        next = next.saturating_add(1);
    }
    tables::set_number(transaction, meta::NEXT_AUDIT, next)
}

/// Stands in [`tables::ERASED`] for the list of frame groups.
pub(crate) const FRAME_GROUPS: u8 = 4;

/// The store as the scheduler sees it: one transaction a tick.
struct Fading<'a> {
    shared: &'a Shared,
    sealing: &'a mut Sealing,
    audit_entries: u64,
    transaction: Option<WriteTransaction>,
    wipes: Vec<Wipe>,
    news: Vec<Transition>,
    /// Whether something was decided that the keys on the disk do not say by themselves.
    must_last: bool,
    /// Whether the disk has all that ticks have said.
    is_said: bool,
}

impl Fading<'_> {
    fn transaction(&mut self) -> Result<&WriteTransaction, Error> {
        let open = match self.transaction.take() {
            Some(open) => open,
            None => tables::deferred(&self.shared.database)?,
        };
        Ok(self.transaction.insert(open))
    }
}

impl Ledger for Fading<'_> {
    type Error = Error;

    fn due(&mut self, now: WallTime, after: Option<Due>, limit: usize) -> Result<Vec<Due>, Error> {
        use core::ops::Bound::{Excluded, Included, Unbounded};
        let (first, last) =
            (after.map(|due| due_key(due.at, due.content)), due_key(now, ContentId([0xff; 32])));
        if first.is_some_and(|first| first > last) {
            return Ok(Vec::new());
        }
        // A look at the index alone makes no transaction.
        let from = first.as_ref().map_or(Unbounded, Excluded);
        let reading = self.shared.database.begin_read().map_err(db)?;
        let table = reading.open_table(tables::DUE).map_err(db)?;
        let due = table.range::<&[u8; 40]>((from, Included(&last))).map_err(db)?.take(limit);
        due.map(|entry| Ok(due_of(entry.map_err(db)?.0.value()))).collect()
    }

    fn item(&mut self, content: ContentId) -> Result<Item, Error> {
        let row = row(self.transaction()?, content)?.ok_or(Error::Unknown(content))?;
        Ok(row.item(content))
    }

    fn settle(&mut self, due: Due, decision: &Decision, now: WallTime) -> Result<(), Error> {
        let transaction = self.transaction()?;
        let row = row(transaction, due.content)?.ok_or(Error::Unknown(due.content))?;
        // Else seven days would begin anew with each crash.
        let freezes = row.frozen_since != decision.frozen_since;
        let mut change = Change::new(transaction);
        change.settle(row, decision, now)?;
        let Change { wipes, news, .. } = change;
        self.wipes.extend(wipes);
        self.news.extend(news);
        self.must_last |= freezes;
        Ok(())
    }

    fn postpone(&mut self, due: Due, until: WallTime) -> Result<(), Error> {
        let transaction = self.transaction()?;
        match row(transaction, due.content) {
            Ok(Some(mut row)) => {
                let change = Change::new(transaction);
                change.index(&mut row, due.content, Some(until))?;
                put_row(transaction, due.content, &row)
            }
            // Nothing, or nothing that can be read: the index alone can be moved.
            missing => {
                let mut table = transaction.open_table(tables::DUE).map_err(db)?;
                table.remove(&due_key(due.at, due.content)).map_err(db)?;
                if missing.is_err() {
                    table.insert(&due_key(until, due.content), ()).map_err(db)?;
                }
                Ok(())
            }
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        let (wipes, news) = (core::mem::take(&mut self.wipes), core::mem::take(&mut self.news));
        match self.transaction.take() {
            Some(mut transaction) => {
                audit(&transaction, self.audit_entries, &news)?;
                // That keys are gone is on the disk first, and a tick does again what a crash takes back: so one sync is enough.
                self.is_said = core::mem::take(&mut self.must_last);
                if self.is_said {
                    tables::make_durable(&mut transaction)?;
                }
                commit(self.shared, self.sealing, transaction, &wipes)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Flush, FrameGroup, Options, Position, Retention, StoreKey, Symbol};
    use consent_decay::{ConsentClass, ConsentRecord, SourceId, Terms, Tombstone};
    use core_types::{Epoch, ObjectSeq, SymbolId};
    use identity::{Identity, Seed};
    use rand::SeedableRng as _;
    use redb::backends::InMemoryBackend;

    const DAY: u64 = 86_400_000;

    fn record(store: &mut Store, person: &Identity, n: u16) -> ContentId {
        let rng = &mut rand::rngs::StdRng::seed_from_u64(n.into());
        let mut source = [0; 32];
        source[..2].copy_from_slice(&n.to_be_bytes());
        let terms = Terms { class: ConsentClass::Temporary.into(), from: WallTime(0), serial: 1 };
        let consent = ConsentRecord { subject: person.public().clone(), source: SourceId(source), terms };
        let content = store.admit(WallTime(0), &consent.sign(person).unwrap(), rng).unwrap();
        let at = Position { epoch: Epoch(0), object: ObjectSeq(0) };
        let symbols = Group::ALL.map(|group| Symbol {
            object: ObjectSeq(0),
            id: SymbolId::new(0).unwrap(),
            retention: Retention(0),
            group,
            bytes: b"sealed",
        });
        let group = FrameGroup { content, at, symbols: &symbols };
        store.record(WallTime(0), &group, Flush::Later, rng).unwrap();
        content
    }

    fn store() -> Store {
        let rng = &mut rand::rngs::StdRng::seed_from_u64(1);
        let [database, keys] = [InMemoryBackend::new(), InMemoryBackend::new()];
        Store::open_on(database, keys, &StoreKey([7; 32]), Options::default(), rng).unwrap()
    }

    /// In memory either, a key is no longer there than on the disk.
    #[test]
    fn a_key_that_is_destroyed_is_not_kept_at_hand() {
        let person = Identity::from_seed(&Seed([1; 64])).unwrap();
        let mut store = store();
        let content = record(&mut store, &person, 1);
        assert!(store.sealing.contains_key(&content));
        store.fade(WallTime(4 * DAY)).unwrap();
        assert!(!store.sealing.contains_key(&content));
        let content = record(&mut store, &person, 2);
        assert!(store.sealing.contains_key(&content));
        let (subject, mut source) = (person.public().clone(), SourceId([0; 32]));
        source.0[1] = 2;
        let tombstone = Tombstone { subject, source, revoked_at: WallTime(0) }.sign(&person).unwrap();
        assert!(store.revoke(WallTime(0), &tombstone).unwrap());
        assert!(!store.sealing.contains_key(&content));
    }

    #[test]
    fn keys_at_hand_are_of_a_bounded_number_of_contents() {
        let person = Identity::from_seed(&Seed([1; 64])).unwrap();
        let mut store = store();
        for n in 0..300 {
            record(&mut store, &person, n);
            assert!(store.sealing.len() <= 256);
        }
    }
}
