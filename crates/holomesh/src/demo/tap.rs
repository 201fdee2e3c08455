//! Shows that a relay holds no content key: everything that it ever received is kept, and searched for keys afterwards.

use crate::relay::Tap;
use av_relay::Stats;
use av_wire::{ChunkHeader, Keyring};
use core_types::{Epoch, LeafIndex, MonoTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Bytes kept of what a relay received; more than a run of a minute brings.
const LIMIT: usize = 256 << 20;
/// Short messages are control messages or could be: every 32 bytes of them are tried as a key.
const TRIED: usize = 256 << 10;

#[derive(Debug, Default)]
struct Seen {
    stats: Stats,
    bytes: Vec<u8>,
    /// Start of what did not come as a chunk.
    control: Vec<u8>,
    /// One chunk of each epoch, to try keys on.
    samples: BTreeMap<Epoch, Vec<u8>>,
}

/// Keeps what a relay received.
#[derive(Debug, Default)]
pub(super) struct RelayTap(Mutex<Seen>);

impl Tap for RelayTap {
    fn received(&self, bytes: &[u8]) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ChunkHeader::parse(bytes) {
            Ok(header) => {
                seen.samples.entry(header.epoch).or_insert_with(|| bytes.to_vec());
            }
            Err(_) if seen.control.len() < TRIED => seen.control.extend_from_slice(bytes),
            Err(_) => {}
        }
        if seen.bytes.len() + bytes.len() <= LIMIT {
            seen.bytes.extend_from_slice(bytes);
        }
    }

    fn stats(&self, stats: Stats) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stats = stats;
    }
}

impl RelayTap {
    pub(super) fn counters(&self) -> Stats {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stats
    }

    /// How many epochs' content the relay could read: those whose secret stands anywhere in what it received, and those
    /// of which a chunk opens under any 32 consecutive bytes of the control messages that it received.
    pub(super) fn content_keys_held(&self, secrets: &[(Epoch, [u8; 32])]) -> u64 {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = BTreeSet::new();
        for (epoch, secret) in secrets {
            if seen.bytes.windows(32).any(|window| window == secret) {
                held.insert(*epoch);
            }
        }
        // The publisher made the group, so its leaf is the first.
        for candidate in seen.control.windows(32).filter_map(|window| <&[u8; 32]>::try_from(window).ok()) {
            for (epoch, sample) in &seen.samples {
                if opens(candidate, *epoch, sample) {
                    held.insert(*epoch);
                }
            }
        }
        held.len() as u64
    }
}

fn opens(secret: &[u8; 32], epoch: Epoch, chunk: &[u8]) -> bool {
    let Ok(header) = ChunkHeader::parse(chunk) else { return false };
    let mut ring: Keyring = Keyring::new(header.stream_id);
    ring.install(MonoTime::default(), epoch, secret, LeafIndex(0)).is_ok()
        && ring.open(MonoTime::default(), &mut chunk.to_vec()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use av_wire::{AwsLc, Inner, Sealer, StreamKeys};
    use core_types::{CodecId, Layer, ObjectSeq, StreamId};

    fn chunk(secret: &[u8; 32]) -> Vec<u8> {
        let stream = StreamId([3; 32]);
        let keys = StreamKeys::<AwsLc>::derive(secret, stream, LeafIndex(0)).unwrap();
        let mut sealer = Sealer::new(keys, stream, Epoch(4), CodecId::Opus);
        sealer.seal(Layer::BASE, &Inner::Object { seq: ObjectSeq(0), bytes: b"content" }).unwrap()
    }

    #[test]
    fn a_key_that_leaks_to_a_relay_is_found() {
        let secret = core::array::from_fn(|i| i as u8 * 3);
        let other = [9; 32];
        let tap = RelayTap::default();
        tap.received(&chunk(&secret));
        assert_eq!(tap.content_keys_held(&[(Epoch(4), secret), (Epoch(5), other)]), 0);
        // In a control message, at an odd place, and not even named as a key by the host.
        tap.received(&[&[1, 2, 3], &secret[..], &[4]].concat());
        assert_eq!(tap.content_keys_held(&[]), 1);
        // Inside a chunk's bytes.
        let tap = RelayTap::default();
        let mut leak = chunk(&secret);
        leak.extend_from_slice(&other);
        tap.received(&leak);
        assert_eq!(tap.content_keys_held(&[(Epoch(4), secret), (Epoch(5), other)]), 1);
    }
}
