//! What `top` shows, and what keys do to it.

use super::columns::Sort;
use crate::service::status::Snapshot;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::net::SocketAddr;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Quit,
    Pause,
    Reverse,
    Sort(Sort),
    /// Lines down, or up.
    Scroll(isize),
    Home,
    End,
    Nothing,
}

/// Lines that a page key moves.
const PAGE: isize = 10;

impl Step {
    pub(super) fn from_key(key: KeyEvent) -> Self {
        if key.kind == KeyEventKind::Release {
            return Self::Nothing;
        }
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Self::Quit,
            KeyCode::Char('q') | KeyCode::Esc => Self::Quit,
            KeyCode::Char(' ') => Self::Pause,
            KeyCode::Char('R') => Self::Reverse,
            KeyCode::Char('j') | KeyCode::Down => Self::Scroll(1),
            KeyCode::Char('k') | KeyCode::Up => Self::Scroll(-1),
            KeyCode::PageDown => Self::Scroll(PAGE),
            KeyCode::PageUp => Self::Scroll(-PAGE),
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            KeyCode::Char(letter) => Sort::from_letter(letter).map_or(Self::Nothing, Self::Sort),
            _ => Self::Nothing,
        }
    }
}

/// The state of the screen.
#[derive(Debug)]
pub(super) struct App {
    pub(super) address: SocketAddr,
    pub(super) snapshot: Snapshot,
    /// Why the last look failed, if it did; what is shown then is older.
    pub(super) failure: Option<String>,
    pub(super) sort: Sort,
    pub(super) reverse: bool,
    pub(super) paused: bool,
    /// The first link that is shown.
    pub(super) top: usize,
    quit: bool,
}

impl App {
    pub(super) fn with(address: SocketAddr, sort: Sort, snapshot: Snapshot) -> Self {
        let mut app = Self {
            address,
            snapshot,
            failure: None,
            sort,
            reverse: false,
            paused: false,
            top: 0,
            quit: false,
        };
        app.arrange();
        app
    }

    /// A new look.
    pub(super) fn take(&mut self, snapshot: Snapshot) {
        self.failure = None;
        if !self.paused {
            self.snapshot = snapshot;
            self.arrange();
        }
    }

    pub(super) fn take_failure(&mut self, why: String) {
        self.failure = Some(why);
    }

    pub(super) const fn quit(&mut self) {
        self.quit = true;
    }

    pub(super) const fn has_quit(&self) -> bool {
        self.quit
    }

    pub(super) fn handle(&mut self, step: Step) {
        match step {
            Step::Quit => self.quit = true,
            Step::Pause => self.paused = !self.paused,
            Step::Reverse => self.reverse = !self.reverse,
            Step::Sort(sort) => (self.sort, self.reverse, self.top) = (sort, false, 0),
            Step::Scroll(lines) => self.top = self.top.saturating_add_signed(lines),
            Step::Home => self.top = 0,
            Step::End => self.top = usize::MAX,
            Step::Nothing => {}
        }
        self.arrange();
    }

    /// Keeps a screen of `lines` links full where there are enough of them.
    pub(super) fn keep_full(&mut self, lines: usize) {
        self.top = self.top.min(self.snapshot.links.len().saturating_sub(lines));
    }

    fn arrange(&mut self) {
        self.sort.sort(&mut self.snapshot.links, self.reverse);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::status::LinkStatus;

    fn app(links: u64) -> App {
        let links =
            (0..links).map(|id| LinkStatus { id, queue_bytes: id, ..LinkStatus::default() }).collect();
        let snapshot = Snapshot { links, ..Snapshot::default() };
        App::with("127.0.0.1:1".parse().unwrap(), Sort::Peer, snapshot)
    }

    fn press(app: &mut App, code: KeyCode) {
        app.handle(Step::from_key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    #[test]
    fn every_way_out_is_one() {
        for key in [
            KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE),
            KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE),
            KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
        ] {
            let mut app = app(0);
            app.handle(Step::from_key(key));
            assert!(app.has_quit(), "{key:?}");
        }
        let mut released = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        released.kind = KeyEventKind::Release;
        assert_eq!(Step::from_key(released), Step::Nothing);
        assert_eq!(Step::from_key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::NONE)), Step::Nothing);
    }

    #[test]
    fn letters_sort_and_the_capital_turns_round() {
        let mut app = app(5);
        press(&mut app, KeyCode::Char('u'));
        assert_eq!(app.snapshot.links[0].queue_bytes, 4);
        press(&mut app, KeyCode::Char('R'));
        assert_eq!(app.snapshot.links[0].queue_bytes, 0);
        press(&mut app, KeyCode::Char('d'));
        assert!(!app.reverse, "a new order begins in its natural direction");
    }

    #[test]
    fn scrolling_stays_within_the_links() {
        let mut app = app(30);
        for (key, top) in [
            (KeyCode::Up, 0),
            (KeyCode::Down, 1),
            (KeyCode::PageDown, 11),
            (KeyCode::End, 20),
            (KeyCode::Down, 20),
            (KeyCode::PageUp, 10),
            (KeyCode::Home, 0),
        ] {
            press(&mut app, key);
            app.keep_full(10);
            assert_eq!(app.top, top, "{key:?}");
        }
        press(&mut app, KeyCode::End);
        app.take(Snapshot::default());
        app.keep_full(10);
        assert_eq!(app.top, 0);
    }

    #[test]
    fn a_pause_keeps_what_is_shown_and_a_failure_is_said_until_the_next_answer() {
        let mut app = app(3);
        press(&mut app, KeyCode::Char(' '));
        app.take(Snapshot::default());
        assert_eq!(app.snapshot.links.len(), 3);
        press(&mut app, KeyCode::Char(' '));
        app.take_failure("gone".into());
        assert_eq!((app.failure.as_deref(), app.snapshot.links.len()), (Some("gone"), 3));
        app.take(Snapshot::default());
        assert_eq!((app.failure, app.snapshot.links.len()), (None, 0));
    }
}
