//! What peers ask for over a link: how often they may, what is refused, and what ends the link.

use super::core::RelayCore;
use crate::net::Control;
use av_relay::{Error, Measure, StartAt};
use control_wire::{NoRoom, Start};
use core_types::{ChunkSeq, Epoch, LayerPolicy, LinkId, MonoTime, StreamId, StripeSet};
use std::time::Duration;

/// Requests a second that one link may make, if nothing else is configured.
pub(crate) const REQUESTS: u32 = 500;
/// Requests of so many seconds may come at once.
const BURST_SECONDS: u64 = 2;
/// Who is refused as many requests as may be made in this time loses the link …
const PATIENCE_SECONDS: u64 = 4;
/// … unless they are spread out: of what is refused, a tenth of the rate is forgotten.
const FORGIVEN: u64 = 10;
/// Somebody who asks too much is told so this often.
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// Chunks of a repair request that count as one request.
const CHUNKS: usize = 32;
/// What has a signature checked, or keys made, counts as so many requests.
const DEAR: u64 = 20;
/// Credit is counted in millionths: at a rate of one a second, a microsecond earns one of them.
const MILLION: u64 = 1_000_000;

/// What became of a request before anybody looked at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Allowed,
    /// Too much; whether it is time to say so.
    Refused {
        tell: bool,
    },
    /// Too much for too long.
    Abuse,
}

/// How much one link asks for: a bucket of what it may, and one of what it was refused.
#[derive(Debug)]
pub(super) struct RequestMeter {
    /// Requests a second; `None` for no limit.
    rate: Option<u32>,
    credit: u64,
    patience: u64,
    at: MonoTime,
    told_at: Option<MonoTime>,
}

impl RequestMeter {
    pub(super) fn new(now: MonoTime, rate: Option<u32>) -> Self {
        let second = u64::from(rate.unwrap_or(0)) * MILLION;
        let (credit, patience) = (second * BURST_SECONDS, second * PATIENCE_SECONDS);
        Self { rate, credit, patience, at: now, told_at: None }
    }

    fn take(&mut self, now: MonoTime, cost: u64) -> Verdict {
        let Some(rate) = self.rate.map(u64::from) else { return Verdict::Allowed };
        let earned = now.0.saturating_sub(self.at.0).saturating_mul(rate);
        self.at = self.at.max(now);
        self.credit = self.credit.saturating_add(earned).min(rate * MILLION * BURST_SECONDS);
        self.patience =
            self.patience.saturating_add(earned / FORGIVEN).min(rate * MILLION * PATIENCE_SECONDS);
        let cost = cost * MILLION;
        if let Some(left) = self.credit.checked_sub(cost) {
            self.credit = left;
            return Verdict::Allowed;
        }
        let Some(left) = self.patience.checked_sub(cost) else { return Verdict::Abuse };
        self.patience = left;
        let tell = self.told_at.is_none_or(|at| now.since(at) >= TOLD_EVERY);
        if tell {
            self.told_at = Some(now);
        }
        Verdict::Refused { tell }
    }
}

/// How many requests a message counts as.
fn cost(message: &Control) -> u64 {
    match message {
        Control::Repair { chunks, .. } => chunks.len().div_ceil(CHUNKS).max(1) as u64,
        Control::KeyPackages { packages } => DEAR.saturating_mul(packages.len().max(1) as u64),
        Control::Join { .. }
        | Control::Serve { .. }
        | Control::Leave { .. }
        | Control::TakeKeyPackage { .. }
        | Control::GroupInfoWanted
        | Control::MemberCommit { .. }
        | Control::Permit { .. }
        | Control::LaneOffer { .. }
        | Control::Fetch { .. }
        | Control::Tombstone { .. }
        | Control::Consent { .. }
        | Control::Evidence { .. }
        | Control::Resume { .. } => DEAR,
        _ => 1,
    }
}

impl RelayCore {
    /// True if a link may ask for this now. If not, it is told so; who goes on and on loses the link.
    pub(crate) fn may_ask(&mut self, link: LinkId, message: &Control) -> bool {
        let now = self.clock.now();
        let Some(served) = self.links.get_mut(&link) else { return false };
        let limit = served.requests.rate.unwrap_or(u32::MAX);
        match served.requests.take(now, cost(message)) {
            Verdict::Allowed => return true,
            Verdict::Refused { tell: false } => {}
            Verdict::Refused { tell: true } => {
                tracing::debug!(%link, limit, "more requests than a link may make");
                let what = control_wire::OverQuota::RequestsPerSecond;
                served.link.send(&Control::OverQuota { stream: None, what, limit: limit.into() });
            }
            Verdict::Abuse => self.blame(link, &format!("more than {limit} requests a second")),
        }
        self.requests_refused.rate += 1;
        false
    }

