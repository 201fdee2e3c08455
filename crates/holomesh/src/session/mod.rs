//! The host of a session: owns the roster, orders commits, publishes, and feeds its relays.

mod authority;
mod fetch;
mod host;
mod judge;
mod packages;
mod permits;
mod rate;
mod state;

pub use fetch::take_key_package;
pub use host::{Command, Config, run};
pub use permits::Shares;
