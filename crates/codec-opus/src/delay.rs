//! How much delay a stream needs: a quantile of what packets need to arrive, and one of what lost ones need to be repaired.
//!
//! All in terms of the offset from media time to local time, so that a change of route or a drifting clock moves one number.

/// How weights are kept: a new sample has this much, and older ones have lost a fraction for each sample since.
const SAMPLE: u64 = 1 << 24;
/// 5 ms.
const BUCKET: i64 = 240;
const BUCKETS: usize = 256;

/// Where samples lie, the newer the more they count; 1.28 s wide, and moves along.
#[derive(Debug, Clone)]
struct Histogram {
    /// The lower edge of the first bucket.
    anchor: i64,
    weights: Box<[u64; BUCKETS]>,
    /// For each step of time, weights lose one in 2 to the power of this.
    fading: u32,
}

impl Histogram {
    fn new(fading: u32) -> Self {
        Self { anchor: 0, weights: Box::new([0; BUCKETS]), fading }
    }

    fn total(&self) -> u64 {
        self.weights.iter().sum()
    }

    fn fade(&mut self) {
        for weight in &mut *self.weights {
            *weight -= (*weight >> self.fading).max(1).min(*weight);
        }
    }

    fn add(&mut self, value: i64) {
        if self.weights.iter().all(|weight| *weight == 0) {
            self.anchor = value - 20 * BUCKET;
        }
        let mut index = (value - self.anchor).div_euclid(BUCKET);
        if index < 0 {
            self.shift_up(index.unsigned_abs() as usize + 20);
            index = 20;
        } else if index >= BUCKETS as i64 {
            // Room at the bottom that nothing has fallen into for long is worth less than the top.
            let free = self.weights.iter().take_while(|weight| **weight == 0).count();
            let wanted = (index - BUCKETS as i64 + 1) as usize;
            let by = free.min(wanted);
            self.weights.rotate_left(by);
            self.anchor += by as i64 * BUCKET;
            index -= by as i64;
        }
        self.weights[(index as usize).min(BUCKETS - 1)] += SAMPLE;
    }

    /// Moves everything up by `by` buckets; what would leave stays in the last one.
    fn shift_up(&mut self, by: usize) {
        self.anchor -= by as i64 * BUCKET;
        let by = by.min(BUCKETS);
        let out: u64 = self.weights[BUCKETS - by..].iter().sum();
        self.weights.copy_within(..BUCKETS - by, by);
        self.weights[..by].fill(0);
        self.weights[BUCKETS - 1] += out;
    }

    /// The upper edge of the bucket above which only `permille` of the weight lies.
    fn upper(&self, permille: u64) -> Option<i64> {
        let total = self.total();
        let allowed = total / 1_000 * permille;
        let mut above = 0;
        for (index, weight) in self.weights.iter().enumerate().rev() {
            above += weight;
            if above > allowed {
                return Some(self.anchor + (index as i64 + 1) * BUCKET);
            }
        }
        None
    }
}

/// The least offset of the last ten seconds.
#[derive(Debug, Clone)]
struct Floor {
    /// The second of local time that each holds the least offset of.
    seconds: [Option<(i64, i64)>; 10],
}

impl Floor {
    fn add(&mut self, local: i64, offset: i64) {
        let second = local / 48_000;
        let slot = &mut self.seconds[second.rem_euclid(10) as usize];
        match slot {
            Some((of, least)) if *of == second => *least = (*least).min(offset),
            _ => *slot = Some((second, offset)),
        }
    }

    /// The newest second counts as now, so that a pause leaves what was before it.
    fn least(&self) -> Option<i64> {
        let newest = self.seconds.iter().flatten().map(|(second, _)| *second).max()?;
        self.seconds
            .iter()
            .flatten()
            .filter(|(second, _)| newest - second < 10)
            .map(|(_, least)| *least)
            .min()
    }
}

/// The limits of a [`DelayEstimator`], in ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DelayLimits {
    pub(crate) start: i64,
    pub(crate) least: i64,
    pub(crate) repair: i64,
    pub(crate) most: i64,
}

/// Follows a stream's arrivals and says by how much to be behind.
#[derive(Debug, Clone)]
pub(crate) struct DelayEstimator {
    limits: DelayLimits,
    floor: Floor,
    arrivals: Histogram,
    repairs: Histogram,
    /// Jumps up when something comes too late, and goes down slowly.
    peak: Option<i64>,
    /// The offset in force.
    target: Option<i64>,
    updated: i64,
    /// The next packet may have nothing to do with those before.
    is_restarting: bool,
}

