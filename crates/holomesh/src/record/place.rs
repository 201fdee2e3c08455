//! Where a node with a store is found, as text: for `store fetch` and `consent revoke`.

use crate::Error;
use crate::net::PeerAddress;
use core_types::KeyId;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// A node's transport key and addresses: `KEY@ADDRESS:PORT`, more addresses after commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(pub PeerAddress);

/// As many addresses as a ticket has.
const MAX_ADDRESSES: usize = 16;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text form of all 32-byte ids.
        write!(f, "{}@", KeyId(self.0.endpoint))?;
        for (n, address) in self.0.addresses.iter().enumerate() {
            write!(f, "{}{address}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || {
            let what: String = text.chars().take(80).collect();
            Error::input(
                what,
                "no place of a store: write KEY@ADDRESS:PORT, as `holomesh store serve` prints it",
            )
        };
        let (key, addresses) = text.trim().split_once('@').ok_or_else(bad)?;
        let endpoint = key.parse::<KeyId>().map_err(|_| bad())?.0;
        let addresses: Result<Vec<SocketAddr>, _> =
            addresses.split(',').take(MAX_ADDRESSES + 1).map(str::parse).collect();
        let addresses =
            addresses.ok().filter(|addresses| addresses.len() <= MAX_ADDRESSES).ok_or_else(bad)?;
        Ok(Self(PeerAddress { endpoint, addresses, direct: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_what_is_none_is_refused() {
        let addresses = vec!["127.0.0.1:9".parse().unwrap(), "[::1]:10".parse().unwrap()];
        let place = Place(PeerAddress { endpoint: [7; 32], addresses, direct: None });
        let text = place.to_string();
        assert!(text.ends_with("@127.0.0.1:9,[::1]:10"), "{text}");
        assert_eq!(text.parse::<Place>().unwrap(), place);
        let many = format!("{text}{}", ",127.0.0.1:9".repeat(15));
        for wrong in ["", "127.0.0.1:9", &text[1..], text.split(':').next().unwrap(), &many] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
