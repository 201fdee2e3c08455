//! Deep redundancy (DRED): what a packet says of the second before it.

use crate::Error;
use crate::error::check;
use core::fmt;
use core::ptr::NonNull;
use opusic_sys as ffi;

/// The deep copy of the past in one packet, to be replaced by that of the next.
pub struct Redundancy {
    decoder: NonNull<ffi::OpusDREDDecoder>,
    state: NonNull<ffi::OpusDRED>,
    stage: Stage,
}

/// How far the state is filled in: libopus allocates it without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Empty,
    Parsed,
    Processed,
}

// SAFETY: both states are allocations that this value alone points to; libopus keeps no state of threads.
unsafe impl Send for Redundancy {}

impl Redundancy {
    /// Covers nothing until something is parsed.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new() -> Result<Self, Error> {
        let mut error = 0;
        // SAFETY: the argument is a live place for the error.
        let decoder = unsafe { ffi::opus_dred_decoder_create(&raw mut error) };
        check(error, "opus_dred_decoder_create")?;
        let decoder = NonNull::new(decoder).ok_or(Error::OutOfMemory)?;
        let mut error = 0;
        // SAFETY: the argument is a live place for the error.
        let state = unsafe { ffi::opus_dred_alloc(&raw mut error) };
        match NonNull::new(state) {
            Some(state) if error == ffi::OPUS_OK => Ok(Self { decoder, state, stage: Stage::Empty }),
            _ => {
                // SAFETY: it came from `opus_dred_decoder_create` just now, and nothing else points to it.
                unsafe { ffi::opus_dred_decoder_destroy(decoder.as_ptr()) };
                Err(Error::OutOfMemory)
            }
        }
    }

    /// Reads the redundancy of a packet as far back as `needed` samples per channel at `rate`, and returns how far back it
    /// reaches, from the packet's start: 0 when there is none. The costly part is left until something is decoded.
    ///
    /// # Errors
    /// [`Error::Packet`] when the packet is damaged, [`Error::Argument`] when `rate` is none of Opus's or `needed` above ten
    /// seconds. Nothing is covered then.
    pub fn parse(&mut self, packet: &[u8], needed: u32, rate: u32) -> Result<u32, Error> {
        let operation = "opus_dred_parse";
        self.stage = Stage::Empty;
        if !matches!(rate, 8_000 | 12_000 | 16_000 | 24_000 | 48_000) || needed > rate * 10 {
            return Err(Error::Argument { operation });
        }
        let len = i32::try_from(packet.len()).map_err(|_| Error::Packet { operation })?;
        let mut end = 0;
        // SAFETY: both states are live, `packet` has `len` bytes, and `end` is a live place to write to.
        let code = unsafe {
            ffi::opus_dred_parse(
                self.decoder.as_ptr(),
                self.state.as_ptr(),
                packet.as_ptr(),
                len,
                needed as i32,
                rate as i32,
                &raw mut end,
                1,
            )
        };
        let covered = check(code, operation)? as u32;
        if covered > 0 {
            self.stage = Stage::Parsed;
        }
        Ok(covered)
    }

    /// The state, filled in; `None` when it covers nothing.
    pub(crate) fn processed(&mut self) -> Result<Option<*const ffi::OpusDRED>, Error> {
        if self.stage == Stage::Parsed {
            let state = self.state.as_ptr();
            // SAFETY: both states are live, and a packet has been parsed into this one; libopus allows both to be the same.
            let code = unsafe { ffi::opus_dred_process(self.decoder.as_ptr(), state, state) };
            check(code, "opus_dred_process")?;
            self.stage = Stage::Processed;
        }
        Ok((self.stage == Stage::Processed).then(|| self.state.as_ptr().cast_const()))
    }
}

impl Drop for Redundancy {
    fn drop(&mut self) {
        // SAFETY: it came from `opus_dred_alloc` and nothing else points to it.
        unsafe { ffi::opus_dred_free(self.state.as_ptr()) };
        // SAFETY: it came from `opus_dred_decoder_create` and nothing else points to it.
        unsafe { ffi::opus_dred_decoder_destroy(self.decoder.as_ptr()) };
    }
}

impl fmt::Debug for Redundancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redundancy").field("stage", &self.stage).finish_non_exhaustive()
    }
}
