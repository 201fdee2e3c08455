//! The simulator: that it adds up, and that what it drives behaves in it.
#![allow(clippy::unwrap_used, reason = "tests")]

use alm::sim::{Bursts, Class, Happening, NodeReport, Report, Roles, Scenario, run};
use core_types::BitRate;
use proptest::prelude::*;
use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A small network: everybody has room for about four streams, and is 1 to 3 ms from the middle.
fn small() -> Scenario {
    Scenario {
        nodes: 60,
        length: ms(6_000),
        publisher_uplink: BitRate::from_kbit(12_000),
        classes: vec![Class { share: 1, uplink: BitRate::from_kbit(10_000), latency: (ms(1), ms(3)) }],
        ..Scenario::default()
    }
}

fn play(scenario: &Scenario) -> Report {
    let report = run(scenario).unwrap();
    adds_up(scenario, &report);
    report
}

/// What holds in every run.
fn adds_up(scenario: &Scenario, report: &Report) {
    let per_frame = u64::from(scenario.source_chunks + scenario.repair_chunks);
    for node in &report.nodes {
        let due = node.shown + node.missed + node.starting;
        assert!(due <= node.captured && node.captured <= report.frames, "{node:?}");
        let there = node.left.saturating_sub(node.joined.max(scenario.start.as_micros() as u64));
        assert!(due <= there * u64::from(scenario.fps) / 1_000_000 + 1, "{node:?}");
        assert!(node.received - node.duplicates <= per_frame * report.frames, "{node:?}");
        assert!(
            node.shown * u64::from(scenario.source_chunks) <= node.received - node.duplicates,
            "{node:?}"
        );
        assert!(node.first_deliveries <= node.expected_chunks, "{node:?}");
        assert!(node.repairs <= node.requests, "{node:?}");
    }
    let (sent, received): (u64, u64) = report
        .nodes
        .iter()
        .fold((0, 0), |(sent, received), node| (sent + node.sent, received + node.received));
    assert!(received <= sent, "{received} came of {sent}");
    if !scenario.events.iter().any(|event| matches!(event, Happening::Bandwidth { .. })) {
        assert_eq!(report.over_capacity(), 0);
    }
    // What waits at the end counts as sent: 200 ms of it at most.
    let uplinks = scenario.classes.iter().map(|class| class.uplink).chain([scenario.publisher_uplink]);
    let waiting = uplinks.map(|uplink| uplink.0 / 8 / 5).max().unwrap() + 2 * report.chunk_bytes;
    for node in &report.nodes {
        let sent = node.sent * report.chunk_bytes;
        assert!(sent <= node.could_send + waiting, "more than the uplink carries: {node:?}");
    }
}

fn watchers(report: &Report) -> Vec<&NodeReport> {
    report.watchers().collect()
}

#[test]
fn the_same_seed_gives_the_same_report_and_another_seed_another() {
    let scenario = Scenario {
        loss_permille: 20,
        events: vec![
            Happening::Churn { from: ms(2_500), until: ms(5_000), permille_per_second: 50 },
            Happening::Kill { at: ms(3_000), parents: 2, within: ms(100) },
        ],
        ..small()
    };
    let text = |scenario: &Scenario| format!("{:?}", play(scenario));
    let first = text(&scenario);
    assert!(first == text(&scenario), "two runs of one scenario differ");
    assert!(first != text(&Scenario { seed: 2, ..scenario }), "the seed makes no difference");
}

#[test]
fn without_losses_everybody_shows_every_frame_and_gets_each_chunk_once() {
    // The publisher feeds all of them itself.
    let publisher_uplink = BitRate::from_kbit(100_000);
    let scenario = Scenario { nodes: 20, parents: 1, spares: 0, publisher_uplink, ..small() };
    let report = play(&scenario);
    assert_eq!(report.watchers().count(), 20);
    for node in report.watchers() {
        assert_eq!((node.missed, node.starting, node.shown), (0, 0, 90), "{node:?}");
        assert_eq!((node.received, node.duplicates, node.requests), (100 * 12, 0, 0), "{node:?}");
    }
    assert!(report.first_delivery_permille() == 1_000 && report.worst_gap() == 40_000);
}

#[test]
fn watchers_feed_one_another_and_no_frame_is_missed() {
    let report = play(&small());
    let fed_by_publisher = 12_000 * 3 / 4 / 480;
    assert!(report.watchers().count() * 4 > 2 * fed_by_publisher, "too small to need relays");
    assert_eq!((report.missed(), report.shown_permille(), report.worst_gap()), (0, 1_000, 40_000));
    assert!(watchers(&report).iter().any(|node| node.hops >= 2), "nobody relays");
    assert_eq!(report.over_capacity(), 0);
    // What was asked for in haste comes twice.
    assert!(report.downlink_permille() <= 1_400, "{}", report.downlink_permille());
}

