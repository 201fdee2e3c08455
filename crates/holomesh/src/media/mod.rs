//! Media files and pipes: what a node publishes is read here, what it watched is written here.
//!
//! | direction | type | formats |
//! |---|---|---|
//! | in | [`VideoSource`] | Y4M (file or pipe, 4:2:0 of 8 or 10 bits), AV1 in IVF |
//! | in | [`AudioSource`] | WAV: 16, 24 and 32-bit integers or 32-bit floats, one or two channels, 8 to 192 kHz |
//! | out | [`MatroskaWriter`] | Matroska and WebM with AV1 and Opus |
//! | out | [`Y4mWriter`] | Y4M, for a pipe into a player |
//! | out | [`frame_to_png`] | one picture |
//!
//! Readers take any bytes without panicking: sizes are checked before memory is taken, and each [`MediaError`] names
//! the file and, where there is one, the command that makes the file usable. Nothing here knows about the network.
//!
//! ```
//! use codec_av1::Frame;
//! use core_types::{FrameRate, FrameSize};
//! use holomesh::media::{VideoSource, Y4mWriter};
//!
//! let size = FrameSize::new(16, 16)?;
//! let mut file = Vec::new();
//! let mut writer = Y4mWriter::new("out.y4m", &mut file, size, FrameRate::new(25, 1)?)?;
//! writer.write_frame(&Frame::from_i420(size, vec![128; size.bytes_420()])?)?;
//!
//! let mut source = VideoSource::from_reader("out.y4m", std::io::Cursor::new(file))?;
//! assert_eq!(source.size(), size);
//! assert!(source.next_frame()?.is_some() && source.next_frame()?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ebml;
mod error;
mod interleave;
mod ivf;
mod matroska;
mod picture;
mod video;
mod wav;
mod y4m;

pub use error::MediaError;
pub use matroska::{Container, MatroskaWriter, Recorded, VideoTrack};
pub use picture::frame_to_png;
pub use video::VideoSource;
pub use wav::AudioSource;
pub use y4m::Y4mWriter;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// What the readers read from: a buffered file or standard input.
type Input = Box<dyn BufRead + Send>;

/// Opens a file to be read, and says how messages call it.
fn open(path: &Path) -> Result<(String, Input), MediaError> {
    let file = display_name(path);
    let reader = File::open(path).map_err(|reason| MediaError::Open { file: file.clone(), reason })?;
    Ok((file, Box::new(BufReader::with_capacity(1 << 16, reader))))
}

/// How a path appears in messages: on one line whatever it contains.
fn display_name(path: &Path) -> String {
    path.display().to_string().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Fills as much of `buf` as the input has and says how much that was.
fn read_up_to(input: &mut dyn Read, buf: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
