//! What a direct link says over its lane's stream: who it is to the session, then control messages and large chunks.

use crate::net::control::{Control, FRAME_LIMIT};
use crate::net::hello::Role;
use crate::net::link::{MAX_OVERSIZE, split_oversize};
use av_lane::{Lane, LaneRole};
use av_wire::{AwsLc, FreshChunk, HopReceiver, HopSuite};
use bytes::Bytes;
use control_wire::{PREAMBLE_LEN, PREFIX_LEN, PROTOCOL_VERSION, preamble, version_of};
use core_types::MonoTime;
use std::collections::VecDeque;

/// Preamble, role, transport key (spec 30 section 15).
const GREETING: usize = PREAMBLE_LEN + 1 + 32;
/// Set in a frame's length when what follows are chunks, and no message.
const CHUNKS: u32 = 1 << 31;
/// Bytes of control messages that may wait: room for two of the largest.
const MOST_WAITING: usize = 2 * FRAME_LIMIT;
/// Of large chunks: what waits longer is late.
const MOST_LATE: usize = 256 << 10;
/// What is set aside at a time for a frame that is still coming: a length alone costs its sender's victim nothing.
const STEP: usize = 64 << 10;

/// What came over the stream.
#[derive(Debug)]
pub(super) enum Said {
    /// A message.
    Control(Box<Control>),
    /// Chunks larger than a datagram.
    Chunks(Vec<FreshChunk<Bytes>>),
}

/// Who the peer says it is; the lane's keys are those of its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) role: Role,
    /// Under which it can be dialled by QUIC: who does finds out whether it is.
    pub(super) transport_key: [u8; 32],
}

/// Why a peer's link ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Breach {
    /// It speaks another version.
    Version(u16),
    /// It broke the protocol.
    Protocol(String),
}

#[derive(Debug)]
pub(super) struct Talk {
    /// Frames that wait for room in the stream; of the first, `begun` bytes are in it.
    out: VecDeque<Vec<u8>>,
    begun: usize,
    waiting: usize,
    /// What has come of the greeting or a frame.
    part: Vec<u8>,
    is_greeted: bool,
}

impl Talk {
    /// Begins with our greeting.
    pub(super) fn new(own: Greeting) -> Self {
        let mut greeting = Vec::with_capacity(GREETING);
        greeting.extend_from_slice(&preamble());
        greeting.push(own.role as u8);
        greeting.extend_from_slice(&own.transport_key);
        Self {
            waiting: greeting.len(),
            out: VecDeque::from([greeting]),
            begun: 0,
            part: Vec::new(),
            is_greeted: false,
        }
    }

    /// Queues a frame of a message; false if too much waits: the peer does not read.
    pub(super) fn push(&mut self, frame: Vec<u8>) -> bool {
        if self.waiting + frame.len() > MOST_WAITING {
            return false;
        }
        self.waiting += frame.len();
        self.out.push_back(frame);
        true
    }

    /// Queues chunks, each with its length; false if so much waits that they would be late.
    pub(super) fn push_chunks(&mut self, chunks: &[Bytes]) -> bool {
        let len: usize = chunks.iter().map(|chunk| PREFIX_LEN + chunk.len()).sum();
        if self.waiting + len > MOST_LATE || len > MAX_OVERSIZE {
            return false;
        }
        let mut frame = Vec::with_capacity(PREFIX_LEN + len);
        // Both lengths are below the limits above.
        frame.extend_from_slice(&(len as u32 | CHUNKS).to_be_bytes());
        for chunk in chunks {
            frame.extend_from_slice(&(chunk.len() as u32).to_be_bytes());
            frame.extend_from_slice(chunk);
        }
        self.push(frame)
    }

    /// Hands the stream what it has room for.
    pub(super) fn write(&mut self, lane: &mut Lane) {
        while let Some(frame) = self.out.front() {
            let count = lane.write_stream(frame.get(self.begun..).unwrap_or(&[]));
            (self.begun, self.waiting) = (self.begun + count, self.waiting - count);
            if self.begun < frame.len() {
                return;
            }
            self.begun = 0;
            self.out.pop_front();
        }
        // Nothing is kept for a link that has nothing to say.
        self.out = VecDeque::new();
    }

