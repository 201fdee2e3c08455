//! What the watcher makes of its parents: each is held against its share (spec 57 section 3), who does not deliver is left, and
//! what nothing excuses is said to the host.

use super::Watcher;
use super::first_contact::whole;
use super::spread::Dealt;
use crate::clock::wall_now;
use crate::mesh::Measured;
use crate::net::{Control, Link};
use crate::publish::StreamKind;
use alm::delivery::{Court, Evidence, Inserted, Path, Standing, Verdict};
use alm::planner::Damping;
use core_types::{KeyId, LinkId, MonoTime, StreamId, StripeSet};
use identity::PublicIdentity;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Parents are looked at so often, and those that are watchers, or were not heard meanwhile, asked for a sign.
const LOOK: Duration = Duration::from_millis(500);
/// Nothing of a stream for so long is more than one parent's fault.
const SILENT: Duration = Duration::from_millis(500);
/// A round trip that is so much longer than the shortest says that packets wait in a standing queue.
const QUEUES: Duration = Duration::from_millis(50);
/// A look that comes so much too late says that this node stood still: nobody was silent but itself.
const STOOD_STILL: Duration = Duration::from_secs(1);
/// Who was left for what it did not deliver is not asked for so long.
const LEFT_ALONE: Duration = Duration::from_secs(30);
/// A spare that has not taken over by then is not able to: the parent is kept.
const TAKEN_OVER: Duration = Duration::from_secs(2);
/// Evidence that is kept.
const COURT: usize = 256;
/// The score of a parent that delivers its whole share, and of who is fully trusted.
const WHOLE: u32 = 1_000;
/// Where this node's own word comes from; no network has that name.
const HERE: u64 = u64::MAX;

/// What is known of parents beside what the streams' subscriptions know.
#[derive(Debug)]
pub(super) struct Conduct {
    look_at: Instant,
    heard: BTreeMap<LinkId, Heard>,
    court: Court,
    damping: Damping,
    /// A relay that others take over from, for one that delivers more, and since when.
    leaving: Option<(LinkId, MonoTime)>,
}

/// When a parent was heard.
#[derive(Debug, Clone, Copy)]
struct Heard {
    came: u64,
    looked: MonoTime,
    asked: bool,
}

impl Conduct {
    pub(super) fn new() -> Result<Self, crate::Error> {
        let court = Court::new(COURT).map_err(|error| crate::Error::codec("court", error))?;
        Ok(Self {
            look_at: Instant::now(),
            heard: BTreeMap::new(),
            court,
            damping: Damping::default(),
            leaving: None,
        })
    }

    pub(super) const fn look_at(&self) -> Instant {
        self.look_at
    }

    pub(super) fn standing(&self, now: MonoTime, who: KeyId) -> Standing {
        self.court.standing(now, who)
    }

    pub(super) fn forget(&mut self, link: LinkId) {
        self.heard.remove(&link);
        self.leaving = self.leaving.filter(|(leaving, _)| *leaving != link);
    }
}

impl Watcher {
    /// Looks at all parents, if it is time to.
    pub(super) fn tend_parents(&mut self, now: Instant) {
        if now < self.conduct.look_at {
            return;
        }
        let stood_still = now.duration_since(self.conduct.look_at) >= STOOD_STILL;
        self.conduct.look_at = now + LOOK;
        let time = self.clock.now();
        self.question(time, stood_still);
        self.judge(time);
        self.consider(time);
        self.own_up(time);
    }

