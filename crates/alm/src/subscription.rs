//! One stream, several parents.

use crate::gaps::Gaps;
use crate::parents::{Handover, Parent, deal, surplus};
use core::ops::Range;
use core::time::Duration;
use core_types::{ChunkSeq, Epoch, Error, LinkId, MonoTime, StripeSet};
use std::collections::{BTreeMap, VecDeque};

/// Chunks that one request names at most: what a relay takes.
const MAX_REQUEST: usize = 256;

/// How patient a subscription is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Into how many stripes the stream is dealt: the number of parents that the publisher's repair is sized for.
    pub stripes: u8,
    /// How long a missing chunk may still come by itself. Grows by itself where chunks overtake one another.
    pub request_after: Duration,
    /// How long an answer to a request may take before another parent is asked; twice as long each further time.
    pub retry_after: Duration,
    /// How often one chunk is asked for.
    pub max_attempts: u8,
    /// A parent is suspected when it was not heard for this long after a chunk of its stripes was missed, and …
    pub silent_after: Duration,
    /// … this many are missing by then. So a slide show that sends little makes nobody suspect, nor does a pause.
    pub silent_chunks: u32,
    /// How long a parent that fell silent is not given stripes.
    pub suspect_for: Duration,
}

impl Default for Config {
    /// Four stripes; ask after 15 ms, again after 50, 100 and 200 ms; silent after 100 ms and 4 chunks; 5 s of suspicion.
    fn default() -> Self {
        Self {
            stripes: 4,
            request_after: Duration::from_millis(15),
            retry_after: Duration::from_millis(50),
            max_attempts: 4,
            silent_after: Duration::from_millis(100),
            silent_chunks: 4,
            suspect_for: Duration::from_secs(5),
        }
    }
}

/// What the caller is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Tell `parent` to send exactly these stripes from now on (maybe none).
    Assign {
        /// Whom to tell.
        parent: LinkId,
        /// What it shall send.
        stripes: StripeSet,
    },
    /// Ask `parent` to send these chunks again.
    Request {
        /// Whom to ask.
        parent: LinkId,
        /// Their epoch.
        epoch: Epoch,
        /// Their numbers, ascending.
        chunks: Vec<ChunkSeq>,
    },
    /// `parent` fell silent while the stream went on; its stripes are with others now.
    Suspect {
        /// Who fell silent.
        parent: LinkId,
    },
    /// No parent is left that carries the stream, or the last one fell silent: find new ones.
    Rebuild,
}

/// What a subscription has seen, counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Chunks reported.
    pub chunks: u64,
    /// Chunks that were missing when a later one came.
    pub missing: u64,
    /// Chunks asked for, each time counted.
    pub requested: u64,
    /// Chunks that came after they were asked for.
    pub repaired: u64,
    /// Chunks that never came.
    pub given_up: u64,
}

/// A stream taken from several parents at once. See the crate's front page for the drain rule.
#[derive(Debug)]
pub struct Subscription {
    config: Config,
    parents: Vec<Parent>,
    handovers: Vec<Handover>,
    gaps: Gaps,
    actions: VecDeque<Action>,
    stats: Stats,
}

impl Subscription {
    /// A subscription without parents.
    ///
    /// # Errors
    /// [`Error::Stripe`] unless there are 1 to 16 stripes.
    pub fn new(config: Config) -> Result<Self, Error> {
        StripeSet::new(config.stripes, 0)?;
        Ok(Self {
            config,
            parents: Vec::new(),
            handovers: Vec::new(),
            gaps: Gaps::new(),
            actions: VecDeque::new(),
            stats: Stats::default(),
        })
    }

    /// Adds a parent: it gets the stripes that nobody carries, or one of a parent that has two more. A parent beyond the
    /// number of stripes stays a warm spare.
    pub fn add_parent(&mut self, now: MonoTime, link: LinkId) {
        if self.parents.iter().any(|p| p.link == link) {
            return;
        }
        self.parents.push(Parent::new(now, link));
        for changed in deal(&mut self.parents, self.config.stripes, now) {
            self.assign(changed);
        }
        while let Some(handover) = surplus(&self.parents, link) {
            self.hand_over(now, handover);
        }
    }

