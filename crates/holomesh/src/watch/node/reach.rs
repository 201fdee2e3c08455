//! Whom the watcher dials: relays that the host names, and whom others know of; and how it was with them.

use super::spread::Dealt;
use super::{Dialled, Watcher};
use crate::Error;
use crate::net::{Link, PeerAddress};
use core_types::LinkId;
use std::time::{Duration, Instant};

/// A relay that could not be reached, sent us away or went away is dialled again after this time at most at first, and after twice
/// as long each further time, for as long as the host names it; and after half of that at least, so that those whom it left do
/// not all come back at once.
pub(super) const REDIAL: Duration = Duration::from_millis(500);
const REDIAL_MOST: Duration = Duration::from_secs(8);
/// Who could not be reached so often in a row is not looked for among those who were heard of.
const GIVEN_UP: u32 = 3;
/// After so long on a link, what failed before is forgotten.
const STEADY: Duration = Duration::from_secs(10);
/// Relays that are kept ready beyond those that carry stripes.
pub(super) const SPARES: usize = 2;

/// How it is with who was dialled at an address. That goes by the whole address: anybody may say that he is at somebody else's endpoint,
/// and nobody can be reached where he is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    Dialling {
        failures: u32,
    },
    Linked {
        link: LinkId,
        since: Instant,
        failures: u32,
    },
    /// It is left alone until then.
    Resting {
        until: Instant,
        failures: u32,
    },
}

impl Watcher {
    /// Dials the relays that the host names and we have no link to, a few more than there are stripes.
    pub(super) fn reach_relays(&mut self) {
        let now = Instant::now();
        self.redial_at = None;
        if self.snapshot.removed_in.is_some() {
            // Nobody serves us any more.
            return;
        }
        let candidates = self.candidates();
        self.reached.retain(|address, reached| {
            // Who is left alone is so also when it comes and goes, and each dial has an end.
            let stays = match reached {
                Reached::Linked { .. } | Reached::Dialling { .. } => true,
                Reached::Resting { until, .. } => *until > now,
            };
            stays || candidates.contains(address)
        });
        let parts = self.streams.values().map(|stream| usize::from(Dealt::of(stream).parts()));
        let wanted = parts.max().unwrap_or(4) + SPARES;
        for relay in candidates {
            if self.is_linked(&relay.endpoint) {
                continue;
            }
            let failures = match self.reached.get(&relay) {
                None => 0,
                Some(Reached::Resting { until, failures }) if *until <= now => *failures,
                Some(Reached::Resting { until, .. }) => {
                    self.redial_at = Some(self.redial_at.map_or(*until, |at| at.min(*until)));
                    continue;
                }
                Some(_) => continue,
            };
            // The host's relays do not wait for places that watchers have taken.
            let is_named = self.relays.contains(&relay);
            let active = self.reached.iter().filter(|(address, reached)| {
                self.is_of_use(reached) && (!is_named || self.relays.contains(address))
            });
            if active.count() >= wanted {
                continue;
            }
            self.reached.insert(relay.clone(), Reached::Dialling { failures });
            let (net, dialled) = (self.net.clone(), self.dialled.clone());
            tokio::spawn(async move {
                let link = net.connect(&relay).await;
                let _ = dialled.send(Dialled::Relay(relay, link)).await;
            });
        }
    }

    pub(super) fn handle_dialled(&mut self, dialled: Dialled) -> Result<(), Error> {
        match dialled {
            Dialled::Relay(address, link) => {
                self.relay_dialled(&address, link);
                Ok(())
            }
            Dialled::Host(link) => self.host_dialled(link),
        }
    }

    fn relay_dialled(&mut self, address: &PeerAddress, link: Result<Link, Error>) {
        match link {
            Ok(link) if self.is_linked(&address.endpoint) => {
                // It was dialled at two addresses.
                self.reached.remove(address);
                link.close("there is a link already");
            }
            Ok(link) if self.may_feed_us(address, &link) => self.relay_linked(address, link),
            Ok(link) => {
                tracing::info!(peer = %link.peer.key_id().short(), "not who was looked for");
                link.close("not who was looked for");
                self.dial_failed(address);
            }
            Err(error) => {
                tracing::debug!(%error, "a relay could not be reached");
                self.dial_failed(address);
            }
        }
    }

    fn relay_linked(&mut self, address: &PeerAddress, mut link: Link) {
        let id = link.id;
        let linked = Reached::Linked { link: id, since: Instant::now(), failures: self.failures(address) };
        self.reached.insert(address.clone(), linked);
        link.begin();
        self.links.insert(id, link);
        self.mesh.add_link(self.clock.now(), id);
        self.add_parent(id);
    }

