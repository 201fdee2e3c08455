//! How messages are put on a stream.

use crate::Error;
use serde::{Serialize, de::DeserializeOwned};

/// The version of the control protocol. Peers of another version are refused.
pub const PROTOCOL_VERSION: u16 = 3;
/// The longest frame, in bytes.
pub const FRAME_LIMIT: usize = 4 << 20;
/// Bytes of a frame's length.
pub const PREFIX_LEN: usize = 4;
/// Bytes of what a side says first.
pub const PREAMBLE_LEN: usize = 6;
const MAGIC: [u8; 4] = *b"HMSH";

/// Encodes one frame, length included.
///
/// # Errors
/// [`Error::TooLarge`] above [`FRAME_LIMIT`]; [`Error::Malformed`] for what `postcard` can't write.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut frame =
        postcard::to_extend(message, vec![0; PREFIX_LEN]).map_err(|e| Error::Malformed(e.to_string()))?;
    let have = frame.len() - PREFIX_LEN;
    match u32::try_from(have) {
        Ok(len) if have <= FRAME_LIMIT => frame[..PREFIX_LEN].copy_from_slice(&len.to_be_bytes()),
        _ => return Err(Error::TooLarge { have, limit: FRAME_LIMIT }),
    }
    Ok(frame)
}

/// How many bytes follow a frame's length. Check before anything is allocated for them.
///
/// # Errors
/// [`Error::TooLarge`] above `limit`.
pub fn frame_len(prefix: [u8; PREFIX_LEN], limit: usize) -> Result<usize, Error> {
    let have = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if have > limit { Err(Error::TooLarge { have, limit }) } else { Ok(have) }
}

/// Decodes the content of one frame; every byte must belong to the message.
///
/// # Errors
/// [`Error::Malformed`], [`Error::TrailingBytes`].
pub fn decode<T: DeserializeOwned>(content: &[u8]) -> Result<T, Error> {
    match postcard::take_from_bytes(content) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(Error::TrailingBytes(rest.len())),
        Err(error) => Err(Error::Malformed(error.to_string())),
    }
}

/// What a side says first: `HMSH`, then the version as u16.
pub const fn preamble() -> [u8; PREAMBLE_LEN] {
    let ([a, b, c, d], [high, low]) = (MAGIC, PROTOCOL_VERSION.to_be_bytes());
    [a, b, c, d, high, low]
}

/// The version that the other side speaks.
///
/// # Errors
/// [`Error::NotHolomesh`].
pub fn version_of(preamble: [u8; PREAMBLE_LEN]) -> Result<u16, Error> {
    let [a, b, c, d, high, low] = preamble;
    if [a, b, c, d] == MAGIC { Ok(u16::from_be_bytes([high, low])) } else { Err(Error::NotHolomesh) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Control;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decoding_arbitrary_bytes_never_panics_and_takes_every_byte(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(message) = decode::<Control>(&bytes) {
                let again = encode(&message).unwrap();
                prop_assert!(decode::<Control>(&again[4..]).is_ok());
            }
        }

        #[test]
        fn messages_round_trip_and_cut_or_lengthened_ones_are_refused(stream: [u8; 32], chunks in prop::collection::vec(any::<u64>(), 0..20), epoch: u64) {
            let message = Control::Repair { stream, epoch, chunks };
            let frame = encode(&message).unwrap();
            prop_assert_eq!(u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize, frame.len() - 4);
            prop_assert_eq!(decode::<Control>(&frame[4..]).unwrap(), message);
            prop_assert!(decode::<Control>(&frame[4..frame.len() - 1]).is_err());
            let mut longer = frame[4..].to_vec();
            longer.push(0);
            prop_assert!(decode::<Control>(&longer).is_err());
        }
    }

    #[test]
    fn a_length_that_lies_costs_no_memory() {
        // A list said to have 2^40 elements in a frame of ten bytes.
        let mut frame = vec![1u8; 0];
        frame.push(6); // Relays
        frame.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x7f]);
        assert!(decode::<Control>(&frame).is_err());
    }

    #[test]
    fn an_oversized_message_is_refused_before_it_is_sent() {
        let message = Control::Commit { commit: vec![0; FRAME_LIMIT + 1] };
        assert!(encode(&message).is_err());
    }
}
