//! Links from end to end: what one side sends, through losses, reorder and repeats, is what the other takes.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_wire::{
    AwsLc, ChunkHeader, Error, HEADER_LEN, HopKeys, HopReceiver, HopSender, HopSuite, LinkRefusal, LinkSeq,
    Portable, SealedChunk,
};
use core_types::{ChunkSeq, CodecId, Epoch, Layer, Marks, StreamId};
use proptest::prelude::*;
use std::collections::HashMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Full,
    Bind,
    Transport,
}

const KINDS: [Kind; 3] = [Kind::Full, Kind::Bind, Kind::Transport];

fn suite<A: av_wire::Aead>(kind: Kind) -> HopSuite<A> {
    let keys = || HopKeys::new(&[0x6b; 32], &[0x51; 12]).unwrap();
    match kind {
        Kind::Full => HopSuite::Full(keys()),
        Kind::Bind => HopSuite::Bind(keys()),
        Kind::Transport => HopSuite::TransportSealed,
    }
}

fn link(kind: Kind) -> (HopSender, HopReceiver) {
    (HopSender::new(suite(kind)), HopReceiver::new(suite(kind)))
}

/// A chunk with its header and a body that looks sealed.
fn chunk(stream: u8, epoch: u64, seq: u64, layer: Layer) -> Vec<u8> {
    let header = ChunkHeader {
        stream_id: StreamId([stream; 32]),
        epoch: Epoch(epoch),
        chunk_seq: ChunkSeq(seq),
        codec: CodecId::Av1,
        layer,
        marks: Marks::from_bits((seq % 12) as u8).unwrap(),
    };
    let mut bytes = header.to_bytes().unwrap().to_vec();
    bytes.extend((0..40).map(|n| (seq as u8).wrapping_mul(31) ^ n ^ stream));
    bytes
}

fn base(seq: u64) -> Vec<u8> {
    chunk(1, 1, seq, Layer::BASE)
}

fn send(sender: &mut HopSender, chunk: &[u8]) -> Vec<u8> {
    let mut out = vec![0; chunk.len() + HopSender::<AwsLc>::MAX_GROWTH];
    let len = sender.seal_into(&SealedChunk::parse(chunk).unwrap(), &mut out).unwrap();
    out.truncate(len);
    out
}

fn take(receiver: &mut HopReceiver, mut datagram: Vec<u8>) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    receiver.open(&mut datagram)?.write(&mut out);
    Ok(out)
}

fn refusal(result: &Result<Vec<u8>, Error>) -> Option<LinkRefusal> {
    match result {
        Err(Error::Link { why, .. }) => Some(*why),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy)]
struct Step {
    stream: u8,
    new_epoch: bool,
    jump: i64,
    layer: u8,
    lost: bool,
    late: u64,
    twice: bool,
    rebind: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let jump = prop_oneof![30 => Just(1i64), 3 => 2i64..20, 1 => -300i64..300, 1 => 60_000i64..80_000, 1 => 1i64 << 20..1 << 40];
    (
        0u8..4,
        prop::bool::weighted(0.02),
        jump,
        0u8..3,
        prop::bool::weighted(0.25),
        0u64..60,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.01),
    )
        .prop_map(|(stream, new_epoch, jump, layer, lost, late, twice, rebind)| Step {
            stream,
            new_epoch,
            jump,
            layer: layer / 2,
            lost,
            late,
            twice,
            rebind,
        })
}

/// A publisher's streams as a model: the chunks in order.
#[derive(Default)]
struct Source(HashMap<u8, (u64, u64)>);

impl Source {
    fn next(&mut self, step: &Step) -> Vec<u8> {
        let (epoch, seq) = self.0.entry(step.stream).or_insert((13, 0));
        if step.new_epoch {
            (*epoch, *seq) = (*epoch + 1, 0);
        } else {
            *seq = seq.saturating_add_signed(step.jump);
        }
        chunk(step.stream, *epoch, *seq, Layer { spatial: step.layer, ..Layer::BASE })
    }
}

