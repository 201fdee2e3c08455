//! The display while a run goes on: live lines on a terminal, one plain line a second anywhere else.

use super::{
    model::NodeName,
    text::{count, figure, plain, seconds, shorten},
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

/// A terminal rarely shows more rows than this without scrolling; further watchers are counted, not listed.
const MAX_ROWS: usize = 16;
/// So many relays fit side by side into 80 columns.
const RELAYS_A_ROW: usize = 4;
/// Relays beyond these rows are left out of the live display; the plain lines and the final table count all.
const MAX_RELAY_ROWS: usize = 4;

/// The state of the run at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Milliseconds since the start of the run.
    pub elapsed_ms: u64,
    /// How long the run will take, in ms; 0 when it has no set end.
    pub total_ms: u64,
    /// Video frames published so far.
    pub frames_published: u64,
    /// Bit rate that leaves the encoder, in kbit/s.
    pub encoder_kbit: f64,
    /// The session's epoch.
    pub epoch: u64,
    /// Every watcher.
    pub watchers: Vec<WatcherSnapshot>,
    /// Every relay.
    pub relays: Vec<RelaySnapshot>,
    /// The latest event, in a few words.
    pub last_event: Option<String>,
}

/// One watcher at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WatcherSnapshot {
    /// The watcher.
    pub id: NodeName,
    /// Frames shown so far.
    pub frames_shown: u64,
    /// Parents that feed it.
    pub parents: u32,
    /// Bit rate received, in kbit/s.
    pub downlink_kbit: f64,
    /// Share of the chunks that did not come when it was their turn, in per cent: lost, late, or repair that was held back on the way because little
    /// is lost there.
    pub missed_percent: f64,
    /// Source symbols rebuilt so far.
    pub repaired: u64,
    /// What it is doing.
    pub state: WatcherState,
}

/// What a watcher is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatcherState {
    /// It has no key or no frame yet.
    #[default]
    Waiting,
    /// It shows frames.
    Playing,
    /// Frames have stopped coming.
    Stalled,
    /// It is no longer a member.
    Removed,
    /// The stream is over.
    Done,
}

impl fmt::Display for WatcherState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Waiting => "waiting",
            Self::Playing => "playing",
            Self::Stalled => "stalled",
            Self::Removed => "removed",
            Self::Done => "done",
        })
    }
}

/// One relay at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RelaySnapshot {
    /// The relay.
    pub id: NodeName,
    /// Whether it still runs.
    pub alive: bool,
    /// Bit rate sent on to all receivers together, in kbit/s.
    pub out_kbit: f64,
}

/// The display. It draws only inside [`Progress::update`] and [`Progress::finish`]: no thread, no clock of its own
/// apart from the limit of 20 drawings a second that a terminal gets.
#[derive(Debug)]
pub struct Progress(Display);

#[derive(Debug)]
enum Display {
    Live(Live),
    Plain(Plain),
}

impl Progress {
    /// A live display when `stderr` is a terminal, plain lines otherwise.
    pub fn new(stderr: io::Stderr) -> Self {
        if stderr.is_terminal() { Self::live(ProgressDrawTarget::stderr()) } else { Self::plain(stderr) }
    }

    /// A live display on `target`.
    pub fn live(target: ProgressDrawTarget) -> Self {
        Self(Display::Live(Live::new(target)))
    }

    /// One plain line to `out` for each second of the run. Errors in writing are ignored: a run must not end because
    /// nobody reads along.
    pub fn plain(out: impl Write + Send + 'static) -> Self {
        Self(Display::Plain(Plain { out: Box::new(out), next_ms: 0, event: None }))
    }

    /// Shows the run as it is now. Call it as often as convenient.
    pub fn update(&mut self, now: &Snapshot) {
        match &mut self.0 {
            Display::Live(live) => live.update(now),
            Display::Plain(plain) => plain.update(now),
        }
    }

    /// Ends the display. The live lines disappear, so that the table of the run takes their place; plain lines stay.
    pub fn finish(&mut self) {
        match &mut self.0 {
            Display::Live(live) => live.finish(),
            Display::Plain(plain) => drop(plain.out.flush()),
        }
    }
}

#[derive(Debug)]
struct Live {
    screen: MultiProgress,
    time: ProgressBar,
    rows: Vec<ProgressBar>,
}

