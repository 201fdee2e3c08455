//! One plot as inline SVG: lines over time, with the events of the run as vertical lines.

use super::{
    axis::Axis,
    esc,
    marks::{self, BADGE, Side, Spot, TEXT_AT, Wish},
};
use crate::report::timeline::Point;

/// Room for the labels of the vertical axis, and for names of rows.
const LEFT: f64 = 66.0;
const RIGHT: f64 = 12.0;
const BOTTOM: f64 = 24.0;
/// Height of one row of event names.
const ROW: f64 = 19.0;

/// A plot comes in three widths; the style sheet shows the one that fits, so that letters keep their size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) class: &'static str,
    pub(super) width: f64,
    /// Height of the area that the lines are drawn in.
    pub(super) height: f64,
}

impl Size {
    pub(super) const ALL: [Self; 3] = [
        Self { class: "w", width: 1040.0, height: 150.0 },
        Self { class: "m", width: 680.0, height: 150.0 },
        Self { class: "n", width: 350.0, height: 140.0 },
    ];
}

/// A line of a plot.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// Who it is, for the tooltip.
    pub(super) name: String,
    /// Classes that give colour and dashes.
    pub(super) class: String,
    pub(super) points: Vec<Point>,
}

/// An event over the plots.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) at_ms: u64,
    /// Class that gives the colour.
    pub(super) class: &'static str,
    /// Its number and name; without, it is a faint line only.
    pub(super) landmark: Option<(usize, String)>,
}

/// What a plot shows.
#[derive(Debug, Clone)]
pub(super) struct Plot {
    pub(super) title: &'static str,
    /// Unit, above the vertical axis.
    pub(super) unit: &'static str,
    /// How the figures were taken.
    pub(super) note: &'static str,
    /// For whole numbers that hold until they change: steps, and lines that would coincide drawn side by side.
    pub(super) steps: bool,
    /// Whether the events carry their names here, or their numbers only.
    pub(super) named_marks: bool,
    pub(super) series: Vec<Series>,
}

impl Plot {
    /// The plot in all sizes, with its caption.
    pub(super) fn figure(&self, marks: &[Mark], end_ms: u64) -> String {
        let drawings: String = Size::ALL.iter().map(|size| self.svg(*size, marks, end_ms)).collect();
        let (title, note) = (esc(self.title), esc(self.note));
        format!("<figure><figcaption><b>{title}</b> {note}</figcaption>\n{drawings}</figure>\n")
    }

    fn svg(&self, size: Size, marks: &[Mark], end_ms: u64) -> String {
        let largest = self.series.iter().flat_map(|s| s.points.iter().filter_map(|p| p.value));
        let largest = largest
            .filter(|v| v.is_finite())
            .fold(None, |max: Option<f64>, v| Some(max.map_or(v, |m| m.max(v))));
        let frame = Frame {
            area: Area::new(size, (marks, self.named_marks), end_ms, (18.0, size.height)),
            value: Axis::covering(largest.unwrap_or(0.0), 4.0, if self.steps { 1.0 } else { 0.0 }),
        };
        let area = &frame.area;
        let mut svg = area.open(&format!("{} over time, {}", self.title, self.unit));
        svg += &frame.axis(self.unit);
        svg += &area.time_axis();
        svg += &area.marks(marks);
        svg += &self.lines(&frame);
        if largest.is_none() {
            let (x, y) = ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0);
            svg += &format!("<text class=\"none\" x=\"{x:.0}\" y=\"{y:.0}\">nothing measured</text>\n");
        }
        svg + "</svg>\n"
    }

    fn lines(&self, frame: &Frame) -> String {
        let n = self.series.len() as f64;
        let unit = (frame.area.bottom - frame.area.top) / frame.value.top * frame.value.step;
        let apart = if self.steps { (unit * 0.6 / n.max(1.0)).min(2.4) } else { 0.0 };
        let line = |(i, series): (usize, &Series)| {
            let path = frame.path(&series.points, self.steps, apart * (i as f64 - (n - 1.0) / 2.0));
            let (class, name) = (esc(&series.class), esc(&series.name));
            format!("<path class=\"series {class}\" d=\"{path}\"><title>{name}</title></path>\n")
        };
        self.series.iter().enumerate().map(line).collect()
    }
}

/// Where something is drawn over time, in pixels, with the events of the run above it and the axis of time below.
#[derive(Debug)]
pub(super) struct Area {
    size: Size,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    time: Axis,
    spots: Vec<Option<Spot>>,
}

