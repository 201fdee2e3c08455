//! The queue between whoever logs and whoever writes.

use super::LogFormat;
use crate::service::status::LogStatus;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

/// Lines that may wait.
const LINES: usize = 1_024;

/// The longest line in bytes. A longer one is dropped: half a line of JSON would be worse than none.
const LONGEST: usize = 16 << 10;

/// How long a node that ends waits for its last lines to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// What became of lines.
#[derive(Debug, Default)]
pub(super) struct Counters {
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    pub(super) fn status(&self) -> LogStatus {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LogStatus { written: of(&self.written), dropped: of(&self.dropped), failed: of(&self.failed) }
    }
}

enum Message {
    Line(Vec<u8>),
    /// The last one.
    Close,
}

/// A queue of lines with a thread that writes them.
#[derive(Debug)]
pub(super) struct Queue {
    lines: SyncSender<Message>,
    closed: Receiver<()>,
    counters: Arc<Counters>,
}

impl Queue {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start(sink: Box<dyn Write + Send>, format: LogFormat) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(LINES);
        let (done, closed) = channel();
        let counters = Arc::<Counters>::default();
        let writer = Writer { sink, format, counters: counters.clone(), lost: 0, torn: false };
        std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&waiting, &done))?;
        Ok(Self { lines, closed, counters })
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Makes what `tracing` writes to.
    pub(super) fn maker(&self) -> impl Fn() -> Lines + Send + Sync + 'static {
        let (lines, counters) = (self.lines.clone(), self.counters.clone());
        move || Lines { lines: lines.clone(), counters: counters.clone() }
    }

    /// Waits until what is queued is written, but not for a writer that hangs.
    pub(super) fn close(&self) {
        if self.lines.try_send(Message::Close).is_ok() {
            let _ = self.closed.recv_timeout(PATIENCE);
        }
    }
}

/// Takes lines and never blocks.
#[derive(Debug)]
pub(super) struct Lines {
    lines: SyncSender<Message>,
    counters: Arc<Counters>,
}

impl Write for Lines {
    /// `tracing` hands over one whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() > LONGEST || self.lines.try_send(Message::Line(line.to_vec())).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Writer {
    sink: Box<dyn Write + Send>,
    format: LogFormat,
    counters: Arc<Counters>,
    /// Lines that could not be written since one could.
    lost: u64,
    /// The last attempt may have left half a line.
    torn: bool,
}

impl Writer {
    fn run(mut self, waiting: &Receiver<Message>, done: &Sender<()>) {
        while let Ok(Message::Line(line)) = waiting.recv() {
            match self.write(&line) {
                Ok(()) => {
                    self.counters.written.fetch_add(1, Ordering::Relaxed);
                    self.lost = 0;
                }
                Err(_) => {
                    self.counters.failed.fetch_add(1, Ordering::Relaxed);
                    self.lost += 1;
                }
            }
        }
        // Whoever waited may have gone.
        let _ = done.send(());
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(line.len() + 128);
        if self.torn {
            bytes.push(b'\n');
        }
        if self.lost > 0 {
            bytes.extend_from_slice(self.notice().as_bytes());
        }
        bytes.extend_from_slice(line);
        self.torn = true;
        self.sink.write_all(&bytes)?;
        self.sink.flush()?;
        self.torn = false;
        Ok(())
    }

    fn notice(&self) -> String {
        match self.format {
            LogFormat::Text => format!(" WARN holomesh::log: {} lines could not be written\n", self.lost),
            LogFormat::Json => {
                let (target, message) = ("holomesh::log", "lines could not be written");
                format!(
                    "{{\"level\":\"WARN\",\"message\":\"{message}\",\"count\":{},\"target\":\"{target}\"}}\n",
                    self.lost
                )
            }
        }
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Line(_) => "Line",
            Self::Close => "Close",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex, PoisonError};

    /// A disk that can be full, or hang, as the test says.
    #[derive(Debug, Default)]
    struct Disk {
        state: Mutex<DiskState>,
        changed: Condvar,
    }

    #[derive(Debug, Default)]
    struct DiskState {
        hangs: bool,
        /// Bytes that still fit; any number of them if `None`.
        room: Option<usize>,
        content: Vec<u8>,
    }

    impl Disk {
        fn set(&self, change: impl FnOnce(&mut DiskState)) {
            change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
            self.changed.notify_all();
        }
        fn content(&self) -> String {
            String::from_utf8(self.state.lock().unwrap().content.clone()).unwrap()
        }
    }

    struct Handle(Arc<Disk>);

    impl Write for Handle {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let state = self.0.state.lock().unwrap();
            let mut state = self.0.changed.wait_while(state, |state| state.hangs).unwrap();
            let count = bytes.len().min(state.room.unwrap_or(usize::MAX));
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.content.extend_from_slice(&bytes[..count]);
            state.room = state.room.map(|room| room - count);
            Ok(count)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start(format: LogFormat) -> (Arc<Disk>, Queue) {
        let disk = Arc::<Disk>::default();
        let queue = Queue::start(Box::new(Handle(disk.clone())), format).unwrap();
        (disk, queue)
    }

    fn log(queue: &Queue, line: &str) {
        queue.maker()().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits until the counters add up to `count`.
    fn settle(queue: &Queue, count: u64) -> LogStatus {
        loop {
            let status = queue.counters().status();
            if status.written + status.dropped + status.failed >= count {
                return status;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let (disk, queue) = start(LogFormat::Text);
        (0..100).for_each(|n| log(&queue, &n.to_string()));
        queue.close();
        let expected: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert_eq!(disk.content(), expected);
        assert_eq!(queue.counters().status(), LogStatus { written: 100, dropped: 0, failed: 0 });
    }

    #[test]
    fn a_full_disk_stops_nothing_and_what_was_lost_is_said_when_there_is_room_again() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let (disk, queue) = start(format);
            log(&queue, "one");
            settle(&queue, 1);
            disk.set(|state| state.room = Some(3));
            for n in 2..=4 {
                log(&queue, "more");
                settle(&queue, n);
            }
            disk.set(|state| state.room = None);
            log(&queue, "five");
            queue.close();
            let content = disk.content();
            let lines: Vec<&str> = content.lines().collect();
            assert_eq!((lines[0], lines[1], lines[3]), ("one", "mor", "five"), "{content}");
            assert!(lines[2].contains("could not be written") && lines[2].contains('3'), "{content}");
            if format == LogFormat::Json {
                let notice: serde_json::Value = serde_json::from_str(lines[2]).unwrap();
                assert_eq!(notice["count"], 3);
            }
            assert_eq!(queue.counters().status(), LogStatus { written: 2, dropped: 0, failed: 3 });
        }
    }

    #[test]
    fn a_disk_that_hangs_blocks_neither_those_who_log_nor_the_end() {
        let (disk, queue) = start(LogFormat::Text);
        disk.set(|state| state.hangs = true);
        (0..5_000).for_each(|_| log(&queue, "line"));
        let status = queue.counters().status();
        // One may be with the writer; the rest waits or was dropped.
        assert!(status.written == 0 && status.dropped >= 5_000 - LINES as u64 - 1, "{status:?}");
        queue.close();
        disk.set(|state| state.hangs = false);
        settle(&queue, 5_000);
        assert_eq!(disk.content().lines().count() as u64 + queue.counters().status().dropped, 5_000);
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_and_counted() {
        let (disk, queue) = start(LogFormat::Json);
        log(&queue, &"x".repeat(LONGEST));
        log(&queue, "y");
        queue.close();
        assert_eq!(disk.content(), "y\n");
        assert_eq!(queue.counters().status().dropped, 1);
    }
}