    /// Sees who was heard since the last look, and how their paths are; asks who was not.
    fn question(&mut self, now: MonoTime, stood_still: bool) {
        let (mut paths, mut asked) = (BTreeMap::new(), Vec::new());
        let parents: Vec<LinkId> = self.parents.iter().copied().collect();
        for id in parents {
            let feeds = self.feeder_of(id).is_some();
            let Some(link) = self.links.get_mut(&id) else { continue };
            let came = link.came();
            let last = self.conduct.heard.get(&id).copied();
            let by_lane =
                last.is_some_and(|last| self.lanes.heard(id).is_some_and(|heard| heard >= last.looked));
            let is_heard = stood_still || by_lane || last.is_none_or(|last| last.came != came);
            let asks = feeds || !is_heard;
            if asks {
                asked.push(id);
            }
            let path = if is_heard {
                Path::Heard { queueing: queues(now, link) }
            } else if last.is_some_and(|last| last.asked) {
                Path::Unheard
            } else {
                Path::Heard { queueing: None }
            };
            self.conduct.heard.insert(id, Heard { came, looked: now, asked: asks });
            paths.insert(id, path);
            let (key, rtt) = (link.peer.key_id(), round_trip(now, link).unwrap_or_default());
            let is_host = id == self.host;
            for stream in self.streams.values_mut() {
                if is_heard {
                    stream.subscription.handle_sign(now, id);
                }
                if !is_host {
                    stream.dues.shares.keep(now, id, key, rtt);
                }
            }
        }
        for id in asked {
            self.send(id, &Control::Ping);
        }
        for stream in self.streams.values_mut() {
            stream.dues.shares.look(now, |id| paths.get(&id).copied().unwrap_or(Path::Unheard));
            stream.dues.shares.expect(now);
        }
        self.act();
    }

