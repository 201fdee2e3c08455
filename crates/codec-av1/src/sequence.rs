//! The sequence header: what a stream needs from its decoder (AV1 specification, section 5.5).

use crate::Error;
use crate::bits::BitReader;

/// The fields that containers and the decoder's checks need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SequenceHeader {
    pub(crate) profile: u8,
    /// Frame headers hold no type: every frame is a shown key frame.
    pub(crate) reduced_still_picture: bool,
    /// `seq_level_idx[0]`.
    pub(crate) level: u8,
    /// `seq_tier[0]`.
    pub(crate) tier: bool,
    pub(crate) max_width: u32,
    pub(crate) max_height: u32,
    pub(crate) color: ColorConfig,
}

/// `color_config()`, section 5.5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ColorConfig {
    pub(crate) high_bit_depth: bool,
    pub(crate) twelve_bit: bool,
    pub(crate) monochrome: bool,
    pub(crate) subsampling_x: bool,
    pub(crate) subsampling_y: bool,
    pub(crate) chroma_sample_position: u8,
}

impl SequenceHeader {
    /// Parses the payload of a sequence header OBU, up to the colour configuration.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Error> {
        let r = &mut BitReader::new(payload);
        let profile = r.small(3)?;
        if profile > 2 {
            return Err(Error::Malformed("reserved profile"));
        }
        let _still_picture = r.flag()?;
        let reduced_still_picture = r.flag()?;
        let (level, tier) =
            if reduced_still_picture { (r.small(5)?, false) } else { parse_operating_points(r)? };
        let width_bits = r.bits(4)? + 1;
        let height_bits = r.bits(4)? + 1;
        let max_width = r.bits(width_bits)? + 1;
        let max_height = r.bits(height_bits)? + 1;
        if !reduced_still_picture && r.flag()? {
            r.skip(4 + 3)?; // lengths of frame ids
        }
        r.skip(3)?; // 128x128 superblocks, filter intra, intra edge filter
        if !reduced_still_picture {
            skip_inter_tools(r)?;
        }
        r.skip(3)?; // superres, CDEF, loop restoration
        let color = ColorConfig::parse(r, profile)?;
        Ok(Self { profile, reduced_still_picture, level, tier, max_width, max_height, color })
    }
}

/// From `timing_info_present_flag` to the last operating point; gives level and tier of the first one.
fn parse_operating_points(r: &mut BitReader<'_>) -> Result<(u8, bool), Error> {
    let mut buffer_delay_bits = None;
    if r.flag()? {
        r.skip(32 + 32)?; // num_units_in_display_tick, time_scale
        if r.flag()? {
            r.skip_uvlc()?; // num_ticks_per_picture_minus_1
        }
        if r.flag()? {
            buffer_delay_bits = Some(r.bits(5)? + 1);
            r.skip(32 + 5 + 5)?; // the rest of decoder_model_info()
        }
    }
    let initial_display_delay_present = r.flag()?;
    let points = r.bits(5)? + 1;
    let mut first = (0, false);
    for point in 0..points {
        r.skip(12)?; // operating_point_idc
        let level = r.small(5)?;
        let tier = level > 7 && r.flag()?;
        if point == 0 {
            first = (level, tier);
        }
        if let Some(bits) = buffer_delay_bits
            && r.flag()?
        {
            r.skip(2 * bits + 1)?; // operating_parameters_info()
        }
        if initial_display_delay_present && r.flag()? {
            r.skip(4)?;
        }
    }
    Ok(first)
}

/// From `enable_interintra_compound` to `order_hint_bits_minus_1`.
fn skip_inter_tools(r: &mut BitReader<'_>) -> Result<(), Error> {
    r.skip(4)?; // inter-intra, masked compound, warped motion, dual filter
    let order_hint = r.flag()?;
    if order_hint {
        r.skip(2)?; // joint compound, reference motion vectors
    }
    let choose_screen_content = r.flag()?;
    let may_use_screen_content = choose_screen_content || r.flag()?;
    if may_use_screen_content && !r.flag()? {
        r.skip(1)?; // seq_force_integer_mv
    }
    if order_hint { r.skip(3) } else { Ok(()) }
}

impl ColorConfig {
    fn parse(r: &mut BitReader<'_>, profile: u8) -> Result<Self, Error> {
        const BT_709: u8 = 1;
        const UNSPECIFIED: u8 = 2;
        const SRGB: u8 = 13;
        const IDENTITY: u8 = 0;
        let high_bit_depth = r.flag()?;
        let twelve_bit = profile == 2 && high_bit_depth && r.flag()?;
        let monochrome = profile != 1 && r.flag()?;
        let description = if r.flag()? { [r.small(8)?, r.small(8)?, r.small(8)?] } else { [UNSPECIFIED; 3] };
        let mut chroma_sample_position = 0;
        let (subsampling_x, subsampling_y) = if monochrome {
            r.skip(1)?; // color_range
            (true, true)
        } else if description == [BT_709, SRGB, IDENTITY] {
            (false, false)
        } else {
            r.skip(1)?; // color_range
            let (x, y) = match profile {
                0 => (true, true),
                1 => (false, false),
                _ if twelve_bit => {
                    let x = r.flag()?;
                    (x, x && r.flag()?)
                }
                _ => (true, false),
            };
            if x && y {
                chroma_sample_position = r.small(2)?;
            }
            (x, y)
        };
        Ok(Self {
            high_bit_depth,
            twelve_bit,
            monochrome,
            subsampling_x,
            subsampling_y,
            chroma_sample_position,
        })
    }
}
