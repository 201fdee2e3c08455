//! Control packets: their bytes, their numbers, their seal (spec 37 section 3).

use crate::keys::ControlKey;
use crate::{Error, LaneId, Noise};
use av_wire::ReplayWindow;
use core_types::ChunkSeq;

/// What every control packet of this version begins with. No hop header does (`av_wire::is_carrier_packet`).
const FIRST: u8 = 0x8d;
/// First byte, kind, lane id u64, number u48.
const HEAD: usize = 16;
const TAG: usize = 16;
const SHORT: usize = 16;
const LONG: usize = 40;
/// The longest control packet: as long as a link handshake's datagrams (spec 35 section 8), which every path passes.
pub(crate) const MAX_LEN: usize = 1_200;
/// What a packet is beside its payload, and what one of the stream has before its bytes.
pub(crate) const OVERHEAD: usize = HEAD + TAG;
pub(crate) const OFFSET: usize = 8;
const DATA: u8 = 6;
/// Pieces of the stream that an acknowledgement names.
pub(crate) const ACK_PIECES: usize = 3;
/// Numbers end here: 2^48.
const END: u64 = 1 << 48;

/// What has come, as the receiving end counts it since the lane began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReportBody {
    /// The highest link number taken.
    pub(crate) largest: u64,
    /// Datagrams taken.
    pub(crate) packets: u64,
    /// Those of them that are long.
    pub(crate) long: u64,
    /// Bytes taken, UDP payloads.
    pub(crate) bytes: u64,
    /// When the highest number came: microseconds since the receiving end made its lane.
    pub(crate) arrival: u64,
    /// Microseconds from then to the report.
    pub(crate) delay: u32,
    /// Datagrams came whose compact headers stand for nothing: say the whole ones.
    pub(crate) unbound: bool,
}

/// What has come of the stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AckBody {
    /// All bytes before this one.
    pub(crate) next: u64,
    /// There is room for so many more.
    pub(crate) window: u32,
    /// Of those, what has come too: how far from `next`, and how many bytes; 0 bytes: nothing.
    pub(crate) pieces: [(u32, u32); ACK_PIECES],
}

/// What an authentic packet is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opened<'a> {
    Said(Control),
    /// Bytes of the stream.
    Data {
        offset: u64,
        bytes: &'a [u8],
    },
}

/// What a control packet of fixed length says. Closed: they are version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    /// What has come.
    Report(ReportBody),
    /// I am here, at this address. Send me a report each so many milliseconds for the next second; 0: as you like. And, as in
    /// a report, whether whole headers are wanted.
    Ping { report_each: u8, unbound: bool },
    /// Prove that you get what is sent to this address.
    Challenge([u8; 16]),
    /// The proof.
    Response([u8; 16]),
    /// The lane has ended.
    Close(u16),
    /// What has come of the stream.
    Acknowledge(AckBody),
}

impl Control {
    const fn kind(&self) -> u8 {
        match self {
            Self::Report(_) => 1,
            Self::Ping { .. } => 2,
            Self::Challenge(_) => 3,
            Self::Response(_) => 4,
            Self::Close(_) => 5,
            Self::Acknowledge(_) => 7,
        }
    }

    const fn payload_len(kind: u8) -> Option<usize> {
        match kind {
            1 | 7 => Some(LONG),
            2..=5 => Some(SHORT),
            _ => None,
        }
    }

    fn write(&self, out: &mut [u8; LONG]) {
        match self {
            Self::Report(report) => {
                out[0] = u8::from(report.unbound);
                put(&mut out[2..8], report.largest);
                put(&mut out[8..14], report.packets);
                put(&mut out[14..20], report.long);
                put(&mut out[20..28], report.bytes);
                put(&mut out[28..36], report.arrival);
                put(&mut out[36..40], u64::from(report.delay));
            }
            Self::Ping { report_each, unbound } => (out[0], out[1]) = (*report_each, u8::from(*unbound)),
            Self::Challenge(token) | Self::Response(token) => out[..SHORT].copy_from_slice(token),
            Self::Close(code) => put(&mut out[..2], u64::from(*code)),
            Self::Acknowledge(ack) => {
                put(&mut out[..8], ack.next);
                put(&mut out[8..12], ack.window.into());
                for (place, (gap, len)) in out[16..].chunks_exact_mut(8).zip(ack.pieces) {
                    put(&mut place[..4], gap.into());
                    put(&mut place[4..], len.into());
                }
            }
        }
    }

