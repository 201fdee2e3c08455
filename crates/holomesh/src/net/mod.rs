//! Links between nodes, bound to hybrid identities: control messages on one reliable stream, media on datagrams. A link can be
//! made of any connection that proves a transport key; QUIC with a post-quantum key exchange is what nodes use.

mod carrier;
mod connection;
mod control;
mod direct;
mod endpoint;
mod hello;
mod inbox;
mod link;
mod liveness;
mod loss;
pub mod memory;
mod outbox;
mod pulse;
mod quic;
mod reader;
mod udp;

pub use carrier::{Carrier, Sent, Transport, TransportChoice};
pub use control::{Control, DirectPort, FRAME_LIMIT, PROTOCOL_VERSION, PeerAddress};
pub use endpoint::{Net, NetConfig, Underlay};
pub use hello::{Peer, Role};
pub use inbox::Inbox;
pub(crate) use link::Speaker;
pub use link::{LaneChange, Link, LinkEvent};
pub use loss::{Loss, LossConfig};
pub use quic::ALPN;
pub(crate) use quic::drive_connections_on;
pub use udp::{Impairment, Lanes};
