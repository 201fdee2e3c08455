//! The host's links: what comes over them, who comes back on another one, what their paths sustain.

use super::roster::Expelled;
use super::{Host, MAX_TAKEN_OUT, rate};
use crate::net::{Control, LinkEvent};
use crate::publish::{Protection, RepairShare, StreamKind};
use crate::session::permits::Due;
use control_wire::REMOVED;
use core_types::{KeyId, LinkId};
use std::time::Instant;

impl Host {
    pub(super) fn handle_event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up(link) => self.core.add_link(*link),
            LinkEvent::Control(link, message) => self.handle_control(link, message),
            LinkEvent::Chunks(link, chunks) => self.core.handle_chunks(link, chunks),
            LinkEvent::Lane(link, change) => self.core.handle_lane(link, change),
            LinkEvent::Writable(link) => self.core.handle_writable(link),
            LinkEvent::Down(link, why) => self.handle_down(link, &why),
        }
    }

    fn handle_down(&mut self, link: LinkId, why: &str) {
        if let Some(who) = self.authority.link_down(Instant::now(), link) {
            tracing::info!(member = %who.short(), why, "a member's link broke");
        }
        if self.relays.remove(Instant::now(), link) {
            self.observer.event("lost", format!("relay on link {link}: {why}"));
        }
        self.permits.forget(link);
        self.core.remove_link(link);
    }

    /// Whoever is gone for good leaves, permits are renewed, and the encoder follows the first hops.
    pub(super) fn tend_links(&mut self, now: Instant) {
        for who in self.authority.take_lost(now) {
            self.observer.event("lost", format!("member {}: its link broke", who.short()));
        }
        self.cut_off(now);
        for Due { link, message, is_first } in self.permits.due(now, self.net.identity()) {
            self.send(link, &message);
            if is_first {
                self.send(link, &self.relay_list());
            }
        }
        if self.relays.take_due(now) {
            self.spread_relay_list();
        }
        let time = self.clock.at(now);
        self.core.handle_timeout(time);
        self.follow_loss();
        for stream in self.core.take_key_frames_wanted() {
            self.key_frame_wanted(now, stream);
        }
        if self.capturing > 0
            && let Some(rate) = self.rate.as_mut().filter(|rate| rate.is_due(time))
        {
            let hops = self.core.hops(time);
            if let Some(target) = rate.handle_hops(time, hops) {
                self.control.set_bit_rate(target);
                self.observer.event("bit-rate", format!("{target}: what the first hops sustain"));
            }
        }
    }

    /// Repair for several parents is sized so that any of them may fail, which covers what hops lose. With one parent there is none
    /// but for what the worst first hop loses; the others leave out what they don't need. So it is for detail in any case.
    ///
    /// Sound goes in single chunks, which nobody on the way can leave a part of: what protects it follows what is lost up to the last hop.
    fn follow_loss(&mut self) {
        let protection = self.protection.handle_loss(self.clock.now(), self.core.worst_loss());
        self.control.set_expected_loss(protection.expected_loss);
        let has_sound = self.streams.contains_key(&(StreamKind::Audio, 0));
        if has_sound && self.protected.replace(protection).is_some_and(|before| before != protection) {
            let Protection { pace, expected_loss } = protection;
            let units = pace.permille() / 10;
            self.observer.event(
                "sound",
                format!("{units} units of repair with 100 packets, coded for {expected_loss} % lost"),
            );
        }
        let share = RepairShare::from_permille(self.core.repair_needed().into());
        for stream in self.streams.values_mut() {
            match stream.parents() {
                1 => stream.set_repair(share),
                _ => stream.set_detail_repair(share),
            }
            stream.set_pace(protection.pace);
        }
    }

    /// Those who were removed get nothing more, from this node and from the relays.
    fn cut_off(&mut self, now: Instant) {
        let due = |expelled: &Expelled| expelled.at.is_some_and(|at| now >= at);
        let (due, waiting) = std::mem::take(&mut self.expelled).into_iter().partition(due);
        self.expelled = waiting;
        let due: Vec<Expelled> = due;
        for expelled in due {
            if let Some(link) = expelled.link {
                self.core.retire(link);
            }
            if let Some((who, serial)) = expelled.who {
                self.revoke(who, serial);
            }
        }
    }

    /// When there is something to tend.
    pub(super) fn tend_at(&self) -> Option<Instant> {
        let core = self.core.poll_timeout().map(|at| self.clock.instant(at));
        let adapts = self.rate.is_some() && self.capturing > 0;
        let look = adapts.then(|| Instant::now() + rate::INTERVAL);
        let cut = self.expelled.iter().filter_map(|expelled| expelled.at);
        let own = cut.chain(self.permits.poll_timeout()).chain(self.relays.poll_timeout());
        core.into_iter().chain(own).chain(look).min()
    }

    /// No relay serves this former member any more: those that are linked hear it now, others when they come back.
    fn revoke(&mut self, who: KeyId, serial: u64) {
        let message = self.permits.revoke(Instant::now(), who, serial);
        for link in self.permits.relays() {
            self.send(link, &message);
        }
    }

    /// Takes a member out. The commit tells it so, if its link stands; if not, it hears it when it comes back.
    pub(super) fn take_out(&mut self, who: KeyId) {
        if self.authority.leave(Instant::now(), who) && self.taken_out.len() < MAX_TAKEN_OUT {
            self.taken_out.insert(who);
        }
    }

    /// A member is back on a new link. It gets what it may have missed, and is served as before.
    pub(super) fn resume(&mut self, link: LinkId, who: KeyId) -> Result<(), String> {
        if self.taken_out.contains(&who) {
            return Err(REMOVED.into());
        }
        let (former, commits) = self.authority.resume(link, who)?;
        self.core.remove_link(former);
        self.permits.forget(former);
        self.core.admit(link, false);
        for commit in commits {
            self.send(link, &Control::Commit { commit });
        }
        self.permits.want(Instant::now(), link, who);
        self.observer.event("resumed", format!("{} on another link", who.short()));
        Ok(())
    }
}