#[test]
fn one_of_four_parents_dies_and_no_frame_is_missed() {
    for seed in 1..=5 {
        let events = vec![Happening::Kill { at: ms(4_000), parents: 1, within: ms(0) }];
        let report = play(&Scenario { seed, nodes: 24, events, ..small() });
        assert!(!report.recoveries.is_empty() && report.unrecovered == 0, "seed {seed}");
        assert_eq!(report.missed(), 0, "seed {seed}");
        assert!(report.recovery(1_000) <= 2_000_000, "seed {seed}: {:?}", report.recoveries);
    }
}

#[test]
fn whoever_dies_is_counted_while_it_was_there_and_its_children_as_hurt() {
    let events = vec![Happening::Kill { at: ms(4_000), parents: 1, within: ms(0) }];
    let report = play(&Scenario { events, link_timeout: ms(60_000), ..small() });
    let gone: Vec<_> = report.watchers().filter(|node| node.left < 6_000_000).collect();
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].left, 4_000_000);
    // Frames of 2,000 to 4,000 ms that were due 400 ms later.
    assert_eq!(gone[0].shown + gone[0].missed + gone[0].starting, 40);
    assert!(report.recoveries.len() as u64 + report.unrecovered <= gone[0].children);
}

#[test]
fn a_relay_that_claims_ten_times_its_uplink_and_delivers_nothing_is_left() {
    let roles = Roles { lying: 100, ..Roles::default() };
    let report = play(&Scenario { roles, length: ms(10_000), ..small() });
    let liars: Vec<_> = report.nodes[1..].iter().filter(|node| !node.honest).collect();
    assert!(liars.iter().any(|node| node.children > 0), "nobody has believed a liar");
    assert!(liars.iter().all(|node| node.sent == 0));
    let found = report.sum(|node| node.suspicions - node.false_suspicions);
    assert!(found > 0, "no liar was found out");
    // Found out at the beginning and left for good: a frame or two at most are lost while the others step in.
    assert!(report.shown_permille() >= 995, "{}", report.shown_permille());
    assert!(watchers(&report).iter().all(|node| node.suspicions <= 10));
}

#[test]
fn a_relay_that_stalls_is_left_and_the_stream_goes_on() {
    let roles = Roles { stalling: 100, stall_at: ms(4_000), ..Roles::default() };
    let report = play(&Scenario { roles, length: ms(10_000), ..small() });
    assert!(report.sum(|node| node.suspicions - node.false_suspicions) > 0);
    assert!(report.shown_permille() >= 995, "{}", report.shown_permille());
}

#[test]
fn liars_are_found_by_several_and_who_is_honest_is_never_accused() {
    let lying = Roles { lying: 200, ..Roles::default() };
    let stalling = Roles { stalling: 100, stall_at: ms(5_000), ..Roles::default() };
    let honest = Scenario { nodes: 100, ..Scenario::default() };
    let liars = Scenario { roles: lying, ..honest.clone() };
    let report = play(&liars);
    let found = |report: &Report| report.nodes.iter().filter(|node| node.found_lying).count();
    assert!(found(&report) >= 5, "{} found", found(&report));
    assert!(report.sum(|node| node.accusations) >= 3 * found(&report) as u64);
    let bursts = Some(Bursts { start: 5, stop: 200, loss: 800 });
    let churn = Happening::Churn { from: ms(4_000), until: ms(12_000), permille_per_second: 100 };
    let narrow = Happening::Bandwidth { at: ms(4_000), share: 333, to: 250 };
    let part = Happening::Partition { at: ms(4_000), until: ms(7_000), share: 333 };
    for (what, scenario) in [
        ("liars and loss", Scenario { loss_permille: 50, ..liars.clone() }),
        ("liars and bursts", Scenario { bursts, ..liars.clone() }),
        ("liars and churn", Scenario { events: vec![churn.clone()], ..liars }),
        ("stalling", Scenario { roles: stalling, ..honest.clone() }),
        ("loss", Scenario { loss_permille: 50, ..honest.clone() }),
        ("bursts", Scenario { bursts, ..honest.clone() }),
        ("churn", Scenario { events: vec![churn], ..honest.clone() }),
        ("narrow uplinks", Scenario { events: vec![narrow], ..honest.clone() }),
        ("a partition", Scenario { events: vec![part], length: ms(15_000), ..honest }),
    ] {
        let report = play(&scenario);
        let wrongly = report.sum(|node| node.false_accusations + u64::from(node.found_lying));
        assert_eq!(wrongly, 0, "{what}");
    }
}

