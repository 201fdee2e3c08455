//! One picture as PNG, for reports.

use super::MediaError;
use codec_av1::Frame;

/// How luma and colour differences become red, green and blue, in 1/65,536.
struct Matrix {
    red_v: i32,
    green_u: i32,
    green_v: i32,
    blue_u: i32,
}

/// ITU-R BT.601: 2(1−Kr), with Kr = 0.299 and Kb = 0.114, stretched from the limited range by 255/224.
const BT601: Matrix = Matrix { red_v: 104_597, green_u: 25_675, green_v: 53_279, blue_u: 132_201 };
/// ITU-R BT.709: the same with Kr = 0.2126 and Kb = 0.0722.
const BT709: Matrix = Matrix { red_v: 117_489, green_u: 13_975, green_v: 34_925, blue_u: 138_438 };
/// 255/219: luma of the limited range, 16 to 235, to 0 to 255.
const LUMA: i32 = 76_309;

/// A frame as a PNG file, 8-bit RGB.
///
/// Frames carry no colour description here, so what players assume is assumed: limited range, BT.709 from 720 lines up,
/// BT.601 below.
///
/// # Errors
/// [`MediaError::Write`] when the PNG encoder refuses; with a valid frame it does not.
pub fn frame_to_png(frame: &Frame) -> Result<Vec<u8>, MediaError> {
    let failed = |error: png::EncodingError| {
        MediaError::write("PNG picture", std::io::Error::other(error.to_string()))
    };
    let size = frame.size();
    let mut file = Vec::new();
    // Sides are at most 4,096.
    let mut encoder = png::Encoder::new(&mut file, size.width() as u32, size.height() as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&rgb(frame)).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

/// Three bytes for each picture element, rows from the top.
fn rgb(frame: &Frame) -> Vec<u8> {
    let (width, height) = (frame.size().width(), frame.size().height());
    let matrix = if height >= 720 { BT709 } else { BT601 };
    let (luma, chroma) = frame.as_i420().split_at(width * height);
    let (u_plane, v_plane) = chroma.split_at(width * height / 4);
    let mut out = Vec::with_capacity(width * height * 3);
    for (row, line) in luma.chunks_exact(width).enumerate() {
        let from = (row / 2) * (width / 2);
        let chroma_row = u_plane.iter().skip(from).zip(v_plane.iter().skip(from));
        for (pair, (u, v)) in line.chunks_exact(2).zip(chroma_row) {
            let (u, v) = (i32::from(*u) - 128, i32::from(*v) - 128);
            for y in pair {
                let y = (i32::from(*y) - 16) * LUMA + 32_768;
                let channel = |value: i32| (value >> 16).clamp(0, 255) as u8;
                out.push(channel(y + matrix.red_v * v));
                out.push(channel(y - matrix.green_u * u - matrix.green_v * v));
                out.push(channel(y + matrix.blue_u * u));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_types::FrameSize;

    /// A picture of one colour, as it comes back out of the PNG file.
    fn through_png(height: u32, yuv: [u8; 3]) -> [u8; 3] {
        let size = FrameSize::new(16, height).unwrap();
        let luma = size.width() * size.height();
        let mut bytes = vec![yuv[0]; luma];
        bytes.extend(vec![yuv[1]; luma / 4]);
        bytes.extend(vec![yuv[2]; luma / 4]);
        let file = frame_to_png(&Frame::from_i420(size, bytes).unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (16, height));
        assert!(pixels.chunks(3).all(|pixel| pixel == &pixels[..3]));
        [pixels[0], pixels[1], pixels[2]]
    }

    #[test]
    fn black_white_and_primaries_come_out_as_such() {
        // The 8-bit codes of 100 % primaries in either standard, from its own luma equation.
        for (height, kr, kb) in [(16, 0.299, 0.114), (720, 0.2126, 0.0722)] {
            for rgb in [[0u8, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [40, 130, 200]] {
                let [r, g, b] = rgb.map(|c| f64::from(c) / 255.0);
                let y = kr * r + (1.0 - kr - kb) * g + kb * b;
                let u = (b - y) / (2.0 * (1.0 - kb));
                let v = (r - y) / (2.0 * (1.0 - kr));
                let yuv =
                    [16.0 + 219.0 * y, 128.0 + 224.0 * u, 128.0 + 224.0 * v].map(|c: f64| c.round() as u8);
                let out = through_png(height, yuv);
                let close = out.iter().zip(rgb).all(|(a, b)| a.abs_diff(b) <= 3);
                assert!(close, "{rgb:?} came back as {out:?} with {height} lines");
            }
        }
    }
}
