//! What a publisher says of a stream before it sends: signed, so that nobody else can announce in its name.

use crate::{Error, FrameDuration, MAX_QUALITY};
use core_types::{CodecId, FrameRate, FrameSize, KeyId, Layer, SessionId, StreamId, SymbolSize};
use identity::canonical::{Reader, Writer};
use identity::{Domain, HybridSignature, Identity, PublicIdentity};

const DOMAIN: Domain = Domain::new("holomesh stream-announce v1");
const VERSION: u8 = 2;
const MAX_LABEL: usize = 128;

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// Pictures.
    Video {
        /// Size in pixels.
        size: FrameSize,
        /// Nominal frame rate.
        rate: FrameRate,
    },
    /// Sound.
    Audio {
        /// Samples a second and channel.
        sample_rate: u32,
        /// Channels, interleaved.
        channels: u8,
    },
    /// Anything else.
    Data,
}

impl Media {
    const VIDEO: u8 = 0;
    const AUDIO: u8 = 1;
    const DATA: u8 = 2;
}

/// A stream's announcement (spec 20 section 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAnnounce {
    /// The session that it belongs to.
    pub session: SessionId,
    /// Who sends it.
    pub publisher: KeyId,
    /// What the publisher calls it: "camera", "microphone"; at most 128 bytes.
    pub label: String,
    /// The randomness in the stream's id: a publisher that restarts draws anew, and so never reuses a nonce.
    pub random: [u8; 16],
    /// The codec id of its chunks.
    pub codec: CodecId,
    /// The highest layer that it has.
    pub layers: Layer,
    /// Bytes of its fountain symbols.
    pub symbol_size: SymbolSize,
    /// How many parents its repair is sized for: with the chunks dealt out to that many, any one of them may fail.
    pub parents: u8,
    /// How long each object stands, if all stand equally long: one at its regular place need not say its time.
    pub frame_duration: Option<FrameDuration>,
    /// What it carries.
    pub media: Media,
}

impl StreamAnnounce {
    /// The stream's id, which covers publisher, label and randomness.
    ///
    /// # Errors
    /// [`Error::Identity`] when the label is too long.
    pub fn stream_id(&self) -> Result<StreamId, Error> {
        identity::stream_id(self.publisher, &self.label, self.random).map_err(wrong)
    }

    /// Signs the announcement: its canonical bytes, then the hybrid signature.
    ///
    /// # Errors
    /// [`Error::Malformed`] if `publisher` is not the signer, and for a quality layer above [`MAX_QUALITY`];
    /// [`Error::Identity`] when the label is too long.
    pub fn sign(&self, signer: &Identity) -> Result<Vec<u8>, Error> {
        if signer.key_id() != self.publisher {
            return Err(Error::Malformed { what: "stream announcement", why: "signer is not the publisher" });
        }
        if self.layers.quality > MAX_QUALITY {
            return Err(Error::Malformed { what: "stream announcement", why: "quality layers end at 15" });
        }
        let mut bytes = self.canonical()?;
        let signature = signer.sign(DOMAIN, &bytes).map_err(wrong)?;
        bytes.extend_from_slice(&signature.to_bytes());
        Ok(bytes)
    }

    /// Reads and verifies a signed announcement.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Malformed`], [`Error::Value`] or [`Error::Identity`]: it is not one that
    /// `publisher` signed.
    pub fn verify(bytes: &[u8], publisher: &PublicIdentity) -> Result<Self, Error> {
        let Some(split) = bytes.len().checked_sub(HybridSignature::LEN) else {
            return Err(Error::Truncated {
                what: "stream announcement",
                need: HybridSignature::LEN,
                have: bytes.len(),
            });
        };
        let (payload, signature) = bytes.split_at(split);
        let signature = HybridSignature::from_bytes(signature).map_err(wrong)?;
        publisher.verify(DOMAIN, payload, &signature).map_err(wrong)?;
        let announce = Self::parse(payload)?;
        if announce.publisher != publisher.key_id() {
            return Err(Error::Malformed { what: "stream announcement", why: "signer is not the publisher" });
        }
        Ok(announce)
    }

    fn canonical(&self) -> Result<Vec<u8>, Error> {
        let mut w = Writer::new();
        w.u8(VERSION).fixed(self.session.as_bytes()).fixed(self.publisher.as_bytes()).fixed(&self.random);
        w.bytes("label", self.label.as_bytes(), MAX_LABEL).map_err(wrong)?;
        w.u8(self.codec.into()).u8(self.layers.spatial).u8(self.layers.temporal).u8(self.layers.quality);
        w.u16(self.symbol_size.bytes() as u16).u8(self.parents);
        w.u32(self.frame_duration.map_or(0, FrameDuration::micros));
        match self.media {
            Media::Video { size, rate } => {
                w.u8(Media::VIDEO).u16(size.width() as u16).u16(size.height() as u16);
                w.u32(rate.num()).u32(rate.den());
            }
            Media::Audio { sample_rate, channels } => {
                w.u8(Media::AUDIO).u32(sample_rate).u8(channels);
            }
            Media::Data => {
                w.u8(Media::DATA);
            }
        }
        Ok(w.into_bytes())
    }

