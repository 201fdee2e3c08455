//! A frame in layers to a payload for each description.

use codec_av1::{EncoderConfig, Frame, LibaomEncoder, Packet, Structure, VideoEncoder};
use core_types::{BitRate, FrameRate, MediaTime, ObjectClass};

use super::header::LayerHead;
use super::shares::cut;
use crate::head::Head;
use crate::{Descriptions, Error, FrameNumber, Payload};

/// Codes every frame once, in layers, and shares each layer out over the descriptions: the lowest so that each of them has all of it, those
/// above so that all descriptions but one have all of it, whichever they are. Of two descriptions the upper layers take both.
#[derive(Debug)]
pub struct PriorityEncoder {
    /// Of all descriptions together; the encoder's own has what is left of it without the repeated bytes.
    bit_rate: BitRate,
    encoder: LibaomEncoder,
    of: Descriptions,
    next: FrameNumber,
    wants_key: bool,
    since_switch: u32,
}

/// Frames from one point at which upper layers can be taken up again to the next.
const SWITCH_INTERVAL: u32 = 50;

impl PriorityEncoder {
    /// Opens an encoder for two layers that have all pictures (`L2T1`, `L1T1Q2`). The bit rate is that of all descriptions together.
    ///
    /// # Errors
    /// [`Error::Config`] for other layers, [`Error::Video`] when a setting is out of range or libaom does not open.
    pub fn new(config: EncoderConfig, structure: Structure, of: Descriptions) -> Result<Self, Error> {
        if structure != Structure::L2T1 && structure != Structure::L1T1Q2 {
            return Err(Error::Config("layers: two that have all pictures (L2T1 or L1T1Q2)"));
        }
        let inner = EncoderConfig { bit_rate: within(config.bit_rate, of), ..config };
        Ok(Self {
            bit_rate: config.bit_rate,
            encoder: LibaomEncoder::shared_out(inner, structure, SHARES)?,
            of,
            next: FrameNumber(0),
            wants_key: false,
            since_switch: 0,
        })
    }

    /// What it was made with, and the rates that were asked for last.
    pub fn config(&self) -> EncoderConfig {
        EncoderConfig { bit_rate: self.bit_rate, ..*self.encoder.config() }
    }

    /// Gives a payload for each description, in their order.
    ///
    /// # Errors
    /// [`Error::Video`] for a frame of another size and when coding fails.
    pub fn encode(&mut self, frame: &Frame, pts: MediaTime) -> Result<Vec<Payload>, Error> {
        if self.since_switch >= SWITCH_INTERVAL {
            self.encoder.request_switch_point();
            self.since_switch = 0;
        }
        self.since_switch += 1;
        let packets = self.encoder.encode(frame, pts, self.wants_key)?;
        self.wants_key = false;
        let number = self.next;
        self.next.0 += 1;
        let class = packets.first().map_or(ObjectClass::Plain, |packet| packet.class);
        let mut payloads: Vec<Payload> = Vec::with_capacity(self.of.count());
        for description in self.of.all() {
            let data = vec![Head::Priority.byte(description)];
            payloads.push(Payload { description, frame: number, pts, class, data });
        }
        for (step, packet) in packets.iter().enumerate() {
            self.share_out(step, packet, &mut payloads)?;
        }
        Ok(payloads)
    }

    fn share_out(&self, step: usize, packet: &Packet, payloads: &mut [Payload]) -> Result<(), Error> {
        let needed = needed(step, self.of);
        let shares = cut(&packet.data, needed, self.of.count())?;
        let head = LayerHead {
            layer: packet.layer,
            class: packet.class,
            needed: needed as u8,
            len: packet.data.len() as u32,
        };
        for (payload, share) in payloads.iter_mut().zip(shares) {
            head.write(&mut payload.data);
            payload.data.extend_from_slice(&share);
        }
        Ok(())
    }

    /// All begins anew with the next frame.
    pub const fn request_key_frame(&mut self) {
        self.wants_key = true;
    }

    /// Aims at another bit rate, of all descriptions together, from the next frame on. No key frame comes of it.
    ///
    /// # Errors
    /// [`Error::Video`] for a rate that it can't do; it goes on as before.
    pub fn set_bit_rate(&mut self, bit_rate: BitRate) -> Result<(), Error> {
        self.encoder.set_bit_rate(within(bit_rate, self.of))?;
        self.bit_rate = bit_rate;
        Ok(())
    }

    /// Counts with another frame rate from the next frame on.
    pub fn set_frame_rate(&mut self, rate: FrameRate) {
        // libaom takes every rate.
        let _ = self.encoder.set_frame_rate(rate);
    }
}

/// How many descriptions give that layer back.
const fn needed(step: usize, of: Descriptions) -> usize {
    match (step, of) {
        (0, _) => 1,
        (_, Descriptions::Two) => 2,
        (_, Descriptions::Four) => 3,
    }
}

/// Thousandths of the layers' own rate for each of them. The lower one goes out as often as there are descriptions, so it is small: what it
/// takes is missing above.
const SHARES: [u64; 3] = [120, 880, 0];

/// The rate that layers may have, so that with what is repeated it is `total`.
fn within(total: BitRate, of: Descriptions) -> BitRate {
    let spent = SHARES
        .into_iter()
        .enumerate()
        .map(|(step, share)| share * of.count() as u64 / needed(step, of) as u64);
    BitRate(total.0.saturating_mul(1_000) / spent.sum::<u64>().max(1))
}
