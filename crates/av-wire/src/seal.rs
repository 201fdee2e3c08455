//! The inner seal, end to end: AES-256-GCM per stream, sender and epoch, with the header as additional data.

use crate::reserve::{Granted, HighWater, Reservation};
use crate::{
    Aead, AwsLc, ChunkHeader, Content, Error, HEADER_LEN, Inner, MAX_CHUNK_LEN, Place, TAG_LEN, Taken,
};
use core::fmt;
use core_types::{ChunkSeq, CodecId, Epoch, LeafIndex, StreamId};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Chunk numbers of one epoch end here: 2^48, far below what AES-GCM bears under one key with 96-bit nonces.
pub const MAX_CHUNK_SEQ: u64 = 1 << 48;

/// What opens one sender's stream in one epoch, and nothing else of that epoch (spec 20 section 3): for who keeps a recording and is
/// to read it later. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct StreamSecret([u8; 32]);

impl StreamSecret {
    /// Derives it from the epoch secret (MLS exporter, label "holomesh av epoch v1"), the stream and the sender's place in
    /// the tree: so no two senders share a key, whatever stream id they claim.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library refuses; does not happen.
    pub fn derive(epoch_secret: &[u8; 32], stream: StreamId, sender: LeafIndex) -> Result<Self, Error> {
        let epoch = Hkdf::<Sha256>::from_prk(epoch_secret).map_err(|_| Error::Crypto("HKDF"))?;
        let mut secret = Self([0; 32]);
        let info: [&[u8]; 3] = [b"holomesh av stream v2", stream.as_bytes(), &sender.0.to_be_bytes()];
        epoch.expand_multi_info(&info, &mut secret.0).map_err(|_| Error::Crypto("HKDF-Expand"))?;
        Ok(secret)
    }

    /// Takes one that was kept.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be kept sealed.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for StreamSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamSecret(..)")
    }
}

/// The key and salt of one sender's stream in one epoch (spec 20 section 3).
#[derive(Debug)]
pub struct StreamKeys<A = AwsLc> {
    aead: A,
    salt: Zeroizing<[u8; 12]>,
}

impl<A: Aead> StreamKeys<A> {
    /// Derives the keys from the epoch secret, as [`StreamSecret::derive`] and [`of`](Self::of) do one after the other.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library refuses; does not happen.
    pub fn derive(epoch_secret: &[u8; 32], stream: StreamId, sender: LeafIndex) -> Result<Self, Error> {
        Self::of(&StreamSecret::derive(epoch_secret, stream, sender)?)
    }

    /// The keys that a stream's secret stands for.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library refuses; does not happen.
    pub fn of(secret: &StreamSecret) -> Result<Self, Error> {
        let failed = |_| Error::Crypto("HKDF-Expand");
        let stream = Hkdf::<Sha256>::from_prk(&secret.0).map_err(|_| Error::Crypto("HKDF"))?;
        let mut key = Zeroizing::new([0; 32]);
        let mut salt = Zeroizing::new([0; 12]);
        stream.expand(b"key", &mut *key).map_err(failed)?;
        stream.expand(b"salt", &mut *salt).map_err(failed)?;
        Ok(Self { aead: A::new(&key)?, salt })
    }

    /// salt XOR (u32 0 ‖ chunk number).
    fn nonce(&self, seq: ChunkSeq) -> [u8; 12] {
        let mut nonce = *self.salt;
        for (byte, number) in nonce[4..].iter_mut().zip(seq.0.to_be_bytes()) {
            *byte ^= number;
        }
        nonce
    }
}

/// Seals one stream's chunks in one epoch. Not `Clone`, and each number is given out once: two chunks under one nonce
/// can't be expressed.
///
/// A sender that may restart inside an epoch reserves its numbers before it uses them, see [`Sealer::resume`]. One that
/// reserves nothing must open a new stream (its id is random) or enter a new epoch after a restart.
///
/// ```compile_fail
/// fn twice(sealer: &av_wire::Sealer) -> (av_wire::Sealer, av_wire::Sealer) {
///     (sealer.clone(), sealer.clone())
/// }
/// ```
#[derive(Debug)]
pub struct Sealer<A = AwsLc> {
    keys: StreamKeys<A>,
    stream: StreamId,
    epoch: Epoch,
    codec: CodecId,
    next: u64,
    /// Numbers from here on may not be used yet.
    end: u64,
}