    fn parse(payload: &[u8]) -> Result<Self, Error> {
        let bad = |why| Error::Malformed { what: "stream announcement", why };
        let mut r = Reader::new(payload);
        if r.u8().map_err(wrong)? != VERSION {
            return Err(bad("unknown version"));
        }
        let session = SessionId(r.array().map_err(wrong)?);
        let publisher = KeyId(r.array().map_err(wrong)?);
        let random = r.array().map_err(wrong)?;
        let label = core::str::from_utf8(r.bytes(MAX_LABEL).map_err(wrong)?)
            .map_err(|_| bad("label is not UTF-8"))?
            .to_owned();
        let codec = CodecId::try_from(r.u8().map_err(wrong)?)?;
        let [spatial, temporal, quality] = r.array().map_err(wrong)?;
        if quality > MAX_QUALITY {
            return Err(bad("quality layers end at 15"));
        }
        let symbol_size = SymbolSize::new(u32::from(r.u16().map_err(wrong)?))?;
        let parents = r.u8().map_err(wrong)?;
        if !(1..=16).contains(&parents) {
            return Err(bad("parents must be 1 to 16"));
        }
        let frame_duration = FrameDuration::from_micros(r.u32().map_err(wrong)?);
        let media = match r.u8().map_err(wrong)? {
            Media::VIDEO => {
                let (width, height) = (r.u16().map_err(wrong)?, r.u16().map_err(wrong)?);
                let size = FrameSize::new(width.into(), height.into())?;
                let rate = FrameRate::new(r.u32().map_err(wrong)?, r.u32().map_err(wrong)?)?;
                Media::Video { size, rate }
            }
            Media::AUDIO => {
                let (sample_rate, channels) = (r.u32().map_err(wrong)?, r.u8().map_err(wrong)?);
                if !(8_000..=192_000).contains(&sample_rate) || !(1..=8).contains(&channels) {
                    return Err(bad("audio must have 8 to 192 kHz and 1 to 8 channels"));
                }
                Media::Audio { sample_rate, channels }
            }
            Media::DATA => Media::Data,
            _ => return Err(bad("unknown kind of media")),
        };
        r.finish().map_err(wrong)?;
        let layers = Layer { spatial, temporal, quality };
        Ok(Self {
            session,
            publisher,
            label,
            random,
            codec,
            layers,
            symbol_size,
            parents,
            frame_duration,
            media,
        })
    }
}

const fn wrong(source: identity::Error) -> Error {
    Error::Identity { what: "stream announcement", source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use identity::Seed;
    use proptest::prelude::*;

    fn announce(publisher: KeyId) -> StreamAnnounce {
        StreamAnnounce {
            session: SessionId([4; 32]),
            publisher,
            label: "camera".into(),
            random: [8; 16],
            codec: CodecId::Av1,
            layers: Layer::BASE,
            symbol_size: SymbolSize::DEFAULT,
            parents: 4,
            frame_duration: None,
            media: Media::Video {
                size: FrameSize::new(640, 360).unwrap(),
                rate: FrameRate::new(25, 1).unwrap(),
            },
        }
    }

    #[test]
    fn only_the_publisher_announces_and_nothing_can_be_altered() {
        let alice = Identity::from_seed(&Seed([1; 64])).unwrap();
        let mallory = Identity::from_seed(&Seed([2; 64])).unwrap();
        let video = announce(alice.key_id());
        let audio = StreamAnnounce {
            media: Media::Audio { sample_rate: 48_000, channels: 1 },
            frame_duration: FrameDuration::from_micros(20_000),
            ..video.clone()
        };
        let data = StreamAnnounce { media: Media::Data, ..video.clone() };
        for said in [&video, &audio, &data] {
            let bytes = said.sign(&alice).unwrap();
            assert_eq!(&StreamAnnounce::verify(&bytes, alice.public()).unwrap(), said);
            assert!(StreamAnnounce::verify(&bytes, mallory.public()).is_err());
            for at in [0, 1, 40, 80, 100, bytes.len() - 1] {
                let mut altered = bytes.clone();
                altered[at] ^= 1;
                assert!(StreamAnnounce::verify(&altered, alice.public()).is_err(), "byte {at}");
            }
        }
        assert!(video.sign(&mallory).is_err(), "mallory cannot announce in alice's name");
    }

    #[test]
    fn quality_layers_end_where_the_chunk_header_does() {
        let alice = Identity::from_seed(&Seed([1; 64])).unwrap();
        let with = |quality| {
            let layers = Layer { quality, ..Layer::BASE };
            StreamAnnounce { layers, ..announce(alice.key_id()) }
        };
        assert_eq!(StreamAnnounce::parse(&with(15).canonical().unwrap()).unwrap(), with(15));
        assert!(with(15).sign(&alice).is_ok() && with(16).sign(&alice).is_err());
        assert!(StreamAnnounce::parse(&with(16).canonical().unwrap()).is_err());
    }

    #[test]
    fn the_id_depends_on_publisher_label_and_randomness() {
        let base = announce(KeyId([1; 32]));
        let others = [
            StreamAnnounce { publisher: KeyId([2; 32]), ..base.clone() },
            StreamAnnounce { label: "screen".into(), ..base.clone() },
            StreamAnnounce { random: [9; 16], ..base.clone() },
        ];
        for other in others {
            assert_ne!(base.stream_id().unwrap(), other.stream_id().unwrap());
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..150) {
            prop_assert!(StreamAnnounce::parse(&bytes).is_err() || bytes.len() > 90);
            let good = announce(KeyId([1; 32])).canonical().unwrap();
            let cut = cut.min(good.len() - 1);
            prop_assert!(StreamAnnounce::parse(&good[..cut]).is_err());
        }
    }
}
