//! What can be a number of the stream, by what the other parents bring.

use super::Subscription;
use core::time::Duration;
use core_types::{ChunkSeq, Epoch, LinkId, MonoTime};

/// How long what a parent sent says where the stream is.
const RECENT: Duration = Duration::from_millis(500);
/// How far two parents may be apart whatever the rate, in chunks: the longest object, and as much as a narrow way keeps back.
const APART: u64 = 4_096;
/// And how far in time.
const BEHIND: Duration = Duration::from_secs(1);

impl Subscription {
    /// False for a number so far beyond all that other parents have sent of their own stripes in the last half second that it can't be
    /// the publisher's. Whoever has the group's key can seal a chunk of any number; a parent that does is alone with it. To be asked
    /// before anything is done with a chunk: what is not plausible is as if it had not come. Where no other parent has sent
    /// anything lately every number is plausible.
    pub fn is_plausible(&self, now: MonoTime, from: LinkId, epoch: Epoch, seq: ChunkSeq) -> bool {
        let others = self.parents.iter().filter(|parent| parent.link != from).filter_map(|parent| parent.own);
        let newest =
            others.filter(|(_, _, at)| now.since(*at) <= RECENT).map(|(epoch, seq, _)| (epoch, seq.0)).max();
        let reach = APART.saturating_add(self.objects.chunks_in(BEHIND).unwrap_or(0).saturating_mul(2));
        match newest {
            Some((theirs, highest)) if theirs == epoch => seq.0 <= highest.saturating_add(reach),
            // An epoch begins at 0.
            Some((theirs, _)) if theirs < epoch => seq.0 <= reach,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    const EPOCH: Epoch = Epoch(3);

    fn two_parents() -> Subscription {
        let config = Config { stripes: 2, ..Config::default() };
        let mut subscription = Subscription::new(config).unwrap();
        for link in 1..=2 {
            subscription.add_parent(MonoTime(0), LinkId(link));
        }
        subscription
    }

    /// Both parents send their stripes, ten chunks a millisecond, as far as `end`.
    fn send(subscription: &mut Subscription, numbers: core::ops::Range<u64>) -> MonoTime {
        let mut now = MonoTime(0);
        for number in numbers {
            now = MonoTime(number * 100);
            let link = LinkId(1 + number % 2);
            assert!(subscription.is_plausible(now, link, EPOCH, ChunkSeq(number)), "{number}");
            subscription.handle_chunk(now, link, EPOCH, ChunkSeq(number));
        }
        now
    }

    #[test]
    fn a_number_far_beyond_those_of_others_is_not_plausible() {
        let mut subscription = two_parents();
        let now = send(&mut subscription, 0..10_000);
        let ask =
            |now, link, epoch, seq| subscription.is_plausible(now, LinkId(link), Epoch(epoch), ChunkSeq(seq));
        assert!(ask(now, 1, 3, 12_000) && ask(now, 1, 3, 3));
        assert!(!ask(now, 1, 3, 1 << 40) && !ask(now, 9, 3, 20_000), "nor by who is no parent");
        assert!(ask(now, 1, 4, 0) && !ask(now, 1, 4, 1 << 40), "an epoch begins at its beginning");
        assert!(ask(now.plus(RECENT * 2), 1, 3, 1 << 40), "all were silent, and who knows for how long");
    }

    #[test]
    fn what_one_says_of_itself_alone_does_not_make_it_plausible() {
        let mut subscription = two_parents();
        let now = send(&mut subscription, 0..1_000);
        // The other one says so first: then it is.
        subscription.handle_chunk(now, LinkId(2), EPOCH, ChunkSeq((1 << 40) + 1));
        assert!(subscription.is_plausible(now, LinkId(1), EPOCH, ChunkSeq(1 << 40)));
        assert!(!subscription.is_plausible(now, LinkId(2), EPOCH, ChunkSeq((1 << 40) + 3)));
    }

    #[test]
    fn after_a_number_that_was_made_up_missing_chunks_are_noticed_again() {
        let mut subscription = two_parents();
        send(&mut subscription, 0..100);
        subscription.handle_chunk(MonoTime(10_000), LinkId(1), EPOCH, ChunkSeq(1 << 40));
        let missing = subscription.stats().missing;
        let mut now = MonoTime(0);
        for number in (100..400).filter(|number| *number != 300) {
            now = MonoTime(number * 100);
            subscription.handle_chunk(now, LinkId(1 + number % 2), EPOCH, ChunkSeq(number));
        }
        assert_eq!(subscription.stats().missing, missing + 1, "the one that did not come");
        subscription.handle_timeout(now.plus(Duration::from_secs(1)));
        let asked = core::iter::from_fn(|| subscription.poll_action()).any(|action| {
            matches!(action, crate::Action::Request { chunks, .. } if chunks.contains(&ChunkSeq(300)))
        });
        assert!(asked);
    }
}
