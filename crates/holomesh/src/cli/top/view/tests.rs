use super::super::app::Step;
use super::super::columns::Sort;
use super::*;
use crate::service::status::{Drops, FeederStatus, LinkStatus, NodeStatus, ProcessStatus, Rates, Taken};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn snapshot(links: u64, streams: u64) -> Snapshot {
    let link = |id: u64| LinkStatus {
        id,
        peer: format!("peer{id:04}"),
        role: if id == 0 { "host" } else { "watcher" }.into(),
        transport: if id.is_multiple_of(2) { "udp" } else { "quic" }.into(),
        address: format!("192.0.2.{}:4433", id % 250),
        rtt_micros: (id > 0).then_some(id * 700),
        loss: (id > 0).then_some(id as f64 / 1_000.0),
        queue_bytes: id * 2_048,
        drops: Drops { repair: id, ..Drops::default() },
        takes: if id == 0 { String::new() } else { "L2T3".into() },
        rates: Rates { out_bits: 2.5e6 + id as f64, in_bits: 0.0, ..Rates::default() },
        ..LinkStatus::default()
    };
    let stream = |id: u64| StreamStatus {
        id: format!("strm{id:04}"),
        codec: "av1".into(),
        layers: if id == 1 { "L3T3".into() } else { "L1T1".into() },
        taken: vec![
            Taken { layers: "L3T3".into(), subscribers: 2 },
            Taken { layers: "L1T3".into(), subscribers: 1 },
        ],
        subscribers: links,
        ring_bytes: 2 << 20,
        key_frame_requests: 7,
        ..StreamStatus::default()
    };
    Snapshot {
        node: NodeStatus {
            id: "abcd2345".into(),
            role: "relay".into(),
            version: "0.1.0".into(),
            uptime_seconds: 3_723,
            state: State::Serving,
            host_link: true,
        },
        process: ProcessStatus {
            cpu_user_percent: 8.1,
            cpu_system_percent: 4.2,
            memory_bytes: 123 << 20,
            memory_limit_bytes: Some(1 << 30),
            descriptors: 34,
            descriptor_limit: 1_024,
            ..ProcessStatus::default()
        },
        rates: Rates {
            in_bits: 2.5e6,
            out_bits: 250e6,
            in_packets: 284.0,
            out_packets: 28_400.0,
            drops: 0.5,
        },
        links: (0..links).map(link).collect(),
        streams: (0..streams).map(stream).collect(),
        ..Snapshot::default()
    }
}

fn app(snapshot: Snapshot) -> App {
    App::with("127.0.0.1:9467".parse().unwrap(), Sort::Out, snapshot)
}

fn screen(app: &mut App, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            let area = frame.area();
            draw(app, area, frame.buffer_mut());
        })
        .unwrap();
    let buffer = terminal.backend().buffer().clone();
    (0..height)
        .map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned())
        .collect()
}

#[test]
fn all_that_an_operator_looks_for_is_on_a_small_screen() {
    let mut app = app(snapshot(3, 2));
    let lines = screen(&mut app, 80, 24);
    let expected = [
        " relay abcd2345  holomesh 0.1.0  serving  up 01:02:03  host up  127.0.0.1:9467",
        " CPU 12.3% (8.1 user 4.2 system)  memory 123Mi of 1.00Gi  files 34 of 1024",
        " in 2.50Mb/s 284pkt/s  out 250Mb/s 28.4kpkt/s  drops 0/s  quota hits 0",
        "",
        " PEER      ROLE     VIA        RTT   LOSS   IN b/s vOUT b/s    QUEUE    DROPS",
        " peer0002  watcher  udp      1.4ms   0.2%        0    2.50M   4.00Ki        2",
        " peer0001  watcher  quic     700us   0.1%        0    2.50M   2.00Ki        1",
        " peer0000  host     udp          -      -        0    2.50M        0        0",
    ];
    assert_eq!(lines[..expected.len()], expected);
    assert_eq!(lines[20], " STREAM    CODEC  OF       SUBS   IN b/s  OUT b/s     RING  KEYS TAKEN BY");
    assert_eq!(lines[21], " strm0000  av1                3        0        0   2.00Mi     7");
    assert_eq!(lines[22], " strm0001  av1    L3T3        3        0        0   2.00Mi     7 2 L3T3, 1 L1T3");
    assert!(lines[23].contains("q quit"), "{lines:#?}");
}

