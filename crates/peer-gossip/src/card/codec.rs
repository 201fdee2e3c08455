//! The bytes of a card (spec 53 section 2).

use super::{Card, Kind, MAX_ADDRESSES, VerifiedCard};
use crate::Error;
use av_wire::permit::{MAX_PERMIT_LEN, Permit};
use control_wire::{DirectPort, PeerAddress};
use core_types::{KeyId, SessionId, WallTime};
use identity::canonical::{Reader, Writer};
use identity::{Domain, HybridSignature, Identity, PublicIdentity};
use std::net::{IpAddr, SocketAddr};

const DOMAIN: Domain = Domain::new("holomesh peer card v1");
const VERSION: u8 = 1;
const RELAY: u8 = 1;
const WATCHER: u8 = 2;
const V4: u8 = 4;
const V6: u8 = 6;
const NONE: u8 = 0;
const SOME: u8 = 1;
/// Version, session, identity, kind, issued, endpoint, how many addresses.
const HEAD_LEN: usize = 1 + 32 + PublicIdentity::LEN + 1 + 8 + 32 + 1;
/// Family, address, port.
const ADDRESS_LEN: usize = 1 + 16 + 2;
/// A direct port or none, its number, the permit's length.
const TAIL_LEN: usize = 1 + 2 + 4;
/// What stands before the holder's KeyId in a permit (spec 56.2.1): version, session and issuer.
const BEFORE_HOLDER: usize = 1 + 32 + 32;

pub(super) const MAX_LEN: usize =
    HEAD_LEN + MAX_ADDRESSES * ADDRESS_LEN + TAIL_LEN + MAX_PERMIT_LEN + HybridSignature::LEN;

impl Card {
    /// Signs the card: its canonical bytes, then the hybrid signature. Nothing is looked at but its form: whether the permit in it
    /// is good, its readers check, and so can the signer with [`Card::verify`].
    ///
    /// # Errors
    /// [`Error::Input`] if `advertiser` is not the identity in the card, and for a form that [`Card::verify`] would refuse;
    /// [`Error::Identity`] when the cryptographic library fails.
    pub fn sign(&self, advertiser: &Identity) -> Result<Vec<u8>, Error> {
        let refused = |why| Error::Input { what: "peer card", why };
        if *advertiser.public() != self.identity {
            return Err(refused("it is to be signed by the identity that it names"));
        }
        let mut bytes = self.canonical().map_err(refused)?;
        let signature = advertiser.sign(DOMAIN, &bytes).map_err(wrong)?;
        bytes.extend_from_slice(&signature.to_bytes());
        Ok(bytes)
    }

    /// Reads and verifies a signed card: that it is of this session, that who it names signed it, and that the session's host has
    /// permitted who it names, as what it says to be, now.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Malformed`], [`Error::Identity`], [`Error::OtherSession`] or [`Error::Permit`]: it is none;
    /// [`Error::NotYet`], or [`Error::Permit`] that is nobody's fault: not now.
    pub fn verify(
        bytes: &[u8],
        session: SessionId,
        host: &PublicIdentity,
        now: WallTime,
    ) -> Result<VerifiedCard, Error> {
        Parts::read(bytes)?.verify(session, host, now)
    }

    /// The signed bytes, or why there are none.
    fn canonical(&self) -> Result<Vec<u8>, &'static str> {
        self.refuse_nonsense()?;
        let mut w = Writer::with_capacity(MAX_LEN);
        w.u8(VERSION).fixed(self.session.as_bytes()).fixed(&self.identity.to_bytes());
        w.u8(match self.kind {
            Kind::Relay => RELAY,
            Kind::Watcher => WATCHER,
        });
        w.u64(self.issued_at.0).fixed(&self.address.endpoint);
        w.u8(u8::try_from(self.address.addresses.len()).map_err(|_| TOO_MANY)?);
        for at in &self.address.addresses {
            match at.ip() {
                IpAddr::V4(ip) => w.u8(V4).fixed(&ip.octets()),
                IpAddr::V6(ip) => w.u8(V6).fixed(&ip.octets()),
            };
            w.u16(at.port());
        }
        match &self.address.direct {
            None => w.u8(NONE),
            Some(direct) => w.u8(SOME).u16(direct.port),
        };
        w.bytes("permit", &self.permit, MAX_PERMIT_LEN).map_err(|_| "its permit is longer than any")?;
        Ok(w.into_bytes())
    }

    fn refuse_nonsense(&self) -> Result<(), &'static str> {
        let PeerAddress { addresses, direct, .. } = &self.address;
        if addresses.len() > MAX_ADDRESSES {
            return Err(TOO_MANY);
        }
        if addresses.iter().any(|at| at.port() == 0 || at.ip().is_unspecified()) {
            return Err("an address that can't be dialled: it has no port, or is the unspecified one");
        }
        // Compared as they are written, without what IPv6 addresses may have beside address and port.
        let place = |at: &SocketAddr| (at.ip(), at.port());
        if (1..addresses.len()).any(|n| addresses[..n].iter().any(|at| place(at) == place(&addresses[n]))) {
            return Err("an address is listed twice");
        }
        match direct {
            Some(direct) if direct.port == 0 => Err("the port of direct links is 0"),
            Some(direct) if direct.key_id != self.identity.key_id().0 => {
                Err("direct links are taken under another identity")
            }
            _ => Ok(()),
        }
    }
}