proptest! {
    #[test]
    fn every_chunk_taken_is_the_one_that_was_sent(kind in prop::sample::select(&KINDS[..]), steps in prop::collection::vec(step(), 1..600)) {
        let ((mut sender, mut receiver), mut source) = (link(kind), Source::default());
        let mut under_way = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let sent = source.next(step);
            if step.rebind {
                sender.rebind(StreamId([step.stream; 32]));
            }
            prop_assert_eq!(sender.next_seq(), LinkSeq(number as u64));
            let datagram = send(&mut sender, &sent);
            if !step.lost {
                under_way.push((number as u64 + step.late, number, datagram.clone(), sent.clone()));
            }
            if step.twice {
                under_way.push((number as u64 + step.late + 7, number, datagram, sent));
            }
        }
        under_way.sort_by_key(|(arrival, ..)| *arrival);
        let mut taken = vec![false; steps.len()];
        for (_, number, datagram, sent) in under_way {
            let compact = datagram[0] & 0x80 == 0;
            let result = take(&mut receiver, datagram);
            if result.is_ok() {
                prop_assert_eq!(result.as_ref(), Ok(&sent));
                prop_assert!(!taken[number], "{} was taken twice", number);
                taken[number] = true;
            } else {
                let why = refusal(&result);
                prop_assert!(
                    why == Some(LinkRefusal::Replayed) && taken[number] || why == Some(LinkRefusal::Unbound) && compact,
                    "{:?}", result
                );
            }
        }
    }

    #[test]
    fn without_loss_every_chunk_is_taken(kind in prop::sample::select(&KINDS[..]), steps in prop::collection::vec(step(), 1..600)) {
        let ((mut sender, mut receiver), mut source) = (link(kind), Source::default());
        for step in &steps {
            let sent = source.next(step);
            let datagram = send(&mut sender, &sent);
            prop_assert_eq!(take(&mut receiver, datagram), Ok(sent));
        }
    }

    #[test]
    fn after_losses_a_stream_misses_less_than_256_chunks(kind in prop::sample::select(&KINDS[..]), steps in prop::collection::vec(step(), 1..200)) {
        let ((mut sender, mut receiver), mut source) = (link(kind), Source::default());
        for step in &steps {
            send(&mut sender, &source.next(step));
        }
        let calm = Step { stream: 0, new_epoch: false, jump: 1, layer: 0, lost: false, late: 0, twice: false, rebind: false };
        let missed = (0..400).filter(|_| {
            let datagram = send(&mut sender, &source.next(&calm));
            take(&mut receiver, datagram).is_err()
        }).count();
        prop_assert!(missed < 256, "{}", missed);
    }

    #[test]
    fn nothing_altered_is_taken_on_a_sealed_link(full: bool, warm in 0u64..6, at: prop::sample::Index, bit in 0u8..8) {
        let kind = if full { Kind::Full } else { Kind::Bind };
        let (mut sender, mut receiver) = link(kind);
        for seq in 0..warm {
            let datagram = send(&mut sender, &base(seq));
            take(&mut receiver, datagram).unwrap();
        }
        let (sent, before) = (base(warm), receiver.highest());
        let datagram = send(&mut sender, &sent);
        let head = if datagram[0] & 0x80 == 0 { 8 } else { 60 };
        // Suite `bind` leaves the payload, all but the inner tag, to the inner seal.
        let payload = head..datagram.len() - 32;
        let at = at.index(datagram.len());
        prop_assume!(full || !payload.contains(&at));
        let mut altered = datagram.clone();
        altered[at] ^= 1 << bit;
        prop_assert!(take(&mut receiver, altered).is_err());
        prop_assert_eq!(receiver.highest(), before);
        // The forgery left no trace: the real one is taken.
        prop_assert_eq!(take(&mut receiver, datagram), Ok(sent));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_pass_a_seal(full: bool, mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (mut sender, mut receiver) = link(if full { Kind::Full } else { Kind::Bind });
        let datagram = send(&mut sender, &base(0));
        take(&mut receiver, datagram).unwrap();
        prop_assert!(receiver.open(&mut bytes).is_err());
        let _ = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed).open(&mut bytes);
    }

    #[test]
    fn both_implementations_make_the_same_datagrams(full: bool, count in 1u64..6) {
        let kind = if full { Kind::Full } else { Kind::Bind };
        let mut fast: HopSender<AwsLc> = HopSender::new(suite(kind));
        let mut portable: HopSender<Portable> = HopSender::new(suite(kind));
        let mut receiver: HopReceiver<Portable> = HopReceiver::new(suite(kind));
        for seq in 0..count {
            let sent = base(seq);
            let (mut one, mut other) = ([0; 200], [0; 200]);
            let parsed = SealedChunk::parse(&sent).unwrap();
            let len = fast.seal_into(&parsed, &mut one).unwrap();
            prop_assert_eq!(portable.seal_into(&parsed, &mut other), Ok(len));
            prop_assert_eq!(one, other);
            let mut out = Vec::new();
            receiver.open(&mut one[..len]).unwrap().write(&mut out);
            prop_assert_eq!(&out, &sent);
        }
    }
}

