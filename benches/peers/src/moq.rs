//! Publisher and subscribers of moq-relay, on its own client library. The relay is the released program.
//!
//! By streams a burst is a group, its packets the group's frames. By datagrams each packet is a datagram of the track.

use crate::control::Control;
use crate::tasks::{self, PATIENCE};
use crate::traffic::{BURST, Moment, Tally};
use anyhow::{Context, Result, ensure};
use moq_net::{Pattern, Patterns, Timestamp, track};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

const BROADCAST: &str = "peers";
const TRACK: &str = "video";

pub(crate) async fn publish(relay: SocketAddr, rate: u64, datagrams: bool) -> Result<()> {
    let control = Control::listen()?;
    let origin = moq_tokio::origin::spawn();
    let broadcast = origin.create_broadcast(BROADCAST)?;
    let mut track = broadcast.create_track(TRACK, None)?;
    broadcast.announce(Default::default())?;
    let dialled = client()?.with_publisher(&origin).connect(url(relay)?).established();
    let _connection = timeout(PATIENCE, dialled).await.context("the relay does not answer")??;
    tasks::publish(control, rate, async |packets| {
        let now = Timestamp::now();
        if datagrams {
            for packet in packets {
                track.append_datagram(now, packet)?;
            }
            return Ok(());
        }
        let mut group = track.append_group()?;
        for packet in packets {
            group.write_frame(now, packet)?;
        }
        Ok(group.finish()?)
    })
    .await
}

pub(crate) async fn subscribe_all(relay: SocketAddr, count: usize, datagrams: bool) -> Result<()> {
    let subscribe = async || timeout(PATIENCE, subscribe(relay)).await.context("nothing to subscribe to")?;
    tasks::subscribe_all(count, subscribe, |(track, connection), tally| async move {
        let read =
            if datagrams { read_datagrams(track, &tally).await } else { read_groups(track, &tally).await };
        if let Err(error) = read {
            eprintln!("peers: a subscriber of moq-relay ended: {error:#}");
        }
        drop(connection);
    })
    .await
}

async fn read_datagrams(mut track: track::Subscriber, tally: &RefCell<Tally>) -> Result<()> {
    while let Some(packet) = track.recv_datagram().await? {
        tally.borrow_mut().record(&packet.payload, Moment::now());
    }
    Ok(())
}

async fn read_groups(mut track: track::Subscriber, tally: &RefCell<Tally>) -> Result<()> {
    while let Some(mut group) = track.recv_group().await? {
        let mut frames = 0;
        // A group that is given up on in the middle is lost to this subscriber; the next ones are not.
        while let Ok(Some(frame)) = group.read_frame().await {
            tally.borrow_mut().record(&frame.payload, Moment::now());
            frames += 1;
        }
        ensure!(frames <= BURST, "{frames} frames in a group");
    }
    Ok(())
}

/// A subscriber with a socket of its own.
async fn subscribe(relay: SocketAddr) -> Result<(track::Subscriber, moq_tokio::Connection)> {
    let origin = moq_tokio::origin::spawn();
    let connection = client()?.with_subscriber(origin.clone()).connect(url(relay)?);
    let scope = Patterns::from(Pattern::subtree(BROADCAST)?);
    let consumer = origin.scope("", &scope)?.consume();
    let mut announced = consumer.announced();
    while let Some(update) = announced.next().await {
        if update.kind.is_active() {
            let broadcast = consumer.request_broadcast(&update.prefix).await?;
            // What comes late comes: the loss is to be the relay's, not the subscriber's choice.
            let preferences = track::Subscription::default().with_max_age(Duration::from_secs(2));
            return Ok((broadcast.track(TRACK)?.subscribe(preferences).await?, connection));
        }
    }
    anyhow::bail!("the relay announced nothing")
}

fn client() -> Result<moq_tokio::Client> {
    let mut config = moq_tokio::connect::Config::default();
    config.bind = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    // The relay makes its certificate when it starts; this is loopback.
    config.tls.insecure = Some(true);
    Ok(config.init(Default::default())?)
}

fn url(relay: SocketAddr) -> Result<Url> {
    Ok(format!("moqt://{relay}/").parse()?)
}
