//! A page of the specification: sections, and in them rules and other text, as they are numbered.

/// A page, as far as it could be read; what is wrong with its numbers is in `faults`.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) number: u32,
    pub(crate) path: String,
    /// The crates whose tests it names where it names no other.
    pub(crate) crates: Vec<String>,
    /// The folders of its vectors.
    pub(crate) folders: Vec<String>,
    pub(crate) sections: Vec<Section>,
    pub(crate) faults: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) number: u32,
    /// As of the page, when the section says so itself.
    pub(crate) crates: Vec<String>,
    pub(crate) blocks: Vec<Block>,
}

/// A rule, or a paragraph or table that is none.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) rule: Option<u32>,
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn parse(number: u32, path: &str, text: &str) -> Self {
        let mut page = Self { number, path: path.to_owned(), ..Self::default() };
        let mut preamble = Vec::new();
        let (mut is_code, mut was_blank) = (false, true);
        for (at, line) in text.lines().enumerate() {
            let at = at + 1;
            if line.trim_start().starts_with("```") {
                is_code = !is_code;
                continue;
            }
            if is_code {
                continue;
            }
            if at == 1 {
                page.title(line);
            } else if let Some(heading) = line.strip_prefix("## ") {
                page.open(at, heading);
                was_blank = true;
            } else if let Some(section) = page.sections.last_mut() {
                if let Some(fault) = section.take(at, line, was_blank) {
                    page.faults.push(format!("{path}:{at}: {number}.{}: {fault}", section.number));
                }
                was_blank = line.trim().is_empty();
            } else {
                preamble.push(line);
            }
        }
        let preamble = preamble.join(" ");
        page.crates = whose(&preamble);
        page.folders = folders(text);
        for section in &mut page.sections {
            let says = section.blocks.iter().filter(|block| block.rule.is_none());
            section.crates = whose(&says.map(|block| block.text.as_str()).collect::<Vec<_>>().join(" "));
        }
        page
    }

    fn title(&mut self, line: &str) {
        if !line.starts_with(&format!("# {:02} ", self.number)) {
            self.faults.push(format!("{}:1: the title does not begin with the page's number", self.path));
        }
    }

    fn open(&mut self, at: usize, heading: &str) {
        let number = heading.split_once(". ").and_then(|(number, _)| number.parse().ok());
        let next = self.sections.last().map_or(1, |section| section.number + 1);
        if number != Some(next) {
            self.faults
                .push(format!("{}:{at}: the next section is {next}, and this says `{heading}`", self.path));
        }
        self.sections.push(Section { number: number.unwrap_or(next), ..Section::default() });
    }

    pub(crate) fn section(&self, number: u32) -> Option<&Section> {
        self.sections.iter().find(|section| section.number == number)
    }
}

impl Section {
    pub(crate) fn rule(&self, number: u32) -> Option<&Block> {
        self.blocks.iter().find(|block| block.rule == Some(number))
    }

    /// One more line; tells if its number is not the next one.
    fn take(&mut self, line: usize, text: &str, was_blank: bool) -> Option<String> {
        if let Some(rule) = rule_number(text) {
            let next = self.blocks.iter().filter_map(|block| block.rule).max().map_or(1, |last| last + 1);
            self.blocks.push(Block { rule: Some(rule), line, text: text.to_owned() });
            return (rule != next).then(|| format!("the next rule is {next}, and this says {rule}"));
        }
        let is_new = was_blank && !text.starts_with(' ');
        if text.trim().is_empty() {
            return None;
        }
        match self.blocks.last_mut().filter(|_| !is_new) {
            Some(block) => {
                block.text.push('\n');
                block.text.push_str(text.trim());
            }
            None => self.blocks.push(Block { rule: None, line, text: text.to_owned() }),
        }
        None
    }
}

impl Block {
    /// A note that stands by itself.
    pub(crate) fn is_note(&self) -> bool {
        self.rule.is_none() && self.text.starts_with("*(")
    }

    /// Whether it says what has to be: MUST anywhere, or in a rule that something is refused.
    pub(crate) fn binds(&self) -> bool {
        let text = super::note::without(&self.text);
        let has = |word: &str| {
            text.match_indices(word).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                let after = text[at + word.len()..].chars().next();
                ![before, after].iter().flatten().any(|c| c.is_alphanumeric())
            })
        };
        has("MUST")
            || (self.rule.is_some() && ["refuse", "refused", "refuses", "Refuse"].into_iter().any(has))
    }

    pub(crate) fn name(&self, page: u32, section: u32) -> String {
        match self.rule {
            Some(rule) => format!("{page}.{section}.{rule}"),
            None => format!("text in {page}.{section}"),
        }
    }

    /// Its first words.
    pub(crate) fn begin(&self) -> String {
        let words: String = self.text.chars().take(70).collect();
        words.replace('\n', " ")
    }
}

/// `12. ` at the beginning of a line.
fn rule_number(line: &str) -> Option<u32> {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    line[digits..].starts_with(". ").then(|| line[..digits].parse().ok()).flatten()
}

/// Of "Tests named here are alm's", "Tests in this section are av-relay's" the crates; "its own" are those that the page is about.
fn whose(text: &str) -> Vec<String> {
    let text = text.replace('\n', " ");
    let begins = ["Tests named", "Tests in this section"].into_iter().find_map(|words| text.find(words));
    let Some(at) = begins else { return Vec::new() };
    let says = &text[at..];
    let says = &says[..says.find(". ").unwrap_or(says.len())];
    let mut crates: Vec<String> = says
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '\'')))
        .filter_map(|word| word.strip_suffix("'s"))
        .map(str::to_owned)
        .collect();
    if says.contains("its own") {
        let about = text.match_indices("crates/").map(|(at, found)| &text[at + found.len()..]);
        crates.extend(about.filter_map(|rest| rest.split(['/', '`']).next()).map(str::to_owned));
    }
    crates
}

fn folders(text: &str) -> Vec<String> {
    let found = text.match_indices("conformance-vectors/").map(|(at, found)| &text[at + found.len()..]);
    let mut folders: Vec<String> = found
        .filter_map(|rest| rest.split(['/', '`']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    folders.sort();
    folders.dedup();
    folders
}
