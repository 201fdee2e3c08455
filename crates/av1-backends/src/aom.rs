//! The encoder: libaom in its real-time mode, one call for each layer of each picture.

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::{fmt, ptr, slice};

use libaom_sys as aom;

use crate::Error;
use crate::aom_settings::{EncoderSettings, FrameOrder, LayerRate};

/// An AV1 encoder without delay: what was put in comes out of the same call.
///
/// Of a layered stream each layer of a picture is a call of its own, from the lowest spatial layer up, with the whole picture:
/// libaom scales it down itself. Which pictures a layer may refer to is the caller's to say ([`FrameOrder`]).
pub struct Encoder {
    context: Box<aom::aom_codec_ctx_t>,
    config: aom::aom_codec_enc_cfg_t,
    settings: EncoderSettings,
    /// What the next call of the lowest layer begins at, in microseconds.
    next_pts: i64,
    pts: i64,
    /// The spatial layer that may come next besides 0.
    next_spatial: u8,
    /// A picture was coded in all layers. Before that, libaom does not know the size of the highest one and writes past the end of what
    /// it allocates by it (`src_sad_blk_64x64` in 3.11).
    knows_all: bool,
}

// SAFETY: libaom's context is memory that only calls with it touch; it has no thread of its own that uses it between calls (its workers
// wait), nothing in it is bound to the thread that made it, and every use here goes through `&mut Encoder`.
unsafe impl Send for Encoder {}

impl Encoder {
    /// Opens an encoder.
    ///
    /// # Errors
    /// [`Error::Setting`] for what is out of range, before anything is allocated; [`Error::OutOfMemory`] or [`Error::Encoder`] when
    /// libaom does not open.
    pub fn new(settings: EncoderSettings, rates: &[LayerRate]) -> Result<Self, Error> {
        settings.check()?;
        let total = settings.total_kbit(rates)?;
        let mut config = MaybeUninit::<aom::aom_codec_enc_cfg_t>::zeroed();
        // SAFETY: gives the address of a table that lives as long as the program.
        let interface = unsafe { aom::aom_codec_av1_cx() };
        // SAFETY: the interface is libaom's own, and the pointer is to memory of the right type that may be written.
        let code = unsafe {
            aom::aom_codec_enc_config_default(interface, config.as_mut_ptr(), aom::AOM_USAGE_REALTIME)
        };
        check_code(code)?;
        // SAFETY: the call above has filled it in; before, it was zeroed, and zeros are valid for each of its fields.
        let mut config = unsafe { config.assume_init() };
        settings.fill(&mut config, total);

        let mut context = Box::new(MaybeUninit::<aom::aom_codec_ctx_t>::zeroed());
        // SAFETY: context and configuration are live values of the right types; libaom copies the configuration.
        let code = unsafe {
            aom::aom_codec_enc_init_ver(
                context.as_mut_ptr(),
                interface,
                &raw const config,
                0,
                aom::AOM_ENCODER_ABI_VERSION as c_int,
            )
        };
        // When it fails, libaom has released what it took: there is nothing to destroy.
        check_code(code)?;
        // SAFETY: the call above has filled it in; zeros are valid for each of its fields besides.
        let context = unsafe { context.assume_init() };
        let mut encoder =
            Self { context, config, settings, next_pts: 0, pts: 0, next_spatial: 0, knows_all: false };
        encoder.set_tools()?;
        encoder.set_rates(rates)?;
        Ok(encoder)
    }

    /// Aims at other rates from the next picture on. No key frame comes of it.
    ///
    /// # Errors
    /// [`Error::Setting`] for as many rates as there are not layers, and for rates out of range; nothing is changed then.
    pub fn set_rates(&mut self, rates: &[LayerRate]) -> Result<(), Error> {
        let total = self.settings.total_kbit(rates)?;
        if self.settings.is_layered() {
            let mut params = self.settings.svc_params(rates);
            return self.control_with(&mut params);
        }
        self.config.rc_target_bitrate = total;
        // SAFETY: the context is open, and the pointer is to a configuration that libaom copies.
        let code = unsafe { aom::aom_codec_enc_config_set(&raw mut *self.context, &raw const self.config) };
        self.check(code)
    }

