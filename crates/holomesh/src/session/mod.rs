//! The host of a session: owns the roster, orders commits, publishes, and feeds its relays.

mod authority;
mod host;

pub use host::{Command, Config, run};
