//! `holomesh host`.

use super::NodeOptions;
use crate::Error;
use crate::media::{AudioSource, VideoSource};
use crate::publish::{AudioConfig, BlockSource, Encoder, FrameSource, Observer, RateBounds, VideoConfig};
use crate::session::{self, Command, Config, Shares};
use clap::Args;
use codec_av1::{Frame, Structure};
use codec_mdc::Descriptions;
use codec_opus::{Channels, EncoderConfig, SampleRate};
use consent_decay::ClassName;
use core_types::{BitRate, FrameRate, FrameSize};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Options of `holomesh host`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Pictures: Y4M or AV1 in IVF; `-` reads Y4M from standard input, as in `ffmpeg … -f yuv4mpegpipe - | holomesh host -`.
    clip: PathBuf,
    /// Sound: WAV.
    #[arg(long, value_name = "FILE")]
    audio: Option<PathBuf>,
    /// In silence send a packet of sound now and then, and none between (discontinuous transmission) [default: true for mono sound, false
    /// for stereo].
    #[arg(long, value_name = "true|false", requires = "audio")]
    dtx: Option<bool>,
    /// Play the files round and round.
    #[arg(long = "loop")]
    repeat: bool,
    /// Begin only when Enter is pressed, so that everybody can join first (needs a clip that is not standard input).
    #[arg(long)]
    wait: bool,
    /// Over how many relays each watcher's streams are dealt.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    parents: u8,
    /// Video bit rate in kbit/s: the most, and what it begins with.
    #[arg(long, alias = "bitrate", default_value_t = 700, value_parser = clap::value_parser!(u64).range(LEAST_KBIT..=50_000))]
    bit_rate: u64,
    /// How far the video bit rate may go down, in kbit/s, when the first hops sustain no more [default: a third of
    /// --bit-rate].
    #[arg(long, alias = "min-bitrate", value_name = "KBIT")]
    min_bit_rate: Option<u64>,
    /// Keep the video bit rate whatever the first hops sustain.
    #[arg(long, alias = "fixed-bitrate", conflicts_with = "min_bit_rate")]
    fixed_bit_rate: bool,
    /// What encodes the pictures.
    #[arg(long, value_enum, default_value_t)]
    encoder: Encoder,
    /// In which layers: `L1T1`, `L1T2`, `L1T3`, `L2T1` up to `L3T3` (resolutions and picture rates), `L1T1Q2` and the like (qualities).
    /// Who has less room gets fewer of them. rav1e has L1T1 to L3T1.
    #[arg(long, default_value_t = Structure::L1T1)]
    layers: Structure,
    /// Send the pictures in 2 or 4 descriptions, each by a way of its own: any of them is a picture, more are a better one. Where a relay
    /// dies pictures go on, less good for a moment. By libaom, without layers, with --parents for the sound alone.
    #[arg(long, value_name = "2|4", value_parser = descriptions, conflicts_with = "layers")]
    mdc: Option<Descriptions>,
    /// The most that one relay may send for this session, in kbit/s; its owner may have set less.
    #[arg(long, value_name = "KBIT", value_parser = clap::value_parser!(u64).range(LEAST_KBIT..=100_000_000))]
    relay_uplink: Option<u64>,
    /// The most that may take a stream from one relay.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    relay_subscribers: Option<u32>,
    /// The most that one member may get from one relay, in kbit/s.
    #[arg(long, value_name = "KBIT", value_parser = clap::value_parser!(u64).range(LEAST_KBIT..=100_000_000))]
    member_rate: Option<u64>,
    /// A directory of this host's own in which the session outlives it: after a restart the ticket is still good. Needs
    /// --key; give --listen a port as well, so that the address in the ticket stays true.
    #[arg(long, value_name = "DIRECTORY", requires = "key")]
    state: Option<PathBuf>,
    /// Let who takes part record the streams, for as long as this class of consent says: `temporary` (14 days), `standard` (90),
    /// `persistent` (years), or one that recorders know. Needs --key, so that you can take it back [default: nobody may].
    #[arg(long, value_name = "CLASS", requires = "key")]
    consent: Option<ClassName>,
    #[command(flatten)]
    node: NodeOptions,
}

