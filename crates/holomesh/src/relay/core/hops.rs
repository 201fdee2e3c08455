//! How a relay's links stand: what repair each needs, and what the encoder is to know.

use super::{RESTING, RelayCore};
use crate::net::Control;
use crate::relay::losses::{REMEMBERED, in_a_row};
use alm::estimator::Sample;
use av_congestion::HopState;
use core_types::{CodecId, LinkId, MonoTime, StreamId};
use std::time::Duration;

impl RelayCore {
    /// Each hop gets as much repair as it loses. A relay can't make repair symbols: it sees no source. So it forwards fewer
    /// of those that the publisher made; and all of them to who forwards in turn, whose children may need them.
    pub(super) fn follow_loss(&mut self, now: MonoTime) {
        let pictures = self.codecs.iter().filter(|(_, codec)| **codec != CodecId::Opus);
        let counts = pictures.filter_map(|(id, _)| self.relay.stream_stats(*id));
        let (chunks, repair) =
            counts.fold((0, 0), |(c, r), stats| (c + stats.chunks_in, r + stats.repair_in));
        self.made.count(chunks, repair);
        (self.repair_needed, self.worst_loss) = (0, 0);
        for (id, served) in &mut self.links {
            let estimate = served.link.estimate(now);
            if self.blocked.contains_key(id) {
                let backlog = self.relay.backlog_bytes(*id);
                tracing::debug!(link = %id, backlog, ?estimate, "a link without room");
            }
            served.repair.on_loss(now, estimate.loss_permille);
            let is_used = self.relay.link_stats(*id).is_some_and(|stats| stats.chunks_out > 0);
            let here = estimate.loss_permille.filter(|_| is_used).unwrap_or(0);
            let behind =
                served.behind.filter(|(_, at)| now.since(*at) < REMEMBERED).map_or(0, |(loss, _)| loss);
            self.worst_loss = self.worst_loss.max(in_a_row(here, behind));
            if is_used {
                let needed = served.repair.needed(now).unwrap_or(0);
                self.repair_needed = self.repair_needed.max(needed);
            }
            if served.forwards {
                continue;
            }
            let share = served.repair.share_of(now, self.made.permille());
            if let Err(error) = self.relay.set_repair_share(*id, share) {
                tracing::debug!(link = %id, %error, "a repair share has no effect");
            }
        }
    }

    /// The repair symbols that the worst of the links that get streams needs, in permille of the source symbols: for a publisher,
    /// who can make them.
    pub(crate) const fn repair_needed(&self) -> u16 {
        self.repair_needed
    }

    /// What is lost on the worst way from here, in thousandths: on a link, and behind it as far as its peer says.
    pub(crate) const fn worst_loss(&self) -> u16 {
        self.worst_loss
    }

    /// A peer says what is lost of what it forwards.
    pub(crate) fn hear_losses(&mut self, link: LinkId, permille: u16) {
        let now = self.clock.now();
        if let Some(served) = self.links.get_mut(&link) {
            served.behind = Some((permille.min(1_000), now));
        }
    }

    /// What the host is to be told now of what is lost from here on, if anything.
    pub(crate) fn losses_to_tell(&mut self, now: MonoTime) -> Option<Control> {
        let permille = self.told_losses.due(now, self.worst_loss)?;
        Some(Control::Losses { permille })
    }

    /// What each link has carried in the time since this was asked last, which was `over` ago: what this node has shown that it can carry.
    pub(crate) fn samples(&mut self, now: MonoTime, over: Duration) -> Vec<(LinkId, Sample)> {
        let mut samples = Vec::new();
        for (id, served) in &mut self.links {
            let bytes_out = self.relay.link_stats(*id).map_or(0, |stats| stats.bytes_out);
            let sent = bytes_out.saturating_sub(served.shown);
            served.shown = bytes_out;
            if sent == 0 {
                continue;
            }
            let estimate = served.link.estimate(now);
            let lost = u64::from(estimate.loss_permille.unwrap_or(0).min(1_000));
            let delivered = sent - sent.saturating_mul(lost) / 1_000;
            let waits = self.relay.backlog_bytes(*id) > 0;
            let app_limited = estimate.app_limited && !waits;
            samples.push((*id, Sample { delivered, over, app_limited, congested: estimate.congested }));
        }
        samples
    }

    /// Tells those for whom something was shed since they were told last, and all who take one of the streams in `lacking`, of which not
    /// all came here (spec 57.3.6).
    pub(crate) fn say_what_sheds(&mut self, lacking: &[StreamId]) {
        for (id, served) in &mut self.links {
            if self.relay.subscriptions(*id) == 0 {
                continue;
            }
            let shed = self.relay.link_stats(*id).map_or(0, |stats| stats.shed.total());
            let sheds = shed > served.shed_told;
            served.shed_told = shed;
            for stream in self.codecs.keys().filter(|stream| sheds || lacking.contains(stream)) {
                served.link.send(&Control::Sheds { stream: stream.0 });
            }
        }
    }

    /// How the links stand over which streams go at present: for the encoder. What was shed is counted from the link's beginning.
    pub(crate) fn hops(&mut self, now: MonoTime) -> Vec<(LinkId, HopState)> {
        let mut hops = Vec::new();
        for (id, served) in &mut self.links {
            let stats = self.relay.link_stats(*id).unwrap_or_default();
            let backlog = self.relay.backlog_bytes(*id);
            if stats.chunks_out > served.busy.0 || (stats.chunks_out > 0 && backlog > 0) {
                served.busy = (stats.chunks_out, now);
            }
            if served.busy.0 == 0 || now.since(served.busy.1) >= RESTING {
                continue;
            }
            let hop = HopState {
                estimate: served.link.estimate(now),
                backlog: usize::try_from(backlog).unwrap_or(usize::MAX),
                dropped: stats.shed.total(),
                carries_all: true,
            };
            hops.push((*id, hop));
        }
        hops
    }
}
