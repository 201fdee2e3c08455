//! Reads the file, puts the command line on top, and checks what only several keys together can have wrong.

use super::Config;
use super::keys::{KEYS, nearest, slot};
use super::slot::{Slot, Value};
use crate::Error;
use crate::ticket::Ticket;
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The longest file that is looked at, in bytes.
const MAX_FILE: u64 = 256 << 10;

/// The longest ticket file that is looked at, in bytes.
const MAX_TICKET: u64 = 4_096;

/// A key that the command line gives; it beats the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Override {
    /// How the user gave it, for complaints: `--listen`, or `--set limits.links`.
    pub flag: String,
    /// The key.
    pub key: String,
    /// Its value as TOML, or as text without quotes.
    pub value: String,
}

// The value may be a ticket.
impl std::fmt::Debug for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Override").field("flag", &self.flag).field("key", &self.key).finish_non_exhaustive()
    }
}

/// Where a key's value comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave one.
    #[default]
    Default,
    /// This line of the file, counted from 1.
    File(usize),
    /// This option of the command line.
    CommandLine(String),
}

/// A configuration, and where each value comes from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What is in force.
    pub config: Config,
    /// The file, if there was one.
    pub file: Option<PathBuf>,
    pub(super) origins: BTreeMap<&'static str, Origin>,
}

/// Reads `file`, if one is given, and puts `overrides` on top, the later ones on the earlier.
///
/// # Errors
/// [`Error::File`] if the file can't be read; [`Error::Input`], naming file, line and key or the option, for what is
/// unknown, wrong, or does not go together.
pub fn load(file: Option<&Path>, overrides: &[Override]) -> Result<Loaded, Error> {
    let mut loaded = Loaded {
        config: Config::default(),
        file: file.map(Path::to_owned),
        origins: KEYS.into_iter().map(|key| (key, Origin::Default)).collect(),
    };
    if let Some(path) = file {
        let text = read(path).map_err(|error| match &error {
            Error::File { source, .. } if source.kind() == ErrorKind::NotFound => {
                let why = "No such file; packaging/relay.toml is one with every key explained";
                Error::input(path.display().to_string(), why)
            }
            _ => error,
        })?;
        loaded.take_file(path, &text)?;
    }
    for given in overrides {
        loaded.take_override(given)?;
    }
    loaded.check_together()?;
    Ok(loaded)
}

impl Loaded {
    /// The session to serve: the ticket itself, or what is in its file.
    ///
    /// # Errors
    /// [`Error::Input`] if neither is given or the file holds no ticket; [`Error::File`] if it can't be read.
    pub fn ticket(&self) -> Result<Ticket, Error> {
        if let Some(ticket) = &self.config.ticket {
            return Ok(ticket.clone());
        }
        let Some(path) = &self.config.ticket_file else {
            let why = "none is given; give what `holomesh host` printed, or set ticket_file in the configuration file";
            return Err(Error::input("ticket", why));
        };
        let bytes = read_bounded(path, MAX_TICKET)?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        text.parse().map_err(|error: Error| Error::input(path.display().to_string(), error.to_string()))
    }

