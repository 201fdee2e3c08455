//! A bad access network in front of a node, for tests and measurements.

use super::Impairment;
use crate::net::LossConfig;
use crate::net::loss::Loss;
use core_types::MonoTime;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// What an impaired node's datagrams go through: loss, and a link with a rate and a queue of 200 ms.
#[derive(Debug, Default)]
pub(super) struct Narrows {
    loss: Option<Loss>,
    /// Datagrams that are still under way, and when they arrive.
    queue: VecDeque<(MonoTime, SocketAddr, Vec<u8>)>,
    /// When the link has passed all that is in the queue.
    free_at: MonoTime,
}

impl Narrows {
    /// What finds more before it than this takes to pass is dropped.
    const QUEUE: Duration = Duration::from_millis(200);

    pub(super) fn push(&mut self, now: MonoTime, impairment: Impairment, from: SocketAddr, datagram: &[u8]) {
        let Impairment { loss_permille, bytes_per_second } = impairment;
        if loss_permille > 0 {
            let percent = f64::from(loss_permille) / 10.0;
            let loss = self.loss.get_or_insert_with(|| Loss::new(LossConfig { percent, seed: 1 }));
            if loss.strikes() {
                return;
            }
        }
        let start = self.free_at.max(now);
        if start.since(now) > Self::QUEUE {
            return;
        }
        let takes = match bytes_per_second {
            0 => 0,
            rate => datagram.len() as u64 * 1_000_000 / rate,
        };
        self.free_at = start.plus(Duration::from_micros(takes));
        self.queue.push_back((self.free_at, from, datagram.to_vec()));
    }

    /// The next that has arrived.
    pub(super) fn pop(&mut self, now: MonoTime) -> Option<(SocketAddr, Vec<u8>)> {
        self.queue.front().filter(|(at, ..)| *at <= now)?;
        self.queue.pop_front().map(|(_, from, datagram)| (from, datagram))
    }

    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        self.queue.front().map(|(at, ..)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_link_passes_its_rate_with_a_bounded_delay() {
        let mut narrows = Narrows::default();
        let narrow = Impairment { loss_permille: 0, bytes_per_second: 100_000 };
        let from: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let mut through = 0;
        for ms in 0..10_000u64 {
            let now = MonoTime::from_millis(ms);
            narrows.push(now, narrow, from, &[0; 1_000]);
            while narrows.pop(now).is_some() {
                through += 1_000;
            }
            assert!(narrows.queue.len() <= 22, "{} datagrams of 10 ms each", narrows.queue.len());
        }
        assert!((990_000..=1_000_000).contains(&through), "{through} bytes in 10 s");
    }
}
