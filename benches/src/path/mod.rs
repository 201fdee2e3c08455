//! The group `path`: every stage from a captured picture to a shown one, in the order in which a frame meets them.

mod audio;
mod fountain;
mod link;
mod relay;
mod seal;
mod video;

use anyhow::Result;
use benches::{Media, Row};

pub(crate) fn run() -> Result<Vec<Row>> {
    // First, since building it may take a while.
    let link = link::run()?;
    eprintln!("benches: encoding the clip");
    let media = Media::load()?;
    let contents = media.contents()?;
    eprintln!("benches: {} pictures of {} at {}", contents.len(), media.video.size, media.video.bit_rate);
    let describe = |what: &str, count: usize| {
        eprintln!("benches: {what} a picture: {:.1}", count as f64 / contents.len().max(1) as f64);
    };
    describe("bytes", contents.iter().map(|content| content.object.len()).sum());
    describe("chunks", contents.iter().map(|content| content.chunks.len()).sum());

    Ok(vec![
        video::encode(&media)?,
        fountain::encode(&contents)?,
        seal::seal(&contents)?,
        link,
        relay::fan_out(&contents)?,
        seal::open(&contents)?,
        fountain::reassemble(&contents, fountain::Loss::None)?,
        fountain::reassemble(&contents, fountain::Loss::OneParent)?,
        video::decode(&media)?,
        audio::encode(&media)?,
        audio::decode(&media)?,
    ])
}
