//! The four messages as bytes (spec 35 section 4).

use crate::schedule::{CONFIRMATION_LEN, TAG_LEN, hash};
use crate::x_wing::{CIPHERTEXT_LEN, PUBLIC_KEY_LEN};
use crate::{Error, x_wing};
use core_types::KeyId;
use identity::canonical::{Reader, Writer};
use identity::{HybridSignature, PublicIdentity};

/// The one protocol version.
pub(crate) const VERSION: u16 = 1;
/// The one suite: X-Wing, Ed25519 + ML-DSA-65, SHA-256, AES-256-GCM.
pub(crate) const SUITE: u16 = 1;
/// Most entries of a list of versions or suites.
const MAX_LIST: u8 = 8;

/// Fewest bytes of an offer: one version, one suite.
pub(crate) const MIN_OFFER_LEN: usize = 6 + 32 + 32 + PUBLIC_KEY_LEN;
/// Most bytes of an offer: eight of each.
pub(crate) const MAX_OFFER_LEN: usize = MIN_OFFER_LEN + 28;
/// Bytes of the part of an answer that is not sealed.
pub(crate) const ANSWER_CLEAR_LEN: usize = 2 + 2 + 32 + CIPHERTEXT_LEN + PUBLIC_KEY_LEN;
/// Bytes of an answer.
pub(crate) const ANSWER_LEN: usize = ANSWER_CLEAR_LEN + Proof::LEN + TAG_LEN;
/// Bytes of a finish: ciphertext, then sealed: blind and proof.
pub(crate) const FINISH_LEN: usize = CIPHERTEXT_LEN + 32 + Proof::LEN + TAG_LEN;
/// Bytes of a verdict.
pub(crate) const VERDICT_LEN: usize = CONFIRMATION_LEN;

/// The first message: what the initiator can do, its ephemeral key, and whom it wants, blinded.
pub(crate) struct Offer {
    pub(crate) intent: [u8; 32],
    pub(crate) ephemeral: x_wing::PublicKey,
}

impl Offer {
    /// Each list has an entry that nobody knows besides the one that counts, so that responders keep ignoring what they
    /// don't know, and so that there is always something whose removal shows.
    pub(crate) fn write(nonce: &[u8; 32], intent: &[u8; 32], ephemeral: &x_wing::PublicKey) -> Vec<u8> {
        let mut writer = Writer::with_capacity(MIN_OFFER_LEN + 4);
        writer.u8(2).u16(unknown(nonce[0])).u16(VERSION);
        writer.u8(2).u16(unknown(nonce[1])).u16(SUITE);
        writer.fixed(nonce).fixed(intent).fixed(ephemeral.as_bytes());
        writer.into_bytes()
    }

    /// Reads an offer and finds what both sides can do.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let cut = |_| Error::Malformed { what: "offer", reason: "cut short" };
        let mut reader = Reader::new(bytes);
        if !listed(&mut reader, VERSION)? {
            return Err(Error::Incompatible { what: "version" });
        }
        if !listed(&mut reader, SUITE)? {
            return Err(Error::Incompatible { what: "suite" });
        }
        reader.fixed(32).map_err(cut)?; // the nonce counts through the transcript alone
        let intent = reader.array().map_err(cut)?;
        let ephemeral = x_wing::PublicKey::from_bytes(&reader.array().map_err(cut)?);
        reader.finish().map_err(|_| Error::Malformed { what: "offer", reason: "bytes left over" })?;
        Ok(Self { intent, ephemeral })
    }

    /// What an offer commits to without showing it: who calls whom.
    pub(crate) fn intent(blind: &[u8; 32], initiator: KeyId, responder: KeyId) -> [u8; 32] {
        hash(&[b"holomesh link intent v1", blind, initiator.as_bytes(), responder.as_bytes()])
    }
}

