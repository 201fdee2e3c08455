//! A key's place in the configuration: what may stand there, and how it is written.

use super::{KIB, LogFormat, MIB, StatusAccess};
use crate::net::TransportChoice;
use crate::ticket::Ticket;
use core_types::BitRate;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// A value as the file or the command line has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Flag(bool),
    /// What no key takes, by its name.
    Other(&'static str),
}

impl Value {
    /// What it is, for complaints. A long text may be a ticket in the wrong place, so it is not repeated.
    fn describe(&self) -> String {
        match self {
            Self::Text(text) if text.len() <= 32 => format!("\"{}\"", text.escape_debug()),
            Self::Text(_) => "this text".into(),
            Self::Integer(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Other(what) => (*what).into(),
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Where a key's value goes, with what it may be.
#[derive(Debug)]
pub(super) enum Slot<'a> {
    Ticket(&'a mut Option<Ticket>),
    Path(&'a mut Option<PathBuf>),
    /// An address with a port, or the word that stands for none.
    Address(&'a mut Option<SocketAddr>, &'static str),
    Flag(&'a mut bool),
    Seconds(&'a mut Duration, RangeInclusive<u64>),
    Milliseconds(&'a mut Duration, RangeInclusive<u64>),
    Port(&'a mut u16),
    Count(&'a mut usize, RangeInclusive<u64>),
    /// As [`Count`](Self::Count), or "none".
    CountOrNone(&'a mut Option<u32>, RangeInclusive<u64>),
    Count64(&'a mut u64, RangeInclusive<u64>),
    Kibibytes(&'a mut usize, RangeInclusive<u64>),
    Mebibytes(&'a mut u64, RangeInclusive<u64>),
    /// As [`Mebibytes`](Self::Mebibytes), or "none".
    MebibytesOrNone(&'a mut Option<u64>, RangeInclusive<u64>),
    /// Kilobits a second, or "none".
    KbitOrNone(&'a mut Option<BitRate>),
    Transport(&'a mut TransportChoice),
    Status(&'a mut StatusAccess),
    Format(&'a mut LogFormat),
    Filter(&'a mut String),
}

/// Rates go from 8 kbit/s, which still carries sound, to a terabit.
const KBIT: RangeInclusive<u64> = 8..=1_000_000_000;

const TRANSPORTS: [(&str, TransportChoice); 3] =
    [("auto", TransportChoice::Auto), ("quic", TransportChoice::Quic), ("udp", TransportChoice::Udp)];
const ACCESS: [(&str, StatusAccess); 3] =
    [("loopback", StatusAccess::Loopback), ("all", StatusAccess::All), ("off", StatusAccess::Off)];
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

impl Slot<'_> {
    /// Puts the value in its place.
    ///
    /// # Errors
    /// What is wrong with it and what would be right, as the rest of a line.
    pub(super) fn set(self, value: &Value) -> Result<(), String> {
        let wanted = self.takes();
        let wrong = || format!("{} is not {wanted}", value.describe());
        match self {
            Self::Ticket(slot) => {
                let text = value.text().ok_or_else(wrong)?;
                *slot = Some(text.parse::<Ticket>().map_err(|e| e.to_string())?);
            }
            Self::Path(slot) => {
                *slot = Some(value.text().filter(|text| !text.is_empty()).ok_or_else(wrong)?.into());
            }
            Self::Address(slot, none) => {
                let text = value.text().ok_or_else(wrong)?;
                *slot = if text == none { None } else { Some(text.parse().map_err(|_| wrong())?) };
            }
            Self::Flag(slot) => match value {
                Value::Flag(flag) => *slot = *flag,
                _ => return Err(wrong()),
            },
            Self::Seconds(slot, range) => {
                *slot = Duration::from_secs(number(value, &range).ok_or_else(wrong)?);
            }
            Self::Milliseconds(slot, range) => {
                *slot = Duration::from_millis(number(value, &range).ok_or_else(wrong)?);
            }
            Self::Port(slot) => *slot = narrow(value, &(0..=65_535)).ok_or_else(wrong)?,
            Self::Count(slot, range) => *slot = narrow(value, &range).ok_or_else(wrong)?,
            Self::CountOrNone(slot, range) => {
                *slot = match value.text() {
                    Some("none") => None,
                    _ => Some(narrow(value, &range).ok_or_else(wrong)?),
                };
            }
            Self::Count64(slot, range) => *slot = narrow(value, &range).ok_or_else(wrong)?,
            Self::Kibibytes(slot, range) => {
                *slot = narrow::<usize>(value, &range).ok_or_else(wrong)?.saturating_mul(KIB);
            }
            Self::Mebibytes(slot, range) => {
                *slot = number(value, &range).ok_or_else(wrong)?.saturating_mul(MIB);
            }
            Self::MebibytesOrNone(slot, range) => {
                *slot = match value.text() {
                    Some("none") => None,
                    _ => Some(number(value, &range).ok_or_else(wrong)?.saturating_mul(MIB)),
                };
            }
            Self::KbitOrNone(slot) => {
                *slot = match value.text() {
                    Some("none") => None,
                    _ => Some(BitRate::from_kbit(number(value, &KBIT).ok_or_else(wrong)?)),
                };
            }
            Self::Transport(slot) => *slot = choice(value, &TRANSPORTS).ok_or_else(wrong)?,
            Self::Status(slot) => *slot = choice(value, &ACCESS).ok_or_else(wrong)?,
            Self::Format(slot) => *slot = choice(value, &FORMATS).ok_or_else(wrong)?,
            Self::Filter(slot) => {
                let text = value.text().ok_or_else(wrong)?;
                tracing_subscriber::EnvFilter::try_new(text).map_err(|_| wrong())?;
                text.clone_into(slot);
            }
        }
        Ok(())
    }

    /// What may stand there.
    pub(super) fn takes(&self) -> String {
        match self {
            Self::Ticket(_) => "a ticket in quotes, as `holomesh host` prints it".into(),
            Self::Path(_) => "a file's path in quotes".into(),
            Self::Address(_, none) => {
                format!(
                    "an address with a port in quotes, as \"127.0.0.1:9467\" or \"[::1]:9467\", or \"{none}\""
                )
            }
            Self::Flag(_) => "true or false, without quotes".into(),
            Self::Seconds(_, range) => format!("a whole number of seconds {}", span(range)),
            Self::Milliseconds(_, range) => format!("a whole number of milliseconds {}", span(range)),
            Self::Port(_) => "a port, 0 (any free one) to 65535".into(),
            Self::Count(_, range) | Self::Count64(_, range) => format!("a whole number {}", span(range)),
            Self::CountOrNone(_, range) => format!("a whole number {}, or \"none\"", span(range)),
            Self::Kibibytes(_, range) => format!("a whole number of KiB {}", span(range)),
            Self::Mebibytes(_, range) => format!("a whole number of MiB {}", span(range)),
            Self::MebibytesOrNone(_, range) => {
                format!("a whole number of MiB {}, or \"none\"", span(range))
            }
            Self::KbitOrNone(_) => format!("a whole number of kbit/s {}, or \"none\"", span(&KBIT)),
            Self::Transport(_) => words(&TRANSPORTS),
            Self::Status(_) => words(&ACCESS),
            Self::Format(_) => words(&FORMATS),
            Self::Filter(_) => "a log filter in quotes, as \"info\" or \"warn,holomesh=debug\"".into(),
        }
    }

    /// What stands there, as the file would have it; `None` where there is neither a value nor a word for none.
    pub(super) fn show(&self) -> Option<String> {
        Some(match self {
            // The invitation in it is a secret; the host's id is not.
            Self::Ticket(slot) => format!("\"(of host {})\"", slot.as_ref()?.host.short()),
            Self::Path(slot) => quoted(&slot.as_ref()?.display().to_string()),
            Self::Address(Some(address), _) => format!("\"{address}\""),
            Self::Address(None, none) => format!("\"{none}\""),
            Self::Flag(flag) => flag.to_string(),
            Self::Seconds(slot, _) => slot.as_secs().to_string(),
            Self::Milliseconds(slot, _) => slot.as_millis().to_string(),
            Self::Port(slot) => slot.to_string(),
            Self::Count(slot, _) => slot.to_string(),
            Self::CountOrNone(slot, _) => or_none(slot.map(u64::from)),
            Self::Count64(slot, _) => slot.to_string(),
            Self::Kibibytes(slot, _) => (**slot / KIB).to_string(),
            Self::Mebibytes(slot, _) => (**slot / MIB).to_string(),
            Self::MebibytesOrNone(slot, _) => or_none(slot.map(|bytes| bytes / MIB)),
            Self::KbitOrNone(slot) => or_none(slot.map(|rate| rate.0 / 1_000)),
            Self::Transport(slot) => word(**slot, &TRANSPORTS),
            Self::Status(slot) => word(**slot, &ACCESS),
            Self::Format(slot) => word(**slot, &FORMATS),
            Self::Filter(slot) => quoted(slot),
        })
    }
}

fn number(value: &Value, range: &RangeInclusive<u64>) -> Option<u64> {
    match value {
        Value::Integer(number) => u64::try_from(*number).ok().filter(|number| range.contains(number)),
        _ => None,
    }
}

fn narrow<T: TryFrom<u64>>(value: &Value, range: &RangeInclusive<u64>) -> Option<T> {
    number(value, range).and_then(|number| T::try_from(number).ok())
}

fn choice<T: Copy>(value: &Value, choices: &[(&str, T)]) -> Option<T> {
    let text = value.text()?;
    choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice)
}

fn word<T: PartialEq>(value: T, choices: &[(&str, T)]) -> String {
    choices.iter().find(|(_, choice)| *choice == value).map(|(word, _)| quoted(word)).unwrap_or_default()
}

fn words<T>(choices: &[(&str, T)]) -> String {
    let words: Vec<String> = choices.iter().map(|(word, _)| quoted(word)).collect();
    format!("one of {}", words.join(", "))
}

fn span(range: &RangeInclusive<u64>) -> String {
    format!("from {} to {}", range.start(), range.end())
}

fn or_none(value: Option<u64>) -> String {
    value.map_or_else(|| "\"none\"".into(), |value| value.to_string())
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
