//! What `--check` says: what is in force and from where, and what of it won't work or is worth a thought.

use super::keys::{KEYS, slot};
use super::{Config, Loaded, MIB, Origin, StatusAccess};
use crate::service::limits;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Works, but perhaps not as meant.
    Warning,
    /// The relay would not start.
    Fault,
}

/// Something that `--check` has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// One line, which names the key and its place.
    pub text: String,
}

impl Finding {
    /// A finding.
    pub fn new(severity: Severity, text: impl Into<String>) -> Self {
        Self { severity, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Fault => "fault",
        };
        write!(f, "{word}: {}", self.text)
    }
}

impl Loaded {
    /// Every key with its value and where that comes from, as TOML that can be a file again, but for the ticket.
    pub fn table(&self) -> String {
        let mut config = self.config.clone();
        let mut text = String::new();
        let mut table = "";
        for key in KEYS {
            let (head, name) = key.split_once('.').unwrap_or(("", key));
            if head != table {
                text.push_str(&format!("\n[{head}]\n"));
                table = head;
            }
            let origin = match self.origin(key) {
                Origin::Default => "default".to_owned(),
                Origin::File(line) => format!("line {line}"),
                Origin::CommandLine(flag) => flag,
            };
            let line = match slot(&mut config, key).and_then(|slot| slot.show()) {
                Some(value) => format!("{name} = {value}"),
                None => format!("# {name} is not set"),
            };
            text.push_str(&format!("{line:<42} # {origin}\n"));
        }
        text
    }

    /// What won't work, and what is worth a thought. The key file is not looked at: that may need a passphrase.
    pub fn findings(&self) -> Vec<Finding> {
        let config = &self.config;
        let mut findings = Vec::new();
        let mut say = |severity, text: String| findings.push(Finding { severity, text });
        match self.ticket() {
            Ok(ticket) => say(Severity::Note, format!("serves a session of host {}", ticket.host.short())),
            Err(error) => say(Severity::Fault, error.to_string()),
        }
        let secret_places = [
            (config.ticket.is_some(), "ticket", self.file.as_deref()),
            (config.ticket_file.is_some(), "ticket_file", config.ticket_file.as_deref()),
        ];
        for (set, key, file) in secret_places {
            let from_file = key == "ticket_file" || matches!(self.origin(key), Origin::File(_));
            if let Some(file) = file.filter(|file| set && from_file && others_can_read(file)) {
                let advice = "whoever reads the ticket may join the session; run `chmod go-rwx` on it";
                let text = format!("{}: others can read {}: {advice}", self.place(key), file.display());
                say(Severity::Warning, text);
            }
        }
        if config.key_file.is_none() {
            let text = "key_file is not set: the relay has another identity after every start, and permits for the \
                        former one are lost";
            say(Severity::Warning, text.into());
        }
        if config.store.folder.is_some() && config.key_file.is_none() {
            let place = self.place("store.folder");
            say(
                Severity::Fault,
                format!("{place}: recordings are sealed under the node's key; set key_file"),
            );
        }
        if !config.permits_required {
            let place = self.place("permits_required");
            say(Severity::Warning, format!("{place}: the ticket alone decides whom this relay serves"));
        }
        if let Err(error) = limits::attainable(config.limits.file_descriptors) {
            say(Severity::Fault, format!("{}: {error}", self.place("limits.file_descriptors")));
        }
        if let Some(why) = config.log.file.as_deref().and_then(unusable_log) {
            say(Severity::Fault, format!("{}: {why}", self.place("log.file")));
        }
        for (severity, text) in http_findings(self, config) {
            say(severity, text);
        }
        say(Severity::Note, memory_note(config));
        findings
    }
}

fn http_findings(loaded: &Loaded, config: &Config) -> Vec<(Severity, String)> {
    let Some(address) = config.http.listen else {
        let text = "http.listen is off: no metrics, no health, nothing for `holomesh top`".into();
        return vec![(Severity::Note, text)];
    };
    let place = loaded.place("http.listen");
    let mut findings = Vec::new();
    if !address.ip().is_loopback() {
        let text =
            format!("{place}: {address} is reachable from other machines, without encryption or password");
        findings.push((Severity::Warning, text));
        if config.http.status == StatusAccess::All {
            let place = loaded.place("http.status");
            findings.push((
                Severity::Warning,
                format!("{place}: everybody who reaches it sees peers' addresses"),
            ));
        }
    }
    if config.listen.is_some_and(|listen| is_privileged(&listen)) || is_privileged(&address) {
        let text = "ports below 1024 need the capability CAP_NET_BIND_SERVICE";
        findings.push((Severity::Note, text.into()));
    }
    findings
}

const fn is_privileged(address: &SocketAddr) -> bool {
    address.port() > 0 && address.port() < 1_024
}

/// What bounds memory, in figures.
fn memory_note(config: &Config) -> String {
    let limits = &config.limits;
    let rings = (limits.ring_bytes as u64).saturating_mul(limits.streams as u64).div_ceil(MIB);
    let links = limits::LINK_BYTES.saturating_mul(limits.links as u64).div_ceil(MIB);
    let refused = match limits.memory_bytes {
        Some(bytes) => format!("new links are refused from {} MiB on", limits::refuse_from(bytes) / MIB),
        None => "nothing is refused for want of memory".into(),
    };
    format!("streams keep at most {rings} MiB of chunks, links about {links} MiB of state; {refused}")
}

fn unusable_log(file: &Path) -> Option<String> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return Some(format!("there is no directory {}", directory.display()));
    }
    file.is_dir().then(|| format!("{} is a directory", file.display()))
}

#[cfg(unix)]
fn others_can_read(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

#[cfg(not(unix))]
fn others_can_read(_file: &Path) -> bool {
    false
}
