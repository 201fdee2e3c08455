//! Other watchers that this one feeds: it passes on what it has opened itself, as it came.

use super::Watcher;
use super::spread::Dealt;
use crate::clock::wall_now;
use crate::net::{Control, Lanes, Link, LinkEvent};
use crate::relay::{PermitDesk, REQUESTS, RelayCore, Shown, Trial};
use crate::{Clock, Error};
use alm::Load;
use av_mls::Member;
use av_relay::{Limits, Quota};
use control_wire::NoRoom;
use core_types::{BitRate, CodecId, KeyId, LinkId, MonoTime, SessionId, StreamId, StripeSet};
use identity::PublicIdentity;
use std::collections::BTreeSet;

/// The link by which its own streams come into the relay's state machine: what it has opened needs no other name.
const OPENED: LinkId = LinkId(0);
/// Children for each stream's worth of uplink: each takes a stripe or two, and spares take nothing.
const CHILDREN_FOR_EACH: u64 = 8;
/// Links at most, children and those who have shown no permit yet: these are not to take the places of those.
const MAX_LINKS: usize = 256;

/// What a watcher lends to others.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) core: RelayCore,
    desk: PermitDesk,
    own: KeyId,
    uplink: BitRate,
    shown: Shown,
}

impl Serving {
    pub(super) fn new(clock: Clock, lanes: Lanes, session: SessionId, own: KeyId, uplink: BitRate) -> Self {
        let limits = Limits { permits_required: true, ..Limits::default() };
        let core =
            RelayCore::with_limits(clock, lanes, limits, Quota::UNLIMITED, Some(REQUESTS), Some(uplink));
        let desk = PermitDesk::new(session, own);
        Self { core, desk, own, uplink, shown: Shown::new(clock.now()) }
    }

    /// Passes on a stream of that rate from now on.
    pub(super) fn carry(&mut self, stream: StreamId, codec: CodecId) -> Result<(), Error> {
        self.core.carry_own(self.own, stream, OPENED, codec)
    }

    /// Streams that are not among these are over.
    pub(super) fn keep(&mut self, streams: &BTreeSet<StreamId>) {
        for gone in self.core.streams().filter(|stream| !streams.contains(stream)).collect::<Vec<_>>() {
            self.core.remove_stream(gone);
        }
    }

    /// Whether there is a place for another child, with streams of that rate in all.
    pub(super) fn has_place(&self, rate: BitRate) -> bool {
        let children = self.uplink.0.saturating_mul(CHILDREN_FOR_EACH) / rate.0.max(1);
        (self.children() as u64) < children.max(1)
    }

    /// What it claims to others: what it has shown, or what children may try of it, and never more than it lends.
    pub(super) fn claimable(&mut self, now: MonoTime) -> BitRate {
        self.shown.claimable(now, Trial::Doubling, Some(self.uplink))
    }

    /// Adds up what goes to children.
    pub(super) fn look_at_uplink(&mut self, now: MonoTime) {
        self.shown.look(now, &mut self.core);
    }

    /// What it carries at present.
    pub(super) fn load(&self) -> Load {
        let subscribers = u16::try_from(self.children()).unwrap_or(u16::MAX);
        Load { subscribers, used: self.shown.used(), ..self.core.load() }
    }

    /// Links over which something is taken.
    pub(super) fn children(&self) -> usize {
        self.core.children()
    }

    pub(super) fn has(&self, link: LinkId) -> bool {
        self.core.link(link).is_some()
    }

    /// What a child asks for and may, of streams of that rate in all.
    fn handle_control(
        &mut self,
        link: LinkId,
        message: Control,
        rate: BitRate,
        (host, members): (&PublicIdentity, &Member),
    ) {
        match message {
            Control::Permit { permit } => self.take_permit(link, &permit, host, members),
            Control::Subscribe { stream, .. } if !self.core.is_child(link) && !self.has_place(rate) => {
                self.core.send(link, &Control::SubscribeRefused { stream, why: NoRoom::Uplink });
            }
            other => self.core.handle_control(link, other),
        }
    }

    /// The host has signed that the child may be fed, and it is a member still: the host tells only relays what it takes back.
    fn take_permit(&mut self, link: LinkId, signed: &[u8], host: &PublicIdentity, members: &Member) {
        let Some(child) = self.core.peer_of(link) else { return };
        if members.leaf_of(child).is_none() {
            return self
                .core
                .refuse(link, "not known here as a member of the session: come again later".into());
        }
        let now = (self.core.now(), wall_now());
        match self.desk.check_child(now, signed, host, (link, child)) {
            Ok((permission, figures)) => {
                self.core.permit_within(link, permission, figures.bytes_per_second);
            }
            Err(why) => self.core.refuse(link, why),
        }
    }
}

