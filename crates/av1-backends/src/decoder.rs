//! The decoder: rav1d behind owned buffers and borrowed pictures.

use core::{ffi::c_void, fmt, mem::MaybeUninit, num::NonZeroU32, ptr::NonNull};

use re_rav1d::include::dav1d::data::Dav1dData;
use re_rav1d::include::dav1d::dav1d::{Dav1dContext, Dav1dLogger, Dav1dSettings};
use re_rav1d::src::lib::{
    dav1d_close, dav1d_data_unref, dav1d_data_wrap, dav1d_default_settings, dav1d_flush, dav1d_get_picture,
    dav1d_open, dav1d_send_data,
};
use re_rav1d::src::send_sync_non_null::SendSyncNonNull;

use crate::picture::RawPicture;
use crate::{Error, Picture, obu};

/// What a decoder may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The most pixels (width times height) that a picture may have; checked before memory is taken for it.
    pub max_pixels: NonZeroU32,
}

impl Settings {
    /// 4096 times 4096.
    pub const MAX_PIXELS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4096 * 4096 - 1);
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_pixels: Self::MAX_PIXELS }
    }
}

/// An AV1 decoder without delay: the pictures of a temporal unit are ready when [`Decoder::feed`] returns. Of a scalable
/// stream it gives the highest spatial layer only.
pub struct Decoder {
    /// Always set; `dav1d_close` wants it as an `Option` to clear.
    context: Option<Dav1dContext>,
    settings: Settings,
}

// SAFETY: the context is a counted reference to rav1d's state, which rav1d itself shares between threads (it is `Send` and
// `Sync` there, or its worker threads would not compile). Nothing in it is bound to the thread that made it, and every
// use here goes through `&mut Decoder`.
unsafe impl Send for Decoder {}

