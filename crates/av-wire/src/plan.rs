//! Who gets a chunk.

use crate::ChunkHeader;
use core_types::{CodecId, LayerPolicy};

/// A possible receiver of a stream's chunks.
pub trait Receiver {
    /// True if it may have this chunk: subscribed to its stream and its stripe, and permitted.
    fn is_entitled(&self, header: &ChunkHeader) -> bool;

    /// True if it can be reached now.
    fn is_reachable(&self) -> bool;

    /// The layers that it wants.
    fn policy(&self) -> LayerPolicy;
}

/// The receivers of a chunk: entitled, reachable, and with a policy that admits its layer; an opaque chunk is admitted by
/// every policy. Lazy, without allocation, in the order of `receivers`.
pub fn plan_layered<'a, R: Receiver + 'a>(
    header: &ChunkHeader,
    receivers: impl IntoIterator<Item = &'a R>,
) -> impl Iterator<Item = &'a R> {
    receivers.into_iter().filter(move |receiver| {
        let admitted = header.codec == CodecId::Opaque || receiver.policy().admits(header.layer);
        admitted && receiver.is_reachable() && receiver.is_entitled(header)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_types::{ChunkSeq, Epoch, Layer, Marks, StreamId};
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Child {
        stream: u8,
        reachable: bool,
        policy: LayerPolicy,
    }

    impl Receiver for Child {
        fn is_entitled(&self, header: &ChunkHeader) -> bool {
            header.stream_id == StreamId([self.stream; 32])
        }
        fn is_reachable(&self) -> bool {
            self.reachable
        }
        fn policy(&self) -> LayerPolicy {
            self.policy
        }
    }

    fn child() -> impl Strategy<Value = Child> {
        (0u8..2, any::<bool>(), 0u8..3, 0u8..3, 0u8..3).prop_map(|(stream, reachable, s, t, q)| Child {
            stream,
            reachable,
            policy: LayerPolicy { max_spatial: s, max_temporal: t, max_quality: q },
        })
    }

    proptest! {
        #[test]
        fn those_get_it_who_may_can_and_want(children in prop::collection::vec(child(), 0..20), s in 0u8..3, t in 0u8..3, q in 0u8..3) {
            let mut header = ChunkHeader {
                stream_id: StreamId([1; 32]), epoch: Epoch(1), chunk_seq: ChunkSeq(1), codec: CodecId::Av1,
                layer: Layer { spatial: s, temporal: t, quality: q }, marks: Marks::NONE,
            };
            let planned: Vec<Child> = plan_layered(&header, &children).copied().collect();
            let by_rule: Vec<Child> = children.iter().copied().filter(|c| {
                c.stream == 1 && c.reachable && s <= c.policy.max_spatial && t <= c.policy.max_temporal && q <= c.policy.max_quality
            }).collect();
            prop_assert_eq!(planned, by_rule);

            (header.codec, header.layer) = (CodecId::Opaque, Layer::BASE);
            let opaque = plan_layered(&header, &children).count();
            prop_assert_eq!(opaque, children.iter().filter(|c| c.stream == 1 && c.reachable).count());
        }
    }
}
