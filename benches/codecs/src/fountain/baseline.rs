//! What others take for the same.

use super::Set;
use anyhow::{Context, Result, ensure};
use bench_harness::Clock;
use raptorq::{
    EncodingPacket, ObjectTransmissionInformation, PayloadId, SourceBlockDecoder, SourceBlockEncoder,
    SourceBlockEncodingPlan,
};
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};
use std::hint::black_box;
use std::time::Duration;

/// `raptorq` with the plan in place.
pub(super) struct RaptorQ {
    information: ObjectTransmissionInformation,
    plan: SourceBlockEncodingPlan,
}

impl RaptorQ {
    pub(super) fn new(k: usize, size: usize) -> Self {
        Self { information: information(k, size), plan: SourceBlockEncodingPlan::generate(k as u16) }
    }

    /// The repair symbols. That it copies the source symbols can't be had otherwise.
    pub(super) fn encode(&self, object: &[u8], repair: usize) -> Vec<EncodingPacket> {
        let block = SourceBlockEncoder::with_encoding_plan(0, &self.information, object, &self.plan);
        block.repair_packets(0, repair as u32)
    }
}

/// One source block, one sub-block, alignment 1.
fn information(k: usize, size: usize) -> ObjectTransmissionInformation {
    ObjectTransmissionInformation::new((k * size) as u64, size as u16, 1, 1, 1)
}

/// Decodes all sets, each in one go; packets with memory of their own, which it wants, are made beforehand. At these `k` no repair
/// symbol is left out, so ids are the same.
pub(super) fn decode_raptorq(sets: &[Set], passes: usize, k: usize, size: usize) -> Result<Duration> {
    let packet = |(id, data): &(core_types::SymbolId, Vec<u8>)| {
        EncodingPacket::new(PayloadId::new(0, id.value()), data.clone())
    };
    let mut all = Duration::ZERO;
    // A pass at a time, so that packets are in the cache as they are for us.
    for _ in 0..passes {
        let packets: Vec<Vec<_>> = sets.iter().map(|set| set.symbols.iter().map(packet).collect()).collect();
        let (time, decoded) = Clock::Thread.time(|| {
            let decode = |packets| {
                let mut decoder = SourceBlockDecoder::new(0, &information(k, size), (k * size) as u64);
                black_box(decoder.decode(black_box(packets)))
            };
            packets.into_iter().map(decode).collect::<Option<Vec<_>>>()
        });
        let decoded = decoded.context("raptorq does not decode")?;
        let same = decoded.iter().zip(sets).all(|(object, set)| *object == set.object);
        ensure!(same, "raptorq's object is another");
        all += time;
    }
    Ok(all)
}

/// `reed-solomon-simd`, which is a code over GF(65536): other symbols, the same purpose.
pub(super) struct ReedSolomon {
    k: usize,
    repair: usize,
    size: usize,
    encoder: ReedSolomonEncoder,
    decoder: ReedSolomonDecoder,
}

/// The symbols that come, and an object with what does not come left as zeros.
pub(super) struct Received {
    object: Vec<u8>,
    lost: Vec<usize>,
    repair: Vec<Vec<u8>>,
}

impl ReedSolomon {
    pub(super) fn new(k: usize, repair: usize, size: usize) -> Result<Self> {
        let encoder = ReedSolomonEncoder::new(k, repair, size)?;
        Ok(Self { k, repair, size, encoder, decoder: ReedSolomonDecoder::new(k, repair, size)? })
    }

    pub(super) fn encode(&mut self, object: &[u8]) -> Result<()> {
        for symbol in object.chunks_exact(self.size) {
            self.encoder.add_original_shard(symbol)?;
        }
        black_box(self.encoder.encode()?.recovery(0));
        Ok(())
    }

    /// The same losses as ours has.
    pub(super) fn received(&mut self, sets: &[Set]) -> Result<Vec<Received>> {
        let one = |set: &Set| {
            for symbol in set.object.chunks_exact(self.size) {
                self.encoder.add_original_shard(symbol)?;
            }
            let repair = self.encoder.encode()?.recovery_iter().map(<[u8]>::to_vec).collect();
            let mut object = set.object.clone();
            for id in &set.lost {
                object[id * self.size..][..self.size].fill(0);
            }
            Ok(Received { object, lost: set.lost.clone(), repair })
        };
        sets.iter().map(one).collect()
    }

    /// The frame, assembled.
    pub(super) fn decode(&mut self, received: &Received) -> Result<Vec<u8>> {
        let Received { object, lost, repair } = received;
        let mut whole = object.clone();
        for (id, symbol) in object.chunks_exact(self.size).enumerate().take(self.k) {
            if !lost.contains(&id) {
                self.decoder.add_original_shard(id, symbol)?;
            }
        }
        for (id, symbol) in repair.iter().enumerate().take(lost.len().min(self.repair)) {
            self.decoder.add_recovery_shard(id, symbol)?;
        }
        for (id, symbol) in self.decoder.decode()?.restored_original_iter() {
            whole[id * self.size..][..self.size].copy_from_slice(symbol);
        }
        Ok(black_box(whole))
    }
}
