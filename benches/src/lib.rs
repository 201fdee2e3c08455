//! Benchmarks of the holomesh crates, each beside a baseline that does the same work without us.
//!
//! What is here:
//! - [`Clock`], [`Pair`], [`Row`], [`print_table`] and [`write_json`], the harness, which is the crate `bench-harness`;
//! - [`Media`]: the bundled clip and speech, and what they become at each station of a frame's way.
//!
//! The program of the same name runs a group of benchmarks (`cargo xtask bench GROUP`), `benches/link.rs` is the stage
//! that needs sockets, and `benches/micro.rs` has the smallest pieces under criterion. `docs/BENCHMARKS.md` says what the
//! rows mean. The group `keys`, which needs neither
//! the node nor a codec, is the package `benches-keys`.
//!
//! ```
//! use benches::{Clock, Pair};
//! use std::hint::black_box;
//!
//! let data = vec![7u8; 100_000];
//! let sum = |data: &[u8]| data.iter().map(|byte| u64::from(*byte)).sum::<u64>();
//! let pair = Pair::interleave(
//!     11, // samples of each
//!     1,  // frames that one sample stands for
//!     || Ok(Clock::Thread.time(|| black_box(sum(black_box(&data)))).0),
//!     || Ok(Clock::Thread.time(|| black_box(black_box(&data).to_vec())).0),
//! )?;
//! let row = pair.row("sum", "copy")?;
//! assert_eq!((row.n, row.unit.as_str()), (11, "us/frame"));
//! # Ok::<(), anyhow::Error>(())
//! ```

mod media;

pub use bench_harness::{Clock, Pair, Row, print_table, write_json};
pub use media::{Content, EPOCH, Media, PARENTS, SECRET, SENDER, STREAM, THREADS};
