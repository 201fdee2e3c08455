//! What a lane is keyed with (spec 37 section 2).

use crate::{Error, LaneId, LaneRole, LaneSuite};
use av_wire::{Aead, AwsLc, HopKeys, HopSuite};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Secrets of both directions of a lane. Both ends have the same. Wiped when dropped; not `Clone`, since one lane uses them up:
///
/// ```compile_fail
/// fn two_lanes(keys: &av_lane::LaneKeys) -> (av_lane::LaneKeys, av_lane::LaneKeys) {
///     (keys.clone(), keys.clone())
/// }
/// ```
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct LaneKeys {
    child_to_parent: [u8; Self::DIRECTION],
    parent_to_child: [u8; Self::DIRECTION],
}

impl LaneKeys {
    /// Bytes to take from an exporter.
    pub const EXPORTED: usize = 2 * Self::DIRECTION;
    /// Key 32 and salt 12.
    const DIRECTION: usize = 44;

    /// From bytes that only the two ends know, such as a TLS exporter's (RFC 8446 section 7.5): key 32 ‖ salt 12 of the
    /// direction from child to parent, then of the other one. The connection must have had a post-quantum key exchange.
    ///
    /// A link handshake's exporter (spec 35 section 7) serves as well: `av_link::Exporter::export`, with this length.
    ///
    /// The same bytes may serve several lanes one after the other, as long as no [`LaneId`] comes twice: a lane's keys follow
    /// from these and the id.
    pub fn from_exported(exported: &[u8; Self::EXPORTED]) -> Self {
        let (up, down) = exported.split_at(Self::DIRECTION);
        let mut keys = Self { child_to_parent: [0; Self::DIRECTION], parent_to_child: [0; Self::DIRECTION] };
        keys.child_to_parent.copy_from_slice(up);
        keys.parent_to_child.copy_from_slice(down);
        keys
    }

    pub(crate) fn derive(&self, id: LaneId, role: LaneRole, suite: LaneSuite) -> Result<Derived, Error> {
        let up = Direction::new(&self.child_to_parent, id, suite)?;
        let down = Direction::new(&self.parent_to_child, id, suite)?;
        let (send, receive) = match role {
            LaneRole::Child => (up, down),
            LaneRole::Parent => (down, up),
        };
        Ok(Derived { send, receive })
    }
}

impl core::fmt::Debug for LaneKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("LaneKeys(redacted)")
    }
}

/// The keys as one end uses them.
#[derive(Debug)]
pub(crate) struct Derived {
    pub(crate) send: Direction,
    pub(crate) receive: Direction,
}

/// The keys of one direction.
#[derive(Debug)]
pub(crate) struct Direction {
    pub(crate) media: HopSuite,
    pub(crate) control: ControlKey,
}

impl Direction {
    fn new(secret: &[u8; LaneKeys::DIRECTION], id: LaneId, suite: LaneSuite) -> Result<Self, Error> {
        let derived = Hkdf::<Sha256>::new(Some(b"holomesh lane v1"), secret);
        let expand = |label: &[u8], out: &mut [u8]| {
            let id = id.0.to_be_bytes();
            derived
                .expand_multi_info(&[b"holomesh lane v1 ", label, &id, &[suite.byte()]], out)
                .map_err(|_| Error::Crypto("HKDF-SHA-256"))
        };
        let (mut key, mut salt) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 12]));
        expand(b"media key", key.as_mut())?;
        expand(b"media salt", salt.as_mut())?;
        let media = HopKeys::new(&key, &salt).map_err(|_| Error::Crypto("AES-256-GCM key set-up"))?;
        let media = match suite {
            LaneSuite::Full => HopSuite::Full(media),
            LaneSuite::Bind => HopSuite::Bind(media),
        };
        expand(b"control key", key.as_mut())?;
        expand(b"control salt", salt.as_mut())?;
        Ok(Self { media, control: ControlKey::new(&key, &salt)? })
    }
}

/// Seals or opens control packets of one direction.
pub(crate) struct ControlKey {
    aead: AwsLc,
    salt: Zeroizing<[u8; 12]>,
}

impl ControlKey {
    fn new(key: &[u8; 32], salt: &[u8; 12]) -> Result<Self, Error> {
        let aead = AwsLc::new(key).map_err(|_| Error::Crypto("AES-256-GCM key set-up"))?;
        Ok(Self { aead, salt: Zeroizing::new(*salt) })
    }

    /// Encrypts in place and returns the tag. A number must not come twice.
    pub(crate) fn seal(&self, number: u64, head: &[u8], payload: &mut [u8]) -> Result<[u8; 16], Error> {
        self.aead.seal(self.nonce(number), head, payload).map_err(|_| Error::Crypto("AES-256-GCM seal"))
    }

