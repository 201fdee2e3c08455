//! A frame to one payload for each description.

use av1_backends::{Encoder, EncoderSettings, FrameOrder, LayerRate};
use codec_av1::{EncoderConfig, Frame};
use core_types::{BitRate, FrameRate, MediaTime, ObjectClass};

use super::header::{ErrorLevel, Header};
use crate::{Description, Descriptions, Error, FrameNumber, Payload};

/// How much of a description's rate its pictures of low quality are to have, per mille. With rough quantizers alone they may take more.
const LOW_SHARE: u64 = 60;
/// Pictures after which that is looked at.
const LOOK_INTERVAL: u32 = 50;

/// Where the last good picture is kept, and where the last low one, which nothing refers to: a picture that goes nowhere is not
/// finished, and its error could not be measured.
const GOOD: u8 = 0;
const LOW: u8 = 1;

/// Codes every frame once for each description: well in one of them, in turn, and with few bits in the others.
///
/// A good picture refers to the last good one of its description, a low one to the same and is referred to by none. So a lost payload
/// costs nothing if it is a low one, and otherwise its description until that has a key frame, while the others go on.
#[derive(Debug)]
pub struct AlternatingEncoder {
    config: EncoderConfig,
    coders: Vec<Coder>,
    next: FrameNumber,
}

/// One description's.
#[derive(Debug)]
struct Coder {
    description: Description,
    backend: Encoder,
    last_kept: Option<FrameNumber>,
    /// Frames since its last key frame, that one counted; 0 asks for one.
    since_key: u32,
    spent: Spent,
}

/// What low pictures took since it was looked at, in bytes, and the share that is set aside for them.
#[derive(Debug)]
struct Spent {
    pictures: u32,
    low: u64,
    low_share: u64,
}

impl AlternatingEncoder {
    /// Opens an encoder for each description. The bit rate is that of all together. Key frames of the descriptions come in turn.
    ///
    /// # Errors
    /// [`Error::Config`] when a setting is out of range, [`Error::Backend`] when libaom does not open.
    pub fn new(config: EncoderConfig, of: Descriptions) -> Result<Self, Error> {
        check(&config, of)?;
        let settings = EncoderSettings {
            // Sides are at most 4,096, threads at most 64.
            width: config.size.width() as u16,
            height: config.size.height() as u16,
            threads: config.threads as u8,
            spatial: vec![1],
            temporal: of.count().ilog2() as u8 + 1,
        };
        let rates = rates(config.bit_rate, of, LOW_SHARE);
        let coders = of.all().map(|description| {
            let backend = Encoder::new(settings.clone(), &rates)?;
            let spent = Spent { pictures: 0, low: 0, low_share: LOW_SHARE };
            Ok(Coder { description, backend, last_kept: None, since_key: 0, spent })
        });
        Ok(Self { config, coders: coders.collect::<Result<_, Error>>()?, next: FrameNumber(0) })
    }

    /// What it was made with, and the rates that were asked for last.
    pub const fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// Gives a payload for each description, in their order.
    ///
    /// # Errors
    /// [`codec_av1::Error::SizeMismatch`] for a frame of another size, [`Error::Backend`] when coding fails. After that all begin anew.
    pub fn encode(&mut self, frame: &Frame, pts: MediaTime) -> Result<Vec<Payload>, Error> {
        let expected = self.config.size;
        if frame.size() != expected {
            return Err(codec_av1::Error::SizeMismatch { expected, actual: frame.size() }.into());
        }
        let number = self.next;
        self.next.0 += 1;
        let (config, mut payloads) = (self.config, Vec::with_capacity(self.coders.len()));
        for coder in &mut self.coders {
            match coder.encode(frame, number, pts, &config) {
                Ok(payload) => payloads.push(payload),
                Err(error) => {
                    self.coders.iter_mut().for_each(|coder| coder.since_key = 0);
                    return Err(error);
                }
            }
        }
        Ok(payloads)
    }

    /// The description begins anew with the next frame: a receiver can't go on with it.
    pub fn request_key_frame(&mut self, description: Description) {
        for coder in self.coders.iter_mut().filter(|coder| coder.description == description) {
            coder.since_key = 0;
        }
    }

    /// Aims at another bit rate, of all descriptions together, from the next frame on. No key frame comes of it.
    ///
    /// # Errors
    /// [`Error::Config`] for a rate that it can't do; it goes on as before.
    pub fn set_bit_rate(&mut self, bit_rate: BitRate) -> Result<(), Error> {
        for coder in &mut self.coders {
            let of = coder.description.of();
            check(&EncoderConfig { bit_rate, ..self.config }, of)?;
            coder.backend.set_rates(&rates(bit_rate, of, coder.spent.low_share))?;
        }
        self.config.bit_rate = bit_rate;
        Ok(())
    }

    /// Counts with another frame rate from the next frame on.
    pub const fn set_frame_rate(&mut self, rate: FrameRate) {
        self.config.rate = rate;
    }
}

