//! The demo: a host, relays and watchers in one process, each with its own socket and thread, on a real clip; a relay is
//! killed, a member joins, a member is removed, and all of it is measured.

mod board;
mod came;
mod guests;
mod mesh;
pub(crate) mod nodes;
mod options;
mod run;
pub(crate) mod sources;
mod summary;
mod tap;

pub use options::Options;
pub use run::run;
