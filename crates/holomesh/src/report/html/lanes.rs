//! Rows over time: blocks that say by their height, and once more by their colour, what was.

use super::{
    esc,
    plot::{Area, Mark, Size},
};
use crate::report::{
    lanes::Lane,
    text::{plain, seconds, shorten},
};

/// Height of the highest block, and from one row to the next.
const BLOCK: f64 = 17.0;
const PITCH: f64 = 28.0;
/// Height of what hangs below a row's line, for what there was nothing of.
const NOTCH: f64 = 5.0;
/// Room above the first row.
const ROOM: f64 = 6.0;
/// Characters of a name that there is room for.
const NAME: usize = 10;

/// What there can be in a row.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// Class that gives the colour.
    pub(super) class: &'static str,
    pub(super) label: String,
    /// Height of its blocks in hundredths; 0 stands for a notch below the line.
    pub(super) height: u8,
}

/// Rows of one kind.
#[derive(Debug, Clone)]
pub(super) struct Lanes<'a> {
    pub(super) title: &'static str,
    /// What the rows say and how to read them.
    pub(super) note: String,
    /// By their numbers in the spans.
    pub(super) states: Vec<State>,
    pub(super) lanes: &'a [Lane],
}

impl Lanes<'_> {
    /// The rows in all sizes, with their caption and the key to what they show; nothing where there are none.
    pub(super) fn figure(&self, marks: &[Mark], end_ms: u64) -> String {
        if self.lanes.iter().all(|lane| lane.spans.is_empty()) {
            return String::new();
        }
        let drawings: String = Size::ALL.iter().map(|size| self.svg(*size, marks, end_ms)).collect();
        let (title, note) = (esc(self.title), esc(&self.note));
        let keys: String = self.states.iter().map(State::key).collect();
        format!(
            "<figure><figcaption><b>{title}</b> {note}</figcaption>\n<ul class=\"keys\">\n{keys}</ul>\n{drawings}</figure>\n"
        )
    }

    fn svg(&self, size: Size, marks: &[Mark], end_ms: u64) -> String {
        let area = Area::new(size, (marks, false), end_ms, (ROOM, self.lanes.len() as f64 * PITCH));
        let mut svg = area.open(&format!("{} over time, one row for each", self.title));
        svg += &area.time_axis();
        for (at, lane) in self.lanes.iter().enumerate() {
            svg += &self.row(&area, area.top + at as f64 * PITCH + BLOCK + 3.0, lane, end_ms);
        }
        svg + &area.marks(marks) + "</svg>\n"
    }

    /// A row whose blocks stand on a line at height `y`.
    fn row(&self, area: &Area, y: f64, lane: &Lane, end_ms: u64) -> String {
        let (left, right) = (area.left, area.right);
        let name = shorten(&plain(lane.id.as_str()), NAME);
        let mut svg = format!(
            "<text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text><line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n",
            left - 7.0,
            y - 4.0,
            esc(&name)
        );
        let columns = (right - left) as u32;
        let step = (right - left) / f64::from(columns.max(1));
        let runs = lane.columns(end_ms, columns);
        for ((number, state), total) in (0u8..).zip(&self.states).zip(lane.totals(self.states.len())) {
            let of_state = runs.iter().filter(|(_, _, what)| *what == number);
            let block = |(from, to, _): &(u32, u32, u8)| {
                state.block(left + f64::from(*from) * step, y, f64::from(to - from) * step)
            };
            let path: String = of_state.map(block).collect();
            if !path.is_empty() {
                svg += &format!(
                    "<path class=\"{}\" d=\"{path}\"><title>{}, {}: {} s in all</title></path>\n",
                    state.class,
                    esc(lane.id.as_str()),
                    esc(&state.label),
                    seconds(total)
                );
            }
        }
        svg
    }
}

impl State {
    /// A block on a line at height `y`, as the data of a path.
    fn block(&self, x: f64, y: f64, width: f64) -> String {
        let (from, height) = match self.height {
            0 => (y + 1.0, NOTCH),
            part => (y - BLOCK * f64::from(part) / 100.0, BLOCK * f64::from(part) / 100.0),
        };
        format!("M{x:.1} {from:.1}h{width:.1}v{height:.1}h-{width:.1}z")
    }

    fn key(&self) -> String {
        let line = BLOCK + 1.0;
        format!(
            "<li><svg width=\"14\" height=\"{:.0}\" aria-hidden=\"true\"><line class=\"base\" x1=\"0\" x2=\"14\" y1=\"{line}\" y2=\"{line}\"/>\
             <path class=\"{}\" d=\"{}\"/></svg>{}</li>\n",
            line + NOTCH + 2.0,
            self.class,
            self.block(1.0, line, 12.0),
            esc(&self.label)
        )
    }
}