impl Coder {
    fn encode(
        &mut self,
        frame: &Frame,
        number: FrameNumber,
        pts: MediaTime,
        config: &EncoderConfig,
    ) -> Result<Payload, Error> {
        let back = self.last_kept.map(|last| number.0 - last.0);
        let is_key = self.since_key == 0
            || self.since_key >= config.max_key_interval
            || back.is_none_or(|back| back > Header::MAX_BACK);
        let temporal = if is_key { 0 } else { self.temporal_layer(number) };
        let is_good = temporal == 0;
        let order = FrameOrder {
            spatial: 0,
            temporal,
            key: is_key,
            refers_to: vec![GOOD],
            refreshes: Some(if is_good { GOOD } else { LOW }),
            resilient: false,
        };
        let micros = u32::try_from(config.rate.frame_interval().as_micros()).unwrap_or(u32::MAX).max(1);
        let unit = self.backend.encode(frame.as_i420(), micros, &order)?;
        let header = Header {
            back: back.filter(|_| !is_key).and_then(|back| u8::try_from(back).ok()),
            is_kept: is_good,
            level: self.level(frame),
        };
        if is_key {
            // Key frames that come by themselves don't come in all descriptions at once.
            let turn = self.description.index() as u32 * config.max_key_interval;
            let turn = turn / self.description.of().count() as u32;
            self.since_key = if self.last_kept.is_none() { turn } else { 0 };
        }
        self.since_key += 1;
        if is_good {
            self.last_kept = Some(number);
        }
        let class = match (is_key, is_good) {
            (true, _) => ObjectClass::KeyFrame,
            (_, true) => ObjectClass::Plain,
            (_, false) => ObjectClass::Discardable,
        };
        let data = header.write(self.description, &unit);
        self.account(class, data.len(), config)?;
        Ok(Payload { description: self.description, frame: number, pts, class, data })
    }

    /// Of the layers that libaom's rate control knows: the lowest has the good pictures.
    const fn temporal_layer(&self, number: FrameNumber) -> u8 {
        let of = self.description.of();
        let count = of.count() as u64;
        match (number.0 / run(of) + count - self.description.phase()) % count {
            0 => 0,
            2 => 1,
            _ => count.ilog2() as u8,
        }
    }

    /// How far what was coded last is from the frame.
    fn level(&mut self, frame: &Frame) -> ErrorLevel {
        let Some((_, _, planes)) = self.backend.reconstruction() else { return ErrorLevel::MAX };
        let squares = frame.y().iter().zip(&planes).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
        ErrorLevel::of(squares, frame.y().len())
    }

    /// Low pictures may take more than they are to have, however roughly they are coded; then the good ones get less, or the rate would not
    /// be kept.
    fn account(&mut self, class: ObjectClass, bytes: usize, config: &EncoderConfig) -> Result<(), Error> {
        let of = self.description.of();
        let spent = &mut self.spent;
        spent.pictures += 1;
        if class == ObjectClass::Discardable {
            spent.low += bytes as u64;
        }
        if spent.pictures < LOOK_INTERVAL {
            return Ok(());
        }
        let each = config.bit_rate.0 / of.count() as u64;
        let bits_a_second = u128::from(8_000 * spent.low) * 1_000_000
            / (config.rate.frame_interval().as_micros() * u128::from(spent.pictures)).max(1);
        let share = u64::try_from(bits_a_second / u128::from(each.max(1))).unwrap_or(u64::MAX);
        let share = share.clamp(LOW_SHARE, 500);
        let is_other = share.abs_diff(spent.low_share) > 20;
        *spent = Spent { pictures: 0, low: 0, low_share: if is_other { share } else { spent.low_share } };
        if is_other {
            self.backend.set_rates(&rates(config.bit_rate, of, share))?;
        }
        Ok(())
    }
}

/// How many pictures in a row a description has well. The more, the less is lost beside one stream, since pictures that follow one another are
/// like one another; and the farther are low ones from the good one that they refer to.
const fn run(of: Descriptions) -> u64 {
    match of {
        Descriptions::Two => 3,
        Descriptions::Four => 1,
    }
}

fn check(config: &EncoderConfig, of: Descriptions) -> Result<(), Error> {
    let each = BitRate(config.bit_rate.0 / of.count() as u64);
    if !(EncoderConfig::MIN_BIT_RATE..=EncoderConfig::MAX_BIT_RATE).contains(&each) {
        return Err(Error::Config("the bit rate: 8 kbit/s to 200 Mbit/s for each description"));
    }
    if !(1..=10_000).contains(&config.max_key_interval) {
        return Err(Error::Config("the frames between key frames: 1 to 10000"));
    }
    if !(1..=64).contains(&config.threads) {
        return Err(Error::Config("the threads: 1 to 64"));
    }
    Ok(())
}

/// The rates of one description. libaom's temporal layers tell its rate control which picture is which: the lowest one has the good ones,
/// and each further layer has as many pictures as all below it.
fn rates(total: BitRate, of: Descriptions, low_share: u64) -> Vec<LayerRate> {
    let each = total.0 / of.count() as u64;
    let layers = of.count().ilog2();
    let lows = of.count() as u64 - 1;
    let rate = |layer: u32| {
        let share = 1_000 - low_share + low_share * ((1 << layer) - 1) / lows;
        LayerRate { kbit: u32::try_from(each * share / 1_000_000).unwrap_or(u32::MAX).max(1) }
    };
    (0..=layers).map(rate).collect()
}
