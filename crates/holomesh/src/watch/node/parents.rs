//! Whom the watcher takes its streams from: to whom it shows its permit, whom it asks for what, and whom it leaves.

use super::Watcher;
use super::reach::{REDIAL, pause};
use super::serving::{home_of, no_stripes};
use super::spread::Dealt;
use crate::net::{Control, LaneChange, Role};
use crate::publish::StreamKind;
use crate::watch::receive::InStream;
use codec_mdc::Description;
use control_wire::Start;
use core_types::{KeyId, LinkId, MonoTime, StreamId};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A relay that was left is listened to for so long.
const LAST_CHUNKS: Duration = Duration::from_millis(500);

impl Watcher {
    /// What a relay says.
    pub(super) fn handle_relay(&mut self, link: LinkId, message: Control) {
        match message {
            Control::Gossip { entries } => {
                if !self.hear(link, &entries) {
                    self.drop_parent(link);
                }
            }
            Control::Refused { why } => {
                tracing::info!(%link, why, "a parent refused us");
                self.drop_parent(link);
            }
            Control::End => self.drop_parent(link),
            Control::Sheds { stream } => self.excuse(link, StreamId(stream)),
            Control::SubscribeRefused { stream, why } => self.no_place(link, StreamId(stream), why),
            Control::Draining { seconds } => self.move_away(link, Duration::from_secs(seconds.into())),
            Control::OverQuota { what, limit, .. } => {
                tracing::warn!(%link, ?what, limit, "a relay leaves out what is over a quota");
            }
            Control::LaneAccept { .. } | Control::LaneRefused { .. } => {
                self.lanes.handle_answer(self.links.get(&link), &message);
            }
            _ => {
                tracing::info!(%link, "a relay sent what only a host may");
                self.drop_parent(link);
            }
        }
    }

    /// A relay is about to go: its stripes move to others while it still sends, and it is not dialled again meanwhile.
    pub(super) fn move_away(&mut self, link: LinkId, grace: Duration) {
        self.remove_parent(link);
        if let Some((address, _)) = self.failing(link) {
            self.rest(address, grace.max(REDIAL), 0);
        }
        // What it still has is asked for elsewhere by then.
        self.leaving.push((Instant::now() + LAST_CHUNKS, link));
        self.reach_relays();
        self.serve_by_host_if_alone();
    }

    /// Closes links to relays that were left.
    pub(super) fn close_left(&mut self, now: Instant) {
        let (due, later) = std::mem::take(&mut self.leaving).into_iter().partition(|(at, _)| now >= *at);
        self.leaving = later;
        let due: Vec<(Instant, LinkId)> = due;
        for (_, link) in due {
            self.forget(link);
        }
    }

    pub(super) fn add_parent(&mut self, link: LinkId) {
        self.take_parent(link);
        self.warm(link);
    }

    /// Takes stripes from a parent as far as it is to carry any.
    fn take_parent(&mut self, link: LinkId) {
        if !self.parents.insert(link) {
            return;
        }
        let now = self.clock.now();
        if let Some(parent) = self.links.get(&link) {
            if let Some(permit) = self.permit.clone().filter(|_| link != self.host) {
                parent.send(&Control::Permit { permit });
            }
            if let Some(offer) = self.lanes.offer(parent) {
                parent.send(&offer);
            }
        }
        let by = self.taken_by(link);
        let lends = self.lends_in();
        for stream in self.streams.values_mut() {
            join(stream, now, link, by, lends);
        }
        self.spread();
        self.act();
    }

    /// The watcher at the other end of a link to a parent; `None` for relays and the host.
    pub(super) fn feeder_of(&self, link: LinkId) -> Option<KeyId> {
        self.links.get(&link).filter(|link| link.peer.role == Role::Watcher).map(|link| link.peer.key_id())
    }

    /// What a parent is to the streams that are taken from it.
    fn taken_by(&self, link: LinkId) -> By {
        match self.feeder_of(link) {
            Some(feeder) => By::Feeder(feeder),
            None if link == self.host => By::Host,
            None => By::Relay,
        }
    }

    /// This node's key, if it feeds others.
    pub(super) fn lends_in(&self) -> Option<KeyId> {
        self.serving.is_some().then(|| self.net.identity().key_id())
    }

    /// A subscriber of nothing may already ask for repair: so a parent that carries nothing yet is told what it may be asked for.
    fn warm(&mut self, link: LinkId) {
        let Some(parent) = self.links.get(&link) else { return };
        for stream in self.streams.values_mut().filter(|stream| !stream.known_to.contains(&link)) {
            stream.known_to.insert(link);
            parent.send(&Control::subscribe(stream.id, stream.layers.policy(), no_stripes(), Start::Live));
        }
    }