impl Decoder {
    /// Opens a decoder.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] or [`Error::Backend`] when rav1d does not open.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let mut raw = MaybeUninit::<Dav1dSettings>::uninit();
        // SAFETY: the pointer is to memory of the right type that may be written.
        unsafe { dav1d_default_settings(NonNull::from(&mut raw).cast()) };
        // SAFETY: the call above has written all of it.
        let mut raw = unsafe { raw.assume_init() };
        // One thread: a worker that panics would leave the caller waiting for ever. One frame: no delay.
        raw.n_threads = 1;
        raw.max_frame_delay = 1;
        raw.all_layers = 0;
        raw.frame_size_limit = settings.max_pixels.get();
        // SAFETY: without a callback there is nothing that must be safe to call; rav1d then stays silent.
        raw.logger = unsafe { Dav1dLogger::new(None, None) };
        let mut context = None;
        // SAFETY: both pointers are to live values of the right type, and the settings are filled in.
        let result = unsafe { dav1d_open(Some(NonNull::from(&mut context)), Some(NonNull::from(&mut raw))) };
        let decoder = Self { context, settings };
        decoder.check(result.0)?;
        if decoder.context.is_none() { Err(Error::Backend { code: 0 }) } else { Ok(decoder) }
    }

    /// Decodes one temporal unit in the low-overhead format; `pts` is any number that shall come out with its pictures.
    /// OBUs that make no picture (metadata, padding, reserved types) are left out.
    ///
    /// # Errors
    /// [`Error::Framing`] and [`Error::TooLong`] before anything is decoded; [`Error::TooLarge`],
    /// [`Error::UnsupportedDepth`] or [`Error::Invalid`] when decoding fails; [`Error::Undrained`] when pictures of the
    /// previous temporal unit have not been taken.
    pub fn feed(&mut self, temporal_unit: &[u8], pts: i64) -> Result<(), Error> {
        let needed = obu::decodable(temporal_unit)?;
        if needed.is_empty() {
            return Ok(());
        }
        let mut data = RawData::new(needed, pts)?;
        // SAFETY: the context is open, and the pointer is to data that rav1d wrapped for us. What rav1d does not take it
        // leaves in place, where `RawData` releases it.
        let result = unsafe { dav1d_send_data(self.context, Some(data.as_ptr())) };
        match result.0 {
            code if code == -libc::EAGAIN => Err(Error::Undrained),
            code => self.check(code),
        }
    }

    /// The next picture of the temporal unit that was fed last, or `None` when there is no more.
    ///
    /// # Errors
    /// As [`Decoder::feed`]: a temporal unit may fail after it has given a picture.
    pub fn next_picture(&mut self) -> Result<Option<Picture<'_>>, Error> {
        let mut raw = RawPicture::empty();
        // SAFETY: the context is open, and the pointer is to a picture that may be overwritten, as it holds nothing yet.
        let result = unsafe { dav1d_get_picture(self.context, Some(raw.as_ptr())) };
        if result.0 == -libc::EAGAIN {
            return Ok(None);
        }
        self.check(result.0)?;
        Picture::new(raw).map(Some).ok_or(Error::UnsupportedDepth)
    }

    /// Forgets everything: waiting pictures, reference pictures and the sequence header.
    pub fn reset(&mut self) {
        if let Some(context) = self.context {
            // SAFETY: the context is open.
            unsafe { dav1d_flush(context) };
        }
    }

    /// A result code of rav1d (zero or a negative `errno` value) as ours.
    fn check(&self, code: i32) -> Result<(), Error> {
        match -code {
            0 => Ok(()),
            libc::EINVAL | 1 => Err(Error::Invalid),
            libc::ERANGE => Err(Error::TooLarge { max_pixels: self.settings.max_pixels.get() }),
            libc::ENOPROTOOPT => Err(Error::UnsupportedDepth),
            libc::ENOMEM => Err(Error::OutOfMemory),
            _ => Err(Error::Backend { code }),
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        if self.context.is_some() {
            // SAFETY: the context came from `dav1d_open` and has not been closed; the call clears it. No `Picture` is
            // left that was not leaked, as they borrow the decoder.
            unsafe { dav1d_close(Some(NonNull::from(&mut self.context))) };
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Bytes that rav1d may keep for as long as it wants, released exactly once.
struct RawData(Dav1dData);

impl RawData {
    /// `bytes` must not be empty: rav1d prints a complaint then.
    fn new(mut bytes: Vec<u8>, pts: i64) -> Result<Self, Error> {
        let start = NonNull::new(bytes.as_mut_ptr());
        let len = bytes.len();
        let owner = SendSyncNonNull::from_box(Box::new(bytes)).cast::<c_void>();
        let mut data = Self(Dav1dData::default());
        // SAFETY: `start` and `len` are those of the vector that `owner` keeps alive and unmoved until `release` drops it.
        let result = unsafe { dav1d_data_wrap(Some(data.as_ptr()), start, len, Some(release), Some(owner)) };
        if result.0 != 0 {
            return Err(Error::Backend { code: result.0 });
        }
        data.0.m.timestamp = pts;
        Ok(data)
    }

    fn as_ptr(&mut self) -> NonNull<Dav1dData> {
        NonNull::from(&mut self.0)
    }
}

impl Drop for RawData {
    fn drop(&mut self) {
        // SAFETY: the pointer is to data that rav1d wrapped, or that it has taken and left empty.
        unsafe { dav1d_data_unref(Some(self.as_ptr())) };
    }
}

/// Called by rav1d when nothing refers to a buffer any more.
///
/// # Safety
/// `owner` is the one that [`RawData::new`] made for this buffer, and this is the only call with it.
unsafe extern "C" fn release(_start: *const u8, owner: Option<SendSyncNonNull<c_void>>) {
    if let Some(owner) = owner {
        // SAFETY: `owner` came from a `Box<Vec<u8>>` in `RawData::new`, and rav1d calls this once.
        drop(unsafe { owner.cast::<Vec<u8>>().into_box() });
    }
}
