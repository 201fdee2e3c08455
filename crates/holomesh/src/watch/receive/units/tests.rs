//! Sound from seals to objects, with chunks missing.

use super::super::Received;
use super::*;
use crate::publish::{Coded, OutStream, PictureToSeal, announce};
use crate::watch::proofs::Proofs;
use alm::Action;
use av_wire::{Inner, Object, Place, Sealer, StreamAnnounce, StreamKeys};
use codec_fountain::Pace;
use core_types::{CodecId, LayerPolicy, LeafIndex, LinkId, Marks, MediaTime, ObjectClass};
use identity::{Identity, Seed};
use std::collections::BTreeMap;
use std::time::Duration;

const FRAME: Duration = Duration::from_millis(20);
const PARENT: LinkId = LinkId(1);

const fn secret(epoch: u64) -> [u8; 32] {
    [epoch as u8; 32]
}

/// What is said at a time, as an object: of different length each time.
fn said(number: u64) -> Vec<u8> {
    let len = 60 + (number * 37 % 50) as usize;
    (0..len).map(|at| (number as usize * 31 + at * 7) as u8).collect()
}

/// A publisher, a receiver, and what came out of that.
struct Lab {
    out: OutStream,
    incoming: InStream,
    identity: Identity,
    announce: StreamAnnounce,
    now: MonoTime,
    sent: u64,
    /// What was heard of each object: when, and whether units gave it back.
    heard: BTreeMap<u64, (MonoTime, bool)>,
}

fn lab(parents: u8) -> Lab {
    let identity = Identity::from_seed(&Seed([1; 64])).unwrap();
    let announce = announce(StreamKind::Audio, identity.key_id(), parents);
    let out = OutStream::new(StreamKind::Audio, announce.clone(), &identity).unwrap();
    let incoming =
        InStream::new(announce.clone(), identity.public(), Proofs::Flag, LayerPolicy::UNCAPPED).unwrap();
    let now = MonoTime::from_millis(1_000);
    let mut lab = Lab { out, incoming, identity, announce, now, sent: 0, heard: BTreeMap::new() };
    (1..=u64::from(parents)).for_each(|link| lab.incoming.subscription.add_parent(now, LinkId(link)));
    lab.out.enter_epoch(Epoch(1), &secret(1), LeafIndex(0)).unwrap();
    lab.incoming.install(now, Epoch(1), &secret(1), LeafIndex(0)).unwrap();
    while lab.incoming.subscription.poll_action().is_some() {}
    lab
}

impl Lab {
    /// The next packet, and the proofs that are due, as chunks.
    fn say(&mut self) -> Vec<Bytes> {
        self.now = self.now.plus(FRAME);
        let payload = said(self.sent);
        let pts = MediaTime::from_duration(FRAME * self.sent as u32);
        let flags = ObjectFlags::default();
        let object = Object { flags, pts, duration: FRAME, picture: None, payload: &payload };
        let mut chunks = self.out.seal(self.now, &object).unwrap().chunks;
        chunks.extend(self.out.prove_due(self.now, &self.identity).unwrap());
        self.sent += 1;
        chunks
    }

    /// Nothing is said for the time of a packet.
    fn rest(&mut self) -> Vec<Bytes> {
        self.now = self.now.plus(FRAME);
        self.out.skip().unwrap()
    }

    /// Chunks come, each from the parent that carries its stripe, unless they are lost.
    fn hear(&mut self, chunks: &[Bytes], lost: impl Fn(u64) -> bool) {
        for chunk in chunks {
            let number = ChunkHeader::parse(chunk).unwrap().chunk_seq.0;
            if !lost(number) {
                let link = LinkId(number % u64::from(self.announce.parents) + 1);
                self.incoming.handle_chunk(self.now, link, chunk, chunk.len());
            }
        }
        while let Some(Received { seq, payload, was_repaired, .. }) = self.incoming.proofs.poll_object() {
            assert_eq!(payload, said(seq.0), "object {seq}");
            assert_eq!(self.heard.insert(seq.0, (self.now, was_repaired)), None, "{seq} came twice");
        }
    }

