//! Who is still there. A link is alive while anything comes over it: over its connection, or over the lane beside it. So a
//! link that carries media costs nothing more to watch, and nobody has to send in order to be found alive.

use core_types::{LinkId, MonoTime};
use std::collections::BTreeMap;
use std::time::Duration;

/// Links are looked at as often as this: that much later than its time something may be noticed.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// A peer of which nothing came for so long is asked for a sign, and again after as long.
pub(super) const ASK_AFTER: Duration = Duration::from_millis(1_250);
/// A peer of which nothing came for so long is gone. With the 750 ms in which it may come back, and the look, it is out of
/// its session within 5 s.
pub(super) const GONE_AFTER: Duration = Duration::from_millis(3_250);
/// A look that comes so much too late says that this node stood still, and that the silence was its own.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// What can be seen of a link. Counts are cheap to compare and may wrap; only a change of them means something.
pub(super) trait Signs {
    /// What has come over the link's connection, of whatever kind.
    fn came(&self) -> u64;
    /// What was said over it that the peer's transport has to acknowledge.
    fn said(&self) -> u64;
    /// When something came over the lane beside it last; `None` without one.
    fn lane_heard(&self) -> Option<MonoTime>;
}

/// What is to be done about a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask the peer for a sign.
    Ask,
    /// Close it: nothing came for so long.
    Silent(Duration),
    /// Close it: its lane works, but for so long nothing came over its connection, where an answer was due.
    Unanswered(Duration),
}

#[derive(Debug)]
struct Watched<S> {
    signs: S,
    came: u64,
    /// Its count was not looked at for a while: what it says next is no sign of now.
    is_stale: bool,
    said: u64,
    heard: MonoTime,
    /// Since when a sign over the connection is due.
    due_since: Option<MonoTime>,
    asked: Option<MonoTime>,
    /// Nothing has to be looked at before, unless something was said.
    look_again: MonoTime,
}

/// All links of a node, under one timer.
#[derive(Debug)]
pub(super) struct Liveness<S> {
    links: BTreeMap<LinkId, Watched<S>>,
    looked: MonoTime,
}

impl<S: Signs> Liveness<S> {
    pub(super) const fn new() -> Self {
        Self { links: BTreeMap::new(), looked: MonoTime(0) }
    }

    /// Begins to watch a link, which has just been heard.
    pub(super) fn add(&mut self, now: MonoTime, link: LinkId, signs: S) {
        if self.links.is_empty() {
            self.looked = now;
        }
        let (came, said) = (signs.came(), signs.said());
        let watched = Watched {
            signs,
            came,
            is_stale: false,
            said,
            heard: now,
            due_since: None,
            asked: None,
            look_again: now,
        };
        self.links.insert(link, watched);
    }

    /// Ends to watch a link.
    pub(super) fn remove(&mut self, link: LinkId) -> Option<S> {
        self.links.remove(&link).map(|watched| watched.signs)
    }

    /// When to [look](Self::look) next; `None` without links.
    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        (!self.links.is_empty()).then(|| self.looked.plus(LOOK))
    }

    /// Looks at all links, if it is time to, and says what is to be done about some of them. One that is to be closed is
    /// watched no more.
    pub(super) fn look(&mut self, now: MonoTime, mut act: impl FnMut(LinkId, &S, Verdict)) {
        let since = now.since(self.looked);
        if since < LOOK {
            return;
        }
        self.looked = now;
        let own_pause = if since > LOOK + STOOD_STILL { since } else { Duration::ZERO };
        self.links.retain(|link, watched| {
            watched.forgive(own_pause);
            let verdict = watched.look(now);
            if let Some(verdict) = verdict {
                act(*link, &watched.signs, verdict);
            }
            matches!(verdict, None | Some(Verdict::Ask))
        });
    }
}