    /// Streams that came anew are taken from the parents that are there; the others go on as they are.
    pub(super) fn adopt_streams(&mut self, new: &BTreeSet<StreamId>) {
        let now = self.clock.now();
        let lends = self.lends_in();
        for link in self.parents.clone() {
            let by = self.taken_by(link);
            for stream in self.streams.values_mut().filter(|stream| new.contains(&stream.id)) {
                join(stream, now, link, by, lends);
            }
        }
        self.spread();
        self.act();
        for link in self.parents.clone() {
            self.warm(link);
        }
    }

    pub(super) fn remove_parent(&mut self, link: LinkId) {
        if !self.parents.remove(&link) {
            return;
        }
        let now = self.clock.now();
        for stream in self.streams.values_mut() {
            stream.subscription.remove_parent(now, link);
            stream.dues.shares.end(now, link);
            if let Some(parent) = self.links.get(&link) {
                parent.send(&Control::subscribe(
                    stream.id,
                    stream.layers.policy(),
                    no_stripes(),
                    Start::Live,
                ));
            }
        }
        self.spread();
        self.act();
    }

    pub(super) fn forget(&mut self, link: LinkId) {
        self.mesh.remove_link(link);
        self.links.remove(&link);
        self.lanes.remove(link);
        self.conduct.forget(link);
        for stream in self.streams.values_mut() {
            stream.known_to.remove(&link);
            stream.dues.shares.forget(link);
        }
    }

    pub(super) fn drop_parent(&mut self, link: LinkId) {
        self.forget(link);
        if let Some((address, failures)) = self.failing(link) {
            self.rest(address, pause(failures), failures);
        }
        self.remove_parent(link);
        self.serve_by_host_if_alone();
    }

    /// A permit from the host: every relay sees it before it is asked for anything.
    pub(super) fn take_permit(&mut self, permit: Vec<u8>) {
        for link in self.parents.iter().filter(|link| **link != self.host) {
            self.send(*link, &Control::Permit { permit: permit.clone() });
        }
        self.permit = Some(permit);
        self.offer();
        // Who was removed and is let in again has lost its subscriptions with the permit before; to others it says nothing new.
        self.streams.values_mut().for_each(|stream| stream.subscription.assign_again());
        self.act();
    }

    /// The lane of a link works, or is over. Only parents send media, so here it is only about asking for another one.
    pub(super) fn handle_lane(&self, link: LinkId, change: LaneChange) {
        tracing::debug!(%link, ?change, "lane");
        if let Some(parent) = self.links.get(&link).filter(|_| change == LaneChange::Due)
            && let Some(offer) = self.lanes.offer(parent)
        {
            parent.send(&offer);
        }
    }

    /// Asks for a key frame of the pictures, or of one description.
    pub(super) fn ask_for_key_frame(&mut self, description: Option<Description>) {
        let is_it =
            |stream: &&InStream| stream.kind == StreamKind::Video && stream.description == description;
        if let Some(stream) = self.streams.values().find(is_it).map(|stream| stream.id) {
            self.ask_for_key_frame_of(stream);
        }
    }

    /// Asks a parent that carries a stream for a key frame, another one each time: it merges requests, and passes them on.
    pub(super) fn ask_for_key_frame_of(&mut self, stream: StreamId) {
        let Some(stream) = self.streams.get(&stream).filter(|s| s.kind == StreamKind::Video) else { return };
        let parents: Vec<LinkId> = stream.subscription.carrying().collect();
        self.key_frames_asked += 1;
        let asked = parents.get(self.key_frames_asked % parents.len().max(1)).copied().unwrap_or(self.host);
        self.send(asked, &Control::KeyFrame { stream: stream.id.0 });
    }
}

/// What a parent is.
#[derive(Debug, Clone, Copy)]
enum By {
    Host,
    Relay,
    /// Another watcher.
    Feeder(KeyId),
}

