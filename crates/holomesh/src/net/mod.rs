//! Links between nodes: QUIC with a post-quantum key exchange, bound to hybrid identities; control messages on one
//! reliable stream, media on datagrams.

mod control;
mod endpoint;
mod hello;
mod link;
mod loss;

pub use control::{Control, FRAME_LIMIT, PROTOCOL_VERSION, PeerAddress};
pub use endpoint::{ALPN, Net, NetConfig};
pub use hello::{Peer, Role};
pub use link::{Link, LinkEvent};
pub use loss::{Loss, LossConfig};
