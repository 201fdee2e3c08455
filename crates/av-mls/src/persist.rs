//! What goes into the store, and how a member comes out of it again.
//!
//! Every call that changes the state writes one batch before it changes anything in memory. A group is kept as a snapshot
//! and a journal of what was done since; [`Member::checkpoint`] makes a new snapshot and empties the journal.

use crate::change::{NOTHING_STAGED, Next, Pending};
use crate::member::{NO_SESSION, Session, group_id, signer};
use crate::provider::{SharedRandom, load, snapshot};
use crate::store::record::{
    self, Entry, Name, Own, Package, Snapshot, branch_bytes, journal_key, own_key, package_key, read_branch,
    snapshot_key,
};
use crate::store::{Batch, Record, StateStore};
use crate::vouch::Vouch;
use crate::{CommitHash, CommitKind, Error, Member, codec};
use core_types::SessionId;
use identity::Identity;
use mls_provider::{TreeWrites, WriteBatch};
use openmls::prelude::{KeyPackageBundle, StagedCommit};
use rand_core::CryptoRng;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// So many records after a snapshot, and the next change makes a new one by itself.
const MAX_JOURNAL: u64 = 256;

/// Where in the journal a member is.
#[derive(Default)]
pub(crate) struct Journal {
    /// The first record that is not in the snapshot.
    base: u64,
    /// The next record's number.
    next: u64,
    /// The store may or may not have taken something that can't be written over: the next change writes everything.
    doubtful: bool,
    /// The member's own record is in the store.
    own: bool,
}

impl Member {
    /// Opens a member from its store, in the state after the last change that the store took; a new one when the store is
    /// empty. Commits that had come early and were not applied are forgotten.
    ///
    /// # Errors
    /// [`Error::Store`] when the store fails or its records can't be read; [`Error::State`] when they are another
    /// identity's; [`Error::Internal`] when the library fails.
    pub fn open(
        identity: &Identity,
        random: impl CryptoRng + Send + 'static,
        store: Box<dyn StateStore>,
    ) -> Result<Self, Error> {
        let records = store.load().map_err(|e| Error::store("loading", e))?;
        let (mut own, mut snapshot) = (None, None);
        let (mut journal, mut packages) = (BTreeMap::new(), BTreeMap::new());
        for Record { key, value } in records {
            match Name::of(&key)? {
                Name::Own => own = Some(value),
                Name::Snapshot => snapshot = Some(value),
                Name::Journal(number) => _ = journal.insert(number, value),
                Name::Package(number) => _ = packages.insert(number, value),
            }
        }
        let mut member = Self::with_store(identity, SharedRandom::new(random), store)?;
        let Some(own) = own else {
            return if snapshot.is_none() && packages.is_empty() {
                Ok(member)
            } else {
                Err(Error::damaged("the record of the member itself is missing"))
            };
        };
        let own: Own = codec::from_bytes(&own)?;
        record::check_version(own.version)?;
        let vouch = Vouch::from_bytes(&own.vouch)?;
        if vouch.key_id() != identity.key_id() {
            return Err(Error::State("the store is another identity's"));
        }
        (member.signer, member.vouch, member.journal.own) = (signer(&own.seed)?, vouch, true);
        *member.seed = own.seed;
        if let Some(snapshot) = snapshot {
            member.restore_session(&snapshot, &journal)?;
        }
        for (number, bytes) in packages {
            let package: Package<KeyPackageBundle> = codec::from_bytes(&bytes)?;
            record::check_version(package.version)?;
            member.packages.keep(number, package.bundle)?;
        }
        Ok(member)
    }

    /// Writes a snapshot of the session and empties the journal. Takes time in proportion to the session's size, so call it
    /// when nothing is waiting; the next change after 256 others does it by itself.
    ///
    /// # Errors
    /// [`Error::Store`]; the older snapshot and the journal are good then.
    pub fn checkpoint(&mut self) -> Result<(), Error> {
        if !self.store.is_durable() {
            return Ok(());
        }
        let mut batch = Batch::default();
        let next = self.batch_snapshot(&mut batch)?;
        self.write_snapshot(&batch, next)
    }

    /// How many changes the journal holds: what would be done again when the member is opened.
    pub const fn journal_len(&self) -> u64 {
        self.journal.next - self.journal.base
    }