/// Takes a stream from a parent: all that it is dealt, of a watcher the one stripe in which that feeds others, and of the host what
/// nobody else has.
fn join(stream: &mut InStream, now: MonoTime, link: LinkId, by: By, own: Option<KeyId>) {
    let dealt = Dealt::of(stream);
    match by {
        By::Host => stream.subscription.add_stand_in(now, link),
        // Which one of the descriptions it is to carry shows when all parents are known.
        By::Relay if stream.description.is_some() => {
            stream.subscription.add_parent_for(now, link, no_stripes());
        }
        By::Relay => stream.subscription.add_parent(now, link),
        By::Feeder(feeder) if may_feed(feeder, own, dealt.parts()) => {
            let home = dealt.home(home_of(feeder));
            if !home.is_empty() {
                stream.subscription.add_parent_only(now, link, home);
            }
        }
        By::Feeder(_) => {}
    }
}

/// Whether a watcher may feed this one, which feeds others as `own` itself, or nobody. Where both feed others in the same part, the
/// one with the lower key is nearer to the publisher: so nobody has it from himself.
pub(super) fn may_feed(feeder: KeyId, own: Option<KeyId>, parts: u8) -> bool {
    let part = |peer| home_of(peer) % u64::from(parts.max(1));
    own.is_none_or(|own| part(own) != part(feeder) || feeder < own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::announce;
    use crate::watch::proofs::Proofs;
    use av_wire::StreamAnnounce;
    use core_types::{CodecId, LayerPolicy};
    use identity::{Identity, Seed};

    /// The streams of a source in two descriptions.
    fn described() -> [InStream; 2] {
        let identity = Identity::from_seed(&Seed([1; 64])).unwrap();
        ["camera/0", "camera/1"].map(|label| {
            let plain = announce(StreamKind::Video, identity.key_id(), 1);
            let announce = StreamAnnounce { label: label.into(), codec: CodecId::Mdc, ..plain };
            InStream::new(announce, identity.public(), Proofs::Off, LayerPolicy::UNCAPPED).unwrap()
        })
    }

    #[test]
    fn who_feeds_others_is_asked_for_the_description_that_it_feeds_and_for_no_other() {
        let link = LinkId(7);
        let mut each = [0, 0];
        for feeder in keys(64) {
            let taken = described().map(|mut stream| {
                join(&mut stream, MonoTime(0), link, By::Feeder(feeder), None);
                stream.subscription.ready().chain(stream.subscription.carrying()).any(|known| known == link)
            });
            let own = (home_of(feeder) % 2) as usize;
            assert_eq!(taken, [own == 0, own == 1], "{feeder}");
            each[own] += 1;
        }
        assert!(each.iter().all(|count| *count > 10), "{each:?}");
        // A relay may carry either, and which one is settled when all parents are known.
        for mut stream in described() {
            join(&mut stream, MonoTime(0), link, By::Relay, None);
            assert!(stream.subscription.ready().any(|known| known == link));
        }
    }

    #[test]
    fn each_watcher_feeds_in_one_stripe_and_all_stripes_have_some() {
        for stripes in [1, 2, 4, 16] {
            let mut feeders = vec![0; usize::from(stripes)];
            for key in keys(400) {
                let home = Dealt::whole(stripes).home(home_of(key));
                assert_eq!((home.count(), home.len()), (stripes, 1));
                feeders[home.mask().trailing_zeros() as usize] += 1;
            }
            assert!(feeders.iter().all(|n| *n > 400 / usize::from(stripes) / 2), "{feeders:?}");
        }
    }

    #[test]
    fn nobody_is_fed_by_himself_however_indirectly() {
        let keys: Vec<KeyId> = keys(60).collect();
        for stripes in [1, 2, 4] {
            for stripe in 0..stripes {
                let home = |key| Dealt::whole(stripes).home(home_of(key)).mask() == 1 << stripe;
                let feed: Vec<KeyId> = keys.iter().copied().filter(|key| home(*key)).collect();
                // Whoever can be reached by way of any feeders that are allowed.
                for start in &feed {
                    let (mut open, mut above) = (vec![*start], BTreeSet::new());
                    while let Some(at) = open.pop() {
                        let allowed = feed.iter().filter(|f| **f != at && may_feed(**f, Some(at), stripes));
                        open.extend(allowed.filter(|f| above.insert(**f)));
                    }
                    assert!(!above.contains(start), "{start} has stripe {stripe} from itself");
                }
                // Somebody is fed by others all the same.
                assert!(feed.iter().any(|a| feed.iter().any(|b| a != b && may_feed(*a, Some(*b), stripes))));
            }
        }
    }

    fn keys(count: u32) -> impl Iterator<Item = KeyId> {
        (0..count)
            .map(|n| KeyId(std::array::from_fn(|at| (n.wrapping_mul(2_654_435_761) >> (at % 4 * 8)) as u8)))
    }
}
