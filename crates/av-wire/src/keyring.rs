//! The keys of one received stream: the current epoch's, and for a while those of the last two.

use crate::{Aead, AwsLc, ChunkHeader, Error, HEADER_LEN, Opened, Opener, StreamKeys, StreamSecret};
use core::time::Duration;
use core_types::{Epoch, LeafIndex, MonoTime, StreamId};

/// How long the key of an epoch stays after the next one came (spec 40 section 8).
pub const OLD_EPOCH_LIFETIME: Duration = Duration::from_secs(10);
/// How many old epochs are kept at most.
pub const OLD_EPOCHS_KEPT: usize = 2;

/// Opens the chunks of one stream over epoch changes. Keys that have had their time are dropped, and zeroized with it.
#[derive(Debug)]
pub struct Keyring<A = AwsLc> {
    stream: StreamId,
    /// Newest first.
    openers: Vec<(Opener<A>, Option<MonoTime>)>,
}

impl<A: Aead> Keyring<A> {
    /// A ring without keys.
    pub const fn new(stream: StreamId) -> Self {
        Self { stream, openers: Vec::new() }
    }

    /// Adds the key of an epoch, and gives the former newest its last ten seconds. An epoch that is not newer than the
    /// newest is ignored: its window must not be opened afresh.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library refuses; does not happen.
    pub fn install(
        &mut self,
        now: MonoTime,
        epoch: Epoch,
        epoch_secret: &[u8; 32],
        sender: LeafIndex,
    ) -> Result<(), Error> {
        self.install_stream(now, epoch, &StreamSecret::derive(epoch_secret, self.stream, sender)?)
    }

    /// As [`install`](Self::install), of the stream's own secret.
    ///
    /// # Errors
    /// As [`install`](Self::install).
    pub fn install_stream(
        &mut self,
        now: MonoTime,
        epoch: Epoch,
        secret: &StreamSecret,
    ) -> Result<(), Error> {
        if self.newest().is_some_and(|newest| epoch <= newest) {
            return Ok(());
        }
        let keys = StreamKeys::of(secret)?;
        if let Some((_, retire)) = self.openers.first_mut() {
            *retire = Some(now.plus(OLD_EPOCH_LIFETIME));
        }
        self.openers.insert(0, (Opener::new(keys, self.stream, epoch), None));
        self.openers.truncate(1 + OLD_EPOCHS_KEPT);
        Ok(())
    }

    /// Drops the keys whose time is over.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        self.openers.retain(|(_, retire)| retire.is_none_or(|at| now < at));
    }

    /// When [`Keyring::handle_timeout`] has something to do next.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        self.openers.iter().filter_map(|(_, retire)| *retire).min()
    }

    /// The newest epoch with a key.
    pub fn newest(&self) -> Option<Epoch> {
        self.openers.first().map(|(opener, _)| opener.epoch())
    }

    /// Opens a chunk in place with the key of its epoch.
    ///
    /// # Errors
    /// [`Error::NoKey`] if that epoch's key is not there yet or not any more; otherwise as [`Opener::open`].
    pub fn open<'a>(&mut self, now: MonoTime, chunk: &'a mut [u8]) -> Result<Opened<'a>, Error> {
        let header = ChunkHeader::parse(chunk)?;
        self.open_body(now, header, &mut chunk[HEADER_LEN..])
    }

    /// Opens in place a chunk whose header came apart from it: `body` is ciphertext and tag.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn open_body<'a>(
        &mut self,
        now: MonoTime,
        header: ChunkHeader,
        body: &'a mut [u8],
    ) -> Result<Opened<'a>, Error> {
        self.handle_timeout(now);
        let newest = self.newest();
        match self.openers.iter_mut().find(|(opener, _)| opener.epoch() == header.epoch) {
            Some((opener, _)) => opener.open_body(header, body),
            None => Err(Error::NoKey { stream: header.stream_id, epoch: header.epoch, newest }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Inner, Sealer};
    use core_types::{CodecId, Layer, ObjectSeq};

    const STREAM: StreamId = StreamId([2; 32]);
    const SENDER: LeafIndex = LeafIndex(0);

    fn chunk(epoch: u64) -> Vec<u8> {
        let keys = StreamKeys::<AwsLc>::derive(&[epoch as u8; 32], STREAM, SENDER).unwrap();
        let mut sealer = Sealer::new(keys, STREAM, Epoch(epoch), CodecId::Opus);
        sealer.seal(Layer::BASE, &Inner::Object { seq: ObjectSeq(0), bytes: b"x" }).unwrap()
    }

    fn install(ring: &mut Keyring, at_s: u64, epoch: u64) {
        ring.install(MonoTime::from_millis(at_s * 1000), Epoch(epoch), &[epoch as u8; 32], SENDER).unwrap();
    }

    fn opens(ring: &mut Keyring, at_s: u64, epoch: u64) -> bool {
        ring.open(MonoTime::from_millis(at_s * 1000), &mut chunk(epoch)).is_ok()
    }

    #[test]
    fn old_epochs_open_for_ten_seconds_and_no_longer() {
        let mut ring = Keyring::new(STREAM);
        install(&mut ring, 0, 1);
        install(&mut ring, 100, 2);
        assert!(opens(&mut ring, 109, 1));
        assert!(opens(&mut ring, 109, 2));
        let error = ring.open(MonoTime::from_millis(110_000), &mut chunk(1)).unwrap_err();
        assert_eq!(error, Error::NoKey { stream: STREAM, epoch: Epoch(1), newest: Some(Epoch(2)) });
        assert_eq!(ring.poll_timeout(), None, "the newest key has no end");
    }

    #[test]
    fn at_most_two_old_epochs_are_kept() {
        let mut ring = Keyring::new(STREAM);
        for epoch in 1..=4 {
            install(&mut ring, 0, epoch);
        }
        assert!(!opens(&mut ring, 1, 1));
        assert!(opens(&mut ring, 1, 2) && opens(&mut ring, 1, 3) && opens(&mut ring, 1, 4));
    }

    #[test]
    fn installing_an_epoch_again_does_not_open_its_replay_window() {
        let mut ring = Keyring::new(STREAM);
        install(&mut ring, 0, 1);
        assert!(opens(&mut ring, 0, 1));
        install(&mut ring, 0, 1);
        assert!(!opens(&mut ring, 0, 1), "a replay");
    }

    #[test]
    fn a_key_that_is_not_there_yet_is_told_from_a_forgery() {
        let mut ring: Keyring = Keyring::new(STREAM);
        install(&mut ring, 0, 1);
        assert!(matches!(ring.open(MonoTime(0), &mut chunk(2)), Err(Error::NoKey { .. })));
        let mut forged = chunk(1);
        forged[60] ^= 1;
        assert!(matches!(ring.open(MonoTime(0), &mut forged), Err(Error::Authentication { .. })));
    }
}
