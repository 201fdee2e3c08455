//! The one error type of the media module.

use std::io;

/// What can go wrong with a media file. The text is one line that names the file and says what to do; the cause is in
/// the text, so printing the error alone is enough.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The file can't be opened for reading or created for writing.
    #[error("{file}: can't be opened: {reason}")]
    Open {
        /// The file as the user named it.
        file: String,
        /// What the system said.
        reason: io::Error,
    },
    /// Reading failed in the middle.
    #[error("{file}: reading failed: {reason}")]
    Read {
        /// The file as the user named it.
        file: String,
        /// What the system said.
        reason: io::Error,
    },
    /// Writing failed: a full disk, a closed pipe.
    #[error("{file}: writing failed: {reason}")]
    Write {
        /// The file as the user named it.
        file: String,
        /// What the system said.
        reason: io::Error,
    },
    /// A sound file of some kind, but not one that is read here.
    #[error("{file}: {what}; {fix}")]
    Unsupported {
        /// The file as the user named it.
        file: String,
        /// What it is or holds.
        what: String,
        /// A command or choice that helps.
        fix: String,
    },
    /// The file contradicts its own format.
    #[error("{file}: damaged at {at}: {what}; make the file again or choose another")]
    Malformed {
        /// The file as the user named it.
        file: String,
        /// Where: a header, a frame number.
        at: String,
        /// What is wrong there.
        what: String,
    },
    /// The file ends in the middle of something. Everything before it has been handed out.
    #[error("{file}: cut off at {at}; make the file again, or wait until it is written")]
    Truncated {
        /// The file as the user named it.
        file: String,
        /// Where: a header, a frame number.
        at: String,
    },
    /// A picture size or frame rate that this software does not carry.
    #[error("{file}: {reason}; {fix}")]
    Shape {
        /// The file as the user named it.
        file: String,
        /// Which of them, and the limits.
        reason: core_types::Error,
        /// A command that makes it fit.
        fix: String,
    },
    /// The AV1 decoder refused a frame.
    #[error("{file}: frame {frame} can't be decoded: {reason}; make the file again or choose another")]
    Decode {
        /// The file as the user named it.
        file: String,
        /// Counted from 0.
        frame: u64,
        /// What the decoder said.
        reason: codec_av1::Error,
    },
    /// The caller asked for something that makes no sense; not the file's fault.
    #[error("media module misused: {0}")]
    Misuse(&'static str),
}

impl MediaError {
    pub(super) fn malformed(file: &str, at: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Malformed { file: file.into(), at: at.into(), what: what.into() }
    }

    pub(super) fn truncated(file: &str, at: impl Into<String>) -> Self {
        Self::Truncated { file: file.into(), at: at.into() }
    }

    /// A read error, where an unexpected end is a truncation.
    pub(super) fn read(file: &str, at: impl Into<String>, reason: io::Error) -> Self {
        match reason.kind() {
            io::ErrorKind::UnexpectedEof => Self::truncated(file, at),
            _ => Self::Read { file: file.into(), reason },
        }
    }

    pub(super) fn write(file: &str, reason: io::Error) -> Self {
        Self::Write { file: file.into(), reason }
    }

    /// A video that has to be converted first; `options` go between input and output of the command.
    pub(super) fn convert_video(file: &str, what: impl Into<String>, options: &str) -> Self {
        Self::Unsupported { file: file.into(), what: what.into(), fix: video_fix(file, options) }
    }

    pub(super) fn video_shape(file: &str, reason: core_types::Error) -> Self {
        let options = match reason {
            core_types::Error::FrameSize { .. } => "-vf scale=640:360 -pix_fmt yuv420p",
            _ => "-r 25 -pix_fmt yuv420p",
        };
        Self::Shape { file: file.into(), reason, fix: video_fix(file, options) }
    }

    pub(super) fn convert_audio(file: &str, what: impl Into<String>) -> Self {
        let fix = format!("convert it: ffmpeg -i {} -c:a pcm_s16le -ar 48000 -ac 1 out.wav", quoted(file));
        Self::Unsupported { file: file.into(), what: what.into(), fix }
    }
}

fn video_fix(file: &str, options: &str) -> String {
    format!("convert it: ffmpeg -i {} {options} -f yuv4mpegpipe out.y4m", quoted(file))
}

/// The file name as a shell takes it; a pipe has no name that ffmpeg could open again.
fn quoted(file: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if file == super::video::STDIN_NAME {
        "INPUT".into()
    } else if file.chars().all(plain) {
        file.into()
    } else {
        format!("'{}'", file.replace('\'', r"'\''"))
    }
}