#[test]
fn a_watcher_changes_its_mind_once_in_ten_seconds_at_most() {
    let report = play(&Scenario { nodes: 150, length: ms(24_000), ..Scenario::default() });
    let switches = report.sum(|node| node.switches);
    assert!(switches > 0, "nobody found a better place");
    let most = report.watchers().map(|node| node.switches).max().unwrap();
    assert!(most <= 3, "{most} in 24 s");
    assert_eq!((report.missed(), report.worst_gap()), (0, 40_000));
}

#[test]
fn a_flash_crowd_is_served_and_nobody_is_over_capacity() {
    let events = vec![Happening::FlashCrowd { at: ms(3_000), count: 150, within: ms(1_000) }];
    let report = play(&Scenario { nodes: 10, events, length: ms(7_000), ..small() });
    assert_eq!(report.watchers().count(), 160);
    assert!(report.joined_permille(ms(1_000)) >= 990, "{}", report.joined_permille(ms(1_000)));
    assert_eq!(report.over_capacity(), 0);
    assert!(
        report
            .nodes
            .iter()
            .all(|node| node.children <= 2 * 10_000 / 480 + 2 || node.key == report.nodes[0].key)
    );
}

#[test]
fn where_room_is_short_it_is_kept_within_and_some_are_not_served() {
    // 12 Mbit/s for 60 watchers of 1.9 Mbit/s, and nobody who relays.
    let classes = vec![Class { share: 1, uplink: BitRate(0), latency: (ms(1), ms(3)) }];
    let report = play(&Scenario { classes, ..small() });
    let unserved = report.watchers().filter(|node| node.first_frame.is_none()).count();
    assert!((50..=57).contains(&unserved), "{unserved}");
    let publisher = &report.nodes[0];
    assert!(!publisher.over_capacity && publisher.sent * 800 <= publisher.could_send * 9 / 10);
}

#[test]
fn a_partition_heals() {
    let events = vec![Happening::Partition { at: ms(3_000), until: ms(8_000), share: 300 }];
    let scenario = Scenario { events, length: ms(18_000), ..small() };
    let report = play(&scenario);
    let cut_off: Vec<_> = report.watchers().filter(|node| node.worst_gap > 3_000_000).collect();
    assert!((8..=30).contains(&cut_off.len()), "{} were cut off", cut_off.len());
    for node in report.watchers() {
        assert!(node.worst_gap < 10_000_000, "not healed after 5 s: {node:?}");
    }
    let healed = report.sum(|node| node.shown);
    assert!(healed > 60 * 390 * 8 / 10, "{healed}");
}

#[test]
fn a_partition_that_heals_before_links_are_given_up_leaves_the_links_as_they_were() {
    let events = vec![Happening::Partition { at: ms(3_000), until: ms(4_000), share: 300 }];
    let report = play(&Scenario { events, length: ms(8_000), ..small() });
    assert!(report.watchers().all(|node| node.worst_gap < 2_500_000), "{}", report.worst_gap());
}

#[test]
fn losses_are_repaired_from_other_parents() {
    let bursts = Some(Bursts { start: 5, stop: 200, loss: 800 });
    for scenario in [Scenario { loss_permille: 20, ..small() }, Scenario { bursts, ..small() }] {
        let report = play(&scenario);
        assert!(report.sum(|node| node.repairs) > 0);
        assert!(report.first_delivery_permille() < 990);
        assert!(report.shown_permille() >= 990, "{}", report.shown_permille());
    }
    let lost = play(&Scenario { loss_permille: 1_000, ..small() });
    assert_eq!((lost.sum(|node| node.received), lost.sum(|node| node.shown)), (0, 0));
}

#[test]
fn relays_that_repair_only_what_they_show_themselves_starve_who_is_below_them() {
    let all = Scenario { loss_permille: 30, length: ms(5_000), ..Scenario::default() };
    let own = Scenario { relays_repair_all: false, ..all.clone() };
    let (all, own) = (play(&all), play(&own));
    assert!(all.first_delivery_permille() > own.first_delivery_permille() + 10);
    let fresh = |report: &Report| report.sum(|node| node.received - node.duplicates);
    assert!(fresh(&all) * 100 > fresh(&own) * 102, "{} and {}", fresh(&all), fresh(&own));
}

#[test]
fn frames_that_come_after_the_deadline_are_not_shown() {
    let far = vec![Class { share: 1, uplink: BitRate::from_kbit(10_000), latency: (ms(30), ms(30)) }];
    // 35 ms from the publisher, and more from another watcher.
    let scenario = Scenario { nodes: 4, classes: far, ..small() };
    let early = play(&Scenario { deadline: ms(30), ..scenario.clone() });
    assert_eq!(early.sum(|node| node.shown), 0);
    assert!(early.watchers().all(|node| node.first_frame.is_none() && node.received > 1_000));
    let late = play(&Scenario { deadline: ms(400), ..scenario });
    assert_eq!(late.shown_permille(), 1_000);
}