    /// What a child may ask for: subscriptions, repair, key frames, a lane. Anything else is not for a relay.
    pub(crate) fn handle_control(&mut self, link: LinkId, message: Control) {
        let now = self.clock.now();
        match message {
            Control::Subscribe { stream, layers: [s, t, q], stripe_count, stripe_mask, start } => {
                let policy = LayerPolicy { max_spatial: s, max_temporal: t, max_quality: q };
                match StripeSet::new(stripe_count, stripe_mask) {
                    Ok(stripes) => self.subscribe(now, link, StreamId(stream), policy, (stripes, start)),
                    Err(error) => self.refuse(link, error.to_string()),
                }
            }
            Control::Repair { stream, epoch, chunks } => {
                let wanted: Vec<ChunkSeq> = chunks.into_iter().map(ChunkSeq).collect();
                let (stream, epoch) = (StreamId(stream), Epoch(epoch));
                let outcome = self.relay.handle_repair_request(now, link, stream, epoch, &wanted);
                self.answer(link, outcome.map(drop));
            }
            Control::KeyFrame { stream } => {
                let outcome = self.relay.request_key_frame(now, link, StreamId(stream));
                self.answer(link, outcome);
            }
            Control::LaneOffer { .. } => self.take_lane(now, link, &message),
            Control::Gossip { entries } => self.hear(link, &entries),
            Control::LaneAccept { .. } | Control::LaneRefused { .. } => {
                self.lanes.handle_answer(self.link(link), &message);
            }
            _ => self.refuse(link, "a message that this node does not take".into()),
        }
        self.transmit();
    }

    /// A lane costs keys and a place in the table, so it is for those alone who may have something sent over it. It takes the place
    /// of one that there may be; until it works, QUIC carries the media.
    fn take_lane(&mut self, now: MonoTime, link: LinkId, offer: &Control) {
        let is_permitted = self.relay.is_permitted(now, link);
        let (Some(served), Control::LaneOffer { lane, .. }) = (self.links.get_mut(&link), offer) else {
            return;
        };
        let answer = if is_permitted {
            self.lanes.accept(&served.link, offer)
        } else {
            Control::LaneRefused { lane: *lane, why: "join, serve or show a permit first".into() }
        };
        if matches!(answer, Control::LaneAccept { .. }) {
            served.link.set_lane(None);
        }
        served.link.send(&answer);
    }

    fn subscribe(
        &mut self,
        now: MonoTime,
        link: LinkId,
        stream: StreamId,
        policy: LayerPolicy,
        (stripes, start): (StripeSet, Start),
    ) {
        let start = match start {
            Start::Live => StartAt::Live,
            Start::KeyFrame => StartAt::KeyFrameGroup,
            Start::Kept { epoch } => StartAt::Kept { from: Epoch(epoch) },
        };
        let Err(error) = self.relay.subscribe(now, link, stream, policy, stripes, start) else { return };
        self.requests_refused.count(&error);
        if let Some(why) = no_room(&error) {
            // It goes elsewhere now, and may ask again. The link has other uses: other streams, what peers tell of one another.
            return self.send(link, &Control::SubscribeRefused { stream: stream.0, why });
        }
        // Who asks for nothing lacks nothing. Anybody else has to go elsewhere, and is not to wait for what never comes.
        if !stripes.is_empty() {
            self.refuse(link, error.to_string());
        }
    }

    /// A request for more of what the peer gets already. What an honest peer may ask for too late, since its permission or its
    /// subscription has just ended, costs it nothing; who breaks the protocol loses the link.
    fn answer(&mut self, link: LinkId, outcome: Result<(), Error>) {
        let Err(error) = outcome else { return };
        self.requests_refused.count(&error);
        if error.is_peer_fault() {
            self.blamed += 1;
            return self.refuse(link, error.to_string());
        }
        tracing::debug!(%link, %error, "a request is refused");
        if let Error::OverQuota { what, limit, .. } = error {
            let message = Control::OverQuota { stream: None, what: on_wire(what), limit: limit as u64 };
            self.send(link, &message);
        }
    }
}

