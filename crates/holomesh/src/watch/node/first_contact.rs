//! When the host feeds us itself: it is the first contact, and relays are there to carry.

use super::Watcher;
use core_types::StripeSet;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Who comes in waits so long for the relays that the host names. Two who send at once over a narrow way get little through.
const RELAYS_FIRST: Duration = Duration::from_millis(500);
/// What is missing is looked at over so long.
const LOOK: Duration = Duration::from_secs(2);
const LOOK_EACH: Duration = Duration::from_millis(200);
/// The way is crowded when so much of what was sent is missing, in thousandths: more than radio loses.
const CROWDED: u64 = 200;
/// Chunks that say something.
const LEAST: u64 = 10;
/// The host, of which nothing is asked any more, is a parent for so long still: whoever has taken over may have no place for us.
const BESIDE: Duration = Duration::from_secs(1);
/// Nothing of any stream for so long: the relays may have lost the host.
const NOTHING_COMES: Duration = Duration::from_millis(500);
/// A host that had to help is let go when relays have been there as well for so long.
const LET_GO: Duration = Duration::from_secs(5);

/// How it is with the host as a parent.
#[derive(Debug, Default)]
pub(super) struct FirstContact {
    /// Relays are waited for until then.
    until: Option<Instant>,
    /// Since when the host has been a parent.
    since: Option<Instant>,
    /// Since when nothing is asked of it.
    leaving: Option<Instant>,
    crowd: Crowd,
}

impl FirstContact {
    /// The session is entered: relays are named in a moment.
    pub(super) fn enter(&mut self, now: Instant) {
        self.until = Some(now + RELAYS_FIRST);
    }

    /// Nobody is waited for any more.
    pub(super) const fn is_over(&mut self) {
        self.until = None;
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }

