//! What the person concerned signs: consent, and that it is taken back (spec 80 sections 2 and 3).

use crate::{ClassName, ContentId, Error, Schedule, SourceId};
use core_types::WallTime;
use identity::canonical::{Reader, Writer};
use identity::{Domain, HybridSignature, Identity, PublicIdentity};

const CONSENT: Domain = Domain::new("holomesh consent v1");
const TOMBSTONE: Domain = Domain::new("holomesh consent tombstone v1");
const VERSION: u8 = 1;

/// What a schedule needs to know of a consent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Terms {
    /// The class, which may be one that this node does not know.
    pub class: ClassName,
    /// When ages begin: admission, or the last renewal.
    pub from: WallTime,
    /// Higher than that of every earlier consent to this content.
    pub serial: u64,
}

impl Terms {
    /// Checks that these terms may take the place of `current`, or be the first. What they make of what is held is another
    /// matter: a renewal gives nothing back that was dropped.
    ///
    /// # Errors
    /// [`Error::FutureAdmission`] when ages would begin more than [`Schedule::MAX_SKEW`] after `now`;
    /// [`Error::OldSerial`] unless the serial number is higher than that of `current`.
    pub fn check(&self, current: Option<&Self>, now: WallTime) -> Result<(), Error> {
        Schedule::check_admission(self.from, now)?;
        match current {
            Some(current) if self.serial <= current.serial => {
                Err(Error::OldSerial { held: current.serial, got: self.serial })
            }
            _ => Ok(()),
        }
    }
}

/// A person's consent to keep one piece of content. Later ones, renewed or shortened, have a higher serial number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConsentRecord {
    /// The person concerned, who signs.
    pub subject: PublicIdentity,
    /// Where the content came from.
    pub source: SourceId,
    /// How long what may be kept.
    pub terms: Terms,
}

impl ConsentRecord {
    /// Bytes of a signed record at most; more is refused before it is looked at.
    pub const MAX_LEN: usize =
        1 + PublicIdentity::LEN + 32 + 8 + 8 + 4 + ClassName::MAX_LEN + HybridSignature::LEN;

    /// The content that it is about.
    pub fn content(&self) -> ContentId {
        ContentId::of(self.subject.key_id(), self.source)
    }

    /// The record as bytes, signed.
    ///
    /// # Errors
    /// [`Error::OtherSubject`] unless the signer is the subject; [`Error::Identity`] when signing fails.
    pub fn sign(&self, signer: &Identity) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::with_capacity(Self::MAX_LEN);
        head(&mut writer, &self.subject, self.source);
        writer.u64(self.terms.serial).u64(self.terms.from.0);
        writer.bytes("class", self.terms.class.as_str().as_bytes(), ClassName::MAX_LEN)?;
        sign(writer.into_bytes(), CONSENT, &self.subject, signer)
    }

    /// Reads a signed record and checks its signature.
    ///
    /// # Errors
    /// [`Error::Record`] for bytes that no record has, [`Error::Identity`] when they end early, go on or are not signed by
    /// the subject.
    pub fn verify(bytes: &[u8]) -> Result<Self, Error> {
        let (mut reader, signature) = split(bytes, Self::MAX_LEN)?;
        let payload = reader.clone();
        let (subject, source) = read_head(&mut reader)?;
        let (serial, from) = (reader.u64()?, WallTime(reader.u64()?));
        let class = str::from_utf8(reader.bytes(ClassName::MAX_LEN)?);
        let class = class.map_err(|_| Error::Record("a class name is ASCII text"))?.parse()?;
        reader.finish()?;
        check(payload, CONSENT, &subject, &signature)?;
        Ok(Self { subject, source, terms: Terms { class, from, serial } })
    }
}

/// That a person took consent back: the content is to be gone everywhere, and stays so. There is no way back; what is
/// recorded anew has a new source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tombstone {
    /// The person concerned, who signs.
    pub subject: PublicIdentity,
    /// Where the content came from.
    pub source: SourceId,
    /// When, by the person's clock. For the record: a tombstone counts whatever it says here.
    pub revoked_at: WallTime,
}

impl Tombstone {
    /// Bytes of a signed tombstone, always.
    pub const LEN: usize = 1 + PublicIdentity::LEN + 32 + 8 + HybridSignature::LEN;

    /// The content that it is about.
    pub fn content(&self) -> ContentId {
        ContentId::of(self.subject.key_id(), self.source)
    }

    /// The tombstone as bytes, signed.
    ///
    /// # Errors
    /// As [`ConsentRecord::sign`].
    pub fn sign(&self, signer: &Identity) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::with_capacity(Self::LEN);
        head(&mut writer, &self.subject, self.source);
        writer.u64(self.revoked_at.0);
        sign(writer.into_bytes(), TOMBSTONE, &self.subject, signer)
    }

    /// Reads a signed tombstone and checks its signature.
    ///
    /// # Errors
    /// As [`ConsentRecord::verify`].
    pub fn verify(bytes: &[u8]) -> Result<Self, Error> {
        let (mut reader, signature) = split(bytes, Self::LEN)?;
        let payload = reader.clone();
        let (subject, source) = read_head(&mut reader)?;
        let revoked_at = WallTime(reader.u64()?);
        reader.finish()?;
        check(payload, TOMBSTONE, &subject, &signature)?;
        Ok(Self { subject, source, revoked_at })
    }
}

pub(crate) fn head(writer: &mut Writer, subject: &PublicIdentity, source: SourceId) {
    writer.u8(VERSION).fixed(&subject.to_bytes()).fixed(&source.0);
}

pub(crate) fn read_head(reader: &mut Reader<'_>) -> Result<(PublicIdentity, SourceId), Error> {
    if reader.u8()? != VERSION {
        return Err(Error::Record("it is of another version than 1"));
    }
    let subject = PublicIdentity::from_bytes(reader.fixed(PublicIdentity::LEN)?)?;
    Ok((subject, SourceId(reader.array()?)))
}

pub(crate) fn sign(
    mut payload: Vec<u8>,
    domain: Domain,
    subject: &PublicIdentity,
    signer: &Identity,
) -> Result<Vec<u8>, Error> {
    if signer.key_id() != subject.key_id() {
        return Err(Error::OtherSubject { subject: subject.key_id(), signer: signer.key_id() });
    }
    let signature = signer.sign(domain, &payload)?;
    payload.extend_from_slice(&signature.to_bytes());
    Ok(payload)
}

pub(crate) fn split(bytes: &[u8], max: usize) -> Result<(Reader<'_>, HybridSignature), Error> {
    if bytes.len() > max {
        return Err(Error::Record("it is longer than any"));
    }
    let (payload, signature) = bytes
        .len()
        .checked_sub(HybridSignature::LEN)
        .and_then(|at| bytes.split_at_checked(at))
        .ok_or(Error::Record("it is shorter than a signature"))?;
    Ok((Reader::new(payload), HybridSignature::from_bytes(signature)?))
}

/// The signature covers the whole of what was read.
pub(crate) fn check(
    mut payload: Reader<'_>,
    domain: Domain,
    subject: &PublicIdentity,
    signature: &HybridSignature,
) -> Result<(), Error> {
    let payload = payload.fixed(payload.remaining())?;
    Ok(subject.verify(domain, payload, signature)?)
}
