//! The bytes of a capacity claim (spec 55 section 2).

use super::{CapacityClaim, Commitment, Load, MAX_LIFETIME, SubStreamPath, VerifiedClaim, later};
use crate::Error;
use core_types::{BitRate, Epoch, KeyId, Layer, StreamId, WallTime};
use identity::canonical::{Reader, Writer};
use identity::{Domain, HybridSignature, Identity, PublicIdentity};

const DOMAIN: Domain = Domain::new("holomesh capacity claim v4");
/// Versions 1 and 2 were the predecessor's; version 3 said nothing of load and way.
const VERSION: u8 = 4;
const ANY: u8 = 0;
const ONE: u8 = 1;
/// Version, advertiser, any stream or one, which, epoch, counter, uplink, streams, subscribers, layers, two times, how many
/// commitments.
const HEAD_LEN: usize = 1 + 32 + 1 + 32 + 8 + 8 + 4 + 2 + 2 + 3 + 2 * 8 + 1;
/// Length and path, budget, subscribers.
const COMMITMENT_LEN: usize = 4 + SubStreamPath::MAX_LEN + 4 + 2;
/// Streams, subscribers, uplink in use; how many peers, and those.
const PRESENT_LEN: usize = 2 + 2 + 4 + 1 + CapacityClaim::MAX_WAY * 32;

pub(super) const MAX_LEN: usize =
    HEAD_LEN + CapacityClaim::MAX_COMMITMENTS * COMMITMENT_LEN + PRESENT_LEN + HybridSignature::LEN;

impl CapacityClaim {
    /// Signs the claim: its canonical bytes, which hold every field, then the hybrid signature.
    ///
    /// # Errors
    /// [`Error::Input`] if `advertiser` is not the claim's, and for what [`CapacityClaim::verify`] would refuse;
    /// [`Error::Identity`] when the cryptographic library fails.
    pub fn sign(&self, advertiser: &Identity) -> Result<Vec<u8>, Error> {
        let refused = |why| Error::Input { what: "capacity claim", why };
        if advertiser.key_id() != self.advertiser {
            return Err(refused(OTHER_SIGNER));
        }
        let mut bytes = self.canonical().map_err(refused)?;
        let signature = advertiser.sign(DOMAIN, &bytes)?;
        bytes.extend_from_slice(&signature.to_bytes());
        Ok(bytes)
    }

