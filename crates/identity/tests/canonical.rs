//! Canonical bytes: what is written is read back, and nothing else is accepted.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use identity::Error;
use identity::canonical::{Reader, Writer};
use proptest::prelude::*;

/// One field of a structure.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    Array([u8; 16]),
    Fixed(Vec<u8>),
    Bytes(Vec<u8>),
}

const MAX: usize = 40;

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        any::<u8>().prop_map(Field::U8),
        any::<u16>().prop_map(Field::U16),
        any::<u32>().prop_map(Field::U32),
        any::<u64>().prop_map(Field::U64),
        any::<[u8; 16]>().prop_map(Field::Array),
        proptest::collection::vec(any::<u8>(), 0..MAX).prop_map(Field::Fixed),
        proptest::collection::vec(any::<u8>(), 0..=MAX).prop_map(Field::Bytes),
    ]
}

fn write(fields: &[Field]) -> Vec<u8> {
    let mut writer = Writer::new();
    for field in fields {
        match field {
            Field::U8(value) => writer.u8(*value),
            Field::U16(value) => writer.u16(*value),
            Field::U32(value) => writer.u32(*value),
            Field::U64(value) => writer.u64(*value),
            Field::Array(value) => writer.fixed(value),
            Field::Fixed(value) => writer.fixed(value),
            Field::Bytes(value) => writer.bytes("field", value, MAX).unwrap(),
        };
    }
    writer.into_bytes()
}

/// Reads fields of the same kinds as `like`.
fn read(like: &[Field], bytes: &[u8]) -> Result<Vec<Field>, Error> {
    let mut reader = Reader::new(bytes);
    let mut fields = Vec::new();
    for field in like {
        fields.push(match field {
            Field::U8(_) => Field::U8(reader.u8()?),
            Field::U16(_) => Field::U16(reader.u16()?),
            Field::U32(_) => Field::U32(reader.u32()?),
            Field::U64(_) => Field::U64(reader.u64()?),
            Field::Array(_) => Field::Array(reader.array()?),
            Field::Fixed(value) => Field::Fixed(reader.fixed(value.len())?.to_vec()),
            Field::Bytes(_) => Field::Bytes(reader.bytes(MAX)?.to_vec()),
        });
    }
    reader.finish()?;
    Ok(fields)
}

proptest! {
    #[test]
    fn structures_round_trip(fields in proptest::collection::vec(field(), 0..12)) {
        let bytes = write(&fields);
        prop_assert_eq!(read(&fields, &bytes), Ok(fields));
    }

    #[test]
    fn a_missing_or_added_byte_is_refused(fields in proptest::collection::vec(field(), 1..12), extra: u8) {
        let mut bytes = write(&fields);
        if !bytes.is_empty() {
            prop_assert!(read(&fields, &bytes[..bytes.len() - 1]).is_err());
        }
        bytes.push(extra);
        prop_assert_eq!(read(&fields, &bytes), Err(Error::TrailingBytes(1)));
    }

    #[test]
    fn whatever_random_bytes_are_accepted_is_their_only_encoding(
        fields in proptest::collection::vec(field(), 0..12),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(read) = read(&fields, &bytes) {
            prop_assert_eq!(write(&read), bytes);
        }
    }

    #[test]
    fn lengths_above_the_limit_are_refused_before_looking_further(len in 41u32.., offset in 0usize..5) {
        let mut writer = Writer::new();
        writer.fixed(&[0; 5][..offset]).u32(len);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        reader.fixed(offset).unwrap();
        prop_assert_eq!(reader.bytes(MAX), Err(Error::FieldTooLong { offset, len: len as usize, max: MAX }));
        prop_assert_eq!(reader.remaining(), 4);
    }
}

#[test]
fn integers_are_big_endian() {
    let mut writer = Writer::with_capacity(15);
    writer.u8(0x01).u16(0x0203).u32(0x0405_0607).u64(0x0809_0a0b_0c0d_0e0f);
    assert_eq!(writer.as_bytes(), (1..=15).collect::<Vec<u8>>());
}

#[test]
fn the_writer_keeps_the_limit_too() {
    let mut writer = Writer::new();
    let error = writer.bytes("label", &[0; 41], MAX).unwrap_err();
    assert_eq!(error, Error::ValueTooLong { what: "label", len: 41, max: MAX });
    assert!(writer.as_bytes().is_empty());
}

#[test]
fn a_failed_read_leaves_the_position() {
    let mut reader = Reader::new(&[0, 0, 0, 9, 1]);
    assert_eq!(reader.bytes(MAX), Err(Error::Truncated { offset: 4, want: 9, left: 1 }));
    assert_eq!(reader.remaining(), 5);
    assert_eq!(reader.u64(), Err(Error::Truncated { offset: 0, want: 8, left: 5 }));
    assert_eq!(reader.array::<5>(), Ok([0, 0, 0, 9, 1]));
    assert_eq!(reader.finish(), Ok(()));
}
