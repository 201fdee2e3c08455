//! `holomesh store fade --demo`: a clip, recorded with losses, and what is left of it at each tier.

mod page;

use super::groups::Groups;
use super::play::play;
use super::settle::ByObject;
use super::writer::symbols;
use super::{Config, Vault};
use crate::demo::sources::Clip;
use crate::media::frame_to_png;
use crate::publish::{Coded, OutStream, PictureToSeal, StreamKind};
use crate::watch::{Pieces, ShownPicture, Sink};
use crate::{Error, keyfile, random};
use av_wire::{Media, StreamAnnounce, StreamSecret};
use clap::Args;
use codec_av1::{EncoderConfig, LibaomEncoder, Structure, VideoEncoder as _};
use consent_decay::{ConsentClass, ConsentRecord, ContentId, Schedule, Terms, Tier, Tombstone};
use core_types::{BitRate, Epoch, LeafIndex, MediaTime, MonoTime, SessionId, SymbolSize, WallTime};
use identity::Identity;
use page::Column;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use symbol_store::{Flush, FrameGroup, Manifest, Position, Store};

/// Options of `holomesh store fade`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Show it with a clip, in a store that is made for it and thrown away.
    #[arg(long, required = true)]
    pub demo: bool,
    /// The clip: Y4M, or AV1 in IVF [default: the bundled one].
    #[arg(long)]
    pub clip: Option<PathBuf>,
    /// How much of it, in seconds; short clips go round and round.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// In which layers.
    #[arg(long, default_value_t = Structure::L2T3)]
    pub layers: Structure,
    /// Video bit rate in kbit/s.
    #[arg(long, default_value_t = 700)]
    pub bit_rate: u64,
    /// Chunks lost before they are recorded, in percent.
    #[arg(long, default_value_t = 2.0)]
    pub loss: f64,
    /// Where the page goes.
    #[arg(short, long, default_value = "fade.html")]
    pub output: PathBuf,
}

/// Seconds between key frames.
const KEY_EVERY: f64 = 2.0;
const DAY: u64 = 86_400_000;

/// Shows it, and says in a line for each tier what there is.
///
/// # Errors
/// [`Error::Input`] for options that make no sense, [`Error::File`] if the page can't be written.
pub fn run(options: &Options) -> Result<(), Error> {
    let columns = columns(options)?;
    for column in &columns {
        println!("{}", column.line());
    }
    std::fs::write(&options.output, page::render(&columns)).map_err(Error::file(&options.output))?;
    println!("{}", options.output.display());
    Ok(())
}

fn columns(options: &Options) -> Result<Vec<Column>, Error> {
    let range = |name: &str, value: f64, low: f64, high: f64| match (low..=high).contains(&value) {
        true => Ok(()),
        false => Err(Error::input(format!("--{name} {value}"), format!("must be between {low} and {high}"))),
    };
    range("seconds", options.seconds, 2.0, 120.0)?;
    range("loss", options.loss, 0.0, 20.0)?;
    range("bit-rate", options.bit_rate as f64, 50.0, 20_000.0)?;
    let clip = Clip::load(options.clip.as_deref())?;
    let folder = tempfile::tempdir().map_err(Error::file("a folder for the store"))?;
    let seed = keyfile::random_seed()?;
    let publisher = Identity::from_seed(&seed).map_err(|e| Error::codec("identity", e))?;
    let config = Config::new(folder.path().to_owned(), seed);
    let mut rng = random::generator()?;
    let mut store = config.open(&mut rng)?;
    let vault = config.vault()?;
    let admitted = WallTime(1_767_225_600_000);
    let recorded = record(options, &clip, &publisher, &mut store, &vault, admitted, &mut rng)?;
    let schedule = Schedule::of(ConsentClass::Temporary);
    let mut columns = Vec::new();
    let mut at = Some(admitted);
    while let Some(now) = at {
        columns.push(look(
            &mut store,
            &vault,
            &config,
            &clip,
            recorded.content,
            now,
            (now.0 - admitted.0) / DAY,
        )?);
        at = schedule.next_change(admitted, now).ok().flatten();
    }
    let end = WallTime(admitted.0 + 30 * DAY);
    let tombstone =
        Tombstone { subject: publisher.public().clone(), source: recorded.source, revoked_at: end };
    let signed = tombstone.sign(&publisher).map_err(symbol_store::Error::from)?;
    store.revoke(end, &signed)?;
    vault.destroy(recorded.content)?;
    columns.push(look(&mut store, &vault, &config, &clip, recorded.content, end, 30)?);
    Ok(columns)
}