    /// Codes one layer of a picture, which stands for `duration` microseconds. `i420` is the whole picture in every call: luma, then
    /// both chroma planes at half the width and height, without padding. Calls for the spatial layers of one picture follow one
    /// another, from 0 up; those at the top may be left out, but not of the first one.
    ///
    /// # Errors
    /// [`Error::Setting`] for a picture of another length, a layer or slot that there is not, layers out of order, or no duration;
    /// [`Error::Encoder`] when coding fails.
    pub fn encode(&mut self, i420: &[u8], duration: u32, order: &FrameOrder) -> Result<Vec<u8>, Error> {
        let (width, height) = (self.settings.width, self.settings.height);
        if i420.len() != self.settings.bytes() {
            return Err(Error::Setting("a picture of another length than the encoder's size needs"));
        }
        if duration == 0 {
            return Err(Error::Setting("a picture that lasts no time"));
        }
        order.check(&self.settings)?;
        self.check_sequence(order)?;
        if order.spatial == 0 {
            self.pts = self.next_pts;
            self.next_pts = self.pts.saturating_add(duration.into());
        }
        if self.settings.is_layered() {
            self.control_with(&mut order.layer_id())?;
            self.control_with(&mut order.references())?;
        }
        let mut image = MaybeUninit::<aom::aom_image_t>::zeroed();
        // SAFETY: `image` may be written; the planes that libaom lays over `i420` are as long as `i420` is (checked above: sides are even
        // and rows not aligned). It is given as mutable for want of another way to say it: an encoder only reads from its image.
        let wrapped = unsafe {
            aom::aom_img_wrap(
                image.as_mut_ptr(),
                aom::AOM_IMG_FMT_I420,
                width.into(),
                height.into(),
                1,
                i420.as_ptr().cast_mut(),
            )
        };
        if wrapped.is_null() {
            return Err(Error::OutOfMemory);
        }
        let key = if order.key { aom::AOM_EFLAG_FORCE_KF } else { 0 };
        let resilient = if order.resilient { aom::AOM_EFLAG_ERROR_RESILIENT } else { 0 };
        // SAFETY: the context is open; the image was filled in above and what it points to lives until the call returns, by when libaom
        // has copied it.
        let code = unsafe {
            aom::aom_codec_encode(
                &raw mut *self.context,
                image.as_ptr(),
                self.pts,
                duration.into(),
                (key | resilient) as aom::aom_enc_frame_flags_t,
            )
        };
        self.check(code)?;
        self.next_spatial = order.spatial + 1;
        self.knows_all |= usize::from(self.next_spatial) == self.settings.spatial.len();
        self.take_data()
    }

    /// The spatial layers of a picture follow one another, and the first picture is a key frame in all of them.
    fn check_sequence(&self, order: &FrameOrder) -> Result<(), Error> {
        if order.spatial != 0 && order.spatial != self.next_spatial {
            return Err(Error::Setting("spatial layers of a picture follow one another from 0 up"));
        }
        if self.knows_all || order.spatial > 0 || (self.next_spatial == 0 && order.key) {
            return Ok(());
        }
        Err(Error::Setting("the first picture is a key frame and is coded in all layers"))
    }

    /// The planes of the picture that [`Encoder::encode`] coded last, as a decoder has to give them: the reference that decoders are
    /// compared with. I420; width and height are those of its layer. Without its last filters if it refreshed no slot.
    pub fn reconstruction(&mut self) -> Option<(usize, usize, Vec<u8>)> {
        // SAFETY: the context is open.
        let image = unsafe { aom::aom_codec_get_preview_frame(&raw mut *self.context) };
        // SAFETY: libaom gives null or a picture that is valid until the next call with the context.
        let image = unsafe { image.as_ref() }?;
        let (width, height) = (image.d_w as usize, image.d_h as usize);
        let mut data = Vec::with_capacity(width * height * 3 / 2);
        for (plane, stride, columns, rows) in [
            (image.planes[0], image.stride[0], width, height),
            (image.planes[1], image.stride[1], width / 2, height / 2),
            (image.planes[2], image.stride[2], width / 2, height / 2),
        ] {
            for row in 0..rows {
                let offset = isize::try_from(row).ok()?.checked_mul(stride as isize)?;
                // SAFETY: a plane of libaom's frame buffer has `stride` bytes for each of its rows.
                let start = unsafe { plane.offset(offset) };
                // SAFETY: 8-bit samples, of which a row has at least as many as the picture is wide; nothing writes to them meanwhile.
                data.extend_from_slice(unsafe { slice::from_raw_parts(start, columns) });
            }
        }
        Some((width, height, data))
    }

