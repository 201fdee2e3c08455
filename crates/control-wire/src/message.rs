//! The messages.

use crate::bounded::{
    MAX_CONSENT_LEN, MAX_CONSENTS, MAX_EVIDENCE_LEN, MAX_GOSSIP_ENTRIES, MAX_GOSSIP_ENTRY_LEN,
    MAX_IDENTITY_LEN, MAX_LANE_ADDRESSES, MAX_MANIFEST_LEN, MAX_PERMIT_LEN, MAX_STORED_SYMBOL_LEN,
    MAX_STORED_SYMBOLS, MAX_WHY_LEN, read, write,
};
use crate::{NoRoom, OverQuota};
use core_types::{ChunkSeq, Epoch, LayerPolicy, SessionId, StreamId, StripeSet};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What a host says in [`Control::Refused`] to a member that wants to [`Control::Resume`] after the host has taken it out: it is
/// not to come back by itself.
pub const REMOVED: &str = "the host removed this member from the session";

/// Where a node can be dialled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PeerAddress {
    /// Its transport key.
    pub endpoint: [u8; 32],
    /// Its socket addresses.
    pub addresses: Vec<SocketAddr>,
    /// Where it takes direct links, if it does.
    pub direct: Option<DirectPort>,
}

/// Where a node takes direct links: at its addresses, at this UDP port, under this identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DirectPort {
    /// The port.
    pub port: u16,
    /// The KeyId that the link handshake is made with.
    pub key_id: [u8; 32],
}

/// Where in a stream a subscription starts. Sound starts live in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// With the next chunk: others have sent what came before.
    Live,
    /// With the last key frame, if everything from there on is kept; otherwise with the next one, which is asked for.
    KeyFrame,
    /// With the last key frame, if everything from there on is kept, and it is of this epoch or a later one; otherwise live.
    Kept {
        /// The first epoch that the child can open.
        epoch: u64,
    },
}

/// A place in what is stored of a content (spec 82 section 8): a frame group, and how many of its symbols come before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoredAt {
    /// The epoch of the frame group.
    pub epoch: u64,
    /// Its first object.
    pub object: u64,
    /// Symbols of it that come before.
    pub skip: u32,
}

