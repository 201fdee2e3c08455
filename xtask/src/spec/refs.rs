//! References to pages, sections and rules: "spec 30 section 2" and "spec 30.2.2" in code, "30.2.2" and "(2.2)" on pages.

use std::collections::BTreeMap;

use super::page::Page;

type Pages = BTreeMap<u32, Page>;

/// What the comments and texts of a source file refer to and is not there.
pub(crate) fn in_code(pages: &Pages, path: &str, text: &str) -> Vec<String> {
    let flat = flatten(text);
    let mut faults = Vec::new();
    for (at, _) in flat.text.match_indices("spec ") {
        if flat.text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-') {
            continue;
        }
        let mut rest = Cursor(&flat.text[at + 5..]);
        let Some(page) = rest.two_digits() else { continue };
        let mut places = Vec::new();
        if rest.skip(" sections ") || rest.skip(" section ") {
            loop {
                places.extend(rest.place());
                let goes_on = [", ", " and ", " to "].into_iter().any(|word| {
                    rest.0
                        .strip_prefix(word)
                        .is_some_and(|more| more.starts_with(|c: char| c.is_ascii_digit()))
                        && rest.skip(word)
                });
                if !goes_on {
                    break;
                }
            }
        } else if rest.skip(".") {
            places.extend(rest.place());
        }
        if places.is_empty() {
            places.push((None, None));
        }
        for (section, rule) in places {
            if let Err(what) = look(pages, page, section, rule) {
                faults.push(format!("{path}:{}: {what}", flat.line(at)));
            }
        }
    }
    faults
}

/// What a page of prose refers to and is not there. `page` is where it stands, if it is a page of the specification itself.
pub(crate) fn in_prose(pages: &Pages, path: &str, page: Option<u32>, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (line, text) in text.lines().enumerate() {
        for (at, token) in tokens(text) {
            let (before, after) = (&text[..at], &text[at + token.len()..]);
            // Sections of other documents, and quantities.
            if before.ends_with("section ") || before.ends_with("sections ") || is_unit(after) {
                continue;
            }
            let mut parts = token.split('.');
            let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
            let (first, second, third) = (number(), number(), number());
            let (Some(first), Some(second)) = (first, second) else { continue };
            let found = if first >= 10 && token.find('.') == Some(2) && pages.contains_key(&first) {
                look(pages, first, Some(second), third)
            } else if let Some(page) =
                page.filter(|_| third.is_none() && before.ends_with('(') && after.starts_with([')', ',']))
            {
                look(pages, page, Some(first), Some(second))
            } else {
                continue;
            };
            if let Err(what) = found {
                faults.push(format!("{path}:{}: {what}", line + 1));
            }
        }
    }
    faults
}

/// Whether what follows a number makes it a quantity.
fn is_unit(after: &str) -> bool {
    const UNITS: [&str; 7] = ["kbit", "Mbit", "ms", "s", "KiB", "MiB", "%"];
    let word = after.trim_start_matches(' ').split(|c: char| !c.is_alphanumeric() && c != '%').next();
    word.is_some_and(|word| UNITS.contains(&word))
}

fn look(pages: &Pages, page: u32, section: Option<u32>, rule: Option<u32>) -> Result<(), String> {
    let Some(of) = pages.get(&page) else { return Err(format!("there is no page {page}")) };
    let Some(section) = section else { return Ok(()) };
    let Some(of) = of.section(section) else { return Err(format!("there is no section {page}.{section}")) };
    match rule {
        Some(rule) if of.rule(rule).is_none() => Err(format!("there is no rule {page}.{section}.{rule}")),
        _ => Ok(()),
    }
}

/// Numbers with points between them, each with its place in the line.
fn tokens(line: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    let bytes = line.as_bytes();
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let from = at;
        while at < bytes.len() && (bytes[at].is_ascii_digit() || bytes[at] == b'.') {
            at += 1;
        }
        let token = line[from..at].trim_end_matches('.');
        let before = line[..from].chars().next_back();
        let after = line[from + token.len()..].chars().next();
        let is_part =
            |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '^'));
        let is_longer = before.is_some_and(|c| matches!(c, '.' | ',')) && !line[..from].ends_with(", ");
        if token.contains('.') && !is_part(before) && !is_longer && !is_part(after) {
            found.push((from, token));
        }
    }
    found
}

struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn skip(&mut self, word: &str) -> bool {
        let rest = self.0.strip_prefix(word);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn number(&mut self) -> Option<u32> {
        let digits = self.0.len() - self.0.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = self.0[..digits].parse().ok()?;
        self.0 = &self.0[digits..];
        Some(number)
    }

    fn two_digits(&mut self) -> Option<u32> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        (digits == 2).then(|| self.number()).flatten()
    }

    /// `2` or `2.3`.
    fn place(&mut self) -> Option<(Option<u32>, Option<u32>)> {
        let section = self.number()?;
        let goes_on =
            self.0.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let rule = (goes_on && self.skip(".")).then(|| self.number()).flatten();
        Some((Some(section), rule))
    }
}

/// A source with its lines put together, so that a reference that goes on in the next line of a comment is one.
struct Flat {
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

fn flatten(text: &str) -> Flat {
    let mut flat = Flat { text: String::new(), lines: Vec::new() };
    for line in text.lines() {
        let line = line.trim();
        let line = ["//!", "///", "//"].into_iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
        flat.lines.push(flat.text.len());
        flat.text.push_str(line.trim());
        flat.text.push(' ');
    }
    flat
}

impl Flat {
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|begin| *begin <= at)
    }
}
