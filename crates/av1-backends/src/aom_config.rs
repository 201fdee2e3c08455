//! Settings and orders as libaom's structures have them.

use core::ffi::c_int;

use libaom_sys as aom;

use crate::aom_settings::{EncoderSettings, FrameOrder, LayerRate};

/// Microseconds: what times are counted in between libaom and us.
const TIMEBASE: c_int = 1_000_000;

impl EncoderSettings {
    /// libaom's configuration, from its defaults for real-time use.
    pub(crate) fn fill(&self, config: &mut aom::aom_codec_enc_cfg_t, kbit: u32) {
        config.g_w = self.width.into();
        config.g_h = self.height.into();
        config.g_threads = self.used_threads().into();
        config.g_timebase = aom::aom_rational { num: 1, den: TIMEBASE };
        config.g_bit_depth = aom::AOM_BITS_8;
        config.g_input_bit_depth = 8;
        config.g_pass = aom::AOM_RC_ONE_PASS;
        config.g_lag_in_frames = 0;
        config.g_error_resilient = 0;
        config.rc_end_usage = aom::AOM_CBR;
        config.rc_target_bitrate = kbit;
        // The whole range: a rate that was asked for is kept, whatever the picture then looks like.
        config.rc_min_quantizer = MIN_QUANTIZER as u32;
        config.rc_max_quantizer = MAX_QUANTIZER as u32;
        config.rc_undershoot_pct = 50;
        config.rc_overshoot_pct = 50;
        config.rc_buf_initial_sz = 600;
        config.rc_buf_optimal_sz = 600;
        config.rc_buf_sz = 1_000;
        config.rc_dropframe_thresh = 0;
        // Key frames come when they are asked for.
        config.kf_mode = aom::AOM_KF_DISABLED;
    }

    pub(crate) fn svc_params(&self, rates: &[LayerRate]) -> aom::aom_svc_params_t {
        let mut params = aom::aom_svc_params_t {
            number_spatial_layers: self.spatial.len() as c_int,
            number_temporal_layers: self.temporal.into(),
            max_quantizers: [MAX_QUANTIZER; 32],
            min_quantizers: [MIN_QUANTIZER; 32],
            scaling_factor_num: [1; 4],
            scaling_factor_den: [1; 4],
            layer_target_bitrate: [0; 32],
            framerate_factor: [1; 8],
        };
        for (to, den) in params.scaling_factor_den.iter_mut().zip(&self.spatial) {
            *to = c_int::from(*den);
        }
        for (to, rate) in params.layer_target_bitrate.iter_mut().zip(rates) {
            *to = c_int::try_from(rate.kbit).unwrap_or(c_int::MAX);
        }
        // The highest temporal layer has all pictures, each one below half of them.
        let temporal = usize::from(self.temporal);
        for (layer, to) in params.framerate_factor.iter_mut().take(temporal).enumerate() {
            *to = 1 << (temporal - 1 - layer);
        }
        params
    }
}

/// libaom's quantizers go from 0 to 63; the finest two cost much for nothing that can be seen.
const MIN_QUANTIZER: c_int = 2;
const MAX_QUANTIZER: c_int = 63;

impl FrameOrder {
    pub(crate) fn layer_id(&self) -> aom::aom_svc_layer_id_t {
        aom::aom_svc_layer_id_t {
            spatial_layer_id: self.spatial.into(),
            temporal_layer_id: self.temporal.into(),
        }
    }

    /// libaom knows seven references by name, each of which stands for a slot, and refreshes a slot only if a name stands for it.
    pub(crate) fn references(&self) -> aom::aom_svc_ref_frame_config_t {
        /// The names LAST and GOLDEN, which its fast mode looks at, and one that only carries the slot to refresh.
        const LAST: usize = 0;
        const GOLDEN: usize = 3;
        const CARRIER: usize = 6;
        let slot = |slot: u8| c_int::from(slot);
        let first = self.refers_to.first().copied().unwrap_or(0);
        let mut config =
            aom::aom_svc_ref_frame_config_t { reference: [0; 7], ref_idx: [slot(first); 7], refresh: [0; 8] };
        for (name, refers_to) in [LAST, GOLDEN].into_iter().zip(&self.refers_to) {
            config.reference[name] = 1;
            config.ref_idx[name] = slot(*refers_to);
        }
        if let Some(refresh) = self.refreshes {
            config.ref_idx[CARRIER] = slot(refresh);
            config.refresh[usize::from(refresh)] = 1;
        }
        config
    }
}
