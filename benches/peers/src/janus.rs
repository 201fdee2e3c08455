//! Janus as packaged by Debian, its streaming plugin fed with RTP; its watchers are our WebRTC peers.

use crate::control::{Control, NO_WAY_PAST};
use crate::process::Process;
use crate::tasks::PATIENCE;
use crate::traffic::{Bursts, Moment, PAYLOAD};
use crate::webrtc::{Client, watch_all};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MOUNTPOINT: u32 = 1;
const PAYLOAD_TYPE: u8 = 96;
/// Answers of Janus are read up to here.
const ANSWER: u64 = 1 << 20;
/// Events without anything in them, between those that we wait for.
const EVENTS: usize = 64;

/// Where Janus listens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Relay {
    api: SocketAddr,
    rtp: SocketAddr,
}

/// The program, if it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    let search = std::env::var_os("PATH")?;
    std::env::split_paths(&search).map(|folder| folder.join("janus")).find(|path| path.is_file())
}

/// Starts Janus with settings of its own, all of them in `folder`.
pub(crate) fn start(folder: &Path) -> Result<(Process, Relay)> {
    let program = program().context("Janus is not installed")?;
    let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let api = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let write = |name: &str, text: String| fs::write(folder.join(name), text);
    write(
        "janus.jcfg",
        "general: { debug_level = 3\n session_timeout = 0 }\n\
         nat: { ice_lite = true }\n\
         plugins: { disable = \"libjanus_audiobridge.so,libjanus_echotest.so,libjanus_nosip.so,\
         libjanus_recordplay.so,libjanus_sip.so,libjanus_textroom.so,libjanus_videocall.so,\
         libjanus_videoroom.so,libjanus_voicemail.so,libjanus_lua.so,libjanus_duktape.so\" }\n\
         transports: { disable = \"libjanus_rabbitmq.so,libjanus_mqtt.so,libjanus_nanomsg.so,\
         libjanus_websockets.so,libjanus_pfunix.so\" }\n"
            .to_owned(),
    )?;
    write(
        "janus.plugin.streaming.jcfg",
        format!(
            "peers: {{ type = \"rtp\"\n id = {MOUNTPOINT}\n\
             media = ( {{ type = \"video\"\n mid = \"v\"\n port = {}\n host = \"127.0.0.1\"\n iface = \"lo\"\n\
             pt = {PAYLOAD_TYPE}\n codec = \"vp8\" }} ) }}\n",
            rtp.port()
        ),
    )?;
    write(
        "janus.transport.http.jcfg",
        format!(
            "general: {{ json = \"compact\"\n http = true\n port = {}\n ip = \"127.0.0.1\" }}\n",
            api.port()
        ),
    )?;
    let settings = folder.to_str().context("the folder's name is not UTF-8")?;
    let log = folder.join("janus.log");
    let mut process = Process::foreign(&program, &["--disable-colors", "-F", settings], &log)?;
    let give_up = Instant::now() + PATIENCE;
    while TcpStream::connect(api).is_err() {
        process.still_runs().with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        ensure!(Instant::now() < give_up, "Janus does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok((process, Relay { api, rtp }))
}

/// Plain RTP: sequence number and time in front of each packet.
pub(crate) fn publish(relay: Relay, rate: u64) -> Result<()> {
    let control = Control::listen()?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(relay.rtp)?;
    control.ready(&NO_WAY_PAST);
    let mut number = 0u16;
    let bursts = Bursts::new(control.wait_for_window(), rate)?;
    control.done(&bursts.publish(|burst| {
        let time = (Moment::now().0 / 1_000 * 90 / 1_000) as u32;
        for packet in burst.chunks_exact(PAYLOAD) {
            let mut rtp = vec![0x80, PAYLOAD_TYPE];
            rtp.extend_from_slice(&number.to_be_bytes());
            rtp.extend_from_slice(&time.to_be_bytes());
            rtp.extend_from_slice(&7u32.to_be_bytes());
            rtp.extend_from_slice(packet);
            number = number.wrapping_add(1);
            socket.send(&rtp)?;
        }
        Ok(())
    })?);
    loop {
        std::thread::park();
    }
}

pub(crate) fn subscribe_all(relay: Relay, count: usize) -> Result<()> {
    let control = Control::listen()?;
    let api = Api(relay.api);
    let session = format!("/janus/{}", api.created("/janus", json!({"janus": "create"}))?);
    let clients = (0..count).map(|_| api.watch(&session));
    watch_all(&control, clients.collect::<Result<_>>()?)
}

/// The first IPv4 address that the offer names.
fn candidate(offer: &str) -> Option<IpAddr> {
    let lines = offer.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
    let addresses = lines.filter_map(|line| line.split(' ').nth(4)?.parse().ok());
    addresses.into_iter().find(IpAddr::is_ipv4)
}

/// Janus over HTTP.
struct Api(SocketAddr);

impl Api {
    /// One more watcher of the stream: Janus offers, the peer answers.
    fn watch(&self, session: &str) -> Result<Client> {
        let plugin = json!({"janus": "attach", "plugin": "janus.plugin.streaming"});
        let handle = format!("{session}/{}", self.created(session, plugin)?);
        let body = json!({"request": "watch", "id": MOUNTPOINT});
        self.post(&handle, json!({"janus": "message", "body": body}))?;
        let offer = self.offer(session)?;
        // libnice has no candidate on loopback. What one sends to an address of one's own machine stays in it.
        let mut client = Client::new(candidate(&offer).context("Janus offers no IPv4 address")?)?;
        let jsep = json!({"type": "answer", "sdp": client.answer(&offer)?, "trickle": false});
        self.post(&handle, json!({"janus": "message", "body": {"request": "start"}, "jsep": jsep}))?;
        Ok(client)
    }

    fn created(&self, path: &str, request: Value) -> Result<u64> {
        let answer = self.post(path, request)?;
        answer["data"]["id"].as_u64().with_context(|| format!("Janus made nothing: {answer}"))
    }

    /// The next offer among the session's events.
    fn offer(&self, session: &str) -> Result<String> {
        for _ in 0..EVENTS {
            let event = self.call("GET", &format!("{session}?maxev=1"), "")?;
            let found = event.pointer("/jsep/sdp").or_else(|| event.pointer("/0/jsep/sdp"));
            if let Some(offer) = found.and_then(Value::as_str) {
                return Ok(offer.to_owned());
            }
            if let Some(error) = event.pointer("/plugindata/data/error") {
                bail!("Janus refused a watcher: {error}");
            }
        }
        bail!("Janus offered nothing")
    }

    fn post(&self, path: &str, mut request: Value) -> Result<Value> {
        request["transaction"] = "peers".into();
        let answer = self.call("POST", path, &request.to_string())?;
        ensure!(answer["janus"] != "error", "Janus refused {request}: {answer}");
        Ok(answer)
    }

    fn call(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(self.0)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        let mut answer = String::new();
        stream.take(ANSWER).read_to_string(&mut answer)?;
        let (_, json) = answer.split_once("\r\n\r\n").context("not an answer")?;
        serde_json::from_str(json).with_context(|| format!("Janus said {json}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ipv4_candidate_is_taken() {
        let offer = "v=0\r\na=candidate:1 1 udp 5 fd00::2 9 typ host\r\na=candidate:2 1 udp 4 192.0.2.2 9 typ host\r\n";
        assert_eq!(candidate(offer), Some(IpAddr::from([192, 0, 2, 2])));
        assert_eq!(candidate("v=0\r\n"), None);
    }
}