/// Re-subscribing, here saying the whole header anew, must not start the link's counter again: that is nonce reuse.
#[test]
fn defect_resubscribing_restarts_link_seq() {
    let (mut sender, mut receiver) = link(Kind::Full);
    let mut bodies = std::collections::HashSet::new();
    for round in 0..50u64 {
        sender.rebind(StreamId([1; 32]));
        assert_eq!(sender.next_seq(), LinkSeq(round));
        let datagram = send(&mut sender, &base(0));
        assert_eq!(datagram[0] & 0x80, 0x80);
        assert!(bodies.insert(datagram[60..].to_vec()), "the same key stream twice");
        take(&mut receiver, datagram).unwrap();
    }
}

/// A link number that is not on the wire breaks the link for ever when one datagram is lost.
#[test]
fn defect_implicit_link_seq_breaks_after_one_loss() {
    for kind in KINDS {
        let (mut sender, mut receiver) = link(kind);
        for seq in 0..100 {
            let datagram = send(&mut sender, &base(seq));
            if seq % 10 != 5 {
                assert_eq!(take(&mut receiver, datagram).unwrap(), base(seq), "{kind:?}");
            }
        }
    }
}

/// Each datagram is taken once, however late it comes again, and one that is late for the first time is taken.
#[test]
fn defect_no_replay_check() {
    for kind in KINDS {
        let (mut sender, mut receiver) = link(kind);
        let sent: Vec<Vec<u8>> = (0..6_000).map(|seq| send(&mut sender, &base(seq))).collect();
        for (seq, datagram) in sent.iter().enumerate().filter(|(seq, _)| *seq != 3_900 && *seq != 1_000) {
            assert!(take(&mut receiver, datagram.clone()).is_ok(), "{kind:?} {seq}");
        }
        let again = take(&mut receiver, sent[5_000].clone());
        assert_eq!(refusal(&again), Some(LinkRefusal::Replayed));
        assert!(take(&mut receiver, sent[3_900].clone()).is_ok(), "2,100 late is not too late");
        assert_eq!(refusal(&take(&mut receiver, sent[1_000].clone())), Some(LinkRefusal::Replayed));
    }
}

/// The hop header is under the hop tag, and the nonce is salt XOR number: an independent AES-GCM opens it.
#[test]
fn defect_hash_truncated_nonces() {
    use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
    let (mut sender, _) = link(Kind::Full);
    for seq in 0..5u64 {
        let sent = base(seq);
        let datagram = send(&mut sender, &sent);
        let (head, body) = datagram.split_at(if datagram[0] & 0x80 == 0 { 8 } else { 60 });
        let mut nonce = [0x51; 12];
        nonce[11] ^= seq as u8;
        let mut aad = head[..8].to_vec();
        aad.extend_from_slice(&sent[..HEADER_LEN]);
        let cipher = Aes256Gcm::new(&[0x6b; 32].into());
        let mut text = body.to_vec();
        cipher.decrypt_in_place(&nonce.into(), &aad, &mut text).unwrap();
        assert_eq!(text, &sent[HEADER_LEN..]);
    }
}

