//! A fresh chunk that outlives the buffer that it came in.

use super::{Fresh, HopReceiver, HopSuite, wrong_suite};
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