    /// Nobody was reached there, or not who should be there.
    fn dial_failed(&mut self, address: &PeerAddress) {
        let failures = self.failures(address) + 1;
        self.rest(address.clone(), pause(failures), failures);
        if failures >= GIVEN_UP {
            self.mesh.set_aside(self.clock.now(), address);
        }
        if !self.reached.values().any(|r| !matches!(r, Reached::Resting { .. })) {
            self.first_contact.is_over();
            self.serve_by_host_if_alone();
        }
    }

    /// Whether there is a link to who has that transport key: it was proved.
    fn is_linked(&self, endpoint: &[u8; 32]) -> bool {
        let is_link = |reached: &Reached| matches!(reached, Reached::Linked { .. });
        self.reached.iter().any(|(address, reached)| address.endpoint == *endpoint && is_link(reached))
    }

    /// The relays to which there is a link and that the host does not name any more.
    pub(super) fn unnamed_relays(&self) -> Vec<LinkId> {
        let is_named = |endpoint: &[u8; 32]| self.relays.iter().any(|named| named.endpoint == *endpoint);
        let unnamed = self.reached.iter().filter(|(address, _)| !is_named(&address.endpoint));
        let links = unnamed.filter_map(|(_, reached)| match reached {
            Reached::Linked { link, .. } => Some(*link),
            _ => None,
        });
        links.filter(|link| self.feeder_of(*link).is_none()).collect()
    }

    /// How often a relay that is dialled has failed us in a row.
    fn failures(&self, address: &PeerAddress) -> u32 {
        match self.reached.get(address) {
            Some(Reached::Dialling { failures }) => *failures,
            _ => 0,
        }
    }

    /// The relay at the other end of a link, and how often it has failed us if it does now.
    pub(super) fn failing(&self, link: LinkId) -> Option<(PeerAddress, u32)> {
        self.reached.iter().find_map(|(address, reached)| match reached {
            Reached::Linked { link: known, since, failures } if *known == link => {
                let before = if since.elapsed() >= STEADY { 0 } else { *failures };
                Some((address.clone(), before + 1))
            }
            _ => None,
        })
    }

    /// Leaves a relay alone for a while.
    pub(super) fn rest(&mut self, address: PeerAddress, pause: Duration, failures: u32) {
        let until = Instant::now() + pause;
        self.reached.insert(address, Reached::Resting { until, failures });
        self.redial_at = Some(self.redial_at.map_or(until, |at| at.min(until)));
    }

    /// Whether there is a relay whose link has been there for so long.
    pub(super) fn has_steady_relay(&self, now: Instant, long: Duration) -> bool {
        self.reached.values().any(|reached| match reached {
            Reached::Linked { link, since, .. } => {
                now.duration_since(*since) >= long && self.feeder_of(*link).is_none() && !self.is_full(*link)
            }
            _ => false,
        })
    }
}

/// How long a relay is left alone that has failed us so often.
pub(super) fn pause(failures: u32) -> Duration {
    let mut random = [0; 2];
    if let Err(error) = crate::keyfile::fill_random(&mut random) {
        tracing::debug!(%error, "relays are dialled without jitter");
    }
    jittered(backoff(failures), u16::from_le_bytes(random))
}

fn backoff(failures: u32) -> Duration {
    (REDIAL * 2u32.saturating_pow(failures.saturating_sub(1).min(8))).min(REDIAL_MOST)
}

/// Between half of a pause and all of it.
fn jittered(pause: Duration, random: u16) -> Duration {
    pause / 2 + pause / 2 * u32::from(random) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn relays_that_stay_away_are_dialled_ever_less_often() {
        let pauses: Vec<u64> = (1..=7).map(|n| backoff(n).as_millis() as u64).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
        assert_eq!(backoff(u32::MAX), REDIAL_MOST);
    }

    #[test]
    fn not_everybody_comes_back_at_once() {
        let pauses = [0, u16::MAX / 2, u16::MAX].map(|random| jittered(REDIAL_MOST, random).as_millis());
        assert_eq!(pauses, [4_000, 5_999, 8_000]);
        let drawn: BTreeSet<Duration> = (0..100).map(|_| pause(5)).collect();
        assert!(drawn.len() > 50 && drawn.iter().all(|pause| (4_000..=8_000).contains(&pause.as_millis())));
    }
}
