//! Datagrams (spec 35 section 8): what is on the wire, and nothing of what it means.

use crate::Error;
use crate::cookie::{COOKIE_LEN, Cookie};
use crate::message::{ANSWER_LEN, FINISH_LEN, MAX_OFFER_LEN, MIN_OFFER_LEN, VERDICT_LEN};
use crate::schedule::hash;
use identity::canonical::{Reader, Writer};

/// The first bytes of every datagram of a handshake: "HMLK".
pub const MAGIC: [u8; 4] = *b"HMLK";
/// No datagram of a handshake is longer, so that it fits every path (1,232 bytes of UDP payload on any IPv6 path).
pub const MAX_DATAGRAM_LEN: usize = 1_200;
/// Bytes of a message in each fragment but its last.
pub(crate) const FRAGMENT_LEN: usize = 1_152;
/// A hello is padded to this, so that the cookie that answers it is never larger.
const HELLO_LEN: usize = 64;

const HELLO: u8 = 0;
const RETRY: u8 = 1;
const FROM_INITIATOR: u8 = 2;
const FROM_RESPONDER: u8 = 3;
const REFUSAL: u8 = 4;

/// Names a handshake: the first bytes of a hash of its offer, so that nobody can put another offer in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HandshakeId([u8; 16]);

impl HandshakeId {
    /// The two ends of their order.
    pub(crate) const FIRST: Self = Self([0; 16]);
    pub(crate) const LAST: Self = Self([0xff; 16]);

    pub(crate) fn of(offer: &[u8]) -> Self {
        let hash = hash(&[b"holomesh link id v1", offer]);
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Self(id)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The four messages. Closed: they are the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    Offer,
    Answer,
    Finish,
    Verdict,
}

impl Message {
    const fn number(self) -> u8 {
        match self {
            Self::Offer => 1,
            Self::Answer => 2,
            Self::Finish => 3,
            Self::Verdict => 4,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Offer),
            2 => Some(Self::Answer),
            3 => Some(Self::Finish),
            4 => Some(Self::Verdict),
            _ => None,
        }
    }

    const fn is_the_initiators(self) -> bool {
        matches!(self, Self::Offer | Self::Finish)
    }

    fn may_have(self, len: usize) -> bool {
        match self {
            Self::Offer => (MIN_OFFER_LEN..=MAX_OFFER_LEN).contains(&len),
            Self::Answer => len == ANSWER_LEN,
            Self::Finish => len == FINISH_LEN,
            Self::Verdict => len == VERDICT_LEN,
        }
    }
}

/// Which fragments of a message somebody has: bit n for fragment n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) message: Message,
    pub(crate) bits: u16,
}

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    pub(crate) message: Message,
    pub(crate) total: usize,
    pub(crate) index: usize,
    pub(crate) bytes: &'a [u8],
}

