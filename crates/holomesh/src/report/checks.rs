//! What the demo promises, each promise with the figure that decides it.

use super::{
    model::{DemoReport, WatcherReport},
    text,
};

/// Least share of the expected frames, and of the expected audio packets, that a watcher that stayed must show, in %.
pub const SHOWN_PERCENT: f64 = 99.0;
/// Least share of what a watcher that stayed received that is proven to be the publisher's, in %.
pub const PROVEN_PERCENT: f64 = 99.0;
/// Most bytes received per byte of source symbols published.
pub const DOWNLINK_RATIO: f64 = 1.6;
/// How far a picture may be seen from its sound, in ms, for 95 % of pictures.
pub const LIP_SYNC_MS: f64 = 40.0;
/// Least mean luma PSNR against the published source, in dB.
pub const PSNR_DB: f64 = 30.0;

/// One promise and how the run kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is promised, in a word or two.
    pub name: &'static str,
    /// The deciding figure with its unit, or a dash.
    pub figure: String,
    /// What the figure was taken over.
    pub basis: String,
    /// What was promised.
    pub promise: String,
    /// Whether it held.
    pub outcome: Outcome,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The figure is as promised.
    Holds,
    /// The figure is not as promised.
    Fails,
    /// The run gave nothing to decide it by.
    NotMeasured,
}

/// All checks, always the same ones in the same order. Those about watchers cover the watchers that stayed and take
/// the worst of them.
pub fn assess(report: &DemoReport) -> Vec<Check> {
    let stayed: Vec<_> = report.watchers.iter().filter(|w| w.stayed).collect();
    vec![
        shown("frames shown", &stayed, |w| (w.frames_shown, w.frames_expected)),
        shown("sound played", &stayed, |w| (w.audio_shown, w.audio_expected)),
        undecryptable(&stayed),
        opened_after_leave(report),
        keys_at_relays(report),
        proven(&stayed),
        forged(&stayed),
        downlink(&stayed),
        picture(&stayed),
        lip_sync(&stayed),
    ]
}

/// One sentence over all checks.
pub fn summary(checks: &[Check]) -> String {
    let named = |outcome| {
        let names: Vec<_> = checks.iter().filter(|c| c.outcome == outcome).map(|c| c.name).collect();
        (names.len(), names.join(", "))
    };
    let (failed, failures) = named(Outcome::Fails);
    let (unknown, unmeasured) = named(Outcome::NotMeasured);
    let all = checks.len();
    match (failed, unknown) {
        (0, 0) => format!("All {all} checks hold"),
        (0, _) if unknown == all => "Nothing was measured".to_owned(),
        (0, _) => format!("{} of {all} checks hold; not measured: {unmeasured}", all - unknown),
        (_, 0) => format!("{failed} of {all} checks {}: {failures}", fail(failed)),
        _ => format!("{failed} of {all} checks {}: {failures}; not measured: {unmeasured}", fail(failed)),
    }
}

fn fail(n: usize) -> &'static str {
    if n == 1 { "fails" } else { "fail" }
}

fn decide(holds: Option<bool>) -> Outcome {
    match holds {
        Some(true) => Outcome::Holds,
        Some(false) => Outcome::Fails,
        None => Outcome::NotMeasured,
    }
}

fn worst_of(n: usize) -> String {
    match n {
        0 => "no watcher stayed".to_owned(),
        1 => "the one watcher that stayed".to_owned(),
        _ => format!("worst of {n} watchers that stayed"),
    }
}

fn shown(name: &'static str, stayed: &[&WatcherReport], of: impl Fn(&WatcherReport) -> (u64, u64)) -> Check {
    let share = |w: &&WatcherReport| text::percent(of(w).0, of(w).1);
    // A watcher without an expectation leaves the promise open for it, so for all of them.
    let shares: Option<Vec<f64>> = stayed.iter().map(share).collect();
    let worst = shares.and_then(|shares| shares.into_iter().min_by(f64::total_cmp));
    Check {
        name,
        figure: text::percentage(worst),
        basis: worst_of(stayed.len()),
        promise: format!("at least {SHOWN_PERCENT} %"),
        outcome: decide(worst.map(|share| share >= SHOWN_PERCENT)),
    }
}

