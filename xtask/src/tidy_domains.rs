//! The signing domains: no two structures share one, the specification lists each, and what is signed holds no float.
//!
//! A signature is good for one kind of structure because its domain is used for no other. The compiler can't see that
//! two crates chose the same name.

use std::collections::BTreeMap;

/// The page whose table lists every domain.
pub(crate) const PAGE: &str = "docs/spec/10-identities.md";

/// What a row of the table says of a domain.
const USE: &str = "| signature domain |";

/// Where one of our sources names a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    path: String,
    line: usize,
    /// `None` when what stands there is no literal.
    name: Option<String>,
    has_float: bool,
}

/// The domains that a source file names, tests and examples apart.
pub(crate) fn named(path: &str, text: &str) -> Vec<Named> {
    let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
    if !path.starts_with("crates/") || !path.contains("/src/") || !path.ends_with(".rs") || is_test {
        return Vec::new();
    }
    // Documentation shows domains that nobody uses.
    let code: Vec<&str> = text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
        .collect();
    let code = code.join("\n");
    let has_float = FLOATS.iter().any(|float| has_word(&code, float));
    code.match_indices(CALL)
        .map(|(at, _)| Named {
            path: path.to_owned(),
            line: code[..at].matches('\n').count() + 1,
            name: literal(&code[at + CALL.len()..]),
            has_float,
        })
        .collect()
}

/// What is wrong with the domains of all files, given the page: (file, line, what).
pub(crate) fn faults(domains: &[Named], page: &str) -> Vec<(String, Option<usize>, String)> {
    let listed: Vec<&str> =
        page.lines().filter(|row| row.contains(USE)).filter_map(|row| row.split('`').nth(1)).collect();
    let mut faults = Vec::new();
    let mut seen = BTreeMap::new();
    for domain in domains {
        let mut fault = |what: String| faults.push((domain.path.clone(), Some(domain.line), what));
        if domain.has_float {
            fault(
                "a file with a signed structure names no float: two machines may write one differently"
                    .into(),
            );
        }
        let Some(name) = &domain.name else {
            fault("a domain is a literal, so that it can be compared with the others".into());
            continue;
        };
        if !is_well_formed(name) {
            fault(format!("the domain `{name}` is not `holomesh … v` and a number"));
        }
        if !listed.contains(&name.as_str()) {
            fault(format!("the domain `{name}` is missing in the table of {PAGE}, section 4"));
        }
        if let Some(other) = seen.insert(name.clone(), domain.path.clone()) {
            fault(format!("the domain `{name}` is used in {other} too: one of the two needs another"));
        }
    }
    for name in listed {
        if !seen.contains_key(name) {
            faults.push((PAGE.to_owned(), None, format!("the domain `{name}` is listed and used nowhere")));
        }
    }
    faults
}

const CALL: &str = concat!("Domain::", "new(");

const FLOATS: [&str; 2] = ["f32", "f64"];

fn literal(after: &str) -> Option<String> {
    let (name, _) = after.trim_start().strip_prefix('"')?.split_once('"')?;
    (!name.contains('\\')).then(|| name.to_owned())
}

fn is_well_formed(name: &str) -> bool {
    let version = name.strip_prefix("holomesh ").and_then(|rest| rest.rsplit_once(" v"));
    version.is_some_and(|(what, number)| !what.is_empty() && number.parse::<u16>().is_ok())
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        !is_part(text[..at].chars().next_back()) && !is_part(text[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "crates/x/src/lib.rs";

    fn source(name: &str) -> String {
        format!("use identity::Domain;\nconst DOMAIN: Domain = {CALL}{name});\n")
    }

    fn row(name: &str) -> String {
        format!("| `{name}` {USE} 1.2.3 |\n")
    }

    fn whats(domains: &[Named], page: &str) -> Vec<String> {
        faults(domains, page).into_iter().map(|(_, _, what)| what).collect()
    }

    #[test]
    fn a_listed_domain_of_one_file_is_in_order() {
        let found = named(PATH, &source("\"holomesh a v1\""));
        let expected =
            Named { path: PATH.into(), line: 2, name: Some("holomesh a v1".into()), has_float: false };
        assert_eq!(found, [expected]);
        assert!(faults(&found, &row("holomesh a v1")).is_empty());
        let split = named(PATH, &source("\n    \"holomesh a v1\",\n"));
        assert_eq!(split[0].name, found[0].name);
    }

    #[test]
    fn two_structures_with_one_domain_are_found() {
        let text = source("\"holomesh a v1\"");
        let both = [named(PATH, &text), named("crates/y/src/lib.rs", &text)].concat();
        let what = whats(&both, &row("holomesh a v1"));
        assert_eq!(what.len(), 1);
        assert!(what[0].contains("crates/x/src/lib.rs too"), "{what:?}");
    }

    #[test]
    fn the_table_and_the_sources_agree() {
        let found = named(PATH, &source("\"holomesh a v1\""));
        assert!(whats(&found, "")[0].contains("missing in the table"));
        let page = row("holomesh a v1") + &row("holomesh b v1");
        assert!(whats(&found, &page)[0].contains("`holomesh b v1` is listed and used nowhere"));
        let hash = "| `holomesh c v1` | hash prefix | 1.2.3 |\n";
        assert!(whats(&found, &(row("holomesh a v1") + hash)).is_empty());
    }

    #[test]
    fn a_domain_is_a_literal_with_a_version() {
        for name in ["NAME", "name()", "\"holomesh \\u{61} v1\""] {
            assert!(whats(&named(PATH, &source(name)), "")[0].contains("is a literal"), "{name}");
        }
        for name in ["holomesh a", "a v1", "holomesh a v", "holomesh a v1x", "holomesh  v99999"] {
            let found = named(PATH, &source(&format!("\"{name}\"")));
            assert!(whats(&found, &row(name))[0].contains("is not `holomesh"), "{name}");
        }
    }

    #[test]
    fn tests_examples_and_documentation_may_use_any_domain() {
        let text = source("\"anything\"");
        for path in
            ["crates/x/tests/a.rs", "crates/x/examples/a.rs", "crates/x/src/a/tests.rs", "benches/src/a.rs"]
        {
            assert!(named(path, &text).is_empty(), "{path}");
        }
        assert!(named(PATH, &format!("#[cfg(test)]\nmod tests {{\n{text}}}\n")).is_empty());
        assert!(named(PATH, &text.replace("const", "//! const")).is_empty());
    }

    #[test]
    fn defect_floats_in_signed_data() {
        let text = source("\"holomesh a v1\"");
        for field in ["uplink_mbps: f32", "rate: Option<f64>", "[f32; 3]"] {
            let found = named(PATH, &format!("{text}struct S {{ {field} }}\n"));
            assert!(whats(&found, &row("holomesh a v1"))[0].contains("no float"), "{field}");
        }
        let found = named(PATH, &format!("{text}// not f32\nfn buf32() {{}}\n"));
        assert!(faults(&found, &row("holomesh a v1")).is_empty());
    }
}
