//! Two commits in one epoch, and nobody to order them.

use crate::{BranchOrder, Change, CommitHash, CommitOutcome, Epoch, Error, MAX_COMMIT_BYTES, Member, Staged};
use core::time::Duration;
use core_types::MonoTime;
use std::collections::VecDeque;

/// How long the commits of an epoch are waited for, from the first: then the smallest hash holds.
pub const SETTLE_TIME: Duration = Duration::from_millis(300);
/// How long a member that is behind waits for the missing commits before it rejoins.
pub const CATCH_UP_TIME: Duration = Duration::from_secs(2);
/// How long a rejoin is waited for before it is tried again with a newer group info.
pub const REJOIN_TIME: Duration = Duration::from_secs(2);

/// Commits that are kept for those who missed them; their bytes are at most [`MAX_COMMIT_BYTES`].
const SEEN_COMMITS: usize = 16;

/// Drives a member of a session that nobody orders. Sans-IO: `now` is an argument, [`next_timeout`](Self::next_timeout)
/// says when to call [`handle_timeout`](Self::handle_timeout).
///
/// Of the commits that start from one epoch the one with the smallest SHA-256 holds, its own included. When the wait is
/// over the member enters its epoch; what an overtaken commit of its own was to do comes back as
/// [`Event::Overtaken`], to be staged again. A member that missed the commit that holds learns so from a group info by
/// somebody with a say: it then makes an external commit by itself, which takes part like any other. Where such a group info
/// shows that its maker is behind on the same line, the commits since then are sent again.
///
/// The drain rule: give every commit and group info to `handle_*`, and act on the events that each call gives out. Between
/// [`stage`](Self::stage) and the event that ends it, stage nothing else.
#[derive(Debug, Default)]
pub struct Arbiter {
    settles: Option<MonoTime>,
    /// Since when the member has known that it lacks commits.
    behind: Option<MonoTime>,
    /// Until when a rejoin is waited for.
    rejoining: Option<MonoTime>,
    /// When a group info was last asked for because of something that nobody vouches for.
    asked: Option<MonoTime>,
    /// When commits were last sent again for somebody who is behind.
    helped: Option<MonoTime>,
    /// The last commits, for those who missed them.
    seen: VecDeque<(CommitHash, Vec<u8>)>,
}

/// What has to be done about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Send this commit to all members.
    Send(Vec<u8>),
    /// An own commit holds: send this welcome to those whom it adds.
    Welcome(Vec<u8>),
    /// A commit is in force.
    Epoch(Box<CommitOutcome>),
    /// An own commit did not hold: [`Member::stage_again`].
    Overtaken(Change),
    /// This member is on a dead branch or has missed commits: ask those with a say for a group info.
    NeedsRejoin,
}

impl Arbiter {
    /// An own commit was staged: it takes part.
    pub fn stage(&mut self, now: MonoTime, staged: &Staged) -> Event {
        self.settles.get_or_insert(now.plus(SETTLE_TIME));
        self.remember(&staged.commit);
        Event::Send(staged.commit.clone())
    }

    /// A commit by somebody else, or an own one that came back.
    ///
    /// # Errors
    /// As [`Member::verify_commit`], but for commits of other epochs: those are `Ok`.
    pub fn handle_commit(
        &mut self,
        now: MonoTime,
        member: &mut Member,
        commit: &[u8],
    ) -> Result<Vec<Event>, Error> {
        match member.verify_commit(commit) {
            Ok(_) => {
                self.settles.get_or_insert(now.plus(SETTLE_TIME));
                self.remember(commit);
                Ok(Vec::new())
            }
            Err(Error::EarlyCommit { kept, .. }) => {
                if kept {
                    self.remember(commit);
                }
                self.behind.get_or_insert(now);
                Ok(Vec::new())
            }
            // It lost, or we are on a dead branch: only a group info can tell, since the old keys are gone.
            Err(Error::StaleCommit { .. }) if !member.would_have_won(commit) => Ok(Vec::new()),
            Err(Error::StaleCommit { .. } | Error::Discarded { .. }) => Ok(self.ask(now, member)),
            Err(error) => Err(error),
        }
    }

