//! The inner seal, end to end: AES-256-GCM per stream, sender and epoch, with the header as additional data.

use crate::{Aead, AwsLc, ChunkHeader, Error, HEADER_LEN, Inner, MAX_CHUNK_LEN, ReplayWindow, TAG_LEN};
use core_types::{ChunkSeq, CodecId, Epoch, Layer, LeafIndex, StreamId};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Chunk numbers of one epoch end here: 2^48, far below what AES-GCM bears under one key with 96-bit nonces.
pub const MAX_CHUNK_SEQ: u64 = 1 << 48;

/// The key and salt of one sender's stream in one epoch (spec 20 section 3).
#[derive(Debug)]
pub struct StreamKeys<A = AwsLc> {
    aead: A,
    salt: Zeroizing<[u8; 12]>,
}

impl<A: Aead> StreamKeys<A> {
    /// Derives the keys from the epoch secret (MLS exporter, label "holomesh av epoch v1"), the stream and the sender's
    /// place in the tree: so no two senders share a key, whatever stream id they claim.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library refuses; does not happen.
    pub fn derive(epoch_secret: &[u8; 32], stream: StreamId, sender: LeafIndex) -> Result<Self, Error> {
        let failed = |_| Error::Crypto("HKDF-Expand");
        let epoch = Hkdf::<Sha256>::from_prk(epoch_secret).map_err(|_| Error::Crypto("HKDF"))?;
        let mut stream_secret = Zeroizing::new([0; 32]);
        let info: [&[u8]; 3] = [b"holomesh av stream v1", stream.as_bytes(), &sender.0.to_be_bytes()];
        epoch.expand_multi_info(&info, &mut *stream_secret).map_err(failed)?;
        let stream = Hkdf::<Sha256>::from_prk(&*stream_secret).map_err(|_| Error::Crypto("HKDF"))?;
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
/// can't be expressed. A sender that restarts must open a new stream (its id is random) or a new epoch.
#[derive(Debug)]
pub struct Sealer<A = AwsLc> {
    keys: StreamKeys<A>,
    stream: StreamId,
    epoch: Epoch,
    codec: CodecId,
    next: u64,
}

impl<A: Aead> Sealer<A> {
    /// Starts at chunk number 0 of `epoch`.
    pub const fn new(keys: StreamKeys<A>, stream: StreamId, epoch: Epoch, codec: CodecId) -> Self {
        Self { keys, stream, epoch, codec, next: 0 }
    }

    /// The epoch that this sealer works in.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The number that the next chunk will carry.
    pub const fn next_seq(&self) -> ChunkSeq {
        ChunkSeq(self.next)
    }

    /// Seals `inner` as the next chunk: header, ciphertext, tag.
    ///
    /// # Errors
    /// [`Error::Exhausted`] after 2^48 chunks, [`Error::TooLarge`] above 64 KiB, [`Error::Malformed`] for an opaque chunk
    /// on a layer. The number is used up only on success.
    pub fn seal(&mut self, layer: Layer, inner: &Inner<'_>) -> Result<Vec<u8>, Error> {
        if self.next >= MAX_CHUNK_SEQ {
            return Err(Error::Exhausted { stream: self.stream, epoch: self.epoch });
        }
        let len = HEADER_LEN + inner.encoded_len() + TAG_LEN;
        if len > MAX_CHUNK_LEN {
            return Err(Error::TooLarge { what: "chunk", limit: MAX_CHUNK_LEN, have: len });
        }
        let chunk_seq = ChunkSeq(self.next);
        let header =
            ChunkHeader { stream_id: self.stream, epoch: self.epoch, chunk_seq, codec: self.codec, layer };
        let aad = header.to_bytes()?;
        let mut chunk = Vec::with_capacity(len);
        chunk.extend_from_slice(&aad);
        inner.write(&mut chunk)?;
        // The number is gone before the key is used: no error below can lead to a second seal under this nonce.
        self.next += 1;
        let tag = self.keys.aead.seal(self.keys.nonce(chunk_seq), &aad, &mut chunk[HEADER_LEN..])?;
        chunk.extend_from_slice(&tag);
        Ok(chunk)
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
    window: ReplayWindow,
}

impl<A: Aead> Opener<A> {
    /// An opener that has taken nothing yet.
    pub const fn new(keys: StreamKeys<A>, stream: StreamId, epoch: Epoch) -> Self {
        Self { keys, stream, epoch, window: ReplayWindow::new() }
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
        let ChunkHeader { stream_id: stream, epoch, chunk_seq: seq, .. } = header;
        if stream != self.stream || epoch != self.epoch {
            return Err(Error::WrongKeys { stream, epoch });
        }
        let body_len = chunk.len() - TAG_LEN;
        let (body, tag) = chunk.split_at_mut(body_len);
        let (aad, content) = body.split_at_mut(HEADER_LEN);
        let tag: &[u8; TAG_LEN] =
            (&*tag).try_into().map_err(|_| Error::Truncated { what: "tag", need: TAG_LEN, have: 0 })?;
        if !self.keys.aead.open(self.keys.nonce(seq), aad, content, tag) {
            return Err(Error::Authentication { stream, epoch, seq });
        }
        if !self.window.take(seq) {
            return Err(Error::Replayed { stream, epoch, seq });
        }
        Ok(Opened { header, inner: Inner::parse(content)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Portable;
    use core_types::ObjectSeq;
    use proptest::prelude::*;

    const STREAM: StreamId = StreamId([9; 32]);

    fn pair(secret: u8, leaf: u32, epoch: u64) -> (Sealer, Opener) {
        let keys = || StreamKeys::derive(&[secret; 32], STREAM, LeafIndex(leaf)).unwrap();
        (Sealer::new(keys(), STREAM, Epoch(epoch), CodecId::Av1), Opener::new(keys(), STREAM, Epoch(epoch)))
    }

    fn object(bytes: &[u8]) -> Inner<'_> {
        Inner::Object { seq: ObjectSeq(5), bytes }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(payload in prop::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, bit in 0u8..8) {
            let (mut sealer, mut opener) = pair(1, 0, 4);
            let chunk = sealer.seal(Layer::BASE, &object(&payload)).unwrap();
            let mut altered = chunk.clone();
            altered[at.index(chunk.len())] ^= 1 << bit;
            prop_assert!(opener.open(&mut altered).is_err());
            // The forgery left no trace: the real chunk still opens.
            let mut chunk = chunk;
            prop_assert_eq!(opener.open(&mut chunk).unwrap().inner, object(&payload));
        }

        #[test]
        fn opening_arbitrary_bytes_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (_, mut opener) = pair(1, 0, 4);
            prop_assert!(opener.open(&mut bytes).is_err());
        }
    }

    #[test]
    fn every_chunk_has_its_own_number_and_opens_once() {
        let (mut sealer, mut opener) = pair(1, 0, 4);
        for number in 0..10 {
            assert_eq!(sealer.next_seq(), ChunkSeq(number));
            let chunk = sealer.seal(Layer::BASE, &object(b"same content")).unwrap();
            assert_eq!(opener.open(&mut chunk.clone()).unwrap().header.chunk_seq, ChunkSeq(number));
            assert!(matches!(opener.open(&mut chunk.clone()), Err(Error::Replayed { .. })));
        }
    }

    #[test]
    fn two_senders_of_one_stream_id_do_not_share_a_key() {
        let (mut alice, _) = pair(1, 0, 4);
        let (_, mut opens_bob) = pair(1, 1, 4);
        let mut chunk = alice.seal(Layer::BASE, &object(b"x")).unwrap();
        assert!(matches!(opens_bob.open(&mut chunk), Err(Error::Authentication { .. })));
    }

    #[test]
    fn another_epoch_or_secret_does_not_open() {
        let (mut sealer, _) = pair(1, 0, 4);
        let chunk = sealer.seal(Layer::BASE, &object(b"x")).unwrap();
        let (_, mut other_epoch) = pair(1, 0, 5);
        let (_, mut other_secret) = pair(2, 0, 4);
        assert!(matches!(other_epoch.open(&mut chunk.clone()), Err(Error::WrongKeys { .. })));
        assert!(matches!(other_secret.open(&mut chunk.clone()), Err(Error::Authentication { .. })));
    }

    #[test]
    fn the_sealer_refuses_to_go_on_at_its_limit() {
        let (mut sealer, _) = pair(1, 0, 4);
        sealer.next = MAX_CHUNK_SEQ - 1;
        assert!(sealer.seal(Layer::BASE, &object(b"last")).is_ok());
        assert!(matches!(sealer.seal(Layer::BASE, &object(b"one more")), Err(Error::Exhausted { .. })));
    }

    #[test]
    fn oversized_content_is_refused_and_costs_no_number() {
        let (mut sealer, _) = pair(1, 0, 4);
        let content = vec![0; MAX_CHUNK_LEN];
        assert!(matches!(sealer.seal(Layer::BASE, &object(&content)), Err(Error::TooLarge { .. })));
        assert_eq!(sealer.next_seq(), ChunkSeq(0));
    }

    #[test]
    fn both_implementations_make_the_same_chunk() {
        let fast: StreamKeys<AwsLc> = StreamKeys::derive(&[3; 32], STREAM, LeafIndex(2)).unwrap();
        let portable: StreamKeys<Portable> = StreamKeys::derive(&[3; 32], STREAM, LeafIndex(2)).unwrap();
        let mut a = Sealer::new(fast, STREAM, Epoch(1), CodecId::Opus);
        let mut b = Sealer::new(portable, STREAM, Epoch(1), CodecId::Opus);
        assert_eq!(a.seal(Layer::BASE, &object(b"x")).unwrap(), b.seal(Layer::BASE, &object(b"x")).unwrap());
    }

    #[test]
    fn debug_output_shows_no_key() {
        let (sealer, _) = pair(0x41, 0, 4);
        let text = format!("{sealer:?}");
        assert!(text.contains("redacted"), "{text}");
    }
}