struct Recorded {
    content: ContentId,
    source: consent_decay::SourceId,
}

/// Publishes the clip as a host would, loses some of it on the way, and records the rest as a member would.
fn record(
    options: &Options,
    clip: &Clip,
    publisher: &Identity,
    store: &mut Store,
    vault: &Vault,
    now: WallTime,
    rng: &mut StdRng,
) -> Result<Recorded, Error> {
    let mut random = [0; 16];
    keyfile::fill_random(&mut random)?;
    let announce = StreamAnnounce {
        session: SessionId([0; 32]),
        publisher: publisher.key_id(),
        label: "clip".into(),
        random,
        codec: StreamKind::Video.codec(),
        layers: options.layers.top(),
        symbol_size: SymbolSize::DEFAULT,
        parents: 4,
        frame_duration: None,
        media: Media::Video { size: clip.size, rate: clip.rate },
    };
    let mut out = OutStream::new(StreamKind::Video, announce.clone(), publisher)?;
    let (stream, epoch, leaf) = (out.id(), Epoch(1), LeafIndex(0));
    let mut secret = zeroize::Zeroizing::new([0; 32]);
    keyfile::fill_random(secret.as_mut_slice())?;
    out.enter_epoch(epoch, &secret, leaf)?;
    let terms = Terms { class: ConsentClass::Temporary.into(), from: now, serial: 1 };
    let consent = ConsentRecord { subject: publisher.public().clone(), source: stream.into(), terms };
    let content = store.admit(now, &consent.sign(publisher).map_err(symbol_store::Error::from)?, rng)?;
    let secret = StreamSecret::derive(&secret, stream, leaf)?;
    vault.keep(content, epoch, &secret)?;
    let mut pieces = Pieces::new(announce, publisher.public(), epoch, &secret)?;

    let config = EncoderConfig {
        size: clip.size,
        rate: clip.rate,
        bit_rate: BitRate::from_kbit(options.bit_rate),
        max_key_interval: 500,
        threads: 2,
    };
    let mut encoder = LibaomEncoder::layered(config, options.layers).map_err(|e| Error::codec("AV1", e))?;
    let interval = clip.rate.frame_interval();
    let key_every = (KEY_EVERY / interval.as_secs_f64()).round().max(1.0) as u64;
    let mut losses = StdRng::seed_from_u64(1);
    let mut settling = ByObject::default();
    for number in 0..(options.seconds / interval.as_secs_f64()) as u64 {
        let pts = MediaTime::from_duration(interval * number as u32);
        let at = MonoTime::default().plus(pts.as_duration());
        let packets = encoder
            .encode(clip.frame(number), pts, number % key_every == 0)
            .map_err(|e| Error::codec("AV1", e))?;
        let parts: Vec<Coded> = packets.into_iter().map(Coded::from).collect();
        let picture = PictureToSeal { pts, duration: interval, end_of_stream: false, parts: &parts };
        let mut chunks = out.seal_picture(at, &picture)?.chunks;
        chunks.extend(out.prove_due(at, publisher)?);
        for chunk in chunks.into_iter().filter(|_| !losses.random_bool(options.loss / 100.0)) {
            pieces.open(at, &chunk).into_iter().for_each(|piece| settling.take(at, piece));
        }
    }
    let mut groups = Groups::new(false);
    let mut by_group: BTreeMap<Position, Vec<_>> = BTreeMap::new();
    for object in settling.settle(MonoTime::default(), true) {
        by_group.entry(groups.place(&object)).or_default().push(object);
    }
    let mut counts = [0; 4];
    for (at, objects) in &by_group {
        let symbols = symbols(objects);
        symbols.iter().for_each(|symbol| counts[symbol.group as usize] += 1);
        store.record(now, &FrameGroup { content, at: *at, symbols: &symbols }, Flush::Later, rng)?;
    }
    store.sync()?;
    let nothing = || Error::input("clip", "nothing of it was recorded");
    let manifest = Manifest {
        content,
        recorder: publisher.public().clone(),
        made_at: now,
        announcement: out.signed_announce().to_vec(),
        first: *by_group.keys().next().ok_or_else(nothing)?,
        last: *by_group.keys().next_back().ok_or_else(nothing)?,
        symbols: counts,
    };
    store.put_manifest(&manifest.sign(publisher)?, rng)?;
    Ok(Recorded { content, source: stream.into() })
}

