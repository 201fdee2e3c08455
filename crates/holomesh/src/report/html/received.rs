//! What came at each watcher: how much of each picture, where the sound came from, and who was heard to speak.

use super::{
    Numbered, charts, esc,
    lanes::{Lanes, State},
};
use crate::report::{
    lanes::SoundState,
    model::{DemoReport, SoundReport, StepKind, Steps, WatcherReport},
    text::{DASH, count, figure, percent, percentage},
    timeline::Timeline,
};

/// Section "What came": rows for each watcher, and where the sound came from in figures.
pub(super) fn section(report: &DemoReport, timeline: &Timeline, events: &[Numbered<'_>]) -> String {
    let end_ms = charts::end_ms(timeline, events);
    let marks: Vec<_> = events.iter().map(charts::mark).collect();
    let figures = [pictures(report.steps, timeline), sound(timeline)];
    let figures: String = figures.iter().map(|lanes| lanes.figure(&marks, end_ms)).collect();
    let sections = [figures, steps_table(report), sound_table(report)].concat();
    if sections.is_empty() {
        return String::new();
    }
    format!("<section class=\"plots\">\n<h2>What came</h2>\n{sections}</section>\n")
}

/// Section "Who speaks".
pub(super) fn speech(report: &DemoReport, timeline: &Timeline, events: &[Numbered<'_>]) -> String {
    let state = |class, label: &str, height| State { class, label: label.to_owned(), height };
    let lanes = Lanes {
        title: "Speech",
        note: "as published, and as each watcher heard it, by when it was said. It is found in the sound itself after it was opened: nothing \
               outside of what is sealed tells who speaks"
            .to_owned(),
        states: vec![state("silence", "silence", 8), state("voice", "somebody speaks", 100)],
        lanes: &timeline.speech,
    };
    let marks: Vec<_> = events.iter().map(charts::mark).collect();
    let end_ms = charts::end_ms(timeline, events);
    let figure = [
        view(report, timeline).as_ref().map(|view| view.figure(&marks, end_ms)),
        Some(lanes.figure(&marks, end_ms)),
    ];
    let figure: String = figure.into_iter().flatten().collect();
    if figure.is_empty() {
        return String::new();
    }
    let row = |w: &WatcherReport| {
        format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
            esc(w.id.as_str()),
            seconds(w.speech.spoken_ms),
            percentage(w.speech.agreement_percent).trim_end_matches(" %")
        )
    };
    let rows: String = report.watchers.iter().map(row).collect();
    let seen = report.view.map_or_else(String::new, |view| {
        format!(
            "<p class=\"note\">Of the time in which one of the {} spoke and no other did, that one was in view for {}, with {} changes.</p>\n",
            view.speakers,
            percentage(view.right_percent),
            count(view.changes)
        )
    });
    format!(
        "<section class=\"plots\">\n<h2>Who speaks</h2>\n{figure}{seen}<div class=\"scroll narrow\"><table>\n<thead><tr><th>watcher</th><th>heard speech, s</th>\
         <th>as published, % of the time</th></tr></thead>\n<tbody>\n<tr><th scope=\"row\">published</th><td>{}</td><td>{DASH}</td></tr>\n\
         {rows}</tbody>\n</table></div>\n</section>\n",
        seconds(report.spoken_ms)
    )
}

/// Who is shown, where there are several.
fn view<'a>(report: &DemoReport, timeline: &'a Timeline) -> Option<Lanes<'a>> {
    const CLASSES: [&str; 4] = ["view0", "view1", "view2", "view3"];
    let lane = timeline.view.as_ref()?;
    let speakers = report.view.map_or(CLASSES.len(), |view| view.speakers.into()).clamp(1, CLASSES.len());
    let state = |place: usize, class| State {
        class,
        label: if place == 0 { "the publisher".to_owned() } else { format!("guest {place}") },
        height: u8::try_from(100 * (place + 1) / speakers).unwrap_or(100),
    };
    Some(Lanes {
        title: "In view",
        note: "on the first watcher's screen, which shows who speaks, by when it was seen: it changes when another has spoken for 400 ms and the \
               one before has not, and once a second at most"
            .to_owned(),
        states: CLASSES.into_iter().take(speakers).enumerate().map(|(place, class)| state(place, class)).collect(),
        lanes: std::slice::from_ref(lane),
    })
}

fn pictures(steps: Steps, timeline: &Timeline) -> Lanes<'_> {
    let (title, note) = match steps.of {
        StepKind::Descriptions => (
            "Descriptions",
            "how many of them each picture was made from, by when it was captured; a gap where none was",
        ),
        StepKind::Qualities => (
            "Layers",
            "of quality that each picture was shown in, by when it was captured; a gap where none was",
        ),
        _ => (
            "Layers",
            "of resolution that each picture was shown in, by when it was captured; a gap where none was",
        ),
    };
    Lanes { title, note: note.to_owned(), states: step_states(steps), lanes: &timeline.pictures }
}

