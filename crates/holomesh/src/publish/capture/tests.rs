use super::sound::{expect_loss, run_audio};
use super::*;
use codec_av1::Error as CodecError;
use codec_opus::{OpusEncoder, OpusPacket};

/// 24 small pictures; asks for bit rates as it goes, before the picture of that number.
struct Asking {
    control: Arc<EncoderControl>,
    asked: Vec<(u64, BitRate)>,
    next: u64,
}

impl FrameSource for Asking {
    fn size(&self) -> FrameSize {
        FrameSize::new(16, 16).unwrap()
    }

    fn rate(&self) -> FrameRate {
        FrameRate::new(240, 1).unwrap()
    }

    fn next(&mut self) -> Result<Option<Arc<Frame>>, Error> {
        for (_, rate) in self.asked.iter().filter(|(at, _)| *at == self.next) {
            self.control.set_bit_rate(*rate);
        }
        self.next += 1;
        Ok((self.next <= 24).then(|| Arc::new(Frame::black(self.size()))))
    }
}

/// Gives each picture's packet two pictures later, with the bit rate that it was asked for at that time.
struct Plain {
    bit_rate: BitRate,
    waiting: Vec<Packet>,
}

impl VideoEncoder for Plain {
    fn encode(&mut self, _: &Frame, pts: MediaTime, key_frame: bool) -> Result<Vec<Packet>, CodecError> {
        self.waiting.push(Packet::plain(vec![0], pts, key_frame, self.bit_rate));
        let ready = self.waiting.len().saturating_sub(2);
        Ok(self.waiting.drain(..ready).collect())
    }

    fn flush(&mut self) -> Result<Vec<Packet>, CodecError> {
        Ok(std::mem::take(&mut self.waiting))
    }

    fn set_bit_rate(&mut self, bit_rate: BitRate) -> Result<(), CodecError> {
        self.bit_rate = bit_rate;
        Ok(())
    }

    fn bit_rate(&self) -> BitRate {
        self.bit_rate
    }

    fn delay_frames(&self) -> usize {
        2
    }
}

/// Number and bit rate of each picture that came out.
fn capture(bounds: Option<RateBounds>, start: BitRate, asked: &[(u64, BitRate)]) -> Vec<(u64, BitRate)> {
    capture_from(Instant::now(), bounds, start, asked)
}

fn capture_from(
    origin: Instant,
    bounds: Option<RateBounds>,
    start: BitRate,
    asked: &[(u64, BitRate)],
) -> Vec<(u64, BitRate)> {
    let control = Arc::new(EncoderControl::default());
    let mut source = Asking { control: control.clone(), asked: asked.to_vec(), next: 0 };
    let rate = source.rate();
    let mut encoder = Plain { bit_rate: start, waiting: Vec::new() };
    let (out, mut captured) = mpsc::channel(64);
    run_video(&mut source, &mut encoder, (Structure::L1T1, bounds), &control, origin, &out).unwrap();
    let mut seen = Vec::new();
    while let Ok(Capture::Encoded(encoded)) = captured.try_recv() {
        // A machine that stalls leaves pictures out, so the number comes from the time.
        let number = (0..24).find(|n| MediaTime::from_duration(rate.frame_offset(*n)) == encoded.pts);
        seen.push((number.unwrap(), encoded.bit_rate));
    }
    assert_eq!(seen.len() as u64 + control.skipped(), 24);
    seen
}

#[test]
fn the_first_picture_is_there_however_late_the_encoder_begins() {
    let late = Instant::now() - 2 * MAX_LAG;
    let seen = capture_from(late, None, BitRate::from_kbit(500), &[]);
    assert_eq!(seen[0].0, 0, "media time begins with it");
    assert!(seen.len() < 24, "others are left out, since it is late for them");
}

/// A voice, then silence, then a voice, in blocks of 20 ms at 16 kHz.
struct Spoken {
    blocks: std::ops::Range<u32>,
    silence: std::ops::Range<u32>,
    pcm: Vec<i16>,
}

impl BlockSource for Spoken {
    fn next(&mut self, samples: usize) -> Result<Option<Vec<i16>>, Error> {
        let Some(block) = self.blocks.next() else { return Ok(None) };
        let silent = self.silence.contains(&block);
        let at = block as usize * samples;
        let voice = (at..at + samples).map(|n| self.pcm[n % self.pcm.len()]);
        Ok(Some(if silent { vec![0; samples] } else { voice.collect() }))
    }
}