impl Area {
    /// For a time up to `end_ms`, `height` high with so much room above it for what stands over the vertical axis. The marks carry their
    /// names if they are to.
    pub(super) fn new(
        size: Size,
        (marks, named): (&[Mark], bool),
        end_ms: u64,
        (room, height): (f64, f64),
    ) -> Self {
        let (left, right) = (LEFT, size.width - RIGHT);
        let spots = spots(marks, named, end_ms, (left, right));
        let rows = spots.iter().flatten().map(|spot| spot.row + 1).max().unwrap_or(0);
        let top = room + rows as f64 * ROW;
        let time = Axis::ending_at(end_ms as f64 / 1e3, size.width / 110.0);
        Self { size, left, right, top, bottom: top + height, time, spots }
    }

    /// The drawing's first tag.
    pub(super) fn open(&self, label: &str) -> String {
        let (class, width, height) = (self.size.class, self.size.width, self.bottom + BOTTOM);
        format!(
            "<svg class=\"plot {class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n",
            esc(label)
        )
    }

    fn x(&self, t_ms: u64) -> f64 {
        self.left + (self.right - self.left) * self.time.share(t_ms as f64 / 1e3)
    }

    pub(super) fn time_axis(&self) -> String {
        let mut svg = String::new();
        let (left, right, bottom) = (self.left, self.right, self.bottom);
        for (value, text) in self.time.ticks() {
            let x = left + (right - left) * self.time.share(value);
            svg += &format!(
                "<line class=\"base\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom:.1}\" y2=\"{:.1}\"/>",
                bottom + 4.0
            );
            svg += &format!("<text class=\"x\" x=\"{x:.1}\" y=\"{:.1}\">{text} s</text>\n", bottom + 17.0);
        }
        svg
    }

    pub(super) fn marks(&self, marks: &[Mark]) -> String {
        let mut svg = String::new();
        for (mark, spot) in marks.iter().zip(&self.spots) {
            let x = self.x(mark.at_ms);
            let start = spot.map_or(self.top, |spot| 10.0 + spot.row as f64 * ROW);
            let class =
                if mark.landmark.is_some() { format!("mark {}", mark.class) } else { "minor".to_owned() };
            svg += &format!(
                "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{start:.1}\" y2=\"{:.1}\"/>\n",
                self.bottom
            );
            let (Some(spot), Some((number, name))) = (spot, &mark.landmark) else { continue };
            svg += &badge(x, start, mark.class, *number);
            let (at, anchor) = match spot.side {
                Side::Right => (x + TEXT_AT, "start"),
                Side::Left => (x - TEXT_AT, "end"),
                Side::BadgeOnly => continue,
            };
            svg += &format!(
                "<text class=\"label\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
                start + 4.0,
                esc(name)
            );
        }
        svg
    }
}

fn spots(marks: &[Mark], named: bool, end_ms: u64, (left, right): (f64, f64)) -> Vec<Option<Spot>> {
    let time = Axis::ending_at(end_ms as f64 / 1e3, 1.0);
    let wish = |mark: &Mark| {
        let (number, name) = mark.landmark.as_ref()?;
        let letters = if named { name.chars().count() } else { 0 };
        // A badge with more than two digits would not fit its disc.
        let x = left + (right - left) * time.share(mark.at_ms as f64 / 1e3);
        (*number < 100).then_some(Wish { x, letters })
    };
    let wishes: Vec<_> = marks.iter().map(wish).collect();
    let placed = marks::place(&wishes.iter().flatten().cloned().collect::<Vec<_>>(), left, right, 3);
    let mut placed = placed.into_iter();
    wishes.iter().map(|wish| wish.as_ref().and_then(|_| placed.next().flatten())).collect()
}

/// The area of a plot, with its vertical axis.
struct Frame {
    area: Area,
    value: Axis,
}

impl Frame {
    fn y(&self, value: f64) -> f64 {
        self.area.bottom - (self.area.bottom - self.area.top) * self.value.share(value)
    }

    fn axis(&self, unit: &str) -> String {
        let mut svg = String::new();
        let (left, right) = (self.area.left, self.area.right);
        for (value, text) in self.value.ticks() {
            let y = self.y(value);
            let class = if value == 0.0 { "base" } else { "grid" };
            svg += &format!(
                "<line class=\"{class}\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
            );
            svg += &format!("<text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>\n", left - 7.0, y + 4.0);
        }
        svg += &format!(
            "<text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
            left - 7.0,
            self.area.top - 9.0,
            esc(unit)
        );
        svg
    }

    /// The data of a path; a missing value interrupts it.
    fn path(&self, points: &[Point], steps: bool, shift: f64) -> String {
        let mut path = String::new();
        let mut before: Option<f64> = None;
        for point in thin(points, (self.area.right - self.area.left) as usize) {
            let Some(value) = point.value.filter(|v| v.is_finite()) else {
                before = None;
                continue;
            };
            let (x, y) = (self.area.x(point.t_ms), self.y(value) + shift);
            match before {
                None => path += &format!("M{x:.1} {y:.1}"),
                Some(last) if steps && last == y => path += &format!("H{x:.1}"),
                Some(_) if steps => path += &format!("H{x:.1}V{y:.1}"),
                Some(_) => path += &format!("L{x:.1} {y:.1}"),
            }
            before = Some(y);
        }
        path
    }
}

