//! Draws the state into cells: the same for the terminal, for `--once` and for tests.

use super::app::App;
use super::columns::{COLUMNS, Column};
use super::units::{binary, long, si};
use crate::service::status::{FeederStatus, Snapshot, State, StreamStatus, Taken};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use std::time::Duration;

/// Lines above the links, and the one of the keys below.
const HEAD: u16 = 4;
const FOOT: u16 = 1;

/// Of the lines for links, streams and others who feed, streams get this part at most, and others that.
const STREAMS_PART: u16 = 3;
const FEEDERS_PART: u16 = 5;

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const HEADING: Style = Style::new().add_modifier(Modifier::REVERSED);
const SORTED: Style = Style::new().add_modifier(Modifier::REVERSED.union(Modifier::BOLD));
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// Draws everything into `area`.
pub(super) fn draw(app: &mut App, area: Rect, buffer: &mut Buffer) {
    let lines = area.height.saturating_sub(HEAD + FOOT);
    let streams = part_of(lines, app.snapshot.streams.len(), STREAMS_PART);
    let feeders = part_of(lines, app.snapshot.feeders.len(), FEEDERS_PART);
    let links = lines - streams - feeders;
    // One line of the links is their heading, and one says how many are not shown.
    app.keep_full(usize::from(links.saturating_sub(2)));
    let mut page = Page { buffer, area, y: area.y };
    head(app, &mut page);
    link_table(app, &mut page, links);
    page.y = area.bottom().saturating_sub(FOOT + streams + feeders).max(page.y);
    stream_table(&app.snapshot, &mut page, streams);
    feeder_table(&app.snapshot, &mut page, feeders);
    page.y = area.bottom().saturating_sub(FOOT).max(page.y);
    let keys = " q quit  space pause  sort: p r l i o u d  R turn round  arrows scroll";
    page.line(&[(keys, DIM)]);
}

/// Everything as text, however many lines that takes.
pub(super) fn text(app: &App, width: u16) -> String {
    let snapshot = &app.snapshot;
    // Headings, and a line for those left out.
    let tables = (snapshot.links.len() + snapshot.streams.len() + snapshot.feeders.len()).saturating_add(5);
    let area = Rect::new(0, 0, width, HEAD.saturating_add(u16::try_from(tables).unwrap_or(u16::MAX)));
    let mut buffer = Buffer::empty(area);
    let mut page = Page { buffer: &mut buffer, area, y: 0 };
    head(app, &mut page);
    let links = u16::try_from(snapshot.links.len() + 2).unwrap_or(u16::MAX);
    link_table(app, &mut page, links);
    let streams = u16::try_from(snapshot.streams.len() + 1).unwrap_or(u16::MAX);
    stream_table(snapshot, &mut page, streams);
    if !snapshot.feeders.is_empty() {
        let feeders = u16::try_from(snapshot.feeders.len() + 1).unwrap_or(u16::MAX);
        feeder_table(snapshot, &mut page, feeders);
    }
    let end = page.y;
    let mut text = String::new();
    for y in 0..end {
        let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Lines for so many rows and their heading: what they need, up to a part of all.
fn part_of(lines: u16, rows: usize, part: u16) -> u16 {
    let wanted = u16::try_from(rows + 1).unwrap_or(u16::MAX);
    if lines < 2 * part || rows == 0 { 0 } else { wanted.min(lines / part) }
}

/// Where the next line goes. What finds no room is left out.
struct Page<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    y: u16,
}

impl Page<'_> {
    /// A line of pieces, one after the other.
    fn line(&mut self, pieces: &[(&str, Style)]) {
        if self.y >= self.area.bottom() {
            return;
        }
        let mut x = self.area.x;
        for (text, style) in pieces {
            let room = usize::from(self.area.right().saturating_sub(x));
            (x, _) = self.buffer.set_stringn(x, self.y, text, room, *style);
        }
        self.y += 1;
    }
}