    /// There is no room on the way to us for what is sent.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowd.is_now()
    }

    fn waits(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// What came of the streams and what was missing, over the last while.
#[derive(Debug, Default)]
struct Crowd {
    seen: VecDeque<(Instant, u64, u64)>,
}

impl Crowd {
    /// `chunks` that came and that are `missing`, counted from the beginning.
    fn look(&mut self, now: Instant, chunks: u64, missing: u64) {
        if self.seen.back().is_some_and(|(at, ..)| now.duration_since(*at) < LOOK_EACH) {
            return;
        }
        self.seen.push_back((now, chunks, missing));
        while self.seen.get(1).is_some_and(|(at, ..)| now.duration_since(*at) >= LOOK) {
            self.seen.pop_front();
        }
    }

    /// Whether much of what was sent is missing although something came. Who left it out has no room on the way to us, or it
    /// was lost for want of room; another one who sends beside it takes the room of both.
    fn is_now(&self) -> bool {
        let (Some((_, came, gone)), Some((_, chunks, missing))) = (self.seen.front(), self.seen.back())
        else {
            return false;
        };
        let (came, gone) = (chunks.saturating_sub(*came), missing.saturating_sub(*gone));
        came >= LEAST && gone * 1_000 >= (came + gone) * CROWDED
    }
}

impl Watcher {
    /// Without a relay the host feeds us itself.
    pub(super) fn serve_by_host_if_alone(&mut self) {
        let carried = self.is_carried();
        let waits = self.first_contact.waits(Instant::now());
        if self.snapshot.epoch.is_some() && !carried && !waits && self.host_answers() {
            self.serve_by_host();
        }
    }

    /// All who carried have fallen silent: the host is to help, unless there is no room on the way to us.
    pub(super) fn rebuild(&mut self) {
        // A host that can't be reached would carry the stripes in name alone, and keep them from whoever could.
        if self.snapshot.epoch.is_none() || !self.host_answers() {
            return;
        }
        if self.is_carried() && self.first_contact.is_crowded() {
            tracing::debug!("the way to us is crowded: nobody else is asked to send");
            return;
        }
        self.serve_by_host();
    }

    /// Every stripe has somebody who carries it.
    fn is_carried(&self) -> bool {
        self.streams.values().all(|stream| stream.subscription.uncarried().is_empty())
    }

    fn serve_by_host(&mut self) {
        self.first_contact.is_over();
        self.first_contact.since = Some(Instant::now());
        self.first_contact.leaving = None;
        self.add_parent(self.host);
        // It may have been about to be let go.
        let (now, host) = (self.clock.now(), self.host);
        for stream in self.streams.values_mut() {
            stream.subscription.add_stand_in(now, host);
        }
        self.act();
    }

    /// The host names other relays than before. Who is not named any more may have lost it, and then has nothing to send: it answers us,
    /// and where all are so there is nobody who could show that something is missing.
    pub(super) fn look_for_orphans(&mut self) {
        let now = self.clock.now();
        let heard = self.streams.values().filter_map(|stream| stream.dues.heard()).max();
        let is_silent = heard.is_none_or(|at| now.since(at) >= NOTHING_COMES);
        let orphans = self.unnamed_relays();
        if orphans.is_empty() || !is_silent || self.snapshot.epoch.is_none() || !self.host_answers() {
            return;
        }
        // The last parent is suspected by nobody.
        self.serve_by_host();
        for link in orphans {
            self.streams.values_mut().for_each(|stream| stream.subscription.suspect_parent(now, link));
        }
        self.act();
    }

    /// Looks at what comes, begins with the host when relays were waited for long enough, and lets it go when they carry.
    pub(super) fn tend_first_contact(&mut self, now: Instant) {
        let stats = self.streams.values().map(|stream| stream.subscription.stats());
        let (chunks, missing) = stats.fold((0, 0), |(c, m), s| (c + s.chunks, m + s.missing));
        self.first_contact.crowd.look(now, chunks, missing);
        if self.first_contact.until.is_some_and(|until| now >= until) {
            self.first_contact.is_over();
            self.serve_by_host_if_alone();
        }
        if !self.parents.contains(&self.host) {
            (self.first_contact.since, self.first_contact.leaving) = (None, None);
            return;
        }
        let (time, host) = (self.clock.now(), self.host);
        let helped = self.first_contact.since.is_none_or(|since| now.duration_since(since) >= LET_GO);
        if helped && self.has_steady_relay(now, LET_GO) {
            // Who comes back takes over little by little of itself.
            for stream in self.streams.values_mut() {
                stream.subscription.retire(time, host, whole(stream.announce.parents));
            }
            self.act();
        }
        let is_needed =
            self.streams.values().any(|stream| stream.subscription.sends(host)) || !self.is_carried();
        if is_needed {
            self.first_contact.leaving = None;
        } else if now.duration_since(*self.first_contact.leaving.get_or_insert(now)) >= BESIDE {
            self.remove_parent(host);
        }
    }
}

/// All stripes of a stream.
pub(super) fn whole(stripes: u8) -> StripeSet {
    let mask = (1_u32 << stripes.min(16)).wrapping_sub(1) as u16;
    StripeSet::new(stripes, mask).unwrap_or(StripeSet::ALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(looks: impl IntoIterator<Item = (u64, u64)>) -> bool {
        let start = Instant::now();
        let (mut crowd, mut chunks, mut missing) = (Crowd::default(), 0, 0);
        for (n, (came, gone)) in (0..).zip(looks) {
            (chunks, missing) = (chunks + came, missing + gone);
            crowd.look(start + LOOK_EACH * n, chunks, missing);
        }
        crowd.is_now()
    }

    #[test]
    fn a_way_is_crowded_when_much_is_missing_of_what_was_sent_lately() {
        assert!(!crowd([]) && !crowd([(20, 0); 10]));
        assert!(!crowd([(20, 2); 10]), "what radio loses");
        assert!(crowd([(20, 6); 10]));
        assert!(crowd([(20, 0); 10].into_iter().chain([(5, 20); 5])));
        assert!(!crowd([(20, 6); 10].into_iter().chain([(20, 0); 10])), "that was long ago");
        assert!(!crowd([(20, 6); 10].into_iter().chain([(0, 0); 10])), "nothing comes at all");
    }
}
