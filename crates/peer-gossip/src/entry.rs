//! Entries: what a gossip message is a list of (spec 53 section 1).

use crate::Error;
use crate::card::{MAX_CARD_LEN, Parts};
use alm::claim::MAX_CLAIM_LEN;
use core_types::KeyId;
use identity::HybridSignature;
use identity::canonical::Reader;
use std::sync::Arc;

/// Entries of a message at most.
pub const MAX_ENTRIES: usize = control_wire::MAX_GOSSIP_ENTRIES;
/// The longest entry in bytes.
pub const MAX_ENTRY_LEN: usize = 1 + MAX_CARD_LEN;
const _: () = assert!(MAX_ENTRY_LEN <= control_wire::MAX_GOSSIP_ENTRY_LEN && MAX_CLAIM_LEN <= MAX_CARD_LEN);

const CARD: u8 = 0;
const CLAIM: u8 = 1;

/// An entry as it is kept and passed on: the very bytes that came.
pub(crate) type Kept = Arc<[u8]>;

pub(crate) fn card(signed: &[u8]) -> Kept {
    [&[CARD], signed].concat().into()
}

pub(crate) fn claim(signed: &[u8]) -> Kept {
    [&[CLAIM], signed].concat().into()
}

/// An entry of which nothing is proven yet, told apart by its first byte.
#[derive(Debug, Clone)]
pub(crate) enum Entry<'a> {
    Card(Parts<'a>),
    Claim(Claim<'a>),
}

impl<'a> Entry<'a> {
    pub(crate) fn read(entry: &'a [u8]) -> Result<Self, Error> {
        // Each kind looks at its length first.
        match entry.split_first() {
            Some((&CARD, signed)) => Parts::read(signed).map(Self::Card),
            Some((&CLAIM, signed)) => Claim::read(signed).map(Self::Claim),
            Some(_) => Err(malformed("it is neither a card nor a claim")),
            None => Err(malformed("it is empty")),
        }
    }

    /// Whose it is, if it is what it says.
    pub(crate) const fn advertiser(&self) -> KeyId {
        match self {
            Self::Card(card) => card.advertiser,
            Self::Claim(claim) => claim.advertiser,
        }
    }
}

/// A claim, of which two fields are looked at before its signature is: by them most of what comes is told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    /// Claim and signature.
    pub(crate) signed: &'a [u8],
    pub(crate) advertiser: KeyId,
    pub(crate) counter: u64,
}

impl<'a> Claim<'a> {
    /// As far as its counter, in the order of spec 55.2.1. All of it is read when it is verified.
    fn read(signed: &'a [u8]) -> Result<Self, Error> {
        if signed.len() > MAX_CLAIM_LEN {
            return Err(Error::TooLarge { what: "claim", have: signed.len(), limit: MAX_CLAIM_LEN });
        }
        let wrong = |source| Error::Identity { what: "claim", source };
        let mut r = Reader::new(signed);
        let _version = r.u8().map_err(wrong)?;
        let advertiser = KeyId(r.array().map_err(wrong)?);
        if r.u8().map_err(wrong)? != 0 {
            let _stream = r.array::<32>().map_err(wrong)?;
        }
        let _epoch = r.u64().map_err(wrong)?;
        let counter = r.u64().map_err(wrong)?;
        Ok(Self { signed, advertiser, counter })
    }

    /// What is signed, without the signature, which may differ for the same claim.
    pub(crate) fn payload(signed: &[u8]) -> &[u8] {
        signed.split_last_chunk::<{ HybridSignature::LEN }>().map_or(signed, |(payload, _)| payload)
    }
}

const fn malformed(why: &'static str) -> Error {
    Error::Malformed { what: "entry of gossip", why }
}