#[test]
fn uplinks_that_shrink_lose_children_who_find_others() {
    let events = vec![Happening::Bandwidth { at: ms(4_000), share: 300, to: 100 }];
    let scenario = Scenario { nodes: 40, length: ms(12_000), ..small() };
    let (before, after) = (play(&scenario), play(&Scenario { events, ..scenario.clone() }));
    assert!(after.sum(|node| node.could_send) < before.sum(|node| node.could_send) * 9 / 10);
    assert!(after.sum(|node| node.searches) > before.sum(|node| node.searches));
    assert!(after.shown_permille() >= 950, "{}", after.shown_permille());
}

#[test]
fn an_uplink_that_is_too_small_is_used_whole_and_what_waits_too_long_is_dropped() {
    // The uplinks shrink to a tenth just before the stream starts; it takes the relays until the end to notice.
    let events = vec![Happening::Bandwidth { at: ms(1_900), share: 1_000, to: 100 }];
    let scenario = Scenario { nodes: 60, events, length: ms(2_890), ..small() };
    let report = play(&scenario);
    let busy: Vec<_> = report.nodes[1..].iter().filter(|node| node.dropped > 0).collect();
    assert!(busy.len() >= 3, "{} were busy", busy.len());
    for node in busy {
        // 890 ms with 1 Mbit/s, less the time in which nothing has come yet.
        assert!((105_000..=115_000).contains(&node.could_send), "{node:?}");
        assert!(node.sent * 800 >= node.could_send / 2, "{node:?}");
        assert!(node.sent * 800 <= node.could_send + 25_000 + 1_600, "{node:?}");
    }
}

#[test]
fn churn_replaces_who_leaves() {
    let events = vec![Happening::Churn { from: ms(2_500), until: ms(7_500), permille_per_second: 20 }];
    let report = play(&Scenario { events, length: ms(8_000), ..small() });
    let left = report.watchers().filter(|node| node.left < 8_000_000).count();
    assert!((5..=7).contains(&left), "{left} left of about 6");
    assert_eq!(report.watchers().count(), 60 + left);
    assert!(report.shown_permille() >= 970, "{}", report.shown_permille());
}

#[test]
fn a_scenario_that_can_not_be_is_refused_with_the_field() {
    let refused = |scenario: Scenario| run(&scenario).unwrap_err().to_string();
    assert!(refused(Scenario { fps: 0, ..small() }).starts_with("fps"));
    assert!(
        refused(Scenario { source_chunks: 60, repair_chunks: 4, ..small() }).starts_with("repair_chunks")
    );
    assert!(refused(Scenario { parents: 17, ..small() }).starts_with("parents"));
    assert!(refused(Scenario { classes: Vec::new(), ..small() }).starts_with("classes"));
    assert!(refused(Scenario { nodes: 250_001, ..small() }).starts_with("nodes"));
    let crowd = Happening::FlashCrowd { at: ms(0), count: u32::MAX, within: ms(1) };
    assert!(refused(Scenario { events: vec![crowd], ..small() }).starts_with("nodes"));
    let churn = Happening::Churn { from: ms(2), until: ms(1), permille_per_second: 1 };
    assert!(refused(Scenario { events: vec![churn], ..small() }).starts_with("events.churn"));
    let bursts = Some(Bursts { start: 1, stop: 0, loss: 1 });
    assert!(refused(Scenario { bursts, ..small() }).starts_with("bursts"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_it_adds_up(
        seed in any::<u64>(),
        nodes in 0_u32..25,
        (source_chunks, repair_chunks, parents) in (1_u8..20, 0_u8..8, 1_u8..=16),
        (loss_permille, lying, stalling, slow) in (0_u16..300, 0_u16..300, 0_u16..300, 0_u16..300),
        uplink in 0_u64..20_000,
        at in prop::collection::vec(0_u64..4_000, 5),
    ) {
        let scenario = Scenario {
            seed,
            nodes,
            source_chunks,
            repair_chunks,
            parents,
            loss_permille,
            roles: Roles { lying, stalling, stall_at: ms(at[0]), slow, slow_by: ms(at[1]) },
            classes: vec![Class { share: 1, uplink: BitRate::from_kbit(uplink), latency: (ms(0), ms(80)) }],
            length: ms(4_000),
            events: vec![
                Happening::FlashCrowd { at: ms(at[0]), count: 10, within: ms(at[1]) },
                Happening::Churn { from: ms(at[2]), until: ms(4_000), permille_per_second: 300 },
                Happening::Kill { at: ms(at[3]), parents: 3, within: ms(100) },
                Happening::Bandwidth { at: ms(at[4]), share: 500, to: 300 },
                Happening::Partition { at: ms(at[1]), until: ms(4_000), share: 500 },
            ],
            link_timeout: ms(700),
            ..small()
        };
        play(&scenario);
    }
}
