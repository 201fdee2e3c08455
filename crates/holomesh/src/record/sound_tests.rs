//! Sound that was recorded with packets missing, and is played with them.

use super::groups::Groups;
use super::play::{Played, play};
use super::settle::ByObject;
use super::writer::symbols;
use super::{Config, Vault};
use crate::publish::{OutStream, StreamKind, announce};
use crate::watch::{Pieces, Sink};
use crate::{Error, keyfile, random};
use av_wire::{Object, ObjectFlags, StreamSecret};
use bytes::Bytes;
use consent_decay::{ConsentClass, ConsentRecord, ContentId, Schedule, Terms, Tier};
use core_types::{Epoch, LeafIndex, MediaTime, MonoTime, WallTime};
use identity::Identity;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use symbol_store::{Flush, FrameGroup, Manifest, Position, Store};

const ADMITTED: WallTime = WallTime(1_767_225_600_000);
const FRAME: Duration = Duration::from_millis(20);

/// A packet's number by its time, and what is in it.
type Packet = (u64, Vec<u8>);

#[derive(Debug, Clone, Default)]
struct Ears(Arc<Mutex<Vec<Packet>>>);

impl Sink for Ears {
    fn audio_packet(&mut self, pts: MediaTime, data: &[u8]) -> Result<(), Error> {
        self.0.lock().unwrap().push((pts.0 / 20_000, data.to_vec()));
        Ok(())
    }
}

fn said(number: u64) -> Vec<u8> {
    // No packet of Opus, and none is decoded here.
    (0..70 + number % 30).map(|at| (number * 31 + at * 7) as u8).collect()
}

struct Lab {
    store: Store,
    vault: Vault,
    content: ContentId,
    _dir: tempfile::TempDir,
}

/// A member records sound of so many packets, after which there is a silence; what `lost` says never reaches it.
fn recorded(packets: u64, lost: impl Fn(u64) -> bool) -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let seed = keyfile::random_seed().unwrap();
    let publisher = Identity::from_seed(&seed).unwrap();
    let config = Config::new(dir.path().to_owned(), seed);
    let mut rng: StdRng = random::generator().unwrap();
    let (mut store, vault) = (config.open(&mut rng).unwrap(), config.vault().unwrap());
    let announce = announce(StreamKind::Audio, publisher.key_id(), 4);
    let mut out = OutStream::new(StreamKind::Audio, announce.clone(), &publisher).unwrap();
    let (epoch, leaf) = (Epoch(1), LeafIndex(0));
    out.enter_epoch(epoch, &[7; 32], leaf).unwrap();
    let terms = Terms { class: ConsentClass::Temporary.into(), from: ADMITTED, serial: 1 };
    let consent = ConsentRecord { subject: publisher.public().clone(), source: out.id().into(), terms };
    let content = store.admit(ADMITTED, &consent.sign(&publisher).unwrap(), &mut rng).unwrap();
    let secret = StreamSecret::derive(&[7; 32], out.id(), leaf).unwrap();
    vault.keep(content, epoch, &secret).unwrap();
    let mut pieces = Pieces::new(announce, publisher.public(), epoch, &secret).unwrap();
    let mut settling = ByObject::default();
    for number in 0..packets + 15 {
        let at = MonoTime::default().plus(FRAME * number as u32);
        let mut chunks: Vec<Bytes> = if number < packets {
            let payload = said(number);
            let pts = MediaTime::from_duration(FRAME * number as u32);
            let (flags, picture) = (ObjectFlags::default(), None);
            let object = Object { flags, pts, duration: FRAME, picture, payload: &payload };
            out.seal(at, &object).unwrap().chunks
        } else {
            out.skip().unwrap()
        };
        if lost(number) {
            chunks.clear();
        }
        chunks.extend(out.prove_due(at, &publisher).unwrap());
        for chunk in chunks {
            pieces.open(at, &chunk).into_iter().for_each(|piece| settling.take(at, piece));
        }
    }
    let mut groups = Groups::new(true);
    let mut by_group: BTreeMap<Position, Vec<_>> = BTreeMap::new();
    for object in settling.settle(MonoTime::default(), true) {
        by_group.entry(groups.place(&object)).or_default().push(object);
    }
    assert!(by_group.len() >= 2, "there are several groups");
    for (at, objects) in &by_group {
        let symbols = symbols(objects);
        let group = FrameGroup { content, at: *at, symbols: &symbols };
        store.record(ADMITTED, &group, Flush::Now, &mut rng).unwrap();
    }
    let manifest = Manifest {
        content,
        recorder: publisher.public().clone(),
        made_at: ADMITTED,
        announcement: out.signed_announce().to_vec(),
        first: *by_group.keys().next().unwrap(),
        last: *by_group.keys().next_back().unwrap(),
        symbols: [0; 4],
    };
    store.put_manifest(&manifest.sign(&publisher).unwrap(), &mut rng).unwrap();
    Lab { store, vault, content, _dir: dir }
}

impl Lab {
    fn play(&self, now: WallTime) -> (Played, Vec<Packet>) {
        let ears = Ears::default();
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(ears.clone())];
        let played = play(&self.store.reader(), &self.vault, self.content, now, sinks).unwrap();
        let heard = ears.0.lock().unwrap().clone();
        (played, heard)
    }
}

/// In the midst, where one group of a recording ends and the next begins, and in front of a silence, where units alone tell them.
#[test]
fn a_recording_of_units_plays_what_was_lost_when_it_was_made() {
    let missing = [10, 100, 101, 102, 254, 255, 256, 257, 598, 599];
    let mut lab = recorded(600, |number| missing.contains(&number));
    let all: Vec<_> = (0..600).map(|number| (number, said(number))).collect();
    let (played, heard) = lab.play(ADMITTED);
    assert_eq!((played.replayed.packets, played.replayed.by_units), (600, missing.len() as u64));
    assert!(heard == all, "each as it was said, in its order");

    // As long as anything is kept all packets are; units alone go earlier, and with them what they alone tell.
    let mut now = Some(ADMITTED);
    while let Some(at) = now {
        while lab.store.fade(at).unwrap().more {}
        let tier = lab.store.reader().describe(at, lab.content).unwrap().tier;
        if tier < Tier::MinViable {
            break;
        }
        let (_, heard) = lab.play(at);
        let expected = if tier >= Tier::DropHighQuality { 600 } else { 598 };
        assert_eq!(heard, all[..expected], "at tier {tier}");
        now = Schedule::of(ConsentClass::Temporary).next_change(ADMITTED, at).ok().flatten();
    }
}
