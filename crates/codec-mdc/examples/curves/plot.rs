//! Curves as SVG, and crops of pictures as PNG.

use std::fmt::Write as _;
use std::path::Path;

use codec_av1::Frame;

use crate::measure::Outcome;

/// A line of a plot.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) is_dashed: bool,
}

/// What is around the lines.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) across: String,
    pub(crate) up: String,
    pub(crate) ticks: Vec<f64>,
    /// What lines of the grid are whole multiples of.
    pub(crate) unit: Unit,
    /// Dots at the points: for few of them.
    pub(crate) has_dots: bool,
}

/// Of what goes up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    /// 1.
    One,
    /// 1/100.
    Hundredth,
}

impl Unit {
    const fn size(self) -> f64 {
        match self {
            Self::One => 1.0,
            Self::Hundredth => 0.01,
        }
    }

    const fn decimals(self) -> usize {
        match self {
            Self::One => 0,
            Self::Hundredth => 2,
        }
    }
}

const COLORS: [&str; 6] = ["#444444", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b"];
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;

impl Plot {
    pub(crate) fn svg(&self, lines: &[Line]) -> String {
        let every = || lines.iter().flat_map(|line| &line.points);
        let bounds = |pick: fn(&(f64, f64)) -> f64| {
            every().map(pick).fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)))
        };
        let ((left, right), (low, high)) = (bounds(|point| point.0), bounds(|point| point.1));
        // In units.
        let unit = self.unit.size();
        let (low, high) = ((low / unit - 0.3).floor(), (high / unit + 0.3).ceil());
        let x = |value: f64| 56.0 + (WIDTH - 72.0) * (value - left) / (right - left).max(1e-9);
        let y = |value: f64| HEIGHT - 48.0 - (HEIGHT - 80.0) * (value / unit - low) / (high - low).max(1e-9);
        let legend = 16.0 * lines.len() as f64 + 8.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"56\" y=\"20\" font-size=\"14\">{}</text>\n",
            HEIGHT + legend,
            self.title
        );
        let step = ((high - low) / 6.0).ceil().max(1.0);
        let mut level = low;
        while level <= high {
            let _ = writeln!(
                svg,
                "<path d=\"M56 {0:.1}H{1}\" stroke=\"#ddd\"/><text x=\"50\" y=\"{2:.1}\" text-anchor=\"end\">{3:.4$}</text>",
                y(level * unit),
                WIDTH - 16.0,
                y(level * unit) + 4.0,
                level * unit,
                self.unit.decimals()
            );
            level += step;
        }
        for tick in &self.ticks {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
                x(*tick),
                HEIGHT - 32.0
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"14\" y=\"{3}\" transform=\"rotate(-90 14 {3})\" text-anchor=\"middle\">{4}</text>",
            WIDTH / 2.0,
            HEIGHT - 12.0,
            self.across,
            HEIGHT / 2.0,
            self.up
        );
        for (index, line) in lines.iter().enumerate() {
            let color = COLORS[index % COLORS.len()];
            let dash = if line.is_dashed { " stroke-dasharray=\"6 4\"" } else { "" };
            let path: Vec<String> =
                line.points.iter().map(|point| format!("{:.1} {:.1}", x(point.0), y(point.1))).collect();
            let _ = writeln!(
                svg,
                "<path d=\"M{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.6\"{dash}/>",
                path.join("L")
            );
            if self.has_dots {
                for point in &line.points {
                    let _ = writeln!(
                        svg,
                        "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{color}\"/>",
                        x(point.0),
                        y(point.1)
                    );
                }
            }
            let at = HEIGHT + 12.0 + 16.0 * index as f64;
            let _ = writeln!(
                svg,
                "<path d=\"M56 {0:.1}h28\" stroke=\"{color}\" stroke-width=\"2\"{dash}/><text x=\"92\" y=\"{1:.1}\">{2}</text>",
                at - 4.0,
                at,
                line.name
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// A part of each picture, side by side, in color, twice as large.
pub(crate) fn crops(
    pictures: &[&Frame],
    at: (usize, usize),
    size: (usize, usize),
    path: &Path,
) -> Outcome<()> {
    const ZOOM: usize = 2;
    const GAP: usize = 4;
    let width = pictures.len() * (size.0 * ZOOM + GAP) - GAP;
    let mut data = Vec::with_capacity(width * size.1 * ZOOM * 3);
    for row in 0..size.1 * ZOOM {
        for (index, picture) in pictures.iter().enumerate() {
            if index > 0 {
                data.extend([255; 3 * GAP]);
            }
            for column in 0..size.0 * ZOOM {
                data.extend(color(picture, at.0 + column / ZOOM, at.1 + row / ZOOM));
            }
        }
    }
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut encoder = png::Encoder::new(file, width as u32, (size.1 * ZOOM) as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.write_header()?.write_image_data(&data)?;
    Ok(())
}

/// BT.601, limited range.
fn color(frame: &Frame, x: usize, y: usize) -> [u8; 3] {
    let width = frame.size().width();
    let sample = |plane: &[u8], at: usize| f64::from(plane.get(at).copied().unwrap_or(0));
    let luma = 1.164 * (sample(frame.y(), y * width + x) - 16.0);
    let chroma = y / 2 * (width / 2) + x / 2;
    let (blue, red) = (sample(frame.u(), chroma) - 128.0, sample(frame.v(), chroma) - 128.0);
    [luma + 1.596 * red, luma - 0.813 * red - 0.392 * blue, luma + 2.017 * blue]
        .map(|value| value.clamp(0.0, 255.0) as u8)
}
