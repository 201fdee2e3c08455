//! The tables of the database, and what brings an older one up to date (spec 82 section 3).

use crate::Error;
use crate::error::db;
use redb::{
    Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction,
};

/// Numbers by name.
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Salt of the key table, by the name "salt".
pub(crate) const SALT: TableDefinition<'_, &str, &[u8; 32]> = TableDefinition::new("salt");
/// Content id to row.
pub(crate) const CONTENTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("contents");
/// Content id and kind to sealed envelope parts.
pub(crate) const ENVELOPES: TableDefinition<'_, &[u8; 33], &[u8]> = TableDefinition::new("envelopes");
/// Content number, epoch and first object to what is in the frame group.
pub(crate) const FRAMES: TableDefinition<'_, &[u8; 20], &[u8]> = TableDefinition::new("frame groups");
/// Content number, group, epoch, first object and number of the block to sealed symbols.
pub(crate) const BLOCKS: TableDefinition<'_, &[u8; 25], &[u8]> = TableDefinition::new("blocks");
/// Time and content id of what is due.
pub(crate) const DUE: TableDefinition<'_, &[u8; 40], ()> = TableDefinition::new("due");
/// Content number and group (4: frame groups) of what has no key any more and waits to be removed.
pub(crate) const ERASED: TableDefinition<'_, &[u8; 5], ()> = TableDefinition::new("erased");
/// Content id to signed tombstone.
pub(crate) const TOMBSTONES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("tombstones");
/// Number to audit entry.
pub(crate) const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
/// Slots of the key table that can be used again.
pub(crate) const FREE_SLOTS: TableDefinition<'_, u32, ()> = TableDefinition::new("free slots");

/// Names in [`META`].
pub(crate) mod meta {
    pub(crate) const SCHEMA: &str = "schema";
    pub(crate) const NEXT_NUMBER: &str = "next content number";
    pub(crate) const NEXT_SLOT: &str = "next slot";
    pub(crate) const NEXT_AUDIT: &str = "next audit entry";
    pub(crate) const TOMBSTONES: &str = "tombstones";
    /// Bytes of blocks that can be read, and of those that wait to be removed.
    pub(crate) const BLOCK_BYTES: &str = "bytes of blocks";
}

/// One step from a schema to the next.
pub(crate) type Migration = fn(&WriteTransaction) -> Result<(), Error>;

/// What brings a store of schema `n` to `n + 1`, from 1 on. The schema of this program is one more than there are steps.
pub(crate) const MIGRATIONS: &[Migration] = &[];

