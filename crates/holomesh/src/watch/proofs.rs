//! Holds what arrives against the publisher's proofs (spec 25), and lets it go to the player.

use super::receive::Received;
use crate::publish::StreamKind;
use av_wire::proof::{
    Event, Grade, Policy, ProofAssembler, ProofPart, ProverConfig, Verifier, VerifierConfig,
};
use clap::ValueEnum;
use core_types::{MonoTime, StreamId};
use identity::PublicIdentity;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a watcher does with objects that the publisher has not proven to be its own yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Proofs {
    /// Does not look at proofs: any member can pass for the publisher.
    Off,
    /// Plays at once, and reports what turns out to be forged or is not proven in time.
    #[default]
    Flag,
    /// Plays what is proven, at least by Ed25519, and nothing else; everything comes later for it.
    Strict,
}

impl Proofs {
    /// By how much later everything has to be played: with strict the time between interim proofs of the stream that
    /// has the fewest, the frame before the proof, and the proof's own way.
    pub fn added_delay(self) -> Duration {
        let every = |config: ProverConfig| config.interim_every.unwrap_or(config.hybrid_every);
        match self {
            Self::Off | Self::Flag => Duration::ZERO,
            Self::Strict => {
                every(ProverConfig::VIDEO).max(every(ProverConfig::AUDIO)) + Duration::from_millis(100)
            }
        }
    }

    const fn policy(self) -> Option<Policy> {
        match self {
            Self::Off => None,
            Self::Flag => Some(Policy::Flag),
            Self::Strict => Some(Policy::Strict(Grade::Interim)),
        }
    }
}

/// What the proofs said, counted over objects of pictures and sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProofStats {
    /// Objects held against proofs.
    pub objects: u64,
    /// Proven by Ed25519 and ML-DSA-65.
    pub hybrid: u64,
    /// Proven by Ed25519 alone, so far or for good.
    pub interim: u64,
    /// Not proven: not yet, or not in time.
    pub unproven: u64,
    /// Not the publisher's.
    pub forged: u64,
    /// Proofs that never came whole.
    pub lost_proofs: u64,
    /// Bytes of the chunks that carried proofs.
    pub bytes: u64,
}

impl std::ops::AddAssign for ProofStats {
    fn add_assign(&mut self, other: Self) {
        self.objects += other.objects;
        self.hybrid += other.hybrid;
        self.interim += other.interim;
        self.unproven += other.unproven;
        self.forged += other.forged;
        self.lost_proofs += other.lost_proofs;
        self.bytes += other.bytes;
    }
}

/// The proofs of one stream.
pub(super) struct ProofCheck {
    stream: StreamId,
    /// None: proofs are not looked at.
    verifier: Option<Verifier<Received>>,
    assembler: ProofAssembler,
    ready: VecDeque<Received>,
    bytes: u64,
    /// An object that no proof covered was reported: one line is enough, the rest is counted.
    uncovered_reported: bool,
}

impl ProofCheck {
    pub(super) fn new(
        stream: StreamId,
        kind: StreamKind,
        publisher: &PublicIdentity,
        proofs: Proofs,
    ) -> Self {
        let config = match kind {
            StreamKind::Video => VerifierConfig::video,
            StreamKind::Audio => VerifierConfig::audio,
        };
        let verifier = proofs.policy().map(|policy| Verifier::new(stream, publisher.clone(), config(policy)));
        Self {
            stream,
            verifier,
            assembler: ProofAssembler::new(),
            ready: VecDeque::new(),
            bytes: 0,
            uncovered_reported: false,
        }
    }

    /// Takes an object: what was sealed, and what it was read as.
    pub(super) fn handle_object(&mut self, now: MonoTime, sealed: &[u8], object: Received) {
        match &mut self.verifier {
            Some(verifier) => verifier.handle_object(now, object.seq, object.pts, sealed, object),
            None => self.ready.push_back(object),
        }
        self.drain();
    }

    /// Takes a piece of a proof, from a chunk that took so many bytes on its link.
    pub(super) fn handle_part(&mut self, now: MonoTime, part: &[u8], carried: usize) {
        self.bytes += carried as u64;
        let Some(verifier) = &mut self.verifier else { return };
        let part = match ProofPart::parse(part) {
            Ok(part) => part,
            Err(error) => return tracing::debug!(%error, "a piece of a proof of no use"),
        };
        if let Some(proof) = self.assembler.push(&part)
            && let Err(error) = verifier.handle_proof(now, &proof)
        {
            tracing::warn!(stream = %self.stream.short(), %error, "a proof that is not the publisher's");
        }
        self.drain();
    }

