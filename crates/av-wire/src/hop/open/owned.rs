//! A fresh chunk that outlives the buffer that it came in.

use super::{Fresh, HopReceiver, HopSuite, SealedChunk, wrong_suite};
use crate::{Aead, ChunkHeader, Error, HEADER_LEN};

/// A whole chunk in one piece, 52 bytes of header in front, that the neighbour sent: authenticated on its link and not taken
/// there before, as [`Fresh`], but with its own bytes, so that it can be queued. Only a [`HopReceiver`] makes one:
///
/// ```compile_fail
/// fn forge(header: av_wire::ChunkHeader, bytes: Vec<u8>) -> av_wire::FreshChunk {
///     av_wire::FreshChunk { header, bytes, carried: 0 }
/// }
/// ```
#[derive(Debug)]
pub struct FreshChunk<B = Vec<u8>> {
    header: ChunkHeader,
    bytes: B,
    carried: usize,
}

impl<B: AsRef<[u8]>> FreshChunk<B> {
    /// The chunk's header.
    pub const fn header(&self) -> &ChunkHeader {
        &self.header
    }

    /// Bytes that it took on the link, hop header and hop tag included.
    pub const fn carried(&self) -> usize {
        self.carried
    }

    /// The whole chunk.
    pub const fn bytes(&self) -> &B {
        &self.bytes
    }

    /// The whole chunk.
    pub fn into_bytes(self) -> B {
        self.bytes
    }

    /// The chunk as the next link wants it.
    pub fn as_chunk(&self) -> SealedChunk<'_> {
        taken_apart(self.header, self.bytes.as_ref())
    }

    /// The chunk to be kept and sent on, to many links or later, without being read again.
    pub fn keep(self) -> KeptChunk<B> {
        KeptChunk { header: self.header, bytes: self.bytes }
    }
}

/// A whole chunk that came off a link, and what its header says: kept to be sent on. Its header was read once; in a buffer that
/// is shared without copying it is cheap to clone.
#[derive(Debug, Clone)]
pub struct KeptChunk<B = Vec<u8>> {
    header: ChunkHeader,
    bytes: B,
}

impl<B: AsRef<[u8]>> KeptChunk<B> {
    /// The chunk's header.
    #[inline]
    pub const fn header(&self) -> &ChunkHeader {
        &self.header
    }

    /// The whole chunk.
    #[inline]
    pub const fn bytes(&self) -> &B {
        &self.bytes
    }

    /// The chunk as a link wants it.
    #[inline]
    pub fn as_chunk(&self) -> SealedChunk<'_> {
        taken_apart(self.header, self.bytes.as_ref())
    }
}

/// A chunk whose header was read before. A buffer that is not any more what was read makes an empty chunk, which nobody takes.
#[inline]
fn taken_apart(header: ChunkHeader, bytes: &[u8]) -> SealedChunk<'_> {
    let (header_bytes, body) = bytes.split_first_chunk().unwrap_or((&[0; HEADER_LEN], &[]));
    SealedChunk { header, header_bytes, body }
}

impl FreshChunk {
    /// The same chunk in another kind of buffer, such as one that is shared without copying.
    pub fn convert<B: From<Vec<u8>>>(self) -> FreshChunk<B> {
        FreshChunk { header: self.header, bytes: self.bytes.into(), carried: self.carried }
    }
}

impl Fresh<'_> {
    /// The chunk with bytes of its own.
    pub fn to_chunk(&self) -> FreshChunk {
        let mut bytes = Vec::with_capacity(HEADER_LEN + self.body().len());
        self.write(&mut bytes);
        FreshChunk { header: *self.header(), bytes, carried: self.carried }
    }
}

impl<A: Aead> HopReceiver<A> {
    /// As [`open_whole`](Self::open_whole), without touching the bytes: the chunk keeps the buffer that it came in. Also for
    /// a publisher and a relay in one process, between which there is nobody who could alter anything.
    ///
    /// # Errors
    /// As [`open_whole`](Self::open_whole).
    pub fn take_whole<B: AsRef<[u8]>>(&self, chunk: B) -> Result<FreshChunk<B>, Error> {
        if !matches!(self.suite, HopSuite::TransportSealed) {
            return Err(wrong_suite());
        }
        let header = ChunkHeader::parse(chunk.as_ref())?;
        let carried = chunk.as_ref().len();
        Ok(FreshChunk { header, bytes: chunk, carried })
    }
}

#[cfg(test)]
mod tests {
    use crate::{AwsLc, Error, Fault, HopKeys, HopReceiver, HopSender, HopSuite, LinkRefusal, SealedChunk};

    fn chunk() -> Vec<u8> {
        let mut chunk = vec![7; 100];
        chunk[48..52].copy_from_slice(&[4, 0, 0, 0]);
        chunk
    }

    #[test]
    fn an_owned_chunk_is_what_was_sent() {
        let mut sender = HopSender::<AwsLc>::new(HopSuite::TransportSealed);
        let mut receiver = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
        let mut datagram = [0; 200];
        let len = sender.seal_into(&SealedChunk::parse(&chunk()).unwrap(), &mut datagram).unwrap();
        let owned = receiver.open(&mut datagram[..len]).unwrap().to_chunk();
        assert_eq!((owned.bytes(), owned.carried()), (&chunk(), len));
        assert_eq!(owned.header(), SealedChunk::parse(&chunk()).unwrap().header());
    }

    #[test]
    fn a_kept_chunk_is_sent_on_as_if_it_were_read_again() {
        let taken = || HopReceiver::<AwsLc>::new(HopSuite::TransportSealed).take_whole(chunk()).unwrap();
        let (fresh, kept) = (taken(), taken().keep());
        let whole = chunk();
        let read = SealedChunk::parse(&whole).unwrap();
        for again in [fresh.as_chunk(), kept.as_chunk(), kept.clone().as_chunk()] {
            let send = |chunk: &SealedChunk<'_>| {
                let keys = HopKeys::<AwsLc>::new(&[1; 32], &[2; 12]).unwrap();
                let (mut sender, mut datagram) = (HopSender::new(HopSuite::Full(keys)), [0; 200]);
                sender.seal_into(chunk, &mut datagram).unwrap();
                datagram
            };
            assert_eq!(send(&again), send(&read));
        }
        assert_eq!((kept.header(), kept.bytes()), (read.header(), &whole));
    }

    #[test]
    fn whole_chunks_are_taken_only_where_the_transport_seals() {
        let receiver = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
        assert_eq!(receiver.take_whole(chunk()).unwrap().into_bytes(), chunk());
        assert_eq!(receiver.take_whole(&chunk()[..60]).unwrap_err().fault(), Fault::Peer);
        let keys = HopKeys::<AwsLc>::new(&[1; 32], &[2; 12]).unwrap();
        let sealed = HopReceiver::new(HopSuite::Full(keys));
        let refused = sealed.take_whole(chunk()).unwrap_err();
        assert_eq!(refused, Error::Link { seq: None, why: LinkRefusal::WrongSuite });
    }
}