pub(super) async fn run(options: Options) -> Result<(), Error> {
    if options.wait && options.clip.as_os_str() == "-" {
        return Err(Error::input(
            "--wait",
            "standard input can't be both the clip and the keyboard; give a file",
        ));
    }
    if options.repeat && options.clip.as_os_str() == "-" {
        return Err(Error::input("--loop", "standard input can't be played twice; give a file"));
    }
    let bounds = if options.fixed_bit_rate {
        None
    } else {
        Some(rate_bounds(options.bit_rate, options.min_bit_rate, options.mdc)?)
    };
    let video = FileClip::open(options.clip, options.repeat)?;
    let audio = options.audio.map(|path| FileSound::open(path, options.repeat)).transpose()?;
    let interval = video.rate().frame_interval().as_secs_f64();
    let video_config = VideoConfig {
        encoder: options.encoder,
        layers: options.layers,
        descriptions: options.mdc,
        bit_rate: BitRate::from_kbit(options.bit_rate),
        bounds,
        max_key_interval: (5.0 / interval).ceil() as u32,
        threads: 2,
    };
    video_config.check()?;
    let audio = match audio {
        Some(sound) => {
            let opus = sound.encoder_config(options.dtx)?;
            Some((Box::new(sound) as Box<dyn BlockSource>, AudioConfig { opus }))
        }
        None => None,
    };
    let listen = options.node.listen.unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
    let config = Config {
        video: Some((Box::new(video), video_config)),
        audio,
        parents: options.parents,
        shares: Shares {
            relay_uplink: options.relay_uplink.map(BitRate::from_kbit),
            relay_subscribers: options.relay_subscribers,
            member_rate: options.member_rate.map(BitRate::from_kbit),
        },
        state: options.state,
        consent: options.consent.clone(),
        lanes: options.node.transport.lanes(),
        direct: options.node.transport.direct(),
        autostart: !options.wait,
        observer: Arc::new(Log),
        ..Config::new(options.node.seed()?, listen)
    };
    let (commands, inbox) = mpsc::channel(4);
    let interrupt = commands.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let _ = interrupt.send(Command::Stop).await;
        }
    });
    let wait = options.wait;
    session::run(config, inbox, move |ticket| {
        println!("{ticket}");
        eprintln!("watch with   holomesh watch TICKET -o file.mkv\nrelay with   holomesh relay TICKET");
        if wait {
            eprintln!("press Enter to begin");
            std::thread::spawn(move || {
                let mut line = String::new();
                let _ = std::io::stdin().read_line(&mut line);
                let _ = commands.blocking_send(Command::Start);
                // Keeps the channel open: the host takes a closed one for the wish to stop.
                std::thread::park();
            });
        } else {
            std::mem::forget(commands);
        }
    })
    .await
}

/// The least video bit rate that can be asked for, in kbit/s.
const LEAST_KBIT: u64 = 20;

/// `2` or `4`.
pub(crate) fn descriptions(text: &str) -> Result<Descriptions, String> {
    let none = || format!("there can be 2 or 4 descriptions, not {text}");
    text.parse().ok().and_then(|count| Descriptions::new(count).ok()).ok_or_else(none)
}

/// Where the bit rate may go, from the options in kbit/s. Each description needs some of it.
fn rate_bounds(most: u64, least: Option<u64>, of: Option<Descriptions>) -> Result<RateBounds, Error> {
    let each =
        of.map_or(0, |of| codec_av1::EncoderConfig::MIN_BIT_RATE.0.div_ceil(1_000) * of.count() as u64);
    let kbit = least.unwrap_or((most / 3).max(LEAST_KBIT).max(each.min(most)));
    if kbit < LEAST_KBIT {
        return Err(Error::input("--min-bit-rate", format!("{kbit} kbit/s; take {LEAST_KBIT} or more")));
    }
    if kbit > most {
        let why = format!("{kbit} kbit/s is above --bit-rate, {most} kbit/s; take a lower one");
        return Err(Error::input("--min-bit-rate", why));
    }
    RateBounds::new(BitRate::from_kbit(kbit), BitRate::from_kbit(most))
}

/// Tells the person at the host what happens.
#[derive(Debug)]
struct Log;

impl Observer for Log {
    fn event(&self, kind: &str, detail: String) {
        eprintln!("{kind}: {detail}");
    }
}

struct FileClip {
    path: PathBuf,
    source: VideoSource,
    repeat: bool,
}

impl FileClip {
    fn open(path: PathBuf, repeat: bool) -> Result<Self, Error> {
        let source = VideoSource::open(&path)?;
        Ok(Self { path, source, repeat })
    }
}

impl FrameSource for FileClip {
    fn size(&self) -> FrameSize {
        self.source.size()
    }

    fn rate(&self) -> FrameRate {
        self.source.rate()
    }

    fn next(&mut self) -> Result<Option<Arc<Frame>>, Error> {
        let mut frame = self.source.next_frame()?;
        if frame.is_none() && self.repeat {
            self.source = VideoSource::open(&self.path)?;
            frame = self.source.next_frame()?;
        }
        Ok(frame.map(Arc::new))
    }
}

struct FileSound {
    path: PathBuf,
    source: AudioSource,
    repeat: bool,
}

impl FileSound {
    fn open(path: PathBuf, repeat: bool) -> Result<Self, Error> {
        let source = AudioSource::open(&path)?;
        Ok(Self { path, source, repeat })
    }