/// What suite `bind` covers, put together from the specification and checked by an independent AES-GCM.
#[test]
fn bind_covers_header_tag_length_and_prefix() {
    use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
    let (mut sender, _) = link(Kind::Bind);
    let mut lengths = std::collections::BTreeSet::new();
    for seq in 0..12u64 {
        let layer = Layer { spatial: (seq % 2) as u8, ..Layer::BASE };
        let sent = chunk(1, 1, seq, layer);
        let datagram = send(&mut sender, &sent);
        let whole = datagram[0] & 0x80 != 0;
        let prefix = if !whole && datagram[0] & 0x40 != 0 { 10 } else { 8 };
        let (head, tag) = datagram.split_at(datagram.len() - 16);
        let body = &head[if whole { 60 } else { prefix }..];
        assert_eq!(body, &sent[HEADER_LEN..]);
        let mut aad = sent[..48].to_vec();
        aad.extend_from_slice(&body[body.len() - 16..]);
        aad.extend_from_slice(&sent[48..52]);
        aad.extend_from_slice(&(body.len() as u32).to_be_bytes());
        aad.extend_from_slice(&head[..prefix]);
        aad.resize(if prefix == 10 { 96 } else { 80 }, 0);
        let mut nonce = [0x51; 12];
        nonce[11] ^= seq as u8;
        let cipher = Aes256Gcm::new(&[0x6b; 32].into());
        let mut nothing = tag.to_vec();
        cipher.decrypt_in_place(&nonce.into(), &aad, &mut nothing).unwrap();
        lengths.insert((whole, prefix));
    }
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [(false, 8), (false, 10), (true, 8)]);
}

#[test]
fn defect_no_size_limits() {
    let (mut sender, mut receiver) = link(Kind::Transport);
    let mut whole = send(&mut sender, &base(0));
    whole.resize(60 + 65_536 - 52, 7);
    assert!(take(&mut receiver, whole.clone()).is_ok(), "the largest chunk");
    whole[7] = 1;
    whole.push(7);
    assert!(matches!(take(&mut receiver, whole.clone()), Err(Error::TooLarge { .. })));
    whole.resize(1 << 20, 7);
    assert!(matches!(take(&mut receiver, whole.clone()), Err(Error::TooLarge { .. })));
    whole.truncate(60 + 16);
    assert!(matches!(take(&mut receiver, whole), Err(Error::Truncated { .. })));
    assert!(SealedChunk::parse(&[1; 65_537]).is_err());
}

#[test]
fn suites_and_directions_are_not_mistaken_for_one_another() {
    for (one, other) in [(Kind::Full, Kind::Bind), (Kind::Bind, Kind::Full)] {
        let mut sender = HopSender::new(suite(one));
        let mut receiver = HopReceiver::new(suite(other));
        let datagram = send(&mut sender, &base(0));
        assert_eq!(refusal(&take(&mut receiver, datagram)), Some(LinkRefusal::NotAuthentic));
    }
    let keys = HopKeys::new(&[0x6b; 32], &[0x52; 12]).unwrap();
    let mut back = HopReceiver::new(HopSuite::Full(keys));
    let (mut sender, _) = link(Kind::Full);
    let datagram = send(&mut sender, &base(0));
    assert_eq!(refusal(&take(&mut back, datagram)), Some(LinkRefusal::NotAuthentic));
}

#[test]
fn only_a_transport_that_seals_vouches_for_whole_chunks() {
    for kind in KINDS {
        let (_, mut receiver) = link(kind);
        let mut sent = base(0);
        assert_eq!(receiver.open_whole(&mut sent).is_ok(), kind == Kind::Transport);
    }
}

#[test]
fn parts_beside_the_payload_are_the_same_datagram() {
    for kind in [Kind::Bind, Kind::Transport] {
        let ((mut whole, _), (mut parts, _)) = (link(kind), link(kind));
        for seq in 0..5 {
            let sent = base(seq);
            let chunk = SealedChunk::parse(&sent).unwrap();
            let made = parts.seal_by_reference(&chunk).unwrap();
            assert_eq!(send(&mut whole, &sent), [made.head(), chunk.body(), made.tag()].concat());
        }
    }
    let sent = base(0);
    let (mut full, _) = link(Kind::Full);
    assert!(full.seal_by_reference(&SealedChunk::parse(&sent).unwrap()).is_err());
    assert_eq!(full.next_seq(), LinkSeq(0), "a refusal costs no number");
    assert!(full.seal_into(&SealedChunk::parse(&sent).unwrap(), &mut [0; 60]).is_err());
    assert_eq!(full.next_seq(), LinkSeq(0));
}
