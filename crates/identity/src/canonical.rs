//! Canonical bytes: fixed order, big-endian integers, fixed-width or u32-length-prefixed fields, nothing else.
//!
//! Whatever is signed is written with [`Writer`] and read with [`Reader`], so that one structure has one encoding. A
//! reader borrows from its input and allocates nothing; a stated length is checked against its limit and against what is
//! left before it is used.
//!
//! ```
//! use identity::canonical::{Reader, Writer};
//!
//! let mut writer = Writer::new();
//! writer.u8(1).u64(4_096).bytes("label", b"camera", 255)?;
//! let bytes = writer.into_bytes();
//!
//! let mut reader = Reader::new(&bytes);
//! assert_eq!((reader.u8()?, reader.u64()?, reader.bytes(255)?), (1, 4_096, &b"camera"[..]));
//! reader.finish()?;
//! # Ok::<(), identity::Error>(())
//! ```

use crate::Error;

/// Builds canonical bytes.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    buffer: Vec<u8>,
}

impl Writer {
    /// Nothing written yet.
    pub const fn new() -> Self {
        Self { buffer: Vec::new() }
    }

    /// Nothing written yet, with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(bytes) }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.fixed(&[value])
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Eight bytes, big-endian.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Bytes whose number the structure fixes: no length is written.
    pub fn fixed(&mut self, value: &[u8]) -> &mut Self {
        self.buffer.extend_from_slice(value);
        self
    }

    /// A u32 length and that many bytes. `max` is the limit that the reader will apply, `what` names the field in the
    /// error.
    ///
    /// # Errors
    /// [`Error::ValueTooLong`] when `value` is longer than `max` or than a u32 can say; then nothing is written.
    pub fn bytes(&mut self, what: &'static str, value: &[u8], max: usize) -> Result<&mut Self, Error> {
        let too_long = || Error::ValueTooLong { what, len: value.len(), max };
        if value.len() > max {
            return Err(too_long());
        }
        let len = u32::try_from(value.len()).map_err(|_| too_long())?;
        Ok(self.u32(len).fixed(value))
    }

    /// What was written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }
}

/// Takes canonical bytes apart. After an error the position is where the failed field began.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads `input` from its start.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input, offset: 0 }
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Eight bytes, big-endian.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// `N` bytes, copied.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        match self.rest().first_chunk() {
            Some(chunk) => {
                self.offset += N;
                Ok(*chunk)
            }
            None => Err(self.truncated(N)),
        }
    }

    /// `len` bytes, borrowed from the input.
    ///
    /// # Errors
    /// [`Error::Truncated`].
    pub fn fixed(&mut self, len: usize) -> Result<&'a [u8], Error> {
        match self.rest().get(..len) {
            Some(bytes) => {
                self.offset += len;
                Ok(bytes)
            }
            None => Err(self.truncated(len)),
        }
    }

    /// A u32 length of at most `max`, and that many bytes, borrowed from the input.
    ///
    /// # Errors
    /// [`Error::FieldTooLong`] when the stated length is above `max`, [`Error::Truncated`] when the input ends first.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], Error> {
        let start = self.offset;
        let stated = self.u32()?;
        let len = usize::try_from(stated).unwrap_or(usize::MAX);
        let result =
            if len > max { Err(Error::FieldTooLong { offset: start, len, max }) } else { self.fixed(len) };
        if result.is_err() {
            self.offset = start;
        }
        result
    }

    /// Bytes not read yet.
    pub const fn remaining(&self) -> usize {
        // `offset` only ever moves by what was found to be there.
        self.input.len() - self.offset
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Error::TrailingBytes`] when there is more.
    pub const fn finish(self) -> Result<(), Error> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(Error::TrailingBytes(left)),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.offset..).unwrap_or_default()
    }

    const fn truncated(&self, want: usize) -> Error {
        Error::Truncated { offset: self.offset, want, left: self.remaining() }
    }
}
