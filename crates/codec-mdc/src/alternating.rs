//! Alternating quality: every description has every frame, well or with few bits, in turn.

mod blend;
mod chain;
mod encoder;
mod header;
mod receiver;

pub use encoder::AlternatingEncoder;
pub(crate) use header::Header;
pub(crate) use receiver::AlternatingReceiver;
