//! Who is there to feed others, and what each claims that it can carry, told from link to link (spec 53).
//!
//! The peers of a session have links to one another anyway. Over these they tell one another of *cards*, who somebody is, where it
//! can be dialled, and the host's permit by which it belongs to the session; and of *claims*, what it can carry (spec 55). What is
//! new goes to every link but the one that it came from. So everybody knows everybody without asking the host, over whatever
//! transport, and without a connection of its own.
//!
//! What is here: [`Card`], which [`Card::sign`] makes and [`Card::verify`] reads; [`Gossip`], the state machine of a node. It gives
//! and takes the entries of `control_wire::Control::Gossip`, as bytes. What is not here: choosing parents among [`Known`] peers
//! (`alm::planner`), links, and what a claim says.
//!
//! - All that comes is checked before it is passed on. So who passes on what does not verify is to blame itself
//!   ([`Error::is_peer_fault`]); what is late, old, doubled or too much is nobody's fault, and counted ([`Stats`]).
//! - All that peers can make grow is bounded ([`Limits`]). Of each link so many entries a second are looked at, before a signature is.
//! - With the same calls and the same seed it does the same: nothing here draws randomness or reads a clock.
//!
//! **Drain rule**: after every call that changes it, take [`Gossip::poll_message`] until it gives `None`, and call
//! [`Gossip::handle_timeout`] when [`Gossip::poll_timeout`] is due.
//!
//! ```
//! use alm::{CapacityClaim, Load};
//! use av_wire::permit::{Permit, PermitRole, PermitStreams};
//! use control_wire::{Control, PeerAddress};
//! use core_types::{BitRate, Epoch, Layer, LinkId, MonoTime, SessionId, WallTime};
//! use identity::{Identity, Seed};
//! use peer_gossip::{Card, Config, Gossip, Kind};
//!
//! let (host, relay) = (Identity::from_seed(&Seed([1; 64]))?, Identity::from_seed(&Seed([2; 64]))?);
//! let (session, now, wall) = (SessionId([3; 32]), MonoTime(0), WallTime(1_000_000));
//! let permit = Permit {
//!     session,
//!     issuer: host.key_id(),
//!     holder: relay.key_id(),
//!     role: PermitRole::Relay,
//!     serial: 1,
//!     not_before: wall,
//!     not_after: WallTime(wall.0 + 600_000),
//!     streams: PermitStreams::All,
//!     max_bytes_per_second: 0,
//!     max_subscribers: 0,
//! };
//! let card = Card {
//!     session,
//!     identity: relay.public().clone(),
//!     address: PeerAddress { endpoint: [4; 32], addresses: vec!["192.0.2.7:4433".parse()?], direct: None },
//!     kind: Kind::Relay,
//!     issued_at: wall,
//!     permit: permit.sign(&host)?,
//! };
//! let claim = CapacityClaim {
//!     advertiser: relay.key_id(),
//!     stream: None,
//!     epoch: Epoch(1),
//!     counter: wall.0,
//!     uplink: BitRate::from_kbit(10_000),
//!     max_streams: 2,
//!     max_subscribers: 8,
//!     layers: Layer::BASE,
//!     commitments: Vec::new(),
//!     load: Load::default(),
//!     way: Vec::new(),
//!     issued_at: wall,
//!     valid_until: WallTime(wall.0 + 60_000),
//! };
//!
//! // At the relay: what it says of itself goes to every link.
//! let mut at_relay = Gossip::new(Config::new(session, relay.key_id(), host.public().clone(), 1));
//! at_relay.add_link(now, LinkId(7));
//! at_relay.set_own(now, wall, card.sign(&relay)?, claim.sign(&relay)?)?;
//! let (link, entries) = at_relay.poll_message().expect("there is something to tell");
//! assert_eq!((link, at_relay.poll_message()), (LinkId(7), None));
//! let message = Control::Gossip { entries };
//!
//! // At the other end of that link.
//! let Control::Gossip { entries } = message else { unreachable!() };
//! let watcher = Identity::from_seed(&Seed([5; 64]))?;
//! let mut at_watcher = Gossip::new(Config::new(session, watcher.key_id(), host.public().clone(), 2));
//! at_watcher.add_link(now, LinkId(1));
//! at_watcher.handle(now, wall, LinkId(1), &entries)?;
//! let known = at_watcher.peers(wall).next().expect("the relay is known");
//! assert_eq!((known.key, known.card.kind, known.heard_from), (relay.key_id(), Kind::Relay, Some(LinkId(1))));
//! assert_eq!(known.claim.uplink, BitRate::from_kbit(10_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bucket;
pub mod card;
mod config;
mod draw;
mod entry;
mod error;
mod gossip;
mod link;
mod memory;
mod peer;
mod stats;
#[cfg(test)]
mod testing;

pub use card::{Card, Kind, MAX_ADDRESSES, MAX_CARD_LEN, VerifiedCard};
pub use config::{Config, Limits};
pub use entry::{MAX_ENTRIES, MAX_ENTRY_LEN};
pub use error::{Error, Fault};
pub use gossip::Gossip;
pub use peer::Known;
pub use stats::Stats;
