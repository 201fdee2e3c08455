//! A simulated node: what it has, whom it feeds, and what it has seen.

use super::report::NodeReport;
use super::rng::Rng;
use super::scenario::{Bursts, Scenario};
use super::watch::Watch;
use crate::planner::Load;
use crate::{Subscription, VerifiedClaim};
use core::time::Duration;
use core_types::{BitRate, KeyId, LinkId, MonoTime};

/// A node's number, in the order of joining; the publisher is 0. Never given a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(pub(super) u32);

impl Id {
    pub(super) const PUBLISHER: Self = Self(0);

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How a node behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Honest,
    Lying,
    Stalling,
    Slow,
}

/// How long a node keeps chunks for repair.
pub(super) const KEPT: Duration = Duration::from_secs(2);
/// What waits longer than this for the uplink is dropped.
pub(super) const MAX_QUEUE: Duration = Duration::from_millis(200);
/// How long a place is held for a watcher that has not yet said which stripes it wants.
pub(super) const RESERVED: Duration = Duration::from_secs(2);
/// Peers that let a watcher down and are remembered, at most.
const MAX_BAD: usize = 32;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) key: KeyId,
    pub(super) role: Role,
    /// One way, to the middle of the network.
    pub(super) latency: Duration,
    /// What it had at first, and has now.
    pub(super) first_uplink: BitRate,
    pub(super) uplink: BitRate,
    /// Up to when the report counts what it could carry.
    pub(super) uplink_since: MonoTime,
    /// The one stripe in which it feeds others, if it can be helped. By its key: so all know it.
    pub(super) home: u16,
    /// Which network it is in, for the planner.
    pub(super) network: u64,
    /// It is among those whom the present partition cuts off.
    pub(super) cut_off: bool,
    /// Its place in the list of those who carry the stream.
    pub(super) listed: Option<u32>,
    /// `None` once it is gone.
    pub(super) live: Option<Box<Live>>,
    pub(super) report: NodeReport,
}

/// A child of a node, with what it was given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child {
    pub(super) id: Id,
    /// Stripes that it is sent.
    pub(super) mask: u16,
    /// Stripes of these whose places are another one's by now.
    pub(super) leaving: u16,
    /// Stripes that are held for it, since when.
    pub(super) reserved: u16,
    pub(super) since: MonoTime,
    /// The link is in a bad time.
    pub(super) bad_times: bool,
}

impl Child {
    /// Stripes that count as taken.
    pub(super) fn taken(&self, now: MonoTime) -> u16 {
        let held = if now.since(self.since) < RESERVED { self.reserved } else { 0 };
        (self.mask | held) & !self.leaving
    }

    /// How many those are.
    pub(super) fn stripes(&self, now: MonoTime) -> u32 {
        self.taken(now).count_ones()
    }

    /// Draws whether the next chunk is lost on the way.
    pub(super) fn loses(&mut self, rng: &mut Rng, permille: u16, bursts: Option<Bursts>) -> bool {
        let mut lost = rng.chance(permille);
        if let Some(bursts) = bursts {
            let turns = if self.bad_times { bursts.stop } else { bursts.start };
            self.bad_times ^= rng.chance(turns);
            lost |= self.bad_times && rng.chance(bursts.loss);
        }
        lost
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Parent {
    pub(super) id: Id,
    /// Stripes that it has a place for, or feeds others in.
    pub(super) stripes: u16,
    /// Stripes of which it has given the place away.
    pub(super) leaving: u16,
    /// It has sent something unasked.
    pub(super) served: bool,
    /// It was found silent; it is left when there is another.
    pub(super) suspect: bool,
}

/// One frame as far as it has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// Bit n for chunk n.
    pub(super) have: u64,
    pub(super) frame: u32,
    pub(super) asked: u8,
    pub(super) shown: bool,
}

impl Slot {
    const EMPTY: Self = Self { have: 0, frame: u32::MAX, asked: 0, shown: false };
}

/// A peer that can be asked for a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) parent: Id,
    /// Places in these stripes; none for a spare.
    pub(super) stripes: u16,
    pub(super) need: Need,
}

/// How much a watcher asks of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// A place, if it feeds no more than others do.
    Place,
    /// One of a few more, since the others are full.
    More,
    /// Whatever there is, in whichever stripe: nobody else is left.
    Any,
}

/// The search for parents.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Who is asked next for what, from the end.
    pub(super) next: Vec<Asked>,
    /// Who is asked to be a spare, from the end.
    pub(super) others: Vec<Id>,
    /// Asked, and no answer yet.
    pub(super) waiting: Vec<Asked>,
    /// Said yes, and not taken yet.
    pub(super) granted: Vec<(Id, u16)>,
    /// Stripes that a parent is wanted for.
    pub(super) wanted: u16,
    /// And how many spares.
    pub(super) spares: usize,
    /// It has all it needs, and would rather be nearer to the publisher than so many hops.
    pub(super) nearer: Option<usize>,
    /// … of its own accord.
    pub(super) voluntary: bool,
}

