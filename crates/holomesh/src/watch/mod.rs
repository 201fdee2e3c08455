//! A watcher: joins a session, takes its streams from several parents, opens, reassembles, decodes and plays them out.

mod astray;
mod config;
mod described;
mod dues;
mod layers;
mod node;
mod pictures;
mod player;
mod proofs;
mod receive;
mod replay;
mod sink;
mod sound;
mod video;

pub(crate) use config::reachable_from;
pub use config::{Config, Report, Snapshot, WatchState};
pub use node::{Command, run, run_with};
pub use player::PlayStats;
pub use proofs::{ProofStats, Proofs};
pub use replay::Replayed;
pub(crate) use replay::{Pieces, Replay};
pub use sink::{MadeFrom, MatroskaSink, ShownPicture, ShownSound, Sink, SpeakerSink, WavSink, Y4mSink};
