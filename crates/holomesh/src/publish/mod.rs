//! From capture to sealed chunks: threads that capture and encode in real time, and the streams that seal what they make.
//!
//! Three things follow what the hops are measured to do, and it is the node that measures them:
//! - **Bit rate.** [`VideoConfig::bounds`] says how far; the node calls [`EncoderControl::set_bit_rate`], and the encoder has
//!   the new target from the next picture on. Every change costs a key frame: the node keeps them rare.
//! - **Sound.** [`SoundProtection`] says how many units of repair go with it ([`OutStream::set_pace`]) and what its encoder is to expect
//!   to be lost ([`EncoderControl::set_expected_loss`]).
//! - **Repair.** The node calls [`OutStream::set_repair`] with the share that the worst hop's loss asks for. There are
//!   always as many repair symbols as let any one parent fail.
//!
//! Pictures may go out in several descriptions ([`VideoConfig::descriptions`]), each a stream of its own with the same numbers for the same
//! pictures, so that each goes its own way.
//!
//! Chunks are marked with what a relay has to know to leave the right ones out ([`Marks`](core_types::Marks)): the class of
//! their object, which one is the first of it, and which ones carry repair symbols.

mod capture;
mod control;
mod described;
mod haste;
mod kind;
mod observe;
mod protection;
mod repair;
mod stream;
mod switching;
mod told;

pub use capture::{
    AudioConfig, BlockSource, Capture, CaptureEnd, Coded, Encoded, Encoder, FrameSource, VideoConfig,
};
pub(crate) use capture::{prepare_audio, prepare_video};
pub use control::{EncoderControl, RateBounds};
pub use kind::StreamKind;
pub use observe::{Observer, Published};
pub use protection::{Protection, SoundProtection};
pub use repair::RepairShare;
#[cfg(test)]
pub(crate) use stream::tests::announce;
pub use stream::{OutStream, PictureToSeal, SealedObject};
