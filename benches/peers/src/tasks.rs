//! Roles that are tasks of one thread, whatever carries the packets: what drivers of quinn, iroh and moq-relay have in common.

use crate::control::{Control, NO_WAY_PAST};
use crate::traffic::{Bursts, Stamped, Tally};
use anyhow::Result;
use bytes::Bytes;
use std::cell::RefCell;
use std::future::{Future, pending};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet, spawn_local};

/// What one step of connecting may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// One thread: datagrams of a burst are then all queued before the connection's own task sends them, together.
pub(crate) fn on_one_thread<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work)
}

/// Serves one connection of the `relay` beside the others; that it ends is not theirs to suffer from.
pub(crate) fn serve_beside(relay: &'static str, connection: impl Future<Output = Result<()>> + 'static) {
    spawn_local(async move {
        if let Err(error) = connection.await {
            eprintln!("peers: a connection to the {relay} relay ended: {error:#}");
        }
    });
}

/// The publisher, once it is connected: hands bursts to `send` until the window is over, tells what it sent, and stays.
pub(crate) async fn publish(
    control: Control,
    rate: u64,
    send: impl AsyncFnMut(Vec<Bytes>) -> Result<()>,
) -> Result<()> {
    control.ready(&NO_WAY_PAST);
    let bursts = Bursts::new(control.window_told().await, rate)?;
    control.done(&bursts.publish_async(send).await?);
    pending().await
}

/// All subscribers: they `subscribe` one after the other, each is read by a task, what they got is told after the window, and
/// they stay.
pub(crate) async fn subscribe_all<S, R: Future<Output = ()> + 'static>(
    count: usize,
    subscribe: impl AsyncFn() -> Result<S>,
    read: impl Fn(S, Rc<RefCell<Tally>>) -> R,
) -> Result<()> {
    let control = Control::listen()?;
    let mut subscribers = Vec::new();
    for _ in 0..count {
        subscribers.push(subscribe().await?);
    }
    control.ready(&"subscribers");
    let tally = Rc::new(RefCell::new(Tally::new(control.window_told().await, Stamped::Program)));
    let mut readers = JoinSet::new();
    for subscriber in subscribers {
        readers.spawn_local(read(subscriber, tally.clone()));
    }
    let ends = tally.borrow().window().subscriber_ends();
    tokio::time::sleep(ends.left()).await;
    control.done(&tally.borrow().received());
    pending().await
}
