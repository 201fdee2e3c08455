//! The receiver's side: objects and proofs in, in any order; verdicts out.

use super::ledger::{Findings, Ledger, Run};
use super::{
    Event, Grade, ObjectReport, Proof, Released, TreeHash, Unproven, UnverifiedProof, VerifierStats,
};
use crate::Error;
use core::time::Duration;
use core_types::{MediaTime, MonoTime, ObjectSeq, StreamId};
use identity::PublicIdentity;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What to do with objects that no proof covers yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Let them go at once, and report what turns out to be forged or is not proven in time.
    Flag,
    /// Hold them back until a proof of this grade or a higher one covers them, and never let the others go.
    Strict(Grade),
}

/// How long to wait, and how much to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifierConfig {
    /// What to do with objects that no proof covers yet.
    pub policy: Policy,
    /// From the arrival of an object until a proof of either grade must have covered it.
    pub deadline: Duration,
    /// From the arrival of an object until a hybrid proof must have covered it; after that what an interim proof said
    /// stands.
    pub hybrid_deadline: Duration,
    /// Objects held at most, among them those that wait for a hybrid proof only. The one whose time ends first gives way.
    pub max_objects: usize,
    /// Bytes of objects held back at most (strict). The one whose time ends first gives way.
    pub max_bytes: usize,
}

impl VerifierConfig {
    /// For streams proven by [`ProverConfig::VIDEO`](super::ProverConfig::VIDEO). The deadlines leave room for one lost
    /// proof of each grade and a second on the way.
    pub const fn video(policy: Policy) -> Self {
        Self {
            policy,
            deadline: Duration::from_secs(3),
            hybrid_deadline: Duration::from_secs(6),
            max_objects: 2_048,
            max_bytes: 16 << 20,
        }
    }

    /// For streams proven by [`ProverConfig::AUDIO`](super::ProverConfig::AUDIO).
    pub const fn audio(policy: Policy) -> Self {
        Self {
            deadline: Duration::from_secs(4),
            hybrid_deadline: Duration::from_secs(22),
            ..Self::video(policy)
        }
    }
}

/// Holds the objects of one stream against its publisher's proofs. `T` is whatever the caller wants back when an object
/// may go.
///
/// Memory is bounded: objects and bytes by the configuration, what proofs said by fixed numbers, and everything has a
/// time at which it is forgotten.
#[derive(Debug)]
pub struct Verifier<T> {
    stream: StreamId,
    publisher: PublicIdentity,
    config: VerifierConfig,
    /// Objects without a hybrid verdict. Several with one number are several candidates.
    waiting: BTreeMap<(ObjectSeq, TreeHash), Waiting<T>>,
    /// When the time of each of them ends.
    due: BTreeSet<(MonoTime, ObjectSeq, TreeHash)>,
    held_bytes: usize,
    ledger: Ledger,
    chain: BTreeMap<u64, Link>,
    /// First index, highest index and number of the proofs accepted.
    span: Option<(u64, u64, u64)>,
    /// The number after the last object's, once a last proof said so.
    end: Option<ObjectSeq>,
    highest_released: Option<ObjectSeq>,
    released: VecDeque<Released<T>>,
    events: VecDeque<Event>,
    stats: VerifierStats,
}

#[derive(Debug)]
struct Waiting<T> {
    pts: MediaTime,
    arrived: MonoTime,
    due: MonoTime,
    grade: Option<Grade>,
    /// An interim proof contradicted it, and that was reported.
    blamed: bool,
    /// What is held back, with its size in bytes.
    item: Option<(T, usize)>,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    hash: TreeHash,
    previous: TreeHash,
    grade: Grade,
}

impl<T> Verifier<T> {
    /// Candidates for one object number at most: more are turned away, and reported as evicted.
    pub const MAX_CANDIDATES: usize = 4;
    /// Proofs whose place in the chain is remembered.
    pub const MAX_CHAIN: usize = 256;
    /// Events kept for [`Verifier::poll_event`]; then the oldest are thrown away, and counted.
    pub const MAX_EVENTS: usize = 4_096;

    /// A verifier of `publisher`'s proofs of `stream`. It may start anywhere in the chain.
    pub fn new(stream: StreamId, publisher: PublicIdentity, config: VerifierConfig) -> Self {
        Self {
            stream,
            publisher,
            config,
            waiting: BTreeMap::new(),
            due: BTreeSet::new(),
            held_bytes: 0,
            ledger: Ledger::default(),
            chain: BTreeMap::new(),
            span: None,
            end: None,
            highest_released: None,
            released: VecDeque::new(),
            events: VecDeque::new(),
            stats: VerifierStats::default(),
        }
    }