    /// True if there is something that [`Talk::write`] could hand on.
    pub(super) fn wants_to_write(&self, lane: &Lane) -> bool {
        !self.out.is_empty() && lane.stream_room() > 0
    }

    /// Reads the peer's greeting, once and only when it is there as a whole.
    pub(super) fn greeting(&mut self, lane: &mut Lane) -> Result<Option<Greeting>, Breach> {
        if self.is_greeted || !self.fill(lane, PREAMBLE_LEN) {
            return Ok(None);
        }
        let breach = |why: &str| Breach::Protocol(why.to_owned());
        let preamble = self.part.first_chunk().copied().unwrap_or_default();
        let version = version_of(preamble).map_err(|e| Breach::Protocol(e.to_string()))?;
        if version != PROTOCOL_VERSION {
            return Err(Breach::Version(version));
        }
        if !self.fill(lane, GREETING) {
            return Ok(None);
        }
        let (role, key) = (self.part.get(PREAMBLE_LEN), self.part.last_chunk());
        let role = match role {
            Some(0) => Role::Host,
            Some(1) => Role::Relay,
            Some(2) => Role::Watcher,
            _ => return Err(breach("it has a role that there is not")),
        };
        let greeting = Greeting { role, transport_key: key.copied().unwrap_or_default() };
        (self.is_greeted, self.part) = (true, Vec::new());
        Ok(Some(greeting))
    }

    /// The next message or chunks that are there as a whole. Not called before the greeting came.
    pub(super) fn next(&mut self, lane: &mut Lane) -> Result<Option<Said>, Breach> {
        if !self.is_greeted || !self.fill(lane, PREFIX_LEN) {
            return Ok(None);
        }
        let prefix = u32::from_be_bytes(self.part.first_chunk().copied().unwrap_or_default());
        let (len, limit) = match prefix & CHUNKS {
            0 => (prefix as usize, FRAME_LIMIT),
            _ => ((prefix & !CHUNKS) as usize, MAX_OVERSIZE),
        };
        if prefix & CHUNKS != 0 && lane.role() == LaneRole::Parent {
            // Media come from parents, and nothing else is kept for anybody.
            return Err(Breach::Protocol("chunks from who dialled us".into()));
        }
        if len > limit {
            return Err(Breach::Protocol(format!("a frame of {len} bytes is over the limit of {limit}")));
        }
        if !self.fill(lane, PREFIX_LEN + len) {
            return Ok(None);
        }
        let mut frame = std::mem::take(&mut self.part);
        let content = frame.split_off(PREFIX_LEN);
        if prefix & CHUNKS == 0 {
            let message = control_wire::decode(&content).map_err(|e| Breach::Protocol(e.to_string()))?;
            return Ok(Some(Said::Control(Box::new(message))));
        }
        let Some(chunks) = split_oversize(&content) else {
            return Err(Breach::Protocol("a frame of chunks that is none".into()));
        };
        let hop = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
        let chunks: Result<Vec<_>, _> = chunks.into_iter().map(|chunk| hop.take_whole(chunk)).collect();
        chunks.map(|chunks| Some(Said::Chunks(chunks))).map_err(|e| Breach::Protocol(e.to_string()))
    }

    /// Reads until `len` bytes are there; false while they are not. Memory grows only with what has come.
    fn fill(&mut self, lane: &mut Lane, len: usize) -> bool {
        while self.part.len() < len && lane.stream_readable() > 0 {
            let start = self.part.len();
            let more = lane.stream_readable().min(STEP).min(len - start);
            self.part.resize(start + more, 0);
            let count = lane.read_stream(self.part.get_mut(start..).unwrap_or(&mut []));
            self.part.truncate(start + count);
        }
        self.part.len() >= len
    }
}

