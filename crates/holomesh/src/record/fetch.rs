//! Asking another node for what it has stored, and telling it that consent was taken back.

use super::upkeep::disk;
use super::{Config, Place};
use crate::clock::wall_now;
use crate::net::{Control, Inbox, Link, LinkEvent, Net, NetConfig, Role};
use crate::{Error, random};
use av_wire::ChunkHeader;
use consent_decay::{ConsentRecord, ContentId, Level, Pressure, Tombstone};
use control_wire::{StoredAt, StoredSymbol};
use core_types::{Epoch, ObjectSeq, StreamId, SymbolId};
use identity::Seed;
use rand::rngs::StdRng;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use symbol_store::{Flush, FrameGroup, Group, Position, Retention, Store, Symbol};

/// An answer takes so long at most.
const PATIENCE: Duration = Duration::from_secs(20);
/// Says of a group that nothing of it is wanted, but where the next one is.
const NOTHING: u32 = u32::MAX;

/// What was fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Frame groups that came, and that were there already.
    pub groups: u64,
    /// Of these, those that were there already.
    pub had: u64,
    /// Symbols that are kept now.
    pub symbols: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A link to one node with a store.
struct Counter {
    net: Net,
    inbox: Inbox,
    link: Link,
}

impl Counter {
    async fn reach(seed: Seed, listen: Option<SocketAddr>, place: &Place) -> Result<Self, Error> {
        let v6 = place.0.addresses.iter().all(SocketAddr::is_ipv6);
        let any = if v6 { SocketAddr::from(([0u16; 8], 0)) } else { SocketAddr::from(([0; 4], 0)) };
        let config = NetConfig { lanes: false, ..NetConfig::new(seed, Role::Watcher, listen.unwrap_or(any)) };
        let (net, inbox) = Net::open(config).await?;
        let mut link = net.connect(&place.0).await?;
        link.begin();
        Ok(Self { net, inbox, link })
    }

    /// Asks, and waits for the answer about that content.
    async fn ask(
        &mut self,
        content: ContentId,
        from: Option<StoredAt>,
        grant: &[u8],
    ) -> Result<Control, Error> {
        self.link.send(&Control::Fetch { content: content.0, from, grant: grant.to_vec() });
        let peer = self.link.peer.key_id();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let event = tokio::time::timeout_at(deadline.into(), self.inbox.next()).await;
            let gone = |why: String| Error::Refused { peer, why };
            match event {
                Ok(Some(LinkEvent::Control(_, message))) => match message {
                    Control::FetchRefused { why, .. } | Control::Refused { why } => return Err(gone(why)),
                    Control::FetchedHead { .. } | Control::Fetched { .. } | Control::Tombstone { .. } => {
                        return Ok(message);
                    }
                    // A relay speaks of its session, too.
                    _ => {}
                },
                Ok(Some(LinkEvent::Down(_, why))) => return Err(gone(why)),
                Ok(Some(_)) => {}
                Ok(None) => return Err(Error::Ended("the network")),
                Err(_) => return Err(gone(format!("no answer within {} s", PATIENCE.as_secs()))),
            }
        }
    }

    fn misbehaved(&self, why: &str) -> Error {
        Error::Peer { peer: self.link.peer.key_id().to_string(), why: why.into() }
    }
}

/// Copies a content from another node's store into this one's: as far as both consents allow, whole groups at a time. What is here
/// already is not fetched again.
///
/// # Errors
/// [`Error::Connect`], [`Error::Refused`] if the node has nothing for us, [`Error::Peer`] if what it sends is not what was asked for,
/// [`Error::Store`]; of content that was taken back the tombstone is kept.
pub async fn fetch(
    config: &Config,
    listen: Option<SocketAddr>,
    place: &Place,
    content: ContentId,
    grant: &[u8],
) -> Result<Fetched, Error> {
    let mut rng = random::generator()?;
    let mut store = config.open(&mut rng)?;
    let mut counter = Counter::reach(Seed(config.seed.0), listen, place).await?;
    let outcome = copy(config, &mut counter, &mut store, &mut rng, content, grant).await;
    counter.net.close().await;
    store.sync()?;
    if matches!(outcome, Err(Error::Store(symbol_store::Error::Revoked(_)))) {
        config.vault()?.destroy(content)?;
    }
    outcome
}

