//! Pictures that can't be sent, and sources that can't be stopped.

use super::*;
use crate::publish::{Coded, Encoded, Encoder, Published, StreamKind};
use codec_av1::{Frame, Structure};
use codec_mdc::Descriptions;
use core_types::{BitRate, FrameRate, FrameSize, Layer, ObjectClass};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

/// One picture, and then none for as long as the other end is there; says when it waits.
struct Stalled {
    has_begun: bool,
    pipe: Receiver<()>,
    waits: mpsc::Sender<()>,
}

impl FrameSource for Stalled {
    fn size(&self) -> FrameSize {
        FrameSize::new(64, 64).unwrap()
    }

    fn rate(&self) -> FrameRate {
        FrameRate::new(25, 1).unwrap()
    }

    fn next(&mut self) -> Result<Option<Arc<Frame>>, Error> {
        if self.has_begun {
            let _ = self.waits.try_send(());
            let _ = self.pipe.recv();
        }
        self.has_begun = true;
        Ok(Some(Arc::new(Frame::black(self.size()))))
    }
}

/// What went out.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Published>>);

impl Observer for Seen {
    fn published(&self, object: Published) {
        self.0.lock().unwrap().push(object);
    }
}

/// The other end of its source, and when that waits.
type Pipe = (std::sync::mpsc::Sender<()>, mpsc::Receiver<()>);

fn config(layers: Structure, descriptions: Option<Descriptions>) -> (Config, Arc<Seen>, Pipe) {
    let ((end, pipe), (waits, waiting)) = (channel(), mpsc::channel(1));
    let video = VideoConfig {
        encoder: Encoder::Libaom,
        layers,
        descriptions,
        bit_rate: BitRate::from_kbit(800),
        bounds: None,
        max_key_interval: 250,
        threads: 1,
    };
    let seen = Arc::<Seen>::default();
    let config = Config {
        video: Some((Box::new(Stalled { has_begun: false, pipe, waits }), video)),
        observer: seen.clone(),
        ..Config::new(crate::keyfile::random_seed().unwrap(), ([127, 0, 0, 1], 0).into())
    };
    (config, seen, (end, waiting))
}

/// A picture in parts of so many bytes.
fn encoded(number: u64, key_frame: bool, parts: &[(Layer, usize)]) -> Capture {
    let class = if key_frame { ObjectClass::KeyFrame } else { ObjectClass::Plain };
    let part = |(at, (layer, bytes)): (usize, &(Layer, usize))| Coded {
        layer: *layer,
        class: if at == 0 || layer.spatial == 0 { class } else { ObjectClass::Plain },
        payload: vec![7; *bytes],
    };
    Capture::Encoded(Encoded {
        kind: StreamKind::Video,
        parts: parts.iter().enumerate().map(part).collect(),
        pts: MediaTime(number * 40_000),
        duration: Duration::from_millis(40),
        key_frame,
        bit_rate: BitRate::from_kbit(800),
        captured_at: Instant::now(),
        encoded_at: Instant::now(),
    })
}

#[tokio::test]
async fn a_picture_that_is_too_long_is_left_out_with_those_that_refer_to_it_and_ends_nothing() {
    let upper = Layer { spatial: 1, ..Layer::BASE };
    let long = 1 << 20;
    for (layers, descriptions, good, bad) in [
        (Structure::L1T1, None, vec![(Layer::BASE, 9)], vec![(Layer::BASE, long)]),
        (Structure::L2T1, None, vec![(Layer::BASE, 9), (upper, 9)], vec![(Layer::BASE, 9), (upper, long)]),
        (
            Structure::L1T1,
            Some(Descriptions::Two),
            vec![(Layer::BASE, 9), (Layer::BASE, 9)],
            vec![(Layer::BASE, 9), (Layer::BASE, long)],
        ),
    ] {
        let (out, _captured) = mpsc::channel(4);
        let (config, seen, _pipe) = config(layers, descriptions);
        let (mut host, _inbox) = Host::new(config, out).await.unwrap();
        let (epoch, secret) = host.authority.current().unwrap();
        host.enter_epoch(epoch, secret.expose()).unwrap();
        let sent = [
            encoded(0, true, &good),
            encoded(1, false, &good),
            encoded(2, false, &bad),
            encoded(3, false, &good),
            encoded(4, true, &bad),
            encoded(5, false, &good),
            encoded(6, true, &good),
            encoded(7, false, &good),
        ];
        let asked = sent.map(|picture| {
            host.handle_capture(picture).unwrap();
            host.control.take_key_frame_requests() != 0
        });
        assert_eq!(asked, [false, false, true, false, true, false, false, false]);
        let seen = seen.0.lock().unwrap();
        let times: Vec<u64> = seen.iter().map(|object| object.pts.0 / 40_000).collect();
        assert_eq!((times, host.control.skipped()), (vec![0, 1, 6, 7], 4));
        // Numbers have no gap, so nobody waits for what does not come.
        let step = if layers == Structure::L1T1 { 1 } else { 2 };
        let numbers: Vec<u64> = seen.iter().map(|object| object.seq.0).collect();
        assert_eq!(numbers, [0, step, 2 * step, 3 * step]);
    }
}

#[tokio::test]
async fn a_host_whose_source_waits_stops_all_the_same() {
    let (config, _seen, (end, mut waiting)) = config(Structure::L1T1, None);
    let (commands, inbox) = mpsc::channel(4);
    let stop = async {
        waiting.recv().await.unwrap();
        commands.send(Command::Stop).await.unwrap();
        Instant::now()
    };
    let both = async { tokio::join!(run(config, inbox, |_| ()), stop) };
    let (outcome, stopped_at) = tokio::time::timeout(Duration::from_secs(30), both).await.expect("it stops");
    outcome.unwrap();
    assert!(stopped_at.elapsed() >= STOP_PATIENCE, "what is captured is waited for");
    drop(end);
}