    /// All that the last call coded.
    fn take_data(&mut self) -> Result<Vec<u8>, Error> {
        let mut data = Vec::new();
        let mut at: aom::aom_codec_iter_t = ptr::null();
        loop {
            // SAFETY: the context is open, and `at` is null or what libaom left there.
            let packet = unsafe { aom::aom_codec_get_cx_data(&raw mut *self.context, &raw mut at) };
            // SAFETY: libaom gives null or a packet that is valid until the next call of `aom_codec_encode`.
            let Some(packet) = (unsafe { packet.as_ref() }) else { break };
            if packet.kind != aom::AOM_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: the kind says which field of the union is set.
            let frame = unsafe { packet.data.frame };
            if frame.buf.is_null() || data.len() + frame.sz > crate::MAX_TEMPORAL_UNIT {
                return Err(Error::Encoder { code: 0, what: "a packet that is too long".to_owned() });
            }
            // SAFETY: the packet's own description of its bytes, which are initialised and stay until the next call.
            data.extend_from_slice(unsafe { slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz) });
        }
        Ok(data)
    }

    /// The tools that are worth their time in live video; what libaom's own example and browsers choose.
    fn set_tools(&mut self) -> Result<(), Error> {
        let threads = self.settings.used_threads();
        let tools: &[(aom::aome_enc_control_id, c_int)] = &[
            (aom::AOME_SET_CPUUSED, self.settings.speed()),
            (aom::AV1E_SET_ENABLE_CDEF, 1),
            (aom::AV1E_SET_ENABLE_TPL_MODEL, 0),
            (aom::AV1E_SET_DELTAQ_MODE, 0),
            (aom::AV1E_SET_ENABLE_ORDER_HINT, 0),
            // Cyclic refresh: each picture is coded better in a part that moves on.
            (aom::AV1E_SET_AQ_MODE, 3),
            (aom::AOME_SET_MAX_INTRA_BITRATE_PCT, 300),
            (aom::AV1E_SET_COEFF_COST_UPD_FREQ, 3),
            (aom::AV1E_SET_MODE_COST_UPD_FREQ, 3),
            (aom::AV1E_SET_MV_COST_UPD_FREQ, 3),
            (aom::AV1E_SET_ENABLE_OBMC, 0),
            (aom::AV1E_SET_ENABLE_WARPED_MOTION, 0),
            (aom::AV1E_SET_ENABLE_GLOBAL_MOTION, 0),
            (aom::AV1E_SET_ENABLE_REF_FRAME_MVS, 0),
            (aom::AV1E_SET_ENABLE_CFL_INTRA, 0),
            (aom::AV1E_SET_ENABLE_SMOOTH_INTRA, 0),
            (aom::AV1E_SET_ENABLE_ANGLE_DELTA, 0),
            (aom::AV1E_SET_ENABLE_FILTER_INTRA, 0),
            (aom::AV1E_SET_INTRA_DEFAULT_TX_ONLY, 1),
            (aom::AV1E_SET_ENABLE_PALETTE, 0),
            (aom::AV1E_SET_DISABLE_TRELLIS_QUANT, 1),
            // Tiles are what threads share out, and the rows of each.
            (aom::AV1E_SET_TILE_COLUMNS, self.settings.tile_columns_log2() as c_int),
            (aom::AV1E_SET_ROW_MT, c_int::from(threads > 1)),
        ];
        for (control, value) in tools {
            // SAFETY: the context is open, and each control of the list takes one `int` or `unsigned int`, which are passed alike.
            let code = unsafe { aom::aom_codec_control(&raw mut *self.context, *control as c_int, *value) };
            self.check(code)?;
        }
        Ok(())
    }

    /// A control that takes a structure.
    fn control_with<T: Parameter>(&mut self, value: &mut T) -> Result<(), Error> {
        // SAFETY: the context is open, and the control takes a pointer to this very type (`Parameter`), which libaom copies from.
        let code =
            unsafe { aom::aom_codec_control(&raw mut *self.context, T::CONTROL as c_int, &raw mut *value) };
        self.check(code)
    }

    /// A result code of libaom as ours, with what it says of the reason.
    fn check(&self, code: aom::aom_codec_err_t) -> Result<(), Error> {
        check_code(code).map_err(|error| match error {
            Error::Encoder { code, .. } => Error::Encoder { code, what: self.detail() },
            other => other,
        })
    }

    fn detail(&self) -> String {
        // SAFETY: the context is open.
        let detail = unsafe { aom::aom_codec_error_detail(&raw const *self.context) };
        if detail.is_null() {
            return "no reason given".to_owned();
        }
        // SAFETY: libaom gives a string that ends in a zero and is valid until the next call with the context.
        unsafe { core::ffi::CStr::from_ptr(detail) }.to_string_lossy().into_owned()
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the context is open, and this is the last call with it.
        unsafe { aom::aom_codec_destroy(&raw mut *self.context) };
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What a control takes: the pairs of `AOM_CTRL_USE_TYPE` in `aomcx.h`.
trait Parameter {
    const CONTROL: aom::aome_enc_control_id;
}

impl Parameter for aom::aom_svc_params_t {
    const CONTROL: aom::aome_enc_control_id = aom::AV1E_SET_SVC_PARAMS;
}

impl Parameter for aom::aom_svc_layer_id_t {
    const CONTROL: aom::aome_enc_control_id = aom::AV1E_SET_SVC_LAYER_ID;
}

impl Parameter for aom::aom_svc_ref_frame_config_t {
    const CONTROL: aom::aome_enc_control_id = aom::AV1E_SET_SVC_REF_FRAME_CONFIG;
}

const fn check_code(code: aom::aom_codec_err_t) -> Result<(), Error> {
    match code {
        aom::AOM_CODEC_OK => Ok(()),
        aom::AOM_CODEC_MEM_ERROR => Err(Error::OutOfMemory),
        code => Err(Error::Encoder { code, what: String::new() }),
    }
}