/// One datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// Asks for a cookie.
    Hello { id: HandshakeId },
    /// Gives one.
    Retry { id: HandshakeId, cookie: Cookie },
    /// A part of offer or finish, or none, and what has come of answer or verdict.
    FromInitiator { id: HandshakeId, cookie: Cookie, fragment: Option<Fragment<'a>>, ack: Ack },
    /// A part of answer or verdict, or none, and what has come of offer or finish.
    FromResponder { id: HandshakeId, fragment: Option<Fragment<'a>>, ack: Ack },
    /// No version or no suite in common. Anybody could have sent it: a hint.
    Refusal { id: HandshakeId, what: &'static str },
}

impl<'a> Packet<'a> {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(MAX_DATAGRAM_LEN);
        writer.fixed(&MAGIC);
        match self {
            Self::Hello { id } => {
                writer.u8(HELLO).fixed(id.as_bytes()).fixed(&[0; HELLO_LEN - 21]);
            }
            Self::Retry { id, cookie } => {
                writer.u8(RETRY).fixed(id.as_bytes()).fixed(cookie.as_bytes());
            }
            Self::FromInitiator { id, cookie, fragment, ack } => {
                writer.u8(FROM_INITIATOR).fixed(id.as_bytes()).fixed(cookie.as_bytes());
                write_body(&mut writer, fragment, ack);
            }
            Self::FromResponder { id, fragment, ack } => {
                writer.u8(FROM_RESPONDER).fixed(id.as_bytes());
                write_body(&mut writer, fragment, ack);
            }
            Self::Refusal { id, what } => {
                writer.u8(REFUSAL).fixed(id.as_bytes()).u8(if what == "version" { 1 } else { 2 });
            }
        }
        writer.into_bytes()
    }

    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_DATAGRAM_LEN {
            return Err(malformed("longer than 1,200 bytes"));
        }
        let mut reader = Reader::new(bytes);
        let cut = |_| malformed("cut short");
        if reader.array().map_err(cut)? != MAGIC {
            return Err(malformed("not of a handshake"));
        }
        let kind = reader.u8().map_err(cut)?;
        let id = HandshakeId(reader.array().map_err(cut)?);
        let packet = match kind {
            HELLO => {
                if reader.fixed(HELLO_LEN - 21).map_err(cut)?.iter().any(|&byte| byte != 0) {
                    return Err(malformed("padding other than zeros"));
                }
                Self::Hello { id }
            }
            RETRY => Self::Retry { id, cookie: read_cookie(&mut reader)? },
            FROM_INITIATOR => {
                let cookie = read_cookie(&mut reader)?;
                let (fragment, ack) = read_body(&mut reader, true)?;
                Self::FromInitiator { id, cookie, fragment, ack }
            }
            FROM_RESPONDER => {
                let (fragment, ack) = read_body(&mut reader, false)?;
                Self::FromResponder { id, fragment, ack }
            }
            REFUSAL => match reader.u8().map_err(cut)? {
                1 => Self::Refusal { id, what: "version" },
                2 => Self::Refusal { id, what: "suite" },
                _ => return Err(malformed("an unknown reason")),
            },
            _ => return Err(malformed("an unknown kind")),
        };
        reader.finish().map_err(|_| malformed("bytes left over"))?;
        Ok(packet)
    }
}

/// How many fragments a message of this length has; at least one.
pub(crate) const fn fragments(total: usize) -> usize {
    if total == 0 { 1 } else { total.div_ceil(FRAGMENT_LEN) }
}

fn write_body(writer: &mut Writer, fragment: Option<Fragment<'_>>, ack: Ack) {
    let (message, total, index, bytes) =
        fragment.map_or((0, 0, 0, &[][..]), |f| (f.message.number(), f.total, f.index, f.bytes));
    // Totals and indices come from messages of at most 7,777 bytes.
    writer
        .u8(message)
        .u16(u16::try_from(total).unwrap_or(u16::MAX))
        .u8(u8::try_from(index).unwrap_or(u8::MAX));
    writer.u8(ack.message.number()).u16(ack.bits).fixed(bytes);
}

fn read_body<'a>(
    reader: &mut Reader<'a>,
    from_initiator: bool,
) -> Result<(Option<Fragment<'a>>, Ack), Error> {
    let cut = |_| malformed("cut short");
    let number = reader.u8().map_err(cut)?;
    let (total, index) = (usize::from(reader.u16().map_err(cut)?), usize::from(reader.u8().map_err(cut)?));
    let ack_message = Message::from_number(reader.u8().map_err(cut)?)
        .filter(|message| message.is_the_initiators() != from_initiator)
        .ok_or_else(|| malformed("it acknowledges a message that its sender makes"))?;
    let ack = Ack { message: ack_message, bits: reader.u16().map_err(cut)? };
    if (number, total, index) == (0, 0, 0) {
        return Ok((None, ack));
    }
    let message = Message::from_number(number)
        .filter(|message| message.is_the_initiators() == from_initiator)
        .ok_or_else(|| malformed("a message that its sender does not make"))?;
    if !message.may_have(total) || index >= fragments(total) {
        return Err(malformed("a message of another length than it has"));
    }
    let bytes = reader.fixed(reader.remaining()).map_err(cut)?;
    let start = index * FRAGMENT_LEN;
    if bytes.len() != FRAGMENT_LEN.min(total - start) {
        return Err(malformed("a fragment of another length than it has"));
    }
    Ok((Some(Fragment { message, total, index, bytes }), ack))
}

fn read_cookie(reader: &mut Reader<'_>) -> Result<Cookie, Error> {
    Ok(Cookie::from_bytes(reader.array::<COOKIE_LEN>().map_err(|_| malformed("cut short"))?))
}

