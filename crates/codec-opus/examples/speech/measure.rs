//! Speech through bursts of loss: what is heard beside what was said, and how late.
//!
//! The bundled recording six times in a row, a minute, and that several times over with other losses. A packet of 20 ms in 20 is lost, in
//! bursts of five on average (Gilbert and Elliott's model); the others take up to 20 ms longer than the fastest. What is compared is
//! each 10 ms with the same media time where nothing is lost. Both sides send the same rate and play the same losses.

#[path = "mel.rs"]
mod mel;

use codec_opus::{
    Channels, EncoderConfig, OpusDecoder, OpusEncoder, SampleRate, SampleTime, SoundConfig, SoundPacket,
    SoundPlayout, SoundSource,
};
use core_types::{BitRate, MonoTime, ObjectSeq};
use mel::{Distance, Meter};
use std::time::Duration;

/// Whatever fails.
pub(crate) type Result<T> = core::result::Result<T, Box<dyn core::error::Error>>;

/// The CPU time that some work takes.
pub(crate) type Clock = fn(&mut dyn FnMut()) -> Duration;

/// What became of one way to play, beside the classic one.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) rounds: usize,
    /// Of what is played from what is played where nothing is lost: ours, classic.
    pub(crate) from_whole: (Distance, Distance),
    /// Of what is played from what was said: ours, classic.
    pub(crate) from_said: (Distance, Distance),
    /// Milliseconds behind the fastest packet, 95 in 100 less: ours, a jitter buffer that grows and never shrinks.
    pub(crate) delay: (f64, f64),
    /// Microseconds for 20 ms.
    pub(crate) cpu: (f64, f64),
    /// Bytes of a packet.
    pub(crate) bytes: (f64, f64),
}

/// A way to send and play.
struct Way {
    name: &'static str,
    rate: BitRate,
    in_band_fec: bool,
    redundancy: Duration,
    playing: Playing,
}

enum Playing {
    Playout(SoundConfig),
    /// Each packet in its place, and networks where there is none.
    Networks,
}

/// Of one packet, at 48 kHz.
const PACKET: usize = 960;
const PIECE: usize = SoundPlayout::PIECE;

/// All of it; `quick` takes one round.
pub(crate) fn all(quick: bool, clock: Clock) -> Result<Vec<Outcome>> {
    let rounds = if quick { 1 } else { 6 };
    let (kbit_32, kbit_48) = (BitRate::from_kbit(32), BitRate::from_kbit(48));
    let second = Duration::from_secs(1);
    let usual = SoundConfig::default();
    let prompt = SoundConfig { repair_delay: usual.least_delay, ..usual };
    let ways = [
        Way {
            name: "redundancy, 32 kbit/s",
            rate: kbit_32,
            in_band_fec: false,
            redundancy: second,
            playing: Playing::Playout(usual),
        },
        Way {
            name: "redundancy and coarse copies, 48 kbit/s",
            rate: kbit_48,
            in_band_fec: true,
            redundancy: second,
            playing: Playing::Playout(usual),
        },
        Way {
            name: "redundancy, 32 kbit/s, no delay for it",
            rate: kbit_32,
            in_band_fec: false,
            redundancy: second,
            playing: Playing::Playout(prompt),
        },
        Way {
            name: "networks alone, 32 kbit/s",
            rate: kbit_32,
            in_band_fec: false,
            redundancy: Duration::ZERO,
            playing: Playing::Networks,
        },
    ];
    let speech = speech()?.repeat(6);
    let meter = Meter::new();
    ways.iter().map(|way| beside_classic(way, &speech, rounds, &meter, clock)).collect()
}