    /// Reads and verifies a signed claim. Whether it is good now is for [`CapacityClaim::check_time`], and whether it is the
    /// newest of its advertiser for a [`ClaimStore`](super::ClaimStore).
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::Identity`]: it is not one that `advertiser` signed.
    pub fn verify(bytes: &[u8], advertiser: &PublicIdentity) -> Result<VerifiedClaim, Error> {
        if bytes.len() > MAX_LEN {
            return Err(malformed("it is longer than any"));
        }
        let Some((payload, signature)) = bytes.split_last_chunk::<{ HybridSignature::LEN }>() else {
            return Err(malformed("it is shorter than a signature"));
        };
        // What costs least comes first: the two signatures are verified for bytes that could be a claim of this peer.
        let claim = Self::parse(payload)?;
        if claim.advertiser != advertiser.key_id() {
            return Err(malformed(OTHER_SIGNER));
        }
        let signature = HybridSignature::from_bytes(signature)?;
        advertiser.verify(DOMAIN, payload, &signature)?;
        Ok(VerifiedClaim(claim))
    }

    /// The signed bytes, or why there are none: whose fault that is, the caller knows.
    fn canonical(&self) -> Result<Vec<u8>, &'static str> {
        self.refuse_nonsense()?;
        let mut w = Writer::with_capacity(MAX_LEN);
        w.u8(VERSION).fixed(self.advertiser.as_bytes());
        match self.stream {
            None => w.u8(ANY),
            Some(stream) => w.u8(ONE).fixed(stream.as_bytes()),
        };
        w.u64(self.epoch.0).u64(self.counter).u32(kbit(self.uplink)?);
        w.u16(self.max_streams).u16(self.max_subscribers);
        w.u8(self.layers.spatial).u8(self.layers.temporal).u8(self.layers.quality);
        w.u64(self.issued_at.0).u64(self.valid_until.0);
        w.u8(u8::try_from(self.commitments.len()).map_err(|_| TOO_MANY)?);
        for Commitment { path, budget, max_subscribers } in &self.commitments {
            w.bytes("path of a commitment", &path.0, SubStreamPath::MAX_LEN)
                .map_err(|_| "a path has more than 16 steps")?;
            w.u32(kbit(*budget)?).u16(*max_subscribers);
        }
        let Load { streams, subscribers, used } = self.load;
        w.u16(streams).u16(subscribers).u32(kbit(used)?);
        w.u8(u8::try_from(self.way.len()).map_err(|_| TOO_FAR)?);
        for peer in &self.way {
            w.fixed(peer.as_bytes());
        }
        Ok(w.into_bytes())
    }

    fn parse(payload: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(payload);
        if r.u8()? != VERSION {
            return Err(malformed("unknown version"));
        }
        let advertiser = KeyId(r.array()?);
        let stream = match r.u8()? {
            ANY => None,
            ONE => Some(StreamId(r.array()?)),
            _ => return Err(malformed("it is neither for any stream nor for one")),
        };
        let epoch = Epoch(r.u64()?);
        let counter = r.u64()?;
        let uplink = BitRate::from_kbit(r.u32()?.into());
        let max_streams = r.u16()?;
        let max_subscribers = r.u16()?;
        let layers = Layer { spatial: r.u8()?, temporal: r.u8()?, quality: r.u8()? };
        let issued_at = WallTime(r.u64()?);
        let valid_until = WallTime(r.u64()?);
        let commitments = commitments(&mut r)?;
        let load =
            Load { streams: r.u16()?, subscribers: r.u16()?, used: BitRate::from_kbit(r.u32()?.into()) };
        let way = way(&mut r)?;
        r.finish()?;
        let claim = Self {
            advertiser,
            stream,
            epoch,
            counter,
            uplink,
            max_streams,
            max_subscribers,
            layers,
            commitments,
            load,
            way,
            issued_at,
            valid_until,
        };
        claim.refuse_nonsense().map_err(malformed)?;
        Ok(claim)
    }

    fn refuse_nonsense(&self) -> Result<(), &'static str> {
        if self.valid_until <= self.issued_at {
            return Err("it ends before it begins");
        }
        // Where this saturates there is no later time that would be too late.
        if self.valid_until > later(self.issued_at, MAX_LIFETIME) {
            return Err("it is good for more than 60 s");
        }
        if self.commitments.len() > Self::MAX_COMMITMENTS {
            return Err(TOO_MANY);
        }
        // One order, and no path twice: one list has one encoding, and a path one budget.
        if !self.commitments.is_sorted_by(|one, next| one.path < next.path) {
            return Err("commitments are not in ascending order");
        }
        let set_aside = self.commitments.iter().fold(0_u64, |sum, own| sum.saturating_add(own.budget.0));
        if set_aside > self.uplink.0 {
            return Err("commitments are more than the uplink");
        }
        if self.way.len() > Self::MAX_WAY {
            return Err(TOO_FAR);
        }
        // Nobody has anything by way of itself, nor twice by way of somebody else.
        let mut above = core::iter::once(&self.advertiser).chain(&self.way);
        while let Some(peer) = above.next() {
            if above.clone().any(|other| other == peer) {
                return Err("a peer is on the way twice");
            }
        }
        Ok(())
    }
}

const OTHER_SIGNER: &str = "the signer is not the advertiser";
const TOO_MANY: &str = "there are more than 64 commitments";
const TOO_FAR: &str = "there are more than 8 peers on the way";

fn commitments(r: &mut Reader<'_>) -> Result<Vec<Commitment>, Error> {
    let count = usize::from(r.u8()?);
    if count > CapacityClaim::MAX_COMMITMENTS {
        return Err(malformed(TOO_MANY));
    }
    let mut commitments = Vec::with_capacity(count);
    for _ in 0..count {
        commitments.push(Commitment {
            path: SubStreamPath(r.bytes(SubStreamPath::MAX_LEN)?.to_vec()),
            budget: BitRate::from_kbit(r.u32()?.into()),
            max_subscribers: r.u16()?,
        });
    }
    Ok(commitments)
}

fn way(r: &mut Reader<'_>) -> Result<Vec<KeyId>, Error> {
    let count = usize::from(r.u8()?);
    if count > CapacityClaim::MAX_WAY {
        return Err(malformed(TOO_FAR));
    }
    let mut way = Vec::with_capacity(count);
    for _ in 0..count {
        way.push(KeyId(r.array()?));
    }
    Ok(way)
}

/// As it is written. What is not whole is refused, not rounded: what is verified is what was signed.
fn kbit(rate: BitRate) -> Result<u32, &'static str> {
    if !rate.0.is_multiple_of(1_000) {
        return Err("a rate is not in whole kbit/s");
    }
    u32::try_from(rate.0 / 1_000).map_err(|_| "a rate is above 2^32 - 1 kbit/s")
}

const fn malformed(why: &'static str) -> Error {
    Error::Malformed { what: "capacity claim", why }
}