/// A stored symbol, sealed as its publisher sealed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSymbol {
    /// Its object, as who recorded it counts them.
    pub object: u64,
    /// Its number in the object.
    pub id: u32,
    /// Its group: 0 key frames, 1 base, 2 enhancement, 3 repair.
    pub group: u8,
    /// Its retention priority.
    pub retention: u8,
    /// The chunk: at most [`MAX_STORED_SYMBOL_LEN`] bytes.
    #[serde(serialize_with = "write::<MAX_STORED_SYMBOL_LEN, _, _>")]
    #[serde(deserialize_with = "read::<MAX_STORED_SYMBOL_LEN, _, _>")]
    pub chunk: Vec<u8>,
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
        /// The tree, in a session that is too large to have it in the welcome.
        tree: Option<Vec<u8>>,
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
        /// Where in the stream it starts; of one that is subscribed to already only the rest is changed.
        start: Start,
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
    /// To the host, or to the parent that merges such requests and passes them on: a picture is lost, I need a key frame.
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
    /// To the host: a commit by a member, which came back after it lost the thread or renews its keys. Sent on as a commit to
    /// all, its maker included, if it holds.
    MemberCommit {
        /// The MLS commit.
        commit: Vec<u8>,
    },
    /// From the host: what you may do, signed (spec 56). From a child to a relay: what I may have.
    Permit {
        /// The signed permit; at most [`MAX_PERMIT_LEN`] bytes.
        #[serde(serialize_with = "write::<MAX_PERMIT_LEN, _, _>")]
        #[serde(deserialize_with = "read::<MAX_PERMIT_LEN, _, _>")]
        permit: Vec<u8>,
    },
    /// From the host to a relay: a holder's permits up to a serial number are void.
    Revoke {
        /// Whose.
        holder: [u8; 32],
        /// The last serial number that is void.
        serial: u64,
    },
    /// From a relay: move to others, I close then.
    Draining {
        /// When, from now.
        seconds: u16,
    },
    /// From a relay: what you sent or asked for is over a limit, and is left out.
    OverQuota {
        /// Of which stream, if it is one.
        stream: Option<[u8; 32]>,
        /// Which limit.
        what: OverQuota,
        /// The limit, in what it counts.
        limit: u64,
    },
    /// To a parent: I can take media over UDP (spec 30 section 14).
    LaneOffer {
        /// The lane's name on this link: never used before on it.
        lane: u64,
        /// From where its datagrams may come; none for the address that this link has. At most [`MAX_LANE_ADDRESSES`].
        #[serde(serialize_with = "write::<MAX_LANE_ADDRESSES, _, _>")]
        #[serde(deserialize_with = "read::<MAX_LANE_ADDRESSES, _, _>")]
        addresses: Vec<SocketAddr>,
        /// The child's UDP port, for the address that this link has.
        port: u16,
        /// The hop suite: 1 full, 2 bind.
        suite: u8,
    },
    /// From a parent: the lane is open.
    LaneAccept {
        /// The lane's name, as it was offered.
        lane: u64,
        /// The parent's UDP port, for the address that this link has.
        port: u16,
    },
    /// From a parent: no lane, media stay on this link.
    LaneRefused {
        /// The lane's name, as it was offered.
        lane: u64,
        /// Why, for a person to read; at most [`MAX_WHY_LEN`] bytes.
        #[serde(serialize_with = "crate::bounded::write_text::<MAX_WHY_LEN, _>")]
        #[serde(deserialize_with = "crate::bounded::read_text::<MAX_WHY_LEN, _>")]
        why: String,
    },
    /// To the host: I was in, my link broke, this is my new one.
    Resume {
        /// From the ticket.
        invitation: [u8; 16],
    },
    /// Nothing came from you for a while: are you there? Not answered more often than twice a second.
    Ping,
    /// The answer: something came.
    Pong,
    /// Between peers: who is there to feed others, and what they claim that they can carry (spec 53).
    Gossip {
        /// Cards and claims, each signed by the peer that it is of: at most [`MAX_GOSSIP_ENTRIES`], of at most
        /// [`MAX_GOSSIP_ENTRY_LEN`] bytes each.
        #[serde(
            serialize_with = "crate::bounded::write_strings::<MAX_GOSSIP_ENTRIES, MAX_GOSSIP_ENTRY_LEN, _>"
        )]
        #[serde(
            deserialize_with = "crate::bounded::read_strings::<MAX_GOSSIP_ENTRIES, MAX_GOSSIP_ENTRY_LEN, _>"
        )]
        entries: Vec<Vec<u8>>,
    },
    /// To the host: that parent takes a share of a stream and does not deliver it (spec 57 section 4).
    Evidence {
        /// Signed by the sender: at most [`MAX_EVIDENCE_LEN`] bytes.
        #[serde(serialize_with = "write::<MAX_EVIDENCE_LEN, _, _>")]
        #[serde(deserialize_with = "read::<MAX_EVIDENCE_LEN, _, _>")]
        evidence: Vec<u8>,
    },
    /// From the host: what a member says of a peer, of which others have said the same.
    Found {
        /// The member's public identity: at most [`MAX_IDENTITY_LEN`] bytes.
        #[serde(serialize_with = "write::<MAX_IDENTITY_LEN, _, _>")]
        #[serde(deserialize_with = "read::<MAX_IDENTITY_LEN, _, _>")]
        observer: Vec<u8>,
        /// Where the host sees that member: those who may be one person have one.
        origin: u64,
        /// What the member has signed, as it came.
        #[serde(serialize_with = "write::<MAX_EVIDENCE_LEN, _, _>")]
        #[serde(deserialize_with = "read::<MAX_EVIDENCE_LEN, _, _>")]
        evidence: Vec<u8>,
    },
    /// From a parent: something of that stream does not reach you for want of room, or did not reach me.
    Sheds {
        /// The stream.
        stream: [u8; 32],
    },
    /// From the host: what may be recorded, and for how long (spec 80).
    Consent {
        /// Each signed by the person concerned: at most [`MAX_CONSENTS`], of at most [`MAX_CONSENT_LEN`] bytes each.
        #[serde(serialize_with = "crate::bounded::write_strings::<MAX_CONSENTS, MAX_CONSENT_LEN, _>")]
        #[serde(deserialize_with = "crate::bounded::read_strings::<MAX_CONSENTS, MAX_CONSENT_LEN, _>")]
        consents: Vec<Vec<u8>>,
    },
    /// To who has a store, from anybody; and from it, to who asks for what is no more: consent was taken back.
    Tombstone {
        /// Signed by the person concerned: at most [`MAX_CONSENT_LEN`] bytes.
        #[serde(serialize_with = "write::<MAX_CONSENT_LEN, _, _>")]
        #[serde(deserialize_with = "read::<MAX_CONSENT_LEN, _, _>")]
        tombstone: Vec<u8>,
    },
    /// To who has a store: what is stored of a content, from that place on.
    Fetch {
        /// The content.
        content: [u8; 32],
        /// From where; from its beginning, with consent and manifest, if there is none.
        from: Option<StoredAt>,
        /// Signed by the person concerned (spec 80 section 8); empty from that person.
        #[serde(serialize_with = "write::<MAX_CONSENT_LEN, _, _>")]
        #[serde(deserialize_with = "read::<MAX_CONSENT_LEN, _, _>")]
        grant: Vec<u8>,
    },
    /// From who has a store: consent to a content, and what was recorded of it.
    FetchedHead {
        /// The content.
        content: [u8; 32],
        /// As the person concerned signed it.
        #[serde(serialize_with = "write::<MAX_CONSENT_LEN, _, _>")]
        #[serde(deserialize_with = "read::<MAX_CONSENT_LEN, _, _>")]
        consent: Vec<u8>,
        /// As its recorder signed it; empty if there is none yet.
        #[serde(serialize_with = "write::<MAX_MANIFEST_LEN, _, _>")]
        #[serde(deserialize_with = "read::<MAX_MANIFEST_LEN, _, _>")]
        manifest: Vec<u8>,
        /// Where its symbols begin, if any can be had.
        first: Option<StoredAt>,
    },
    /// From who has a store: symbols that were asked for.
    Fetched {
        /// The content.
        content: [u8; 32],
        /// Where they lie.
        at: StoredAt,
        /// They: at most [`MAX_STORED_SYMBOLS`].
        #[serde(serialize_with = "write::<MAX_STORED_SYMBOLS, _, _>")]
        #[serde(deserialize_with = "read::<MAX_STORED_SYMBOLS, _, _>")]
        symbols: Vec<StoredSymbol>,
        /// Where it goes on, if it does.
        next: Option<StoredAt>,
    },
    /// From who has a store: that content can't be had.
    FetchRefused {
        /// The content.
        content: [u8; 32],
        /// Why, for a person to read; at most [`MAX_WHY_LEN`] bytes.
        #[serde(serialize_with = "crate::bounded::write_text::<MAX_WHY_LEN, _>")]
        #[serde(deserialize_with = "crate::bounded::read_text::<MAX_WHY_LEN, _>")]
        why: String,
    },
    /// From a parent: I have no place for you in that stream, not even as a spare; the link stays.
    SubscribeRefused {
        /// The stream.
        stream: [u8; 32],
        /// What there is no room of.
        why: NoRoom,
    },
    /// To the host, from who forwards: so much is lost of what goes out from here, on the worst way (spec 62 section 5).
    Losses {
        /// In thousandths; above 1,000 it counts as that.
        permille: u16,
    },
}

impl Control {
    /// The message for a subscription.
    pub fn subscribe(stream: StreamId, policy: LayerPolicy, stripes: StripeSet, start: Start) -> Self {
        Self::Subscribe {
            stream: stream.0,
            layers: [policy.max_spatial, policy.max_temporal, policy.max_quality],
            stripe_count: stripes.count(),
            stripe_mask: stripes.mask(),
            start,
        }
    }

    /// The message for a repair request.
    pub fn repair(stream: StreamId, epoch: Epoch, chunks: &[ChunkSeq]) -> Self {
        Self::Repair { stream: stream.0, epoch: epoch.0, chunks: chunks.iter().map(|seq| seq.0).collect() }
    }

    /// The message for a welcome.
    pub fn welcome(
        welcome: Vec<u8>,
        tree: Option<Vec<u8>>,
        session: SessionId,
        announces: Vec<Vec<u8>>,
    ) -> Self {
        Self::Welcome { welcome, tree, session: session.0, announces }
    }
}
