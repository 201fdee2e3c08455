//! Aliases against a model, with numbers so small that everything rare comes often: aliases run out and are bound again,
//! bindings are evicted and expire, windows are left, epochs change. What the receiver makes of a header is what was sent,
//! or nothing.

use super::bound::Incoming;
use super::layout::{HopHeader, Written};
use super::table::Outgoing;
use super::{Geometry, HopKeys, HopReceiver, HopSender, HopSuite, LinkRefusal, LinkSeq, SealedChunk};
use crate::{AwsLc, ChunkHeader, Error, HEADER_LEN};
use core_types::{ChunkSeq, CodecId, Epoch, Layer, Marks, StreamId};
use proptest::prelude::*;
use std::collections::HashMap;

const SMALL: Geometry = Geometry { reach: 48, reorder: 12, aliases: 8, streams: 3, bindings: 12, repeat: 8 };

/// Aliases enough for a receiver to have to forget bindings.
const CHURNING: Geometry = Geometry { aliases: 64, bindings: 9, ..SMALL };

fn geometry() -> impl Strategy<Value = Geometry> {
    prop::sample::select(&[SMALL, CHURNING][..])
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
}

fn step() -> impl Strategy<Value = Step> {
    let jump = prop_oneof![
        20 => Just(1i64),
        2 => 2i64..20,
        1 => -40_000i64..40_000,
        1 => Just(70_000i64),
        1 => 1i64 << 20..1 << 40,
    ];
    (
        0u8..5,
        prop::bool::weighted(0.05),
        jump,
        0u8..2,
        prop::bool::weighted(0.3),
        0..SMALL.reorder,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(stream, new_epoch, jump, layer, lost, late, twice)| Step {
            stream: stream * stream / 4,
            new_epoch,
            jump,
            layer,
            lost,
            late,
            twice,
        })
}

/// The sender's chunks: a header a step.
#[derive(Default)]
struct Chunks(HashMap<u8, (u64, u64)>);

impl Chunks {
    fn next(&mut self, step: &Step) -> ChunkHeader {
        let (epoch, seq) = self.0.entry(step.stream).or_insert((9, 0));
        if step.new_epoch {
            (*epoch, *seq) = (*epoch + 1, 0);
        } else {
            *seq = seq.saturating_add_signed(step.jump);
        }
        ChunkHeader {
            stream_id: StreamId([step.stream; 32]),
            epoch: Epoch(*epoch),
            chunk_seq: ChunkSeq(*seq),
            codec: CodecId::Av1,
            layer: Layer { temporal: step.layer, quality: step.layer * 15, ..Layer::BASE },
            marks: Marks::from_bits((*seq % 12) as u8).unwrap(),
        }
    }
}

struct Link {
    geometry: Geometry,
    out: Outgoing,
    incoming: Incoming,
    next: u64,
}

impl Link {
    fn new(geometry: Geometry) -> Self {
        Self { geometry, out: Outgoing::new(geometry), incoming: Incoming::new(geometry), next: 0 }
    }

    fn send(&mut self, header: &ChunkHeader) -> (LinkSeq, HopHeader) {
        let seq = LinkSeq(self.next);
        self.next += 1;
        let written = write(&mut self.out, seq, header, &header.to_bytes().unwrap());
        (seq, HopHeader::parse(written.bytes()).unwrap().0)
    }

    /// What the receiver makes of it.
    fn receive(&mut self, seq: LinkSeq, hop: &HopHeader) -> Result<ChunkHeader, LinkRefusal> {
        let header = self.incoming.read(hop, seq)?;
        self.incoming.learn(hop)?;
        assert!(self.incoming.len() <= self.geometry.bindings);
        Ok(header)
    }
}

fn write(out: &mut Outgoing, seq: LinkSeq, header: &ChunkHeader, bytes: &[u8; HEADER_LEN]) -> Written {
    let mut head = Written::EMPTY;
    out.write(seq, header, bytes, &mut head);
    head
}

