//! Metrics, health and status over HTTP, off unless configured.
//!
//! | path | what |
//! |---|---|
//! | `/metrics` | Prometheus' text format |
//! | `/healthz` | 200 `ok`, or 503 and why not |
//! | `/status.json` | a [`Snapshot`](super::status::Snapshot), for `holomesh top` |
//!
//! Whoever reaches the port can neither fill memory nor keep others out: requests are small or refused, a connection
//! carries one request and lasts a few seconds, and when there are too many the oldest goes.

mod client;
mod exposition;
mod metrics;

use super::config::{Http, StatusAccess};
use super::publisher::{Published, StatusSource};
use crate::Error;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

pub use client::fetch;
pub(super) use metrics::render as render_metrics;

/// Connections at once.
const CONNECTIONS: usize = 32;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// Until a request's head has come.
    head: Duration,
    /// Until the answer has been read, counted from the start of the connection.
    whole: Duration,
}

const PATIENCE: Patience = Patience { head: Duration::from_secs(5), whole: Duration::from_secs(10) };

/// The longest head of a request, in bytes.
const HEAD_BYTES: usize = 8_192;

/// The most header lines of a request.
const HEAD_LINES: usize = 64;

/// After an error of the listener, which mostly means that file descriptors are short.
const PAUSE: Duration = Duration::from_millis(100);

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: AbortHandle,
}

impl Server {
    /// Listens, if the configuration says so, and answers from `source`. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Network`] if the address can't be listened on.
    pub async fn start(http: &Http, source: StatusSource) -> Result<Option<Self>, Error> {
        let Some(wanted) = http.listen else { return Ok(None) };
        let listen = async {
            let listener = TcpListener::bind(wanted).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) = listen.await.map_err(|e: std::io::Error| {
            Error::Network(format!("can't listen on {wanted} for metrics and status (http.listen): {e}"))
        })?;
        let site = Arc::new(Site { http: http.clone(), source });
        let task = tokio::spawn(accept(listener, site, PATIENCE)).abort_handle();
        Ok(Some(Self { address, task }))
    }

    /// Where it listens, with the port that port 0 became.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, site: Arc<Site>, patience: Patience) {
    let mut connections = JoinSet::new();
    let mut oldest = VecDeque::with_capacity(CONNECTIONS);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "a status connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        oldest.retain(|connection: &AbortHandle| !connection.is_finished());
        // An honest client is done within milliseconds, so whoever has been there longest is the one to go.
        while oldest.len() >= CONNECTIONS {
            if let Some(connection) = oldest.pop_front() {
                connection.abort();
            }
        }
        oldest.push_back(connections.spawn(serve(stream, peer.ip(), site.clone(), patience)));
    }
}

async fn serve(stream: TcpStream, peer: IpAddr, site: Arc<Site>, patience: Patience) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let answer = site.answer(peer, &request);
        async move { Ok::<_, Infallible>(answer.response().await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(patience.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        .serve_connection(TokioIo::new(stream), answer);
    // A slow reader, a cut line and garbage are the client's own business.
    let _ = tokio::time::timeout(patience.whole, connection).await;
}

struct Site {
    http: Http,
    source: StatusSource,
}

/// What somebody gets who asked.
enum Answer {
    Ready(Response<Full<Bytes>>),
    /// To be rendered. Where there are many links that takes milliseconds, in which the node's thread has chunks to forward:
    /// another one does it.
    Rendered {
        kind: &'static str,
        of: Arc<Published>,
        by: fn(&Published) -> Bytes,
    },
}

impl Answer {
    async fn response(self) -> Response<Full<Bytes>> {
        match self {
            Self::Ready(response) => response,
            Self::Rendered { kind, of, by } => match tokio::task::spawn_blocking(move || by(&of)).await {
                Ok(body) => typed(StatusCode::OK, kind, body),
                Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
            },
        }
    }
}

impl Site {
    fn answer<B>(&self, peer: IpAddr, request: &Request<B>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Answer::Ready(refused);
        }
        let of = self.source.latest();
        Answer::Ready(match request.uri().path() {
            "/metrics" if self.http.metrics => {
                let kind = "text/plain; version=0.0.4; charset=utf-8";
                return Answer::Rendered { kind, of, by: Published::metrics };
            }
            "/healthz" if self.http.health => match of.health() {
                Ok(()) => plain(StatusCode::OK, "ok\n"),
                Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
            },
            "/status.json" if self.may_see_status(peer, request) => {
                return Answer::Rendered { kind: "application/json", of, by: Published::json };
            }
            "/status.json" if self.http.status == StatusAccess::Loopback => {
                plain(StatusCode::FORBIDDEN, "only for clients on this machine (http.status)\n")
            }
            _ => plain(StatusCode::NOT_FOUND, "not here; see /metrics, /healthz, /status.json\n"),
        })
    }

    /// A web page that a browser on this machine shows can make it ask here under a name of the page's own (DNS
    /// rebinding), and then read the answer. It can't make it ask under an address or `localhost`.
    fn may_see_status<B>(&self, peer: IpAddr, request: &Request<B>) -> bool {
        match self.http.status {
            StatusAccess::Off => false,
            StatusAccess::All => true,
            StatusAccess::Loopback => {
                let host = request.headers().get(HOST).map(|host| host.to_str().unwrap_or("?"));
                peer.to_canonical().is_loopback() && host.is_none_or(is_address_or_localhost)
            }
        }
    }
}

fn is_address_or_localhost(host: &str) -> bool {
    let is_name = |host: &str| host.eq_ignore_ascii_case("localhost");
    host.parse::<SocketAddr>().is_ok()
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        || is_name(host)
        || host.rsplit_once(':').is_some_and(|(name, port)| is_name(name) && port.parse::<u16>().is_ok())
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(text.as_bytes()))
}

