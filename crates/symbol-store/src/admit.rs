//! Taking content in: consent, manifests, tombstones.

use crate::error::db;
use crate::fade::{self, Change};
use crate::keys::{ENVELOPE, Slot};
use crate::row::{GroupStats, Number, Row};
use crate::store::{Store, row, row_or_why};
use crate::tables::{self, meta};
use crate::{Error, Manifest};
use consent_decay::{ConsentRecord, ContentId, Item, Reason, Tier, Tombstone, Transition, Trigger, decide};
use core_types::WallTime;
use rand_core::CryptoRng;
use redb::{ReadableTable as _, WriteTransaction};

/// The kinds of what an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Consent = 0,
    Manifest = 1,
}

pub(crate) fn envelope_key(content: ContentId, kind: Kind) -> [u8; 33] {
    let mut key = [0; 33];
    key[..32].copy_from_slice(&content.0);
    key[32] = kind as u8;
    key
}

impl Store {
    /// Takes a consent: the first for a content opens it, a later one with a higher serial number changes what the first
    /// said. What was dropped does not come back. On the disk when it returns.
    ///
    /// # Errors
    /// [`Error::Consent`] for a record that is not signed by the person that it is about, begins in the future or is no
    /// newer than the one that is held; [`Error::Revoked`] when that person took consent back before.
    pub fn admit(
        &mut self,
        now: WallTime,
        signed: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<ContentId, Error> {
        let record = ConsentRecord::verify(signed)?;
        let content = record.content();
        let transaction = tables::durable(&self.shared.database)?;
        let (row, is_new) = match row_or_why(&transaction, content) {
            Ok(row) => {
                record.terms.check(row.terms.as_ref(), now)?;
                (Row { terms: Some(record.terms), ..row }, false)
            }
            Err(Error::Unknown(_)) => {
                record.terms.check(None, now)?;
                let number = u32::try_from(tables::take_number(&transaction, meta::NEXT_NUMBER)?);
                let number = number.map_err(|_| Error::Refused("the store has had too many contents"))?;
                let slot = free_slot(&transaction)?;
                // On the disk before anything is sealed with them.
                self.shared.keys.draw(slot, content, rng)?;
                let row = Row {
                    number: Number(number),
                    slot,
                    tier: Tier::Full,
                    frozen_since: None,
                    due: None,
                    terms: Some(record.terms),
                    next_block: 0,
                    groups: [GroupStats::default(); 4],
                };
                (row, true)
            }
            Err(error) => return Err(error),
        };
        self.put_envelope(&transaction, content, row.slot, Kind::Consent, signed, rng)?;
        let item: Item = row.item(content);
        let decision = decide(&item, &self.shared.classes, Trigger::Time, now);
        let mut change = Change::new(&transaction);
        let reason = if is_new { Reason::Admitted } else { Reason::ConsentChanged };
        let (before, after) = (row.tier, row.tier);
        change.audit(Transition { at: now, content, before, after, reason });
        change.settle(row, &decision, now)?;
        let wipes = change.finish(self.options.audit_entries)?;
        fade::commit(&self.shared, &mut self.sealing, transaction, &wipes)?;
        Ok(content)
    }

    /// Takes what a recorder says of a content that is held. On the disk when it returns.
    ///
    /// # Errors
    /// [`Error::Consent`] unless it is signed by its recorder; [`Error::Unknown`], [`Error::Revoked`].
    pub fn put_manifest(&mut self, signed: &[u8], rng: &mut dyn CryptoRng) -> Result<ContentId, Error> {
        let content = Manifest::verify(signed)?.content;
        let transaction = tables::durable(&self.shared.database)?;
        let row = row_or_why(&transaction, content)?;
        self.put_envelope(&transaction, content, row.slot, Kind::Manifest, signed, rng)?;
        transaction.commit().map_err(db)?;
        Ok(content)
    }

    /// Takes a tombstone: what is held of the content can't be read any more when this returns, and nothing of it is taken
    /// again. True if something was held. Keys are destroyed first, so that it works on a full disk too: after an error
    /// nothing can be read either, but the tombstone has to be given again.
    ///
    /// # Errors
    /// [`Error::Consent`] unless it is signed by the person that it is about; [`Error::Refused`] when nothing of it is held
    /// and there are too many tombstones of that kind.
    pub fn revoke(&mut self, now: WallTime, signed: &[u8]) -> Result<bool, Error> {
        let content = Tombstone::verify(signed)?.content();
        let _letting_go = self.letting_go();
        let transaction = tables::durable(&self.shared.database)?;
        let held = row(&transaction, content)?;
        let is_held = held.is_some();
        let mut wipes = Vec::new();
        if let Some(row) = held {
            let decision = decide(&row.item(content), &self.shared.classes, Trigger::Revoked, now);
            let mut change = Change::new(&transaction);
            change.settle(row, &decision, now)?;
            wipes = change.finish(self.options.audit_entries)?;
        }
        let is_new = {
            let mut table = transaction.open_table(tables::TOMBSTONES).map_err(db)?;
            let is_new = table.get(content.as_bytes()).map_err(db)?.is_none();
            if is_new {
                table.insert(content.as_bytes(), signed).map_err(db)?;
            }
            is_new
        };
        if is_new {
            let count = tables::take_number(&transaction, meta::TOMBSTONES)?;
            if !is_held && count >= self.options.foreign_tombstones {
                return Err(Error::Refused("there are too many tombstones of what is not held here"));
            }
        }
        fade::commit(&self.shared, &mut self.sealing, transaction, &wipes)?;
        Ok(is_held)
    }

    fn put_envelope(
        &self,
        transaction: &WriteTransaction,
        content: ContentId,
        slot: Slot,
        kind: Kind,
        signed: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(), Error> {
        let name = envelope_key(content, kind);
        let key = self.shared.keys.key(slot, content, ENVELOPE)?;
        let key = key.ok_or(Error::Damaged("the key of an envelope is gone"))?;
        let sealed = key.seal_vec(&name, signed, rng)?;
        let mut table = transaction.open_table(tables::ENVELOPES).map_err(db)?;
        table.insert(&name, sealed.as_slice()).map_err(db)?;
        Ok(())
    }
}

fn free_slot(transaction: &WriteTransaction) -> Result<Slot, Error> {
    let mut table = transaction.open_table(tables::FREE_SLOTS).map_err(db)?;
    let free = table.pop_first().map_err(db)?.map(|(slot, _)| Slot(slot.value()));
    match free {
        Some(slot) => Ok(slot),
        None => u32::try_from(tables::take_number(transaction, meta::NEXT_SLOT)?)
            .map(Slot)
            .map_err(|_| Error::Refused("the store holds too many contents")),
    }
}
