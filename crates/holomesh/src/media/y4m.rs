//! YUV4MPEG2 (Y4M): a text header, then a line `FRAME` and the three planes for each picture.
//!
//! Read here rather than by a library because the declared size must be checked before it is multiplied, and because a
//! file that ends inside a picture must be told from one that ends after it.

use super::{Input, MediaError};
use codec_av1::Frame;
use core_types::{FrameRate, FrameSize};
use std::io::{BufRead, Read, Write};

/// What every Y4M file starts with.
pub(super) const MAGIC: &[u8] = b"YUV4MPEG2";
/// The longest header line; those of known programs have under 100 bytes.
const MAX_LINE: u64 = 1_024;

/// Reads the pictures of a Y4M stream.
pub(super) struct Y4mReader {
    input: Input,
    header: Header,
    frames: u64,
}

struct Header {
    size: FrameSize,
    rate: FrameRate,
    depth: Depth,
}

/// How a sample is stored.
#[derive(Clone, Copy)]
enum Depth {
    /// A byte.
    Eight,
    /// Two bytes, the lower one first, 0 to 1,023.
    Ten,
}

impl Depth {
    fn bytes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Ten => 2,
        }
    }
}

impl Y4mReader {
    /// Reads and checks the header.
    pub(super) fn new(file: &str, mut input: Input) -> Result<Self, MediaError> {
        let line = read_line(file, "its header", &mut input)?.unwrap_or_default();
        Ok(Self { input, header: parse_header(file, &line)?, frames: 0 })
    }

    pub(super) fn size(&self) -> FrameSize {
        self.header.size
    }

    pub(super) fn rate(&self) -> FrameRate {
        self.header.rate
    }

    /// The next picture, rounded to 8 bits; `None` when the stream ends after a whole picture.
    pub(super) fn next_picture(&mut self, file: &str) -> Result<Option<Frame>, MediaError> {
        let at = || format!("frame {}", self.frames);
        let Some(line) = read_line(file, &at(), &mut self.input)? else { return Ok(None) };
        // Frame parameters may follow; none of them changes the layout of the planes.
        if !(line == b"FRAME" || line.starts_with(b"FRAME ")) {
            return Err(MediaError::malformed(file, at(), "expected the line FRAME"));
        }
        let size = self.header.size;
        let mut picture = vec![0; size.bytes_420() * self.header.depth.bytes()];
        self.input.read_exact(&mut picture).map_err(|reason| MediaError::read(file, at(), reason))?;
        let frame = match self.header.depth {
            Depth::Eight => Frame::from_i420(size, picture),
            Depth::Ten => Frame::from_i010(size, &picture),
        };
        let frame =
            frame.map_err(|reason| MediaError::Decode { file: file.into(), frame: self.frames, reason })?;
        self.frames += 1;
        Ok(Some(frame))
    }
}

/// A line without its end; `None` at the end of the input.
fn read_line(file: &str, at: &str, input: &mut Input) -> Result<Option<Vec<u8>>, MediaError> {
    let mut line = Vec::new();
    input.take(MAX_LINE).read_until(b'\n', &mut line).map_err(|reason| MediaError::read(file, at, reason))?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() as u64 + 1 == MAX_LINE => {
            Err(MediaError::malformed(file, at, "a header line of more than 1,023 bytes"))
        }
        Some(_) => Err(MediaError::truncated(file, at)),
    }
}

fn parse_header(file: &str, line: &[u8]) -> Result<Header, MediaError> {
    let bad = |what: String| MediaError::malformed(file, "its header", what);
    let line = String::from_utf8_lossy(line);
    let mut fields = line.split(' ').filter(|field| !field.is_empty());
    if fields.next().map(str::as_bytes) != Some(MAGIC) {
        return Err(bad("it does not start with YUV4MPEG2".into()));
    }
    let (mut width, mut height, mut rate, mut depth) = (None, None, (25, 1), Depth::Eight);
    for field in fields {
        let (tag, value) = field.split_at(field.chars().next().map_or(0, char::len_utf8));
        let number = |text: &str| text.parse::<u32>().map_err(|_| bad(format!("{field:?} holds no number")));
        match tag {
            "W" => width = Some(number(value)?),
            "H" => height = Some(number(value)?),
            "F" => {
                let (num, den) =
                    value.split_once(':').ok_or_else(|| bad(format!("{field:?} is no ratio")))?;
                rate = (number(num)?, number(den)?);
            }
            "C" => {
                depth = match value {
                    "420" | "420jpeg" | "420mpeg2" | "420paldv" => Depth::Eight,
                    "420p10" => Depth::Ten,
                    _ => {
                        let what = format!("colour space {value:?}, and only 8- and 10-bit 4:2:0 is read");
                        return Err(MediaError::convert_video(file, what, "-pix_fmt yuv420p"));
                    }
                }
            }
            "I" if !matches!(value, "p" | "?") => {
                return Err(MediaError::convert_video(
                    file,
                    "interlaced video",
                    "-vf yadif -pix_fmt yuv420p",
                ));
            }
            // What is sent says nothing of its range, so everybody takes black for 16 and white for 235.
            "X" if value == "COLORRANGE=FULL" => {
                let options = "-vf scale=out_range=tv -pix_fmt yuv420p";
                return Err(MediaError::convert_video(file, "full-range video", options));
            }
            _ => {}
        }
    }
    let (Some(width), Some(height)) = (width, height) else {
        return Err(bad("width or height is missing".into()));
    };
    let size = FrameSize::new(width, height).map_err(|reason| MediaError::video_shape(file, reason))?;
    let rate = FrameRate::new(rate.0, rate.1).map_err(|reason| MediaError::video_shape(file, reason))?;
    Ok(Header { size, rate, depth })
}

/// Writes pictures as Y4M, for example to standard output for a pipe into `ffplay -`.
pub struct Y4mWriter<W: Write> {
    file: String,
    sink: W,
    size: FrameSize,
}

impl<W: Write> Y4mWriter<W> {
    /// Writes the header; `file` is how messages name the sink.
    ///
    /// # Errors
    /// [`MediaError::Write`].
    pub fn new(
        file: impl Into<String>,
        mut sink: W,
        size: FrameSize,
        rate: FrameRate,
    ) -> Result<Self, MediaError> {
        let file = file.into();
        let (width, height, num, den) = (size.width(), size.height(), rate.num(), rate.den());
        // 420mpeg2 puts chroma samples between two rows of luma at the left column: where AV1 encoders expect them.
        writeln!(sink, "YUV4MPEG2 W{width} H{height} F{num}:{den} Ip A1:1 C420mpeg2")
            .map_err(|reason| MediaError::write(&file, reason))?;
        Ok(Self { file, sink, size })
    }

    /// Writes one picture and flushes, so that a player at the other end of a pipe shows it at once.
    ///
    /// # Errors
    /// [`MediaError::Misuse`] when the size is not that of the header, [`MediaError::Write`].
    pub fn write_frame(&mut self, frame: &Frame) -> Result<(), MediaError> {
        if frame.size() != self.size {
            return Err(MediaError::Misuse("every picture of a Y4M stream must have the size of its header"));
        }
        let mut write = || {
            self.sink.write_all(b"FRAME\n")?;
            self.sink.write_all(frame.as_i420())?;
            self.sink.flush()
        };
        write().map_err(|reason| MediaError::write(&self.file, reason))
    }
}

impl<W: Write> std::fmt::Debug for Y4mWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Y4mWriter")
            .field("file", &self.file)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