    /// A parent was told what to send.
    pub(super) fn note_share(&mut self, stream: StreamId, parent: LinkId, stripes: StripeSet) {
        let now = self.clock.now();
        let Some(link) = self.links.get_mut(&parent).filter(|_| parent != self.host) else { return };
        let (key, rtt) = (link.peer.key_id(), round_trip(now, link).unwrap_or_default());
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.dues.shares.set_share(now, parent, key, rtt, stripes.mask());
        }
    }

    /// Leaves parents that do not deliver, and says so of those for whom there is no excuse. While more is wrong than single parents,
    /// or the way to this watcher is crowded and nobody gets through, nobody is to blame.
    fn judge(&mut self, now: MonoTime) {
        let crowded = self.first_contact.is_crowded();
        let (mut left, mut accused) = (Vec::new(), Vec::new());
        for stream in self.streams.values_mut() {
            let silent = stream.dues.is_silent(now, SILENT);
            let verdicts: Vec<_> = stream.dues.shares.verdicts(now).collect();
            let all_alike = !verdicts.iter().any(|(_, verdict)| *verdict == Verdict::Good);
            let troubled = stream.dues.shares.look_for_trouble(now, silent) || (crowded && all_alike);
            for (parent, verdict) in verdicts {
                match verdict {
                    Verdict::Good | Verdict::Unknown => stream.dues.shares.set_found(parent, false),
                    _ if troubled => {}
                    Verdict::Unreachable | Verdict::Congested => left.push((parent, verdict)),
                    Verdict::Short { .. } => {
                        accused.push((stream.id, parent));
                        left.push((parent, verdict));
                    }
                }
            }
        }
        for (stream, parent) in accused {
            self.accuse(now, stream, parent);
        }
        for (parent, verdict) in left {
            self.leave_parent(now, parent, verdict);
        }
    }

    /// Others get a parent's stripes; a watcher that fed us is left, and not asked again for a while. Relays that the host names come
    /// back as those do that fell silent.
    fn leave_parent(&mut self, now: MonoTime, parent: LinkId, verdict: Verdict) {
        if !self.parents.contains(&parent) || parent == self.host {
            return;
        }
        tracing::info!(link = %parent, ?verdict, "a parent does not deliver its share");
        self.snapshot.left += 1;
        if self.feeder_of(parent).is_some() {
            self.let_go(now, parent);
        } else {
            self.streams.values_mut().for_each(|stream| stream.subscription.suspect_parent(now, parent));
            self.act();
        }
    }

    /// Leaves a watcher for others, and does not look for it for a while.
    fn let_go(&mut self, now: MonoTime, parent: LinkId) {
        if let Some(key) = self.feeder_of(parent) {
            self.mesh.leave_alone(now, key);
        }
        self.move_away(parent, LEFT_ALONE);
    }

    /// Signs that a watcher has claimed room and does not deliver, and sends that to the host.
    fn accuse(&mut self, now: MonoTime, stream: StreamId, parent: LinkId) {
        let Some(key) = self.feeder_of(parent) else { return };
        let wall = wall_now();
        let me = self.net.identity().key_id();
        self.conduct.court.set_advertisers(self.mesh.advertisers());
        let (Some(stream), Some(claim)) = (self.streams.get_mut(&stream), self.mesh.claim_of(key)) else {
            return;
        };
        let Some(evidence) = stream.dues.shares.evidence(now, wall, me, stream.id, (parent, claim)) else {
            return;
        };
        let signed = evidence.sign(self.net.identity()).map_err(|error| error.to_string());
        let found = signed.and_then(|signed| {
            let verified = Evidence::verify(&signed, self.net.identity().public());
            verified.map(|verified| (signed, verified)).map_err(|error| error.to_string())
        });
        match found {
            Ok((signed, verified)) => {
                tracing::info!(peer = %key.short(), delivered = evidence.delivered, expected = evidence.expected, "evidence");
                stream.dues.shares.set_found(parent, true);
                self.snapshot.accused += 1;
                let _ = self.conduct.court.insert(now, wall, HERE, &verified);
                self.send(self.host, &Control::Evidence { evidence: signed });
            }
            Err(error) => tracing::warn!(error, "evidence could not be signed"),
        }
    }

    /// What the host passes on of what other members say. Each weighs that for itself.
    pub(super) fn hear_found(&mut self, observer: &[u8], origin: u64, evidence: &[u8]) -> Result<(), String> {
        let observer = PublicIdentity::from_bytes(observer).map_err(|error| error.to_string())?;
        if observer.key_id() == self.net.identity().key_id() {
            return Ok(());
        }
        // It may have left meanwhile, and then its word is not asked for.
        if self.member.leaf_of(observer.key_id()).is_none() {
            return Ok(());
        }
        let evidence = Evidence::verify(evidence, &observer).map_err(|error| error.to_string())?;
        let (now, wall) = (self.clock.now(), wall_now());
        self.conduct.court.set_advertisers(self.mesh.advertisers());
        match self.conduct.court.insert(now, wall, origin, &evidence) {
            Ok(Inserted::Convicted) => self.shun(now, evidence.accused),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "evidence of no use"),
        }
        Ok(())
    }

    /// Who claims what it does not deliver feeds nobody here.
    fn shun(&mut self, now: MonoTime, liar: KeyId) {
        tracing::info!(peer = %liar.short(), "three say that it does not deliver what it claims");
        let is_its = |link: &&LinkId| self.feeder_of(**link) == Some(liar);
        if let Some(link) = self.parents.iter().find(is_its).copied() {
            self.let_go(now, link);
        }
    }

    /// Compares the relay that delivers least with a spare one that might deliver more, and changes it when that has been so for long
    /// enough: make before break.
    fn consider(&mut self, now: MonoTime) {
        // A watcher feeds in its own stripe alone, and can't stand in for whoever carries another one.
        let is_relay = |link: &LinkId| *link != self.host && self.feeder_of(*link).is_none();
        let relays: Vec<LinkId> = self.parents.iter().copied().filter(is_relay).collect();
        let carrying = self.carriers();
        if let Some((leaving, since)) = self.conduct.leaving {
            if !carrying.contains(&leaving) {
                self.conduct.leaving = None;
                self.move_away(leaving, LEFT_ALONE);
            } else if now.since(since) >= TAKEN_OVER {
                self.conduct.leaving = None;
                for stream in self.streams.values_mut() {
                    let stripes = whole(stream.announce.parents);
                    stream.subscription.add_parent_for(now, leaving, stripes);
                }
                self.act();
            }
            return;
        }
        let shares = carrying.iter().filter(|link| relays.contains(link));
        let delivered = |link: LinkId| {
            let shown = self.streams.values().filter(|stream| stream.kind == StreamKind::Video);
            let of_each =
                shown.filter(|stream| stream.subscription.carrying().any(|carrier| carrier == link));
            of_each.filter_map(|stream| stream.dues.shares.delivered(now, link)).min()
        };
        let worst = shares.filter_map(|link| Some((delivered(*link)?, *link))).min();
        let others = carrying.iter().filter(|link| worst.is_some_and(|(_, worst)| worst != **link));
        let best = others.filter_map(|link| delivered(*link)).max();
        let spare = relays.iter().find(|link| !carrying.contains(link) && self.may_carry(**link));
        let rival = spare.and_then(|link| {
            let key = self.links.get(link)?.peer.key_id();
            Some((key, hoped_for(self.conduct.court.standing(now, key).trust, best)))
        });
        let (incumbent, worst) = worst.map_or((WHOLE, None), |(score, link)| (score.into(), Some(link)));
        let switch = self.conduct.damping.handle_scores(now, incumbent, rival.filter(|_| worst.is_some()));
        let (Some(_), Some(worst)) = (switch, worst) else { return };
        tracing::info!(link = %worst, delivers = incumbent, "a spare takes a parent's place");
        self.snapshot.switched += 1;
        self.conduct.leaving = Some((worst, now));
        for stream in self.streams.values_mut() {
            stream.subscription.retire(now, worst, whole(stream.announce.parents));
        }
        self.act();
    }

    /// Says to those whom it feeds what does not reach this watcher, or them for want of room.
    fn own_up(&mut self, now: MonoTime) {
        let lends = self.home;
        let Some(serving) = &mut self.serving else { return };
        let mut lacking = Vec::new();
        for stream in self.streams.values() {
            let home = Dealt::of(stream).home(lends);
            if stream.dues.lacking(now) & home.mask() != 0 {
                lacking.push(stream.id);
            }
        }
        serving.core.say_what_sheds(&lacking);
    }

    /// A parent says that it sheds.
    pub(super) fn excuse(&mut self, parent: LinkId, stream: StreamId) {
        let now = self.clock.now();
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.dues.shares.handle_shedding(now, parent);
        }
    }

    /// What this watcher knows of a peer by itself.
    pub(super) fn measured(&self, rtts: &BTreeMap<KeyId, Duration>, now: MonoTime, peer: KeyId) -> Measured {
        let its = |link: &&LinkId| self.links.get(*link).is_some_and(|link| link.peer.key_id() == peer);
        let full = self.parents.iter().find(its).is_some_and(|link| self.is_full(*link));
        Measured { rtt: rtts.get(&peer).copied(), trust: self.conduct.standing(now, peer).trust, full }
    }

    /// The time to each parent and back, as far as it was measured.
    pub(super) fn round_trips(&mut self) -> BTreeMap<KeyId, Duration> {
        let now = self.clock.now();
        let parents = self.links.iter_mut().filter(|(id, _)| self.parents.contains(id));
        parents.filter_map(|(_, link)| Some((link.peer.key_id(), round_trip(now, link)?))).collect()
    }
}

/// What may be hoped for of a spare of which nothing is known but how far it is believed: no more than the best of the others delivers, for
/// what all of them lack is lost on the way to us.
fn hoped_for(trust: u16, best_of_others: Option<u16>) -> u32 {
    u32::from(trust.min(best_of_others.unwrap_or(u16::MAX))).min(WHOLE)
}

fn round_trip(now: MonoTime, link: &mut Link) -> Option<Duration> {
    Some(link.estimate(now).smoothed_rtt).filter(|rtt| !rtt.is_zero())
}

/// Whether packets wait on the way; `None` while nothing is known of it.
fn queues(now: MonoTime, link: &mut Link) -> Option<bool> {
    let estimate = link.estimate(now);
    (!estimate.min_rtt.is_zero()).then(|| estimate.smoothed_rtt.saturating_sub(estimate.min_rtt) > QUEUES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_hoped_for_of_a_spare_than_others_deliver() {
        assert_eq!(hoped_for(1_000, None), 1_000, "nothing is known of the way");
        assert_eq!(hoped_for(1_000, Some(830)), 830);
        assert_eq!(hoped_for(700, Some(830)), 700);
        assert_eq!(hoped_for(u16::MAX, Some(1_200)), WHOLE);
    }
}
