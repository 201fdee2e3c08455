//! A network in this process, for tests: the whole node runs over it, and what happens on the way follows from a seed.
//!
//! Nodes open at addresses of the network's own, which mean nothing outside of it, and dial each other there as on the
//! real one: by address and transport key. Media datagrams go through the paths of crate [`netsim`], one for each direction
//! between two nodes: loss in bursts, reordering, copies, damage, bandwidth steps, an MTU. Control messages, and chunks that
//! no datagram holds, come in order and without loss, as late as the path's delay and queue have it. Between them the two
//! ends of a link have a secret that nobody else has, so identities are proven as over QUIC.
//!
//! A path can be cut and healed; a node can vanish without a word. While the way to a node is closed, control messages wait; a
//! link that hears nothing for 2.5 s is down, as with QUIC.
//!
//! One task delivers everything, on tokio's clock: with that paused, a test without threads of its own waits for nothing. What
//! becomes of the n-th datagram of a path depends on the seed, the two addresses, the model and the time alone; control
//! messages draw no lots. Real nodes send when their threads get to it, so with them the lots are the same each time, and the
//! datagrams that draw them nearly so.
//!
//! ```
//! use holomesh::net::memory::{GilbertElliott, MemoryNet, PathModel};
//! use holomesh::net::{LinkEvent, Net, NetConfig, Role, Underlay};
//! use identity::Seed;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?.block_on(async {
//! let network = MemoryNet::start(7, &tokio::runtime::Handle::current());
//! network.set_default(PathModel {
//!     delay: Duration::from_millis(20),
//!     bursts: Some(GilbertElliott::bursts(0.02, 4.0)),
//!     ..PathModel::default()
//! })?;
//! let config = |seed, role, at: &str| -> Result<NetConfig, std::net::AddrParseError> {
//!     let underlay = Underlay::Memory(network.clone());
//!     Ok(NetConfig { underlay, ..NetConfig::new(Seed([seed; 64]), role, at.parse()?) })
//! };
//! let (host, mut inbox) = Net::open(config(1, Role::Host, "10.0.0.1:1")?).await?;
//! let (watcher, _) = Net::open(config(2, Role::Watcher, "10.0.0.2:1")?).await?;
//!
//! let link = watcher.connect(&host.address()).await?;
//! assert_eq!(link.peer.role, Role::Host);
//! let Some(LinkEvent::Up(mut up)) = inbox.next().await else { panic!("nobody called") };
//! up.begin();
//! network.vanish("10.0.0.2:1".parse()?);
//! // Nobody says goodbye, and the host finds out by itself.
//! assert!(matches!(inbox.next().await, Some(LinkEvent::Down(..))));
//! # Ok::<(), Box<dyn std::error::Error>>(()) }) }
//! ```

mod carrier;
mod connection;
mod end;
mod endpoint;
mod envelope;
mod paths;
mod state;
#[cfg(test)]
mod tests;

pub(super) use endpoint::Endpoint;
pub use netsim::{Counters, Error as ModelError, GilbertElliott, PathModel, Reorder, Steps, UNLIMITED};

use connection::MemoryConnection;
use core_types::MonoTime;
use state::State;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// A network in this process. Clones are handles on the same; its task ends with the last of them and of its nodes.
#[derive(Debug, Clone)]
pub struct MemoryNet(Arc<Shared>);

/// Datagrams that were lost without the fault of any path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Strays {
    /// Sent to an address that its node no longer has.
    pub unroutable: u64,
    /// Damaged on their way, and dropped on arrival.
    pub damaged: u64,
    /// Dropped because their node does not keep up with what comes.
    pub unread: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// When the network's time began.
    origin: Instant,
    wake: Arc<Notify>,
}