/// Lets go of what is due, gives its room back, and looks at what there is.
fn look(
    store: &mut Store,
    vault: &Vault,
    config: &Config,
    clip: &Clip,
    content: ContentId,
    now: WallTime,
    day: u64,
) -> Result<Column, Error> {
    while store.fade(now)?.more {}
    while store.reclaim(4_096)?.more {}
    store.compact()?;
    let reader = store.reader();
    let (tier, groups) = match reader.describe(now, content) {
        Ok(held) => (held.tier, held.groups.map(|group| group.bytes)),
        Err(symbol_store::Error::Revoked(_)) => (Tier::HardDelete, [0; 4]),
        Err(error) => return Err(error.into()),
    };
    let seen = Arc::new(Mutex::new(Seen::default()));
    let sink = Watching { clip: clip.clone(), seen: seen.clone() };
    let (mut pictures, mut reduced, mut why) = (0, 0, None);
    match play(&reader, vault, content, now, vec![Box::new(sink)]) {
        Ok(played) => (pictures, reduced) = (played.replayed.pictures, played.replayed.reduced),
        Err(error) => why = Some(error.to_string()),
    }
    let file = std::fs::metadata(config.dir.join("symbols.redb")).map_or(0, |file| file.len());
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let stills = seen.stills.iter().map(frame_to_png).collect::<Result<Vec<_>, _>>()?;
    let psnr = (seen.compared > 0).then(|| seen.psnr / seen.compared as f64);
    let of = (
        clip.rate.frame_interval().as_secs_f64(),
        seen.last.map_or(0.0, |at| at.as_duration().as_secs_f64()),
    );
    Ok(Column { tier, day, groups, file, pictures, reduced, psnr, span: of.1, stills, why })
}

#[derive(Debug, Default)]
struct Seen {
    stills: Vec<codec_av1::Frame>,
    psnr: f64,
    compared: u64,
    last: Option<MediaTime>,
}

/// Compares what is shown with what was published, and keeps a few pictures.
struct Watching {
    clip: Clip,
    seen: Arc<Mutex<Seen>>,
}

/// Pictures that the page shows of each tier, and how far apart in seconds.
const STILLS: usize = 3;
const APART: f64 = 3.0;

impl Sink for Watching {
    fn picture(&mut self, picture: &ShownPicture<'_>) -> Result<(), Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let at = picture.pts.as_duration().as_secs_f64();
        let number = (at / self.clip.rate.frame_interval().as_secs_f64()).round() as u64;
        if let Ok(psnr) = self.clip.frame(number).psnr_y(picture.frame) {
            seen.psnr += psnr;
            seen.compared += 1;
        }
        // The first picture that there is from each of these times on.
        if seen.stills.len() < STILLS && at >= 1.0 + APART * seen.stills.len() as f64 {
            seen.stills.push(picture.frame.clone());
        }
        seen.last = Some(picture.pts);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