/// What there is no room of, as a peer is told, if that is why a subscription is refused.
const fn no_room(error: &Error) -> Option<NoRoom> {
    match error {
        Error::Full { .. } | Error::OverQuota { what: Measure::Subscribers, .. } => Some(NoRoom::Subscribers),
        Error::OverQuota { .. } => Some(NoRoom::Quota),
        _ => None,
    }
}

/// What is over a quota, as a peer is told.
pub(super) const fn on_wire(what: Measure) -> control_wire::OverQuota {
    match what {
        Measure::BytesIn | Measure::BytesOut => control_wire::OverQuota::BytesPerSecond,
        Measure::PacketsIn | Measure::PacketsOut => control_wire::OverQuota::PacketsPerSecond,
        Measure::Streams => control_wire::OverQuota::Streams,
        _ => control_wire::OverQuota::Subscribers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T0: MonoTime = MonoTime(7_000_000);

    fn repair(chunks: usize) -> Control {
        Control::Repair { stream: [1; 32], epoch: 1, chunks: vec![0; chunks] }
    }

    proptest! {
        #[test]
        fn no_window_lets_more_through_than_the_rate_and_a_bucketful(
            rate in 1u32..2_000, steps in prop::collection::vec((0u64..100_000, 1u64..100), 1..200),
        ) {
            let mut meter = RequestMeter::new(T0, Some(rate));
            let (mut now, mut passed) = (T0, 0);
            for (wait, cost) in steps {
                now = MonoTime(now.0 + wait);
                if meter.take(now, cost) == Verdict::Allowed {
                    passed += cost;
                }
                let most = u64::from(rate) * BURST_SECONDS + now.since(T0).as_micros() as u64 * u64::from(rate) / MILLION;
                prop_assert!(passed <= most + 1, "{passed} of {most}");
            }
        }
    }

    #[test]
    fn who_asks_as_often_as_it_may_is_never_refused() {
        let mut meter = RequestMeter::new(T0, Some(500));
        for n in 0..5_000 {
            assert_eq!(meter.take(MonoTime(T0.0 + n * 2_000), 1), Verdict::Allowed, "request {n}");
        }
    }

    #[test]
    fn who_asks_too_much_is_told_once_a_second_and_who_goes_on_loses_the_link() {
        let mut meter = RequestMeter::new(T0, Some(500));
        // A fifth more than it may: refused now and then, and told so, but let be for a long time.
        let mut told = 0;
        for n in 0..6_000 {
            match meter.take(MonoTime(T0.0 + n * 1_666), 1) {
                Verdict::Allowed | Verdict::Refused { tell: false } => {}
                Verdict::Refused { tell: true } => told += 1,
                Verdict::Abuse => panic!("request {n}"),
            }
        }
        assert!((1..=10).contains(&told), "{told}");
        // A flood: what it may at once, what it is refused, and then it is over.
        let mut meter = RequestMeter::new(T0, Some(500));
        let verdicts: Vec<Verdict> = (0..3_001).map(|n| meter.take(MonoTime(T0.0 + n), 1)).collect();
        assert!(verdicts[..1_000].iter().all(|v| *v == Verdict::Allowed));
        assert!(
            verdicts[1_001..2_999].iter().all(|v| matches!(v, Verdict::Allowed | Verdict::Refused { .. }))
        );
        assert_eq!(meter.take(MonoTime(T0.0 + 3_001), 100), Verdict::Abuse);
    }

    #[test]
    fn what_costs_more_counts_for_more_and_no_limit_is_none() {
        assert_eq!([0, 1, 32, 33, 256].map(|chunks| cost(&repair(chunks))), [1, 1, 1, 2, 8]);
        assert_eq!(cost(&Control::KeyFrame { stream: [0; 32] }), 1);
        assert_eq!(cost(&Control::Permit { permit: Vec::new() }), DEAR);
        assert_eq!(cost(&Control::KeyPackages { packages: vec![Vec::new(); 9] }), 9 * DEAR);
        let mut meter = RequestMeter::new(T0, None);
        assert!((0..100_000).all(|_| meter.take(T0, 1_000) == Verdict::Allowed));
    }
}
