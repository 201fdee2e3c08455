//! Somebody who comes when the key frame of its epoch has gone by.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::guest::Guest;
use crate::requests::counted;
use crate::stage::{Relay, Stage};
use control_wire::Start;
use core_types::{LinkId, ObjectClass};
use holomesh::net::{Control, Link, LinkEvent};
use std::collections::BTreeMap;

fn subscribe(link: &Link, stream: [u8; 32], (stripe_count, stripe_mask): (u8, u16), start: Start) {
    link.send(&Control::Subscribe { stream, layers: [255; 3], stripe_count, stripe_mask, start });
}

/// The first chunks on each of these links: epoch, number, and whether they are of a key frame.
async fn first_chunks(
    guest: &mut Guest,
    links: &[&Link],
    most: usize,
) -> BTreeMap<LinkId, Vec<(u64, u64, bool)>> {
    let mut got: BTreeMap<LinkId, Vec<_>> = links.iter().map(|link| (link.id, Vec::new())).collect();
    while got.values().any(|chunks| chunks.len() < most) {
        let (id, chunks) = match guest.event().await {
            LinkEvent::Chunks(id, chunks) => (id, chunks),
            LinkEvent::Down(id, why) if got.contains_key(&id) => panic!("{why}"),
            _ => continue,
        };
        let Some(known) = got.get_mut(&id) else { continue };
        known.extend(chunks.iter().map(|chunk| {
            let header = chunk.header();
            (header.epoch.0, header.chunk_seq.0, header.marks.class == ObjectClass::KeyFrame)
        }));
    }
    got
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_joiner_gets_the_key_frame_that_its_relays_have_kept() {
    for parents in [1, 2u8] {
        let stage = Stage::new();
        let (_host, ticket) = stage.host(parents, &[]);
        let relays: Vec<Relay> = (0..parents).map(|_| Relay::start(&ticket, &[])).collect();
        let viewer = stage.viewer(&ticket);
        viewer.has_parents(parents.into());
        viewer.shows(25);
        let mut guest = Guest::join(&ticket.parse().unwrap(), 64).await;
        // By then the epoch that it came in with has begun, and its key frame has passed.
        viewer.shows(40);
        let stream = guest.streams[0];
        let mut links = Vec::new();
        for at in 0..usize::from(parents) {
            let link = guest.link(at).await;
            subscribe(&link, stream, (parents, 1 << at), Start::Kept { epoch: 1 });
            links.push(link);
        }
        let got = first_chunks(&mut guest, &links.iter().collect::<Vec<_>>(), 8).await;
        let (mut key_frames, mut numbers) = (Vec::new(), Vec::new());
        for (stripe, link) in links.iter().enumerate() {
            let chunks = &got[&link.id];
            let (epoch, first, of_key_frame) = chunks[0];
            assert!(of_key_frame, "parent {stripe} begins with {:?}", chunks[0]);
            assert!(chunks.iter().all(|(_, seq, _)| seq % u64::from(parents) == stripe as u64), "{chunks:?}");
            key_frames.push(epoch);
            numbers.push(first);
        }
        // All of it together begins with one key frame, at its beginning.
        numbers.sort_unstable();
        assert_eq!(numbers, (numbers[0]..numbers[0] + u64::from(parents)).collect::<Vec<_>>());
        assert!(key_frames.iter().all(|epoch| *epoch == key_frames[0]), "{key_frames:?}");

        // Who can't open that epoch is not sent it: it goes on where the others are.
        let newest = got.values().flatten().map(|(_, seq, _)| *seq).max().unwrap();
        let late = guest.link(0).await;
        subscribe(&late, stream, (1, 1), Start::Kept { epoch: key_frames[0] + 1 });
        let got = first_chunks(&mut guest, &[&late], 1).await;
        assert!(got[&late.id][0].1 > newest, "{got:?}, and {newest} had passed");
        for relay in &relays {
            // Whoever else asks for key frames meanwhile: this one's came from here.
            counted(relay, |status| status.totals.late_joins >= 1);
        }
    }
}
