//! From capture to sealed chunks: threads that capture and encode in real time, and the streams that seal what they make.

mod capture;
mod observe;
mod stream;

pub use capture::{
    AudioConfig, BlockSource, Capture, CaptureEnd, Encoded, EncoderControl, FrameSource, VideoConfig,
};
pub(crate) use capture::{spawn_audio, spawn_video};
pub use observe::{Observer, Published};
pub use stream::{OutStream, StreamKind};
