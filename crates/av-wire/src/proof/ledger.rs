//! What signed proofs say: the leaves that are known, and the runs whose leaves are not known yet.

use super::{Grade, Section, TreeHash};
use core_types::{MonoTime, ObjectSeq};
use std::collections::{BTreeMap, VecDeque};

/// Leaves remembered: twice the longest section.
const MAX_KNOWN: usize = 2 * Section::MAX_OBJECTS;
/// Runs remembered whose leaves are not known.
const MAX_RUNS: usize = 2 * Section::MAX_RUNS;
/// Combinations of candidates that are tried for a run. More than one exists only where somebody forges.
const MAX_TRIES: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    known: BTreeMap<ObjectSeq, Known>,
    /// The same in the order in which they became known.
    order: VecDeque<ObjectSeq>,
    runs: VecDeque<Run>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    pub(super) interim: Option<TreeHash>,
    pub(super) hybrid: Option<TreeHash>,
    /// The object with the hybrid leaf was here: another one like it is a duplicate.
    pub(super) taken: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) first: ObjectSeq,
    pub(super) len: usize,
    pub(super) grade: Grade,
    node: TreeHash,
    parity: TreeHash,
    expires: MonoTime,
    pub(super) suspect: bool,
}

impl Run {
    pub(super) const fn holds(&self, seq: ObjectSeq) -> bool {
        seq.0 >= self.first.0 && seq.0 - self.first.0 < self.len as u64
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = ObjectSeq> + use<> {
        (self.first.0..self.first.0 + self.len as u64).map(ObjectSeq)
    }
}

/// What trying to work out a run's leaves came to.
#[derive(Debug, PartialEq, Eq)]
enum Solution {
    Leaves(Vec<TreeHash>),
    /// Too much is missing.
    Open,
    /// Something is here for every place, and it does not fit.
    Contradiction,
}

/// What changed.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Objects whose leaf became known.
    pub(super) learnt: Vec<ObjectSeq>,
    /// Runs that are complete and contradict their hash.
    pub(super) suspects: Vec<Run>,
    /// The lower of the grades of two leaves that exclude each other.
    pub(super) conflict: Option<Grade>,
}

impl Ledger {
    pub(super) fn known(&self, seq: ObjectSeq) -> Known {
        self.known.get(&seq).copied().unwrap_or_default()
    }

    pub(super) fn mark_taken(&mut self, seq: ObjectSeq) {
        if let Some(known) = self.known.get_mut(&seq) {
            known.taken = true;
        }
    }

