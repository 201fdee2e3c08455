//! Lists of writes and deletions, and the format that they share with snapshots.
//!
//! ```text
//! magic(4) version(1) operation*
//! operation = 1 key_len(4) key value_len(4) value | 0 key_len(4) key
//! ```
//! Lengths are big-endian. There is no checksum: what keeps these bytes should have one.

use super::codec::Secret;
use crate::Error;
use core::fmt;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What was written to a store and deleted from it. Secret: private keys are among it; wiped when dropped.
#[derive(Clone, Default)]
pub struct WriteBatch {
    ops: BTreeMap<Vec<u8>, Option<Secret>>,
}

impl WriteBatch {
    /// The bytes for a journal.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a value of 4 GiB.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let size = self.ops.iter().map(|(key, value)| key.len() + value.as_ref().map_or(5, |v| v.len() + 9));
        let mut out = Secret::with_capacity(BATCH.magic.len() + size.sum::<usize>());
        out.extend(BATCH.magic);
        for (key, value) in &self.ops {
            match value {
                Some(value) => write_put(&mut out, key, |out| {
                    out.extend(value);
                    Ok(())
                })?,
                None => {
                    out.extend(&[DELETE]);
                    write_bytes(&mut out, "a key", key)?;
                }
            }
        }
        Ok(out.into_inner())
    }

    /// Reads the bytes from a journal.
    ///
    /// # Errors
    /// [`Error::Malformed`] for other bytes than those of a batch.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut ops = BTreeMap::new();
        for Op { key, value } in read_ops(&BATCH, bytes)? {
            if ops.insert(key, value).is_some() {
                return Err(BATCH.malformed("it has a key twice"));
            }
        }
        Ok(Self { ops })
    }

    /// How many entities were written or deleted.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// True if nothing was.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    pub(super) fn record(&mut self, key: Vec<u8>, value: Option<Secret>) {
        self.ops.insert(key, value);
    }

    pub(super) fn into_ops(self) -> impl Iterator<Item = (Vec<u8>, Option<Secret>)> {
        self.ops.into_iter()
    }
}

impl fmt::Debug for WriteBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBatch").field("entities", &self.len()).finish_non_exhaustive()
    }
}

/// One of the two formats.
pub(super) struct Format {
    what: &'static str,
    pub(super) magic: &'static [u8; 5],
}

pub(super) const SNAPSHOT: Format = Format { what: "snapshot", magic: b"HMGS\x01" };
pub(super) const BATCH: Format = Format { what: "batch", magic: b"HMGB\x01" };

impl Format {
    pub(super) const fn malformed(&self, reason: &'static str) -> Error {
        Error::Malformed { what: self.what, reason }
    }
}

const PUT: u8 = 1;
const DELETE: u8 = 0;

/// One write, whose value `fill` appends.
pub(super) fn write_put(
    out: &mut Secret,
    key: &[u8],
    fill: impl FnOnce(&mut Secret) -> Result<(), Error>,
) -> Result<(), Error> {
    out.extend(&[PUT]);
    write_bytes(out, "a key", key)?;
    let at = out.len();
    out.extend(&[0; 4]);
    fill(out)?;
    let len = u32::try_from(out.len() - at - 4).map_err(|_| Error::TooLarge("an entity"))?;
    out.overwrite(at, &len.to_be_bytes());
    Ok(())
}

fn write_bytes(out: &mut Secret, what: &'static str, bytes: &[u8]) -> Result<(), Error> {
    let len = u32::try_from(bytes.len()).map_err(|_| Error::TooLarge(what))?;
    out.extend(&len.to_be_bytes());
    out.extend(bytes);
    Ok(())
}

/// One operation; a deletion has no value.
pub(super) struct Op {
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Secret>,
}

/// Every operation, in order. What it allocates is never more than `bytes` is long.
pub(super) fn read_ops(format: &Format, bytes: &[u8]) -> Result<Vec<Op>, Error> {
    let mut rest = bytes.strip_prefix(format.magic).ok_or(format.malformed("it begins otherwise"))?;
    let mut ops = Vec::new();
    while let Some((tag, after)) = rest.split_first() {
        rest = after;
        let cut = || format.malformed("it is cut short");
        let key = read_bytes(&mut rest).ok_or_else(cut)?.to_vec();
        let value = match *tag {
            PUT => Some(Secret::from(read_bytes(&mut rest).ok_or_else(cut)?)),
            DELETE => None,
            _ => return Err(format.malformed("it has an unknown operation")),
        };
        ops.push(Op { key, value });
    }
    Ok(ops)
}

fn read_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, after) = rest.split_first_chunk::<4>()?;
    let (bytes, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    *rest = after;
    Some(bytes)
}