    /// Takes an object that came in an authentic chunk: the number and the bytes that were sealed, whole, its time, and
    /// what the caller wants back.
    pub fn handle_object(&mut self, now: MonoTime, seq: ObjectSeq, pts: MediaTime, bytes: &[u8], item: T) {
        let leaf = TreeHash::leaf(self.stream, seq, bytes);
        let known = self.ledger.known(seq);
        if self.waiting.contains_key(&(seq, leaf)) || (known.taken && known.hybrid == Some(leaf)) {
            self.stats.duplicates += 1;
            return;
        }
        self.stats.objects += 1;
        let due = now.plus(self.config.deadline);
        let mut waiting = Waiting { pts, arrived: now, due, grade: None, blamed: false, item: None };
        let contradicted = known.hybrid.is_some_and(|genuine| genuine != leaf);
        if contradicted || self.end.is_some_and(|end| seq >= end) {
            self.forged(now, seq, &waiting, Grade::Hybrid);
            return;
        }
        if self.candidates(seq).count() >= Self::MAX_CANDIDATES {
            self.give_up(seq, &waiting, Unproven::Evicted);
            return;
        }
        match self.config.policy {
            Policy::Flag => self.release(seq, None, item),
            Policy::Strict(_) => {
                waiting.item = Some((item, bytes.len()));
                self.held_bytes += bytes.len();
            }
        }
        self.due.insert((due, seq, leaf));
        self.waiting.insert((seq, leaf), waiting);
        self.judge(now, seq);
        if self.waiting.contains_key(&(seq, leaf)) && self.ledger.runs_with(seq).next().is_some() {
            self.solve(now, |run| run.holds(seq));
        }
        self.make_room();
    }

    /// Takes a proof, whole. One that was taken before changes nothing.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Malformed`] or [`Error::Identity`]: it is no proof of this stream that the publisher
    /// signed. Then nothing has changed.
    pub fn handle_proof(&mut self, now: MonoTime, bytes: &[u8]) -> Result<(), Error> {
        let result = self.accept(now, bytes);
        if result.is_err() {
            self.stats.refused_proofs += 1;
        }
        result
    }

    /// Gives a verdict on what has waited long enough.
    pub fn handle_timeout(&mut self, now: MonoTime) {
        while let Some(&(due, seq, leaf)) = self.due.first()
            && due <= now
        {
            self.end_wait(seq, leaf, None);
        }
        self.ledger.handle_timeout(now);
    }

    /// When [`Verifier::handle_timeout`] has something to do next.
    pub fn poll_timeout(&self) -> Option<MonoTime> {
        self.due.first().map(|(due, ..)| *due)
    }

    /// The next object that may go. Those that one proof lets go come in order of their numbers.
    pub fn poll_object(&mut self) -> Option<Released<T>> {
        self.released.pop_front()
    }

    /// The next thing found.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What became of the objects so far.
    pub fn stats(&self) -> VerifierStats {
        let mut stats = self.stats;
        for waiting in self.waiting.values().filter(|waiting| !waiting.blamed) {
            match waiting.grade {
                Some(_) => stats.interim += 1,
                None => stats.open += 1,
            }
        }
        stats.lost_proofs = self.span.map_or(0, |(first, highest, count)| highest - first + 1 - count);
        stats
    }

    /// What is held: objects, bytes of objects held back, leaves and runs of proofs.
    pub fn held(&self) -> (usize, usize, usize, usize) {
        let (leaves, runs) = self.ledger.sizes();
        (self.waiting.len(), self.held_bytes, leaves, runs)
    }

    fn accept(&mut self, now: MonoTime, bytes: &[u8]) -> Result<(), Error> {
        let unverified = UnverifiedProof::parse(bytes)?;
        if unverified.stream() != self.stream {
            return Err(Error::Malformed { what: "proof", why: "of another stream" });
        }
        let hash = unverified.chain_hash();
        if self.chain.get(&unverified.index().0).is_some_and(|link| link.hash == hash) {
            return Ok(());
        }
        let proof = unverified.verify(&self.publisher)?;
        self.enter_chain(&proof, hash);
        match proof.grade {
            Grade::Interim => self.stats.interim_proofs += 1,
            Grade::Hybrid => self.stats.hybrid_proofs += 1,
        }
        let expires = now.plus(self.config.hybrid_deadline);
        // Lower numbers first, so that what is held back goes in order.
        for section in proof.sections.iter().rev() {
            let findings = self.ledger.add(proof.grade, section, expires);
            self.settle(now, findings);
            self.solve(now, |run| run.first >= section.first() && run.first < section.end());
        }
        if proof.last
            && let Some(end) = proof.sections.first().map(super::Section::end)
        {
            self.close(now, end);
        }
        Ok(())
    }

