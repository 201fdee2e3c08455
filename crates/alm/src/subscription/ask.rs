//! What is asked for, and of whom.

use super::config::LEAST;
use super::objects::Objects;
use super::{Action, Subscription};
use crate::parents::Parent;
use core_types::{ChunkSeq, Epoch, LinkId, MonoTime};
use std::collections::BTreeMap;

/// Chunks that one request names at most: what a relay takes.
const MAX_REQUEST: usize = 256;
/// Chunks of an object that are asked for beyond what is needed, at most.
const MAX_MORE: u64 = 3;
/// Objects that are late at one time while single chunks are lost.
const MUCH: usize = 3;

impl Subscription {
    /// Asks for what is overdue and needed.
    pub(super) fn ask(&mut self, now: MonoTime) {
        self.unfold(now);
        let (mut due, given_up) = self.gaps.due(now, self.config.max_attempts);
        self.stats.given_up += given_up;
        self.add_idle(now, &mut due);
        // What is wanted of each object beyond what is under way.
        let mut wanted: BTreeMap<(Epoch, u64), u64> = BTreeMap::new();
        let mut requests: BTreeMap<(LinkId, Epoch), Vec<ChunkSeq>> = BTreeMap::new();
        for (epoch, seq) in due {
            if let Some(at) = self.under_way_until(now, epoch, seq) {
                self.put_off(epoch, seq, at, false);
                continue;
            }
            let passes_on = self.passed_on & self.stripe_bit(seq) != 0;
            if let Some(object) = self.objects.find(epoch, seq.0).filter(|_| !passes_on) {
                let key = (epoch, object.range.start);
                let left = match wanted.get(&key) {
                    Some(left) => *left,
                    None => self.wanted(now, object),
                };
                wanted.insert(key, left.saturating_sub(1));
                if left == 0 {
                    self.put_off(epoch, seq, now.plus(self.config.patience(Default::default())), true);
                    continue;
                }
            }
            self.request(now, epoch, seq, &mut requests);
        }
        for ((parent, epoch), chunks) in requests {
            for some in chunks.chunks(MAX_REQUEST) {
                self.actions.push_back(Action::Request { parent, epoch, chunks: some.to_vec() });
            }
        }
    }

    fn request(
        &mut self,
        now: MonoTime,
        epoch: Epoch,
        seq: ChunkSeq,
        requests: &mut BTreeMap<(LinkId, Epoch), Vec<ChunkSeq>>,
    ) {
        let attempts = self.gaps.get(epoch, seq).map_or(0, |gap| gap.attempts);
        let parent = self.whom_to_ask(seq, attempts).and_then(|link| self.parent(link));
        // A single parent knows what is on its way, and sends nothing twice: to ask it too early costs a message, to ask it too
        // late costs what was lost. Another one would send it once more.
        let live = self.parents.iter().filter(|p| p.answers()).count();
        let answer = parent.filter(|_| live > 1).map_or(Default::default(), |p| p.answer);
        // Each of the others is asked once before anybody is given more time.
        let others = u8::try_from(live).unwrap_or(u8::MAX).saturating_sub(1).max(1);
        let wait = self.config.retry(answer, attempts / others);
        let Some(link) = parent.map(|p| p.link) else {
            // Nobody is there. It is given up in time all the same.
            if let Some(gap) = self.gaps.get_mut(epoch, seq) {
                gap.attempts = gap.attempts.saturating_add(1);
                gap.next_at = now.plus(wait);
            }
            return;
        };
        if let Some(gap) = self.gaps.get_mut(epoch, seq) {
            gap.ask(now, link, wait);
            self.stats.requested += 1;
            requests.entry((link, epoch)).or_default().push(seq);
        }
    }

    /// Puts the ends of objects down as missing when nothing of them came for a while: no later chunk has to show it.
    fn unfold(&mut self, now: MonoTime) {
        for object in self.objects.take_due(now, self.config.request_after) {
            for number in Objects::tail(&object, self.gaps.newest()) {
                self.put_down(now, object.epoch, number, object.last_at, false);
            }
        }
    }

    /// A chunk's carrier sends in order. While it is heard and has not come past a chunk, that one is likely to come yet.
    fn under_way_until(&self, now: MonoTime, epoch: Epoch, seq: ChunkSeq) -> Option<MonoTime> {
        let gap = self.gaps.get(epoch, seq).filter(|gap| gap.attempts == 0)?;
        let end = gap.since.plus(self.config.request_within);
        let owner = self.owner(seq).filter(|p| p.is_live())?;
        let (at_epoch, at, when) = owner.own?;
        let until = when.plus(self.config.patience(owner.late.usual())).min(end);
        ((at_epoch, at) < (epoch, seq) && until > now).then_some(until)
    }

