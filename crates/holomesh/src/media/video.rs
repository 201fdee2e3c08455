//! One source of pictures, whatever file they come from.

use super::ivf::{self, IvfReader};
use super::y4m::{self, Y4mReader};
use super::{Input, MediaError, read_up_to};
use codec_av1::{Frame, Rav1dDecoder, VideoDecoder};
use core_types::{FrameRate, FrameSize, MediaTime};
use std::collections::VecDeque;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

/// How messages name standard input.
pub(super) const STDIN_NAME: &str = "standard input";

/// Pictures from a Y4M or IVF file, or from Y4M or IVF on standard input, in the order they are shown.
///
/// The kind is found by the first bytes, not by the name. Pictures are 4:2:0 of 8 or 10 bits, rounded to 8; all have one size. The rate is
/// constant: in an IVF file with uneven time stamps it is the mean over the first frames.
pub struct VideoSource {
    file: String,
    size: FrameSize,
    rate: FrameRate,
    kind: Kind,
    shown: u64,
    ended: bool,
}

enum Kind {
    Y4m(Y4mReader),
    Ivf(Box<IvfVideo>),
}

struct IvfVideo {
    reader: IvfReader,
    decoder: Rav1dDecoder,
    fed: u64,
    flushed: bool,
    decoded: VecDeque<Frame>,
}

impl VideoSource {
    /// Opens a file, or standard input when `path` is `-`, and reads its header.
    ///
    /// # Errors
    /// [`MediaError`]; one of its lines is meant to be shown to the user as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MediaError> {
        let path = path.as_ref();
        if path == Path::new("-") {
            return Self::new(STDIN_NAME.into(), Box::new(BufReader::new(std::io::stdin())));
        }
        let (file, input) = super::open(path)?;
        Self::new(file, input)
    }

    /// Reads from anything; `name` is how messages call it.
    ///
    /// # Errors
    /// As [`VideoSource::open`].
    pub fn from_reader(
        name: impl Into<String>,
        reader: impl Read + Send + 'static,
    ) -> Result<Self, MediaError> {
        Self::new(name.into(), Box::new(BufReader::new(reader)))
    }

    fn new(file: String, mut input: Input) -> Result<Self, MediaError> {
        let mut head = [0; 12];
        let length = read_up_to(&mut input, &mut head)
            .map_err(|reason| MediaError::read(&file, "its start", reason))?;
        let head = head.get(..length).unwrap_or_default().to_vec();
        let kind = Magic::of(&head);
        let input: Input = Box::new(Cursor::new(head).chain(input));
        let (size, rate, kind) = match kind {
            Magic::Y4m => {
                let reader = Y4mReader::new(&file, input)?;
                (reader.size(), reader.rate(), Kind::Y4m(reader))
            }
            Magic::Ivf => {
                let reader = IvfReader::new(&file, input)?;
                let decoder = Rav1dDecoder::new(reader.size()).map_err(|reason| MediaError::Decode {
                    file: file.clone(),
                    frame: 0,
                    reason,
                })?;
                let (size, rate) = (reader.size(), reader.rate());
                let decoded = VecDeque::new();
                (
                    size,
                    rate,
                    Kind::Ivf(Box::new(IvfVideo { reader, decoder, fed: 0, flushed: false, decoded })),
                )
            }
            Magic::Empty => return Err(MediaError::truncated(&file, "its very start: it is empty")),
            Magic::Wav => {
                let fix = "give it as the audio and a Y4M or IVF file as the clip".into();
                return Err(MediaError::Unsupported { file, what: "sound, not pictures".into(), fix });
            }
            Magic::Other(what) => return Err(MediaError::convert_video(&file, what, "-pix_fmt yuv420p")),
        };
        Ok(Self { file, size, rate, kind, shown: 0, ended: false })
    }

    /// The size of every picture.
    pub fn size(&self) -> FrameSize {
        self.size
    }

    /// How many pictures stand for one second.
    pub fn rate(&self) -> FrameRate {
        self.rate
    }

    /// The next picture; `None` after the last one and after an error.
    ///
    /// # Errors
    /// [`MediaError::Truncated`], [`MediaError::Malformed`], [`MediaError::Decode`] or [`MediaError::Read`], each with
    /// the number of the frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, MediaError> {
        if self.ended {
            return Ok(None);
        }
        let next = self.read_frame();
        match next {
            Ok(Some(_)) => self.shown += 1,
            Ok(None) | Err(_) => self.ended = true,
        }
        next
    }

    fn read_frame(&mut self) -> Result<Option<Frame>, MediaError> {
        let (file, at) = (self.file.as_str(), self.shown);
        let frame = match &mut self.kind {
            Kind::Y4m(reader) => reader.next_picture(file)?,
            Kind::Ivf(video) => video.next_frame(file, self.rate)?,
        };
        match frame {
            Some(frame) if frame.size() != self.size => {
                let what = format!("a picture of {} where the header says {}", frame.size(), self.size);
                Err(MediaError::malformed(file, format!("frame {at}"), what))
            }
            frame => Ok(frame),
        }
    }
}

impl IvfVideo {
    fn next_frame(&mut self, file: &str, rate: FrameRate) -> Result<Option<Frame>, MediaError> {
        loop {
            if let Some(frame) = self.decoded.pop_front() {
                return Ok(Some(frame));
            }
            if self.flushed {
                return Ok(None);
            }
            let pts = MediaTime::from_duration(rate.frame_offset(self.fed));
            let decoded = match self.reader.next_coded(file)? {
                Some(coded) => self.decoder.decode(&coded, pts),
                None => {
                    self.flushed = true;
                    self.decoder.flush()
                }
            };
            let frame = self.fed;
            let decoded =
                decoded.map_err(|reason| MediaError::Decode { file: file.into(), frame, reason })?;
            self.decoded.extend(decoded.into_iter().map(|decoded| decoded.frame));
            self.fed += 1;
        }
    }
}

impl std::fmt::Debug for VideoSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoSource")
            .field("file", &self.file)
            .field("size", &self.size)
            .field("rate", &self.rate)
            .field("shown", &self.shown)
            .finish_non_exhaustive()
    }
}

/// What the first bytes say. Kinds that are not read are named, since the message then helps more.
enum Magic {
    Y4m,
    Ivf,
    Wav,
    Empty,
    Other(&'static str),
}

impl Magic {
    fn of(head: &[u8]) -> Self {
        match head {
            [] => Self::Empty,
            _ if head.starts_with(y4m::MAGIC) => Self::Y4m,
            _ if head.starts_with(ivf::MAGIC) => Self::Ivf,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'] => Self::Wav,
            [0x1a, 0x45, 0xdf, 0xa3, ..] => {
                Self::Other("Matroska or WebM, and only Y4M and AV1 in IVF are read")
            }
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => {
                Self::Other("MP4 or MOV, and only Y4M and AV1 in IVF are read")
            }
            _ => Self::Other("neither Y4M nor AV1 in IVF"),
        }
    }
}