    fn enter_chain(&mut self, proof: &Proof, hash: TreeHash) {
        let (at, grade) = (proof.index.0, proof.grade);
        let other = |link: Option<&Link>, differs: &dyn Fn(&Link) -> bool| {
            link.filter(|link| differs(link)).map(|link| link.grade.min(grade))
        };
        let before = at.checked_sub(1).and_then(|before| self.chain.get(&before));
        let after = at.checked_add(1).and_then(|after| self.chain.get(&after));
        let broken = [
            other(self.chain.get(&at), &|same| same.hash != hash),
            other(before, &|before| before.hash != proof.previous),
            other(after, &|after| after.previous != hash),
        ];
        if let Some(grade) = broken.into_iter().flatten().min() {
            self.report(Event::Equivocation { stream: self.stream, index: proof.index, grade });
        }
        if let std::collections::btree_map::Entry::Vacant(place) = self.chain.entry(at) {
            place.insert(Link { hash, previous: proof.previous, grade });
            let (first, highest, count) = self.span.unwrap_or((at, at, 0));
            self.span = Some((first.min(at), highest.max(at), count + 1));
        }
        if self.chain.len() > Self::MAX_CHAIN {
            self.chain.pop_first();
        }
    }

    fn close(&mut self, now: MonoTime, end: ObjectSeq) {
        let end = self.end.map_or(end, |before| before.min(end));
        self.end = Some(end);
        let beyond: Vec<_> = self.waiting.range((end, TreeHash::ZERO)..).map(|(key, _)| *key).collect();
        for (seq, leaf) in beyond {
            if let Some(waiting) = self.take(seq, leaf) {
                self.forged(now, seq, &waiting, Grade::Hybrid);
            }
        }
    }

    fn solve(&mut self, now: MonoTime, touches: impl Fn(&Run) -> bool) {
        let waiting = &self.waiting;
        let held = |seq| waiting.range(of(seq)).map(|((_, leaf), _)| *leaf).collect();
        let findings = self.ledger.solve(touches, held);
        self.settle(now, findings);
    }

    fn settle(&mut self, now: MonoTime, findings: Findings) {
        if let Some(grade) = findings.conflict {
            let index = super::ProofIndex(self.span.map_or(0, |(_, highest, _)| highest));
            self.report(Event::Equivocation { stream: self.stream, index, grade });
        }
        for run in findings.suspects {
            let (stream, at) = (self.stream, now);
            let Run { first, len: count, grade, .. } = run;
            self.report(Event::SuspectRun { stream, first, count, grade, at });
        }
        for seq in findings.learnt {
            self.judge(now, seq);
        }
    }

    /// Holds what waits under `seq` against what is known of it.
    fn judge(&mut self, now: MonoTime, seq: ObjectSeq) {
        let known = self.ledger.known(seq);
        let candidates: Vec<_> = self.candidates(seq).collect();
        for leaf in candidates {
            match (known.hybrid, known.interim) {
                (Some(genuine), _) => {
                    let Some(waiting) = self.take(seq, leaf) else { continue };
                    if leaf == genuine {
                        self.ledger.mark_taken(seq);
                        self.proven_hybrid(seq, waiting);
                    } else {
                        self.forged(now, seq, &waiting, Grade::Hybrid);
                    }
                }
                (None, Some(genuine)) if leaf == genuine => self.proven_interim(seq, leaf),
                (None, Some(_)) => self.blame(now, seq, leaf),
                (None, None) => {}
            }
        }
    }

    fn proven_hybrid(&mut self, seq: ObjectSeq, waiting: Waiting<T>) {
        self.stats.hybrid += 1;
        if waiting.blamed {
            // The interim proof that blamed it was not the publisher's.
            self.stats.forged -= 1;
        }
        let object = report(self.stream, seq, &waiting);
        self.report(Event::Proven { object, grade: Grade::Hybrid });
        if let Some((item, _)) = waiting.item {
            self.release(seq, Some(Grade::Hybrid), item);
        }
    }

    fn proven_interim(&mut self, seq: ObjectSeq, leaf: TreeHash) {
        let Some(waiting) = self.waiting.get_mut(&(seq, leaf)) else { return };
        if waiting.grade.is_some() {
            return;
        }
        waiting.grade = Some(Grade::Interim);
        let object = report(self.stream, seq, waiting);
        let enough = self.config.policy == Policy::Strict(Grade::Interim);
        let item = if enough { waiting.item.take() } else { None };
        self.wait_for_hybrid(seq, leaf);
        self.report(Event::Proven { object, grade: Grade::Interim });
        if let Some((item, len)) = item {
            self.held_bytes -= len;
            self.release(seq, Some(Grade::Interim), item);
        }
    }