fn head(app: &App, page: &mut Page<'_>) {
    let Snapshot { node, process, rates, .. } = &app.snapshot;
    let state = if node.state == State::Serving { PLAIN } else { BAD };
    let (host, host_style) = if node.host_link { ("up", PLAIN) } else { ("DOWN", BAD) };
    page.line(&[
        (&format!(" {} {}", node.role, node.id), BOLD),
        (&format!("  holomesh {}  ", node.version), PLAIN),
        (node.state.name(), state),
        (&format!("  up {}  host ", long(Duration::from_secs(node.uptime_seconds))), PLAIN),
        (host, host_style),
        (if app.paused { "  PAUSED" } else { "" }, BAD),
        (&format!("  {}", app.address), DIM),
    ]);
    let cpu = process.cpu_user_percent + process.cpu_system_percent;
    let of = process.memory_limit_bytes.map_or(String::new(), |limit| format!(" of {}", binary(limit)));
    page.line(&[(
        &format!(
            " CPU {cpu:.1}% ({:.1} user {:.1} system)  memory {}{of}  files {} of {}",
            process.cpu_user_percent,
            process.cpu_system_percent,
            binary(process.memory_bytes),
            process.descriptors,
            process.descriptor_limit,
        ),
        PLAIN,
    )]);
    page.line(&[(
        &format!(
            " in {}b/s {}pkt/s  out {}b/s {}pkt/s  drops {}/s  quota hits {}",
            si(rates.in_bits),
            si(rates.in_packets),
            si(rates.out_bits),
            si(rates.out_packets),
            si(rates.drops),
            app.snapshot.totals.quota_hits,
        ),
        PLAIN,
    )]);
    page.line(&[(&format!(" {}", warnings(app).join("; ")), BAD)]);
}

/// What an operator should look at.
fn warnings(app: &App) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(why) = &app.failure {
        warnings.push(format!("what you see is old: {why}"));
    }
    if app.snapshot.process.short_of_room {
        warnings.push("new links are refused: memory or file descriptors are short".into());
    }
    let log = app.snapshot.log;
    if log.dropped + log.failed > 0 {
        warnings.push(format!("{} log lines lost", log.dropped + log.failed));
    }
    warnings
}

fn link_table(app: &App, page: &mut Page<'_>, lines: u16) {
    let Some(rows) = lines.checked_sub(1) else { return };
    let columns: Vec<&Column> = COLUMNS.iter().filter(|column| fits(column, page.area.width)).collect();
    let headings: Vec<(String, Style)> = columns
        .iter()
        .map(|column| {
            let sorted = column.sort == Some(app.sort);
            let mark = if app.reverse { "^" } else { "v" };
            let heading = if sorted { format!("{mark}{}", column.heading) } else { column.heading.into() };
            (cell(&heading, column.width, column.left), if sorted { SORTED } else { HEADING })
        })
        .collect();
    full_line(page, &headings);
    let links = &app.snapshot.links;
    let total = links.len() as u64 + app.snapshot.links_left_out;
    // The last line is for how many more there are, if there are more.
    let all_fit = total <= u64::from(rows);
    let shown = usize::from(if all_fit { rows } else { rows.saturating_sub(1) });
    for link in links.iter().skip(app.top).take(shown) {
        let row: String =
            columns.iter().map(|column| cell(&(column.cell)(link), column.width, column.left)).collect();
        let style = if link.loss.is_some_and(|loss| loss >= 0.1) { BAD } else { PLAIN };
        page.line(&[(&row, style)]);
    }
    if !all_fit {
        let (first, last) = (app.top + 1, (app.top + shown).min(links.len()));
        let range = if first < last { format!("{first} to {last}") } else { last.to_string() };
        page.line(&[(&format!(" {range} of {total} links"), DIM)]);
    } else if links.is_empty() {
        page.line(&[(" no links", DIM)]);
    }
}

/// Whether there is room for a column after all that a narrow screen does not go without, and the spare ones before it. Half of the
/// address is better than none.
fn fits(column: &Column, width: u16) -> bool {
    if !column.is_spare {
        return true;
    }
    let before = COLUMNS.iter().take_while(|other| other.heading != column.heading);
    let needed: u16 = before.map(|other| other.width + 1).sum();
    width >= needed + if column.width > 12 { column.width / 2 } else { column.width + 1 }
}

