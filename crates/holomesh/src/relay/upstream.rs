//! The relay's link to its host: found again when it breaks, while the children are served with what there is.

use super::node::RelayNode;
use crate::Error;
use crate::net::{Control, Link};
use core_types::LinkId;
use std::time::{Duration, Instant};

/// The first attempt to come back; each further one waits twice as long.
const FIRST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(5);

/// How it is with the host.
#[derive(Debug)]
pub(super) enum HostLink {
    Up(LinkId),
    Broken { since: Instant, attempts: u32, next: Option<Instant>, why: String },
}

impl HostLink {
    pub(super) fn is(&self, link: LinkId) -> bool {
        matches!(self, Self::Up(host) if *host == link)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Up(_) => None,
            Self::Broken { next, .. } => *next,
        }
    }
}

impl RelayNode {
    /// A link to the host: we are at its service, and it says what to carry.
    pub(super) fn host_linked(&mut self, link: Link) {
        let id = link.id;
        self.host = HostLink::Up(id);
        self.host_identity = link.peer.identity.clone();
        // It says anew what to carry: a host that was started again has other streams than those that it once announced.
        self.announces.clear();
        self.core.add_link(link);
        let serve = Control::Serve { invitation: self.ticket.invitation, address: self.net.address() };
        self.core.send(id, &serve);
        if let Some(offer) = self.core.link(id).and_then(|link| self.core.lanes().offer(link)) {
            self.core.send(id, &offer);
        }
    }

    pub(super) fn host_is_gone(&mut self, link: LinkId, why: String) {
        self.core.remove_link(link);
        tracing::info!(why, "the link to the host broke: coming back");
        let now = Instant::now();
        self.host = HostLink::Broken { since: now, attempts: 0, next: Some(now + FIRST), why };
    }

    /// Dials the host again when that is due.
    ///
    /// # Errors
    /// [`Error::Connect`] when it stayed away for too long.
    pub(super) fn return_to_host(&mut self, now: Instant) -> Result<(), Error> {
        let patience = self.host_patience;
        let HostLink::Broken { since, attempts, next, why } = &mut self.host else { return Ok(()) };
        if next.is_none_or(|at| now < at) {
            return Ok(());
        }
        if now.duration_since(*since) >= patience {
            let why = format!("{why}; it was not found again in {} s", patience.as_secs());
            return Err(Error::Connect { peer: "the host".into(), why });
        }
        *attempts += 1;
        *next = None;
        let (net, ticket, dialled) = (self.net.clone(), self.ticket.clone(), self.dialled.clone());
        tokio::spawn(async move {
            let _ = dialled.send(net.dial_host(&ticket).await).await;
        });
        Ok(())
    }

    pub(super) fn host_dialled(&mut self, link: Result<Link, Error>) {
        let HostLink::Broken { attempts, next, .. } = &mut self.host else { return };
        match link {
            Ok(link) => self.host_linked(link),
            Err(error) => {
                tracing::debug!(%error, "the host could not be reached again");
                *next = Some(Instant::now() + (FIRST * 2u32.saturating_pow(*attempts)).min(MOST));
            }
        }
    }
}
