//! What both ends of a link take from it to key a lane (spec 30 section 14).

/// Label of the TLS exporter (RFC 8446 section 7.5).
pub const LANE_EXPORTER_LABEL: &[u8] = b"EXPORTER-holomesh-lane-v1";
/// Bytes that the exporter gives: key 32 and salt 12 from child to parent, then key and salt from parent to child.
pub const LANE_EXPORTED_LEN: usize = 88;

/// Context of the exporter: so that two lanes of one link share no key.
pub const fn lane_context(lane: u64) -> [u8; 8] {
    lane.to_be_bytes()
}
