//! Metrics, health and status over real sockets, asked politely and otherwise.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use core_types::MonoTime;
use holomesh::service::config::{Http, StatusAccess};
use holomesh::service::http::{Server, fetch};
use holomesh::service::limits::Guard;
use holomesh::service::status::{LinkStatus, NodeStatus, Snapshot, State, StreamStatus};
use holomesh::service::{StatusSink, StatusSource};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// More connections than the server keeps.
const MANY: usize = 40;

fn snapshot(links: u64) -> Snapshot {
    let link = |id| LinkStatus {
        id,
        peer: format!("peer{id}"),
        role: "watcher".into(),
        transport: "udp".into(),
        address: "192.0.2.1:4433".into(),
        rtt_micros: Some(id * 10),
        loss: Some(0.01),
        ..LinkStatus::default()
    };
    Snapshot {
        node: NodeStatus {
            id: "abcd2345".into(),
            role: "relay".into(),
            state: State::Serving,
            host_link: true,
            ..NodeStatus::default()
        },
        links: (0..links).map(link).collect(),
        streams: vec![StreamStatus { id: "strm".into(), subscribers: links, ..StreamStatus::default() }],
        ..Snapshot::default()
    }
}

fn publish(sink: &mut StatusSink, snapshot: Snapshot) {
    sink.publish(MonoTime::from_millis(1_000), snapshot);
}

fn source_of(snapshot: Snapshot) -> (StatusSink, StatusSource) {
    let (mut sink, source) = StatusSink::new(Guard::new(None, 1_024), None);
    publish(&mut sink, snapshot);
    (sink, source)
}

async fn server(snapshot: Snapshot) -> (StatusSink, Server, SocketAddr) {
    let (sink, source) = source_of(snapshot);
    let http = Http { listen: Some("127.0.0.1:0".parse().unwrap()), ..Http::default() };
    let server = Server::start(&http, source).await.unwrap().unwrap();
    let address = server.address();
    (sink, server, address)
}