    /// A group info by somebody with a say. If its branch holds and ours does not, or ours has waited for missing commits
    /// too long, the member makes an external commit.
    ///
    /// # Errors
    /// As [`Member::compare`] and [`Member::stage_rejoin`].
    pub fn handle_group_info(
        &mut self,
        now: MonoTime,
        member: &mut Member,
        group_info: &[u8],
    ) -> Result<Vec<Event>, Error> {
        let status = member.compare(group_info)?;
        let have = member.epoch().unwrap_or(Epoch(0));
        let lost = match status.order {
            BranchOrder::TheirsHolds => true,
            BranchOrder::OursHolds => false,
            BranchOrder::SameLine | BranchOrder::Unknown => {
                if status.epoch <= have {
                    if status.epoch == have {
                        self.behind = None;
                    }
                    return Ok(self.help(now, member, status.epoch));
                }
                let since = *self.behind.get_or_insert(now);
                now >= since.plus(CATCH_UP_TIME)
            }
        };
        if !lost || self.rejoining.is_some_and(|until| now < until) {
            return Ok(Vec::new());
        }
        let mut events = Vec::new();
        if member.is_staged() {
            // On a dead branch it can't hold, and a rejoin that was not taken up is void.
            let change = member.abandon_staged()?;
            events.extend(change.map(Event::Overtaken));
        }
        let staged = member.stage_rejoin(group_info)?;
        self.rejoining = Some(now.plus(REJOIN_TIME));
        self.settles = Some(now.plus(SETTLE_TIME));
        self.remember(&staged.commit);
        events.push(Event::Send(staged.commit));
        Ok(events)
    }

    /// When the wait is over, the smallest of the commits comes into force.
    ///
    /// # Errors
    /// As [`Member::accept_commit`].
    pub fn handle_timeout(&mut self, now: MonoTime, member: &mut Member) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        if self.settles.is_some_and(|due| now >= due) {
            self.settles = None;
            self.settle(now, member, &mut events)?;
        }
        if self.behind.is_some_and(|since| now >= since.plus(CATCH_UP_TIME)) {
            // It stays known since when, so that the group info that comes is acted upon.
            events.extend(self.ask(now, member));
        }
        if self.rejoining.is_some_and(|until| now >= until) {
            self.rejoining = None;
        }
        Ok(events)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn next_timeout(&self) -> Option<MonoTime> {
        let behind = self.behind.map(|since| {
            let first = since.plus(CATCH_UP_TIME);
            self.asked.map_or(first, |asked| first.max(asked.plus(CATCH_UP_TIME)))
        });
        [self.settles, behind, self.rejoining].into_iter().flatten().min()
    }

    fn settle(&mut self, now: MonoTime, member: &mut Member, events: &mut Vec<Event>) -> Result<(), Error> {
        // A rejoin leads away from the commits of this branch.
        let first = member.staged_rejoin().or_else(|| member.verified_commits().first().copied());
        let Some(first) = first else { return Ok(()) };
        let welcome = member.staged().filter(|staged| CommitHash::of(&staged.commit) == first);
        let mut outcome = member.accept_commit(first)?;
        self.behind = None;
        if let Some(own) = welcome {
            self.rejoining = None;
            events.extend(own.welcome.map(Event::Welcome));
        }
        let overtaken = outcome.overtaken.take();
        events.push(Event::Epoch(Box::new(outcome)));
        events.extend(overtaken.map(Event::Overtaken));
        if !member.verified_commits().is_empty() {
            self.settles = Some(now.plus(SETTLE_TIME));
        }
        Ok(())
    }

    /// Somebody with a say is still in `epoch`: the commits of our line since then, if they are all here. It may be the host,
    /// who never rejoins: without them it and the others would stay apart.
    fn help(&mut self, now: MonoTime, member: &Member, epoch: Epoch) -> Vec<Event> {
        if self.helped.is_some_and(|helped| now < helped.plus(SETTLE_TIME)) {
            return Vec::new();
        }
        let have = member.epoch().unwrap_or(epoch);
        let mut events = Vec::new();
        let mut at = epoch;
        while at < have && events.len() < SEEN_COMMITS {
            let hash = member.line_at(at);
            let Some((_, commit)) = self.seen.iter().find(|(seen, _)| Some(*seen) == hash) else {
                return Vec::new();
            };
            events.push(Event::Send(commit.clone()));
            at = at.next();
        }
        if !events.is_empty() {
            self.helped = Some(now);
        }
        events
    }

    fn remember(&mut self, commit: &[u8]) {
        let hash = CommitHash::of(commit);
        if self.seen.iter().any(|(seen, _)| *seen == hash) {
            return;
        }
        self.seen.push_back((hash, commit.to_vec()));
        let mut bytes: usize = self.seen.iter().map(|(_, commit)| commit.len()).sum();
        while self.seen.len() > SEEN_COMMITS || bytes > MAX_COMMIT_BYTES {
            let Some((_, oldest)) = self.seen.pop_front() else { return };
            bytes -= oldest.len();
        }
    }

    /// Asks for a group info, not more often than it can help. The host's line holds, so it never asks.
    fn ask(&mut self, now: MonoTime, member: &Member) -> Vec<Event> {
        let soon = self.asked.is_some_and(|asked| now < asked.plus(CATCH_UP_TIME));
        if soon || member.host() == Some(member.key_id()) {
            return Vec::new();
        }
        self.asked = Some(now);
        vec![Event::NeedsRejoin]
    }
}