/// When a link whose peer does not say who it is to the session is given up.
pub(super) fn greeted_by(now: MonoTime) -> MonoTime {
    now.plus(crate::net::endpoint::HELLO_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use av_lane::{LaneConfig, LaneId, LaneKeys, LaneSuite, MAX_CONTROL_LEN, PathSecret};
    use av_wire::ChunkHeader;
    use core_types::{ChunkSeq, CodecId, Epoch, Layer, Marks, StreamId};
    use proptest::prelude::*;
    use std::net::SocketAddr;

    const NOW: MonoTime = MonoTime(0);

    /// Two ends of a lane that know each other.
    fn pair() -> (Lane, Lane) {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let end = |role, peer| {
            let mut config = LaneConfig::new(PathSecret([role as u8; 32]));
            config.stream = true;
            let keys = LaneKeys::from_exported(&[7; LaneKeys::EXPORTED]);
            Lane::new(&config, LaneId(1), role, keys, LaneSuite::Full, peer, NOW).unwrap()
        };
        let (mut child, mut parent) = (end(LaneRole::Child, at(2)), end(LaneRole::Parent, at(1)));
        settle(&mut child, &mut parent);
        (child, parent)
    }

    fn settle(child: &mut Lane, parent: &mut Lane) {
        let mut packet = [0; MAX_CONTROL_LEN];
        loop {
            let mut is_quiet = true;
            for from_child in [true, false] {
                let (from, to) =
                    if from_child { (&mut *child, &mut *parent) } else { (&mut *parent, &mut *child) };
                while let Some((_, len)) = from.poll_transmit(NOW, &mut packet) {
                    is_quiet = false;
                    let peer = to.peer();
                    to.handle_datagram(NOW, peer, &mut packet[..len]).unwrap();
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    const GREETED: Greeting = Greeting { role: Role::Relay, transport_key: [5; 32] };

    fn chunk(seq: u64, len: usize) -> Bytes {
        let header = ChunkHeader {
            stream_id: StreamId([7; 32]),
            epoch: Epoch(3),
            chunk_seq: ChunkSeq(seq),
            codec: CodecId::Av1,
            layer: Layer::BASE,
            marks: Marks::NONE,
        };
        let mut chunk = header.to_bytes().unwrap().to_vec();
        chunk.resize(52 + len, seq as u8);
        chunk.into()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn frames_and_chunks_come_out_as_they_went_in(lens in prop::collection::vec((any::<bool>(), 17usize..60_000), 1..12)) {
            let (mut child, mut parent) = pair();
            let (mut says, mut hears) = (Talk::new(GREETED), Talk::new(GREETED));
            for (at, (is_message, len)) in lens.iter().enumerate() {
                if *is_message {
                    let key_package = vec![at as u8; *len];
                    let message = Control::Join { invitation: [at as u8; 16], key_package };
                    prop_assert!(says.push(control_wire::encode(&message).unwrap()));
                } else if !says.push_chunks(&[chunk(at as u64, *len), chunk(99, 20)]) {
                    // So much waits that they would be late.
                    prop_assert!(says.waiting > MOST_LATE - 70_000);
                }
            }
            let waiting = says.waiting;
            let (mut greeted, mut heard) = (None, 0);
            for _ in 0..100 {
                says.write(&mut parent);
                settle(&mut child, &mut parent);
                greeted = greeted.or(hears.greeting(&mut child).unwrap());
                while let Some(said) = hears.next(&mut child).unwrap() {
                    match said {
                        Said::Control(message) => {
                            let Control::Join { key_package, invitation } = *message else { panic!() };
                            prop_assert_eq!(&key_package, &vec![invitation[0]; lens[usize::from(invitation[0])].1]);
                            heard += control_wire::encode(&Control::Join { invitation, key_package }).unwrap().len();
                        }
                        Said::Chunks(chunks) => {
                            let seq = chunks[0].header().chunk_seq.0;
                            prop_assert_eq!(chunks[0].bytes(), &chunk(seq, lens[seq as usize].1));
                            prop_assert_eq!(chunks[1].bytes(), &chunk(99, 20));
                            heard += PREFIX_LEN + chunks.iter().map(|chunk| PREFIX_LEN + chunk.bytes().len()).sum::<usize>();
                        }
                    }
                }
            }
            prop_assert_eq!((greeted, heard + GREETING, says.waiting), (Some(GREETED), waiting, 0));
        }
    }

    /// What the greeting of a peer that says these bytes comes to.
    fn greeted_with(bytes: &[u8]) -> Result<Option<Greeting>, Breach> {
        let (mut child, mut parent) = pair();
        parent.write_stream(bytes);
        settle(&mut child, &mut parent);
        Talk::new(GREETED).greeting(&mut child)
    }

    #[test]
    fn a_greeting_of_another_version_or_role_ends_the_link() {
        let good = Talk::new(GREETED).out[0].clone();
        assert_eq!((good.len(), greeted_with(&good)), (GREETING, Ok(Some(GREETED))));
        for cut in 0..GREETING {
            assert_eq!(greeted_with(&good[..cut]), Ok(None), "{cut}");
        }
        let mut other = good.clone();
        other[5] += 1;
        assert_eq!(greeted_with(&other), Err(Breach::Version(PROTOCOL_VERSION + 1)));
        assert_eq!(
            greeted_with(&other[..PREAMBLE_LEN]),
            Err(Breach::Version(PROTOCOL_VERSION + 1)),
            "at once"
        );
        let mut other = good.clone();
        other[PREAMBLE_LEN] = 3;
        assert!(matches!(greeted_with(&other), Err(Breach::Protocol(_))));
        assert!(matches!(greeted_with(b"GET / HTTP/1.1"), Err(Breach::Protocol(_))));
    }

    #[test]
    fn a_length_over_the_limit_ends_the_link_and_one_below_it_costs_nothing() {
        for (prefix, is_good) in [
            (FRAME_LIMIT as u32, true),
            (FRAME_LIMIT as u32 + 1, false),
            (CHUNKS | MAX_OVERSIZE as u32, true),
            (CHUNKS | (MAX_OVERSIZE as u32 + 1), false),
        ] {
            let (mut child, mut parent) = pair();
            let mut talk = Talk::new(GREETED);
            parent.write_stream(&Talk::new(GREETED).out[0]);
            parent.write_stream(&prefix.to_be_bytes());
            settle(&mut child, &mut parent);
            assert_eq!(talk.greeting(&mut child), Ok(Some(GREETED)));
            let next = talk.next(&mut child);
            assert_eq!(matches!(next, Ok(None)), is_good, "{prefix:x}: {next:?}");
            assert!(talk.part.capacity() < 1_000);
        }
    }

    #[test]
    fn a_child_sends_no_chunks_and_what_is_no_chunks_ends_the_link() {
        let whole = chunk(1, 3_000);
        let framed = |bytes: &[u8]| [&(CHUNKS | bytes.len() as u32).to_be_bytes()[..], bytes].concat();
        let good = [&(whole.len() as u32).to_be_bytes()[..], &whole].concat();
        let cut = [&good[..], &[0, 1]].concat();
        for (bytes, by_parent, is_good) in [(&good, true, true), (&good, false, false), (&cut, true, false)] {
            let (mut child, mut parent) = pair();
            let mut talk = Talk::new(GREETED);
            let from = if by_parent { &mut parent } else { &mut child };
            from.write_stream(&Talk::new(GREETED).out[0]);
            from.write_stream(&framed(bytes));
            settle(&mut child, &mut parent);
            let to = if by_parent { &mut child } else { &mut parent };
            assert_eq!(talk.greeting(to), Ok(Some(GREETED)));
            let next = talk.next(to);
            assert_eq!(matches!(next, Ok(Some(Said::Chunks(_)))), is_good, "{next:?}");
            assert_eq!(matches!(next, Err(Breach::Protocol(_))), !is_good);
        }
    }

    #[test]
    fn a_peer_that_does_not_read_is_noticed() {
        let mut talk = Talk::new(GREETED);
        let frame = vec![0; 1 << 20];
        let pushed = (0..20).take_while(|_| talk.push(frame.clone())).count();
        assert_eq!(pushed, 7);
        assert!(!talk.push_chunks(&[chunk(1, 3_000)]));
    }
}