/// A numbered disc.
pub(super) fn badge(x: f64, y: f64, class: &str, number: usize) -> String {
    format!(
        "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{BADGE}\"/><text class=\"badge\" x=\"{x:.1}\" y=\"{:.1}\">{number}</text>\n",
        y + 3.5
    )
}

/// A long series cut down to the extremes of each of `columns` stretches, so that no dip or peak is lost.
fn thin(points: &[Point], columns: usize) -> Vec<Point> {
    if points.len() <= columns.saturating_mul(2) {
        return points.to_vec();
    }
    let mut kept = Vec::new();
    for stretch in points.chunks(points.len().div_ceil(columns.max(1))) {
        let value = |i: &usize| stretch[*i].value.filter(|v| v.is_finite());
        let order = |a: &usize, b: &usize| value(a).unwrap_or(0.0).total_cmp(&value(b).unwrap_or(0.0));
        let measured = || (0..stretch.len()).filter(|i| value(i).is_some());
        let gap = (0..stretch.len()).find(|i| value(i).is_none());
        let mut chosen: Vec<_> =
            [measured().min_by(order), measured().max_by(order), gap].into_iter().flatten().collect();
        chosen.sort_unstable();
        chosen.dedup();
        kept.extend(chosen.into_iter().map(|i| stretch[i]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use proptest::{collection::vec, prelude::*};

    fn plot(values: &[Option<f64>], steps: bool) -> Plot {
        let point = |(i, value): (usize, &Option<f64>)| Point { t_ms: i as u64 * 200, value: *value };
        let points = values.iter().enumerate().map(point).collect();
        let series = vec![Series { name: "w".to_owned(), class: "s0".to_owned(), points }];
        Plot { title: "T", unit: "ms", note: "", steps, named_marks: true, series }
    }

    fn path_of(plot: &Plot) -> String {
        let figure = plot.figure(&[], 1000);
        figure.split(" d=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    #[test]
    fn a_gap_interrupts_the_line() {
        let path = path_of(&plot(&[Some(1.0), Some(2.0), None, Some(f64::NAN), Some(1.0), Some(1.0)], false));
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 2), "{path}");
    }

    #[test]
    fn steps_hold_until_the_value_changes() {
        let path = path_of(&plot(&[Some(4.0), Some(4.0), Some(3.0)], true));
        assert_eq!(path.chars().filter(char::is_ascii_uppercase).collect::<String>(), "MHHV", "{path}");
    }

    #[test]
    fn nothing_measured_is_said() {
        for values in [&[][..], &[None, Some(f64::NAN)]] {
            assert!(plot(values, false).figure(&[], 0).contains("nothing measured"));
        }
        assert!(!plot(&[Some(0.0)], false).figure(&[], 0).contains("nothing measured"));
    }

    proptest! {
        #[test]
        fn thinning_keeps_the_extremes_and_the_order(values in vec(prop::option::of(-1e6f64..1e6), 0..500), columns in 1usize..60) {
            let points: Vec<_> =
                values.iter().enumerate().map(|(i, v)| Point { t_ms: i as u64, value: *v }).collect();
            let thinned = thin(&points, columns);
            prop_assert!(thinned.len() <= columns * 3);
            prop_assert!(thinned.windows(2).all(|w| w[0].t_ms < w[1].t_ms));
            let highest = |points: &[Point]| points.iter().filter_map(|p| p.value).max_by(f64::total_cmp);
            let lowest = |points: &[Point]| points.iter().filter_map(|p| p.value).min_by(f64::total_cmp);
            prop_assert_eq!((highest(&thinned), lowest(&thinned)), (highest(&points), lowest(&points)));
        }

        #[test]
        fn no_value_leaves_the_picture(values in vec(fixture::odd_figure().prop_map(Some), 1..20), at_ms: u64, end_ms: u64) {
            let mark = Mark { at_ms, class: "killed", landmark: Some((1, "x".to_owned())) };
            let figure = plot(&values, false).figure(&[mark], end_ms);
            prop_assert!(!figure.contains("NaN") && !figure.contains("inf"), "{}", figure);
            let numbers = figure.split(" d=\"").skip(1).flat_map(|d| {
                d.split('"').next().unwrap().split(['M', 'L', ' ']).filter_map(|n| n.parse::<f64>().ok()).collect::<Vec<_>>()
            });
            for number in numbers {
                prop_assert!((0.0..=1040.0).contains(&number), "{}", number);
            }
        }
    }
}
