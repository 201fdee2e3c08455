//! Chunk numbers that survive a restart: reserved in blocks, persisted before use.

use crate::{Error, MAX_CHUNK_SEQ};
use core_types::{Epoch, StreamId};

/// Where the numbers of a stream and epoch go on: every number from here on was never used, whatever happened to the
/// process that reserved those below. Not `Clone`: one sender goes on from it.
#[derive(Debug, PartialEq, Eq)]
pub struct HighWater {
    pub(crate) stream: StreamId,
    pub(crate) epoch: Epoch,
    pub(crate) next: u64,
}

impl HighWater {
    /// Bytes of a mark.
    pub const LEN: usize = 48;

    /// The mark of a stream and epoch in which nothing was sealed, by anybody, ever.
    pub const fn start(stream: StreamId, epoch: Epoch) -> Self {
        Self { stream, epoch, next: 0 }
    }

    /// Reads a mark that was persisted: stream id 32, epoch u64, next number u64.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a number above 2^48.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, Error> {
        let number = |at: usize| bytes[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let mut stream = [0; 32];
        stream.copy_from_slice(&bytes[..32]);
        let next = number(40);
        if next > MAX_CHUNK_SEQ {
            return Err(Error::Malformed { what: "high-water mark", why: "chunk number above 2^48" });
        }
        Ok(Self { stream: StreamId(stream), epoch: Epoch(number(32)), next })
    }

    /// The mark as bytes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..32].copy_from_slice(self.stream.as_bytes());
        bytes[32..40].copy_from_slice(&self.epoch.0.to_be_bytes());
        bytes[40..].copy_from_slice(&self.next.to_be_bytes());
        bytes
    }
}

/// Numbers that were asked for and are not persisted yet: nothing can be sealed with them.
#[derive(Debug)]
#[must_use = "numbers can be used only after `persist` and `Sealer::grant`"]
pub struct Reservation {
    pub(crate) from: u64,
    pub(crate) mark: HighWater,
}

impl Reservation {
    /// Lets `store` put the new mark where a restart will find it, and gives the numbers free if it could.
    ///
    /// # Errors
    /// What `store` says; then the numbers stay reserved for nobody.
    pub fn persist<E>(
        self,
        store: impl FnOnce(&[u8; HighWater::LEN]) -> Result<(), E>,
    ) -> Result<Granted, E> {
        store(&self.mark.to_bytes())?;
        Ok(Granted(self))
    }
}

/// Numbers whose reservation is persisted. Only [`Reservation::persist`] makes one:
///
/// ```compile_fail
/// fn skip(reservation: av_wire::Reservation) -> av_wire::Granted {
///     av_wire::Granted(reservation)
/// }
/// ```
#[derive(Debug)]
#[must_use = "numbers can be used only after `Sealer::grant`"]
pub struct Granted(pub(crate) Reservation);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_are_read_as_they_were_written(bytes in prop::array::uniform32(any::<u8>()), epoch: u64, next: u64) {
            let mark = HighWater { stream: StreamId(bytes), epoch: Epoch(epoch), next };
            match HighWater::from_bytes(&mark.to_bytes()) {
                Ok(read) => prop_assert_eq!(read, mark),
                Err(_) => prop_assert!(next > MAX_CHUNK_SEQ),
            }
        }
    }
}
