//! A short run of bytes on the stack: what stands in front of a payload inside the seal.

use crate::picture::PictureOf;
use crate::{Error, varint};

/// Kind 1, object number 8, flags 1, time 8, duration 8, and the picture is the longest there is.
const CAPACITY: usize = 26 + PictureOf::MAX_LEN;

/// Up to 26 bytes, and what an object says of its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Head {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; CAPACITY], len: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    pub(crate) fn varint(&mut self, value: u64) -> Result<(), Error> {
        let (bytes, start) = varint::encode(value)?;
        self.extend(&bytes[start..]);
        Ok(())
    }

    /// The layouts fix what is put here: none of them is longer than the capacity.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        debug_assert!(end <= CAPACITY, "no layout is that long");
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        }
    }
}
