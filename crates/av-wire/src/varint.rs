//! Variable-length integers of RFC 9000 section 16, shortest form only, so that every value has one encoding.

use crate::Error;

/// The largest value: 2^62 − 1.
pub(crate) const MAX: u64 = (1 << 62) - 1;

/// Bytes that `value` takes.
pub(crate) const fn len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// `value` as bytes: those from the returned position on.
pub(crate) fn encode(value: u64) -> Result<([u8; 8], usize), Error> {
    if value > MAX {
        return Err(Error::Malformed { what: "varint", why: "value needs more than 62 bits" });
    }
    let len = len(value);
    let tagged = value | ((len.trailing_zeros() as u64) << (8 * len - 2));
    Ok((tagged.to_be_bytes(), 8 - len))
}

/// Appends `value`.
#[cfg(test)]
pub(crate) fn write(out: &mut Vec<u8>, value: u64) -> Result<(), Error> {
    let (bytes, start) = encode(value)?;
    out.extend_from_slice(&bytes[start..]);
    Ok(())
}

/// Takes a value off the front of `input`.
pub(crate) fn read(input: &mut &[u8]) -> Result<u64, Error> {
    let Some(first) = input.first() else {
        return Err(Error::Truncated { what: "varint", need: 1, have: 0 });
    };
    let width = 1usize << (first >> 6);
    let Some((bytes, rest)) = input.split_at_checked(width) else {
        return Err(Error::Truncated { what: "varint", need: width, have: input.len() });
    };
    let mut wide = [0; 8];
    wide[8 - width..].copy_from_slice(bytes);
    let value = u64::from_be_bytes(wide) & (u64::MAX >> (64 - (8 * width - 2)));
    if len(value) != width {
        return Err(Error::Malformed { what: "varint", why: "not in its shortest form" });
    }
    *input = rest;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_9000_appendix_a1_are_read() {
        for (bytes, value) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d][..], 494_878_333),
            (&[0x7b, 0xbd][..], 15_293),
            (&[0x25][..], 37),
        ] {
            let mut input = bytes;
            assert_eq!(read(&mut input), Ok(value));
            assert!(input.is_empty());
            let mut out = Vec::new();
            write(&mut out, value).unwrap();
            assert_eq!(out, bytes);
        }
        assert!(read(&mut &[0x40, 0x25][..]).is_err(), "37 in two bytes is not the shortest form");
    }

    proptest! {
        #[test]
        fn round_trips(value in 0..=MAX, tail: [u8; 3]) {
            let mut out = Vec::new();
            write(&mut out, value).unwrap();
            prop_assert_eq!(out.len(), len(value));
            out.extend_from_slice(&tail);
            let mut input = &out[..];
            prop_assert_eq!(read(&mut input), Ok(value));
            prop_assert_eq!(input, &tail[..]);
        }

        #[test]
        fn reading_never_panics_and_accepts_only_what_writing_makes(bytes: Vec<u8>) {
            let mut input = &bytes[..];
            if let Ok(value) = read(&mut input) {
                let mut again = Vec::new();
                write(&mut again, value).unwrap();
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - input.len()]);
            }
        }
    }

    #[test]
    fn values_above_62_bits_are_refused() {
        assert!(write(&mut Vec::new(), MAX + 1).is_err());
    }
}