    fn encoder_config(&self, dtx: Option<bool>) -> Result<EncoderConfig, Error> {
        let hz = self.source.sample_rate();
        let sample_rate = SampleRate::from_hz(hz).ok_or_else(|| Error::codec("sound", format!("{hz} Hz")))?;
        let channels = if self.source.channels() == 2 { Channels::Stereo } else { Channels::Mono };
        let dtx = dtx.unwrap_or_else(|| AudioConfig::dtx_of(channels));
        Ok(EncoderConfig { sample_rate, channels, dtx, ..AudioConfig::through_bursts() })
    }
}

impl BlockSource for FileSound {
    fn next(&mut self, samples: usize) -> Result<Option<Vec<i16>>, Error> {
        let mut block = self.source.next_block(samples)?;
        if block.is_none() && self.repeat {
            self.source = AudioSource::open(&self.path)?;
            block = self.source.next_block(samples)?;
        }
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;

    fn options(arguments: &[&str]) -> Result<Options, clap::Error> {
        let cli = Cli::try_parse_from([&["holomesh", "host", "clip.ivf"], arguments].concat())?;
        let Command::Host(options) = cli.command else { panic!("not a host") };
        Ok(options)
    }

    #[test]
    fn a_fixed_bit_rate_has_no_least_one() {
        for (least, fixed) in [("--min-bit-rate", "--fixed-bit-rate"), ("--min-bitrate", "--fixed-bitrate")] {
            assert_eq!(options(&[least, "300"]).unwrap().min_bit_rate, Some(300));
            assert!(options(&[fixed]).unwrap().fixed_bit_rate);
            assert!(options(&[fixed, least, "300"]).is_err());
        }
        let plain = options(&["--bitrate", "900"]).unwrap();
        assert_eq!((plain.bit_rate, plain.min_bit_rate, plain.fixed_bit_rate), (900, None, false));
    }

    fn kbit(least: u64, most: u64) -> RateBounds {
        RateBounds { min: BitRate::from_kbit(least), max: BitRate::from_kbit(most) }
    }

    #[test]
    fn the_bit_rate_goes_down_to_a_third_unless_told_otherwise() {
        for (most, least, expected) in [
            (700, None, kbit(233, 700)),
            (50_000, None, kbit(16_666, 50_000)),
            (50, None, kbit(20, 50)),
            (20, None, kbit(20, 20)),
            (700, Some(20), kbit(20, 700)),
            (700, Some(700), kbit(700, 700)),
        ] {
            assert_eq!(rate_bounds(most, least, None).unwrap(), expected);
        }
    }

    #[test]
    fn silence_is_left_out_of_mono_sound_unless_told_otherwise() {
        let sound = [&["--audio", "speech.wav"][..], &["--dtx", "false"]].concat();
        assert_eq!(options(&sound).unwrap().dtx, Some(false));
        assert_eq!(options(&sound[..2]).unwrap().dtx, None);
        assert!(options(&["--dtx", "true"]).is_err(), "of what?");
        assert!(AudioConfig::dtx_of(Channels::Mono) && !AudioConfig::dtx_of(Channels::Stereo));
        let speech = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/speech.wav");
        let sound = FileSound::open(speech.into(), false).unwrap();
        let dtx = |asked| sound.encoder_config(asked).unwrap().dtx;
        assert_eq!([None, Some(true), Some(false)].map(dtx), [true, true, false]);
    }

    #[test]
    fn descriptions_are_two_or_four_and_each_has_what_it_needs() {
        assert_eq!(options(&["--mdc", "2"]).unwrap().mdc, Some(Descriptions::Two));
        assert_eq!(options(&[]).unwrap().mdc, None);
        for wrong in ["0", "1", "3", "5", "two"] {
            let error = options(&["--mdc", wrong]).unwrap_err().to_string();
            assert!(error.contains("2 or 4"), "{error}");
        }
        assert!(options(&["--mdc", "2", "--layers", "L1T1"]).is_err());
        let four = Some(Descriptions::Four);
        assert_eq!(rate_bounds(50, None, four).unwrap(), kbit(32, 50));
        assert_eq!(rate_bounds(900, None, four).unwrap(), kbit(300, 900));
        assert_eq!(rate_bounds(25, None, four).unwrap(), kbit(25, 25), "which is refused as a whole");
    }

    #[test]
    fn a_least_bit_rate_that_is_none_is_refused_in_one_line() {
        for least in [0, 19, 701, u64::MAX] {
            let error = rate_bounds(700, Some(least), None).unwrap_err().to_string();
            assert!(error.starts_with("--min-bit-rate: ") && !error.contains('\n'), "{error}");
        }
    }
}
