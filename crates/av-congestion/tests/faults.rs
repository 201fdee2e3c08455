//! Loss that is not congestion, reports that do not come, paths that are gone for a while.

mod sim;

use netsim::{GilbertElliott, PathModel, Reorder};
use sim::{DATAGRAM, Sim, Source, at, bottleneck, kbit, ms};

fn live() -> Source {
    Source::live(kbit(2_500))
}

fn back() -> PathModel {
    PathModel { delay: ms(20), ..PathModel::default() }
}

#[test]
fn bursts_of_loss_do_not_lower_the_rate() {
    for seed in 1..6 {
        let path = PathModel { bursts: Some(GilbertElliott::bursts(0.1, 3.0)), ..bottleneck(2_000, 100, 20) };
        let mut sim = Sim::single(seed, path, live());
        sim.run(at(20.0));
        // What the bottleneck carries less a tenth is 1.8 Mbit/s.
        let arrived = sim.flow().arrived(4.0, 20.0);
        assert!(arrived > 1_500e3, "{seed}: {arrived}");
        let estimate = sim.flow().rows.last().unwrap().estimate;
        assert!((40..200).contains(&estimate.loss_permille.unwrap()), "{estimate:?}");
        let all = estimate.lost_packets as f64 / estimate.reported_packets as f64;
        assert!((0.08..0.14).contains(&all), "{all}");
    }
}

#[test]
fn loss_and_jitter_together_leave_most_of_it() {
    for seed in 1..6 {
        let path = PathModel { jitter: ms(30), loss: 0.1, ..bottleneck(20_000, 100, 20) };
        let mut sim = Sim::single(seed, path, live());
        sim.run(at(20.0));
        let sent = sim.flow().sent(2.0, 20.0);
        assert!(sent > 1_400e3, "{seed}: {sent}");
    }
}

#[test]
fn a_blackout_stops_it_and_its_end_starts_it() {
    for seed in 1..4 {
        let path =
            PathModel { jitter: ms(3), blackouts: vec![(at(6.0), at(12.0))], ..bottleneck(3_000, 100, 20) };
        let mut sim = Sim::single(seed, path, live());
        sim.run(at(20.0));
        let flow = sim.flow();
        let probes = flow.sum(8.5, 12.0, |row| row.sent);
        assert!((16..=40).contains(&probes), "a few datagrams each 1.2 s: {probes}");
        let arrived = flow.arrived(15.0, 20.0);
        assert!(arrived > 2_300e3, "{arrived}");
        assert!(flow.max(17.0, 20.0, |row| row.waited) <= ms(36));
        assert_eq!(flow.sum(16.0, 20.0, |row| row.shed), 0);
    }
}

#[test]
fn half_of_the_reports_suffice() {
    for seed in 1..6 {
        let mut sim = Sim::new(seed, bottleneck(1_500, 100, 20), PathModel { loss: 0.5, ..back() });
        sim.add(live());
        sim.run(at(20.0));
        let (arrived, loss) = (sim.flow().arrived(4.0, 20.0), sim.flow().loss(4.0, 20.0));
        assert!(arrived > 1_050e3 && loss < 0.05, "{seed}: {arrived} {loss}");
    }
}

#[test]
fn without_reports_hardly_anything_is_sent_and_never_nothing() {
    let mut sim = Sim::new(1, bottleneck(20_000, 100, 20), PathModel { loss: 1.0, ..back() });
    sim.add(live());
    sim.run(at(40.0));
    let flow = sim.flow();
    let first = flow.sum(0.0, 3.0, |row| row.sent) as usize * DATAGRAM;
    assert!(first < 160_000, "{first}");
    for from in [4.0, 10.0, 20.0, 30.0] {
        let sent = flow.sum(from, from + 10.0, |row| row.sent);
        assert!((30..=110).contains(&sent), "{from}: {sent}");
    }
    assert!(flow.max(0.0, 40.0, |row| row.estimate.in_flight) <= 64 << 10);
}

#[test]
fn copies_of_reports_and_old_ones_change_nothing() {
    let run = |way_back: PathModel| {
        let mut sim = Sim::new(3, PathModel { jitter: ms(3), ..bottleneck(1_000, 100, 20) }, way_back);
        sim.add(live());
        sim.run(at(12.0));
        let flow = sim.flow();
        (flow.arrived(3.0, 12.0), flow.loss(3.0, 12.0), flow.reports)
    };
    let (plain, _, reports) = run(back());
    let reorder = Some(Reorder { rate: 0.3, by: ms(60) });
    let (arrived, loss, more) = run(PathModel { duplicate: 0.5, reorder, ..back() });
    assert!(more > reports * 5 / 4, "{more} of {reports}");
    assert!(arrived > plain * 0.95 && loss < 0.05, "{arrived} of {plain}, {loss}");
}