    /// Where something was asked for in vain, or an object has taken long, what was not needed before is looked at again.
    fn add_idle(&self, now: MonoTime, due: &mut Vec<(Epoch, ChunkSeq)>) {
        let mut more = Vec::new();
        let mut done = None;
        for (epoch, seq) in due.iter().copied() {
            if done.is_some_and(|(at, end)| at == epoch && seq.0 < end) {
                continue;
            }
            let in_vain = self.gaps.get(epoch, seq).is_some_and(|gap| gap.attempts > 0);
            if let Some(object) =
                self.objects.find(epoch, seq.0).filter(|object| in_vain || self.late_by(now, object) > 0)
            {
                // Numbers ascend, so each object is looked at once.
                done = Some((epoch, object.range.end));
                let gaps = self.gaps.missing_in(epoch, &object.range);
                more.extend(gaps.filter(|(_, gap)| gap.idle).map(|(seq, _)| (epoch, seq)));
            }
        }
        if !more.is_empty() {
            due.append(&mut more);
            due.sort_unstable();
            due.dedup();
        }
    }

    /// How many more chunks of an object to ask for: one more than are needed when some were asked for in vain, or when it has
    /// taken long; and ever more beside what is under way while single chunks are lost, for an answer that does not come could not
    /// be made up for.
    fn wanted(&self, now: MonoTime, object: &super::Object) -> u64 {
        let mut gaps = self.gaps.missing_in(object.epoch, &object.range);
        let in_vain = gaps.any(|(_, gap)| gap.attempts > 0 && gap.next_at <= now);
        let (wanted, under_way) = (object.wanted(), self.under_way(now, object));
        let needed = wanted.saturating_sub(under_way);
        let late = self.late_by(now, object);
        let needed = needed + u64::from((in_vain || late > 0) && needed > 0);
        if late == 0 || wanted == 0 || self.is_much_late(now, object) {
            return needed;
        }
        needed.max((wanted + late.min(MAX_MORE)).saturating_sub(under_way))
    }

    /// 1 when it has taken as long as a chunk is waited for, and one more for each half of that on top; 0 while there is but one
    /// parent to ask: that one answers all requests or none.
    fn late_by(&self, now: MonoTime, object: &super::Object) -> u64 {
        let live = self.parents.iter().filter(|p| p.answers()).count();
        let half = self.config.request_within.max(LEAST) / 2;
        let halves = now.since(object.first_at).as_micros().checked_div(half.as_micros()).unwrap_or(0);
        if live > 1 { u64::try_from(halves).unwrap_or(u64::MAX).saturating_sub(1) } else { 0 }
    }

    /// Not single chunks are lost: more requests would keep what is new from coming.
    fn is_much_late(&self, now: MonoTime, object: &super::Object) -> bool {
        let within = self.config.request_within.max(LEAST);
        now.since(object.first_at) > within * 4 || self.objects.late(now, within) > MUCH
    }

    /// How many chunks of an object are likely to come by themselves, or were asked for.
    fn under_way(&self, now: MonoTime, object: &super::Object) -> u64 {
        let waiting = self.gaps.missing_in(object.epoch, &object.range);
        let waiting = waiting.filter(|(_, gap)| gap.next_at > now && !gap.idle).count() as u64;
        let tail = Objects::tail(object, self.gaps.newest());
        let tail = if object.unfolded { 0 } else { tail.end.saturating_sub(tail.start) };
        waiting + tail
    }

    fn put_off(&mut self, epoch: Epoch, seq: ChunkSeq, until: MonoTime, idle: bool) {
        if let Some(gap) = self.gaps.get_mut(epoch, seq) {
            gap.next_at = until;
            gap.idle = idle;
        }
    }

    /// A live parent that is not the one that should have sent the chunk, another one at each attempt, and that one after all
    /// others; the only parent, if there is but one. A whole share is asked of all others alike.
    pub(super) fn whom_to_ask(&self, seq: ChunkSeq, attempts: u8) -> Option<LinkId> {
        let bit = self.stripe_bit(seq);
        let choose = |which: &dyn Fn(&&Parent) -> bool| {
            let owner = self.parents.iter().position(|p| p.mask & bit != 0).unwrap_or(0);
            let (before, rest) = self.parents.split_at(owner.min(self.parents.len()));
            let around = rest.iter().skip(1).chain(before).chain(rest.iter().take(1));
            let able: Vec<LinkId> = around.filter(which).map(|p| p.link).collect();
            let owns = able.last().is_some_and(|l| self.parent(*l).is_some_and(|p| p.mask & bit != 0));
            let others = (able.len() - usize::from(owns)).max(1) as u64;
            let first = (seq.0 / u64::from(self.config.stripes)) % others;
            let at = (first as usize + usize::from(attempts)) % able.len().max(1);
            able.get(at).copied()
        };
        choose(&|p| p.is_live() && !p.is_doubtful())
            .or_else(|| choose(&|p| p.answers()))
            .or_else(|| choose(&|p| !p.full))
            .or_else(|| choose(&|_| true))
    }
}