fn undecryptable(stayed: &[&WatcherReport]) -> Check {
    let bad = stayed.iter().fold(0u64, |sum, w| sum.saturating_add(w.undecryptable_chunks));
    let chunks = stayed.iter().fold(0u64, |sum, w| sum.saturating_add(w.chunks_received));
    let measured = chunks > 0 || bad > 0;
    Check {
        name: "undecryptable chunks",
        figure: if measured { text::count(bad) } else { text::DASH.to_owned() },
        basis: format!("of {} received", text::count(chunks)),
        promise: "none".to_owned(),
        outcome: decide(measured.then_some(bad == 0)),
    }
}

fn opened_after_leave(report: &DemoReport) -> Check {
    let leaver = report.leaver;
    let measured = leaver.chunks_seen_after_leave > 0 || leaver.chunks_opened_after_leave > 0;
    Check {
        name: "opened after removal",
        figure: if measured { text::count(leaver.chunks_opened_after_leave) } else { text::DASH.to_owned() },
        basis: format!("of {} chunks that still came", text::count(leaver.chunks_seen_after_leave)),
        promise: "none".to_owned(),
        outcome: decide(measured.then_some(leaver.chunks_opened_after_leave == 0)),
    }
}

fn keys_at_relays(report: &DemoReport) -> Check {
    let keys = report.relays.iter().fold(0u64, |sum, r| sum.saturating_add(r.content_keys_held));
    let measured = !report.relays.is_empty();
    Check {
        name: "content keys held by relays",
        figure: if measured { text::count(keys) } else { text::DASH.to_owned() },
        basis: match report.relays.len() {
            1 => "at 1 relay".to_owned(),
            n => format!("over {n} relays"),
        },
        promise: "none".to_owned(),
        outcome: decide(measured.then_some(keys == 0)),
    }
}

fn proven(stayed: &[&WatcherReport]) -> Check {
    let worst = worst(stayed, |w| text::percent(w.proofs.hybrid, w.proofs.objects), f64::total_cmp);
    Check {
        name: "proven to be the publisher's",
        figure: text::percentage(worst),
        basis: worst_of(stayed.len()),
        promise: format!("at least {PROVEN_PERCENT} %"),
        outcome: decide(worst.map(|share| share >= PROVEN_PERCENT)),
    }
}

fn forged(stayed: &[&WatcherReport]) -> Check {
    let forged = stayed.iter().fold(0u64, |sum, w| sum.saturating_add(w.proofs.forged));
    let objects = stayed.iter().fold(0u64, |sum, w| sum.saturating_add(w.proofs.objects));
    let measured = objects > 0 || forged > 0;
    Check {
        name: "forged objects",
        figure: if measured { text::count(forged) } else { text::DASH.to_owned() },
        basis: format!("of {} received", text::count(objects)),
        promise: "none".to_owned(),
        outcome: decide(measured.then_some(forged == 0)),
    }
}

fn downlink(stayed: &[&WatcherReport]) -> Check {
    let worst = worst(stayed, |w| w.downlink_ratio, |a, b| b.total_cmp(a));
    Check {
        name: "downlink per source byte",
        figure: text::figure(worst, 2),
        basis: worst_of(stayed.len()),
        promise: format!("at most {DOWNLINK_RATIO}"),
        outcome: decide(worst.map(|ratio| ratio <= DOWNLINK_RATIO)),
    }
}

fn picture(stayed: &[&WatcherReport]) -> Check {
    let worst = worst(stayed, |w| w.psnr_y_db, f64::total_cmp);
    Check {
        name: "picture, luma PSNR",
        figure: if worst.is_some() { text::figure(worst, 1) + " dB" } else { text::DASH.to_owned() },
        basis: worst_of(stayed.len()),
        promise: format!("at least {PSNR_DB} dB"),
        outcome: decide(worst.map(|db| db >= PSNR_DB)),
    }
}