    /// What was asked for again since.
    fn asked(&mut self) -> Vec<ChunkSeq> {
        let mut asked = Vec::new();
        while let Some(action) = self.incoming.subscription.poll_action() {
            if let Action::Request { chunks, .. } = action {
                asked.extend(chunks);
            }
        }
        asked
    }

    /// How long after it was sent each of these was here, in packets; `None` for what never was.
    fn lateness(&self, of: Range<u64>) -> Vec<Option<u128>> {
        let sent = |number: u64| MonoTime::from_millis(1_000 + 20 * (number + 1));
        of.map(|number| Some(self.heard.get(&number)?.0.since(sent(number)).as_millis() / 20)).collect()
    }
}

/// Whichever of the parents dies: what it took with it is here again with what the others bring, without anybody asked.
#[test]
fn sound_goes_on_as_it_was_sent_when_a_parent_is_gone() {
    for parents in 2..=9u8 {
        for gone in 0..u64::from(parents) {
            let mut lab = lab(parents);
            let (mut bytes, mut plain) = (0, 0);
            for number in 0..200 {
                let chunks = lab.say();
                bytes += chunks[0].len();
                plain += said(number).len() + 52 + 16 + 6;
                lab.hear(&chunks, |chunk| number >= 50 && chunk % u64::from(parents) == gone);
            }
            let lost = lab.incoming.stats.by_units;
            assert!(
                (130..=160).contains(&(lost * u64::from(parents))),
                "{lost} of 150 with {parents} parents"
            );
            // In the time in which a parent that died is found out and replaced, and after it.
            let late = lab.lateness(50..190).into_iter().map(Option::unwrap).filter(|late| *late > 0);
            let late: Vec<u128> = late.collect();
            let (soon, worst) = (late.iter().filter(|late| **late <= 3).count(), late.iter().max());
            assert!(worst <= Some(&5) && soon * 20 >= late.len() * 19, "{late:?} with {parents} parents");
            println!(
                "{parents} parents: {soon} of {} within 60 ms, {worst:?}; {bytes} bytes beside {plain}",
                late.len()
            );
        }
    }
}

#[test]
fn without_units_what_one_parent_takes_is_gone_until_it_is_asked_for() {
    let mut lab = lab(4);
    lab.out.set_pace(Pace::OFF);
    for number in 0..200 {
        let chunks = lab.say();
        lab.hear(&chunks, |chunk| number >= 50 && chunk % 4 == 1);
    }
    assert_eq!(lab.incoming.stats.by_units, 0);
    let missing = lab.lateness(50..200).into_iter().filter(Option::is_none).count();
    assert!((36..=39).contains(&missing), "{missing}");
}

#[test]
fn what_units_gave_back_is_not_asked_for() {
    for pace in [Pace::OFF, Pace::EACH] {
        let mut lab = lab(1);
        lab.out.set_pace(pace);
        let mut asked = Vec::new();
        for number in 0..100 {
            let chunks = lab.say();
            lab.hear(&chunks, |_| number % 10 == 7);
            lab.incoming.handle_timeout(lab.now.plus(FRAME / 2));
            asked.extend(lab.asked());
        }
        let given_back = if pace == Pace::OFF { 0 } else { 10 };
        assert_eq!(lab.incoming.stats.by_units, given_back);
        if given_back == 0 {
            assert!(asked.len() >= 10, "{asked:?}");
        } else {
            // But for one beside which there was a proof: then it is not known which chunk it was.
            assert!(asked.len() <= 2, "{asked:?}");
        }
    }
}

