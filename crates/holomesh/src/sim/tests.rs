use super::*;
use std::path::Path;

fn scenarios() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scenarios");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

fn options(scenario: &Path) -> Options {
    Options { scenario: Some(scenario.to_owned()), nodes: None, seed: None, json: None, html: None }
}

#[test]
fn every_scenario_keeps_to_what_it_expects() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 8);
    for scenario in scenarios {
        assert!(
            file::load(&scenario).unwrap().scenario.nodes <= 200,
            "{}: too many for each test",
            scenario.display()
        );
        let outcome = run(&options(&scenario)).unwrap();
        assert!(outcome.kept, "{}:\n{}", scenario.display(), outcome.text);
    }
}

#[test]
fn what_is_asked_for_is_written_and_a_missed_bound_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let [scenario, json, html] = ["s.toml", "s.json", "s.html"].map(|name| folder.path().join(name));
    std::fs::write(
        &scenario,
        "about = \"few < many\"\nnodes = 9\nlength_ms = 4_000\n[expect]\nhops = 0\nmissed = 0\n",
    )
    .unwrap();
    let asked =
        Options { json: Some(json.clone()), html: Some(html.clone()), seed: Some(5), ..options(&scenario) };
    let outcome = run(&asked).unwrap();
    assert!(!outcome.kept && outcome.text.contains("MISSED hops"), "{}", outcome.text);
    assert!(outcome.text.contains("kept   missed: 0, at most 0"), "{}", outcome.text);
    let figures: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((&figures["seed"], &figures["nodes"]), (&5.into(), &9.into()));
    let shown = figures["rows"].as_array().unwrap().iter().find(|row| row["name"] == "watchers").unwrap();
    assert_eq!(shown["value"], 9);
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("few &lt; many") && page.contains("<svg") && page.ends_with("</html>\n"));
}

#[test]
fn what_can_not_be_read_is_named() {
    let error = run(&options(Path::new("no-such.toml"))).unwrap_err().to_string();
    assert!(error.contains("no-such.toml"), "{error}");
}