const fn malformed(reason: &'static str) -> Error {
    Error::Malformed { what: "handshake datagram", reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some_packets() -> Vec<Vec<u8>> {
        let id = HandshakeId::of(b"an offer");
        let cookie = Cookie::from_bytes([7; COOKIE_LEN]);
        let ack = |message| Ack { message, bits: 0x81 };
        let whole = vec![5; FINISH_LEN];
        let last = Fragment {
            message: Message::Finish,
            total: FINISH_LEN,
            index: fragments(FINISH_LEN) - 1,
            bytes: &whole[(fragments(FINISH_LEN) - 1) * FRAGMENT_LEN..],
        };
        let first = Fragment { index: 0, bytes: &whole[..FRAGMENT_LEN], ..last };
        let verdict = Fragment {
            message: Message::Verdict,
            total: VERDICT_LEN,
            index: 0,
            bytes: &whole[..VERDICT_LEN],
        };
        let packets = [
            Packet::Hello { id },
            Packet::Retry { id, cookie },
            Packet::FromInitiator { id, cookie, fragment: None, ack: ack(Message::Answer) },
            Packet::FromInitiator { id, cookie, fragment: Some(first), ack: ack(Message::Verdict) },
            Packet::FromInitiator { id, cookie, fragment: Some(last), ack: ack(Message::Verdict) },
            Packet::FromResponder { id, fragment: Some(verdict), ack: ack(Message::Finish) },
            Packet::Refusal { id, what: "suite" },
        ];
        for packet in packets {
            assert_eq!(Packet::parse(&packet.to_bytes()), Ok(packet));
        }
        packets.into_iter().map(Packet::to_bytes).collect()
    }

    #[test]
    fn packets_round_trip_and_fit_a_datagram() {
        let longest = some_packets().iter().map(Vec::len).max();
        assert!(longest <= Some(MAX_DATAGRAM_LEN), "{longest:?}");
    }

    #[test]
    fn no_reply_to_an_unverified_address_is_larger_than_what_it_sent() {
        let sizes: Vec<usize> = some_packets().iter().map(Vec::len).collect();
        let (hello, retry, smallest_fragment) = (sizes[0], sizes[1], sizes[2]);
        assert!(retry <= hello && retry <= smallest_fragment, "{sizes:?}");
    }

    #[test]
    fn cut_or_lengthened_packets_are_refused() {
        for packet in some_packets() {
            for len in 0..packet.len() {
                assert!(Packet::parse(&packet[..len]).is_err(), "{len} of {}", packet.len());
            }
            assert!(Packet::parse(&[&packet[..], &[0]].concat()).is_err(), "{}", packet.len());
        }
    }

    #[test]
    fn a_side_can_not_send_the_other_sides_messages() {
        for mut packet in some_packets() {
            match packet[4] {
                FROM_INITIATOR => {
                    packet.drain(21..38);
                    packet[4] = FROM_RESPONDER;
                }
                FROM_RESPONDER => {
                    packet.splice(21..21, [7; COOKIE_LEN]);
                    packet[4] = FROM_INITIATOR;
                }
                _ => continue,
            }
            assert!(Packet::parse(&packet).is_err());
        }
        // A body in which the acknowledgement alone is right.
        let id = HandshakeId::of(b"an offer");
        let cookie = Cookie::from_bytes([7; COOKIE_LEN]);
        let part = |message, bytes| Some(Fragment { message, total: 1_290, index: 1, bytes });
        let verdict = Some(Fragment { message: Message::Verdict, total: 32, index: 0, bytes: &[0; 32] });
        let ack = |message| Ack { message, bits: 0 };
        for wrong in [
            Packet::FromInitiator { id, cookie, fragment: verdict, ack: ack(Message::Answer) },
            Packet::FromResponder { id, fragment: part(Message::Offer, &[0; 138]), ack: ack(Message::Offer) },
        ] {
            assert!(Packet::parse(&wrong.to_bytes()).is_err());
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_written_the_same(
            which in 0usize..7,
            changes in proptest::collection::vec((0usize..64, any::<u8>()), 0..4),
        ) {
            let mut bytes = some_packets()[which].clone();
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert_eq!(packet.to_bytes(), bytes);
            }
        }
    }
}