/// The window covers them, and no packet follows that would tell that they are missing.
#[test]
fn the_last_words_before_a_silence_are_given_back_by_units_alone() {
    let mut lab = lab(4);
    lab.out.set_pace(Pace::EACH);
    for number in 0..50 {
        let chunks = lab.say();
        lab.hear(&chunks, |_| number >= 47);
    }
    let mut marks = Vec::new();
    for _ in 0..20 {
        let chunks = lab.rest();
        marks.extend(chunks.iter().map(|chunk| ChunkHeader::parse(chunk).unwrap().marks));
        lab.hear(&chunks, |_| false);
    }
    let alone = Marks { class: ObjectClass::Discardable, start: true, repair: false };
    assert_eq!(marks, [alone; 8], "as many as a number has");
    assert_eq!(lab.lateness(47..50), [Some(5), Some(4), Some(3)]);
    // Then somebody speaks.
    for _ in 0..10 {
        let chunks = lab.say();
        lab.hear(&chunks, |_| false);
    }
    assert_eq!(lab.heard.len(), 60);
}

/// Of an epoch's last objects, units of the next one would tell something to who has its key alone.
#[test]
fn who_has_the_key_of_an_epoch_learns_nothing_of_the_one_before_from_units() {
    let mut lab = lab(4);
    lab.out.set_pace(Pace::EACH);
    let mut newcomer =
        InStream::new(lab.announce.clone(), lab.identity.public(), Proofs::Flag, LayerPolicy::UNCAPPED)
            .unwrap();
    newcomer.subscription.add_parent(lab.now, PARENT);
    newcomer.install(lab.now, Epoch(2), &secret(2), LeafIndex(0)).unwrap();
    let hear = |newcomer: &mut InStream, chunks: &[Bytes]| {
        chunks.iter().for_each(|chunk| newcomer.handle_chunk(MonoTime(0), PARENT, chunk, chunk.len()));
    };
    for number in 0..60 {
        if number == 30 {
            let last = lab.out.seal_units().unwrap();
            assert_eq!(last.len(), 1, "the last of the old epoch is protected under its own key");
            lab.hear(&last, |_| false);
            hear(&mut newcomer, &last);
            lab.out.enter_epoch(Epoch(2), &secret(2), LeafIndex(0)).unwrap();
            lab.incoming.install(lab.now, Epoch(2), &secret(2), LeafIndex(0)).unwrap();
        }
        let chunks = lab.say();
        hear(&mut newcomer, &chunks);
        lab.hear(&chunks, |_| number == 29 || number == 40);
    }
    let heard: Vec<u64> =
        std::iter::from_fn(|| newcomer.proofs.poll_object()).map(|object| object.seq.0).collect();
    assert_eq!(heard, (30..60).collect::<Vec<_>>());
    assert_eq!(newcomer.stats.by_units, 0);
    // Who was there has them all: one from the units at the end of its epoch.
    assert_eq!((lab.heard.len(), lab.incoming.stats.by_units), (60, 2));
}

/// Who was put out can seal in the old epoch as long as it opens: with a number far ahead there, as if all else were too old.
#[test]
fn what_is_made_up_in_an_old_epoch_spoils_no_units_of_the_new_one() {
    let mut lab = lab(4);
    lab.out.set_pace(Pace::EACH);
    for epoch in 1..=6 {
        if epoch > 1 {
            lab.out.enter_epoch(Epoch(epoch), &secret(epoch), LeafIndex(0)).unwrap();
            lab.incoming.install(lab.now, Epoch(epoch), &secret(epoch), LeafIndex(0)).unwrap();
            let keys: StreamKeys =
                StreamKeys::derive(&secret(epoch - 1), lab.out.id(), LeafIndex(0)).unwrap();
            let mut sealer = Sealer::new(keys, lab.out.id(), Epoch(epoch - 1), CodecId::Opus);
            let inner = Inner::Window { seq: ObjectSeq(1 << 40), body: &[0, 1] };
            let mut forged = Vec::new();
            (0..200).for_each(|_| forged = sealer.seal(Layer::BASE, &inner).unwrap());
            lab.hear(&[forged.into()], |_| false);
            assert_eq!(lab.incoming.stats.undecryptable, 0, "it opens");
        }
        for number in 0..30 {
            let chunks = lab.say();
            lab.hear(&chunks, |_| number == 15);
        }
        assert_eq!(lab.incoming.stats.by_units, epoch);
        assert_eq!(lab.incoming.units.decoders.len(), EPOCHS.min(epoch as usize));
    }
}