/// All of it, one step less and so on, and not shown.
fn step_states(steps: Steps) -> Vec<State> {
    const CLASSES: [&str; 4] = ["step0", "step1", "step2", "step3"];
    const MOST: u8 = 16;
    let of = steps.count.clamp(1, MOST);
    let state = |missing: u8| {
        let came = of.saturating_sub(missing);
        let class = CLASSES.get(usize::from(missing)).copied().unwrap_or("step3");
        let height = u8::try_from(u16::from(came) * 100 / u16::from(of)).unwrap_or(100);
        State { class, label: step_name(steps.of, came, of), height }
    };
    let mut states: Vec<State> = (0..of).map(state).collect();
    states.push(State { class: "missing", label: "not shown".to_owned(), height: 0 });
    states
}

fn step_name(kind: StepKind, came: u8, of: u8) -> String {
    match kind {
        StepKind::Whole => "shown".to_owned(),
        StepKind::Descriptions => format!("{came} of {of}"),
        StepKind::Resolutions => format!("{came} of {of} resolutions"),
        StepKind::Qualities => format!("{came} of {of} qualities"),
    }
}

fn sound(timeline: &Timeline) -> Lanes<'_> {
    let state = |state: SoundState| {
        let (class, label, height) = match state {
            SoundState::Packet => ("packet", "packet as it came", 12),
            SoundState::Pause => ("packet", "pause of the publisher", 12),
            SoundState::Repaired => ("repaired", "brought back from later chunks (window)", 35),
            SoundState::CoarseCopy => ("copied", "coarse copy in the next packet (FEC)", 50),
            SoundState::Redundancy => ("redundant", "deep redundancy of a later packet (DRED)", 70),
            SoundState::Concealed => ("concealed", "concealed: a guess", 100),
            SoundState::Missing => ("missing", "nothing played", 0),
        };
        State { class, label: label.to_owned(), height }
    };
    Lanes {
        title: "Sound",
        note: "where each packet of 20 ms came from, by when it was captured; the higher the worse"
            .to_owned(),
        states: SoundState::ALL.map(state).into(),
        lanes: &timeline.sound,
    }
}

/// Pictures by how much of each came, in figures.
fn steps_table(report: &DemoReport) -> String {
    let steps = report.steps;
    if steps.count < 2 || report.watchers.iter().all(|w| w.frames_by_step.is_empty()) {
        return String::new();
    }
    let states = step_states(steps);
    let heads: String = states.iter().map(|state| format!("<th>{}</th>", esc(&state.label))).collect();
    let row = |w: &WatcherReport| {
        let all = w.frames_by_step.iter().fold(0u64, |sum, frames| sum.saturating_add(*frames));
        let cells: String = (0..states.len())
            .map(|at| {
                let frames = w.frames_by_step.get(at).copied().unwrap_or(0);
                let share = percentage(percent(frames, all));
                format!("<td>{} <small>{}</small></td>", count(frames), share)
            })
            .collect();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", esc(w.id.as_str()))
    };
    let rows: String = report.watchers.iter().map(row).collect();
    format!(
        "<h3>Pictures by how much of them came</h3>\n<div class=\"scroll\"><table>\n<thead><tr><th>watcher</th>{heads}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

/// Where the sound came from, in figures.
fn sound_table(report: &DemoReport) -> String {
    if report.watchers.iter().all(|w| w.sound == SoundReport::default()) {
        return String::new();
    }
    let row = |w: &WatcherReport| {
        let s = &w.sound;
        let figures = [
            s.packets_ms,
            s.repaired_ms,
            s.coarse_copies_ms,
            s.redundancy_ms,
            s.concealed_ms,
            s.paused_ms,
            s.stretched_ms,
            s.squeezed_ms,
        ];
        let cells: String = figures.iter().map(|ms| format!("<td>{}</td>", count(*ms))).collect();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", esc(w.id.as_str()))
    };
    let rows: String = report.watchers.iter().map(row).collect();
    format!(
        "<h3>What the sound was made from, in ms</h3>\n<div class=\"scroll\"><table>\n<thead>\
         <tr><th rowspan=\"2\">watcher</th><th rowspan=\"2\">packets<br>as they came</th><th colspan=\"4\">in place of lost ones</th>\
         <th rowspan=\"2\">pauses</th><th colspan=\"2\">to change the delay</th></tr>\
         <tr><th>window</th><th>FEC</th><th>DRED</th><th>concealed</th><th>stretched</th><th>squeezed</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n\
         <p class=\"note\">Window: brought back by the fountain code, from what later chunks carried for it. FEC: the coarse copy in the packet \
         after. DRED: the deep redundancy of one of the four packets after. Stretched and squeezed: sound put in or taken out by whole periods of its pitch.</p>\n"
    )
}

fn seconds(ms: u64) -> String {
    figure(Some(ms as f64 / 1e3), 2)
}