    /// Forgets a parent whose link is gone; its stripes go to the others at once.
    pub fn remove_parent(&mut self, now: MonoTime, link: LinkId) {
        let before = self.parents.len();
        self.parents.retain(|p| p.link != link);
        if self.parents.len() != before {
            self.reassign(now, link);
        }
    }

    /// Treats a parent as silent: what another stream's subscription has found holds for this one too.
    pub fn suspect_parent(&mut self, now: MonoTime, link: LinkId) {
        let until = now.plus(self.config.suspect_for);
        let others = self.parents.iter().any(|p| p.link != link && p.is_live(now));
        if self.parents.iter().any(|p| p.link == link && p.mask != 0) {
            if !others {
                // A silent parent is better than none, until there is another.
                self.parent_mut(link, |p| p.missed = 0);
                self.actions.push_back(Action::Rebuild);
                return;
            }
            self.parent_mut(link, |p| {
                p.mask = 0;
                p.missed = 0;
                p.suspect_until = Some(until);
            });
            self.actions.push_back(Action::Suspect { parent: link });
            self.assign(link);
            self.reassign(now, link);
        }
    }

    /// Tells all parents their shares once more. For parents that may have forgotten them: a relay does with who lost its
    /// permission, and does not take it up again by itself when there is a new one.
    pub fn assign_again(&mut self) {
        for link in self.parents.iter().map(|p| p.link).collect::<Vec<_>>() {
            self.assign(link);
        }
    }

    /// Reports an authentic, fresh chunk from a parent.
    pub fn handle_chunk(&mut self, now: MonoTime, from: LinkId, epoch: Epoch, seq: ChunkSeq) {
        self.stats.chunks += 1;
        self.parent_mut(from, |p| {
            p.last_heard = now;
            p.missed = 0;
        });
        self.finish_handover(from, seq);
        let (missing, closed) = self.gaps.note(now, epoch, seq, self.config.request_after);
        self.stats.repaired += u64::from(closed.is_some_and(|gap| gap.attempts > 0));
        for number in missing {
            self.stats.missing += 1;
            let bit = self.stripe_bit(ChunkSeq(number));
            if let Some(owner) = self.parents.iter_mut().find(|p| p.mask & bit != 0) {
                if owner.missed == 0 {
                    owner.missed_since = now;
                }
                owner.missed = owner.missed.saturating_add(1);
            }
        }
    }

    /// Reports an authentic chunk that was seen before: it shows that `from` carries the stripe, not that it is of use.
    pub fn handle_duplicate(&mut self, now: MonoTime, from: LinkId, epoch: Epoch, seq: ChunkSeq) {
        self.gaps.note_duplicate(now, epoch, seq);
        // `missed` stays as it is: a parent that only repeats old chunks must still be found out.
        self.parent_mut(from, |p| p.last_heard = now);
        self.finish_handover(from, seq);
    }

    /// Says that the chunks of `range` are not needed any more, come or not: their object is complete.
    pub fn settle(&mut self, epoch: Epoch, range: Range<ChunkSeq>) {
        self.gaps.settle(epoch, range.start.0..range.end.0);
    }

