//! Who has come and who has gone with a commit, and what follows.

use super::Host;
use crate::net::Control;
use crate::session::authority::Committed;
use core_types::{KeyId, LinkId};
use std::time::Instant;

/// Somebody who was removed.
#[derive(Debug)]
pub(super) struct Expelled {
    /// To be revoked at the relays: what was signed for it up to this serial, not what it gets when it comes back.
    pub(super) who: Option<(KeyId, u64)>,
    /// To get nothing more from this node.
    pub(super) link: Option<LinkId>,
    /// When; not before the epoch has changed.
    pub(super) at: Option<Instant>,
}

impl Host {
    pub(super) fn announce_commit(&mut self, committed: Committed) {
        let Committed { epoch, commit, welcome, tree, added, informed, removed, removed_links } = committed;
        for link in removed_links {
            self.permits.forget(link);
            self.expelled.push(Expelled { who: None, link: Some(link), at: None });
        }
        tracing::info!(%epoch, added = added.len(), removed = removed.len(), "the roster changed");
        for link in informed {
            self.send(link, &Control::Commit { commit: commit.clone() });
        }
        let announces: Vec<Vec<u8>> = self.streams.values().map(|s| s.signed_announce().to_vec()).collect();
        let message = Control::welcome(welcome, tree, self.ticket.session, announces);
        for (link, who) in added {
            // It may be the link over which somebody left a moment ago.
            self.expelled.retain(|expelled| expelled.link != Some(link));
            self.packages.forget(Instant::now(), who);
            self.send(link, &message);
            self.tell_consent(link);
            self.core.admit(link, false);
            // Where the relays are comes with the permit that they want to see.
            self.permits.want(Instant::now(), link, who);
            for found in self.judge.still_said(self.clock.now()) {
                self.send(link, found);
            }
            self.observer.event("joined", format!("{} with epoch {epoch}", who.short()));
        }
        for who in removed {
            let signed = (who, self.permits.last_serial());
            self.core.revoke_card(who, signed.1);
            self.expelled.push(Expelled { who: Some(signed), link: None, at: None });
            self.observer.event("removed", format!("{} with epoch {epoch}", who.short()));
        }
    }
}