fn typed(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::limits::Guard;
    use crate::service::status::{LinkStatus, Snapshot, StatusSink};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[test]
    fn a_page_under_a_name_of_its_own_does_not_see_the_status() {
        for host in ["127.0.0.1:9467", "[::1]:9467", "127.0.0.1", "[::1]", "localhost", "LOCALHOST:80"] {
            assert!(is_address_or_localhost(host), "{host}");
        }
        for host in ["evil.example", "evil.example:9467", "localhost.evil.example", "localhost:x", "", ":80"]
        {
            assert!(!is_address_or_localhost(host), "{host}");
        }
    }

    fn request(path: &str, host: &str) -> Request<()> {
        Request::get(path).header(HOST, host).body(()).unwrap()
    }

    #[tokio::test]
    async fn who_sees_what_follows_the_configuration() {
        let (_sink, source) = StatusSink::new(Guard::new(None, 1_024), None);
        let mut site = Site { http: Http::default(), source };
        let ask = async |site: &Site, peer: &str, path: &str, host: &str| {
            site.answer(peer.parse().unwrap(), &request(path, host)).response().await.status().as_u16()
        };
        assert_eq!(ask(&site, "127.0.0.1", "/status.json", "127.0.0.1").await, 200);
        assert_eq!(ask(&site, "::ffff:127.0.0.1", "/status.json", "127.0.0.1").await, 200);
        assert_eq!(ask(&site, "127.0.0.1", "/status.json", "evil.example").await, 403);
        assert_eq!(ask(&site, "192.0.2.7", "/status.json", "127.0.0.1").await, 403);
        assert_eq!(ask(&site, "192.0.2.7", "/metrics", "evil.example").await, 200);
        site.http.status = StatusAccess::All;
        assert_eq!(ask(&site, "192.0.2.7", "/status.json", "relay.example").await, 200);
        site.http = Http { status: StatusAccess::Off, metrics: false, health: false, ..site.http };
        for path in ["/status.json", "/metrics", "/healthz", "/", "/other"] {
            assert_eq!(ask(&site, "127.0.0.1", path, "localhost").await, 404, "{path}");
        }
    }

    #[test]
    fn what_is_large_is_rendered_beside_the_nodes_thread() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (_sink, site, _listener) = site(3).await;
            let peer = IpAddr::from([127, 0, 0, 1]);
            // The only other thread is busy, so that nobody but the node's could render.
            let (release, held) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || held.recv());
            let requests = ["/healthz", "/metrics", "/status.json"].map(|path| request(path, "localhost"));
            assert_ne!(site.answer(peer, &requests[0]).response().await.status(), 404);
            let mut answers =
                [&requests[1], &requests[2]].map(|request| Box::pin(site.answer(peer, request).response()));
            for answer in &mut answers {
                let waits =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(answer.as_mut().poll(cx).is_pending()));
                assert!(waits.await);
            }
            drop(release);
            assert!(busy.await.unwrap().is_err());
            for answer in answers {
                assert_eq!(answer.await.status(), 200);
            }
        });
    }

    const SHORT: Duration = Duration::from_millis(20);
    const FOREVER: Duration = Duration::from_secs(1 << 20);

    /// A site whose status has so many rows, and a socket for it.
    async fn site(rows: usize) -> (StatusSink, Arc<Site>, TcpListener) {
        let (mut sink, source) = StatusSink::new(Guard::new(None, 1_024), None);
        let links = vec![LinkStatus::default(); rows];
        sink.publish(core_types::MonoTime::default(), Snapshot { links, ..Snapshot::default() });
        let site = Arc::new(Site { http: Http::default(), source });
        (sink, site, TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// A client that sends `request` and then does nothing loses the connection when its time is up.
    async fn outwait(request: &[u8], rows: usize, patience: Patience) {
        let (_sink, site, listener) = site(rows).await;
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(request).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        serve(stream, peer.ip(), site, patience).await;
    }

    #[tokio::test]
    async fn slow_writers_and_slow_readers_run_out_of_time() {
        outwait(b"GET / HTTP/1.1\r\nHo", 0, Patience { head: SHORT, whole: FOREVER }).await;
        outwait(b"", 0, Patience { head: SHORT, whole: FOREVER }).await;
        // More than the sockets' buffers hold.
        let request = b"GET /status.json HTTP/1.1\r\n\r\n";
        outwait(request, 4_096, Patience { head: FOREVER, whole: SHORT }).await;
    }

    /// Nobody runs out of time here, so it is by their number that the first ones go.
    #[tokio::test]
    async fn those_who_never_finish_keep_nobody_out_and_the_oldest_of_them_go() {
        let (_sink, site, listener) = site(0).await;
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(accept(listener, site, Patience { head: FOREVER, whole: FOREVER }));
        let finish = async |stream: &mut TcpStream| {
            let _ = stream.write_all(b"x\r\n\r\n").await;
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            answer
        };
        let mut slow = Vec::new();
        for _ in 0..CONNECTIONS + 8 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").await.unwrap();
            slow.push(stream);
        }
        let (gone, there) = slow.split_at_mut(8);
        for stream in gone {
            assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        }
        for stream in there {
            assert!(finish(stream).await.starts_with("HTTP/1.1 200 "));
        }
        server.abort();
    }
}
