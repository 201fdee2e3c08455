//! Alternating quality: every description has every frame, well or with few bits, in turn.

mod blend;
mod chain;
#[cfg(feature = "libaom")]
mod encoder;
mod header;
mod receiver;

#[cfg(feature = "libaom")]
pub use encoder::AlternatingEncoder;
#[cfg(test)]
pub(crate) use header::ErrorLevel;
pub(crate) use header::Header;
pub(crate) use receiver::AlternatingReceiver;
