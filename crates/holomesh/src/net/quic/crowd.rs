//! Those who dial at once: how many handshakes are under way, whose they are, and who waits.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Handshakes under way at once; more wait.
pub(super) const HANDSHAKES: usize = 64;
/// Of these so many from one neighbourhood: whoever begins handshakes and does not end them keeps others waiting no longer than
/// its neighbours do.
const HANDSHAKES_EACH: usize = HANDSHAKES / 2;
/// Diallers that wait, and of one neighbourhood; more are refused.
const WAITING: usize = 2_048;
const WAITING_EACH: usize = 1_024;

/// An IPv4 address, or a /64 of IPv6, which is what one subscriber of a provider has. Only one that was proven counts: anybody
/// can send in anybody's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Neighbourhood(IpAddr);

impl Neighbourhood {
    pub(super) fn of(address: SocketAddr) -> Self {
        Self(match address.ip().to_canonical() {
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            ip => ip,
        })
    }
}

/// Who dials, `T` being what is known of one dialler.
#[derive(Debug)]
pub(super) struct Crowd<T> {
    under_way: usize,
    each: BTreeMap<Neighbourhood, usize>,
    waiting: VecDeque<(Option<Neighbourhood>, T)>,
}

impl<T> Crowd<T> {
    pub(super) const fn new() -> Self {
        Self { under_way: 0, each: BTreeMap::new(), waiting: VecDeque::new() }
    }

    /// Handshakes under way.
    pub(super) const fn under_way(&self) -> usize {
        self.under_way
    }

    /// Somebody dials. Given back if too many wait.
    pub(super) fn push(&mut self, of: Option<Neighbourhood>, dialler: T) -> Result<(), T> {
        let of_these = self.waiting.iter().filter(|(other, _)| of.is_some() && *other == of).count();
        if self.waiting.len() >= WAITING || of_these >= WAITING_EACH {
            return Err(dialler);
        }
        self.waiting.push_back((of, dialler));
        Ok(())
    }

    /// The next whose handshake may begin. It is under way until [`ended`](Self::ended).
    pub(super) fn next(&mut self) -> Option<(Option<Neighbourhood>, T)> {
        if self.under_way >= HANDSHAKES {
            return None;
        }
        let may = |of: &Option<Neighbourhood>| {
            of.is_none_or(|of| self.each.get(&of).is_none_or(|count| *count < HANDSHAKES_EACH))
        };
        let at = self.waiting.iter().position(|(of, _)| may(of))?;
        let (of, dialler) = self.waiting.remove(at)?;
        self.under_way += 1;
        if let Some(of) = of {
            *self.each.entry(of).or_default() += 1;
        }
        Some((of, dialler))
    }

    /// A handshake is over.
    pub(super) fn ended(&mut self, of: Option<Neighbourhood>) {
        self.under_way = self.under_way.saturating_sub(1);
        if let Some(of) = of
            && let Some(count) = self.each.get_mut(&of)
        {
            *count -= 1;
            if *count == 0 {
                self.each.remove(&of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Option<Neighbourhood> {
        Some(Neighbourhood::of(address.parse().unwrap()))
    }

    #[test]
    fn one_neighbourhood_keeps_nobody_else_out() {
        let (one, other) = (of("192.0.2.1:1000"), of("192.0.2.2:1000"));
        let mut crowd = Crowd::new();
        for n in 0..WAITING_EACH {
            crowd.push(one, n).unwrap();
        }
        assert_eq!(crowd.push(one, 9_999), Err(9_999), "it has its share of those who wait");
        let begun = std::iter::from_fn(|| crowd.next()).count();
        assert_eq!((begun, crowd.under_way()), (HANDSHAKES_EACH, HANDSHAKES_EACH));
        crowd.push(other, 5_000).unwrap();
        crowd.push(None, 5_001).unwrap();
        assert_eq!(crowd.next(), Some((other, 5_000)));
        assert_eq!(crowd.next(), Some((None, 5_001)));
        assert_eq!(crowd.next(), None);
        crowd.ended(one);
        assert_eq!(crowd.next(), Some((one, HANDSHAKES_EACH)), "in their order");
        (0..HANDSHAKES_EACH).for_each(|_| crowd.ended(one));
        crowd.ended(other);
        crowd.ended(None);
        assert_eq!((crowd.under_way(), crowd.each.len()), (0, 0));
    }

    #[test]
    fn all_together_are_bounded_too() {
        let mut crowd = Crowd::new();
        let someone = |n: usize| of(&format!("198.51.{}.{}:7", n / 256, n % 256));
        for n in 0..WAITING {
            crowd.push(someone(n), n).unwrap();
        }
        assert_eq!(crowd.push(someone(WAITING), WAITING), Err(WAITING));
        assert_eq!(std::iter::from_fn(|| crowd.next()).count(), HANDSHAKES);
        crowd.push(someone(WAITING), WAITING).unwrap();
    }

    #[test]
    fn a_neighbourhood_is_an_address_or_what_a_provider_gives() {
        assert_eq!(of("192.0.2.1:1"), of("[::ffff:192.0.2.1]:2"));
        assert_ne!(of("192.0.2.1:1"), of("192.0.2.2:1"));
        assert_eq!(of("[2001:db8:1:2:3::1]:1"), of("[2001:db8:1:2:4::9]:1"));
        assert_ne!(of("[2001:db8:1:2::1]:1"), of("[2001:db8:1:3::1]:1"));
    }
}