/// The schema of a database; `None` of one that is new.
pub(crate) fn schema(database: &Database) -> Result<Option<u64>, Error> {
    let transaction = database.begin_read().map_err(db)?;
    match transaction.open_table(META) {
        Ok(table) => Ok(table.get(meta::SCHEMA).map_err(db)?.map(|schema| schema.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(db(error)),
    }
}

/// Brings a database that is not new up to date, in one transaction: after a crash it is as it was, or as it should be.
pub(crate) fn migrate(database: &Database, steps: &[Migration]) -> Result<(), Error> {
    let known = steps.len() as u64 + 1;
    let Some(found) = schema(database)? else { return Err(Error::Damaged("the database says no schema")) };
    if found == 0 || found > known {
        return Err(Error::Schema { found, known });
    }
    if found == known {
        return Ok(());
    }
    let transaction = durable(database)?;
    for step in steps.iter().skip(found as usize - 1) {
        step(&transaction)?;
    }
    transaction.open_table(META).map_err(db)?.insert(meta::SCHEMA, known).map_err(db)?;
    transaction.commit().map_err(db)
}

/// A transaction that is on the disk when its commit returns, and after which opening needs no walk through the whole
/// database, however it ended.
pub(crate) fn durable(database: &Database) -> Result<WriteTransaction, Error> {
    let mut transaction = database.begin_write().map_err(db)?;
    make_durable(&mut transaction)?;
    Ok(transaction)
}

/// Makes one such of any.
pub(crate) fn make_durable(transaction: &mut WriteTransaction) -> Result<(), Error> {
    transaction.set_durability(Durability::Immediate).map_err(db)?;
    transaction.set_quick_repair(true);
    Ok(())
}

/// A transaction that is on the disk with the next durable one.
pub(crate) fn deferred(database: &Database) -> Result<WriteTransaction, Error> {
    let mut transaction = database.begin_write().map_err(db)?;
    transaction.set_durability(Durability::None).map_err(db)?;
    Ok(transaction)
}

/// Makes all tables, so that readers find them.
pub(crate) fn make(transaction: &WriteTransaction) -> Result<(), Error> {
    transaction.open_table(META).map_err(db)?;
    transaction.open_table(SALT).map_err(db)?;
    transaction.open_table(CONTENTS).map_err(db)?;
    transaction.open_table(ENVELOPES).map_err(db)?;
    transaction.open_table(FRAMES).map_err(db)?;
    transaction.open_table(BLOCKS).map_err(db)?;
    transaction.open_table(DUE).map_err(db)?;
    transaction.open_table(ERASED).map_err(db)?;
    transaction.open_table(TOMBSTONES).map_err(db)?;
    transaction.open_table(AUDIT).map_err(db)?;
    transaction.open_table(FREE_SLOTS).map_err(db)?;
    Ok(())
}

/// A number of [`META`]; none is zero.
pub(crate) fn number(transaction: &WriteTransaction, name: &str) -> Result<u64, Error> {
    let table = transaction.open_table(META).map_err(db)?;
    let value = table.get(name).map_err(db)?.map_or(0, |value| value.value());
    Ok(value)
}

/// Changes a number of [`META`].
pub(crate) fn set_number(transaction: &WriteTransaction, name: &str, value: u64) -> Result<(), Error> {
    transaction.open_table(META).map_err(db)?.insert(name, value).map_err(db)?;
    Ok(())
}

/// Takes the number and adds one to it.
pub(crate) fn take_number(transaction: &WriteTransaction, name: &str) -> Result<u64, Error> {
    let value = number(transaction, name)?;
    set_number(transaction, name, value.saturating_add(1))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(schema: Option<u64>) -> Database {
        let backend = redb::backends::InMemoryBackend::new();
        let database = Database::builder().create_with_backend(backend).unwrap();
        let transaction = database.begin_write().unwrap();
        if let Some(schema) = schema {
            set_number(&transaction, meta::SCHEMA, schema).unwrap();
        }
        transaction.commit().unwrap();
        database
    }

    fn appends(transaction: &WriteTransaction, digit: u64) -> Result<(), Error> {
        let so_far = number(transaction, "steps")?;
        set_number(transaction, "steps", so_far * 10 + digit)
    }

    const STEPS: &[Migration] = &[|t| appends(t, 1), |t| appends(t, 2), |t| appends(t, 3)];

    fn steps_taken(database: &Database) -> u64 {
        number(&database.begin_write().unwrap(), "steps").unwrap()
    }

    #[test]
    fn an_older_schema_takes_the_steps_that_it_lacks_in_order_and_once() {
        for (from, steps) in [(1, 123), (2, 23), (3, 3), (4, 0)] {
            let database = database(Some(from));
            for _ in 0..2 {
                migrate(&database, STEPS).unwrap();
                assert_eq!(schema(&database).unwrap(), Some(4));
                assert_eq!(steps_taken(&database), steps);
            }
        }
    }

    #[test]
    fn a_newer_schema_and_none_are_refused() {
        let newer = migrate(&database(Some(5)), STEPS);
        assert!(matches!(newer, Err(Error::Schema { found: 5, known: 4 })));
        assert!(matches!(migrate(&database(Some(0)), STEPS), Err(Error::Schema { found: 0, .. })));
        assert!(matches!(migrate(&database(None), STEPS), Err(Error::Damaged(_))));
    }

    #[test]
    fn a_step_that_fails_leaves_all_as_it_was() {
        let database = database(Some(1));
        let failing: &[Migration] = &[|t| appends(t, 1), |_| Err(Error::Damaged("on purpose"))];
        assert!(migrate(&database, failing).is_err());
        assert_eq!((schema(&database).unwrap(), steps_taken(&database)), (Some(1), 0));
    }
}
