//! Cookies: how a listener knows that somebody is at an address, without remembering anybody (spec 35 section 9).

use crate::packet::HandshakeId;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use core_types::MonoTime;
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a cookie: which secret, then a MAC.
pub(crate) const COOKIE_LEN: usize = 17;

/// What a listener gives to an address. Opaque to all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cookie([u8; COOKIE_LEN]);

impl Cookie {
    pub(crate) const fn from_bytes(bytes: [u8; COOKIE_LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; COOKIE_LEN] {
        &self.0
    }
}

/// Makes and checks cookies. The secret changes with every period and the one before it still counts, so that a cookie
/// lives for one period at least and two at most.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Baker {
    current: [u8; 32],
    previous: [u8; 32],
    #[zeroize(skip)]
    number: u8,
    #[zeroize(skip)]
    since: MonoTime,
    #[zeroize(skip)]
    period: Duration,
}

impl Baker {
    pub(crate) fn new(now: MonoTime, period: Duration, rng: &mut dyn CryptoRng) -> Self {
        let mut baker = Self { current: [0; 32], previous: [0; 32], number: 0, since: now, period };
        rng.fill_bytes(&mut baker.current);
        rng.fill_bytes(&mut baker.previous);
        baker
    }

    /// Changes the secret when it is time.
    pub(crate) fn turn(&mut self, now: MonoTime, rng: &mut dyn CryptoRng) {
        // Whole periods: late calls don't make cookies live longer.
        let periods = now.since(self.since).as_micros() / self.period.as_micros().max(1);
        if periods == 0 {
            return;
        }
        self.previous = self.current;
        rng.fill_bytes(&mut self.current);
        if periods > 1 {
            rng.fill_bytes(&mut self.previous);
        }
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        self.number = self.number.wrapping_add(periods as u8);
        self.since = self.since.plus(self.period.saturating_mul(periods));
    }

    pub(crate) fn bake(&self, address: SocketAddr, id: HandshakeId) -> Cookie {
        cookie(self.number, &self.current, address, id)
    }

    /// In constant time, as far as the MAC goes.
    pub(crate) fn accepts(&self, address: SocketAddr, id: HandshakeId, shown: &Cookie) -> bool {
        let secret = match self.number.wrapping_sub(shown.0[0]) {
            0 => &self.current,
            1 => &self.previous,
            _ => return false,
        };
        cookie(shown.0[0], secret, address, id).0.ct_eq(&shown.0).into()
    }
}

fn cookie(number: u8, secret: &[u8; 32], address: SocketAddr, id: HandshakeId) -> Cookie {
    let mut bytes = [number; COOKIE_LEN];
    // HMAC takes keys of any length.
    if let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(secret) {
        mac.update(b"holomesh link cookie v1");
        match address.ip() {
            IpAddr::V4(ip) => {
                mac.update(&[4]);
                mac.update(&ip.octets());
            }
            IpAddr::V6(ip) => {
                mac.update(&[6]);
                mac.update(&ip.octets());
            }
        }
        mac.update(&address.port().to_be_bytes());
        mac.update(id.as_bytes());
        bytes[1..].copy_from_slice(&mac.finalize().into_bytes()[..COOKIE_LEN - 1]);
    }
    Cookie(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    const PERIOD: Duration = Duration::from_secs(15);

    fn at(seconds: u64) -> MonoTime {
        MonoTime::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_cookie_holds_for_its_address_and_handshake_alone() {
        let mut rng = StdRng::seed_from_u64(1);
        let baker = Baker::new(at(0), PERIOD, &mut rng);
        let here: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let (id, other) = (HandshakeId::of(b"a"), HandshakeId::of(b"b"));
        let cookie = baker.bake(here, id);
        assert!(baker.accepts(here, id, &cookie));
        assert!(!baker.accepts(here, other, &cookie));
        for elsewhere in ["192.0.2.1:4001", "192.0.2.2:4000", "[::ffff:192.0.2.1]:4000"] {
            assert!(!baker.accepts(elsewhere.parse().unwrap(), id, &cookie), "{elsewhere}");
        }
        for byte in 0..COOKIE_LEN {
            let mut altered = *cookie.as_bytes();
            altered[byte] ^= 1;
            assert!(!baker.accepts(here, id, &Cookie::from_bytes(altered)), "byte {byte}");
        }
        assert!(!Baker::new(at(0), PERIOD, &mut rng).accepts(here, id, &cookie), "another listener's");
    }

    #[test]
    fn a_cookie_expires_after_one_to_two_periods() {
        let here: SocketAddr = "[2001:db8::1]:4000".parse().unwrap();
        let id = HandshakeId::of(b"a");
        for (looks, lives) in
            [(&[14][..], true), (&[15], true), (&[16, 29], true), (&[29, 31], false), (&[31], false)]
        {
            let mut rng = StdRng::seed_from_u64(1);
            let mut baker = Baker::new(at(0), PERIOD, &mut rng);
            let cookie = baker.bake(here, id);
            for &look in looks {
                baker.turn(at(look), &mut rng);
            }
            assert_eq!(baker.accepts(here, id, &cookie), lives, "{looks:?}");
        }
    }

    #[test]
    fn a_cookie_does_not_come_back_when_the_number_wraps() {
        let here: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        let id = HandshakeId::of(b"a");
        let mut rng = StdRng::seed_from_u64(1);
        let mut baker = Baker::new(at(0), PERIOD, &mut rng);
        let cookie = baker.bake(here, id);
        for turn in 1..=256u64 {
            baker.turn(at(15 * turn), &mut rng);
        }
        assert_eq!(baker.bake(here, id).as_bytes()[0], cookie.as_bytes()[0]);
        assert!(!baker.accepts(here, id, &cookie));
    }
}
