//! What the proofs of authorship said, watcher by watcher.

use super::esc;
use crate::report::{
    checks::PROVEN_PERCENT,
    model::{DemoReport, WatcherReport},
    text::{bytes, count, percent, percentage},
};

/// The table of proofs.
pub(super) fn authorship(report: &DemoReport) -> String {
    if report.watchers.iter().all(|w| w.proofs.objects == 0) {
        return String::new();
    }
    let rows: String = report.watchers.iter().map(row).collect();
    format!(
        "<section>\n<h2>Who sent it</h2>\n<div class=\"scroll\"><table>\n<thead>\
         <tr><th rowspan=\"2\">watcher</th><th colspan=\"6\">pictures and sound</th><th colspan=\"3\">proofs</th></tr>\
         <tr><th>received</th><th>proven</th><th>%</th><th>interim only</th><th>unproven</th><th>forged</th>\
         <th>lost</th><th>bytes</th><th>% of downlink</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n\
         <p class=\"note\">Proven: signed for by the publisher with Ed25519 and ML-DSA-65. Interim only: with Ed25519 and not yet \
         with both. Forged: made by another member and found out.</p>\n</section>\n"
    )
}

fn row(w: &WatcherReport) -> String {
    let proofs = &w.proofs;
    let cell = |text: String, bad: bool| {
        if bad { format!("<td class=\"bad\">{text}</td>") } else { format!("<td>{text}</td>") }
    };
    let bare = |share: Option<f64>| percentage(share).trim_end_matches(" %").to_owned();
    let proven = percent(proofs.hybrid, proofs.objects);
    [
        format!("<tr><th scope=\"row\">{}</th>", esc(w.id.as_str())),
        cell(count(proofs.objects), false),
        cell(count(proofs.hybrid), false),
        cell(bare(proven), w.stayed && proven.is_some_and(|share| share < PROVEN_PERCENT)),
        cell(count(proofs.interim), false),
        cell(count(proofs.unproven), false),
        cell(count(proofs.forged), proofs.forged > 0),
        cell(count(proofs.lost_proofs), false),
        cell(bytes(proofs.bytes), false),
        cell(bare(proofs.downlink_percent), false),
        "</tr>\n".to_owned(),
    ]
    .concat()
}
