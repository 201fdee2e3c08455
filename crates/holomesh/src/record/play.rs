//! Reading a recording back.

use super::Vault;
use crate::watch::{Replay, Replayed, Sink};
use crate::{Error, descriptions};
use av_wire::{ChunkHeader, Media, StreamAnnounce};
use bytes::Bytes;
use consent_decay::{ConsentRecord, ContentId, Tier};
use core_types::{ChunkSeq, CodecId, Epoch, MediaTime, ObjectSeq, StreamId, WallTime};
use identity::PublicIdentity;
use std::collections::VecDeque;
use symbol_store::{Manifest, Position, Reader};

/// What was played, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The contents: what was asked for, and sound and other descriptions of the same session.
    pub contents: Vec<ContentId>,
    /// The lowest tier among them.
    pub tier: Tier,
    /// Epochs that there is no key of.
    pub epochs_without_key: u64,
    /// What came of it.
    pub replayed: Replayed,
}

/// A stream that is stored, and who published it.
pub(super) struct Stored {
    pub(super) content: ContentId,
    pub(super) announce: StreamAnnounce,
    pub(super) publisher: PublicIdentity,
    pub(super) tier: Tier,
}

/// What is stored under that name, if it is a stream.
pub(super) fn find(reader: &Reader, content: ContentId, now: WallTime) -> Result<Stored, Error> {
    let tier = reader.describe(now, content)?.tier;
    let consent = reader.consent(content)?;
    let publisher = ConsentRecord::verify(&consent).map_err(symbol_store::Error::from)?.subject;
    let nothing = || Error::input(content.to_string(), "there is no manifest of it: nothing was recorded");
    let manifest = Manifest::verify(&reader.manifest(content)?.ok_or_else(nothing)?)?;
    if manifest.announcement.is_empty() {
        return Err(Error::input(content.to_string(), "this is no stream of pictures or sound"));
    }
    let announce = StreamAnnounce::verify(&manifest.announcement, &publisher)?;
    if ContentId::of(publisher.key_id(), announce.stream_id()?.into()) != content {
        return Err(Error::input(content.to_string(), "its manifest is that of another stream"));
    }
    Ok(Stored { content, announce, publisher, tier })
}

/// In a few words, what is stored under that name.
pub(crate) fn what_is(reader: &Reader, content: ContentId, now: WallTime) -> Option<String> {
    let Stored { announce, publisher, .. } = find(reader, content, now).ok()?;
    let media = match announce.media {
        Media::Video { size, rate } => {
            let rate = 1.0 / rate.frame_interval().as_secs_f64();
            format!("pictures {}x{} at {rate:.0}/s", size.width(), size.height())
        }
        Media::Audio { sample_rate, channels } => format!("sound {sample_rate} Hz, {channels} channels"),
        Media::Data => "data".into(),
    };
    Some(format!("{media} of {}", publisher.key_id().short()))
}

/// What goes with pictures, of the same publisher in the same session: sound, and the other descriptions where there are several.
fn beside(reader: &Reader, pictures: &Stored, now: WallTime) -> Result<Vec<Stored>, Error> {
    let (mut after, mut found, mut has_sound) = (None, Vec::new(), false);
    loop {
        let page = reader.contents(now, after, 256)?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.content);
        for described in page {
            let Ok(stored) = find(reader, described.content, now) else { continue };
            let is_sound = !has_sound && matches!(stored.announce.media, Media::Audio { .. });
            let is_beside = is_sound || descriptions::are_together(&pictures.announce, &stored.announce);
            if is_beside
                && stored.announce.session == pictures.announce.session
                && stored.announce.publisher == pictures.announce.publisher
                && reader.frame_groups(now, stored.content, None, 1).is_ok_and(|groups| !groups.is_empty())
            {
                has_sound |= is_sound;
                found.push(stored);
            }
            if has_sound && pictures.announce.codec != CodecId::Mdc {
                return Ok(found);
            }
        }
    }
}