    /// Does what is due: suspects silent parents, asks for missing chunks.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        let silent: Vec<LinkId> = self
            .parents
            .iter()
            .filter(|p| self.silent_at(p).is_some_and(|at| now >= at))
            .map(|p| p.link)
            .collect();
        for link in silent {
            self.suspect_parent(now, link);
        }
        // A parent whose time of suspicion is over is given a share again.
        let forgiven: Vec<LinkId> = self
            .parents
            .iter()
            .filter(|p| p.suspect_until.is_some_and(|at| now >= at))
            .map(|p| p.link)
            .collect();
        for link in forgiven {
            self.parent_mut(link, |p| p.suspect_until = None);
            while let Some(handover) = surplus(&self.parents, link) {
                self.hand_over(now, handover);
            }
        }
        let (due, given_up) = self.gaps.take_due(now, self.config.retry_after, self.config.max_attempts);
        self.stats.given_up += given_up;
        let mut requests: BTreeMap<(LinkId, Epoch), Vec<ChunkSeq>> = BTreeMap::new();
        for (epoch, seq, attempts) in due {
            if let Some(parent) = self.whom_to_ask(now, seq, attempts) {
                self.stats.requested += 1;
                requests.entry((parent, epoch)).or_default().push(seq);
            }
        }
        for ((parent, epoch), chunks) in requests {
            for some in chunks.chunks(MAX_REQUEST) {
                self.actions.push_back(Action::Request { parent, epoch, chunks: some.to_vec() });
            }
        }
    }

    /// When [`Subscription::handle_timeout`] has something to do next.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        let silent = self.parents.iter().filter_map(|p| self.silent_at(p));
        let forgiven = self.parents.iter().filter_map(|p| p.suspect_until);
        silent.chain(forgiven).chain(self.gaps.next_due()).min()
    }

    /// What to do next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The parents that carry at least one stripe.
    pub fn carrying(&self) -> impl Iterator<Item = LinkId> {
        self.parents.iter().filter(|p| p.mask != 0).map(|p| p.link)
    }

    /// The counters.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// When this parent counts as silent, if nothing more comes from it.
    fn silent_at(&self, parent: &Parent) -> Option<MonoTime> {
        let suspicious = parent.mask != 0 && parent.missed >= self.config.silent_chunks;
        suspicious.then(|| parent.missed_since.max(parent.last_heard).plus(self.config.silent_after))
    }

    /// A live parent that is not the one that should have sent the chunk, another one at each attempt; the only parent,
    /// if there is but one.
    fn whom_to_ask(&self, now: MonoTime, seq: ChunkSeq, attempts: u8) -> Option<LinkId> {
        let bit = self.stripe_bit(seq);
        let live: Vec<&Parent> = self.parents.iter().filter(|p| p.is_live(now)).collect();
        let owner = live.iter().position(|p| p.mask & bit != 0).unwrap_or(0);
        live.get((owner + 1 + usize::from(attempts)) % live.len().max(1)).map(|p| p.link)
    }

    const fn stripe_bit(&self, seq: ChunkSeq) -> u16 {
        1 << (seq.0 % self.config.stripes as u64)
    }

    /// Make before break: the former carrier is told to stop only when the new one has delivered. Before the first chunk
    /// there is nothing to break.
    fn hand_over(&mut self, now: MonoTime, handover: Handover) {
        let Handover { stripe, from, to } = handover;
        self.parent_mut(from, |p| p.mask &= !stripe);
        self.parent_mut(to, |p| {
            p.mask |= stripe;
            p.last_heard = now;
        });
        self.assign(to);
        if self.stats.chunks == 0 {
            self.assign(from);
        } else if let Some(pending) = self.handovers.iter_mut().find(|h| h.stripe == stripe) {
            // `from` had not delivered yet: it is skipped, and the carrier before it goes on for longer.
            pending.to = to;
            self.assign(from);
        } else {
            self.handovers.push(handover);
        }
    }

    fn finish_handover(&mut self, from: LinkId, seq: ChunkSeq) {
        let bit = self.stripe_bit(seq);
        if let Some(at) = self.handovers.iter().position(|h| h.to == from && h.stripe == bit) {
            let done = self.handovers.swap_remove(at);
            self.assign(done.from);
        }
    }

    fn reassign(&mut self, now: MonoTime, gone: LinkId) {
        self.handovers.retain(|h| h.from != gone && h.to != gone);
        let changed = deal(&mut self.parents, self.config.stripes, now);
        for link in &changed {
            // It starts to owe these stripes now, not when it was last heard with others.
            self.parent_mut(*link, |p| p.last_heard = now);
            self.assign(*link);
        }
        if self.parents.iter().all(|p| p.mask == 0) {
            self.actions.push_back(Action::Rebuild);
        }
    }

    fn assign(&mut self, link: LinkId) {
        let Some(parent) = self.parents.iter().find(|p| p.link == link) else { return };
        if let Ok(stripes) = StripeSet::new(self.config.stripes, parent.mask) {
            self.actions.push_back(Action::Assign { parent: link, stripes });
        }
    }

    fn parent_mut(&mut self, link: LinkId, change: impl FnOnce(&mut Parent)) {
        if let Some(parent) = self.parents.iter_mut().find(|p| p.link == link) {
            change(parent);
        }
    }
}
