//! A simulator of many watchers of one stream, for figures that no test bench is large enough for.
//!
//! [`run`] plays a [`Scenario`] and gives a [`Report`]. The clock is virtual and all randomness comes from the scenario's
//! seed, so the same scenario gives the same report. Only the network and the nodes' machines are made up. What decides is
//! the code that nodes run: a [`Subscription`](crate::Subscription) for each watcher, [`plan`](crate::planner::plan) to find
//! parents, [`CapacityClaim::room`](crate::CapacityClaim::room) to take children, a
//! [`DeliveryMeter`](crate::delivery::DeliveryMeter) and a [`Court`](crate::delivery::Court) for each, and
//! [`Damping`](crate::planner::Damping) before a parent that works is changed.
//!
//! The model:
//! - One publisher, one stream. A frame is K source and R repair chunks of one size; any K of them show it. Frames do not
//!   build on one another. Chunk n is in stripe n mod P.
//! - A node's uplink sends one chunk after the other; what would wait for more than 200 ms is dropped. Downlinks have no
//!   bound. Between two nodes it takes the sum of their latencies. Chunks may be lost, each by itself or in bursts.
//! - A relay passes a chunk on as soon as it comes, and keeps it for 2 s for who asks for it. Messages other than chunks
//!   are not lost and take no room.
//! - A node feeds others in one stripe, which its key says, and is a leaf in the other trees (as in SplitStream, Castro et al.,
//!   SOSP 2003): so its death costs each of those below it one stripe. In others it steps in while nobody else is there.
//! - Joiners hear of some peers that get the stream and of the publisher, with loads that may be a second old. A parent
//!   takes a child if it has room and the child does not feed it in that stripe. Who is full names one of its children that
//!   feeds others; who feeds more than one of the children takes that one's place, and it moves down without a gap.
//!   What a parent can't give, the child is told.
//! - A watcher that finds a parent silent looks for another, and leaves the silent one when it has it. Links to who is gone
//!   count as dead after [`Scenario::link_timeout`]. Relays look for a place nearer to the publisher.
//! - Every half second a watcher asks its parents whether they are there, and looks at what they deliver. Who is not there, is
//!   congested or delivers too little is left; of the last the publisher is told, and passes that on with the names of peers.
//!
//! A node takes about 30 kB once the stream has run for a while; a chunk on its way 40 bytes. 100,000 nodes that join and get one
//! second of the stream are 62 million events and take 2 GB.
//!
//! ```
//! use alm::sim::{Happening, Scenario, run};
//! use core::time::Duration;
//!
//! // One of a watcher's four parents dies.
//! let kill = Happening::Kill { at: Duration::from_secs(3), parents: 1, within: Duration::ZERO };
//! let length = Duration::from_secs(5);
//! let report = run(&Scenario { nodes: 30, length, events: vec![kill], ..Scenario::default() })?;
//! assert_eq!(report.missed(), 0);
//! println!("{report}");
//! # Ok::<(), alm::Error>(())
//! ```

mod account;
mod grant;
mod happen;
mod join;
mod node;
mod offers;
mod queue;
mod report;
mod rng;
mod scenario;
mod switch;
mod watch;
mod world;

use crate::Error;
pub use report::{NodeReport, Report, Row};
pub use scenario::{Bursts, Class, Happening, Roles, Scenario};

/// Plays a scenario.
///
/// # Errors
/// As [`Scenario::validate`].
pub fn run(scenario: &Scenario) -> Result<Report, Error> {
    Ok(world::World::new(scenario)?.run())
}
