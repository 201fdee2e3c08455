//! A watcher: joins a session, takes its streams from several parents, opens, reassembles, decodes and plays them out.

mod node;
mod player;
mod receive;
mod sink;
mod video;

pub(crate) use node::reachable_from;
pub use node::{Command, Config, Report, Snapshot, WatchState, run, run_with};
pub use player::PlayStats;
pub use sink::{MatroskaSink, ShownPicture, ShownSound, Sink, Y4mSink};