impl Watcher {
    /// A peer has dialled us.
    pub(super) fn link_up(&mut self, link: Link) {
        match &mut self.serving {
            // Whether there is a place shows when it asks for one.
            Some(serving) if serving.core.links().count() < MAX_LINKS => {
                serving.core.add_link(link);
            }
            Some(_) => link.refuse("this watcher has as many links as it can"),
            None => link.refuse("this node serves nobody"),
        }
    }

    /// Takes an event of a link to a child, and gives back any other.
    pub(super) fn handle_child(&mut self, event: LinkEvent) -> Option<LinkEvent> {
        let rate = self.streams_rate();
        let Some(serving) = &mut self.serving else { return Some(event) };
        match event {
            LinkEvent::Control(link, message)
                if serving.has(link) && !serving.core.may_ask(link, &message) =>
            {
                self.tend_children();
            }
            LinkEvent::Control(link, Control::Gossip { entries }) if serving.has(link) => {
                if !self.hear(link, &entries) {
                    self.drop_child(link);
                }
            }
            LinkEvent::Control(link, message) if serving.has(link) => {
                let shows = matches!(message, Control::Permit { .. });
                serving.handle_control(link, message, rate, (&self.host_identity, &self.member));
                if shows && serving.has(link) {
                    self.mesh.add_link(self.clock.now(), link);
                    self.tell();
                }
                self.tend_children();
            }
            LinkEvent::Lane(link, change) if serving.has(link) => serving.core.handle_lane(link, change),
            LinkEvent::Writable(link) if serving.has(link) => serving.core.handle_writable(link),
            LinkEvent::Chunks(link, _) if serving.has(link) => {
                serving.core.refuse(link, "this node takes no media from who is fed by it".into());
            }
            // Also of one that was refused, and is no child any more: what it has shown is forgotten with it.
            LinkEvent::Down(link, _) if link != self.host && !self.links.contains_key(&link) => {
                self.drop_child(link);
            }
            other => return Some(other),
        }
        None
    }

    fn drop_child(&mut self, link: LinkId) {
        self.mesh.remove_link(link);
        if let Some(serving) = &mut self.serving {
            serving.desk.forget(link);
            serving.core.remove_link(link);
            serving.shown.forget(link);
        }
        self.tend_children();
    }

    /// Passes on what was opened.
    pub(super) fn pass_on(&mut self) {
        let Some(serving) = &mut self.serving else { return };
        for stream in self.streams.values_mut() {
            let opened = stream.take_opened();
            if !opened.is_empty() {
                serving.core.publish(OPENED, opened);
            }
        }
    }

    /// Asks upstream for key frames that children need, and for what they can't do without.
    pub(super) fn tend_children(&mut self) {
        let Some(serving) = &mut self.serving else { return };
        let wanted = serving.core.take_key_frames_wanted();
        self.snapshot.children = serving.children() as u32;
        let feeds = serving.core.serves_anybody();
        let losses = serving.core.losses_to_tell(self.clock.now());
        let home = self.home;
        for stream in self.streams.values_mut() {
            let stripes = if feeds { Dealt::of(stream).home(home) } else { no_stripes() };
            stream.subscription.pass_on(stripes);
        }
        for stream in wanted {
            self.ask_for_key_frame_of(stream);
        }
        if let Some(losses) = losses {
            self.send(self.host, &losses);
        }
    }

    /// Who is no member any more gets nothing more, whatever permit it has shown, and is named to nobody.
    pub(super) fn expel(&mut self, removed: &[KeyId]) {
        let now = self.clock.now();
        for who in removed.iter().filter(|who| self.member.leaf_of(**who).is_none()) {
            self.mesh.expel(now, *who);
            let Some(serving) = &mut self.serving else { continue };
            serving.core.revoke(*who);
            for link in serving.core.links().filter(|link| link.peer.key_id() == *who) {
                self.mesh.remove_link(link.id);
            }
        }
    }

    /// What the streams take in all.
    pub(super) fn streams_rate(&self) -> BitRate {
        BitRate(self.streams.values().map(|stream| stream.rate().0).sum())
    }
}

/// What a peer's stripe is drawn from.
pub(super) const fn home_of(peer: KeyId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = peer.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Of a parent that carries nothing.
pub(super) fn no_stripes() -> StripeSet {
    StripeSet::new(1, 0).unwrap_or(StripeSet::ALL)
}
