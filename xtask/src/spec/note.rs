//! Notes: `*(test: …; vector: …)*`, and what they name.

/// What a note names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// A test, a file of tests, or a module of them; `of` a crate if the note says which.
    Test { of: Option<String>, name: String },
    /// A file of vectors, or a case in one of the page's; `parts` are what of it, in words.
    Vector { file: String, parts: Vec<String> },
    /// What another rule names: of this section unless another one is said.
    As { section: Option<u32>, rule: u32 },
    /// That there is none.
    Nothing,
}

/// The text without its notes.
pub(crate) fn without(text: &str) -> String {
    let mut rest = text;
    let mut left = String::new();
    while let Some((before, _, after)) = next(rest) {
        left.push_str(before);
        rest = after;
    }
    left.push_str(rest);
    left
}

/// What all notes in a text name, in their order.
pub(crate) fn named(text: &str) -> Vec<Named> {
    let mut rest = text;
    let mut named = Vec::new();
    while let Some((_, note, after)) = next(rest) {
        // A colon or a semicolon begins another kind; within one, a crate's name holds until then.
        let flat = note.replace('\n', " ");
        for clause in flat.split(';') {
            read(clause, &mut named);
        }
        rest = after;
    }
    named
}

fn next(text: &str) -> Option<(&str, &str, &str)> {
    let from = text.find("*(")?;
    let to = from + text[from..].find(")*")?;
    Some((&text[..from], &text[from + 2..to], &text[to + 2..]))
}

fn read(clause: &str, named: &mut Vec<Named>) {
    if clause.contains("no test") || clause.contains("test: none") {
        named.push(Named::Nothing);
    }
    let vectors = clause.trim_start().strip_prefix("vector");
    if let Some((_, list)) = vectors.and_then(|rest| rest.split_once([':', ' '])) {
        // `vectors `a`, `b`` and `vector: file, case, case` alike; what has more than a word is said to the reader.
        let mut words =
            list.split(',').map(|word| word.trim().trim_matches('`')).filter(|word| is_name(word));
        if let Some(file) = words.next() {
            named.push(Named::Vector { file: file.to_owned(), parts: words.map(str::to_owned).collect() });
        }
        return;
    }
    let mut of = None;
    for (at, part) in clause.split('`').enumerate() {
        if at % 2 == 0 {
            references(part, named);
            if let Some(word) = part.split([' ', ',', ':', '(']).rfind(|word| !word.is_empty()) {
                of = crate_name(word).or(of);
            }
        } else if !part.contains(' ') && !part.ends_with(".json") {
            named.push(Named::Test { of: of.clone(), name: part.to_owned() });
        } else if part.ends_with(".json") {
            named.push(Named::Vector { file: part.to_owned(), parts: Vec::new() });
        }
    }
}

/// `as 2`, `as 2 and 3`, `as 1.3`.
fn references(text: &str, named: &mut Vec<Named>) {
    let mut words = text.split([' ', ',', ':']).filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        if word != "as" {
            continue;
        }
        while let Some(number) =
            words.next_if(|word| *word == "and" || word.starts_with(|c: char| c.is_ascii_digit()))
        {
            let (section, rule) = match number.split_once('.') {
                Some((section, rule)) => (section.parse().ok(), rule),
                None => (None, number),
            };
            if let Ok(rule) = rule.parse() {
                named.push(Named::As { section, rule });
            }
        }
    }
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Whether the word before a name may be a crate's: what is none is told by who looks for it.
fn crate_name(word: &str) -> Option<String> {
    let is = word == "xtask" || CRATES_WITHOUT_A_DASH.contains(&word) || word.contains('-');
    (is && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
        .then(|| word.to_owned())
}

const CRATES_WITHOUT_A_DASH: [&str; 5] = ["alm", "gf256", "holomesh", "identity", "netsim"];
