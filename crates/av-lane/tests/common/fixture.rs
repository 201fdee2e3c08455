//! A chunk's header and two ends that talk to one another: for the tests inside the crate and beside it, and for its examples.

use av_lane::{Error, Lane, LaneRole, MAX_CONTROL_LEN};
use av_wire::ChunkHeader;
use core_types::{ChunkSeq, CodecId, Epoch, Layer, Marks, MonoTime, StreamId};

/// The header of a chunk with this number, always of the same stream, epoch and layer.
pub(crate) const fn header(seq: u64) -> ChunkHeader {
    ChunkHeader {
        stream_id: StreamId([7; 32]),
        epoch: Epoch(3),
        chunk_seq: ChunkSeq(seq),
        codec: CodecId::Av1,
        layer: Layer::BASE,
        marks: Marks::NONE,
    }
}

/// Hands control packets to and fro at `now`, each from where the other end has its peer, until nobody has any. `said` sees
/// each and who sends it.
pub(crate) fn settle(
    now: MonoTime,
    child: &mut Lane,
    parent: &mut Lane,
    mut said: impl FnMut(LaneRole, &[u8]),
) -> Result<(), Error> {
    let mut packet = [0; MAX_CONTROL_LEN];
    for _ in 0..4 {
        for role in [LaneRole::Child, LaneRole::Parent] {
            let (from, to) = match role {
                LaneRole::Child => (&mut *child, &mut *parent),
                LaneRole::Parent => (&mut *parent, &mut *child),
            };
            while let Some((_, len)) = from.poll_transmit(now, &mut packet) {
                said(role, &packet[..len]);
                let address = to.peer();
                to.handle_datagram(now, address, &mut packet[..len])?;
            }
        }
    }
    Ok(())
}