    /// An interim proof contradicts it. It is kept: the hybrid proof has the last word.
    fn blame(&mut self, now: MonoTime, seq: ObjectSeq, leaf: TreeHash) {
        let Some(waiting) = self.waiting.get_mut(&(seq, leaf)) else { return };
        if waiting.blamed {
            return;
        }
        waiting.blamed = true;
        let object = report(self.stream, seq, waiting);
        self.stats.forged += 1;
        self.wait_for_hybrid(seq, leaf);
        self.report(Event::Forged { object, grade: Grade::Interim, at: now });
    }

    fn wait_for_hybrid(&mut self, seq: ObjectSeq, leaf: TreeHash) {
        let Some(waiting) = self.waiting.get_mut(&(seq, leaf)) else { return };
        self.due.remove(&(waiting.due, seq, leaf));
        waiting.due = waiting.arrived.plus(self.config.hybrid_deadline.max(self.config.deadline));
        self.due.insert((waiting.due, seq, leaf));
    }

    /// Ends the wait of an object without a hybrid verdict.
    fn end_wait(&mut self, seq: ObjectSeq, leaf: TreeHash, why: Option<Unproven>) {
        let Some(waiting) = self.take(seq, leaf) else { return };
        if waiting.blamed {
            return;
        }
        if waiting.grade.is_some() {
            self.stats.interim += 1;
            return;
        }
        let why = why.unwrap_or_else(|| {
            let suspects = self.ledger.runs_with(seq).map(|run| run.suspect);
            suspects.max().map_or(Unproven::NoProof, |suspect| match suspect {
                true => Unproven::SuspectRun,
                false => Unproven::NeighboursLost,
            })
        });
        self.give_up(seq, &waiting, why);
    }

    fn make_room(&mut self) {
        while self.waiting.len() > self.config.max_objects || self.held_bytes > self.config.max_bytes {
            let Some(&(_, seq, leaf)) = self.due.first() else { return };
            self.end_wait(seq, leaf, Some(Unproven::Evicted));
        }
    }

    fn give_up(&mut self, seq: ObjectSeq, waiting: &Waiting<T>, why: Unproven) {
        self.stats.unproven += 1;
        let object = report(self.stream, seq, waiting);
        self.report(Event::Uncovered { object, why });
    }

    fn forged(&mut self, at: MonoTime, seq: ObjectSeq, waiting: &Waiting<T>, grade: Grade) {
        if !waiting.blamed {
            self.stats.forged += 1;
        }
        let object = report(self.stream, seq, waiting);
        self.report(Event::Forged { object, grade, at });
    }

    fn take(&mut self, seq: ObjectSeq, leaf: TreeHash) -> Option<Waiting<T>> {
        let waiting = self.waiting.remove(&(seq, leaf))?;
        self.due.remove(&(waiting.due, seq, leaf));
        self.held_bytes -= waiting.item.as_ref().map_or(0, |(_, len)| *len);
        Some(waiting)
    }

    fn candidates(&self, seq: ObjectSeq) -> impl Iterator<Item = TreeHash> {
        self.waiting.range(of(seq)).map(|((_, leaf), _)| *leaf)
    }

    fn release(&mut self, seq: ObjectSeq, grade: Option<Grade>, item: T) {
        let late = self.highest_released.is_some_and(|highest| seq < highest);
        self.highest_released = self.highest_released.max(Some(seq));
        if self.released.len() >= self.config.max_objects {
            // Only where nobody polls.
            self.released.pop_front();
        }
        self.released.push_back(Released { seq, grade, late, item });
    }

    fn report(&mut self, event: Event) {
        if self.events.len() == Self::MAX_EVENTS {
            self.events.pop_front();
            self.stats.lost_events += 1;
        }
        self.events.push_back(event);
    }
}

/// All candidates for one object number.
const fn of(seq: ObjectSeq) -> core::ops::RangeInclusive<(ObjectSeq, TreeHash)> {
    (seq, TreeHash::ZERO)..=(seq, TreeHash::MAX)
}

const fn report<T>(stream: StreamId, seq: ObjectSeq, waiting: &Waiting<T>) -> ObjectReport {
    ObjectReport { stream, seq, pts: waiting.pts, arrived: waiting.arrived }
}
