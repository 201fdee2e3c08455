//! What a host prints and a watcher or relay types: where the host is, who it is, and the right to knock.

use crate::Error;
use crate::net::{DirectPort, Link, PeerAddress, Role};
use core::fmt;
use core::str::FromStr;
use core_types::{KeyId, SessionId};
use data_encoding::BASE32_NOPAD;
use identity::canonical::{Reader, Writer};
use std::net::{IpAddr, SocketAddr};

const PREFIX: &str = "holomesh1";
const MAX_ADDRESSES: usize = 16;
const MAX_TEXT: usize = 2_048;

/// A session's address and invitation. It contains the invitation secret: whoever has the ticket may join.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The host's identity.
    pub host: KeyId,
    /// The session.
    pub session: SessionId,
    /// The host's transport key.
    pub endpoint: [u8; 32],
    /// Where the host listens.
    pub addresses: Vec<SocketAddr>,
    /// The UDP port at which it takes direct links, if it does.
    pub direct: Option<u16>,
    /// What a joiner has to present.
    pub invitation: [u8; 16],
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("host", &self.host)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut w = Writer::new();
        w.fixed(self.host.as_bytes())
            .fixed(self.session.as_bytes())
            .fixed(&self.endpoint)
            .fixed(&self.invitation);
        let addresses = &self.addresses[..self.addresses.len().min(MAX_ADDRESSES)];
        w.u8(addresses.len() as u8);
        for address in addresses {
            match address.ip() {
                IpAddr::V4(ip) => w.u8(4).fixed(&ip.octets()),
                IpAddr::V6(ip) => w.u8(6).fixed(&ip.octets()),
            };
            w.u16(address.port());
        }
        // 0 is no port.
        w.u16(self.direct.unwrap_or(0));
        let mut bytes = w.into_bytes();
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for Ticket {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| {
            Error::input("ticket", format!("{why}; copy the whole line that `holomesh host` prints"))
        };
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(bad("it is too long"));
        }
        let encoded = text.strip_prefix(PREFIX).ok_or_else(|| bad("it does not begin with `holomesh1`"))?;
        let bytes = BASE32_NOPAD
            .decode(encoded.to_ascii_uppercase().as_bytes())
            .map_err(|_| bad("it has characters that no ticket has, or was cut short"))?;
        let (body, sum) =
            bytes.split_at_checked(bytes.len().saturating_sub(4)).ok_or_else(|| bad("it was cut short"))?;
        if checksum(body) != sum {
            return Err(bad("its checksum does not fit: a character is wrong or missing"));
        }
        Self::parse(body).ok().flatten().ok_or_else(|| bad("its content is malformed"))
    }
}

impl Ticket {
    /// Where to dial the host.
    pub fn address(&self) -> PeerAddress {
        let direct = self.direct.map(|port| DirectPort { port, key_id: self.host.0 });
        PeerAddress { endpoint: self.endpoint, addresses: self.addresses.clone(), direct }
    }

    /// Whoever answered there must be the host that the ticket names.
    ///
    /// # Errors
    /// [`Error::Peer`] if it is somebody else.
    pub fn check_host(&self, link: &Link) -> Result<(), Error> {
        if link.peer.key_id() == self.host && link.peer.role == Role::Host {
            return Ok(());
        }
        let peer = link.peer.key_id().to_string();
        Err(Error::Peer { peer, why: "it is not the host that the ticket names".into() })
    }

    /// `None` for an address family that there is not.
    fn parse(body: &[u8]) -> Result<Option<Self>, identity::Error> {
        let mut r = Reader::new(body);
        let (host, session) = (KeyId(r.array()?), SessionId(r.array()?));
        let (endpoint, invitation) = (r.array()?, r.array()?);
        let mut addresses = Vec::new();
        for _ in 0..r.u8()?.min(MAX_ADDRESSES as u8) {
            let ip = match r.u8()? {
                4 => IpAddr::from(r.array::<4>()?),
                6 => IpAddr::from(r.array::<16>()?),
                _ => return Ok(None),
            };
            addresses.push(SocketAddr::new(ip, r.u16()?));
        }
        let direct = Some(r.u16()?).filter(|port| *port != 0);
        r.finish()?;
        Ok(Some(Self { host, session, endpoint, addresses, direct, invitation }))
    }
}

/// Tells a mistyped ticket from a wrong one.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(bytes);
    [digest[0], digest[1], digest[2], digest[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticket() -> Ticket {
        Ticket {
            host: KeyId([1; 32]),
            session: SessionId([2; 32]),
            endpoint: [3; 32],
            addresses: vec!["127.0.0.1:4433".parse().unwrap(), "[::1]:9".parse().unwrap()],
            direct: Some(4_434),
            invitation: [4; 16],
        }
    }

    #[test]
    fn a_ticket_survives_copy_and_paste() {
        let text = ticket().to_string();
        assert_eq!(format!(" {text}\n").parse::<Ticket>().unwrap(), ticket());
        assert_eq!(
            text.to_uppercase().replacen("HOLOMESH1", "holomesh1", 1).parse::<Ticket>().unwrap(),
            ticket()
        );
    }

    proptest! {
        #[test]
        fn a_mistyped_ticket_is_refused_with_a_hint(at in 9usize..200, c in "[a-z2-7]") {
            let mut text = ticket().to_string();
            let at = at.min(text.len() - 1);
            prop_assume!(text[at..=at] != c);
            text.replace_range(at..=at, &c);
            let error = text.parse::<Ticket>().unwrap_err().to_string();
            prop_assert!(error.contains("holomesh host"), "{}", error);
        }

        #[test]
        fn any_text_is_refused_without_panic(text in "\\PC{0,300}") {
            prop_assert!(text.parse::<Ticket>().is_err());
            let prefixed = format!("holomesh1{text}");
            prop_assert!(prefixed.parse::<Ticket>().is_err());
        }
    }

    #[test]
    fn debug_output_hides_the_invitation() {
        assert!(!format!("{:?}", ticket()).contains("4, 4"));
    }
}
