//! What the benchmarks share: CPU clocks, samples taken in turn, rows and their report.
//!
//! What is here:
//! - [`Clock`] reads CPU time; [`Pair`] collects samples of ours and of a baseline in turn, and [`Row`] is their medians;
//! - [`Limit`], what a row should keep to ([`Row::target`]); a row that misses its target is a row too;
//! - [`print_table`] and [`write_json`].
//!
//! ```
//! use bench_harness::{Clock, Limit, Pair, Unit};
//! use std::hint::black_box;
//!
//! let data = vec![7u8; 100_000];
//! let sum = |data: &[u8]| data.iter().map(|byte| u64::from(*byte)).sum::<u64>();
//! let pair = Pair::interleave(
//!     11,    // samples of each
//!     1_000, // operations that one sample stands for
//!     || Ok(Clock::Thread.time(|| (0..1_000).for_each(|_| drop(black_box(sum(black_box(&data)))))).0),
//!     || Ok(Clock::Thread.time(|| (0..1_000).for_each(|_| drop(black_box(black_box(&data).to_vec())))).0),
//! )?;
//! let row = pair.row_in(Unit::Nanos, "sum", "copy")?.target(&[Limit::Ours(1e9), Limit::Ratio(1e9)]);
//! assert_eq!((row.n, row.unit.as_str(), row.met), (11, "ns", Some(true)));
//! # Ok::<(), anyhow::Error>(())
//! ```

mod harness;
mod report;

pub use harness::{Clock, Limit, Pair, Row, Unit};
pub use report::{print_table, write_json};