/// What comes back for these bytes, to the end of the connection; empty if it is just closed.
async fn send(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The same for bytes that are no request, so that the server might wait for more of them.
async fn send_and_end(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have refused and closed before everything is written.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
    let answer = send(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn metrics_health_and_status_are_served() {
    let (mut sink, _server, address) = server(snapshot(3)).await;
    let (status, head, body) = get(address, "/metrics").await;
    assert!(status == 200 && head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(body.contains("\nholomesh_links{transport=\"udp\"} 3\n"), "{body}");
    assert_eq!(get(address, "/healthz").await.2, "ok\n");
    let (status, head, body) = get(address, "/status.json").await;
    assert!(status == 200 && head.contains("content-type: application/json"), "{head}");
    assert_eq!(serde_json::from_str::<Snapshot>(&body).unwrap().links.len(), 3);
    assert_eq!(get(address, "/nothing").await.0, 404);

    let mut draining = snapshot(0);
    draining.node.state = State::Draining;
    publish(&mut sink, draining);
    assert_eq!(
        (get(address, "/healthz").await.0, get(address, "/healthz").await.2),
        (503, "draining\n".into())
    );
    let mut lost = snapshot(0);
    lost.node.host_link = false;
    publish(&mut sink, lost);
    assert_eq!(get(address, "/healthz").await.2, "no link to the host\n");
}

#[tokio::test]
async fn only_get_and_head_and_no_body_of_a_head() {
    let (_sink, _server, address) = server(snapshot(1)).await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let request = format!("{method} /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        let answer = send(address, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 405 ") && answer.to_lowercase().contains("allow: get, head"),
            "{answer}"
        );
    }
    let answer = send(address, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_what_is_no_request_closes_the_connection() {
    let (_sink, _server, address) = server(snapshot(1)).await;
    let long = "x".repeat(100_000);
    for request in [
        format!("GET /{long} HTTP/1.1\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(2_000)),
        format!("GET / HTTP/1.1\r\nContent-Length: {long}\r\n\r\n"),
        "GET / HTTP/9.9\r\n\r\n".into(),
        "\r\n\r\n\r\n".into(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}".repeat(50),
        long.clone(),
    ] {
        let answer = send_and_end(address, request.as_bytes()).await;
        let shown: String = request.chars().take(30).collect();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{shown:?}: {answer}");
    }
    assert_eq!(get(address, "/healthz").await.0, 200);
}

#[test]
fn random_bytes_close_the_connection_and_nothing_else() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_sink, _server, address) = runtime.block_on(server(snapshot(1)));
    proptest!(ProptestConfig::with_cases(200), |(bytes in proptest::collection::vec(any::<u8>(), 0..300), end in "(\r\n\r\n|)")| {
        runtime.block_on(async {
            let answer = send_and_end(address, &[&bytes, end.as_bytes()].concat()).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        });
    });
    assert_eq!(runtime.block_on(get(address, "/healthz")).0, 200);
}

#[tokio::test]
async fn those_who_do_not_read_keep_nobody_out() {
    let (_sink, _server, address) = server(snapshot(4_096)).await;
    let mut slow = Vec::new();
    for _ in 0..MANY {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        slow.push(stream);
    }
    let (status, _, body) = get(address, "/status.json").await;
    assert!(status == 200 && body.len() > 1_000_000, "{}", body.len());
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_that_names_it_and_off_is_off() {
    let (_sink, source) = source_of(snapshot(1));
    assert!(Server::start(&Http::default(), source.clone()).await.unwrap().is_none());
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let http = Http { listen: Some(address), ..Http::default() };
    let said = Server::start(&http, source).await.unwrap_err().to_string();
    assert!(said.contains(&address.to_string()) && said.contains("http.listen"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_dropped_is_gone() {
    let (_sink, server, address) = server(snapshot(1)).await;
    drop(server);
    // The task ends at its next turn.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_snapshot_is_fetched_whole_and_what_is_none_is_explained() {
    let (_sink, _server, address) = server(snapshot(4_096)).await;
    let fetched = fetch(address).await.unwrap();
    assert_eq!((fetched.links.len(), fetched.links[4_095].peer.as_str()), (4_096, "peer4095"));

    let (_sink, source) = source_of(snapshot(1));
    let http =
        Http { listen: Some("127.0.0.1:0".parse().unwrap()), status: StatusAccess::Off, ..Http::default() };
    let off = Server::start(&http, source).await.unwrap().unwrap();
    let said = fetch(off.address()).await.unwrap_err().to_string();
    assert!(said.contains("it says 404"), "{said}");

    let endless = [b"HTTP/1.1 200 OK\r\n\r\n", vec![b' '; 17 << 20].as_slice()].concat();
    for (answer, word) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"[..], "no status of a holomesh node"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[7]", "no status of a holomesh node"),
        (&endless, "limit"),
        (b"\x16\x03\x01 nonsense", "no connection to"),
        (b"", "no connection to"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
        };
        let (said, ()) = tokio::join!(fetch(address), answering);
        let said = said.unwrap_err().to_string();
        assert!(
            said.contains(word),
            "{:?}: {said}",
            String::from_utf8_lossy(&answer[..answer.len().min(60)])
        );
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(fetch(gone).await.unwrap_err().to_string().contains("is the relay running"));
}

/// The samples of a page, by name and labels. Panics at everything that the format does not allow.
fn samples(page: &str) -> BTreeMap<String, f64> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    assert!(page.ends_with('\n'));
    let (mut seen, mut samples) = (BTreeSet::new(), BTreeMap::new());
    let mut lines = page.lines().peekable();
    while let Some(help) = lines.next() {
        let help = help.strip_prefix("# HELP ").unwrap_or_else(|| panic!("no HELP: {help}"));
        let (name, text) = help.split_once(' ').unwrap();
        assert!(is_name(name) && !text.is_empty() && seen.insert(name), "{help}");
        let kind = lines.next().unwrap();
        let kind = kind.strip_prefix(&format!("# TYPE {name} ")).unwrap_or_else(|| panic!("no TYPE: {kind}"));
        assert_eq!(kind, if name.ends_with("_total") { "counter" } else { "gauge" }, "{name}");
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            assert!(value.is_finite() && (kind == "gauge" || value >= 0.0), "{line}");
            let rest = series.strip_prefix(name).unwrap_or_else(|| panic!("{series} under {name}"));
            if !rest.is_empty() {
                let labels = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap();
                let mut rest = labels;
                while !rest.is_empty() {
                    let (label, value) = rest.split_once("=\"").unwrap();
                    assert!(is_name(label), "{line}");
                    let mut escaped = false;
                    let end = value.find(|c| {
                        let closes = c == '"' && !escaped;
                        escaped = c == '\\' && !escaped;
                        closes
                    });
                    rest = value[end.unwrap() + 1..].trim_start_matches(',');
                }
            }
            assert!(samples.insert(series.to_owned(), value).is_none(), "twice: {series}");
        }
    }
    samples
}

#[test]
fn the_page_is_valid_and_says_what_the_snapshot_says() {
    let mut snapshot = snapshot(10);
    snapshot.node.id = "a\"b\\c\nd".into();
    snapshot.totals.sent.udp.bytes = 1 << 40;
    snapshot.totals.drops.base = 7;
    snapshot.totals.links_refused.permit = 5;
    snapshot.totals.key_frame_requests = 3;
    snapshot.links[0].queue_bytes = 11;
    snapshot.links[1].rtt_micros = None;
    let (_sink, source) = source_of(snapshot);
    let page = String::from_utf8(source.latest().metrics().to_vec()).unwrap();
    let samples = samples(&page);
    for (series, value) in [
        ("holomesh_sent_bytes_total{transport=\"udp\"}", (1u64 << 40) as f64),
        ("holomesh_sent_bytes_total{transport=\"quic\"}", 0.0),
        ("holomesh_drops_total{class=\"base\"}", 7.0),
        ("holomesh_links_refused_total{reason=\"permit\"}", 5.0),
        ("holomesh_key_frame_requests_total{step=\"asked\"}", 3.0),
        ("holomesh_state{state=\"serving\"}", 1.0),
        ("holomesh_state{state=\"draining\"}", 0.0),
        ("holomesh_queue_bytes", 11.0),
        ("holomesh_subscriptions", 10.0),
        ("holomesh_link_rtt_seconds{quantile=\"1\"}", 9e-5),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
    assert!(page.contains(r#"id="a\"b\\c\nd""#), "{page}");
}

#[test]
fn the_number_of_series_does_not_grow_with_peers_and_names_none() {
    let series = |links| {
        let (_sink, source) = source_of(snapshot(links));
        let page = String::from_utf8(source.latest().metrics().to_vec()).unwrap();
        assert!(!page.contains("peer") || !page.contains("peer1"), "{page}");
        assert!(!page.contains("192.0.2.1") && !page.contains("strm"), "{page}");
        samples(&page).into_keys().collect::<BTreeSet<_>>()
    };
    assert_eq!(series(1), series(4_096));
    assert!(series(1).len() < 100);
}