impl Live {
    fn new(target: ProgressDrawTarget) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        let time = screen.add(ProgressBar::new(0).with_style(style("{bar:24.cyan/black.bright} {wide_msg}")));
        Self { screen, time, rows: Vec::new() }
    }

    fn update(&mut self, now: &Snapshot) {
        self.time.set_length(now.total_ms.max(1));
        self.time.set_message(heading(now));
        self.time.set_position(now.elapsed_ms.min(now.total_ms));
        let lines = rows(now);
        while self.rows.len() < lines.len() {
            self.rows.push(self.screen.add(ProgressBar::new(0).with_style(style("{wide_msg}"))));
        }
        for (i, row) in self.rows.iter().enumerate() {
            row.set_message(lines.get(i).cloned().unwrap_or_default());
        }
    }

    fn finish(&self) {
        // All lines at once: finishing the bars one by one would draw the others again each time.
        let _ = self.screen.clear();
        self.screen.set_draw_target(ProgressDrawTarget::hidden());
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file that a test draws; the fallback only spares an unreachable panic.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

fn heading(now: &Snapshot) -> String {
    let time = if now.total_ms > 0 {
        format!("{} / {} s", seconds(now.elapsed_ms), seconds(now.total_ms))
    } else {
        format!("{} s", seconds(now.elapsed_ms))
    };
    let (frames, kbit) = (count(now.frames_published), figure(Some(now.encoder_kbit), 0));
    format!("{time}   {frames} frames   {kbit} kbit/s   epoch {}", now.epoch)
}

fn rows(now: &Snapshot) -> Vec<String> {
    let mut rows = Vec::new();
    if !now.watchers.is_empty() {
        rows.push("  watcher       state     shown  parents  down kbit/s  missed  rebuilt".to_owned());
    }
    let listed = if now.watchers.len() > MAX_ROWS { MAX_ROWS - 1 } else { now.watchers.len() };
    rows.extend(now.watchers[..listed].iter().map(|w| {
        format!(
            "  {:<12}  {:<7}  {:>6}  {:>7}  {:>11}  {:>6}  {:>7}",
            shorten(&plain(w.id.as_str()), 12),
            w.state,
            count(w.frames_shown),
            w.parents,
            figure(Some(w.downlink_kbit), 0),
            format!("{} %", figure(Some(w.missed_percent), 1)),
            count(w.repaired)
        )
    }));
    if listed < now.watchers.len() {
        rows.push(format!("  and {} more", now.watchers.len() - listed));
    }
    for (i, some) in now.relays.chunks(RELAYS_A_ROW).take(MAX_RELAY_ROWS).enumerate() {
        let relay = |r: &RelaySnapshot| {
            let out = if r.alive { figure(Some(r.out_kbit), 0) } else { "dead".to_owned() };
            format!("{} {out}", shorten(&plain(r.id.as_str()), 12))
        };
        let head = if i == 0 { "  relays, kbit/s" } else { "" };
        rows.push(format!("{head:<16}   {}", some.iter().map(relay).collect::<Vec<_>>().join("   ")));
    }
    rows.push(match &now.last_event {
        Some(event) => format!("  » {}", plain(event)),
        None => String::new(),
    });
    rows
}

struct Plain {
    out: Box<dyn Write + Send>,
    next_ms: u64,
    event: Option<String>,
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").field("next_ms", &self.next_ms).finish_non_exhaustive()
    }
}

impl Plain {
    fn update(&mut self, now: &Snapshot) {
        if now.elapsed_ms < self.next_ms {
            return;
        }
        self.next_ms = (now.elapsed_ms / 1000).saturating_add(1).saturating_mul(1000);
        let mut line = heading(now);
        let playing: Vec<_> = now.watchers.iter().filter(|w| w.state == WatcherState::Playing).collect();
        if let Some(shown) = range(playing.iter().map(|w| w.frames_shown)) {
            let parents = range(playing.iter().map(|w| w.parents.into())).unwrap_or_default();
            let rebuilt = playing.iter().fold(0u64, |sum, w| sum.saturating_add(w.repaired));
            let missed = playing.iter().map(|w| w.missed_percent).fold(0.0, f64::max);
            line += &format!(
                "   {} playing: {shown} shown, {parents} parents, missed up to {} % at first, {} rebuilt",
                playing.len(),
                figure(Some(missed), 1),
                count(rebuilt)
            );
        }
        let alive = now.relays.iter().filter(|r| r.alive).count();
        line += &format!("   relays {alive}/{}", now.relays.len());
        if now.last_event != self.event {
            self.event.clone_from(&now.last_event);
            line += &now.last_event.as_ref().map(|e| format!("   » {}", plain(e))).unwrap_or_default();
        }
        // One write, so that lines of several writers do not mix.
        let _ = self.out.write_all((line + "\n").as_bytes());
    }
}

