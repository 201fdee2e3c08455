//! Who else may have what is stored: the person concerned says so, name by name (spec 80 section 8).

use crate::record::{check, head, read_head, sign, split};
use crate::{ContentId, Error, SourceId};
use core_types::{KeyId, WallTime};
use identity::canonical::Writer;
use identity::{Domain, HybridSignature, Identity, PublicIdentity};

const GRANT: Domain = Domain::new("holomesh reading grant v1");

/// That a store may hand a content's symbols to somebody, until a date. Whether that reader can open them is up to the keys that it
/// has; consent and tombstones hold for the copy as they do for the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReadGrant {
    /// The person concerned, who signs.
    pub subject: PublicIdentity,
    /// Where the content came from.
    pub source: SourceId,
    /// Who may have it.
    pub reader: KeyId,
    /// Until when, by the store's clock.
    pub until: WallTime,
}

impl ReadGrant {
    /// Bytes of a signed grant, always.
    pub const LEN: usize = 1 + PublicIdentity::LEN + 32 + 32 + 8 + HybridSignature::LEN;

    /// The content that it is about.
    pub fn content(&self) -> ContentId {
        ContentId::of(self.subject.key_id(), self.source)
    }

    /// The grant as bytes, signed.
    ///
    /// # Errors
    /// [`Error::OtherSubject`] unless the signer is the subject; [`Error::Identity`] when signing fails.
    pub fn sign(&self, signer: &Identity) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::with_capacity(Self::LEN);
        head(&mut writer, &self.subject, self.source);
        writer.fixed(&self.reader.0).u64(self.until.0);
        sign(writer.into_bytes(), GRANT, &self.subject, signer)
    }

    /// Reads a signed grant and checks its signature.
    ///
    /// # Errors
    /// [`Error::Record`] for bytes that no grant has, [`Error::Identity`] when they end early, go on or are not signed by the
    /// subject.
    pub fn verify(bytes: &[u8]) -> Result<Self, Error> {
        let (mut reader, signature) = split(bytes, Self::LEN)?;
        let payload = reader.clone();
        let (subject, source) = read_head(&mut reader)?;
        let (who, until) = (KeyId(reader.array()?), WallTime(reader.u64()?));
        reader.finish()?;
        check(payload, GRANT, &subject, &signature)?;
        Ok(Self { subject, source, reader: who, until })
    }

    /// Whether it lets `who` have `content` at `now`.
    pub fn admits(&self, content: ContentId, who: KeyId, now: WallTime) -> bool {
        self.content() == content && self.reader == who && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::Seed;

    fn grant() -> (Identity, ReadGrant) {
        let alice = Identity::from_seed(&Seed([1; 64])).unwrap();
        let subject = alice.public().clone();
        let grant =
            ReadGrant { subject, source: SourceId([2; 32]), reader: KeyId([3; 32]), until: WallTime(1_000) };
        (alice, grant)
    }

    #[test]
    fn a_grant_is_for_one_reader_one_content_and_a_time() {
        let (alice, grant) = grant();
        let signed = grant.sign(&alice).unwrap();
        assert_eq!(signed.len(), ReadGrant::LEN);
        let read = ReadGrant::verify(&signed).unwrap();
        assert_eq!(read, grant);
        let content = grant.content();
        assert!(read.admits(content, KeyId([3; 32]), WallTime(999)));
        assert!(!read.admits(content, KeyId([3; 32]), WallTime(1_000)));
        assert!(!read.admits(content, KeyId([4; 32]), WallTime(999)));
        assert!(!read.admits(ContentId([5; 32]), KeyId([3; 32]), WallTime(999)));
    }

    #[test]
    fn nobody_else_signs_one_and_no_byte_can_be_changed() {
        let (alice, grant) = grant();
        let mallory = Identity::from_seed(&Seed([9; 64])).unwrap();
        assert!(matches!(grant.sign(&mallory), Err(Error::OtherSubject { .. })));
        let signed = grant.sign(&alice).unwrap();
        for at in (0..signed.len()).step_by(97).chain([0, 1_984, 2_017, 2_049, 2_056]) {
            let mut bytes = signed.clone();
            bytes[at] ^= 1;
            assert!(ReadGrant::verify(&bytes).is_err(), "byte {at}");
        }
        assert!(ReadGrant::verify(&signed[..signed.len() - 1]).is_err());
        assert!(ReadGrant::verify(&[&signed[..], &[0]].concat()).is_err());
    }
}