async fn copy(
    config: &Config,
    counter: &mut Counter,
    store: &mut Store,
    rng: &mut StdRng,
    content: ContentId,
    grant: &[u8],
) -> Result<Fetched, Error> {
    let source;
    let first = match counter.ask(content, None, grant).await? {
        Control::FetchedHead { content: of, consent, manifest, first } if of == content.0 => {
            let record = ConsentRecord::verify(&consent).map_err(symbol_store::Error::from)?;
            if record.content() != content {
                return Err(counter.misbehaved("it shows consent to another content"));
            }
            source = StreamId(record.source.0);
            match store.admit(wall_now(), &consent, rng) {
                // What is held here is as new, or newer.
                Ok(_) | Err(symbol_store::Error::Consent(consent_decay::Error::OldSerial { .. })) => {}
                Err(error) => return Err(error.into()),
            }
            if !manifest.is_empty() && store.reader().manifest(content)?.is_none() {
                store.put_manifest(&manifest, rng)?;
            }
            first
        }
        Control::Tombstone { tombstone } => return Err(revoked(store, content, &tombstone)?),
        _ => return Err(counter.misbehaved("it answers something else than was asked")),
    };
    let mut fetched = Fetched::default();
    let (dir, mut pressure) = (config.dir.as_path(), Pressure::new(config.marks));
    let mut next = first;
    while let Some(start) = next {
        let at = Position { epoch: Epoch(start.epoch), object: ObjectSeq(start.object) };
        let has = store
            .reader()
            .frame_groups(wall_now(), content, Some(at), 1)?
            .first()
            .is_some_and(|g| g.at == at);
        let (mut symbols, mut bytes) = (Vec::new(), 0);
        let mut from = Some(if has { StoredAt { skip: NOTHING, ..start } } else { start });
        next = None;
        while let Some(place) = from.take() {
            match counter.ask(content, Some(place), grant).await? {
                Control::Fetched { content: of, at, symbols: more, next: then }
                    if of == content.0 && at == place =>
                {
                    bytes += more.iter().map(|symbol| symbol.chunk.len() as u64).sum::<u64>();
                    if bytes > FrameGroup::MAX_BYTES {
                        return Err(counter.misbehaved("a frame group larger than any"));
                    }
                    for symbol in &more {
                        if ChunkHeader::parse(&symbol.chunk)?.stream_id != source {
                            return Err(counter.misbehaved("symbols of another stream than was asked for"));
                        }
                    }
                    let goes_on =
                        then.is_some_and(|then| (then.epoch, then.object) == (place.epoch, place.object));
                    match then {
                        Some(then) if goes_on && !more.is_empty() && then.skip > place.skip => {
                            from = Some(then)
                        }
                        Some(then) if then > place && !goes_on => next = Some(then),
                        Some(_) => return Err(counter.misbehaved("it goes on where it was")),
                        None => {}
                    }
                    symbols.extend(more);
                }
                Control::Tombstone { tombstone } => return Err(revoked(store, content, &tombstone)?),
                _ => return Err(counter.misbehaved("it answers something else than was asked")),
            }
        }
        fetched.groups += 1;
        if let Some(disk) = disk(dir).filter(|disk| pressure.observe(*disk) >= Level::Least) {
            let why = format!("{} bytes are free: `store gc` first, or take another disk", disk.free);
            return Err(Error::input(dir.display().to_string(), why));
        }
        if has {
            fetched.had += 1;
            continue;
        }
        let symbols = symbols.iter().map(taken).collect::<Option<Vec<_>>>();
        let symbols = symbols.ok_or_else(|| counter.misbehaved("a symbol of no group"))?;
        let recorded =
            store.record(wall_now(), &FrameGroup { content, at, symbols: &symbols }, Flush::Later, rng)?;
        fetched.symbols += recorded.kept;
        fetched.bytes += bytes;
    }
    Ok(fetched)
}

/// What came back in its place: it is kept, so that nobody else brings the content back.
fn revoked(store: &mut Store, content: ContentId, signed: &[u8]) -> Result<Error, Error> {
    if Tombstone::verify(signed).map_err(symbol_store::Error::from)?.content() != content {
        return Ok(Error::input("tombstone", "it is of another content"));
    }
    store.revoke(wall_now(), signed)?;
    Ok(symbol_store::Error::Revoked(content).into())
}

fn taken(symbol: &StoredSymbol) -> Option<Symbol<'_>> {
    Some(Symbol {
        object: ObjectSeq(symbol.object),
        id: SymbolId::new(symbol.id).ok()?,
        retention: Retention(symbol.retention),
        group: *Group::ALL.get(usize::from(symbol.group))?,
        bytes: &symbol.chunk,
    })
}

/// Tells a node what a person concerned has signed: a tombstone, or other consent. Of a tombstone it is waited until the node says
/// itself that the content is gone.
///
/// # Errors
/// [`Error::Connect`], [`Error::Refused`] if it does not take it in time.
pub async fn tell(
    seed: Seed,
    listen: Option<SocketAddr>,
    place: &Place,
    content: ContentId,
    message: Control,
) -> Result<(), Error> {
    let mut counter = Counter::reach(seed, listen, place).await?;
    let deadline = Instant::now() + PATIENCE;
    let outcome = loop {
        // Again, until it is taken: where many strangers speak, not everything is looked at.
        counter.link.send(&message);
        let answer = counter.ask(content, None, &[]).await;
        let is_there = match (&message, &answer) {
            (Control::Tombstone { .. }, Ok(Control::Tombstone { .. })) => true,
            (Control::Consent { consents }, Ok(Control::FetchedHead { consent, .. })) => {
                consents.contains(consent)
            }
            (_, Err(Error::Refused { .. }) | Ok(_)) => false,
            (_, Err(_)) => break answer.map(drop),
        };
        if is_there {
            break Ok(());
        }
        if Instant::now() >= deadline {
            let why = "it does not say that it has taken it".into();
            break Err(Error::Refused { peer: counter.link.peer.key_id(), why });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    counter.net.close().await;
    outcome
}
