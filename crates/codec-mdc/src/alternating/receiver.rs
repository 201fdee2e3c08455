//! Payloads of the descriptions to the best picture of each frame.

use codec_av1::Frame;
use core_types::FrameSize;

use super::blend::{Rated, blend};
use super::chain::Chain;
use super::header::Header;
use crate::{Description, Descriptions, Error, FrameNumber, Shown};

/// Decodes each description by itself. Of each frame it shows the version with the least error, blended with the others where that
/// makes it better.
#[derive(Debug)]
pub(crate) struct AlternatingReceiver {
    chains: Vec<(Description, Chain)>,
}

impl AlternatingReceiver {
    pub(crate) fn new(of: Descriptions, max_size: FrameSize) -> Result<Self, Error> {
        let chains = of.all().map(|description| Ok((description, Chain::new(max_size)?)));
        Ok(Self { chains: chains.collect::<Result<_, Error>>()? })
    }

    pub(crate) fn take(
        &mut self,
        description: Description,
        frame: FrameNumber,
        body: &[u8],
    ) -> Result<(), Error> {
        let read = Header::read(body, frame);
        let (header, unit) = read.map_err(|why| Error::Payload { description, frame, why })?;
        if let Some((_, chain)) = self.chains.iter_mut().find(|(own, _)| *own == description) {
            chain.take(frame, header, unit);
        }
        Ok(())
    }

    pub(crate) fn missed(&mut self, description: Description, frame: FrameNumber) {
        if let Some((_, chain)) = self.chains.iter_mut().find(|(own, _)| *own == description) {
            chain.missed(frame);
        }
    }

    pub(crate) fn show(&mut self, frame: FrameNumber) -> Shown {
        let mut versions: Vec<(Description, Rated)> = Vec::new();
        let mut faults = Vec::new();
        for (description, chain) in &mut self.chains {
            match chain.advance(frame) {
                Ok(Some((level, picture))) => {
                    let rated = Rated { frame: picture.clone(), error_256: level.error_256() };
                    versions.push((*description, rated));
                }
                Ok(None) => {}
                Err(error) => faults.push((*description, error)),
            }
        }
        versions.sort_by_key(|(_, version)| version.error_256);
        let from = versions.iter().map(|(description, _)| *description).collect();
        let mut versions = versions.into_iter().map(|(_, version)| version);
        let picture: Option<Frame> = versions.next().map(|mut best| {
            for other in versions {
                blend(&mut best, &other);
            }
            best.frame
        });
        Shown { picture, from, faults }
    }

    pub(crate) fn wants_key_frame(&self) -> impl Iterator<Item = Description> {
        self.chains.iter().filter(|(_, chain)| chain.needs_key_frame()).map(|(description, _)| *description)
    }
}
