//! What goes before each media datagram of a link: which link and end it is for, and a tag, as a transport that seals has
//! one. What was damaged on its way is not taken for a chunk.

use super::end::EndId;
use sha2::{Digest, Sha256};

const TAG_LEN: usize = 8;
const ADDRESS_LEN: usize = 8 + 1;
/// Bytes of an envelope.
pub(super) const LEN: usize = ADDRESS_LEN + TAG_LEN;

/// Puts a datagram into its envelope.
pub(super) fn seal(secret: &[u8; 32], to: EndId, body: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(LEN + body.len());
    datagram.extend_from_slice(&to.pair.to_be_bytes());
    datagram.push(to.side as u8);
    datagram.extend_from_slice(&tag(secret, to, body));
    datagram.extend_from_slice(body);
    datagram
}

/// For which end a datagram is, as it says.
pub(super) fn addressee(datagram: &[u8]) -> Option<EndId> {
    let (pair, rest) = datagram.split_first_chunk::<8>()?;
    let side = usize::from(*rest.get(..1 + TAG_LEN)?.first()?);
    (side < 2).then_some(EndId { pair: u64::from_be_bytes(*pair), side })
}

/// Whether a datagram for that end is as it was sent.
pub(super) fn is_authentic(secret: &[u8; 32], to: EndId, datagram: &[u8]) -> bool {
    datagram.split_at_checked(LEN).is_some_and(|(head, body)| head[ADDRESS_LEN..] == tag(secret, to, body))
}

fn tag(secret: &[u8; 32], to: EndId, body: &[u8]) -> [u8; TAG_LEN] {
    let mut hash = Sha256::new();
    hash.update(secret);
    hash.update(to.pair.to_be_bytes());
    hash.update([to.side as u8]);
    hash.update(body);
    let hash: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|at| hash[at])
}
