//! Defects of an earlier system that must not come back, each test named for its defect.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use identity::canonical::{Reader, Writer};
use identity::{Domain, Error, Identity, Seed};
use proptest::prelude::*;
use std::sync::LazyLock;

const DOMAIN: Domain = Domain::new("defect test v1");

static ALICE: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&Seed([1; 64])).unwrap());

/// What the earlier system signed in part: an advertisement whose signature left out stream, freshness, layers and
/// commitments, and whose rate was a float that was rounded on the way.
#[derive(Debug, Clone, PartialEq)]
struct Advertisement {
    stream: [u8; 32],
    epoch: u64,
    uplink_kbit: u32,
    layer: u8,
    paths: Vec<Vec<u8>>,
}

const MAX_PATHS: u32 = 8;
const MAX_PATH: usize = 8;

impl Advertisement {
    fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.fixed(&self.stream).u64(self.epoch).u32(self.uplink_kbit).u8(self.layer);
        writer.u32(self.paths.len() as u32);
        for path in &self.paths {
            writer.bytes("path", path, MAX_PATH).unwrap();
        }
        writer.into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let (stream, epoch, uplink_kbit, layer) =
            (reader.array()?, reader.u64()?, reader.u32()?, reader.u8()?);
        let count = reader.u32()?.min(MAX_PATHS);
        let paths =
            (0..count).map(|_| reader.bytes(MAX_PATH).map(<[u8]>::to_vec)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { stream, epoch, uplink_kbit, layer, paths })
    }
}

fn advertisement() -> impl Strategy<Value = Advertisement> {
    let path = proptest::collection::vec(any::<u8>(), 0..MAX_PATH);
    let paths = proptest::collection::vec(path, 0..MAX_PATHS as usize);
    (any::<[u8; 32]>(), any::<u64>(), any::<u32>(), any::<u8>(), paths).prop_map(
        |(stream, epoch, uplink_kbit, layer, paths)| Advertisement {
            stream,
            epoch,
            uplink_kbit,
            layer,
            paths,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn defect_signature_leaves_out_fields(ad in advertisement(), other in advertisement(), bit in 0u8..8) {
        let signature = ALICE.sign(DOMAIN, &ad.to_bytes()).unwrap();
        let holds = |ad: &Advertisement| ALICE.public().verify(DOMAIN, &ad.to_bytes(), &signature).is_ok();
        prop_assert!(holds(&ad));
        let mut changed = vec![
            Advertisement { stream: other.stream, ..ad.clone() },
            Advertisement { epoch: other.epoch, ..ad.clone() },
            Advertisement { uplink_kbit: ad.uplink_kbit ^ (1 << bit), ..ad.clone() },
            Advertisement { layer: ad.layer ^ (1 << bit), ..ad.clone() },
            Advertisement { paths: other.paths, ..ad.clone() },
        ];
        // A byte that moves over the border between two fields changes no byte of the fields in a row.
        if let [first, second, ..] = &ad.paths[..] && let Some(last) = first.last() {
            let mut paths = ad.paths.clone();
            paths[0].pop();
            paths[1] = [&[*last], &second[..]].concat();
            changed.push(Advertisement { paths, ..ad.clone() });
        }
        for changed in changed {
            prop_assert_eq!(holds(&changed), changed == ad);
        }
    }

    /// Two encodings of one value, or one encoding of two values, which floats have (-0.0, NaN, rounding).
    #[test]
    fn defect_floats_in_signed_data(ad in advertisement(), bytes in proptest::collection::vec(any::<u8>(), 49..80)) {
        prop_assert_eq!(Advertisement::from_bytes(&ad.to_bytes()), Ok(ad));
        if let Ok(read) = Advertisement::from_bytes(&bytes) && read.paths.len() < MAX_PATHS as usize {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }
}

/// The earlier system showed that `Debug` is redacted, which says nothing of the memory. This reads it.
#[cfg(target_os = "linux")]
mod defect_redacted_debug_called_zeroized {
    use identity::Seed;
    use std::fs::File;
    use std::hint::black_box;
    use std::os::unix::fs::FileExt;
    use zeroize::{Zeroize, ZeroizeOnDrop};

    /// The process's own memory, as the system sees it.
    fn memory_at(address: usize) -> [u8; 64] {
        let mut bytes = [0; 64];
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, address as u64).unwrap();
        bytes
    }

    fn secret() -> [u8; 64] {
        core::array::from_fn(|i| 0xa0 ^ i as u8)
    }

    /// Fills a box, drops what is in it, and reads the memory, which the box still owns.
    fn left_after_drop<T>(value: T, at: impl Fn(&T) -> *const u8) -> [u8; 64] {
        let mut owner = Box::new(Some(value));
        let address = at(owner.as_ref().as_ref().unwrap()) as usize;
        assert_eq!(memory_at(address), secret(), "the secret has to be there first");
        drop_in_place(&mut owner);
        let left = memory_at(address);
        assert!(black_box(&owner).is_none());
        left
    }

    /// Where it is: `take` would move it out first, and a move leaves a copy.
    fn drop_in_place<T>(owner: &mut Option<T>) {
        *black_box(owner) = None;
    }

    #[test]
    fn a_dropped_seed_is_gone_from_memory() {
        assert_eq!(left_after_drop(Seed(secret()), |seed| seed.0.as_ptr()), [0; 64]);
    }

    /// The control: with a value that is not wiped, the same way of looking finds the secret.
    #[test]
    fn what_is_not_wiped_would_be_seen() {
        struct NotWiped([u8; 64]);
        assert_eq!(left_after_drop(NotWiped(secret()), |value| value.0.as_ptr()), secret());
    }

    #[test]
    fn a_seed_is_wiped_on_request_and_on_drop() {
        const fn wiped_on_drop<T: ZeroizeOnDrop>() {}
        wiped_on_drop::<Seed>();
        let mut seed = Seed(secret());
        seed.zeroize();
        assert_eq!(seed.0, [0; 64]);
    }
}
