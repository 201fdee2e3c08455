//! `holomesh consent`: what the person concerned says about recordings of it.

use super::passphrase::{self, PassphraseOptions};
use super::store_options::StoreOptions;
use super::units::{bytes, date};
use crate::clock::wall_now;
use crate::net::Control;
use crate::record::{self, Place};
use crate::{Error, random};
use clap::{Args, Subcommand};
use consent_decay::{ClassName, ConsentRecord, ContentId, ReadGrant, SourceId, Terms, Tier, Tombstone};
use core_types::{KeyId, StreamId, WallTime};
use identity::{Identity, Seed};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use symbol_store::Group;

/// Options of `holomesh consent`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
}

/// Whose word it is, about which stream, and who is told.
#[derive(Debug, Args)]
struct Said {
    /// The stream, as `holomesh host` printed it.
    stream: StreamId,
    /// The publisher's key: nobody else can say this.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseOptions,
}

#[derive(Debug, Args)]
struct Told {
    /// A node that has a store, as `holomesh store serve` and `holomesh relay --store` print it. May be given several times.
    #[arg(long, value_name = "KEY@ADDRESS:PORT", required = true)]
    at: Vec<Place>,
    /// Where to listen [default: a free port].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Change for how long recordings of a stream may be kept: ages count anew. Nothing that was dropped comes back.
    Grant {
        #[command(flatten)]
        said: Said,
        /// The class: `temporary`, `standard`, `persistent`, or one that the nodes concerned know.
        #[arg(long)]
        class: ClassName,
        #[command(flatten)]
        told: Told,
    },
    /// Show what consent there is to a stored content, what is held of it, and when that changes.
    Show {
        /// The content.
        content: ContentId,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Take consent back: recordings of the stream are gone where this arrives, for good.
    Revoke {
        #[command(flatten)]
        said: Said,
        #[command(flatten)]
        told: Told,
    },
    /// Let somebody have what is stored of a stream: makes a file for `holomesh store fetch --grant`.
    Share {
        #[command(flatten)]
        said: Said,
        /// Whom, as `holomesh key show` prints it.
        #[arg(long, value_name = "KEY ID")]
        with: KeyId,
        /// For so many days.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=36_525))]
        days: u64,
        /// Where to write it; an existing file is never overwritten.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

pub(super) async fn run(options: Options) -> Result<(), Error> {
    match options.action {
        Action::Grant { said, class, told } => {
            let (identity, seed) = said.identity()?;
            let (now, source) = (wall_now(), SourceId::from(said.stream));
            let terms = Terms { class, from: now, serial: now.0 };
            let record = ConsentRecord { subject: identity.public().clone(), source, terms };
            let signed = record.sign(&identity).map_err(symbol_store::Error::from)?;
            let message = Control::Consent { consents: vec![signed] };
            told.tell(&seed, record.content(), &message).await
        }
        Action::Revoke { said, told } => {
            let (identity, seed) = said.identity()?;
            let subject = identity.public().clone();
            let tombstone = Tombstone { subject, source: said.stream.into(), revoked_at: wall_now() };
            let signed = tombstone.sign(&identity).map_err(symbol_store::Error::from)?;
            told.tell(&seed, tombstone.content(), &Control::Tombstone { tombstone: signed }).await
        }
        Action::Share { said, with, days, output } => {
            let (identity, _) = said.identity()?;
            let until = WallTime(wall_now().0.saturating_add(days * 86_400_000));
            let subject = identity.public().clone();
            let grant = ReadGrant { subject, source: said.stream.into(), reader: with, until };
            let signed = grant.sign(&identity).map_err(symbol_store::Error::from)?;
            let mut file = std::fs::File::create_new(&output).map_err(Error::file(&output))?;
            file.write_all(&signed).map_err(Error::file(&output))?;
            println!("{}", grant.content());
            Ok(())
        }
        Action::Show { content, store } => show(content, &store),
    }
}

impl Said {
    fn identity(&self) -> Result<(Identity, Seed), Error> {
        let seed = passphrase::seed(Some(&self.key), &self.passphrase)?;
        let identity = Identity::from_seed(&seed).map_err(|e| Error::codec("identity", e))?;
        Ok((identity, seed))
    }
}

impl Told {
    /// Tells every node, whatever becomes of the others.
    async fn tell(&self, seed: &Seed, content: ContentId, message: &Control) -> Result<(), Error> {
        let mut failed = None;
        for place in &self.at {
            match record::tell(Seed(seed.0), self.listen, place, content, message.clone()).await {
                Ok(()) => println!("{content} taken at {place}"),
                Err(error) => {
                    eprintln!("holomesh: not taken at {place}: {error}");
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn show(content: ContentId, options: &StoreOptions) -> Result<(), Error> {
    let config = options.config_of_existing()?;
    let store = config.open(&mut random::generator()?)?;
    let (reader, now) = (store.reader(), wall_now());
    let held = reader.describe(now, content)?;
    println!("content   {content}");
    let record = ConsentRecord::verify(&reader.consent(content)?).map_err(symbol_store::Error::from)?;
    println!("person    {}", record.subject.key_id());
    println!("stream    {}", StreamId(record.source.0));
    match &held.terms {
        Some(terms) => {
            println!("consent   {}, number {}, since {}", terms.class, terms.serial, date(terms.from))
        }
        None => println!("consent   can't be read: nothing of it is shown"),
    }
    println!("tier      {}", held.tier);
    if let Some(since) = held.frozen_since {
        println!("frozen    since {}", date(since));
    }
    for (group, stats) in Group::ALL.iter().zip(held.groups) {
        println!(
            "{:9} {} symbols, {}",
            format!("{group:?}").to_lowercase(),
            stats.symbols,
            bytes(stats.bytes)
        );
    }
    let schedule =
        held.terms.as_ref().and_then(|terms| Some((terms, config.classes.schedule(&terms.class)?)));
    if let Some((terms, schedule)) = schedule {
        let mut at = now;
        let mut tier = held.tier;
        while let Ok(Some(next)) = schedule.next_change(terms.from, at) {
            let then =
                schedule.tier(terms.from, next, consent_decay::Consent::Given).unwrap_or(Tier::EnvelopeOnly);
            tier = tier.merge(then);
            println!("from      {}: {tier}", date(next));
            at = next;
        }
    }
    Ok(())
}