impl<S: Signs> Watched<S> {
    /// While this node stood still nobody could be heard.
    fn forgive(&mut self, pause: Duration) {
        for at in [Some(&mut self.heard), self.due_since.as_mut(), self.asked.as_mut()].into_iter().flatten()
        {
            *at = at.plus(pause);
        }
    }

    fn look(&mut self, now: MonoTime) -> Option<Verdict> {
        let said = self.signs.said();
        let is_due = self.due_since.is_some() || said != self.said;
        if now < self.look_again && !is_due {
            return None;
        }
        let lane = self.signs.lane_heard();
        self.heard = lane.map_or(self.heard, |at| self.heard.max(at));
        // While the lane speaks, the connection matters only where it owes an answer: a look at it costs its lock.
        let speaks = lane.is_some_and(|at| now.since(at) < ASK_AFTER);
        let is_looked_at = is_due || !speaks;
        if is_looked_at {
            let came = self.signs.came();
            if came != self.came && !self.is_stale {
                (self.heard, self.due_since, self.asked) = (now, None, None);
            }
            self.came = came;
        }
        self.is_stale = !is_looked_at;
        // A lane knows when it was heard last, so that a look in time is enough; of a connection only looks tell.
        self.look_again = if speaks { self.heard.plus(ASK_AFTER) } else { now };
        if said != self.said {
            self.said = said;
            self.due_since.get_or_insert(now);
        }
        let silence = now.since(self.heard);
        let due = self.due_since.map_or(Duration::ZERO, |since| now.since(since));
        if silence >= GONE_AFTER {
            return Some(Verdict::Silent(silence));
        }
        if due >= GONE_AFTER {
            return Some(Verdict::Unanswered(due));
        }
        let again = self.asked.is_none_or(|at| now.since(at) >= ASK_AFTER);
        if silence.max(due) < ASK_AFTER || !again {
            return None;
        }
        self.asked = Some(now);
        self.due_since.get_or_insert(now);
        Some(Verdict::Ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    /// A link as a test has it: what came and was said, and when something came over its lane.
    #[derive(Debug, Clone, Default)]
    struct Fake(Rc<State>);

    #[derive(Debug, Default)]
    struct State {
        came: Cell<u64>,
        looks: Cell<u64>,
        said: Cell<u64>,
        lane_at: Cell<Option<u64>>,
    }

    impl Signs for Fake {
        fn came(&self) -> u64 {
            self.0.looks.set(self.0.looks.get() + 1);
            self.0.came.get()
        }
        fn said(&self) -> u64 {
            self.0.said.get()
        }
        fn lane_heard(&self) -> Option<MonoTime> {
            self.0.lane_at.get().map(MonoTime::from_millis)
        }
    }

    struct Stage {
        live: Liveness<Fake>,
        link: Fake,
        now: u64,
    }

    impl Stage {
        fn new() -> Self {
            let (mut live, link) = (Liveness::new(), Fake::default());
            live.add(MonoTime::from_millis(0), LinkId(1), link.clone());
            Self { live, link, now: 0 }
        }

        /// Lets time pass to `until`, in ms: what was to be done, and when. `each` comes before each look.
        fn run(&mut self, until: u64, mut each: impl FnMut(&State, u64)) -> Vec<(u64, Verdict)> {
            let mut done = Vec::new();
            while self.now < until {
                self.now += 50;
                each(&self.link.0, self.now);
                let now = MonoTime::from_millis(self.now);
                if self.live.poll_timeout().is_some_and(|at| at <= now) {
                    self.live.look(now, |_, _, verdict| done.push((self.now, verdict)));
                }
            }
            done
        }
    }

    fn come(state: &State, _: u64) {
        state.came.set(state.came.get() + 1);
    }

    #[test]
    fn a_peer_that_says_nothing_is_asked_twice_and_gone_in_time() {
        let mut stage = Stage::new();
        let done = stage.run(10_000, |_, _| {});
        let silent = Verdict::Silent(GONE_AFTER);
        assert_eq!(done, [(1_250, Verdict::Ask), (2_500, Verdict::Ask), (3_250, silent)]);
        assert_eq!(stage.live.poll_timeout(), None, "it is watched no more");
    }

    #[test]
    fn whoever_is_heard_is_not_asked_and_goes_on() {
        let mut stage = Stage::new();
        assert_eq!(stage.run(20_000, come), []);
        // A sign in time is enough; each silence begins anew.
        let rarely = |state: &State, at: u64| {
            if at.is_multiple_of(3_000) {
                come(state, at);
            }
        };
        let done = stage.run(50_000, rarely);
        assert!(done.len() > 10 && done.iter().all(|(_, verdict)| *verdict == Verdict::Ask), "{done:?}");
    }

    #[test]
    fn a_lane_that_speaks_keeps_a_link_for_nothing() {
        let mut stage = Stage::new();
        let looks = stage.link.0.looks.get();
        let lane = |state: &State, at: u64| state.lane_at.set(Some(at - at % 100));
        assert_eq!(stage.run(60_000, lane), []);
        assert_eq!(stage.link.0.looks.get(), looks, "its connection is not looked at");
        // When it falls silent as well, that counts from its last word.
        let done = stage.run(70_000, |_, _| {});
        assert_eq!(done.last(), Some(&(63_250, Verdict::Silent(GONE_AFTER))));
    }

    #[test]
    fn what_came_over_a_connection_while_its_lane_spoke_is_no_sign_of_later() {
        let mut stage = Stage::new();
        let both = |state: &State, at: u64| {
            state.lane_at.set(Some(at));
            come(state, at);
        };
        assert_eq!(stage.run(60_000, both), []);
        let done = stage.run(70_000, |_, _| {});
        assert_eq!(done.last(), Some(&(63_250, Verdict::Silent(GONE_AFTER))));
    }

    #[test]
    fn a_dead_connection_beside_a_lane_is_noticed_when_there_is_something_to_say() {
        let mut stage = Stage::new();
        let lane = |state: &State, at: u64| state.lane_at.set(Some(at));
        assert_eq!(stage.run(20_000, lane), [], "nothing is due");
        stage.link.0.said.set(1);
        let done = stage.run(40_000, lane);
        let unanswered = Verdict::Unanswered(GONE_AFTER);
        assert_eq!(done, [(21_500, Verdict::Ask), (22_750, Verdict::Ask), (23_500, unanswered)]);
    }

    #[test]
    fn a_connection_that_answers_beside_a_lane_is_asked_once() {
        let mut stage = Stage::new();
        stage.run(1_000, |state, at| state.lane_at.set(Some(at)));
        // Acknowledged before anybody looked: that can't be told from a connection that is dead, so it is asked.
        stage.link.0.said.set(1);
        stage.link.0.came.set(1);
        let mut asked = None;
        let mut done = stage.run(2_500, |state, at| state.lane_at.set(Some(at)));
        if let [(at, Verdict::Ask)] = done[..] {
            asked = Some(at);
            come(&stage.link.0, at);
        }
        done = stage.run(60_000, |state, at| state.lane_at.set(Some(at)));
        assert_eq!((asked, done), (Some(2_500), vec![]));
    }

    #[test]
    fn our_own_pause_is_not_the_peers_silence() {
        let mut stage = Stage::new();
        stage.run(2_000, |_, _| {});
        // Stopped for a minute.
        stage.now += 60_000;
        assert_eq!(stage.run(63_250, |_, _| {}), [(62_550, Verdict::Ask)]);
        let done = stage.run(65_000, |_, _| {});
        assert_eq!(done, [(63_300, Verdict::Silent(GONE_AFTER))], "what was silent before counts");
        // A look that is only late takes nothing back.
        let mut stage = Stage::new();
        stage.run(2_750, |_, _| {});
        stage.now += 950;
        let done = stage.run(3_750, |_, _| {});
        assert_eq!(done, [(3_750, Verdict::Silent(Duration::from_millis(3_750)))]);
    }
}
