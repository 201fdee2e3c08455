//! `holomesh top`: a running node, live in the terminal.

mod app;
mod columns;
pub(super) mod units;
mod view;

use super::block_on;
use crate::Error;
use crate::service::config::{self, DEFAULT_HTTP};
use crate::service::http::fetch;
use crate::service::status::Snapshot;
use app::{App, Step};
use clap::Args;
use columns::Sort;
use ratatui::crossterm::event::{self, Event};
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the keyboard is waited for before the picture is drawn anew.
const TICK: Duration = Duration::from_millis(200);

/// Columns and lines of `--once` where the terminal does not say.
const PLAIN_WIDTH: u16 = 132;

/// Options of `holomesh top`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The node's HTTP port [default: http.listen of --config, or 127.0.0.1:9467].
    #[arg(value_name = "ADDRESS:PORT", conflicts_with = "config")]
    address: Option<SocketAddr>,
    /// The node's configuration file, for its http.listen.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print how the node is doing as text, once. So it is as well when the output is no terminal.
    #[arg(long)]
    once: bool,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=3_600))]
    interval: u16,
    /// What the links are sorted by.
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
}

pub(super) fn run(options: &Options) -> Result<ExitCode, Error> {
    let address = options.resolve()?;
    if options.once || !io::stdout().is_terminal() {
        let snapshot = block_on(1, fetch(address))?;
        let text = view::text(&App::with(address, options.sort, snapshot), PLAIN_WIDTH);
        // Whoever reads may have had enough, which is no failure.
        let _ = io::stdout().write_all(text.as_bytes());
        return Ok(ExitCode::SUCCESS);
    }
    // The first answer comes before the terminal is taken over, so that a wrong address is an ordinary complaint.
    let first = block_on(1, fetch(address))?;
    let (looks, news) = mpsc::channel(4);
    let interval = Duration::from_secs(options.interval.into());
    let looker = std::thread::spawn(move || block_on(1, look(address, interval, looks)));
    let outcome = show(App::with(address, options.sort, first), news);
    let _ = looker.join();
    outcome.map(|()| ExitCode::SUCCESS).map_err(|e| Error::input("terminal", e.to_string()))
}

impl Options {
    fn resolve(&self) -> Result<SocketAddr, Error> {
        if let Some(address) = self.address {
            return Ok(address);
        }
        let Some(file) = &self.config else {
            return DEFAULT_HTTP.parse().map_err(|_| Error::input("address", DEFAULT_HTTP));
        };
        let loaded = config::load(Some(file), &[])?;
        let listen = loaded.config.http.listen.ok_or_else(|| {
            let why = format!(
                "http.listen is off there; set it, as to \"{DEFAULT_HTTP}\", and start the node again"
            );
            Error::input(file.display().to_string(), why)
        })?;
        Ok(reachable(listen))
    }
}

/// From where something listens to where it is found on this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (ip, listen.port()).into()
}

/// What the one who looks tells the one who shows.
enum News {
    Look(Result<Box<Snapshot>, String>),
    /// The terminal is wanted back.
    Quit,
}

/// Looks until nobody is interested any more.
async fn look(address: SocketAddr, interval: Duration, looks: mpsc::Sender<News>) -> Result<(), Error> {
    let ended = wait_for_signal();
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = looks.closed() => return Ok(()),
            () = &mut ended => {
                let _ = looks.send(News::Quit).await;
                return Ok(());
            }
        }
        let look = fetch(address).await.map(Box::new).map_err(|e| e.to_string());
        if looks.send(News::Look(look)).await.is_err() {
            return Ok(());
        }
    }
}

/// Without this, whoever is told to go leaves the terminal in a state that nobody can type in.
async fn wait_for_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut term), Ok(mut hup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) {
            tokio::select! { _ = term.recv() => {}, _ = hup.recv() => {} }
            return;
        }
    }
    std::future::pending().await
}

fn show(mut app: App, mut news: mpsc::Receiver<News>) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let outcome = loop {
        while let Ok(news) = news.try_recv() {
            match news {
                News::Look(Ok(snapshot)) => app.take(*snapshot),
                News::Look(Err(why)) => app.take_failure(why),
                News::Quit => app.quit(),
            }
        }
        if app.has_quit() {
            break Ok(());
        }
        let drawn = terminal.draw(|frame| {
            let area = frame.area();
            view::draw(&mut app, area, frame.buffer_mut());
        });
        if let Err(error) = drawn {
            break Err(error);
        }
        match event::poll(TICK).and_then(|ready| if ready { event::read().map(Some) } else { Ok(None) }) {
            Ok(Some(Event::Key(key))) => app.handle(Step::from_key(key)),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    // Closes the channel, which ends the one who looks.
    drop(news);
    ratatui::try_restore()?;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_listens_everywhere_is_looked_at_on_loopback() {
        let at = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:9467"), "127.0.0.1:9467");
        assert_eq!(at("[::]:9467"), "[::1]:9467");
        assert_eq!(at("192.0.2.1:9467"), "192.0.2.1:9467");
    }

    #[test]
    fn the_default_address_is_one() {
        assert!(DEFAULT_HTTP.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback()));
    }
}