/// A card in its parts, none of which is proven yet: reading costs neither a signature nor a hash, so that what was seen before is
/// told apart first.
#[derive(Debug, Clone)]
pub(crate) struct Parts<'a> {
    payload: &'a [u8],
    signature: &'a [u8; HybridSignature::LEN],
    session: SessionId,
    identity: &'a [u8],
    kind: Kind,
    endpoint: [u8; 32],
    addresses: Vec<SocketAddr>,
    direct: Option<u16>,
    permit: &'a [u8],
    /// Whose it is, if it is what it says.
    pub(crate) advertiser: KeyId,
    /// The serial number of its permit, likewise.
    pub(crate) serial: u64,
    /// When it was made, as it says.
    pub(crate) issued_at: WallTime,
}

impl<'a> Parts<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_LEN {
            return Err(Error::TooLarge { what: "peer card", have: bytes.len(), limit: MAX_LEN });
        }
        let Some((payload, signature)) = bytes.split_last_chunk() else {
            return Err(malformed("it is shorter than a signature"));
        };
        let mut r = Reader::new(payload);
        if r.u8().map_err(wrong)? != VERSION {
            return Err(malformed("unknown version"));
        }
        let session = SessionId(r.array().map_err(wrong)?);
        let identity = r.fixed(PublicIdentity::LEN).map_err(wrong)?;
        let kind = match r.u8().map_err(wrong)? {
            RELAY => Kind::Relay,
            WATCHER => Kind::Watcher,
            _ => return Err(malformed("the peer is neither a relay nor a watcher")),
        };
        let issued_at = WallTime(r.u64().map_err(wrong)?);
        let endpoint = r.array().map_err(wrong)?;
        let addresses = addresses(&mut r)?;
        let direct = match r.u8().map_err(wrong)? {
            NONE => None,
            SOME => Some(r.u16().map_err(wrong)?),
            _ => return Err(malformed("direct links are neither taken nor not")),
        };
        let permit = r.bytes(MAX_PERMIT_LEN).map_err(wrong)?;
        r.finish().map_err(wrong)?;
        let (advertiser, serial) = holder(permit).map_err(wrong)?;
        Ok(Self {
            payload,
            signature,
            session,
            identity,
            kind,
            endpoint,
            addresses,
            direct,
            permit,
            advertiser,
            serial,
            issued_at,
        })
    }

    /// What costs least comes first: two hybrid signatures are verified for what could be a card of this session.
    pub(crate) fn verify(
        self,
        session: SessionId,
        host: &PublicIdentity,
        now: WallTime,
    ) -> Result<VerifiedCard, Error> {
        let peer = self.advertiser;
        if self.session != session {
            return Err(Error::OtherSession { peer });
        }
        let identity = PublicIdentity::from_bytes(self.identity).map_err(wrong)?;
        if identity.key_id() != peer {
            return Err(malformed("its permit is somebody else's"));
        }
        let direct = self.direct.map(|port| DirectPort { port, key_id: peer.0 });
        let card = Card {
            session,
            identity,
            address: PeerAddress { endpoint: self.endpoint, addresses: self.addresses, direct },
            kind: self.kind,
            issued_at: self.issued_at,
            permit: self.permit.to_vec(),
        };
        card.refuse_nonsense().map_err(malformed)?;
        let signature = HybridSignature::from_bytes(self.signature).map_err(wrong)?;
        card.identity.verify(DOMAIN, self.payload, &signature).map_err(wrong)?;
        let permit = Permit::verify(self.permit, host).map_err(|source| Error::Permit { peer, source })?;
        let card = VerifiedCard { card, permit };
        card.check_time(now)?;
        Ok(card)
    }
}

const TOO_MANY: &str = "it has more than 8 addresses";

fn addresses(r: &mut Reader<'_>) -> Result<Vec<SocketAddr>, Error> {
    let count = usize::from(r.u8().map_err(wrong)?);
    if count > MAX_ADDRESSES {
        return Err(malformed(TOO_MANY));
    }
    let mut addresses = Vec::with_capacity(count);
    for _ in 0..count {
        let ip = match r.u8().map_err(wrong)? {
            V4 => IpAddr::from(r.array::<4>().map_err(wrong)?),
            V6 => IpAddr::from(r.array::<16>().map_err(wrong)?),
            _ => return Err(malformed("an address is neither IPv4 nor IPv6")),
        };
        addresses.push(SocketAddr::new(ip, r.u16().map_err(wrong)?));
    }
    Ok(addresses)
}

/// Whose a permit is, and its serial number. All of it is read when it is verified.
fn holder(permit: &[u8]) -> Result<(KeyId, u64), identity::Error> {
    let mut r = Reader::new(permit);
    let _before = r.fixed(BEFORE_HOLDER)?;
    let holder = KeyId(r.array()?);
    let _role = r.u8()?;
    Ok((holder, r.u64()?))
}

const fn malformed(why: &'static str) -> Error {
    Error::Malformed { what: "peer card", why }
}

const fn wrong(source: identity::Error) -> Error {
    Error::Identity { what: "peer card", source }
}
