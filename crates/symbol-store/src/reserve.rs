//! Room that is kept so that a full disk keeps nobody from letting go (spec 82 section 6).
//!
//! Deleting writes too: a tombstone, rows, the audit log. A file beside the database holds the room for that. When there is none
//! left while something is let go of, the file is cut to nothing and the write is tried again; recording never gets that room.

use crate::Error;
use core::ops::Bound;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug)]
pub(crate) struct Reserve {
    file: File,
    bytes: u64,
    /// How many calls are letting go of something now.
    users: AtomicU32,
}

/// While it lives, the reserve may be used.
#[derive(Debug)]
pub(crate) struct LettingGo(Arc<Reserve>);

impl Drop for LettingGo {
    fn drop(&mut self) {
        self.0.users.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reserve {
    pub(crate) const fn new(file: File, bytes: u64) -> Self {
        Self { file, bytes, users: AtomicU32::new(0) }
    }

    pub(crate) fn letting_go(self: &Arc<Self>) -> LettingGo {
        self.users.fetch_add(1, Ordering::Relaxed);
        LettingGo(Arc::clone(self))
    }

    /// Takes the room again, as far as there is some. That there is less is no reason to fail.
    pub(crate) fn fill(&self) -> Result<(), Error> {
        let failed = |source| Error::KeyFile { what: "filling the reserve", source };
        let held = self.file.metadata().map_err(failed)?.len();
        if held > self.bytes {
            return self.file.set_len(self.bytes).map_err(failed);
        }
        // Not zeros, for which some file systems keep no room.
        let filler: Vec<u8> =
            (0..64 * 1_024_u32).map(|n| (n.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect();
        let mut file = &self.file;
        let mut left = self.bytes - held;
        file.seek(SeekFrom::Start(held)).map_err(failed)?;
        while left > 0 {
            let now = &filler[..left.min(filler.len() as u64) as usize];
            match file.write_all(now) {
                Err(error) if is_full(&error) => break,
                written => written.map_err(failed)?,
            }
            left -= now.len() as u64;
        }
        Ok(())
    }

    /// Whether room was made.
    fn give(&self) -> bool {
        self.users.load(Ordering::Relaxed) > 0
            && self.file.metadata().is_ok_and(|metadata| metadata.len() > 0)
            && self.file.set_len(0).is_ok()
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A file that may use the reserve.
#[derive(Debug)]
pub(crate) struct Backed {
    pub(crate) file: FileBackend,
    pub(crate) reserve: Arc<Reserve>,
}

impl Backed {
    fn with_reserve(&self, change: impl Fn() -> io::Result<()>) -> io::Result<()> {
        match change() {
            Err(error) if is_full(&error) && self.reserve.give() => change(),
            done => done,
        }
    }
}

impl StorageBackend for Backed {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with_reserve(|| self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with_reserve(|| self.file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