fn is_compact(hop: &HopHeader) -> bool {
    matches!(hop, HopHeader::Compact { .. })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_taken_is_what_was_sent(geometry in geometry(), steps in prop::collection::vec(step(), 1..400)) {
        let (mut link, mut chunks) = (Link::new(geometry), Chunks::default());
        let mut under_way = Vec::new();
        for step in &steps {
            let header = chunks.next(step);
            let (seq, hop) = link.send(&header);
            for copy in 0..1 + u64::from(step.twice) {
                if !step.lost {
                    under_way.push((seq.0 + (step.late + copy * 5) % SMALL.reorder, seq, hop, header));
                }
            }
        }
        under_way.sort_by_key(|(arrival, ..)| *arrival);
        for (_, seq, hop, header) in under_way {
            match link.receive(seq, &hop) {
                Ok(read) => prop_assert_eq!(read, header, "datagram {}", seq),
                Err(why) => prop_assert!(why == LinkRefusal::Unbound && is_compact(&hop), "{} {}", why, seq),
            }
        }
    }

    #[test]
    fn without_loss_everything_is_taken(geometry in geometry(), steps in prop::collection::vec(step(), 1..400)) {
        let (mut link, mut chunks) = (Link::new(geometry), Chunks::default());
        for step in &steps {
            let header = chunks.next(step);
            let (seq, hop) = link.send(&header);
            prop_assert_eq!(link.receive(seq, &hop), Ok(header), "datagram {}", seq);
        }
    }

    #[test]
    fn after_losses_a_stream_misses_less_than_its_repetition(geometry in geometry(), steps in prop::collection::vec(step(), 1..200)) {
        let (mut link, mut chunks) = (Link::new(geometry), Chunks::default());
        for step in &steps {
            let (seq, hop) = link.send(&chunks.next(step));
            if !step.lost {
                let _ = link.receive(seq, &hop);
            }
        }
        for stream in 0..3u8 {
            let step = Step { stream, new_epoch: false, jump: 1, layer: 0, lost: false, late: 0, twice: false };
            let taken: Vec<bool> = (0..40)
                .map(|_| {
                    let header = chunks.next(&step);
                    let (seq, hop) = link.send(&header);
                    link.receive(seq, &hop) == Ok(header)
                })
                .collect();
            let missed = taken.iter().filter(|taken| !**taken).count();
            prop_assert!(missed < SMALL.repeat as usize, "stream {}: {:?}", stream, taken);
        }
    }
}

fn header(stream: u8, epoch: u64, seq: u64) -> ChunkHeader {
    ChunkHeader {
        stream_id: StreamId([stream; 32]),
        epoch: Epoch(epoch),
        chunk_seq: ChunkSeq(seq),
        codec: CodecId::Av1,
        layer: Layer::BASE,
        marks: Marks::NONE,
    }
}

#[test]
fn an_alias_in_use_is_not_bound_to_another_stream() {
    let mut link = Link::new(SMALL);
    let (seq, whole) = link.send(&header(1, 1, 0));
    link.receive(seq, &whole).unwrap();
    let HopHeader::Whole { binds, .. } = whole else { panic!("the first header is whole") };
    let hijack = HopHeader::Whole { link_seq: LinkSeq(1), binds, header: header(2, 1, 0) };
    assert_eq!(link.receive(LinkSeq(1), &hijack), Err(LinkRefusal::AliasInUse));
    let next = (1..4).map(|n| link.send(&header(1, 1, n))).last().unwrap();
    assert!(is_compact(&next.1));
    assert_eq!(link.receive(next.0, &next.1), Ok(header(1, 1, 3)));
}

#[test]
fn late_chunks_of_a_former_epoch_do_not_undo_the_binding() {
    let mut link = Link::new(SMALL);
    for n in 0..5 {
        link.send(&header(1, 2, n));
    }
    assert!(matches!(link.send(&header(1, 1, 900)).1, HopHeader::Whole { binds: None, .. }));
    assert!(is_compact(&link.send(&header(1, 2, 5)).1));
}

