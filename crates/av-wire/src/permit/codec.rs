//! The bytes of a permit (spec 56 section 2).

use super::{Permit, PermitRole, PermitStreams};
use crate::Error;
use core_types::{KeyId, SessionId, StreamId, WallTime};
use identity::canonical::{Reader, Writer};
use identity::{Domain, HybridSignature, Identity, PublicIdentity};
use std::collections::BTreeSet;

const DOMAIN: Domain = Domain::new("holomesh permit v1");
const VERSION: u8 = 1;
const RELAY: u8 = 1;
const MEMBER: u8 = 2;
const ALL: u8 = 0;
const LISTED: u8 = 1;
/// Version, session, issuer, holder, role, serial, two times, all or listed.
const HEAD_LEN: usize = 1 + 3 * 32 + 1 + 3 * 8 + 1;
/// Bytes a second, subscribers.
const TAIL_LEN: usize = 8 + 4;

pub(super) const MAX_LEN: usize =
    HEAD_LEN + 1 + 32 * PermitStreams::MAX_LISTED + TAIL_LEN + HybridSignature::LEN;

impl Permit {
    /// Signs the permit: its canonical bytes, then the hybrid signature.
    ///
    /// # Errors
    /// [`Error::Malformed`] if `issuer` is not the signer, and for what [`Permit::verify`] would refuse.
    pub fn sign(&self, issuer: &Identity) -> Result<Vec<u8>, Error> {
        if issuer.key_id() != self.issuer {
            return Err(malformed("the signer is not the issuer"));
        }
        let mut bytes = self.canonical()?;
        let signature = issuer.sign(DOMAIN, &bytes).map_err(wrong)?;
        bytes.extend_from_slice(&signature.to_bytes());
        Ok(bytes)
    }

    /// Reads and verifies a signed permit. Whether it is good here and now is for [`Permit::check`].
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::TooLarge`], [`Error::Malformed`] or [`Error::Identity`]: it is not one that `issuer`
    /// signed.
    pub fn verify(bytes: &[u8], issuer: &PublicIdentity) -> Result<Self, Error> {
        let have = bytes.len();
        if have > MAX_LEN {
            return Err(Error::TooLarge { what: "permit", limit: MAX_LEN, have });
        }
        let Some((payload, signature)) = bytes.split_last_chunk::<{ HybridSignature::LEN }>() else {
            return Err(Error::Truncated { what: "permit", need: HybridSignature::LEN, have });
        };
        // What costs least comes first: the two signatures are verified for bytes that could be a permit of this issuer.
        let permit = Self::parse(payload)?;
        if permit.issuer != issuer.key_id() {
            return Err(malformed("the signer is not the issuer"));
        }
        let signature = HybridSignature::from_bytes(signature).map_err(wrong)?;
        issuer.verify(DOMAIN, payload, &signature).map_err(wrong)?;
        Ok(permit)
    }

    fn canonical(&self) -> Result<Vec<u8>, Error> {
        self.refuse_nonsense()?;
        let mut w = Writer::with_capacity(MAX_LEN);
        w.u8(VERSION).fixed(self.session.as_bytes()).fixed(self.issuer.as_bytes());
        w.fixed(self.holder.as_bytes());
        w.u8(match self.role {
            PermitRole::Relay => RELAY,
            PermitRole::Member => MEMBER,
        });
        w.u64(self.serial).u64(self.not_before.0).u64(self.not_after.0);
        match &self.streams {
            PermitStreams::All => {
                w.u8(ALL);
            }
            PermitStreams::Only(streams) => {
                w.u8(LISTED).u8(streams.len() as u8);
                for stream in streams {
                    w.fixed(stream.as_bytes());
                }
            }
        }
        w.u64(self.max_bytes_per_second).u32(self.max_subscribers);
        Ok(w.into_bytes())
    }

    fn parse(payload: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(payload);
        if r.u8().map_err(wrong)? != VERSION {
            return Err(malformed("unknown version"));
        }
        let session = SessionId(r.array().map_err(wrong)?);
        let issuer = KeyId(r.array().map_err(wrong)?);
        let holder = KeyId(r.array().map_err(wrong)?);
        let role = match r.u8().map_err(wrong)? {
            RELAY => PermitRole::Relay,
            MEMBER => PermitRole::Member,
            _ => return Err(malformed("the role is neither relay nor member")),
        };
        let serial = r.u64().map_err(wrong)?;
        let not_before = WallTime(r.u64().map_err(wrong)?);
        let not_after = WallTime(r.u64().map_err(wrong)?);
        let streams = match r.u8().map_err(wrong)? {
            ALL => PermitStreams::All,
            LISTED => PermitStreams::Only(listed(&mut r)?),
            _ => return Err(malformed("streams are neither all nor listed")),
        };
        let max_bytes_per_second = r.u64().map_err(wrong)?;
        let max_subscribers = r.u32().map_err(wrong)?;
        r.finish().map_err(wrong)?;
        let permit = Self {
            session,
            issuer,
            holder,
            role,
            serial,
            not_before,
            not_after,
            streams,
            max_bytes_per_second,
            max_subscribers,
        };
        permit.refuse_nonsense()?;
        Ok(permit)
    }

    fn refuse_nonsense(&self) -> Result<(), Error> {
        if self.not_after < self.not_before {
            return Err(malformed("it ends before it begins"));
        }
        if self.role == PermitRole::Member && self.max_subscribers != 0 {
            return Err(malformed("a member serves no subscribers"));
        }
        match &self.streams {
            PermitStreams::Only(streams) if !(1..=PermitStreams::MAX_LISTED).contains(&streams.len()) => {
                Err(malformed("1 to 64 streams can be listed"))
            }
            _ => Ok(()),
        }
    }
}

/// In ascending order, so that one list has one encoding.
fn listed(r: &mut Reader<'_>) -> Result<BTreeSet<StreamId>, Error> {
    let count = r.u8().map_err(wrong)?;
    if usize::from(count) > PermitStreams::MAX_LISTED {
        return Err(malformed("1 to 64 streams can be listed"));
    }
    let mut streams = BTreeSet::new();
    for _ in 0..count {
        let stream = StreamId(r.array().map_err(wrong)?);
        if streams.last().is_some_and(|last| *last >= stream) {
            return Err(malformed("streams are not in ascending order"));
        }
        streams.insert(stream);
    }
    Ok(streams)
}

const fn malformed(why: &'static str) -> Error {
    Error::Malformed { what: "permit", why }
}

const fn wrong(source: identity::Error) -> Error {
    Error::Identity { what: "permit", source }
}
