//! The watcher as a member of the group: comes in, follows the commits, comes back when it lost the thread.

use super::{Watcher, play};
use crate::Error;
use crate::clock::wall_now;
use crate::net::Control;
use crate::watch::player::Message;
use crate::watch::receive::InStream;
use av_mls::{CommitOutcome, EpochSecret, SignedKeyPackage};
use av_wire::{StreamAnnounce, StreamSecret};
use core_types::{Epoch, LeafIndex, SessionId};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Key packages that are left with the host, for others to ask for.
const KEY_PACKAGES: usize = 8;
/// While commits are missing, the host is asked so often where the group is.
const REJOIN: Duration = Duration::from_secs(1);

impl Watcher {
    pub(super) fn enter(
        &mut self,
        welcome: &[u8],
        tree: Option<&[u8]>,
        session: SessionId,
        announces: &[Vec<u8>],
    ) -> Result<(), Error> {
        if session != self.ticket.session {
            return Err(Error::input("ticket", "the host runs another session now; ask for a new ticket"));
        }
        let epoch = self.member.join_with_tree(welcome, tree, self.ticket.host, session)?;
        self.joined_by = None;
        let publisher = self.links.get(&self.host).map(|host| host.peer.identity.clone());
        let publisher = publisher.ok_or(Error::Ended("the host's link"))?;
        let (mut announced, mut new) = (BTreeSet::new(), BTreeSet::new());
        for signed in announces {
            let announce = StreamAnnounce::verify(signed, &publisher)?;
            if announce.session != session {
                continue;
            }
            announced.insert(announce.stream_id()?);
            // Who comes back may know the stream: it goes on with another key.
            if !self.streams.contains_key(&announce.stream_id()?) {
                let mut stream = InStream::new(announce.clone(), &publisher, self.proofs, self.cap)?;
                new.insert(stream.id);
                if let Some(serving) = &mut self.serving {
                    stream.keep_opened();
                    serving.carry(stream.id, announce.codec)?;
                }
                if let Some(recorder) = &self.recorder {
                    stream.keep_pieces();
                    recorder.stream(signed, &announce, &publisher);
                }
                self.streams.insert(stream.id, stream);
                self.player.send(Message::Stream(Box::new(announce)));
            }
        }
        self.streams.retain(|id, _| announced.contains(id));
        if let Some(serving) = &mut self.serving {
            serving.keep(&announced);
        }
        self.host_link.is_back();
        if self.relays.is_empty() {
            self.first_contact.enter(Instant::now());
        }
        self.mesh.add_link(self.clock.now(), self.host);
        self.snapshot.removed_in = None;
        self.snapshot.first_epoch.get_or_insert(epoch);
        let secret = self.member.epoch_secret()?;
        self.enter_epoch(epoch, secret)?;
        self.publish_key_packages(KEY_PACKAGES)?;
        self.adopt_streams(&new);
        self.serve_by_host_if_alone();
        Ok(())
    }

    pub(super) fn handle_commit(&mut self, commit: &[u8]) -> Result<(), Error> {
        match self.member.process_commit(commit) {
            Ok(outcome) => {
                self.rejoin_at = None;
                self.follow(outcome)
            }
            // It was replaced by a welcome or by our own return.
            Err(error @ av_mls::Error::StaleCommit { .. }) => {
                tracing::info!(%error, "a commit out of order");
                Ok(())
            }
            Err(error @ av_mls::Error::State(_)) => Err(error.into()),
            // Without this epoch's keys nothing more can be seen. The host's commits come in order, so what is missing will
            // not come by itself.
            Err(error) => {
                tracing::warn!(%error, "a commit does not fit: coming back by an external commit");
                self.snapshot.rejoins += 1;
                self.ask_for_group_info();
                Ok(())
            }
        }
    }

    pub(super) fn ask_for_group_info(&mut self) {
        self.rejoin_at = Some(Instant::now() + REJOIN);
        self.send(self.host, &Control::GroupInfoWanted);
    }

    /// Comes back to where the group is, if it is not here.
    pub(super) fn handle_group_info(&mut self, group_info: &[u8]) -> Result<(), Error> {
        if self.rejoin_at.is_none() {
            return Ok(());
        }
        self.member.abandon_staged()?;
        let commit = self.member.stage_rejoin(group_info)?.commit;
        self.send(self.host, &Control::MemberCommit { commit });
        Ok(())
    }

    /// Leaves key packages with the host, so that others can add this peer to sessions of theirs.
    pub(super) fn publish_key_packages(&mut self, count: usize) -> Result<(), Error> {
        self.member.expire_key_packages(wall_now())?;
        let mut packages = self.member.key_packages(self.net.identity(), count.min(KEY_PACKAGES))?;
        packages.push(self.member.last_resort_package(self.net.identity())?);
        let packages = packages.iter().map(SignedKeyPackage::to_bytes).collect();
        self.send(self.host, &Control::KeyPackages { packages });
        Ok(())
    }

    /// Enters the epochs of a commit and of those that had waited for it, oldest first.
    fn follow(&mut self, outcome: CommitOutcome) -> Result<(), Error> {
        self.expel(&outcome.removed);
        match outcome.secret {
            Some(secret) => self.enter_epoch(outcome.epoch, secret)?,
            None => self.removed(outcome.epoch)?,
        }
        outcome.followed_by.into_iter().try_for_each(|next| self.follow(next))
    }

    fn removed(&mut self, epoch: Epoch) -> Result<(), Error> {
        self.snapshot.removed_in = Some(epoch);
        if self.linger {
            tracing::warn!(%epoch, "the host removed us from the session: listening on, dialling nobody");
            self.redial_at = None;
            return Ok(());
        }
        Err(Error::Refused { peer: self.ticket.host, why: super::host_link::REMOVED_US.into() })
    }

    /// Puts the keys of an epoch in place, and tells the host that they are.
    fn enter_epoch(&mut self, epoch: Epoch, secret: EpochSecret) -> Result<(), Error> {
        let now = self.clock.now();
        for stream in self.streams.values_mut() {
            let leaf = self.member.leaf_of(stream.announce.publisher).unwrap_or(LeafIndex(0));
            let secret = StreamSecret::derive(secret.expose(), stream.id, leaf)?;
            stream.install_stream(now, epoch, &secret)?;
            if let Some(recorder) = &self.recorder {
                recorder.keys(stream.id, epoch, secret);
            }
            play(&self.player, stream);
        }
        self.player.send(Message::Epoch(epoch));
        self.renew_at = self.member.update_due().map(|after| Instant::now() + after);
        self.snapshot.epoch = Some(epoch);
        if self.linger {
            self.old_secrets.push(secret);
        }
        self.send(self.host, &Control::EpochReady { epoch: epoch.0 });
        self.act();
        Ok(())
    }

    /// Renews the keys when it is this member's turn, and asks again where the group is while it is not here.
    pub(super) fn keep_in_step(&mut self, now: Instant) -> Result<(), Error> {
        if !self.host_answers() {
            return Ok(());
        }
        if self.renew_at.take_if(|at| now >= *at).is_some() && !self.member.is_staged() {
            let commit = self.member.stage_update()?.commit;
            self.send(self.host, &Control::MemberCommit { commit });
        }
        if self.rejoin_at.is_some_and(|at| now >= at) {
            self.ask_for_group_info();
        }
        Ok(())
    }
}