fn beside_classic(way: &Way, speech: &[i16], rounds: u64, meter: &Meter, clock: Clock) -> Result<Outcome> {
    let base =
        EncoderConfig { sample_rate: SampleRate::Hz16000, bit_rate: way.rate, ..EncoderConfig::default() };
    let base = EncoderConfig { in_band_fec: false, expected_loss_percent: 0, ..base };
    let is_plain = way.redundancy.is_zero();
    let config = EncoderConfig {
        in_band_fec: way.in_band_fec,
        redundancy: way.redundancy,
        expected_loss_percent: if is_plain { 0 } else { 20 },
        ..base
    };
    let (plain, sent) = (coded(base, speech)?, coded(config, speech)?);
    let (plain_whole, sent_whole) = (decoded(&plain, &[], clock)?.0, decoded(&sent, &[], clock)?.0);
    let said = upsampled(speech, OpusEncoder::new(base)?.pre_skip());
    let [mut ours, mut classic, mut ours_said, mut classic_said] = [Sum::default(); 4];
    let [mut delays, mut grown] = [const { Vec::new() }; 2];
    for seed in 0..rounds {
        let network = Network::new(seed, plain.len());
        let (heard, time) = decoded(&plain, &network.lost, clock)?;
        classic.time += time;
        classic.add(meter, &heard, &plain_whole);
        classic_said.add(meter, &heard, &said);
        let played = match way.playing {
            Playing::Playout(config) => Played::new(&sent, &network, config, clock)?,
            Playing::Networks => Played::in_place(&sent, &network, clock)?,
        };
        ours.time += played.time;
        played.compare(meter, &sent_whole, &mut ours);
        played.compare(meter, &said, &mut ours_said);
        delays.extend(played.delays);
        grown.extend(grown_delays(plain.len(), &network));
    }
    let cpu = |sum: Sum| sum.time.as_secs_f64() * 1e6 / (rounds as usize * plain.len()) as f64;
    let bytes =
        |packets: &[Vec<u8>]| packets.iter().map(Vec::len).sum::<usize>() as f64 / packets.len() as f64;
    Ok(Outcome {
        name: way.name,
        rounds: rounds as usize,
        from_whole: (ours.mean(), classic.mean()),
        from_said: (ours_said.mean(), classic_said.mean()),
        delay: (p95(&mut delays), p95(&mut grown)),
        cpu: (cpu(ours), cpu(classic)),
        bytes: (bytes(&sent), bytes(&plain)),
    })
}

/// The recording: 16 kHz, mono.
fn speech() -> Result<Vec<i16>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/speech.wav");
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let data = bytes.windows(4).position(|name| name == b"data").ok_or("no samples in speech.wav")?;
    let samples = bytes.get(data + 8..).unwrap_or_default();
    Ok(samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
}

fn coded(config: EncoderConfig, speech: &[i16]) -> Result<Vec<Vec<u8>>> {
    let mut encoder = OpusEncoder::new(config)?;
    let frames = speech.chunks_exact(encoder.samples_per_frame());
    frames.map(|frame| Ok(encoder.encode(frame)?)).collect()
}

/// Three samples for one, in a straight line, and as late as a coded one: to compare with above 8 kHz there is nothing.
fn upsampled(speech: &[i16], delay: u16) -> Vec<i16> {
    let mut last = 0;
    let mut out = vec![0; usize::from(delay)];
    for sample in speech {
        let next = i32::from(*sample);
        out.extend((1..=3).map(|third| (last + (next - last) * third / 3) as i16));
        last = next;
    }
    out
}

/// By the crate `opus` alone, whose decoder has neither networks nor redundancy.
fn decoded(packets: &[Vec<u8>], lost: &[bool], clock: Clock) -> Result<(Vec<i16>, Duration)> {
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Mono)?;
    let mut heard = vec![0; packets.len() * PACKET];
    let mut run = || -> Result<()> {
        for (number, (packet, pcm)) in packets.iter().zip(heard.chunks_exact_mut(PACKET)).enumerate() {
            let is_lost = lost.get(number).copied().unwrap_or(false);
            decoder.decode(if is_lost { &[] } else { packet }, pcm, false)?;
        }
        Ok(())
    };
    let mut outcome = Ok(());
    let time = clock(&mut || outcome = run());
    outcome?;
    Ok((heard, time))
}

/// What becomes of each packet.
struct Network {
    lost: Vec<bool>,
    /// In milliseconds after it was made.
    delays: Vec<u64>,
}

impl Network {
    fn new(seed: u64, packets: usize) -> Self {
        let mut next = lot(seed);
        let mut is_bad = false;
        let mut lost = Vec::new();
        let mut delays = Vec::new();
        for _ in 0..packets {
            let chance = next() % 10_000;
            is_bad = if is_bad { chance >= 2_000 } else { chance < 105 };
            lost.push(is_bad);
            delays.push(30 + next() % 21);
        }
        Self { lost, delays }
    }

    /// When what arrives does, in milliseconds, and its number.
    fn arrivals(&self) -> Vec<(u64, usize)> {
        let mut arrivals: Vec<_> = (0..self.lost.len())
            .filter(|number| !self.lost[*number])
            .map(|number| (number as u64 * 20 + self.delays[number], number))
            .collect();
        arrivals.sort_unstable();
        arrivals
    }
}

/// What came out of the playout.
struct Played {
    pcm: Vec<i16>,
    /// For each piece of 10 ms the media time of its beginning, if it has one.
    times: Vec<Option<usize>>,
    /// For each piece, in milliseconds.
    delays: Vec<f64>,
    time: Duration,
}

