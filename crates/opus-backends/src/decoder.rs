//! The decoder.

use crate::error::{check, frame_size};
use crate::{Error, Redundancy};
use core::ffi::c_int;
use core::fmt;
use core::ptr::{self, NonNull};
use opusic_sys as ffi;

/// A decoder of one stream. Every call stands for audio that follows on that of the call before.
pub struct Decoder {
    inner: NonNull<ffi::OpusDecoder>,
    rate: u32,
    channels: usize,
}

// SAFETY: the state is one allocation that this value alone points to; libopus keeps no state of threads.
unsafe impl Send for Decoder {}

impl Decoder {
    /// A decoder with fresh state, to PCM at 8, 12, 16, 24 or 48 kHz in one channel or two.
    ///
    /// # Errors
    /// [`Error::Argument`] for another rate or number of channels, [`Error::OutOfMemory`].
    pub fn new(rate: u32, channels: u8) -> Result<Self, Error> {
        let operation = "opus_decoder_create";
        let rate_arg = c_int::try_from(rate).map_err(|_| Error::Argument { operation })?;
        let mut error = 0;
        // SAFETY: the arguments are plain numbers, which libopus checks, and a live place for its error.
        let inner = unsafe { ffi::opus_decoder_create(rate_arg, c_int::from(channels), &raw mut error) };
        check(error, operation)?;
        let inner = NonNull::new(inner).ok_or(Error::OutOfMemory)?;
        Ok(Self { inner, rate, channels: usize::from(channels) })
    }

    /// How much the decoder may spend: from 5 on concealment is neural, from 6 on speech at low rates is enhanced, more so from 7 on.
    ///
    /// # Errors
    /// [`Error::Argument`] above 10.
    pub fn set_complexity(&mut self, complexity: u8) -> Result<(), Error> {
        let value = i32::from(complexity);
        // SAFETY: the state is live, and this request takes one 32-bit number.
        let code =
            unsafe { ffi::opus_decoder_ctl(self.inner.as_ptr(), ffi::OPUS_SET_COMPLEXITY_REQUEST, value) };
        check(code, "opus_decoder_ctl").map(drop)
    }

    /// Forgets the stream.
    ///
    /// # Errors
    /// [`Error::Backend`] when libopus fails.
    pub fn reset(&mut self) -> Result<(), Error> {
        // SAFETY: the state is live, and this request takes nothing.
        let code = unsafe { ffi::opus_decoder_ctl(self.inner.as_ptr(), ffi::OPUS_RESET_STATE) };
        check(code, "opus_decoder_ctl").map(drop)
    }

    /// A packet to interleaved PCM; returns samples per channel. `pcm` must have room for all of it.
    ///
    /// # Errors
    /// [`Error::Packet`] when the packet is damaged, empty or longer than `pcm`; [`Error::FrameLength`].
    pub fn decode(&mut self, packet: &[u8], pcm: &mut [i16]) -> Result<usize, Error> {
        if packet.is_empty() {
            return Err(Error::Packet { operation: "opus_decode" });
        }
        self.run(packet, pcm, false)
    }

    /// The audio just before `next`, as long as `pcm`: its end from the coarse copy that `next` has of it, if it has one, and
    /// the rest concealed.
    ///
    /// # Errors
    /// [`Error::Packet`] when the packet is damaged or empty; [`Error::FrameLength`]; [`Error::Argument`] unless `pcm` is a
    /// multiple of 2.5 ms.
    pub fn decode_fec(&mut self, next: &[u8], pcm: &mut [i16]) -> Result<usize, Error> {
        if next.is_empty() {
            return Err(Error::Packet { operation: "opus_decode" });
        }
        self.run(next, pcm, true)
    }

    /// A guess at what follows, as long as `pcm`.
    ///
    /// # Errors
    /// [`Error::FrameLength`]; [`Error::Argument`] unless `pcm` is a multiple of 2.5 ms.
    pub fn conceal(&mut self, pcm: &mut [i16]) -> Result<usize, Error> {
        self.run(&[], pcm, false)
    }

    /// The audio that begins `before` samples per channel before the packet that `redundancy` was parsed from, as long as `pcm`.
    /// Where the redundancy has nothing it is concealed.
    ///
    /// # Errors
    /// [`Error::FrameLength`]; [`Error::Argument`] unless `pcm` is a multiple of 2.5 ms, or when `before` is above ten seconds.
    pub fn decode_redundancy(
        &mut self,
        redundancy: &mut Redundancy,
        before: u32,
        pcm: &mut [i16],
    ) -> Result<usize, Error> {
        let operation = "opus_decoder_dred_decode";
        let frame = frame_size(pcm.len(), self.channels, self.rate, operation)?;
        if before > self.rate * 10 {
            return Err(Error::Argument { operation });
        }
        let Some(state) = redundancy.processed()? else {
            return self.conceal(pcm);
        };
        // SAFETY: both states are live, the redundancy's is filled in; `pcm` has `frame` samples of each channel.
        let code = unsafe {
            ffi::opus_decoder_dred_decode(self.inner.as_ptr(), state, before as i32, pcm.as_mut_ptr(), frame)
        };
        check(code, operation)
    }

    /// An empty packet means concealment.
    fn run(&mut self, packet: &[u8], pcm: &mut [i16], fec: bool) -> Result<usize, Error> {
        let operation = "opus_decode";
        let frame = frame_size(pcm.len(), self.channels, self.rate, operation)?;
        let len = i32::try_from(packet.len()).map_err(|_| Error::Packet { operation })?;
        let data = if packet.is_empty() { ptr::null() } else { packet.as_ptr() };
        // SAFETY: the state is live; `data` is null or has `len` bytes; `pcm` has `frame` samples of each channel.
        let code = unsafe {
            ffi::opus_decode(self.inner.as_ptr(), data, len, pcm.as_mut_ptr(), frame, c_int::from(fec))
        };
        check(code, operation)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the state came from `opus_decoder_create` and nothing else points to it.
        unsafe { ffi::opus_decoder_destroy(self.inner.as_ptr()) };
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("rate", &self.rate)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}
