//! What consent is about.

use core::{fmt, str::FromStr};
use core_types::{KeyId, StreamId};
use sha2::{Digest, Sha256};

/// Names a piece of content: a hash over the person whose consent it needs and the source (spec 80 section 1). So whoever
/// holds a person's record can compute which content it is about, and nobody can speak for another's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(pub [u8; 32]);

impl ContentId {
    /// The content that `subject` made at `source`.
    pub fn of(subject: KeyId, source: SourceId) -> Self {
        let hash = Sha256::new().chain_update(b"holomesh content v1").chain_update(subject.as_bytes());
        Self(hash.chain_update(source.0).finalize().into())
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text form of all 32-byte ids.
        StreamId(self.0).fmt(f)
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({}…)", StreamId(self.0).short())
    }
}

impl FromStr for ContentId {
    type Err = core_types::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<StreamId>().map(|id| Self(id.0))
    }
}

/// Where the content came from: a stream's id, or any other 32 bytes that are drawn anew for each piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub [u8; 32]);

impl From<StreamId> for SourceId {
    fn from(stream: StreamId) -> Self {
        Self(stream.0)
    }
}