fn stream_table(snapshot: &Snapshot, page: &mut Page<'_>, lines: u16) {
    let Some(rows) = lines.checked_sub(1) else { return };
    let heading = [("STREAM", 9, true), ("CODEC", 6, true), ("OF", 6, true), ("SUBS", 6, false)]
        .into_iter()
        .chain([("IN b/s", 8, false), ("OUT b/s", 8, false), ("RING", 8, false), ("KEYS", 5, false)])
        .chain([("TAKEN BY", 15, true)]);
    let headings: Vec<(String, Style)> =
        heading.map(|(text, width, left)| (cell(text, width, left), HEADING)).collect();
    full_line(page, &headings);
    for stream in snapshot.streams.iter().take(usize::from(rows)) {
        page.line(&[(&stream_row(stream), PLAIN)]);
    }
}

/// Others who feed whoever asks.
fn feeder_table(snapshot: &Snapshot, page: &mut Page<'_>, lines: u16) {
    let Some(rows) = lines.checked_sub(1) else { return };
    let heading = [
        ("LENDS", 9, true),
        ("ROLE", 8, true),
        ("CLAIMS b/s", 10, false),
        ("ROOM FOR", 9, false),
        ("LINK", 5, true),
    ];
    let headings: Vec<(String, Style)> =
        heading.map(|(text, width, left)| (cell(text, width, left), HEADING)).into();
    full_line(page, &headings);
    for feeder in snapshot.feeders.iter().take(usize::from(rows)) {
        page.line(&[(&feeder_row(feeder), PLAIN)]);
    }
}

fn feeder_row(feeder: &FeederStatus) -> String {
    [
        cell(&feeder.peer, 9, true),
        cell(&feeder.role, 8, true),
        cell(&si(feeder.claims_bits as f64), 10, false),
        cell(&feeder.places.to_string(), 9, false),
        cell(if feeder.is_linked { "yes" } else { "no" }, 5, true),
    ]
    .concat()
}

fn stream_row(stream: &StreamStatus) -> String {
    [
        cell(&stream.id, 9, true),
        cell(&stream.codec, 6, true),
        cell(published(stream), 6, true),
        cell(&stream.subscribers.to_string(), 6, false),
        cell(&si(stream.rates.in_bits), 8, false),
        cell(&si(stream.rates.out_bits), 8, false),
        cell(&binary(stream.ring_bytes), 8, false),
        cell(&stream.key_frame_requests.to_string(), 5, false),
        cell(&taken(stream), TAKEN, true),
    ]
    .concat()
}

/// The longest list of who takes what that is shown: what there is no room for on a screen is cut off.
const TAKEN: u16 = 60;

/// Which description it is, or its layers where there are several.
fn published(stream: &StreamStatus) -> &str {
    match (stream.description.as_str(), stream.layers.as_str()) {
        ("", "L1T1") => "",
        ("", layers) => layers,
        (description, _) => description,
    }
}

/// `4 L3T3, 2 L1T3`, of streams of several layers.
fn taken(stream: &StreamStatus) -> String {
    if matches!(stream.layers.as_str(), "" | "L1T1") {
        return String::new();
    }
    let one = |taken: &Taken| format!("{} {}", taken.subscribers, taken.layers);
    stream.taken.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A heading over the whole width.
fn full_line(page: &mut Page<'_>, pieces: &[(String, Style)]) {
    let rest = " ".repeat(usize::from(page.area.width));
    let mut line: Vec<(&str, Style)> = pieces.iter().map(|(text, style)| (text.as_str(), *style)).collect();
    line.push((&rest, HEADING));
    page.line(&line);
}

/// A space and the text, cut or filled up to a width.
fn cell(text: &str, width: u16, left: bool) -> String {
    let width = usize::from(width);
    // What a peer or another program wrote is not to move the cursor.
    let text: String = text.chars().filter(|c| !c.is_control()).take(width).collect();
    if left { format!(" {text:<width$}") } else { format!(" {text:>width$}") }
}

#[cfg(test)]
mod tests;
