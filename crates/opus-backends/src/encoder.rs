//! The encoder.

use crate::Error;
use crate::error::{check, frame_size};
use core::ffi::c_int;
use core::fmt;
use core::ptr::NonNull;
use opusic_sys as ffi;

/// What the encoder optimises for. Closed on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Application {
    /// Speech.
    Voip,
    /// Music and mixed content.
    Audio,
    /// Least delay.
    LowDelay,
}

/// What can be set at any time, from the next frame on. libopus checks the ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncoderSetting {
    /// 0 to 10.
    Complexity(u8),
    /// Bits per second.
    BitRate(u32),
    /// Percent of packets.
    ExpectedLoss(u8),
    /// A coarse copy of each frame in the packet after it.
    InbandFec(bool),
    /// Packets of at most two bytes in silence.
    Dtx(bool),
    /// Deep redundancy: how much of the past each packet describes, in units of 10 ms; 0 to 104.
    Redundancy(u8),
}

/// An encoder of one stream.
pub struct Encoder {
    inner: NonNull<ffi::OpusEncoder>,
    rate: u32,
    channels: usize,
}

// SAFETY: the state is one allocation that this value alone points to; libopus keeps no state of threads.
unsafe impl Send for Encoder {}

impl Encoder {
    /// An encoder with fresh state, of PCM at 8, 12, 16, 24 or 48 kHz in one channel or two.
    ///
    /// # Errors
    /// [`Error::Argument`] for another rate or number of channels, [`Error::OutOfMemory`].
    pub fn new(rate: u32, channels: u8, application: Application) -> Result<Self, Error> {
        let operation = "opus_encoder_create";
        let rate_arg = c_int::try_from(rate).map_err(|_| Error::Argument { operation })?;
        let application = match application {
            Application::Voip => ffi::OPUS_APPLICATION_VOIP,
            Application::Audio => ffi::OPUS_APPLICATION_AUDIO,
            Application::LowDelay => ffi::OPUS_APPLICATION_RESTRICTED_LOWDELAY,
        };
        let mut error = 0;
        // SAFETY: the arguments are plain numbers, which libopus checks, and a live place for its error.
        let inner =
            unsafe { ffi::opus_encoder_create(rate_arg, c_int::from(channels), application, &raw mut error) };
        check(error, operation)?;
        let inner = NonNull::new(inner).ok_or(Error::OutOfMemory)?;
        Ok(Self { inner, rate, channels: usize::from(channels) })
    }

    /// Changes a setting.
    ///
    /// # Errors
    /// [`Error::Argument`] when libopus finds it out of range; the old value stays.
    pub fn set(&mut self, setting: EncoderSetting) -> Result<(), Error> {
        let (request, value) = match setting {
            EncoderSetting::Complexity(value) => (ffi::OPUS_SET_COMPLEXITY_REQUEST, i32::from(value)),
            EncoderSetting::BitRate(value) => {
                (ffi::OPUS_SET_BITRATE_REQUEST, i32::try_from(value).unwrap_or(i32::MAX))
            }
            EncoderSetting::ExpectedLoss(value) => (ffi::OPUS_SET_PACKET_LOSS_PERC_REQUEST, i32::from(value)),
            EncoderSetting::InbandFec(on) => (ffi::OPUS_SET_INBAND_FEC_REQUEST, i32::from(on)),
            EncoderSetting::Dtx(on) => (ffi::OPUS_SET_DTX_REQUEST, i32::from(on)),
            EncoderSetting::Redundancy(value) => (ffi::OPUS_SET_DRED_DURATION_REQUEST, i32::from(value)),
        };
        // SAFETY: the state is live, and each of these requests takes one 32-bit number.
        let code = unsafe { ffi::opus_encoder_ctl(self.inner.as_ptr(), request, value) };
        check(code, "opus_encoder_ctl").map(drop)
    }

    /// Samples per channel, at the encoder's rate, by which its output lags.
    ///
    /// # Errors
    /// [`Error::Backend`] when libopus fails.
    pub fn lookahead(&mut self) -> Result<u32, Error> {
        let mut samples: i32 = 0;
        // SAFETY: the state is live, and this request takes a pointer to a 32-bit number to write to.
        let code = unsafe {
            ffi::opus_encoder_ctl(self.inner.as_ptr(), ffi::OPUS_GET_LOOKAHEAD_REQUEST, &raw mut samples)
        };
        check(code, "opus_encoder_ctl")?;
        Ok(samples.unsigned_abs())
    }

    /// Codes a frame of interleaved PCM into `packet` and returns the packet's length.
    ///
    /// # Errors
    /// [`Error::FrameLength`] or [`Error::Argument`] when `pcm` is no frame of 2.5 to 120 ms, [`Error::Packet`] when `packet` is
    /// too short.
    pub fn encode(&mut self, pcm: &[i16], packet: &mut [u8]) -> Result<usize, Error> {
        let operation = "opus_encode";
        let frame = frame_size(pcm.len(), self.channels, self.rate, operation)?;
        let room = i32::try_from(packet.len()).unwrap_or(i32::MAX);
        // SAFETY: the state is live; `pcm` has `frame` samples of each channel; `packet` has `room` bytes at least.
        let code =
            unsafe { ffi::opus_encode(self.inner.as_ptr(), pcm.as_ptr(), frame, packet.as_mut_ptr(), room) };
        Ok(check(code, operation)?.min(packet.len()))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the state came from `opus_encoder_create` and nothing else points to it.
        unsafe { ffi::opus_encoder_destroy(self.inner.as_ptr()) };
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("rate", &self.rate)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}
