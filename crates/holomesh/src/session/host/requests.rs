//! What members, relays and strangers ask of the host.

use super::Host;
use crate::clock::wall_now;
use crate::net::{Control, Link, PeerAddress, Role};
use crate::session::judge::Member;
use av_wire::permit::PermitRole;
use core_types::{Epoch, KeyId, LinkId, StreamId};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// Key frames on request come at most this often.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);

impl Host {
    pub(super) fn handle_control(&mut self, link: LinkId, message: Control) {
        let now = Instant::now();
        let Some((peer, role)) = self.core.link(link).map(|l| (l.peer.key_id(), l.peer.role)) else {
            return;
        };
        if !self.core.may_ask(link, &message) {
            return;
        }
        let outcome = match message {
            Control::Join { invitation, key_package } if role == Role::Watcher => self
                .check_invitation(invitation)
                .and_then(|()| self.authority.join(now, link, peer, &key_package))
                .map(|()| {
                    self.taken_out.remove(&peer);
                }),
            Control::Serve { invitation, address } if role == Role::Relay => {
                self.check_invitation(invitation).and_then(|()| self.take_relay(link, peer, address))
            }
            Control::Draining { .. } if self.relays.set_carrying(now, link, false) => Ok(()),
            Control::Carrying if self.relays.set_carrying(now, link, true) => Ok(()),
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
            Control::Resume { invitation } if role == Role::Watcher => {
                self.check_invitation(invitation).and_then(|()| self.resume(link, peer))
            }
            Control::Evidence { evidence } if self.authority.is_member(link) => {
                self.hear_evidence(link, evidence)
            }
            Control::Losses { permille } if self.relays.serves(link) || self.authority.is_member(link) => {
                self.core.hear_losses(link, permille);
                Ok(())
            }
            // A relay has merged what its own children asked for; a member's request is merged with the others' here.
            Control::KeyFrame { stream } if self.relays.serves(link) => {
                self.key_frame_wanted(now, StreamId(stream));
                Ok(())
            }
            other if self.relays.serves(link) || self.authority.is_member(link) => {
                self.core.handle_control(link, other);
                Ok(())
            }
            _ => Err("join or serve first".into()),
        };
        if let Err(why) = outcome {
            self.core.refuse(link, why);
        }
    }

    /// A member says that a watcher does not deliver what it claims.
    fn hear_evidence(&mut self, link: LinkId, evidence: Vec<u8>) -> Result<(), String> {
        let Some(member) = self.core.link(link).map(Member::at) else { return Ok(()) };
        let (core, at) = (&self.core, (self.clock.now(), wall_now()));
        let judged =
            self.judge.hear(at, &member, evidence, |peer| core.claim_counter(peer), core.advertisers())?;
        if let Some(liar) = judged.found {
            self.observer.event("liar", format!("{}: does not deliver what it claims", liar.short()));
        }
        for found in &judged.tell {
            self.authority.member_links().for_each(|member| self.send(member, found));
        }
        Ok(())
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

    fn take_relay(&mut self, link: LinkId, who: KeyId, address: PeerAddress) -> Result<(), String> {
        let now = Instant::now();
        let key = self.core.link(link).map(Link::transport_key).unwrap_or_default();
        if let Some(former) = self.relays.serve(now, link, who, key, address)? {
            self.core.remove_link(former);
            self.permits.forget(former);
        }
        self.core.admit(link, true);
        match self.permits.issue(now, self.net.identity(), link, who, PermitRole::Relay) {
            Ok(message) => self.send(link, &message),
            Err(error) => tracing::warn!(%error, "a permit could not be signed"),
        }
        let announces = self.streams.values().map(|s| s.signed_announce().to_vec()).collect();
        self.send(link, &Control::Carry { announces });
        self.tell_consent(link);
        self.permits.tell_revoked(now, link);
        Ok(())
    }

    /// Requests are merged: whoever asks while a key frame is on its way gets that one. Of a description that is one of its own.
    pub(super) fn key_frame_wanted(&mut self, now: Instant, stream: StreamId) {
        let Some((&key, own)) = self.streams.iter().find(|(_, own)| own.id() == stream) else { return };
        let last = self.key_frames_asked.get(&key);
        if last.is_some_and(|last| now.duration_since(*last) < KEY_FRAME_INTERVAL) {
            return;
        }
        self.key_frames_asked.insert(key, now);
        let detail = match own.description() {
            Some(description) => {
                self.control.request_key_frame_in(description);
                format!("of {description}, asked for by a watcher")
            }
            None => {
                self.control.request_key_frame();
                "asked for by a watcher".into()
            }
        };
        self.observer.event("key-frame", detail);
    }
}
