use super::*;
use serde_json::json;

const PREAMBLE: &str = "# 20 Chunks\n\nCode: `crates/av-wire`. Tests named here are its own unless another\ncrate is named. \
                        Vectors: `conformance-vectors/chunk/header.json`.\n\n";

fn page(sections: &str) -> Page {
    Page::parse(20, "docs/spec/20-chunk.md", &format!("{PREAMBLE}{sections}"))
}

fn sources() -> Sources {
    let mut sources = Sources::default();
    sources.add(
        "crates/av-wire/src/lib.rs",
        "#[test]\n#[cfg(unix)]\nfn it_fails() {}\n\npub fn helper() {}\n\npub struct Fresh;\n\nmod deep {\n    #[tokio::test]\n    \
         async fn another() {}\n}\n",
    );
    sources.add("crates/holomesh/tests/whole.rs", "#[test]\nfn it_runs() {}\n");
    sources
}

fn vectors() -> Vectors {
    let mut vectors = Vectors::default();
    vectors.add("chunk", "header", &json!({ "cases": [{ "id": "by-hand" }], "negative": [] }));
    vectors.add("store", "manifest", &json!({ "cases": [] }));
    vectors
}

fn faults_of(sections: &str) -> Vec<String> {
    let page = page(sections);
    let mut faults = page.faults.clone();
    faults.extend(check(&page, &sources(), &vectors()).faults);
    faults
}

#[track_caller]
fn assert_fault(sections: &str, fault: &str) {
    let faults = faults_of(sections);
    assert!(faults.len() == 1 && faults[0].contains(fault), "{fault}: {faults:#?}");
}

#[test]
fn what_binds_and_names_something_is_in_order() {
    for note in [
        "test: `it_fails`",
        "vector: header",
        "vector: header, by-hand, and more to read",
        "vectors `by-hand`",
        "test: a few; holomesh `it_runs`",
        "test: `deep::another`, the\n   example of `Fresh`",
        "test: holomesh\n   `tests/whole.rs`",
        "vector: header, negative; test: as 2",
    ] {
        let text =
            format!("## 1. A\n1. It MUST hold. *({note})*\n2. Bad ones are refused. *(test: `it_fails`)*\n");
        assert_eq!(faults_of(&text), Vec::<String>::new(), "{note}");
    }
}

#[test]
fn a_rule_that_binds_without_a_test_is_found() {
    assert_fault("## 1. A\n1. It MUST hold.\n", "20.1.1 binds, and names no test or vector");
    assert_fault("## 1. A\n1. Others are refused.\n", "20.1.1 binds");
    assert_fault("## 1. A\nOf all it MUST be\nso.\n", "text in 20.1 binds");
    assert_fault("## 1. A\n1. It MUST hold. *(test: every one over sockets)*\n", "20.1.1 binds");
    assert_fault("## 1. A\n1. It MUST hold. *(no test)*\n", "20.1.1 binds");
    assert_fault(
        "## 1. A\n1. It MUST hold. *(test: `it_fails`; of the rest: no test)*\n",
        "no test of a part",
    );
    assert_eq!(
        faults_of("## 1. A\n1. It holds. MUSTARD.\n2. A note says MUST. *(test: `it_fails`)*\n"),
        [""; 0]
    );
}

#[test]
fn a_note_by_itself_is_for_the_rules_of_its_section_that_have_none() {
    let rules = "## 1. A\n1. It MUST hold.\n2. And that MUST too. *(test: `another`)*\n\n";
    assert_eq!(faults_of(&format!("{rules}*(test: `it_fails`)*\n")), [""; 0]);
    assert_fault(&format!("{rules}*(Where no test is named, there is none.)*\n"), "20.1.1 binds");
}

#[test]
fn what_is_named_and_not_there_is_found() {
    let named = |note: &str| format!("## 1. A\n1. It is so. *({note})*\n2. It is.\n");
    assert_fault(&named("test: `helper`"), "there is no test `helper` in av-wire");
    assert_fault(&named("test: `it_runs`"), "there is no test `it_runs` in av-wire, but in holomesh");
    assert_fault(&named("test: av-wire `it_runs`"), "there is no test `it_runs` in av-wire, but in holomesh");
    assert_fault(&named("test: av-wires-x `it_runs`"), "no such crate");
    assert_fault(&named("test: `tests/none.rs`"), "there is no test `tests/none.rs`");
    assert_fault(&named("vector: footer"), "there is no vector `footer`");
    assert_fault(&named("vector: manifest"), "there is no vector `manifest`");
    assert_fault(&named("vector: header, by-foot"), "there is no `by-foot` in the vector `header`");
    assert_fault(&named("test: as 7"), "there is no rule 7");
    assert_fault(&named("test: as 2"), "that rule names no test");
}

