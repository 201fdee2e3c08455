//! A priority fountain: layers that build on one another, shared out so that the more needed ones take fewer descriptions.

#[cfg(feature = "libaom")]
mod encoder;
mod header;
mod receiver;
mod shares;

#[cfg(feature = "libaom")]
pub use encoder::PriorityEncoder;
pub(crate) use header::LayerHead;
pub(crate) use receiver::PriorityReceiver;
#[cfg(test)]
pub(crate) use shares::cut;
pub(crate) use shares::{Part, join_layers};