impl DelayEstimator {
    /// One in 50 packets may come too late.
    const LATE: u64 = 20;
    /// One in 10 lost frames may go without repair.
    const UNREPAIRED: u64 = 100;
    /// Repair is waited for once this many frames were lost lately: 0.2 % over a minute.
    const LOSSES: u64 = 4 * SAMPLE;
    /// The target goes down by one part in this of the time that passes: 20 ms a second.
    const DESCENT: i64 = 50;
    /// A second.
    const NEAR: i64 = 48_000;

    pub(crate) fn new(limits: DelayLimits) -> Self {
        Self {
            limits,
            floor: Floor { seconds: [None; 10] },
            arrivals: Histogram::new(9),
            repairs: Histogram::new(11),
            peak: None,
            target: None,
            updated: 0,
            is_restarting: false,
        }
    }

    /// The next packet may come after a pause, or be the first of another time: if its offset is near what was seen, what
    /// was measured stays.
    pub(crate) fn restart(&mut self) {
        self.is_restarting = true;
    }

    /// A packet that plays from `start` for `length` came at `local`.
    pub(crate) fn arrived(&mut self, local: i64, start: i64, length: i64) {
        let offset = local - start;
        if self.is_restarting {
            self.is_restarting = false;
            if self.floor.least().is_some_and(|floor| (offset - floor).abs() > Self::NEAR) {
                *self = Self::new(self.limits);
            }
        }
        let passed = if self.target.is_some() { (local - self.updated).clamp(0, 48_000) } else { 0 };
        self.updated = local.max(self.updated);
        if let Some(peak) = &mut self.peak {
            *peak -= passed / Self::DESCENT;
        }
        self.floor.add(local, offset);
        self.arrivals.fade();
        self.repairs.fade();
        self.arrivals.add(offset);
        match self.target {
            None => self.peak = Some(offset + self.limits.start),
            // As much as it was late, but a single straggler moves it by one packet at most.
            Some(target) if offset > target => self.peak = Some(offset.min(target + length)),
            Some(_) => {}
        }
        self.update(passed);
    }

    /// What was lost and plays from `start` could have been repaired at `local`.
    pub(crate) fn repairable(&mut self, local: i64, start: i64) {
        self.repairs.fade();
        self.repairs.add(local - start);
    }

    /// Some time has passed, and samples may have come.
    fn update(&mut self, passed: i64) {
        let Some(floor) = self.floor.least() else {
            return;
        };
        let arrivals = self.arrivals.upper(Self::LATE);
        let repairs = if self.repairs.total() >= Self::LOSSES {
            self.repairs.upper(Self::UNREPAIRED).map(|offset| offset.min(floor + self.limits.repair))
        } else {
            None
        };
        let needed = [arrivals, repairs, self.peak].into_iter().flatten().max().unwrap_or(floor);
        // Downward it goes slowly, for less than a packet each time, that passes unheard.
        let eased = self.target.map_or(needed, |old| needed.max(old - passed / Self::DESCENT));
        let bounded = eased.min(floor + self.limits.most).max(floor + self.limits.least);
        self.target = Some(bounded);
    }

    /// Local time minus media time at which to play; `None` before the first packet.
    pub(crate) fn target(&self) -> Option<i64> {
        self.target
    }