    /// Reads an authentic payload of the right length. Spare bytes are not looked at: a later version may use them.
    fn read(kind: u8, payload: &[u8]) -> Option<Self> {
        let token = || payload.first_chunk().copied();
        Some(match kind {
            1 => {
                let payload: &[u8; LONG] = payload.first_chunk()?;
                Self::Report(ReportBody {
                    largest: take(&payload[2..8]),
                    packets: take(&payload[8..14]),
                    long: take(&payload[14..20]),
                    bytes: take(&payload[20..28]),
                    arrival: take(&payload[28..36]),
                    delay: u32::try_from(take(&payload[36..40])).ok()?,
                    unbound: payload[0] & 1 != 0,
                })
            }
            2 => Self::Ping { report_each: *payload.first()?, unbound: payload.get(1)? & 1 != 0 },
            3 => Self::Challenge(token()?),
            4 => Self::Response(token()?),
            5 => Self::Close(u16::from_be_bytes(*payload.first_chunk()?)),
            7 => {
                let payload: &[u8; LONG] = payload.first_chunk()?;
                let word = |at: usize| Some(u32::from_be_bytes(*payload.get(at..)?.first_chunk()?));
                let piece = |at: usize| Some((word(at)?, word(at + 4)?));
                let pieces = [piece(16)?, piece(24)?, piece(32)?];
                Self::Acknowledge(AckBody { next: take(&payload[..8]), window: word(8)?, pieces })
            }
            _ => return None,
        })
    }
}

/// Writes the low bytes of a number, as many as there is room for.
fn put(out: &mut [u8], number: u64) {
    let bytes = number.to_be_bytes();
    let skip = bytes.len().saturating_sub(out.len());
    out.copy_from_slice(&bytes[skip..]);
}

fn take(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// The lane that a control packet names; `None` if it can't be one of this version. Nothing of it is authentic yet.
pub(crate) fn lane_of(datagram: &[u8]) -> Option<LaneId> {
    let head: &[u8; HEAD] = datagram.first_chunk()?;
    let fits = match head[1] {
        DATA => (OVERHEAD + OFFSET..=MAX_LEN).contains(&datagram.len()),
        kind => datagram.len() == OVERHEAD + Control::payload_len(kind)?,
    };
    (head[0] == FIRST && fits).then(|| LaneId(take(&head[2..10])))
}

/// Both directions of a lane's control packets.
#[derive(Debug)]
pub(crate) struct ControlLink {
    id: LaneId,
    send: ControlKey,
    receive: ControlKey,
    next: u64,
    window: ReplayWindow,
}

impl ControlLink {
    pub(crate) const fn new(id: LaneId, send: ControlKey, receive: ControlKey) -> Self {
        Self { id, send, receive, next: 0, window: ReplayWindow::new() }
    }

    /// Writes a packet and says how long it is; `None` without room for [`MAX_LEN`] bytes or without a number.
    pub(crate) fn seal(&mut self, what: &Control, out: &mut [u8]) -> Option<usize> {
        let len = Control::payload_len(what.kind())?;
        let mut payload = [0; LONG];
        what.write(&mut payload);
        self.seal_payload(what.kind(), len, out, |out| out.copy_from_slice(&payload[..len]))
    }

    /// The same of bytes of the stream, which `write` writes.
    pub(crate) fn seal_data(
        &mut self,
        offset: u64,
        len: usize,
        out: &mut [u8],
        write: impl FnOnce(&mut [u8]),
    ) -> Option<usize> {
        self.seal_payload(DATA, OFFSET + len, out, |out| {
            let (head, bytes) = out.split_at_mut(OFFSET);
            put(head, offset);
            write(bytes);
        })
    }

    fn seal_payload(
        &mut self,
        kind: u8,
        len: usize,
        out: &mut [u8],
        write: impl FnOnce(&mut [u8]),
    ) -> Option<usize> {
        let out = out.get_mut(..MAX_LEN)?.get_mut(..OVERHEAD + len)?;
        if self.next >= END {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let (head, rest) = out.split_at_mut(HEAD);
        (head[0], head[1]) = (FIRST, kind);
        put(&mut head[2..10], self.id.0);
        put(&mut head[10..16], number);
        let (payload, place) = rest.split_at_mut(len);
        write(payload);
        let tag = self.send.seal(number, head, payload).ok()?;
        place.copy_from_slice(&tag);
        Some(OVERHEAD + len)
    }

    /// Authenticates, then checks for replay, then reads. True beside it: no later packet was taken before.
    pub(crate) fn open<'a>(&mut self, datagram: &'a mut [u8]) -> Result<(Opened<'a>, bool), Error> {
        let noise = |why| Error::Noise { lane: self.id, why };
        let named = lane_of(datagram).ok_or(noise(Noise::Malformed))?;
        if named != self.id {
            return Err(noise(Noise::OtherLane));
        }
        let malformed = noise(Noise::Malformed);
        let (head, rest) = datagram.split_at_mut_checked(HEAD).ok_or(malformed.clone())?;
        let (payload, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(malformed.clone())?;
        let (kind, number) = (head[1], take(&head[10..16]));
        if !self.receive.open(number, head, payload, tag) {
            return Err(noise(Noise::NotAuthentic));
        }
        let newest = self.window.highest().is_none_or(|highest| number > highest.0);
        if !self.window.take(ChunkSeq(number)) {
            return Err(noise(Noise::Replayed));
        }
        if kind == DATA {
            let (offset, bytes) = payload.split_first_chunk::<OFFSET>().ok_or(malformed)?;
            return Ok((Opened::Data { offset: u64::from_be_bytes(*offset), bytes }, newest));
        }
        let what = Control::read(kind, payload).ok_or(malformed)?;
        Ok((Opened::Said(what), newest))
    }
}
