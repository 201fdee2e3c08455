//! The bundled clip and speech at every station of a frame's way, made as a publisher makes them.

use anyhow::{Context, Result};
use av_wire::{Inner, Object, ObjectFlags, Sealer, StreamKeys};
use bytes::Bytes;
use codec_av1::{EncoderConfig, Frame, Packet, Rav1eEncoder, VideoEncoder};
use codec_fountain::{BlockShape, Encoder, Symbol, repair_symbols};
use codec_opus::{Channels, EncoderConfig as OpusConfig, SampleRate};
use core_types::{
    BitRate, CodecId, Epoch, FrameRate, Layer, LeafIndex, MediaTime, ObjectSeq, StreamId, SymbolSize,
};
use holomesh::media::{AudioSource, VideoSource};

/// Parents that share a stream, as in the demo: a third of repair.
pub const PARENTS: u8 = 4;
/// Threads of the video encoder, as in the demo.
pub const THREADS: usize = 2;
/// The stream that the clip is.
pub const STREAM: StreamId = StreamId([7; 32]);
/// The epoch that it is sealed in.
pub const EPOCH: Epoch = Epoch(1);
/// That epoch's secret.
pub const SECRET: [u8; 32] = [3; 32];
/// Who seals it.
pub const SENDER: LeafIndex = LeafIndex(0);

const CLIP: &[u8] = include_bytes!("../../assets/clip.ivf");
const SPEECH: &[u8] = include_bytes!("../../assets/speech.wav");

/// The bundled media.
#[derive(Debug)]
pub struct Media {
    /// The clip's pictures.
    pub frames: Vec<Frame>,
    /// How many stand for a second.
    pub rate: FrameRate,
    /// How the pictures are encoded: 700 kbit/s, a key frame every five seconds.
    pub video: EncoderConfig,
    /// The speech in blocks of one Opus frame.
    pub sound: Vec<Vec<i16>>,
    /// How the speech is encoded: 32 kbit/s, with error correction for 2 % loss.
    pub audio: OpusConfig,
    /// The pictures, encoded.
    pub packets: Vec<Packet>,
}

/// One coded picture on its way.
#[derive(Debug)]
pub struct Content {
    /// Its number.
    pub seq: ObjectSeq,
    /// The object: the packet with its time.
    pub object: Vec<u8>,
    /// Repair symbols that it gets.
    pub repair: u32,
    /// Its source symbols, then its repair symbols.
    pub symbols: Vec<Symbol>,
    /// Its sealed chunks, one for each symbol.
    pub chunks: Vec<Bytes>,
}

impl Content {
    /// What stands in the seal for each symbol.
    pub fn inner(&self) -> impl Iterator<Item = Inner<'_>> {
        let object_len = self.object.len() as u32;
        self.symbols.iter().map(move |symbol| Inner::Symbol {
            seq: self.seq,
            object_len,
            repair: self.repair as u16,
            id: symbol.id,
            bytes: &symbol.data,
        })
    }
}

impl Media {
    /// Decodes the clip, encodes it anew for a live stream, and cuts up the speech.
    ///
    /// # Errors
    /// When a bundled file is damaged.
    pub fn load() -> Result<Self> {
        let mut clip = VideoSource::from_reader("clip.ivf", CLIP)?;
        let rate = clip.rate();
        let mut frames = Vec::new();
        while let Some(frame) = clip.next_frame()? {
            frames.push(frame);
        }
        let video = EncoderConfig {
            size: clip.size(),
            rate,
            bit_rate: BitRate::from_kbit(700),
            max_key_interval: 5 * rate.num() / rate.den(),
            threads: THREADS,
        };
        let mut encoder = Rav1eEncoder::new(video)?;
        let mut packets = Vec::new();
        for (at, frame) in frames.iter().enumerate() {
            packets.extend(encoder.encode(frame, pts(rate, at), false)?);
        }
        packets.extend(encoder.flush()?);

        let mut speech = AudioSource::from_reader("speech.wav", SPEECH)?;
        let audio = OpusConfig {
            sample_rate: SampleRate::from_hz(speech.sample_rate()).context("a rate that Opus has")?,
            channels: if speech.channels() == 2 { Channels::Stereo } else { Channels::Mono },
            bit_rate: BitRate::from_kbit(32),
            expected_loss_percent: 2,
            ..OpusConfig::default()
        };
        let mut sound = Vec::new();
        while let Some(block) = speech.next_block(audio.frame.samples(audio.sample_rate))? {
            sound.push(block);
        }
        Ok(Self { frames, rate, video, sound, audio, packets })
    }

    /// When picture `at` is due.
    pub fn pts(&self, at: usize) -> MediaTime {
        pts(self.rate, at)
    }

    /// The coded pictures as symbols and sealed chunks.
    ///
    /// # Errors
    /// When one is above a limit; at this bit rate none is.
    pub fn contents(&self) -> Result<Vec<Content>> {
        let mut fountain = Encoder::new(SymbolSize::DEFAULT);
        let mut sealer: Sealer =
            Sealer::new(StreamKeys::derive(&SECRET, STREAM, SENDER)?, STREAM, EPOCH, CodecId::Av1);
        let mut contents = Vec::with_capacity(self.packets.len());
        for (number, packet) in self.packets.iter().enumerate() {
            let object = Object {
                flags: ObjectFlags { key_frame: packet.key_frame, ..ObjectFlags::default() },
                pts: packet.pts,
                duration: self.rate.frame_interval(),
                picture: None,
                payload: &packet.data,
            }
            .to_bytes()?;
            let k = BlockShape::new(object.len(), SymbolSize::DEFAULT)?.source_symbols();
            let repair = repair_symbols(k, PARENTS);
            let symbols = fountain.encode(&object, repair)?;
            let seq = ObjectSeq(number as u64);
            let mut content = Content { seq, object, repair, symbols, chunks: Vec::new() };
            let sealed: Result<Vec<Bytes>, av_wire::Error> =
                content.inner().map(|inner| sealer.seal(Layer::BASE, &inner).map(Bytes::from)).collect();
            content.chunks = sealed?;
            contents.push(content);
        }
        Ok(contents)
    }
}

fn pts(rate: FrameRate, at: usize) -> MediaTime {
    MediaTime::from_duration(rate.frame_offset(at as u64))
}
