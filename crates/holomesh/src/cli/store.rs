//! `holomesh store`.

use super::store_options::StoreOptions;
use super::units::{bytes, date};
use crate::clock::wall_now;
use crate::record::{self, Place};
use crate::{Error, random};
use clap::{Args, Subcommand};
use consent_decay::{ContentId, ReadGrant};
use std::net::SocketAddr;
use std::path::PathBuf;
use symbol_store::{Manifest, Store};

/// Options of `holomesh store`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what is held: content, tier, bytes, when that changes next, and what it is.
    Ls {
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Show what is held of one content, and what became of it.
    Show {
        /// The content.
        content: ContentId,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Open every block and compare everything; fails if something is not as it should be.
    Verify {
        #[command(flatten)]
        store: StoreOptions,
        /// Mend what can be mended; damaged blocks are lost.
        #[arg(long)]
        repair: bool,
    },
    /// Let go of what is due, and give its room back.
    Gc {
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Show how much is held.
    Stats {
        #[command(flatten)]
        store: StoreOptions,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Serve what is held to those who may have it, and let go of what is due, until Ctrl-C. Prints where it is.
    Serve {
        #[command(flatten)]
        store: StoreOptions,
        /// Where to listen.
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Copy a content from another node's store.
    Fetch {
        /// The content.
        content: ContentId,
        /// From where, as that node printed it.
        #[arg(long, value_name = "KEY@ADDRESS:PORT")]
        from: Place,
        /// What the person concerned made with `holomesh consent share` for this node's key [default: this is that person].
        #[arg(long, value_name = "FILE")]
        grant: Option<PathBuf>,
        /// Where to listen [default: a free port].
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Option<SocketAddr>,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Record a clip, let it fade, and show what each tier still has in an HTML page.
    Fade(record::fade::Options),
}

pub(super) async fn run(options: Options) -> Result<(), Error> {
    match options.action {
        Action::Ls { store } => list(&open(&store)?.1),
        Action::Show { content, store } => show(&open(&store)?.1, content),
        Action::Verify { store, repair } => verify(&mut open(&store)?.1, repair),
        Action::Gc { store } => gc(&mut open(&store)?.1),
        Action::Stats { store, json } => {
            let (config, store) = open(&store)?;
            stats(&config, &store, json)
        }
        Action::Serve { store, listen } => {
            let end = async {
                let _ = tokio::signal::ctrl_c().await;
            };
            let ready = |place: Place| {
                println!("{place}");
                eprintln!("serving; end with Ctrl-C");
            };
            record::serve(store.config()?, listen, end, ready).await
        }
        Action::Fetch { content, from, grant, listen, store } => {
            let grant = grant.map(|path| read_grant(&path)).transpose()?.unwrap_or_default();
            let fetched = record::fetch(&store.config()?, listen, &from, content, &grant).await?;
            eprintln!(
                "fetched {} symbols, {} in {} groups, {} of which were here already",
                fetched.symbols,
                bytes(fetched.bytes),
                fetched.groups,
                fetched.had,
            );
            Ok(())
        }
        Action::Fade(options) => record::fade::run(&options),
    }
}

fn open(options: &StoreOptions) -> Result<(record::Config, Store), Error> {
    let config = options.config_of_existing()?;
    let store = config.open(&mut random::generator()?)?;
    Ok((config, store))
}

fn read_grant(path: &PathBuf) -> Result<Vec<u8>, Error> {
    let bytes = std::fs::read(path).map_err(Error::file(path))?;
    ReadGrant::verify(&bytes).map_err(|error| Error::input(path.display().to_string(), error.to_string()))?;
    Ok(bytes)
}

fn list(store: &Store) -> Result<(), Error> {
    let (reader, now) = (store.reader(), wall_now());
    let mut after = None;
    loop {
        let page = reader.contents(now, after, 256)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.content);
        for held in page {
            let sum: u64 = held.groups.iter().map(|group| group.bytes).sum();
            let due = held.due.map_or_else(|| "never".into(), date);
            let state = if held.frozen_since.is_some() { "frozen".into() } else { held.tier.to_string() };
            let what = record::what_is(&reader, held.content, now).unwrap_or_default();
            println!("{}  {state:17}  {:>10}  {due}  {what}", held.content, bytes(sum));
        }
    }
}

fn show(store: &Store, content: ContentId) -> Result<(), Error> {
    let (reader, now) = (store.reader(), wall_now());
    let held = reader.describe(now, content)?;
    println!("content   {content}\ntier      {}", held.tier);
    for (group, stats) in symbol_store::Group::ALL.iter().zip(held.groups) {
        println!(
            "{:9} {} symbols, {}",
            format!("{group:?}").to_lowercase(),
            stats.symbols,
            bytes(stats.bytes)
        );
    }
    if let Some(signed) = reader.manifest(content)? {
        let manifest = Manifest::verify(&signed)?;
        println!("recorder  {}", manifest.recorder.key_id());
        println!("made      {}", date(manifest.made_at));
        println!("recorded  {} symbols by group", manifest.symbols.map(|n| n.to_string()).join(" + "));
    }
    match reader.frame_groups(now, content, None, usize::MAX) {
        Ok(groups) => println!("groups    {}", groups.len()),
        Err(error) => println!("groups    none: {error}"),
    }
    let mut from = 0;
    loop {
        let page = reader.audit(from, 1_024)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = last + 1;
        for (_, entry) in page.iter().filter(|(_, entry)| entry.content == content) {
            println!("{}  {} to {}: {:?}", date(entry.at), entry.before, entry.after, entry.reason);
        }
    }
}

fn verify(store: &mut Store, repair: bool) -> Result<(), Error> {
    let health = store.check(wall_now(), repair)?;
    println!("{} contents, {} blocks, {} symbols", health.contents, health.blocks, health.symbols);
    for fault in &health.faults {
        println!("{fault:?}");
    }
    match (health.fault_count, health.repaired) {
        (0, _) => Ok(()),
        (faults, true) => {
            println!("{faults} faults, mended");
            Ok(())
        }
        (faults, false) => {
            Err(Error::input("store", format!("{faults} faults; `--repair` mends what can be mended")))
        }
    }
}

fn gc(store: &mut Store) -> Result<(), Error> {
    let now = wall_now();
    loop {
        let tick = store.fade(now)?;
        for entry in &tick.transitions {
            println!("{}  {} to {}: {:?}", entry.content, entry.before, entry.after, entry.reason);
        }
        if !tick.more {
            break;
        }
    }
    let mut freed = 0;
    loop {
        let reclaimed = store.reclaim(4_096)?;
        freed += reclaimed.bytes;
        if !reclaimed.more {
            break;
        }
    }
    store.compact()?;
    println!("{} given back", bytes(freed));
    Ok(())
}

fn stats(config: &record::Config, store: &Store, json: bool) -> Result<(), Error> {
    let reader = store.reader();
    let usage = reader.usage()?;
    let file = std::fs::metadata(config.dir.join("symbols.redb")).map_or(0, |file| file.len());
    let due = reader.next_due()?;
    if json {
        let stats = serde_json::json!({
            "contents": usage.contents, "tombstones": usage.tombstones, "block_bytes": usage.blocks,
            "file_bytes": file, "next_due_ms": due.map(|due| due.0),
        });
        println!("{stats}");
        return Ok(());
    }
    println!(
        "contents    {}\ntombstones  {}\nblocks      {}\nfile        {}",
        usage.contents,
        usage.tombstones,
        bytes(usage.blocks),
        bytes(file)
    );
    println!("next due    {}", due.map_or_else(|| "never".into(), date));
    Ok(())
}
