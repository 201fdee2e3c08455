//! What members, relays and strangers ask of the host.

use super::Host;
use crate::net::{Control, PeerAddress, Role};
use core_types::{Epoch, KeyId, LinkId};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// Key frames on request come at most this often.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// Relays of one session, and addresses of one relay: both go to every watcher.
const MAX_RELAYS: usize = 256;
const MAX_ADDRESSES: usize = 16;

impl Host {
    pub(super) fn handle_control(&mut self, link: LinkId, message: Control) {
        let now = Instant::now();
        let Some((peer, role)) = self.core.links.get(&link).map(|l| (l.peer.key_id(), l.peer.role)) else {
            return;
        };
        let outcome = match message {
            Control::Join { invitation, key_package } if role == Role::Watcher => self
                .check_invitation(invitation)
                .and_then(|()| self.authority.join(now, link, peer, &key_package)),
            Control::Serve { invitation, address } if role == Role::Relay => {
                self.check_invitation(invitation).and_then(|()| self.take_relay(link, address))
            }
            Control::Carrying if self.relays.contains_key(&link) => {
                let newly = self
                    .relays
                    .get_mut(&link)
                    .is_some_and(|(_, carrying)| !std::mem::replace(carrying, true));
                if newly {
                    self.spread_relay_list();
                }
                Ok(())
            }
            Control::EpochReady { epoch } => {
                self.authority.ready(link, Epoch(epoch));
                Ok(())
            }
            Control::Leave { request } => self.authority.leave_by_request(now, peer, &request),
            Control::KeyPackages { packages } if self.authority.is_member(link) => {
                self.packages.publish(now, peer, &packages).map(drop)
            }
            Control::TakeKeyPackage { invitation, owner } => {
                self.check_invitation(invitation).map(|()| self.hand_out(link, peer, KeyId(owner)))
            }
            Control::GroupInfoWanted => self.authority.group_info(link).map(|group_info| {
                self.send(link, &Control::GroupInfo { group_info });
            }),
            Control::MemberCommit { commit } => {
                self.authority.member_commit(now, link, &commit).map(|took| {
                    if let Some((kind, committed)) = took {
                        let epoch = committed.epoch;
                        self.observer.event(kind, format!("{} with epoch {epoch}", peer.short()));
                        self.announce_commit(committed);
                    }
                })
            }
            Control::KeyFrame { .. } if self.authority.is_member(link) => {
                self.key_frame_wanted(now);
                Ok(())
            }
            other if self.relays.contains_key(&link) || self.authority.is_member(link) => {
                self.core.handle_control(link, other);
                Ok(())
            }
            _ => Err("join or serve first".into()),
        };
        if let Err(why) = outcome {
            self.core.refuse(link, why);
        }
    }

    /// A key package of a member, for whoever wants it in a session of its own.
    fn hand_out(&mut self, link: LinkId, requester: KeyId, owner: KeyId) {
        let package = self.packages.take(Instant::now(), requester, owner).map(|(package, refill)| {
            if refill > 0
                && let Some(owner) = self.authority.link_of(owner)
            {
                let count = u8::try_from(refill).unwrap_or(u8::MAX);
                self.send(owner, &Control::KeyPackagesWanted { count });
            }
            package
        });
        self.send(link, &Control::KeyPackage { owner: owner.0, package });
    }

    fn check_invitation(&self, invitation: [u8; 16]) -> Result<(), String> {
        if bool::from(invitation.ct_eq(&self.ticket.invitation)) {
            return Ok(());
        }
        Err("the ticket's invitation is not this session's: it may be an old ticket".into())
    }

    /// A relay may only send watchers to itself, and only so many of them.
    fn take_relay(&mut self, link: LinkId, address: PeerAddress) -> Result<(), String> {
        let own_key = self.core.links.get(&link).is_some_and(|l| l.transport_key() == address.endpoint);
        if !own_key || address.addresses.is_empty() || address.addresses.len() > MAX_ADDRESSES {
            return Err("a relay must name its own transport key and 1 to 16 addresses".into());
        }
        if self.relays.len() >= MAX_RELAYS {
            return Err(format!("this session has {MAX_RELAYS} relays already"));
        }
        self.relays.insert(link, (address, false));
        let announces = self.streams.values().map(|s| s.signed_announce().to_vec()).collect();
        self.send(link, &Control::Carry { announces });
        Ok(())
    }

    /// Requests are merged: whoever asks while a key frame is on its way gets that one.
    fn key_frame_wanted(&mut self, now: Instant) {
        if self.last_key_frame_request.is_none_or(|last| now.duration_since(last) >= KEY_FRAME_INTERVAL) {
            self.last_key_frame_request = Some(now);
            self.control.request_key_frame();
            self.observer.event("key-frame", "asked for by a watcher".into());
        }
    }
}
