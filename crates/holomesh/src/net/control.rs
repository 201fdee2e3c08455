//! Control messages: a preamble with the protocol version, then length-prefixed frames of `postcard`, each at most 4 MiB.
//!
//! The preamble is `HMSH` and the version as u16; a frame is a u32 length and that many bytes; integers big-endian. A frame
//! with bytes left over, or one that is no message, ends the link.

use crate::Error;
use core_types::{ChunkSeq, Epoch, LayerPolicy, SessionId, StreamId, StripeSet};
use iroh::endpoint::{RecvStream, SendStream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::net::SocketAddr;

/// The version of the control protocol. Peers of another version are refused.
pub const PROTOCOL_VERSION: u16 = 2;
/// The longest frame, in bytes.
pub const FRAME_LIMIT: usize = 4 << 20;
/// What is allocated at a time for a frame that is still coming: a length alone costs its sender's victim nothing.
const FRAME_STEP: usize = 64 << 10;
const MAGIC: [u8; 4] = *b"HMSH";

/// Where a node can be dialled.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerAddress {
    /// Its transport key.
    pub endpoint: [u8; 32],
    /// Its socket addresses.
    pub addresses: Vec<SocketAddr>,
}

/// What nodes say to each other once both have said who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// To the host: let me in.
    Join {
        /// From the ticket.
        invitation: [u8; 16],
        /// A signed key package, to be added with.
        key_package: Vec<u8>,
    },
    /// To the host: signed key packages of mine for its directory, of which others may ask for one.
    KeyPackages {
        /// At most 33: one of last resort may be among them.
        packages: Vec<Vec<u8>>,
    },
    /// From the host: its directory runs out of the receiver's key packages.
    KeyPackagesWanted {
        /// How many it would take.
        count: u8,
    },
    /// To the host: a key package of that peer, please.
    TakeKeyPackage {
        /// From the ticket.
        invitation: [u8; 16],
        /// Whose.
        owner: [u8; 32],
    },
    /// From the host: a key package that was asked for.
    KeyPackage {
        /// Whose.
        owner: [u8; 32],
        /// It, signed by its owner; or why there is none.
        package: Result<Vec<u8>, String>,
    },
    /// To the host: commits are missing here; where is the group?
    GroupInfoWanted,
    /// From the host: where the group is, vouched for.
    GroupInfo {
        /// What an external commit starts from.
        group_info: Vec<u8>,
    },
    /// To the host: an external commit, by which a member that lost the thread comes back. Sent on as a commit if it holds.
    Rejoin {
        /// The MLS commit.
        commit: Vec<u8>,
    },
    /// To the host from a relay: I forward for this session.
    Serve {
        /// From the ticket.
        invitation: [u8; 16],
        /// Where watchers reach it.
        address: PeerAddress,
    },
    /// From the host: you are in.
    Welcome {
        /// The MLS welcome, vouched for by the host.
        welcome: Vec<u8>,
        /// The session.
        session: [u8; 32],
        /// The streams, each signed by its publisher, the host.
        announces: Vec<Vec<u8>>,
    },
    /// From the host: the roster changed.
    Commit {
        /// The MLS commit.
        commit: Vec<u8>,
    },
    /// To the host: the keys of this epoch are in place here.
    EpochReady {
        /// The epoch.
        epoch: u64,
    },
    /// To the host: I go.
    Leave {
        /// A request signed with the member's MLS key; empty from who is not in yet.
        request: Vec<u8>,
    },
    /// From the host: these relays carry the session.
    Relays {
        /// Where they are.
        relays: Vec<PeerAddress>,
    },
    /// From the host to a relay: carry these streams, each signed by its publisher, the host.
    Carry {
        /// The announcements.
        announces: Vec<Vec<u8>>,
    },
    /// To the host from a relay: the streams are carried, watchers may come.
    Carrying,
    /// To a parent: send me these stripes of a stream from now on.
    Subscribe {
        /// The stream.
        stream: [u8; 32],
        /// Highest spatial, temporal and quality layer.
        layers: [u8; 3],
        /// Into how many stripes the stream is dealt.
        stripe_count: u8,
        /// Which of them, one bit each.
        stripe_mask: u16,
    },
    /// To a parent: send me these chunks again.
    Repair {
        /// The stream.
        stream: [u8; 32],
        /// Their epoch.
        epoch: u64,
        /// Their numbers.
        chunks: Vec<u64>,
    },
    /// To the host: a picture is lost, I need a key frame.
    KeyFrame {
        /// The stream.
        stream: [u8; 32],
    },
    /// From a node that will not do what was asked, and closes.
    Refused {
        /// Why, for a person to read.
        why: String,
    },
    /// From the host: the session is over.
    End,
}

