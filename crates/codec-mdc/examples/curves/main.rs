//! What several descriptions cost beside one stream, and what they give: the tables, curves and pictures of `docs/MDC.md`.
//!
//! `cargo run --release -p codec-mdc --example curves [-- --out docs/mdc] [--clip FILE.y4m] [--only NAME] [--frames N]`
//!
//! Tables go to standard output. `--out` writes curves and pictures there; `--clip` measures another clip, too, and
//! `--only` one of them (`bundled`, `synthetic`, or the file's name without its ending).

mod clip;
mod file;
mod losses;
mod measure;
mod plot;
mod quality;
mod rates;
mod time;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use codec_av1::Frame;
use measure::Outcome;

/// A clip and its name.
pub(crate) struct Clip {
    pub(crate) name: String,
    pub(crate) frames: Vec<Frame>,
}

/// What was asked for.
struct Options {
    out: Option<PathBuf>,
    clips: Vec<Clip>,
}

fn options() -> Outcome<Options> {
    let (mut out, mut files, mut only, mut most) = (None, Vec::new(), None, usize::MAX);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument}: a value is missing"));
        match argument.as_str() {
            "--out" => out = Some(PathBuf::from(value()?)),
            "--clip" => files.push(value()?),
            "--only" => only = Some(value()?),
            "--frames" => most = value()?.parse()?,
            _ => return Err(format!("{argument}: there are --out, --clip, --only and --frames").into()),
        }
    }
    let named = |name: &str, frames| Clip { name: name.to_owned(), frames };
    let mut clips = vec![named("bundled", clip::bundled(most)?), named("synthetic", clip::synthetic(most)?)];
    for file in files {
        let name =
            PathBuf::from(&file).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into());
        clips.push(named(&name, file::read(&file, most)?));
    }
    clips.retain(|clip| only.as_ref().is_none_or(|only| *only == clip.name));
    Ok(Options { out, clips })
}

pub(crate) fn wall(work: &mut dyn FnMut()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Does the same with each of them, each on a thread of its own.
pub(crate) fn together<T: Send, R: Send>(
    each: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> Outcome<R> + Sync,
) -> Outcome<Vec<R>> {
    let work = &work;
    std::thread::scope(|scope| {
        let run = |one| scope.spawn(move || work(one).map_err(|error| error.to_string()));
        let started: Vec<_> = each.into_iter().map(run).collect();
        let ended = started.into_iter().map(|one| one.join().map_err(|_| "a run ended early")?);
        ended.map(|one| one.map_err(Into::into)).collect()
    })
}

fn run() -> Outcome<()> {
    let options = options()?;
    if let Some(out) = &options.out {
        std::fs::create_dir_all(out)?;
    }
    for clip in &options.clips {
        rates::measure(clip, options.out.as_deref())?;
        time::measure(clip, options.out.as_deref())?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
