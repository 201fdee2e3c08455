//! Who feeds whom, as every peer computes it alike.
//!
//! A stream with P parents is cut into P stripes of equal rate (spec 50 section 1). [`build`] makes one tree for each
//! stripe, rooted at the publisher, from verified capacity claims. It is a pure function of its input: no clock, no
//! randomness, and the order of the claims does not matter. So peers that know the same claims get the same trees and
//! need not talk about them. The rules are in spec 58.
//!
//! - **One death costs most peers one stripe.** A peer feeds others in one stripe alone and is a leaf in the other trees
//!   (as in SplitStream, Castro et al., SOSP 2003). Only where room is short does a peer feed in several.
//! - **Room before all else.** The peers with most room are served first and sit at the top. So who has no room cuts
//!   nobody off, and as many are served as can be.
//! - **Low trees.** Each tree is filled from the top. With room for k full streams everywhere the depth is at most
//!   ⌈log_k N⌉ + 1.
//! - **Ties** are broken by a mix of stream, epoch and [`KeyId`]. A key id is a SHA-256 over public keys, so each try at
//!   a better place costs a new ML-DSA key pair, and its gain ends with the epoch. Room is compared before it.
//!
//! ```
//! use alm::topology::{Offer, Shape, arrange};
//! use core_types::{BitRate, Epoch, KeyId, StreamId};
//!
//! let rate = BitRate::from_kbit(1_000);
//! let shape = Shape { publisher: KeyId([0; 32]), stream: StreamId([9; 32]), epoch: Epoch(1), rate, parents: 4 };
//! // The publisher and 100 peers, each with uplink for four full streams.
//! let offers: Vec<Offer> = (0..=100)
//!     .map(|n| Offer::new(KeyId([n; 32]), BitRate(4 * rate.0), 16))
//!     .collect();
//! let topology = arrange(&shape, &offers)?;
//! assert_eq!(topology.unserved().count(), 0);
//! assert!(topology.max_depth() <= 5);
//! assert_eq!(topology.parents(KeyId([7; 32])).len(), 4);
//! # Ok::<(), alm::Error>(())
//! ```

use crate::{Error, VerifiedClaim};
use core_types::{BitRate, Epoch, KeyId, Layer, StreamId};
use std::collections::BTreeMap;

mod buckets;
mod order;
mod parents;
pub(crate) mod room;
mod sift;
#[cfg(test)]
mod tests;
pub(crate) mod tie;
mod trees;

pub use parents::Parents;

/// Peers in a topology at most. Bounds memory and time.
pub const MAX_PEERS: usize = 1 << 18;
/// Claims that [`build`] takes at most: each peer's, and as many that are older or there twice.
pub const MAX_CLAIMS: usize = 2 * MAX_PEERS;
/// Stripes, and so parents of a peer, at most (spec 50 section 1).
pub const MAX_PARENTS: u8 = 16;
/// A peer below this reachability feeds nobody, in permille.
pub const MIN_REACH: u16 = 500;

/// What the trees are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Whose stream it is: the root of every tree.
    pub publisher: KeyId,
    /// The stream. Goes into the order of ties, and claims for another stream do not count.
    pub stream: StreamId,
    /// The epoch. Likewise.
    pub epoch: Epoch,
    /// Rate of the whole stream, above 0.
    pub rate: BitRate,
    /// Stripes, and parents of each peer: 1 to [`MAX_PARENTS`]. 4 unless there is a reason.
    pub parents: u8,
}

/// What all peers have to agree on to compute the same trees.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What the trees are for.
    pub shape: Shape,
    /// The highest layer of the stream. Who does not carry it feeds nobody.
    pub layers: Layer,
    /// Claims of the publisher and of all who want the stream, in any order. Who has no room to give claims 0.
    pub claims: &'a [VerifiedClaim],
    /// Trust in permille; 1,000 for who is not named. Who has 0 feeds nobody.
    pub trust: &'a BTreeMap<KeyId, u16>,
    /// Reachability in permille; 1,000 for who is not named. Who has less than [`MIN_REACH`] feeds nobody.
    pub reach: &'a BTreeMap<KeyId, u16>,
}

/// What one peer has to give, as [`arrange`] takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Who.
    pub peer: KeyId,
    /// What it can send in all for this stream.
    pub uplink: BitRate,
    /// Subscribers at most. Each stripe that a peer takes counts as one.
    pub max_subscribers: u32,
    /// Trust in permille; more than 1,000 counts as 1,000.
    pub trust: u16,
    /// Reachability in permille; more than 1,000 counts as 1,000.
    pub reach: u16,
}

