//! What streams a host has.

use crate::publish::{AudioConfig, BlockSource, FrameSource, StreamKind, VideoConfig};
use crate::{Error, descriptions, keyfile};
use av_wire::{FrameDuration, Media, StreamAnnounce};
use core_types::{CodecId, KeyId, Layer, SessionId, SymbolSize};

/// How a host keeps its streams apart: what they carry, and of several descriptions which.
pub(super) type Key = (StreamKind, u8);

/// What all streams have in common.
pub(super) struct Common {
    pub(super) session: SessionId,
    pub(super) publisher: KeyId,
    pub(super) symbol_size: SymbolSize,
    pub(super) parents: u8,
}

impl Common {
    fn announce(&self, label: String, codec: CodecId, media: Media) -> Result<StreamAnnounce, Error> {
        let mut random = [0; 16];
        keyfile::fill_random(&mut random)?;
        Ok(StreamAnnounce {
            session: self.session,
            publisher: self.publisher,
            label,
            random,
            codec,
            layers: Layer::BASE,
            symbol_size: self.symbol_size,
            parents: self.parents,
            frame_duration: None,
            media,
        })
    }

    /// The announcements of all streams, each with new randomness, and how the host keeps them apart.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(super) fn announcements(
        &self,
        video: Option<&(Box<dyn FrameSource>, VideoConfig)>,
        audio: Option<&(Box<dyn BlockSource>, AudioConfig)>,
    ) -> Result<Vec<(Key, StreamAnnounce)>, Error> {
        let mut all = Vec::new();
        if let Some((source, video)) = video {
            let media = Media::Video { size: source.size(), rate: source.rate() };
            match video.descriptions {
                Some(of) => {
                    // Where a parent fails the other descriptions go on, so there is no repair for that. That they belong together shows
                    // by what was drawn for them.
                    let announce = self.announce("camera".into(), CodecId::Mdc, media)?;
                    let announce = StreamAnnounce { parents: 1, ..announce };
                    for (index, description) in (0..).zip(of.all()) {
                        let label = descriptions::label(&announce.label, description);
                        all.push(((StreamKind::Video, index), StreamAnnounce { label, ..announce.clone() }));
                    }
                }
                None => {
                    let announce = self.announce("camera".into(), StreamKind::Video.codec(), media)?;
                    let layers = video.layers.top();
                    all.push(((StreamKind::Video, 0), StreamAnnounce { layers, ..announce }));
                }
            }
        }
        if let Some((_, audio)) = audio {
            let media = Media::Audio {
                sample_rate: audio.opus.sample_rate.hz(),
                channels: audio.opus.channels.count() as u8,
            };
            let announce = self.announce("microphone".into(), StreamKind::Audio.codec(), media)?;
            let frame_duration = FrameDuration::from_duration(audio.opus.frame.duration());
            all.push(((StreamKind::Audio, 0), StreamAnnounce { frame_duration, ..announce }));
        }
        Ok(all)
    }
}