    /// Where the key's value comes from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or_default()
    }

    /// How a complaint about the key begins.
    pub(super) fn place(&self, key: &str) -> String {
        match self.origin(key) {
            Origin::Default => key.to_owned(),
            Origin::CommandLine(flag) => flag,
            Origin::File(line) => {
                let file = self.file.as_deref().unwrap_or(Path::new("configuration"));
                format!("{}:{line}: {key}", file.display())
            }
        }
    }

    fn take_file(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        let fault = |at: usize, why: String| Error::input(format!("{}:{}", path.display(), line(at)), why);
        let document = DeTable::parse(text).map_err(|error| {
            let why = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            fault(error.span().map_or(0, |span| span.start), format!("this is not TOML: {why}"))
        })?;
        let mut found = Vec::new();
        walk("", document.get_ref(), &mut found);
        // In the order of lines, so that the first thing wrong is the one that is named.
        found.sort_by_key(|(at, ..)| *at);
        let base = path.parent().unwrap_or(Path::new(""));
        let mut faults = Vec::new();
        for (at, key, value) in found {
            match self.put(&key, &value, Origin::File(line(at))) {
                Ok(()) => self.make_absolute(&key, base),
                Err(why) => faults.push((at, why)),
            }
        }
        let more = match faults.len() {
            0 | 1 => String::new(),
            2 => "; another key is wrong as well".to_owned(),
            count => format!("; {} other keys are wrong as well", count - 1),
        };
        faults.into_iter().next().map_or(Ok(()), |(at, why)| Err(fault(at, why + &more)))
    }

    fn take_override(&mut self, given: &Override) -> Result<(), Error> {
        let value = from_command_line(&given.key, &given.value);
        // Who names the session on the command line means that one, however the file names its own.
        match given.key.as_str() {
            "ticket" => self.forget("ticket_file"),
            "ticket_file" => self.forget("ticket"),
            _ => {}
        }
        self.put(&given.key, &value, Origin::CommandLine(given.flag.clone())).map_err(|why| {
            let key = format!("{}: ", given.key);
            Error::input(&given.flag, why.strip_prefix(&key).unwrap_or(&why))
        })
    }

    fn put(&mut self, key: &str, value: &Value, origin: Origin) -> Result<(), String> {
        let Some(known) = KEYS.into_iter().find(|known| *known == key) else {
            return Err(unknown(key, value));
        };
        let Some(slot) = slot(&mut self.config, known) else { return Err(unknown(key, value)) };
        slot.set(value)
            .map_err(|why| format!("{known}: {}", why.strip_prefix("ticket: ").unwrap_or(&why)))?;
        self.origins.insert(known, origin);
        Ok(())
    }

    fn forget(&mut self, key: &'static str) {
        match slot(&mut self.config, key) {
            Some(Slot::Ticket(ticket)) => *ticket = None,
            Some(Slot::Path(path)) => *path = None,
            _ => return,
        }
        self.origins.insert(key, Origin::Default);
    }

    /// A path in the file counts from where the file is.
    fn make_absolute(&mut self, key: &str, base: &Path) {
        if let Some(Slot::Path(Some(path))) = slot(&mut self.config, key) {
            *path = base.join(&*path);
        }
    }

    fn check_together(&self) -> Result<(), Error> {
        let config = &self.config;
        if config.ticket.is_some() && config.ticket_file.is_some() {
            return Err(Error::input(
                self.place("ticket_file"),
                "there is a ticket as well; leave one of them out",
            ));
        }
        if config.passphrase_file.is_some() && config.key_file.is_none() {
            return Err(Error::input(
                self.place("passphrase_file"),
                "there is no key_file that it could open",
            ));
        }
        Ok(())
    }
}

/// Every key with a value, under its full name. A table that no key begins with is reported whole.
fn walk(prefix: &str, table: &DeTable<'_>, found: &mut Vec<(usize, String, Value)>) {
    for (name, value) in table {
        let at = name.span().start;
        let key = format!("{prefix}{}", name.get_ref());
        let inner = format!("{key}.");
        let is_table = KEYS.iter().any(|known| known.starts_with(&inner));
        let value = match value.get_ref() {
            DeValue::Table(table) if is_table => {
                walk(&inner, table, found);
                continue;
            }
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Other("this number"), Value::Integer),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Float(_) => Value::Other("a number with a point"),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(_) => Value::Other("a list"),
            DeValue::Table(_) => Value::Other("a table"),
        };
        found.push((at, key, value));
    }
}

fn unknown(key: &str, value: &Value) -> String {
    let inner = format!("{key}.");
    let shown: String = key.chars().take(64).collect();
    let shown = shown.escape_debug();
    if KEYS.iter().any(|known| known.starts_with(&inner)) {
        return format!("{shown}: this is the name of a table; write [{shown}] on a line of its own");
    }
    let what = if *value == Value::Other("a table") { "table" } else { "key" };
    match nearest(key) {
        Some(known) => format!("there is no {what} {shown}; did you mean {known}?"),
        None => {
            format!("there is no {what} {shown}; `holomesh relay --check` lists the keys that there are")
        }
    }
}

/// Text needs no quotes there, because the shell took them.
fn from_command_line(key: &str, text: &str) -> Value {
    let mut config = Config::default();
    let is_text = matches!(
        slot(&mut config, key),
        Some(Slot::Ticket(_) | Slot::Path(_) | Slot::Filter(_) | Slot::Address(..))
    );
    if is_text {
        return Value::Text(text.to_owned());
    }
    match text {
        "true" => Value::Flag(true),
        "false" => Value::Flag(false),
        // As in the file, digits may be grouped.
        text => match text.replace('_', "").parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Text(text.to_owned()),
        },
    }
}

fn read(path: &Path) -> Result<String, Error> {
    String::from_utf8(read_bounded(path, MAX_FILE)?)
        .map_err(|_| Error::input(path.display().to_string(), "this is not text in UTF-8"))
}

fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let file = fs::File::open(path).map_err(Error::file(path))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(Error::file(path))?;
    if bytes.len() as u64 > most {
        return Err(Error::input(
            path.display().to_string(),
            format!("longer than {most} bytes; is it the right file?"),
        ));
    }
    Ok(bytes)
}