/// `7`, or `7–9` when they differ; `None` without values.
fn range(values: impl Iterator<Item = u64> + Clone) -> Option<String> {
    let (low, high) = (values.clone().min()?, values.max()?);
    Some(if low == high { count(low) } else { format!("{}–{}", count(low), count(high)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;
    use std::sync::{Arc, Mutex};

    /// Keeps what was written to it, as a file or as a terminal of 80 by 40.
    #[derive(Debug, Clone, Default)]
    struct Recorder(Arc<Mutex<String>>);

    impl Recorder {
        fn text(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    impl Write for Recorder {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl TermLike for Recorder {
        fn width(&self) -> u16 {
            80
        }
        fn height(&self) -> u16 {
            40
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(&format!("{text}\n"));
            Ok(())
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn snapshot(elapsed_ms: u64, watchers: usize) -> Snapshot {
        let watcher = |n| WatcherSnapshot {
            id: NodeName::new(format!("watcher-{n}")),
            frames_shown: elapsed_ms / 40 + n as u64,
            parents: 4,
            downlink_kbit: 612.4,
            missed_percent: 2.1,
            repaired: 17,
            state: WatcherState::Playing,
        };
        let relay =
            |n| RelaySnapshot { id: NodeName::new(format!("relay-{n}")), alive: n != 2, out_kbit: 2400.0 };
        Snapshot {
            elapsed_ms,
            total_ms: 10_000,
            frames_published: elapsed_ms / 40,
            encoder_kbit: 488.0,
            epoch: 2,
            watchers: (1..=watchers).map(watcher).collect(),
            relays: (1..=4).map(relay).collect(),
            last_event: Some("relay-2 killed".to_owned()),
        }
    }

    #[test]
    fn without_a_terminal_there_is_one_line_a_second_and_an_event_is_told_once() {
        let out = Recorder::default();
        let mut progress = Progress::plain(out.clone());
        for elapsed in (0..3500).step_by(50) {
            progress.update(&snapshot(elapsed, 6));
        }
        progress.finish();
        let text = out.text();
        let starts: Vec<_> = text.lines().map(|l| &l[..8]).collect();
        assert_eq!(starts, ["0.0 / 10", "1.0 / 10", "2.0 / 10", "3.0 / 10"]);
        assert_eq!(text.matches("relay-2 killed").count(), 1);
        assert!(text.lines().all(|l| l.contains("6 playing: ") && l.contains("relays 3/4")), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_terminal_shows_every_watcher_relay_and_the_event() {
        let out = Recorder::default();
        let mut progress = Progress::live(ProgressDrawTarget::term_like(Box::new(out.clone())));
        progress.update(&snapshot(4_200, 6));
        let text = out.text();
        for part in [
            "4.2 / 10.0 s",
            "watcher-6",
            "612",
            "2.1 %",
            "relay-2 dead",
            "relay-4 2400",
            "epoch 2",
            "» relay-2 killed",
        ] {
            assert!(text.contains(part), "{part} is missing from {text}");
        }
        progress.finish();
        let before = out.text();
        progress.update(&snapshot(5_000, 6));
        assert_eq!(out.text(), before, "drawn after the end");
    }

    #[test]
    fn a_crowd_is_cut_to_what_a_terminal_shows() {
        let lines = rows(&snapshot(0, 100));
        assert_eq!(lines.len(), 1 + MAX_ROWS + 2);
        assert!(lines[MAX_ROWS].contains("and 85 more"), "{lines:?}");
        assert!(rows(&snapshot(0, MAX_ROWS))[MAX_ROWS].contains("watcher-16"));
    }

    #[test]
    fn every_row_fits_80_columns() {
        let mut full = snapshot(9_999_999, 100);
        full.watchers[0].frames_shown = u64::MAX;
        full.relays.extend(full.relays.clone());
        assert!(rows(&full).iter().all(|row| row.chars().count() <= 80), "{:#?}", rows(&full));
    }

    #[test]
    fn columns_stand_under_their_headings() {
        let lines = rows(&snapshot(4_000, 2));
        assert_eq!(lines[0].chars().count(), lines[1].chars().count());
    }

    #[test]
    fn odd_figures_and_names_are_harmless() {
        let mut odd = snapshot(u64::MAX, 1);
        (odd.encoder_kbit, odd.watchers[0].missed_percent) = (f64::NAN, f64::INFINITY);
        odd.watchers[0].id = NodeName::new("\u{1b}[2J");
        odd.last_event = Some("\u{1b}[31mred\n".to_owned());
        let out = Recorder::default();
        let mut progress = Progress::plain(out.clone());
        progress.update(&odd);
        progress.update(&Snapshot::default());
        let shown = out.text() + &rows(&odd).concat();
        assert!(!shown.contains("NaN") && !shown.contains("inf") && !shown.contains('\u{1b}'), "{shown}");
        assert_eq!(out.text().lines().count(), 1);
    }
}