/// Plays a content into sinks; if it has pictures, with the sound of its session and all descriptions of the same.
///
/// # Errors
/// [`Error::Store`] if it is not there, has faded or was taken back; [`Error::Input`] if there is no key to it here.
pub(crate) fn play(
    reader: &Reader,
    vault: &Vault,
    content: ContentId,
    now: WallTime,
    sinks: Vec<Box<dyn Sink>>,
) -> Result<Played, Error> {
    let first = find(reader, content, now)?;
    let beside = match first.announce.media {
        Media::Video { .. } => beside(reader, &first, now)?,
        _ => Vec::new(),
    };
    let mut replay = Replay::new(sinks);
    let mut feeds = Vec::new();
    let (mut contents, mut tier) = (Vec::new(), Tier::Full);
    for stored in std::iter::once(first).chain(beside) {
        let stream = stored.announce.stream_id()?;
        let keys = vault.load(stored.content)?;
        if keys.is_empty() && stored.content == content {
            return Err(Error::input(
                content.to_string(),
                "this node has no keys to it: only a member who recorded it, or kept its keys, can play it",
            ));
        }
        replay.stream(stored.announce, &stored.publisher)?;
        contents.push(stored.content);
        tier = tier.min(stored.tier);
        feeds.push(Feed::new(reader.clone(), stored.content, stream, keys, now)?);
    }
    // Whatever has come least far is next.
    while let Some(feed) = feeds.iter_mut().filter(|feed| !feed.is_over).min_by_key(|feed| feed.reached) {
        feed.step(&mut replay)?;
    }
    let epochs_without_key = feeds.iter().map(|feed| feed.without_key).max().unwrap_or(0);
    Ok(Played { contents, tier, epochs_without_key, replayed: replay.finish()? })
}

type Keys = Vec<(Epoch, av_wire::StreamSecret)>;

/// The chunks of one content, group by group.
struct Feed {
    reader: Reader,
    content: ContentId,
    stream: StreamId,
    keys: Keys,
    now: WallTime,
    next: Option<Position>,
    epoch: Option<Epoch>,
    chunks: VecDeque<Bytes>,
    reached: MediaTime,
    without_key: u64,
    is_over: bool,
}

impl Feed {
    fn new(
        reader: Reader,
        content: ContentId,
        stream: StreamId,
        keys: Keys,
        now: WallTime,
    ) -> Result<Self, Error> {
        let first = reader.frame_groups(now, content, None, 1)?.first().map(|group| group.at);
        Ok(Self {
            reader,
            content,
            stream,
            keys,
            now,
            next: first,
            epoch: None,
            chunks: VecDeque::new(),
            reached: MediaTime(0),
            without_key: 0,
            is_over: first.is_none(),
        })
    }

    fn step(&mut self, replay: &mut Replay) -> Result<(), Error> {
        match self.chunks.pop_front() {
            Some(chunk) => {
                if let Some(at) = replay.chunk(self.stream, &chunk)? {
                    self.reached = at;
                }
                Ok(())
            }
            None => self.load(replay),
        }
    }

    /// The next group, in the order in which its chunks were sealed.
    fn load(&mut self, replay: &mut Replay) -> Result<(), Error> {
        let Some(at) = self.next else {
            self.is_over = true;
            return Ok(());
        };
        let after = Position { object: ObjectSeq(at.object.0.saturating_add(1)), ..at };
        self.next =
            self.reader.frame_groups(self.now, self.content, Some(after), 1)?.first().map(|group| group.at);
        if self.epoch != Some(at.epoch) {
            self.epoch = Some(at.epoch);
            match self.keys.iter().find(|(epoch, _)| *epoch == at.epoch) {
                Some((epoch, secret)) => replay.install(self.stream, *epoch, secret)?,
                None => self.without_key += 1,
            }
        }
        if !self.keys.iter().any(|(epoch, _)| *epoch == at.epoch) {
            return Ok(());
        }
        let symbols = self.reader.read(self.now, self.content, at)?;
        let number = |bytes: &[u8]| ChunkHeader::parse(bytes).map(|header| header.chunk_seq).ok();
        let mut chunks: Vec<(ChunkSeq, Bytes)> = symbols
            .iter()
            .filter_map(|symbol| Some((number(symbol.bytes)?, Bytes::copy_from_slice(symbol.bytes))))
            .collect();
        chunks.sort_by_key(|(number, _)| *number);
        chunks.dedup_by_key(|(number, _)| *number);
        self.chunks = chunks.into_iter().map(|(_, chunk)| chunk).collect();
        Ok(())
    }
}
