//! `cargo xtask spec`: the specification held against itself, against the tests and vectors that it names, and against what names it.
//!
//! A rule that binds (it says MUST, or that something is refused) names a test or a vector that would fail if it were broken. Every
//! name is one that exists, numbers have no gaps, and whatever refers to a section or a rule refers to one that is there.

mod note;
mod page;
mod refs;
mod sources;
mod vectors;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{shell, tidy_domains};
use note::Named;
use page::{Block, Page};
use sources::Sources;
use vectors::Vectors;

const FOLDER: &str = "docs/spec";
const INDEX: &str = "docs/spec/README.md";
/// Its tables name tests, and its text rules.
const THREATS: &str = "docs/THREAT_MODEL.md";

pub(crate) fn run() -> Result<()> {
    let root = shell::root()?;
    let pages = pages(&root)?;
    let sources = Sources::read(&root)?;
    let vectors = Vectors::read(&root.join("conformance-vectors"))?;
    let mut faults = Vec::new();
    let mut binding = 0;
    for page in pages.values() {
        faults.extend(page.faults.iter().cloned());
        let checked = check(page, &sources, &vectors);
        binding += checked.binding;
        faults.extend(checked.faults);
    }
    let read =
        |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("could not read {path}"));
    faults.extend(index(&pages, &read(INDEX)?));
    for page in pages.values() {
        faults.extend(refs::in_prose(&pages, &page.path, Some(page.number), &read(&page.path)?));
    }
    for path in [INDEX, THREATS] {
        faults.extend(refs::in_prose(&pages, path, None, &read(path)?));
    }
    faults.extend(threats(&read(THREATS)?, &sources));
    faults.extend(labels(&pages, &read(tidy_domains::PAGE)?));
    for (path, text) in &sources.files {
        faults.extend(refs::in_code(&pages, path, text));
    }
    if !faults.is_empty() {
        bail!("{} faults of the specification:\n  {}", faults.len(), faults.join("\n  "));
    }
    println!("spec: {} pages, {binding} rules that bind, each with a test or vector", pages.len());
    Ok(())
}

fn pages(root: &Path) -> Result<BTreeMap<u32, Page>> {
    let mut pages = BTreeMap::new();
    let list = fs::read_dir(root.join(FOLDER)).with_context(|| format!("could not list {FOLDER}"))?;
    for entry in list {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(number) = name.split('-').next().and_then(|number| number.parse().ok()) else { continue };
        let path = format!("{FOLDER}/{name}");
        let text = fs::read_to_string(root.join(&path)).with_context(|| format!("could not read {path}"))?;
        if pages.insert(number, Page::parse(number, &path, &text)).is_some() {
            bail!("two pages have the number {number}");
        }
    }
    Ok(pages)
}

#[derive(Debug, Default)]
struct Checked {
    binding: usize,
    faults: Vec<String>,
}

/// The notes of a page, and what binds and has none.
fn check(page: &Page, sources: &Sources, vectors: &Vectors) -> Checked {
    let mut checked = Checked::default();
    for section in &page.sections {
        let crates = if section.crates.is_empty() { &page.crates } else { &section.crates };
        // A note that stands by itself is for the rules of its section that have none of their own.
        let shared: Vec<Named> = section
            .blocks
            .iter()
            .filter(|block| block.is_note())
            .flat_map(|block| note::named(&block.text))
            .collect();
        for block in &section.blocks {
            let at = format!("{}:{}", page.path, block.line);
            let named = note::named(&block.text);
            let mut counts = false;
            for name in &named {
                match resolve(name, section, crates, page, sources, vectors) {
                    Ok(found) => counts |= found,
                    Err(what) => checked.faults.push(format!("{at}: {what}")),
                }
            }
            if !block.binds() {
                continue;
            }
            checked.binding += 1;
            let rule = block.name(page.number, section.number);
            let counts = counts
                || named.is_empty()
                    && shared.iter().any(|name| {
                        resolve(name, section, crates, page, sources, vectors).is_ok_and(|found| found)
                    });
            if !counts {
                checked
                    .faults
                    .push(format!("{at}: {rule} binds, and names no test or vector: {}", block.begin()));
            } else if named.contains(&Named::Nothing) {
                checked
                    .faults
                    .push(format!("{at}: {rule} binds, and says that there is no test of a part of it"));
            }
        }
    }
    checked
}

