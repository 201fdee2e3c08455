//! Outputs that take nothing for a while, or never again.

use super::*;
use crate::publish::announce;
use crate::watch::video::tests::objects;
use av_wire::ObjectFlags;
use core_types::{KeyId, Layer, MediaTime, ObjectClass, ObjectSeq};
use std::sync::mpsc::{self, SyncSender};

/// Takes nothing before it is let go on; then says what pictures it is given.
struct Stalled {
    go_on: Receiver<()>,
    packets: SyncSender<MediaTime>,
}

impl Sink for Stalled {
    fn stream(&mut self, _: &StreamAnnounce) -> Result<(), Error> {
        let _ = self.go_on.recv();
        Ok(())
    }

    fn video_packet(&mut self, pts: MediaTime, _: bool, _: &[u8]) -> Result<(), Error> {
        let _ = self.packets.send(pts);
        Ok(())
    }
}

struct Playing {
    player: PlayerHandle,
    go_on: Sender<()>,
    packets: Receiver<MediaTime>,
    asked: Receiver<Instant>,
}

fn stalled() -> Playing {
    let ((go_on, gate), (packets, seen), (ask, asked)) = (channel(), mpsc::sync_channel(100), channel());
    let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Stalled { go_on: gate, packets })];
    let player = PlayerHandle::start(Duration::from_secs(2), sinks, move |_| {
        let _ = ask.send(Instant::now());
    });
    let player = player.unwrap();
    player.send(Message::Stream(Box::new(announce(StreamKind::Video, KeyId([1; 32]), 1))));
    Playing { player, go_on, packets: seen, asked }
}

/// Nothing that is played.
fn filler(payload: usize) -> Received {
    Received {
        kind: StreamKind::Audio,
        description: None,
        seq: ObjectSeq(0),
        layer: Layer::BASE,
        class: ObjectClass::KeyFrame,
        flags: ObjectFlags::default(),
        pts: MediaTime(0),
        picture: 0,
        told: None,
        payload: vec![0; payload],
        assembled_at: Instant::now(),
        was_repaired: false,
    }
}

#[test]
fn what_is_on_its_way_to_an_output_that_takes_nothing_is_bounded_and_it_is_left_in_the_end() {
    for (objects, payload, most) in [(3_000, 1, MOST_UNDER_WAY), (200, 1 << 20, 64)] {
        let Playing { player, go_on, .. } = stalled();
        for _ in 0..objects {
            player.play(filler(payload));
        }
        assert_eq!(player.under_way.objects.load(Ordering::Relaxed), most);
        assert_eq!(player.stats().left_out, (objects - most) as u64);
        let asked_at = Instant::now();
        let error = player.finish_within(Duration::from_millis(100)).unwrap_err();
        assert!(error.to_string().starts_with("output: "), "{error}");
        assert!(asked_at.elapsed() < Duration::from_secs(5));
        drop(go_on);
    }
}

#[test]
fn an_output_that_stood_still_gets_pictures_again_from_a_key_frame_on() {
    let Playing { player, go_on, packets, asked } = stalled();
    let mut pictures = objects(Instant::now()).into_iter();
    pictures.by_ref().take(3).for_each(|picture| player.play(picture));
    for _ in 3..MOST_UNDER_WAY {
        player.play(filler(0));
    }
    pictures.by_ref().take(3).for_each(|picture| player.play(picture));
    assert_eq!(player.stats().left_out, 3);
    go_on.send(()).unwrap();
    let next = || packets.recv_timeout(Duration::from_secs(20)).unwrap().0 / 40_000;
    assert_eq!([next(), next(), next()], [0, 1, 2]);
    while player.under_way.objects.load(Ordering::Relaxed) > 0 {
        std::thread::yield_now();
    }
    pictures.by_ref().take(2).for_each(|picture| player.play(picture));
    asked.recv_timeout(Duration::from_secs(20)).expect("a key frame is asked for");
    pictures.for_each(|picture| player.play(picture));
    assert_eq!([next(), next(), next(), next()], [8, 9, 10, 11]);
    let stats = player.finish().unwrap();
    assert_eq!((stats.left_out, stats.frames_lost, stats.frames_undecodable), (3, 0, 2));
}
