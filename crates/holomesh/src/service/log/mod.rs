//! The log of a node that runs as a service: short ids, no secrets, and never a reason to stop or to wait.
//!
//! A line is handed to a thread of its own through a bounded queue. When that thread is behind, because a disk or whoever
//! reads standard error is, lines are dropped and counted; when the disk is full they are counted as failed, and the
//! first line that can be written again says how many there were.

mod file;
mod queue;

use super::config::{self, LogFormat};
use super::status::LogStatus;
use crate::Error;
use queue::Queue;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

/// Counts what became of log lines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogCounters(Arc<queue::Counters>);

impl LogCounters {
    /// As it is now.
    pub fn status(&self) -> LogStatus {
        self.0.status()
    }
}

/// Keeps the log going. When it is dropped, what waits is written, for a second at most.
#[derive(Debug)]
pub struct LogGuard {
    queue: Queue,
}

impl LogGuard {
    /// Where lines are counted.
    pub fn counters(&self) -> LogCounters {
        LogCounters(self.queue.counters())
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Begins the log of this process.
///
/// # Errors
/// [`Error::File`] if the log's file can't be opened; [`Error::Input`] if its filter is none or there is a log already.
pub fn init(log: &config::Log) -> Result<LogGuard, Error> {
    let filter = tracing_subscriber::EnvFilter::try_new(&log.level)
        .map_err(|e| Error::input("log.level", e.to_string()))?;
    let (sink, colour): (Box<dyn Write + Send>, bool) = match &log.file {
        Some(path) => {
            let sink = file::RotatingFile::open(path, log.file_bytes).map_err(Error::file(path))?;
            (Box::new(sink), false)
        }
        None => (Box::new(io::stderr()), io::stderr().is_terminal()),
    };
    let queue = Queue::start(sink, log.format).map_err(|e| Error::input("log", e.to_string()))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(queue.maker());
    let outcome = match log.format {
        LogFormat::Text => builder.with_ansi(colour).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    outcome.map_err(|e| Error::input("log", e.to_string()))?;
    Ok(LogGuard { queue })
}