/// Whether what is named would notice a rule that is broken; an error if there is no such thing.
fn resolve(
    name: &Named,
    section: &page::Section,
    crates: &[String],
    page: &Page,
    sources: &Sources,
    vectors: &Vectors,
) -> Result<bool, String> {
    match name {
        Named::Nothing => Ok(false),
        Named::As { section: other, rule } => {
            let section = match other {
                Some(other) => {
                    page.section(*other).ok_or_else(|| format!("there is no section {other} here"))?
                }
                None => section,
            };
            let block: Option<&Block> = section.rule(*rule);
            let block =
                block.ok_or_else(|| format!("there is no rule {rule} in section {}", section.number))?;
            if note::named(&block.text)
                .iter()
                .any(|name| matches!(name, Named::Test { .. } | Named::Vector { .. }))
            {
                Ok(true)
            } else {
                Err(format!("`as {rule}`: that rule names no test"))
            }
        }
        Named::Test { of: Some(of), name } => sources.find(std::slice::from_ref(of), name),
        Named::Test { of: None, name } => sources.find(crates, name),
        Named::Vector { file, parts } => vectors.find(&page.folders, file, parts),
    }
}

/// Every page is in the index, and the other way round.
fn index(pages: &BTreeMap<u32, Page>, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for page in pages.values() {
        let name = page.path.rsplit('/').next().unwrap_or_default();
        if !text.contains(&format!("| [{name}]({name}) |")) {
            faults.push(format!("{INDEX}: {name} is not in the table of pages"));
        }
    }
    for (at, line) in text.lines().enumerate() {
        let listed = line.strip_prefix("| [").and_then(|rest| rest.split(']').next());
        if let Some(name) =
            listed.filter(|name| !pages.values().any(|page| page.path.ends_with(&format!("/{name}"))))
        {
            faults.push(format!("{INDEX}:{}: there is no page {name}", at + 1));
        }
    }
    faults
}

/// The tests that the threat model names, as `crate::path::test`; names that follow in the same cell are of the same crate.
fn threats(text: &str, sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let Some(cell) = line.trim_end_matches(['|', ' ']).rsplit('|').next() else { continue };
        let mut of: Option<&str> = None;
        for name in cell.split('`').skip(1).step_by(2) {
            let first = name.split("::").next().unwrap_or_default();
            if name.contains("::") && sources.is_crate(first) {
                of = Some(first);
            }
            // What a crate is not named before is a program, a target or a field.
            let Some(of) = of.filter(|of| *of != name && !name.contains(' ')) else { continue };
            if let Err(what) = sources.find_at(of, name) {
                faults.push(format!("{THREATS}:{}: {what}", at + 1));
            }
        }
    }
    faults
}

/// The table of domains and labels: the rule or section that it names for one is where that one stands.
fn labels(pages: &BTreeMap<u32, Page>, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, row) in text.lines().enumerate().filter(|(_, row)| row.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [names, .., place] = cells[..] else { continue };
        // Of several names each has a place of its own, where there are as many.
        let names: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
        let places: Vec<&str> =
            place.split(", ").filter(|place| place.starts_with(|c: char| c.is_ascii_digit())).collect();
        for (name, place) in names.iter().zip(&places) {
            let name = name.trim_end_matches(" …");
            let mut numbers = place.split('.').map(|number| number.parse::<u32>().ok());
            let mut next = || numbers.next().flatten();
            let page = next().and_then(|page| pages.get(&page));
            let section = page.zip(next()).and_then(|(page, section)| page.section(section));
            let blocks = section.map_or(&[][..], |section| &section.blocks[..]);
            let rule = next();
            let stands = |block: &Block| block.text.contains(name) && (rule.is_none() || block.rule == rule);
            if names.len() <= places.len() && !blocks.iter().any(stands) {
                faults.push(format!("{}:{}: `{name}` does not stand in {place}", tidy_domains::PAGE, at + 1));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests;