impl Control {
    /// The message for a subscription.
    pub fn subscribe(stream: StreamId, policy: LayerPolicy, stripes: StripeSet) -> Self {
        Self::Subscribe {
            stream: stream.0,
            layers: [policy.max_spatial, policy.max_temporal, policy.max_quality],
            stripe_count: stripes.count(),
            stripe_mask: stripes.mask(),
        }
    }

    /// The message for a repair request.
    pub fn repair(stream: StreamId, epoch: Epoch, chunks: &[ChunkSeq]) -> Self {
        Self::Repair { stream: stream.0, epoch: epoch.0, chunks: chunks.iter().map(|seq| seq.0).collect() }
    }

    /// The message for a welcome.
    pub fn welcome(welcome: Vec<u8>, session: SessionId, announces: Vec<Vec<u8>>) -> Self {
        Self::Welcome { welcome, session: session.0, announces }
    }
}

/// Encodes one frame, length included.
pub(super) fn encode(message: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut frame =
        postcard::to_extend(message, vec![0; 4]).map_err(|e| Error::codec("control message", e))?;
    let len = frame.len() - 4;
    if len > FRAME_LIMIT {
        return Err(Error::codec("control message", format!("{len} bytes; the limit is {FRAME_LIMIT}")));
    }
    frame[..4].copy_from_slice(&(len as u32).to_be_bytes());
    Ok(frame)
}

/// Decodes the content of one frame; every byte must belong to the message.
pub(super) fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(frame) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(format!("{} bytes after the end of a control message", rest.len())),
        Err(error) => Err(format!("malformed control message: {error}")),
    }
}

/// Says which version we speak.
pub(super) async fn send_preamble(stream: &mut SendStream) -> Result<(), String> {
    let mut preamble = MAGIC.to_vec();
    preamble.extend_from_slice(&PROTOCOL_VERSION.to_be_bytes());
    stream.write_all(&preamble).await.map_err(|e| e.to_string())
}

/// Hears which version the peer speaks.
pub(super) async fn read_preamble(stream: &mut RecvStream) -> Result<u16, String> {
    let mut preamble = [0; 6];
    stream.read_exact(&mut preamble).await.map_err(|e| e.to_string())?;
    match preamble {
        [a, b, c, d, high, low] if [a, b, c, d] == MAGIC => Ok(u16::from_be_bytes([high, low])),
        _ => Err("not a holomesh peer: its first bytes are not `HMSH`".into()),
    }
}

/// Reads one frame of at most `limit` bytes; memory grows only with what has come.
pub(super) async fn read_frame(stream: &mut RecvStream, limit: usize) -> Result<Vec<u8>, String> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).await.map_err(|e| e.to_string())?;
    let len = u32::from_be_bytes(len) as usize;
    if len > limit {
        return Err(format!("control message of {len} bytes; the limit is {limit}"));
    }
    let mut frame = Vec::new();
    while frame.len() < len {
        let start = frame.len();
        frame.resize(len.min(start + FRAME_STEP), 0);
        stream.read_exact(&mut frame[start..]).await.map_err(|e| e.to_string())?;
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decoding_arbitrary_bytes_never_panics_and_takes_every_byte(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(message) = decode::<Control>(&bytes) {
                let again = encode(&message).unwrap();
                prop_assert!(decode::<Control>(&again[4..]).is_ok());
            }
        }

        #[test]
        fn messages_round_trip_and_cut_or_lengthened_ones_are_refused(stream: [u8; 32], chunks in prop::collection::vec(any::<u64>(), 0..20), epoch: u64) {
            let message = Control::Repair { stream, epoch, chunks };
            let frame = encode(&message).unwrap();
            prop_assert_eq!(u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize, frame.len() - 4);
            prop_assert_eq!(decode::<Control>(&frame[4..]).unwrap(), message);
            prop_assert!(decode::<Control>(&frame[4..frame.len() - 1]).is_err());
            let mut longer = frame[4..].to_vec();
            longer.push(0);
            prop_assert!(decode::<Control>(&longer).is_err());
        }
    }

    #[test]
    fn a_length_that_lies_costs_no_memory() {
        // A list said to have 2^40 elements in a frame of ten bytes.
        let mut frame = vec![1u8; 0];
        frame.push(13); // Relays
        frame.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x7f]);
        assert!(decode::<Control>(&frame).is_err());
    }

    #[test]
    fn an_oversized_message_is_refused_before_it_is_sent() {
        let message = Control::Commit { commit: vec![0; FRAME_LIMIT + 1] };
        assert!(encode(&message).is_err());
    }
}