impl<A: Aead> Sealer<A> {
    /// Starts at chunk number 0 of `epoch`, without reservations: only for a stream or an epoch that was never sealed in
    /// before, in this process or an earlier one.
    pub const fn new(keys: StreamKeys<A>, stream: StreamId, epoch: Epoch, codec: CodecId) -> Self {
        Self { keys, stream, epoch, codec, next: 0, end: MAX_CHUNK_SEQ }
    }

    /// Goes on at a mark that was persisted, or starts at [`HighWater::start`]. No number may be used before it is
    /// reserved.
    ///
    /// ```
    /// # use av_wire::{AwsLc, HighWater, Inner, Sealer, StreamKeys};
    /// # use core_types::{CodecId, Epoch, Layer, LeafIndex, ObjectSeq, StreamId};
    /// # let (stream, epoch) = (StreamId([7; 32]), Epoch(3));
    /// # let keys = || StreamKeys::<AwsLc>::derive(&[1; 32], stream, LeafIndex(0));
    /// # let inner = Inner::Object { seq: ObjectSeq(0), bytes: b"x" };
    /// let mut disk = HighWater::start(stream, epoch).to_bytes();
    /// let mut sealer = Sealer::resume(keys()?, CodecId::Opus, HighWater::from_bytes(&disk)?);
    /// let granted = sealer.reserve(1_000)?.persist(|mark| {
    ///     disk = *mark; // and flushed: what is not on the disk is not reserved
    ///     Ok::<(), av_wire::Error>(())
    /// })?;
    /// sealer.grant(granted)?;
    /// sealer.seal(Layer::BASE, &inner)?;
    ///
    /// // After a restart the numbers go on above all that may have been used.
    /// let again = Sealer::resume(keys()?, CodecId::Opus, HighWater::from_bytes(&disk)?);
    /// assert_eq!(again.next_seq().0, 1_000);
    /// # Ok::<(), av_wire::Error>(())
    /// ```
    pub const fn resume(keys: StreamKeys<A>, codec: CodecId, mark: HighWater) -> Self {
        let HighWater { stream, epoch, next } = mark;
        Self { keys, stream, epoch, codec, next, end: next }
    }

    /// Asks for `chunks` more numbers, or as many as there are. They can be used once the reservation is persisted and
    /// granted.
    ///
    /// # Errors
    /// [`Error::Exhausted`] if all numbers of the epoch are reserved.
    pub fn reserve(&self, chunks: u64) -> Result<Reservation, Error> {
        if self.end >= MAX_CHUNK_SEQ {
            return Err(self.exhausted());
        }
        let next = self.end.saturating_add(chunks).min(MAX_CHUNK_SEQ);
        Ok(Reservation { from: self.end, mark: HighWater { stream: self.stream, epoch: self.epoch, next } })
    }

    /// Takes numbers whose reservation was persisted.
    ///
    /// # Errors
    /// [`Error::WrongKeys`] for another sealer's, or one that was overtaken by another reservation.
    pub fn grant(&mut self, granted: Granted) -> Result<(), Error> {
        let Reservation { from, mark } = granted.0;
        if mark.stream != self.stream || mark.epoch != self.epoch || from != self.end {
            return Err(Error::WrongKeys { stream: mark.stream, epoch: mark.epoch });
        }
        self.end = mark.next;
        Ok(())
    }

    /// The epoch that this sealer works in.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The number that the next chunk will carry.
    pub const fn next_seq(&self) -> ChunkSeq {
        ChunkSeq(self.next)
    }

    /// How many more chunks can be sealed before another reservation or another epoch is needed.
    pub const fn remaining(&self) -> u64 {
        self.end - self.next
    }

    /// Seals `inner` as the next chunk: header, ciphertext, tag. A [`Layer`](core_types::Layer) alone is a place without
    /// marks.
    ///
    /// # Errors
    /// As [`Sealer::seal_into`].
    pub fn seal(&mut self, place: impl Into<Place>, inner: &Inner<'_>) -> Result<Vec<u8>, Error> {
        let content = Content::new(inner)?;
        let mut chunk = vec![0; Self::chunk_len(&content)?];
        self.seal_into(place, &content, &mut chunk)?;
        Ok(chunk)
    }