#[test]
fn sections_and_rules_are_numbered_without_gaps() {
    assert_fault("## 1. A\n1. One.\n3. Three.\n", "20-chunk.md:8: 20.1: the next rule is 2, and this says 3");
    assert_fault("## 1. A\n1. One.\n1. Once more.\n", "the next rule is 2, and this says 1");
    assert_fault("## 2. A\n", "the next section is 1");
    assert_eq!(
        faults_of("## 1. A\n1. One.\n   1. Within.\n\n   7. Likewise.\n2. Two.\n## 2. B\n1. One.\n"),
        [""; 0]
    );
    assert_eq!(Page::parse(20, "x", "# 21 Other\n").faults.len(), 1);
}

#[test]
fn references_in_code_lead_somewhere() {
    let pages = BTreeMap::from([(20, page("## 1. A\n1. One.\n2. Two.\n## 2. B\n"))]);
    let faults = |text: &str| refs::in_code(&pages, "x.rs", text);
    for good in [
        "// spec 20",
        "//! (spec 20 section 2)",
        "/// spec 20.1.2.",
        "// spec 20 sections 1 and 2",
        "// aspec 77",
        "spec 2024",
    ] {
        assert_eq!(faults(good), [""; 0], "{good}");
    }
    for bad in [
        "// spec 21",
        "// as spec 20.3 has it",
        "//! (spec 20 section\n//! 3)",
        "// spec 20.1.3",
        "// spec 20 sections 1 to 3",
    ] {
        assert_eq!(faults(bad).len(), 1, "{bad}");
    }
    assert_eq!(
        faults("fn f() {}\n\n    // see spec 20\n    // section 9\n"),
        ["x.rs:3: there is no section 20.9"]
    );
}

#[test]
fn references_in_prose_lead_somewhere() {
    let pages = BTreeMap::from([(20, page("## 1. A\n1. One.\n2. Two.\n"))]);
    let faults = |text: &str| refs::in_prose(&pages, "x.md", Some(20), text).len();
    for good in [
        "as 20.1.2 says",
        "(1.2)",
        "20.9 kbit/s",
        "RFC 8446 section 20.7",
        "version 1.20.3",
        "99.1",
        "(7 to 9.5)",
        "4.3",
    ] {
        assert_eq!(faults(good), 0, "{good}");
    }
    for bad in ["as 20.1.3 says", "20.2", "(1.3)", "(2.1)", "20.1.1, 20.5"] {
        assert_eq!(faults(bad), 1, "{bad}");
    }
}

#[test]
fn the_index_lists_the_pages_that_there_are() {
    let pages = BTreeMap::from([(20, page(""))]);
    assert_eq!(
        index(&pages, "| page | what |\n|---|---|\n| [20-chunk.md](20-chunk.md) | chunks |\n"),
        [""; 0]
    );
    assert_eq!(index(&pages, "nothing").len(), 1);
    assert_eq!(index(&pages, "| [20-chunk.md](20-chunk.md) | a |\n| [21-x.md](21-x.md) | b |\n").len(), 1);
}

#[test]
fn tests_that_the_threat_model_names_are_there() {
    let good = "| read | nothing | `av-wire::deep::it_fails`, `another`; `holomesh::tests/whole::it_runs` |";
    assert_eq!(threats(good, &sources()), [""; 0]);
    assert_eq!(threats(&good.replace("another", "gone"), &sources()).len(), 1);
    assert_eq!(threats(&good.replace("it_runs", "it_fails"), &sources()).len(), 1);
    assert_eq!(threats(&good.replace("whole::", "part::"), &sources()).len(), 1, "another file");
}

#[test]
fn labels_stand_where_the_table_says() {
    let pages = BTreeMap::from([(
        20,
        page("## 1. A\n1. In domain `holomesh x v1`.\n2. And \"holomesh y v1 more\".\n"),
    )]);
    let faults = |row: &str| labels(&pages, row).len();
    for good in
        ["| `holomesh x v1` | signature domain | 20.1.1 |", "| `holomesh y v1 …` | info | 20.1, local |"]
    {
        assert_eq!(faults(good), 0, "{good}");
    }
    for bad in [
        "| `holomesh x v1` | signature domain | 20.1.2 |",
        "| `holomesh z v1` | info | 20.1 |",
        "| `holomesh x v1` | d | 20 |",
    ] {
        assert_eq!(faults(bad), 1, "{bad}");
    }
}
