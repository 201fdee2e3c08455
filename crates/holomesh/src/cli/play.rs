//! `holomesh play`.

use super::outputs;
use super::store_options::StoreOptions;
use crate::clock::wall_now;
use crate::{Error, random, record};
use clap::Args;
use consent_decay::ContentId;
use std::path::PathBuf;

/// Options of `holomesh play`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Which recording: what `holomesh record` and `holomesh store ls` print. The sound of its session comes with pictures.
    content: ContentId,
    /// Where to put it: a `.mkv` or `.webm` file with pictures and sound as they were coded, a `.y4m` file with decoded pictures, `-`
    /// for those on standard output, for `| ffplay -`, or a `.wav` file with decoded sound. May be given several times.
    #[arg(short, long, value_name = "FILE", required = true)]
    output: Vec<PathBuf>,
    #[command(flatten)]
    store: StoreOptions,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    outputs::check(&options.output)?;
    let sinks =
        options.output.iter().map(|output| outputs::recorded(output)).collect::<Result<_, Error>>()?;
    let config = options.store.config_of_existing()?;
    let store = config.open(&mut random::generator()?)?;
    let played = record::play(&store.reader(), &config.vault()?, options.content, wall_now(), sinks)?;
    let what = played.replayed;
    eprintln!(
        "played at tier {}: {} pictures ({} in fewer layers, {} missing), {} packets of sound, {} chunks could not be opened",
        played.tier, what.pictures, what.reduced, what.missing, what.packets, what.undecryptable,
    );
    if played.epochs_without_key > 0 {
        eprintln!(
            "of {} epochs there is no key here: what was said in them can't be played",
            played.epochs_without_key
        );
    }
    let proofs = what.proofs;
    eprintln!(
        "of {} pictures and packets {} are proven to be the publisher's, {} by Ed25519 alone, {} not proven, {} forged",
        proofs.objects, proofs.hybrid, proofs.interim, proofs.unproven, proofs.forged,
    );
    Ok(())
}
