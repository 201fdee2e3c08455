//! The link to the host: when it breaks, the watcher goes on with what its relays send, and comes back to the host.

use super::{Dialled, JOIN_TIMEOUT, Watcher};
use crate::Error;
use crate::net::{Control, Link};
use av_mls::Member;
use control_wire::REMOVED;
use std::time::{Duration, Instant};

/// A host that is not found again in this time is gone.
const GIVE_UP: Duration = Duration::from_secs(30);
/// The first attempt to come back; each further one waits twice as long.
const FIRST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(2);

/// Said to the user when the host has taken this member out.
pub(super) const REMOVED_US: &str = "the host removed us from the session";

/// How it is with the host.
#[derive(Debug)]
pub(super) struct HostLink {
    broken: Option<Broken>,
}

#[derive(Debug)]
struct Broken {
    since: Instant,
    attempts: u32,
    next: Option<Instant>,
    /// As the member that we are; otherwise as somebody new.
    as_member: bool,
    /// On a new link, waiting for the host's word.
    asked: bool,
}

impl HostLink {
    pub(super) const fn new() -> Self {
        Self { broken: None }
    }

    /// The host has answered: all is as it was.
    pub(super) fn is_back(&mut self) {
        self.broken = None;
    }

    /// No link to the host has broken that it did not answer on again.
    const fn is_whole(&self) -> bool {
        self.broken.is_none()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.broken.as_ref().and_then(|broken| broken.next)
    }
}

impl Watcher {
    /// The host has answered on the link that there is: it tells us of others from now on, and hears of them.
    pub(super) fn host_is_back(&mut self) {
        self.host_link.is_back();
        // Before it has let us in it takes nothing else.
        if self.snapshot.epoch.is_some() && self.host_answers() {
            self.mesh.add_link(self.clock.now(), self.host);
            self.tell();
        }
    }

    /// The host takes more than the wish to come in or back. Before its answer it refuses whoever says anything else.
    pub(super) fn host_answers(&self) -> bool {
        self.links.contains_key(&self.host) && self.joined_by.is_none() && self.host_link.is_whole()
    }

    /// The host's link broke. Before we were let in that is the end; afterwards relays may well go on, and the host may be
    /// found again.
    pub(super) fn host_is_gone(&mut self, why: String) -> Result<(), Error> {
        self.mesh.remove_link(self.host);
        self.links.remove(&self.host);
        self.lanes.remove(self.host);
        self.remove_parent(self.host);
        // Who asked to be let in asks again on the next link.
        self.joined_by = None;
        if self.snapshot.removed_in.is_some() && self.linger {
            return Ok(());
        }
        if self.snapshot.epoch.is_none() || self.snapshot.removed_in.is_some() {
            let why = format!("the link broke: {why}");
            return Err(Error::Connect { peer: "the host".into(), why });
        }
        tracing::info!(why, "the link to the host broke: coming back");
        let now = Instant::now();
        match &mut self.host_link.broken {
            Some(broken) => {
                broken.asked = false;
                broken.next = Some(now + pause(broken.attempts));
            }
            None => {
                let next = Some(now + pause(0));
                self.host_link.broken =
                    Some(Broken { since: now, attempts: 0, next, as_member: true, asked: false });
            }
        }
        Ok(())
    }

    /// Dials the host again when that is due.
    pub(super) fn return_to_host(&mut self, now: Instant) -> Result<(), Error> {
        let Some(broken) = &mut self.host_link.broken else { return Ok(()) };
        if broken.next.is_none_or(|at| now < at) {
            return Ok(());
        }
        if now.duration_since(broken.since) >= GIVE_UP {
            let why = format!("the link broke, and it was not found again in {} s", GIVE_UP.as_secs());
            return Err(Error::Connect { peer: "the host".into(), why });
        }
        broken.attempts += 1;
        broken.next = None;
        let (net, ticket, dialled) = (self.net.clone(), self.ticket.clone(), self.dialled.clone());
        tokio::spawn(async move {
            let link = net.dial_host(&ticket).await;
            let _ = dialled.send(Dialled::Host(link)).await;
        });
        Ok(())
    }

    pub(super) fn host_dialled(&mut self, link: Result<Link, Error>) -> Result<(), Error> {
        let Some(broken) = &mut self.host_link.broken else { return Ok(()) };
        match link {
            Ok(mut link) => {
                link.begin();
                broken.asked = true;
                let as_member = broken.as_member;
                self.host = link.id;
                self.links.insert(link.id, link);
                if as_member {
                    self.send(self.host, &Control::Resume { invitation: self.ticket.invitation });
                } else {
                    self.member = Member::new(self.net.identity(), crate::random::generator()?)?;
                    self.ask_to_join()?;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the host could not be reached again");
                broken.next = Some(Instant::now() + pause(broken.attempts));
            }
        }
        Ok(())
    }

    /// The host does not know us as a member any more: then we come as somebody new, unless it was the host who took us out. Any
    /// other refusal is the end.
    pub(super) fn refused_by_host(&mut self, why: String) -> Result<(), Error> {
        if !self.links.contains_key(&self.host) {
            // A second word on a link that was given up at the first.
            return Ok(());
        }
        if self.snapshot.removed_in.is_some() && self.linger {
            // Nobody keeps a link for who may have nothing.
            self.links.remove(&self.host);
            return Ok(());
        }
        if why == REMOVED {
            return Err(Error::Refused { peer: self.ticket.host, why: REMOVED_US.into() });
        }
        match &mut self.host_link.broken {
            Some(broken) if broken.asked && broken.as_member => {
                tracing::info!(why, "the host let us go meanwhile: joining anew");
                broken.as_member = false;
                // The next link is dialled once this one is known to be gone; the host waits for us to close it.
                self.links.remove(&self.host);
                Ok(())
            }
            _ => Err(Error::Refused { peer: self.ticket.host, why }),
        }
    }

    /// Asks to be let in.
    pub(super) fn ask_to_join(&mut self) -> Result<(), Error> {
        let key_package = self.member.key_package(self.net.identity())?.to_bytes();
        self.joined_by = Some(Instant::now() + JOIN_TIMEOUT);
        self.send(self.host, &Control::Join { invitation: self.ticket.invitation, key_package });
        Ok(())
    }
}

fn pause(attempts: u32) -> Duration {
    (FIRST * 2u32.saturating_pow(attempts.min(8))).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_dialled_soon_at_first_and_ever_less_often() {
        let pauses: Vec<u64> = (0..8).map(|n| pause(n).as_millis() as u64).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
    }
}