    /// Seals `content` as the next chunk into `out`, and returns how many bytes that took. The payload is encrypted from
    /// where it lies; only the few bytes in front of it are copied.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when there are no numbers left, [`Error::TooLarge`] above 64 KiB, [`Error::Truncated`] if `out`
    /// is too short; [`Error::Malformed`] and [`Error::Value`] for a place that no chunk can have, see
    /// [`ChunkHeader::to_bytes`]. The number is used up only on success.
    pub fn seal_into(
        &mut self,
        place: impl Into<Place>,
        content: &Content<'_>,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        if self.next >= self.end {
            return Err(self.exhausted());
        }
        let len = Self::chunk_len(content)?;
        let have = out.len();
        let Some(out) = out.get_mut(..len) else {
            return Err(Error::Truncated { what: "buffer for a chunk", need: len, have });
        };
        let chunk_seq = ChunkSeq(self.next);
        let Place { layer, marks } = place.into();
        let (stream_id, epoch, codec) = (self.stream, self.epoch, self.codec);
        let header = ChunkHeader { stream_id, epoch, chunk_seq, codec, layer, marks };
        let aad = header.to_bytes()?;
        let (start, rest) = out.split_at_mut(HEADER_LEN + content.head.len());
        let (front, head) = start.split_at_mut(HEADER_LEN);
        front.copy_from_slice(&aad);
        head.copy_from_slice(content.head.bytes());
        // The number is gone before the key is used: no error below can lead to a second seal under this nonce.
        self.next += 1;
        self.keys.aead.seal_scatter(self.keys.nonce(chunk_seq), &aad, head, content.payload, rest)?;
        Ok(len)
    }

    /// Bytes of the chunk that `content` makes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above 64 KiB.
    pub const fn chunk_len(content: &Content<'_>) -> Result<usize, Error> {
        let len = HEADER_LEN + content.encoded_len() + TAG_LEN;
        if len > MAX_CHUNK_LEN {
            return Err(Error::TooLarge { what: "chunk", limit: MAX_CHUNK_LEN, have: len });
        }
        Ok(len)
    }

    const fn exhausted(&self) -> Error {
        Error::Exhausted { stream: self.stream, epoch: self.epoch, end: ChunkSeq(self.end) }
    }
}

/// A chunk that authenticated and was not seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened<'a> {
    /// Its header.
    pub header: ChunkHeader,
    /// Its content.
    pub inner: Inner<'a>,
}

/// Opens one stream's chunks of one epoch: authenticates, then checks for replay, and only then lets the content be seen.
#[derive(Debug)]
pub struct Opener<A = AwsLc> {
    keys: StreamKeys<A>,
    stream: StreamId,
    epoch: Epoch,
    taken: Taken,
}

impl<A: Aead> Opener<A> {
    /// Words of 64 chunk numbers that are remembered: more than an hour of 290 chunks a second, in half a megabyte at most.
    pub const WORDS: usize = 16_384;

    /// An opener that has taken nothing yet.
    pub fn new(keys: StreamKeys<A>, stream: StreamId, epoch: Epoch) -> Self {
        Self { keys, stream, epoch, taken: Taken::new(Self::WORDS) }
    }

    /// The epoch that this opener works in.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Opens a chunk in place.
    ///
    /// # Errors
    /// Parse errors; [`Error::WrongKeys`] for another stream or epoch; [`Error::Authentication`] if the tag does not fit;
    /// [`Error::Replayed`] if the chunk was opened before.
    pub fn open<'a>(&mut self, chunk: &'a mut [u8]) -> Result<Opened<'a>, Error> {
        let header = ChunkHeader::parse(chunk)?;
        self.open_body(header, &mut chunk[HEADER_LEN..])
    }

    /// Opens in place a chunk whose header came apart from it: `body` is ciphertext and tag.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub fn open_body<'a>(&mut self, header: ChunkHeader, body: &'a mut [u8]) -> Result<Opened<'a>, Error> {
        let ChunkHeader { stream_id: stream, epoch, chunk_seq: seq, .. } = header;
        if stream != self.stream || epoch != self.epoch {
            return Err(Error::WrongKeys { stream, epoch });
        }
        let have = body.len();
        let Some((content, tag)) = body.split_last_chunk_mut::<TAG_LEN>() else {
            return Err(Error::Truncated { what: "chunk", need: TAG_LEN + 1, have });
        };
        if !self.keys.aead.open(self.keys.nonce(seq), &header.to_bytes()?, content, tag) {
            return Err(Error::Authentication { stream, epoch, seq });
        }
        if !self.taken.take(seq) {
            return Err(Error::Replayed { stream, epoch, seq });
        }
        Ok(Opened { header, inner: Inner::parse(content)? })
    }
}

#[cfg(test)]
mod tests;