#[test]
fn the_whole_header_is_said_again_on_a_schedule() {
    let mut out = Outgoing::new(Geometry::WIRE);
    let bytes = header(1, 1, 0).to_bytes().unwrap();
    let whole: Vec<u64> = (0..1_100)
        .filter(|n| write(&mut out, LinkSeq(*n), &header(1, 1, *n), &bytes).bytes().len() == 60)
        .collect();
    assert_eq!(whole, [0, 1, 2, 8, 16, 32, 64, 128, 256, 512, 768, 1_024]);
    // A stream that sends rarely: the receiver must not forget it in between.
    let rare: Vec<bool> = (1..5)
        .map(|n| {
            write(&mut out, LinkSeq(n * 8_192 + 1_024), &header(1, 1, 1_025), &bytes).bytes().len() == 60
        })
        .collect();
    assert_eq!(rare, [true; 4]);
    out.rebind(StreamId([1; 32]));
    assert_eq!(write(&mut out, LinkSeq(40_000), &header(1, 1, 1_026), &bytes).bytes().len(), 60);
}

#[test]
fn an_alias_is_bound_again_only_when_nobody_can_remember_it() {
    let mut out = Outgoing::new(SMALL);
    let mut send = |link: u64, stream: u8| {
        let header = header(stream, 1, 0);
        let written = write(&mut out, LinkSeq(link), &header, &header.to_bytes().unwrap());
        match HopHeader::parse(written.bytes()).unwrap().0 {
            HopHeader::Whole { binds, .. } => binds.map(|(alias, _)| alias.0),
            HopHeader::Compact { .. } => panic!("a new stream has no alias"),
        }
    };
    // Each new stream beyond the third takes the place of one that was silent: at numbers 3, 4, 5, 6 and 7.
    for n in 0..8 {
        assert_eq!(send(n, n as u8), Some(n as u16));
    }
    assert_eq!(send(8, 8), None, "all eight are taken");
    assert_eq!(send(3 + 48 + 12, 9), None);
    assert_eq!(send(3 + 48 + 12 + 1, 9), Some(0));
}

#[test]
fn a_binding_holds_for_its_reach_and_no_longer() {
    let mut incoming = Incoming::new(SMALL);
    let mut out = Outgoing::new(SMALL);
    let of = |out: &mut Outgoing, link| {
        let header = header(1, 1, 0);
        HopHeader::parse(write(out, LinkSeq(link), &header, &header.to_bytes().unwrap()).bytes()).unwrap().0
    };
    incoming.learn(&of(&mut out, 100)).unwrap();
    incoming.learn(&of(&mut out, 110)).unwrap();
    let compact = (111..115).map(|link| of(&mut out, link)).last().unwrap();
    assert!(is_compact(&compact));
    let taken: Vec<u64> = (0..300).filter(|at| incoming.read(&compact, LinkSeq(*at)).is_ok()).collect();
    assert_eq!(taken, (100 - 12 + 1..=110 + 48).collect::<Vec<u64>>());
}

/// An outage of 2^24 datagrams, more than a compact header can tell: the guess at the number is wrong, so it must not
/// authenticate, and the next whole header mends it.
#[test]
fn a_wrong_guess_at_the_link_number_does_not_authenticate() {
    let keys = || HopKeys::<AwsLc>::new(&[1; 32], &[2; 12]).unwrap();
    for suite in [HopSuite::Full as fn(HopKeys) -> HopSuite, HopSuite::Bind] {
        let (mut sender, mut receiver) = (HopSender::new(suite(keys())), HopReceiver::new(suite(keys())));
        let send = |sender: &mut HopSender, seq| {
            let mut chunk = header(1, 1, seq).to_bytes().unwrap().to_vec();
            chunk.extend_from_slice(&[7; 40]);
            let mut out = vec![0; 200];
            let len = sender.seal_into(&SealedChunk::parse(&chunk).unwrap(), &mut out).unwrap();
            out.truncate(len);
            out
        };
        for seq in 0..4 {
            receiver.open(&mut send(&mut sender, seq)).unwrap();
        }
        sender.next = LinkSeq(sender.next.0 + (1 << 24));
        assert_eq!(send(&mut sender, 4)[0] & 0x80, 0x80, "lost as well");
        let mut compact = send(&mut sender, 5);
        assert_eq!(compact[0] & 0x80, 0);
        let why = LinkRefusal::NotAuthentic;
        assert_eq!(receiver.open(&mut compact).unwrap_err(), Error::Link { seq: Some(LinkSeq(5)), why });
        sender.rebind(StreamId([1; 32]));
        receiver.open(&mut send(&mut sender, 6)).unwrap();
        for seq in 7..12 {
            receiver.open(&mut send(&mut sender, seq)).unwrap();
        }
    }
}
