//! A node's part in what peers tell each other of who is there to feed others (spec 53).

use super::RelayCore;
use crate::mesh::{Mesh, Offer};
use core_types::{Epoch, KeyId, LinkId, MonoTime};
use identity::Identity;

impl RelayCore {
    /// Takes part from now on, over links whose peers may have something.
    pub(crate) fn set_mesh(&mut self, mesh: Mesh) {
        self.mesh = Some(mesh);
    }

    /// Takes part over a link.
    pub(crate) fn join_mesh(&mut self, link: LinkId) {
        let now = self.clock.now();
        if let Some(mesh) = self.mesh.as_mut().filter(|_| self.links.contains_key(&link)) {
            mesh.add_link(now, link);
        }
        self.tell_others();
    }

    pub(super) fn leave_mesh(&mut self, link: LinkId) {
        if let Some(mesh) = &mut self.mesh {
            mesh.remove_link(link);
        }
    }

    /// Says what this node has to offer, by the permit that the host has signed for it.
    pub(crate) fn offer(&mut self, identity: &Identity, offer: Offer, permit: &[u8], epoch: Epoch) {
        let now = self.clock.now();
        if let Some(mesh) = &mut self.mesh {
            mesh.offer(now, identity, offer, permit, epoch);
        }
        self.tell_others();
    }

    /// Whether what this node has said is to be said again.
    pub(crate) fn is_offer_due(&self, now: MonoTime) -> bool {
        self.mesh.as_ref().and_then(Mesh::renew_at).is_some_and(|at| at <= now)
    }

    /// What a peer says of others.
    pub(crate) fn hear(&mut self, link: LinkId, entries: &[Vec<u8>]) {
        let now = self.clock.now();
        let Some(mesh) = &mut self.mesh else {
            return self.refuse(link, "a message that this node does not take".into());
        };
        if let Err(why) = mesh.handle(now, link, entries) {
            self.blame(link, &why);
        }
        self.tell_others();
    }

    /// Says what had to wait.
    pub(super) fn tend_mesh(&mut self, now: MonoTime) {
        if let Some(mesh) = self.mesh.as_mut().filter(|mesh| mesh.poll_timeout().is_some_and(|at| at <= now))
        {
            mesh.handle_timeout(now);
            self.tell_others();
        }
    }

    /// The counter of what a peer claims, if it is known.
    pub(crate) fn claim_counter(&self, peer: KeyId) -> Option<u64> {
        self.mesh.as_ref()?.claim_of(peer).map(|claim| claim.counter)
    }

    /// How many there are who say that they feed others.
    pub(crate) fn advertisers(&self) -> u32 {
        self.mesh.as_ref().map_or(0, Mesh::advertisers)
    }

    /// Permits of a peer up to that serial are void.
    pub(crate) fn revoke_card(&mut self, who: KeyId, serial: u64) {
        let now = self.clock.now();
        if let Some(mesh) = &mut self.mesh {
            mesh.revoke(now, who, serial);
        }
    }

    /// Sends what others are to hear.
    fn tell_others(&mut self) {
        let Some(mesh) = &mut self.mesh else { return };
        let messages: Vec<_> = std::iter::from_fn(|| mesh.poll_message()).collect();
        for (link, message) in messages {
            self.send(link, &message);
        }
    }
}
