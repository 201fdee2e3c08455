//! What the demo says about a run: the figures, as JSON, as one self-contained page, as a terminal table, and live.
//!
//! The run fills a [`DemoReport`] and, for the plots, a [`Timeline`]; everything else here only shows what they hold.
//! Nothing in this module measures, reads a clock or writes a file. A figure that nobody measured is `None`, shown as
//! a dash and written as `null`; NaN and infinities are treated the same way.
//!
//! - [`DemoReport::to_json`]: the machine-readable report.
//! - [`checks::assess`]: what the demo promises, each promise with the figure that decides it.
//! - [`html::render`]: one page with plots, tables and pictures that loads nothing from anywhere.
//! - [`table::render`]: plain text of at most [`table::WIDTH`] columns.
//! - [`progress::Progress`]: the display while the run goes on.
//!
//! ```
//! use holomesh::report::{DemoReport, Timeline, html, table};
//!
//! let report = DemoReport { seed: 1, frames_published: 250, ..DemoReport::default() };
//! assert!(report.to_json()?.contains("\"frames_published\": 250"));
//! assert!(table::render(&report).lines().all(|line| line.chars().count() <= table::WIDTH));
//! assert!(html::render(&report, &Timeline::default(), &[]).starts_with("<!doctype html>"));
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod checks;
pub mod html;
pub mod lanes;
pub mod mesh;
pub mod model;
pub mod percentiles;
pub mod progress;
pub mod table;
pub mod timeline;

mod text;

#[cfg(test)]
mod fixture;

pub use html::PicturePair;
pub use lanes::{Lane, SoundState, Span};
pub use mesh::{Feed, Mesh, MeshNode, Part};
pub use model::{
    DemoReport, Event, EventKind, Leaver, Machine, NodeName, ProofReport, RelayReport, Role, SoundReport,
    SpeechReport, StagesMs, StepKind, Steps, ViewReport, WatcherReport,
};
pub use percentiles::{Percentiles, Spread};
pub use timeline::{PublisherSample, Timeline, WatcherSample, WatcherSeries};