    /// Checks and decrypts in place.
    pub(crate) fn open(&self, number: u64, head: &[u8], payload: &mut [u8], tag: &[u8; 16]) -> bool {
        self.aead.open(self.nonce(number), head, payload, tag)
    }

    /// salt XOR (u32 0 ‖ number u64).
    fn nonce(&self, number: u64) -> [u8; 12] {
        let mut nonce = *self.salt;
        for (byte, number) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= number;
        }
        nonce
    }
}

impl core::fmt::Debug for ControlKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ControlKey(redacted)")
    }
}

/// 32 random bytes that no peer knows: what path challenges follow from, so that nobody answers one that it did not get. The same
/// for all lanes of a node. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PathSecret(pub [u8; 32]);

impl PathSecret {
    /// The secret of one lane.
    pub(crate) fn of_lane(&self, id: LaneId, role: LaneRole) -> Result<Self, Error> {
        let mut secret = Self([0; 32]);
        let role = [u8::from(role == LaneRole::Parent)];
        let info: [&[u8]; 3] = [b"holomesh lane v1 path secret", &id.0.to_be_bytes(), &role];
        Hkdf::<Sha256>::new(None, &self.0)
            .expand_multi_info(&info, &mut secret.0)
            .map_err(|_| Error::Crypto("HKDF-SHA-256"))?;
        Ok(secret)
    }

    /// The token of a lane's challenge number `count`.
    pub(crate) fn token(&self, count: u64) -> [u8; 16] {
        let mut token = [0; 16];
        let info: [&[u8]; 2] = [b"holomesh lane v1 path token", &count.to_be_bytes()];
        // Fails only for outputs that are longer than 255 hashes.
        let _ = Hkdf::<Sha256>::new(None, &self.0).expand_multi_info(&info, &mut token);
        token
    }
}

impl core::fmt::Debug for PathSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PathSecret(redacted)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    /// The tag of an empty control packet: differs when the key or the salt does.
    fn mark(key: &ControlKey) -> [u8; 16] {
        key.seal(7, b"", &mut []).unwrap()
    }

    #[test]
    fn keys_differ_by_direction_lane_suite_and_use() {
        let mut seen = Vec::new();
        for id in [1, 2] {
            for suite in [LaneSuite::Full, LaneSuite::Bind] {
                let keys =
                    LaneKeys::from_exported(&[9; 88]).derive(LaneId(id), LaneRole::Child, suite).unwrap();
                // Directions with the same secret, which nobody makes, would have the same keys; others do not.
                assert_eq!(mark(&keys.send.control), mark(&keys.receive.control));
                seen.push(mark(&keys.send.control));
            }
        }
        let mut other = [9; 88];
        other[44] = 8;
        let keys =
            LaneKeys::from_exported(&other).derive(LaneId(1), LaneRole::Child, LaneSuite::Full).unwrap();
        assert_eq!(mark(&keys.send.control), seen[0]);
        seen.push(mark(&keys.receive.control));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn one_ends_sending_keys_are_the_other_ends_receiving_keys() {
        let exported: [u8; 88] = std::array::from_fn(|at| at as u8);
        let child =
            LaneKeys::from_exported(&exported).derive(LaneId(5), LaneRole::Child, LaneSuite::Full).unwrap();
        let parent =
            LaneKeys::from_exported(&exported).derive(LaneId(5), LaneRole::Parent, LaneSuite::Full).unwrap();
        assert_eq!(mark(&child.send.control), mark(&parent.receive.control));
        assert_eq!(mark(&child.receive.control), mark(&parent.send.control));
        assert_ne!(mark(&child.receive.control), mark(&child.send.control));
    }

    #[test]
    fn debug_output_shows_no_key() {
        let keys = LaneKeys::from_exported(&[0x41; 88]);
        let derived = keys.derive(LaneId(1), LaneRole::Child, LaneSuite::Full).unwrap();
        let text = format!("{keys:?} {derived:?} {:?}", PathSecret([0x41; 32]));
        assert!(text.contains("redacted") && !text.contains("65, 65"), "{text}");
    }

    #[test]
    fn tokens_differ_by_lane_end_and_count() {
        let secret = PathSecret([1; 32]);
        let mut seen = Vec::new();
        for id in [1, 2] {
            for role in [LaneRole::Child, LaneRole::Parent] {
                let of_lane = secret.of_lane(LaneId(id), role).unwrap();
                seen.extend([of_lane.token(0), of_lane.token(1)]);
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 8);
    }
}
