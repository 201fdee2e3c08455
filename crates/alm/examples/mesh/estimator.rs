//! What links carried, and what may be claimed after it.

use alm::estimator::{Estimator, Sample};
use core_types::{BitRate, LinkId, MonoTime};
use serde_json::{Value, json};
use std::time::Duration;

type Failed = Box<dyn std::error::Error>;

/// Layers 0 to i need so much together.
const RATES: [u64; 3] = [500_000, 1_200_000, 3_000_000];

struct Trace {
    estimator: Estimator,
    steps: Vec<Value>,
    now: u64,
}

impl Trace {
    fn new() -> Self {
        Self { estimator: Estimator::new(), steps: Vec::new(), now: 0 }
    }

    /// Seconds of samples each 200 ms, on links with so many bytes in each, whether they had enough to send, and congestion.
    fn run(&mut self, seconds: u64, links: &[(u64, bool, bool)]) -> Result<(), Failed> {
        for _ in 0..5 * seconds {
            self.now += 200;
            for ((delivered, app_limited, congested), link) in links.iter().zip(1..) {
                self.sample(link, *delivered, 200, *app_limited, *congested)?;
            }
        }
        Ok(())
    }

    fn sample(
        &mut self,
        link: u64,
        delivered: u64,
        over: u64,
        app_limited: bool,
        congested: bool,
    ) -> Result<(), Failed> {
        let sample = Sample { delivered, over: Duration::from_millis(over), app_limited, congested };
        self.estimator.handle_sample(MonoTime::from_millis(self.now), LinkId(link), sample)?;
        self.steps.push(json!({
            "now": self.now, "link": link, "delivered": delivered, "over": over, "app_limited": app_limited,
            "congested": congested,
        }));
        Ok(())
    }

    fn ask(&mut self, committed: u64) {
        let now = MonoTime::from_millis(self.now);
        let claim = self.estimator.claimable(now, BitRate(committed), &RATES.map(BitRate));
        self.steps.push(json!({
            "now": self.now, "committed": committed, "rates": RATES, "ceiling": self.estimator.demonstrated(now).0,
            "floor": self.estimator.floor(now).0, "uplink": claim.uplink.0, "highest": claim.layer,
            "subscribers": claim.subscribers,
        }));
    }

    /// Asks each second while samples come.
    fn watch(&mut self, seconds: u64, links: &[(u64, bool, bool)]) -> Result<(), Failed> {
        for _ in 0..seconds {
            self.run(1, links)?;
            self.ask(1_000_000);
        }
        Ok(())
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1_000;
            self.ask(0);
        }
    }
}

pub(crate) fn vectors() -> Result<Value, Failed> {
    let mut rise = Trace::new();
    rise.watch(6, &[(100_000, false, false)])?;
    rise.watch(3, &[(250_001, false, false)])?;
    rise.watch(2, &[(50_003, true, false)])?;

    let mut congestion = Trace::new();
    congestion.run(6, &[(475_000, false, false)])?;
    congestion.watch(12, &[(50_001, false, true)])?;
    congestion.watch(5, &[(200_000, false, false)])?;

    let mut busy = Trace::new();
    busy.run(8, &[(125_000, false, false), (75_000, true, false)])?;
    busy.watch(6, &[(60_000, false, false), (20_007, true, false)])?;
    busy.watch(6, &[(20_000, false, false), (60_007, true, false)])?;
    busy.watch(6, &[(20_000, true, true), (60_007, false, false)])?;

    let mut idle = Trace::new();
    idle.run(35, &[(300_000, false, false)])?;
    idle.ask(0);
    idle.wait(75);
    idle.watch(4, &[(100_000, true, false)])?;

    let mut long = Trace::new();
    for _ in 0..6 {
        long.now += 1_000;
        long.sample(1, 1_000_000, 1_000, false, false)?;
        long.ask(0);
    }
    // Of a longer sample what is before the last two windows is left out; what overlaps counts for the first.
    long.now += 4_000;
    long.sample(1, 8_000_000, 4_000, false, false)?;
    long.ask(0);
    long.sample(1, 9_000_000, 1_000, false, false)?;
    long.now += 1_000;
    long.ask(0);
    long.wait(3);

    let traces =
        [("rise", rise), ("congestion", congestion), ("busy", busy), ("idle", idle), ("long-samples", long)];
    let cases = traces.map(|(id, trace)| json!({ "id": id, "steps": trace.steps }));
    Ok(json!({ "id": "alm/estimator", "spec": "57-delivery.md section 1", "cases": cases }))
}