fn speech() -> Vec<i16> {
    let bytes = include_bytes!("../../../../../assets/speech.wav");
    let data = bytes.windows(4).position(|name| name == b"data").unwrap() + 8;
    bytes[data..][..128_000].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// Number and payload of each packet of a voice with two seconds of silence in it; of one that is not sent none.
fn spoken(opus: OpusConfig, expected_loss: u8) -> Vec<(u64, Option<Vec<u8>>)> {
    let opus = OpusConfig { sample_rate: codec_opus::SampleRate::Hz16000, ..opus };
    let control = EncoderControl::default();
    control.set_expected_loss(expected_loss);
    let mut source = Spoken { blocks: 0..250, silence: 100..200, pcm: speech() };
    let (out, mut captured) = mpsc::channel(300);
    let late = Instant::now() - Duration::from_secs(10);
    run_audio(&mut source, OpusEncoder::new(opus).unwrap(), &control, late, &out).unwrap();
    drop(out);
    let next = || match captured.try_recv().ok()? {
        Capture::Encoded(encoded) => {
            let payload = encoded.parts.into_iter().next().map(|part| part.payload);
            Some((encoded.pts.0 / 20_000, payload))
        }
        Capture::End(_) => None,
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn of_a_silence_its_beginning_is_sent_and_a_packet_now_and_then() {
    let opus = AudioConfig::through_bursts();
    let all = spoken(opus, 0);
    assert_eq!(all.len(), 250);
    assert!(all.iter().all(|(_, payload)| payload.is_some()), "without DTX each packet is sent");
    let packets = spoken(OpusConfig { dtx: true, ..opus }, 0);
    let numbers: Vec<u64> = packets.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..250).collect::<Vec<_>>(), "each has its time, sent or not");
    // Libopus waits for 200 ms until it believes it, and sends one packet each 400 ms.
    let sent = |range: std::ops::Range<usize>| packets[range].iter().filter(|(_, p)| p.is_some()).count();
    assert!((4..=24).contains(&sent(110..200)), "{} of 90 in the silence", sent(110..200));
    assert_eq!((sent(20..100), sent(205..250)), (80, 45), "and what is said is");
    let silent: Vec<bool> = packets
        .iter()
        .map(|(_, payload)| payload.as_ref().is_some_and(|p| OpusPacket::parse(p).unwrap().is_silence()))
        .collect();
    let gaps = packets.windows(2).enumerate().filter(|(_, pair)| pair[0].1.is_some() && pair[1].1.is_none());
    for (at, _) in gaps {
        assert!(silent[at], "what is left out after packet {at} follows one that says so");
    }
}

#[test]
fn the_encoder_spends_on_losses_what_is_expected_and_nothing_where_none_are() {
    let opus = AudioConfig::through_bursts();
    let mut decoder = codec_opus::OpusDecoder::new(codec_opus::SampleRate::Hz48000, Channels::Mono).unwrap();
    let mut described = |expected: u8| {
        let packets = spoken(opus, expected);
        let packet = packets[90].1.clone().unwrap();
        decoder.read_redundancy(&packet, Duration::from_secs(1)).unwrap()
    };
    assert_eq!(described(0), Duration::ZERO);
    let (some, much) = (described(5), described(20));
    assert!(some >= Duration::from_millis(40) && much >= some, "{some:?} and {much:?}");
    assert_eq!(described(100), much, "no more than the configuration says");
    // Nor does it look for anything to describe meanwhile.
    let mut encoder = OpusEncoder::new(opus).unwrap();
    for (percent, redundancy) in [(0, Duration::ZERO), (7, opus.redundancy), (0, Duration::ZERO)] {
        expect_loss(&mut encoder, &opus, percent).unwrap();
        assert_eq!(
            (encoder.config().redundancy, encoder.config().expected_loss_percent),
            (redundancy, percent)
        );
    }
}

/// Blocks of silence, so many of them.
struct Silence(u32);

impl BlockSource for Silence {
    fn next(&mut self, samples: usize) -> Result<Option<Vec<i16>>, Error> {
        self.0 = self.0.saturating_sub(1);
        Ok((self.0 > 0).then(|| vec![0; samples]))
    }
}

#[test]
fn sound_goes_on_to_where_the_pictures_end_however_far_behind_it_is() {
    let packets = |blocks: u32, end: Option<MediaTime>, stopped: bool| {
        let control = EncoderControl::default();
        if let Some(end) = end {
            control.end_at(end);
        }
        if stopped {
            control.stop();
        }
        let encoder = OpusEncoder::new(OpusConfig::default()).unwrap();
        let (out, mut captured) = mpsc::channel(64);
        let late = Instant::now() - Duration::from_secs(10);
        run_audio(&mut Silence(blocks + 1), encoder, &control, late, &out).unwrap();
        drop(out);
        (std::iter::from_fn(|| captured.try_recv().ok()).count(), control)
    };
    let end = MediaTime(400_000);
    assert_eq!(packets(50, Some(end), false).0, 20, "400 ms of packets of 20 ms");
    assert_eq!(packets(50, Some(end), true).0, 0, "stopped is stopped at once");
    let (count, control) = packets(30, None, false);
    assert_eq!(count, 30);
    assert!(!control.is_over(MediaTime(599_999)) && control.is_over(MediaTime(600_000)));
}

#[test]
fn each_picture_is_coded_at_the_rate_that_was_asked_for_before_it() {
    let kbit = BitRate::from_kbit;
    let bounds = RateBounds::new(kbit(100), kbit(600)).unwrap();
    let asked = [(3, kbit(300)), (9, kbit(1)), (10, kbit(5_000)), (15, BitRate(0)), (20, kbit(450))];
    let expected = |number: u64| match number {
        0..3 => kbit(500),
        3..9 => kbit(300),
        9 | 15..20 => kbit(100),
        10..15 => kbit(600),
        _ => kbit(450),
    };
    for (number, rate) in capture(Some(bounds), kbit(500), &asked) {
        assert_eq!(rate, expected(number), "picture {number}");
    }
    let fixed = capture(None, kbit(500), &asked);
    assert!(fixed.iter().all(|(_, rate)| *rate == kbit(500)), "fixed is fixed: {fixed:?}");
}

/// A picture each eleven days.
struct Rare(mpsc::Sender<()>);

impl FrameSource for Rare {
    fn size(&self) -> FrameSize {
        FrameSize::new(16, 16).unwrap()
    }

    fn rate(&self) -> FrameRate {
        FrameRate::new(1, 1_000_000).unwrap()
    }

    fn next(&mut self) -> Result<Option<Arc<Frame>>, Error> {
        self.0.blocking_send(()).unwrap();
        Ok(Some(Arc::new(Frame::black(self.size()))))
    }
}

#[test]
fn who_waits_for_the_next_picture_can_be_stopped() {
    let control = Arc::new(EncoderControl::default());
    let (asked, mut asks) = mpsc::channel(1);
    let (ended, end) = std::sync::mpsc::channel();
    let at_work = control.clone();
    thread::spawn(move || {
        let outcome = in_time(&mut Rare(asked), &at_work, Instant::now(), |_, _, _| Ok(()));
        ended.send(outcome).unwrap();
    });
    asks.blocking_recv().unwrap();
    control.stop();
    end.recv_timeout(Duration::from_secs(20)).expect("it ends").unwrap();
}

#[test]
fn no_more_is_asked_of_an_encoder_than_a_picture_may_have() {
    let most = |num, den, of| most_bit_rate(FrameRate::new(num, den).unwrap(), of).0;
    assert_eq!(most(1, 1, None), (1 << 23) / 3, "a third of a MiB each second");
    assert!(most(25, 1, None) > BitRate::from_kbit(50_000).0, "as much as can be asked for");
    let least = codec_av1::EncoderConfig::MIN_BIT_RATE.0;
    assert_eq!(most(1, 1_000_000, None), least);
    assert_eq!(most(1, 1_000_000, Some(Descriptions::Four)), 4 * least);
    let config = VideoConfig {
        encoder: Encoder::Libaom,
        layers: Structure::L1T1,
        descriptions: None,
        bit_rate: BitRate::from_kbit(20_000),
        bounds: Some(RateBounds { min: BitRate::from_kbit(6_000), max: BitRate::from_kbit(20_000) }),
        max_key_interval: 5,
        threads: 1,
    };
    // What was asked for is what packets say.
    let control = Arc::new(EncoderControl::default());
    control.set_bit_rate(BitRate::from_kbit(20_000));
    let prepared = prepare_video(Box::new(Once(false)), config).unwrap();
    let (out, mut captured) = mpsc::channel(4);
    (prepared.body)(&control, Instant::now(), &out).unwrap();
    let Some(Capture::Encoded(encoded)) = captured.blocking_recv() else { panic!("no picture") };
    assert_eq!(encoded.bit_rate.0, (1 << 23) / 3);
}

/// One picture where one comes each second.
struct Once(bool);

impl FrameSource for Once {
    fn size(&self) -> FrameSize {
        FrameSize::new(64, 64).unwrap()
    }

    fn rate(&self) -> FrameRate {
        FrameRate::new(1, 1).unwrap()
    }

    fn next(&mut self) -> Result<Option<Arc<Frame>>, Error> {
        let first = !std::mem::replace(&mut self.0, true);
        Ok(first.then(|| Arc::new(Frame::black(self.size()))))
    }
}

fn bar(number: u64) -> Frame {
    let luma = (0..96 * 64u64).map(|at| if (at % 96).abs_diff(number % 96) < 8 { 200 } else { 60 });
    let data = luma.chain(std::iter::repeat_n(128, 96 * 32)).collect();
    Frame::from_i420(FrameSize::new(96, 64).unwrap(), data).unwrap()
}

#[test]
fn a_lost_upper_layer_is_back_within_a_second_without_a_key_frame() {
    let (size, rate) = (FrameSize::new(96, 64).unwrap(), FrameRate::new(25, 1).unwrap());
    let config = codec_av1::EncoderConfig {
        size,
        rate,
        bit_rate: BitRate::from_kbit(300),
        max_key_interval: 1_000,
        threads: 1,
    };
    let mut encoder = LibaomEncoder::layered(config, Structure::L2T1).unwrap();
    let mut points = SwitchPoints::new(Structure::L2T1, rate.frame_interval());
    let mut decoder = codec_av1::LayeredDecoder::new(size);
    let mut is_whole = Vec::new();
    for number in 0..60u64 {
        if points.handle_frame(number == 0, true) {
            encoder.request_switch_point();
        }
        let pts = MediaTime(number * 40_000);
        let parts: Vec<_> =
            encoder.encode(&bar(number), pts, false).unwrap().into_iter().map(Coded::from).collect();
        assert_eq!(parts[0].class == ObjectClass::KeyFrame, number == 0);
        // What the upper layer adds to the eleventh is lost.
        let came = if number == 10 { 1 } else { 2 };
        let packets: Vec<_> = parts.iter().take(came).map(packet).collect();
        is_whole.push(decoder.decode(&packets, pts).unwrap().unwrap().frame.size() == size);
    }
    let back = is_whole.iter().skip(10).position(|whole| *whole);
    assert_eq!(back, Some(15), "with the switch point after the first second: {is_whole:?}");
    assert!(is_whole[25..].iter().all(|whole| *whole));
}

#[test]
fn switch_points_are_asked_of_the_encoder_where_there_are_layers_to_take_up() {
    let (resolutions, qualities) = (Structure::L2T1, Structure::L1T1Q2);
    for (layers, loss, asked) in [(resolutions, 3, true), (resolutions, 0, false), (qualities, 0, true)] {
        let plain = Plain { bit_rate: BitRate::from_kbit(500), waiting: Vec::new() };
        let mut encoder = Counting { inner: plain, asked: 0 };
        let control = EncoderControl::default();
        control.set_expected_loss(loss);
        let (out, mut captured) = mpsc::channel(400);
        run_video(&mut Many(0), &mut encoder, (layers, None), &control, Instant::now(), &out).unwrap();
        let count = std::iter::from_fn(|| captured.try_recv().ok()).count();
        // A machine that stalls leaves pictures out.
        assert_eq!(encoder.asked > 0, asked && count > 120, "{layers}, {loss} % lost, {count} pictures");
    }
}

/// 130 pictures, 120 each second.
struct Many(u64);

impl FrameSource for Many {
    fn size(&self) -> FrameSize {
        FrameSize::new(16, 16).unwrap()
    }

    fn rate(&self) -> FrameRate {
        FrameRate::new(120, 1).unwrap()
    }

    fn next(&mut self) -> Result<Option<Arc<Frame>>, Error> {
        self.0 += 1;
        Ok((self.0 <= 130).then(|| Arc::new(Frame::black(self.size()))))
    }
}

struct Counting {
    inner: Plain,
    asked: u64,
}

impl VideoEncoder for Counting {
    fn encode(&mut self, frame: &Frame, pts: MediaTime, key_frame: bool) -> Result<Vec<Packet>, CodecError> {
        self.inner.encode(frame, pts, key_frame)
    }

    fn flush(&mut self) -> Result<Vec<Packet>, CodecError> {
        self.inner.flush()
    }

    fn set_bit_rate(&mut self, bit_rate: BitRate) -> Result<(), CodecError> {
        self.inner.set_bit_rate(bit_rate)
    }

    fn bit_rate(&self) -> BitRate {
        self.inner.bit_rate()
    }

    fn request_switch_point(&mut self) {
        self.asked += 1;
    }

    fn delay_frames(&self) -> usize {
        self.inner.delay_frames()
    }
}

fn packet(part: &Coded) -> codec_av1::LayerPacket<'_> {
    codec_av1::LayerPacket { layer: part.layer, class: part.class, data: &part.payload }
}
