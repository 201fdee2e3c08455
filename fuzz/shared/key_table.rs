//! Key files from anybody: cut, altered, made up. Shared by the fuzz target and the test that replays its seeds.

use crate::disks::{Bytes, PREPARED, use_it};

pub(crate) fn check(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let mut keys = PREPARED.keys.clone();
    match kind % 3 {
        // Made up.
        0 => keys = data.to_vec(),
        // Cut, or longer than it was.
        1 => {
            let len = data.iter().take(2).fold(0, |len, byte| len << 8 | usize::from(*byte));
            keys.resize(len, data.get(2).copied().unwrap_or_default());
        }
        // Altered where it matters: in the first bytes of the head, and in the slots.
        _ => {
            for change in data.chunks_exact(3).take(64) {
                let at = usize::from(u16::from_be_bytes([change[0], change[1]]));
                let at = if at < 128 { at } else { 4_096 + (at - 128) % (keys.len() - 4_096) };
                keys[at] ^= change[2];
            }
        }
    }
    use_it(Bytes::new(PREPARED.database.clone()), Bytes::new(keys));
}
