//! The relay's link to its host: found again when it breaks, while the children are served with what there is.

use super::node::RelayNode;
use crate::Error;
use crate::net::{Control, Link};
use core_types::LinkId;
use std::time::{Duration, Instant};

/// The first attempt to come back; each further one waits twice as long.
const FIRST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(5);

/// A link that held for so long had nothing wrong with it.
const STEADY: Duration = Duration::from_secs(10);

/// How it is with the host.
#[derive(Debug)]
pub(super) enum HostLink {
    Up { link: LinkId, since: Instant, trouble: Trouble },
    Broken { trouble: Trouble, next: Option<Instant>, why: String },
}

/// Since when there is no link that holds, and how often one was tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    since: Instant,
    attempts: u32,
}

impl Trouble {
    fn none() -> Self {
        Self { since: Instant::now(), attempts: 0 }
    }

    fn pause(self) -> Duration {
        (FIRST * 2u32.saturating_pow(self.attempts.min(8))).min(MOST)
    }
}

impl HostLink {
    pub(super) fn new(link: LinkId) -> Self {
        Self::Up { link, since: Instant::now(), trouble: Trouble::none() }
    }

    pub(super) fn link(&self) -> Option<LinkId> {
        match self {
            Self::Up { link, .. } => Some(*link),
            Self::Broken { .. } => None,
        }
    }

    pub(super) fn is(&self, link: LinkId) -> bool {
        self.link() == Some(link)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Up { .. } => None,
            Self::Broken { next, .. } => *next,
        }
    }

    /// The link is gone. A host that takes links and drops them is dialled ever less often, like one that takes none.
    fn breaks(&mut self, why: String) {
        let trouble = match self {
            Self::Up { since, trouble, .. } if since.elapsed() < STEADY => *trouble,
            _ => Trouble::none(),
        };
        *self = Self::Broken { trouble, next: Some(Instant::now() + trouble.pause()), why };
    }
}

impl RelayNode {
    /// A link to the host: we are at its service, and it says what to carry.
    pub(super) fn host_linked(&mut self, link: Link) {
        let id = link.id;
        self.host = match self.host {
            HostLink::Broken { trouble, .. } => HostLink::Up { link: id, since: Instant::now(), trouble },
            HostLink::Up { .. } => HostLink::new(id),
        };
        self.host_identity = link.peer.identity.clone();
        // It says anew what to carry: a host that was started again has other streams than those that it once announced.
        self.announces.clear();
        self.core.add_link(link);
        let serve = Control::Serve { invitation: self.ticket.invitation, address: self.net.address() };
        self.core.send(id, &serve);
        self.core.join_mesh(id);
        if let Some(offer) = self.core.link(id).and_then(|link| self.core.lanes().offer(link)) {
            self.core.send(id, &offer);
        }
    }

    pub(super) fn host_is_gone(&mut self, link: LinkId, why: String) {
        self.core.remove_link(link);
        tracing::info!(why, "the link to the host broke: coming back");
        self.host.breaks(why);
    }

    /// Dials the host again when that is due.
    ///
    /// # Errors
    /// [`Error::Connect`] when it stayed away for too long.
    pub(super) fn return_to_host(&mut self, now: Instant) -> Result<(), Error> {
        let patience = self.host_patience;
        let HostLink::Broken { trouble, next, why } = &mut self.host else { return Ok(()) };
        if next.is_none_or(|at| now < at) {
            return Ok(());
        }
        if now.duration_since(trouble.since) >= patience {
            let why = format!("{why}; it was not found again in {} s", patience.as_secs());
            return Err(Error::Connect { peer: "the host".into(), why });
        }
        trouble.attempts += 1;
        *next = None;
        let (net, ticket, dialled) = (self.net.clone(), self.ticket.clone(), self.dialled.clone());
        tokio::spawn(async move {
            let _ = dialled.send(net.dial_host(&ticket).await).await;
        });
        Ok(())
    }

    pub(super) fn host_dialled(&mut self, link: Result<Link, Error>) {
        let HostLink::Broken { trouble, next, .. } = &mut self.host else { return };
        match link {
            Ok(link) => self.host_linked(link),
            Err(error) => {
                tracing::debug!(%error, "the host could not be reached again");
                *next = Some(Instant::now() + trouble.pause());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(host: &HostLink) -> Trouble {
        let HostLink::Broken { trouble, next: Some(_), .. } = host else { panic!("{host:?}") };
        *trouble
    }

    #[test]
    fn a_host_that_takes_links_and_drops_them_is_dialled_ever_less_often() {
        let mut host = HostLink::new(LinkId(1));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            host.breaks("dropped".into());
            let mut trouble = trouble(&host);
            pauses.push(trouble.pause());
            trouble.attempts += 1;
            host = HostLink::Up { link: LinkId(2), since: Instant::now(), trouble };
        }
        assert!(pauses.is_sorted() && pauses[0] == FIRST && pauses[7] == MOST, "{pauses:?}");
        // One that held is another matter.
        let HostLink::Up { since, .. } = &mut host else { panic!("it is up") };
        *since = Instant::now().checked_sub(STEADY).unwrap();
        host.breaks("broken".into());
        assert_eq!(trouble(&host).pause(), FIRST);
    }
}