/// What a node has while it is there.
#[derive(Debug)]
pub(super) struct Live {
    /// The publisher has none.
    pub(super) subscription: Option<Subscription>,
    pub(super) frames: Vec<Slot>,
    /// The first frame that is not accounted for.
    pub(super) next_frame: u32,
    /// The last one that was shown.
    pub(super) last_shown: Option<u32>,
    /// Hops of the last chunk of each stripe that came unasked.
    pub(super) hops: [u8; 16],
    pub(super) children: Vec<Child>,
    pub(super) parents: Vec<Parent>,
    /// Who let it down, until when it is not asked.
    pub(super) bad: Vec<(Id, MonoTime)>,
    pub(super) search: Option<Search>,
    /// What it makes of its parents, and of others.
    pub(super) watch: Watch,
    /// Searches on end that found nobody.
    pub(super) failures: u8,
    /// When the uplink has sent all that waits, in ns: a chunk may take less than a microsecond.
    pub(super) busy_until: u64,
    /// When the next timer event is due.
    pub(super) timer: Option<MonoTime>,
    pub(super) heard: Option<MonoTime>,
    /// The same of each stripe.
    pub(super) heard_of: [Option<MonoTime>; 16],
    /// When each began to come again.
    pub(super) resumed: [Option<MonoTime>; 16],
    /// Since when it is without a parent that died.
    pub(super) hurt_at: Option<MonoTime>,
    pub(super) claim: VerifiedClaim,
    /// What it last said of its load, and when.
    pub(super) told: (MonoTime, Load),
}

impl Live {
    pub(super) fn new(
        id: Id,
        subscription: Option<Subscription>,
        claim: VerifiedClaim,
        first_frame: u32,
        scenario: &Scenario,
    ) -> Self {
        let kept = usize::from(scenario.fps) * 5 / 2 + 2;
        Self {
            subscription,
            frames: vec![Slot::EMPTY; kept],
            next_frame: first_frame,
            last_shown: None,
            hops: [0; 16],
            children: Vec::new(),
            parents: Vec::new(),
            bad: Vec::new(),
            search: None,
            watch: Watch::new(id, scenario.parents),
            failures: 0,
            busy_until: 0,
            timer: None,
            heard: None,
            heard_of: [None; 16],
            resumed: [None; 16],
            hurt_at: None,
            claim,
            told: (MonoTime(0), Load::default()),
        }
    }

    /// The place of a frame; `None` if newer ones have taken it.
    pub(super) fn slot(&mut self, frame: u32) -> Option<&mut Slot> {
        let at = frame as usize % self.frames.len().max(1);
        let slot = self.frames.get_mut(at)?;
        if slot.frame == u32::MAX || slot.frame < frame {
            *slot = Slot { frame, ..Slot::EMPTY };
        }
        (slot.frame == frame).then_some(slot)
    }

    /// What is there of a frame.
    pub(super) fn peek(&self, frame: u32) -> Option<&Slot> {
        self.frames.get(frame as usize % self.frames.len().max(1)).filter(|slot| slot.frame == frame)
    }

    pub(super) fn child(&mut self, id: Id) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.id == id)
    }

    pub(super) fn has_parent(&self, id: Id) -> bool {
        self.parents.iter().any(|parent| parent.id == id)
    }

    /// Parents that are not suspected.
    pub(super) fn good_parents(&self) -> usize {
        self.parents.iter().filter(|parent| !parent.suspect).count()
    }

    /// Stripes that these are there for.
    pub(super) fn good_stripes(&self) -> u16 {
        self.parents.iter().filter(|parent| !parent.suspect).fold(0, |all, parent| all | parent.stripes)
    }

    /// Parents that are to send something.
    pub(super) fn carrying(&self) -> impl Iterator<Item = Id> {
        let carrying = self.subscription.iter().flat_map(Subscription::carrying);
        carrying.map(|LinkId(link)| Id(link as u32))
    }

    /// Stripes that somebody gets from here.
    pub(super) fn passed_on(&self) -> u16 {
        self.children.iter().fold(0, |all, child| all | child.mask)
    }

    /// Stripes given away.
    pub(super) fn stripes(&self, now: MonoTime) -> u32 {
        self.children.iter().map(|child| child.stripes(now)).sum()
    }

    pub(super) fn avoid(&mut self, id: Id, until: MonoTime) {
        self.bad.retain(|(bad, _)| *bad != id);
        if self.bad.len() >= MAX_BAD {
            self.bad.remove(0);
        }
        self.bad.push((id, until));
    }

    pub(super) fn avoids(&self, id: Id, now: MonoTime) -> bool {
        self.bad.iter().any(|(bad, until)| *bad == id && now < *until)
    }
}