#[test]
fn the_end_of_a_stream_is_recorded_as_an_object_and_not_as_units_alone() {
    let mut lab = lab(4);
    lab.out.set_pace(Pace::EACH);
    lab.incoming.keep_pieces();
    for _ in 0..5 {
        let chunks = lab.say();
        lab.hear(&chunks, |_| false);
    }
    let nothing = [Coded { layer: Layer::BASE, class: ObjectClass::Plain, payload: Vec::new() }];
    let end =
        PictureToSeal { pts: MediaTime(0), duration: Duration::ZERO, end_of_stream: true, parts: &nothing };
    let mut chunks = lab.out.seal_picture(lab.now, &end).unwrap().chunks;
    chunks.extend(lab.out.seal_units().unwrap());
    lab.incoming.take_pieces();
    chunks.iter().for_each(|chunk| lab.incoming.handle_chunk(lab.now, PARENT, chunk, chunk.len()));
    let pieces = lab.incoming.take_pieces();
    let pieces: Vec<_> = pieces.iter().map(|piece| (piece.object.0, piece.id)).collect();
    assert_eq!(pieces, [(5, 0), (6, 1)], "the object, and units alone");
}

/// The last word was lost, and the first packet of the silence brings it back.
#[test]
fn what_is_given_back_in_a_silence_is_not_taken_for_its_end() {
    let mut lab = lab(4);
    lab.out.set_pace(Pace::EACH);
    for number in 0..10 {
        let chunks = lab.say();
        lab.hear(&chunks, |_| number == 9);
    }
    let long_after = lab.now.plus(Duration::from_secs(1));
    assert_eq!(lab.incoming.dues.lacking(long_after), 0b1111);
    let flags = ObjectFlags::default();
    let pts = MediaTime::from_duration(FRAME * 10);
    let silence = Object { flags, pts, duration: FRAME, picture: None, payload: &[0x08] };
    for chunk in lab.out.seal(lab.now, &silence).unwrap().chunks {
        lab.incoming.handle_chunk(lab.now, PARENT, &chunk, chunk.len());
    }
    assert_eq!(lab.incoming.stats.by_units, 1);
    assert_eq!(lab.incoming.dues.lacking(long_after), 0, "nobody is to blame for a silence");
}

#[test]
fn units_in_a_stream_of_pictures_are_left_out() {
    let identity = Identity::from_seed(&Seed([1; 64])).unwrap();
    for (kind, objects) in [(StreamKind::Video, 0), (StreamKind::Audio, 1)] {
        let announce = announce(kind, identity.key_id(), 1);
        let id = announce.stream_id().unwrap();
        let mut incoming =
            InStream::new(announce, identity.public(), Proofs::Flag, LayerPolicy::UNCAPPED).unwrap();
        incoming.install(MonoTime(0), Epoch(1), &secret(1), LeafIndex(0)).unwrap();
        let keys: StreamKeys = StreamKeys::derive(&secret(1), id, LeafIndex(0)).unwrap();
        let mut sealer = Sealer::new(keys, id, Epoch(1), CodecId::Av1);
        let object = Object {
            flags: ObjectFlags::default(),
            pts: MediaTime(0),
            duration: FRAME,
            picture: None,
            payload: b"anything",
        };
        let body = [&[0][..], &object.to_bytes().unwrap()].concat();
        let marks = Marks { class: ObjectClass::KeyFrame, start: true, repair: false };
        let place = Place { layer: Layer::BASE, marks };
        let chunk = sealer.seal(place, &Inner::Window { seq: ObjectSeq(0), body: &body }).unwrap();
        incoming.handle_chunk(MonoTime(0), PARENT, &chunk.into(), 100);
        let heard = std::iter::from_fn(|| incoming.proofs.poll_object()).count();
        assert_eq!(heard, objects, "{kind:?}");
    }
}