/// A list of at most eight u16, and whether `wanted` is among them.
fn listed(reader: &mut Reader<'_>, wanted: u16) -> Result<bool, Error> {
    let cut = |_| Error::Malformed { what: "offer", reason: "cut short" };
    let count = reader.u8().map_err(cut)?;
    if count == 0 || count > MAX_LIST {
        return Err(Error::Malformed { what: "offer", reason: "a list is empty or has more than 8 entries" });
    }
    let mut found = false;
    for _ in 0..count {
        found |= reader.u16().map_err(cut)? == wanted;
    }
    Ok(found)
}

/// 0x0a0a, 0x1a1a, … 0xfafa, which stay unassigned (the values of RFC 8701).
fn unknown(random: u8) -> u16 {
    u16::from_be_bytes([(random & 0xf0) | 0x0a; 2])
}

/// The part of the second message that is in the clear.
pub(crate) struct AnswerClear {
    pub(crate) ciphertext: x_wing::Ciphertext,
    pub(crate) ephemeral: x_wing::PublicKey,
}

impl AnswerClear {
    pub(crate) fn write(
        nonce: &[u8; 32],
        ciphertext: &x_wing::Ciphertext,
        ephemeral: &x_wing::PublicKey,
    ) -> Vec<u8> {
        let mut writer = Writer::with_capacity(ANSWER_LEN);
        writer.u16(VERSION).u16(SUITE).fixed(nonce);
        writer.fixed(ciphertext.as_bytes()).fixed(ephemeral.as_bytes());
        writer.into_bytes()
    }

    /// Takes an answer apart into what is in the clear, as bytes and as values, and what is sealed.
    pub(crate) fn read(bytes: &[u8]) -> Result<(&[u8], Self, &[u8]), Error> {
        exactly("answer", bytes, ANSWER_LEN)?;
        let cut = |_| Error::Malformed { what: "answer", reason: "cut short" };
        let mut reader = Reader::new(bytes);
        if reader.u16().map_err(cut)? != VERSION {
            return Err(Error::Incompatible { what: "version" });
        }
        if reader.u16().map_err(cut)? != SUITE {
            return Err(Error::Incompatible { what: "suite" });
        }
        reader.fixed(32).map_err(cut)?;
        let ciphertext = x_wing::Ciphertext::from_bytes(&reader.array().map_err(cut)?);
        let ephemeral = x_wing::PublicKey::from_bytes(&reader.array().map_err(cut)?);
        let (clear, sealed) = bytes.split_at(ANSWER_CLEAR_LEN);
        Ok((clear, Self { ciphertext, ephemeral }, sealed))
    }
}

/// What is sealed in answer and finish: who, signed, and the keys confirmed.
pub(crate) struct Proof<'a> {
    pub(crate) identity: PublicIdentity,
    pub(crate) identity_bytes: &'a [u8],
    pub(crate) signature: HybridSignature,
    pub(crate) signature_bytes: &'a [u8],
    pub(crate) confirmation: &'a [u8],
}

impl<'a> Proof<'a> {
    pub(crate) const LEN: usize = PublicIdentity::LEN + HybridSignature::LEN + CONFIRMATION_LEN;

    /// Reads what was opened, so what the peer itself wrote.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        exactly("proof of identity", bytes, Self::LEN)?;
        let (identity_bytes, rest) = bytes.split_at(PublicIdentity::LEN);
        let (signature_bytes, confirmation) = rest.split_at(HybridSignature::LEN);
        Ok(Self {
            identity: PublicIdentity::from_bytes(identity_bytes)?,
            identity_bytes,
            signature: HybridSignature::from_bytes(signature_bytes)?,
            signature_bytes,
            confirmation,
        })
    }
}

pub(crate) fn exactly(what: &'static str, bytes: &[u8], len: usize) -> Result<(), Error> {
    if bytes.len() == len {
        Ok(())
    } else {
        Err(Error::Malformed { what, reason: "not the length that it has" })
    }
}