    /// The same of the fastest packet lately.
    pub(crate) fn floor(&self) -> Option<i64> {
        self.floor.least()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: i64 = 48;
    const LIMITS: DelayLimits =
        DelayLimits { start: 60 * MS, least: 20 * MS, repair: 160 * MS, most: 400 * MS };

    /// Feeds packets of 20 ms whose delays, in ms, come from `delay`; returns the delay in force over the fastest, in ms.
    fn run(estimator: &mut DelayEstimator, from: i64, count: i64, delay: impl Fn(i64) -> i64) -> i64 {
        for n in from..from + count {
            let start = n * 20 * MS;
            estimator.arrived(start + delay(n) * MS + 5_000 * MS, start, 20 * MS);
        }
        (estimator.target().unwrap() - estimator.floor().unwrap()) / MS
    }

    #[test]
    fn without_jitter_it_comes_down_to_the_least() {
        let mut estimator = DelayEstimator::new(LIMITS);
        assert_eq!(run(&mut estimator, 0, 1, |_| 30), 60);
        let soon = run(&mut estimator, 1, 50, |_| 30);
        assert!((38..=45).contains(&soon), "{soon} ms after a second");
        assert_eq!(run(&mut estimator, 51, 200, |_| 30), 20);
    }

    #[test]
    fn jitter_brings_it_up_at_once_and_calm_down_slowly() {
        let mut estimator = DelayEstimator::new(LIMITS);
        run(&mut estimator, 0, 250, |_| 30);
        let jittery = |n: i64| 30 + n * 37 % 100;
        let up = run(&mut estimator, 250, 50, jittery);
        assert!((90..=105).contains(&up), "{up} ms after a second of jitter up to 99 ms");
        let stays = run(&mut estimator, 300, 500, jittery);
        assert!((90..=105).contains(&stays), "{stays} ms");
        let later = run(&mut estimator, 800, 3_000, |_| 30);
        assert_eq!(later, 20);
    }

    #[test]
    fn a_straggler_moves_it_by_a_packet_and_not_for_long() {
        let mut estimator = DelayEstimator::new(LIMITS);
        run(&mut estimator, 0, 300, |_| 30);
        assert_eq!(run(&mut estimator, 300, 1, |_| 330), 40);
        assert_eq!(run(&mut estimator, 301, 100, |_| 30), 20);
    }

    #[test]
    fn a_new_route_is_no_jitter_after_a_while() {
        let mut estimator = DelayEstimator::new(LIMITS);
        run(&mut estimator, 0, 300, |_| 30);
        run(&mut estimator, 300, 600, |_| 80);
        assert_eq!(run(&mut estimator, 900, 1, |_| 80), 20);
        // Faster by as much: the old route's delays fade.
        assert_eq!(run(&mut estimator, 901, 4_000, |_| 10), 20);
    }

    #[test]
    fn a_drifting_clock_is_followed() {
        let mut estimator = DelayEstimator::new(LIMITS);
        // 500 parts in a million for an hour, in both directions.
        for sign in [1, -1] {
            let mut worst = 0;
            for n in 1..180_000 {
                let start = n * 20 * MS;
                estimator.arrived(start + 1_000_000 * MS + sign * n * 20 * MS / 2_000, start, 20 * MS);
                if n > 500 {
                    worst = worst.max(estimator.target().unwrap() - estimator.floor().unwrap());
                }
            }
            assert!(worst < 40 * MS, "{} ms", worst / MS);
            estimator = DelayEstimator::new(LIMITS);
        }
    }

    #[test]
    fn bursts_of_loss_are_waited_for_up_to_the_limit() {
        let mut estimator = DelayEstimator::new(LIMITS);
        let lossy = |estimator: &mut DelayEstimator, from: i64, burst: i64| {
            for round in 0..20 {
                let at = from + round * 100;
                run(estimator, at, 100 - burst, |_| 30);
                let found = (at + 100) * 20 * MS + 5_030 * MS;
                (1..=burst).for_each(|back| estimator.repairable(found, (at + 100 - back) * 20 * MS));
            }
            run(estimator, from + 2_000, 1, |_| 30)
        };
        let five = lossy(&mut estimator, 0, 5);
        assert!((95..=110).contains(&five), "{five} ms for bursts of 100 ms");
        assert_eq!(lossy(&mut estimator, 2_100, 20), 160, "bursts of 400 ms");
        assert_eq!(run(&mut estimator, 5_000, 15_000, |_| 30), 20, "none for five minutes");
    }

    proptest! {
        /// Whatever comes, it stays within the limits and nothing overflows.
        #[test]
        fn garbage_stays_within_the_limits(
            packets in prop::collection::vec((0i64..1 << 60, 0i64..1 << 60, 120i64..5_760, any::<bool>()), 1..200),
        ) {
            let mut estimator = DelayEstimator::new(LIMITS);
            for (local, start, length, lost) in packets {
                if lost {
                    estimator.repairable(local, start);
                } else {
                    estimator.arrived(local, start, length);
                    let delay = estimator.target().unwrap() - estimator.floor().unwrap();
                    prop_assert!((LIMITS.least..=LIMITS.most).contains(&delay), "{}", delay);
                }
            }
        }
    }
}
