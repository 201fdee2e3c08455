//! What is stored, for those who may have it: the person concerned, and whom that person has named (spec 82 section 8).

use super::writer::Shared;
use crate::Error;
use crate::clock::wall_now;
use crate::net::{Control, Speaker};
use consent_decay::{ConsentRecord, ContentId, ReadGrant};
use control_wire::{StoredAt, StoredSymbol};
use core_types::{Epoch, KeyId, ObjectSeq, WallTime};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use symbol_store::{Error as Stored, Position, Reader, Symbol};

/// Bytes of symbols in one message, about: a frame has room for four times as much.
const MOST: usize = 1 << 20;

/// Requests that wait at most.
const WAITING: usize = 64;

/// A request, and who is to have the answer.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) who: Speaker,
    pub(super) content: ContentId,
    pub(super) from: Option<StoredAt>,
    pub(super) grant: Vec<u8>,
}

/// The desk's thread: media do not wait until a disk has found something.
#[derive(Debug)]
pub(super) struct Desk(SyncSender<Ask>);

impl Desk {
    /// Opens it, until it is dropped.
    pub(super) fn open(shared: Arc<Shared>) -> Result<Self, Error> {
        let (asks, asked) = sync_channel::<Ask>(WAITING);
        let serve = move || {
            for ask in asked {
                let reader = shared.reader();
                let answer = match reader {
                    Some(reader) => answer(&reader, &ask),
                    None => refused(ask.content, "the store is opened anew: ask again in a moment".into()),
                };
                ask.who.send(&answer);
            }
        };
        let thread = std::thread::Builder::new().name("desk".into()).spawn(serve);
        thread.map_err(|e| Error::Network(format!("can't start a thread: {e}")))?;
        Ok(Self(asks))
    }

    pub(super) fn ask(&self, ask: Ask) {
        if let Err(TrySendError::Full(ask) | TrySendError::Disconnected(ask)) = self.0.try_send(ask) {
            ask.who.send(&refused(ask.content, "too many ask at once: ask again in a moment".into()));
        }
    }
}

fn answer(reader: &Reader, ask: &Ask) -> Control {
    let content = ask.content;
    match fetch(reader, ask.who.peer, wall_now(), content, ask.from, &ask.grant) {
        Ok(answer) => answer,
        Err(Stored::Revoked(_)) => match reader.tombstone(content) {
            Ok(Some(tombstone)) => Control::Tombstone { tombstone },
            _ => refused(content, "consent to it was taken back".into()),
        },
        Err(error) => refused(content, error.to_string()),
    }
}

fn refused(content: ContentId, why: String) -> Control {
    Control::FetchRefused { content: content.0, why }
}

fn fetch(
    reader: &Reader,
    who: KeyId,
    now: WallTime,
    content: ContentId,
    from: Option<StoredAt>,
    grant: &[u8],
) -> Result<Control, Stored> {
    let consent = reader.consent(content)?;
    let record = ConsentRecord::verify(&consent)?;
    let is_subject = record.subject.key_id() == who;
    if !is_subject && (grant.is_empty() || !ReadGrant::verify(grant)?.admits(content, who, now)) {
        // As of what is not there: who may not have it is not told that it is.
        return Err(Stored::Unknown(content));
    }
    let Some(at) = from else {
        let manifest = reader.manifest(content)?.unwrap_or_default();
        let first = reader.frame_groups(now, content, None, 1)?.first().map(|group| start(group.at));
        return Ok(Control::FetchedHead { content: content.0, consent, manifest, first });
    };
    let position = Position { epoch: Epoch(at.epoch), object: ObjectSeq(at.object) };
    let symbols = reader.read(now, content, position)?;
    let mut left = symbols.iter().skip(at.skip as usize).peekable();
    let (mut taken, mut bytes) = (Vec::new(), 0);
    while let Some(symbol) = left.next_if(|_| bytes < MOST && taken.len() < control_wire::MAX_STORED_SYMBOLS)
    {
        bytes += symbol.bytes.len();
        taken.push(stored(&symbol));
    }
    let next = match left.peek() {
        Some(_) => Some(StoredAt { skip: at.skip.saturating_add(taken.len() as u32), ..at }),
        None => {
            let groups = reader.frame_groups(now, content, Some(position), 2)?;
            groups.into_iter().map(|group| group.at).find(|next| *next > position).map(start)
        }
    };
    Ok(Control::Fetched { content: content.0, at, symbols: taken, next })
}

const fn start(at: Position) -> StoredAt {
    StoredAt { epoch: at.epoch.0, object: at.object.0, skip: 0 }
}

fn stored(symbol: &Symbol<'_>) -> StoredSymbol {
    StoredSymbol {
        object: symbol.object.0,
        id: symbol.id.value(),
        group: symbol.group as u8,
        retention: symbol.retention.0,
        chunk: symbol.bytes.to_vec(),
    }
}
