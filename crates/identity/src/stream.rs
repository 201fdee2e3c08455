//! How a stream gets its id (spec 20 section 1).

use crate::Error;
use core_types::{KeyId, StreamId};
use sha2::{Digest, Sha256};

/// The longest stream label in bytes: its length is a u16.
const MAX_LABEL: usize = 65_535;

/// SHA-256("holomesh stream v1" ‖ publisher ‖ u16 label length ‖ label ‖ random). The randomness keeps two streams of one
/// publisher with one label apart, also over restarts.
///
/// # Errors
/// [`Error::ValueTooLong`] when the label is above 65,535 bytes.
pub fn stream_id(publisher: KeyId, label: &str, random: [u8; 16]) -> Result<StreamId, Error> {
    let len = u16::try_from(label.len()).map_err(|_| Error::ValueTooLong {
        what: "stream label",
        len: label.len(),
        max: MAX_LABEL,
    })?;
    let hash = Sha256::new()
        .chain_update(b"holomesh stream v1")
        .chain_update(publisher.as_bytes())
        .chain_update(len.to_be_bytes())
        .chain_update(label)
        .chain_update(random)
        .finalize();
    Ok(StreamId(hash.into()))
}
