//! Addresses as keys.

use core::hash::{BuildHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

/// An address as every socket shows it: of both families' forms of an IPv4 address the shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AddressKey {
    ip: IpAddr,
    port: u16,
}

impl AddressKey {
    /// `None` for port 0, which is no peer's.
    pub(super) const fn new(address: SocketAddr) -> Option<Self> {
        if address.port() == 0 {
            return None;
        }
        Some(Self { ip: address.ip().to_canonical(), port: address.port() })
    }
}

impl Hash for AddressKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.ip {
            IpAddr::V4(ip) => state.write_u64(u64::from(ip.to_bits()) << 16 | u64::from(self.port)),
            IpAddr::V6(ip) => {
                let bits = ip.to_bits();
                state.write_u64((bits >> 64) as u64);
                state.write_u64(bits as u64);
                state.write_u16(self.port);
            }
        }
    }
}

/// Hashes few words quickly, each time by a multiplication of which both halves count, under a seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeded(pub(super) u64);

impl BuildHasher for Seeded {
    type Hasher = Fold;

    fn build_hasher(&self) -> Fold {
        Fold { seed: self.0, state: self.0.rotate_left(32) }
    }
}

#[derive(Debug)]
pub(super) struct Fold {
    seed: u64,
    state: u64,
}

/// Odd, and half of its bits set: the fraction of the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            self.write_u64(chunk.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        }
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.state ^ word ^ GOLDEN) * u128::from(self.seed | 1);
        self.state = (product >> 64) as u64 ^ product as u64 ^ word.rotate_left(17);
    }

    fn finish(&self) -> u64 {
        let product = u128::from(self.state) * u128::from(GOLDEN);
        (product >> 64) as u64 ^ product as u64
    }
}
