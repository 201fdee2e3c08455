//! Asks a node how it is doing.

use crate::Error;
use crate::service::status::Snapshot;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// The largest answer that is read, in bytes. A snapshot with all its rows has about a third of that.
const MOST: usize = 16 << 20;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Fetches the snapshot of the node whose HTTP port this is.
///
/// # Errors
/// [`Error::Connect`] if nobody answers there, or not with a snapshot.
pub async fn fetch(address: SocketAddr) -> Result<Snapshot, Error> {
    let failed = |why: String| Error::Connect { peer: format!("http://{address}/status.json"), why };
    match tokio::time::timeout(PATIENCE, ask(address)).await {
        Ok(outcome) => outcome.map_err(failed),
        Err(_) => Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

async fn ask(address: SocketAddr) -> Result<Snapshot, String> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|e| format!("{e}; is the relay running, with http.listen in its configuration?"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let request = Request::get("/status.json")
        .header(HOST, address.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST).collect().await.map_err(|e| e.to_string())?;
        Ok::<_, String>((status, body.to_bytes()))
    };
    tokio::pin!(connection, exchange);
    // The connection may be over while its last bytes still wait to be taken.
    let mut over = false;
    let outcome = loop {
        tokio::select! {
            outcome = &mut exchange => break outcome,
            _ = &mut connection, if !over => over = true,
        }
    };
    let (status, body) = outcome?;
    if !status.is_success() {
        let said: String =
            String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(format!("it says {}: {said}", status.as_u16()));
    }
    match serde_json::from_slice::<Snapshot>(&body) {
        // Every field may be missing, but no node leaves out its version.
        Ok(snapshot) if !snapshot.node.version.is_empty() => Ok(snapshot),
        Ok(_) => Err("this is no status of a holomesh node".into()),
        Err(error) => Err(format!("this is no status of a holomesh node: {error}")),
    }
}