    pub(super) fn handle_timeout(&mut self, now: MonoTime) {
        if let Some(verifier) = &mut self.verifier {
            verifier.handle_timeout(now);
        }
        self.drain();
    }

    pub(super) fn poll_timeout(&self) -> Option<MonoTime> {
        self.verifier.as_ref().and_then(Verifier::poll_timeout)
    }

    /// The next object that may be played.
    pub(super) fn poll_object(&mut self) -> Option<Received> {
        self.ready.pop_front()
    }

    pub(super) fn stats(&self) -> ProofStats {
        let stats = self.verifier.as_ref().map(Verifier::stats).unwrap_or_default();
        ProofStats {
            objects: stats.objects,
            hybrid: stats.hybrid,
            interim: stats.interim,
            unproven: stats.unproven + stats.open,
            forged: stats.forged,
            lost_proofs: stats.lost_proofs,
            bytes: self.bytes,
        }
    }

    fn drain(&mut self) {
        let Some(verifier) = &mut self.verifier else { return };
        while let Some(released) = verifier.poll_object() {
            let mut object = released.item;
            if released.grade.is_some() {
                // Held back until now: to the player it is as if it had come now.
                object.assembled_at = Instant::now();
            }
            self.ready.push_back(object);
        }
        while let Some(event) = verifier.poll_event() {
            match event {
                Event::Forged { object, grade, at } => tracing::warn!(
                    stream = %object.stream.short(), object = %object.seq, time_us = object.pts.0,
                    found_after_ms = at.since(object.arrived).as_millis() as u64, ?grade,
                    "forged by another member: the publisher did not send this",
                ),
                Event::SuspectRun { stream, first, count, .. } => tracing::warn!(
                    stream = %stream.short(), first = %first, count, "one or more of these are forged",
                ),
                Event::Equivocation { stream, index, grade } => tracing::warn!(
                    stream = %stream.short(), proof = %index, ?grade, "the publisher signed two things that exclude each other",
                ),
                Event::Uncovered { object, why } if !self.uncovered_reported => {
                    self.uncovered_reported = true;
                    tracing::warn!(
                        stream = %object.stream.short(), object = %object.seq, time_us = object.pts.0, ?why,
                        "no proof covers this; if more follow they are only counted",
                    );
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::receive::InStream;
    use super::*;
    use crate::publish::{OutStream, announce};
    use av_wire::{AwsLc, Inner, Object, ObjectFlags, Sealer, StreamKeys};
    use bytes::Bytes;
    use codec_fountain::Pace;
    use core_types::{CodecId, Epoch, Layer, LeafIndex, LinkId, MediaTime, ObjectSeq};
    use identity::{Identity, Seed};

    const SECRET: [u8; 32] = [7; 32];
    const ALICES_LEAF: LeafIndex = LeafIndex(0);
    const FRAME: Duration = Duration::from_millis(20);

    struct Session {
        alice: Identity,
        out: OutStream,
        incoming: InStream,
        /// Objects sent so far.
        sent: u64,
    }

    fn session(proofs: Proofs) -> Session {
        let alice = Identity::from_seed(&Seed([1; 64])).unwrap();
        let announce = announce(StreamKind::Audio, alice.key_id(), 4);
        let mut incoming =
            InStream::new(announce.clone(), alice.public(), proofs, core_types::LayerPolicy::UNCAPPED)
                .unwrap();
        let mut out = OutStream::new(StreamKind::Audio, announce, &alice).unwrap();
        // What is lost, or shut out by a forgery, stays away.
        out.set_pace(Pace::OFF);
        out.enter_epoch(Epoch(1), &SECRET, ALICES_LEAF).unwrap();
        incoming.install(MonoTime(0), Epoch(1), &SECRET, ALICES_LEAF).unwrap();
        Session { alice, out, incoming, sent: 0 }
    }

    impl Session {
        fn now(&self) -> MonoTime {
            MonoTime(0).plus(FRAME * self.sent as u32)
        }

        /// Alice sends another packet, and the proofs that fall due; `lost` chunks don't arrive.
        fn send(&mut self, lost: impl Fn(u64) -> bool) {
            let now = self.now();
            let pts = MediaTime::from_duration(FRAME * self.sent as u32);
            let payload = self.sent.to_be_bytes();
            let object = Object {
                flags: ObjectFlags::default(),
                pts,
                duration: FRAME,
                picture: None,
                payload: &payload,
            };
            let mut chunks = self.out.seal(now, &object).unwrap().chunks;
            if lost(self.sent) {
                chunks.clear();
            }
            chunks.extend(self.out.prove_due(now, &self.alice).unwrap());
            self.arrive(&chunks);
            self.sent += 1;
        }

        fn end(&mut self) {
            let chunks = self.out.prove_end(&self.alice).unwrap();
            self.arrive(&chunks);
        }

        fn arrive(&mut self, chunks: &[Bytes]) {
            let now = self.now();
            self.incoming.handle_timeout(now);
            chunks.iter().for_each(|chunk| self.incoming.handle_chunk(now, LinkId(1), chunk, chunk.len()));
        }

        /// Another member seals a packet in alice's stream, under her place in the tree: the group's secret is all that it
        /// takes. Her own chunk of that number then comes too late.
        fn forge(&mut self, seq: u64, chunk_number: u64) {
            let bytes = forged(seq);
            self.arrive_sealed(chunk_number, &Inner::Object { seq: ObjectSeq(seq), bytes: &bytes });
        }

        /// As [`forge`](Self::forge), as packets with units are sealed.
        fn forge_with_units(&mut self, seq: u64, chunk_number: u64) {
            let body = [&[0][..], &forged(seq)].concat();
            self.arrive_sealed(chunk_number, &Inner::Window { seq: ObjectSeq(seq), body: &body });
        }

        fn arrive_sealed(&mut self, chunk_number: u64, inner: &Inner<'_>) {
            let keys = StreamKeys::<AwsLc>::derive(&SECRET, self.out.id(), ALICES_LEAF).unwrap();
            let mut sealer = Sealer::new(keys, self.out.id(), Epoch(1), CodecId::Opus);
            let mut chunk = Vec::new();
            for _ in 0..=chunk_number {
                chunk = sealer.seal(Layer::BASE, inner).unwrap();
            }
            self.arrive(&[chunk.into()]);
        }

        fn played(&mut self) -> Vec<Vec<u8>> {
            std::iter::from_fn(|| self.incoming.proofs.poll_object()).map(|object| object.payload).collect()
        }

        fn stats(&self) -> ProofStats {
            self.incoming.proofs.stats()
        }
    }

    fn forged(seq: u64) -> Vec<u8> {
        let pts = MediaTime::from_duration(FRAME * seq as u32);
        let flags = ObjectFlags::default();
        let object = Object { flags, pts, duration: FRAME, picture: None, payload: b"words never said" };
        object.to_bytes().unwrap()
    }

    #[test]
    fn all_that_a_publisher_sent_is_proven_by_the_end() {
        let mut session = session(Proofs::Flag);
        (0..130).for_each(|_| session.send(|seq| seq == 60));
        session.end();
        let stats = session.stats();
        assert_eq!((stats.objects, stats.hybrid, stats.unproven, stats.forged), (129, 129, 0, 0));
        assert!(stats.bytes > 4_000);
        assert_eq!(session.played().len(), 129);
    }

    #[test]
    fn a_new_epoch_finds_nothing_unproven_from_the_one_before() {
        let mut session = session(Proofs::Flag);
        (0..30).for_each(|_| session.send(|_| false));
        assert_eq!(session.stats().hybrid, 0);
        let chunks = session.out.prove_epoch(&session.alice).unwrap();
        session.out.enter_epoch(Epoch(2), &[8; 32], ALICES_LEAF).unwrap();
        session.arrive(&chunks);
        assert_eq!(session.stats().hybrid, 30, "under the old key, which is all that there is here");
        session.incoming.install(session.now(), Epoch(2), &[8; 32], ALICES_LEAF).unwrap();
        (0..30).for_each(|_| session.send(|_| false));
        session.end();
        assert_eq!((session.stats().hybrid, session.stats().lost_proofs), (60, 0));
    }

    #[test]
    fn the_last_proof_arrives_whichever_of_its_chunks_is_lost() {
        for lost in 0.. {
            let mut session = session(Proofs::Flag);
            (0..20).for_each(|_| session.send(|_| false));
            let mut chunks = session.out.prove_end(&session.alice).unwrap();
            if lost == chunks.len() {
                assert!(lost > 4, "a hybrid proof does not fit fewer");
                break;
            }
            let missing = chunks.remove(lost);
            session.arrive(&chunks);
            // What is not the end is noticed and asked for.
            if lost < chunks.len() - 2 {
                assert_eq!(session.stats().hybrid, 0);
                session.arrive(&[missing]);
            }
            assert_eq!(session.stats().hybrid, 20, "without chunk {lost}");
        }
    }

    #[test]
    fn a_packet_that_another_member_made_is_found_out() {
        let mut session = session(Proofs::Flag);
        // Chunk 30 would have been alice's packet 30: hers is now a replay, and never seen.
        session.forge(30, 30);
        (0..130).for_each(|_| session.send(|_| false));
        session.end();
        let stats = session.stats();
        assert_eq!((stats.forged, stats.unproven, stats.hybrid), (1, 0, 129));
        assert_eq!(session.played()[0], b"words never said", "flag plays first and tells later");
    }

    #[test]
    fn strict_plays_nothing_that_another_member_made() {
        let mut session = session(Proofs::Strict);
        session.forge(30, 30);
        session.forge(5_000, 40);
        (0..49).for_each(|_| session.send(|_| false));
        assert!(session.played().is_empty(), "nothing is proven yet");
        (49..260).for_each(|_| session.send(|_| false));
        session.end();
        let played = session.played();
        assert!(!played.iter().any(|payload| payload == b"words never said"));
        assert_eq!(played.len() as u64, session.stats().hybrid);
        assert_eq!(played.len(), 258, "alice's two whose numbers were taken are missing");
        assert_eq!((session.stats().forged, session.stats().unproven), (1, 1));
    }

    /// A forgery under a packet's chunk number shuts out the packet's chunk, and not what later ones tell of it.
    #[test]
    fn a_packet_whose_place_was_taken_is_given_back_by_units_and_proven() {
        let mut session = session(Proofs::Strict);
        session.out.set_pace(Pace::EACH);
        session.forge(30, 30);
        (0..260).for_each(|_| session.send(|_| false));
        session.end();
        let played = session.played();
        assert!(played.iter().any(|payload| *payload == 30u64.to_be_bytes()));
        assert!(!played.iter().any(|payload| payload == b"words never said"));
        assert_eq!((played.len(), session.stats().forged), (260, 1));
    }

    /// A forgery under a packet's own number, in a chunk that is free: both are held against the proofs.
    #[test]
    fn a_packet_under_whose_number_there_is_another_is_proven_all_the_same() {
        for proofs in [Proofs::Strict, Proofs::Flag] {
            let mut session = session(proofs);
            session.forge_with_units(30, 400);
            (0..130).for_each(|_| session.send(|_| false));
            session.end();
            let stats = session.stats();
            assert_eq!((stats.forged, stats.unproven, stats.hybrid), (1, 0, 130), "{proofs:?}");
            let played = session.played();
            let forgeries = played.iter().filter(|payload| *payload == b"words never said").count();
            assert_eq!((played.len(), forgeries), if proofs == Proofs::Strict { (130, 0) } else { (131, 1) });
        }
    }

    #[test]
    fn without_proofs_nobody_notices() {
        let mut session = session(Proofs::Off);
        session.forge(30, 30);
        (0..130).for_each(|_| session.send(|_| false));
        session.end();
        let stats = session.stats();
        assert_eq!((stats.objects, stats.forged), (0, 0));
        assert!(stats.bytes > 0, "they still come, and cost what they cost");
        assert_eq!(session.played().len(), 130);
    }

    #[test]
    fn strict_plays_everything_so_much_later_that_no_proof_is_waited_for() {
        let mut session = session(Proofs::Strict);
        let mut longest = Duration::ZERO;
        for _ in 0..500 {
            session.send(|_| false);
            let now = session.now();
            while let Some(object) = session.incoming.proofs.poll_object() {
                longest = longest.max(now.since(MonoTime(object.pts.0)));
            }
        }
        assert!(longest >= Duration::from_secs(1) && longest <= Proofs::Strict.added_delay(), "{longest:?}");
        assert_eq!(Proofs::Flag.added_delay(), Duration::ZERO);
    }
}
