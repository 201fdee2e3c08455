//! What a recorder says of a content, signed (spec 82 section 7).

use crate::Error;
use crate::row::Position;
use consent_decay::ContentId;
use core_types::{Epoch, ObjectSeq, WallTime};
use identity::canonical::{Reader, Writer};
use identity::{Domain, HybridSignature, Identity, PublicIdentity};

const MANIFEST: Domain = Domain::new("holomesh manifest v1");
const VERSION: u8 = 1;

/// What was recorded, by whom, and how to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Of which content.
    pub content: ContentId,
    /// Who recorded it, and signs.
    pub recorder: PublicIdentity,
    /// When, by the recorder's clock.
    pub made_at: WallTime,
    /// The stream's announcement as its publisher signed it; empty for what is no stream.
    pub announcement: Vec<u8>,
    /// The first frame group.
    pub first: Position,
    /// The last one.
    pub last: Position,
    /// Symbols that were recorded, by group.
    pub symbols: [u64; 4],
}

impl Manifest {
    /// Bytes of an announcement at most.
    pub const MAX_ANNOUNCEMENT: usize = 8_192;
    /// Bytes of a signed manifest at most.
    pub const MAX_LEN: usize =
        1 + 32 + PublicIdentity::LEN + 8 + 4 + Self::MAX_ANNOUNCEMENT + 32 + 32 + HybridSignature::LEN;

    /// The manifest as bytes, signed.
    ///
    /// # Errors
    /// [`Error::Refused`] unless the signer is the recorder, [`Error::Consent`] when a limit is broken or signing fails.
    pub fn sign(&self, signer: &Identity) -> Result<Vec<u8>, Error> {
        if signer.key_id() != self.recorder.key_id() {
            return Err(Error::Refused("a manifest is signed by its recorder alone"));
        }
        let mut writer = Writer::with_capacity(Self::MAX_LEN);
        writer.u8(VERSION).fixed(&self.content.0).fixed(&self.recorder.to_bytes()).u64(self.made_at.0);
        writer.bytes("announcement", &self.announcement, Self::MAX_ANNOUNCEMENT)?;
        for at in [self.first, self.last] {
            writer.u64(at.epoch.0).u64(at.object.0);
        }
        for symbols in self.symbols {
            writer.u64(symbols);
        }
        let signature = signer.sign(MANIFEST, writer.as_bytes())?;
        writer.fixed(&signature.to_bytes());
        Ok(writer.into_bytes())
    }

    /// Reads a signed manifest and checks its signature.
    ///
    /// # Errors
    /// [`Error::Consent`] or [`Error::Refused`] for bytes that are no manifest, or are not signed by its recorder.
    pub fn verify(bytes: &[u8]) -> Result<Self, Error> {
        let at = bytes.len().checked_sub(HybridSignature::LEN).filter(|_| bytes.len() <= Self::MAX_LEN);
        let (payload, signature) = at
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or(Error::Refused("no manifest has this length"))?;
        let mut reader = Reader::new(payload);
        if reader.u8()? != VERSION {
            return Err(Error::Refused("a manifest of another version than 1"));
        }
        let content = ContentId(reader.array()?);
        let recorder = PublicIdentity::from_bytes(reader.fixed(PublicIdentity::LEN)?)?;
        let made_at = WallTime(reader.u64()?);
        let announcement = reader.bytes(Self::MAX_ANNOUNCEMENT)?.to_vec();
        let [first, last] = [read_position(&mut reader)?, read_position(&mut reader)?];
        let symbols = [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?];
        reader.finish()?;
        recorder.verify(MANIFEST, payload, &HybridSignature::from_bytes(signature)?)?;
        Ok(Self { content, recorder, made_at, announcement, first, last, symbols })
    }
}

fn read_position(reader: &mut Reader<'_>) -> Result<Position, Error> {
    Ok(Position { epoch: Epoch(reader.u64()?), object: ObjectSeq(reader.u64()?) })
}