    pub(crate) fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        let result = self.store.commit(batch).map_err(|e| Error::store("recording a change", e));
        if result.is_ok() {
            self.journal.own = true;
        }
        result
    }

    /// The record of the member itself, if it is not in the store yet.
    pub(crate) fn batch_own(&self, batch: &mut Batch) -> Result<(), Error> {
        if !self.journal.own {
            let own = Own { version: record::version(), seed: *self.seed, vouch: self.vouch.to_bytes() };
            batch.put(own_key(), codec::to_bytes(&own)?);
        }
        Ok(())
    }

    pub(crate) fn record_staged(&mut self, written: &WriteBatch) -> Result<(), Error> {
        if !self.store.is_durable() {
            return Ok(());
        }
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        let entry = pending_entry(session, written)?.ok_or(NOTHING_STAGED)?;
        self.append(entry)
    }

    pub(crate) fn record_discarded(&mut self) -> Result<(), Error> {
        self.append_entry(&Entry::<Option<&StagedCommit>>::Discarded)
    }

    pub(crate) fn record_merged(&mut self) -> Result<(), Error> {
        if !self.store.is_durable() {
            return Ok(());
        }
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        let Some(Pending { next: Next::Group(next), .. }) = &session.pending else {
            return self.append_entry(&Entry::<Option<&StagedCommit>>::Merged);
        };
        let mut batch = Batch::default();
        self.batch_own(&mut batch)?;
        let number = self.batch_group(&mut batch, next)?;
        self.write_snapshot(&batch, number)
    }

    pub(crate) fn record_applied(&mut self, hash: CommitHash) -> Result<(), Error> {
        if !self.store.is_durable() {
            return Ok(());
        }
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        let verified = session.verified.get(&hash).ok_or(NO_SESSION)?;
        if verified.staged.self_removed() {
            return self.record_end();
        }
        let entry = Entry::Applied { hash: hash.0, staged: Some(&verified.staged) }.to_bytes()?;
        self.append(entry)
    }

    /// The session is over.
    pub(crate) fn record_end(&mut self) -> Result<(), Error> {
        if !self.store.is_durable() {
            return Ok(());
        }
        let mut batch = Batch::default();
        self.batch_own(&mut batch)?;
        batch.delete(snapshot_key());
        self.batch_empty_journal(&mut batch);
        let next = self.journal.next;
        self.write_snapshot(&batch, next)
    }

    /// A join by a welcome: the group is there, and the package that was used is not.
    pub(crate) fn record_joined(&mut self, used: &[u64]) -> Result<(), Error> {
        if !self.store.is_durable() {
            return Ok(());
        }
        let mut batch = Batch::default();
        let next = self.batch_snapshot(&mut batch)?;
        for number in used {
            batch.delete(package_key(*number));
        }
        self.write_snapshot(&batch, next)
    }

    fn append_entry(&mut self, entry: &Entry<Option<&StagedCommit>>) -> Result<(), Error> {
        if !self.store.is_durable() {
            return Ok(());
        }
        let bytes = entry.to_bytes()?;
        self.append(bytes)
    }

    /// One more record of the journal. If the store fails, the record takes the place of the one that may have got in.
    fn append(&mut self, entry: Zeroizing<Vec<u8>>) -> Result<(), Error> {
        let mut batch = Batch::default();
        let whole = self.journal.doubtful || self.journal_len() >= MAX_JOURNAL;
        let number = if whole { self.batch_snapshot(&mut batch)? } else { self.journal.next };
        self.batch_own(&mut batch)?;
        batch.put(journal_key(number), entry);
        if whole {
            self.write_snapshot(&batch, number)?;
        } else {
            self.write(&batch)?;
        }
        self.journal.next = number + 1;
        Ok(())
    }

    /// Everything about the session as it is, with an own commit in waiting as first record of the journal. Returns the
    /// number of the next record.
    fn batch_snapshot(&self, batch: &mut Batch) -> Result<u64, Error> {
        self.batch_own(batch)?;
        let Some(session) = &self.session else { return Ok(self.journal.next) };
        let mut next = self.batch_group(batch, session)?;
        // What the library wrote for it is in the snapshot.
        if let Some(entry) = pending_entry(session, &WriteBatch::default())? {
            batch.put(journal_key(next), entry);
            next += 1;
        }
        Ok(next)
    }

    fn batch_group(&self, batch: &mut Batch, session: &Session) -> Result<u64, Error> {
        let next = self.journal.next;
        let group = snapshot(&session.provider, &session.group)?;
        let snapshot = Snapshot::new(next, session.id, &session.branch, group);
        batch.put(snapshot_key(), codec::to_bytes(&snapshot)?);
        self.batch_empty_journal(batch);
        Ok(next)
    }

    fn batch_empty_journal(&self, batch: &mut Batch) {
        // The one after the last may have got in when the store said that it failed.
        for number in self.journal.base..=self.journal.next {
            batch.delete(journal_key(number));
        }
    }

    fn write_snapshot(&mut self, batch: &Batch, next: u64) -> Result<(), Error> {
        self.journal.doubtful = true;
        self.write(batch)?;
        let base = self.journal.next;
        self.journal = Journal { base, next, doubtful: false, own: true };
        Ok(())
    }

    fn restore_session(
        &mut self,
        snapshot: &[u8],
        journal: &BTreeMap<u64, Zeroizing<Vec<u8>>>,
    ) -> Result<(), Error> {
        let snapshot: Snapshot = codec::from_bytes(snapshot)?;
        record::check_version(snapshot.version)?;
        let id = SessionId(snapshot.session);
        let (provider, group) = self.random.restore(&snapshot.group, &group_id(id))?;
        self.session = Some(Session::new(id, provider, group, read_branch(&snapshot.branch)?)?);
        (self.journal.base, self.journal.next) = (snapshot.next, snapshot.next);
        for (number, bytes) in journal.range(snapshot.next..) {
            if *number != self.journal.next {
                return Err(Error::damaged("a record of the journal is missing"));
            }
            self.replay(Entry::from_bytes(bytes)?)?;
            self.journal.next += 1;
        }
        let session = self.restored()?;
        if session.pending.is_none() && session.group.pending_commit().is_some() {
            session.clear_group()?;
        }
        session.provider.storage().set_tree_writes(TreeWrites::Deferred);
        Ok(())
    }

    fn replay(&mut self, mut entry: Entry<Option<StagedCommit>>) -> Result<(), Error> {
        let random = self.random.clone();
        match &mut entry {
            Entry::Staged { commit, welcome, change, written } => {
                let (kind, change) = Pending::change_of(change)?;
                let session = self.restored()?;
                let written = WriteBatch::from_bytes(written).map_err(Error::damaged)?;
                if !written.is_empty() {
                    session.provider.storage().apply(written);
                    session.group = load(&session.provider, &group_id(session.id))?;
                }
                session.pending = Some(Pending {
                    hash: CommitHash::of(commit),
                    commit: core::mem::take(commit),
                    welcome: welcome.take(),
                    kind,
                    change,
                    next: Next::InGroup,
                });
            }
            Entry::Rejoin { commit, branch, group } => {
                let session = self.restored()?;
                let (provider, group) = random.restore(group, &group_id(session.id))?;
                provider.storage().set_tree_writes(TreeWrites::Deferred);
                let next = Session::new(session.id, provider, group, read_branch(branch)?)?;
                session.pending = Some(Pending {
                    hash: CommitHash::of(commit),
                    commit: core::mem::take(commit),
                    welcome: None,
                    kind: CommitKind::Rejoin,
                    change: crate::Change::default(),
                    next: Next::Group(Box::new(next)),
                });
            }
            Entry::Merged => _ = self.merge_pending()?,
            Entry::Discarded => self.drop_pending()?,
            Entry::Applied { hash, staged } => {
                let staged = staged.take().ok_or_else(|| Error::damaged("an empty record"))?;
                let session = self.restored()?;
                let keeps = session.pending.as_ref().is_some_and(|p| matches!(p.next, Next::Group(_)));
                if !keeps {
                    self.take_pending()?;
                }
                self.merge_verified(CommitHash(*hash), staged)?;
            }
        }
        Ok(())
    }

    fn restored(&mut self) -> Result<&mut Session, Error> {
        self.session.as_mut().ok_or_else(|| Error::damaged("a journal goes on after its session"))
    }
}

/// The journal's record of the own commit in waiting.
fn pending_entry(session: &Session, written: &WriteBatch) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let Some(pending) = &session.pending else { return Ok(None) };
    let entry = match &pending.next {
        Next::InGroup => {
            let mut written = written.to_bytes().map_err(|e| Error::internal("encoding a change", e))?;
            Entry::<Option<&StagedCommit>>::Staged {
                commit: pending.commit.clone(),
                welcome: pending.welcome.clone(),
                change: pending.record(),
                written: core::mem::take(&mut *written),
            }
        }
        Next::Group(next) => Entry::Rejoin {
            commit: pending.commit.clone(),
            branch: branch_bytes(&next.branch),
            group: core::mem::take(&mut *snapshot(&next.provider, &next.group)?),
        },
    };
    entry.to_bytes().map(Some)
}