impl Offer {
    /// An offer of a peer that is fully trusted and reachable.
    pub const fn new(peer: KeyId, uplink: BitRate, max_subscribers: u32) -> Self {
        Self { peer, uplink, max_subscribers, trust: 1_000, reach: 1_000 }
    }
}

/// The trees from verified claims (spec 58 sections 1 and 2).
///
/// Of several claims of one peer the one with the highest counter counts. If two with that counter differ, neither does:
/// the peer is served and feeds nobody. Claims for another stream or epoch are left out. Times are not looked at: clocks
/// differ, and everybody must come to the same result. Leave out claims that are over before.
///
/// # Errors
/// [`Error::Input`] when the shape can't be or the publisher has no claim. [`Error::Malformed`] when the publisher signed
/// two claims with one counter. [`Error::Limit`] when there are too many peers or claims.
pub fn build(input: &Input<'_>) -> Result<Topology, Error> {
    check(&input.shape)?;
    arrange(&input.shape, &sift::offers(input)?)
}

/// The trees from offers that nobody verified: for simulations and measurements. Live trees come from [`build`].
///
/// # Errors
/// As [`build`]; also [`Error::Input`] when a peer is there twice or the publisher is not.
pub fn arrange(shape: &Shape, offers: &[Offer]) -> Result<Topology, Error> {
    check(shape)?;
    if offers.len() > MAX_PEERS {
        return Err(Error::Limit { what: "peer in a topology", max: MAX_PEERS });
    }
    let ranked = order::rank(shape, offers)?;
    let stripes = usize::from(shape.parents);
    let grown = trees::grow(&ranked.slots, stripes);
    Ok(Topology { stripes, keys: ranked.keys, index: ranked.index, grown })
}

/// Who feeds whom: a tree for each stripe. Made by [`build`].
///
/// A peer is *served* if it has a place in every tree. Who is not is [`Topology::unserved`]; then the stream's rate is more
/// than the peers can carry, and a lower one, or fewer layers, serves more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    stripes: usize,
    /// By node number: the publisher, the served by rank, the unserved.
    keys: Vec<KeyId>,
    /// Node numbers, by key.
    index: Vec<u32>,
    grown: trees::Grown,
}

impl Topology {
    /// The root of all trees.
    pub fn publisher(&self) -> KeyId {
        key_at(&self.keys, 0)
    }

    /// How many trees there are.
    pub const fn stripes(&self) -> usize {
        self.stripes
    }

    /// The parent of a peer in each stripe, by number of the stripe. Empty for the publisher and for who is not served.
    /// They differ from each other, but for the publisher and where room is short.
    pub fn parents(&self, peer: KeyId) -> Parents {
        let nodes = self.node(peer).into_iter().flat_map(|node| self.grown.parents(node));
        Parents::of(nodes.map(|node| key_at(&self.keys, node)))
    }

    /// Whom a peer feeds in one stripe.
    pub fn children(&self, peer: KeyId, stripe: usize) -> impl Iterator<Item = KeyId> {
        let children = self.node(peer).into_iter().flat_map(move |node| self.grown.children(node, stripe));
        children.map(|node| key_at(&self.keys, node))
    }

    /// Hops from the publisher in the stripe where they are most; 0 for the publisher, `None` for who is not served.
    pub fn depth(&self, peer: KeyId) -> Option<u32> {
        self.node(peer).and_then(|node| self.grown.depth(node))
    }

    /// The most hops that anybody has.
    pub fn max_depth(&self) -> u32 {
        self.grown.max_depth()
    }

    /// Who is served, best places first.
    pub fn served(&self) -> impl ExactSizeIterator<Item = KeyId> {
        self.keys.get(1..=self.grown.served).unwrap_or_default().iter().copied()
    }

    /// For whom there was no room.
    pub fn unserved(&self) -> impl ExactSizeIterator<Item = KeyId> {
        self.keys.get(self.grown.served.saturating_add(1)..).unwrap_or_default().iter().copied()
    }

    fn node(&self, peer: KeyId) -> Option<usize> {
        let at = self.index.binary_search_by_key(&peer, |node| key_at(&self.keys, *node)).ok()?;
        self.index.get(at).map(|node| *node as usize)
    }
}

fn check(shape: &Shape) -> Result<(), Error> {
    if shape.rate.0 == 0 {
        return Err(Error::Input {
            what: "rate",
            why: "a stream without a rate; give what the encoder makes",
        });
    }
    if shape.parents == 0 || shape.parents > MAX_PARENTS {
        return Err(Error::Input { what: "parents", why: "1 to 16 are possible" });
    }
    Ok(())
}

/// A node's key. All node numbers come from the list itself, so there always is one.
fn key_at(keys: &[KeyId], node: u32) -> KeyId {
    keys.get(node as usize).copied().unwrap_or(KeyId([0; 32]))
}
