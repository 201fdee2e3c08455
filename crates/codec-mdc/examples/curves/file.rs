//! Pictures of another clip.

use std::error::Error;

use codec_av1::Frame;
use core_types::FrameSize;

/// The pictures of a file in YUV4MPEG2, 8-bit 4:2:0.
pub(crate) fn read(path: &str, most: usize) -> Result<Vec<Frame>, Box<dyn Error>> {
    let mut decoder = y4m::decode(std::io::BufReader::new(std::fs::File::open(path)?))?;
    let size = FrameSize::new(u32::try_from(decoder.get_width())?, u32::try_from(decoder.get_height())?)?;
    let mut frames = Vec::new();
    while frames.len() < most {
        match decoder.read_frame() {
            Ok(frame) => {
                let planes = [frame.get_y_plane(), frame.get_u_plane(), frame.get_v_plane()];
                frames.push(Frame::from_i420(size, planes.concat())?);
            }
            Err(y4m::Error::EOF) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(frames)
}
