//! A disk in memory that loses what was not synced, tears writes, and fails when told to.
#![allow(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use rand::rngs::SmallRng;
use rand::{Rng as _, RngExt as _};
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone)]
enum Pending {
    Write(u64, Vec<u8>),
    Len(u64),
}

/// When operations fail, counted over all disks that share it.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// Operations that still succeed.
    pub(crate) left: Option<u64>,
    /// Whether only one fails, and not all from there on.
    pub(crate) only_once: bool,
    /// Bytes that fit on a disk.
    pub(crate) room: Option<u64>,
    /// Changing operations so far.
    pub(crate) count: u64,
}

impl Fate {
    fn change(&mut self) -> io::Result<()> {
        self.count += 1;
        match &mut self.left {
            Some(0) => {
                if self.only_once {
                    self.left = None;
                }
                Err(io::Error::other("the disk failed"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    durable: Vec<u8>,
    now: Vec<u8>,
    pending: Vec<Pending>,
}

fn apply(bytes: &mut Vec<u8>, change: &Pending) {
    match change {
        Pending::Len(len) => bytes.resize(*len as usize, 0),
        Pending::Write(at, data) => {
            let at = *at as usize;
            if bytes.len() < at + data.len() {
                bytes.resize(at + data.len(), 0);
            }
            bytes[at..at + data.len()].copy_from_slice(data);
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
    fate: Arc<Mutex<Fate>>,
}

impl Disk {
    pub(crate) fn new(fate: &Arc<Mutex<Fate>>) -> Self {
        Self { state: Arc::default(), fate: Arc::clone(fate) }
    }

    /// What is there after the power failed: all that was synced, and of the rest this and that, writes torn at sectors.
    pub(crate) fn after_power_failure(&self, rng: &mut SmallRng, fate: &Arc<Mutex<Fate>>) -> Self {
        const SECTOR: usize = 512;
        let state = self.state.lock().unwrap();
        let mut bytes = state.durable.clone();
        for change in &state.pending {
            match change {
                Pending::Write(at, data) if rng.random_ratio(1, 3) => {
                    let mut from = 0;
                    while from < data.len() {
                        // To the end of the sector.
                        let end = (from + SECTOR - (*at as usize + from) % SECTOR).min(data.len());
                        if rng.random_ratio(1, 2) {
                            apply(&mut bytes, &Pending::Write(*at + from as u64, data[from..end].to_vec()));
                        }
                        from = end;
                    }
                }
                change if rng.random_ratio(1, 2) => apply(&mut bytes, change),
                _ => {}
            }
        }
        Self::of(bytes, fate)
    }

    /// What is there after the power failed and took all that was not synced.
    pub(crate) fn after_losing_all(&self, fate: &Arc<Mutex<Fate>>) -> Self {
        Self::of(self.state.lock().unwrap().durable.clone(), fate)
    }

    /// What is there after the process alone died: all that was written.
    pub(crate) fn after_death(&self, fate: &Arc<Mutex<Fate>>) -> Self {
        Self::of(self.state.lock().unwrap().now.clone(), fate)
    }

    fn of(bytes: Vec<u8>, fate: &Arc<Mutex<Fate>>) -> Self {
        let state = State { durable: bytes.clone(), now: bytes, pending: Vec::new() };
        Self { state: Arc::new(Mutex::new(state)), fate: Arc::clone(fate) }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state.lock().unwrap().now.clone()
    }

    pub(crate) fn holds(&self, needle: &[u8]) -> bool {
        let state = self.state.lock().unwrap();
        state.now.windows(needle.len()).any(|window| window == needle)
    }

    /// Changes a byte at random among those that are not zero.
    pub(crate) fn damage(&self, rng: &mut SmallRng) {
        let mut state = self.state.lock().unwrap();
        let at = rng.next_u64() as usize % state.now.len();
        state.now[at] ^= 1;
        state.durable = state.now.clone();
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.lock().unwrap();
        let from = offset as usize;
        let bytes = state.now.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut fate = self.fate.lock().unwrap();
        fate.change()?;
        let mut state = self.state.lock().unwrap();
        if len > state.now.len() as u64 && fate.room.is_some_and(|room| len > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        apply(&mut state.now, &Pending::Len(len));
        state.pending.push(Pending::Len(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.fate.lock().unwrap().change()?;
        let state = &mut *self.state.lock().unwrap();
        for change in state.pending.drain(..) {
            apply(&mut state.durable, &change);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fate.lock().unwrap().change()?;
        let mut state = self.state.lock().unwrap();
        let change = Pending::Write(offset, data.to_vec());
        apply(&mut state.now, &change);
        state.pending.push(change);
        Ok(())
    }
}