    /// The runs with unknown leaves that hold `seq`.
    pub(super) fn runs_with(&self, seq: ObjectSeq) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.holds(seq))
    }

    /// Enters a section of a verified proof.
    pub(super) fn add(&mut self, grade: Grade, section: &Section, expires: MonoTime) -> Findings {
        let mut findings = Findings::default();
        let mut first = section.first.0;
        for (at, node) in section.nodes.iter().enumerate() {
            let len = ((section.end().0 - first) as usize).min(section.run.objects());
            if len == 1 {
                self.learn(ObjectSeq(first), grade, *node, &mut findings);
            } else if let Some(&parity) = section.parities.get(at) {
                if self.runs.len() == MAX_RUNS {
                    self.runs.pop_front();
                }
                let first = ObjectSeq(first);
                self.runs.push_back(Run { first, len, grade, node: *node, parity, expires, suspect: false });
            }
            first += len as u64;
        }
        findings
    }

    /// Works out the runs that `touches` picks, with the leaves of what is held.
    pub(super) fn solve(
        &mut self,
        touches: impl Fn(&Run) -> bool,
        held: impl Fn(ObjectSeq) -> Vec<TreeHash>,
    ) -> Findings {
        let mut findings = Findings::default();
        let mut at = 0;
        while let Some(run) = self.runs.get(at).copied() {
            at += 1;
            if !touches(&run) {
                continue;
            }
            match self.solution(&run, &held) {
                Solution::Leaves(leaves) => {
                    at -= 1;
                    self.runs.remove(at);
                    for (seq, leaf) in run.objects().zip(leaves) {
                        self.learn(seq, run.grade, leaf, &mut findings);
                    }
                }
                Solution::Contradiction if !run.suspect => {
                    if let Some(run) = self.runs.get_mut(at - 1) {
                        run.suspect = true;
                        findings.suspects.push(*run);
                    }
                }
                Solution::Contradiction | Solution::Open => {}
            }
        }
        findings
    }

    /// Forgets runs whose objects have all had their time.
    pub(super) fn handle_timeout(&mut self, now: MonoTime) {
        self.runs.retain(|run| run.expires > now);
    }

    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.known.len(), self.runs.len())
    }

    fn learn(&mut self, seq: ObjectSeq, grade: Grade, leaf: TreeHash, findings: &mut Findings) {
        if !self.known.contains_key(&seq) {
            if self.order.len() == MAX_KNOWN
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.order.push_back(seq);
        }
        let known = self.known.entry(seq).or_default();
        let (mine, other) = match grade {
            Grade::Interim => (&mut known.interim, known.hybrid),
            Grade::Hybrid => (&mut known.hybrid, known.interim),
        };
        match *mine {
            Some(before) if before != leaf => {
                findings.conflict = findings.conflict.min(Some(grade)).or(Some(grade))
            }
            Some(_) => {}
            None => {
                *mine = Some(leaf);
                if other.is_some_and(|other| other != leaf) {
                    findings.conflict = Some(Grade::Interim);
                }
                findings.learnt.push(seq);
            }
        }
    }

    /// The leaves of a run. They are right if they hash to its node, wherever they come from: what is held, what weaker
    /// proofs said, and for one place at most what the parity leaves over.
    fn solution(&self, run: &Run, held: &impl Fn(ObjectSeq) -> Vec<TreeHash>) -> Solution {
        let candidates: Vec<Vec<TreeHash>> = run
            .objects()
            .map(|seq| {
                let known = self.known(seq);
                let mut leaves: Vec<_> = known.hybrid.into_iter().chain(known.interim).collect();
                leaves.extend(held(seq));
                leaves.dedup();
                leaves
            })
            .collect();
        let missing: Vec<usize> = (0..run.len).filter(|at| candidates[*at].is_empty()).collect();
        let fits = |leaves: &[TreeHash]| TreeHash::root(leaves) == run.node;
        let places = match missing.as_slice() {
            [] => None,
            [only] => Some(*only..*only + 1),
            _ => return Solution::Open,
        };
        for combination in Combinations::new(&candidates).take(MAX_TRIES) {
            if places.is_none() && fits(&combination) {
                return Solution::Leaves(combination);
            }
            // The leaf of one place follows from the parity and the others: of the one that is missing, or else of any,
            // in case that what is held there is the forged one.
            let all = combination.iter().copied().fold(run.parity, TreeHash::xor);
            for place in places.clone().unwrap_or(0..run.len) {
                let mut leaves = combination.clone();
                leaves[place] = all.xor(combination[place]);
                if fits(&leaves) {
                    return Solution::Leaves(leaves);
                }
            }
        }
        if places.is_some() { Solution::Open } else { Solution::Contradiction }
    }
}

/// One candidate for every place, in turn; zeros where there is none.
struct Combinations<'a> {
    candidates: &'a [Vec<TreeHash>],
    next: Option<Vec<usize>>,
}

impl<'a> Combinations<'a> {
    fn new(candidates: &'a [Vec<TreeHash>]) -> Self {
        Self { candidates, next: Some(vec![0; candidates.len()]) }
    }
}

impl Iterator for Combinations<'_> {
    type Item = Vec<TreeHash>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut choice = self.next.take()?;
        let pick =
            |(options, at): (&Vec<TreeHash>, &usize)| options.get(*at).copied().unwrap_or(TreeHash::ZERO);
        let combination = self.candidates.iter().zip(&choice).map(pick).collect();
        for (options, at) in self.candidates.iter().zip(&mut choice) {
            *at += 1;
            if *at < options.len() {
                self.next = Some(choice);
                break;
            }
            *at = 0;
        }
        Some(combination)
    }
}