impl MemoryNet {
    /// A network without nodes, whose paths carry everything at once. `runtime` is the one that delivers: it has to be driven
    /// for as long as something is to arrive, and to have its timers enabled.
    pub fn start(seed: u64, runtime: &Handle) -> Self {
        let _entered = runtime.enter();
        let wake = Arc::<Notify>::default();
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(seed)),
            origin: Instant::now(),
            wake: wake.clone(),
        });
        runtime.spawn(deliver(Arc::downgrade(&shared), wake));
        Self(shared)
    }

    /// The network's time, which the steps and blackouts of its models go by. It began with the network.
    pub fn now(&self) -> MonoTime {
        self.0.now()
    }

    /// The model of all paths that have none of their own.
    ///
    /// # Errors
    /// A model that no path can have.
    pub fn set_default(&self, model: PathModel) -> Result<(), ModelError> {
        self.0.change(|state, _| state.paths.set_default(model))
    }

    /// The model of the path from one node to another; what is on its way is not touched.
    ///
    /// # Errors
    /// A model that no path can have.
    pub fn set_path(&self, from: SocketAddr, to: SocketAddr, model: PathModel) -> Result<(), ModelError> {
        self.0.change(|state, _| state.paths.set(from, to, model))
    }

    /// The same model in both directions, each with faults of its own.
    ///
    /// # Errors
    /// A model that no path can have.
    pub fn set_both(&self, a: SocketAddr, b: SocketAddr, model: PathModel) -> Result<(), ModelError> {
        self.set_path(a, b, model.clone())?;
        self.set_path(b, a, model)
    }

    /// Nothing comes through between two nodes from now on.
    pub fn cut(&self, a: SocketAddr, b: SocketAddr) {
        self.partition(&[a], &[b]);
    }

    /// Undoes a [`cut`](Self::cut): control messages that waited arrive, links that went down stay down.
    pub fn heal(&self, a: SocketAddr, b: SocketAddr) {
        self.0.change(|state, _| {
            state.paths.heal(a, b);
            state.beat_soon();
        });
    }

    /// Nothing comes through between any of some nodes and any of the others.
    pub fn partition(&self, some: &[SocketAddr], others: &[SocketAddr]) {
        self.0.change(|state, _| {
            for a in some {
                others.iter().for_each(|b| state.paths.cut(*a, *b));
            }
        });
    }

    /// Undoes all cuts and partitions.
    pub fn heal_all(&self) {
        self.0.change(|state, _| {
            state.paths.heal_all();
            state.beat_soon();
        });
    }

    /// Takes the node at an address off the network, as when its plug is pulled: nobody is told, it hears nobody, and its
    /// address is free for another.
    pub fn vanish(&self, node: SocketAddr) {
        self.0.change(|state, _| state.vanish(node));
    }

    /// What `node` sends seems to come from `outside` from now on, as after the rebinding of a NAT, and its former addresses
    /// lead nowhere. Peers learn of it from what it sends next, within 250 ms.
    pub fn rebind(&self, node: SocketAddr, outside: SocketAddr) {
        self.0.change(|state, now| state.paths.rebind(now, node, outside));
    }

    /// What the path from one node to another did with media datagrams; `None` before there was a link between them. What a
    /// cut took counts as lost in a blackout.
    pub fn counters(&self, from: SocketAddr, to: SocketAddr) -> Option<Counters> {
        self.0.lock().paths.counters(from, to)
    }

    /// Datagrams that were lost without the fault of any path.
    pub fn strays(&self) -> Strays {
        self.0.lock().strays()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> MonoTime {
        MonoTime::default().plus(self.origin.elapsed())
    }

    /// Changes the state, and has the task look what follows from it.
    fn change<T>(&self, change: impl FnOnce(&mut State, MonoTime) -> T) -> T {
        let changed = change(&mut self.lock(), self.now());
        self.wake.notify_one();
        changed
    }

    /// Delivers what is due, and says when something is again.
    fn turn(self: &Arc<Self>) -> Option<Instant> {
        let turn = self.lock().turn(self.now());
        for call in turn.calls {
            // Where too many wait already, whoever calls is turned away.
            let connection = MemoryConnection::new(self.clone(), call.line);
            let _ = call.node.try_send(connection);
        }
        turn.next.map(|at| self.origin + at.since(MonoTime::default()))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

async fn deliver(network: Weak<Shared>, wake: Arc<Notify>) {
    loop {
        let Some(next) = network.upgrade().map(|shared| shared.turn()) else { return };
        match next {
            Some(at) => tokio::select! {
                () = sleep_until(at) => {}
                () = wake.notified() => {}
            },
            None => wake.notified().await,
        }
    }
}