impl Played {
    fn new(packets: &[Vec<u8>], network: &Network, config: SoundConfig, clock: Clock) -> Result<Self> {
        let mut playout = SoundPlayout::new(config)?;
        let mut arrivals = network.arrivals().into_iter().peekable();
        let mut played =
            Self { pcm: Vec::new(), times: Vec::new(), delays: Vec::new(), time: Duration::ZERO };
        let mut run = || -> Result<()> {
            for now in (0..packets.len() as u64 * 20 + 300).step_by(10) {
                while let Some((at, number)) = arrivals.next_if(|(at, _)| *at <= now) {
                    let packet = SoundPacket {
                        seq: ObjectSeq(number as u64),
                        at: SampleTime::new((number * PACKET) as u64),
                        was_repaired: false,
                        data: packets[number].clone(),
                    };
                    playout.push(MonoTime::from_millis(at), packet)?;
                }
                let piece = playout.pull(MonoTime::from_millis(now))?;
                if let Some(at) = piece.at {
                    // The fastest take 30 ms.
                    played.delays.push(now as f64 - at.samples() as f64 / 48.0 - 30.0);
                }
                let is_sound = piece.source != SoundSource::Nothing;
                played.times.push(piece.at.filter(|_| is_sound).map(|at| at.samples() as usize));
                played.pcm.extend(piece.pcm);
            }
            Ok(())
        };
        let mut outcome = Ok(());
        let time = clock(&mut || outcome = run());
        outcome?;
        played.time = time;
        Ok(played)
    }

    fn in_place(packets: &[Vec<u8>], network: &Network, clock: Clock) -> Result<Self> {
        let mut decoder = OpusDecoder::new(SampleRate::Hz48000, Channels::Mono)?;
        let mut pcm = Vec::new();
        let mut run = || -> Result<()> {
            for (packet, lost) in packets.iter().zip(&network.lost) {
                pcm.extend(if *lost { decoder.conceal()? } else { decoder.decode(packet)? });
            }
            Ok(())
        };
        let mut outcome = Ok(());
        let time = clock(&mut || outcome = run());
        outcome?;
        let times = (0..pcm.len()).step_by(PIECE).map(Some).collect();
        Ok(Self { pcm, times, delays: Vec::new(), time })
    }

    /// Each piece with the same media time where nothing was lost. What is not played at all is not counted, and what is
    /// stretched counts as often as it is heard.
    fn compare(&self, meter: &Meter, whole: &[i16], sum: &mut Sum) {
        for (number, at) in self.times.iter().enumerate() {
            if let Some(at) = at {
                sum.one(meter.distance((&self.pcm, number * PIECE), (whole, *at)));
            }
        }
    }
}

/// Distances, and the time that it took to make what was compared.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    total: Distance,
    count: u32,
    time: Duration,
}

impl Sum {
    fn one(&mut self, distance: Distance) {
        self.total.spectral += distance.spectral;
        self.total.cepstral += distance.cepstral;
        self.count += 1;
    }

    /// What goes along with the other from its first sample on.
    fn add(&mut self, meter: &Meter, heard: &[i16], whole: &[i16]) {
        for at in (0..heard.len()).step_by(PIECE) {
            self.one(meter.distance((heard, at), (whole, at)));
        }
    }

    fn mean(&self) -> Distance {
        let count = f64::from(self.count.max(1));
        Distance { spectral: self.total.spectral / count, cepstral: self.total.cepstral / count }
    }
}

/// The delays of the jitter buffer that grows and never shrinks, in milliseconds.
fn grown_delays(packets: usize, network: &Network) -> Vec<f64> {
    const START: u64 = 60;
    const MOST: u64 = 400;
    let mut arrivals = network.arrivals().into_iter().peekable();
    // When media time 0 is played, and by how much later than the first packet would have allowed.
    let (mut zero, mut delay) = (None, START);
    let mut delays = Vec::new();
    for now in 0..packets as u64 * 20 + 300 {
        while let Some((at, number)) = arrivals.next_if(|(at, _)| *at <= now) {
            let start = number as u64 * 20;
            let due = *zero.get_or_insert((at + START).saturating_sub(start)) + start;
            if number < delays.len() {
                let by = at.saturating_sub(due).min(20).min(MOST - delay);
                (zero, delay) = (Some(due - start + by), delay + by);
            }
        }
        while zero.is_some_and(|zero| zero + delays.len() as u64 * 20 <= now) {
            delays.push(now as f64 - delays.len() as f64 * 20.0 - 30.0);
        }
    }
    delays
}

fn p95(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() * 95 / 100).copied().unwrap_or(f64::NAN)
}

/// The same numbers in each run.
fn lot(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 7;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 40
    }
}
