//! A priority fountain: layers that build on one another, shared out so that the more needed ones take fewer descriptions.

mod encoder;
mod header;
mod receiver;
mod shares;

pub use encoder::PriorityEncoder;
pub(crate) use receiver::PriorityReceiver;
