//! What goes into the report: frames as they fall due, uplinks, recoveries.

use super::node::{Id, Live};
use super::world::World;
use core_types::MonoTime;

/// Recoveries that are kept for the report.
const MAX_RECOVERIES: usize = 1_000_000;

impl World<'_> {
    /// Counts the frames that are due by now.
    pub(super) fn account(&mut self, id: Id, live: &mut Live) {
        // The publisher has its frames from itself.
        let frames = if id == Id::PUBLISHER { 0 } else { self.scenario.frames() };
        let per_frame = u64::from(self.scenario.per_frame());
        while live.next_frame < frames {
            let frame = live.next_frame;
            if self.captured_at(frame).plus(self.scenario.deadline) >= self.now {
                return;
            }
            live.next_frame += 1;
            let slot = live.peek(frame).copied();
            let shown = slot.is_some_and(|slot| slot.shown);
            let since = frame - live.last_shown.unwrap_or(frame);
            let gap = u64::from(since) * 1_000_000 / u64::from(self.scenario.fps);
            let captured_at = self.captured_at(frame).0;
            let is_starting = live.last_shown.is_none() && !shown;
            if shown {
                live.last_shown = Some(frame);
            }
            self.report(id, |report| {
                report.worst_gap = report.worst_gap.max(gap);
                report.starting += u64::from(is_starting);
                report.shown += u64::from(shown);
                if !is_starting {
                    report.missed += u64::from(!shown);
                    if !shown {
                        report.last_missed = Some(captured_at);
                    }
                    report.expected_chunks += per_frame;
                    report.first_deliveries +=
                        slot.map_or(0, |slot| u64::from(slot.have.count_ones()) - u64::from(slot.asked));
                }
            });
        }
    }

    /// Adds to what the uplink could have carried, up to now.
    pub(super) fn account_uplink(&mut self, id: Id) {
        let (start, now) = (self.start(), self.now);
        let Some(node) = self.node_mut(id) else { return };
        let since = now.since(node.uplink_since.max(start));
        node.uplink_since = now;
        let bits = u128::from(node.uplink.0) * since.as_micros() / 1_000_000;
        node.report.could_send += u64::try_from(bits / 8).unwrap_or(u64::MAX);
    }

    /// Closes a node's report. Does nothing for one that is gone already.
    pub(super) fn finish(&mut self, id: Id) {
        let now = self.now;
        let alive = self.with(id, |world, live| {
            world.account(id, live);
            world.unrecovered += u64::from(live.hurt_at.is_some());
        });
        if alive.is_some() {
            self.account_uplink(id);
            let until = self.first_frame(now).min(self.scenario.frames());
            let from = self.node(id).map_or(until, |node| self.first_frame(MonoTime(node.report.joined)));
            self.report(id, |report| {
                report.left = now.0;
                report.captured = u64::from(until.saturating_sub(from));
            });
        }
    }

    /// A frame came whole: whoever lost a parent has all stripes again.
    pub(super) fn recover(&mut self, live: &mut Live) {
        if let Some(hurt) = live.hurt_at.take()
            && self.recoveries.len() < MAX_RECOVERIES
        {
            self.recoveries.push(self.now.0 - hurt.0);
        }
    }
}