#[test]
fn descriptions_and_those_who_lend_are_shown() {
    let mut snapshot = snapshot(3, 2);
    snapshot.streams[1].description = "2 of 4".into();
    let feeder = |peer: &str, is_linked| FeederStatus {
        peer: peer.into(),
        role: "watcher".into(),
        claims_bits: 5_000_000,
        places: 28,
        is_linked,
    };
    snapshot.feeders = vec![feeder("lend0001", true), feeder("lend0002", false)];
    let lines = screen(&mut app(snapshot.clone()), 80, 24);
    assert_eq!(lines[19], " strm0001  av1    2 of 4      3        0        0   2.00Mi     7 2 L3T3, 1 L1T3");
    assert_eq!(lines[20], " LENDS     ROLE     CLAIMS b/s  ROOM FOR LINK");
    assert_eq!(lines[21], " lend0001  watcher       5.00M        28 yes");
    assert_eq!(lines[22], " lend0002  watcher       5.00M        28 no");
    assert!(text(&app(snapshot), 132).contains(" lend0002  watcher "));
}

#[test]
fn what_links_take_and_addresses_are_shown_where_there_is_room() {
    let wide = screen(&mut app(snapshot(3, 0)), 90, 24).concat();
    assert!(wide.contains("L2T3") && !wide.contains("192.0.2.1"), "{wide}");
    assert!(!screen(&mut app(snapshot(3, 0)), 80, 24).concat().contains("L2T3"));
}

#[test]
fn an_address_is_shown_where_there_is_room() {
    let mut app = app(snapshot(3, 0));
    assert!(!screen(&mut app, 80, 24).concat().contains("192.0.2.1"));
    assert!(screen(&mut app, 120, 24).concat().contains("192.0.2.1:4433"));
}

#[test]
fn a_long_list_can_be_scrolled_to_its_end() {
    let mut app = app(snapshot(100, 2));
    let lines = screen(&mut app, 80, 24);
    let range = lines.iter().find(|line| line.contains("of 100 links")).unwrap();
    assert_eq!(range, " 1 to 14 of 100 links");
    assert!(lines.concat().contains("peer0099") && !lines.concat().contains("peer0000"));
    app.handle(Step::End);
    let lines = screen(&mut app, 80, 24).concat();
    assert!(lines.contains(" 87 to 100 of 100 links") && lines.contains("peer0000"), "{lines}");
}

#[test]
fn what_is_wrong_stands_out() {
    let mut bad = snapshot(1, 0);
    bad.node.host_link = false;
    bad.node.state = State::Draining;
    bad.process.short_of_room = true;
    bad.log.failed = 12;
    let mut app = app(bad);
    app.take_failure("nobody answers".into());
    let text = screen(&mut app, 132, 24).concat();
    for word in ["host DOWN", "draining", "new links are refused", "12 log lines lost", "what you see is old"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn any_size_is_drawn_without_panic() {
    for width in [1, 2, 10, 79, 80, 81, 300] {
        for height in 1..30 {
            for (links, streams) in [(0, 0), (1, 1), (50, 50)] {
                let mut app = app(snapshot(links, streams));
                app.handle(Step::Scroll(7));
                assert_eq!(screen(&mut app, width, height).len(), usize::from(height));
            }
        }
    }
}

#[test]
fn once_prints_every_link_and_stream_and_no_control_characters() {
    let mut wild = snapshot(300, 5);
    wild.links[7].peer = "\u{1b}[2Jx\n".into();
    wild.node.id = "\u{7}\u{9b}31m".into();
    wild.links_left_out = 11;
    let text = text(&app(wild), 132);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert_eq!(text.lines().filter(|line| line.contains("192.0.2.")).count(), 300);
    assert_eq!(text.lines().filter(|line| line.contains("strm")).count(), 5);
    assert!(text.contains("1 to 300 of 311 links"));
}
