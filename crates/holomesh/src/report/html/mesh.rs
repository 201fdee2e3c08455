//! Who feeds whom, as a picture and in words.

use super::{esc, plot::Size};
use crate::report::{
    mesh::{Feed, Mesh, MeshNode, Part},
    model::NodeName,
    text::{plain, seconds, shorten},
};
use std::collections::HashMap;

/// A node's box, and from one row to the next.
const WIDE: f64 = 74.0;
const HIGH: f64 = 22.0;
const PITCH: f64 = 42.0;
/// A second line in the box of a node that lends.
const LENDS: f64 = 12.0;
const NAME: usize = 11;
/// With more than this a picture is a tangle.
const MOST: usize = 64;
/// Colours of the style sheet.
const COLOURS: usize = 8;

/// Section "Who feeds whom"; nothing without anybody.
pub(super) fn section(mesh: &Mesh) -> String {
    if mesh.feeds.is_empty() {
        return String::new();
    }
    let picture: String = if mesh.nodes.len() > MOST {
        String::new()
    } else {
        Size::ALL.iter().map(|size| svg(mesh, *size)).collect()
    };
    let rows: String =
        mesh.nodes.iter().filter(|node| feeds_or_would(mesh, node)).map(|node| row(mesh, node)).collect();
    format!(
        "<section class=\"mesh\">\n<h2>Who feeds whom</h2>\n<p class=\"note\">At {}\u{a0}s, as each watcher says who carries pictures to it. \
         Everybody also has a link to the publisher for keys. Broken outline: killed or removed by then.</p>\n{picture}\
         <div class=\"scroll\"><table>\n<thead><tr><th>who feeds</th><th class=\"l\">whom</th><th>how many</th><th>claims, kbit/s</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n</section>\n",
        seconds(mesh.at_ms)
    )
}

fn row(mesh: &Mesh, node: &MeshNode) -> String {
    let whom: Vec<&str> =
        mesh.feeds.iter().filter(|feed| feed.from == node.id).map(|feed| feed.to.as_str()).collect();
    let claims = node.claims_kbit.map_or_else(|| "–".to_owned(), |kbit| kbit.to_string());
    format!(
        "<tr><th scope=\"row\">{}</th><td class=\"l wrap\">{}</td><td>{}</td><td>{claims}</td></tr>\n",
        esc(node.id.as_str()),
        esc(&whom.join(", ")),
        whom.len()
    )
}

/// Whether it feeds anybody, or says that it would.
fn feeds_or_would(mesh: &Mesh, node: &MeshNode) -> bool {
    mesh.children(&node.id) > 0 || node.claims_kbit.is_some()
}

/// In which column a node stands: publisher, relays, watchers that feed others, watchers that don't.
fn column(mesh: &Mesh, node: &MeshNode) -> usize {
    match node.part {
        Part::Publisher => 0,
        Part::Relay => 1,
        Part::Watcher if feeds_or_would(mesh, node) => 2,
        Part::Watcher => 3,
    }
}

fn svg(mesh: &Mesh, size: Size) -> String {
    let mut columns: [Vec<&MeshNode>; 4] = Default::default();
    for node in &mesh.nodes {
        columns[column(mesh, node)].push(node);
    }
    let used: Vec<&Vec<&MeshNode>> = columns.iter().filter(|column| !column.is_empty()).collect();
    let most = used.iter().map(|column| column.len()).max().unwrap_or(0) as f64;
    let height = most * PITCH + 12.0;
    let width = size.width.min(760.0);
    let step = (width - WIDE) / (used.len() as f64 - 1.0).max(1.0);
    let mut places = HashMap::new();
    for (at, column) in used.iter().enumerate() {
        let above = (most - column.len() as f64) * PITCH / 2.0 + 6.0;
        for (row, node) in column.iter().enumerate() {
            places.insert(&node.id, (at as f64 * step, above + row as f64 * PITCH, at, *node));
        }
    }
    let mut svg = format!(
        "<svg class=\"plot {}\" viewBox=\"0 0 {} {height}\" role=\"img\" aria-label=\"Who feeds whom; the table below says the same\">\n",
        size.class, size.width
    );
    let feeders: Vec<&NodeName> =
        mesh.nodes.iter().map(|node| &node.id).filter(|id| mesh.children(id) > 0).collect();
    for feed in &mesh.feeds {
        let (Some(from), Some(to)) = (places.get(&feed.from), places.get(&feed.to)) else { continue };
        let colour = feeders.iter().position(|id| **id == feed.from).unwrap_or(0) % COLOURS;
        svg += &edge(feed, colour, (from.0, from.1, from.2), (to.0, to.1, to.2));
    }
    let mut boxes: Vec<_> = places.values().collect();
    boxes.sort_by(|a, b| (a.2, a.1).partial_cmp(&(b.2, b.1)).unwrap_or(std::cmp::Ordering::Equal));
    for (x, y, _, node) in boxes {
        svg += &node_box(*x, *y, node);
    }
    svg + "</svg>\n"
}

/// From the right side of a box to the left side of another; round the front where both stand in one column.
fn edge(feed: &Feed, colour: usize, from: (f64, f64, usize), to: (f64, f64, usize)) -> String {
    let middle = HIGH / 2.0;
    let (x1, y1, y2) = (from.0 + WIDE, from.1 + middle, to.1 + middle);
    let path = if from.2 < to.2 {
        let (x2, bend) = (to.0, (to.0 - x1) * 0.45);
        format!("M{x1:.1} {y1:.1}C{:.1} {y1:.1} {:.1} {y2:.1} {x2:.1} {y2:.1}", x1 + bend, x2 - bend)
    } else {
        let out = 14.0 + (y2 - y1).abs() * 0.18;
        format!("M{x1:.1} {y1:.1}C{:.1} {y1:.1} {:.1} {y2:.1} {x1:.1} {y2:.1}", x1 + out, x1 + out)
    };
    format!(
        "<path class=\"series s{colour}\" d=\"{path}\"><title>{} feeds {}</title></path>\n",
        esc(feed.from.as_str()),
        esc(feed.to.as_str())
    )
}

fn node_box(x: f64, y: f64, node: &MeshNode) -> String {
    let name = shorten(&plain(node.id.as_str()), NAME);
    let lends = node.claims_kbit.map_or(String::new(), |kbit| {
        format!(
            "<text class=\"x\" x=\"{:.1}\" y=\"{:.1}\">lends {kbit}</text>",
            x + WIDE / 2.0,
            y + HIGH + LENDS - 2.0
        )
    });
    format!(
        "<rect class=\"node{}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{WIDE}\" height=\"{HIGH}\" rx=\"5\"/>\
         <text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>{lends}\n",
        if node.is_gone { " gone" } else { "" },
        x + WIDE / 2.0,
        y + 15.0,
        esc(&name)
    )
}