fn lip_sync(stayed: &[&WatcherReport]) -> Check {
    let worst = worst(stayed, |w| w.lip_sync_ms.p95, |a, b| b.total_cmp(a));
    Check {
        name: "sound beside its picture",
        figure: if worst.is_some() { text::figure(worst, 0) + " ms" } else { text::DASH.to_owned() },
        basis: worst_of(stayed.len()),
        promise: format!("within {LIP_SYNC_MS} ms for 95 %"),
        outcome: decide(worst.map(|ms| ms <= LIP_SYNC_MS)),
    }
}

/// The worst figure, the smallest by `order`; `None` unless every watcher has one, since the missing one may be worse.
fn worst(
    stayed: &[&WatcherReport],
    of: impl Fn(&WatcherReport) -> Option<f64>,
    order: impl Fn(&f64, &f64) -> std::cmp::Ordering,
) -> Option<f64> {
    let figures: Option<Vec<f64>> = stayed.iter().map(|w| of(w).filter(|v| v.is_finite())).collect();
    figures?.into_iter().min_by(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn outcomes(report: &DemoReport) -> Vec<Outcome> {
        assess(report).iter().map(|c| c.outcome).collect()
    }

    #[test]
    fn a_good_run_holds_throughout() {
        let checks = assess(&fixture::report());
        assert!(checks.iter().all(|c| c.outcome == Outcome::Holds), "{checks:#?}");
        assert_eq!(summary(&checks), "All 10 checks hold");
    }

    #[test]
    fn each_defect_fails_its_own_check_and_no_other() {
        let defects: [fn(&mut DemoReport); 10] = [
            |r| r.watchers[1].frames_shown = r.watchers[1].frames_expected * 98 / 100,
            |r| r.watchers[2].audio_shown = 0,
            |r| r.watchers[0].undecryptable_chunks = 1,
            |r| r.leaver.chunks_opened_after_leave = 1,
            |r| r.relays[3].content_keys_held = 1,
            |r| r.watchers[1].proofs.hybrid = r.watchers[1].proofs.objects * 98 / 100,
            |r| r.watchers[4].proofs.forged = 1,
            |r| r.watchers[1].downlink_ratio = Some(1.61),
            |r| r.watchers[1].psnr_y_db = Some(29.9),
            |r| r.watchers[3].lip_sync_ms.p95 = Some(40.5),
        ];
        for (i, defect) in defects.into_iter().enumerate() {
            let mut report = fixture::report();
            defect(&mut report);
            let failed: Vec<_> = (0..10).filter(|c| outcomes(&report)[*c] == Outcome::Fails).collect();
            assert_eq!(failed, [i]);
            assert!(summary(&assess(&report)).starts_with("1 of 10 checks fails: "));
        }
    }

    #[test]
    fn a_watcher_that_left_decides_nothing() {
        let mut report = fixture::report();
        let left = report.watchers.iter_mut().find(|w| !w.stayed).unwrap();
        (left.frames_shown, left.undecryptable_chunks, left.psnr_y_db) = (0, 99, None);
        assert!(outcomes(&report).iter().all(|o| *o == Outcome::Holds));
    }

    #[test]
    fn one_missing_figure_leaves_the_promise_open() {
        let mut report = fixture::report();
        report.watchers[0].psnr_y_db = None;
        report.watchers[1].downlink_ratio = Some(f64::NAN);
        report.watchers[2].frames_expected = 0;
        report.watchers[3].proofs.objects = 0;
        report.watchers[1].lip_sync_ms.p95 = None;
        let open: Vec<_> = (0..10).filter(|c| outcomes(&report)[*c] == Outcome::NotMeasured).collect();
        assert_eq!(open, [0, 5, 7, 8, 9]);
        assert!(summary(&assess(&report)).starts_with("5 of 10 checks hold; not measured: frames shown, "));
    }

    #[test]
    fn an_empty_run_claims_nothing() {
        let checks = assess(&DemoReport::default());
        assert!(
            checks.iter().all(|c| c.outcome == Outcome::NotMeasured && c.figure == text::DASH),
            "{checks:#?}"
        );
        assert_eq!(summary(&checks), "Nothing was measured");
    }
}
