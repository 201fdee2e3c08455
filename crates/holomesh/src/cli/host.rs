//! `holomesh host`.

use super::NodeOptions;
use crate::media::{AudioSource, VideoSource};
use crate::publish::{AudioConfig, BlockSource, FrameSource, Observer, VideoConfig};
use crate::session::{self, Command, Config};
use crate::{Error, net::LossConfig};
use clap::Args;
use codec_av1::Frame;
use codec_opus::{Channels, EncoderConfig, SampleRate};
use core_types::{BitRate, FrameRate, FrameSize, SymbolSize};
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
    /// Play the files round and round.
    #[arg(long = "loop")]
    repeat: bool,
    /// Begin only when Enter is pressed, so that everybody can join first (needs a clip that is not standard input).
    #[arg(long)]
    wait: bool,
    /// Over how many relays each watcher's streams are dealt.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    parents: u8,
    /// Video bit rate in kbit/s.
    #[arg(long, default_value_t = 700, value_parser = clap::value_parser!(u64).range(20..=50_000))]
    bit_rate: u64,
    /// A directory of this host's own in which the session outlives it: after a restart the ticket is still good. Needs
    /// --key; give --listen a port as well, so that the address in the ticket stays true.
    #[arg(long, value_name = "DIRECTORY", requires = "key")]
    state: Option<PathBuf>,
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
    let video = FileClip::open(options.clip, options.repeat)?;
    let audio = options.audio.map(|path| FileSound::open(path, options.repeat)).transpose()?;
    let interval = video.rate().frame_interval().as_secs_f64();
    let video_config = VideoConfig {
        bit_rate: BitRate::from_kbit(options.bit_rate),
        max_key_interval: (5.0 / interval).ceil() as u32,
        threads: 2,
    };
    let audio = match audio {
        Some(sound) => {
            let opus = sound.encoder_config()?;
            Some((Box::new(sound) as Box<dyn BlockSource>, AudioConfig { opus }))
        }
        None => None,
    };
    let config = Config {
        seed: options.node.seed()?,
        listen: options.node.listen.unwrap_or_else(|| ([127, 0, 0, 1], 0).into()),
        loss: LossConfig::NONE,
        video: Some((Box::new(video), video_config)),
        audio,
        parents: options.parents,
        symbol_size: SymbolSize::DEFAULT,
        state: options.state,
        autostart: !options.wait,
        observer: Arc::new(Log),
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

    fn encoder_config(&self) -> Result<EncoderConfig, Error> {
        let hz = self.source.sample_rate();
        let sample_rate = SampleRate::from_hz(hz).ok_or_else(|| Error::codec("sound", format!("{hz} Hz")))?;
        let channels = if self.source.channels() == 2 { Channels::Stereo } else { Channels::Mono };
        Ok(EncoderConfig { sample_rate, channels, ..EncoderConfig::default() })
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
